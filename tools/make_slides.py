"""Make a deck of slides from each notebook, and a page that lists them: ``make slides``.

A heading starts a slide, and other prose starts the next slide below it, under the same heading.
Code is on the slide of the prose before it if there is room. A question (**Predict**) starts a
slide. Its answer, the next cell, appears at the next key press. Plotting code (``hide-input``) is
left out. A slide type that is set in JupyterLab (under *Common tools*) takes precedence.
"""

import html
import re
import shutil
import struct
from base64 import b64decode
from itertools import takewhile
from pathlib import Path

import nbformat
from nbconvert.exporters import SlidesExporter
from nbconvert.preprocessors import TagRemovePreprocessor
from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell

from course import BUILD, LANGUAGE, NOTEBOOKS, QUESTION, ROOT, WORDS, read, right_letters
from readme import title

DOCS = ROOT / "docs"
BUILT = BUILD / "slides"
LINES = 29.0  # lines of code that fit on a slide
FEW = 10.0  # lines of prose that should not be alone on a slide
HEADINGS = {"# ": 5.0, "## ": 2.4, "### ": 1.0}
AGAIN = 2.0  # lines of a heading that is repeated
WIDTH, LINE = 1080, 24.3  # of a figure and of a line, in pixels
HIDDEN = "hide-input"  # the tag of cells with plotting code


