"""Run notebooks from top to bottom and store their outputs, with the date and the versions.

``make refresh`` calls this, and ``make run`` calls it with ``--dry-run``, which stores nothing. The
versions come from the kernel that produced the outputs. They are stored in the notebook's metadata,
under ``produced``, and the web site shows them. The alt text of a figure is in the metadata of its
cell, so that a translation can replace it.
"""

import argparse
import json
import re
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbconvert.preprocessors import CoalesceStreamsPreprocessor
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell
from traitlets.config import Config

from course import NOTEBOOKS, read

# ipykernel 7.4 prints a warning if Jupyter does not encrypt its connection to the kernel.
ENCRYPTED = Config({"KernelManager": {"transport_encryption": "auto"}})

QUESTION = """
import datetime, json, platform
from importlib import metadata
_names = metadata.packages_distributions()
_versions = {{_names[name][0]: metadata.version(_names[name][0]) for name in {imported}
              if name in _names}}
print(json.dumps({{
    "day": datetime.date.today().isoformat(),
    "system": f"{{platform.system()}} {{platform.machine()}}",
    "versions": {{"Python": platform.python_version(), **_versions}},
}}))
"""


def imported(notebook: NotebookNode) -> list[str]:
    """torch, and the other packages that the cells import, except those of the course."""
    code = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    found = re.findall(r"^ *(?:import|from) (\w+)", code, re.MULTILINE)
    return ["torch", *sorted(set(found) - {"torch", "helpers"})]


def client_for(notebook: NotebookNode, folder: Path) -> NotebookClient:
    """A client that executes the notebook in a folder."""
    return NotebookClient(
        notebook,
        resources={"metadata": {"path": str(folder)}},
        record_timing=False,
        config=ENCRYPTED,
    )


def execute(path: Path) -> NotebookNode:
    """Execute the notebook in its folder, and return it with its outputs. The file is unchanged.

    Raises:
        nbclient.exceptions.CellExecutionError: A cell ends in an error and is not tagged
            ``raises-exception``.
    """
    notebook = read(path)
    client = client_for(notebook, path.parent)
    with client.setup_kernel():
        for index, cell in enumerate(notebook.cells):
            client.execute_cell(cell, index)
        asked = new_code_cell(QUESTION.format(imported=imported(notebook)))
        notebook.cells.append(asked)
        client.execute_cell(asked, len(notebook.cells) - 1)
        notebook.cells.pop()
    notebook.metadata["produced"] = json.loads(asked.outputs[0].text)
    add_alt_texts(notebook)
    notebook, _ = CoalesceStreamsPreprocessor(enabled=True).preprocess(notebook, {})
    return notebook


def refresh(path: Path) -> None:
    """Execute the notebook and write it back. If it fails, the file is unchanged: see execute."""
    nbformat.write(execute(path), path)


def add_alt_texts(notebook: NotebookNode) -> None:
    """Copy the alt text from the metadata of each cell to the metadata of its pictures."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}) and "alt" in cell.metadata:
                output.metadata.setdefault("image/png", {})["alt"] = cell.metadata.alt


def in_one_line(error: Exception) -> str:
    """The error of a cell, or another one, without its traceback."""
    if isinstance(error, CellExecutionError):
        name, text = error.ename, error.evalue
    else:
        name, text = type(error).__name__, str(error)
    lines = text.strip().splitlines()
    return f"{name}: {lines[0]}" if lines else name


def minutes(seconds: float) -> str:
    """A duration such as ``3:07``."""
    return "{}:{:02}".format(*divmod(round(seconds), 60))


def main(arguments: list[str]) -> int:
    """Run the notebooks, and print a summary. Returns 1 if one of them failed, and otherwise 0."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("notebooks", nargs="*", default=NOTEBOOKS, type=Path)
    parser.add_argument("--dry-run", action="store_true", help="store nothing")
    options = parser.parse_args(arguments)
    run = execute if options.dry_run else refresh
    failures: dict[Path, str] = {}
    begun = time.monotonic()
    for number, path in enumerate(options.notebooks, start=1):
        print(f"[{number}/{len(options.notebooks)}] {path} ", end="", flush=True)
        begun_here = time.monotonic()
        try:
            run(path)
        except Exception as error:  # any error of a notebook is reported, and the others run
            failures[path] = in_one_line(error)
        print(
            "failed" if path in failures else "ran", f"in {minutes(time.monotonic() - begun_here)}"
        )
    good = len(options.notebooks) - len(failures)
    stored = "No file was changed." if options.dry_run else "Their outputs were stored."
    print(
        f"\n{good} of {len(options.notebooks)} notebooks ran without an error, in "
        f"{minutes(time.monotonic() - begun)} minutes. {stored}"
    )
    for path, text in failures.items():
        print(f"FAILED {path}: {text}")
    return 1 if failures else 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit("\nStopped. The notebook that was running was not changed.")
