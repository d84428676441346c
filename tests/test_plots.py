import base64
import io
import math
from types import ModuleType

import matplotlib
import matplotlib.pyplot as plt
import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from matplotlib.colors import to_hex
from PIL import Image

from helpers import plots

matplotlib.use("Agg")


@pytest.fixture(autouse=True)
def no_figure_is_left_open():
    yield
    left = plt.get_fignums()
    plt.close("all")
    assert not left


@pytest.fixture
def shell(tmp_path, monkeypatch):
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    monkeypatch.setattr("IPython.core.history.HistoryManager.enabled", False)
    yield InteractiveShell.instance(user_module=ModuleType("notebook"))
    InteractiveShell.clear_instance()


@pytest.fixture
def drawn(monkeypatch):
    """The figures that were shown."""
    figures = []
    monkeypatch.setattr(plots, "show", lambda drawing, digits=2: figures.append(drawing))
    yield figures
    for drawing in figures:
        plt.close(drawing)


def test_a_figure_has_its_axes_row_by_row():
    drawing, axes = plots.figure(columns=3, rows=2, width=5, height=4)
    assert [
        (a.get_subplotspec().rowspan.start, a.get_subplotspec().colspan.start) for a in axes
    ] == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]
    assert tuple(drawing.get_size_inches()) == (5, 4)
    plt.close(drawing)


def test_a_shown_figure_is_a_small_png_and_its_numbers(shell):
    drawing, (axes,) = plots.figure()
    axes.plot([1, 3, 2], label="kept")
    with capture_output() as captured:
        plots.show(drawing)
    (output,) = captured.outputs
    assert set(output.data) == {"image/png", "text/plain"}
    numbers = "A figure.\nkept: 3 points, first 1.0, last 2.0, from 1.0 to 3.0"
    assert output.data["text/plain"] == numbers
    png = base64.b64decode(output.data["image/png"])
    assert len(png) < 40_000
    picture = Image.open(io.BytesIO(png))
    assert picture.format == "PNG"
    assert picture.width > output.metadata["image/png"]["width"]  # sharp on every screen


def test_a_shown_figure_is_closed(shell):
    drawing, _ = plots.figure()
    with capture_output():
        plots.show(drawing)
    assert not plt.fignum_exists(drawing.number)


def test_the_styles_end_with_the_figure():
    before = dict(matplotlib.rcParams)
    drawing, _ = plots.figure()
    plt.close(drawing)
    assert dict(matplotlib.rcParams) == before


def test_bars_draw_one_bar_for_each_name_the_first_on_top(drawn):
    plots.bars({"SGD": 1200, "Adam": 3600.4}, "kB")
    (axes,) = drawn[0].axes
    assert [bar.get_width() for bar in axes.patches] == [1200, 3600.4]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["SGD", "Adam"]
    assert axes.yaxis_inverted()
    assert axes.get_xlabel() == "kB"


def test_each_bar_has_its_number_beside_it(drawn):
    plots.bars({"SGD": 1200, "Adam": 3600.4}, "kB")
    plots.bars({"SGD": 0.251}, "share", number="{:.1%}")
    numbers = [[text.get_text() for text in figure.axes[0].texts] for figure in drawn]
    assert numbers == [["1,200", "3,600"], ["25.1%"]]


