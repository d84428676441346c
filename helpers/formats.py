"""Recognise the bytes of a file, check them, and add what they need to a report.

Each function in ``_FAMILIES`` gets a report and the bytes. It returns whether it recognised them.
``files/kinds.toml`` lists the kinds that a pattern tells, and the lines that load each kind.
"""

from __future__ import annotations

import bz2
import codecs
import contextlib
import gzip
import io
import itertools
import json
import lzma
import re
import struct
import sys
import tarfile
import tomllib
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import filetype

from helpers.pickles import Pickle

if TYPE_CHECKING:
    from helpers.inspection import Report

TABLE = tomllib.loads(Path(__file__).with_name("files").joinpath("kinds.toml").read_text("utf-8"))

# Limits, so that a report takes seconds and little memory whatever the file holds.
_START = 1 << 16  # bytes that identify a file
_HEAD = 1 << 25  # bytes of a pickle or a model of ONNX
_CHECK = 1 << 28  # bytes whose checksums are compared
_FULL = 1 << 62  # the same for the full check
_MEMBERS = 10_000  # of a tar archive
_SLOW = 1 << 23  # bytes of a file of bz2, which is slow to read

# Records that only torch writes: its reader checks more than zipfile.
_TORCH_NAMES = (
    r"/((data|constants)\.pkl|\.(format_version|storage_alignment)|byteorder)$|/\.data/|/__torch__/"
)
_DAMAGE = ", (cut off|damaged).*"  # after a kind
_NPZ, _OTHER_ZIP = (row["kind"] for row in TABLE["zip"][-2:])
_PYTORCH, _SCRIPT = "a PyTorch file", "a TorchScript archive"
_PACKED = "the content of a PyTorch file, packed without its folder"
_MAX_HEADER = 1 << 20  # of an array of NumPy, whose own limit is 10,000


@dataclass
class Source:
    """The bytes to recognise."""

    file: BinaryIO
    size: int
    full: bool = False
    share: int = 1  # of how many files the checksums are compared, within one limit
    is_inner: bool = False  # the beginning of a compressed file, to be identified only
    dangerous: list[str] = field(default_factory=list)  # the functions that its pickles name

    def __post_init__(self) -> None:
        self.start = self.read(_START)
        self.limit = _FULL if self.full else _CHECK // self.share

    def read(self, size: int, position: int = 0) -> bytes:
        self.file.seek(position)
        return self.file.read(size)


def identify(report: Report, source: Source) -> None:
    """Ask each function in turn, until one recognises the bytes."""
    known = any(family(report, source) for family in _FAMILIES)
    found = None if known else filetype.guess(source.start)
    if found and found.extension not in ("Z", "aac", "exe", "ps"):  # it recognises two bytes only
        report.take(TABLE["other"]["text"] | {"kind": f"a file of the type {found.mime}"})
    if report.loads and report.intact is None and not report.details:
        report.details = ["Whether it is whole was not checked."]
    if not known or report.intact is False:
        _explain_changes(report, source)
    warn(report, source.dangerous)


def _explain_changes(report: Report, source: Source) -> None:
    """Say so if a program copied a binary file as text: no text contains such characters."""
    start, mark = source.start, ""
    with contextlib.suppress(UnicodeDecodeError):
        if len(re.findall("[\x80-\x9f\ufffd]", _decoded(start, "utf-8"))) > 2:
            mark = "converted as text"
    if report.intact is False and start.count(b"\r\n") > 2 and not re.search(rb"(?<!\r)\n", start):
        mark = "with changed line ends"
    if mark and re.search(rb"[\x00-\x08]", start):
        kind = "a binary file" if report.intact is None else report.kind
        report.kind = re.sub(_DAMAGE, "", kind)
        advice = 'Get it again, in binary mode: "rb" and "wb" in Python, binary in FTP.'
        report.damaged("A program copied it as text, and changed its bytes.", advice, mark)


def _empty(report: Report, source: Source) -> bool:
    for position in range(0, min(source.size, source.limit), 1 << 20):
        if source.read(1 << 20, position).strip(b"\0"):
            return False
    report.kind = "a file of zeros" if source.size else "an empty file"
    if source.size > source.limit:
        report.kind = "a file that begins with zeros"
    report.damaged("", "The save that created it failed: use an older checkpoint.", mark="")
    return True


