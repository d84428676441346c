"""Grade a folder of submissions with nbgrader: ``make grade SUBMISSIONS=folder``.

The folder contains a folder for each student, which contains the student's notebooks at any depth.
The result is an nbgrader course folder with

- ``grades.csv``, one line for each test with the points and the error, also of earlier runs;
- ``feedback/STUDENT/NOTEBOOK/NOTEBOOK.html``, the graded notebook with the tests and the points;
- ``grade.log``, which lists the files that were not graded, and the errors of nbgrader.

The exit status is 0 if everything was graded, and 1 otherwise.

**This runs the students' code with your permissions.** A cell that takes too long, kills its kernel
or needs too much memory costs the points of its own exercise only. There is no protection against
malicious code: run this in a container without network access, secrets or private files.
"""

import argparse
import csv
import dataclasses
import hashlib
import itertools
import logging
import os
import shutil
import sys
import tempfile
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from time import monotonic
from typing import Any

import nbformat
import nbgrader
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from nbformat.warnings import MissingIDFieldWarning
from nbgrader import utils
from nbgrader.converters import Autograde, GenerateAssignment, GenerateFeedback
from nbgrader.converters.base import NbGraderException
from nbgrader.preprocessors import Execute, GetGrades
from tqdm import tqdm

from course import EXERCISES, read
from feedback import NOT_ANSWERED, Explain, stubs, what_was_wrong
from make_exercises import SOURCE, Course, convert, course
from submissions import Found, Submissions, check_folder, collect, shown

Row = dict[str, str | float]
COLUMNS = ["student", "notebook", "exercise", "points", "of", "what was wrong"]
NOT_GRADED = "not graded: "  # begins the last column in the rows of a notebook without a grade


class ExecuteEach(Execute):
    """Run a notebook so that a cell which hangs or kills its kernel does not affect the others.

    The exercise and those after it continue in a new kernel. They need the first cell of the
    notebook only, which runs again. So does the answer, unless the answer is what failed. After an
    answer or a test that took too long, the further tests of that exercise are not run: each of
    them would take as long again.
    """

    late = ""  # what took too long in this exercise

    def preprocess_cell(self, cell, resources, index):
        solution, test = (nbgrader_says(cell, key) for key in ("solution", "grade"))
        if solution:
            self.late = ""
        if test and self.late:
            text = f"{self.late} took too long, so this test was not run"
            skipped = {"ename": "NotRun", "evalue": text, "traceback": [text]}
            cell.outputs = [nbformat.v4.new_output("error", **skipped)]
            return cell, resources
        try:
            super().preprocess_cell(cell, resources, index)
        except DeadKernelError:
            text = "the kernel was killed, or it needed too much memory"
            error = {"ename": "KernelDied", "evalue": text, "traceback": [text]}
            cell.outputs.append(nbformat.v4.new_output("error", **error))
        except CellTimeoutError:  # and it ignored the interrupt
            cell.outputs.append(nbformat.v4.new_output("error", **self.error_on_timeout))
        for output in cell.get("outputs", []):
            if output.get("name") == "stderr":  # nbgrader would deduct points for a warning
                output.name = "stdout"
        names = {output.get("ename") for output in cell.get("outputs", [])}
        if "CellTimeoutError" in names and (solution or test):
            self.late = "the answer" if solution else "the test before it"
        if names & {"KernelDied", "CellTimeoutError"}:
            self._cleanup_kernel()
            self.km = self.create_kernel_manager()
            self.start_new_kernel()
            self.start_new_kernel_client()
            before = list(enumerate(self.nb.cells[:index]))
            again = [i for i, c in before if nbgrader_says(c, "grade_id") == "setup"]
            if not solution and not self.late:
                again += [i for i, c in before if nbgrader_says(c, "solution")][-1:]
            for i in again:
                super().preprocess_cell(self.nb.cells[i], resources, i)
        return cell, resources


def nbgrader_says(cell: NotebookNode, key: str) -> Any:
    return cell.metadata.get("nbgrader", {}).get(key, False)


