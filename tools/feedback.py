"""What a feedback page says about each test: its exercise, its points, and what was wrong.

``grade_templates/feedback/page.html.j2`` turns it into HTML.
"""

import re
from pathlib import Path

from nbformat import NotebookNode
from nbgrader import utils
from nbgrader.preprocessors import GetGrades
from traitlets import Unicode

from course import WORDS, read
from make_exercises import SOURCE

BOLD = re.compile(r"(\x1b|\\x1b)\[[0-9;]*m")  # torch prints some words in bold type
STUB = "raise NotImplementedError()"
NOT_ANSWERED = "not answered"  # begins each text about a stub
HEADING = re.compile(rf"## (.+?)(?: \(\d+ {WORDS['points']}\))?$", re.MULTILINE)
SIGNS = {"right": "✓", "partly right": "◐", "wrong": "✗", NOT_ANSWERED: "○", "not run": "✗"}


class Explain(GetGrades):
    """Note in the metadata of each graded cell its points and what the page shows about it."""

    root = Unicode(help="the folder of the nbgrader course").tag(config=True)

    def preprocess(self, nb, resources):
        nb, resources = super().preprocess(nb, resources)
        name = resources["nbgrader"]["notebook"]
        opening, titles = exercises(name)
        untouched = stubs(Path(self.root), name)
        resources["title"], resources["exercises"] = opening, []
        answer = heading = None
        for cell in nb.cells:
            cell.source = without_links(cell)
            if cell.cell_type == "markdown" and cell.source.startswith("## "):
                heading = cell
            if utils.is_solution(cell):
                answer = cell
                number = f"exercise-{len(resources['exercises']) + 1}"
                title = titles.get(cell.metadata.nbgrader.grade_id, "")
                (heading or cell).metadata["anchor"] = number
                cell.metadata["feedback"] = {"title": title, "kind": "answer"}
                resources["exercises"].append({"title": title, "anchor": number, "tests": []})
            elif utils.is_grade(cell) and resources["exercises"]:
                heading = None
                text = what_was_wrong(answer, cell, untouched)
                word = in_a_word(cell, text)
                test = {
                    "title": resources["exercises"][-1]["title"],
                    "id": cell.metadata.nbgrader.grade_id,
                    "part": part(cell),
                    "kind": word.replace(" ", "-"),
                    "word": f"{SIGNS[word]} {word}",
                    "points": cell.metadata.nbgrader.score,
                    "of": cell.metadata.nbgrader.points,
                    "message": text,
                }
                cell.metadata["feedback"] = test
                resources["exercises"][-1]["tests"].append(test)
                if text == NOT_ANSWERED:
                    cell.outputs = []
        return nb, resources


def exercises(name: str) -> tuple[str, dict[str, str]]:
    """The title of an exercise notebook, and that of each exercise, by the id of its answer."""
    opening, *cells = read(SOURCE / name / f"{name}.ipynb").cells
    titles, last = {}, ""
    for cell in cells:
        if cell.cell_type == "markdown" and (match := HEADING.match(cell.source)):
            last = match[1]
        elif utils.is_solution(cell):
            titles[cell.metadata.nbgrader.grade_id] = last
    return opening.source.partition("\n")[0].removeprefix("# "), titles


def stubs(root: Path, name: str) -> dict[str, str]:
    """The answer cells that the students got, by their nbgrader id."""
    cells = read(root / "release" / name / f"{name}.ipynb").cells
    return {c.metadata.nbgrader.grade_id: c.source for c in cells if utils.is_solution(c)}


def without_links(cell: NotebookNode) -> str:
    """The source of a cell. A link to another notebook leads nowhere from a feedback page."""
    if cell.cell_type != "markdown":
        return cell.source
    return re.sub(r"\[([^\]]+)\]\(\.\./[^)]*\)", r"\1", cell.source)


def part(cell: NotebookNode) -> str:
    hidden = cell.metadata.nbgrader.grade_id.endswith("-hidden")
    return "hidden test" if hidden else "visible test"


def in_a_word(cell: NotebookNode, text: str) -> str:
    """The result of a test. Its points may have been changed by hand."""
    points, of = cell.metadata.nbgrader.score, cell.metadata.nbgrader.points
    if points >= of:
        return "right"
    if points > 0:
        return "partly right"
    if text.startswith(NOT_ANSWERED):
        return NOT_ANSWERED
    return "not run" if text.endswith("not run") else "wrong"


def what_was_wrong(
    answer: NotebookNode | None, test: NotebookNode, untouched: dict[str, str]
) -> str:
    """The error of a test, with that of the answer itself. ``""`` if there was none."""
    found = errors(test)
    if not found:
        return ""
    if answer is None:
        return found[-1]
    given = answer.source.strip()
    if given in ("", untouched.get(answer.metadata.nbgrader.grade_id, "").strip()):
        return NOT_ANSWERED
    outputs = [o for cell in (answer, test) for o in cell.outputs if o.output_type == "error"]
    raised = any("NotImplementedError" in "\n".join(o.traceback) + o.ename for o in outputs)
    if STUB in given and raised:
        return f"{NOT_ANSWERED}: the answer still contains `{STUB}`"
    before = [f"the answer itself ended in {error}; " for error in errors(answer)[-1:]]
    return "".join(before) + found[-1]


def errors(cell: NotebookNode) -> list[str]:
    """The errors in a cell's outputs. If an error contains a traceback, only its last line."""
    found = [f"{o.ename}: {o.evalue}".strip() for o in cell.outputs if o.output_type == "error"]
    found = [BOLD.sub("", text) for text in found]
    return [
        (text.splitlines()[-1] if "Traceback (most recent" in text else text).removesuffix(":")
        for text in found
    ]
