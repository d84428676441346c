"""The exercises, and that their tests tell right answers from wrong ones.

The wrong answers are in tests/wrong_answers, one file for each notebook. Each is a mistake that
people make, with the points that it still gets and with a part of the message that the student
sees. The first wrong answer to each exercise is the central mistake, and its message comes from the
visible test: without it, a student who works alone would believe that the answer is right.
"""

import ast
import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_notebook

import needs
import versions
from answers import run_all
from course import EXERCISES, NOTEBOOKS, ROOT, WORDS
from notebook_rules import INSTALL, systems

NAMES = [path.stem for path in sorted(EXERCISES.glob("source/*/*.ipynb"))]
HEAD = re.compile(
    r"(?P<exercise>[a-z0-9-]+): (?P<mistake>.+)\n# gets (?P<gets>\d+) of \d+: (?P<says>.+)\n"
)


@dataclass(frozen=True)
class Answer:
    """An answer to an exercise: the points that it gets, and a part of what the student sees."""

    notebook: str
    exercise: str
    mistake: str
    gets: int
    says: str
    source: str

    def __str__(self) -> str:
        return f"{self.notebook}-{self.exercise}-{self.mistake.replace(' ', '-')}"


@dataclass(frozen=True)
class Graded:
    """The points for an answer, and the text below each of its cells."""

    points: float
    solution: str
    visible: str
    hidden: str

    @property
    def told(self) -> str:
        return "\n".join(text for text in (self.solution, self.visible, self.hidden) if text)


def cells(name: str, version: str = "source") -> dict[str, NotebookNode]:
    """The cells with an nbgrader id, by that id."""
    notebook = nbformat.read(EXERCISES / version / name / f"{name}.ipynb", as_version=4)
    return {c.metadata.nbgrader.grade_id: c for c in notebook.cells if "nbgrader" in c.metadata}


def exercises(name: str) -> dict[str, int]:
    """Each exercise of a notebook, and its points."""
    found = cells(name)
    return {
        key: sum(found[f"{key}-{part}"].metadata.nbgrader.points for part in ("check", "hidden"))
        for key, cell in found.items()
        if cell.metadata.nbgrader.solution
    }


def wrong_answers(name: str) -> list[Answer]:
    text = (ROOT / f"tests/wrong_answers/{name}.py").read_text(encoding="utf-8")
    answers = []
    for part in text.split("# %% ")[1:]:
        head = HEAD.match(part)
        assert head, f"{name}: not 'exercise: mistake' and '# gets N of M: text', but {part[:80]!r}"
        fields = head.groupdict() | {"gets": int(head["gets"]), "source": part[head.end() :]}
        answers.append(Answer(notebook=name, **fields))
    return answers


def answers(name: str) -> list[Answer]:
    """The solution of each exercise, its untouched stub, and the mistakes."""
    solved, stubs = cells(name), cells(name, "release")
    found = wrong_answers(name)
    for key, points in exercises(name).items():
        found.append(Answer(name, key, "none: the solution", points, "", solved[key].source))
        found.append(Answer(name, key, "untouched", 0, "", stubs[key].source))
    return found


@functools.cache
def graded(name: str) -> dict[Answer, Graded]:
    """Each answer to the exercises of a notebook, graded."""
    from nbgrader.utils import determine_grade, is_grade  # here, because it takes seconds

    given, todo = cells(name), answers(name)
    jobs = []
    for answer in todo:
        tests = [given[f"{answer.exercise}-{part}"].source for part in ("check", "hidden")]
        jobs.append([given["setup"].source, answer.source, *tests])
    found = {}
    for answer, (setup, *rest) in zip(todo, run_all(jobs), strict=True):
        assert setup == [], f"the first cell prints something: {setup}"
        solution, *tests = [given[answer.exercise + part] for part in ("", "-check", "-hidden")]
        points = 0.0
        for cell, outputs in zip((solution, *tests), rest, strict=True):
            run = new_code_cell(
                cell.source, metadata=cell.metadata, outputs=nbformat.from_dict(outputs)
            )
            points += determine_grade(run)[0] if is_grade(run) else 0
        found[answer] = Graded(points, *["\n".join(map(said, outputs)) for outputs in rest])
    return found


