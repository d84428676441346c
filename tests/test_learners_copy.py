"""Learners work in copies: answers are hidden, links work, and no work is ever lost."""

import errno
import functools
import json
import os
import re
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
import pytest
from jupyterlab.labapp import LabApp
from jupyterlab_server.config import get_federated_extensions, get_page_config
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

import learners_copy
import start_lab
from course import NOTEBOOKS, ROOT, WORDS, read
from learners_copy import update

COPIES = learners_copy.places()


# A small course.


@pytest.fixture
def root(tmp_path):
    """A course with two notebooks and an exercise, of which the learner has copies."""
    (tmp_path / "notebooks/exercises/release/01_a").mkdir(parents=True)
    (tmp_path / "README.md").write_text("[first](notebooks/01_a.ipynb)\n")
    (tmp_path / "notebooks/errors.md").write_text("[the cell](01_a.ipynb#cell-id=one)\n")
    for name in ("01_a", "02_b", "exercises/release/01_a/01_a"):
        publish(tmp_path, name, "x = 1")
    assert update(tmp_path) == []
    return tmp_path


def publish(root, name, source):
    """Write a version of a notebook of the course."""
    output = new_output("stream", text="1\n")
    code = new_code_cell(source, id="one", execution_count=1, outputs=[output])
    text = new_markdown_cell("Some text.", id="text")
    nbformat.write(new_notebook(cells=[code, text]), root / f"notebooks/{name}.ipynb")


def edit(path, change):
    """Change a notebook as JupyterLab does, in the memory and then in the file."""
    notebook = read(path)
    change(notebook)
    nbformat.write(notebook, path)


def source(path):
    return read(path).cells[0].source


def write_answer(notebook):
    notebook.cells[0].source = "x = 'my answer'"


# What JupyterLab writes when a notebook is opened, run, folded and saved.


def run_it(notebook):
    notebook.metadata.language_info = {"name": "python", "version": "3.11.7"}
    notebook.metadata.kernelspec = {"display_name": "Python 3 (ipykernel)", "name": "python3"}
    cell = notebook.cells[0]
    cell.execution_count, cell.outputs = 7, [new_output("stream", text="something else\n")]
    cell.metadata.execution = {"iopub.execute_input": "2026-11-27T12:00:00Z"}


def fold_it(notebook):
    notebook.cells[0].metadata |= {"collapsed": True, "scrolled": True}
    notebook.cells[0].metadata.jupyter = {"outputs_hidden": True}


WORK = {
    "a changed cell": write_answer,
    "a changed text": lambda notebook: notebook.cells[1].update(source="Understood."),
    "a new cell": lambda notebook: notebook.cells.append(new_code_cell("y = 2")),
    "a deleted cell": lambda notebook: notebook.cells.pop(),
    "cells in another order": lambda notebook: notebook.cells.reverse(),
    "a tag": lambda notebook: notebook.cells[0].metadata.update(tags=["hard"]),
    "a type of slide": lambda notebook: notebook.cells[0].metadata.update(slideshow={"a": "b"}),
    "a pasted picture": lambda notebook: notebook.cells[1].update(
        attachments={"a.png": {"image/png": "abcd"}}
    ),
}


@pytest.mark.parametrize("use", [lambda notebook: None, run_it, fold_it])
def test_a_copy_that_was_only_run_is_updated(root, use):
    edit(root / "mine/01_a.ipynb", use)
    publish(root, "01_a", "x = 2")
    assert update(root) == []
    assert source(root / "mine/01_a.ipynb") == "x = 2"


def test_a_copy_that_was_only_run_keeps_its_outputs_until_there_is_a_newer_version(root):
    edit(root / "mine/01_a.ipynb", run_it)
    before = (root / "mine/01_a.ipynb").read_bytes()
    assert update(root) == []
    assert (root / "mine/01_a.ipynb").read_bytes() == before


@pytest.mark.parametrize("change", WORK.values(), ids=WORK)
def test_work_is_kept_and_the_newer_version_is_reported(root, change):
    copy = root / "mine/exercises/me/01_a/01_a.ipynb"
    edit(copy, change)
    before = copy.read_bytes()
    assert update(root) == []  # the course has nothing new
    publish(root, "exercises/release/01_a/01_a", "x = 2")
    for _ in range(2):
        assert update(root) == [copy]
        assert copy.read_bytes() == before