def test_curves_draw_one_named_line_for_each_series(drawn):
    series = {"kept": [(0, 2.0), (1, 1.0)], "resumed": [(1, 1.0), (2, 0.5)]}
    plots.curves(series, "epoch", "loss")
    (axes,) = drawn[0].axes
    lines = {line.get_label(): list(zip(*line.get_data(), strict=True)) for line in axes.lines}
    assert lines == series
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["kept", "resumed"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("epoch", "loss")


def test_the_legend_of_curves_is_above_all_of_them(drawn):
    everywhere = [(x, y) for x in range(10) for y in (0, 1)]
    plots.curves({"a": everywhere, "b": everywhere, "c": everywhere}, "x", "y")
    (axes,) = drawn[0].axes
    drawn[0].draw_without_rendering()
    legend = axes.get_legend().get_window_extent()
    assert legend.y0 >= axes.get_window_extent().y1
    assert drawn[0].bbox.x0 <= legend.x0 and legend.x1 <= drawn[0].bbox.x1


def test_the_first_curve_can_be_seen_beneath_another(drawn):
    plots.curves({"a": [(0, 0)], "b": [(0, 0)]}, "x", "y")
    below, above = drawn[0].axes[0].lines
    assert below.get_linewidth() > above.get_linewidth()
    assert below.get_color() != above.get_color()


def test_a_mark_is_an_upright_line_with_a_word(drawn):
    plots.curves({"a": [(0, 0), (4, 1)]}, "x", "y", mark=(3, "resumed here"))
    (axes,) = drawn[0].axes
    assert list(axes.lines[-1].get_xdata()) == [3, 3]
    assert [text.get_text() for text in axes.texts] == ["resumed here"]


def test_bars_and_curves_are_shown(shell):
    with capture_output() as captured:
        plots.bars({"a": 1}, "x")
        plots.curves({"a": [(0, 0), (1, 1)]}, "x", "y")
    assert [output.data["text/plain"] for output in captured.outputs] == [
        "A figure.\n1 bars, to a 1.0",
        "A figure.\na: 2 points, first 0.0, last 1.0, from 0.0 to 1.0",
    ]


# ---- the numbers that are compared --------------------------------------------------------------


def numbers_of(draw, digits=2):
    drawing, (axes,) = plots.figure()
    draw(axes)
    text = plots.in_numbers(drawing, digits)
    plt.close(drawing)
    return text.splitlines()[1:]


@pytest.mark.parametrize(
    "draw, other",
    [
        (lambda a: a.plot([1, 2], label="x"), lambda a: a.plot([1, 2.2], label="x")),
        (lambda a: a.plot([1, 2], label="x"), lambda a: a.plot([1, 2], label="y")),
        (lambda a: a.plot([1, 5, 2], label="x"), lambda a: a.plot([1, 3, 2], label="x")),
        (lambda a: a.plot([1, 1, 2], label="x"), lambda a: a.plot([1, 2], label="x")),
        (lambda a: a.barh("ab", [1, 2]), lambda a: a.barh("ab", [2, 1])),
        (lambda a: a.imshow([[0, 1]]), lambda a: a.imshow([[0, 0]])),
    ],
    ids=["last", "name", "highest", "how many", "bars", "picture"],
)
def test_another_figure_has_other_numbers(draw, other):
    assert numbers_of(draw) == numbers_of(draw) != numbers_of(other)


@pytest.mark.parametrize(
    "values, digits, expected",
    [
        ([48000.4, 6], 2, "48,000 · 0"),
        ([1.996, 0.004, 1.04], 2, "2.0 · 0.0 · 1.0"),
        ([1.996, 0.3, 1.04], 1, "2 · 0 · 1"),
        ([0.0312, -0.0001], 2, "0.031 · 0.000"),
        ([0.0], 2, "0"),
    ],
)
def test_numbers_are_rounded_by_the_largest(values, digits, expected):
    bars = [str(place) for place in range(len(values))]
    (line,) = numbers_of(lambda axes: axes.barh(bars, values), digits)
    named = [f"{bar} {end}" for bar, end in zip(bars, expected.split(" · "), strict=True)]
    assert line == f"{len(values)} bars, to {' · '.join(named)}"


def test_several_bars_in_a_row_have_no_names():
    def draw(axes):
        axes.barh("a", [2])
        axes.barh("a", [3], left=2)

    assert numbers_of(draw) == ["2 bars, to 2.0 · 5.0"]


@pytest.mark.parametrize("values", [[math.nan, 1, 3, math.inf], [1, 3]])
def test_values_that_are_not_numbers_are_left_out(values):
    expected = "x: 2 points, first 1.0, last 3.0, from 1.0 to 3.0"
    assert numbers_of(lambda axes: axes.plot(values, label="x")) == [expected]


def test_a_line_of_no_numbers_is_left_out():
    assert numbers_of(lambda axes: axes.plot([math.nan], label="x")) == []


def test_lines_that_have_no_name_are_not_counted():
    assert numbers_of(lambda axes: axes.axhline(1)) == []


def test_axes_have_the_courses_colours_and_no_box():
    drawing, (axes,) = plots.figure()
    lines = axes.plot([[0] * len(plots.PALETTE)] * 2)
    assert tuple(to_hex(line.get_color()).upper() for line in lines) == plots.PALETTE
    assert not axes.spines["top"].get_visible()
    assert not axes.spines["right"].get_visible()
    plt.close(drawing)


def test_a_legend_has_no_frame_and_an_image_is_grey(drawn):
    plots.curves({"a": [(0, 0), (1, 1)]}, "x", "y")
    (axes,) = drawn[0].axes
    assert not axes.get_legend().get_frame_on()
    assert axes.imshow([[0, 1]]).cmap.name == "gray_r"


def test_a_byte_map_has_a_line_for_64_bytes_in_the_colours_of_their_kinds(drawn):
    kinds = ["a"] * 100 + ["b"] * 30
    plots.byte_map(kinds, {"a": plots.BLUE, "b": plots.ORANGE}, {"end": 129})
    (axes,) = drawn[0].axes
    picture = axes.images[0].get_array()
    assert picture.shape == (3, 64, 3)
    assert to_hex(picture[1, 35]).upper() == plots.BLUE
    assert to_hex(picture[1, 36]).upper() == plots.ORANGE
    assert to_hex(picture[2, 2]) == "#ffffff"  # beyond the file
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["a", "b"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["end"]
    assert list(axes.get_yticks()) == [2]
