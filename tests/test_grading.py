"""`make exercises` and `make grade` with the submissions of a class for one notebook."""

import csv
import importlib
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import nbformat
import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell
from test_exercises import EXERCISES, NAMES, cells, wrong_answers

import forked
from course import ROOT

NAME = "01_state_dict"
FORKING = """
import runpy, sys, forked_kernels
forked_kernels.fork_kernels()
del sys.argv[0]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
SECONDS = 3  # the time limit of a cell
HANGS = """
while True:
    try:
        while True:
            pass
    except KeyboardInterrupt:
        pass
"""
DIES = "import os\n\n\ndef load_all_or_nothing(model, state_dict):\n    os._exit(0)\n"
WARNS = """
import sys


def saved_numbers(model):
    print("counting …", file=sys.stderr)
    return sum(tensor.numel() for tensor in model.state_dict().values())
"""
HUNGRY = "def saved_numbers(model):\n    return len(bytearray(20 * 10**9))\n"


@pytest.fixture
def make_exercises() -> ModuleType:
    """Imported here because nbgrader takes seconds to import, also for tests that are not run."""
    return importlib.import_module("make_exercises")


def submissions(folder: Path) -> list[tuple[str, Path]]:
    from grade import submissions

    return list(submissions(folder))


def grade(*arguments: str | Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run `make grade` with forked kernels."""
    path = os.pathsep.join(sys.path)
    return forked.run(
        "-c",
        FORKING,
        ROOT / "tools/grade.py",
        *arguments,
        cwd=folder,
        env=os.environ | {"PYTHONPATH": path},
    )


def handed_in(answers: dict[str, str]) -> NotebookNode:
    """The students' notebook with these answers."""
    notebook = nbformat.read(EXERCISES / "release" / NAME / f"{NAME}.ipynb", as_version=4)
    for cell in notebook.cells:
        key = cell.metadata.get("nbgrader", {}).get("grade_id")
        cell.source = answers.get(key, cell.source)
    return notebook


def right() -> dict[str, str]:
    return {key: c.source for key, c in cells(NAME).items() if c.metadata.nbgrader.solution}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The submissions, before they are graded."""
    folder = tmp_path_factory.mktemp("class")
    without_tests = handed_in(right())
    without_tests.cells = [c for c in without_tests.cells if "-hidden" not in str(c.metadata)]
    copied = handed_in(right())
    copied.cells += [new_code_cell(c.source, metadata=c.metadata) for c in copied.cells[3:6]]
    students = {
        "copied": copied,
        "right": handed_in(right()),
        "wrong": handed_in({a.exercise: a.source for a in reversed(wrong_answers(NAME))}),
        "untouched": handed_in({}),
        "noisy": handed_in(right() | {"saved-numbers": WARNS}),
        "hanging": handed_in(right() | {"snapshot": HANGS, "all-or-nothing": DIES}),
        "hungry": handed_in(right() | {"saved-numbers": HUNGRY}),
        "without-tests": without_tests,
    }
    for student, notebook in students.items():
        place = folder / "submissions" / student / "downloads" / f"{NAME}.ipynb"
        place.parent.mkdir(parents=True)
        nbformat.write(notebook, place)
    broken = folder / "submissions" / "broken" / f"{NAME}.ipynb"
    broken.parent.mkdir()
    broken.write_text('{"cells": [')
    return folder


@pytest.fixture(scope="module")
def graded(folder: Path) -> subprocess.CompletedProcess[str]:
    done = grade("submissions", "--timeout", str(SECONDS), "--memory", "4", folder=folder)
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture
def rows(folder: Path, graded: subprocess.CompletedProcess[str]) -> list[dict[str, str]]:
    with (folder / "grades/grades.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def points(rows: list[dict[str, str]], student: str) -> dict[str, float]:
    """The points of a student for each exercise."""
    found: dict[str, float] = {}
    for row in rows:
        if row["student"] == student:
            exercise = re.sub("-(check|hidden)$", "", row["exercise"])
            found[exercise] = found.get(exercise, 0) + float(row["points"])
    return found


FULL = {"saved-numbers": 2, "snapshot": 3, "all-or-nothing": 3, "reordered": 4}


def test_the_solution_gets_full_marks_and_the_untouched_notebook_none(rows):
    assert points(rows, "right") == FULL
    assert points(rows, "untouched") == dict.fromkeys(FULL, 0)


def test_a_warning_or_a_bar_costs_nothing(rows):
    assert points(rows, "noisy") == FULL


def test_wrong_answers_lose_the_points_that_they_should(rows):
    first = {}
    for answer in wrong_answers(NAME):
        first.setdefault(answer.exercise, answer)
    assert points(rows, "wrong") == {key: answer.gets for key, answer in first.items()}
    told = "\n".join(row["what was wrong"] for row in rows if row["student"] == "wrong")
    assert all(answer.says in told for answer in first.values())


def test_an_answer_that_hangs_or_dies_costs_its_own_points_and_no_others(rows):
    assert points(rows, "hanging") == FULL | {"snapshot": 0, "all-or-nothing": 0}
    told = {r["exercise"]: r["what was wrong"] for r in rows if r["student"] == "hanging"}
    assert (
        f"the answer itself ended in CellTimeoutError: it took longer than {SECONDS} seconds"
        in (told["snapshot-check"])
    )
    assert told["all-or-nothing-hidden"].startswith("KernelDied")


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")
def test_an_answer_that_fills_the_memory_costs_its_own_points_and_no_others(rows):
    assert points(rows, "hungry") == FULL | {"saved-numbers": 0}
    told = [row["what was wrong"] for row in rows if row["student"] == "hungry"]
    assert "MemoryError" in told[0]


def test_deleted_tests_are_restored(rows):
    assert points(rows, "without-tests") == FULL


def test_a_cell_that_was_copied_does_no_harm(rows):
    assert points(rows, "copied") == FULL


def test_a_name_that_is_a_pattern_is_refused(tmp_path):
    place = tmp_path / "s" / "[alice]" / f"{NAME}.ipynb"
    place.parent.mkdir(parents=True)
    nbformat.write(handed_in({}), place)
    with pytest.raises(ValueError, match=r"Rename the folder '\[alice\]'"):
        submissions(tmp_path / "s")


def test_a_file_that_is_not_a_notebook_is_reported_and_does_not_stop_the_grading(rows):
    assert points(rows, "broken") == dict.fromkeys(FULL, 0)
    told = {row["what was wrong"] for row in rows if row["student"] == "broken"}
    assert "could not be graded: Notebook does not appear to be JSON" in told.pop()


def test_a_table_and_a_bar_are_shown(graded):
    assert re.search(r"^right +01_state_dict +12 of 12$", graded.stdout, re.MULTILINE)
    assert re.search(r"^untouched +01_state_dict +0 of 12$", graded.stdout, re.MULTILINE)
    assert "grading: 100%" in graded.stderr
    assert "Warning" not in graded.stderr and "Traceback" not in graded.stderr


def test_the_feedback_shows_the_tests_and_needs_no_network(folder, graded):
    page = (folder / f"grades/feedback/wrong/{NAME}/{NAME}.html").read_text(encoding="utf-8")
    assert "BEGIN HIDDEN TESTS" in page and "the weights were ones, and came back as" in page
    assert re.findall(r"""(?:src|href)=["']?https?:""", page) == []