def _zip(report: Report, source: Source) -> bool:
    return source.start.startswith((b"PK\3\4", b"PK\5\6")) and _archive(report, source)


def _archive(report: Report, source: Source) -> bool:
    """An archive, which may follow other bytes. Files of other formats can contain one, too."""
    at = max(0, source.start.find(b"PK\3\4"))
    if not source.start.startswith(b"PK", at):
        return False
    tail = source.read(_START, max(0, source.size - _START))
    end = tail.rfind(b"PK\x05\x06")
    count = int.from_bytes(tail[end + 10 : end + 12], "little")  # 0xFFFF if there are more
    try:
        with zipfile.ZipFile(source.file) as archive:
            begin = min((item.header_offset for item in archive.infolist()), default=0)
            if count not in (len(archive.infolist()), 0xFFFF):
                raise zipfile.BadZipFile("Its list of records is not complete")
            if at not in (0, begin):
                return False
            _describe_zip(report, source, archive, begin)
    except Exception as error:  # zipfile, zlib and torch raise a dozen types for damaged archives
        if not report.records:  # the list of records was not read
            if at:
                return False
            report.kind = _kind_of_start(source)
        is_clear = isinstance(error, zipfile.BadZipFile)
        found = f"{error}." if is_clear else "A record, or the list of them, is damaged."
        if end < 0:
            report.damaged("Its end is missing.", mark="cut off")
        else:
            report.damaged(found)
    return True


def _kind_of_start(source: Source) -> str:
    """The kind that the name of the first record tells."""
    name = source.start[30:][: int.from_bytes(source.start[26:28], "little")]
    is_torch = re.search(rb"/(data\.pkl|data/\d|\.data/|\.format_version|byteorder)", name)
    return "a PyTorch file" if is_torch else "a zip archive"


def _describe_zip(report: Report, source: Source, archive: zipfile.ZipFile, begin: int) -> None:
    items = archive.infolist()
    report.records = {item.filename: item.file_size for item in items if not item.is_dir()}
    names = "\n".join(report.records)
    rows = (row for row in TABLE["zip"] if re.search(row["pattern"], names, re.MULTILINE))
    report.take(row := next(rows))  # the last row fits every archive
    if any(item.flag_bits & 1 for item in items):
        report.take(TABLE["other"]["encrypted_zip"])
        return
    if begin and report.path.suffix != ".distcp":  # which has an archive for each tensor
        mark = f"after {begin:,} bytes that do not belong to it"
        found = "Another file was written in front of it, or the headers of a web server."
        advice = "Get the file again. With curl, leave out -i."
        if source.start.startswith(b"PK"):
            report.kind = _kind_of_start(source)
            mark = "cut off, or two archives in one file"
            found = "The list of records at its end is that of another archive inside it."
            advice = "Get the file again. If two saves wrote into one file, give each its own file."
        report.damaged(found, advice, mark)
        return
    # The reader of torch ignores case, so it could read another record than zipfile.
    ignores_case = report.kind not in (_NPZ, _OTHER_ZIP)
    counts = Counter(name.lower() if ignores_case else name for name in archive.namelist())
    if repeated := [name for name, count in counts.items() if count > 1]:
        raise zipfile.BadZipFile(f"More than one record has the name {repeated[0]!r}")
    folders = {name.partition("/")[0] for name in report.records}
    if report.kind in (_PYTORCH, _SCRIPT) and len(folders) > 1:
        found = f"It contains {_list(sorted(folders))}. torch refuses more than one folder."
        advice = "Unpack it, and pack only the folder with data.pkl again."
        report.damaged(found, advice, "with other files")
        report.intact = None
        return
    # zipfile reads a record of bz2 or lzma as a whole, which can take all memory.
    is_bounded = all(item.compress_type in (0, zipfile.ZIP_DEFLATED) for item in items)
    reader: Any = None
    if not begin and re.search(_TORCH_NAMES, names, re.MULTILINE):
        import torch

        source.file.seek(0)
        reader = torch._C.PyTorchFileReader(source.file)
        if any(item.volume or item.external_attr & 0x10 and not item.is_dir() for item in items):
            raise zipfile.BadZipFile("A record is on another disk, or a folder")
        if not is_bounded:
            raise zipfile.BadZipFile("torch cannot read the compression of its records")
    if is_bounded:
        _compare_checksums(report, archive, source.limit)
    else:
        report.details = ["Records of bz2 or lzma are not read, so no checksum was compared."]
    if lost := [what for what, mark in row.get("needs", []) if not re.search(mark, names, re.M)]:
        raise zipfile.BadZipFile(f"It lacks {_list(lost)}")
    if report.kind in (_PYTORCH, _SCRIPT, _PACKED):
        prefix = "" if report.kind == _PACKED else f"{folders.pop()}/"
        order = f"{prefix}byteorder"
        if order in report.records and _record(archive, order) not in (b"little", b"big"):
            raise zipfile.BadZipFile("Its byteorder is neither little nor big")
        for part in ["constants", "data"] if report.kind == _SCRIPT else ["data"]:
            start = _record(archive, f"{prefix}{part}.pkl")
            if reader and len(start) < _HEAD and reader.get_record(f"{part}.pkl") != start:
                raise zipfile.BadZipFile("It has two lists of records, which differ")
            content = Pickle(io.BytesIO(start))
            source.dangerous += content.dangerous()
            if report.kind != _SCRIPT:
                describe_pickle(report, content, content.torch_lines(True, report.lines))
            compare_storages(report.records, content, f"{prefix}{part}")
    elif row.get("inner"):
        _judge_records(report, archive, source)
    elif report.kind == _NPZ and is_bounded:
        for item in items:
            if b"'|O'" in _record(archive, item.filename, _START)[12:].partition(b"\n")[0]:
                report.take(TABLE["other"]["npz_objects"])
    elif report.kind == _OTHER_ZIP:
        report.details.append(f"It contains {_list(report.records, 'file')}.")


