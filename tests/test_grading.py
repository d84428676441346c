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
from nbformat.v4 import new_code_cell, new_notebook
from test_exercises import EXERCISES, NAMES, cells, wrong_answers

import forked
import submissions
from course import NOTEBOOKS, ROOT

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
HANGS_WHEN_CALLED = "def saved_numbers(model):\n    while True:\n        pass\n"
PARTLY = """
def load_all_or_nothing(model, state_dict):
    model.load_state_dict(state_dict)
    # YOUR CODE HERE
    raise NotImplementedError()
"""
NO_TEXT = "def snapshot(model):\n    raise ValueError\n"
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


@pytest.fixture
def grading() -> ModuleType:
    """tools/grade.py, imported here for the same reason."""
    return importlib.import_module("grade")


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


def lesson() -> NotebookNode:
    return nbformat.read(ROOT / "notebooks" / f"{NAME}.ipynb", as_version=4)


def write(content: NotebookNode | str, place: Path) -> Path:
    place.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, str):
        place.write_text(content, encoding="utf-8")
    else:
        nbformat.write(content, place)
    return place


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The submissions, before they are graded."""
    folder = tmp_path_factory.mktemp("class")
    without_tests = handed_in(right())
    without_tests.cells = [c for c in without_tests.cells if "-hidden" not in str(c.metadata)]
    copied = handed_in(right())
    copied.cells += [new_code_cell(c.source, metadata=c.metadata) for c in copied.cells[3:6]]
    students = {
        "right": handed_in(right()),
        "wrong": handed_in({a.exercise: a.source for a in reversed(wrong_answers(NAME))}),
        "untouched": handed_in({}),
        "noisy": handed_in(right() | {"saved-numbers": WARNS}),
        "hanging": handed_in(
            right()
            | {"snapshot": HANGS, "all-or-nothing": DIES, "saved-numbers": HANGS_WHEN_CALLED}
        ),
        "hungry": handed_in(
            right() | {"saved-numbers": HUNGRY, "all-or-nothing": PARTLY, "snapshot": NO_TEXT}
        ),
        "without-tests": without_tests,
    }
    for student, notebook in students.items():
        place = folder / "submissions" / student / "downloads" / f"{NAME}.ipynb"
        place.parent.mkdir(parents=True)
        nbformat.write(notebook, place)
    write(copied, folder / "submissions" / "Tom &lt; Zoë" / f"{NAME} (1).ipynb")
    write('{"cells": [', folder / "submissions" / "broken" / f"{NAME}.ipynb")
    write(lesson(), folder / "submissions" / "lesson" / f"{NAME}.ipynb")
    write("I was ill.", folder / "submissions" / "ill" / "letter.txt")
    return folder


@pytest.fixture(scope="module")
def graded(folder: Path) -> subprocess.CompletedProcess[str]:
    done = grade("submissions", "--timeout", str(SECONDS), "--memory", "4", folder=folder)
    assert "Traceback" not in done.stderr, done.stderr
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
    zero = dict.fromkeys(("snapshot", "all-or-nothing", "saved-numbers"), 0)
    assert points(rows, "hanging") == FULL | zero
    told = {r["exercise"]: r["what was wrong"] for r in rows if r["student"] == "hanging"}
    assert (
        f"the answer itself ended in CellTimeoutError: it took longer than {SECONDS} seconds"
        in (told["snapshot-check"])
    )
    assert told["all-or-nothing-hidden"].startswith("KernelDied")


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")
def test_an_answer_that_fills_the_memory_costs_its_own_points_and_no_others(rows):
    zero = dict.fromkeys(("saved-numbers", "all-or-nothing", "snapshot"), 0)
    assert points(rows, "hungry") == FULL | zero
    told = [row["what was wrong"] for row in rows if row["student"] == "hungry"]
    assert "MemoryError" in told[0]


def test_deleted_tests_are_restored(rows):
    assert points(rows, "without-tests") == FULL


def test_a_cell_that_was_copied_does_no_harm(rows):
    assert points(rows, "Tom &lt; Zoë") == FULL


def test_of_an_answer_that_hangs_when_called_the_hidden_test_is_not_run(rows):
    """It would take the time limit again."""
    told = {r["exercise"]: r["what was wrong"] for r in rows if r["student"] == "hanging"}
    assert told["saved-numbers-check"] == f"CellTimeoutError: it took longer than {SECONDS} seconds"
    expected = "NotRun: the test before it took too long, so this test was not run"
    assert told["saved-numbers-hidden"] == expected
    assert told["snapshot-hidden"].endswith("the answer took too long, so this test was not run")


def test_an_untouched_answer_is_not_answered(rows):
    told = {row["what was wrong"] for row in rows if row["student"] == "untouched"}
    assert told == {"not answered"}


def test_an_answer_with_a_part_of_the_stub_is_not_answered(rows):
    told = {r["exercise"]: r["what was wrong"] for r in rows if r["student"] == "hungry"}
    expected = "not answered: the answer still contains `raise NotImplementedError()`"
    assert told["all-or-nothing-check"] == expected


def test_an_error_without_a_text_is_named(rows):
    told = {r["exercise"]: r["what was wrong"] for r in rows if r["student"] == "hungry"}
    assert told["snapshot-check"] == "ValueError"
    assert told["snapshot-hidden"].endswith("it raised ValueError()")


def test_a_notebook_is_graded_under_another_name_and_a_note_says_so(rows, graded):
    assert points(rows, "Tom &lt; Zoë") == FULL
    assert f"Note: Tom &lt; Zoë/{NAME} (1).ipynb: graded as {NAME}, " in graded.stdout


def test_each_file_that_was_not_graded_is_listed_with_its_reason(folder, graded):
    log = (folder / "grades/grade.log").read_text(encoding="utf-8")
    for line in (
        f"Not graded: broken/{NAME}.ipynb: it cannot be read as a notebook: Notebook does not",
        f"Not graded: lesson/{NAME}.ipynb: it is the lesson: ask for the notebook with its",
        "Not graded: ill: no notebook is in this folder",
        "Note: ill/letter.txt: not a notebook",
    ):
        assert line in graded.stdout and line in log
    assert graded.returncode == 1


def test_a_student_of_whom_nothing_was_graded_is_in_the_table_and_in_the_grades(rows, graded):
    for student, name in (("broken", NAME), ("lesson", NAME), ("ill", "–")):
        assert re.search(rf"^{student} +{name} +not graded$", graded.stdout, re.MULTILINE)
        told = [row["what was wrong"] for row in rows if row["student"] == student]
        assert told and all(text.startswith("not graded: ") for text in told)
    assert points(rows, "broken") == dict.fromkeys(FULL, 0)


def test_a_table_and_a_bar_are_shown(graded):
    assert re.search(r"^right +01_state_dict +12 of 12$", graded.stdout, re.MULTILINE)
    assert re.search(
        r"^untouched +01_state_dict +0 of 12, not answered$", graded.stdout, re.MULTILINE
    )
    assert "grading: 100%" in graded.stderr
    assert "Warning" not in graded.stderr


def page(folder: Path, student: str) -> str:
    path = folder / f"grades/feedback/{student}/{NAME}/{NAME}.html"
    return path.read_text(encoding="utf-8")


def test_the_feedback_shows_the_tests_and_needs_no_network(folder, graded):
    text = page(folder, "wrong")
    assert "BEGIN HIDDEN TESTS" in text and "the weights were ones, and came back as" in text
    assert re.findall(r"""(?:src|href)=["']?https?:""", text) == []