def test_a_note_in_the_index_of_errors_is_kept(root):
    copy = root / "mine/errors.md"
    copy.write_text(copy.read_text() + "My note.\n")
    (root / "notebooks/errors.md").write_text("A new error.\n")
    assert update(root) == [copy]
    assert "My note." in copy.read_text()


def test_new_outputs_of_the_course_reach_unchanged_copies_only(root):
    edit(root / "mine/02_b.ipynb", write_answer)
    for name in ("01_a", "02_b"):
        edit(root / f"notebooks/{name}.ipynb", run_it)
    assert update(root) == []
    assert read(root / "mine/01_a.ipynb").cells[0].outputs[0].text == "something else\n"
    assert source(root / "mine/02_b.ipynb") == "x = 'my answer'"


def test_renaming_a_changed_copy_brings_the_newer_version(root):
    copy = root / "mine/01_a.ipynb"
    edit(copy, write_answer)
    publish(root, "01_a", "x = 2")
    copy.rename(root / "mine/my 01_a.ipynb")
    assert update(root) == []
    assert source(copy) == "x = 2" and "my answer" in source(root / "mine/my 01_a.ipynb")


def test_a_deleted_copy_is_written_again(root):
    (root / "mine/01_a.ipynb").unlink()
    assert update(root) == []
    assert source(root / "mine/01_a.ipynb") == "x = 1"


def test_a_new_notebook_of_the_course_appears(root):
    publish(root, "03_c", "x = 3")
    assert update(root) == []
    assert source(root / "mine/03_c.ipynb") == "x = 3"


def test_the_copy_of_a_notebook_that_the_course_removed_stays(root):
    (root / "notebooks/02_b.ipynb").unlink()
    assert update(root) == []
    assert source(root / "mine/02_b.ipynb") == "x = 1"


def test_files_that_the_learner_adds_are_not_touched(root):
    added = [root / "mine/notes.txt", root / "mine/exercises/me/01_a/extra.ipynb"]
    for path in added:
        path.write_text("my own")
    publish(root, "01_a", "x = 2")
    update(root)
    assert [path.read_text() for path in added] == ["my own", "my own"]


DAMAGED = {
    "missing": None,
    "empty": "",
    "cut off": '{"01_a.ipynb": ["',
    "a list": "[]",
    "without digests": '{"01_a.ipynb": null, "02_b.ipynb": 3}',
    "of another program": '{"01_a.ipynb": [1], "02_b.ipynb": [[], {}]}',
}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_without_a_valid_record_every_copy_counts_as_changed(root, content):
    record = root / "mine/.copies.json"
    record.unlink() if content is None else record.write_text(content)
    edit(root / "mine/02_b.ipynb", write_answer)
    for name in ("01_a", "02_b"):
        publish(root, name, "x = 2")
    assert update(root) == [root / "mine/01_a.ipynb", root / "mine/02_b.ipynb"]
    assert source(root / "mine/01_a.ipynb") == "x = 1"
    assert source(root / "mine/02_b.ipynb") == "x = 'my answer'"


def test_a_lost_record_is_made_again_from_copies_that_are_up_to_date(root):
    (root / "mine/.copies.json").unlink()
    edit(root / "mine/01_a.ipynb", run_it)
    assert update(root) == []
    publish(root, "01_a", "x = 2")
    assert update(root) == []
    assert source(root / "mine/01_a.ipynb") == "x = 2"


@pytest.mark.parametrize("content", ["", "{", "[]", '{"cells": 3}', '{"cells": [null]}', "\0\xff"])
def test_a_copy_that_cannot_be_read_as_a_notebook_is_kept(root, content):
    copy = root / "mine/01_a.ipynb"
    copy.write_text(content, encoding="latin-1")
    publish(root, "01_a", "x = 2")
    assert update(root) == [copy]
    assert copy.read_text(encoding="latin-1") == content


def contents(root):
    return {
        path: path.read_text()
        for path in (root / "mine").rglob("*")
        if path.is_file() and path.name != ".copies.json"
    }


