"""Recognise the bytes of a file, check them, and add what they need to a report.

Each function in ``_FAMILIES`` gets a report and the bytes. It returns whether it recognised them.
``files/kinds.toml`` lists the kinds that a pattern tells, and the lines that load each kind.
"""

from __future__ import annotations

import bz2
import codecs
import io
import itertools
import json
import lzma
import math
import re
import struct
import tarfile
import tomllib
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Sized
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import filetype

from helpers.pickles import Made, Pickle, quoted

if TYPE_CHECKING:
    from helpers.inspection import Report

TABLE = tomllib.loads(Path(__file__).with_name("files").joinpath("kinds.toml").read_text("utf-8"))

# Limits, so that a report takes seconds and little memory whatever the file holds.
_START = 1 << 16  # bytes that identify a file
_HEAD = 1 << 25  # bytes of a pickle, a header or a compressed file
_RECORDS = 1 << 23  # bytes of the list of records of a zip archive, 46 or more for each
_CHECK = 1 << 28  # bytes whose checksums are compared, unless the full check is wanted

# Files of torch < 1.6 begin with a pickle of this number (torch/serialization.py).
_LEGACY = b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"


@dataclass
class Source:
    """The bytes to recognise."""

    file: BinaryIO
    size: int
    full: bool = False
    depth: int = 0  # inside how many other files

    def __post_init__(self) -> None:
        self.start = self.head(_START)

    def head(self, size: int = _HEAD, offset: int = 0) -> bytes:
        self.file.seek(offset)
        return self.file.read(size)


def identify(report: Report, source: Source) -> None:
    """Ask each function in turn, until one recognises the bytes."""
    if any(family(report, source) for family in _FAMILIES):
        return
    found = filetype.guess(source.start)
    if found and found.extension not in ("Z", "aac", "exe", "ps"):  # recognised by two bytes
        report.kind = f"a file of the type {found.mime}"
        report.advice = "It is not a checkpoint: look for the file with the weights."


def _empty(report: Report, source: Source) -> bool:
    if any(source.start):
        return False
    zeros = min(source.size, _HEAD)
    if source.head().strip(b"\0"):
        return False
    if source.size:
        report.kind = "a file of zeros"
        report.damaged(f"Its first {zeros:,} bytes are zeros: nothing was written.", mark="")
    else:
        report.kind = "an empty file"
        report.damaged("", "The save that created it failed: use an older checkpoint.", mark="")
    return True


# ---- zip archives -------------------------------------------------------------------------------


class _Bounded:
    """A file for zipfile, which reads a list of records of any length in one piece."""

    def __init__(self, file: BinaryIO) -> None:
        self.seek, self.tell, self.seekable = file.seek, file.tell, file.seekable
        self._file = file

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(_RECORDS + 1 if size < 0 else min(size, _RECORDS + 1))
        if len(data) > _RECORDS:
            raise MemoryError("its list of records is too long")
        return data


def _zip(report: Report, source: Source) -> bool:
    at = source.start.find(b"PK\x03\x04")
    if at < 0:
        return False
    blank = report.blank()
    try:
        with zipfile.ZipFile(_Bounded(source.file)) as archive:  # type: ignore[arg-type]
            items = archive.infolist()
            begin = min((item.header_offset for item in items), default=-1)
            if begin < 0 or (at and begin != at):
                raise zipfile.BadZipFile("its list of records does not fit")
            _describe_zip(report, source, archive, begin)
    except Exception as error:  # zipfile, zlib and others raise a dozen types for damaged archives
        report.__dict__.update(blank.__dict__)
        if at:
            return False
        _describe_broken_zip(report, source, error)
    return True