def test_the_feedback_names_the_student_and_each_exercise_and_test(folder, graded):
    text = page(folder, "wrong")
    assert "<title>wrong · 01_state_dict</title>" in text
    assert "<strong>0 of 12 points</strong>" in page(folder, "untouched")
    assert '<a href="#exercise-1">1 · How many numbers are saved?</a>' in text
    assert '<a href="#saved-numbers-hidden">hidden test</a>' in text
    for kind, word, student in (
        ("right", "✓ right, 1 of 1", "right"),
        ("wrong", "✗ wrong, 0 of 1", "wrong"),
        ("not-answered", "○ not answered, 0 of 1", "untouched"),
        ("not-run", "✗ not run, 0 of 1", "hanging"),
    ):
        assert re.search(
            rf'class="nbgrader_cell {kind}" id="saved-numbers-(check|hidden)">\s*'
            r'<div class="heading">\s*<strong>1 · How many numbers are saved\?</strong> · '
            rf'(visible|hidden) test\s*<span class="word">{word}</span>',
            page(folder, student),
        ), f"{student}: {word}"


def test_each_link_of_the_feedback_leads_to_a_place_in_it(folder, graded):
    text = page(folder, "wrong")
    links = re.findall(r'href="([^"]*)"', text)
    places = {f"#{name}" for name in re.findall(r'id="([^"]*)"', text)}
    assert len(links) > 20 and set(links) <= places


