"""Identify a file, check that it is intact, and find the lines that load it.

Nothing in the file is executed. On the command line: ``python -m helpers.inspection FILE...``
"""

import argparse
import difflib
import glob
import io
import itertools
import os
import re
import shlex
import stat
import sys
import textwrap
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from helpers import folders, formats
from helpers.formats import TABLE, not_utf8
from helpers.pickles import quoted

_LINES, _WIDTH = 40, 100  # of a printed report


@dataclass
class Report:
    """What ``look_inside`` found. Print it for a text of at most 40 lines.

    Attributes:
        path: The path that was given.
        kind: What the file is.
        size: Its size in bytes, 0 for a folder.
        intact: Whether it is whole. None if nothing in the file tells.
        details: What was checked, what the file holds and what it needs.
        advice: What to do.
        lines: The lines to run. Those for a shell begin with ``$``.
        loads: Whether it is an intact checkpoint or model, which the lines load.
        records: The size in bytes of each record of an archive, by its name.
    """

    path: Path
    kind: str = "a file of an unknown kind"
    size: int = 0
    intact: bool | None = None
    details: list[str] = field(default_factory=list)
    advice: str = "Ask its author which program wrote it."
    lines: list[str] = field(default_factory=list)
    loads: bool = False
    records: dict[str, int] = field(default_factory=dict)

    def take(self, row: dict[str, Any]) -> None:
        """Take the kind and the next step from a row of ``files/kinds.toml``."""
        self.kind, self.advice = row["kind"], row.get("advice", "Load it:")
        self.lines, self.loads = list(row.get("lines", [])), row.get("loads", "advice" not in row)

    def damaged(self, found: str, advice: str = "", mark: str = "damaged") -> None:
        """Report damage: what was found, what to do, and a word after the kind."""
        self.kind += f", {mark}" if mark else ""
        self.intact, self.loads, self.lines = False, False, []
        self.advice = advice or "Get the file again, or use an older checkpoint."
        if mark == "cut off":
            found += " Compare its size with that of the original."
        self.details = [found] if found else []

    def __str__(self) -> str:
        name = self.path.name or str(self.path)
        parts = [_printable(p) for p in (f"{name} is {self.kind}.", *self.details, self.advice)]
        *before, advice = [textwrap.wrap(part[: 4 * _WIDTH], _WIDTH) for part in parts]
        room = _LINES - len(advice) - len(self.lines)
        text = [*list(itertools.chain(*before))[: max(1, room)], *advice]
        return "\n".join([*text, *(f"    {line}" for line in self.lines)])


def look_inside(path: str | os.PathLike[str], full: bool = False) -> Report:
    """Identify a file or folder by its content, not by its name.

    Args:
        path: A file or a folder. It may be damaged, or missing.
        full: Compare every checksum. Otherwise only those of the first 256 MiB are compared.
    """
    return _inspected(Path(os.fsdecode(path)), full)


def _inspected(path: Path, full: bool, share: int = 1) -> Report:
    """The report on one of several files, which share a limit of bytes to read."""
    report = Report(path)
    try:
        _look(report, full, share)
    except Exception as error:  # whatever the file holds, there is a report, and it shows the error
        report.intact, report.loads, report.lines = None, False, []
        report.details.append(f"Reading it failed: {type(error).__name__}: {error}")
    report.lines = _filled_in(report.lines, report.path)
    return report


def _look(report: Report, full: bool, share: int) -> None:
    try:
        status = report.path.stat()
        file = report.path.open("rb") if stat.S_ISREG(status.st_mode) else None
        names = folders.names_in(report.path) if stat.S_ISDIR(status.st_mode) else []
    except (OSError, ValueError) as error:  # ValueError: a path with a NUL character
        _describe_missing(report, error)
        return
    if file:
        report.size = status.st_size
        with file:
            formats.identify(report, formats.Source(file, report.size, full, share))
        _describe_name(report)
    elif stat.S_ISDIR(status.st_mode):
        folders.describe(report, names, lambda path, share=1: _inspected(path, full, share))
    else:
        report.kind = "a pipe, a socket or a device, not a file"
        report.advice = "It was not opened. Pass the path of a file."


