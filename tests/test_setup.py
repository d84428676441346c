"""`make setup` makes the environment, and names the problem if it cannot.

venv and pip are replaced, so that nothing is installed here. CI runs the real setup.
"""

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import install
from course import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
MAKE = install.Commands("make lab")
VERSION = tuple(sys.version_info[:3])


class Programs:
    """Replaces the module subprocess: venv and pip, as far as tools/install.py can see them."""

    PIPE, STDOUT, DEVNULL = subprocess.PIPE, subprocess.STDOUT, subprocess.DEVNULL
    SubprocessError = subprocess.SubprocessError

    def __init__(self):
        self.calls: list[list[str]] = []
        self.failing = ""  # the package that pip cannot install
        self.interrupt = False

    def call(self, command):
        self.calls.append(command)
        environment(Path(command[-1]))
        return 0

    def check_output(self, command, **options):
        raise OSError(f"no other Python: {command}")

    def Popen(self, command, cwd, stdout, stderr):  # noqa: N802
        self.calls.append(command)
        if self.interrupt:
            raise KeyboardInterrupt
        failed = command[-1] == self.failing
        process = subprocess.CompletedProcess(command, int(failed))
        process.communicate = lambda: (b"Collecting\nNo matching distribution", None)
        return process

    def installed(self):
        return [command[-1] for command in self.calls if "pip" in command]

    def created(self):
        return ["venv" in command for command in self.calls].count(True)


def environment(folder, version=VERSION):
    """Write the parts of an environment that tools/install.py looks at."""
    python = install.Environment(folder).python
    python.parent.mkdir(parents=True, exist_ok=True)
    home = Path(sys.executable).parent
    if install.WINDOWS:
        python.touch()
        home = Path(sys._base_executable).parent
    elif not python.exists():
        python.symlink_to(os.path.realpath(sys.executable))
    settings = f"home = {home}\nversion = {install.dotted(version)}\n"
    (folder / "pyvenv.cfg").write_text(settings, encoding="utf-8")


@pytest.fixture
def course(tmp_path, monkeypatch):
    """A copy of the files that decide about the environment. It is the current folder."""
    folder = tmp_path / "course"
    (folder / "tools").mkdir(parents=True)
    for name in ("pyproject.toml", "constraints.txt", "Makefile", "tools/install.py"):
        shutil.copy(ROOT / name, folder / name)
    monkeypatch.chdir(folder)
    monkeypatch.setattr(install, "ROOT", folder)
    monkeypatch.setattr(install, "__file__", str(folder / "tools/install.py"))
    monkeypatch.setattr(install, "gigabytes_free", lambda folder: 50.0)
    return folder


@pytest.fixture
def programs(course, monkeypatch):
    programs = Programs()
    monkeypatch.setattr(install, "subprocess", programs)
    return programs


@pytest.fixture
def ready(programs, capsys):
    """An environment that is ready. The calls and the text of its setup are forgotten."""
    assert install.main(["--make", "make lab"]) == 0
    programs.calls.clear()
    (Path(".venv") / install.Environment(Path(".venv")).python.parent.name / "old").touch()
    capsys.readouterr()
    return Path(".venv")


def run(*arguments):
    return install.main([*arguments, "--make", "make lab"])


def was_created_again(folder):
    return not (install.Environment(folder).python.parent / "old").exists()


def last_line(text):
    return text.rstrip().splitlines()[-1]


# ---- the Python that runs it --------------------------------------------------------------------


@pytest.mark.parametrize("name", ["install.py", "check_machine.py"])
def test_the_file_runs_on_old_pythons(name):
    """Python 3.6 parses it, the first imports exist there, and no annotation is evaluated."""
    text = (ROOT / "tools" / name).read_text(encoding="utf-8")
    tree = ast.parse(text, feature_version=(3, 6))
    imported = set(re.findall(r"(?m)^(?:import|from) (\w+)", text)) - {"install"}
    assert imported <= sys.stdlib_module_names
    assert not imported & {"dataclasses", "tomllib", "zoneinfo", "graphlib"}  # newer than 3.6
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    for function in functions:
        notes = [argument.annotation for argument in function.args.args] + [function.returns]
        assert not any(isinstance(note, ast.BinOp | ast.Subscript) for note in notes), function.name


def test_the_versions_are_read_from_pyproject():
    assert PROJECT["requires-python"] == f">={install.dotted(install.lowest())}"
    assert all(
        f"Programming Language :: Python :: {install.dotted(version)}" in PROJECT["classifiers"]
        for version in install.tested()
    )
    assert len(install.tested()) == len(PROJECT["classifiers"])
    assert install.tested()[-1] == install.lowest()