def test_the_name_of_a_student_is_text_and_not_html(folder, graded):
    text = page(folder, "Tom &lt; Zoë")
    assert "<title>Tom &amp;lt; Zoë · " in text and "<strong>Tom &amp;lt; Zoë</strong>" in text


def test_the_colours_of_the_feedback_can_be_read_on_white_and_under_white():
    style = (ROOT / "tools/grade_templates/feedback/page.css").read_text(encoding="utf-8")
    colours = re.findall(r"--(?:right|wrong|open): #([0-9a-f]{6})", style)
    assert len(colours) == 3
    for colour in colours:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (0, 2, 4)]
        linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        light = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
        assert 1.05 / (light + 0.05) >= 4.5, f"#{colour} has too little contrast"


def found(folder: Path) -> tuple[list[str], dict[str, str], list[str]]:
    """The paths that are graded, those that are not with their reasons, and the notes."""
    result = submissions.collect(folder)
    return (
        [submissions.shown(one.path, folder) for one in result.todo],
        {submissions.shown(one.path, folder): one.reason for one in result.not_graded},
        result.notes,
    )


@pytest.mark.parametrize(
    "name",
    [
        f"{NAME} (1).ipynb",
        f"{NAME}-Copy1.ipynb",
        f"{NAME}_1.ipynb",
        f"{NAME} 2.ipynb",
        f"{NAME}(1).ipynb",
        f"{NAME.upper()}.IPYNB",
        f"Copy of {NAME}.ipynb",
        f"smith_12345_assignsubmission_file_{NAME}.ipynb",
        "02_saving_for_inference.ipynb",
        "my_homework.ipynb",
    ],
)
def test_the_cells_identify_a_notebook_whatever_its_name(name, tmp_path):
    write(handed_in({}), tmp_path / "alice" / name)
    result = submissions.collect(tmp_path)
    assert [one.notebook for one in result.todo] == [NAME] and result.not_graded == []
    assert result.notes == [
        f"alice/{name}: graded as {NAME}, whose cells it contains. Its name should be {NAME}.ipynb"
    ]


def test_of_two_different_notebooks_for_the_same_exercises_none_is_graded(tmp_path):
    write(handed_in({"saved-numbers": WARNS}), tmp_path / f"alice/{NAME}.ipynb")
    write(handed_in(right()), tmp_path / f"alice/{NAME} (1).ipynb")
    write(handed_in({}), tmp_path / f"bob/{NAME}.ipynb")
    graded, not_graded, notes = found(tmp_path)
    assert graded == [f"bob/{NAME}.ipynb"] and notes == []
    assert not_graded.keys() == {f"alice/{NAME}.ipynb", f"alice/{NAME} (1).ipynb"}
    for reason in not_graded.values():
        assert reason == (
            f"two different notebooks for {NAME}: keep one of alice/{NAME} (1).ipynb and "
            f"alice/{NAME}.ipynb"
        )