def _describe_zip(report: Report, source: Source, archive: zipfile.ZipFile, begin: int) -> None:
    items = archive.infolist()
    report.records = {item.filename: item.file_size for item in items}
    names = "\n".join(report.records)
    rows = (row for row in TABLE["zip"] if re.search(row["pattern"], names, re.MULTILINE))
    report.take(next(rows))  # the last row fits every archive
    if any(item.flag_bits & 1 for item in items):
        report.kind, report.lines = "a zip archive with a password", []
        report.advice = "Ask for its password. Unpack it, and look at its files."
        return
    _check_list(source, archive)
    report.intact, checked = _checksums(archive, source.full)
    report.details.append(checked)
    top = None
    if report.kind == "a PyTorch file":
        name = next(name for name in report.records if name.endswith("/data.pkl"))
        with archive.open(name) as record:
            content = Pickle(io.BytesIO(record.read(_HEAD)))
        top = content.top
        describe_pickle(report, content)
        folder = name.removesuffix("data.pkl") + "data/"
        lost = [key for key in content.storages if folder + key not in report.records]
        if lost or (content.error and report.records[name] <= _HEAD):
            found = f"{_number(lost, 'storage')} are missing." if lost else f"{content.error}."
            report.damaged(found)
    elif report.kind == "a torch.package archive":
        parts = (
            re.fullmatch(r"[^/]+/(?!\.data/)(.+)/([^/]+\.pkl)", name) for name in report.records
        )
        for part in itertools.islice(filter(None, parts), 1):
            where = f"{quoted(part[1].replace('/', '.'))}, {quoted(part[2])}"
            report.lines.append(f'model = importer.load_pickle({where}, map_location="cpu")')
    elif report.kind == TABLE["zip"][-1]["kind"]:
        _look_for_checkpoint(
            report,
            source,
            [(item.filename, lambda item=item: archive.open(item)) for item in items],
            TABLE["members"]["zip"],
        )
    of_tensor = isinstance(top, Made) and top.name.startswith("torch._utils._rebuild")
    if report.path.suffix == ".distcp" or (begin and of_tensor):
        report.kind = "a file of a distributed checkpoint"  # it has an archive for each tensor
        report.lines, report.loads = [], False
        report.advice = "Use the whole folder, with its index .metadata. Look at the folder."
        if (report.path.parent / ".metadata").is_file():
            report.take({**TABLE["folder"][0], "kind": report.kind})
            report.lines = [line.replace("{path}", "{folder}") for line in report.lines]
    elif begin:
        report.kind += f", after {begin:,} bytes that do not belong to it"
        _write_repaired(report, f"[{begin}:]", report.lines)


def _check_list(source: Source, archive: zipfile.ZipFile) -> None:
    """Check what torch checks in the list of records, and zipfile does not."""
    items, position = archive.infolist(), 0
    directory = source.head(2 * _RECORDS, archive.start_dir)
    for item in items:
        stored = item.compress_type == zipfile.ZIP_STORED
        wrong = stored and item.compress_size != item.file_size
        if wrong or item.volume or item.external_attr & 0x10 and item.file_size:  # a folder
            raise zipfile.BadZipFile(f"the entry of {item.filename!r} is damaged")
        position += 46 + sum(struct.unpack_from("<3H", directory, position + 28))
    end, count = directory[position:], len(items)
    if end[:4] == b"PK\x06\x06":  # of an archive that may have more than 4 GiB
        fields = struct.unpack_from("<4sQ2H2I4Q4sIQI", end)
        begin = min(item.header_offset for item in items)
        expected = (0, 0, count, count, position, b"PK\x06\x07", 0, 1)
        there = fields[12] + begin == archive.start_dir + position
        if fields[4:9] + fields[10:12] + fields[13:] != expected or not there:
            raise zipfile.BadZipFile("the end of its list of records is damaged")
        end = end[76:]
    counts = (min(count, 0xFFFF).to_bytes(2, "little"), b"\xff\xff")
    if end[:8] != b"PK\x05\x06\0\0\0\0" or end[10:12] not in counts:
        raise zipfile.BadZipFile("its list of records is damaged")


def _checksums(archive: zipfile.ZipFile, full: bool) -> tuple[bool | None, str]:
    """Read the records: zipfile compares their checksums, and raises an error if one differs."""
    read, total = 0, sum(item.file_size for item in archive.infolist())
    for item in archive.infolist():
        with archive.open(item) as record:
            while chunk := record.read(1 << 20):
                read += len(chunk)
                if read > _CHECK and not full:
                    return None, (
                        f"The checksums of the first {_CHECK >> 20} MiB match. The rest, of "
                        f"{total:,} bytes, was not read: full=True or --full checks it."
                    )
    return True, f"The checksums of its {_number(archive.infolist(), 'record')} match."