def test_an_old_python_is_named_with_one_that_was_found(monkeypatch):
    monkeypatch.setattr(install, "suitable_python", lambda: "python3.12")
    text = install.python_problem(MAKE, (3, 9, 18))
    assert text == (
        f"The course needs Python 3.11 or newer; this is 3.9.18 ({sys.executable}). "
        "Run `make lab PYTHON=python3.12`."
    )


def test_without_a_newer_python_the_message_says_where_to_get_one(monkeypatch):
    monkeypatch.setattr(install, "suitable_python", lambda: "")
    assert install.DOWNLOADS in install.python_problem(MAKE, (3, 9, 18))


def test_only_a_python_that_starts_is_proposed(monkeypatch):
    def output(command, **options):
        if command[0] == "python3.14":  # such as a shim of pyenv
            raise subprocess.CalledProcessError(127, command)
        if command[0] == "python3.13":
            return b"3.9\n"
        return command[0].removeprefix("python").encode() + b"\n"

    monkeypatch.setattr(install, "WINDOWS", False)
    monkeypatch.setattr(install.shutil, "which", lambda name: name)
    monkeypatch.setattr(install.subprocess, "check_output", output)
    assert install.suitable_python() == "python3.12"
    monkeypatch.setattr(install.shutil, "which", lambda name: None)
    assert install.suitable_python() == ""


def test_on_windows_the_launcher_is_proposed(monkeypatch):
    monkeypatch.setattr(install, "WINDOWS", True)
    monkeypatch.setattr(install.shutil, "which", lambda name: name)
    monkeypatch.setattr(
        install.subprocess, "check_output", lambda command, **_: command[1][1:].encode()
    )
    found = install.suitable_python()
    assert found == f"py -{install.dotted(install.tested()[0])}"
    assert "make" not in install.Commands().again(found)


def test_a_python_without_venv_is_named_with_the_package_that_it_lacks():
    text = install.python_problem(MAKE, (3, 12, 1), lambda name: name != "ensurepip")
    assert "ensurepip is missing" in text and "sudo apt install python3.12-venv" in text
    assert install.python_problem(MAKE, (3, 12, 1), lambda name: True) == ""


@pytest.mark.parametrize("problem", ["python", "space", "not found"])
def test_a_machine_that_is_not_suitable_is_reported_before_anything_is_created(
    problem, programs, monkeypatch, capsys
):
    arguments = []
    if problem == "python":
        monkeypatch.setattr(install, "python_problem", lambda commands: "too old")
    elif problem == "space":
        monkeypatch.setattr(install, "gigabytes_free", lambda folder: 1.2)
    else:
        arguments = ["--not-found", "python3.99"]
    assert run(*arguments) == 1
    printed = capsys.readouterr()
    assert len(printed.err.splitlines()) == 1 and not printed.out
    expected = {"python": "too old", "space": "1.2 GB are free", "not found": "`python3.99` was"}
    assert expected[problem] in printed.err
    assert not Path(".venv").exists() and not programs.calls


# ---- the environment ----------------------------------------------------------------------------


def test_pip_comes_first_then_torch_alone_then_the_course(programs, capsys):
    assert run() == 0
    assert programs.installed() == ["pip", "torch", ".[dev]"]
    assert all("constraints.txt" in command for command in programs.calls[1:])
    printed = capsys.readouterr().out
    assert "takes some minutes and about 2 GB" in printed
    assert "Installing torch (2 of 3)" in printed and "Collecting" not in printed


def test_a_ready_environment_is_left_alone_and_nothing_is_printed(ready, programs, capsys):
    assert run() == 0
    assert programs.calls == [] and capsys.readouterr() == ("", "")


@pytest.mark.parametrize("name", ["pyproject.toml", "constraints.txt"])
def test_a_changed_declaration_updates_the_environment(name, ready, programs, course):
    with open(course / name, "a") as file:
        file.write("# changed\n")
    assert run() == 0
    assert programs.installed() == ["pip", "torch", ".[dev]"] and not was_created_again(ready)
    programs.calls.clear()
    assert run() == 0 and not programs.calls


def test_an_extra_is_installed_into_the_same_environment_once(ready, programs):
    assert run("--extra", "site") == 0
    assert programs.installed() == [".[site]"]
    assert run("--extra", "site") == 0
    assert programs.installed() == [".[site]"] and not was_created_again(ready)


def not_completed(folder):
    (folder / "ready").unlink()


def python_removed(folder):
    if install.WINDOWS:
        (folder / "pyvenv.cfg").write_text(f"home = {folder / 'gone'}\nversion = 3.12.1\n")
    else:
        install.Environment(folder).python.unlink()
        install.Environment(folder).python.symlink_to(folder / "gone")


def too_old(folder):
    environment(folder, (3, 9, 18))


def of_uv(folder):
    """uv writes another key for the version."""
    (folder / "pyvenv.cfg").write_text(f"home = {Path(sys.executable).parent}\nversion_info = 3.8")