def test_two_files_for_one_notebook_are_refused_before_anything_is_graded(tmp_path):
    for place in ("alice/a", "alice/b"):
        (tmp_path / "s" / place).mkdir(parents=True)
        nbformat.write(handed_in({}), tmp_path / "s" / place / f"{NAME}.ipynb")
    with pytest.raises(ValueError, match=f"alice submitted {NAME}.ipynb twice. Keep one"):
        submissions(tmp_path / "s")


def test_for_a_folder_without_submissions_the_error_says_what_is_expected(tmp_path):
    done = grade(tmp_path, folder=tmp_path)
    assert done.returncode != 0 and "STUDENT/NOTEBOOK.ipynb" in done.stderr


def test_the_students_version_is_what_the_source_gives(make_exercises, tmp_path):
    made = make_exercises.release(tmp_path)
    assert [path.stem for path in made] == NAMES
    there = sorted(path for path in (EXERCISES / "release").rglob("*") if path.is_file())
    assert [path.relative_to(EXERCISES) for path in there] == [
        path.relative_to(tmp_path) for path in made
    ]
    for new, old in zip(made, there, strict=True):
        assert new.read_text("utf-8") == old.read_text("utf-8"), f"{old}: run `make exercises`"


def test_a_notebook_that_somebody_worked_on_is_not_overwritten(
    make_exercises, tmp_path, monkeypatch
):
    place = tmp_path / NAME / f"{NAME}.ipynb"
    place.parent.mkdir()
    answered = handed_in(right())
    answered.cells[1].execution_count = 1
    nbformat.write(answered, place)
    before = place.read_bytes()
    monkeypatch.setattr(make_exercises, "RELEASE", tmp_path)
    with pytest.raises(SystemExit, match="there may be answers in them"):
        make_exercises.main()
    assert place.read_bytes() == before


def test_the_students_version_gives_nothing_away():
    for name in NAMES:
        text = (EXERCISES / "release" / name / f"{name}.ipynb").read_text(encoding="utf-8")
        assert "YOUR CODE HERE" in text
        assert not re.search("(BEGIN|END) (SOLUTION|HIDDEN)", text)


def test_make_calls_them():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert "tools/make_exercises.py" in makefile
    assert 'tools/grade.py "$(SUBMISSIONS)"' in makefile
