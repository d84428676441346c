"""Grade a folder of submissions with nbgrader: ``make grade SUBMISSIONS=folder``.

The folder contains a folder for each student, which contains the student's notebooks at any depth,
under the names that they were distributed with. The result is an nbgrader course folder with

- ``grades.csv``, one line for each exercise with the points and the error;
- ``feedback/STUDENT/NOTEBOOK.html``, the graded notebook with the tests and the points.

**This runs the students' code with your permissions.** A cell that takes too long, kills its kernel
or needs too much memory costs the points of its own exercise only. There is no protection against
malicious code: run this in a container without network access, secrets or private files.
"""

import argparse
import csv
import logging
import os
import shutil
import sys
import tempfile
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import nbformat
import nbgrader
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from nbformat.warnings import MissingIDFieldWarning
from nbgrader import utils
from nbgrader.converters import Autograde, GenerateAssignment, GenerateFeedback
from nbgrader.converters.base import NbGraderException
from nbgrader.preprocessors import Execute
from tqdm import tqdm

from course import EXERCISES, read
from make_exercises import SOURCE, Course, convert, course

Row = dict[str, str | float]  # student, notebook, exercise, points, of, and what was wrong


class ExecuteEach(Execute):
    """Run a notebook so that a cell which hangs or kills its kernel does not affect the others.

    The exercise and those after it continue in a new kernel. They need the first cell of the
    notebook only, which runs again. So does the answer, unless the answer is what failed.
    """

    def preprocess_cell(self, cell, resources, index):
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
        if names & {"KernelDied", "CellTimeoutError"}:
            self._cleanup_kernel()
            self.km = self.create_kernel_manager()
            self.start_new_kernel()
            self.start_new_kernel_client()
            before = list(enumerate(self.nb.cells[:index]))
            first = [i for i, c in before if nbgrader_says(c, "grade_id") == "setup"]
            answer = [i for i, c in before if nbgrader_says(c, "solution")]
            for i in first + answer[-1:] * nbgrader_says(cell, "grade"):
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
    return made_with