def _record(archive: zipfile.ZipFile, name: str, size: int = _HEAD) -> bytes:
    with archive.open(name) as record:
        return record.read(size)


def compare_storages(records: dict[str, int], content: Pickle, folder: str) -> None:
    """Compare the sizes of the records of the tensors with what their pickle says of them.

    Raises:
        zipfile.BadZipFile: A record is missing or has another size, or the pickle is damaged.
    """
    sizes = {f"{folder}/{key}": size for key, (_, _, size) in content.storages.items()}
    if lost := [name for name in sizes if name not in records]:
        raise zipfile.BadZipFile(f"It lacks {_list(lost, 'record')}")
    if wrong := [name for name, size in sizes.items() if size not in (None, records[name])]:
        raise zipfile.BadZipFile(f"The pickle gives another length for {_list(wrong, 'record')}")
    if content.error and records.get(f"{folder}.pkl", 0) < _HEAD:
        raise zipfile.BadZipFile(content.error)


def _judge_records(report: Report, archive: zipfile.ZipFile, source: Source) -> None:
    """Look at the pickles and the files of torch in an archive, which its reader may load."""
    left = source.limit
    for name in report.records:
        may_be_read = _record(archive, name, 1) in b"P\x80(c]}){"  # or it is a bare tensor
        content = _record(archive, name, min(_HEAD, left) if may_be_read else 0)
        left -= len(content) + 1024
        if left < 1024:
            report.details.append("Only a part of its records was searched for code.")
            return
        folder = name.rpartition("/")[0]
        if name.endswith("_config.json") and folder.endswith(("/weights", "/constants")):
            paths = [entry["path_name"] for entry in json.loads(content)["config"].values()]
            if lost := [path for path in paths if f"{folder}/{path}" not in report.records]:
                raise zipfile.BadZipFile(f"It lacks {_list(lost, 'record')} in {folder}")
        inner, inside = type(report)(Path(name)), Source(io.BytesIO(content), len(content))
        for family in (_zip, _legacy, _pickle):
            if family(inner, inside):
                break
        source.dangerous += [f"{function} in {name}" for function in inside.dangerous]
        if inner.intact is False and content.startswith(b"PK") and len(content) < _HEAD:
            raise zipfile.BadZipFile(f"{name} is {inner.kind}")


def _compare_checksums(report: Report, archive: zipfile.ZipFile, limit: int) -> None:
    """Read the records: zipfile compares their checksums, and raises an error if one differs."""
    items, left = archive.infolist(), limit
    report.intact = True
    report.details.append(f"The checksums of its {_number(items, 'record')} match.")
    for item in items:
        before = left - 1024  # for opening it, which takes time, too
        with archive.open(item) as record:
            left = _read_on(record, before)
        if left >= 0 and before - left != item.file_size:
            raise zipfile.BadZipFile(f"The size of {item.filename!r} does not fit")
        if left < 0:
            found = f"The checksums of the first {limit >> 20} MiB match."
            report.details = [f"{found} The rest was not read: full=True or --full checks it."]
            report.intact = None
            return