def height(cell: NotebookNode) -> float:
    """The approximate number of lines that a cell takes on a slide.

    The numbers fit the heights of all slides of the course in Chromium, within three lines.
    """
    if cell.metadata.get("slideshow", {}).get("slide_type") in ("skip", "notes"):
        return 0
    if is_code(cell):
        return code_height(cell)
    lines = 1.0 + 0.25 * cell.source.count("\n\n")
    for line in filter(None, cell.source.splitlines()):
        if heading := re.match("#{1,3} ", line):
            lines += HEADINGS[heading[0]]
        elif line.startswith("|"):
            lines += 1.9
        else:
            lines += 1.4 * (1 + len(line) // 95) + 0.5 * line.startswith("- ")
    return lines


def code_height(cell: NotebookNode) -> float:
    hidden = HIDDEN in cell.metadata.get("tags", [])
    lines = 1.4 if hidden else 2.4 + cell.source.count("\n")
    for output in cell.outputs:
        data = output.get("data", {})
        if png := data.get("image/png"):
            lines += 1.1 + figure_height(b64decode(png)) / LINE
        else:
            text = output.get("text") or output.get("evalue") or data.get("text/plain", "")
            lines += 1.1 + 1.1 * sum(1 + len(line) // 105 for line in text.splitlines())
    return lines


def figure_height(png: bytes) -> float:
    """The height of a figure that is as wide as a slide. `docs/slides` limits it, too."""
    width, high = struct.unpack(">II", png[16:24])
    return min(WIDTH * high / width, 520)


def pieces(cell: NotebookNode, after_code: bool) -> list[NotebookNode]:
    """Split a cell of prose before each heading and each question. Other cells stay as they are.

    The first paragraph after code explains the output, and becomes a separate piece as well.
    """
    if cell.cell_type != "markdown":
        return [cell]
    question = re.escape(QUESTION)
    texts = re.split(rf"\n+(?=###? |{question})|(?<=[.?:)]) (?={question})", cell.source)
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
    for cell in with_letters(notebook.cells):
        cells += pieces(cell, after_code=bool(cells) and cells[-1].cell_type == "code")
    shown = []
    heading = ""
    for slide in slides(cells):
        headings = [c.source.partition("\n")[0] for c in slide if what_it_is(c) == "heading"]
        if what_it_is(slide[0]) == "heading":
            kind = "subslide" if slide[0].source.startswith("### ") else "slide"
        else:
            # The first slide of a deck has a heading, unless its notebook has none.
            again = [again_cell(heading)] if heading and "slide_type" not in kept(slide[0]) else []
            slide, kind = [*again, *slide], "subslide" if shown else "slide"
        heading = headings[-1].lstrip("# ") if headings else heading
        for number, cell in enumerate(slide):
            before = slide[number - 1] if number else None
            kind = kind if number == 0 else kind_after(before, cell)
            cell.metadata["slideshow"] = {"slide_type": kind} | kept(cell)
            shown.append(cell)
    return nbformat.v4.new_notebook(cells=shown, metadata=notebook.metadata)


def with_letters(cells: list[NotebookNode]) -> list[NotebookNode]:
    """The cells, and after the code that answers a question the letter of the right option."""
    found = []
    for number, cell in enumerate(cells):
        found.append(cell)
        if (
            cell.cell_type != "code"
            or cells[number + 1 : number + 2]
            and is_code(cells[number + 1])
        ):
            continue
        codes = list(takewhile(is_code, reversed(cells[: number + 1])))
        question = cells[number - len(codes)] if number >= len(codes) else cell
        for letter in right_letters(question) if QUESTION in question.source else []:
            text = f"{WORDS['answer']} **{letter}**"
            found.append(new_markdown_cell(text, metadata={"added": True}))
    return found


def is_code(cell: NotebookNode) -> bool:
    return cell.cell_type == "code"


def again_cell(heading: str) -> NotebookNode:
    """The heading of a section, for a slide that continues it."""
    return new_markdown_cell(f"### {heading}", metadata={"added": True, "tags": ["again"]})


def kept(cell: NotebookNode) -> dict[str, str]:
    """The slide type that somebody set in JupyterLab, if there is one."""
    return dict(cell.metadata.get("slideshow", {}))


def kind_after(before: NotebookNode | None, cell: NotebookNode) -> str:
    """The slide type of a cell that is not the first one of its slide."""
    if cell.metadata.get("added") or (before and "again" in before.metadata.get("tags", [])):
        return "-"
    is_answer = before is not None and what_it_is(before) == "question"
    return "fragment" if what_it_is(cell) == "prose" or is_answer else "-"


def slides(cells: list[NotebookNode]) -> list[list[NotebookNode]]:
    """The cells of each slide."""
    found: list[list[NotebookNode]] = []
    used = 0.0  # on the last slide
    for cell, after in zip(cells, [*cells[1:], None], strict=True):
        what = what_it_is(cell)
        needed = height(cell)
        if what == "prose" and after and is_code(after):
            needed += height(after)  # the cell that it introduces must be visible
        if is_code(cell) and after and after.metadata.get("added"):
            needed += height(after)  # the letter of the right option appears with the output
        after_few = bool(found) and is_short(found[-1])
        if what == "heading" and cell.source.startswith("### "):  # a case can follow its section
            starts = not (after_few and found[-1][0].source.startswith("## "))
        else:
            starts = what == "heading" or what == "question" and not after_few
        if not found or starts or used + needed > LINES:
            found.append([])
            used = 0.0 if what == "heading" else AGAIN
        found[-1].append(cell)
        used += height(cell)
    return joined(found)


def joined(found: list[list[NotebookNode]]) -> list[list[NotebookNode]]:
    """The slides, where a lonely sentence is on the slide before or after it, if it fits there.

    If neither has room, the sentence takes the end of the slide before along.
    """
    result: list[list[NotebookNode]] = []
    waiting: list[NotebookNode] = []  # the lonely sentence that the next slide begins with
    for slide, after in zip(found, [*found[1:], []], strict=True):
        slide, waiting = [*waiting, *slide], []
        follows = after and what_it_is(after[0]) != "heading"
        taken = end_of(result[-1]) if result else []
        if not is_lonely(slide) or any(kept(cell) for cell in slide + after):
            result.append(slide)
        elif result and fits([*result[-1], *slide]):
            result[-1] += slide
        elif follows and fits(slide + after):
            waiting = slide
        elif taken and fits(taken + slide):
            result[-1] = result[-1][: -len(taken)]
            result.append(taken + slide)
        else:
            result.append(slide)
    return result


def fits(slide: list[NotebookNode]) -> bool:
    """Whether cells fit on a slide, with less space below than usual."""
    return full_height(slide) <= LINES + 1.3


def end_of(slide: list[NotebookNode]) -> list[NotebookNode]:
    """The cells at the end of a slide that can start the next one.

    They are the answer to a question, or the last cell with the prose that introduces it. Empty if
    only a few lines of prose would remain.
    """
    start = len(slide) - 1
    questions = [n for n, cell in enumerate(slide) if what_it_is(cell) == "question"]
    if questions:
        start = questions[-1] + 1
    elif is_code(slide[start]) and what_it_is(slide[start - 1]) == "prose":
        start -= 1
    return [] if start < 1 or is_short(slide[:start]) else slide[start:]


def is_short(slide: list[NotebookNode]) -> bool:
    """Whether a slide has only a few lines of prose."""
    return full_height(slide) < FEW and all(what_it_is(c) in ("prose", "heading") for c in slide)


def is_lonely(slide: list[NotebookNode]) -> bool:
    """Whether a slide that continues a section has only a few lines of prose."""
    return is_short(slide) and what_it_is(slide[0]) != "heading"


def full_height(slide: list[NotebookNode]) -> float:
    lines = sum(height(cell) for cell in slide)
    return lines + (0 if what_it_is(slide[0]) == "heading" else AGAIN)


def what_it_is(cell: NotebookNode) -> str:
    if is_code(cell):
        return "code"
    if re.match("#{1,3} ", cell.source):
        return "heading"
    return "question" if cell.source.startswith(QUESTION) else "prose"


def page(path: Path) -> str:
    """The deck of a notebook, as HTML that needs the folder `reveal.js` beside it."""
    return html_of(read(path), path.stem)


def html_of(notebook: NotebookNode, name: str) -> str:
    exporter = SlidesExporter(
        template_name="slides",
        extra_template_basedirs=[str(DOCS)],
        reveal_url_prefix="reveal.js",
        reveal_theme="white",
    )
    # Without the source of the cells that have the tag.
    exporter.register_preprocessor(
        TagRemovePreprocessor(enabled=True, remove_input_tags={HIDDEN}), enabled=True
    )
    resources = {"metadata": {"name": name}}
    text, _ = exporter.from_notebook_node(deck(notebook), resources=resources)
    return text


def index() -> str:
    """A page with a link to each deck, as HTML."""
    links = [
        f'<li><a href="{path.stem}.html">{html.escape(title(path))}</a></li>' for path in NOTEBOOKS
    ]
    page = (DOCS / "slides" / "decks.html").read_text(encoding="utf-8")
    words = {"title": WORDS["slides"], "keys": WORDS["keys"]}
    return page.format(language=LANGUAGE, links="\n".join(links), **words)


def main() -> None:
    shutil.rmtree(BUILT, ignore_errors=True)
    for part in ("dist", "plugin"):
        shutil.copytree(DOCS / "node_modules/reveal.js" / part, BUILT / "reveal.js" / part)
    for path in NOTEBOOKS:
        (BUILT / f"{path.stem}.html").write_text(page(path), encoding="utf-8")
    (BUILT / "index.html").write_text(index(), encoding="utf-8")
    print(f"{len(NOTEBOOKS)} decks: {BUILT / 'index.html'}")


if __name__ == "__main__":
    main()
