"""Identify a file, check that it is intact, and find the lines that load it.

Nothing in the file is executed. On the command line: ``python -m helpers.inspection FILE...``
"""

import argparse
import difflib
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
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from helpers import formats
from helpers.formats import TABLE, not_utf8
from helpers.pickles import Pickle, quoted

# The endings of files with weights, in the order in which they are looked for in a folder.
_WEIGHTS = ("model.safetensors", ".safetensors", "model.bin", ".ckpt", ".pt", ".pth", ".tar")
_WEIGHTS += (".bin", ".onnx", ".gguf", ".h5", ".keras", ".npz", ".pkl")
_ENTRIES = 10_000  # of a folder
_SHARDS = 100  # files of a sharded checkpoint that are looked at
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
        names = _names(report.path) if stat.S_ISDIR(status.st_mode) else []
    except (OSError, ValueError) as error:  # ValueError: a path with a NUL character
        _describe_missing(report, error)
        return
    if file:
        report.size = status.st_size
        with file:
            formats.identify(report, formats.Source(file, report.size, full, share))
        _describe_name(report)
    elif stat.S_ISDIR(status.st_mode):
        _describe_folder(report, names, full)
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
        names = _names(folder) if folder.is_dir() else []
        near = difflib.get_close_matches(path.name, names[:1000], 5, 0.5) or names[:10]
        report.advice = f"Its folder contains: {', '.join(near) or 'nothing'}."


def _describe_name(report: Report) -> None:
    """The few cases in which the name counts."""
    name = report.path.name
    part = re.fullmatch(r"(.+\.)(part[-_]?\d+|z?\d{2,3})", name)
    if part and re.search("cut off|unknown", report.kind):
        kind = report.kind
        _take_with_pattern(report, "parts", glob.escape(part[1]) + "*[0-9]")
        report.kind = f"{kind}, one part of several"
    elif name.endswith(".distcp") and report.kind == "a PyTorch file" and report.loads:
        report.take(TABLE["other"]["distcp"])
        report.intact = None
        report.details = ["It has an archive for each tensor. Only the last one was checked."]
    elif not_utf8(report.path) and report.loads and "torch.load" not in str(report.lines):
        report.advice, report.loads = "Rename it: its library opens no such name.", False
        report.lines = ["import os", "os.rename({path}, {target})"]
    elif name.endswith(".safetensors") and any("torch.load({path}" in s for s in report.lines):
        report.details.append("torch.load goes by the name, so the lines pass an open file.")
        report.lines = [s.replace("load({path}", 'load(open({path}, "rb")') for s in report.lines]


def _names(folder: Path) -> list[str]:
    with os.scandir(folder) as entries:
        return sorted(entry.name for entry in itertools.islice(entries, _ENTRIES))


def _describe_folder(report: Report, names: list[str], full: bool) -> None:
    report.kind, report.advice = "a folder", "Pass the path of a file in it."
    names = [name for name in names if not name.startswith("._")]  # metadata from macOS
    shown = ", ".join(names[:8]) or "nothing"
    report.details = [f"It contains: {shown}{'…' if len(names) > 8 else '.'}"]
    joined = "\n".join(names)
    row = next((r for r in TABLE["folder"] if re.search(r["pattern"], joined, re.MULTILINE)), None)
    if row:
        report.take(row)
        report.intact = False if row.get("broken") else None
        if describe := _FOLDERS.get(report.kind):
            describe(report)
    else:
        _describe_weights(report, names, full)
    _describe_run(report, names, full)


def _describe_weights(report: Report, names: list[str], full: bool) -> None:
    """Report a folder that nothing but its files with weights identifies."""
    shards = [re.fullmatch(r"(.+-)\d{5}-of-(\d{5})(\.safetensors|\.bin)", name) for name in names]
    if any(shards):
        _describe_shards(report, next(filter(None, shards)), names, full)
    if report.intact is not False and (missing := _missing(report.path, names)):
        report.take(TABLE["other"]["shards.safetensors"])
        found = f"{len(missing)} files of its index are missing: {', '.join(missing[:3])}."
        report.damaged(found, "Download the missing files into this folder.", mark="")
    elif not any(shards):
        candidates = [name for name in names if not re.fullmatch(TABLE["states"], name)]
        endings = (e for e in _WEIGHTS if any(name.endswith(e) for name in candidates))
        if ending := next(endings, None):
            found = [report.path / name for name in candidates if name.endswith(ending)]
            _describe_one_of(report, max(found, key=lambda path: path.lstat().st_mtime), full)
        else:
            _describe_runs(report, names, full)
    _describe_transformers(report)


