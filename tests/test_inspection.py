import gzip
import io
import json
import pickle
import struct
import tarfile
import zipfile
from pathlib import Path

import pytest
import torch

from helpers import inspection
from helpers.inspection import look_inside

GOLDEN = Path(__file__).parent / "golden"
STATE = {"weight": torch.arange(6.0).view(2, 3)}


def saved(obj=STATE, **options):
    buffer = io.BytesIO()
    torch.save(obj, buffer, **options)
    return buffer.getvalue()


def legacy(obj=STATE):
    return saved(obj, _use_new_zipfile_serialization=False)


def torchscript():
    buffer = io.BytesIO()
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), buffer)
    return buffer.getvalue()


def exported():
    buffer = io.BytesIO()
    program = torch.export.export(torch.nn.Linear(2, 2), (torch.ones(1, 2),))
    torch.export.save(program, buffer)
    return buffer.getvalue()


def safetensors(tensors=1, length=None):
    entries = {
        f"{i}.bias": {"dtype": "F32", "shape": [1], "data_offsets": [4 * i, 4 * i + 4]}
        for i in range(tensors)
    }
    header = json.dumps(entries).encode()
    header = header.ljust(length or len(header))
    return struct.pack("<Q", len(header)) + header + bytes(4 * tensors)


def zipped(name, content):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(name, content)
    return buffer.getvalue()


def tarred(name, content):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        member = tarfile.TarInfo(name)
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


LFS = b"""version https://git-lfs.github.com/spec/v1
oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393
size 12345
"""

# Real bytes of every kind, all under the same name, model.pt.
EXAMPLES = [
    ("a PyTorch file", saved),
    ("a PyTorch file, cut off", lambda: saved()[:-100]),
    ("a PyTorch file, cut off", lambda: saved()[:200]),
    ("a legacy PyTorch file", legacy),
    ("a legacy PyTorch file", (GOLDEN / "checkpoint-torch-1.0.1.tar").read_bytes),
    ("a legacy PyTorch file", (GOLDEN / "checkpoint-torch-1.5.1.tar").read_bytes),
    ("a PyTorch file", (GOLDEN / "checkpoint-torch-1.6.0.tar").read_bytes),
    ("a TorchScript archive", torchscript),
    ("a torch.export archive", exported),
    ("a safetensors file", safetensors),
    ("a safetensors file", lambda: safetensors(tensors=100)),
    (
        "a safetensors file",
        lambda: safetensors(length=128),
    ),  # its first byte is also that of a pickle
    ("a pickle that torch did not write", lambda: pickle.dumps({"weight": [1.0, 2.0]})),
    ("an empty file", bytes),
    ("a Git LFS pointer", lambda: LFS),
    ("an HTML page", lambda: b"\n<!DOCTYPE html>\n<html><title>Sign in</title></html>"),
    ("an HTML page", lambda: b"<html><body>404</body></html>"),
    ("a tar archive", lambda: tarred("notes.txt", b"hello")),
    ("a tar archive", lambda: tarred("model.pt", saved())),
    ("a compressed file", lambda: gzip.compress(saved())),
    ("a zip archive, cut off", lambda: zipped("weight.npy", b"\x93NUMPY")[:-30]),
    ("a zip archive that torch did not write", lambda: zipped("weight.npy", b"\x93NUMPY")),
    ("a zip archive that torch did not write", lambda: zipped("data.pkl", b"")),
    ("a file of an unknown kind", lambda: bytes(range(1, 256)) * 3),
    ("a file of an unknown kind", lambda: b"epoch"),
    ("a file of an unknown kind", lambda: struct.pack("<Q", 12) + b"{not in JSON"),
    ("a file of an unknown kind", lambda: struct.pack("<Q", 999) + b'{"cut": "off"}'),
]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.pt"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(("kind", "content"), EXAMPLES)
def test_a_file_is_told_by_its_content(kind, content, path):
    path.write_bytes(content())
    assert look_inside(path).kind == kind


