"""A temporary folder, one thread, and error messages without paths."""

import atexit
import functools
import json
import os
import sys
import tempfile
import warnings
from contextlib import suppress
from pathlib import Path

import torch
from IPython import get_ipython
from IPython.core.interactiveshell import ExecutionInfo

_home = Path.cwd()
_folder: tempfile.TemporaryDirectory[str] | None = None


def enter() -> None:
    """Move into a fresh temporary folder, which is deleted when the kernel stops.

    A cell tagged ``raises-exception`` in a notebook of the kernel's folder shows its error as the
    text alone, because the notebook is about that text. Every other error keeps its full traceback.
    A warning is shown as its text alone.

    torch computes with one thread in this process and in scripts started from it, unless
    OMP_NUM_THREADS is set. A number above that of the processor's cores is reduced. The course's
    networks are so small that several threads mostly wait for each other. On two busy cores, a
    notebook took 99 s with several threads instead of 14 s.

    A second call deletes the folder of the first call and creates a new one.
    """
    global _folder
    leave()
    _folder = tempfile.TemporaryDirectory(prefix="notebook-", ignore_cleanup_errors=True)
    os.chdir(_folder.name)
    # A spawned worker needs this to find modules. The kernel has "", which is another folder there.
    sys.path.insert(0, os.getcwd())  # resolved: on macOS, the path contains a link
    wanted = os.environ.get("OMP_NUM_THREADS") or "1"
    # A list has a number for each level. A script would reduce a number above that of the cores.
    threads = min(int(wanted.partition(",")[0]), torch.get_num_threads())
    os.environ["OMP_NUM_THREADS"] = str(threads)
    torch.set_num_threads(threads)
    # torch creates this folder when the first optimizer is built, and does not delete it.
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = _folder.name
    warnings.formatwarning = _one_line
    if shell := get_ipython():
        shell.colors = "nocolor"
        shell.events.register("pre_run_cell", _choose_traceback)


def _choose_traceback(info: ExecutionInfo) -> None:
    shell = get_ipython()
    assert shell  # it calls this function
    intended = info.raw_cell in _cells_that_raise()
    shell.InteractiveTB.set_mode(mode="Minimal" if intended else shell.xmode)


@functools.cache
def _cells_that_raise() -> set[str]:
    sources = set()
    for path in _home.glob("*.ipynb"):
        # An empty or damaged file in the folder must not add an error to each cell.
        with suppress(OSError, ValueError, KeyError, TypeError):
            for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
                if "raises-exception" in cell["metadata"].get("tags", []):
                    sources.add("".join(cell["source"]))
    return sources


def _one_line(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    line: str | None = None,
) -> str:
    return f"{category.__name__}: {message}\n"


@atexit.register
def leave() -> None:
    """Return to the folder in which the kernel started, and delete the temporary folder."""
    global _folder
    os.chdir(_home)
    if _folder:
        with suppress(ValueError):  # a cell may have removed it
            sys.path.remove(os.path.realpath(_folder.name))
        _folder.cleanup()
        _folder = None