def grading_course(root: Path, timeout: int | None) -> Course:
    """The nbgrader settings of the course in a folder, with those that grading needs."""
    made_with = course(root)
    settings = made_with["config"]
    seconds = settings.Execute.timeout = timeout or settings.Execute.timeout
    text = f"it took longer than {seconds} seconds"
    late = {"ename": "CellTimeoutError", "evalue": text, "traceback": [text]}
    settings.Execute.error_on_timeout = late
    settings.Execute.shutdown_kernel = "immediate"
    settings.Execute.extra_arguments = ["--log-level=ERROR"]
    settings.Autograde.autograde_preprocessors = [
        ExecuteEach if step is Execute else step for step in Autograde().autograde_preprocessors
    ]
    theirs = Path(nbgrader.__file__).parent / "server_extensions/formgrader/templates"
    settings.HTMLExporter.extra_template_basedirs = [
        str(Path(__file__).with_name("grade_templates")),
        str(theirs),
    ]
    settings.HTMLExporter.template_name = "feedback"
    settings.HTMLExporter.template_file = "page.html.j2"  # it extends nbgrader's own
    settings.GenerateFeedback.preprocessors = [
        Explain if step is GetGrades else step for step in GenerateFeedback().preprocessors
    ]
    settings.Explain.root = str(root)
    return made_with


def without_copies(notebook: NotebookNode) -> NotebookNode:
    """The notebook with the last copy of each nbgrader cell. Other copies become ordinary cells.

    Copying a cell in JupyterLab copies its nbgrader id as well, and nbgrader 0.9 fails on that.
    """
    seen = set()
    for cell in reversed(notebook.cells):
        if name := nbgrader_says(cell, "grade_id"):
            if name in seen:
                del cell.metadata["nbgrader"]
            seen.add(name)
    return notebook


def rows(student: str, name: str, path: Path, untouched: dict[str, str]) -> list[Row]:
    """The points of each test in a graded notebook, and what was wrong."""
    found: list[Row] = []
    answer = None
    for cell in read(path).cells:
        if utils.is_solution(cell):
            answer = cell
        if utils.is_grade(cell):
            points, of = utils.determine_grade(cell)
            wrong = what_was_wrong(answer, cell, untouched)
            values = (student, name, cell.metadata.nbgrader.grade_id, points or 0, of, wrong)
            found.append(dict(zip(COLUMNS, values, strict=True)))
    return found


def rows_without_grade(found: Found) -> list[Row]:
    """A row with 0 points for each test of a notebook that was not graded.

    If the notebook is unknown, the only row is one with 0 of 0 points. Every student has a row.
    """
    wrong = NOT_GRADED + found.reason
    tests: list[tuple[str, float]] = [("", 0)]
    if found.notebook:
        source = read(SOURCE / found.notebook / f"{found.notebook}.ipynb")
        settings = [c.metadata.nbgrader for c in source.cells if utils.is_grade(c)]
        tests = [(of_test.grade_id, of_test.points) for of_test in settings]
    return [
        dict(zip(COLUMNS, (found.student, found.notebook, name, 0, of, wrong), strict=True))
        for name, of in tests
    ]


def rows_of_the_others(found: list[Row], not_graded: list[Found], students: list[str]) -> list[Row]:
    """Rows for each notebook without a grade, and for each student without any row."""
    others: list[Row] = []
    have = {key(row) for row in found}
    for one in sorted(not_graded, key=lambda one: not one.notebook):
        with_rows = {student for student, _ in have}
        of_a_student = one.student in students
        unknown = not one.notebook and one.student in with_rows
        if of_a_student and not unknown and (one.student, one.notebook) not in have:
            have.add((one.student, one.notebook))
            others += rows_without_grade(one)
    return others


def grade(submitted: Submissions, root: Path, timeout: int | None) -> tuple[list[Row], list[Found]]:
    """Grade all submissions into the folder ``root``, with a progress bar.

    Return the rows of the notebooks that were graded, and those that could not be.
    """
    shutil.copytree(SOURCE, root / "source", dirs_exist_ok=True)
    shutil.copy(EXERCISES / "nbgrader_config.py", root)
    made_with = grading_course(root, timeout)
    for name in sorted({one.notebook for one in submitted.todo}):
        convert(GenerateAssignment, made_with, name)
    found: list[Row] = []
    failed: list[Found] = []
    worker = ThreadPoolExecutor(max_workers=1)
    times: list[float] = []
    form = "{desc}: {percentage:3.0f}%|{bar}| {n_fmt} of {total_fmt} notebooks, {elapsed}{postfix}"
    with tqdm(submitted.todo, desc="grading", bar_format=form) as bar:
        for number, one in enumerate(bar):
            if number:  # a median, because one answer that hangs takes as long as ten others
                left = median(times) * (len(submitted.todo) - number)
                bar.set_postfix_str(f"about {tqdm.format_interval(left)} left")
            start = monotonic()
            name = one.notebook
            place = root / "submitted" / one.student / name / f"{name}.ipynb"
            place.parent.mkdir(parents=True, exist_ok=True)
            try:
                nbformat.write(without_copies(read(one.path)), place)
                # Not in the main thread, where nbclient would catch Ctrl-C and end only the kernel.
                for step in (Autograde, GenerateFeedback):
                    worker.submit(convert, step, made_with, name, one.student).result()
                graded = root / "autograded" / one.student / name / f"{name}.ipynb"
                found += rows(one.student, name, graded, stubs(root, name))
            except Exception as error:  # any error concerns this notebook only
                reason = "see grade.log" if isinstance(error, NbGraderException) else f"{error!r}"
                failed.append(dataclasses.replace(one, reason=f"grading it failed: {reason}"))
            times.append(monotonic() - start)
        bar.set_postfix_str("")
    return found, failed


