"""The exercises, and that their tests tell right answers from wrong ones.

The wrong answers stand in tests/wrong_answers, a file for each notebook: mistakes that people make,
each with the points that are left and with what the student is told.
"""

import functools
import itertools
import re
from dataclasses import dataclass

import nbformat
import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell

import needs
import versions
from answers import run_all
from course import EXERCISES, NOTEBOOKS, ROOT, WORDS
from notebook_rules import systems

NAMES = [path.stem for path in sorted(EXERCISES.glob("source/*/*.ipynb"))]
HEAD = re.compile(
    r"(?P<exercise>[a-z0-9-]+): (?P<mistake>.+)\n# gets (?P<gets>\d+) of \d+: (?P<says>.+)\n"
)


@dataclass(frozen=True)
class Answer:
    """One answer to one exercise: what it gets, and what the student is then told."""

    notebook: str
    exercise: str
    mistake: str
    gets: int
    says: str
    source: str

    def __str__(self) -> str:
        return f"{self.notebook}-{self.exercise}-{self.mistake.replace(' ', '-')}"


def cells(name: str, version: str = "source") -> dict[str, NotebookNode]:
    """The cells that nbgrader knows, by their id."""
    notebook = nbformat.read(EXERCISES / version / name / f"{name}.ipynb", as_version=4)
    return {c.metadata.nbgrader.grade_id: c for c in notebook.cells if "nbgrader" in c.metadata}


def exercises(name: str) -> dict[str, int]:
    """Each exercise of a notebook, and the points that it gives."""
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
def graded(name: str) -> dict[Answer, tuple[float, str]]:
    """The points that each answer gets, and what it is told."""
    from nbgrader.utils import determine_grade, is_grade  # here, since it takes seconds

    given, todo = cells(name), answers(name)
    jobs = []
    for answer in todo:
        tests = [given[f"{answer.exercise}-{part}"].source for part in ("check", "hidden")]
        jobs.append([given["setup"].source, answer.source, *tests])
    found = {}
    for answer, (setup, *rest) in zip(todo, run_all(jobs), strict=True):
        assert setup == [], f"the first cell says something: {setup}"
        solution, *tests = [given[answer.exercise + part] for part in ("", "-check", "-hidden")]
        points = 0.0
        for cell, outputs in zip((solution, *tests), rest, strict=True):
            run = new_code_cell(
                cell.source, metadata=cell.metadata, outputs=nbformat.from_dict(outputs)
            )
            points += determine_grade(run)[0] if is_grade(run) else 0
        texts = []
        for output in itertools.chain(*rest):
            is_error = output["output_type"] == "error"
            text = f"{output['ename']}: {output['evalue']}" if is_error else output["text"]
            texts.append(text)
        found[answer] = points, "\n".join(texts)
    return found


ALL = [answer for name in NAMES for answer in answers(name)]


@pytest.mark.parametrize("answer", ALL, ids=str)
def test_an_answer_gets_the_points_it_deserves_and_is_told_why(answer):
    supported = systems(ROOT / f"notebooks/{answer.notebook}.ipynb")
    if needs.SYSTEM not in supported:
        pytest.skip(f"needs {' or '.join(supported)}, as its notebook declares")
    points, told = graded(answer.notebook)[answer]
    assert points == answer.gets, f"it gets {points}, and is told: {told}"
    assert versions.as_said_here(answer.says) in told
    if answer.mistake == "none: the solution":
        assert told == "", "the tests of a right answer are silent"


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
    assert setup.metadata.nbgrader.grade_id == "setup" and setup.metadata.nbgrader.locked
    lines = len(setup.source.splitlines())
    assert lines <= 15, f"the first cell has {lines} lines: what one exercise needs stands there"

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