@pytest.mark.parametrize("step", ["write_text", "replace"])
@pytest.mark.parametrize("number", [0, 1, 4, 5, 6])
def test_an_interrupted_update_leaves_only_complete_files(root, monkeypatch, step, number):
    old = contents(root)
    for name in ("01_a", "02_b", "exercises/release/01_a/01_a", "03_c"):
        publish(root, name, "x = 2")
    (root / "notebooks/errors.md").write_text("A new error.\n")
    calls = []
    original = getattr(Path, step)

    def interrupted(path, *arguments, **options):
        calls.append(path)
        if len(calls) > number:
            if step == "write_text":
                original(path, arguments[0][:5], **options)  # half of it
            raise KeyboardInterrupt
        return original(path, *arguments, **options)

    with monkeypatch.context() as patched:
        patched.setattr(Path, step, interrupted)
        if number < 6:  # five copies and the record
            with pytest.raises(KeyboardInterrupt):
                update(root)
        else:
            assert update(root) == [] and len(calls) == 6
    between = contents(root)
    assert update(root) == []
    new = contents(root)
    assert all(text in (old.get(path), new[path]) for path, text in between.items())
    assert source(root / "mine/02_b.ipynb") == source(root / "mine/03_c.ipynb") == "x = 2"


def test_temporary_files_of_a_killed_update_are_deleted_when_they_are_old(root):
    for name, age in (("old", 7200), ("young", 0)):
        (root / f"mine/.new-{name}").mkdir()
        os.utime(root / f"mine/.new-{name}", (time.time() - age,) * 2)
    update(root)
    assert [path.name for path in (root / "mine").glob(".new-*")] == [".new-young"]


@pytest.mark.skipif(sys.platform == "win32", reason="needs Linux or macOS")  # it locks open files
def test_several_updates_at_the_same_time_do_no_harm(root):
    edit(root / "mine/02_b.ipynb", write_answer)
    for version in range(2, 6):
        publish(root, "01_a", f"x = {version}")
        with ThreadPoolExecutor(4) as pool:
            assert [*pool.map(update, [root] * 4)] == [[]] * 4
        assert source(root / "mine/01_a.ipynb") == f"x = {version}"
    assert source(root / "mine/02_b.ipynb") == "x = 'my answer'"
    assert list((root / "mine").glob(".new-*")) == []


# The program.


def test_it_says_in_one_line_which_copies_have_a_newer_version(root):
    assert start_lab.update_copies(root) == ""
    for name in ("01_a", "02_b"):
        edit(root / f"mine/{name}.ipynb", write_answer)
        publish(root, name, "x = 2")
    said = start_lab.update_copies(root)
    assert "mine/01_a.ipynb, mine/02_b.ipynb" in said
    assert "Your copy was kept" in said and "rename your copy" in said and "\n" not in said


def test_a_file_called_mine_is_named_in_one_line(root):
    shutil.rmtree(root / "mine")
    (root / "mine").write_text("a file")
    with pytest.raises(SystemExit) as stopped:
        start_lab.update_copies(root)
    assert re.fullmatch(
        r".*could not be updated: .*mine\..*Expected a folder.*", str(stopped.value)
    )
    assert (root / "mine").read_text() == "a file"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EROFS])
def test_a_full_or_protected_disk_is_named_in_one_line(root, monkeypatch, number):
    before = contents(root)
    publish(root, "01_a", "x = 2")

    def fail(path, *_, **__):
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr(Path, "write_text", fail)
    with pytest.raises(SystemExit) as stopped:
        start_lab.update_copies(root)
    said = str(stopped.value)
    assert os.strerror(number) in said and "Your work was not changed" in said and "\n" not in said
    assert contents(root) == before


def test_a_python_without_the_packages_is_named_in_one_line():
    command = [sys.executable, "-I", "-S", str(ROOT / "tools/start_lab.py")]
    done = subprocess.run(command, capture_output=True, encoding="utf-8")
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert "no module 'jupyterlab'" in done.stderr and "make lab" in done.stderr