def only(submitted: Submissions, numbers: list[str]) -> Submissions:
    """The submissions for some notebooks only, by their numbers. All other files are left out.

    Raises ValueError if nobody has submitted one of them.
    """
    wanted = tuple(f"{number:0>2}_" for number in numbers)
    todo = [one for one in submitted.todo if one.notebook.startswith(wanted)]
    not_graded = [one for one in submitted.not_graded if one.notebook.startswith(wanted)]
    if not todo and not not_graded:
        raise ValueError(f"No submission is for notebook {' or '.join(numbers)}.")
    students = sorted({one.student for one in todo + not_graded if one.student})
    return Submissions(students, todo, not_graded, [])


def limit_memory(gigabytes: float) -> None:
    """Limit the memory of each kernel that is started from now on. Works on Linux only."""
    if sys.platform == "linux":
        import resource

        size = int(gigabytes * 1e9)
        resource.setrlimit(
            resource.RLIMIT_DATA, (size, resource.getrlimit(resource.RLIMIT_DATA)[1])
        )


def key(row: Row) -> tuple[str, str]:
    return str(row["student"]), str(row["notebook"])


def has_grade(row: Row) -> bool:
    return not str(row["what was wrong"]).startswith(NOT_GRADED)


def read_grades(path: Path) -> list[Row]:
    """The rows of an earlier grades.csv.

    Raises ValueError if the file is not in the format that ``write_grades`` writes.
    """
    if not path.exists():
        return []
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, strict=True)
            found: list[Row] = [dict(row) for row in reader]
    except (OSError, csv.Error, UnicodeDecodeError) as error:
        raise ValueError(f"it cannot be read: {error}") from error
    if reader.fieldnames != COLUMNS:
        raise ValueError(f"its first line should be {','.join(COLUMNS)}")
    for number, row in enumerate(found, start=2):
        try:
            row["points"], row["of"] = (float(row[column]) for column in ("points", "of"))
        except (TypeError, ValueError):
            raise ValueError(f"row {number} has no number of points") from None
        if None in row.values() or None in row:
            raise ValueError(f"row {number} should have {len(COLUMNS)} columns")
    return found


def earlier_grades(path: Path) -> tuple[list[Row], str]:
    """The rows of an earlier grades.csv, and a sentence if somebody else has changed the file.

    Such a file is copied to another name. If it cannot be read, it has no rows.
    """
    note = path.with_name(f"{path.name}.sha256")
    try:
        rows_before, problem = read_grades(path), ""
    except ValueError as error:
        rows_before, problem = [], str(error)
    if not path.exists():
        return [], ""
    if not problem and note.exists() and note.read_text("utf-8").split()[0] == digest(path):
        return rows_before, ""
    names = (path.with_name(f"{path.stem}-kept-{number}.csv") for number in itertools.count(1))
    kept = next(name for name in names if not name.exists())
    if problem:
        path.rename(kept)
        text = f"Its grades are not in the new {path.name}, because {problem}."
    else:
        shutil.copy2(path, kept)
        text = f"Its grades are in the new {path.name} as well, unless this run replaces them."
    return rows_before, f"{path.name} was not as the last run left it. It is kept as {kept}. {text}"


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def merged(before: list[Row], now: list[Row]) -> list[Row]:
    """All rows. The new grade of a notebook replaces its earlier one.

    A notebook that was not graded does not replace a grade.
    """
    graded = {key(row) for row in before if has_grade(row)}
    now = [row for row in now if has_grade(row) or key(row) not in graded]
    replaced = {key(row) for row in now}
    found = [row for row in before if key(row) not in replaced] + now
    known = {row["student"] for row in found if row["notebook"]}
    found = [row for row in found if row["notebook"] or row["student"] not in known]
    return sorted(found, key=key)


