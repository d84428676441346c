"""`make new` creates a notebook, and the tests report what remains to be written."""

import re
import shutil
import subprocess
import sys

import nbformat
import pytest

from course import NOTEBOOKS, ROOT

NAME = f"{len(NOTEBOOKS) + 1:02}_try_it"


def run(folder, tool, *arguments):
    return subprocess.run(
        [sys.executable, folder / "tools" / tool, *arguments],
        cwd=folder,
        capture_output=True,
        encoding="utf-8",
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A copy of the files that the tools read, with a new notebook."""
    folder = tmp_path_factory.mktemp("course")
    for name in ("tools", "notebooks", "tests/wrong_answers", ".github"):
        shutil.copytree(ROOT / name, folder / name)
    for name in ("README.md", "TEACHING.md"):
        shutil.copy(ROOT / name, folder)
    done = run(folder, "new_notebook.py", NAME)
    assert done.returncode == 0, done.stderr
    assert f"notebooks/{NAME}.ipynb" in done.stdout
    return folder


def problems(folder, name):
    code = "import sys; from pathlib import Path; from notebook_rules import problems;"
    code += "print(*problems(Path(sys.argv[1])), sep='\\n')"
    command = [sys.executable, "-c", code, folder / f"notebooks/{name}.ipynb"]
    done = subprocess.run(
        command, cwd=folder / "tools", capture_output=True, encoding="utf-8", check=True
    )
    return done.stdout.splitlines()


def test_its_only_problems_are_the_todos_and_that_it_was_not_run(folder):
    found = problems(folder, NAME)
    assert any("TODO the reader's problem" in line for line in found)
    kinds = "still says ['\"]TODO|make refresh|raises none|exercises/release|minutes; by its length"
    assert [line for line in found if not re.search(kinds, line)] == []


def test_the_notebook_before_leads_to_it_and_it_leads_back(folder):
    before = nbformat.read(folder / f"notebooks/{NOTEBOOKS[-1].name}", as_version=4).cells[-1]
    last = nbformat.read(folder / f"notebooks/{NAME}.ipynb", as_version=4).cells[-1]
    assert f"]({NAME}.ipynb)" in before.source
    assert f"]({NOTEBOOKS[-1].name})" in last.source
    assert f"](exercises/release/{NAME}/{NAME}.ipynb)" in last.source


def test_its_exercises_are_in_nbgraders_format_and_have_wrong_answers(folder, monkeypatch):
    import test_exercises

    import make_exercises

    monkeypatch.setattr(make_exercises, "SOURCE", folder / "notebooks/exercises/source")
    made = {path.stem for path in make_exercises.release(folder / "made")}
    assert made == {path.stem for path in NOTEBOOKS} | {NAME}
    monkeypatch.setattr(test_exercises, "EXERCISES", folder / "notebooks/exercises")
    monkeypatch.setattr(test_exercises, "ROOT", folder)
    exercises = test_exercises.exercises(NAME)
    assert list(exercises.values()) == [2, 2, 2]
    told = [answer.exercise for answer in test_exercises.wrong_answers(NAME)]
    assert told == [key for key in exercises for _ in range(2)]


def test_the_pages_get_its_rows(folder):
    done = run(folder, "readme.py")
    assert done.returncode == 0, done.stderr
    for page in ("README.md", "TEACHING.md"):
        assert f"](notebooks/{NAME}.ipynb)" in (folder / page).read_text(encoding="utf-8")


def test_the_error_names_what_a_notebook_lacks_for_a_page(folder, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    path = copy / f"notebooks/{NAME}.ipynb"
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[0].source = notebook.cells[0].source.replace("**Often believed:**", "")
    nbformat.write(notebook, path)
    done = run(copy, "readme.py")
    assert done.returncode != 0 and f"{NAME}.ipynb has no belief" in done.stderr


@pytest.mark.parametrize("name", ["", "quantize", "02_again", "99_far", "../15_out"])
def test_a_name_that_is_not_the_next_one_is_refused(name):
    done = run(ROOT, "new_notebook.py", name)
    assert done.returncode != 0
    assert f"`make new NOTEBOOK={len(NOTEBOOKS) + 1}_quantize`" in done.stderr


def test_nothing_is_overwritten(folder):
    answers = folder / f"tests/wrong_answers/{len(NOTEBOOKS) + 2:02}_next.py"
    answers.write_text("mine")
    done = run(folder, "new_notebook.py", answers.stem)
    assert done.returncode != 0 and "is there already: nothing was written" in done.stderr
    assert answers.read_text() == "mine"
    assert not (folder / f"notebooks/{answers.stem}.ipynb").exists()
