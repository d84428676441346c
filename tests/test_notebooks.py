"""The notebooks as a whole. nbval compares the outputs of each cell."""

import copy
import os
import pydoc
import re
from datetime import date
from importlib import metadata

import nbformat
import pytest
import torch
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat.v4 import new_code_cell, new_notebook
from nbval.plugin import IPyNbFile

import needs
import refresh
from course import NOTEBOOKS, ROOT, stored_torch
from notebook_rules import problems, systems


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_has_the_anatomy(path):
    assert problems(path) == []


def test_every_notebook_is_in_the_series():
    numbers = [path.name[:2] for path in NOTEBOOKS]
    assert numbers == [f"{n:02}" for n in range(1, len(numbers) + 1)]
    assert len(numbers) >= 6


def test_each_notebook_leads_to_the_next():
    for path, following in zip(NOTEBOOKS, NOTEBOOKS[1:], strict=False):
        last = nbformat.read(path, as_version=4).cells[-1].source
        assert f"]({following.name})" in last, f"{path.name} does not lead to {following.name}"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_each_notebook_leads_to_its_exercises(path):
    last = nbformat.read(path, as_version=4).cells[-1].source
    assert f"](exercises/release/{path.stem}/{path.name})" in last


def outward_links(path):
    """The addresses in the prose of a notebook that lead out of the course."""
    cells = [c for c in nbformat.read(path, as_version=4).cells if c.cell_type == "markdown"]
    return re.findall(r"\]\((https?://[^)\s]+)\)", "\n".join(cell.source for cell in cells))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_each_notebook_leads_to_the_documentation_of_what_it_teaches(path):
    assert outward_links(path)


def test_a_link_to_pytorch_names_something_that_this_torch_has():
    """The tests have no network. The documentation names its pages and anchors after the code."""
    links = {link for path in NOTEBOOKS for link in outward_links(path)}
    pages = [link for link in links if link.startswith("https://docs.pytorch.org/docs/stable/")]
    name = r"(?<=/generated/)[\w.]+(?=\.html)|(?<=#)torch\.[\w.]+"
    names = {found for link in pages for found in re.findall(name, link)}
    assert len(names) >= 8
    for name in names:
        assert pydoc.locate(name), f"{name} is not in torch {torch.__version__}"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_cell_is_run_and_compared(request, path):
    """The skip list is empty."""
    cells = [c for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code"]
    items = list(IPyNbFile.from_parent(request.session, path=path).collect())
    assert len(items) == len(cells)
    assert all(item.options["check"] and not item.options["skip"] for item in items)


def test_the_comparison_is_strict(request):
    options = request.config.option
    assert options.nbval and not options.nbval_lax
    assert not options.nbval_sanitize_with
    assert not options.deselect and not options.ignore and not options.ignore_glob
    assert request.config.getini("testpaths") == ["tests", "notebooks/*.ipynb"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_outputs_were_produced_by_the_pinned_versions(path):
    produced = nbformat.read(path, as_version=4).metadata.get("produced")
    assert produced, f"{path.name} was never run as a whole: run `make refresh`"
    assert date.fromisoformat(produced.day) <= date.today()
    versions = dict(produced.versions)
    assert versions.pop("torch").partition("+")[0] == stored_torch()
    assert versions.pop("Python")
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = {line.partition(" ;")[0] for line in lines}
    names = {name: name.lower().replace("_", "-") for name in versions}
    assert {f"{names[name]}=={version}" for name, version in versions.items()} <= pins


def test_a_refresh_stores_outputs_with_the_date_and_the_versions(tmp_path):
    notebook = new_notebook(cells=[new_code_cell("import numpy, os\nnumpy.arange(2)")])
    nbformat.write(notebook, tmp_path / "new.ipynb")
    refresh.refresh(tmp_path / "new.ipynb")
    stored = nbformat.read(tmp_path / "new.ipynb", as_version=4)
    assert stored.cells[0].outputs[0].data["text/plain"] == "array([0, 1])"
    produced = stored.metadata.produced
    assert produced.day == date.today().isoformat()
    assert set(produced.versions) == {"Python", "torch", "numpy"}
    assert produced.versions.torch == metadata.version("torch")  # without a suffix such as "+cu130"


def test_a_refresh_that_ends_in_an_error_leaves_the_notebook_as_it_was(tmp_path):
    path = tmp_path / "new.ipynb"
    nbformat.write(new_notebook(cells=[new_code_cell("1 + 1"), new_code_cell("1 / 0")]), path)
    before = path.read_bytes()
    with pytest.raises(CellExecutionError, match="ZeroDivisionError"):
        refresh.refresh(path)
    assert path.read_bytes() == before


def run_again(cells):
    """Run each cell twice in a row, then all cells once more, and return the runs that failed."""
    runs = [copy.deepcopy(cell) for cell in cells for _ in range(2)]
    runs += [copy.deepcopy(cell) for cell in cells]
    for number, run in enumerate(runs):
        run.id = f"run-{number}"
    in_folder = {"metadata": {"path": str(ROOT / "notebooks")}}
    NotebookClient(new_notebook(cells=runs), allow_errors=True, resources=in_folder).execute()
    return [
        f"{run.source}\n{output.ename}: {output.evalue}"
        for run in runs
        for output in run.outputs
        if output.output_type == "error" and "raises-exception" not in run.metadata.get("tags", [])
    ]


def test_a_cell_that_cannot_be_run_twice_is_found():
    once = new_code_cell("values = {'a': 1}"), new_code_cell("values.pop('a')")
    assert run_again([*once]) == ["values.pop('a')\nKeyError: 'a'"]


if os.environ.get("TWICE"):  # takes longer than all other tests of the notebooks

    @pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
    def test_every_cell_can_be_run_twice(path):
        if needs.SYSTEM in systems(path):
            cells = nbformat.read(path, as_version=4).cells
            assert run_again([cell for cell in cells if cell.cell_type == "code"]) == []
