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
import lzma
import re
import struct
import tarfile
import tomllib
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
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
_SLOW = 1 << 23  # bytes of a file of bz2, which is slow to read

# Records that only torch writes: its reader checks more than zipfile.
_TORCH_NAMES = (
    r"/((data|constants)\.pkl|\.(format_version|storage_alignment)|byteorder)$|/\.data/|/__torch__/"
)
_DAMAGE = ", (cut off|damaged).*"  # after a kind
_NPZ, _OTHER_ZIP = (row["kind"] for row in TABLE["zip"][-2:])


@dataclass
class Source:
    """The bytes to recognise."""

    file: BinaryIO
    size: int
    full: bool = False
    share: int = 1  # of how many files the checksums are compared, within one limit
    is_inner: bool = False  # the beginning of a compressed file, to be identified only

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
        report.details = ["Nothing in it tells whether it is whole."]
    if not known or report.intact is False:
        _explain_changes(report, source)


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
    if any(source.start) or any(source.read(_HEAD)):
        return False
    report.kind = "a file of zeros" if source.size else "an empty file"
    report.damaged("", "The save that created it failed: use an older checkpoint.", mark="")
    return True


def _zip(report: Report, source: Source) -> bool:
    at = source.start.find(b"PK\x03\x04")
    if at < 0 or source.start[257:262] == b"ustar":  # a tar archive may contain a zip archive
        return False
    tail = source.read(_START, max(0, source.size - _START))
    end = tail.rfind(b"PK\x05\x06")
    count = int.from_bytes(tail[end + 10 : end + 12], "little")  # 0xFFFF if there are more
    try:
        with zipfile.ZipFile(source.file) as archive:
            begin = min(item.header_offset for item in archive.infolist())
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
        if end < 0:
            report.damaged("Its end is missing.", mark="cut off")
        else:
            is_clear = isinstance(error, zipfile.BadZipFile)
            report.damaged(f"{error}." if is_clear else "Its list of records is damaged.")
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
    report.take(next(rows))  # the last row fits every archive
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
    if report.kind in ("a PyTorch file", "a TorchScript archive") and len(folders) > 1:
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
    if report.kind == "a PyTorch file":
        name = f"{folders.pop()}/data.pkl"
        with archive.open(name) as record:
            start = record.read(_HEAD)
        if reader and len(start) < _HEAD and reader.get_record("data.pkl") != start:
            raise zipfile.BadZipFile("It has two lists of records, which differ")
        content = Pickle(io.BytesIO(start))
        _describe_pickle(report, content, content.torch_lines(zipped=True))
        needed = [f"{name.removesuffix('data.pkl')}data/{key}" for key in content.storages]
        lost = [record for record in needed if record not in report.records]
        if lost or (content.error and report.records[name] <= _HEAD):
            report.damaged(f"It lacks {_list(lost, 'record')}." if lost else f"{content.error}.")
        _warn(report, content)
    elif report.kind == _NPZ and is_bounded:
        for item in items:
            with archive.open(item) as record:
                if b"'|O'" in record.read(_START).partition(b"\n")[0]:  # the header of an array
                    report.take(TABLE["other"]["npz_objects"])
    elif report.kind == _OTHER_ZIP:
        report.details.append(f"It contains {_list(report.records, 'file')}.")


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


def _describe_pickle(report: Report, content: Pickle, lines: list[str]) -> None:
    """Say what a pickle holds and needs, given the lines that load it."""
    report.advice, report.lines, report.loads = "Load it:", lines, True
    items, refused = content.items() or {}, content.refused()
    if content.items() is not None:
        report.details.append(f"It holds a dict with {_list(items, 'key')}.")
    if content.tensors:
        report.details.append(f"Tensors: {_counts(content.tensors)}.")
    if devices := content.devices():
        report.details.append(f"Saved on {_list(devices)}: map_location loads it on the CPU.")
    if not content.whole:
        report.details.append("Its pickle is long, and only the beginning was read.")
    if not content.weights_only:
        report.details.append("torch.load cannot read its pickle protocol under weights_only.")
    if refused:
        begin = "It asks for" if "pickle.load" in lines[-1] else "weights_only does not allow"
        report.details.append(f"{begin} {_list(refused, 'name')}.")
    may_run = "pickle.load" in lines[-1] and (refused or not content.whole)
    if may_run or "weights_only=False" in lines[-1]:
        report.advice = "Loading it runs code: load it only if you trust its author."
    elif refused:
        report.advice = "Load it without running its code:"
    for row in TABLE["keys"]:
        if row["key"] in items:
            report.kind = row["kind"]
            report.lines.append(row["line"])