def _describe_broken_zip(report: Report, source: Source, error: Exception) -> None:
    report.kind = "a zip archive"
    if re.search(rb"/(data\.pkl|data/\d|\.data/|\.format_version|byteorder)", source.start):
        report.kind = "a PyTorch file"
    if isinstance(error, MemoryError):
        report.details, report.advice = [f"It was not read: {error}."], "Open it with zipfile."
        return
    tail = source.head(_START + 100, max(0, source.size - _START - 100))
    if _repair_line_ends(report, source):
        return
    zeros = len(tail) - len(tail.rstrip(b"\0"))
    if b"PK\x05\x06" not in tail:
        found = f"Its last {zeros:,} bytes are zeros." if zeros > 64 else "Its end is missing."
        report.damaged(found, mark="cut off")
    else:
        report.damaged(f"{str(error).rstrip('.') or type(error).__name__}.")


# ---- pickles ------------------------------------------------------------------------------------


def describe_pickle(report: Report, content: Pickle, torch_file: bool = True) -> None:
    """Say what a pickle holds and needs, and find the lines that load it."""
    keys, tensors, refused = content.keys(), content.tensors, content.refused()
    if keys is not None:
        report.details.append(f"It holds a dict with {_list(keys, 'key')}.")
    if tensors:
        report.details.append(f"Tensors: {_counts(tensors)}.")
    if devices := content.devices():
        report.details.append(f"Saved on {_list(devices)}: map_location loads it on the CPU.")
    if not content.whole:
        report.details.append("Its pickle is long, and only the beginning was read.")
    report.lines = (
        content.torch_lines(zipped=bool(report.records)) if torch_file else content.pickle_lines()
    )
    report.advice, report.loads = "Load it:", report.intact is not False
    if not torch_file and content.names:
        report.details.append(f"It asks for {_list(content.names, 'name')}.")
    elif torch_file and not content.loads_weights_only():
        report.details.append("weights_only cannot read its pickle protocol.")
        report.details.append(f"It asks for {_list(content.names, 'name')}.")
        if refused or not content.whole:
            report.advice = "Loading it runs code: load it only if you trust its author."
    elif torch_file and refused:
        report.details.append(f"weights_only does not allow {_list(refused, 'name')}.")
        report.advice = "Load it without running its code:"
        if "weights_only=False" in report.lines[-1]:
            report.advice = "Loading it runs code: load it only if you trust its author."
    for row in TABLE["keys"]:
        if row["key"] in (keys or []):
            report.kind = row["kind"]
            report.lines.append(row["line"])
    if dangerous := content.dangerous():
        report.details.insert(0, f"It calls {_list(dangerous)}, which can run any code.")
        report.advice = "Do not load it. Ask its author for a file with tensors only."
        report.lines, report.loads = [], False


def _legacy(report: Report, source: Source) -> bool:
    if not re.match(rb"\x80.(.{9})?" + re.escape(_LEGACY), source.start, re.DOTALL):
        return False
    report.kind = "a legacy PyTorch file"
    stream = io.BytesIO(source.head())
    *heads, content = (Pickle(stream) for _ in range(4))
    keys = Pickle(stream)
    broken = next((one.error for one in (*heads, content, keys) if one.error), "")
    missing = None
    try:
        if content.whole and keys.whole:
            missing = _missing_of_storages(source, content, stream.tell(), keys.top)
    except ValueError as error:
        broken = str(error)
    if broken and source.size <= _HEAD:
        if not _repair_line_ends(report, source):
            report.damaged(f"Its pickle is damaged: {broken}.", mark="cut off")
        return True
    report.intact = None if missing is None else True
    fits = "was not checked" if missing is None else "fits"
    report.details.append(f"Its length {fits}. This format has no checksums.")
    describe_pickle(report, content)
    if report.advice == "Load it:":
        report.advice = "Load it, but not with mmap=True. Save it again to get the current format:"
    if any(kind == "Untyped" for kind, _, _ in content.storages.values()):
        report.lines, report.loads = [], False
        report.advice = "torch cannot read such tensors from this format. Save them in the new one."
    if missing:
        report.damaged(f"{missing:,} bytes of its tensors are missing.", mark="cut off")
    return True


