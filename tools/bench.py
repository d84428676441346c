"""Measure each notebook, each test file, and the whole suite: ``make bench``.

The unit is the floor, the time that a kernel needs to start and import torch. Every notebook needs
at least that. All numbers come from one run. Only the ratios are comparable between machines.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path
from xml.etree import ElementTree

import nbformat
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook
from tqdm import tqdm

from course import NOTEBOOKS, ROOT, read

FLOOR = new_notebook(cells=[new_code_cell("import torch")])


def run(notebook: nbformat.NotebookNode) -> float:
    """Execute a notebook in a fresh kernel and return the seconds from start to shutdown."""
    start = time.perf_counter()
    NotebookClient(notebook, resources={"metadata": {"path": ROOT / "notebooks"}}).execute()
    return time.perf_counter() - start


def slowest_cell(notebook: nbformat.NotebookNode) -> tuple[float, str]:
    """The seconds and the first line of the slowest cell."""

    def seconds(cell: nbformat.NotebookNode) -> float:
        times = cell.metadata["execution"]
        start, end = times["iopub.execute_input"], times["shell.execute_reply"]
        return (_parse(end) - _parse(start)).total_seconds()

    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    slowest = max(code, key=seconds)
    return seconds(slowest), slowest.source.partition("\n")[0]


def _parse(stamp: str) -> datetime:
    return datetime.fromisoformat(stamp.replace("Z", "+00:00"))


def suite(floors: float) -> None:
    """Run the suite, and print the time of each file and the ratio to the sum of the floors."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", "-q", f"--junitxml={report}"]
        start = time.perf_counter()
        done = subprocess.run(command, cwd=ROOT, capture_output=True)
        seconds = time.perf_counter() - start
        if done.returncode:
            sys.exit("The suite failed, so its time means nothing: run `make test`.")
        found = by_file(report)
    print(f"{'file':60} {'seconds':>7} {'share':>6} {'tests':>6}")
    total = sum(sum(times) for times in found.values())
    for name, times in sorted(found.items(), key=lambda item: -sum(item[1])):
        print(f"{name:60} {sum(times):7.1f} {sum(times) / total:6.1%} {len(times):6}")
    print(f"\nsuite, in parallel: {seconds:.1f} s, {seconds / floors:.2f} x the floors")


def by_file(report: Path) -> dict[str, list[float]]:
    """The seconds of each test in pytest's report, by file."""
    found: dict[str, list[float]] = {}
    for case in ElementTree.parse(report).iter("testcase"):
        name, _, _ = case.get("classname", "").partition("::")
        found.setdefault(name, []).append(float(case.get("time", 0)))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--long", action="store_true", help="has no effect here")
    parser.parse_args()
    run(FLOOR)  # warms up the disk's cache
    rows, floors = [], []
    for path in tqdm(NOTEBOOKS, desc="notebooks"):
        notebook = read(path)
        floors.append(run(FLOOR))  # next to each notebook, because the machine's speed drifts
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
    print()
    suite(sum(floors))


if __name__ == "__main__":
    main()
