"""Describe a folder: which library wrote it, whether it is whole, and the lines that load it.

``files/kinds.toml`` lists the kinds that the names of the entries tell, and their lines.
"""

from __future__ import annotations

import importlib.util
import io
import itertools
import json
import os
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from helpers import formats
from helpers.formats import TABLE, not_utf8
from helpers.pickles import Pickle, quoted

if TYPE_CHECKING:
    from helpers.inspection import Report

    Look = Callable[..., Report]  # of a path, which shares a limit with a number of files

# The ends of the names of files with weights, in the order in which they are looked for.
_WEIGHTS = ("model.safetensors", "model.bin", ".safetensors", ".ckpt", ".pt", ".pth", ".tar")
_WEIGHTS += (".bin", ".onnx", ".gguf", ".h5", ".keras", ".npz", ".pkl")
_ENTRIES = 10_000  # of a folder
_SHARDS, _STATES, _CHECKPOINTS = 100, 20, 5  # that are looked at
_LINES = 26  # that load the weights and the states of a training run
_START = 1 << 25  # bytes that are read of a file
_SINGLE = "model.safetensors"  # which transformers prefers to any other file


def names_in(folder: Path) -> list[str]:
    """The names of the entries, up to a limit, with numbers in the order of their values."""
    with os.scandir(folder) as entries:
        return sorted((entry.name for entry in itertools.islice(entries, _ENTRIES)), key=_natural)


def describe(report: Report, names: list[str], look: Look) -> None:
    """Add what a folder with these names holds to the report on it."""
    report.kind, report.advice = "a folder", "Pass the path of a file in it."
    names = [name for name in names if not name.startswith("._")]  # metadata from macOS
    shown = ", ".join(names[:8]) or "nothing"
    report.details = [f"It contains: {shown}{'…' if len(names) > 8 else '.'}"]
    row, run = _first("folder", names), _first("run", names)
    if row.get("kind") == "a PEFT adapter" and not _is_peft(report.path):
        row = {}  # other libraries have a file of this name, too
    states = "|".join([TABLE["states"], run.get("models", "$")])
    if not_utf8(report.path):
        report.kind = {**row, **run}.get("kind", report.kind)
        rename(report)
    elif row:
        report.take(row)
        report.intact = False if row.get("broken") else None
        if report.kind in _KINDS:
            _KINDS[report.kind](report, look)
        elif report.loads:
            report.details.append("Its parts were not checked.")
    else:
        others = rf"{states}|unpacked\d*-.*"  # the lines of a report write such a file
        _describe_weights(report, [n for n in names if not re.fullmatch(others, n)], look)
    if run and not not_utf8(report.path):
        parts = rf"{states}|{run['parts']}"
        _describe_run(report, run, [n for n in names if re.fullmatch(parts, n)], look)
    for name in (name for name in names if re.fullmatch(TABLE["json"], name)):
        text = _start(report.path / name).strip()
        if report.intact is not False and _is_cut(text):
            report.damaged(f"{name} is cut off.", f"Get {name} again.", mark="")
        elif not text and (report.path / name).is_file():
            report.details.append(f"{name} is empty.")
            report.intact = None if report.intact else report.intact


def rename(report: Report) -> None:
    """Give the lines that rename a file or folder, whose name most libraries cannot open."""
    name = not_utf8(Path(report.path.name))
    report.advice = f"Rename {'it' if name else 'its folder'}: its library opens no such name."
    report.loads, report.lines = False, []
    if name:
        report.lines = ["import os", "os.rename({path}, {target})"]


def take_with(report: Report, row: str, codes: dict[str, str]) -> None:
    """Take a row, and put texts as strings of Python into its lines."""
    report.take(TABLE["other"][row])
    codes = {mark: quoted(text) for mark, text in codes.items()}
    report.lines = [replaced(line, codes) for line in report.lines]


def replaced(line: str, codes: dict[str, str]) -> str:
    """The line with a code instead of each mark. The codes may contain marks."""
    return re.sub(r"\{\w+\}", lambda mark: codes.get(mark[0], mark[0]), line)


