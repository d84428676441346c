"""How long each notebook takes, against what it cannot do without: a kernel with torch in it.

Run by `make bench`; `make bench ARGS=--long` times the suite as well. All figures come from one
run, and only the ratios mean something elsewhere.
"""

import argparse
import subprocess
import sys
import time
from datetime import datetime

import nbformat
from anatomy import NOTEBOOKS, ROOT
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook
from tqdm import tqdm

FLOOR = new_notebook(cells=[new_code_cell("import torch")])


def run(notebook: nbformat.NotebookNode) -> float:
    """Execute it in a fresh kernel and return the seconds from start to shutdown."""
    start = time.perf_counter()
    NotebookClient(notebook, resources={"metadata": {"path": ROOT / "notebooks"}}).execute()
    return time.perf_counter() - start


def slowest_cell(notebook: nbformat.NotebookNode) -> tuple[float, str]:
    """The seconds and the first line of the cell that took longest."""

    def seconds(cell: nbformat.NotebookNode) -> float:
        times = cell.metadata["execution"]
        start, end = times["iopub.execute_input"], times["shell.execute_reply"]
        return (_parse(end) - _parse(start)).total_seconds()

    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    slowest = max(code, key=seconds)
    return seconds(slowest), slowest.source.partition("\n")[0]


def _parse(stamp: str) -> datetime:
    return datetime.fromisoformat(stamp.replace("Z", "+00:00"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--long", action="store_true", help="time the suite as well")
    long = parser.parse_args().long
    run(FLOOR)  # warms the disk's cache
    rows, floors = [], []
    for path in tqdm(NOTEBOOKS, desc="notebooks"):
        notebook = nbformat.read(path, as_version=4)
        floors.append(run(FLOOR))  # beside each notebook, since the machine's speed drifts
        rows.append((path.name, run(notebook), *slowest_cell(notebook)))
    floor = sorted(floors)[len(floors) // 2]

    print(f"\nfloor: {floor:.1f} s to start a kernel and import torch (median of {len(floors)})\n")
    print(f"{'notebook':30} {'seconds':>7} {'x floor':>7}   slowest cell")
    for name, seconds, longest, line in rows:
        print(f"{name:30} {seconds:7.1f} {seconds / floor:7.1f}   {longest:.1f} s: {line[:40]}")

    total = sum(seconds for _, seconds, *_ in rows)
    print(
        f"\nnotebooks, one after the other: {total:.1f} s, {total / sum(floors):.2f} x the floors"
    )
    worst, seconds, longest, line = max(rows, key=lambda row: row[1])
    print(f"What dominates: {worst}, and in it {100 * longest / seconds:.0f} % in {line!r}")
    if long:
        start = time.perf_counter()
        done = subprocess.run([sys.executable, "-m", "pytest", "-q"], cwd=ROOT, capture_output=True)
        suite = time.perf_counter() - start
        print(f"suite, in parallel: {suite:.1f} s, {suite / sum(floors):.2f} x the floors")
        if done.returncode:
            sys.exit("The suite failed, so its time means nothing: run `make test`.")


if __name__ == "__main__":
    main()
