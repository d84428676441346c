"""What a file is and what to do with it, without loading it: no pickle is ever executed here."""

import json
import struct
import tarfile
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

# The first pickle of a file that torch < 1.6 wrote holds this number (torch/serialization.py).
_LEGACY = b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"

_ZIP = b"PK\x03\x04"

_ADVICE = {
    "a PyTorch file": "torch.load(path) reads it.",
    "a PyTorch file, cut off": "Its end is missing: get it again, or take an older checkpoint.",
    "a legacy PyTorch file": "torch.load(path) still reads it; mmap=True does not. "
    "Save it again to get today's format.",
    "a TorchScript archive": "torch.jit.load(path) reads it; torch.load refuses it under "
    "weights_only. TorchScript is deprecated since torch 2.10.",
    "a torch.export archive": "torch.export.load(path) reads it.",
    "a safetensors file": "safetensors.torch.load_file(path) reads it.",
    "a pickle that torch did not write": "pickle.load would read it and run whatever is in it: "
    "ask whoever made it for a file that torch.save wrote.",
    "a distributed checkpoint": "torch.distributed.checkpoint reads the folder.",
    "a folder": "Name a file in it.",
    "an empty file": "The save that made it failed: take an older checkpoint.",
    "a Git LFS pointer": "The weights were not fetched: run `git lfs pull`, or download them.",
    "an HTML page": "The download brought a web page: look for the link to the raw file.",
    "a tar archive": "Unpack it (`tar xf`) and look at what is in it. PyTorch's own .tar files are "
    "no tar archives; those that torch 0.1 wrote are, and no current torch reads them.",
    "a compressed file": "Unpack it (`gunzip`) first.",
    "a zip archive, cut off": "Its end is missing: get it again.",
    "a zip archive that torch did not write": "Unpack it and look at what is in it.",
    "not a file that is known here": "Ask whoever made it what wrote it.",
}


@dataclass(frozen=True)
class Report:
    """What ``look_inside`` found; printed, it is a few lines to read.

    ``kind`` says what the file is, ``advice`` what to do, ``size`` counts its bytes, and
    ``records`` maps the name of each part of an archive to its size in bytes.
    """

    path: Path
    kind: str
    size: int
    records: dict[str, int] = field(default_factory=dict)

    @property
    def advice(self) -> str:
        return _ADVICE[self.kind]

    def __str__(self) -> str:
        lines = [f"{self.path.name} is {self.kind}. {self.advice}"]
        return "\n".join(lines + [f"{size:>10,}  {name}" for name, size in self.records.items()])


def look_inside(path: str | Path) -> Report:
    """Say what a file is, whatever its name claims.

    Raises FileNotFoundError, with the files that are there instead, if there is none.
    """
    path = Path(path)
    if path.is_dir():
        kind = "a distributed checkpoint" if (path / ".metadata").is_file() else "a folder"
        return Report(path, kind, sum(f.stat().st_size for f in path.rglob("*") if f.is_file()))
    if not path.exists():
        parent = path.absolute().parent
        there = sorted(p.name for p in parent.iterdir())[:10] if parent.is_dir() else []
        raise FileNotFoundError(
            f"There is no file {str(path)!r}. Beside it there is: {', '.join(there) or 'nothing'}."
        )
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(4096)
    # is_zipfile alone would also find an archive that lies inside another file.
    if start.startswith(_ZIP) and zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            records = {item.filename: item.file_size for item in archive.infolist()}
        return Report(path, _kind_of_zip(records), size, records)
    return Report(path, _kind_of_bytes(start, path, size), size)


def _kind_of_zip(records: dict[str, int]) -> str:
    # Each of torch's archives has one folder at its top and these names in it.
    names = {name.partition("/")[2] for name in records}
    if "archive_format" in names:
        return "a torch.export archive"
    if "constants.pkl" in names:
        return "a TorchScript archive"
    if "data.pkl" in names:
        return "a PyTorch file"
    return "a zip archive that torch did not write"


def _kind_of_bytes(start: bytes, path: Path, size: int) -> str:
    text = start.lstrip().lower()
    if not size:
        return "an empty file"
    if start.startswith(_ZIP):  # and its directory, at its end, is missing
        return "a PyTorch file, cut off" if b"/data" in start else "a zip archive, cut off"
    if start.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer"
    if text.startswith((b"<!doctype html", b"<html")):
        return "an HTML page"
    if start.startswith(b"\x1f\x8b"):
        return "a compressed file"
    if _is_safetensors(start, size):
        return "a safetensors file"
    if start.startswith(b"\x80"):
        legacy = _LEGACY in start[:32]
        return "a legacy PyTorch file" if legacy else "a pickle that torch did not write"
    return "a tar archive" if tarfile.is_tarfile(path) else "not a file that is known here"


def _is_safetensors(start: bytes, size: int) -> bool:
    # Eight bytes that count the header, then the header, in JSON:
    # https://huggingface.co/docs/safetensors/index#format
    if len(start) < 10:
        return False
    (length,) = struct.unpack_from("<Q", start)
    if length > size - 8 or start[8:9] != b"{":
        return False
    if length > len(start) - 8:
        return True
    try:
        json.loads(start[8 : 8 + length])
    except ValueError:
        return False
    return True
