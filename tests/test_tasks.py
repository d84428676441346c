"""The index of tasks quotes the notebooks: each snippet is a part of the linked cell."""

import ast
import re

import pytest
from test_errors import cell_and_heading, cells_of

from course import ROOT, WORDS

PAGE = (ROOT / "notebooks/tasks.md").read_text(encoding="utf-8")
ALSO_ASKED = WORDS["also_asked_as"]
LINK = rf"\*\*{WORDS['shown_in']}\*\* \[(\d+) · ([^]]+)\]\((\w+\.ipynb)#cell-id=([\w-]+)\)\."
ENTRIES = re.findall(
    r"^\*\*(.+)\*\*\n\n"  # the task
    r"(?:[^*`#\n].*\n\n|`[^`\n].*\n\n)?"  # where a reader could go wrong
    rf"```python\n((?:.*\n)+?)```\n\n{LINK}\n"
    rf"(?:\n\*\*{ALSO_ASKED}:\*\* (.+)\n)?",
    PAGE,
    re.MULTILINE,
)
TASKS = [task for task, *_ in ENTRIES]
SNIPPETS = [entry[1:6] for entry in ENTRIES]
each_snippet = pytest.mark.parametrize(
    ("snippet", "number", "heading", "notebook", "cell_id"), SNIPPETS, ids=TASKS
)


def lines(code):
    """The lines of code without indentation, and without blank lines."""
    return [line.strip() for line in code.splitlines() if line.strip()]


def is_import(line):
    return line.startswith(("import ", "from "))


def code_until(notebook, cell_id):
    """The code cells of a notebook up to a cell."""
    until = []
    for cell in cells_of(notebook):
        if cell.cell_type == "code":
            until.append(cell.source)
        if cell.id == cell_id:
            return until
    raise AssertionError(f"{notebook} has no cell {cell_id}: find the one that shows this now")


def imports(sources):
    """The name that each import binds, with the module and what is imported from it."""
    bound = {}
    for source in sources:
        try:
            tree = ast.parse(re.sub(r"^%.*", "", source, flags=re.MULTILINE))
        except SyntaxError:  # a cell that shows something that is not Python
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    bound[alias.asname or alias.name.partition(".")[0]] = (alias.name, None)
            elif isinstance(node, ast.ImportFrom):
                for alias in node.names:
                    bound[alias.asname or alias.name] = (node.module, alias.name)
    return bound


def written_files(sources):
    """The modules that cells write."""
    return {name for source in sources for name in re.findall(r"^%%writefile (\w+)\.py", source)}


def names_used(code):
    """The names that code reads and does not define."""
    tree = ast.parse(code)
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    defined = {node.id for node in nodes if isinstance(node.ctx, ast.Store)}
    return {node.id for node in nodes if isinstance(node.ctx, ast.Load)} - defined


def test_a_task_has_one_link_one_snippet_and_two_to_six_other_wordings():
    assert len(ENTRIES) >= 60
    bold = re.findall(r"^\*\*[^\n]+\*\*$", PAGE, re.MULTILINE)
    assert bold == [f"**{task}**" for task in TASKS], "an entry is not complete"
    for mark in ("```python", f"**{WORDS['shown_in']}**"):
        assert PAGE.count(mark) == len(ENTRIES)
    asked = [other.split(" · ") for *_, other in ENTRIES if other]
    assert PAGE.count(ALSO_ASKED) == len(asked)
    assert {len(others) for others in asked} <= {2, 3, 4, 5, 6}
    wordings = [wording.lower() for others in [TASKS, *asked] for wording in others]
    assert sorted(wordings) == sorted(set(wordings)), "a wording leads to two tasks"


@each_snippet
def test_each_snippet_is_in_its_cell(snippet, number, heading, notebook, cell_id):
    cell, above = cell_and_heading(notebook, cell_id)
    assert heading == above
    assert notebook.startswith(f"{number:>02}_")
    assert "raises-exception" not in cell.metadata.get("tags", [])
    rest = lines(cell.source)
    for line in lines(snippet):  # in this order; lines between them may be left out
        if not is_import(line):
            assert line in rest
            rest = rest[rest.index(line) + 1 :]


@each_snippet
def test_each_snippet_can_be_copied(snippet, number, heading, notebook, cell_id):
    """It is short, and it imports what it uses from where the notebook imports it."""
    assert 1 <= len([line for line in lines(snippet) if not is_import(line)]) <= 9
    sources = code_until(notebook, cell_id)
    available, imported = imports(sources), imports([snippet])
    assert imported.items() <= available.items()
    # A reader has other classes instead of the course's. Every page assumes `import torch`.
    replaced = {"helpers.models", *written_files(sources)}
    used = names_used(snippet)
    needed = {name for name in used & set(available) if available[name][0] not in replaced}
    assert needed - {"torch"} <= set(imported) <= used
