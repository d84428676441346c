"""The map on the site's front page shows the *Builds on* lines of the notebooks."""

import re
from itertools import combinations
from xml.etree import ElementTree

import pytest

import course_map
from course import NOTEBOOKS, ROOT

STOPS = course_map.read(ROOT / "notebooks")
ARROWS = course_map.arrows(STOPS)


def all_before(number, steps):
    direct = {start for start, end in steps if end == number}
    return direct.union(*(all_before(start, steps) for start in direct))


def test_every_notebook_is_on_the_map():
    assert [stop.path for stop in STOPS.values()] == NOTEBOOKS


@pytest.mark.parametrize("number", STOPS)
def test_arrows_lead_to_a_notebook_from_everything_it_builds_on(number):
    said = [(start, stop.number) for stop in STOPS.values() for start in stop.builds_on]
    assert all_before(number, ARROWS) == all_before(number, said)


def test_no_arrow_is_implied_by_others():
    for arrow in ARROWS:
        others = [other for other in ARROWS if other != arrow]
        assert arrow[0] not in all_before(arrow[1], others)


@pytest.mark.parametrize("layout", [course_map.wide, course_map.narrow])
def test_no_box_covers_another_box_or_an_arrow(layout):
    boxes = layout(STOPS).values()
    for a, b in combinations(boxes, 2):
        apart_sideways = a.x + a.width <= b.x or b.x + b.width <= a.x
        assert apart_sideways or a.y + a.height <= b.y or b.y + b.height <= a.y


def test_the_picture_is_well_formed_and_its_arrows_lead_onwards():
    wide, narrow = re.findall(r"<svg.*?</svg>", course_map.draw(ROOT / "notebooks"), re.DOTALL)
    for text in (wide, narrow):
        picture = ElementTree.fromstring(text)
        assert len(picture.findall("a")) == len(STOPS)
        heads = [path for path in picture.findall("path") if path.get("class") == "head"]
        assert len(heads) == len(ARROWS)
    assert all(STOPS[start].number < end for start, end in ARROWS)
