import multiprocessing
import os
import warnings
from pathlib import Path

import nbformat
import pytest

import forked
from helpers import workspace


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A folder in the role of the one in which the kernel started."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(workspace, "_home", tmp_path)
    monkeypatch.setattr(warnings, "formatwarning", warnings.formatwarning)
    yield tmp_path
    workspace.leave()


def test_enter_moves_into_a_fresh_empty_folder(home):
    workspace.enter()
    assert Path.cwd() != home
    assert list(Path.cwd().iterdir()) == []


def test_entering_again_deletes_the_first_folder(home):
    workspace.enter()
    first = Path.cwd()
    (first / "model.pt").touch()
    workspace.enter()
    assert Path.cwd() != first
    assert not first.exists()
    assert list(Path.cwd().iterdir()) == []


@pytest.mark.parametrize("method", sorted({"spawn", multiprocessing.get_start_method()}))
def test_a_worker_process_finds_a_module_that_a_cell_wrote(method, tmp_path):
    """With each start method: spawn on Windows and macOS, a fork server on Linux since 3.14."""
    code = f"""
import multiprocessing
from helpers import workspace
workspace.enter()
with open("written.py", "w") as file:
    file.write("def answer(): return 42")
import written
with multiprocessing.get_context({method!r}).Pool(1) as pool:
    print(pool.apply(written.answer))
"""
    done = forked.run("-c", code, cwd=tmp_path)
    assert done.stdout == "42\n", done.stderr


@pytest.mark.skipif(os.name == "nt", reason="needs Linux or macOS")
def test_a_module_has_the_same_path_as_the_folder_though_links_lead_there(tmp_path):
    """As on macOS, where /var is a link to /private/var."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    code = """
import os
from helpers import workspace
workspace.enter()
open("written.py", "w").close()
import written
print(written.__file__ == os.path.join(os.getcwd(), "written.py"))
workspace.leave()
"""
    environment = os.environ | {"TMPDIR": str(tmp_path / "link")}
    done = forked.run("-c", code, env=environment)
    assert done.stdout == "True\n", done.stderr


def test_leave_deletes_the_folder_and_goes_home(home):
    workspace.enter()
    folder = Path.cwd()
    (folder / "runs").mkdir()
    (folder / "runs" / "model.pt").touch()
    workspace.leave()
    assert Path.cwd() == home
    assert not folder.exists()


def test_leave_goes_home_from_wherever_the_notebook_went(home):
    workspace.enter()
    folder = Path.cwd()
    os.chdir(folder.parent)
    workspace.leave()
    assert Path.cwd() == home
    assert not folder.exists()


def test_leaving_twice_is_not_an_error(home):
    workspace.enter()
    workspace.leave()
    workspace.leave()
    assert Path.cwd() == home


def test_a_warning_becomes_one_line_without_a_path(home):
    workspace.enter()
    shown = warnings.formatwarning("keep a copy", FutureWarning, "/home/me/a.py", 3, "f()")
    assert shown == "FutureWarning: keep a copy\n"


def run_cells(folder, *cells):
    """Run cells as a notebook's kernel would, and return all that IPython printed."""
    script = f"""
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
for cell in {cells!r}:
    shell.run_cell(cell)
"""
    env = os.environ | {"IPYTHONDIR": str(folder), "PYTHONUTF8": "1"}
    return forked.run("-c", script, cwd=folder, env=env, together=True).stdout


ENTER = """
import os, warnings
from helpers import workspace
workspace.enter()
print(os.getcwd(), flush=True)
"""
FAIL = """\
def load(path):
    raise ValueError("no such model")

load("model.pt")
"""


def notebook_with(cell, tags):
    notebook = nbformat.v4.new_notebook()
    notebook.cells = [nbformat.v4.new_code_cell(cell, metadata={"tags": tags})]
    return notebook


def test_an_error_that_a_notebook_intends_is_its_text_alone(tmp_path):
    nbformat.write(notebook_with(FAIL, ["raises-exception"]), tmp_path / "notebook.ipynb")
    folder, *shown = run_cells(tmp_path, ENTER, FAIL).rstrip().splitlines()
    assert shown == ["ValueError: no such model"]
    assert not Path(folder).exists()  # deleted with the process


