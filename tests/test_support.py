"""The README, pyproject.toml, the workflow and the suite name the same supported versions."""

import os
import re
import shutil
import sys

import nbformat
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from test_exercises import NAMES, wrong_answers
from test_project import PROJECT, README, requirements

import forked
import needs
import notebook_rules
import versions
from course import NOTEBOOKS, ROOT, stored_torch

WORKFLOW = yaml.safe_load((ROOT / ".github/workflows/tests.yml").read_text(encoding="utf-8"))
MATRIX = WORKFLOW["jobs"]["test"]["strategy"]["matrix"]["include"]
PYTHONS = [c.removeprefix("Programming Language :: Python :: ") for c in PROJECT["classifiers"]]
(TORCH,) = [r for r in requirements() if r.name == "torch"]
# From the stored outputs, because the workflow changes the versions in constraints.txt.
PIN = stored_torch()
WITH_ANOTHER_TORCH = "sed -i 's/^torch==.*/${{ matrix.torch }}/' constraints.txt"


def listed(what: str) -> list[str]:
    """The versions that the README lists for the run of the suite."""
    (names,) = re.findall(rf"with {what} ((?:[\d.]+, )*[\d.]+ and [\d.]+)", README)
    return re.findall(r"[\d.]*\d", names)


def test_the_readme_names_the_pythons_of_the_classifiers_and_the_workflow_runs_them():
    assert listed("Python") == PYTHONS
    assert {row["python"] for row in MATRIX} == set(PYTHONS)
    assert {row["python"] for row in MATRIX if "torch" not in row} == set(PYTHONS)


def test_the_lowest_python_is_the_one_that_pip_demands():
    assert PROJECT["requires-python"] == f">={PYTHONS[0]}"
    assert f"You need Python {PYTHONS[0]} or newer" in README


def test_the_readme_names_the_torches_that_the_workflow_runs_and_the_pin():
    others = [row["torch"].removeprefix("torch==") for row in MATRIX if "torch" in row]
    assert listed("torch") == sorted([*others, PIN], key=lambda v: list(map(int, v.split("."))))
    assert all(TORCH.specifier.contains(version) for version in listed("torch"))


def test_the_lowest_torch_that_is_run_is_the_one_that_pip_demands():
    (floor,) = TORCH.specifier
    assert listed("torch")[0] == f"{floor.version}.0"


def test_the_newest_torch_is_run_weekly_may_fail_and_is_reported():
    newest = WORKFLOW["jobs"]["newest"]
    assert WORKFLOW[True]["schedule"] and newest["continue-on-error"] is True  # YAML: on is true
    assert "GITHUB_STEP_SUMMARY" in newest["steps"][-1]["run"]


def test_each_job_runs_the_whole_suite_and_must_pass():
    test, windows = WORKFLOW["jobs"]["test"], WORKFLOW["jobs"]["windows"]
    for job in (test, windows):
        assert not {"if", "continue-on-error"} & job.keys()
        assert not any("continue-on-error" in step for step in job["steps"])
    assert test["steps"][-1] == {"run": "make test"}
    assert windows["steps"][-1] == {"run": r".venv\Scripts\pytest"}
    (setup,) = [step for step in windows["steps"] if "setup-python" in step.get("uses", "")]
    assert setup["with"]["python-version"] in PYTHONS


def test_another_torch_takes_the_place_of_the_pinned_one():
    (step,) = [s for s in WORKFLOW["jobs"]["test"]["steps"] if s.get("if") == "matrix.torch"]
    assert step["run"] == WITH_ANOTHER_TORCH
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    assert len(re.findall(r"^torch==", pins, re.MULTILINE)) == 1
    newest = WORKFLOW["jobs"]["newest"]["steps"]
    assert any('sed -i "s/^torch==.*/torch==$newest/" constraints.txt' in str(s) for s in newest)


def test_the_workflow_runs_each_system_that_a_notebook_may_declare():
    systems = {row["os"].partition("-")[0] for row in MATRIX} | {
        job["runs-on"].partition("-")[0] for job in WORKFLOW["jobs"].values()
    }
    assert systems >= {"ubuntu", "macos", "windows"}


def test_the_readme_names_the_notebooks_that_do_not_run_everywhere():
    limited = [path for path in NOTEBOOKS if len(notebook_rules.systems(path)) < 3]
    assert {tuple(notebook_rules.systems(path)) for path in limited} == {("Linux", "macOS")}
    *others, last = [path.name.partition("_")[0].lstrip("0") for path in limited]
    assert f"Notebooks {', '.join(others)} and {last} run on Linux and macOS." in README