def _read_on(file: Any, limit: int) -> int:
    """Read to the end, and return what is left of the limit. It is negative if it was reached."""
    while limit >= 0 and (chunk := file.read(1 << 20)):
        limit -= len(chunk)
    return limit


def describe_pickle(report: Report, content: Pickle, lines: list[str]) -> None:
    """Say what a pickle holds and needs, given the lines that load it."""
    report.lines, report.loads = lines, bool(lines)
    items, refused = content.items() or {}, content.refused()
    if content.items() is not None:
        report.details.append(f"It holds a dict with {_list(items, 'key')}.")
    if tensors := +content.tensors:
        report.details.append(f"Tensors: {_counts(tensors)}.")
    if devices := content.devices():
        report.details.append(f"Saved on {_list(devices)}: map_location loads it on the CPU.")
    if not content.whole:
        report.details.append(
            "Only the beginning of its pickle was read. The rest may name other classes."
        )
    if not content.weights_only:
        report.details.append("torch.load cannot read its pickle under weights_only.")
    is_plain = any("pickle.load" in line for line in lines)
    if refused:
        begin = "It asks for" if is_plain else "weights_only does not allow"
        report.details.append(f"{begin} {_list(refused, 'name')}.")
    if not lines:
        report.advice = TABLE["other"]["no_lines"]["advice"]
    elif is_plain and (refused or not content.whole) or "weights_only=False" in lines[-1]:
        report.advice = "Loading it runs code: load it only if you trust its author."
    elif refused:
        report.advice = "Load it without running its code:"
        known = {*sys.stdlib_module_names, "__main__", "numpy", "torch"}
        if libraries := sorted({name.partition(".")[0] for name in refused} - known):
            report.advice = "Load it without running its code. "
            report.advice += f"{_list(libraries)} need not be installed:"
    for row in TABLE["keys"]:
        if set(row["keys"]) <= items.keys() and row.get("lacks") not in items:
            report.kind = row["kind"]
            report.details += [row["detail"]] if "detail" in row else []
            report.lines += [row["line"]] * bool(lines)
            break


def warn(report: Report, dangerous: list[str]) -> None:
    """Advise against a file that can run any code, whatever else was found in it."""
    if dangerous:
        report.details.insert(0, f"It calls {_list(dangerous)}, which weights do not need.")
        report.advice = "Do not load it. Ask its author for a file with tensors only."
        report.lines, report.loads = [], False


def _legacy(report: Report, source: Source) -> bool:
    """Five pickles: a number, the version, the system, the object, and the keys of its storages.

    The storages follow, each after its length (torch/serialization.py, _legacy_save).
    """
    number = rb"\x80.(.{9})?\x8a\r?\n\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"
    if not re.match(number, source.start, re.DOTALL):
        return False
    report.kind = "a legacy PyTorch file"
    stream = io.BytesIO(source.read(_HEAD))
    parts = [Pickle(stream) for _ in range(5)]
    content = parts[3]
    content.weights_only &= all(part.weights_only for part in parts if part.whole)
    for part in parts:  # torch loads all of them in the same way
        for name, uses in part.names.items():
            content.names[name] |= uses
    error = next((part.error for part in parts if part.error), "")
    sizes = [size for _, _, size in content.storages.values()]
    end = stream.tell() + sum(8 + (size or 0) for size in sizes)
    too_long = source.size > _HEAD or not (content.whole or content.error)
    if error and not too_long:
        _describe_broken_pickle(report, error)
    elif content.whole and end > source.size:
        found = f"{end - source.size:,} bytes of its tensors are missing."
        report.damaged(found, mark="cut off")
    else:
        fits = "fits" if content.whole and None not in sizes else "was not checked"
        if fits == "fits" and end < source.size:
            fits = f"does not fit: {source.size - end:,} bytes follow its end, which torch ignores"
        report.details.append(f"Its length {fits}. This format has no checksums.")
        report.advice = "Load it, but not with mmap=True. Save it again to get the current format:"
        describe_pickle(report, content, content.torch_lines(zipped=False))
        if any(dtype == "Untyped" for dtype, _, _ in content.storages.values()):
            report.take(TABLE["other"]["legacy_untyped"])
    source.dangerous = content.dangerous()
    return True


