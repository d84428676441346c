"""A notebook with a mistake fails the checks."""

import shutil
import subprocess
import sys

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from course import NOTEBOOKS, ROOT
from notebook_rules import minutes, problems


def stored(source, text=None, **metadata):
    outputs = [new_output("execute_result", {"text/plain": text})] if text else []
    return new_code_cell(source, execution_count=1, outputs=outputs, metadata=metadata)


def error(name, value):
    cell = new_code_cell(f"raise {name}({value!r})", execution_count=1)
    cell.outputs = [new_output("error", ename=name, evalue=value, traceback=[f"{name}: {value}"])]
    return cell


def tagged(cell):
    cell.metadata["tags"] = ["raises-exception"]
    return cell


def changed_text(cell):
    cell.outputs[0].evalue = "this text was true once"
    return cell


CASES = {  # name: (cell, whether the checks pass)
    "true": (stored("1 + 1", "2"), True),
    "drifted": (stored("1 + 1", "3"), False),
    "no output stored": (stored("1 + 1"), False),
    "untagged error": (error("ValueError", "no"), False),
    "tagged error": (tagged(error("ValueError", "no")), True),
    "other error text": (changed_text(tagged(error("ValueError", "no"))), False),
    "tag without error": (tagged(stored("x = 1")), True),  # caught by problems, below
}


def test_nbval_passes_correct_outputs_and_fails_others(tmp_path):
    cells = [cell for cell, _ in CASES.values()]
    nbformat.write(new_notebook(cells=cells), tmp_path / "cases.ipynb")
    configuration = ["-c", str(ROOT / "pyproject.toml"), "--rootdir", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *configuration, "-n0", "-rA", "-q", "cases.ipynb"],
        cwd=tmp_path,
        capture_output=True,
        encoding="utf-8",
    )
    assert done.returncode == 1
    for number, (name, (_, content)) in enumerate(CASES.items()):
        assert f"{'PASSED' if content else 'FAILED'} cases.ipynb::Cell {number}" in done.stdout, (
            name
        )


@pytest.fixture
def spoil(tmp_path):
    """A function that changes a copy of a good notebook and returns the problems of the copy."""

    def change(edit, forgotten=None):
        shutil.copytree(ROOT / "notebooks", tmp_path / "notebooks")
        (tmp_path / "README.md").touch()
        path = tmp_path / "notebooks" / NOTEBOOKS[0].name
        assert problems(path) == []
        notebook = nbformat.read(path, as_version=4)
        edit([c for c in notebook.cells if c.cell_type == "code"], notebook.cells)
        notebook.metadata.pop(forgotten, None)
        nbformat.write(notebook, path)
        return "; ".join(problems(path))

    return change


def test_a_notebook_that_was_not_run_in_order_fails(spoil):
    def edit(code, cells):
        code[2].execution_count, code[3].execution_count = 4, 3

    assert "not run once from top to bottom" in spoil(edit)


def test_a_cell_that_was_never_run_fails(spoil):
    def edit(code, cells):
        code[-1].execution_count = None

    assert "not run once from top to bottom" in spoil(edit)


def test_outputs_without_provenance_fail(spoil):
    def edit(code, cells):
        pass

    problem = "does not say which versions produced its outputs"
    assert problem in spoil(edit, forgotten="produced")


def test_a_notebook_that_jupyterlab_saved_passes(tmp_path):
    path = tmp_path / "notebooks" / NOTEBOOKS[0].name
    shutil.copytree(ROOT / "notebooks", path.parent)
    (tmp_path / "README.md").touch()
    notebook = nbformat.read(path, as_version=4)
    notebook.metadata.language_info = {"name": "python", "version": "3.11.7"}
    notebook.metadata.kernelspec.display_name = "Python 3 (ipykernel)"
    nbformat.write(notebook, path)
    assert problems(path) == []


def test_unknown_metadata_of_a_notebook_fails(spoil):
    def edit(code, cells):
        code[0].metadata["collapsed"] = True

    assert "carries metadata ['collapsed']: run `make format`" in spoil(edit)


def test_an_untagged_error_fails(spoil):
    def edit(code, cells):
        for cell in code:
            cell.metadata.pop("tags", None)

    assert "not tagged raises-exception" in spoil(edit)


def test_a_tag_without_an_error_fails(spoil):
    def edit(code, cells):
        code[0].metadata["tags"] = ["raises-exception"]

    assert "is tagged raises-exception and raises none" in spoil(edit)


@pytest.mark.parametrize("how", ["tag", "comment"])
def test_a_skipped_cell_fails(spoil, how):
    def edit(code, cells):
        if how == "tag":
            code[0].metadata["tags"] = ["nbval-ignore-output"]
        else:
            code[0].source = "# NBVAL_SKIP\n" + code[0].source

    assert "switches a check off" in spoil(edit)


def test_a_dead_link_fails(spoil):
    def edit(code, cells):
        cells[1].source += " See [there](no_such_page.md)."

    assert "links to no_such_page.md, which does not exist as a file" in spoil(edit)