def write_grades(path: Path, found: list[Row]) -> None:
    """Replace grades.csv in one step, and note its checksum, which shows later edits.

    Raises OSError if the file cannot be replaced, for example while a program on Windows has it
    open.
    """
    new = path.with_name(f"{path.name}.new")
    with new.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(
            row | {column: f"{row[column]:g}" for column in ("points", "of")} for row in found
        )
    new.replace(path)
    path.with_name(f"{path.name}.sha256").write_text(f"{digest(path)}  {path.name}\n", "utf-8")


def table(found: list[Row], students: list[str]) -> str:
    """A line for each student and notebook, and the sum for a student with several notebooks."""
    lines = [("student", "notebook", "points")]
    for student in students:
        own = [row for row in found if row["student"] == student]
        names = sorted({str(row["notebook"]) for row in own})
        for name in names:
            part = [row for row in own if row["notebook"] == name]
            text = points(part) if all(has_grade(row) for row in part) else "not graded"
            if all(row["what was wrong"] == NOT_ANSWERED for row in part):
                text += ", not answered"
            lines.append((student, name or "–", text))
        if len(names) > 1:
            lines.append((student, "sum", points(own)))
    wide = [max(len(line[i]) for line in lines) for i in (0, 1)]
    return "\n".join(f"{a:{wide[0]}}  {b:{wide[1]}}  {c}" for a, b, c in lines)


def points(found: list[Row]) -> str:
    got, of = (sum(float(row[column]) for row in found) for column in ("points", "of"))
    return f"{got:4g} of {of:g}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("submissions", help="a folder that contains a folder for each student")
    parser.add_argument(
        "--into", type=Path, default=Path("grades"), help="the folder for the results"
    )
    parser.add_argument(
        "--only", nargs="+", default=[], metavar="NUMBER", help="grade these notebooks, such as 2"
    )
    parser.add_argument("--timeout", type=int, help="seconds that a cell may take")
    parser.add_argument("--memory", type=float, default=4, help="GB that a kernel may have (Linux)")
    options = parser.parse_args()
    if not options.submissions.strip():
        sys.exit("Say which folder to grade: make grade SUBMISSIONS=folder")
    folder, root = Path(options.submissions).expanduser(), options.into.resolve()
    try:
        check_folder(folder, root)
    except ValueError as error:
        sys.exit(str(error))
    submitted = collect(folder)
    if not submitted.students and not submitted.not_graded:
        sys.exit(f"No submission is in {folder}: expected {folder}/STUDENT/NOTEBOOK.ipynb.")
    if options.only:
        try:
            submitted = only(submitted, options.only)
        except ValueError as error:
            sys.exit(str(error))
    # nbgrader calls the program alembic, which is in the folder of this Python.
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    limit_memory(options.memory)
    root.mkdir(parents=True, exist_ok=True)
    log = logging.getLogger("nbgrader")
    log.addHandler(logging.FileHandler(root / "grade.log", encoding="utf-8"))
    warnings.filterwarnings("ignore", module="nbgrader")  # about its use of the database
    warnings.filterwarnings(
        "ignore", category=MissingIDFieldWarning
    )  # about cells that it restores
    before, changed = earlier_grades(root / "grades.csv")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as temporary:
        os.environ["TMPDIR"] = temporary  # a killed kernel does not delete its temporary files
        try:
            found, failed = grade(submitted, root, options.timeout)
        except KeyboardInterrupt:
            sys.exit(f"\nStopped after a notebook. {root}/grades.csv was not changed.")
    kept = {key(row) for row in before if has_grade(row)}
    not_graded = [
        dataclasses.replace(one, reason=f"{one.reason}; its earlier grade is kept")
        if (one.student, one.notebook) in kept
        else one
        for one in submitted.not_graded + failed
    ]
    found += rows_of_the_others(found, not_graded, submitted.students)
    try:
        write_grades(root / "grades.csv", merged(before, found))
    except OSError as error:
        sys.exit(f"Close grades.csv and rename grades.csv.new to that: {error}")
    lines = [f"Not graded: {shown(one.path, folder)}: {one.reason}" for one in not_graded]
    lines += [f"Note: {note}" for note in submitted.notes + [changed] if note]
    for line in lines:
        log.warning(line)
    ends = [f"Points of each test: {root}/grades.csv. Pages for the students: {root}/feedback"]
    print(table(found, submitted.students), *lines, *ends, sep="\n\n")
    sys.exit(1 if not_graded else 0)


if __name__ == "__main__":
    main()
