"""Identify a file, check that it is intact, and find the lines that load it.

Nothing in the file is executed. On the command line: ``python -m helpers.inspection FILE...``
"""

import argparse
import difflib
import errno
import glob
import io
import itertools
import json
import os
import re
import shlex
import stat
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from helpers.formats import TABLE, Source, identify
from helpers.pickles import quoted

# The endings of files with weights, in the order in which they are looked for in a folder.
_WEIGHTS = ("model.safetensors", ".safetensors", "model.bin", ".ckpt", ".pt", ".pth", ".tar")
_WEIGHTS += (".bin", ".onnx", ".gguf", ".h5", ".keras", ".npz", ".pkl")
_ENTRIES = 10_000  # of a folder
_LINES, _WIDTH = 24, 100  # of a printed report


@dataclass
class Report:
    """What ``look_inside`` found. Print it for a text of at most 24 lines.

    Attributes:
        path: The path that was given.
        kind: What the file is.
        size: Its size in bytes. That of a folder is the size of its files.
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

    def blank(self) -> "Report":
        """A new report for the same path."""
        return Report(self.path, size=self.size)

    def take(self, row: dict[str, Any]) -> None:
        """Take the kind and the next step from a row of ``files/kinds.toml``."""
        self.kind, self.advice = row["kind"], row.get("advice", "Load it:")
        self.lines, self.loads = list(row.get("lines", [])), row.get("loads", False)

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
        parts = [f"{name} is {self.kind}.", *self.details, self.advice]
        parts = [_printable(part) for part in parts]
        parts = [part if len(part) <= 4 * _WIDTH else f"{part[: 4 * _WIDTH]}…" for part in parts]
        *before, advice = [textwrap.wrap(part, _WIDTH) for part in parts if part]
        room = _LINES - len(advice) - len(self.lines)
        text = [*list(itertools.chain(*before))[: max(1, room)], *advice]
        return "\n".join([*text, *(f"    {line}" for line in self.lines)])


def look_inside(path: str | os.PathLike[str], full: bool = False) -> Report:
    """Identify a file or folder by its content, not by its name.

    Args:
        path: A file or a folder. It may be damaged, or missing.
        full: Compare every checksum. Otherwise only those of the first 256 MiB are compared.
    """
    report = Report(Path(os.fsdecode(path)))
    try:
        _look(report, full)
    except Exception as error:  # whatever the file holds, there is a report, and it shows the error
        report.intact, report.loads, report.lines = None, False, []
        report.details.append(f"Reading it failed: {type(error).__name__}: {error}")
    report.lines = _filled_in(report.lines, report.path)
    return report


def _look(report: Report, full: bool) -> None:
    try:
        status = report.path.stat()
        file = report.path.open("rb") if stat.S_ISREG(status.st_mode) else None
        names = _names(report.path) if stat.S_ISDIR(status.st_mode) else []
    except (OSError, ValueError) as error:  # ValueError: a path with a NUL character
        _describe_missing(report, error)
        return
    report.size = status.st_size
    if file:
        with file:
            identify(report, Source(file, report.size, full))
        _describe_name(report, full)
    elif stat.S_ISDIR(status.st_mode):
        _describe_folder(report, names, full)
    else:
        report.kind = "a pipe, a socket or a device, not a file"
        report.advice = "It was not opened. Pass the path of a file."


def _describe_missing(report: Report, error: OSError | ValueError) -> None:
    path, code = report.path, getattr(error, "errno", None)
    report.kind, report.intact = "a file that cannot be read", False
    report.details = [f"{type(error).__name__}: {getattr(error, 'strerror', None) or error}."]
    report.advice = "Check the path, and your permission to read it."
    if os.path.islink(path):
        target = os.readlink(path)
        report.kind, report.details = "a link to a file that does not exist", [f"Target: {target}"]
        report.advice = "Get the file that the link names, or make the link again."
        if "annex/objects" in target.replace("\\", "/"):
            report.kind, report.lines = (
                "a git-annex link without its file",
                ["$ git annex get {file}"],
            )
            report.advice = "The file is elsewhere. In the folder of the link, run the line."
        elif code == errno.ELOOP:
            report.kind, report.advice = "a link that leads back to itself", "Make the link again."
    elif code == errno.ENOENT:
        report.kind, report.details = "a missing file", []
        names = _names(path.absolute().parent) if path.absolute().parent.is_dir() else []
        near = difflib.get_close_matches(path.name, names[:1000], 5, 0.5) or sorted(names)[:10]
        report.advice = f"Its folder contains: {', '.join(near) or 'nothing'}."


def _describe_name(report: Report, full: bool) -> None:
    """The few cases in which the name counts."""
    name = report.path.name
    if report.kind == "the index of a sharded checkpoint":
        _describe_shards(report, report.path, _names(report.path.parent))
    part = re.fullmatch(r"(.+\.)(part[-_]?|z?)(\d+)", name)
    if part and (part[2] or len(part[3]) == 3) and re.search("cut off|unknown", report.kind):
        report.kind += ", one part of several"
        report.advice = "Join the parts, and look at the result:"
        report.lines = [
            "from pathlib import Path",
            f"parts = Path({{folder}}).glob({quoted(glob.escape(part[1] + part[2]) + '*[0-9]')})",
            "parts = sorted(parts, key=lambda part: (len(part.name), part.name))",
            'Path({target}).write_bytes(b"".join(part.read_bytes() for part in parts))',
        ]
    elif name.endswith((".part", ".crdownload", ".download", ".incomplete", ".aria2", ".tmp")):
        report.details.append("Its name says that a download or a save did not finish.")
    elif name.endswith(".safetensors") and any("torch.load({path}" in s for s in report.lines):
        report.details.append("torch.load goes by the name, so the lines pass an open file.")
        report.lines = [s.replace("load({path}", 'load(open({path}, "rb")') for s in report.lines]


# ---- folders ------------------------------------------------------------------------------------


def _names(folder: Path) -> list[str]:
    with os.scandir(folder) as entries:
        return sorted(entry.name for entry in itertools.islice(entries, _ENTRIES))


def _files(folder: Path) -> Iterator[Path]:
    for parent, _, names in itertools.islice(os.walk(folder), _ENTRIES):
        yield from (Path(parent, name) for name in names)


def _describe_folder(report: Report, names: list[str], full: bool) -> None:
    report.kind, report.advice = "a folder", "Pass the path of a file in it."
    files = list(itertools.islice(_files(report.path), _ENTRIES))
    report.size = sum(file.lstat().st_size for file in files)
    more = " or more" if len(files) == _ENTRIES else ""
    report.details = [f"It contains {len(files):,}{more} files: {', '.join(names[:8])}"]
    joined = "\n".join(names)
    row = next((r for r in TABLE["folder"] if re.search(r["pattern"], joined, re.MULTILINE)), None)
    if row:
        report.take(row)
        report.intact = False if row.get("broken") else None
    shards = [name for name in names if re.search(r"-\d{5}-of-\d{5}\.(safetensors|bin)$", name)]
    indices = [
        name for name in names if name.endswith((".safetensors.index.json", ".bin.index.json"))
    ]
    if report.kind == "a distributed checkpoint":
        index = _read(report.path / ".metadata")
        needed = {name.decode() for name in re.findall(rb"__\d+_\d+\.distcp", index)}
        if missing := sorted(needed - set(names)):
            report.damaged(f"{len(missing)} of its files are missing: {', '.join(missing[:5])}")
    elif report.kind == "a folder of the Hugging Face cache":
        _describe_child(report, [*(report.path / "snapshots").iterdir()], full)
    elif row is None and (indices or shards):
        report.kind = "a folder with a sharded checkpoint"
        _describe_shards(report, report.path / (indices or shards)[0], names)
    elif row is None:
        for ending in _WEIGHTS:
            if found := [report.path / name for name in names if name.endswith(ending)]:
                _describe_child(report, found, full)
                return


def _describe_child(report: Report, paths: list[Path], full: bool) -> None:
    """Report the newest of these files or folders as the content of the folder."""
    if not paths:
        report.intact, report.advice = False, "It has no files: download the model again."
        return
    newest = max(paths, key=lambda path: path.lstat().st_mtime)
    inner = Report(newest)
    _look(inner, full)
    report.details += [f"{newest.name} is {inner.kind}.", *inner.details]
    report.advice, report.loads, report.intact = inner.advice, inner.loads, inner.intact
    report.lines = [line.replace("{path}", quoted(str(newest))) for line in inner.lines]


def _describe_shards(report: Report, first: Path, names: list[str]) -> None:
    """Report a checkpoint in several files, given its index, or else one of the files."""
    safe = ".safetensors" in first.name
    numbered = re.fullmatch(r"(.+-)\d{5}(-of-(\d{5})\..+)", first.name)
    try:
        if numbered:
            shards = {f"{numbered[1]}{i + 1:05}{numbered[2]}" for i in range(int(numbered[3]))}
        else:
            shards = set(map(str, json.loads(_read(first))["weight_map"].values()))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        report.damaged(f"The index {first.name} cannot be read: {type(error).__name__}.", mark="")
        return
    missing = sorted(shards - set(names))
    report.details = [f"It has {len(shards)} files with weights."]
    if missing:
        found = f"{len(missing)} of {len(shards)} files are missing: {', '.join(missing[:3])}"
        report.damaged(found, "Download the missing files into this folder.", mark="")
        return
    find = [
        f"index = json.loads((folder / {quoted(first.name)}).read_bytes())",
        'names = set(index["weight_map"].values())',
    ]
    if numbered:
        find = [f"names = [file.name for file in folder.glob({quoted('*' + numbered[2])})]"]
    load = "load_file(folder / name)" if safe else 'torch.load(folder / name, map_location="cpu")'
    report.intact, report.loads, report.advice = None, True, "Load all of them:"
    report.lines = [
        "import json",
        "from pathlib import Path",
        "from safetensors.torch import load_file" if safe else "import torch",
        f"folder = Path({'{folder}' if first == report.path else '{path}'})",
        *find,
        "state = {}",
        "for name in sorted(names):",
        f"    state.update({load})",
    ]


def _read(path: Path) -> bytes:
    """The beginning of a file. Nothing of a pipe, which could block."""
    if not path.is_file():
        return b""
    with path.open("rb") as file:
        return file.read(1 << 25)


# ---- text ---------------------------------------------------------------------------------------


def _printable(text: str) -> str:
    """The text, without characters that would move the cursor or that cannot be encoded."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _filled_in(lines: list[str], path: Path) -> list[str]:
    """Put the paths into the lines. A long path comes first, on lines of its own."""
    suffixes = (".gz", ".bz2", ".xz", ".lzma", ".zst", ".lz4", ".zip", ".7z", ".rar", ".Z")
    name = re.sub(r"\.(part|z)?\d+$", "", path.name)
    name = name.removesuffix(next((s for s in suffixes if name.endswith(s)), ""))
    name = name if path.suffix else f"{name or 'folder'}.pt"
    targets = (path.parent / f"unpacked{number}-{name}" for number in ["", *range(2, 100)])
    free = (str(target) for target in targets if not os.path.lexists(target))
    paths = {"path": str(path), "target": next(free, ""), "again": next(free, "")}
    paths["folder"] = str(path.parent)
    codes = {mark: quoted(value) for mark, value in paths.items()}
    codes["file"] = shlex.quote(_printable(path.name))
    inline = [_replaced(line, codes) for line in lines]
    if all(len(line) <= _WIDTH - 4 for line in inline):
        return inline
    parent = str(path.parent)
    size = 70 if len(quoted(parent)) < 1.2 * len(parent) else 20  # an escape is longer
    pieces = [parent[i : i + size] for i in range(0, len(parent), size)]
    first = ["folder = (", *(f"    {quoted(piece)}" for piece in pieces), ")"]
    first = first if len(pieces) > 1 else [f"folder = {quoted(parent)}"]
    codes["folder"] = "folder"
    for mark in ("path", "target", "again"):
        if any(f"{{{mark}}}" in line for line in lines):
            first.append(f"{mark} = folder + {quoted(os.sep + Path(paths[mark]).name)}")
            codes[mark] = mark
    return first + [_replaced(line, codes) for line in lines]


def _replaced(line: str, codes: dict[str, str]) -> str:
    return re.sub(r"\{(path|target|again|folder|file)\}", lambda mark: codes[mark[1]], line)


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