def submissions(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield each student with each submitted notebook.

    Raises ValueError if there is none, if a student has two with one name, because a program
    cannot know which of them counts, or if nbgrader would read a student's name as a pattern.
    """
    known = {path.name for path in SOURCE.glob("*/*.ipynb")}
    seen: dict[tuple[str, str], Path] = {}
    for path in sorted(folder.glob("*/**/*.ipynb")):
        student = path.relative_to(folder).parts[0]
        if path.name not in known or ".ipynb_checkpoints" in path.parts:
            continue
        if set(student) & set("*?[]"):
            raise ValueError(
                f"Rename the folder {student!r}: its name must not contain * ? [ or ]."
            )
        if other := seen.get((student, path.stem)):
            raise ValueError(
                f"{student} submitted {path.name} twice. Keep one of {other} and {path}."
            )
        seen[student, path.stem] = path
    if not seen:
        raise ValueError(
            f"No submission in {folder}: expected {folder}/STUDENT/NOTEBOOK.ipynb, with the names "
            f"of the notebooks in {EXERCISES / 'release'}."
        )
    yield from ((student, path) for (student, _), path in seen.items())


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


def rows(student: str, path: Path, failed: str = "") -> Iterator[Row]:
    """Yield the points of each test in a graded notebook, and its error.

    ``failed`` is the reason why the notebook could not be graded. Then no test gets points.
    """
    answer = ""
    for cell in read(path).cells:
        if utils.is_solution(cell):
            answer = "".join(f"the answer itself ended in {e}; " for e in errors(cell)[-1:])
        if utils.is_grade(cell):
            points, of = utils.determine_grade(cell)
            yield {
                "student": student,
                "notebook": path.stem,
                "exercise": cell.metadata.nbgrader.grade_id,
                "points": 0 if failed or points is None else points,
                "of": of,
                "what was wrong": failed or "".join(answer + e for e in errors(cell)[-1:]),
            }


def errors(cell: NotebookNode) -> list[str]:
    """The errors in a cell's outputs. If an error contains a traceback, only its last line."""
    found = [f"{o.ename}: {o.evalue}".strip() for o in cell.outputs if o.output_type == "error"]
    return [
        (text.splitlines()[-1] if "Traceback (most recent" in text else text).removesuffix(":")
        for text in found
    ]


def grade(folder: Path, root: Path, timeout: int | None) -> list[Row]:
    """Grade all submissions in a folder into the folder ``root``, with a progress bar."""
    todo = list(submissions(folder))
    shutil.copytree(SOURCE, root / "source", dirs_exist_ok=True)
    shutil.copy(EXERCISES / "nbgrader_config.py", root)
    made_with = grading_course(root, timeout)
    for name in sorted({path.stem for _, path in todo}):
        convert(GenerateAssignment, made_with, name)
    found: list[Row] = []
    worker = ThreadPoolExecutor(max_workers=1)
    for student, path in tqdm(todo, desc="grading", unit="notebook"):
        name = path.stem
        submitted = root / "submitted" / student / name / path.name
        submitted.parent.mkdir(parents=True, exist_ok=True)
        try:
            nbformat.write(without_copies(read(path)), submitted)
            # Not in the main thread, where nbclient would catch Ctrl-C and end only the kernel.
            for step in (Autograde, GenerateFeedback):
                worker.submit(convert, step, made_with, name, student).result()
        except Exception as error:  # any error concerns this notebook only
            reason = "see grade.log" if isinstance(error, NbGraderException) else error
            found += rows(student, SOURCE / name / path.name, f"could not be graded: {reason}")
        else:
            found += rows(student, root / "autograded" / student / name / path.name)
    return found


def limit_memory(gigabytes: float) -> None:
    """Limit the memory of each kernel that is started from now on. Works on Linux only."""
    if sys.platform == "linux":
        import resource

        size = int(gigabytes * 1e9)
        resource.setrlimit(
            resource.RLIMIT_DATA, (size, resource.getrlimit(resource.RLIMIT_DATA)[1])
        )


def totals(found: list[Row]) -> str:
    """A table with one line for each student and notebook."""
    sums: dict[tuple[str, str], list[float]] = {}
    for row in found:
        total = sums.setdefault((str(row["student"]), str(row["notebook"])), [0, 0])
        total[0] += float(row["points"])
        total[1] += float(row["of"])
    wide = [max(len(key[i]) for key in sums) for i in (0, 1)]
    lines = [
        f"{student:{wide[0]}}  {notebook:{wide[1]}}  {points:4g} of {of:g}"
        for (student, notebook), (points, of) in sums.items()
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "submissions", type=Path, help="a folder that contains a folder for each student"
    )
    parser.add_argument(
        "--into", type=Path, default=Path("grades"), help="the folder for the results"
    )
    parser.add_argument("--timeout", type=int, help="seconds that a cell may take")
    parser.add_argument("--memory", type=float, default=4, help="GB that a kernel may have (Linux)")
    options = parser.parse_args()
    # nbgrader calls the program alembic, which is in the folder of this Python.
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    limit_memory(options.memory)
    root = options.into.resolve()
    root.mkdir(parents=True, exist_ok=True)
    logging.getLogger("nbgrader").addHandler(logging.FileHandler(root / "grade.log"))
    warnings.filterwarnings("ignore", module="nbgrader")  # about its use of the database
    warnings.filterwarnings(
        "ignore", category=MissingIDFieldWarning
    )  # about cells that it restores
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        os.environ["TMPDIR"] = folder  # a killed kernel does not delete its temporary files
        try:
            found = grade(options.submissions, root, options.timeout)
        except ValueError as error:
            sys.exit(str(error))
    with (root / "grades.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, found[0])
        writer.writeheader()
        writer.writerows(found)
    print(
        totals(found),
        f"\nPoints of each exercise: {root}/grades.csv. Pages for the students: {root}/feedback",
        sep="\n",
    )


if __name__ == "__main__":
    main()
