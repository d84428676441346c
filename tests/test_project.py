"""Each fact is declared in one place, and the two commands respect it."""

import json
import re
import subprocess
import sys
import tomllib
from importlib import metadata

import pytest
import yaml
from nbformat.v4 import new_markdown_cell
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

import readme
from course import NOTEBOOKS, ROOT, opening, read, stored_torch
from notebook_rules import exact_minutes, stated_minutes

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
ENVIRONMENT = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
README = (ROOT / "README.md").read_text(encoding="utf-8")


def requirements(*extras):
    lists = [PROJECT["optional-dependencies"][extra] for extra in extras]
    found = [Requirement(line) for names in [PROJECT["dependencies"], *lists] for line in names]
    return [requirement for requirement in found if requirement.name != PROJECT["name"]]


def pins():
    """The pins for this Python, by name."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    found = [Requirement(line) for line in lines if line and not line.startswith("#")]
    return {pin.name.lower(): pin for pin in found if not pin.marker or pin.marker.evaluate()}


def test_the_extras_are_those_that_the_tests_below_know():
    extras = {"test", "libraries", "dev", "site", "bench"}
    assert set(PROJECT["optional-dependencies"]) == extras


@pytest.mark.parametrize(
    "requirement", requirements("test", "libraries", "dev", "site", "bench"), ids=lambda r: r.name
)
def test_each_dependency_has_one_pin_that_it_allows(requirement):
    (pin,) = pins()[requirement.name].specifier
    assert pin.operator == "=="
    assert requirement.specifier.contains(pin.version)


@pytest.mark.parametrize(
    "requirement", requirements("test", "libraries", "dev"), ids=lambda r: r.name
)
def test_each_dependency_is_installed_as_pinned(requirement):
    """Except those of `site` and `bench`, which only `make site` and `make bench` install."""
    (pin,) = pins()[requirement.name].specifier
    assert pin.version == metadata.version(requirement.name).partition("+")[0]


def test_torch_is_pinned_and_the_oldest_allowed_version_has_no_known_hole():
    (torch,) = [r for r in requirements() if r.name == "torch"]
    assert not torch.specifier.contains("2.9.1")  # CVE-2026-24747
    assert torch.specifier.contains("2.10.0") and torch.specifier.contains(stored_torch())


def test_the_conda_environment_draws_on_both_files_and_repeats_neither():
    *conda, pip = ENVIRONMENT["dependencies"]
    python, name = conda
    assert name == "pip"
    assert SpecifierSet(PROJECT["requires-python"]).contains(python.removeprefix("python="))
    assert pip == {"pip": ["-c constraints.txt", "-e .[dev]"]}


def test_installing_again_fetches_nothing():
    """Under the constraints, pip finds that every dependency is installed, above all torch."""
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--no-index", "--quiet"]
    command += ["--report", "-", "-c", "constraints.txt"]
    command += map(str, requirements("test", "dev"))
    done = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["install"] == []


def test_ci_runs_all_tests():
    script = (ROOT / ".ci/run").read_text(encoding="utf-8")
    assert script.splitlines()[-2:] == ["make test", "make --jobs 2 test-browser"]


def test_the_site_is_built_on_each_push_and_published_from_main_alone():
    text = (ROOT / ".github/workflows/site.yml").read_text(encoding="utf-8")
    workflow = yaml.safe_load(text)
    assert workflow[True] == {"push": None, "pull_request": None}  # YAML reads `on` as true
    steps = workflow["jobs"]["build"]["steps"]
    runs = [step["run"] for step in steps if "run" in step]
    assert runs == ["make site", "make test-browser"]
    (kept,) = [step for step in steps if "upload-artifact" in step.get("uses", "")]
    assert "if" not in kept and kept["with"]["path"] == "docs/build/site"
    publish = workflow["jobs"]["publish"]
    assert publish["needs"] == "build" and "refs/heads/main" in publish["if"]


def test_the_readme_shows_both_commands_in_its_first_screen():
    first_screen = "\n".join(README.splitlines()[:30])
    assert "make lab" in first_screen and "make test" in first_screen


@pytest.mark.parametrize("page", readme.PARTS)
def test_the_generated_parts_of_a_page_match_the_notebooks(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    assert readme.written(page, text) == text, f"{page} is out of date: run `make refresh`"


def test_the_readme_shows_a_figure_of_the_course_as_it_is_now():
    png, _ = readme.figure()
    assert readme.PICTURE.read_bytes() == png, "run `make refresh`"


@pytest.mark.parametrize("mark", ["<!-- from the notebooks: table -->", "<!-- end: table -->"])
def test_a_page_without_its_marks_is_an_error_that_names_them(mark):
    text = (ROOT / "README.md").read_text(encoding="utf-8").replace(mark, "")
    with pytest.raises(ValueError, match="README.md must have the lines .*table"):
        readme.written("README.md", text)


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "TEACHING.md"])
def test_every_link_of_a_page_resolves(page):
    targets = re.findall(r"\]\(([^)#\s]+)\)", (ROOT / page).read_text(encoding="utf-8"))
    assert [t for t in targets if "://" not in t and not (ROOT / t).exists()] == []


def test_version_and_licences_are_the_same_everywhere():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = re.search(r"^## (\d\S*)", changes, re.MULTILINE)[1]  # below the unreleased changes
    assert PROJECT["version"] == citation["version"] == newest
    assert PROJECT["license"] == " AND ".join(citation["license"])
    for name in PROJECT["license-files"]:
        assert name in README and "the authors of" in (ROOT / name).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "command",
    [
        "ruff check --quiet",
        "ruff format --check --quiet",
        "pyrefly check --summary=none --python-interpreter-path={python}",
    ],
)
def test_code_is_linted_and_formatted_and_its_types_hold(command):
    done = subprocess.run(
        [sys.executable, "-m", *command.format(python=sys.executable).split()],
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stdout


TEACHING = (ROOT / "TEACHING.md").read_text(encoding="utf-8")


def plan(heading):
    """The rows of the first table below a heading of TEACHING.md, without its head."""
    below = TEACHING.partition(f"### {heading}")[2]
    table = re.search(r"(?:^\|.+\n)+", below, re.MULTILINE)[0]
    return [[cell.strip() for cell in row.strip("|\n").split("|")] for row in table.splitlines()][
        2:
    ]


def notebook(number):
    return next(path for path in NOTEBOOKS if path.name.startswith(f"{number:>02}_"))


def minutes_to_the_end_of(number, heading):
    """The minutes from the beginning of a notebook to the end of one of its sections."""
    cells = []
    for cell in read(notebook(number)).cells:
        parts = re.split(r"\n+(?=## )", cell.source) if cell.cell_type == "markdown" else [None]
        for part in parts:
            if part and part.startswith("## ") and f"## {heading}" in [c.source for c in cells]:
                return exact_minutes(cells)
            cells.append(new_markdown_cell(part) if part else cell)
            if part and part.startswith(f"## {heading}\n"):
                cells[-1].source = f"## {heading}"
                cells.append(new_markdown_cell(part.partition("\n")[2]))
    raise ValueError(f"notebook {number} has no section {heading!r}, or nothing after it")


def test_the_lecture_adds_up_to_90_minutes_by_the_formula_of_the_course():
    *parts, (rest, _) = plan("One lecture, 90 minutes")
    assert len(parts) == 4
    for stated, content in parts:
        number, heading = re.fullmatch(r"(\d+) to the end of \*(.+)\*", content).groups()
        assert int(stated) == round(minutes_to_the_end_of(number, heading)), heading
    assert sum(int(stated) for stated, _ in parts) + int(rest) == 90


def test_the_day_adds_up_to_six_hours():
    morning, afternoon, (*_, end) = plan("One day, six hours without breaks")
    for _, content, stated in (morning, afternoon):
        needed = 0
        for number in re.findall(r"\d+", content):
            path = notebook(number)
            needed += stated_minutes(opening(path))
            needed += readme.MINUTES_A_POINT * readme.points(path, exercises=2)
        assert int(stated) == needed
    assert int(morning[2]) + int(afternoon[2]) + int(end) == 360


def test_the_weeks_say_which_session_has_which_notebooks_and_each_fits_into_it():
    rows = plan("Four weeks, two sessions of 90 minutes each")
    assert [row[1] for row in rows] == list("12345678")
    for *_, notebooks, stated in rows:
        minutes = [stated_minutes(opening(notebook(n))) for n in re.findall(r"\d+", notebooks)]
        wanted = [min(minutes), max(minutes)] if "one of" in notebooks else [sum(minutes)]
        assert stated == " to ".join(map(str, wanted))
        assert max(wanted) < 90
    met = [int(n) for row in rows for n in re.findall(r"\d+", row[2])]
    assert sorted(met) == list(range(1, len(NOTEBOOKS) + 1))


def test_the_licence_of_the_code_is_the_text_that_tools_recognise():
    """Programs that detect licences compare the file with the published text."""
    title, copyright, *text = (ROOT / "LICENSE").read_text(encoding="utf-8").split("\n\n")
    assert title == "MIT License" and copyright.startswith("Copyright (c) ")
    assert len(text) == 3
    assert text[0].startswith("Permission is hereby granted, free of charge, to any person")
    assert text[1].startswith("The above copyright notice and this permission notice")
    assert text[2].startswith('THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND')


def test_the_licence_of_the_prose_covers_every_file_of_prose():
    text = " ".join((ROOT / "LICENSE-PROSE").read_text(encoding="utf-8").split())
    assert "every file that ends in .md" in text and "outputs of every notebook" in text
    folders = [ROOT, ROOT / "docs/pages", ROOT / "notebooks"]
    files = [path for folder in folders for path in folder.iterdir()]
    others = {path.name for path in files if path.suffix in (".rst", ".txt", ".adoc", ".html")}
    assert others <= {"constraints.txt"}  # prose in another format would be left out


def test_the_citation_has_what_a_reference_needs():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors", "version", "date-released"} <= set(
        citation
    )
    day = str(citation["date-released"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", day)
