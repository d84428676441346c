"""Draw the map of the course: a box for each notebook, and an arrow from each that it builds on.

The titles and the *Builds on* lines of the notebooks define the map. It has two layouts, and the
style of the page shows the one that fits.
"""

import html
import random
import re
import textwrap
from dataclasses import dataclass
from functools import cache
from itertools import combinations, pairwise, permutations
from pathlib import Path

from course import WORDS, opening

USUAL_PATH = 6  # the number of notebooks to read in order


@dataclass(frozen=True)
class Stop:
    """A notebook on the map: its path, its title, and the numbers that it builds on."""

    path: Path
    number: int
    title: str
    builds_on: frozenset[int]


@dataclass(frozen=True)
class Box:
    """The upper left corner and the size of a stop, in pixels."""

    x: float
    y: float
    width: float
    height: float

    @property
    def middle(self) -> float:
        return self.y + self.height / 2


def read(folder: Path) -> dict[int, Stop]:
    """The stops by their numbers."""
    stops = {}
    for path in sorted(folder.glob("*.ipynb")):
        first = opening(path)
        titled = re.match(r"# (\d+) · (.+)", first)
        before = re.search(rf"\*\*{WORDS['builds_on']}:\*\* (.+)", first)
        if not titled or not before:
            raise ValueError(f"{path.name} needs a title and **{WORDS['builds_on']}:** on top.")
        number, title = titled.groups()
        numbers = frozenset(int(n) for n in re.findall(r"\]\((\d+)_\w+\.ipynb", before[1]))
        stops[int(number)] = Stop(path, int(number), title, numbers)
    return stops


def arrows(stops: dict[int, Stop]) -> list[tuple[int, int]]:
    """Pairs (from, to) of what each notebook builds on, without arrows that others imply."""

    @cache
    def all_before(number: int) -> frozenset[int]:
        direct = stops[number].builds_on
        return direct.union(*map(all_before, direct))

    return [
        (start, end)
        for end, stop in stops.items()
        for start in sorted(stop.builds_on)
        if not any(start in all_before(other) for other in stop.builds_on)
    ]


def columns(stops: dict[int, Stop]) -> list[tuple[int | tuple[int, int], ...]]:
    """The stops from left to right by their longest path, ordered so that arrows are short.

    An arrow that crosses a column occupies a place in it, so that no box covers the arrow.
    """

    @cache
    def depth(number: int) -> int:
        return 1 + max(map(depth, stops[number].builds_on), default=-1)

    found: list[list[int | tuple[int, int]]] = [[] for _ in range(1 + max(map(depth, stops)))]
    pairs: list[list[tuple]] = [[] for _ in found]  # from each column to the next
    for number in stops:
        found[depth(number)].append(number)
    for start, end in arrows(stops):
        way = [start, *[(start, end)] * (depth(end) - depth(start) - 1), end]
        for column, (left, right) in enumerate(pairwise(way), start=depth(start)):
            pairs[column].append((left, right))
            if right != end:
                found[column + 1].append(right)

    def cost(order: list[list[int | tuple[int, int]]]) -> tuple[int, float]:
        """How many arrows cross, and how far they go up or down."""
        crossing, far = 0, 0.0
        for joined, (left, right) in zip(pairs, pairwise(order), strict=False):
            steps = [
                (left.index(start) - len(left) / 2, right.index(end) - len(right) / 2)
                for start, end in joined
            ]
            crossing += sum((a - c) * (b - d) < 0 for (a, b), (c, d) in combinations(steps, 2))
            far += sum((a - b) ** 2 for a, b in steps)
        return crossing, far

    # There are too many orders to try all. From several random ones, move single members as long
    # as that helps, and keep the best result.
    generator, results = random.Random(0), []
    for _ in range(20):
        order = [generator.sample(column, len(column)) for column in found]
        lowest, before = cost(order), None
        while lowest != before:
            before = lowest
            for column in order:
                for old, new in permutations(range(len(column)), 2):
                    column.insert(new, column.pop(old))
                    if (trial := cost(order)) < lowest:
                        lowest = trial
                    else:
                        column.insert(old, column.pop(new))
        results.append((lowest, [tuple(column) for column in order]))
    return min(results, key=lambda result: result[0])[1]