def test_it_opens_the_first_copy_or_the_file_that_is_named(monkeypatch):
    monkeypatch.chdir(ROOT)
    arguments = start_lab.server_arguments(["--no-browser"])
    assert "--LabApp.default_url=/lab/tree/mine/01_state_dict.ipynb" in arguments
    assert arguments[-1] == "--no-browser"
    named = start_lab.server_arguments(["helpers/checkpoint.py", "--port", "9000"])
    assert "--LabApp.default_url=/lab/tree/helpers/checkpoint.py" in named
    assert named[-2:] == ["--port", "9000"]


@pytest.mark.parametrize("name", ["mine/99_none.ipynb", os.devnull])
def test_a_file_that_does_not_exist_in_the_course_is_named(name):
    with pytest.raises(SystemExit, match="Cannot open .*: expected a file in"):
        start_lab.server_arguments([name])


@pytest.mark.parametrize("port", [["--port", "9000"], ["--port=9000"], ["--ServerApp.port=9000"]])
def test_only_a_port_that_was_asked_for_must_be_free(port):
    assert "--ServerApp.port_retries=0" in start_lab.server_arguments(port)
    assert "--ServerApp.port_retries=0" not in start_lab.server_arguments(["--no-browser"])


@pytest.fixture
def started(monkeypatch):
    """A function that starts the program without a server, and returns what it started."""
    monkeypatch.setattr(start_lab, "update_copies", lambda: "")
    monkeypatch.setenv("JUPYTER_CONFIG_PATH", "theirs")

    def start(*arguments):
        calls = []
        monkeypatch.setattr(LabApp, "launch_instance", calls.append)
        start_lab.main([*arguments])
        return calls[0]

    return start


def disabled():
    """The extensions that are installed, and those that the page does not load."""
    extensions = LabApp().labextensions_path
    return get_federated_extensions(extensions), get_page_config(extensions)["disabledExtensions"]


def test_learners_do_not_see_the_extensions_for_teachers(started):
    started("--no-browser")
    installed, hidden = disabled()
    wanted = json.loads((start_lab.SETTINGS / "labconfig/page_config.json").read_text())
    assert set(hidden) >= set(wanted["disabledExtensions"]) >= {"@jupyter/nbgrader"}
    assert set(wanted["disabledExtensions"]) <= set(installed), "one was renamed"
    assert os.environ["JUPYTER_CONFIG_PATH"].endswith(f"{os.pathsep}theirs")


def test_a_flag_brings_the_extensions_for_teachers_back(started):
    arguments = started("--all-extensions", "--no-browser")
    assert "@jupyter/nbgrader" not in disabled()[1]
    assert "--all-extensions" not in arguments and arguments[-1] == "--no-browser"


def test_the_server_extensions_that_are_switched_off_are_those_of_nbgrader_and_nbdime():
    settings = json.loads((start_lab.SETTINGS / "jupyter_server_config.json").read_text())
    off = settings["ServerApp"]["jpserver_extensions"]
    installed = {}
    for name in ("nbgrader", "nbdime"):
        path = Path(sys.prefix, "etc/jupyter/jupyter_server_config.d", f"{name}.json")
        installed |= json.loads(path.read_text())["ServerApp"]["jpserver_extensions"]
    assert off == dict.fromkeys(installed, False)


# The copies of this course.


def learners(original):
    """The cells of the copy of a notebook."""
    return nbformat.reads(learners_copy.learners_version(original, COPIES), as_version=4).cells


def test_the_copies_have_the_structure_that_grading_needs():
    copies = {path.relative_to(ROOT).as_posix() for path in COPIES.values()}
    for path in NOTEBOOKS:
        assert f"mine/{path.name}" in copies
        assert f"mine/exercises/me/{path.stem}/{path.name}" in copies
    assert {"mine/errors.md", "mine/README.md"} <= copies
    assert len(copies) == len(COPIES) == 2 * len(NOTEBOOKS) + 3