def _warn(report: Report, content: Pickle) -> None:
    """Advise against a file that can run any code, whatever else was found."""
    if dangerous := content.dangerous():
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
        report.details.append(f"Its length {fits}. This format has no checksums.")
        _describe_pickle(report, content, content.torch_lines(zipped=False))
        if report.advice == "Load it:":
            current = "Save it again to get the current format:"
            report.advice = f"Load it, but not with mmap=True. {current}"
        if any(dtype == "Untyped" for dtype, _, _ in content.storages.values()):
            report.take(TABLE["other"]["legacy_untyped"])
    _warn(report, content)
    return True


def _pickle(report: Report, source: Source) -> bool:
    is_binary = re.match(rb"(?!.{8}\{)\x80[\x00-\x05][^\x00]", source.start, re.DOTALL)
    if not is_binary and source.start[:1] not in (b"(", b"c", b"]", b"}", b")"):
        return False
    stream = io.BytesIO(source.read(_HEAD))
    content = Pickle(stream)
    if not is_binary and (not content.whole or stream.read(2).strip()):
        return False  # a text can begin with the letters of a pickle
    report.take(TABLE["other"]["pickle"])
    if any(name.startswith("joblib.") for name in content.names):
        report.take(TABLE["other"]["joblib"])  # it may have an error: the bytes of arrays follow
    elif content.error and source.size <= _HEAD:
        _describe_broken_pickle(report, content.error)
    elif "torch.distributed.checkpoint.metadata.Metadata" in content.names:
        report.take(TABLE["other"]["distcp"])
    else:
        content.weights_only = True  # pickle.load, which reads every protocol, is to load it
        _describe_pickle(report, content, report.lines)
    _warn(report, content)
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
    if source.is_inner:
        return
    if report.kind == "a safetensors file":
        from safetensors import safe_open

        with safe_open(report.path, "numpy") as file:
            names = file.keys()
            dtypes = Counter(file.get_slice(name).get_dtype() for name in names)
        report.intact = True
        report.details = ["Its length fits its header. This format has no checksums."]
        report.details.append(f"It holds {_list(names, 'tensor')}.")
        report.details.append(f"Types: {_counts(dtypes) or 'none'}.")
    elif report.kind == "a NumPy array (npy)":
        import numpy as np

        array = np.load(report.path, mmap_mode="r")
        report.intact = True
        report.details = [f"An array of shape {array.shape} and type {array.dtype}."]
    elif report.kind == "an ONNX model" and source.size <= _HEAD:
        import onnx

        onnx.load_model_from_string(source.read(_HEAD))
    elif report.kind == "a tar archive":
        with tarfile.open(fileobj=source.file, mode="r:") as archive:
            names = [member.name for member in itertools.islice(archive, 1000)]
        report.details = [f"It contains {_list(names, 'file')}."]
    elif report.kind == "a 7z archive":  # its first header has a checksum, and says where it ends
        checksum, offset, size = struct.unpack_from("<IQQ", source.start, 8)
        if zlib.crc32(source.start[12:32]) != checksum or 32 + offset + size > source.size:
            raise ValueError("Its first header is damaged, or its end is missing")
    elif report.kind in _OPENERS or report.kind == _ZLIB:
        _check_compressed(report, source)


_ZLIB = "a file compressed by zlib"
_OPENERS: dict[str, Callable[[Any], Any]] = {
    "a file compressed by gzip": gzip.open,
    "a file compressed by bz2": bz2.open,
    "a file compressed by xz": lzma.open,
    "a file compressed by lzma": lzma.open,
}


def _check_compressed(report: Report, source: Source) -> None:
    """Read the whole file, which compares its checksum, and identify the beginning inside."""
    compressed = report.kind.removeprefix("a file ")
    report.details = ["No checksum was compared."]
    if report.kind == _ZLIB:
        start = zlib.decompressobj().decompress(source.start, _START)
    else:
        limit = -1 if "bz2" in compressed and source.size > _SLOW else source.limit
        with _OPENERS[report.kind](source.file) as file:
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


def _list(names: Iterable[Any], what: str = "") -> str:
    """The first names, and how many there are."""
    names = list(map(str, names))
    shown = ", ".join(name[:60] for name in names[:6]) + ("…" if len(names) > 6 else "")
    return f"{_number(names, what)}: {shown}".removesuffix(": ") if what else shown


def _number(things: list[Any], what: str) -> str:
    return f"{len(things):,} {what}{'s' * (len(things) != 1)}"


def _counts(dtypes: Counter[str]) -> str:
    return ", ".join(f"{count:,} {dtype}" for dtype, count in dtypes.most_common(4))


_FAMILIES = (_empty, _zip, _legacy, _pickle, _text, _bytes)
