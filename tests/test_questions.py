"""The stored answer of each multiple-choice question is the output of the next cell.

A question is a markdown cell with **Predict** and a list of options, **A**, **B** and so on. Its
tag, such as `answer-b`, names the correct option. The code in an option is the text that the next
cell would show if that option were correct, in that order.
"""

import re
from dataclasses import dataclass

import nbformat
import pytest
from nbformat import NotebookNode

from course import NOTEBOOKS, QUESTION
from notebook_rules import OPTION


@dataclass(frozen=True)
class Question:
    notebook: str
    text: str
    tags: list[str]
    options: dict[str, str]
    shown: str

    def __str__(self) -> str:
        return f"{self.notebook}-{self.text[:40]}"

    def right(self) -> list[str]:
        """The letters of the options that the next cell confirms."""
        return [letter for letter, option in self.options.items() if fits(option, self.shown)]


def fits(option: str, shown: str) -> bool:
    """Whether the code of an option is shown, in that order, as whole words."""
    pieces = [re.escape(" ".join(code.split())) for code in re.findall(r"`([^`]+)`", option)]
    assert pieces, f"an option says nothing that a cell could show: {option}"
    pattern = ".*".join(rf"(?<![\w.]){piece}(?!\w|\.\d)" for piece in pieces)
    return bool(re.search(pattern, " ".join(shown.split())))


def shown_by(cell: NotebookNode) -> str:
    """The output of a cell as text."""
    texts = []
    for output in cell.outputs:
        texts.append(output.get("text") or output.get("data", {}).get("text/plain", ""))
        texts.append(f"{output.ename}: {output.evalue}" if "ename" in output else "")
    return "\n".join(texts)


def questions(path) -> list[Question]:
    cells = nbformat.read(path, as_version=4).cells
    found = []
    for cell, *following in (cells[i:] for i in range(len(cells))):
        options = OPTION.findall(cell.source) if cell.cell_type == "markdown" else []
        if options and QUESTION in cell.source:
            shown = ""
            for after in following:
                if after.cell_type == "markdown" or shown:
                    break
                shown = shown_by(after)
            text = cell.source.partition(QUESTION)[2].strip(":* ")
            tags = [t for t in cell.metadata.get("tags", []) if t.startswith("answer-")]
            found.append(Question(path.stem, text, tags, dict(options), shown))
    return found


ALL = [question for path in NOTEBOOKS for question in questions(path)]


@pytest.mark.parametrize("question", ALL, ids=str)
def test_the_stored_answer_is_what_the_next_cell_gives(question):
    assert question.tags == [f"answer-{letter.lower()}" for letter in question.right()], (
        f"the next cell shows {question.shown!r}"
    )


@pytest.mark.parametrize("question", ALL, ids=str)
def test_a_question_has_lettered_options(question):
    assert 2 <= len(question.options) <= 5
    assert list(question.options) == list("ABCDE"[: len(question.options)])


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_notebook_asks_before_it_shows(path):
    assert len(questions(path)) >= 2


def test_the_right_answer_is_not_always_the_same():
    letters = [tag for question in ALL for tag in question.tags]
    assert all(letters.count(letter) < 0.6 * len(letters) for letter in set(letters))


@pytest.mark.parametrize(
    "option, shown, fitting",
    [
        ("no: `False`", "False", True),
        ("none: `0`", "16", False),
        ("once: `6 tensors`", "8 entries, 6 tensors in the file", True),
        ("the first: `1`", "1.0", False),
        ("only the copy: `True`, `False`", "kept:   True\ncopied: False", True),
        ("only the copy: `True`, `False`", "kept:   False\ncopied: True", False),
        ("ones: `tensor(1.)`", "tensor(1000.)", False),
    ],
)
def test_an_option_fits_by_whole_words_and_in_order(option, shown, fitting):
    assert fits(option, shown) == fitting