@pytest.mark.parametrize("page", ["", NOTEBOOKS[0].name, NOTEBOOKS[1].name])
def test_a_link_to_a_heading_fails(spoil, page):
    """JupyterLab and the site name a heading differently. Both know the id of a cell."""

    def edit(code, cells):
        good = f"[here]({NOTEBOOKS[0].name}#cell-id={code[0].id})"
        cells[1].source += f" See [there]({page}#Recap), not {good}."

    found = spoil(edit)
    assert "links to #Recap" in found and "cell-id" not in found.replace("expected #cell-id=", "")


@pytest.mark.parametrize(
    ("alt", "problem"), [(None, "no `alt` in its metadata"), ("Other bars.", "another alt text")]
)
def test_a_figure_without_its_alt_text_fails(spoil, alt, problem):
    def edit(code, cells):
        figure = next(c for c in code if "alt" in c.metadata)
        del figure.metadata["alt"]
        if alt:
            figure.metadata["alt"] = alt

    assert problem in spoil(edit)


def test_a_notebook_without_a_question_for_the_class_fails(spoil):
    def edit(code, cells):
        for cell in cells:
            if "class-question" in cell.metadata.get("tags", []):
                cell.metadata.tags.remove("class-question")

    assert "needs the tag 'class-question'" in spoil(edit)


def question(cells):
    """The number of the first cell with a question."""
    return next(n for n, cell in enumerate(cells) if "**Predict:**" in cell.source)


def test_a_question_without_options_fails(spoil):
    def edit(code, cells):
        cell = cells[question(cells)]
        cell.source = cell.source.partition("\n\n- **A**")[0]

    assert "without options: offer some, or ask nothing" in spoil(edit)


def test_a_question_whose_answer_is_not_tagged_fails(spoil):
    def edit(code, cells):
        for cell in cells:
            if "answer" in cell.metadata.get("tags", []):
                del cell.metadata["tags"]

    assert "in a cell tagged 'answer', after the code" in spoil(edit)


def test_an_answer_without_a_question_fails(spoil):
    def edit(code, cells):
        cells[2].metadata["tags"] = ["answer"]

    assert "as an answer, and no question precedes it" in spoil(edit)


def test_an_answer_with_the_next_section_in_its_cell_fails(spoil):
    def edit(code, cells):
        answer = next(c for c in cells if "answer" in c.metadata.get("tags", []))
        answer.source += "\n\n## The next section\n\nIt would be hidden."

    assert "has more than an answer in the cell" in spoil(edit)


def test_a_figure_below_the_answer_fails(spoil):
    """It would show the answer that the site hides."""

    def edit(code, cells):
        figure = next(n for n, cell in enumerate(cells) if "alt" in cell.metadata)
        assert "answer" in cells[figure + 1].metadata.tags
        cells[figure], cells[figure + 1] = cells[figure + 1], cells[figure]

    assert "in a figure below it: move the figure up" in spoil(edit)


def test_a_figure_with_visible_plotting_code_fails(spoil):
    def edit(code, cells):
        figure = next(c for c in code if "alt" in c.metadata)
        figure.metadata.tags.remove("hide-input")

    assert "is not tagged hide-input" in spoil(edit)


def test_a_first_cell_that_does_not_say_how_to_install_the_course_fails(spoil):
    def edit(code, cells):
        code[0].source = code[0].source.partition("\n")[2]

    assert "must begin with this code cell, whose error says what to do" in spoil(edit)


def test_the_address_of_a_link_takes_no_time_to_read():
    link = new_markdown_cell("A [link](https://docs.pytorch.org/" + "x" * 2500 + ").")
    assert minutes([link]) == minutes([new_markdown_cell("A [link].")])


def test_a_remaining_todo_fails(spoil):
    def edit(code, cells):
        cells[1].source += " TODO say why"

    assert "still says 'TODO say why'" in spoil(edit)


def test_a_path_of_one_machine_fails(spoil):
    def edit(code, cells):
        code[0].outputs = [new_output("stream", text="saved to /home/ada/model.pt\n")]

    assert "shows a path of the machine" in spoil(edit)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("# 1 · ", "# ", "does not open with a title"),
        ("# 1 · ", "# 3 · ", "another number in its title"),
        ("**You will be able to**", "**Aims**", "three to five aims"),
        ("**Minutes:**", "**Time:**", "how many minutes"),
        ("## Recap", "## Summary", "must end with the sections"),
        ("[index of errors](errors.md)", "index of errors", "does not link to errors.md"),
        ("### A key that does not match", "**A key.** It", "a heading '### …' for each case"),
        ("At the end you can", "You can", "a sentence in its first cell that begins 'At the end '"),
        ("**Often believed:**", "**Belief:**", "a common misconception in its first cell"),
    ],
)
def test_a_missing_part_of_the_anatomy_fails(spoil, old, new, problem):
    def edit(code, cells):
        for cell in cells:
            if cell.cell_type == "markdown":
                cell.source = cell.source.replace(old, new)

    assert problem in spoil(edit)
