"""Figures in one style, with one palette, small files, and their numbers as text for the tests."""

import base64
import io
import math
from collections.abc import Iterable, Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from IPython.display import display
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

# The palette of Okabe and Ito, safe for colour-blind readers: https://jfly.uni-koeln.de/color/
BLUE, ORANGE, GREEN, PINK, GREY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#777777"
PALE = "#E5E5E5"  # for background parts
PALETTE = (BLUE, ORANGE, GREEN, PINK, GREY)
DPI = 144  # shown at half size, so that it is sharp on screens of high resolution

plt.rcParams |= {
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.prop_cycle": plt.cycler(color=PALETTE),
    "figure.dpi": DPI,
    "figure.facecolor": "white",
    "font.size": 9,
    "image.cmap": "gray_r",
    "legend.frameon": False,
}


def figure(
    columns: int = 1, rows: int = 1, width: float = 6.4, height: float = 2.8
) -> tuple[Figure, list[Axes]]:
    """Return an empty figure and its axes, row by row. Sizes are in inches."""
    drawing = plt.figure(figsize=(width, height), layout="constrained")
    return drawing, [drawing.add_subplot(rows, columns, i + 1) for i in range(rows * columns)]


def show(drawing: Figure, digits: int = 2) -> None:
    """Show a figure in the notebook and close it.

    The plain text of the output contains numbers computed from the plotted data, see
    ``in_numbers``. The tests compare this text, because pixels differ between machines. The alt
    text is in the cell's metadata, under ``alt``. ``make refresh`` copies it next to the picture,
    where converters to HTML look for it.
    """
    drawn, png = io.BytesIO(), io.BytesIO()
    drawing.savefig(drawn, format="png", dpi=DPI)
    plt.close(drawing)
    # 64 colours are enough for lines and letters, and reduce the file to a third.
    Image.open(drawn).convert("RGB").quantize(64).save(png, "PNG", optimize=True)
    data = {
        "image/png": base64.b64encode(png.getvalue()).decode(),
        "text/plain": in_numbers(drawing, digits),
    }
    width = round(drawing.get_figwidth() * 100)
    display(data, raw=True, metadata={"image/png": {"width": width}})


def in_numbers(drawing: Figure, digits: int = 2) -> str:
    """Describe a figure: one line of text for each curve, group of bars and picture.

    Numbers are rounded to the ``digits``-th digit of the largest number. Use fewer digits for
    measurements than for computed values. NaN and infinity are left out.
    """
    lines = ["A figure."]
    for axes in drawing.axes:
        for line in axes.lines:
            values = np.asarray(line.get_ydata(), float)
            values = values[np.isfinite(values)]
            if len(values) and not str(line.get_label()).startswith("_"):
                chosen = [values[0], values[-1], values.min(), values.max()]
                first, last, low, high = _rounded(chosen, digits)
                text = f"{len(values)} points, first {first}, last {last}, from {low} to {high}"
                lines.append(f"{line.get_label()}: {text}")
        bars = [patch for patch in axes.patches if isinstance(patch, Rectangle)]
        if bars:
            ends = _rounded([bar.get_x() + bar.get_width() for bar in bars], digits)
            names = [label.get_text() for label in axes.get_yticklabels()]
            named = dict(zip(names, ends, strict=True)) if len(names) == len(ends) else {}
            shown = [f"{name} {end}" for name, end in named.items()] or ends
            lines.append(f"{len(bars)} bars, to {' · '.join(shown)}")
        for image in axes.images:
            pixels = np.asarray(image.get_array(), float)
            (mean,) = _rounded([pixels.mean()], digits)
            lines.append(f"picture of {pixels.shape[0]} x {pixels.shape[1]}, mean {mean}")
    return "\n".join(lines)


def _rounded(numbers: Iterable[float], digits: int) -> list[str]:
    values = [float(number) for number in numbers]
    largest = max(map(abs, values))
    places = digits - 1 - math.floor(math.log10(largest)) if largest else 0
    # Adding zero makes a negative zero positive.
    return [f"{round(value, places) + 0.0:,.{max(places, 0)}f}" for value in values]


def bars(
    values: Mapping[str, float], xlabel: str, number: str = "{:,.0f}", digits: int = 2
) -> None:
    """Draw one horizontal bar for each name, the first on top, labelled with its number."""
    drawing, (axes,) = figure(height=0.5 + 0.28 * len(values))
    drawn = axes.barh(list(values), list(values.values()), color=BLUE)
    axes.bar_label(drawn, labels=[number.format(v) for v in values.values()], padding=3)
    axes.invert_yaxis()
    axes.margins(x=0.12)
    axes.set_xlabel(xlabel)
    axes.locator_params(axis="x", integer=True)
    axes.xaxis.set_major_formatter("{x:,.0f}")
    show(drawing, digits)


def curves(
    series: Mapping[str, Sequence[tuple[float, float]]],
    xlabel: str,
    ylabel: str,
    mark: tuple[float, str] | None = None,
    digits: int = 2,
) -> None:
    """Draw one line through ``(x, y)`` points for each name, and a labelled vertical ``mark``.

    The first line is wide and pale, so that a line on top of it remains visible.
    """
    drawing, (axes,) = figure()
    for i, (name, points) in enumerate(series.items()):
        x, y = zip(*points, strict=True)
        (line,) = axes.plot(x, y, label=name, color=PALETTE[i], linewidth=1.5)
        if i == 0:
            line.set(linewidth=6, alpha=0.3)
    if mark:
        axes.axvline(mark[0], color=GREY, linewidth=1, linestyle=":")
        axes.annotate(
            mark[1],
            (mark[0], 1),
            xycoords=("data", "axes fraction"),
            xytext=(-4, -10),
            ha="right",
            textcoords="offset points",
            color=GREY,
        )
    axes.set(xlabel=xlabel, ylabel=ylabel)
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=len(series))  # above all curves
    show(drawing, digits)


def byte_map(kinds: Sequence[str], colours: Mapping[str, str], marks: Mapping[str, int]) -> None:
    """Draw a file as lines of 64 bytes, each byte in the colour of its kind.

    ``kinds`` has one kind for each byte of the file. ``marks`` maps labels to offsets.
    """
    cells = [to_rgb(colours[kind]) for kind in kinds] + [(1, 1, 1)] * (-len(kinds) % 64)
    lines = [cells[start : start + 64] for start in range(0, len(cells), 64)]
    drawing, (axes,) = figure(height=0.6 + len(lines) * 0.08)
    axes.imshow(lines, aspect="auto")
    for kind, colour in colours.items():
        axes.plot([], [], "s", color=colour, label=kind)
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
    axes.set_yticks([offset // 64 for offset in marks.values()], marks)
    axes.set_xlabel("byte within a line of 64")
    show(drawing)
