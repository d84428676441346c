"""Write the parts of README.md and TEACHING.md that come from the notebooks: ``make refresh``.

These are the tables of notebooks, the version of torch that produced the outputs, and a figure.
Each part is between two marks, such as ``<!-- from the notebooks: table -->`` and
``<!-- end: table -->``. Everything between the marks is overwritten.
"""

import base64
import re
import sys
from collections.abc import Callable
from pathlib import Path

from course import EXERCISES, NOTEBOOKS, ROOT, opening, read, stored_torch
from notebook_rules import belief, class_question, promise, stated_minutes

FIGURE_OF = ROOT / "notebooks" / "04_checkpoints.ipynb"
MINUTES_A_POINT = 3  # an estimate: nobody has measured it
PICTURE = ROOT / ".github" / "loss-of-three-runs.png"


def figure() -> tuple[bytes, str]:
    """The first figure of a notebook, as a PNG, and its alt text."""
    for cell in read(FIGURE_OF).cells:
        for output in cell.get("outputs", []):
            if png := output.get("data", {}).get("image/png"):
                return base64.b64decode(png), cell.metadata.alt
    raise ValueError(f"{FIGURE_OF.name} has no figure: expected one for the README.")


def link(path: Path, text: str) -> str:
    return f"[{text}]({path.relative_to(ROOT).as_posix()})"


def say(path: Path, what: str, found: object) -> str:
    """The value as text. Raises ValueError, which says what is missing and where, if it is None."""
    if found is None:
        raise ValueError(f"{path.name} has no {what}: `make test` says what is expected.")
    return str(found).replace("|", "\\|")


def title(path: Path) -> str:
    """The title of a notebook, with its number."""
    named = re.match(r"# (\d+ · .+)", opening(path))
    return say(path, "title with a number", named and named[1])


def points(path: Path, exercises: int | None = None) -> int:
    """The sum of the points of a notebook's exercises, or of the first few of them."""
    source = EXERCISES / "source" / path.stem / path.name
    if not source.exists():
        raise ValueError(f"{path.name} has no exercises: expected {source.relative_to(ROOT)}.")
    of: dict[str, int] = {}
    for cell in read(source).cells:
        about = cell.metadata.get("nbgrader", {})
        if worth := about.get("points"):
            exercise = re.sub("-(check|hidden)$", "", about["grade_id"])
            of[exercise] = of.get(exercise, 0) + worth
    return sum(list(of.values())[:exercises])


def table() -> str:
    """The notebooks, what a reader can do afterwards, and the minutes."""
    lines = ["| notebook | afterwards | minutes |", "| --- | --- | --- |"]
    for path in NOTEBOOKS:
        first = opening(path)
        promised = say(path, "promise", promise(first)).rstrip(".")
        minutes = say(path, "minutes", stated_minutes(first))
        lines.append(f"| {link(path, title(path))} | {promised} | {minutes} |")
    return "\n".join(lines)


def beliefs() -> str:
    """The notebooks with their minutes, points, misconception and question."""
    lines = ["| notebook | minutes | points | what people believe | a question for the class |"]
    lines.append("| --- | --- | --- | --- | --- |")
    for path in NOTEBOOKS:
        cells = read(path).cells
        first = cells[0].source
        columns = [
            link(path, title(path)),
            say(path, "minutes", stated_minutes(first)),
            str(points(path)),
            say(path, "belief", belief(first)),
            say(path, "question for the class", class_question(cells)),
        ]
        lines.append(f"| {' | '.join(columns)} |")
    return "\n".join(lines)


def hours() -> str:
    """The hours that the notebooks take, and those of the exercises."""
    minutes = [stated_minutes(opening(path)) or 0 for path in NOTEBOOKS]
    exercises = sum(points(path) for path in NOTEBOOKS) * MINUTES_A_POINT
    return (
        f"Reading all {len(NOTEBOOKS)} notebooks takes about {in_hours(sum(minutes))}, and the "
        f"first six about {in_hours(sum(minutes[:6]))}. The exercises add about "
        f"{in_hours(exercises)}, at {MINUTES_A_POINT} minutes for each point. These are "
        "[estimates](TEACHING.md#three-plans)."
    )


def in_hours(minutes: float) -> str:
    """A time in hours, to the nearest half hour."""
    return f"{round(minutes / 30) / 2:g} hours"


def torch_line() -> str:
    return f"Stored outputs come from torch {stored_torch()} on a CPU."


def figure_line() -> str:
    _, alt = figure()
    return f"![{alt}]({PICTURE.relative_to(ROOT).as_posix()})"


PARTS: dict[str, dict[str, Callable[[], str]]] = {
    "README.md": {"table": table, "figure": figure_line, "torch": torch_line, "hours": hours},
    "TEACHING.md": {"table": beliefs},
}


def written(page: str, text: str) -> str:
    """The text of a page with its generated parts up to date.

    Raises:
        ValueError: A pair of marks is missing, or a notebook lacks a part that the page needs.
    """
    for name, make in PARTS[page].items():
        begin, end = f"<!-- from the notebooks: {name} -->", f"<!-- end: {name} -->"
        if text.count(begin) != 1 or text.count(end) != 1:
            raise ValueError(f"{page} must have the lines {begin} and {end} once each.")
        before, _, rest = text.partition(begin)
        _, _, after = rest.partition(end)
        text = f"{before}{begin}\n{make()}\n{end}{after}"
    return text


def main() -> None:
    for page in PARTS:
        path = ROOT / page
        try:
            text = written(page, path.read_text(encoding="utf-8"))
        except ValueError as error:
            sys.exit(str(error))
        path.write_text(text, encoding="utf-8")
    PICTURE.write_bytes(figure()[0])


if __name__ == "__main__":
    main()