def test_every_kind_has_an_example_here():
    kinds = {getattr(example, "values", example)[0] for example in EXAMPLES}
    assert kinds | {"a folder", "a distributed checkpoint"} == set(inspection._ADVICE)


def test_a_folder_is_a_folder(tmp_path):
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "model.pt").write_bytes(bytes(7))
    report = look_inside(tmp_path)
    assert (report.kind, report.size) == ("a folder", 7)


def test_a_folder_with_metadata_is_a_distributed_checkpoint(tmp_path):
    (tmp_path / ".metadata").write_bytes(bytes(3))
    (tmp_path / "__0_0.distcp").write_bytes(bytes(4))
    report = look_inside(tmp_path)
    assert (report.kind, report.size) == ("a distributed checkpoint", 7)


def test_a_missing_file_is_reported_with_the_files_beside_it(tmp_path):
    (tmp_path / "model-final.pt").touch()
    (tmp_path / "best.pt").touch()
    with pytest.raises(FileNotFoundError, match=r"model\.pt'.*: best\.pt, model-final\.pt\."):
        look_inside(tmp_path / "model.pt")


def test_a_missing_file_in_an_empty_or_missing_folder_has_nothing_beside_it(tmp_path):
    for path in (tmp_path / "model.pt", tmp_path / "runs" / "model.pt"):
        with pytest.raises(FileNotFoundError, match="Its folder contains: nothing"):
            look_inside(path)


def test_a_name_without_a_folder_is_looked_up_in_the_current_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "best.pt").write_bytes(saved())
    assert look_inside("best.pt").kind == "a PyTorch file"
    with pytest.raises(FileNotFoundError, match=r"'model\.pt'.*: best\.pt\."):
        look_inside("model.pt")


def test_a_report_has_the_files_size_and_that_of_each_record(path):
    torch.save(STATE, path)
    report = look_inside(path)
    assert report.size == path.stat().st_size
    assert report.records["model/data/0"] == 6 * 4
    assert "model/data.pkl" in report.records


def test_a_report_reads_as_name_kind_advice_and_records(path):
    torch.save({"weight": torch.zeros(64, 64)}, path)
    first, *rest = str(look_inside(path)).splitlines()
    assert first == "model.pt is a PyTorch file. torch.load(path) reads it."
    assert "    16,384  model/data/0" in rest


def test_a_cut_off_file_is_reported_with_what_to_do(path):
    path.write_bytes(saved()[:-100])
    report = str(look_inside(path))
    assert report.startswith("model.pt is a PyTorch file, cut off. Its end is missing: get it")


class Bomb:
    """Unpickling it creates a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("write", [saved, legacy, pickle.dumps])
def test_nothing_in_a_file_is_executed(write, path, tmp_path):
    mark = tmp_path / "executed"
    path.write_bytes(write(Bomb(mark)))
    str(look_inside(path))
    assert not mark.exists()


def test_the_bomb_works(tmp_path):
    pickle.loads(pickle.dumps(Bomb(tmp_path / "executed")))
    assert (tmp_path / "executed").exists()


def load(path):
    return torch.load(path)["weight"]


@pytest.mark.parametrize("write", [saved, legacy])
def test_torch_reads_what_is_called_a_pytorch_file(write, path):
    path.write_bytes(write())
    assert "torch.load(path)" in look_inside(path).advice
    assert torch.equal(load(path), STATE["weight"])


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("content", [torchscript, lambda: saved()[:-100], bytes, lambda: LFS])
def test_torch_does_not_read_what_is_called_otherwise(content, path):
    path.write_bytes(content())
    with pytest.raises((RuntimeError, EOFError, pickle.UnpicklingError)):
        torch.load(path, weights_only=True)


def test_torch_reads_no_legacy_file_under_mmap_as_the_advice_says(path):
    path.write_bytes(legacy())
    with pytest.raises(RuntimeError, match="mmap"):
        torch.load(path, mmap=True)
