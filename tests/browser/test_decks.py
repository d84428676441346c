"""A teacher can walk through each deck of `make slides` with one key."""

import re

import pytest

from conftest import Watch
from course import NOTEBOOKS

# The content of the visible slide, and how far it extends below the slide's lower edge.
SHOWN = """() => {
  const slide = Reveal.getCurrentSlide(), scale = Reveal.getScale();
  const bottom = slide.getBoundingClientRect().top + slide.scrollHeight * scale;
  const images = [...slide.querySelectorAll("img")];
  return {
    last: Reveal.isLastSlide() && !Reveal.availableFragments().next,
    text: slide.innerText,
    over: Math.round(bottom - window.innerHeight),
    broken: images.filter((image) => !image.complete || !image.naturalWidth).length,
    small: images.filter((image) => image.clientWidth < 0.9 * slide.clientWidth).length,
  };
}"""


# A click returns before the next page has loaded its scripts: until then `Reveal` has no value.
READY = "typeof Reveal !== 'undefined' && Reveal.isReady()"


@pytest.fixture(scope="module")
def tab(browser, decks):
    page = browser.new_page(viewport={"width": 1280, "height": 800}, reduced_motion="reduce")
    yield page, Watch(page, decks)
    page.close()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_one_key_leads_through_a_deck_to_its_end(tab, decks, path):
    page, watch = tab
    watch.problems.clear()
    page.goto(f"{decks}/{path.stem}.html")
    page.wait_for_function(READY)
    seen, over = [], []
    for _ in range(400):
        shown = page.evaluate(SHOWN)
        assert not shown["broken"] and not shown["small"]
        seen.append(shown["text"])
        if shown["over"] > 12:  # the margin below the last line
            over.append(shown["text"])
        if shown["last"]:
            break
        page.keyboard.press("Space")
    assert re.search(r"^Where next$", "\n".join(seen[-3:]), re.MULTILINE)
    assert over == []
    assert watch.problems == []


def test_the_index_leads_to_each_deck(tab, decks):
    page, watch = tab
    watch.problems.clear()
    page.goto(f"{decks}/index.html")
    links = page.get_by_role("link")
    assert links.count() == len(NOTEBOOKS)
    links.last.click()
    page.wait_for_function(READY)
    assert page.url.split("#")[0].endswith(f"/{NOTEBOOKS[-1].stem}.html")
    assert watch.problems == []