def moved(folder):
    ready = folder / "ready"
    lines = ready.read_text(encoding="utf-8").splitlines()
    ready.write_text(f"{lines[0]}\n/elsewhere/.venv\n", encoding="utf-8")


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (not_completed, "was not completed"),
        (python_removed, "was removed"),
        (too_old, "it has Python 3.9.18, and the course needs Python 3.11 or newer"),
        (of_uv, "it has Python 3.8"),
        (moved, "it was made as /elsewhere/.venv"),
    ],
)
def test_an_environment_that_cannot_be_kept_is_created_again(
    damage, reason, ready, programs, capsys
):
    damage(ready)
    assert run() == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "again" in line]
    assert line.startswith(".venv is created again, because ") and reason in line
    assert was_created_again(ready) and programs.created() == 1
    programs.calls.clear()
    assert run() == 0 and not programs.calls


def test_a_python_that_was_replaced_by_another_version_is_noticed(ready, monkeypatch):
    monkeypatch.setattr(os.path, "realpath", lambda path: "/usr/bin/python3.99")
    assert "was replaced by python3.99" in install.Environment(ready).why_not_kept()


def test_only_a_python_that_was_requested_replaces_another_one(ready, programs, capsys):
    other = (*VERSION[:2], VERSION[2] + 1)
    environment(ready, other)
    assert run() == 0 and not programs.calls
    assert run("--requested", "python3.12") == 0
    assert f"it has Python {install.dotted(other)}, and you requested" in capsys.readouterr().out
    assert was_created_again(ready)
    programs.calls.clear()
    assert run("--requested", "python3.12") == 0 and not programs.calls


def test_a_requested_python_that_is_too_old_or_missing_leaves_the_environment(ready, monkeypatch):
    assert run("--requested", "python3.12", "--not-found", "python3.99") == 1
    monkeypatch.setattr(install.sys, "version_info", (3, 9, 18))
    monkeypatch.setattr(install, "python_problem", lambda commands: "too old")
    assert run("--requested", "python3.12") == 1
    assert not was_created_again(ready)


def test_a_missing_default_python_does_not_matter_to_a_ready_environment(ready, programs):
    assert run("--not-found", "python3") == 0 and not programs.calls


def test_a_folder_that_is_not_an_environment_is_refused_and_kept(programs, capsys):
    Path("thesis").mkdir()
    Path("thesis/chapter.txt").write_text("years of work")
    assert run("thesis") == 1
    assert "no file pyvenv.cfg" in capsys.readouterr().err
    assert os.listdir("thesis") == ["chapter.txt"] and not programs.calls
    Path("file").write_text("also")
    assert run("file") == 1 and Path("file").read_text() == "also"


def test_the_folder_of_the_course_is_refused(course, programs, capsys):
    Path("pyvenv.cfg").touch()
    for folder in (".", ".."):
        assert run(folder) == 1
        assert "contains the course" in capsys.readouterr().err
    assert (course / "pyproject.toml").exists()


def test_creating_it_again_deletes_only_the_files_of_environments(ready):
    (ready / "notes.txt").touch()
    not_completed(ready)
    assert run() == 0
    assert (ready / "notes.txt").exists() and was_created_again(ready)


def test_an_empty_folder_is_used(programs):
    Path(".venv").mkdir()
    assert run() == 0 and programs.created() == 1


# ---- failures -----------------------------------------------------------------------------------


def test_a_failed_pip_shows_its_report_and_names_network_disk_python_and_command(programs, capsys):
    programs.failing = "torch"
    assert run() == 1
    printed = capsys.readouterr()
    assert "No matching distribution" in printed.out
    (line,) = printed.err.splitlines()
    assert line.startswith("Installing torch failed")
    for word in ("network", "HTTPS_PROXY", "50.0 GB are free for .venv", install.dotted(VERSION)):
        assert word in line
    assert line.endswith("Then run `make lab` again.")


def test_a_full_disk_is_named(programs, monkeypatch, capsys):
    programs.failing = "torch"
    space = iter([3.0, 0.1, 50.0])
    monkeypatch.setattr(install, "gigabytes_free", lambda folder: next(space))
    assert run() == 1
    line = last_line(capsys.readouterr().err)
    assert "The disk is full, or nearly: 0.1 GB are free for .venv" in line


def test_the_command_to_try_again_names_the_requested_python(programs, capsys):
    programs.failing = "pip"
    assert run("other", "--requested", "python3.12") == 1
    line = last_line(capsys.readouterr().err)
    assert line.endswith("Then run `make lab VENV=other PYTHON=python3.12` again.")