def hidden_and_shown(original):
    """The cells whose outputs are the answer to a question, and all other cells of code."""
    hidden, shown, asked = [], [], False
    for cell in read(original).cells:
        if cell.cell_type == "markdown":
            asked = learners_copy.QUESTION in cell.source
        else:
            (hidden if asked else shown).append(cell)
    return hidden, shown


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_only_outputs_that_answer_a_question_are_cleared(path):
    copied = {cell.id: cell for cell in learners(path)}
    hidden, shown = hidden_and_shown(path)
    assert len(hidden) >= 2 and len(shown) >= 2
    assert [cell.source for cell in hidden] == [copied[cell.id].source for cell in hidden]
    for cell in hidden:
        assert copied[cell.id].outputs == [] and copied[cell.id].execution_count is None
    for cell in shown:
        assert copied[cell.id] == cell


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_each_question_is_in_a_box_and_each_answer_is_folded(path):
    before, after = read(path).cells, learners(path)
    questions = [cell for cell in before if learners_copy.QUESTION in cell.source]
    boxes = [cell for cell in after if learners_copy.QUESTION in cell.source]
    folded = [cell.source for cell in after if cell.source.startswith("<details>\n<summary>")]
    assert len(questions) == len(boxes) == len(folded) >= 2
    for question, box, answer in zip(questions, boxes, folded, strict=True):
        assert re.search(r"<div style=[^>]+>\n\n[^\n]*\*\*" + WORDS["predict"], box.source)
        assert box.source.endswith("\n\n</div>")
        letters = [tag[-1].upper() for tag in question.metadata.tags if "answer-" in tag]
        for letter in letters:
            assert f"{WORDS['answer']} **{letter}**" in answer
        assert answer.endswith("\n\n</details>") and WORDS["show_answer"] in answer
    explanations = [cell for cell in before if "answer" in cell.metadata.get("tags", [])]
    for cell in explanations:
        assert any(text.partition("\n\n")[2].count(cell.source[:20]) for text in folded)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_ids_tags_and_code_are_those_of_the_original(path):
    """Links lead to ids. ``helpers/workspace.py`` finds cells by their tags and their code."""
    copied = {cell.id: cell for cell in learners(path)}
    for cell in read(path).cells:
        assert copied[cell.id].metadata == cell.metadata
        assert cell.cell_type == "markdown" or copied[cell.id].source == cell.source


def test_a_question_that_ends_a_cell_is_boxed_alone_and_its_answer_needs_no_explanation():
    cells = [
        new_markdown_cell("Before.\n\n**Predict:** which?\n\n- **A** `1`", id="q"),
        new_code_cell("1", outputs=[new_output("stream", text="1\n")]),
        new_markdown_cell("After."),
    ]
    cells[0].metadata.tags = ["answer-a"]
    question, code, answer, after = learners_copy.with_hidden_answers(cells)
    assert question.source.startswith("Before.\n\n<div ")
    assert code.outputs == [] and after.source == "After."
    assert answer.source.endswith(f"{WORDS['answer']} **A**\n\n</details>")


TARGET = re.compile(r"\]\(([^)#\s]*)#?([^)\s]*)\)")


@pytest.mark.parametrize("original", COPIES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_link_of_a_copy_leads_to_a_copy_or_to_another_file_of_the_course(original):
    text = learners_copy.learners_version(original, COPIES)
    if original.suffix == ".ipynb":
        cells = nbformat.reads(text, as_version=4).cells
        text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    originals = {copy: path for path, copy in COPIES.items()}
    for path, anchor in TARGET.findall(text):
        if "://" in path:
            continue
        copy = COPIES[original]
        target = Path(os.path.normpath(copy.parent / path)) if path else copy
        assert target in originals or (target.is_file() and target not in COPIES), path
        if anchor and target.suffix == ".ipynb":
            assert anchor in anchors(originals[target]), f"{path}#{anchor}"


@functools.cache
def anchors(path):
    return {f"cell-id={cell.id}" for cell in read(path).cells}


# The other command, and git.


def test_git_ignores_the_copies():
    assert "/mine/" in (ROOT / ".gitignore").read_text().splitlines()


@pytest.mark.parametrize(
    ("folder", "skipped"), [("mine", True), (".ipynb_checkpoints", True), ("notebooks", None)]
)
def test_pytest_does_not_collect_copies_or_checkpoints(request, tmp_path, folder, skipped):
    (tmp_path / folder).mkdir()
    hook = request.config.hook.pytest_ignore_collect
    assert hook(collection_path=tmp_path / folder, config=request.config) is skipped
