"""The notebooks as a whole; what each cell gives is compared by nbval."""

import nbformat
import pytest
import torch
from anatomy import NOTEBOOKS, problems
from nbval.plugin import IPyNbFile


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
    older = torch.__version__ < "2.13"
    assert bool(options.nbval_sanitize_with) == older
    assert not options.deselect and not options.ignore and not options.ignore_glob
    assert request.config.getini("testpaths") == ["tests", "notebooks/*.ipynb"]