def test_a_notebook_without_an_answer_does_not_compete_with_one_that_has_answers(tmp_path):
    """`make lab` writes fresh exercises beside a notebook that was renamed."""
    write(handed_in(right()), tmp_path / "alice/my answers.ipynb")
    write(handed_in({}), tmp_path / f"alice/{NAME}.ipynb")
    graded, not_graded, notes = found(tmp_path)
    assert graded == ["alice/my answers.ipynb"] and not_graded == {}
    assert f"alice/{NAME}.ipynb: the exercises without an answer" in notes


def test_one_notebook_of_each_student_can_be_graded_alone(tmp_path):
    write(handed_in({}), tmp_path / f"alice/{NAME}.ipynb")
    write(other_exercises(), tmp_path / "alice/b.ipynb")
    (tmp_path / "bob").mkdir()
    grade_module = importlib.import_module("grade")
    chosen = grade_module.only(importlib.import_module("submissions").collect(tmp_path), ["1"])
    assert [one.notebook for one in chosen.todo] == [NAME]
    assert chosen.students == ["alice"] and chosen.not_graded == []
    with pytest.raises(ValueError, match="No submission is for notebook 7"):
        grade_module.only(chosen, ["7"])


def other_exercises() -> NotebookNode:
    return nbformat.read(
        EXERCISES / "release/02_saving_for_inference/02_saving_for_inference.ipynb", as_version=4
    )


def test_of_two_notebooks_with_the_same_cells_one_is_graded(tmp_path):
    write(handed_in({}), tmp_path / f"alice/{NAME} (1).ipynb")
    write(handed_in({}), tmp_path / f"alice/{NAME}.ipynb")
    graded, not_graded, notes = found(tmp_path)
    assert graded == [f"alice/{NAME}.ipynb"] and not_graded == {}
    assert notes == [f"alice/{NAME} (1).ipynb: has the same cells as alice/{NAME}.ipynb"]


def without_ids() -> NotebookNode:
    notebook = handed_in({})
    for cell in notebook.cells:
        cell.metadata.pop("nbgrader", None)
    return notebook


@pytest.mark.parametrize(
    "name, content, reason",
    [
        (f"{NAME}.ipynb.txt", "{}", f"rename it to {NAME}.ipynb"),
        ("homework.ipynb.json", "{}", "rename it to NOTEBOOK.ipynb"),
        (f"{NAME}.zip", "PK", "an archive: unpack it"),
        ("homework.ZIP", "PK", "an archive: unpack it"),
        (f"{NAME}.html", "<html>", f"not a notebook: ask for {NAME}.ipynb"),
        (f"{NAME} (1).pdf", "%PDF", f"not a notebook: ask for {NAME}.ipynb"),
        (f"{NAME}.ipynb", "", "the file is empty"),
        ("homework.ipynb", "", "the file is empty"),
        (f"{NAME}.ipynb", "[]", "it cannot be read as a notebook: "),
        (f"{NAME}.ipynb", "{}", "it cannot be read as a notebook: "),
        ("thesis.ipynb", new_notebook(), "it belongs to no exercise of the course"),
        (f"{NAME}.ipynb", new_notebook(), "nbgrader's ids are missing from its cells: "),
        (f"{NAME}.ipynb", without_ids(), "nbgrader's ids are missing from its cells: "),
        (f"{NAME}.ipynb", lesson(), "it is the lesson: ask for the notebook with its exercises"),
        ("homework.ipynb", lesson(), "it is the lesson: ask for the notebook with its exercises"),
    ],
)
def test_for_a_file_that_is_not_graded_the_reason_says_what_to_do(name, content, reason, tmp_path):
    write(content, tmp_path / "alice" / name)
    graded, not_graded, _ = found(tmp_path)
    assert graded == [] and list(not_graded) == [f"alice/{name}"]
    assert not_graded[f"alice/{name}"].startswith(reason)