def _missing_of_storages(
    source: Source, content: Pickle, position: int, keys: list[Any]
) -> int | None:
    """The number of bytes that are missing at the end. Each storage follows its length."""
    if not isinstance(keys, list) or not set(map(str, keys)) <= content.storages.keys():
        raise ValueError("its list of storages is damaged")
    for key in keys:
        kind, _, elements = content.storages[str(key)]
        if kind not in TABLE["elements"]:
            return None
        stored = source.head(8, position)
        if len(stored) == 8 and int.from_bytes(stored, "little") != elements:
            raise ValueError(f"a storage should have {elements:,} elements")
        position += 8 + elements * TABLE["elements"][kind]
    return max(0, position - source.size)


def _pickle(report: Report, source: Source) -> bool:
    if source.start[:1] not in (b"\x80", b"(", b"c", b"]", b"}", b")"):
        return False
    binary = source.start[:1] == b"\x80" and source.start[1:2] <= b"\x05"
    data = source.head()
    joblib = b"joblib.numpy_pickle" in data or b"joblib\nnumpy_pickle" in data
    stream = io.BytesIO(data)
    content = Pickle(stream)
    if binary and content.error and _repair_line_ends(report, source):
        return True
    if len(content.opcodes) < 3 or (not binary and (not content.whole or stream.read(2).strip())):
        return False  # a text can begin with the letters of a pickle
    report.kind = "a pickle that torch did not write"
    if content.error and joblib:  # after the description of an array come its bytes
        report.take(TABLE["other"]["joblib"])
        return True
    if content.error and len(data) == source.size:
        cut = re.search(r"exhausted|remain", content.error)
        report.damaged(f"{content.error}.", mark="cut off" if cut else "damaged")
        return True
    if "torch.distributed.checkpoint.metadata.Metadata" in content.names:
        report.kind = "the index of a distributed checkpoint"
        report.advice = "Look at its folder, which also has the files with the tensors."
        return True
    describe_pickle(report, content, torch_file=False)
    if joblib:
        report.take(TABLE["other"]["joblib"])
    elif report.lines and not content.is_harmless():
        report.advice = "Loading it runs code: load it only if you trust its author."
    return True


# ---- other formats with a length in them --------------------------------------------------------


def _safetensors(report: Report, source: Source) -> bool:
    """Eight bytes with the length of the header, the header in JSON, and the tensors.

    https://huggingface.co/docs/safetensors/index#format
    """
    length = int.from_bytes(source.start[:8], "little")
    if not re.match(rb"\{\s*[\"}]", source.start[8:]) or length > 100_000_000:
        return False
    report.take(TABLE["other"]["safetensors"])
    if length > _HEAD:
        report.details.append(f"Its header of {length:,} bytes was not read.")
        return True
    data = source.head(length, 8)
    if len(data) < length:
        report.damaged(f"Its header should have {length:,} bytes.", mark="cut off")
        return True
    try:
        entries = json.loads(data)
        entries.pop("__metadata__", None)
        dtypes = Counter(entry["dtype"] for entry in entries.values())
        ends = [int(entry["data_offsets"][1]) for entry in entries.values()]
        wrong = [name for name, entry in entries.items() if not _fits(entry)]
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        report.damaged(f"Its header cannot be read: {type(error).__name__}: {error}.")
        return True
    end = 8 + length + max(ends, default=0)
    report.intact = True
    report.details = ["Its length fits its header. This format has no checksums."]
    report.details.append(f"It holds {_list(entries, 'tensor')}.")
    report.details.append(f"Types: {_counts(dtypes)}.")
    if source.size < end:
        report.damaged(f"{end - source.size:,} bytes of its tensors are missing.", mark="cut off")
    elif source.size > end or wrong:
        found = f"Its header does not describe {_list(wrong, 'tensor')}." if wrong else ""
        report.damaged(found or f"It has {source.size - end:,} bytes too many.")
    return True


def _fits(entry: dict[str, Any]) -> bool:
    begin, end = entry["data_offsets"]
    size = TABLE["elements"].get(entry["dtype"])
    return size is None or end - begin == size * math.prod(entry["shape"])