def _pickle(report: Report, source: Source) -> bool:
    is_binary = re.match(rb"\x80[\x00-\x05][^\x00]", source.start)
    if not is_binary and source.start[:1] not in (b"(", b"c", b"]", b"}", b")"):
        return False
    stream = io.BytesIO(source.read(_HEAD))
    content = Pickle(stream)
    is_sure = is_binary and not re.match(rb".{6}\x00\x00\{", source.start, re.DOTALL)
    if not is_sure and (not content.whole or stream.read(2).strip()):
        return False  # a text, or a file of safetensors, can begin like a pickle
    report.take(TABLE["other"]["pickle"])
    if any(name.startswith("joblib.") for name in content.names):
        report.take(TABLE["other"]["joblib"])  # it may have an error: the bytes of arrays follow
    elif content.error and source.size <= _HEAD:
        _describe_broken_pickle(report, content.error)
    elif "torch.distributed.checkpoint.metadata.Metadata" in content.names:
        report.take(TABLE["other"]["distcp"])
    else:
        content.weights_only = True  # pickle.load, which reads every protocol, is to load it
        describe_pickle(report, content, report.lines)
        if content.whole and (rest := source.size - stream.tell()):
            report.details.append(f"After its end, {rest:,} bytes follow, which are not loaded.")
    source.dangerous = content.dangerous()
    return True


def _describe_broken_pickle(report: Report, error: str) -> None:
    cut = re.search("exhausted|remain|not enough|no newline", error)
    report.damaged(f"Its pickle is damaged: {error}.", mark="cut off" if cut else "damaged")