def test_a_loose_file_is_not_graded(tmp_path):
    write(handed_in({}), tmp_path / f"{NAME}.ipynb")
    write("PK", tmp_path / "alice.zip")
    write("alice, bob", tmp_path / "names.csv")
    assert found(tmp_path) == (
        [],
        {
            f"{NAME}.ipynb": "it is in no student's folder: move it into one",
            "alice.zip": "an archive: unpack it into a folder for each student",
        },
        ["names.csv: not a notebook"],
    )


def test_a_lesson_and_an_export_beside_the_exercises_need_no_attention(tmp_path):
    """A student may hand in the whole copy of the course."""
    write(handed_in({}), tmp_path / f"alice/exercises/me/{NAME}/{NAME}.ipynb")
    write(lesson(), tmp_path / f"alice/{NAME}.ipynb")
    write("<html>", tmp_path / f"alice/{NAME}.html")
    graded, not_graded, notes = found(tmp_path)
    assert graded == [f"alice/exercises/me/{NAME}/{NAME}.ipynb"] and not_graded == {}
    assert notes == [f"alice/{NAME}.html: not a notebook", f"alice/{NAME}.ipynb: it is the lesson"]


def test_files_of_systems_and_editors_are_ignored(tmp_path):
    write(handed_in({}), tmp_path / f"alice/{NAME}.ipynb")
    for name in (
        "alice/.DS_Store",
        f"alice/.ipynb_checkpoints/{NAME}-checkpoint.ipynb",
        f"__MACOSX/alice/._{NAME}.ipynb",
        "Thumbs.db",
    ):
        write("", tmp_path / name)
    assert found(tmp_path) == ([f"alice/{NAME}.ipynb"], {}, [])


def test_a_name_that_is_a_pattern_is_refused(tmp_path):
    """nbgrader would read it as one. Windows does not allow some of these characters."""
    write(handed_in({}), tmp_path / f"[alice]/{NAME}.ipynb")
    assert found(tmp_path)[:2] == (
        [],
        {"[alice]": "rename the folder: its name must not contain * ? [ or ]"},
    )


