import signal
import sys
import time

import pytest

from helpers.processes import ScriptError, kill_when, run_ranks, run_script, run_scripts


@pytest.fixture(autouse=True)
def this_python(monkeypatch):
    """The reader's Python. The tests of the notebooks use another one."""
    monkeypatch.delenv("SCRIPT_PYTHON", raising=False)


@pytest.fixture
def script(tmp_path, monkeypatch):
    """Write a script into a folder that is not the current one, and return its path."""
    folder = tmp_path / "somewhere else"
    folder.mkdir()
    monkeypatch.chdir(tmp_path)

    def write(code, name="job.py"):
        path = folder / name
        path.write_text(code, encoding="utf-8")
        return path

    return write


def error_of(path):
    with pytest.raises(ScriptError) as raised:
        run_script(path)
    return str(raised.value)


def test_a_scripts_output_is_printed(script, capsys):
    run_script(script("print('größer → kleiner')\nprint('done')"))
    assert capsys.readouterr() == ("größer → kleiner\ndone\n", "")


def test_a_script_gets_its_arguments(script, capsys):
    run_script(script("import sys; print(sys.argv[1:])"), "--epochs", "3")
    assert capsys.readouterr().out == "['--epochs', '3']\n"


def test_a_script_runs_in_its_own_folder(script, capsys):
    path = script("from pathlib import Path; Path('made').touch()")
    run_script(path)
    assert (path.parent / "made").is_file()


def test_a_script_imports_the_modules_beside_it(script, capsys):
    script("answer = 42", "beside.py")
    run_script(script("import beside; print(beside.answer)"))
    assert capsys.readouterr().out == "42\n"


def test_a_relative_path_starts_at_the_current_folder(script, capsys):
    script("print('found')")
    run_script("somewhere else/job.py")
    assert capsys.readouterr().out == "found\n"


def test_a_missing_script_is_named(script):
    with pytest.raises(FileNotFoundError, match="lost.py'.*write it first"):
        run_script("lost.py")


def test_env_is_added_to_the_environment(script, capsys, monkeypatch):
    monkeypatch.setenv("OF_THE_NOTEBOOK", "kept")
    code = "import os; print(os.environ['OF_THE_NOTEBOOK'], os.environ['OF_THE_CALL'])"
    run_script(script(code), env={"OF_THE_CALL": "added"})
    assert capsys.readouterr().out == "kept added\n"


def test_an_error_is_passed_on_word_for_word_without_its_frames(script):
    code = "def load():\n    raise KeyError('epoch')\n\nload()"
    assert error_of(script(code)) == "KeyError: 'epoch'"


def test_an_error_of_many_lines_is_passed_on_whole(script):
    message = "Error(s) in loading:\n\tMissing key(s): 'a'.\n\n    indented\nlast"
    assert error_of(script(f"raise RuntimeError({message!r})")) == f"RuntimeError: {message}"


def test_of_chained_errors_the_last_is_passed_on(script):
    code = "try:\n    1 / 0\nexcept ZeroDivisionError as e:\n    raise ValueError('so') from e"
    assert error_of(script(code)) == "ValueError: so"


def test_a_syntax_error_shows_the_line(script):
    error = error_of(script("epoch = = 1"))
    assert 'File "job.py", line 1' in error
    assert "SyntaxError: invalid syntax" in error


def test_what_was_printed_before_an_error_is_shown(script, capsys):
    error_of(script("print('epoch 0')\n1 / 0"))
    assert capsys.readouterr().out == "epoch 0\n"


def test_the_folders_name_is_cut_out_of_an_error(script):
    script("", "beside.py")
    error = error_of(script("import beside; raise TypeError(f'cannot pickle {beside}')"))
    assert error == "TypeError: cannot pickle <module 'beside' from 'beside.py'>"


def test_the_folders_name_is_cut_out_of_the_output(script, capsys):
    script("", "beside.py")
    run_script(script("import beside; print(beside.__file__); print(beside)"))
    assert capsys.readouterr().out == "beside.py\n<module 'beside' from 'beside.py'>\n"


def test_a_scripts_own_last_words_are_passed_on(script):
    text = error_of(script("import sys; sys.exit('no checkpoint')"))
    assert text == "job.py ended with exit status 1\nno checkpoint"


def test_an_exit_status_is_reported(script):
    assert error_of(script("import sys; sys.exit(3)")) == "job.py ended with exit status 3"