def _numpy(report: Report, source: Source) -> bool:
    if not source.start.startswith(b"\x93NUMPY"):
        return False
    from numpy.lib import format as npy

    report.take(TABLE["other"]["numpy"])
    try:
        source.file.seek(0)
        old = npy.read_magic(source.file) == (1, 0)
        read = npy.read_array_header_1_0 if old else npy.read_array_header_2_0
        shape, _, dtype = read(source.file)
        end = source.file.tell() + math.prod(shape) * dtype.itemsize
    except Exception as error:  # numpy evaluates the text of the header, which may be anything
        report.damaged(f"Its header cannot be read: {type(error).__name__}.")
        return True
    report.details = [f"An array of shape {shape} and type {dtype}."]
    if dtype.hasobject:
        report.take(TABLE["other"]["numpy_objects"])
    elif source.size < end:
        report.damaged(f"{end - source.size:,} bytes are missing.", mark="cut off")
    else:
        report.intact = True
    return True


def _hdf5(report: Report, source: Source) -> bool:
    if not source.start.startswith(b"\x89HDF\r\n\x1a\n"):
        return False
    report.take(TABLE["other"]["hdf5"])
    at = 40 if source.start[8:9] < b"\x02" else 28  # where the superblock has the end of the file
    end = int.from_bytes(source.start[at : at + 8], "little")
    if len(source.start) < at + 8 or source.size < end:
        report.damaged(f"It should have {end:,} bytes.", mark="cut off")
    else:
        report.intact, report.details = True, ["Its length fits its header."]
    return True


def _protobuf(report: Report, source: Source) -> bool:
    """ONNX, Core ML and TensorFlow write messages of protobuf, which have no mark of their kind."""
    if source.start[:1] != b"\x08" or source.size < 8:
        return False
    fields, position = set(), 0
    while position < source.size and len(fields) < 1000:
        data = source.head(20, position)
        try:
            (tag, used), length = _varint(data), 0
            if tag & 7 in (0, 2):
                length, more = _varint(data[used:])
                used += more
        except IndexError:
            break
        fields.add(tag >> 3)
        step = {0: 0, 1: 8, 2: length, 5: 4}.get(tag & 7)
        if step is None or not tag >> 3:
            return False
        position += used + step
    kind = "onnx" if {1, 7} <= fields <= {*range(1, 30)} else ""
    kind = kind or ("coreml" if {1, 2} < fields and max(fields) >= 200 else "")
    kind = kind or ("saved_model" if fields == {1, 2} and source.start[1:3] == b"\x01\x12" else "")
    if not kind:
        return False
    report.take(TABLE["other"][kind])
    if position == source.size:
        report.intact, report.details = True, ["Its length fits."]
    else:
        report.damaged("Its end is missing.", mark="cut off")
    return True


def _varint(data: bytes) -> tuple[int, int]:
    value = 0
    for index in range(10):
        value |= (data[index] & 127) << (7 * index)
        if data[index] < 128:
            return value, index + 1
    raise IndexError("a number of more than ten bytes")


# ---- files around other files -------------------------------------------------------------------

_DECOMPRESSORS: dict[bytes, tuple[str, Callable[[], Any]]] = {  # by the first bytes
    rb"\x1f\x8b\x08": ("gzip", lambda: zlib.decompressobj(31)),
    rb"BZh[1-9]1AY&SY": ("bz2", bz2.BZ2Decompressor),
    rb"\xfd7zXZ\x00": ("xz", lambda: lzma.LZMADecompressor(memlimit=_CHECK)),
    rb"\x5d\x00\x00.{2}": ("lzma", lambda: lzma.LZMADecompressor(memlimit=_CHECK)),
    rb"\x78[\x01\x5e\x9c\xda]": ("zlib", zlib.decompressobj),
}


def _compressed(report: Report, source: Source) -> bool:
    found = (v for k, v in _DECOMPRESSORS.items() if re.match(k, source.start, re.DOTALL))
    name, make = next(found, ("", None))
    if make is None or source.depth > 1:
        return False
    packed, decompressor = source.head(), make()
    try:
        data = decompressor.decompress(packed, _HEAD)
    except (zlib.error, OSError, lzma.LZMAError, ValueError, EOFError, MemoryError) as error:
        if name in ("lzma", "zlib"):  # two or three bytes prove nothing
            return False
        report.kind = f"a file compressed by {name}"
        report.damaged(f"{error}.")
        return True
    if not decompressor.eof and name in ("lzma", "zlib") and not data:
        return False
    cut = not decompressor.eof and len(data) < _HEAD and len(packed) == source.size
    whole = decompressor.eof
    _adopt(report, source, data, whole, f"compressed by {name}", TABLE["members"][name])
    if cut:
        report.damaged("Its end is missing.", mark="cut off")
    elif whole and report.intact is None:
        report.details.insert(0, f"The checksum of {name} matches.")
    return True