@pytest.mark.parametrize("given", ["", " "])
def test_without_a_folder_the_error_says_how_to_name_one(given, tmp_path):
    done = grade(given, folder=tmp_path)
    expected = "Say which folder to grade: make grade SUBMISSIONS=folder"
    assert (done.returncode, done.stderr.strip()) == (1, expected)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "given, says",
    [
        ("missing", "does not exist: expected a folder that contains a folder for each student"),
        ("file.zip", "is a file: expected a folder"),
        ("results", "must be separate folders"),
        ("results/submitted", "must be separate folders"),
        (".", "must be separate folders"),
        ("mine", "is a copy of the course. Its exercises are in "),
        ("mine/exercises/me", "so it is the folder of one student. Give the folder"),
        (ROOT, "is a part of the course, or contains it"),
        (ROOT.parent, "is a part of the course, or contains it"),
        (ROOT / "notebooks", "is a part of the course, or contains it"),
        (ROOT / "notebooks/exercises/release", "is a part of the course, or contains it"),
        (ROOT / "docs", "is a part of the course, or contains it"),
        (ROOT / "tests/support", "is a part of the course, or contains it"),
    ],
)
def test_a_folder_that_cannot_hold_submissions_is_refused(given, says, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results/submitted").mkdir(parents=True)
    (tmp_path / "file.zip").touch()
    (tmp_path / f"mine/exercises/me/{NAME}").mkdir(parents=True)
    (tmp_path / "mine" / NOTEBOOKS[0].name).touch()
    with pytest.raises(ValueError, match=re.escape(says)):
        submissions.check_folder(Path(given), tmp_path / "results")


def test_a_learners_own_folder_is_accepted(tmp_path):
    (tmp_path / f"mine/exercises/me/{NAME}").mkdir(parents=True)
    submissions.check_folder(tmp_path / "mine/exercises", tmp_path / "grades")


def row(student: str, notebook: str = NAME, points: float = 1, wrong: str = "") -> dict:
    values = (student, notebook, "saved-numbers-check", points, 1.0, wrong)
    from grade import COLUMNS

    return dict(zip(COLUMNS, values, strict=True))


def test_a_later_run_keeps_the_grades_of_the_others_and_replaces_its_own(grading):
    before = [row("alice"), row("bob", points=0), row("bob", "other")]
    now = [row("bob"), row("zoe")]
    expected = [row("alice"), row("bob"), row("bob", "other"), row("zoe")]
    assert grading.merged(before, now) == expected


def test_a_notebook_that_is_not_graded_does_not_replace_a_grade(grading):
    failed = row("bob", points=0, wrong="not graded: the file is empty")
    assert grading.merged([row("bob")], [failed]) == [row("bob")]
    assert grading.merged([], [failed]) == [failed]
    assert grading.merged([failed], [row("bob")]) == [row("bob")]


def test_a_student_without_a_notebook_has_a_row_until_one_is_graded(grading):
    nothing = row("bob", "", 0, "not graded: no notebook is in this folder")
    assert grading.merged([], [nothing]) == [nothing]
    assert grading.merged([nothing], [row("bob")]) == [row("bob")]
    assert grading.merged([row("bob")], [nothing]) == [row("bob")]


def test_grades_that_nobody_changed_are_read_again(grading, tmp_path):
    path = tmp_path / "grades.csv"
    assert grading.earlier_grades(path) == ([], "")
    found = [row("alice", points=0.5, wrong='it says: "a, b"\nand more'), row("Jörg")]
    grading.write_grades(path, found)
    assert grading.earlier_grades(path) == (found, "")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["grades.csv", "grades.csv.sha256"]


@pytest.mark.parametrize(
    "old, new, keeps_rows",
    [
        ("check,1,1", "check,0.5,1", True),
        ("student,", "\ufeffstudent,", True),
        ("what was wrong", "what was wrong,remark", False),
        ("check,1,1", "check,one,1", False),
        (",saved-numbers-check,1,1,", "", False),
        (",", ";", False),
        ("alice", "ali\udce9ce", False),
        ("alice", "alice\x00", True),
    ],
    ids=["edited", "BOM", "column", "word", "cut", "semicolons", "latin-1", "null"],
)
def test_grades_that_somebody_changed_are_kept_under_another_name(
    old, new, keeps_rows, grading, tmp_path
):
    path = tmp_path / "grades.csv"
    grading.write_grades(path, [row("alice")])
    text = path.read_text("utf-8").replace(old, new)
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    changed = path.read_bytes()
    for number in (1, 2):
        path.write_bytes(changed)
        rows, said = grading.earlier_grades(path)
        kept = tmp_path / f"grades-kept-{number}.csv"
        assert kept.read_bytes() == changed and f"It is kept as {kept}." in said
        assert bool(rows) == keeps_rows == path.exists()
        assert ("are not in the new grades.csv, because" in said) == (not keeps_rows)


def test_a_student_with_several_notebooks_has_a_sum(grading):
    found = [row("alice", "b", 0), row("alice", "a"), row("bob", "a")]
    assert grading.table(found, ["alice", "bob"]).splitlines() == [
        "student  notebook  points",
        "alice    a            1 of 1",
        "alice    b            0 of 1",
        "alice    sum          1 of 2",
        "bob      a            1 of 1",
    ]


def test_for_a_folder_without_submissions_the_error_says_what_is_expected(tmp_path):
    (tmp_path / "empty").mkdir()
    done = grade("empty", folder=tmp_path)
    assert done.returncode == 1 and "STUDENT/NOTEBOOK.ipynb" in done.stderr


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
