"""Checkpoints written by old versions of torch, or on a GPU, still load with the same values."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch.optim import SGD

import make_golden
import make_reader
from course import stored_torch
from helpers import checkpoint, data, devices
from helpers.inspection import look_inside
from helpers.models import LeNet

FILES = sorted((Path(__file__).parent / "golden").glob("checkpoint-torch-*.tar"))
FILES += devices.FILES.glob("checkpoint-torch-*.tar")
IMAGES = torch.linspace(-1, 1, 4 * 3 * 32 * 32).view(4, 3, 32, 32)
LABELS = torch.arange(4)


def version_of(path):
    return path.stem.removeprefix("checkpoint-torch-").removesuffix("-cuda")


@pytest.fixture(params=FILES, ids=lambda path: path.stem)
def path(request):
    return request.param


@pytest.fixture
def saved(path):
    return torch.load(path, map_location="cpu", weights_only=True)


@pytest.fixture
def model(saved):
    model = LeNet()
    model.load_state_dict(saved["model_state_dict"])
    return model


def test_there_are_six_releases_and_the_pinned_one_is_among_them():
    expected = {"1.0.1", "1.5.1", "1.6.0", "1.12.1", "2.11.0", stored_torch()}
    assert len(expected) == 6 and expected <= set(map(version_of, FILES))


def test_a_file_of_this_release_can_be_made(tmp_path, monkeypatch):
    monkeypatch.setattr(make_golden, "FOLDER", str(tmp_path))
    make_golden.main()
    (path,) = tmp_path.iterdir()
    made = torch.load(path, weights_only=True)
    assert version_of(path) == made["torch_version"].partition("+")[0]
    stored = torch.load(FILES[0], weights_only=True)
    assert made.keys() == stored.keys()
    assert made["model_state_dict"].keys() == stored["model_state_dict"].keys()
    model = LeNet()
    model.load_state_dict(made["model_state_dict"])
    with torch.inference_mode():
        assert torch.allclose(model.eval()(IMAGES), made["logits"], rtol=0, atol=1e-6)


def test_the_file_was_written_by_the_release_in_its_name(saved, path):
    assert saved["torch_version"].partition("+")[0] == version_of(path)


def test_the_model_gives_the_stored_answers(saved, model):
    with torch.inference_mode():
        logits = model.eval()(IMAGES)
    assert torch.allclose(logits, saved["logits"], rtol=0, atol=1e-6)


def test_training_continues(saved, model):
    optimizer = SGD(model.parameters(), lr=0.001, momentum=0.9)
    optimizer.load_state_dict(saved["optimizer_state_dict"])
    momentum = optimizer.state[model.fc3.bias]["momentum_buffer"].clone()
    before = model.fc3.bias.detach().clone()
    loss = F.cross_entropy(model(IMAGES), LABELS)
    loss.backward()
    optimizer.step()
    # The step follows from the stored momentum: v = 0.9 v + g, w = w - 0.001 v.
    step = 0.001 * (0.9 * momentum + model.fc3.bias.grad)
    assert torch.allclose(model.fc3.bias, before - step, rtol=0, atol=1e-7)
    assert F.cross_entropy(model(IMAGES), LABELS) < loss


def test_only_releases_before_1_6_wrote_the_legacy_format(path):
    legacy = version_of(path) in ("1.0.1", "1.5.1")
    assert look_inside(path).kind == ("a legacy PyTorch file" if legacy else "a PyTorch file")


# ---- the first version of the digit reader, which notebook 20 loads -----------------------------

READER = devices.FILES / "reader-v1.pt"


def test_version_1_of_the_reader_reads_as_many_digits_as_its_file_says():
    saved = torch.load(READER, weights_only=True)
    reader = make_reader.Reader()
    reader.load_state_dict(saved["model_state_dict"])
    images, labels = data.digits()[1].tensors
    with torch.inference_mode():
        logits = reader.eval()(images)
    assert torch.allclose(logits[:4], saved["logits"], rtol=0, atol=1e-4)
    assert (logits.argmax(1) == labels).sum() == saved["correct"] == 346
    assert saved["images"] == len(labels)


def test_the_file_of_the_reader_is_of_version_1_and_small():
    state_dict = torch.load(READER, weights_only=True)["model_state_dict"]
    assert state_dict._metadata[""] == {"version": 1}
    assert list(state_dict)[::2] == ["rows.weight", "qkv.weight", "fc.weight"]
    assert READER.stat().st_size < 20_000


def test_a_file_of_version_1_of_the_reader_can_be_made(tmp_path):
    make_reader.main(tmp_path / "reader-v1.pt")
    made = torch.load(tmp_path / "reader-v1.pt", weights_only=True)
    stored = torch.load(READER, weights_only=True)
    assert made.keys() == stored.keys()
    assert made["model_state_dict"].keys() == stored["model_state_dict"].keys()
    assert made["correct"] > 0.9 * made["images"]


# ---- files that a GPU wrote ---------------------------------------------------------------------


def tags(path):
    """The devices of the file's storages when it was saved."""
    found = set()

    def note(storage, tag):
        found.add(tag)
        return storage

    torch.load(path, map_location=note, weights_only=True)
    return found


@pytest.mark.parametrize(
    ("name", "expected"),
    {
        "checkpoint-torch-2.11.0-cuda.tar": {"cuda:0"},
        "adamw-rng-torch-2.11.0-cuda.pt": {"cpu", "cuda:0"},
        "dataparallel-torch-2.11.0-cuda.pt": {"cuda:0"},
    }.items(),
)
def test_a_file_of_a_gpu_has_its_tags(name, expected):
    assert tags(devices.FILES / name) == expected


def test_the_adamw_checkpoint_of_a_gpu_is_restored_on_this_machine():
    path = devices.FILES / "adamw-rng-torch-2.11.0-cuda.pt"
    model = LeNet()
    optimizer = torch.optim.AdamW(model.parameters())
    rest = checkpoint.restore(path, model=model, optimizer=optimizer)
    with torch.inference_mode():
        assert torch.allclose(model.eval()(IMAGES), rest["logits"], rtol=0, atol=1e-6)
    assert optimizer.state[model.fc3.bias]["exp_avg"].any()
    torch.Generator().set_state(rest["cpu_rng_state"])
    assert rest["cuda_rng_state"].numel() == 16


@pytest.mark.skipif(torch.accelerator.is_available(), reason="needs a machine without a GPU")
def test_the_helper_passes_on_torchs_own_error_where_there_is_no_gpu():
    with pytest.raises(RuntimeError, match="Attempting to deserialize object on a CUDA device"):
        checkpoint.load(devices.FILES / "checkpoint-torch-2.11.0-cuda.tar")
