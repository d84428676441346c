"""Copy the course to ``mine/``, the folder in which you work. ``make lab`` runs this.

In the copies, the answers to the questions are hidden. Git ignores the folder, so a pull does not
conflict with your work.

A later run replaces only copies that you have not changed. To recognize them, it keeps digests of
the copies that it wrote in ``mine/.copies.json``. Without that file, every copy counts as changed.
"""

import hashlib
import json
import os
import re
import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from urllib.parse import unquote

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell

from course import QUESTION, ROOT, WORDS, read, right_letters

MINE = "mine"
COPIED = (  # a folder of the course, the files in it that are copied, and the folder of the copies
    (".", "README.md", MINE),
    ("notebooks", "errors.md", MINE),
    ("notebooks", "tasks.md", MINE),
    ("notebooks", "*.ipynb", MINE),
    # `make grade SUBMISSIONS=mine/exercises` grades a student called "me".
    ("notebooks/exercises/release", "*/*.ipynb", f"{MINE}/exercises/me"),
)
RECORD = ".copies.json"

# JupyterLab's class "alert" is hard to read in the dark theme. These colours suit both themes.
BOX = "border-left: 4px solid #2196f3; background-color: rgba(33, 150, 243, 0.12); padding: 8px"
LINK = re.compile(r"(\[[^][]*)?\]\(([^)#\s]+)([^)\s]*)\)")
# JupyterLab and its extensions write these when a cell is run, folded or scrolled.
VIEW = {"collapsed", "execution", "ExecuteTime", "jupyter", "scrolled"}


def places(root: Path = ROOT) -> dict[Path, Path]:
    """The path of each file that is copied, with the path of its copy."""
    return {
        path: root / copies / path.relative_to(root / folder)
        for folder, pattern, copies in COPIED
        for path in sorted((root / folder).glob(pattern))
    }


def learners_version(original: Path, copies: dict[Path, Path]) -> str:
    """The text of the copy of a file. ``copies`` are the places of all copies."""
    if original.suffix != ".ipynb":
        return linked(original.read_text(encoding="utf-8"), original, copies)
    notebook = read(original)
    notebook.cells = with_hidden_answers(notebook.cells)
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = linked(cell.source, original, copies)
    return nbformat.writes(notebook) + "\n"


def linked(text: str, original: Path, copies: dict[Path, Path]) -> str:
    """Markdown in which each relative link leads from the copy to another copy.

    A link to a file that is not copied leads to that file. A link to a folder becomes plain text,
    because JupyterLab cannot open it.
    """

    def moved(link: re.Match[str]) -> str:
        text, path, anchor = link.groups("")
        target = Path(os.path.normpath(original.parent / unquote(path)))
        if "://" in path or not target.exists():
            return link[0]
        if target.is_dir() and text:
            return text[1:]
        there = os.path.relpath(copies.get(target, target), copies[original].parent)
        return f"{text}]({Path(there).as_posix()}{anchor})"

    return LINK.sub(moved, text)


def with_hidden_answers(cells: list[NotebookNode]) -> list[NotebookNode]:
    """The cells, with each question in a box and each answer hidden.

    The answer consists of the outputs of the code after the question, which appear when the code
    is run, and of the right letter and the explanation, which a click shows. All other outputs
    stay, so that the notebook can be read without running it.
    """
    shown: list[NotebookNode] = []
    question: NotebookNode | None = None
    for cell in cells:
        if cell.cell_type == "code" and question:
            cell.outputs, cell.execution_count = [], None
        elif cell.cell_type == "markdown":
            if question:
                if "answer" in cell.metadata.get("tags", []):
                    cell.source = answer(question, cell.source)
                else:
                    shown.append(new_markdown_cell(answer(question), id=f"{question.id}-answer"))
            question = cell if QUESTION in cell.source else None
            if question:
                question.source = boxed(question.source)
        shown.append(cell)
    return shown


def boxed(source: str) -> str:
    """Markdown with a box that extends from the paragraph with the question to the end."""
    start = source.rfind("\n\n", 0, source.index(QUESTION))
    before, asked = (source[: start + 2], source[start + 2 :]) if start >= 0 else ("", source)
    return f'{before}<div style="{BOX}">\n\n{asked}\n\n</div>'


def answer(question: NotebookNode, explanation: str = "") -> str:
    """Markdown that shows the right letter and the explanation on a click."""
    letters = [f"{WORDS['answer']} **{letter}**" for letter in right_letters(question)]
    inside = "\n\n".join([*letters, explanation]).strip()
    return f"<details>\n<summary>{WORDS['show_answer']}</summary>\n\n{inside}\n\n</details>"


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def work(text: str, suffix: str) -> str:
    """A digest of the work in a file.

    In a notebook, that is the sources and the tags of all cells. Outputs, execution counts, and
    the metadata that JupyterLab writes by itself are not work. If a notebook cannot be read, all
    of its text is work.
    """
    if suffix == ".ipynb":
        with suppress(ValueError, TypeError, LookupError, AttributeError):
            cells = [
                {
                    "type": cell["cell_type"],
                    "source": "".join(cell["source"]),
                    "metadata": {k: v for k, v in cell["metadata"].items() if k not in VIEW},
                    "attachments": cell.get("attachments"),
                }
                for cell in json.loads(text)["cells"]
            ]
            return digest(json.dumps(cells, sort_keys=True))
    return digest("\n".join(text.splitlines()))


def update(root: Path = ROOT) -> list[Path]:
    """Write each copy that is missing, and replace each one that the learner has not changed.

    Returns the changed copies of which the course has a newer version. Raises OSError if a copy
    cannot be read or written. If this is interrupted, each copy is either the old or the new one.
    """
    mine, copies = root / MINE, places(root)
    mine.mkdir(exist_ok=True)
    delete_old_temporary_folders(mine)
    record, kept = read_record(mine / RECORD), []
    with tempfile.TemporaryDirectory(prefix=".new-", dir=mine) as folder:
        for original, copy in copies.items():
            name = copy.relative_to(mine).as_posix()
            text = learners_version(original, copies)
            new = [digest(text), work(text, copy.suffix)]
            old = record.get(name)
            try:
                there = work(copy.read_text(encoding="utf-8", errors="replace"), copy.suffix)
            except FileNotFoundError:
                there = None
            unchanged = old is not None and there == old[1]
            if there is None or (unchanged and old != new):
                write(copy, text, Path(folder))
                record[name] = new
            elif there == new[1]:
                record[name] = new
            elif old is None or old[1] != new[1]:
                kept.append(copy)
        write(mine / RECORD, json.dumps(record, indent=1), Path(folder))
    return kept


def delete_old_temporary_folders(mine: Path) -> None:
    """Delete what a killed run has left. A folder that is not an hour old may be in use."""
    for folder in mine.glob(".new-*"):
        with suppress(FileNotFoundError):  # another run has deleted it
            if time.time() - folder.stat().st_mtime > 3600:
                shutil.rmtree(folder)


def read_record(path: Path) -> dict[str, list[str]]:
    """For each copy as it was written, the digest of its text and the digest of the work in it.

    Entries that are damaged are left out.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    entries = record.items() if isinstance(record, dict) else ()
    return {name: both for name, both in entries if isinstance(both, list) and len(both) == 2}


def write(path: Path, text: str, folder: Path) -> None:
    """Write a file into a folder on the same disk, and move it to its place when it is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    complete = folder / path.name
    complete.write_text(text, encoding="utf-8", newline="\n")
    complete.replace(path)