def kill_yourself(words=""):
    kill = f"import os, sys; sys.stderr.write({words!r}); sys.stderr.flush(); "
    return kill + f"os.kill(os.getpid(), {int(signal.SIGTERM)})"


def test_a_killed_script_is_reported(script):
    error = error_of(script(kill_yourself()))
    assert error.startswith("job.py ended with exit status ")
    assert not error.endswith(" 0")


def test_a_killed_script_is_reported_whatever_it_wrote_before(script):
    assert "exit status" in error_of(script(kill_yourself("UserWarning: careful\n")))


def test_the_warnings_of_a_script_go_to_stderr(script, capsys):
    run_script(script("import warnings; warnings.warn('careful')\nprint('done')"))
    out, err = capsys.readouterr()
    assert out == "done\n"
    assert err.startswith("job.py:1: UserWarning: careful\n")


def test_scripts_run_at_the_same_time_and_are_printed_one_after_the_other(tmp_path, capsys):
    # Each waits for a file of the other one, so that neither can end alone.
    code = """
import pathlib, sys, time
mine, other = sys.argv[1:]
pathlib.Path('..', mine).touch()
for _ in range(1000):
    if pathlib.Path('..', other).exists():
        break
    time.sleep(0.01)
else:
    raise TimeoutError(other)
print(mine)
"""
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "job.py").write_text(code)
    run_scripts((tmp_path / "old/job.py", "a", "b"), (tmp_path / "new/job.py", "b", "a"))
    assert capsys.readouterr().out == "--- old\na\n--- new\nb\n"


def test_one_scripts_error_is_the_error_of_all(script):
    good, bad = script("print('done')"), script("raise KeyError('epoch')", "bad.py")
    with pytest.raises(ScriptError, match="KeyError: 'epoch'"):
        run_scripts((good,), (bad,))


def test_a_script_is_killed_when_the_condition_holds(script):
    path = script("from pathlib import Path; import time\nPath('begun').touch(); time.sleep(60)")
    # In the current folder, because the caller owns a process that is to be killed.
    kill_when(lambda: (path.parents[1] / "begun").exists(), path)


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="needs Linux or macOS")
def test_the_condition_holds_when_the_script_is_killed(script, tmp_path):
    """The condition changes thousands of times a second, and checking it takes longer than that."""
    half = tmp_path / "half"
    path = script(
        "from pathlib import Path\nwhile True:\n    Path('half').touch(); Path('half').unlink()"
    )
    for _ in range(8):
        half.unlink(missing_ok=True)
        kill_when(lambda: half.exists() and time.sleep(0.002) is None, path)
        assert half.exists()


def test_a_script_that_ends_before_it_is_killed_is_reported(script):
    with pytest.raises(ScriptError, match="ended before it could be killed"):
        kill_when(lambda: False, script("pass"))


# ---- ranks --------------------------------------------------------------------------------------

TOGETHER = """
import os, sys
from pathlib import Path

import torch
import torch.distributed as dist

dist.init_process_group("gloo")
numbers = torch.tensor([float(dist.get_rank())])
dist.all_reduce(numbers)
print("nobody reads this")
said = f"{dist.get_world_size()} {int(numbers)} {sys.argv[1]} {__name__}"
Path(f"rank-{os.environ['RANK']}").write_text(said)
dist.destroy_process_group()
os._exit(0)
"""
ONE_DIES = """
import signal

import torch.distributed as dist

dist.init_process_group("gloo")
dist.barrier()
if dist.get_rank() == 1:
    signal.raise_signal(signal.SIGKILL)
dist.barrier()
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.skipif(sys.platform == "win32", reason="needs Linux or macOS")
def test_ranks_run_a_script_together_in_this_folder(folder, capfd):
    (folder / "together.py").write_text(TOGETHER)
    run_ranks(3, "together.py", "now")
    said = {path.name: path.read_text() for path in folder.glob("rank-*")}
    assert said == {f"rank-{rank}": "3 3 now __main__" for rank in range(3)}
    assert capfd.readouterr() == ("", "")


@pytest.mark.skipif(sys.platform == "win32", reason="needs Linux or macOS")
@pytest.mark.parametrize(
    ("script", "message"),
    [(ONE_DIES, "^Rank 1 of ranks.py was killed.$"), ("raise ValueError('no')", "ValueError: no")],
    ids=["killed", "failed"],
)
def test_a_rank_that_fails_ends_the_others_and_is_reported(folder, script, message):
    (folder / "ranks.py").write_text(script)
    with pytest.raises(ScriptError, match=message):
        run_ranks(2, "ranks.py")