def _natural(name: str) -> list[Any]:
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", name)]


def _first(table: str, names: list[str]) -> dict[str, Any]:
    """The first row whose pattern fits the names. It is empty if none fits."""
    joined = "\n".join(name for name in names if "\n" not in name)
    rows = (row for row in TABLE[table] if re.search(row["pattern"], joined, re.MULTILINE))
    return next(rows, {})


def _start(path: Path) -> bytes:
    """The beginning of a file. It is empty for a pipe, which could block."""
    try:
        if path.is_file():
            with path.open("rb") as file:
                return file.read(_START)
    except OSError:  # it may not be read
        pass
    return b""


def _is_cut(text: bytes) -> bool:
    """Whether the end of a JSON file is missing. Other tools write comments into such files."""
    return text.startswith((b"{", b"[")) and not text.endswith((b"}", b"]")) and len(text) < _START


def _json(path: Path) -> dict[str, Any]:
    """The object in a JSON file. It is empty if there is none."""
    try:
        found = json.loads(_start(path))
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _is_peft(folder: Path) -> bool:
    text = _start(folder / "adapter_config.json")
    return b'"peft_type"' in text or not text or _is_cut(text.strip())


def _shapes(path: Path) -> dict[str, list[int]]:
    """The names and the shapes of the tensors in a file of safetensors. Empty for another file."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "numpy") as file:
            return {name: file.get_slice(name).get_shape() for name in file.keys()}  # noqa: SIM118
    except SafetensorError:
        return {}


# ---- the weights --------------------------------------------------------------------------------


def _describe_weights(report: Report, names: list[str], look: Look) -> None:
    """Report a folder that only its files with weights identify."""
    index, weight_map = _index(report.path, names)
    groups = _groups(names)
    if weight_map:
        files = sorted(set(weight_map.values()))
        ending = "bin" if files[0].endswith(".bin") else "safetensors"
        take_with(report, f"index.{ending}", {"{index}": index})
        if _describe_shards(report, files, look):
            _compare_index(report, weight_map)
    elif groups and _SINGLE not in names:
        complete = (group for group in groups if all(map(names.__contains__, groups[group])))
        group = next(complete, next(iter(groups)))
        files = groups[group]
        pattern = re.sub(r"[][*?]", "[\\g<0>]", group[0]) + "*" + group[1]
        take_with(report, f"shards{Path(group[1]).suffix}", {"{pattern}": pattern})
        if _describe_shards(report, files, look):
            _compare_shards(report, files[:_SHARDS])
    elif found := _weights(report.path, names):
        files = [found[0].name]
        _describe_one_of(report, look(found[0]))
        if others := [path.name for path in found[1:4]]:
            report.details.append(f"Not looked at: {', '.join(others)}{'…' * (len(found) > 4)}")
    else:
        _describe_checkpoints(report, names, look)
        return
    if report.loads and (index == f"{_SINGLE}.index.json" or files == [_SINGLE]):
        _describe_transformers(report, files)


def _index(folder: Path, names: list[str]) -> tuple[str, dict[str, str]]:
    """The index of a sharded checkpoint that counts, and which file it names for each tensor."""
    found = []
    for name in names:
        weight_map = _json(folder / name).get("weight_map") if _is_index(name) else None
        if not isinstance(weight_map, dict) or not weight_map:
            continue
        if not all(_is_shard(file) for file in weight_map.values()):
            continue
        files = set(weight_map.values())
        single = {_SINGLE, name.removesuffix(".index.json")} & set(names)
        if single and not single & files:  # a file with all weights counts more than an old index
            continue
        lost = sum(not (folder / file).is_file() for file in files)
        first = {f"{_SINGLE}.index.json": 0, "pytorch_model.bin.index.json": 1}.get(name, 2)
        found.append(((lost == len(files), first, lost), name, weight_map))
    _, name, weight_map = min(found, key=lambda entry: entry[0], default=(0, "", {}))
    return name, weight_map


def _is_shard(file: Any) -> bool:
    return isinstance(file, str) and len(file) < 256 and file.endswith((".safetensors", ".bin"))


def _is_index(name: str) -> bool:
    return name.endswith(".index.json")


def _groups(names: list[str]) -> dict[tuple[str, str], list[str]]:
    """The names that belong to each sharded checkpoint, by the begin and the end of its names."""
    found = {}
    for name in names:
        shard = re.fullmatch(r"(.+-)\d{5}(-of-(?!00000)(\d{5})\.(?:safetensors|bin|gguf))", name)
        if shard and int(shard[3]) <= _ENTRIES:
            numbers = range(1, int(shard[3]) + 1)
            found[shard[1], shard[2]] = [f"{shard[1]}{number:05}{shard[2]}" for number in numbers]
    return found


def _describe_shards(report: Report, files: list[str], look: Look) -> bool:
    """Report a checkpoint in several files. Returns whether all of them are there and intact."""
    report.details = [f"It has {len(files)} files with weights."]
    if missing := [name for name in files if not (report.path / name).is_file()]:
        found = f"{len(missing)} of {len(files)} files are missing: {', '.join(missing[:3])}"
        report.damaged(found, "Download the missing files into this folder.", mark="")
        return False
    for name in files[:_SHARDS]:
        inner = look(report.path / name, len(files[:_SHARDS]))
        if inner.advice != "Load it:":  # it is damaged, or holds other classes
            report.damaged(f"{name} is {inner.kind}.", inner.advice, mark="")
            report.details += inner.details
            report.lines = inner.lines
            report.intact = None if inner.loads or inner.intact else False
            return False
    if len(files) > _SHARDS:
        report.details.append(f"Only the first {_SHARDS} were looked at.")
    return True


def _compare_index(report: Report, weight_map: dict[str, str]) -> None:
    """Report tensors that are not in the file which the index names."""
    files = sorted(set(weight_map.values()))[:_SHARDS]
    shapes = {file: _shapes(report.path / file) for file in files if file.endswith("safetensors")}
    lost = [name for name, file in weight_map.items() if name not in shapes.get(file, weight_map)]
    if lost:
        found = f"{len(lost)} tensors are not where its index says: {', '.join(lost[:3])}"
        report.damaged(found, "Get these files again, and the index, from one save.", mark="")


def _compare_shards(report: Report, files: list[str]) -> None:
    """Report a tensor that is in two files: one of them was replaced by a copy of another."""
    seen: set[str] = set()
    for file in files if files[0].endswith(".safetensors") else ():
        names = _shapes(report.path / file).keys()
        if twice := sorted(seen & names):
            report.damaged(f"{file} has a tensor of another file: {twice[0]}.", mark="")
            return
        seen |= names


def _weights(folder: Path, names: list[str]) -> list[Path]:
    """The files that may have the weights, of the first kind that is there. The newest is first."""
    for ending in _WEIGHTS:
        found = [folder / name for name in names if name.endswith(ending)]
        found = [path for path in found if not (path.is_symlink() and path.is_dir())]
        exact = [path for path in found if path.name in (_SINGLE, "pytorch_model.bin")]
        if found:  # files that were copied can have one time: then the last name counts
            newest = sorted(reversed(found), key=lambda path: -path.lstat().st_mtime)
            return exact + [path for path in newest if path not in exact]
    return []


def _describe_one_of(report: Report, inner: Report) -> None:
    """Report the file or folder that counts in a folder."""
    report.details += [f"{inner.path.name} is {inner.kind}.", *inner.details]
    report.advice, report.lines = inner.advice, inner.lines
    report.loads, report.intact = inner.loads, inner.intact


def _describe_checkpoints(report: Report, names: list[str], look: Look) -> None:
    """Report the newest checkpoint in a folder that has a folder for each."""
    found = []
    for name in (name for name in names if re.search(TABLE["checkpoints"], name)):
        path = report.path / name
        if path.is_dir() and not path.is_symlink():  # a link could lead back here
            numbers = [float(number) for number in re.findall(r"\d+(?:\.\d+)?", name)]
            is_last = bool(re.search("last|latest|final|best", name))
            found.append((is_last, numbers, path.stat().st_mtime, path))
    for *_, path in sorted(found, reverse=True)[:_CHECKPOINTS]:
        inner = look(path)
        if inner.loads or inner.intact is False:
            _describe_one_of(report, inner)
            if others := [other[-1].name for other in found if other[-1] != path]:
                report.details.append(f"Not looked at: {', '.join(others[:4])}.")
            return
        report.details.append(f"{path.name} is {inner.kind} without weights.")


# ---- the libraries ------------------------------------------------------------------------------


def _describe_transformers(report: Report, files: list[str]) -> None:
    """Take the class that the configuration names, if it is one of transformers."""
    config = _json(report.path / "config.json")
    if config.get("auto_map"):
        found = "Its config.json names code of its author, which trust_remote_code=True would run."
        report.details.append(found)
        return
    classes, model_type = config.get("architectures"), config.get("model_type")
    name = classes[0] if isinstance(classes, list) and classes else None
    if not isinstance(name, str) or not isinstance(model_type, str):
        return
    keys = _shapes(report.path / files[0])
    wrapped = all(re.match(TABLE["wrapped"], key) for key in keys)
    if not wrapped and _is_of_transformers(name, model_type):
        report.take(TABLE["other"]["transformers"])
        report.lines = [line.replace("{class}", name) for line in report.lines]


def _is_of_transformers(name: str, model_type: str) -> bool:
    """Whether transformers has a class with this name. It is not imported, because that is slow."""
    begin = re.sub(r"\W|_", "", model_type).lower()
    if not name.isascii() or not name.isidentifier() or not name.lower().startswith(begin):
        return False
    package = importlib.util.find_spec("transformers")
    if package is None or package.origin is None:
        return bool(re.search(TABLE["class"], name))
    folder = Path(package.origin).with_name("models") / model_type.replace("-", "_")
    files = folder.glob("modeling_*.py") if model_type.replace("-", "_").isidentifier() else ()
    return any(f"\nclass {name}(".encode() in file.read_bytes() for file in files)


def _describe_adapter(report: Report, look: Look) -> None:
    """Choose the lines for an adapter by what its configuration says of the base model."""
    config = _json(report.path / "adapter_config.json")
    weights = [report.path / f"adapter_model{ending}" for ending in (".safetensors", ".bin")]
    inner = look(next(filter(Path.is_file, weights), weights[0]))
    task, base = config.get("task_type"), config.get("base_model_name_or_path")
    mapping = config.get("auto_mapping")
    library = mapping.get("parent_library") if isinstance(mapping, dict) else None
    kind = "AutoPeftModel" if str(library).startswith("transformers.") else None
    kind = TABLE["tasks"].get(str(task)) if task else kind
    is_labelled = task is None or str(task).endswith("_CLS")  # only safetensors tell how many
    if not inner.loads:
        report.damaged(f"{inner.path.name} is {inner.kind}.", inner.advice, mark="")
        report.intact, report.lines = inner.intact, inner.lines
    elif isinstance(base, str) and base and kind and (not is_labelled or inner.path == weights[0]):
        report.details.append(f"Its base model is {base}.")
        options = _labels(inner.path)
        codes = {"{class}": kind, "{options}": options}
        report.lines = [replaced(line, codes) for line in report.lines]
    else:
        report.advice, report.lines = TABLE["other"]["adapter"]["advice"], inner.lines


def _labels(path: Path) -> str:
    """The number of labels of a classifier, as an argument: the base does not know it."""
    shapes = _shapes(path) if path.suffix == ".safetensors" else {}
    for name, shape in shapes.items():
        if re.search(r"\.(classifier|score)(\.out_proj)?\.weight$", name):
            return f", num_labels={shape[0]}"
    return ""


def _describe_run(report: Report, run: dict[str, Any], names: list[str], look: Look) -> None:
    """Add the other states of a training run to the lines that load the weights."""
    report.kind = run["kind"]
    if report.intact is False:
        return
    if lost := _gaps(report.path):
        report.damaged(f"These are missing: {', '.join(lost)}.", mark="")
        return
    lines, others, unchecked = report.lines, [], []
    for name in names:
        path = report.path / name
        if not path.is_file() or len(others) + len(lines) > _LINES:
            others.append(name)
            unchecked.append(name)
            continue
        inner = look(path, min(len(names), _STATES))
        if inner.intact is False:
            report.damaged(f"{name} is {inner.kind}.", inner.advice, mark="")
            return
        if inner.advice.startswith("Do not load it."):
            report.details.insert(0, f"{name}: {inner.details[0]}")
            report.advice, report.lines, report.loads = inner.advice, [], False
            return
        if inner.intact is None:
            unchecked.append(name)
        if report.loads and inner.advice == "Load it:" and len(inner.lines) == 2:
            variable = re.sub(r"\W.*", "_state", name)
            lines = lines + [re.sub(r"^state\b", variable, line) for line in inner.lines]
        else:
            others.append(name)
    if unchecked and report.intact:
        report.intact = None
        report.details.append(f"Not all of it was checked: {', '.join(unchecked)}.")
    if not report.loads and not lines:
        report.details.append("Its weights are not here.")
    if others:
        report.details.append(f"Look at the following files separately: {', '.join(others)}.")
    imports = sorted({line for line in lines if re.match("(import|from) ", line)})
    report.lines = [*imports, *[line for line in lines if line not in imports]]


def _gaps(folder: Path) -> list[str]:
    """The states that are missing although there is one with a higher number."""
    present = {name.partition(".")[0] for name in names_in(folder)}
    lost = []
    for begin in ("model", "pytorch_model", "optimizer", "scheduler", "random_states"):
        found = [re.fullmatch(rf"{begin}_(\d+)", name) for name in present]
        for number in range(max((int(match[1]) for match in found if match), default=0)):
            stems = [f"{begin}_{number}"] + [begin] * (number == 0)  # the first has no number
            if not any(name == s or name.startswith(f"{s}-") for name in present for s in stems):
                lost.append(stems[-1])
    is_whole = any(name.startswith(("optim", "global_step")) for name in present)
    if "scheduler" in present and not is_whole:
        lost.append("optimizer")
    return lost


# ---- other kinds --------------------------------------------------------------------------------


def _describe_distributed(report: Report, look: Look) -> None:
    path = report.path / ".metadata"
    index, inner = Pickle(io.BytesIO(_start(path))), look(path)
    if "torch.distributed.checkpoint.metadata.BytesStorageMetadata" in index.names:
        report.lines[-1] = "state = torch.load({target}, weights_only=False)"
    paths = {name: report.path / name for name in index.ends}
    sizes = {name: path.stat().st_size for name, path in paths.items() if path.is_file()}
    if lost := sorted(name for name, end in index.ends.items() if sizes.get(name, -1) < end):
        report.damaged(f"{len(lost)} of its files are missing or cut off: {', '.join(lost[:5])}.")
    if inner.intact is False:
        report.damaged(f".metadata is {inner.kind}.", mark="" if lost else "damaged")
    formats.warn(report, index.dangerous())


def _describe_unpacked(report: Report, look: Look) -> None:
    content = Pickle(io.BytesIO(_start(report.path / "data.pkl")))
    paths = {f"data/{key}": report.path / "data" / key for key in content.storages}
    sizes = {name: path.stat().st_size for name, path in paths.items() if path.is_file()}
    formats.describe_pickle(report, content, content.torch_lines(True, report.lines))
    try:
        formats.compare_storages(sizes, content, "data")
    except zipfile.BadZipFile as error:
        report.damaged(f"{error}.")
    formats.warn(report, content.dangerous())


_KINDS: dict[str, Callable[[Report, Look], None]] = {
    "a distributed checkpoint": _describe_distributed,
    "an unpacked PyTorch file": _describe_unpacked,
    "a PEFT adapter": _describe_adapter,
}
