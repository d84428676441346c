"""The rules for every notebook. nbval compares the outputs."""

import base64
import functools
import re
import statistics
from pathlib import Path

from nbformat import NotebookNode

from course import QUESTION, WORDS, opening, read

ORDER = [WORDS["wrong"], WORDS["recap"], WORDS["next"]]
TODO = re.compile(r"TODO\b.*")
SKIPPING = re.compile(r"nbval.?(skip|ignore|check|raises)", re.IGNORECASE)
ADDRESS = re.compile(r"\]\([^)\s]+\)")  # of a link
OPTION = re.compile(r"^- \*\*([A-E])\*\* (.+)$", re.MULTILINE)
# A notebook that is opened without the course fails here. The traceback shows the comment.
INSTALL = """\
# If this fails, install the course: run "make lab" or "pip install -e ." in its folder.
from helpers import workspace

workspace.enter()"""
MACHINE_PATH = re.compile(r"/(home|root|work|tmp|Users|var|private)/|[A-Z]:\\|site-packages")


def problems(path: Path) -> list[str]:
    """The problems of a notebook, each with what to do about it."""
    notebook = read(path)
    cells = notebook.cells
    code = [cell for cell in cells if cell.cell_type == "code"]
    found = [*_text_problems(cells, path), *_length_problems(code), *_question_problems(cells)]
    if code[0].source != INSTALL:
        found.append(f"must begin with this code cell, whose error says what to do:\n{INSTALL}")
    if [cell.execution_count for cell in code] != list(range(1, len(code) + 1)):
        found.append("was not run once from top to bottom: run `make refresh`")
    for number, cell in enumerate(code, start=1):
        found += [f"code cell {number} {problem}" for problem in _cell_problems(cell)]
    # JupyterLab adds language_info to each notebook that it saves. `make format` removes it.
    if set(notebook.metadata) - {"kernelspec", "language_info", "produced"}:
        found.append(f"carries metadata {sorted(notebook.metadata)}: run `make format`")
    if set(notebook.metadata.get("produced", ())) != {"day", "system", "versions"}:
        found.append("does not say which versions produced its outputs: run `make refresh`")
    if path.stat().st_size > 500_000:
        found.append("is larger than 500 kB: make its figures smaller")
    return found


@functools.cache  # the tests call it for each cell
def systems(path: Path) -> list[str]:
    """The operating systems that a notebook runs on: all, unless its first cell lists some."""
    declared = re.search(rf"\*\*{WORDS['systems']}:\*\* (.+)$", opening(path), re.MULTILINE)
    return declared[1].split(", ") if declared else ["Linux", "macOS", "Windows"]


def _text_problems(cells: list[NotebookNode], path: Path) -> list[str]:
    found = []
    text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    first = cells[0].source
    for cell in cells:
        found += [f"still says {todo!r}" for todo in TODO.findall(cell.source)]
    if not re.match(r"# \d+ · \w+", first):
        found.append("does not open with a title such as '# 7 · Do this'")
    if not path.name.startswith(f"{re.sub(r'[^0-9]', '', first.partition('·')[0]):>02}_"):
        found.append("has another number in its title than in its name")
    if promise(first) is None:
        found.append(f"needs a sentence in its first cell that begins {WORDS['at_the_end']!r}")
    aims = re.search(rf"\*\*{WORDS['aims']}\*\*\n\n((?:- .+\n)+)", first)
    if not aims or not 3 <= aims[1].count("\n") <= 5:
        found.append(f"needs three to five aims under '**{WORDS['aims']}**'")
    stated = stated_minutes(first)
    if stated is None or f"**{WORDS['builds_on']}:** " not in first:
        found.append(
            f"does not say how many minutes it takes and what it builds on: its first cell needs "
            f"'**{WORDS['minutes']}:** {minutes(cells)} · **{WORDS['builds_on']}:** …'"
        )
    elif stated != minutes(cells):
        found.append(f"says that it takes {stated} minutes; by its length it is {minutes(cells)}")
    if belief(first) is None:
        found.append(
            f"needs a common misconception in its first cell: '**{WORDS['believed']}:** …'"
        )
    if not class_question(cells):
        found.append(
            f"needs the tag 'class-question' on one cell with **{WORDS['predict']}** and a "
            "question mark: TEACHING.md quotes that question"
        )
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    if headings[-3:] != ORDER:
        found.append(f"must end with the sections {', '.join(ORDER)}; it has {headings[-3:]}")
    recap = text.partition(f"## {ORDER[1]}")[2].partition(f"## {ORDER[2]}")[0]
    wrong = text.partition(f"## {ORDER[0]}\n")[2].partition(f"## {ORDER[1]}")[0]
    if "](errors.md)" not in wrong:
        found.append(f"does not link to errors.md, the index of errors, under {ORDER[0]!r}")
    if not re.search(r"^### ", wrong, re.MULTILINE) or re.search(
        r"^\*\*(?!\w+:)", wrong, re.MULTILINE
    ):
        found.append(f"needs a heading '### …' for each case under {ORDER[0]!r}")
    if aims and recap.count("\n- ") < 3:
        found.append("needs a recap that answers the aims, point by point")
    for target, anchor in re.findall(r"\]\(([^)#\s]*)#?([^)\s]*)\)", text):
        if "://" in target:
            continue
        page = path.parent / target
        if not page.is_file():
            found.append(f"links to {target or '#' + anchor}, which does not exist as a file")
        elif anchor and page.suffix == ".ipynb":
            # On the site, only a code cell has an anchor.
            ids = [f"cell-id={cell.id}" for cell in read(page).cells if cell.cell_type == "code"]
            if anchor not in ids:
                found.append(f"links to #{anchor}: expected #cell-id= and the id of a code cell")
    if not re.search(r"\[[^]]+\]\([^)]+\)", text.partition(f"## {ORDER[2]}")[2]):
        found.append(f"has no link under {ORDER[2]!r}")
    return found


