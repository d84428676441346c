"""Each deck has the cells of its notebook, a question before its answer, and no remote files."""

import base64
import io
import re

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image

import make_slides
from course import NOTEBOOKS


def kinds(*cells):
    """The slide type of each cell of the deck, and the text of the cell."""
    deck = make_slides.deck(new_notebook(cells=list(cells)))
    return [(cell.metadata.slideshow.slide_type, cell.source) for cell in deck.cells]


def code(source, lines=0, **metadata):
    outputs = [new_output("stream", text="line\n" * lines)] if lines else []
    return new_code_cell(source, outputs=outputs, metadata=metadata)


def question(*tags):
    return new_markdown_cell(
        "**Predict:** what comes?\n\n- **A** `1`\n- **B** `2`", metadata={"tags": list(tags)}
    )


def by_slide(found):
    """The texts of each slide."""
    slides = []
    for kind, text in found:
        if kind in ("slide", "subslide"):
            slides.append([])
        slides[-1].append(text)
    return slides


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_deck_has_all_cells_of_its_notebook_in_their_order(path):
    notebook = nbformat.read(path, as_version=4)
    deck = make_slides.deck(nbformat.read(path, as_version=4))
    for wanted in ("code", "markdown"):
        there, here = (
            "".join(
                make_slides.linked(c.source)
                for c in n.cells
                if c.cell_type == wanted and "added" not in c.metadata
            ).split()
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


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_each_slide_has_a_heading(path):
    cells = make_slides.deck(nbformat.read(path, as_version=4)).cells
    firsts = [c for c in cells if c.metadata.slideshow.slide_type in ("slide", "subslide")]
    assert [c.source[:40] for c in firsts if not re.match("#{1,3} ", c.source)] == []


def test_a_heading_begins_a_slide_and_its_code_follows_on_it():
    assert kinds(new_markdown_cell("## One\n\nA claim."), code("1 + 1"), code("2 + 2")) == [
        ("slide", "## One\n\nA claim."),
        ("-", "1 + 1"),
        ("-", "2 + 2"),
    ]


def test_prose_that_contains_the_next_heading_is_split_there():
    assert kinds(code("1"), new_markdown_cell("It is one.\n\n## Two\n\nMore.")) == [
        ("slide", "1"),
        ("fragment", "It is one."),
        ("slide", "## Two\n\nMore."),
    ]


def test_a_heading_of_the_third_level_begins_a_slide_of_its_section():
    section, case = new_markdown_cell("## One\n\nA claim."), new_markdown_cell("### A case\n\nIt.")
    assert kinds(section, code("1"), case)[-1] == ("subslide", "### A case\n\nIt.")
    in_one_cell = new_markdown_cell("It is.\n\n### A case\n\nIt.")
    assert kinds(section, code("1"), in_one_cell)[-1] == ("subslide", "### A case\n\nIt.")


def test_the_first_case_follows_a_few_lines_of_its_section():
    section, case = new_markdown_cell("## One\n\nA claim."), new_markdown_cell("### A case\n\nIt.")
    assert kinds(section, case) == [("slide", section.source), ("-", case.source)]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_right_letter_is_on_the_slide_of_the_output(path):
    cells = make_slides.deck(nbformat.read(path, as_version=4)).cells
    letters = [n for n, cell in enumerate(cells) if cell.source.startswith("Answer: **")]
    assert letters
    for number in letters:
        assert cells[number].metadata.slideshow.slide_type == "-"
        assert cells[number - 1].cell_type == "code"


def test_a_question_comes_alone_and_the_next_key_shows_the_answer():
    claim = new_markdown_cell("A claim. **Predict:** what comes?\n\n- **A** `1`\n- **B** `2`")
    assert [kind for kind, _ in kinds(code("0", lines=9), claim, code("1"))] == [
        "slide",
        "fragment",
        "subslide",
        "fragment",
    ]


def test_the_right_letter_appears_after_the_answer():
    explained = new_markdown_cell("Two comes.", metadata={"tags": ["answer"]})
    found = kinds(
        new_markdown_cell("## One"), question("answer-b"), code("1"), code("2"), explained
    )
    assert found[2:] == [
        ("fragment", "1"),
        ("-", "2"),
        ("-", "Answer: **B**"),
        ("fragment", "Two comes."),
    ]


def test_a_slide_that_continues_a_section_repeats_its_heading():
    long = new_markdown_cell("## One\n\nA claim.")
    assert by_slide(kinds(long, code("1", lines=15), code("2", lines=15)))[1] == ["### One", "2"]


def test_cells_that_do_not_fit_move_to_the_next_slide():
    found = kinds(new_markdown_cell("## One"), code("1", lines=15), code("2", lines=15))
    assert [kind for kind, _ in found] == ["slide", "-", "subslide", "-"]


@pytest.mark.parametrize("before", [5, 15])
def test_a_lonely_sentence_is_beside_other_cells(before):
    """It joins the slide before it. If that is full, the last cell of that slide comes along."""
    heading = new_markdown_cell("## One")
    codes = [code("1", lines=before), code("2", lines=3)]
    sentence = new_markdown_cell("So it is, and this line is short.")
    joined = make_slides.joined([[heading, *codes], [sentence]])
    assert all(len(slide) > 1 for slide in joined)
    assert [cell for slide in joined for cell in slide] == [heading, *codes, sentence]


def test_a_figure_is_as_wide_as_the_slide_and_never_too_high():
    def figure(width, height):
        file = io.BytesIO()
        Image.new("L", (width, height)).save(file, "PNG")
        return file.getvalue()

    assert make_slides.figure_height(figure(800, 200)) == make_slides.WIDTH / 4
    assert make_slides.figure_height(figure(200, 800)) < make_slides.LINES * make_slides.LINE
    picture = base64.b64encode(figure(800, 200)).decode()
    shown = new_code_cell("plot()", outputs=[new_output("display_data", {"image/png": picture})])
    assert make_slides.height(shown) > 10


def test_plotting_code_takes_no_room_and_is_not_on_the_slide():
    hidden = code("secret()\n" * 30, lines=1, tags=["hide-input"])
    assert make_slides.height(hidden) < 5
    page = make_slides.html_of(new_notebook(cells=[new_markdown_cell("# One"), hidden]), "one")
    assert "secret" not in page and "line" in page


def test_prose_is_on_the_slide_of_the_code_that_it_introduces():
    introduced = [new_markdown_cell("Now two:"), code("2", lines=15)]
    found = by_slide(kinds(new_markdown_cell("## One"), code("1", lines=15), *introduced))
    assert found == [["## One", "1"], ["### One", "Now two:", "2"]]


def test_a_sentence_after_a_full_slide_comes_with_the_last_cell_of_it():
    full = [new_markdown_cell("## One"), code("1", lines=13), code("2", lines=3)]
    sentence = new_markdown_cell("So it is, and this line is short.")
    found = by_slide(kinds(*full, sentence))
    assert found == [["## One", "1"], ["### One", "2", sentence.source]]


def test_a_cell_that_somebody_set_to_continue_stays_on_the_slide():
    continued = code("2", lines=15, slideshow={"slide_type": "-"})
    found = by_slide(kinds(new_markdown_cell("## One"), code("1", lines=15), continued))
    assert found == [["## One", "1", "2"]]


def test_a_slide_type_that_somebody_set_is_kept():
    skipped = code("1 + 1")
    skipped.metadata["slideshow"] = {"slide_type": "skip"}
    assert ("skip", "1 + 1") in kinds(new_markdown_cell("## One"), skipped)


def test_the_index_links_every_deck_with_its_title():
    links = re.findall(r'<a href="(.+?)">(.+?)</a>', make_slides.index())
    assert [href for href, _ in links] == [f"{path.stem}.html" for path in NOTEBOOKS]
    assert links[0][1].startswith("1 · ")


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