def test_an_error_of_the_disk_is_one_line_and_not_a_traceback(programs, monkeypatch, capsys):
    def full(self, part):
        raise OSError(28, "No space left on device", ".venv/ready")

    monkeypatch.setattr(install.Environment, "mark", full)
    assert run() == 1
    printed = capsys.readouterr().err
    assert "No space left on device" in printed and "Traceback" not in printed
    assert "The setup failed" in last_line(printed)


def test_a_failed_setup_begins_again_at_the_next_call(programs):
    programs.failing = ".[dev]"
    assert run() == 1
    programs.failing = ""
    programs.calls.clear()
    assert run() == 0
    assert programs.created() == 1 and programs.installed() == ["pip", "torch", ".[dev]"]


def test_an_interrupted_setup_begins_again_at_the_next_call(programs, capsys):
    programs.interrupt = True
    assert run() == 130
    assert "Run `make lab` to repeat it." in capsys.readouterr().err
    programs.interrupt = False
    assert run() == 0 and programs.created() == 2


@pytest.mark.parametrize("failure", ["interrupt", "failing"])
def test_a_failed_update_keeps_the_environment_and_is_repeated(failure, ready, programs, course):
    with open(course / "constraints.txt", "a") as file:
        file.write("# changed\n")
    setattr(programs, failure, "torch")
    assert run() != 0 and not was_created_again(ready)
    setattr(programs, failure, "")
    programs.calls.clear()
    assert run() == 0
    assert programs.installed() == ["pip", "torch", ".[dev]"] and not was_created_again(ready)


def test_an_environment_in_use_is_reported_if_the_system_forbids_to_delete_it(
    ready, monkeypatch, capsys
):
    def forbidden(path):
        raise PermissionError(13, "Access is denied", path)

    not_completed(ready)
    monkeypatch.setattr(install.shutil, "rmtree", forbidden)
    assert run() == 1
    assert "Close the programs that use it" in last_line(capsys.readouterr().err)


def test_one_setup_at_a_time(course):
    with open("tools/install.py", "rb+") as one, open("tools/install.py", "rb+") as other:
        assert install.locked(one) and not install.locked(other)
        one.close()
        assert install.locked(other)


# ---- make ---------------------------------------------------------------------------------------

needs_make = pytest.mark.skipif(shutil.which("make") is None, reason="needs make")


def make(*arguments, env=None, **options):
    """Run make, without the variables of a make that runs the tests."""
    outer = {"PYTHON", "VENV", "MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES"}
    env = {name: value for name, value in (env or os.environ).items() if name not in outer}
    program = shutil.which("make")
    assert program
    return subprocess.run(
        [program, *arguments], env=env, capture_output=True, encoding="utf-8", **options
    )


@needs_make
def test_make_takes_another_python_and_another_environment():
    done = make("--dry-run", "test", "PYTHON=python3.99", "VENV=.venv-99", cwd=ROOT)
    assert "python3.99 tools/install.py .venv-99 " in " ".join(done.stdout.split())
    assert '--requested "python3.99"' in done.stdout
    assert ".venv-99/bin/pytest" in done.stdout and ".venv/" not in done.stdout


@needs_make
def test_the_default_python_is_not_a_request():
    assert "--requested" not in make("--dry-run", "test", cwd=ROOT).stdout
    named = make("--dry-run", "test", "PYTHON=python3", cwd=ROOT)
    assert '--requested "python3"' in named.stdout


@needs_make
@pytest.mark.skipif(install.WINDOWS, reason="needs Linux or macOS")
def test_make_reports_a_python_that_was_not_found(course, tmp_path):
    """Another Python says so. Without any, the shell does."""
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "sed").symlink_to(shutil.which("sed"))
    done = make("lab", env={"PATH": str(programs)})
    assert done.returncode and "Python was not found. Install it from https" in done.stderr
    (programs / "python3.11").symlink_to(sys.executable)
    done = make("lab", env={"PATH": str(programs)})
    assert done.returncode and "`python3` was not found. Run `make lab PYTHON=" in done.stderr
    assert "Traceback" not in done.stderr and not Path(".venv").exists()


@needs_make
def test_make_check_needs_no_setup(course):
    first = make("--dry-run", "check", "PYTHON=python3.99").stdout.split(";")[0]
    assert first.split()[:3] == ["python3.99", "tools/check_machine.py", ".venv"]


@needs_make
@pytest.mark.parametrize(
    ("goal", "steps"),
    [
        ("slides", ["npm was not found", "install.py", "make_slides.py"]),
        ("test-browser", ["chromium.py", "npm was not found", "make_site.py", "make_slides.py"]),
    ],
)
def test_missing_programs_are_reported_before_anything_is_built(goal, steps):
    """Looks at the lines that make would run, in their order."""
    done = make("--dry-run", "--always-make", goal, cwd=ROOT)
    places = [done.stdout.index(step) for step in steps]
    assert places == sorted(places)
