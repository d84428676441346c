"""What look_inside says of a file is true, and the lines that it prints work.

The files in tests/files are hard to make here. Everything else is made below.
"""

import bz2
import collections
import enum
import gzip
import importlib.util
import io
import json
import lzma
import os
import pickle
import random
import re
import struct
import subprocess
import sys
import tarfile
import time
import zipfile
import zlib
from pathlib import Path

import joblib
import numpy as np
import onnx
import pytest
import torch
import torch.distributed.checkpoint as dcp
from safetensors.torch import load_file
from safetensors.torch import save as safetensors_bytes

from helpers import devices, formats, pickles
from helpers.inspection import look_inside

HERE = Path(__file__).parent
FILES = HERE / "files"
STATE = {"weight": torch.arange(12.0).view(4, 3), "bias": torch.arange(4.0)}
pytestmark = pytest.mark.filterwarnings("ignore")  # of torch, about TorchScript and old formats


def saved(obj=STATE, **options):
    buffer = io.BytesIO()
    torch.save(obj, buffer, **options)
    return buffer.getvalue()


def legacy(obj=STATE, **options):
    return saved(obj, _use_new_zipfile_serialization=False, **options)


def sample(name):
    return (FILES / name).read_bytes()


def zipped(files, method=zipfile.ZIP_STORED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def tarred(files):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def written(write, *arguments):
    """The bytes that a function writes into the file that it is given."""
    buffer = io.BytesIO()
    write(buffer, *arguments)
    return buffer.getvalue()


def onnx_model():
    values = [onnx.helper.make_tensor_value_info(name, 1, [1]) for name in "xy"]
    graph = onnx.helper.make_graph([onnx.helper.make_node("Relu", "x", "y")], "g", *zip(values))
    opset = onnx.helper.make_opsetid("", 17)
    model = onnx.helper.make_model(graph, opset_imports=[opset], ir_version=8)
    return model.SerializeToString()


def safetensors(header):
    return struct.pack("<Q", len(header)) + header


def records_of(content):
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def repacked(change):
    """A file of torch.save whose records have other names, or are left out if these are empty."""
    records = {change(name): content for name, content in records_of(saved()).items()}
    return zipped({name: content for name, content in records.items() if name})


class Color(enum.Enum):
    RED = 1


class Args:
    def __init__(self, **values):
        self.__dict__.update(values)


class Settings(dict): ...


class Items(list): ...


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = torch.nn.Linear(3, 4)


class Bomb:
    """Unpickling it creates a file in the working folder."""

    def __reduce__(self):
        return Path.touch, (Path("executed"),)


class Command:
    def __reduce__(self):
        return os.system, ("echo executed",)


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a21461\nsize 12345\n"
HTML = "<!DOCTYPE html>\n<html><title>Sign in</title><body>é</body></html>\n"
HEADERS = b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n\r\n"
HDF5 = b"\x89HDF\r\n\x1a\n" + bytes(5) + b"\x08\x08" + bytes(25) + struct.pack("<Q", 88) + bytes(40)
PYTORCH, LEGACY, SAFE = "a PyTorch file", "a legacy PyTorch file", "a safetensors file"
PICKLE = "a pickle that torch did not write"
PROTOBUF = "a model of Core ML or TensorFlow (protobuf)"
MIXED = {
    "state": STATE,
    "args": Args(lr=0.1),
    "color": Color.RED,
    "settings": Settings(a=1),
    "loss": np.float64(0.5),
    "mean": np.ones(3, np.float32),
    "path": Path("data"),
    "version": torch.__version__,
    "counts": collections.defaultdict(int, a=1),
    "queue": collections.deque([1, 2]),
}


def text_of(kind, *texts):
    return {f"{kind[:19]} {n}.pt": (kind, text) for n, text in enumerate(texts)}


# By whether a file is intact, and whether the lines load it: its name, its kind and its bytes.
EXAMPLES = {
    (True, True): {
        "good.pt": (PYTORCH, saved()),
        "mixed.pt": (PYTORCH, saved(MIXED)),
        "module.pt": (PYTORCH, saved(Net())),
        "protocol4.pt": (PYTORCH, saved(pickle_protocol=4)),
        "enum.pt": (PYTORCH, sample("enum.pt")),
        "float32_array.pt": (PYTORCH, sample("float32_array.pt")),
        "whole_model.pt": (PYTORCH, sample("whole_model.pt")),
        "mps.pt": (PYTORCH, sample("mps.pt")),
        "pytorch.safetensors": (PYTORCH, saved()),
        "lightning.ckpt": ("a Lightning checkpoint (a PyTorch file)", sample("lightning.ckpt")),
        "without_folder.pt": (
            "the content of a PyTorch file, packed without its folder",
            repacked(lambda name: name.partition("/")[2])),
        "script.pt": ("a TorchScript archive", sample("script.pt")),
        "package.pt": ("a torch.package archive", sample("package.pt")),
        "objects.npz": (
            "a NumPy archive of objects (npz)", written(np.savez, np.array([{}, 1], object))),
        "folders.pt": (PYTORCH, zipped({"archive/": "", **records_of(saved()), "archive/a/": ""})),
        "packed.npz": ("a NumPy archive (npz)", written(np.savez_compressed, np.ones(3))),
        "model.keras": ("a Keras model", zipped({"config.json": "{}", "model.weights.h5": HDF5})),
        "ppo.zip": ("a model of stable-baselines3", zipped({"data": "{}", "policy.pth": saved()})),
    },
    (True, False): {
        "command.pt": (PYTORCH, saved({"x": Command()})),
        "model.pt.gz": (PYTORCH + ", compressed by gzip", gzip.compress(saved())),
        "model.pt.xz": (PYTORCH + ", compressed by xz", lzma.compress(saved())),
        "model.tar.gz": (
            "a tar archive, compressed by gzip", gzip.compress(tarred({"model.pt": saved()}))),
        "gz_in_gz.gz": (
            "a file compressed by gzip, compressed by gzip", gzip.compress(gzip.compress(b"x"))),
        "zip_in_zip.pt": ("a zip archive that torch did not write", zipped({"w/a.pt": saved()})),
    },
    (None, True): {
        "legacy.pt": (LEGACY, legacy()),
        "legacy_mixed.pt": (LEGACY, legacy(MIXED)),
        "model.safetensors": (SAFE, safetensors_bytes(STATE)),
        "spaces.safetensors": (SAFE, safetensors(b"{}" + b" " * 126)),
        "array.npy": ("a NumPy array (npy)", written(np.save, np.ones(3))),
        "joblib.pkl.zlib": (
            "a joblib file, compressed by zlib",
            written(lambda f: joblib.dump([np.ones(3)], f, "zlib"))),
        "joblib.pkl.lzma": (
            "a joblib file, compressed by lzma",
            written(lambda f: joblib.dump([np.ones(3)], f, "lzma"))),
        "objects.npy": (
            "a NumPy array of objects (npy)", written(np.save, np.array([{}, 1], object))),
        "joblib.pkl": ("a joblib file", written(lambda f, x: joblib.dump(x, f), [np.ones(3)])),
        **{f"p{n}.pkl": (PICKLE, pickle.dumps({"w": [1, "é"]}, n)) for n in range(6)},
        "state2.pkl": (PICKLE, sample("pickle_sd2.pkl")),
        "relu.onnx": ("an ONNX model", onnx_model()),
        "llama.gguf": ("a GGUF file", sample("llama.gguf")),
        "flax.msgpack": (
            "a Flax checkpoint (msgpack)",
            b"\x81\xa6params\x81\xa1w\xc7\x0a\x01\x93\x91\x02\xa7float32\xc4\x08" + bytes(8)),
        "model.h5": ("an HDF5 file (Keras writes this format)", HDF5),
    },
    (False, False): {
        "cut.pt": (PYTORCH + ", cut off", saved()[:-100]),
        "bit.pt": (PYTORCH + ", damaged", saved().replace(b"\x80\x3f", b"\x81\x3f", 1)),
        "lost.pt": (PYTORCH + ", damaged", repacked(lambda name: "" if name[-1] == "1" else name)),
        "crlf.pt": (PYTORCH + ", with changed line ends", sample("crlf_small.pt")),
        "latin.pt": (PYTORCH + ", converted as text", sample("utf8_text_of_binary.pt")),
        "replaced.pt": (PYTORCH + ", converted as text", saved().decode(errors="replace").encode()),
        "headers.pt": (
            f"{PYTORCH}, after {len(HEADERS)} bytes that do not belong to it", HEADERS + saved()),
        "two.pt": (f"{PYTORCH}, cut off, or two archives in one file", saved() * 2),
        "cut_outer.pt": (
            "a zip archive, cut off, or two archives in one file",
            zipped({"data": "{}", "policy.pth": saved()})[:-50]),
        "model.pt.part1": (PYTORCH + ", cut off, one part of several", saved()[:900]),
        "legacy_cut.pt": (LEGACY + ", cut off", legacy()[:-5]),
        "legacy_crlf.pt": (
            LEGACY + ", with changed line ends", legacy().replace(b"\n", b"\r\n")),
        "cut.safetensors": (SAFE + ", damaged", safetensors_bytes(STATE)[:-4]),
        "long.safetensors": (SAFE + ", damaged", safetensors_bytes(STATE) + b"\n"),
        "deep.safetensors": (SAFE + ", damaged", safetensors(b'{"a":' * 99999)),
        "cut.npy": ("a NumPy array (npy), damaged", written(np.save, np.ones(3))[:-1]),
        "cut.pkl": (PICKLE + ", cut off", pickle.dumps(STATE)[:-9]),
        "cut.onnx": ("an ONNX model, damaged", onnx_model()[:40]),
        "bad.pt.gz": ("a file compressed by gzip, damaged", gzip.compress(saved())[:-1] + b"!"),
        "cut.zip": ("a zip archive, cut off", zipped({"weight.npy": b"\x93NUMPY"})[:-30]),
        "cut.tar": ("a tar archive, damaged", tarred({"x.bin": bytes(9000)})[:5000]),
        "model.pt.7z": ("a 7z archive, damaged", sample("model.pt.7z")),
        "empty.pt": ("an empty file", b""),
        "zeros.pt": ("a file of zeros", bytes(8192)),
    },
    (None, False): {
        "one.distcp": ("a file of a distributed checkpoint", sample("one.distcp")),
        "macos.zip": (
            PYTORCH + ", with other files",
            zipped({"__MACOSX/a/._data.pkl": "", **records_of(saved())})),
        "bz2.zip": (
            "a zip archive that torch did not write", zipped({"a.bin": "x"}, zipfile.ZIP_BZIP2)),
        "legacy_module.pt": (LEGACY, legacy(Net())),
        "command.pkl": (PICKLE, pickle.dumps(Command())),
        "float8_legacy.pt": (LEGACY, legacy({"x": torch.ones(4).to(torch.float8_e4m3fn)})),
        "model.mlmodel": (PROTOBUF, b"\x08\x04\x12\x02\x08\x01\xa2\x13\x02\x08\x01"),
        "model.tar": ("a tar archive", tarred({"model.pt": saved()})),
        "intact.pt.7z": ("a 7z archive", sample("intact.pt.7z")),
        "model.pt.z": (PYTORCH + ", compressed by zlib", zlib.compress(saved())),
        "._model.pt": ("an AppleDouble file (metadata from macOS)", sample("AppleDouble.pt")),
        "paper.pt": ("a file of the type application/pdf", b"%PDF-1.7\n%\xe2\xe3\n"),
        "floats.pt": ("a file of an unknown kind", np.linspace(-1, 1, 99).tobytes()),
        **text_of(
            "an HTML page",
            *[HTML.encode(code) for code in ("utf-8", "utf-8-sig", "utf-16", "latin-1")],
            b"\n<!-- 404 -->\n" + HTML.encode(),
            b"<head><title>404</title></head>",
            b'<?xml version="1.0"?>\n<html xmlns="http://www.w3.org/1999/xhtml">',
        ),
        **text_of("a Git LFS pointer", LFS, LFS.replace(b"\n", b"\r\n"), b"\xef\xbb\xbf" + LFS),
        **text_of("an error message of a server", b"Entry not found", b"Access denied"),
        **text_of("a JSON error message", b'{"error":"Not found"}', b'{\n "message": "Not Found"}'),
        **text_of("a JSON file", b'{"learner": {"a": 1}}'),
        **text_of("an XML error message of a storage service", b"<Error><Code>x</Code></Error>"),
        **text_of("the answer of a web server, with its headers", HEADERS + b"Not found"),
        **text_of("a git-annex pointer", b"/annex/objects/SHA256E-s12--ab.pt\n"),
        **text_of("a DVC pointer", b"outs:\n- md5: abc\n  size: 12\n  path: model.pt\n"),
        **text_of("a file with the conflict markers of git", b"<<<<<<< HEAD\na\n=======\nb\n"),
        **text_of("a Python source file", b"# net\nimport torch\n", b'"""A net."""\nimport os\n'),
        **text_of("a Markdown text", b"# Model\n\nGet it.\n", b"---\nlicense: mit\n---\n# M\n"),
        **text_of("a web shortcut", b"[InternetShortcut]\r\n", b"<plist>\n<key>URL</key>"),
        **text_of("the index of a sharded checkpoint", b'{"metadata": {}, "weight_map": {}}'),
        **text_of("a text file", b"epoch", "Überraschung\n".encode()),
    },
}  # fmt: skip
NAMES = {name: content for group in EXAMPLES.values() for name, (_, content) in group.items()}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def make(files):
    for name, content in files.items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(content if isinstance(content, bytes) else content.encode())


def run(text):
    """Run the lines of a printed report. None if they need a program or a package."""
    lines = [line.removeprefix("    ") for line in text.splitlines() if line.startswith("    ")]
    if lines and lines[0].startswith("$ "):
        assert len(lines) == 1
        return None
    needed = re.findall(r"^(?:import|from) (\w+).*# pip install", "\n".join(lines), re.MULTILINE)
    if not all(map(importlib.util.find_spec, needed)):
        return None
    names = {"__name__": "report"}
    exec("\n".join(lines), names)
    return names


def check_text(report):
    """The printed report, which fits on the screen. Only the lines to run may be longer."""
    text = str(report)
    assert len(text.splitlines()) <= 40
    assert not re.search(r":\Z", text)
    assert all(len(line) <= 100 for line in text.splitlines() if not line.startswith("    "))
    assert all(line.isprintable() for line in text.splitlines())
    assert "Reading it failed" not in text
    return text


def lines_of(report):
    return run(check_text(report))


def equal(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


CASES = [(name, *key, *case) for key, group in EXAMPLES.items() for name, case in group.items()]


@pytest.mark.parametrize(("name", "intact", "loads", "kind", "content"), CASES, ids=NAMES)
def test_a_report_is_true_and_its_lines_work(name, intact, loads, kind, content):
    make({name: content})
    report = look_inside(name)
    assert (report.kind, report.intact, report.loads) == (kind, intact, loads), str(report)
    assert check_text(report).startswith(f"{name} is {kind}")
    assert report.lines or not loads
    names = lines_of(report) or {}
    state = names.get("weights", names.get("state"))
    if isinstance(state, dict) and state.keys() == STATE.keys():
        assert any(equal(state, one) for one in (STATE, torch.load(FILES / "good.pt")))


@pytest.mark.parametrize("write", [saved, legacy])
def test_the_lines_load_values_of_other_classes(write):
    for key, value in {**MIXED, "items": Items([1, 2])}.items():
        make({"one.pt": write({"state": STATE, key: value})})
        report = look_inside("one.pt")
        state = lines_of(report)["state"]
        assert "weights_only=False" not in str(report) and equal(state["state"], STATE)
        if key == "args":
            assert state["args"].lr == 0.1
        elif key == "mean":
            assert state["mean"].tolist() == [1, 1, 1]
        elif key in ("loss", "version", "counts", "queue", "settings", "items"):
            assert state[key] == (list(value) if key == "queue" else value)


def test_a_whole_model_gives_its_state_dict_without_its_class():
    for obj in (Net(), {"epoch": 3, "model": Net()}):
        make({"net.pt": saved(obj)})
        report = look_inside("net.pt")
        assert f"weights_only does not allow 2 names: {__name__}.Net" in str(report)
        net = obj["model"] if isinstance(obj, dict) else obj
        assert equal(lines_of(report)["weights"], net.state_dict())


def test_a_model_of_many_classes_fits_on_one_screen(monkeypatch):
    layers = [type(f"Layer{i}", (Net,), {"__module__": __name__}) for i in range(40)]
    for layer in layers:
        monkeypatch.setitem(globals(), layer.__name__, layer)
    make({"net.pt": saved(torch.nn.Sequential(*[layer() for layer in layers]))})
    assert len(lines_of(look_inside("net.pt"))["weights"]) == 80


@pytest.mark.parametrize("device", ["cuda:0", "mps", "npu:0", "hpu"])
def test_a_file_of_another_device_is_loaded_on_the_cpu(device):
    devices.save_from({"weight": device, "bias": "cpu"}, STATE, "gpu.pt")
    report = look_inside("gpu.pt")
    assert f"Saved on {device}:" in str(report)
    assert equal(lines_of(report)["state"], STATE)


@pytest.mark.parametrize("write", [saved, legacy, pickle.dumps, lambda o: pickle.dumps(o, 0)])
def test_nothing_in_a_file_is_executed(write):
    make({"model.pt": write(Bomb())})
    assert "pathlib" in check_text(look_inside("model.pt")) and not Path("executed").exists()
    pickle.loads(pickle.dumps(Bomb()))
    assert Path("executed").exists()  # the bomb works


@pytest.mark.parametrize("write", [saved, legacy, pickle.dumps])
def test_a_file_that_runs_commands_is_not_to_be_loaded(write):
    make({"model.pt": write(Command())})
    report = look_inside("model.pt")
    assert f"It calls {os.system.__module__}.system, which weights do not need." in report.details
    assert report.advice.startswith("Do not load it.") and not report.lines


CALL = b"cposix\nsystem\nX\x02\0\0\0id\x85R0."


@pytest.mark.parametrize("ends", [(b".", CALL), (CALL, b".")])
@pytest.mark.parametrize("hidden", ["a/x/data.pkl", "a/DATA.pkl", "a/data.pkl", "b/data.pkl"])
def test_the_pickle_that_torch_reads_is_judged(hidden, ends):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, end in zip((hidden, "a/data.pkl"), ends, strict=True):
            archive.writestr(name, b"\x80\x04}" + end)
        archive.writestr("a/version", "3\n")
    report = look_inside_bytes("a.pt", buffer.getvalue())
    if hidden == "a/x/data.pkl":  # torch reads the other
        assert report.advice.startswith("Do not load") == (ends[1] == CALL) == (not report.lines)
    else:
        assert not report.lines and not report.loads


@pytest.mark.parametrize("number", range(5))
def test_each_pickle_of_a_legacy_file_is_judged(number):
    stream, parts = io.BytesIO(legacy({"x": 1})), []
    for _ in range(5):
        begin = stream.tell()
        pickle.Unpickler(stream).load()
        parts.append(stream.getvalue()[begin : stream.tell()])
    parts[number] = parts[number][:-1] + CALL
    report = look_inside_bytes("a.pt", b"".join(parts))
    assert report.advice.startswith("Do not load") and not report.lines


@pytest.mark.parametrize("other", ["joblib.x", "torch.distributed.checkpoint.metadata.Metadata"])
def test_another_name_does_not_hide_a_dangerous_one(other):
    module, _, name = other.rpartition(".")
    content = b"\x80\x02c" + f"{module}\n{name}\n0}}".encode() + CALL
    for name in ("a.pkl", "step/.metadata"):
        assert look_inside_bytes(name, content).advice.startswith("Do not load")
    make({"step/__0_0.distcp": saved(Command())})
    assert look_inside("step/__0_0.distcp").advice.startswith("Do not load")
    assert look_inside("step").advice.startswith("Do not load")


def test_lines_that_turn_the_safe_reader_off_come_with_advice():
    report = look_inside_bytes("protocol4.pt", NAMES["protocol4.pt"])
    assert "weights_only=False" in report.lines[-1] and "runs code" in report.advice


Pair = collections.namedtuple("Pair", "one two")


@pytest.mark.parametrize(("write", "other"), [(saved, None), (legacy, None), (saved, Net())])
def test_no_tensor_is_lost_in_the_arguments_of_a_class(write, other):
    make({"pair.pt": write({"pair": Pair(torch.ones(2), 1), "other": other})})
    assert lines_of(look_inside("pair.pt"))["state"]["pair"].args[0].tolist() == [1, 1]


def test_the_lines_pack_no_folders():
    files = {name.partition("/")[2]: content for name, content in records_of(saved()).items()}
    make({"flat.pt.zip": zipped({"data/": "", **files}), **{f"a/{n}": c for n, c in files.items()}})
    for path, target in (("flat.pt.zip", "unpacked-flat.pt"), ("a", "unpacked-a.pt")):
        assert equal(lines_of(look_inside(path))["state"], STATE)
        assert not [name for name in zipfile.ZipFile(target).namelist() if name.endswith("/")]


@pytest.mark.parametrize("name", ["relu.onnx", "llama.gguf", "joblib.pkl"])
def test_a_format_without_checksums_is_not_called_whole(name):
    report = look_inside_bytes(name, NAMES[name])
    assert report.details == ["Whether it is whole was not checked."]


def test_a_long_file_of_bz2_is_not_read(monkeypatch):
    monkeypatch.setattr(formats, "_SLOW", 10)
    assert look_inside_bytes("a.bz2", bz2.compress(b"x" * 99)).intact is None


def test_a_name_in_a_file_cannot_put_code_into_the_lines():
    name = '{path}"]; executed = 1; ["'
    items = pickle.dumps(collections.OrderedDict(), 2)[2:-1].replace(b"OrderedDict", name.encode())
    make(
        {
            "model.pt": zipped(
                {"a/data.pkl": b"\x80\x02" + items + b"X\1\0\0\0aNs.", "a/version": "3"}
            )
        }
    )
    lines = look_inside("model.pt").lines
    names = {}
    exec("\n".join(lines).replace("torch.load", "print"), names)
    assert [*names["replaced"]] == [f"collections.{name}"] and "executed" not in names


def test_what_a_file_holds_is_listed():
    torch.save({"epoch": 3, "state": {f"w{i}": torch.ones(2) for i in range(9)}}, "model.pt")
    report = look_inside("model.pt")
    assert "It holds a dict with 2 keys: epoch, state." in report.details
    assert "Tensors: 9 float32." in report.details
    assert report.size == Path("model.pt").stat().st_size
    assert report.records["model/data/0"] == 2 * 4 and "model/data.pkl" in report.records
    make({"page.pt": "\n\n  <!DOCTYPE html>\n<html>", "long.pt": "word " * 9999})
    assert look_inside("page.pt").details == ["First line: <!DOCTYPE html>"]
    assert len(look_inside("long.pt").details[0]) < 250


def test_a_distributed_checkpoint_is_joined_by_the_lines():
    dcp.save(dict(STATE), checkpoint_id="step", no_dist=True)
    report = look_inside("step")
    assert report.kind == "a distributed checkpoint" and report.loads
    assert equal(lines_of(report)["state"], STATE)
    (part,) = Path("step").glob("*.distcp")
    assert look_inside(part).kind == "a file of a distributed checkpoint"
    assert look_inside("step/.metadata").kind == "a file of a distributed checkpoint"
    part.rename("part")
    make({"step/__9_9.distcp": ""})
    report = look_inside("step")
    assert report.intact is False and f"1 of its files are missing or cut off: {part.name}" in str(
        report
    )
    make({"index/.metadata": Path("step/.metadata").read_bytes()})
    assert f"1 of its files are missing or cut off: {part.name}" in str(look_inside("index"))
    Path("step/.metadata").unlink()
    report = look_inside("step")
    assert report.kind == "a distributed checkpoint without its index" and report.intact is False


@pytest.mark.parametrize("ending", ["safetensors", "bin"])
def test_shards_are_joined_by_the_lines_and_missing_ones_are_named(ending):
    write = {"safetensors": safetensors_bytes, "bin": saved}[ending]
    one, two = f"model-00001-of-00002.{ending}", f"model-00002-of-00002.{ending}"
    index = f"hf/model.{ending}.index.json"
    make({"hf/config.json": "{}", index: json.dumps({"weight_map": {"weight": one, "bias": two}})})
    assert look_inside("hf").kind == "a folder with the index of a sharded checkpoint"
    make({f"hf/{one}": write({"weight": STATE["weight"]})})
    report = look_inside("hf")
    assert report.intact is False and f"1 of 2 files are missing: {two}" in str(report)
    make({f"hf/{two}": write({"bias": STATE["bias"]})})
    make({f"hf/._{one}": b"", "hf/._adapter_config.json": b""})  # of macOS
    assert equal(lines_of(look_inside("hf"))["state"], STATE)
    for content in (LFS, write({"bias": STATE["bias"]})[:-9]):
        make({f"hf/{two}": content})
        report = look_inside("hf")
        assert report.intact is report.loads is False and f"{two} is a" in check_text(report)
    assert look_inside(index).kind == "the index of a sharded checkpoint"
    lines_of(look_inside(index))


def test_a_folder_of_the_hugging_face_cache_leads_to_its_weights(capsys):
    cache = "models--org--net"
    make({f"{cache}/blobs/abc": "x", f"{cache}/snapshots/123/config.json": "{}"})
    make({f"{cache}/snapshots/123/model.safetensors": safetensors_bytes(STATE)})
    lines_of(look_inside(cache))
    report = look_inside(f"{cache}/snapshots/123")
    assert report.loads and "model.safetensors is a safetensors file." in capsys.readouterr().out
    assert equal(lines_of(report)["state"], STATE)


def test_an_unpacked_file_is_packed_again_by_the_lines():
    zipfile.ZipFile(io.BytesIO(saved())).extractall()
    report = look_inside("archive")
    assert report.kind == "an unpacked PyTorch file"
    assert equal(lines_of(report)["state"], STATE)


def test_parts_are_joined_by_the_lines():
    content = saved({"x": torch.arange(999)})
    for i in range(12):
        make({f"big.pt.part{i}": content[i * 500 : (i + 1) * 500 if i < 11 else None]})
    for name in ("big.pt.part0", "big.pt.part1", "big.pt.part11"):
        lines_of(look_inside(name))
        assert Path("unpacked-big.pt").read_bytes() == content
        Path("unpacked-big.pt").unlink()


def test_a_missing_file_is_reported_with_the_nearest_names():
    make({"model-final.pt": "", "best.pt": "", "notes.txt": ""})
    report = look_inside("model-finl.pt")
    assert report.kind == "a missing file" and report.intact is False
    assert report.advice == "Its folder contains: model-final.pt."
    assert "best.pt, model-final.pt, notes.txt" in str(look_inside("zzz"))
    assert "Its folder contains: nothing." in str(look_inside("runs/model.pt"))


@pytest.mark.parametrize(
    "path", ["a\0b", "x" * 5000, f"{__file__}/x", "\udce9.pt", "a\nb\x1b[31m.pt", ""]
)
def test_odd_paths_are_reported(path):
    check_text(look_inside(path)).encode()


def test_the_lines_work_for_any_path_and_never_overwrite_a_file():
    parent = Path(*["a long name, 'with' \"quotes\" é" if os.name == "posix" else "long name"] * 6)
    make({str(parent / "model.pt.gz"): gzip.compress(saved()), str(parent / "model.pt"): b"mine"})
    make({str(parent / "unpacked-model.pt"): b"mine"})
    lines_of(look_inside(parent / "model.pt.gz"))
    assert equal(lines_of(look_inside(parent / "unpacked2-model.pt"))["state"], STATE)
    assert (parent / "model.pt").read_bytes() == b"mine"
    assert (parent / "unpacked-model.pt").read_bytes() == b"mine"


@pytest.mark.skipif(os.name != "posix", reason="needs Linux or macOS")
def test_links_and_pipes_are_reported_and_not_opened():
    make({"good.pt": saved(), "step/a.distcp": ""})
    os.symlink("good.pt", "to_good.pt")
    os.symlink("gone.pt", "broken.pt")
    os.symlink("loop.pt", "loop.pt")
    os.symlink(".git/annex/objects/aa/SHA256-s12--bb", "annexed.pt")
    assert look_inside("to_good.pt").kind == PYTORCH
    report = look_inside("broken.pt")
    assert report.kind == "a link to a file that does not exist" and "gone.pt" in str(report)
    assert look_inside("annexed.pt").lines == ["$ git annex get annexed.pt"]
    assert look_inside("loop.pt").intact is False
    os.mkfifo("step/.metadata")
    check_text(look_inside("step"))
    os.mkfifo("pipe.pt")
    for path in ("pipe.pt", "/dev/zero"):
        assert look_inside(path).kind == "a pipe, a socket or a device, not a file"


def bombs():
    tower = b"\x80\x02)" + b"2\x86" * 99  # a tuple of itself twice, 99 times
    yield "hash", tower + b"}(" + tower[2:] + b"K\x01u."  # as the key of a dict
    yield "deep", b"\x80\x02" + b"(" * 100_000 + b"t" * 100_000 + b"."
    yield "ones", b"\x80\x02(" + b"K\x01" * 600_000 + b"l."
    yield "alloc", b"\x80\x05\x96" + struct.pack("<Q", 1 << 60) + b"."
    yield "frame", b"\x80\x04\x95" + struct.pack("<Q", 1 << 60) + b"."
    yield "number", b"\x80\x02\x8b" + struct.pack("<i", 1 << 20) + b"\xff" * (1 << 20) + b"."
    yield "decimal", b"L" + b"9" * 100_000 + b"L\n."


@pytest.mark.parametrize("content", [pytest.param(b, id=name) for name, b in bombs()])
def test_a_pickle_bomb_is_reported_in_time(content, monkeypatch):
    monkeypatch.setattr(pickles, "_LIMIT", 20_000)
    make({"bomb.pkl": content, "bomb.pt": zipped({"a/data.pkl": content, "a/version": "3"})})
    started = time.monotonic()
    check_text(look_inside("bomb.pkl"))
    check_text(look_inside("bomb.pt"))
    assert time.monotonic() - started < 15


def test_a_long_pickle_is_not_called_harmless(monkeypatch):
    monkeypatch.setattr(pickles, "_LIMIT", 1000)
    long = {"x": list(range(9999)), "y": Command()}
    make({"long.pkl": pickle.dumps(long), "long.pt": saved(long, pickle_protocol=4)})
    for name in ("long.pkl", "long.pt"):
        assert "runs code" in look_inside(name).advice
        assert "Only the beginning" in str(look_inside(name))


def test_a_compression_bomb_is_reported_in_time(monkeypatch):
    monkeypatch.setattr(formats, "_CHECK", 1 << 22)
    zeros = bytes(1 << 20)
    packed = zipped({f"{i}.bin": zeros for i in range(5)}, zipfile.ZIP_DEFLATED)
    make({"bomb.zip": packed, "bomb.gz": gzip.compress(zeros * 5, 1)})
    for name in ("bomb.zip", "bomb.gz"):
        assert look_inside(name).intact is None and look_inside(name, full=True).intact is True
    assert "full=True" in str(look_inside("bomb.zip"))
    with open("zeros.pt", "wb") as file:
        file.truncate(1 << 33)
    assert look_inside("zeros.pt").kind == "a file that begins with zeros"


def look_inside_bytes(name, content):
    make({name: content})
    report = look_inside(name)
    check_text(report)
    return report


@pytest.mark.parametrize("name", ["good.pt", "legacy.pt", "model.safetensors", "model.pt.gz"])
def test_no_cut_is_reported_as_intact(name):
    content = NAMES[name]
    assert look_inside_bytes(name, content).intact is not False
    for length in range(0, len(content), 7):
        report = look_inside_bytes(name, content[:length])
        assert report.intact is False or length < 30, str(report)
        assert not report.loads


def mutated(content, chance):
    """The bytes with some of them changed, and sometimes others added or removed."""
    content = bytearray(content)
    for _ in range(chance.choice([1, 1, 2, 8])):
        at = chance.randrange(len(content) or 1)
        removed = chance.choice([1, 1, 1, 8, 30])
        content[at : at + removed] = chance.choice(
            [chance.randbytes(removed), chance.randbytes(20), b"\0" * removed, b"\xff" * removed]
        )
    return bytes(content)


READERS = {
    "good.pt": lambda name: torch.load(name),
    "script.pt": lambda name: torch.jit.load(name),
    "model.safetensors": lambda name: load_file(name),
    "array.npy": lambda name: np.load(name),
    "packed.npz": lambda name: dict(np.load(name)),
    "model.pt.gz": lambda name: gzip.decompress(Path(name).read_bytes()),
    "relu.onnx": lambda name: onnx.load(name),
}


@pytest.mark.parametrize("name", READERS)
def test_no_mutation_is_reported_as_intact_that_its_reader_refuses(name):
    content, chance = NAMES[name], random.Random(name)
    started = time.monotonic()
    for _ in range(300):
        report = look_inside_bytes(name, mutated(content, chance))
        if report.intact or report.loads and name in ("model.safetensors", "array.npy"):
            READERS[name](name)
        if time.monotonic() - started > 0.2:
            break


def test_no_mutation_raises_or_takes_long():
    chance = random.Random(1)
    for name, content in NAMES.items():
        started = time.monotonic()
        look_inside_bytes(name, mutated(content, chance))
        assert time.monotonic() - started < 5


@pytest.fixture(scope="module")
def exported():
    model = torch.export.export(torch.nn.Linear(3, 4), (torch.ones(2, 3),))
    return records_of(written(lambda file: torch.export.save(model, file)))


CODE = "It holds code, which can run when you load it: load it only if you trust its author."


@pytest.mark.parametrize("write", [saved, legacy, pickle.dumps])
@pytest.mark.parametrize("place", ["sample_inputs/model.pt", "constants/tensor_0", "extra/x"])
def test_code_inside_an_export_is_reported(exported, write, place):
    root = next(iter(exported)).partition("/")[0]
    make({"good.pt2": zipped(exported)})
    report = look_inside("good.pt2")
    assert report.intact is True and report.advice == CODE and lines_of(report)["model"]
    files = exported | {f"{root}/data/{place}": write(Command())}
    report = look_inside_bytes("bad.pt2", zipped(files))
    assert f"system in {root}/data/{place}" in report.details[0]
    assert report.advice.startswith("Do not load it.") and not report.lines


def test_every_format_that_holds_code_says_so():
    make({"script.pt": NAMES["script.pt"], "net.keras": NAMES["model.keras"]})
    make({"saved/saved_model.pb": "x", "pipe/model_index.json": "{}"})
    for name in ("script.pt", "net.keras", "saved", "pipe"):
        assert look_inside(name).advice == CODE


SPLIT = b"\x80\x02(X\x07\0\0\0storagectorch\n%sFloatStorage\nX\x01\0\0\0a%sX\x03\0\0\0cpuK\x02tQ."


@pytest.mark.parametrize(
    "content",
    [
        b"\x80\x04X\x01\0\0\0a" + b"2\x86" * 60 + b"X\x01\0\0\0b\x93.",
        SPLIT % (b"", b"2\x86" * 60),
        SPLIT % (b"." * 400_000, b""),
        b"\x80\x02c" + b"a." * 200_000 + b"\nb\n.",
        b"\x80\x04\x8cA" + b"a" * 65 + b"\x94\x8c\x01b\x94" + b"h\0h\1\x930" * 5_000 + b"N.",
        ("from a" + " import b" * 60 + " !\n").encode(),
        b"---" + b"\n" * 4000 + b"x",
        b"outs:" + b"\n" * 4000 + b"x",
        b"<!--" * 1000,
        b"import a" + b", a as b" * 500 + b" !\n",
    ],
    ids=range(10),
)
def test_nothing_takes_exponential_or_quadratic_time(content):
    started = time.monotonic()
    look_inside_bytes("a.pkl", content)
    look_inside_bytes("a.pt", zipped({"a/data.pkl": content, "a/version": "3"}))
    assert time.monotonic() - started < 15


def test_a_format_that_contains_an_archive_keeps_its_name():
    tensor = torch.frombuffer(bytearray(saved()), dtype=torch.uint8)
    for name, kind, content in (
        ("a.pkl", PICKLE, pickle.dumps(saved())),
        ("a.safetensors", SAFE, safetensors_bytes({"x": tensor})),
        ("a.npy", "a NumPy array (npy)", written(np.save, tensor.numpy())),
        ("a.pt", LEGACY, legacy(tensor)),
        ("a.h5", "an HDF5 file (Keras writes this format)", HDF5[:48] + saved()),
    ):
        report = look_inside_bytes(name, content)
        assert report.kind == kind and report.intact is None and report.loads


def test_an_array_with_a_long_header_is_not_damaged():
    fields = [(f"field_{number}", "<f4") for number in range(800)]
    np.save("plain.npy", np.zeros(3, fields))
    np.save("objects.npy", np.zeros(3, [*fields, ("o", object)]))
    for name in ("plain.npy", "objects.npy"):
        assert lines_of(look_inside(name))["array"].shape == (3,)


def test_a_class_may_have_a_name_in_any_alphabet():
    begin = b"\x80\x03c__main__\n" + "Größe".encode() + b"\n)\x81"
    assert look_inside_bytes("a.pkl", begin + b".").intact is None
    assert look_inside_bytes("a.pkl", begin + b"0" + CALL).advice.startswith("Do not load it.")
    for skipped in (b"]K\x01aK\0K\x02s0", b"}}\x90.", b"Nx"):  # what our reader does not model
        assert not look_inside_bytes("a.pkl", b"\x80\x04" + skipped + CALL).loads


@pytest.mark.parametrize("write", [saved, legacy, pickle.dumps])
def test_any_key_is_counted(write):
    keys = {10**5000: 1, (1, 2): 2, (3, 4): 3, None: 4, 1.5: 5, True: 6, "a": 7, frozenset(): 8}
    report = look_inside_bytes("a.pt", write(keys))
    assert report.intact is not False and "It holds a dict with 8 keys: int, tuple" in str(report)
    assert lines_of(report)["state"] == keys


def test_empty_archives_and_zeros_are_named():
    np.savez("empty.npz")
    assert look_inside("empty.npz").kind == "an empty zip archive"
    assert look_inside_bytes("a.pkl", pickle.dumps("a{x}", 2)).kind == PICKLE
    report = look_inside_bytes("zeros.pt", bytes(33 << 20) + b"data")
    assert report.kind == "a file of an unknown kind" and report.intact is None


def test_the_index_of_a_folder_is_read():
    make({"hf/config.json": "{}", "hf/model.safetensors": safetensors_bytes(STATE)})
    index = {"weight_map": {"weight": "model.safetensors", "bias": "more.safetensors"}}
    make({"hf/model.safetensors.index.json": json.dumps(index)})
    report = look_inside("hf")
    assert report.intact is report.loads is False and "missing: more.safetensors" in str(report)
    make({"hf/more.safetensors": safetensors_bytes(STATE)})
    assert look_inside("hf").loads


def test_records_that_were_packed_again_must_be_complete(exported):
    good, script = records_of(saved()), records_of(NAMES["script.pt"])
    broken = [
        good | {"archive/byteorder": b"xxx"},
        good | {"archive/data/0": good["archive/data/0"][:-4]},
        good | {"archive/data/0": good["archive/data/0"] + b"1234"},
        *[{n: c for n, c in script.items() if part not in n}
          for part in ("/code/", "/data/", "data.pkl")],
        *[{n: c for n, c in exported.items() if part not in n}
          for part in ("model.json", "/weights/", "weight_0")],
    ]  # fmt: skip
    for files in broken:
        report = look_inside_bytes("a.pt", zipped(files))
        assert report.intact is report.loads is False and ", damaged" in report.kind


@pytest.mark.parametrize("name", ["__0_0.distcp", ".metadata"])
@pytest.mark.parametrize("length", [0, 100, -1])
def test_a_cut_distributed_checkpoint_is_damaged(name, length):
    dcp.save(dict(STATE), checkpoint_id="step", no_dist=True)
    make({f"step/{name}": Path("step", name).read_bytes()[:length]})
    report = look_inside("step")
    assert report.intact is report.loads is False, str(report)


def test_the_end_of_other_formats_is_checked():
    tar = tarred({"a": b"x" * 600, "b": b"x" * 600})
    flipped = tar[:1540] + bytes([tar[1540] ^ 1]) + tar[1541:]
    objects = NAMES["objects.npy"]
    for content in (HDF5[:-1], HDF5[:20], objects[:-1], b"GGUF\3\0\0\0\1", tar[:1536], flipped):
        report = look_inside_bytes("a.h5", content)
        assert report.intact is report.loads is False, str(report)
    assert look_inside_bytes("a.npy", written(np.save, np.array(Command()))).loads is False


class Part(torch.Tensor): ...


class Counts(collections.defaultdict): ...


class Reduced(dict):
    def __reduce__(self):
        return Reduced, (), {"extra": 1}, None, iter(self.items())


class Lazy(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = torch.nn.utils.spectral_norm(torch.nn.Linear(3, 4))
        self.lazy = torch.nn.LazyLinear(4)


VALUES = {
    "tensor": torch.ones(2).as_subclass(Part),
    "counts": Counts(int, a=1),
    "reduced": Reduced(a=1),
    "matrix": np.ones((1, 1)).view(np.matrix),
    "records": np.rec.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")]),
    "number": 10**2000,
    "error": ValueError("x"),
    "long": [*range(310_000), Args(a=1)],
    "lazy": Lazy(),
}


@pytest.mark.parametrize("name", VALUES)
@pytest.mark.parametrize("write", [saved, legacy])
def test_the_lines_load_hard_values(name, write):
    report = look_inside_bytes("one.pt", write({"state": STATE, "value": VALUES[name]}))
    if not report.lines:
        assert (name, write) == ("lazy", legacy) and report.advice.startswith("No short lines")
        return
    if (name, write) == ("long", legacy):  # its lines cannot name a class in the rest
        assert "The rest may name other classes." in str(report)
        return
    names = lines_of(report)
    assert equal(names["state"]["state"], STATE)
    if name == "lazy":
        assert equal(names["weights"], {**Lazy().state_dict(), **names["weights"]})


def test_no_lines_are_printed_that_cannot_work():
    items = Items([1])
    items.extra = 1
    for write in (saved, legacy):
        report = look_inside_bytes("a.pt", write(items))
        assert not report.lines and report.advice.startswith("No short lines load it")


def test_packed_and_unpacked_records_are_loaded_whatever_they_need():
    state = {"weight": torch.ones(2), "args": Args(lr=1)}
    devices.save_from("cuda:0", {"weight": torch.ones(2)}, "gpu.pt")
    for name, content in {"args": saved(state), "gpu": Path("gpu.pt").read_bytes()}.items():
        files = {n.partition("/")[2]: c for n, c in records_of(content).items()}
        make({f"{name}.zip": zipped(files), **{f"{name}/{n}": c for n, c in files.items()}})
        for path in (f"{name}.zip", name):
            assert lines_of(look_inside(path))["state"]["weight"].tolist() == [1, 1]
    make({"gpu/data.pkl": pickle.dumps(Command())})
    assert look_inside("gpu").advice.startswith("Do not load it.")
    next(Path("args/data").iterdir()).unlink()
    assert look_inside("args").intact is False


def test_other_objects_in_many_files_are_loaded():
    dcp.save({"w": torch.ones(2), "args": Args(a=1)}, checkpoint_id="step", no_dist=True)
    assert lines_of(look_inside("step"))["state"]["args"].a == 1
    for number in (1, 2):
        make({f"hf/m-{number:05}-of-00002.bin": saved({"args": Args(a=number)})})
    report = look_inside("hf")
    assert report.intact is None and lines_of(report)["state"]["args"].a == 1


@pytest.mark.skipif(sys.platform != "linux", reason="needs a file system that takes any name")
@pytest.mark.parametrize("name", ["-dash.zst", "new\nline.zst", "it's.zst", "é \udce9.zst", "a"])
def test_the_lines_for_a_shell_pass_any_name(name):
    Path(name).write_bytes(b"\x28\xb5\x2f\xfd" + bytes(9))
    (line,) = look_inside(name).lines
    code = line.replace("$ zstd", "printf '%s\\0'", 1)
    output = subprocess.run(["bash", "-c", code], capture_output=True, check=True).stdout
    _, given, _, target, _ = output.split(b"\0")
    assert Path(os.fsdecode(given)) == Path(name) and not os.path.lexists(target)


@pytest.mark.skipif(sys.platform != "linux", reason="needs a file system that takes any name")
@pytest.mark.parametrize("name", ["good.pt", "script.pt", "model.safetensors"])
def test_a_name_that_is_not_utf8_is_no_obstacle(name):
    path = f"\udce9{name}"
    make({path: NAMES[name]})
    report = look_inside(path)
    assert report.intact is not False
    lines_of(report)
    (renamed,) = [p for p in os.listdir() if p != path] or [path]
    assert lines_of(look_inside(renamed))


def test_a_report_is_short_whatever_the_names():
    files = {
        "key.pt": saved({"k" * 5000: Net()}),
        "class.pt": b"\x80\x02" + b"".join(b"cm\nN%d\n)\x81" % n for n in range(9999)) + b".",
    }
    files["class.pt"] = zipped({"a/data.pkl": files["class.pt"], "a/version": "3"})
    files["legacy.pt"] = legacy(1).replace(
        b"K\x01.", b"".join(b"cm\nN%d\n0" % n for n in range(9999)) + b"N."
    )
    for name, content in files.items():
        text = check_text(look_inside_bytes(name, content))
        assert all(len(line) <= 130 for line in text.splitlines())


def test_tensors_of_several_parts_count_once():
    eye = torch.eye(3)
    quantized = torch.quantize_per_channel(eye, torch.ones(3), torch.zeros(3), 0, torch.qint8)
    for tensor, found in (
        (eye.to_sparse(), "1 float32"),
        (eye.to_sparse_csr(), "1 float32"),
        (torch.nested.nested_tensor([eye, eye]), "1 float32"),
        (quantized, "1 qint8"),
        (eye.to("meta"), "1 float32"),
    ):
        assert f"Tensors: {found}." in look_inside_bytes("a.pt", saved(tensor)).details


def test_data_after_the_end_is_mentioned():
    report = look_inside_bytes("a.pkl", pickle.dumps({"a": 1}) + pickle.dumps([2]))
    assert "bytes follow, which are not loaded." in str(report)
    assert "does not fit: 4 bytes follow" in str(look_inside_bytes("a.pt", legacy() + b"1234"))


def test_safetensors_without_checksums_are_not_called_intact():
    content = safetensors_bytes(STATE)
    report = look_inside_bytes("a.safetensors", content[:-1] + b"!")
    assert report.intact is None and "This format has no checksums." in str(report)


def command(*arguments, **variables):
    return subprocess.run(
        [sys.executable, "-m", "helpers.inspection", *arguments],
        capture_output=True,
        text=True,
        encoding="utf-8",
        errors="replace",
        env=os.environ | {"PYTHONPATH": str(HERE.parent), "PYTHONIOENCODING": "utf-8"} | variables,
    )


def test_the_command_prints_reports_and_its_status_tells_whether_all_load():
    make({"st.pt": NAMES["model.safetensors"], "empty.pt": b""})
    done = command("st.pt")
    assert done.returncode == 0 and done.stdout == f"{look_inside('st.pt')}\n"
    done = command("st.pt", "empty.pt", "gone.pt", "--full")
    assert done.returncode == 1 and done.stdout.count(" is a") == 3
    assert command().returncode == 2


def test_the_command_prints_any_name_on_a_code_page_of_windows():
    make({"naïve ✓.pt": HTML.replace("Sign in", "サイン")})
    done = command("naïve ✓.pt", PYTHONIOENCODING="cp437:strict", PYTHONUTF8="1")
    assert done.returncode == 1 and r"\u2713" in done.stdout