def wide(stops: dict[int, Stop]) -> dict[int | tuple[int, int], Box]:
    """The layout with the columns side by side."""
    order = columns(stops)
    middle = max(map(len, order)) / 2
    return {
        who: Box(6 + 160 * column, 6 + 86 * (middle + n - len(order[column]) / 2), 134, 72)
        for column, members in enumerate(order)
        for n, who in enumerate(members)
    }


def narrow(stops: dict[int, Stop]) -> dict[int, Box]:
    """The layout with the stops below each other, each indented from the stops it builds on."""
    depth = {n: k for k, members in enumerate(columns(stops)) for n in members}
    return {
        number: Box(24 + 16 * depth[number], 6 + 54 * row, 330 - 16 * depth[number], 44)
        for row, number in enumerate(stops)
    }


def picture(name: str, stops: dict[int, Stop], boxes: dict, sideways: bool) -> str:
    """One layout as SVG, for a page next to the folder ``notebooks``."""
    width = 6 + max(box.x + box.width for box in boxes.values())
    height = 6 + max(box.y + box.height for box in boxes.values())
    parts = [
        f'<svg class="course-map {name}" viewBox="0 0 {width:g} {height:g}" role="group" '
        f'aria-label="{html.escape(WORDS["map"])}">'
    ]
    for start, end in arrows(stops):
        a, b = boxes[start], boxes[end]
        path = across(a, b, boxes.get((start, end))) if sideways else down(a, b, height)
        x, y = b.x - 6, b.middle
        parts.append(f'<path d="{path}"/><path class="head" d="M{x:g} {y - 4:g}l6 4l-6 4z"/>')
    for number, stop in stops.items():
        box = boxes[number]
        lines = textwrap.wrap(f"{number} · {stop.title}", width=int((box.width - 18) / 6.8))
        first = box.middle + 4.5 - 8 * (len(lines) - 1)
        text = " ".join(
            f'<tspan x="{box.x + 10:g}" y="{first + 16 * n:g}">{html.escape(line)}</tspan>'
            for n, line in enumerate(lines)
        )
        kind = "usual" if number <= USUAL_PATH else "further"
        parts.append(
            f'<a class="{kind}" href="notebooks/{stop.path.stem}.html"><rect x="{box.x:g}" '
            f'y="{box.y:g}" width="{box.width:g}" height="{box.height:g}" rx="6"/>'
            f"<text>{text}</text></a>"
        )
    return "\n".join([*parts, "</svg>"])


def across(a: Box, b: Box, via: Box | None) -> str:
    """The line of an arrow from the right edge of a box to the left edge of another."""
    x, y, line = a.x + a.width, a.middle, f"M{a.x + a.width:g} {a.middle:g}"
    if via:
        line += curve(x, y, via.x, via.middle) + f"H{via.x + via.width:g}"
        x, y = via.x + via.width, via.middle
    return line + curve(x, y, b.x - 5, b.middle)


def down(a: Box, b: Box, height: float) -> str:
    """The line of an arrow between two left edges. Longer arrows run closer to the boxes."""
    x = a.x - 4 - 20 * (1 - min(1, (b.middle - a.middle) / height))
    return f"M{a.x:g} {a.middle:g}C{x:g} {a.middle:g} {x:g} {b.middle:g} {b.x - 5:g} {b.middle:g}"


def curve(x1: float, y1: float, x2: float, y2: float) -> str:
    """The part of a path between two points, horizontal at both."""
    middle = (x1 + x2) / 2
    return f"C{middle:g} {y1:g} {middle:g} {y2:g} {x2:g} {y2:g}"


def draw(folder: Path) -> str:
    """The map of the notebooks in a folder, as HTML."""
    stops = read(folder)
    return "\n".join(
        [
            picture("wide", stops, wide(stops), sideways=True),
            picture("narrow", stops, narrow(stops), sideways=False),
        ]
    )