def _text(report: Report, source: Source) -> bool:
    marks = {codecs.BOM_UTF8: "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
    start = source.start
    encoding = next((marks[mark] for mark in marks if start.startswith(mark)), "utf-8")
    try:
        text = _decoded(start, encoding)
    except UnicodeDecodeError:
        if not start.lstrip().startswith(b"<"):
            return False
        text = start.decode("latin-1")  # a page in another encoding: its tags are readable
    text = text.lstrip("\ufeff\r\n\t ")
    if re.search(r"[\x00-\x08\x0e-\x1a\x1c-\x1f]", text):
        return False
    flags = re.IGNORECASE | re.MULTILINE | re.DOTALL
    rows = (row for row in TABLE["text"] if re.search(row["pattern"], text[:4096], flags))
    report.take(TABLE["other"]["text"] | next(rows, {}))
    report.details = [f"First line: {text.partition(chr(10))[0].strip()[:200]}"]
    if size := re.search(r"^size (\d{1,18})\s*$", text, re.MULTILINE):
        report.details = [f"The file that it stands for has {int(size[1]):,} bytes."]
    return True


def _decoded(start: bytes, encoding: str) -> str:
    """The text, without a character of which only the beginning was read."""
    return codecs.getincrementaldecoder(encoding)().decode(start)


def _bytes(report: Report, source: Source) -> bool:
    for row in TABLE["bytes"]:
        if re.match(row["pattern"].encode(), source.start, re.DOTALL):
            report.take(row)
            try:
                _check(report, source)
            except Exception as error:  # each library raises several types
                report.damaged(f"{error}. Compare its size with that of the original.")
            return True
    return False


def _check(report: Report, source: Source) -> None:
    """Let the library of a format read the file: it raises an error if the file is damaged."""
    source.file.seek(0)
    if source.is_inner or not_utf8(report.path) and report.kind == "a safetensors file":
        return  # the library of safetensors opens no such path
    if report.kind == "a safetensors file":
        from safetensors import safe_open

        with safe_open(report.path, "numpy") as file:
            names = file.keys()
            dtypes = Counter(file.get_slice(name).get_dtype() for name in names)
        report.details = ["Its length fits its header. This format has no checksums."]
        report.details.append(f"It holds {_list(names, 'tensor')}.")
        report.details.append(f"Types: {_counts(dtypes) or 'none'}.")
    elif report.kind == "a NumPy array (npy)":
        import numpy as np

        array = np.load(report.path, mmap_mode="r", max_header_size=_MAX_HEADER)
        found = f"An array of shape {array.shape} and type {str(array.dtype)[:60]}."
        report.details = [found, "Its length fits its header. This format has no checksums."]
        if len(source.start[12:].partition(b"\n")[0]) > 9_900:  # NumPy has a limit of 10,000
            report.lines[-1] = f"array = np.load({{path}}, max_header_size={_MAX_HEADER:_})"
    elif report.kind == "a NumPy array of objects (npy)":
        content = Pickle(io.BytesIO(source.read(_HEAD)[12:].partition(b"\n")[2]))
        source.dangerous = content.dangerous()
        if content.error and source.size < _HEAD:
            raise ValueError(f"Its pickle is damaged: {content.error}")
        if content.whole:
            report.details = ["Its pickle is complete. This format has no checksums."]
    elif report.kind == "an HDF5 file (Keras writes this format)":
        start, version = source.start, source.start[8]  # of the superblock
        begin, size = (12, start[9]) if version > 1 else (24 + 4 * version, start[13])
        end = int.from_bytes(start[begin + 2 * size : begin + 3 * size], "little")
        if not 0 < end <= source.size:
            raise ValueError(f"Its header says that it has {end:,} bytes")
        report.details = ["Its length fits its header. This format seldom has checksums."]
    elif report.kind == "a GGUF file" and source.size < 24:
        raise ValueError("Its header is cut off")
    elif report.kind == "an ONNX model" and source.size <= _HEAD:
        import onnx

        onnx.load_model_from_string(source.read(_HEAD))
    elif report.kind == "a tar archive":
        with tarfile.open(fileobj=source.file, mode="r:") as archive:
            names = [member.name for member in itertools.islice(archive, _MEMBERS)]
            end = archive.offset
        if len(names) < _MEMBERS and source.read(1024, end) != bytes(1024):
            raise ValueError(f"A header is damaged or the end missing after {_list(names, 'file')}")
        report.details = [f"It contains {_list(names, 'file')}."]
    elif report.kind == "a 7z archive":  # its first header has a checksum, and says where it ends
        checksum, offset, size = struct.unpack_from("<IQQ", source.start, 8)
        if zlib.crc32(source.start[12:32]) != checksum or 32 + offset + size > source.size:
            raise ValueError("Its first header is damaged, or its end is missing")
    elif "compressed by" in report.kind and report.lines[0].startswith("import"):
        _check_compressed(report, source)


def _check_compressed(report: Report, source: Source) -> None:
    """Read the whole file, which compares its checksum, and identify the beginning inside."""
    compressed = report.kind.removeprefix("a file ")
    report.details = ["No checksum was compared."]
    if compressed.endswith("zlib"):
        start = zlib.decompressobj().decompress(source.start, _START)
    else:
        limit = -1 if "bz2" in compressed and source.size > _SLOW else source.limit
        opener: Any = {"gzip": gzip.open, "bz2": bz2.open}.get(compressed.split()[-1], lzma.open)
        with opener(source.file) as file:
            start = file.read(_START)
            if _read_on(file, limit) >= 0 and "lzma" not in compressed:  # which has none
                report.intact, report.details = True, ["Its checksum matches."]
    inner = type(report)(Path())
    identify(inner, Source(io.BytesIO(start), len(start), is_inner=True))
    kind = re.sub(_DAMAGE, "", inner.kind)
    if kind == TABLE["other"]["joblib"]["kind"]:  # joblib unpacks its files
        report.take(TABLE["other"]["joblib"])
    if kind != type(report).kind:
        report.kind = f"{kind}, {compressed}"


def not_utf8(path: Path) -> bool:
    """Whether a path has bytes that are not UTF-8."""
    return bool(re.search("[\ud800-\udfff]", str(path)))


def _list(names: Iterable[Any], what: str = "") -> str:
    """The first names, and how many there are."""
    names = list(map(str, names))
    shown = ", ".join(name[:60] for name in names[:6]) + ("…" if len(names) > 6 else "")
    return f"{_number(names, what)}: {shown}".removesuffix(": ") if what else shown


def _number(things: list[Any], what: str) -> str:
    return f"{len(things):,} {what}{'s' * (len(things) != 1)}"


def _counts(dtypes: Counter[str]) -> str:
    return ", ".join(f"{count:,} {dtype}" for dtype, count in dtypes.most_common(4))


_FAMILIES = (_empty, _zip, _legacy, _pickle, _text, _bytes, _archive)
