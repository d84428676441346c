"""Find the exercise notebooks in a folder of submissions, and account for all other files.

The cells of a notebook identify it, because nbgrader gives each of them an id. Its file name does
not matter: browsers and course systems rename what they download and collect.
"""

import functools
import os
from dataclasses import dataclass
from pathlib import Path

from nbformat import NotebookNode

from course import EXERCISES, NOTEBOOKS, ROOT, opening, read

SOURCE = EXERCISES / "source"
COURSE_FOLDERS = {"docs", "grades", "helpers", "notebooks", "tests", "tools"}
ARCHIVES = {".7z", ".bz2", ".gz", ".rar", ".tar", ".tgz", ".xz", ".zip"}
NOT_HANDED_IN = {"__macosx", "__pycache__", "desktop.ini", "thumbs.db"}  # and names with a dot


@dataclass(frozen=True)
class Found:
    """A file or a folder in a folder of submissions."""

    student: str  # "" for what is not in a student's folder
    path: Path
    notebook: str = ""  # the exercise notebook that it is, or that it is handed in for
    reason: str = ""  # why it is not graded; "" if it is
    export: bool = False  # it matters only if the exercise notebook itself is missing


@dataclass(frozen=True)
class Submissions:
    """The content of a folder of submissions."""

    students: list[str]
    todo: list[Found]
    not_graded: list[Found]
    notes: list[str]  # about files that need no attention


def check_folder(folder: Path, results: Path) -> None:
    """Raise ValueError if a folder cannot be a folder of submissions, or contains the results."""
    form = "expected a folder that contains a folder for each student"
    if not folder.exists():
        raise ValueError(f"{folder} does not exist: {form}.")
    if not folder.is_dir():
        raise ValueError(f"{folder} is a file: {form}.")
    where = folder.resolve()
    inside = where.relative_to(ROOT).parts if where.is_relative_to(ROOT) else ()
    part_of_it = inside and (inside[0] in COURSE_FOLDERS or inside[0].startswith("."))
    if part_of_it or ROOT.is_relative_to(where):
        raise ValueError(f"{folder} is a part of the course, or contains it: {form}.")
    if where.is_relative_to(results) or results.is_relative_to(where):
        raise ValueError(
            f"The results, {results}, and the submissions, {folder}, must be separate folders."
        )
    if (folder / "exercises").is_dir() and any((folder / path.name).exists() for path in NOTEBOOKS):
        raise ValueError(
            f"{folder} is a copy of the course. Its exercises are in {folder / 'exercises'}: "
            f"make grade SUBMISSIONS={folder / 'exercises'}"
        )
    known = [name for name in grade_ids() if (folder / name).is_dir()]
    if known:
        raise ValueError(
            f"{folder} contains {known[0]}, so it is the folder of one student. Give the folder "
            f"that contains it: make grade SUBMISSIONS={folder.resolve().parent}"
        )


def collect(folder: Path) -> Submissions:
    """All submissions in a folder. Each file in it is graded, not graded, or in a note.

    If a student submitted two different notebooks for the same exercises, neither is graded,
    because a program cannot know which of them counts.
    """
    all_found = Submissions([], [], [], [])
    entries = [path for path in sorted(folder.iterdir()) if not ignored(path.name)]
    loose = [path for path in entries if not path.is_dir()]
    _sort(folder, [_in_no_folder(path) for path in loose], all_found)
    for place in (path for path in entries if path.is_dir()):
        student = place.name
        all_found.students.append(student)
        if set(student) & set("*?[]"):
            reason = "rename the folder: its name must not contain * ? [ or ]"
            all_found.not_graded.append(Found(student, place, reason=reason))
            continue
        unreadable: list[Found] = []

        def report(error: OSError, student: str = student, into: list = unreadable) -> None:
            into.append(Found(student, Path(error.filename), reason=f"{error.strerror}"))

        paths: list[Path] = []
        for parent, folders, files in os.walk(place, onerror=report):
            folders[:] = sorted(name for name in folders if not ignored(name))
            paths += [Path(parent, name) for name in sorted(files) if not ignored(name)]
        before = len(all_found.todo) + len(all_found.not_graded)
        _sort(folder, [identify(student, path) for path in paths] + unreadable, all_found)
        if len(all_found.todo) + len(all_found.not_graded) == before:
            reason = "no notebook is in this folder"
            all_found.not_graded.append(Found(student, place, reason=reason))
    return all_found


def ignored(name: str) -> bool:
    """Whether systems and editors write a file or folder of this name, and people do not."""
    return name.startswith(".") or name.lower() in NOT_HANDED_IN