# ---- the table of what other versions say -------------------------------------------------------

TEXTS, WARNINGS = versions.table()["text"], versions.table()["warning"]


@pytest.mark.parametrize("row", TEXTS, ids=lambda row: row["stored"][:40])
def test_each_text_of_the_table_is_in_a_stored_output_or_a_wrong_answer(row):
    """Otherwise the row has no effect."""
    stored = [nbformat.read(path, as_version=4).cells for path in NOTEBOOKS]
    outputs = [cell.outputs for cells in stored for cell in cells if cell.cell_type == "code"]
    told = [answer.says for name in NAMES for answer in wrong_answers(name)]
    assert any(row["stored"] in text for text in [*strings(outputs), *told])


def strings(value):
    """The strings in nested dicts and lists."""
    if isinstance(value, str):
        return [value]
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for item in items for text in strings(item)]


@pytest.mark.parametrize("row", [*TEXTS, *WARNINGS], ids=lambda row: row["on"])
def test_each_row_of_the_table_is_for_a_supported_version_and_not_for_the_stored_outputs(row):
    requirement = Requirement(row["on"])
    supported = {"Python": PYTHONS, "torch": listed("torch")}[requirement.name]
    stored = {"Python": PYTHONS[0], "torch": PIN}[requirement.name]
    assert any(requirement.specifier.contains(version) for version in supported)
    assert not requirement.specifier.contains(stored)


def test_the_texts_of_what_runs_here_take_the_place_of_the_stored_ones(monkeypatch):
    row = {"stored": "old words", "said": "new words"}
    monkeypatch.setattr(versions, "rows", lambda kind: [row])
    stored = [{"evalue": "it says old words.", "count": 3}, ["old words"]]
    assert versions.as_said_here(stored) == [
        {"evalue": "it says new words.", "count": 3},
        ["new words"],
    ]
    assert stored == [{"evalue": "it says old words.", "count": 3}, ["old words"]]


@pytest.mark.parametrize(
    ("reason", "excused"),
    {
        "needs a GPU": True,
        "needs a GPU, as it declares": True,
        "needs Linux or macOS": False,  # which this machine has
        "needs Linux and root, to mount": True,
        "needs a GPU of another kind": False,
        "was slow": False,
    }.items(),
)
def test_only_a_declared_need_that_is_not_here_excuses_a_skip(reason, excused, monkeypatch):
    changed = needs.NEEDS | {"a GPU": lambda: False, "Linux or macOS": lambda: True}
    monkeypatch.setattr(needs, "NEEDS", changed)
    assert needs.excuses(reason) == excused


MARKED = """
import pytest

@pytest.mark.skip(reason="was slow")
def test_slow():
    assert False

@pytest.mark.xfail
def test_wrong():
    assert False

@pytest.mark.xfail
def test_right():
    pass

@pytest.mark.skip(reason="needs make")
def test_needs_what_is_here():
    assert False

@pytest.mark.skip(reason="needs Linux and root")
def test_excused():
    assert False
"""


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
def test_a_test_that_is_not_run_for_no_declared_need_fails_the_run(tmp_path):
    (tmp_path / "test_it.py").write_text(MARKED)
    whole = "import pytest\npytest.skip('needs a GPU', allow_module_level=True)\n"
    (tmp_path / "test_whole.py").write_text(whole)
    command = ["-m", "pytest", "-q", "-n", "0", "-p", "conftest", str(tmp_path)]
    env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = forked.run(*command, cwd=ROOT, env=env)
    assert done.returncode == 1, done.stdout
    assert "2 failed, 2 skipped, 2 errors" in done.stdout
    for name in ("test_slow", "test_wrong", "test_right", "test_needs_what_is_here"):
        assert re.search(f"^(FAILED|ERROR) .*::{name}( |$)", done.stdout, re.MULTILINE)
    assert re.search("^ERROR .*test_whole.py was skipped as a whole", done.stdout, re.MULTILINE)


def test_the_specifiers_are_ranges():
    """A version newer than the newest known one is assumed to use the same texts."""
    for row in [*TEXTS, *WARNINGS]:
        specifier = SpecifierSet(str(Requirement(row["on"]).specifier))
        assert {one.operator for one in specifier} <= {">=", "<"}