def said(output: dict[str, Any]) -> str:
    if output["output_type"] == "error":
        return f"{output['ename']}: {output['evalue']}"
    return output["text"]


ALL = [answer for name in NAMES for answer in answers(name)]


def skip_where_it_does_not_run(name: str) -> None:
    supported = systems(ROOT / f"notebooks/{name}.ipynb")
    if needs.SYSTEM not in supported:
        pytest.skip(f"needs {' or '.join(supported)}, as its notebook declares")


@pytest.mark.parametrize("answer", ALL, ids=str)
def test_an_answer_gets_the_points_it_deserves_and_is_told_why(answer):
    skip_where_it_does_not_run(answer.notebook)
    result = graded(answer.notebook)[answer]
    assert result.points == answer.gets, f"it gets {result.points}, and is told: {result.told}"
    assert versions.as_said_here(answer.says) in result.told
    if answer.mistake == "none: the solution":
        assert result.told == "", "the tests of a right answer are silent"


@pytest.mark.parametrize("name", NAMES)
def test_the_visible_test_catches_the_central_mistake(name):
    skip_where_it_does_not_run(name)
    for exercise in exercises(name):
        central = next(one for one in wrong_answers(name) if one.exercise == exercise)
        assert versions.as_said_here(central.says) in graded(name)[central].visible, (
            f"{exercise}: the visible test does not catch the first wrong answer"
        )


@pytest.mark.parametrize(
    "name, exercise, mistake, line",
    [
        (
            "01_state_dict",
            "reordered",
            "expects a state for every parameter",
            '    old = {name: state_dict["state"][index] for index',
        ),
        (
            "02_saving_for_inference",
            "save-package",
            "saves the parameters and forgets the statistics",
            'File "receive.py", line 8, in <module>\n    model.load_state_dict(',
        ),
    ],
)
def test_an_error_shows_the_line_that_raised_it(name, exercise, mistake, line, tmp_path):
    """Also if the test reports it with its case, and if a script raised it."""
    given = cells(name)
    (answer,) = [a for a in wrong_answers(name) if (a.exercise, a.mistake) == (exercise, mistake)]
    tests = [given[f"{exercise}-{part}"].source for part in ("check", "hidden")]
    sources = given["setup"].source, answer.source, *tests
    notebook = new_notebook(cells=[new_code_cell(source) for source in sources])
    run_in = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(notebook, allow_errors=True, resources=run_in).execute()
    *before, hidden = notebook.cells
    assert [cell.outputs for cell in before] == [[], [], []]
    traceback = "\n".join(hidden.outputs[0].traceback)
    assert line in traceback and versions.as_said_here(answer.says) in traceback