def identify(student: str, path: Path) -> Found:
    """The exercise notebook that a file is, or why it is none. A reason of "other" means neither
    a notebook nor one in another format."""
    plain = path.name.lower().replace(" ", "_").replace("-", "_")
    name = next((known for known in grade_ids() if known in plain), "")
    target = f"{name or 'NOTEBOOK'}.ipynb"
    if path.suffix.lower() in ARCHIVES:
        return Found(student, path, name, "an archive: unpack it")
    if path.suffix.lower() != ".ipynb":
        if ".ipynb" in path.name.lower():
            return Found(student, path, name, f"rename it to {target}")
        if name:
            return Found(student, path, name, f"not a notebook: ask for {target}", export=True)
        return Found(student, path, reason="other")
    try:
        if path.stat().st_size == 0:
            return Found(student, path, name, "the file is empty")
        notebook = read(path)
        ids = ids_of(notebook)
        title = notebook.cells[0].source.partition("\n")[0] if notebook.cells else ""
    except Exception as error:  # nbformat raises many kinds
        text = " ".join(f"{error}".split())[:100] or type(error).__name__
        return Found(student, path, name, f"it cannot be read as a notebook: {text}")
    shared = {known: len(ids & its_ids) for known, its_ids in grade_ids().items()}
    best = max(shared.values())
    if best and list(shared.values()).count(best) == 1:
        return Found(student, path, max(shared, key=lambda known: shared[known]))
    if lesson := lesson_titles().get(title):
        reason = f"it is the lesson: ask for the notebook with its exercises, {lesson}.ipynb"
        return Found(student, path, lesson, reason, export=True)
    if name:
        reason = (
            "nbgrader's ids are missing from its cells: copy the answers into a fresh "
            f"{target} from {EXERCISES.relative_to(ROOT).as_posix()}/release"
        )
        return Found(student, path, name, reason)
    return Found(student, path, reason="it belongs to no exercise of the course")


def ids_of(notebook: NotebookNode) -> set[str]:
    """The ids that nbgrader gave to cells, without that of the first cell, which all share."""
    ids = {cell.metadata.get("nbgrader", {}).get("grade_id") for cell in notebook.cells}
    return ids - {None, "setup"}


@functools.cache
def grade_ids() -> dict[str, set[str]]:
    """The name of each exercise notebook, with the ids of its cells."""
    return {path.stem: ids_of(read(path)) for path in sorted(SOURCE.glob("*/*.ipynb"))}


@functools.cache
def stubs(name: str) -> list[str]:
    """The answer cells of an exercise notebook, as the students get them."""
    return answers(read(EXERCISES / "release" / name / f"{name}.ipynb"))


def answers(notebook: NotebookNode) -> list[str]:
    cells = [c for c in notebook.cells if c.metadata.get("nbgrader", {}).get("solution")]
    return [cell.source.strip() for cell in cells]


def is_untouched(found: Found) -> bool:
    """Whether each answer of an exercise notebook is still what the students got."""
    return answers(read(found.path)) == stubs(found.notebook)


@functools.cache
def lesson_titles() -> dict[str, str]:
    """The first line of each lesson, with the name of its notebook."""
    return {opening(path).partition("\n")[0]: path.stem for path in NOTEBOOKS}


def _in_no_folder(path: Path) -> Found:
    found = identify("", path)
    if found.reason == "other":
        return found
    if path.suffix.lower() in ARCHIVES:
        return Found("", path, reason="an archive: unpack it into a folder for each student")
    return Found("", path, reason="it is in no student's folder: move it into one")


def _sort(folder: Path, found: list[Found], into: Submissions) -> None:
    """Add the files of one student to the lists that they belong to."""
    others = [one.path for one in found if one.reason == "other"]
    candidates: dict[str, list[Found]] = {}
    for one in found:
        if not one.reason:
            candidates.setdefault(one.notebook, []).append(one)
    done = set()
    for name, several in candidates.items():
        if any(not is_untouched(one) for one in several):
            # A fresh copy of the exercises does not compete with answers. `make lab` writes one
            # beside a notebook that was renamed.
            fresh = [one for one in several if is_untouched(one)]
            several = [one for one in several if one not in fresh]
            text = "the exercises without an answer"
            into.notes.extend(f"{shown(one.path, folder)}: {text}" for one in fresh)
        # The name decides nothing but which of two equal notebooks is read.
        first, *rest = sorted(several, key=lambda one: one.path.stem != name)
        sources = [[cell.source for cell in read(one.path).cells] for one in (first, *rest)]
        if any(source != sources[0] for source in sources):
            names = " and ".join(sorted(shown(one.path, folder) for one in several))
            reason = f"two different notebooks for {name}: keep one of {names}"
            into.not_graded.extend(Found(one.student, one.path, name, reason) for one in several)
            continue
        done.add(name)
        into.todo.append(first)
        if first.path.name != f"{name}.ipynb":
            text = f"graded as {name}, whose cells it contains. Its name should be {name}.ipynb"
            into.notes.append(f"{shown(first.path, folder)}: {text}")
        same = f"has the same cells as {shown(first.path, folder)}"
        into.notes.extend(f"{shown(one.path, folder)}: {same}" for one in rest)
    for one in found:
        if one.export and one.notebook in done:
            into.notes.append(f"{shown(one.path, folder)}: {one.reason.partition(':')[0]}")
        elif one.reason and one.reason != "other":
            into.not_graded.append(one)
    if others:
        names = ", ".join(shown(path, folder) for path in others[:3])
        more = f" and {len(others) - 3} more" if len(others) > 3 else ""
        into.notes.append(f"{names}{more}: not a notebook")


def shown(path: Path, folder: Path) -> str:
    """The path of a file, from the folder of submissions."""
    return path.relative_to(folder).as_posix()
