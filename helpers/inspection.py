"""Identify a file and suggest what to do with it, without loading it or executing a pickle."""

import json
import struct
import tarfile
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

# Files of torch < 1.6 begin with a pickle of this number (torch/serialization.py).
_LEGACY = b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"

_ZIP = b"PK\x03\x04"

_ADVICE = {
    "a PyTorch file": "torch.load(path) reads it.",
    "a PyTorch file, cut off": "Its end is missing: get it again, or use an older checkpoint.",
    "a legacy PyTorch file": "torch.load(path) reads it, but not with mmap=True. "
    "Save it again to get the current format.",
    "a TorchScript archive": "torch.jit.load(path) reads it; torch.load refuses it under "
    "weights_only. TorchScript is deprecated since torch 2.10.",
    "a torch.export archive": "torch.export.load(path) reads it.",
    "a safetensors file": "safetensors.torch.load_file(path) reads it.",
    "a pickle that torch did not write": "pickle.load would read it and run any code in it: "
    "ask its author for a file written by torch.save.",
    "a distributed checkpoint": "torch.distributed.checkpoint reads the folder.",
    "a folder": "Pass the path of a file in it.",
    "an empty file": "The save that created it failed: use an older checkpoint.",
    "a Git LFS pointer": "It only points to the weights: run `git lfs pull`, or download the file.",
    "an HTML page": "The download returned a web page: look for the link to the raw file.",
    "a tar archive": "Unpack it (`tar xf`) and look at its content. A .tar file of PyTorch is not "
    "a tar archive, except those of torch 0.1, which no current torch reads.",
    "a compressed file": "Unpack it (`gunzip`) first.",
    "a zip archive, cut off": "Its end is missing: get it again.",
    "a zip archive that torch did not write": "Unpack it and look at its content.",
    "a file of an unknown kind": "Ask its author which program wrote it.",
}


@dataclass(frozen=True)
class Report:
    """The result of ``look_inside``. Print it for a summary.

    ``kind`` names the kind of file, ``advice`` says what to do, ``size`` is in bytes, and
    ``records`` maps the name of each record of an archive to its size in bytes.
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
    """Identify a file by its content, not by its name.

    Raises FileNotFoundError, which lists the files in the folder, if the file does not exist.
    """
    path = Path(path)
    if path.is_dir():
        kind = "a distributed checkpoint" if (path / ".metadata").is_file() else "a folder"
        return Report(path, kind, sum(f.stat().st_size for f in path.rglob("*") if f.is_file()))
    if not path.exists():
        parent = path.absolute().parent
        there = sorted(p.name for p in parent.iterdir())[:10] if parent.is_dir() else []
        raise FileNotFoundError(
            f"There is no file {str(path)!r}. Its folder contains: {', '.join(there) or 'nothing'}."
        )
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(4096)
    # is_zipfile alone would also find an archive inside another file.
    if start.startswith(_ZIP) and zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            records = {item.filename: item.file_size for item in archive.infolist()}
        return Report(path, _kind_of_zip(records), size, records)
    return Report(path, _kind_of_bytes(start, path, size), size)


def _kind_of_zip(records: dict[str, int]) -> str:
    # Each of torch's archives has one top folder that contains these names.
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
    if start.startswith(_ZIP):  # and the directory at its end is missing
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
    return "a tar archive" if tarfile.is_tarfile(path) else "a file of an unknown kind"


def _is_safetensors(start: bytes, size: int) -> bool:
    # Eight bytes with the length of the header, then the header in JSON:
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