def _describe_missing(report: Report, error: OSError | ValueError) -> None:
    path, folder = report.path, report.path.absolute().parent
    report.kind, report.intact = "a file that cannot be read", False
    report.details = [f"{type(error).__name__}: {getattr(error, 'strerror', None) or error}."]
    report.advice = "Check the path, and your permission to read it."
    if os.path.islink(path):
        target = os.readlink(path).replace("\\", "/")
        row = "annex_link" if "annex/objects" in target else "broken_link"
        report.take(TABLE["other"][row])
        report.details = [f"Target: {target}"]
    elif isinstance(error, FileNotFoundError):
        report.kind, report.details = "a missing file", []
        names = folders.names_in(folder) if folder.is_dir() else []
        near = difflib.get_close_matches(path.name, names[:1000], 5, 0.5) or names[:10]
        report.advice = f"Its folder contains: {', '.join(near) or 'nothing'}."


def _describe_name(report: Report) -> None:
    """The few cases in which the name counts."""
    name = report.path.name
    part = re.fullmatch(r"(.+\.)(part[-_]?\d+|z?\d{2,3})", name)
    if part and re.search("cut off|unknown", report.kind):
        kind = report.kind
        folders.take_with(report, "parts", {"{pattern}": glob.escape(part[1]) + "*[0-9]"})
        report.kind = f"{kind}, one part of several"
    elif name.endswith(".distcp") and report.kind == "a PyTorch file" and report.loads:
        report.take(TABLE["other"]["distcp"])
        report.intact = None
        report.details = ["It has an archive for each tensor. Only the last one was checked."]
    elif not_utf8(report.path) and report.loads and "torch.load" not in str(report.lines):
        folders.rename(report)
    elif name.endswith(".safetensors") and any("torch.load({path}" in s for s in report.lines):
        report.details.append("torch.load goes by the name, so the lines pass an open file.")
        report.lines = [s.replace("load({path}", 'load(open({path}, "rb")') for s in report.lines]


def _printable(text: str) -> str:
    """The text, without characters that would move the cursor or that cannot be encoded."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _filled_in(lines: list[str], path: Path) -> list[str]:
    """Put the paths into the lines."""
    if path.name in ("", ".."):  # the lines must not write into the folder that they read
        path = Path(os.path.abspath(path))
    name = path.stem if path.suffix else f"{path.name}.pt"
    if not_utf8(path):
        name = re.sub("[\ud800-\udfff]", "_", path.name)
    targets = (path.parent / f"unpacked{number}-{name}" for number in ["", *range(2, 100)])
    target = next((target for target in targets if not os.path.lexists(target)), "")
    codes = {
        "{path}": quoted(str(path)),
        "{target}": quoted(str(target)),
        "{folder}": quoted(str(path.parent)),
        "{file}": _shell(path.name),
        "{out}": _shell(Path(target).name),
    }
    return [folders.replaced(line, codes) for line in lines]


def _shell(name: str) -> str:
    """The name of a file for a shell, which may hold any bytes, and begin with a dash."""
    name = f"./{name}" if name.startswith("-") else name
    if name.isprintable():
        return shlex.quote(name)
    code = re.sub(rb"[^\w./-]", lambda byte: b"\\x%02x" % ord(byte[0]), os.fsencode(name))
    return f"$'{code.decode()}'"


def main() -> int:
    """Print the reports on the files of the command line."""
    parser = argparse.ArgumentParser(prog="python -m helpers.inspection", description=__doc__)
    parser.add_argument("files", nargs="+", metavar="FILE")
    parser.add_argument("--full", action="store_true", help="compare every checksum")
    options = parser.parse_args()
    if isinstance(sys.stdout, io.TextIOWrapper):  # a code page of Windows lacks most characters
        sys.stdout.reconfigure(errors="backslashreplace")
    reports = [look_inside(file, options.full) for file in options.files]
    print("\n\n".join(map(str, reports)))
    return 0 if all(report.loads for report in reports) else 1


if __name__ == "__main__":
    raise SystemExit(main())