def _seven_zip(report: Report, source: Source) -> bool:
    """The first header has its own checksum, and says where the last header ends."""
    if not source.start.startswith(b"7z\xbc\xaf\x27\x1c") or len(source.start) < 32:
        return False
    report.take(TABLE["other"]["7z"])
    checksum, offset, size = struct.unpack_from("<IQQ", source.start, 8)
    if zlib.crc32(source.start[12:32]) != checksum:
        report.damaged("The checksum of its header does not match.")
    elif 32 + offset + size > source.size:
        report.damaged("Its end is missing.", mark="cut off")
    else:
        report.intact, report.details = True, ["Its length fits its header."]
    return True


def _tar(report: Report, source: Source) -> bool:
    if source.start[257:262] != b"ustar" or source.depth > 1:
        return False
    report.take(TABLE["other"]["tar"])
    source.file.seek(0)
    try:
        with tarfile.open(fileobj=source.file, mode="r:") as archive:
            members = list(itertools.islice(archive, 1000))
            report.records = {member.name: member.size for member in members}
            if {"storages", "tensors", "pickle"} <= report.records.keys():
                report.take(TABLE["other"]["torch_0.1"])
                return True
            files = [member for member in members if member.isreg()]
            opened = [(m.name, lambda m=m: archive.extractfile(m)) for m in files]
            _look_for_checkpoint(report, source, opened, TABLE["members"]["tar"])
            ends = [member.offset_data + member.size for member in files if not member.sparse]
            if max(ends, default=0) > source.size:
                report.damaged("Its end is missing.", mark="cut off")
    except (tarfile.TarError, ValueError, OSError, EOFError, OverflowError) as error:
        report.damaged(f"{error}.", mark="cut off" if "unexpected end" in str(error) else "damaged")
    return True


def _look_for_checkpoint(
    report: Report,
    source: Source,
    members: Iterable[tuple[str, Callable[[], Any]]],
    opening: list[str],
) -> None:
    """Take the lines of the first member that is a checkpoint."""
    contains = f"It contains {_list(report.records, 'file')}."
    report.details.append(contains)
    for name, opened in itertools.islice(members, 20):
        with opened() as member:
            data = member.read(_START)
            inner = _inner(report, source, data)
            if inner.loads or "PyTorch" in inner.kind or "safetensors" in inner.kind:
                data += member.read(_HEAD)
                lines = [line.replace("{member}", quoted(name)) for line in opening]
                whole = len(data) == report.records[name]
                report.details = [contains]
                _adopt(report, source, data, whole, f"in {report.kind}", lines)
                return


def _inner(report: Report, source: Source, data: bytes) -> Report:
    inner = report.blank()
    inner.size = len(data)
    identify(inner, Source(io.BytesIO(data), len(data), depth=source.depth + 1))
    return inner


def _adopt(
    report: Report, source: Source, data: bytes, whole: bool, how: str, opening: list[str]
) -> None:
    """Report the file inside this one: unpack it, and then do what it needs."""
    inner = _inner(report, source, data)
    known = not inner.kind.startswith("a file of an unknown kind")
    if not whole:
        inner.kind = inner.kind.removesuffix(", cut off")
        inner.intact, inner.lines, inner.details = None, [], []
    report.kind = f"{inner.kind}, {how}" if known else f"a file {how}"
    report.details += inner.details
    report.intact = inner.intact if whole else report.intact
    if inner.kind.startswith("a joblib"):  # joblib unpacks its files
        report.advice, report.lines, report.loads = inner.advice, inner.lines, inner.loads
        return
    useless = whole and known and not inner.lines
    report.advice = inner.advice if useless else "Unpack it, and load or look at the result:"
    report.lines = [] if useless else _after(opening, inner.lines)
    report.loads = False


def _repair(report: Report, source: Source, data: bytes, change: str, what: str) -> bool:
    """Report the lines that repair a file, if the result is intact."""
    if source.depth > 1:
        return False
    inner = _inner(report, source, data)
    if inner.intact is False or not inner.lines:
        return False
    report.kind, report.details = f"{inner.kind}, {what}", inner.details
    _write_repaired(report, change, inner.lines)
    return True


