"""Run notebooks from top to bottom and store their outputs, with the date and the versions.

``make refresh`` calls this. The versions come from the kernel that produced the outputs. They are
stored in the notebook's metadata, under ``produced``, and the web site shows them. The alt text of
a figure is in the metadata of its cell, so that a translation can replace it.
"""

import json
import re
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbconvert.preprocessors import CoalesceStreamsPreprocessor
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell

from course import read

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


def refresh(path: Path) -> None:
    """Execute the notebook in its folder and write it back, with ``metadata.produced``.

    Raises:
        nbclient.exceptions.CellExecutionError: A cell ends in an error and is not tagged
            ``raises-exception``. The file is unchanged.
    """
    notebook = read(path)
    client = NotebookClient(
        notebook,
        resources={"metadata": {"path": str(path.parent)}},
        record_timing=False,
    )
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
    nbformat.write(notebook, path)


def add_alt_texts(notebook: NotebookNode) -> None:
    """Copy the alt text from the metadata of each cell to the metadata of its pictures."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}) and "alt" in cell.metadata:
                output.metadata.setdefault("image/png", {})["alt"] = cell.metadata.alt


if __name__ == "__main__":
    for name in sys.argv[1:]:
        print(name, flush=True)
        refresh(Path(name))
