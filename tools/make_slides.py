"""Make a deck of slides from each notebook: ``make slides``.

A heading starts a slide, and other prose starts the next slide below it. Code is on the slide of
the prose before it if there is room. A question (**Predict**) has its own slide. Its answer, the
next cell, appears at the next key press. A slide type that is set in JupyterLab (under *Common
tools*) takes precedence.
"""

import re
import shutil
from pathlib import Path

import nbformat
from nbconvert.exporters import SlidesExporter
from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell

from course import BUILD, NOTEBOOKS, ROOT, WORDS, read

DOCS = ROOT / "docs"
BUILT = BUILD / "slides"
QUESTION = f"**{WORDS['predict']}"
LINES = 22  # lines that fit on a slide
GAP = 0.5  # lines between two cells


def height(cell: NotebookNode) -> float:
    """The approximate number of lines that a cell takes on a slide."""
    if cell.cell_type == "markdown":
        return sum(1.5 * (1 + len(line) // 95) for line in cell.source.splitlines() if line)
    lines = 1.0 + cell.source.count("\n")
    for output in cell.outputs:
        data = output.get("data", {})
        text = output.get("text") or output.get("evalue") or data.get("text/plain", "")
        wrapped = sum(1 + len(line) // 105 for line in text.splitlines())
        lines += 1 + (15 if "image/png" in data else wrapped)
    return lines


def pieces(cell: NotebookNode, after_code: bool) -> list[NotebookNode]:
    """Split a cell of prose before each heading and each question. Other cells stay as they are.

    The first paragraph after code explains the output, and becomes a separate piece as well.
    """
    if cell.cell_type != "markdown":
        return [cell]
    question = re.escape(QUESTION)
    texts = re.split(rf"\n+(?=## |{question})|(?<=[.?:)]) (?={question})", cell.source)
    if after_code and re.match(r"[^#*|-].*[^:]\n\n[^|]", texts[0]):
        texts = [*texts[0].split("\n\n", 1), *texts[1:]]
    return [
        new_markdown_cell(linked(text), metadata=cell.metadata.copy()) for text in texts if text
    ]


def linked(text: str) -> str:
    """The text with links to the other decks. Links to other files are removed."""
    text = re.sub(r"\]\((\d\d_\w+)\.ipynb", r"](\1.html", text)
    return re.sub(r"\[([^]]+)\]\((?!\d\d_|https?:)[^)]+\)", r"\1", text)


def deck(notebook: NotebookNode) -> NotebookNode:
    """The notebook with a slide type for each of its cells."""
    cells: list[NotebookNode] = []
    for cell in notebook.cells:
        cells += pieces(cell, after_code=bool(cells) and cells[-1].cell_type == "code")
    used = LINES  # on the same slide
    before = bare = ""
    for cell, after in zip(cells, [*cells[1:], None], strict=True):
        what = what_it_is(cell)
        needed = height(cell)
        if what == "prose" and after and what_it_is(after) == "code":
            needed += height(after)  # the cell that it introduces must be visible
        if what == "heading":
            kind = "slide"
        elif what == "question" and not bare or used + GAP + needed > LINES:
            kind = "subslide"
        else:
            kind = "fragment" if what == "prose" or before == "question" else "-"
        bare = what == "heading" and "\n" not in cell.source
        kind = cell.metadata.get("slideshow", {}).get("slide_type", kind)
        cell.metadata["slideshow"] = {"slide_type": kind}
        used = height(cell) + (0 if kind in ("slide", "subslide") else used + GAP)
        before = what
    return nbformat.v4.new_notebook(cells=cells, metadata=notebook.metadata)


def what_it_is(cell: NotebookNode) -> str:
    starts = {"# ": "heading", "## ": "heading", QUESTION: "question"}
    found = [what for start, what in starts.items() if cell.source.startswith(start)]
    return "code" if cell.cell_type == "code" else (*found, "prose")[0]


def page(path: Path) -> str:
    """The deck of a notebook, as HTML that needs the folder `reveal.js` beside it."""
    exporter = SlidesExporter(
        template_name="slides",
        extra_template_basedirs=[str(DOCS)],
        reveal_url_prefix="reveal.js",
        reveal_theme="white",
    )
    cells = deck(read(path))
    text, _ = exporter.from_notebook_node(cells, resources={"metadata": {"name": path.stem}})
    return text


def main() -> None:
    shutil.rmtree(BUILT, ignore_errors=True)
    for part in ("dist", "plugin"):
        shutil.copytree(DOCS / "node_modules/reveal.js" / part, BUILT / "reveal.js" / part)
    for path in NOTEBOOKS:
        (BUILT / f"{path.stem}.html").write_text(page(path), encoding="utf-8")
    print(f"{len(NOTEBOOKS)} decks: {BUILT}")


if __name__ == "__main__":
    main()