def messages(source: str) -> Iterator[ast.expr]:
    """The messages of the errors that a cell raises."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Assert) and node.msg:
            yield node.msg
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            yield from node.exc.args[:1]


def may_be_empty(value: ast.expr) -> bool:
    """Whether the end of a message may be an empty text, such as that of ``ValueError()``."""
    if not isinstance(value, ast.FormattedValue) or value.conversion == ord("r"):
        return False
    found = value.value
    if isinstance(found, ast.BoolOp) and isinstance(found.op, ast.Or):  # {text or 'no message'}
        return not isinstance(found.values[-1], ast.Constant)
    is_name = isinstance(found, ast.Attribute) and found.attr == "__name__"
    return value.format_spec is None and not is_name


@pytest.mark.parametrize("name", NAMES)
def test_no_message_ends_with_a_value_that_may_be_empty(name):
    """It would break off in the middle of the sentence."""
    for key, cell in cells(name).items():
        for message in messages(cell.source) if cell.metadata.nbgrader.grade else ():
            last = message.values[-1] if isinstance(message, ast.JoinedStr) else message
            assert not may_be_empty(last), f"{key}: write !r in {ast.unparse(message)}"


@pytest.mark.parametrize("name", NAMES)
def test_no_message_that_an_answer_gets_breaks_off(name):
    skip_where_it_does_not_run(name)
    for answer, result in graded(name).items():
        for text in (result.visible, result.hidden):
            is_untouched = text == "NotImplementedError: "
            assert is_untouched or not re.search(r"([:;,]|says|got|is|returned)\s*$", text), (
                f"{answer}: {text[-100:]!r}"
            )


def kernel_says(*sources: str, folder: Path) -> str:
    """The last error of these cells in a kernel, as the student sees it."""
    notebook = new_notebook(cells=[new_code_cell(source) for source in sources])
    run_in = {"metadata": {"path": str(folder)}}
    NotebookClient(notebook, allow_errors=True, resources=run_in).execute()
    text = "\n".join(notebook.cells[-1].outputs[0].traceback)
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


COMMENT = INSTALL.partition("\n")[0]


@pytest.mark.parametrize("name", NAMES)
def test_the_comment_above_the_import_of_the_course_says_how_to_install_it(name):
    lines = cells(name)["setup"].source.splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith("from helpers"))
    assert lines[first - 1] == COMMENT


def test_without_the_course_the_error_shows_that_comment(tmp_path):
    missing = "import sys\nsys.modules['helpers'] = None"
    shown = kernel_says(missing, cells(NAMES[0])["setup"].source, folder=tmp_path)
    assert COMMENT in shown and "ModuleNotFoundError" in shown


def test_the_students_own_error_shows_its_line(tmp_path):
    given = cells("01_state_dict", "release")
    answer = "def saved_numbers(model):\n    total = 0\n    return total + model.state_dict\n"
    shown = kernel_says(
        given["setup"].source, answer, given["saved-numbers-check"].source, folder=tmp_path
    )
    assert "----> 1 got = saved_numbers(" in shown
    assert "----> 3     return total + model.state_dict" in shown


def test_an_answer_does_not_find_what_only_tests_import():
    (((error,),),) = run_all([["import needs"]])
    assert error["ename"] == "ModuleNotFoundError"


@pytest.mark.parametrize("name", NAMES)
def test_every_exercise_has_mistakes_that_lose_points(name):
    for exercise, points in exercises(name).items():
        mistakes = [answer for answer in wrong_answers(name) if answer.exercise == exercise]
        assert len(mistakes) >= 2, f"{exercise} has {len(mistakes)}"
        assert all(answer.gets < points for answer in mistakes)


def test_every_notebook_has_exercises():
    assert [path.stem for path in NOTEBOOKS] == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_an_exercise_notebook_has_the_anatomy(name):
    """A title, a short first cell, three to five exercises with their points, and no outputs."""
    notebook = nbformat.read(EXERCISES / "source" / name / f"{name}.ipynb", as_version=4)
    opening, setup, *rest = notebook.cells
    course = nbformat.read(ROOT / f"notebooks/{name}.ipynb", as_version=4).cells[0].source
    number, title = re.match(r"# (\d+) · (.+)", course).groups()
    expected_title = f"# {WORDS['exercises']} {number} · {title}\n"
    assert opening.source.startswith(expected_title), f"expected the title {expected_title!r}"
    assert f"[notebook {number}](../../../{name}.ipynb)" in opening.source, "no link to the lesson"
    assert setup.metadata.nbgrader.grade_id == "setup" and setup.metadata.nbgrader.locked
    lines = len(setup.source.splitlines())
    assert lines <= 16, f"the first cell has {lines} lines: move what only one exercise needs there"

    expected = exercises(name)
    assert 3 <= len(expected) <= 5
    kinds = ["prose", "solution", "check", "hidden"] * len(expected)
    assert [kind(cell) for cell in rest] == kinds
    headings = re.findall(
        rf"^## (\d+) · .+ \((\d+) {WORDS['points']}\)$", sources(rest), re.MULTILINE
    )
    assert [tuple(map(int, pair)) for pair in headings] == list(enumerate(expected.values(), 1))
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in notebook.cells)


def kind(cell: NotebookNode) -> str:
    if cell.cell_type == "markdown":
        return "prose"
    known = cell.metadata.nbgrader
    return "solution" if known.solution else known.grade_id.rpartition("-")[2]


def sources(cells: list[NotebookNode]) -> str:
    return "\n".join(cell.source for cell in cells)
