"""What look_inside says of a file is true, and the lines that it prints work.

The files in tests/files are hard to make here. Everything else is made below.
"""

import base64
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
import socket
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
from safetensors.torch import save as safetensors_bytes

from helpers import devices, formats, pickles
from helpers.inspection import look_inside

HERE = Path(__file__).parent
FILES = HERE / "files"
STATE = {"weight": torch.arange(12.0).view(4, 3), "bias": torch.arange(4.0)}
NET = torch.nn.Linear(3, 4)
pytestmark = pytest.mark.filterwarnings("ignore")  # of torch, about TorchScript and old formats


# ---- bytes of every kind ------------------------------------------------------------------------


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


def written(write):
    """What a function writes into the file that it is given."""
    buffer = io.BytesIO()
    write(buffer)
    return buffer.getvalue()


def torchscript():
    return written(lambda file: torch.jit.save(torch.jit.script(NET), file))


def exported():
    program = torch.export.export(NET, (torch.ones(1, 3),))
    return written(lambda file: torch.export.save(program, file))


def onnx_model():
    value = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])
    result = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1])
    node = onnx.helper.make_node("Relu", ["x"], ["y"])
    graph = onnx.helper.make_graph([node], "g", [value], [result])
    opset = onnx.helper.make_opsetid("", 17)
    model = onnx.helper.make_model(graph, opset_imports=[opset], producer_name="pytorch")
    model.ir_version = 8
    return model.SerializeToString()


def safetensors(header, tail=b""):
    header = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(header)) + header + tail


def without_folder():
    with zipfile.ZipFile(io.BytesIO(saved())) as archive:
        names = archive.namelist()
        return zipped({name.partition("/")[2]: archive.read(name) for name in names})


def lost_record():
    with zipfile.ZipFile(io.BytesIO(saved())) as archive:
        names = [name for name in archive.namelist() if not name.endswith("/data/1")]
        return zipped({name: archive.read(name) for name in names})


def tar_of_torch_0_1():
    """The layout that legacy_load in torch/serialization.py reads."""
    storages = pickle.dumps(1, 2) + pickle.dumps((1, "cpu", torch.FloatStorage), 2)
    storages += struct.pack("<q4f", 4, 0, 1, 2, 3) + pickle.dumps([], 2)
    tensors = pickle.dumps(1, 2) + pickle.dumps((2, 1, torch.FloatTensor), 2)
    tensors += struct.pack("<iiqqq", 1, 0, 4, 1, 0)

    class Pickler(pickle.Pickler):
        def persistent_id(self, obj):
            return "2" if isinstance(obj, torch.Tensor) else None

    content = written(lambda file: Pickler(file, 0).dump({"bias": STATE["bias"]}))
    return tarred({"sys_info": b"", "pickle": content, "tensors": tensors, "storages": storages})


def protobuf(*fields):
    return b"".join(bytes([tag]) + content for tag, content in fields)


def hdf5():
    superblock = (
        b"\x89HDF\r\n\x1a\n" + bytes(16) + struct.pack("<QQQQ", 0, 2**64 - 1, 96, 2**64 - 1)
    )
    return superblock + bytes(40)


class Color(enum.Enum):
    RED = 1


class Args:
    def __init__(self, **values):
        self.__dict__.update(values)


class Settings(dict):
    """As many libraries have it: a dict with attributes."""


class Items(list):
    """As Settings, but a list."""


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = torch.nn.Linear(3, 4)


