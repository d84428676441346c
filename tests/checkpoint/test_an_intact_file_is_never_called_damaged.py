"""Three outcomes: damaged; intact but not a checkpoint, with what to do; or torch's own error."""

import bz2
import gzip
import io
import lzma
import os
import pickle
import shutil
import tarfile
import zipfile
from pathlib import Path

import numpy
import pytest
import torch
from safetensors.torch import save as safetensors
from torch import nn

from helpers.checkpoint import CheckpointError, CorruptError, MismatchError, load, save
from helpers.devices import save_from
from parts import GOLDEN, fork

STATE = {"weight": torch.ones(2)}


def torchscript(path):
    torch.jit.save(torch.jit.script(nn.Linear(2, 2)), path)


def package(path):
    with torch.package.PackageExporter(path) as exporter:
        exporter.save_pickle("model", "model.pkl", STATE)


def exported(path):
    torch.export.save(torch.export.export(nn.Linear(2, 2), (torch.ones(1, 2),)), str(path))


def archive(*names):
    def make(path):
        with zipfile.ZipFile(path, "w") as zipped:
            for name in names:
                zipped.writestr(name, pickle.dumps({"epoch": 3}))

    return make


def tar(path):
    path.write_bytes(b"x" * 10)
    with tarfile.open(path.with_suffix(".tmp"), "w") as file:
        file.add(path, "weights.pt")
    path.with_suffix(".tmp").replace(path)


def checkpoint_bytes():
    torch.save(STATE, file := io.BytesIO())
    return file.getvalue()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    "make, advice",
    [
        (torchscript, "torch.jit"),
        (package, "torch.package"),
        (exported, "torch.export"),
        (lambda path: numpy.savez(path.open("wb"), a=numpy.ones(3)), "numpy"),
        (archive("config.json", "model.weights.h5"), "archive"),
        (archive("weights/model.pt"), "archive"),
        (archive("c/data.pkl"), "archive"),
        (lambda path: path.write_bytes(safetensors(STATE)), "safetensors.torch.load_file"),
        (lambda path: path.write_bytes(gzip.compress(checkpoint_bytes())), "unpack"),
        (lambda path: path.write_bytes(bz2.compress(checkpoint_bytes())), "unpack"),
        (lambda path: path.write_bytes(lzma.compress(checkpoint_bytes())), "unpack"),
        (tar, "unpack"),
    ],
    ids=[
        "TorchScript",
        "package",
        "exported",
        "npz",
        "keras",
        "zip",
        "foreign",
        "safetensors",
        "gzip",
        "bzip2",
        "xz",
        "tar",
    ],
)
def test_another_kind_of_file_is_called_intact_and_the_message_says_what_to_do(
    make, advice, tmp_path
):
    make(tmp_path / "file.pt")
    with pytest.raises(MismatchError, match=f"file.pt (is|seems) intact.*{advice}") as raised:
        load(tmp_path / "file.pt")
    assert "damaged" not in str(raised.value)


@pytest.mark.parametrize(
    "raw",
    [pickle.dumps({"epoch": 3}), b"GGUF\x03\0\0\0", b"\x93NUMPY\x01\0v\0{", b"\x89HDF\r\n\x1a\n"],
    ids=["pickle", "gguf", "npy", "hdf5"],
)
def test_a_file_of_an_unknown_kind_is_shown_and_not_called_damaged(raw, tmp_path):
    (tmp_path / "file.pt").write_bytes(raw)
    with pytest.raises(CorruptError, match="does not begin like a checkpoint, but with") as raised:
        load(tmp_path / "file.pt")
    assert "damaged" not in str(raised.value)


# ---- torch's own errors -------------------------------------------------------------------------

DEVICES = ["cuda:0", "cuda:7", "mps", "xpu:0", "xla:0", "hpu", "npu:0", "mtia"]


@pytest.mark.skipif(torch.accelerator.is_available(), reason="needs a machine without a GPU")
@pytest.mark.parametrize("device", DEVICES)
def test_a_file_for_a_missing_device_raises_torchs_error_unchanged(device, tmp_path):
    path = tmp_path / "file.pt"
    save_from(device, STATE, path)
    with pytest.raises(Exception) as torchs:
        torch.load(path)
    for place in (path, tmp_path):
        with pytest.raises(type(torchs.value)) as ours:
            load(place)
        assert str(ours.value) == str(torchs.value)
        assert not isinstance(ours.value, CheckpointError)
    assert torch.equal(load(path, map_location="cpu")["weight"], STATE["weight"])


@pytest.mark.skipif(torch.accelerator.is_available(), reason="needs a machine without a GPU")
@pytest.mark.filterwarnings("ignore:.*not verified")
def test_a_legacy_file_for_a_gpu_raises_torchs_error_unchanged(tmp_path, monkeypatch):
    from torch import serialization

    monkeypatch.setattr(serialization, "location_tag", lambda storage: "cuda:0")
    torch.save(STATE, tmp_path / "file.pt", _use_new_zipfile_serialization=False)
    with pytest.raises(RuntimeError, match="Attempting to deserialize object on a CUDA device"):
        load(tmp_path / "file.pt")
    assert torch.equal(load(tmp_path / "file.pt", "cpu")["weight"], STATE["weight"])


def test_an_error_of_the_callers_map_location_is_raised_unchanged(tmp_path):
    def refuse(storage, location):
        raise PermissionError("not on my machine")

    save(tmp_path / "c.pt", **STATE)
    with pytest.raises(PermissionError, match="not on my machine"):
        load(tmp_path / "c.pt", map_location=refuse)


