"""The paths of the course, and the words that the code looks for in the prose."""

import tomllib
from pathlib import Path

import nbformat
from nbformat import NotebookNode

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
EXERCISES = ROOT / "notebooks" / "exercises"
BUILD = ROOT / "docs" / "build"

LANGUAGE = "en"
WORDS: dict[str, str] = tomllib.loads(
    Path(__file__).with_name("labels.toml").read_text(encoding="utf-8")
)[LANGUAGE]


QUESTION = f"**{WORDS['predict']}"  # begins a question


def right_letters(question: NotebookNode) -> list[str]:
    """The letters of the right options of a question, from its tags, such as ``answer-b``."""
    tags = question.metadata.get("tags", [])
    return [tag.removeprefix("answer-").upper() for tag in tags if tag.startswith("answer-")]


def read(path: Path) -> NotebookNode:
    """Read a notebook as format 4."""
    notebook = nbformat.read(path, as_version=4)
    assert isinstance(notebook, NotebookNode)
    return notebook


def opening(path: Path) -> str:
    """The text of a notebook's first cell: its title, its aims, and what it builds on."""
    return read(path).cells[0].source


def stored_torch() -> str:
    """The version of torch that produced the stored outputs, such as ``"2.13.0"``.

    It is not read from constraints.txt, because a CI job changes the version there.
    """
    produced = read(NOTEBOOKS[0]).metadata.produced
    return produced.versions.torch.partition("+")[0]