def minutes(cells: list[NotebookNode]) -> int:
    """The time that a reader needs for a notebook, to the nearest five minutes."""
    return 5 * round(exact_minutes(cells) / 5)


def exact_minutes(cells: list[NotebookNode]) -> float:
    """The time that a reader needs for some cells.

    It assumes 120 words a minute, half of the rate for easier prose (Brysbaert, "How many words do
    we read per minute?", 2019, gives 238). Words are counted as letters, because some languages do
    not separate words by spaces. The addresses of links are not counted. It adds five seconds for
    each line of code, including its output, and a minute for each question. Running the cells takes
    seconds, see `make bench`.
    """
    prose = [ADDRESS.sub("]", cell.source) for cell in cells if cell.cell_type == "markdown"]
    letters = sum(len(re.findall(r"\w", text)) for text in prose)
    lines = sum(cell.source.count("\n") + 1 for cell in cells if cell.cell_type == "code")
    questions = sum(text.count(QUESTION) for text in prose)
    return letters / int(WORDS["letters_a_minute"]) + lines / 12 + questions


def stated_minutes(opening: str) -> int | None:
    """The minutes that a first cell states, or None."""
    stated = re.search(rf"\*\*{WORDS['minutes']}:\*\* (\d+)", opening)
    return int(stated[1]) if stated else None


def promise(opening: str) -> str | None:
    """The promise of a first cell, as a clause that begins with a capital letter, or None."""
    promised = re.search(rf"(?<!\w){WORDS['at_the_end']}(\w)(.+)", opening)
    return promised[1].upper() + promised[2] if promised else None


def belief(opening: str) -> str | None:
    """The common misconception that a first cell names, or None."""
    believed = re.search(rf"\*\*{WORDS['believed']}:\*\* (.+)", opening)
    return believed[1] if believed else None


def class_question(cells: list[NotebookNode]) -> str | None:
    """The question of the cell that is tagged `class-question`, up to its last question mark."""
    for cell in cells:
        if "class-question" in cell.metadata.get("tags", []):
            _, _, text = cell.source.partition(QUESTION)
            asked = re.match(r":?\*\*:? ?(.+\?)", text)
            return asked[1][0].upper() + asked[1][1:] if asked else None
    return None


def _question_problems(cells: list[NotebookNode]) -> list[str]:
    """The problems of questions and of their answers, which the site and a learner's copy hide."""
    found = []
    answers = []
    for number, cell in enumerate(cells):
        if cell.cell_type != "markdown" or QUESTION not in cell.source:
            continue
        asked = cell.source.partition(QUESTION)[2].partition("\n")[0][:40]
        if not OPTION.search(cell.source):
            found.append(f"asks {asked!r} without options: offer some, or ask nothing")
        after = [n for n in range(number + 1, len(cells)) if cells[n].cell_type == "markdown"]
        if not after or "answer" not in cells[after[0]].metadata.get("tags", []):
            found.append(f"must answer {asked!r} in a cell tagged 'answer', after the code")
        answers += after[:1]
        drawn = cells[after[0] + 1 : after[0] + 2] if after else []
        if drawn and "hide-input" in drawn[0].metadata.get("tags", []):
            found.append(f"shows the answer to {asked!r} in a figure below it: move the figure up")
    for number, cell in enumerate(cells):
        if "answer" in cell.metadata.get("tags", []) and number not in answers:
            found.append(f"tags {cell.source[:40]!r} as an answer, and no question precedes it")
        if "answer" in cell.metadata.get("tags", []) and cell.source.count("\n\n") > 1:
            found.append(f"has more than an answer in the cell {cell.source[:40]!r}: split it")
    return found


def _length_problems(code: list[NotebookNode]) -> list[str]:
    lengths = [cell.source.count("\n") + 1 for cell in code]
    found = [f"has a code cell of {n} lines: split it" for n in lengths if n > 20]
    if len(lengths) > 9 and statistics.quantiles(lengths, n=10)[-1] > 12:
        found.append("has long code cells: nine of ten should have 12 lines or fewer")
    return found


def _cell_problems(cell: NotebookNode) -> list[str]:
    found = []
    tags = cell.metadata.get("tags", [])
    errors = [output for output in cell.outputs if output.output_type == "error"]
    if errors and "raises-exception" not in tags:
        found.append("ends in an error and is not tagged raises-exception")
    if "raises-exception" in tags and not errors:
        found.append("is tagged raises-exception and raises none")
    if any(SKIPPING.search(text) for text in [cell.source, *tags]):
        found.append("switches a check off: every output is compared here")
    if set(cell.metadata) - {"tags", "alt"}:
        found.append(f"carries metadata {sorted(cell.metadata)}: run `make format`")
    for output in cell.outputs:
        data = output.get("data", {})
        shown = [output.get("text"), output.get("evalue"), data.get("text/plain")]
        shown += output.get("traceback", [])
        if any(MACHINE_PATH.search(text) for text in shown if text):
            found.append("shows a path of the machine that it ran on")
        if png := data.get("image/png"):
            if "hide-input" not in tags:
                found.append("draws a figure and is not tagged hide-input, as plotting code is")
            shown_alt = output.metadata.get("image/png", {}).get("alt")
            if not cell.metadata.get("alt"):
                found.append("has a figure, and no `alt` in its metadata: describe the figure")
            elif shown_alt != cell.metadata.alt:
                found.append("has a figure with another alt text: run `make refresh`")
            if len(base64.b64decode(png)) > 40_000:
                found.append("has a figure of more than 40 kB")
    return found