class Evil:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.filterwarnings("ignore:.*not verified")
def test_a_name_that_is_not_allowed_raises_torchs_error_and_nothing_is_executed(legacy, tmp_path):
    for value in (Evil(tmp_path / "executed"), nn.Linear(2, 2)):
        torch.save({"v": value}, tmp_path / "c.pt", _use_new_zipfile_serialization=not legacy)
        with pytest.raises(pickle.UnpicklingError):
            load(tmp_path / "c.pt")
    assert not (tmp_path / "executed").exists()


def test_a_missing_file_raises_pythons_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="missing.pt"):
        load(tmp_path / "missing.pt")


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux")
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:.*not verified")
@pytest.mark.parametrize("legacy", [False, True])
def test_a_file_that_does_not_fit_in_memory_raises_torchs_error(legacy, tmp_path):
    import resource

    def load_it():
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + (60 << 20), resource.RLIM_INFINITY))
        taken = []
        with pytest.raises(RuntimeError, match="memory"):
            while True:
                taken.append(torch.ones(1 << 20))
        del taken[-5:]  # so 20 MB are left
        with pytest.raises((MemoryError, RuntimeError), match="memory|^$"):
            load(tmp_path)  # and no older one is loaded instead

    torch.save({"v": 1}, tmp_path / "1.pt", _use_new_zipfile_serialization=not legacy)
    large = {"v": [torch.ones(1 << 20) for _ in range(20)]}  # 80 MB
    torch.save(large, tmp_path / "2.pt", _use_new_zipfile_serialization=not legacy)
    assert os.waitpid(fork(load_it), 0)[1] == 0


# ---- what is more than a checkpoint, and still one ---------------------------------------------


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_checkpoint_that_was_packed_again_is_loaded_if_torch_loads_it(method, tmp_path):
    save(tmp_path / "c.pt", **STATE)
    old = zipfile.ZipFile(tmp_path / "c.pt")
    with old, zipfile.ZipFile(tmp_path / "again.pt", "w", method) as new:
        for record in old.infolist():
            new.writestr(record.filename, old.read(record))
    expected = torch.load(tmp_path / "again.pt")["weight"]
    assert torch.equal(load(tmp_path / "again.pt")["weight"], expected)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_record_that_is_there_twice_does_no_harm(tmp_path):
    """As after `zip`, or Python's zipfile, has appended a newer one: the last one counts."""
    save(tmp_path / "c.pt", **STATE)
    with zipfile.ZipFile(tmp_path / "c.pt", "a") as archive:
        name = next(name for name in archive.namelist() if name.endswith("/version"))
        archive.writestr(name, archive.read(name))
    assert torch.equal(load(tmp_path / "c.pt")["weight"], STATE["weight"])


def test_a_newline_after_the_end_does_no_harm(tmp_path):
    save(tmp_path / "c.pt", **STATE)
    with (tmp_path / "c.pt").open("ab") as file:
        file.write(b"\n")
    assert torch.equal(load(tmp_path / "c.pt")["weight"], STATE["weight"])


@pytest.mark.filterwarnings("ignore:.*not verified")
def test_the_golden_files_are_all_loaded():
    assert len(GOLDEN) >= 5
    for path in GOLDEN:
        assert "model_state_dict" in load(path)


def test_a_checkpoint_of_more_records_than_sixteen_bits_count_is_loaded(tmp_path):
    """A mixture of experts has that many: four records for each parameter, with Adam."""
    path = tmp_path / "large.pt"
    save(path, v=torch.ones(3))
    with zipfile.ZipFile(path, "a") as archive:
        for number in range(2**16):
            archive.writestr(f"archive/data/{number + 1000}", b"x")
    assert load(path)["v"].tolist() == torch.load(path)["v"].tolist() == [1, 1, 1]


def test_a_checkpoint_that_was_packed_again_with_its_folders_is_loaded(tmp_path):
    save(tmp_path / "c.pt", v=torch.ones(3))
    with zipfile.ZipFile(tmp_path / "c.pt") as archive:
        archive.extractall(tmp_path / "unpacked")
    shutil.make_archive(tmp_path / "again", "zip", tmp_path / "unpacked")  # folders included
    assert load(tmp_path / "again.zip")["v"].tolist() == [1, 1, 1]


def test_a_zipped_folder_is_intact_and_another_archive(tmp_path):
    (tmp_path / "weights").mkdir()
    save(tmp_path / "weights/model.pt", v=1)
    shutil.make_archive(tmp_path / "weights", "zip", tmp_path, "weights")
    with pytest.raises(MismatchError, match="is intact, but it is another archive"):
        load(tmp_path / "weights.zip")


@pytest.mark.parametrize(("offset", "value"), [(8, 1), (10, 9)], ids=["encrypted", "deflate64"])
def test_an_archive_that_cannot_be_unpacked_is_intact_unless_it_is_a_checkpoint(
    offset, value, tmp_path
):
    """Of each record, the list at the end says how it is packed: the checkpoint's is damaged."""
    save(tmp_path / "ours.pt", v=1)
    with zipfile.ZipFile(tmp_path / "theirs.zip", "w") as archive:
        archive.writestr("photo.jpg", b"x" * 100)
    for name, error in {"theirs.zip": MismatchError, "ours.pt": CorruptError}.items():
        raw = bytearray((tmp_path / name).read_bytes())
        raw[raw.index(b"PK\x01\x02") + offset] = value
        (tmp_path / name).write_bytes(raw)
        with pytest.raises(error):
            load(tmp_path / name)
