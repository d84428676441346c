"""`make run`, `make serve` and `make test-browser` name the problem if they fail."""

import socket
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient.exceptions import CellExecutionError
from nbformat.v4 import new_code_cell, new_notebook

import chromium
import refresh
import serve


@pytest.fixture
def notebooks(tmp_path):
    """Three notebooks. The second one fails."""
    paths = []
    for name, code in (("first", "1 + 1"), ("second", "int('two\\nlines')"), ("third", "2 + 2")):
        path = tmp_path / f"{name}.ipynb"
        nbformat.write(new_notebook(cells=[new_code_cell(code)]), path)
        paths.append(str(path))
    return paths


def contents(paths):
    return [Path(path).read_bytes() for path in paths]


def fail_in_the_second(path):
    if path.stem == "second":
        raise CellExecutionError("a traceback", "ValueError", "invalid literal:\n'two\nlines'")
    return new_notebook(metadata={"produced": "now"})


def test_a_run_continues_after_an_error_and_lists_it_at_the_end(notebooks, capsys, monkeypatch):
    monkeypatch.setattr(refresh, "execute", fail_in_the_second)
    before = contents(notebooks)
    assert refresh.main(["--dry-run", *notebooks]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"[1/3] {notebooks[0]} ran in 0:")
    assert lines[1].startswith(f"[2/3] {notebooks[1]} failed in 0:")
    assert lines[2].startswith(f"[3/3] {notebooks[2]} ran in 0:")
    assert lines[-2].startswith("2 of 3 notebooks ran without an error, in 0:")
    assert lines[-2].endswith("No file was changed.")
    assert lines[-1] == f"FAILED {notebooks[1]}: ValueError: invalid literal:"
    assert contents(notebooks) == before


def test_a_kernel_has_an_encrypted_connection_and_so_does_not_warn():
    manager = refresh.client_for(new_notebook(), Path()).create_kernel_manager()
    assert manager.transport_encryption == "auto"


def test_a_run_without_an_error_succeeds(notebooks, capsys, monkeypatch):
    monkeypatch.setattr(refresh, "execute", lambda path: None)
    assert refresh.main(["--dry-run", *notebooks]) == 0
    assert "3 of 3 notebooks" in capsys.readouterr().out


def test_a_refresh_stores_what_ran_and_leaves_what_failed(notebooks, capsys, monkeypatch):
    monkeypatch.setattr(refresh, "execute", fail_in_the_second)
    before = contents(notebooks)
    assert refresh.main(notebooks) == 1
    changed = [one != two for one, two in zip(contents(notebooks), before, strict=True)]
    assert changed == [True, False, True]
    assert "FAILED" in capsys.readouterr().out.splitlines()[-1]


def test_a_file_that_is_not_a_notebook_is_listed(tmp_path, capsys):
    (tmp_path / "empty.ipynb").touch()
    assert refresh.main(["--dry-run", str(tmp_path / "empty.ipynb")]) == 1
    assert "FAILED" in capsys.readouterr().out


def test_a_port_in_use_is_reported_before_the_site_is_built(monkeypatch):
    monkeypatch.setattr(serve.subprocess, "run", lambda command: pytest.fail("it was built"))
    with socket.create_server((serve.HOST, 0)) as taken:
        port = str(taken.getsockname()[1])
        with pytest.raises(SystemExit, match=f"Port {port} is in use. Run `make serve PORT=8"):
            serve.main(port)


@pytest.mark.parametrize("port", ["", "abc", "-1", "0", "65536"])
def test_a_port_that_does_not_exist_is_reported(port):
    with pytest.raises(SystemExit, match="must be a number from 1 to 65535"):
        serve.server(port)


def test_a_site_that_cannot_be_built_is_not_served(monkeypatch):
    class Failed:
        returncode = 3

    monkeypatch.setattr(serve.subprocess, "run", lambda command: Failed)
    assert serve.main(str(serve.free_port())) == 3


def test_a_browser_is_found_at_its_path_or_by_its_name(monkeypatch):
    monkeypatch.setenv("BROWSER_PATH", sys.executable)
    assert chromium.find() == sys.executable
    monkeypatch.delenv("BROWSER_PATH")
    monkeypatch.setattr(chromium.shutil, "which", {"google-chrome": "/bin/chrome"}.get)
    assert chromium.find() == "/bin/chrome"


def test_a_missing_browser_is_reported(monkeypatch):
    monkeypatch.setenv("BROWSER_PATH", "/nowhere/chrome")
    with pytest.raises(FileNotFoundError, match="BROWSER_PATH is '/nowhere/chrome'"):
        chromium.find()
    monkeypatch.delenv("BROWSER_PATH")
    monkeypatch.setattr(chromium.shutil, "which", lambda name: None)
    with pytest.raises(FileNotFoundError, match="Install it, or set BROWSER_PATH"):
        chromium.find()
