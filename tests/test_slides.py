"""Each deck has the cells of its notebook, a question before its answer, and no remote files."""

import re

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

import make_slides
from course import NOTEBOOKS


def kinds(*cells):
    """The slide type of each cell of the deck, and the text of the cell."""
    deck = make_slides.deck(new_notebook(cells=list(cells)))
    return [(cell.metadata.slideshow.slide_type, cell.source) for cell in deck.cells]


def code(source, lines=0):
    outputs = [new_output("stream", text="line\n" * lines)] if lines else []
    return new_code_cell(source, outputs=outputs)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_deck_has_all_cells_of_its_notebook_in_their_order(path):
    notebook = nbformat.read(path, as_version=4)
    deck = make_slides.deck(nbformat.read(path, as_version=4))
    for wanted in ("code", "markdown"):
        there, here = (
            "".join(make_slides.linked(c.source) for c in n.cells if c.cell_type == wanted).split()
            for n in (notebook, deck)
        )
        assert "".join(here) == "".join(there)
    assert deck.cells[0].metadata.slideshow.slide_type == "slide"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_question_is_seen_before_its_answer(path):
    cells = make_slides.deck(nbformat.read(path, as_version=4)).cells
    after_questions = [
        after.metadata.slideshow.slide_type
        for cell, after in zip(cells, cells[1:], strict=False)
        if cell.source.startswith(make_slides.QUESTION)
    ]
    assert after_questions and set(after_questions) <= {"fragment", "subslide"}


def test_a_heading_begins_a_slide_and_its_code_follows_on_it():
    assert kinds(new_markdown_cell("## One\n\nA claim."), code("1 + 1"), code("2 + 2")) == [
        ("slide", "## One\n\nA claim."),
        ("-", "1 + 1"),
        ("-", "2 + 2"),
    ]


def test_prose_that_contains_the_next_heading_is_split_there():
    assert kinds(code("1"), new_markdown_cell("It is one.\n\n## Two\n\nMore.")) == [
        ("subslide", "1"),
        ("fragment", "It is one."),
        ("slide", "## Two\n\nMore."),
    ]


def test_a_question_comes_alone_and_the_next_key_shows_the_answer():
    claim = new_markdown_cell("A claim. **Predict:** what comes?\n\n- **A** `1`\n- **B** `2`")
    assert [kind for kind, _ in kinds(code("0", lines=9), claim, code("1"))] == [
        "subslide",
        "fragment",
        "subslide",
        "fragment",
    ]


def test_cells_that_do_not_fit_move_to_the_next_slide():
    found = kinds(new_markdown_cell("## One"), code("1", lines=15), code("2", lines=15))
    assert [kind for kind, _ in found] == ["slide", "-", "subslide"]


def test_the_space_between_cells_counts():
    """Without the space, the three cells would take 21.5 of the 22 lines."""
    found = kinds(new_markdown_cell("## One"), code("1", lines=9), code("2", lines=7))
    assert [kind for kind, _ in found] == ["slide", "-", "subslide"]


def test_a_slide_type_that_somebody_set_is_kept():
    skipped = code("1 + 1")
    skipped.metadata["slideshow"] = {"slide_type": "skip"}
    assert ("skip", "1 + 1") in kinds(new_markdown_cell("## One"), skipped)


def test_links_lead_to_the_other_decks_or_nowhere():
    text = "[two](02_saving_for_inference.ipynb), [front](../README.md), [torch](https://t.org)"
    assert make_slides.linked(text) == (
        "[two](02_saving_for_inference.html), front, [torch](https://t.org)"
    )


def test_a_page_takes_nothing_from_the_network():
    page = make_slides.page(NOTEBOOKS[0])
    assert re.findall(r"""<(?:script|link|img)[^>]*(?:src|href)=["']https?:""", page) == []
    assert 'src="reveal.js/dist/reveal.js"' in page
    assert "mathjax" not in page.lower() and "require.js" not in page