def _describe_one_of(report: Report, path: Path, full: bool) -> None:
    """Report the file or folder that counts in a folder."""
    inner = look_inside(path, full)
    report.details += [f"{path.name} is {inner.kind}.", *inner.details]
    report.advice, report.lines = inner.advice, inner.lines
    report.loads, report.intact = inner.loads, inner.intact


def _describe_runs(report: Report, names: list[str], full: bool) -> None:
    """Report the newest checkpoint in a folder with a folder for each."""
    numbers = {}
    for name in names:
        number = re.fullmatch(TABLE["checkpoints"], name)
        path = report.path / name
        if number and path.is_dir() and not path.is_symlink():  # a link could lead back here
            numbers[name] = int(number["number"] or 0)
    if numbers:
        newest = max(numbers, key=lambda name: numbers[name])
        _describe_one_of(report, report.path / newest, full)


def _describe_transformers(report: Report) -> None:
    """Name the class of transformers that the configuration names."""
    config = _json(report.path / "config.json")
    architecture = (config.get("architectures") or [""])[0]
    if not report.loads or "model_type" not in config or not architecture.isidentifier():
        return
    if "auto_map" in config:
        found = "Its config.json names code of its author, which trust_remote_code=True would run."
        report.details.append(found)
        return
    report.take(TABLE["other"]["transformers"])
    report.lines = [line.replace("{class}", architecture) for line in report.lines]


def _describe_adapter(report: Report) -> None:
    """Choose the lines for an adapter by what its configuration says of the base model."""
    config = _json(report.path / "adapter_config.json")
    weights = [report.path / f"adapter_model{ending}" for ending in (".safetensors", ".bin")]
    inner = look_inside(next(filter(Path.is_file, weights), weights[0]))
    task, base = config.get("task_type"), config.get("base_model_name_or_path")
    kind = "AutoPeftModel" if config.get("auto_mapping") else None
    kind = TABLE["tasks"].get(task) if task else kind
    if not inner.loads:
        report.damaged(f"{inner.path.name} is {inner.kind}.", inner.advice, mark="")
        report.intact, report.lines = inner.intact, inner.lines
    elif base and kind:
        report.details.append(f"Its base model is {base}.")
        report.lines = [line.replace("{class}", kind) for line in report.lines]
    else:
        report.advice, report.lines = TABLE["other"]["adapter"]["advice"], inner.lines


def _describe_run(report: Report, names: list[str], full: bool) -> None:
    """Add the other states of a training run to the lines that load the weights."""
    joined = "\n".join(names)
    row = next((r for r in TABLE["run"] if re.search(r["pattern"], joined, re.MULTILINE)), None)
    if row is None or report.intact is False:
        return
    report.kind, lines, others = row["kind"], report.lines, []
    pattern = "|".join([TABLE["states"], row.get("models", "$")])
    for name in (name for name in names if re.fullmatch(pattern, name)):
        inner = look_inside(report.path / name, full)
        if inner.intact is False:
            report.damaged(f"{name} is {inner.kind}.", inner.advice, mark="")
            return
        if report.loads and inner.advice == "Load it:" and len(inner.lines) == 2:
            variable = re.sub(r"\W.*", "_state", name)
            lines = lines + [re.sub(r"^state\b", variable, line) for line in inner.lines]
        else:
            others.append(name)
    if others:
        found = f"Look at the following files separately: {', '.join(others)}."
        report.details.append(found)
    imports = sorted({line for line in lines if re.match("(import|from) ", line)})
    report.lines = [*imports, *[line for line in lines if line not in imports]]


def _start(path: Path) -> bytes:
    """The beginning of a file. It is empty for a pipe, which could block."""
    if not path.is_file():
        return b""
    with path.open("rb") as file:
        return file.read(1 << 25)


