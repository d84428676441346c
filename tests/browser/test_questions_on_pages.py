"""A page hides the answer to each question, whatever cells the answer consists of."""

import json

import nbformat
import pytest
from docutils import nodes
from docutils.core import publish_doctree
from myst_nb.docutils_ import Parser
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

import site_extension

QUESTION = "**Predict:** what comes?\n\n- **A** `1`\n- **B** `2`"


def text(source, *tags):
    return new_markdown_cell(source, metadata={"tags": list(tags)})


def code(source, *outputs, tags=()):
    streams = [new_output("stream", text=output) for output in outputs]
    return new_code_cell(source, outputs=streams, metadata={"tags": list(tags)})


def document_of(*cells):
    """The document that Sphinx would write, with the questions boxed and their answers folded."""
    notebook = new_notebook(cells=[text("# 1 · A title"), text("## Section"), *cells])
    settings = {"nb_execution_mode": "off", "doctitle_xform": False, "report_level": 5}
    settings["nb_output_folder"] = ""  # otherwise, a file is written into the current folder
    source = nbformat.writes(notebook)
    document = publish_doctree(source, parser=Parser(), settings_overrides=settings)
    for node in document.findall(nodes.container):
        if node.get("nb_element") == "cell_code":
            node["ids"].append(f"cell-id={json.loads(source)['cells'][node['cell_index']]['id']}")
    site_extension.hide_answers(document, notebook.cells)
    return document


def boxes(document, kind):
    return [box for box in document.findall(nodes.admonition) if kind in box["classes"]]


def outside(document):
    """The text of the page without its folded answers."""
    for answer in boxes(document, "answer"):
        answer.parent.remove(answer)
    return document.astext()


def test_the_output_and_the_explanation_are_folded_and_the_code_stays():
    document = document_of(text(QUESTION, "answer-b"), code("f()", "2"), text("Why.", "answer"))
    (answer,) = boxes(document, "answer")
    assert answer.astext().split() == ["Show", "the", "answer", "Answer:", "B", "2", "Why."]
    assert answer["collapsible"] == "closed"
    left = outside(document)
    assert "f()" in left and "Why." not in left


def test_the_outputs_of_all_cells_after_the_question_are_one_answer():
    document = document_of(text(QUESTION, "answer-a"), code("f()", "out-f"), code("g()", "out-g"))
    (answer,) = boxes(document, "answer")
    assert "out-f" in answer.astext() and "out-g" in answer.astext()
    assert "f()" in outside(document) and "g()" in outside(document)


def test_prose_without_the_tag_is_not_part_of_the_answer():
    document = document_of(text(QUESTION, "answer-a"), code("f()", "2"), text("Next."), code("3"))
    assert "Next." in outside(document)


def test_an_answer_without_output_is_not_folded():
    document = document_of(text(QUESTION, "answer-a"), code("f()"), text("Next."))
    assert boxes(document, "answer") == []
    assert len(boxes(document, "question")) == 1


def test_a_box_has_the_question_with_its_options_and_nothing_before_it():
    document = document_of(text(f"A claim. {QUESTION}", "answer-a"), code("f()", "2"))
    (box,) = boxes(document, "question")
    assert box.astext().split("\n\n")[:2] == ["Predict", "What comes?"]
    assert len(list(box.findall(nodes.list_item))) == 2
    before = box.parent[box.parent.index(box) - 1]
    assert before.astext().strip() == "A claim."


def test_the_anchor_of_a_cell_moves_into_its_answer():
    shown = code("f()", "2")
    document = document_of(text(QUESTION, "answer-a"), shown)
    anchors = [
        i for box in boxes(document, "answer")[0].findall(nodes.container) for i in box["ids"]
    ]
    assert anchors == [f"cell-id={shown.id}"]
    assert (
        sum(f"cell-id={shown.id}" in n.get("ids", []) for n in document.findall(nodes.Element)) == 1
    )


def test_a_question_outside_a_paragraph_is_named():
    with pytest.raises(ValueError, match="what comes.*move it there"):
        document_of(text("- **Predict:** what comes?", "answer-a"), code("f()", "2"))


@pytest.mark.parametrize("options", ["", "\n\n- **A** `1`\n- **B** `2`"])
def test_a_question_needs_no_tag(options):
    document = document_of(text(f"**Predict:** what comes?{options}"), code("f()", "2"))
    (answer,) = boxes(document, "answer")
    assert "Answer:" not in answer.astext() and "2" in answer.astext()


@pytest.mark.parametrize(
    ("docname", "title"),
    [
        ("notebooks/02_saving_for_inference", "2 · Saving for inference"),
        ("notebooks/08_crash_safe_saving", "8 · Crash-safe saving"),
        ("notebooks/exercises/release/11_safe_loading/11_safe_loading", "11 · Safe loading"),
        ("notebooks/errors", None),
        ("TEACHING", None),
    ],
)
def test_titles_in_the_sidebar_come_from_the_names_of_the_files(docname, title):
    assert site_extension.short_title(docname) == title
