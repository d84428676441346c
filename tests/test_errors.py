"""The index of errors quotes the notebooks: each text is in the output of the linked cell."""

import functools
import re
import subprocess
import sys

import nbformat
import pytest

from course import NOTEBOOKS, ROOT, WORDS

PAGE = (ROOT / "notebooks/errors.md").read_text(encoding="utf-8")
LINK = rf"\*\*{WORDS['shown_in']}\*\* \[(\d+) · ([^]]+)\]\((\w+\.ipynb)#cell-id=([\w-]+)\)"
BLOCK = r"```text\n(.+?)\n```"
BEFORE, AFTER = PAGE.split(f"## {WORDS['without_error']}")
# In the first part an entry begins with the text, in the second with the symptom.
ENTRIES = [(text, *link) for text, *link in re.findall(f"{BLOCK}\n\n.*?{LINK}", BEFORE, re.DOTALL)]
ENTRIES += [(text, *link) for *link, text in re.findall(f"{LINK}.*?{BLOCK}", AFTER, re.DOTALL)]

NEEDED = (  # the most frequent searches on this subject
    "Weights only load failed",
    "Unsupported operand 118",
    "Unsupported operand 60",
    "size mismatch for",
    '"_orig_mod.',
    '"module.',
    "Attempting to deserialize object on a CUDA device",
    "optimizer's state is on a different device",
    "parameters come in a different order",
    "loss jumps",
    "PytorchStreamReader failed",
    "Memory doubles",
    "larger than the tensor in it",
    "Can't get attribute",
    "RNG state must be a torch.ByteTensor",
    "background thread",
    "a different answer each time",
    "Should I also save the optimizer?",
    "ReadError: invalid header",
    "unexpected keyword argument 'weights_only'",
    "does not learn any more",
    "invalid load key",
    "'collections.OrderedDict' object has no attribute 'eval'",
    "runs out of GPU memory",
    "found at least two devices",
    "header too large",
    "No space left on device",
    "Can't pickle local object",
    "No module named 'sklearn.decomposition.pca'",
    "cannot instantiate",
    "Read-only file system",
    '"epoch", "model_state_dict"',
    "TorchVersion",
    "maximum supported version for reading",
    '"lm_head.weight"',
    "ema_",
    "scheduler state was not saved",
)


@functools.cache  # reading takes longer than the tests
def cells_of(notebook):
    return nbformat.read(ROOT / "notebooks" / notebook, as_version=4).cells


def cell_and_heading(notebook, cell_id):
    heading = None
    for cell in cells_of(notebook):
        if cell.cell_type == "markdown":
            heading = (re.findall(r"^## (.+)$", cell.source, re.MULTILINE) or [heading])[-1]
        elif cell.id == cell_id:
            return cell, heading
    raise AssertionError(f"{notebook} has no cell {cell_id}: find the one that shows this now")


def printed(cell):
    shown = [
        f"{output.ename}: {output.evalue}"
        if output.output_type == "error"
        else output.get("text") or output.data["text/plain"]
        for output in cell.outputs
    ]
    for output in cell.outputs:  # the description of a figure
        shown.append(output.get("metadata", {}).get("image/png", {}).get("alt", ""))
    return re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(shown))  # some texts contain bold type


@pytest.mark.parametrize(
    ("text", "number", "heading", "notebook", "cell_id"),
    ENTRIES,
    ids=[f"{number}-{cell_id}" for _, number, _, _, cell_id in ENTRIES],
)
def test_each_text_is_in_the_output_of_its_cell(text, number, heading, notebook, cell_id):
    cell, stands_under = cell_and_heading(notebook, cell_id)
    assert heading == stands_under
    assert notebook.startswith(f"{number:>02}_")
    rest = printed(cell)
    for line in text.splitlines():  # in this order; lines between them may be left out
        assert line in rest
        rest = rest.partition(line)[2]


def test_each_text_has_one_link_one_cause_and_one_fix():
    texts = len(re.findall("```text", PAGE))
    assert len(ENTRIES) == texts >= 60
    marks = [f"**{WORDS['cause']}:**", f"**{WORDS['cure']}:**", f"**{WORDS['shown_in']}**"]
    for mark in marks:
        assert PAGE.count(mark) == texts


def test_other_wordings_are_marked_as_not_run():
    blocks = re.findall(r"<details>(.+?)</details>", PAGE, re.DOTALL)
    assert len(blocks) == PAGE.count("<details>") > 60
    assert PAGE.count(f"**{WORDS['also_seen_as']}") == 0  # they would be taken for an output
    for block in blocks:
        summary, _, *lines, _, _ = block.split("\n")
        assert summary == f"<summary>{WORDS['also_seen_as']}, not run here</summary>"
        for line in lines:
            assert re.match(r"- (`+) ?\S.*\1(: .+)?$", line), line


@pytest.mark.parametrize("needed", NEEDED)
def test_the_most_frequent_searches_have_an_entry(needed):
    assert needed in PAGE


def test_a_notebook_without_the_course_is_explained(tmp_path):
    """The first cell of a notebook, in a Python that does not have the course."""
    cells = nbformat.read(NOTEBOOKS[0], as_version=4).cells
    first = next(cell for cell in cells if cell.cell_type == "code")
    isolated = [sys.executable, "-I", "-S", "-c", first.source]  # without installed packages
    done = subprocess.run(isolated, cwd=tmp_path, capture_output=True, encoding="utf-8")
    assert f"\n{done.stderr.splitlines()[-1]}\n" in PAGE


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_each_class_of_error_that_ends_a_cell_has_an_entry(path):
    """Except mistakes that have nothing to do with saving, and the course's own errors."""
    others = {"NameError", "SaveError", "CorruptError", "MismatchError", "ScriptError"}
    for cell in nbformat.read(path, as_version=4).cells:
        for output in cell.get("outputs", []):
            if output.output_type == "error" and output.ename not in others:
                assert output.ename in PAGE
