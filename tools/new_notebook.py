"""Create a notebook, its exercises and their wrong answers: ``make new NOTEBOOK=20_quantize``.

The files have the structure that the tests expect, and a TODO wherever you have to write something.
The tests report each TODO that remains.
"""

import re
import sys
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from course import EXERCISES, NOTEBOOKS, ROOT, WORDS, opening, read
from notebook_rules import INSTALL

KERNEL = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
WRONG_ANSWER = """\
# %% {key}: TODO a common mistake
# gets 0 of 2: TODO the message that the student sees


def {name}():
    raise NotImplementedError


# %% {key}: TODO another mistake
# gets 0 of 2: TODO what the student is told


def {name}():
    raise NotImplementedError


"""


def title(path: Path) -> str:
    """The title of a notebook, without its number."""
    return opening(path).partition("\n")[0].partition(" · ")[2]


def course_notebook(name: str, before: Path) -> NotebookNode:
    """The skeleton of a notebook, with everything that `tools/notebook_rules.py` requires."""
    number = int(name[:2])
    cells = [
        new_markdown_cell(
            f"# {number} · TODO title, beginning with a verb\n\n"
            f"TODO the reader's problem. {WORDS['at_the_end']}you can TODO.\n\n"
            f"**{WORDS['aims']}**\n\n- TODO;\n- TODO;\n- TODO.\n\n"
            f"**{WORDS['minutes']}:** 5 · **{WORDS['builds_on']}:** "
            f"[{title(before)}]({before.name})\n\n**{WORDS['believed']}:** TODO"
        ),
        new_markdown_cell("## TODO a claim"),
        new_code_cell(INSTALL),
        new_code_cell("import torch"),
        new_markdown_cell(
            f"**{WORDS['predict']}:** TODO a question?\n\n- **A** yes: `True`\n- **B** no: `False`",
            metadata={"tags": ["answer-a", "class-question"]},
        ),
        new_code_cell("True  # TODO"),
        new_markdown_cell("TODO the answer.", metadata={"tags": ["answer"]}),
        new_markdown_cell(
            f"**{WORDS['predict']}:** TODO another question?\n\n- **A** yes: `True`\n"
            "- **B** no: `False`",
            metadata={"tags": ["answer-b"]},
        ),
        new_code_cell("False  # TODO"),
        new_markdown_cell("TODO the answer.", metadata={"tags": ["answer"]}),
        new_markdown_cell(
            f"## {WORDS['wrong']}\n\nFor other messages, see the [index of errors](errors.md).\n\n"
            "### TODO a case"
        ),
        new_code_cell("# TODO the error", metadata={"tags": ["raises-exception"]}),
        new_markdown_cell(
            f"TODO the fix.\n\n## {WORDS['recap']}\n\n- TODO\n- TODO\n- TODO\n\n"
            f"## {WORDS['next']}\n\nBack: [{title(before)}]({before.name}).\n\nTry it yourself: "
            f"[the exercises](exercises/release/{name}/{name}.ipynb) for this notebook."
        ),
    ]
    return new_notebook(cells=cells, metadata={"kernelspec": KERNEL})


def exercise_notebook(name: str) -> NotebookNode:
    """Three exercises in nbgrader's format: statement, solution, visible test and hidden test."""
    number = int(name[:2])
    head = (
        f"# {WORDS['exercises']} {number} · TODO the title of the notebook\n\n"
        f"These exercises go with [notebook {number}](../../../{name}.ipynb). TODO one sentence."
    )
    setup = f"import torch\n\n{INSTALL}"
    cells = [new_markdown_cell(head), graded(setup, "setup", locked=True)]
    for exercise in (1, 2, 3):
        key, function = f"todo-{exercise}", f"todo_{exercise}"
        told = "expected True, and got {found!r}: TODO say what is wrong"
        check = f"found = {function}()\nassert found is True, f{told!r}"
        hidden = f"### BEGIN HIDDEN TESTS\n{check}\n### END HIDDEN TESTS"
        solution = f"def {function}():\n    ### BEGIN SOLUTION\n    return True  # TODO\n"
        cells += [
            new_markdown_cell(f"## {exercise} · TODO (2 {WORDS['points']})\n\nTODO what to do."),
            graded(solution + "    ### END SOLUTION", key, solution=True),
            graded(check, f"{key}-check", points=1, grade=True, locked=True),
            graded(hidden, f"{key}-hidden", points=1, grade=True, locked=True),
        ]
    return new_notebook(cells=cells, metadata={"kernelspec": KERNEL})


def graded(source: str, key: str, **options: object) -> NotebookNode:
    """A cell with nbgrader's metadata."""
    known: dict[str, object] = {"grade_id": key, "schema_version": 3, "task": False}
    known |= {"grade": False, "locked": False, "solution": False} | options
    return new_code_cell(source, metadata={"nbgrader": known})


def link_from(before: Path, name: str) -> None:
    """Link from the last cell of the previous notebook to the new one."""
    notebook = read(before)
    last = notebook.cells[-1]
    heading = f"## {WORDS['next']}\n\n"
    last.source = last.source.replace(heading, f"{heading}Next: [TODO title]({name}.ipynb). ", 1)
    nbformat.write(notebook, before)


def create(name: str) -> list[Path]:
    """Write the files of a new notebook and return their paths.

    Raises:
        ValueError: The name is not the next number and words, or the files exist already.
    """
    number = len(NOTEBOOKS) + 1
    if not re.fullmatch(rf"{number:02}_[a-z0-9_]+", name):
        found = f"{name!r} cannot be the name of the next notebook" if name else "No name was given"
        raise ValueError(f"{found}: expected, for example, `make new NOTEBOOK={number}_quantize`.")
    made = {
        ROOT / f"notebooks/{name}.ipynb": course_notebook(name, NOTEBOOKS[-1]),
        EXERCISES / f"source/{name}/{name}.ipynb": exercise_notebook(name),
    }
    answers = ROOT / f"tests/wrong_answers/{name}.py"
    if there := [path for path in [*made, answers] if path.exists()]:
        raise ValueError(f"{there[0].relative_to(ROOT)} is there already: nothing was written.")
    for path, notebook in made.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(notebook, path)
    keys = ("todo-1", "todo-2", "todo-3")
    texts = [WRONG_ANSWER.format(key=key, name=key.replace("-", "_")) for key in keys]
    answers.write_text("".join(texts).rstrip() + "\n", encoding="utf-8")
    link_from(NOTEBOOKS[-1], name)
    return [*made, answers, NOTEBOOKS[-1]]


def main() -> None:
    try:
        made = create(sys.argv[1] if len(sys.argv) > 1 else "")
    except ValueError as error:
        sys.exit(str(error))
    for path in made:
        print(path.relative_to(ROOT))
    print("Fill in each TODO; then `make exercises`, `make refresh` and `make test`.")


if __name__ == "__main__":
    main()