@pytest.mark.parametrize(
    ("tags", "edit"), [([], ""), (["raises-exception"], "# edited")], ids=["not tagged", "edited"]
)
def test_an_error_that_no_notebook_intends_shows_each_line_that_led_to_it(tags, edit, tmp_path):
    nbformat.write(notebook_with(FAIL, tags), tmp_path / "notebook.ipynb")
    shown = run_cells(tmp_path, ENTER, FAIL + edit)
    assert '----> 4 load("model.pt")' in shown
    assert '----> 2     raise ValueError("no such model")' in shown
    assert "\x1b" not in shown  # no colours, which differ between terminals


def test_files_that_are_not_notebooks_add_no_error_to_a_cell(tmp_path):
    damaged = ("", '{"cells": [', "[]", '{"worksheets": []}', '{"cells": [{}]}')
    for number, text in enumerate(damaged):
        (tmp_path / f"Untitled{number}.ipynb").write_text(text)
    shown = run_cells(tmp_path, ENTER, "print('ran')", "1 / 0")
    assert "Error in callback" not in shown and shown.count("Traceback") == 1
    assert "\nran\n" in shown and "----> 1 1 / 0" in shown


def test_an_intended_error_leaves_the_next_one_its_traceback(tmp_path):
    nbformat.write(notebook_with(FAIL, ["raises-exception"]), tmp_path / "notebook.ipynb")
    shown = run_cells(tmp_path, ENTER, FAIL, "1 / 0")
    assert "----> 1 1 / 0" in shown


@pytest.mark.parametrize("tags", [[], ["raises-exception"]], ids=["not tagged", "tagged"])
def test_a_script_that_fails_shows_its_own_line_unless_the_notebook_intends_it(tags, tmp_path):
    (tmp_path / "train.py").write_text("epochs = {}\nprint(epochs['first'])\n")
    cell = "from helpers import processes\nprocesses.run_script({!r})".format(
        str(tmp_path / "train.py")
    )
    nbformat.write(notebook_with(cell, tags), tmp_path / "notebook.ipynb")
    shown = run_cells(tmp_path, ENTER, cell)
    assert ("line 2, in <module>" in shown) == (not tags)
    assert shown.rstrip().splitlines()[-1] == "ScriptError: KeyError: 'first'"


def test_in_a_notebook_a_warning_is_its_text_alone(tmp_path):
    _, *shown = run_cells(tmp_path, ENTER, 'warnings.warn("keep a copy")').rstrip().splitlines()
    assert shown == ["UserWarning: keep a copy"]


@pytest.mark.parametrize(("variable", "threads"), [(None, 1), ("", 1), ("2", 2), ("2,1", 2)])
def test_torch_computes_with_one_thread_unless_a_variable_sets_another_number(
    variable, threads, tmp_path
):
    env = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    code = """
import subprocess, sys, torch
from helpers import workspace
torch.set_num_threads(3)
workspace.enter()
print(torch.get_num_threads(), flush=True)
subprocess.run([sys.executable, "-c", "import torch; print(torch.get_num_threads())"])
"""
    done = forked.run(
        "-c", code, env=env | ({} if variable is None else {"OMP_NUM_THREADS": variable})
    )
    assert done.stdout.split() == [str(threads)] * 2, done.stderr


def test_more_threads_than_cores_become_as_many_as_a_script_has(tmp_path):
    """Otherwise the notebook and its scripts compute with different numbers, and sums differ."""
    code = """
import subprocess, sys, torch
from helpers import workspace
workspace.enter()
print(torch.get_num_threads(), flush=True)
subprocess.run([sys.executable, "-c", "import torch; print(torch.get_num_threads())"])
"""
    done = forked.run("-c", code, env=os.environ | {"OMP_NUM_THREADS": "64"})
    here, script = done.stdout.split()
    assert here == script, done.stderr