def _write_repaired(report: Report, change: str, lines: list[str]) -> None:
    opening = [
        "from pathlib import Path",
        f"data = Path({{path}}).read_bytes(){change}",
        "Path({target}).write_bytes(data)",
    ]
    report.advice, report.intact, report.loads = "Write a repaired copy, and load it:", False, False
    report.lines = _after(opening, lines)


def _after(opening: list[str], lines: list[str]) -> list[str]:
    """The lines that write an inner file, and then its own, which may write another one."""
    if any("{again}" in line for line in lines) or len(opening) + len(lines) > 20:
        return opening  # too much for one screen: look at the next file
    inside = [line.replace("{target}", "{again}").replace("{path}", "{target}") for line in lines]
    return opening + inside


def _repair_line_ends(report: Report, source: Source) -> bool:
    r"""Undo a transfer in text mode, which writes \r\n for each \n."""
    data = source.head()
    if len(data) < source.size or b"\r\n" not in data or re.search(rb"(?<!\r)\n", data):
        return False
    change = r'.replace(b"\r\n", b"\n")'
    return _repair(report, source, data.replace(b"\r\n", b"\n"), change, "with changed line ends")


# ---- by patterns --------------------------------------------------------------------------------


def _text(report: Report, source: Source) -> bool:
    text = _decoded(source.start)
    if text is None:
        return False
    report.take(TABLE["other"]["text"])
    flags = re.IGNORECASE | re.MULTILINE | re.DOTALL
    for row in TABLE["text"]:
        if re.search(row["pattern"], text[:4096], flags):
            report.take(row)
            break
    first = next((line.strip() for line in text.splitlines() if line.strip()), "")
    report.details = [f"First line: {first[:200]}"]
    if size := re.search(r"^size (\d{1,18})\s*$", text, re.MULTILINE):
        report.details = [f"The file that it stands for has {int(size[1]):,} bytes."]
    return True


def _decoded(start: bytes) -> str | None:
    """The text, in the encoding of its mark. None if the bytes are not text."""
    marks = {codecs.BOM_UTF8: "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
    encoding = next((marks[mark] for mark in marks if start.startswith(mark)), "utf-8")
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(start)
    except UnicodeDecodeError:
        if not start.lstrip().startswith(b"<"):
            return None
        text = start.decode("latin-1")  # a page in another encoding: its tags are readable
    return (
        None if re.search(r"[\x00-\x08\x0e-\x1a\x1c-\x1f]", text) else text.lstrip("\ufeff\r\n\t ")
    )


def _pattern(report: Report, source: Source) -> bool:
    for row in TABLE["bytes"]:
        if re.match(row["pattern"].encode(), source.start, re.DOTALL):
            report.take(row)
            return True
    return False


def _changed_as_text(report: Report, source: Source) -> bool:
    """A binary file that a program read as text in one encoding and wrote as UTF-8."""
    start = source.start
    if start.isascii() or not re.search(rb"[\x00-\x08]", start):
        return False
    try:
        text = source.head().decode()
    except UnicodeDecodeError:
        return False
    if text.isascii() or len(text) < 64:
        return False
    if max(text) <= "\xff":
        change = '.decode("utf-8").encode("latin-1")'
        return _repair(report, source, text.encode("latin-1"), change, "converted as text")
    if text.count("\ufffd") < 3:
        return False
    report.kind = "a binary file that was converted as text"
    report.damaged("A program replaced each byte that is not UTF-8.", mark="")
    return True


def _list(names: Iterable[Any], what: str = "") -> str:
    """The first names, and how many there are."""
    names = list(map(str, names))
    shown = ", ".join(name[:60] for name in names[:6]) + ("…" if len(names) > 6 else "")
    return f"{_number(names, what)}: {shown}".removesuffix(": ") if what else shown


def _number(things: Sized, what: str) -> str:
    return f"{len(things):,} {what}{'s' * (len(things) != 1)}"


def _counts(dtypes: Counter[str]) -> str:
    return ", ".join(f"{n:,} {dtype}".strip() for dtype, n in dtypes.most_common(4)) or "none"


_FAMILIES = (
    _empty,
    _changed_as_text,
    _tar,
    _zip,
    _legacy,
    _safetensors,
    _numpy,
    _hdf5,
    _seven_zip,
    _compressed,
    _pickle,
    _text,
    _pattern,
    _protobuf,
)
