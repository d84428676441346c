"""The README's figure is a notebook's: `make refresh` copies it, and a test compares the two."""

import base64

import nbformat
from anatomy import ROOT

NOTEBOOK = ROOT / "notebooks" / "04_checkpoints.ipynb"
PICTURE = ROOT / ".github" / "loss-of-three-runs.png"


def figure() -> tuple[bytes, str]:
    """The first figure of the notebook, as a PNG, and its alt text."""
    cells = nbformat.read(NOTEBOOK, as_version=4).cells
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    data = next(o.data for o in outputs if "image/png" in o.get("data", {}))
    return base64.b64decode(data["image/png"]), data["text/plain"]


if __name__ == "__main__":
    PICTURE.write_bytes(figure()[0])