def _describe_distributed(report: Report) -> None:
    path = report.path / ".metadata"
    index, inner = Pickle(io.BytesIO(_start(path))), look_inside(path)
    if "torch.distributed.checkpoint.metadata.BytesStorageMetadata" in index.names:
        report.lines[-1] = "state = torch.load({target}, weights_only=False)"
    paths = {name: report.path / name for name in index.ends}
    sizes = {name: path.stat().st_size for name, path in paths.items() if path.is_file()}
    if lost := sorted(name for name, end in index.ends.items() if sizes.get(name, -1) < end):
        report.damaged(f"{len(lost)} of its files are missing or cut off: {', '.join(lost[:5])}.")
    if inner.intact is False:
        report.damaged(f".metadata is {inner.kind}.", mark="" if lost else "damaged")
    formats.warn(report, index.dangerous())


def _describe_unpacked(report: Report) -> None:
    content = Pickle(io.BytesIO(_start(report.path / "data.pkl")))
    paths = {f"data/{key}": report.path / "data" / key for key in content.storages}
    sizes = {name: path.stat().st_size for name, path in paths.items() if path.is_file()}
    formats.describe_pickle(report, content, content.torch_lines(True, report.lines))
    try:
        formats.compare_storages(sizes, content, "data")
    except zipfile.BadZipFile as error:
        report.damaged(f"{error}.")
    formats.warn(report, content.dangerous())


_FOLDERS = {
    "a distributed checkpoint": _describe_distributed,
    "an unpacked PyTorch file": _describe_unpacked,
    "a PEFT adapter": _describe_adapter,
}


def _json(path: Path) -> dict[str, Any]:
    """The object in a JSON file. It is empty if there is none."""
    try:
        found = json.loads(_start(path))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _missing(folder: Path, names: list[str]) -> list[str]:
    """The files that an index of a sharded checkpoint names, and that are missing."""
    found = []  # for each index: one of them can be that of another format
    for name in names:
        if name.endswith(".index.json") and (index := _start(folder / name)):
            needed = set(json.loads(index)["weight_map"].values())
            found.append(sorted(name for name in needed if not (folder / name).is_file()))
    return min(found, key=len, default=[])


def _describe_shards(report: Report, shard: re.Match[str], names: list[str], full: bool) -> None:
    """Report a checkpoint in several files, given the match of the name of one of them."""
    begin, count, ending = shard[1], int(shard[2]), f"-of-{shard[2]}{shard[3]}"
    _take_with_pattern(report, f"shards{shard[3]}", glob.escape(begin) + "*" + ending)
    report.details = [f"It has {count} files with weights."]
    needed = [f"{begin}{number:05}{ending}" for number in range(1, count + 1)]
    if missing := [name for name in needed if name not in names]:
        found = f"{len(missing)} of {count} files are missing: {', '.join(missing[:3])}"
        report.damaged(found, "Download the missing files into this folder.", mark="")
        return
    looked_at = needed[:_SHARDS]
    for name in looked_at:
        inner = _inspected(report.path / name, full, len(looked_at))
        if inner.advice != "Load it:":  # it is damaged, or holds other classes
            report.damaged(f"{name} is {inner.kind}.", inner.advice, mark="")
            report.details += inner.details
            report.lines = inner.lines
            report.intact = None if inner.loads or inner.intact else False
            return
    if count > _SHARDS:
        report.details.append(f"Only the first {_SHARDS} were looked at.")


def _take_with_pattern(report: Report, row: str, pattern: str) -> None:
    """Take a row whose lines look for files."""
    report.take(TABLE["other"][row])
    report.lines = [_replaced(line, {"{pattern}": quoted(pattern)}) for line in report.lines]


def _printable(text: str) -> str:
    """The text, without characters that would move the cursor or that cannot be encoded."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _filled_in(lines: list[str], path: Path) -> list[str]:
    """Put the paths into the lines."""
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
    return [_replaced(line, codes) for line in lines]


def _shell(name: str) -> str:
    """The name of a file for a shell, which may hold any bytes, and begin with a dash."""
    name = f"./{name}" if name.startswith("-") else name
    if name.isprintable():
        return shlex.quote(name)
    code = re.sub(rb"[^\w./-]", lambda byte: b"\\x%02x" % ord(byte[0]), os.fsencode(name))
    return f"$'{code.decode()}'"


def _replaced(line: str, codes: dict[str, str]) -> str:
    """The line with a code instead of each mark. The codes may contain marks."""
    return re.sub(r"\{\w+\}", lambda mark: codes.get(mark[0], mark[0]), line)


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
