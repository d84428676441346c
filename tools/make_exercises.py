"""Write the students' version of every exercise notebook: ``make exercises``.

nbgrader makes it from ``source/``, without solutions, hidden tests and outputs.
"""

import logging
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from nbgrader.converters import GenerateAssignment
from nbgrader.coursedir import CourseDirectory
from traitlets.config import PyFileConfigLoader

from course import EXERCISES, read

SOURCE, RELEASE = EXERCISES / "source", EXERCISES / "release"
Course = dict[str, Any]  # the arguments of each of nbgrader's steps


def course(root: Path) -> Course:
    """The nbgrader settings of the course in a folder."""
    settings = PyFileConfigLoader("nbgrader_config.py", path=str(EXERCISES)).load_config()
    settings.CourseDirectory.root = str(root)
    return {"config": settings, "coursedir": CourseDirectory(config=settings)}


def convert(step: type, made_with: Course, assignment: str, student: str = ".") -> None:
    """Run one of nbgrader's steps. It logs to the logger ``nbgrader``.

    Raises NbGraderException if it fails.
    """
    made_with["coursedir"].assignment_id = assignment
    made_with["coursedir"].student_id = student
    converter = step(**made_with)
    converter.force = True
    converter.log = logging.getLogger("nbgrader")
    converter.start()


def release(root: Path) -> list[Path]:
    """Make the students' version of every notebook in ``SOURCE``, below ``root``."""
    shutil.copytree(SOURCE, root / "source")
    made_with = course(root)
    made_with["config"].GenerateAssignment.no_database = True
    made_with["config"].SaveCells.enabled = False
    names = sorted(path.parent.name for path in SOURCE.glob("*/*.ipynb"))
    for name in names:
        convert(GenerateAssignment, made_with, name)
    return [root / "release" / name / f"{name}.ipynb" for name in names]


def worked_on(path: Path) -> bool:
    """Whether cells of a notebook have been run, so that it contains somebody's work."""
    cells = read(path).cells
    return any(cell.get("execution_count") or cell.get("outputs") for cell in cells)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        made = release(Path(folder))
        places = [RELEASE / path.parent.name / path.name for path in made]
        if kept := [str(path) for path in places if path.exists() and worked_on(path)]:
            sys.exit(
                "Cells of these were run, so there may be answers in them: move them out of the "
                f"way first. Nothing was written.\n{chr(10).join(kept)}"
            )
        shutil.rmtree(RELEASE, ignore_errors=True)
        for path, place in zip(made, places, strict=True):
            place.parent.mkdir(parents=True)
            shutil.copy(path, place)
    print(f"{len(made)} notebooks for students: {RELEASE}")


if __name__ == "__main__":
    main()