class Bomb:
    """Unpickling it creates a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


class Command:
    def __reduce__(self):
        return os.system, ("echo executed",)


LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a21461\nsize 12345\n"
HTML = "<!DOCTYPE html>\n<html><title>Sign in</title><body>é</body></html>\n"
XML = '<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>AccessDenied</Code></Error>'
HEADERS = b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n\r\n"
PYTORCH, LEGACY, SAFE = "a PyTorch file", "a legacy PyTorch file", "a safetensors file"
TORCHSCRIPT, PICKLE = "a TorchScript archive", "a pickle that torch did not write"
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

# name of the file: (its bytes, the kind, whether it is intact, whether the lines load it)
EXAMPLES = {
    # torch
    "good.pt": (saved, PYTORCH, True, True),
    "sample.pt": (lambda: sample("good.pt"), PYTORCH, True, True),
    "tensor.pt": (lambda: saved(STATE["bias"]), PYTORCH, True, True),
    "mixed.pt": (lambda: saved(MIXED), PYTORCH, True, True),
    "long_keys.pt": (
        lambda: saved({f"{key}, and more text for some lines": MIXED[key] for key in MIXED}),
        PYTORCH, True, True),
    "module.pt": (lambda: saved(Net()), PYTORCH, True, True),
    "modules.pt": (lambda: saved({"model": Net(), "args": Args(lr=1)}), PYTORCH, True, True),
    "protocol4.pt": (lambda: saved(pickle_protocol=4), PYTORCH, True, True),
    "float8.pt": (lambda: saved({"x": torch.ones(4).to(torch.float8_e4m3fn)}), PYTORCH, True, True),
    "sparse.pt": (lambda: saved({"x": torch.eye(3).to_sparse()}), PYTORCH, True, True),
    "command.pt": (lambda: saved({"x": Command()}), PYTORCH, True, False),
    "cut.pt": (lambda: saved()[:-100], PYTORCH + ", cut off", False, False),
    "short.pt": (lambda: saved()[:200], PYTORCH + ", cut off", False, False),
    "zeros_at_the_end.pt": (
        lambda: saved()[:-300] + bytes(300), PYTORCH + ", cut off", False, False),
    "bit.pt": (lambda: flipped(saved(), b"\x80\x3f"), PYTORCH + ", damaged", False, False),
    "hole.pt": (lambda: holed(saved()), PYTORCH + ", damaged", False, False),
    "crlf.pt": (
        lambda: sample("crlf_small.pt"), PYTORCH + ", with changed line ends", False, False),
    "latin.pt": (
        lambda: sample("utf8_text_of_binary.pt"), PYTORCH + ", converted as text", False, False),
    "replaced.pt": (
        lambda: saved({"x": torch.randn(99)}).decode(errors="replace").encode(),
        "a binary file that was converted as text", False, False),
    "headers.pt": (
        lambda: HEADERS + saved(),
        f"{PYTORCH}, after {len(HEADERS)} bytes that do not belong to it", False, False),
    "two.pt": (
        lambda: saved({"x": torch.ones(99)}) + saved(),
        f"{PYTORCH}, after {len(saved({'x': torch.ones(99)})):,} bytes that do not belong to it",
        False, False),
    "enum.pt": (lambda: sample("enum.pt"), PYTORCH, True, True),
    "float32_array.pt": (lambda: sample("float32_array.pt"), PYTORCH, True, True),
    "whole_model.pt": (lambda: sample("whole_model.pt"), PYTORCH, True, True),
    "mps.pt": (lambda: sample("mps.pt"), PYTORCH, True, True),
    "lightning.ckpt": (
        lambda: sample("lightning.ckpt"), "a Lightning checkpoint (a PyTorch file)", True, True),
    "pytorch.safetensors": (saved, PYTORCH, True, True),
    "without_folder.pt": (
        without_folder, "the content of a PyTorch file, packed without its folder", True, True),
    "legacy.pt": (legacy, LEGACY, True, True),
    "legacy_mixed.pt": (lambda: legacy(MIXED), LEGACY, True, True),
    "legacy_tensor.pt": (lambda: legacy(STATE["bias"]), LEGACY, True, True),
    "legacy_protocol4.pt": (lambda: legacy(pickle_protocol=4), LEGACY, True, True),
    "legacy_cut.pt": (lambda: legacy()[:-5], LEGACY + ", cut off", False, False),
    "legacy_short.pt": (lambda: legacy()[:200], LEGACY + ", cut off", False, False),
    "legacy_float8.pt": (
        lambda: legacy({"x": torch.ones(4).to(torch.float8_e4m3fn)}), LEGACY, True, False),
    "legacy_module.pt": (lambda: legacy(Net()), LEGACY, True, True),
    "legacy_crlf.pt": (
        lambda: legacy().replace(b"\n", b"\r\n"),
        LEGACY + ", with changed line ends", False, False),
    "lost.pt": (lost_record, PYTORCH + ", damaged", False, False),
    "torch_0_1.tar": (tar_of_torch_0_1, "a PyTorch file of torch 0.1 (tar)", None, True),
    "script.pt": (torchscript, TORCHSCRIPT, True, True),
    "sample_script.pt": (lambda: sample("script.pt"), TORCHSCRIPT, True, True),
    "mobile.ptl": (
        lambda: torch.jit.script(NET)._save_to_buffer_for_lite_interpreter(),
        TORCHSCRIPT + " for mobile devices", True, True),
    "export.pt2": (exported, "a torch.export archive", True, True),
    "package.pt": (lambda: sample("package.pt"), "a torch.package archive", True, True),
    "one.distcp": (
        lambda: sample("one.distcp"), "a file of a distributed checkpoint", True, False),
    # safetensors
    "model.safetensors": (lambda: safetensors_bytes(STATE), SAFE, True, True),
    "st_as.pt": (lambda: safetensors_bytes(STATE), SAFE, True, True),
    "none.safetensors": (lambda: safetensors({}), SAFE, True, True),
    "spaces.safetensors": (lambda: safetensors(b"{}" + b" " * 126), SAFE, True, True),
    "cut.safetensors": (lambda: safetensors_bytes(STATE)[:-4], SAFE + ", cut off", False, False),
    "head.safetensors": (lambda: safetensors_bytes(STATE)[:50], SAFE + ", cut off", False, False),
    "long.safetensors": (
        lambda: safetensors_bytes(STATE) + b"\n", SAFE + ", damaged", False, False),
    "json.safetensors": (lambda: safetensors(b'{"not in JSON'), SAFE + ", damaged", False, False),
    "deep.safetensors": (
        lambda: safetensors(b'{"a":' * 99999), SAFE + ", damaged", False, False),
    # other libraries
    "array.npy": (
        lambda: written(lambda f: np.save(f, np.ones(3))), "a NumPy array (npy)", True, True),
    "cut.npy": (
        lambda: written(lambda f: np.save(f, np.ones(3)))[:-1],
        "a NumPy array (npy), cut off", False, False),
    "objects.npy": (
        lambda: written(lambda f: np.save(f, np.array([{}, 1], object), allow_pickle=True)),
        "a NumPy array of objects (npy)", None, True),
    "arrays.npz": (
        lambda: written(lambda f: np.savez(f, w=np.ones(3))), "a NumPy archive (npz)", True, True),
    "packed.npz": (
        lambda: written(lambda f: np.savez_compressed(f, w=np.ones(3))),
        "a NumPy archive (npz)", True, True),
    "joblib.pkl": (
        lambda: written(lambda f: joblib.dump({"w": np.ones(3)}, f)), "a joblib file", None, True),
    "joblib.pkl.z": (
        lambda: written(lambda f: joblib.dump({"w": np.ones(3)}, f, compress=3)),
        "a joblib file, compressed by zlib", None, True),
    **{
        f"protocol{n}.pkl": (lambda n=n: pickle.dumps({"w": [1, "é"]}, n), PICKLE, None, True)
        for n in range(6)
    },
    "state.pkl": (lambda: pickle.dumps(STATE), PICKLE, None, True),
    "state2.pkl": (lambda: sample("pickle_sd2.pkl"), PICKLE, None, True),
    "arrays.pkl": (lambda: pickle.dumps({"w": np.ones(3), "n": np.float32(1)}), PICKLE, None, True),
    "class.pkl": (lambda: pickle.dumps(Args(lr=1)), PICKLE, None, True),
    "command.pkl": (lambda: pickle.dumps(Command()), PICKLE, None, False),
    "cut.pkl": (lambda: pickle.dumps(STATE)[:-9], PICKLE + ", cut off", False, False),
    "relu.onnx": (onnx_model, "an ONNX model", True, True),
    "cut.onnx": (lambda: onnx_model()[:40], "an ONNX model, cut off", False, False),
    "model.mlmodel": (
        lambda: protobuf((8, b"\x04"), (0x12, b"\x02\x08\x01"), (0xA2, b"\x13\x02\x08\x01")),
        "a Core ML model", True, True),
    "saved_model.pb": (
        lambda: protobuf((8, b"\x01"), (0x12, b"\x04\x0a\x02\x12\x00")),
        "a TensorFlow SavedModel (its graph)", True, True),
    "llama.gguf": (lambda: sample("llama.gguf"), "a GGUF file", None, True),
    "ggml.bin": (lambda: b"lmgg" + bytes(range(60)), "a GGML file (older than GGUF)", None, False),
    "model.tflite": (lambda: b"\x1c\0\0\0TFL3" + bytes(60), "a TensorFlow Lite model", None, True),
    "model.pte": (lambda: b"\x30\0\0\0ET12" + bytes(60), "an ExecuTorch program", None, True),
    "flax.msgpack": (
        lambda: b"\x81\xa6params\x81\xa1w\xc7\x0a\x01\x93\x91\x02\xa7float32\xc4\x08" + bytes(8),
        "a Flax checkpoint (msgpack)", None, True),
    "model.h5": (hdf5, "an HDF5 file (Keras writes this format)", True, True),
    "cut.h5": (
        lambda: hdf5()[:-9], "an HDF5 file (Keras writes this format), cut off", False, False),
    "model.keras": (
        lambda: zipped({"config.json": "{}", "model.weights.h5": hdf5()}),
        "a Keras model", True, True),
    "ppo.zip": (
        lambda: zipped({"data": "{}", "policy.pth": saved(), "system_info.txt": ""}),
        "a model of stable-baselines3", True, True),
    "text.docx": (
        lambda: zipped({"[Content_Types].xml": "<x/>"}), "an Office document", True, False),
    # around a checkpoint
    "model.pt.gz": (lambda: gzip.compress(saved()), PYTORCH + ", compressed by gzip", True, False),
    "model.pt.bz2": (lambda: bz2.compress(saved()), PYTORCH + ", compressed by bz2", True, False),
    "model.pt.xz": (lambda: lzma.compress(saved()), PYTORCH + ", compressed by xz", True, False),
    "model.pt.lzma": (
        lambda: lzma.compress(legacy(), lzma.FORMAT_ALONE),
        LEGACY + ", compressed by lzma", True, False),
    "model.pt.z": (lambda: zlib.compress(saved()), PYTORCH + ", compressed by zlib", True, False),
    "cut.pt.gz": (
        lambda: gzip.compress(saved())[:-90],
        PYTORCH + ", compressed by gzip, cut off", False, False),
    "bad.pt.gz": (
        lambda: gzip.compress(saved())[:-1] + b"!",
        "a file compressed by gzip, damaged", False, False),
    "page.pt.gz": (
        lambda: gzip.compress(HTML.encode()), "an HTML page, compressed by gzip", None, False),
    "any.gz": (
        lambda: gzip.compress(bytes(range(1, 250)) * 3), "a file compressed by gzip", None, False),
    "gz_in_gz.gz": (
        lambda: gzip.compress(gzip.compress(saved())),
        PYTORCH + ", compressed by gzip, compressed by gzip", True, False),
    "modules.zip": (
        lambda: zipped({"net.pt": saved([Net(), *MIXED.values()])}),
        PYTORCH + ", in a zip archive that torch did not write", True, False),
    "zip_in_zip.pt": (
        lambda: zipped({"weights/model.pt": saved()}),
        PYTORCH + ", in a zip archive that torch did not write", True, False),
    "mac.zip": (
        lambda: zipped({"a.txt": "x", "b": safetensors_bytes(STATE)}, zipfile.ZIP_DEFLATED),
        SAFE + ", in a zip archive that torch did not write", True, False),
    "notes.zip": (
        lambda: zipped({"notes.txt": "hello"}),
        "a zip archive that torch did not write", True, False),
    "cut.zip": (
        lambda: zipped({"weight.npy": b"\x93NUMPY"})[:-30], "a zip archive, cut off", False, False),
    "model.tar": (
        lambda: tarred({"model.pt": saved()}), PYTORCH + ", in a tar archive", True, False),
    "notes.tar": (lambda: tarred({"notes.txt": b"hello"}), "a tar archive", None, False),
    "cut.tar": (
        lambda: tarred({"x.bin": bytes(9000)})[:5000], "a tar archive, cut off", False, False),
    "model.tar.gz": (
        lambda: gzip.compress(tarred({"model.pt": saved()})),
        PYTORCH + ", in a tar archive, compressed by gzip", True, False),
    "intact.pt.7z": (lambda: sample("intact.pt.7z"), "a 7z archive", True, False),
    "cut.pt.7z": (lambda: sample("intact.pt.7z")[:-9], "a 7z archive, cut off", False, False),
    "model.pt.7z": (lambda: sample("model.pt.7z"), "a 7z archive, damaged", False, False),
    "model.pt.zst": (
        lambda: b"\x28\xb5\x2f\xfd\x04\x58" + bytes(20), "a file compressed by zstd", None, False),
    "model.pt.lz4": (
        lambda: b"\x04\x22\x4d\x18\x64\x40" + bytes(20), "a file compressed by lz4", None, False),
    "model.pt.rar": (lambda: b"Rar!\x1a\x07\x01\0" + bytes(20), "a RAR archive", None, False),
    "model.pt.Z": (
        lambda: b"\x1f\x9d\x90" + bytes(20), "a file compressed by compress (.Z)", None, False),
    "model.pt.enc": (
        lambda: b"Salted__" + bytes(range(200)), "a file encrypted by openssl", None, False),
    "model.pt.part1": (
        lambda: saved()[:900], PYTORCH + ", cut off, one part of several", False, False),
    # text
    **{
        f"page{n}.pt": (lambda text=text: text, "an HTML page", None, False)
        for n, text in enumerate([
            HTML.encode(),
            b"\n" + HTML.encode("utf-8-sig"),
            HTML.encode("utf-8-sig"),
            HTML.encode("utf-16"),
            b"\xfe\xff" + HTML.encode("utf-16-be"),
            HTML.encode("latin-1"),
            b"<!-- 404 -->\n" + HTML.encode(),
            b"<head><title>404</title></head>",
            b"<script>location='/login'</script>",
            b'<?xml version="1.0"?>\n<html xmlns="http://www.w3.org/1999/xhtml">',
        ])
    },
    **{
        f"pointer{n}.pt": (lambda text=text: text.encode(), "a Git LFS pointer", None, False)
        for n, text in enumerate([
            LFS,
            LFS.replace("\n", "\r\n"),
            "\ufeff" + LFS,
            LFS.replace("git-lfs.github.com/spec/v1", "hawser.github.com/spec/v1"),
        ])
    },
    **{
        f"text{n}.pt": (lambda text=text: text, kind, None, False)
        for n, (text, kind) in enumerate([
            (b"Entry not found", "an error message of a server"),
            (b"Invalid username or password.", "an error message of a server"),
            (b"Access to model meta/x is restricted.", "an error message of a server"),
            (b'{"error":"Repository not found"}', "a JSON error message"),
            (b'{\n "message": "Not Found"}', "a JSON error message"),
            (b'{"learner": {"a": 1}}', "a JSON file"),
            (XML.encode(), "an XML error message of a storage service"),
            (b"<Error><Code>NoSuchKey</Code></Error>", "an XML error message of a storage service"),
            (b'<?xml version="1.0"?>\n<note/>', "an XML file"),
            (HEADERS + b"Not found", "the answer of a web server, with its headers"),
            (b"/annex/objects/SHA256E-s12--ab.pt\n", "a git-annex pointer"),
            (b"outs:\n- md5: abc\n  size: 12\n  path: model.pt\n", "a DVC pointer"),
            (b"<<<<<<< HEAD\na\n=======\nb\n", "a file with the conflict markers of git"),
            (base64.encodebytes(saved()), "a text in base64"),
            (b"# net\nimport torch\n\nclass Net:\n    pass\n", "a Python source file"),
            (b'"""A net."""\nfrom torch import nn\n', "a Python source file"),
            (b"# My model\n\nDownload it here.\n", "a Markdown text"),
            (b"---\nlicense: mit\n---\n# Model\n", "a Markdown text"),
            (b"lr: 0.1\nmodel:\n  name: net\n", "a YAML file"),
            (b"epoch,loss\n1,0.5\n", "a table in text (CSV)"),
            (b"[InternetShortcut]\r\nURL=https://x.org\r\n", "a web shortcut of Windows"),
            (b'<?xml version="1.0"?>\n<plist version="1.0"><dict><key>URL</key></dict></plist>',
             "a web shortcut of macOS"),
            (b"epoch", "a text file"),
            ("Überraschung\n".encode(), "a text file"),
        ])
    },
    # no checkpoint
    "._model.pt": (
        lambda: sample("AppleDouble.pt"), "an AppleDouble file (metadata from macOS)", None, False),
    "model.pt.lnk": (
        lambda: b"L\0\0\0\x01\x14\x02\0" + bytes(60), "a Windows shortcut", None, False),
    "paper.pt": (
        lambda: b"%PDF-1.7\n%\xe2\xe3\n", "a file of the type application/pdf", None, False),
    "plot.pt": (
        lambda: b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(9),
        "a file of the type image/png", None, False),
    "program.pt": (
        lambda: b"\x7fELF\x02\x01\x01" + bytes(60),
        "a file of the type application/x-executable", None, False),
    "empty.pt": (bytes, "an empty file", False, False),
    "zeros.pt": (lambda: bytes(8192), "a file of zeros", False, False),
    "one_zero.pt": (lambda: bytes(1), "a file of zeros", False, False),
    "bytes.pt": (lambda: bytes(range(1, 256)) * 3, "a file of an unknown kind", None, False),
    "letters.bin": (
        lambda: b"\xde\xa1" + b"a" * 99 + b"\0", "a file of an unknown kind", None, False),
    "floats.pt": (
        lambda: np.linspace(-1, 1, 99).tobytes(), "a file of an unknown kind", None, False),
}  # fmt: skip


def flipped(data, pattern):
    at = data.index(pattern)
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def holed(data):
    return data[:700] + data[800:]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def printed_lines(text):
    """The lines to run, from the printed report."""
    return [line.removeprefix("    ") for line in text.splitlines() if line.startswith("    ")]


def run(text):
    """Run the lines of a report. None if they need a program or a package that is not here."""
    lines = printed_lines(text)
    if lines and lines[0].startswith("$ "):
        assert len(lines) == 1
        return None
    compile("\n".join(lines), "report", "exec")
    needed = re.findall(r"^(?:import|from) (\w+).*# pip install", "\n".join(lines), re.MULTILINE)
    if not all(map(importlib.util.find_spec, needed)):
        return None
    names = {"__name__": "report"}
    exec("\n".join(lines), names)
    return names


def check_text(report):
    text = str(report)
    assert len(text.splitlines()) <= 24
    assert max(map(len, text.splitlines())) <= 100
    assert text.isprintable() or set(text) - {"\n"} == {c for c in text if c.isprintable()}
    assert "Reading it failed" not in text
    return text


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_report_is_true_and_its_lines_work(name, folder):
    content, kind, intact, loads = EXAMPLES[name]
    Path(name).write_bytes(content())
    report = look_inside(name)
    assert (report.kind, report.intact, report.loads) == (kind, intact, loads), str(report)
    text = check_text(report)
    assert text.startswith(f"{name} is {kind}")
    assert report.lines == printed_lines(text)
    assert report.lines or not loads
    names = run(text)
    if names is None or not report.lines:
        return
    state = names.get("weights", names.get("state"))
    if isinstance(state, dict) and state.keys() == STATE.keys():
        assert any(equal(state, one) for one in (STATE, torch.load(FILES / "good.pt")))


def equal(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


def test_every_kind_has_an_example():
    kinds = " ".join(kind for _, kind, _, _ in EXAMPLES.values())
    table = formats.TABLE
    rows = [
        *table["zip"],
        *table["bytes"],
        *table["text"],
        *table["keys"],
        *table["other"].values(),
    ]
    missing = {row["kind"] for row in rows if row["kind"] not in kinds}
    assert missing == {
        "an AOTInductor package",  # made by a compiler; its records are below
        "a TorchScript model for mobile devices (flatbuffer)",
        "a file of a DeepSpeed checkpoint (a PyTorch file)",
        "the index of a sharded checkpoint",
        "a Jupyter notebook",
    }


def test_a_text_is_shown_by_its_first_line(folder):
    make({"page.pt": "\n\n  <!DOCTYPE html>\n<html>", "long.pt": "word " * 9999})
    assert look_inside("page.pt").details == ["First line: <!DOCTYPE html>"]
    assert len(look_inside("long.pt").details[0]) < 250


def lines_of(report):
    return run(check_text(report))


# ---- what a file needs --------------------------------------------------------------------------


@pytest.mark.parametrize("write", [saved, legacy])
def test_the_lines_load_values_of_other_classes(write, folder):
    for key, value in {**MIXED, "items": Items([1, 2])}.items():
        Path("one.pt").write_bytes(write({"state": STATE, key: value}))
        state = lines_of(look_inside("one.pt"))["state"]
        assert equal(state["state"], STATE)
        if key == "args":
            assert state["args"].lr == 0.1
        elif key == "mean":
            assert state["mean"].tolist() == [1, 1, 1]
        elif key in ("loss", "version", "counts", "queue", "settings", "items"):
            assert state[key] == (list(value) if key == "queue" else value)


def test_a_whole_model_gives_its_state_dict_without_its_class(folder):
    net = Net()
    for obj in (net, {"epoch": 3, "model": net}):
        Path("net.pt").write_bytes(saved(obj))
        report = look_inside("net.pt")
        assert f"weights_only does not allow 2 names: {__name__}.Net" in str(report)
        assert equal(lines_of(report)["weights"], net.state_dict())


def test_a_model_of_many_classes_fits_on_one_screen(folder):
    layers = [type(f"Layer{i}", (Net,), {"__module__": __name__}) for i in range(40)]
    for layer in layers:
        globals()[layer.__name__] = layer
    try:
        Path("net.pt").write_bytes(saved(torch.nn.Sequential(*[layer() for layer in layers])))
    finally:
        for layer in layers:
            del globals()[layer.__name__]
    names = lines_of(look_inside("net.pt"))
    assert len(names["weights"]) == 80


@pytest.mark.parametrize("device", ["cuda:0", "mps", "npu:0", "xla:1", "hpu"])
def test_a_file_of_another_device_is_loaded_on_the_cpu(device, folder):
    devices.save_from({"weight": device, "bias": "cpu"}, STATE, "gpu.pt")
    report = look_inside("gpu.pt")
    assert f"Saved on {device}:" in str(report)
    assert equal(lines_of(report)["state"], STATE)


@pytest.mark.parametrize("path", sorted(devices.FILES.glob("*cuda*")), ids=lambda path: path.stem)
def test_a_real_file_of_a_gpu_loads_as_reported(path):
    report = look_inside(path)
    assert report.loads and "Saved on cuda:0" in str(report)
    assert isinstance(lines_of(report)["state"], dict)


@pytest.mark.parametrize("write", [saved, legacy, pickle.dumps, lambda o: pickle.dumps(o, 0)])
def test_nothing_in_a_file_is_executed(write, folder):
    mark = folder / "executed"
    Path("model.pt").write_bytes(write(Bomb(mark)))
    report = check_text(look_inside("model.pt"))
    assert not mark.exists() and "pathlib" in report
    pickle.loads(pickle.dumps(Bomb(mark)))
    assert mark.exists()  # the bomb works


@pytest.mark.parametrize("write", [saved, legacy, pickle.dumps])
def test_a_file_that_runs_commands_is_not_to_be_loaded(write, folder):
    Path("model.pt").write_bytes(write(Command()))
    report = look_inside("model.pt")
    assert f"It calls {os.system.__module__}.system, which can run any code." in report.details
    assert report.advice.startswith("Do not load it.") and not report.lines


def test_a_name_in_a_file_cannot_put_code_into_the_lines(folder):
    name = '{path}"]; executed = 1; ["'
    pickled = b"\x80\x02c__main__\n" + name.encode() + b"\n."
    make({"model.pt": zipped({"a/data.pkl": pickled, "a/version": "3"})})
    lines = look_inside("model.pt").lines
    names = {}
    exec("\n".join(lines).replace("torch.load", "print"), names)
    assert names["names"] == [f"__main__.{name}"] and "executed" not in names


def test_torch_reads_no_legacy_file_under_mmap_as_the_report_says(folder):
    make({"legacy.pt": legacy()})
    assert "not with mmap=True" in look_inside("legacy.pt").advice
    with pytest.raises(RuntimeError, match="mmap"):
        torch.load("legacy.pt", mmap=True)


def test_top_level_keys_and_tensors_are_listed(folder):
    Path("model.pt").write_bytes(
        saved({"epoch": 3, "state": {f"w{i}": torch.ones(2) for i in range(9)}})
    )
    text = str(look_inside("model.pt"))
    assert "It holds a dict with 2 keys: epoch, state." in text and "Tensors: 9 float32." in text


def test_records_give_the_size_of_each(folder):
    torch.save(STATE, "model.pt")
    report = look_inside("model.pt")
    assert report.size == Path("model.pt").stat().st_size
    assert report.records["model/data/0"] == 12 * 4 and "model/data.pkl" in report.records


# ---- folders ------------------------------------------------------------------------------------


def make(files):
    for name, content in files.items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(content if isinstance(content, bytes) else content.encode())


def index(*shards):
    names = {f"w{i}": name for i, name in enumerate(shards)}
    return json.dumps({"metadata": {}, "weight_map": names})


def test_a_distributed_checkpoint_is_joined_by_the_lines(folder):
    dcp.save(dict(STATE), checkpoint_id="step", no_dist=True)
    report = look_inside("step")
    assert report.kind == "a distributed checkpoint" and report.loads
    assert equal(lines_of(report)["state"], STATE)
    (part,) = Path("step").glob("*.distcp")
    report = look_inside(part)
    assert report.kind == "a file of a distributed checkpoint" and report.loads
    assert equal(lines_of(report)["state"], STATE)
    assert look_inside("step/.metadata").kind == "the index of a distributed checkpoint"
    part.rename("part")
    Path("step/__9_9.distcp").touch()
    report = look_inside("step")
    assert report.intact is False and f"1 of its files are missing: {part.name}" in str(report)
    Path("step/.metadata").unlink()
    report = look_inside("step")
    assert report.kind == "a distributed checkpoint without its index"
    assert report.intact is False and not report.loads


WEIGHT, BIAS = ({key: STATE[key]} for key in STATE)


def test_shards_are_joined_by_the_lines_and_missing_ones_are_named(folder):
    names = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"
    make({"hf/model.safetensors.index.json": index(*names), "hf/config.json": "{}"})
    make({f"hf/{names[0]}": safetensors_bytes(WEIGHT)})
    for path in ("hf", "hf/model.safetensors.index.json"):
        report = look_inside(path)
        assert report.intact is False and not report.loads
        assert f"1 of 2 files are missing: {names[1]}" in str(report)
    make({f"hf/{names[1]}": safetensors_bytes(BIAS)})
    for path in ("hf", "hf/model.safetensors.index.json"):
        assert equal(lines_of(look_inside(path))["state"], STATE)


def test_shards_of_torch_are_joined_by_the_lines(folder):
    make({"hf/pytorch_model.bin.index.json": index("a.bin", "b.bin")})
    make({"hf/a.bin": saved(WEIGHT), "hf/b.bin": saved(BIAS)})
    assert equal(lines_of(look_inside("hf"))["state"], STATE)


@pytest.mark.parametrize("content", ["", "[]", '{"weight_map": 1}', "[" * 99999])
def test_a_damaged_index_is_reported(content, folder):
    make({"hf/model.safetensors.index.json": content})
    report = look_inside("hf")
    assert "cannot be read" in check_text(report) and not report.loads


def test_shards_without_an_index_are_joined_by_the_lines(folder):
    make({"hf/model-00001-of-00002.safetensors": safetensors_bytes(WEIGHT)})
    report = look_inside("hf")
    assert "1 of 2 files are missing: model-00002-of-00002.safetensors" in str(report)
    make({"hf/model-00002-of-00002.safetensors": safetensors_bytes(BIAS)})
    assert equal(lines_of(look_inside("hf"))["state"], STATE)


def test_a_folder_with_one_file_of_weights_loads_it(folder):
    make({"hf/config.json": "{}", "hf/model.safetensors": safetensors_bytes(STATE)})
    report = look_inside("hf")
    assert report.loads and "model.safetensors is a safetensors file." in str(report)
    assert equal(lines_of(report)["state"], STATE)


def test_the_newest_snapshot_of_the_hugging_face_cache_is_loaded(folder):
    cache = "models--org--net"
    make({f"{cache}/blobs/abc": safetensors_bytes(STATE), f"{cache}/refs/main": "123"})
    make({f"{cache}/snapshots/123/config.json": "{}"})
    make({f"{cache}/snapshots/123/model.safetensors": safetensors_bytes(STATE)})
    report = look_inside(cache)
    assert report.kind == "a folder of the Hugging Face cache"
    assert equal(lines_of(report)["state"], STATE)


@pytest.mark.parametrize(
    ("name", "kind"),
    {
        "model_index.json": "a folder of diffusers (a pipeline)",
        "adapter_config.json": "a PEFT adapter",
        "zero_to_fp32.py": "a DeepSpeed checkpoint",
        "mp_rank_00_model_states.pt": "a DeepSpeed checkpoint",
        "saved_model.pb": "a TensorFlow SavedModel",
        "model.ckpt-7.data-00000-of-00001": "a TensorFlow checkpoint",
    }.items(),
)
def test_a_folder_is_told_by_the_names_in_it(name, kind, folder):
    make({f"run/{name}": "{}", "run/model.safetensors": "x"})
    report = look_inside("run")
    assert report.kind == kind
    lines_of(report)


def test_an_unpacked_file_is_packed_again_by_the_lines(folder):
    with zipfile.ZipFile(io.BytesIO(saved())) as archive:
        archive.extractall()
    report = look_inside("archive")
    assert report.kind == "an unpacked PyTorch file"
    assert equal(lines_of(report)["state"], STATE)


def test_an_empty_folder_and_one_without_weights(folder):
    Path("empty").mkdir()
    make({"inner/deep/notes.txt": "1234567"})
    assert (look_inside("empty").kind, look_inside("inner").size) == ("a folder", 7)
    check_text(look_inside("empty"))
    assert "deep" in check_text(look_inside("inner"))


def test_parts_are_joined_by_the_lines(folder):
    content = saved({"x": torch.arange(999)})
    Path("model.v2.1").write_bytes(b"log of a training")
    assert look_inside("model.v2.1").kind == "a text file"
    for i in range(12):
        Path(f"big.pt.part{i}").write_bytes(content[i * 500 : (i + 1) * 500 if i < 11 else None])
    for name in ("big.pt.part0", "big.pt.part1", "big.pt.part11"):
        lines_of(look_inside(name))
        assert Path("unpacked-big.pt").read_bytes() == content
        Path("unpacked-big.pt").unlink()


# ---- paths that are no file ---------------------------------------------------------------------


def test_a_missing_file_is_reported_with_the_nearest_names(folder):
    for name in ("model-final.pt", "best.pt", "notes.txt"):
        Path(name).touch()
    report = look_inside("model-finl.pt")
    assert report.kind == "a missing file" and report.intact is False
    assert report.advice == "Its folder contains: model-final.pt."
    assert "best.pt, model-final.pt, notes.txt" in str(look_inside("zzz"))
    assert "Its folder contains: nothing." in str(look_inside("runs/model.pt"))


@pytest.mark.parametrize("path", ["a\0b", "x" * 5000, "\udce9.pt", "a\nb\x1b[31m.pt", ""])
def test_odd_paths_are_reported(path, folder):
    check_text(look_inside(path)).encode()


def test_a_long_path_fits_on_the_screen_and_its_lines_run(folder):
    parent = Path(*["a long name, 'with' \"quotes\" é" if os.name == "posix" else "long name"] * 6)
    make({str(parent / "model.pt.gz"): gzip.compress(saved())})
    assert equal(lines_of(look_inside(parent / "model.pt.gz"))["state"], STATE)


def test_lines_never_overwrite_a_file(folder):
    make({"model.pt.gz": gzip.compress(saved()), "model.pt": b"mine", "unpacked-model.pt": b"mine"})
    assert equal(lines_of(look_inside("model.pt.gz"))["state"], STATE)
    assert Path("model.pt").read_bytes() == Path("unpacked-model.pt").read_bytes() == b"mine"


def link(name, target):
    try:
        os.symlink(target, name)
    except (OSError, NotImplementedError):
        pytest.skip("needs Linux or macOS, where links need no permission")


def test_links_are_followed_or_reported(folder):
    make({"good.pt": saved()})
    link("to_good.pt", "good.pt")
    link("broken.pt", "gone.pt")
    link("annexed.pt", ".git/annex/objects/aa/SHA256-s12--bb")
    link("loop.pt", "loop2.pt")
    link("loop2.pt", "loop.pt")
    assert look_inside("to_good.pt").kind == PYTORCH
    report = look_inside("broken.pt")
    assert report.kind == "a link to a file that does not exist" and "gone.pt" in str(report)
    report = look_inside("annexed.pt")
    assert report.lines == ["$ git annex get annexed.pt"]
    if os.name == "posix":
        assert look_inside("loop.pt").kind == "a link that leads back to itself"
    Path("deep").mkdir()
    link("deep/back", "..")
    check_text(look_inside("deep"))


@pytest.mark.skipif(os.name != "posix", reason="needs Linux or macOS")
def test_a_pipe_a_socket_and_a_device_are_not_opened(folder):
    os.mkfifo("pipe.pt")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket.pt")
        Path("hf").mkdir()
        os.mkfifo("hf/model.safetensors.index.json")
        assert not look_inside("hf").loads
        for path in ("pipe.pt", "socket.pt", "/dev/zero"):
            assert look_inside(path).kind == "a pipe, a socket or a device, not a file"


def test_a_file_that_cannot_be_opened_is_reported(folder):
    make({"secret.pt": saved()})
    Path("secret.pt").chmod(0)
    if os.access("secret.pt", os.R_OK):  # root and Windows read every file
        report = look_inside("secret.pt/model.pt")  # a file is taken as a folder
    else:
        report = look_inside("secret.pt")
    assert report.intact is False and "cannot be read" in check_text(report)


# ---- bounded time and memory --------------------------------------------------------------------


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
def test_a_pickle_bomb_is_reported_in_time(content, folder):
    make({"bomb.pkl": content})
    started = time.monotonic()
    check_text(look_inside("bomb.pkl"))
    assert time.monotonic() - started < 15


def test_a_pickle_bomb_in_a_torch_file_is_reported(folder, monkeypatch):
    monkeypatch.setattr(pickles, "_LIMIT", 1000)
    for _, content in bombs():
        make({"bomb.pt": zipped({"a/data.pkl": content, "a/version": "3"})})
        check_text(look_inside("bomb.pt"))
    make({"long.pt": saved({"x": list(range(9999))})})
    assert "only the beginning was read" in str(look_inside("long.pt"))


def test_a_long_pickle_is_not_called_harmless(folder, monkeypatch):
    monkeypatch.setattr(pickles, "_LIMIT", 1000)
    make({"long.pkl": pickle.dumps({"x": list(range(9999)), "y": Command()})})
    assert "runs code" in look_inside("long.pkl").advice
    make({"long.pt": saved({"x": list(range(9999)), "y": Command()}, pickle_protocol=4)})
    assert "runs code" in look_inside("long.pt").advice


def test_a_compression_bomb_is_reported_in_time(folder, monkeypatch):
    monkeypatch.setattr(formats, "_CHECK", 1 << 22)
    zeros = bytes((1 << 25) + 9)
    packed = zipped({f"{i}.bin": zeros[: 1 << 20] for i in range(5)}, zipfile.ZIP_DEFLATED)
    make({"bomb.zip": packed, "bomb.gz": gzip.compress(zeros, 1)})
    make({"bomb.xz": lzma.compress(zeros, preset=0)})
    started = time.monotonic()
    report = look_inside("bomb.zip")
    assert report.intact is None and "full=True" in str(report)
    for name in ("bomb.gz", "bomb.xz"):
        check_text(look_inside(name))
    assert time.monotonic() - started < 15
    assert look_inside("bomb.zip", full=True).intact is True


def test_a_large_list_of_records_is_not_read(folder, monkeypatch):
    monkeypatch.setattr(formats, "_RECORDS", 1 << 16)
    make({"many.pt": zipped({f"a/data/{i:080}": b"" for i in range(600)})})
    report = look_inside("many.pt")
    assert "its list of records is too long" in check_text(report) and report.intact is None


def test_a_sparse_file_of_zeros_is_reported_in_time(folder):
    with open("zeros.pt", "wb") as file:
        file.truncate(1 << 33)
    started = time.monotonic()
    assert look_inside("zeros.pt").kind == "a file of zeros"
    assert time.monotonic() - started < 15


# ---- damage -------------------------------------------------------------------------------------

SMALL = {
    "small.pt": saved,
    "legacy.pt": legacy,
    "small.safetensors": lambda: safetensors_bytes(STATE),
}


@pytest.mark.parametrize("name", SMALL)
def test_no_cut_is_reported_as_intact(name, folder):
    content = SMALL[name]()
    assert look_inside_bytes(name, content).loads
    for length in range(len(content)):
        report = look_inside_bytes(name, content[:length])
        assert report.intact is False or length < 30, str(report)
        assert not report.loads


def look_inside_bytes(name, content):
    Path(name).write_bytes(content)
    report = look_inside(name)
    check_text(report)
    return report


def mutated(content, chance):
    content = bytearray(content)
    for _ in range(chance.choice([1, 1, 2, 8])):
        at = chance.randrange(len(content))
        match chance.randrange(4):
            case 0:
                content[at] = chance.randrange(256)
            case 1:
                content[at] ^= 1 << chance.randrange(8)
            case 2:
                content[at : at + chance.randrange(40)] = chance.randbytes(chance.randrange(40))
            case _:
                content[at : at + 8] = chance.choice([b"\xff", b"\0", b"\x7f"]) * 8
        if not content:
            content = bytearray(b"x")
    return bytes(content)


SLOW = {"export.pt2", "mobile.ptl"}  # to make, and larger


OFTEN = {"good.pt", "legacy.pt", "model.safetensors", "arrays.npz", "model.pt.gz", "model.tar"}
OFTEN |= {"relu.onnx", "joblib.pkl", "protocol0.pkl", "protocol4.pkl", "state.pkl", "script.pt"}


@pytest.mark.parametrize("name", [name for name in EXAMPLES if name not in SLOW])
def test_no_mutation_raises_or_takes_long(name, folder):
    content, chance = EXAMPLES[name][0](), random.Random(name)
    for _ in range(120 if name in OFTEN else 6):
        started = time.monotonic()
        changed = mutated(content, chance) if content else chance.randbytes(9)
        look_inside_bytes(name, changed)
        assert time.monotonic() - started < 5


def test_a_changed_byte_of_a_zip_file_is_found_or_harmless(folder):
    content = saved()
    for at in range(0, len(content), 7):
        changed = content[:at] + bytes([content[at] ^ 0x55]) + content[at + 1 :]
        report = look_inside_bytes("model.pt", changed)
        if report.loads:
            assert equal(lines_of(report)["state"], STATE)


# ---- the command line ---------------------------------------------------------------------------


def command(*arguments, **variables):
    done = subprocess.run(
        [sys.executable, "-m", "helpers.inspection", *arguments],
        capture_output=True,
        text=True,
        encoding="utf-8",
        errors="replace",
        env=os.environ | {"PYTHONPATH": str(HERE.parent), "PYTHONIOENCODING": "utf-8"} | variables,
    )
    assert "Traceback" not in done.stderr
    return done


def test_the_command_prints_reports_and_its_status_tells_whether_all_load(folder):
    make({"good.pt": saved(), "empty.pt": b""})
    done = command("good.pt")
    assert done.returncode == 0 and done.stdout == f"{look_inside('good.pt')}\n"
    done = command("good.pt", "empty.pt", "gone.pt", "--full")
    assert done.returncode == 1 and done.stdout.count(" is a") == 3
    assert command().returncode == 2


def test_the_command_prints_any_name_on_a_code_page_of_windows(folder):
    make({"naïve ✓.pt": HTML.replace("Sign in", "サイン"), "модель.pt": saved()})
    done = command("naïve ✓.pt", "модель.pt", PYTHONIOENCODING="cp437:strict", PYTHONUTF8="1")
    assert done.returncode == 1 and r"\u2713" in done.stdout


def test_a_state_dict_is_reported_without_importing_torch(folder):
    make({"good.pt": saved(), "legacy.pt": legacy(), "model.safetensors": safetensors_bytes(STATE)})
    code = "import sys; from helpers.inspection import look_inside\n"
    code += (
        "assert all(look_inside(f).loads for f in sys.argv[1:]); assert 'torch' not in sys.modules"
    )
    names = ["good.pt", "legacy.pt", "model.safetensors"]
    subprocess.run(
        [sys.executable, "-c", code, *names],
        check=True,
        env=os.environ | {"PYTHONPATH": str(HERE.parent)},
    )
