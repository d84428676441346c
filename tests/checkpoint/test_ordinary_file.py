"""A checkpoint is an ordinary file: plain torch reads it, and restore reads other programs'."""

import random
import warnings

import pytest
import torch
from torch import nn
from torch.optim import SGD
from torch.utils.serialization import config

from helpers.checkpoint import Checkpoints, SaveError, load, restore, save
from helpers.models import LeNet
from parts import GOLDEN, bits, training


@pytest.fixture
def path(tmp_path):
    return tmp_path / "checkpoint.pt"


def test_plain_torch_reads_the_file(path):
    saved, now = training(), training()
    save(path, epoch=5, **saved, loss=0.4)
    checkpoint = torch.load(path)
    now["model"].load_state_dict(checkpoint["model_state_dict"])
    now["optimizer"].load_state_dict(checkpoint["optimizer_state_dict"])
    now["scheduler"].load_state_dict(checkpoint["scheduler_state_dict"])
    assert (checkpoint["epoch"], checkpoint["loss"]) == (5, 0.4)
    assert bits(now) == bits(saved)


def test_a_file_of_plain_torch_is_restored(path):
    saved, now = training(), training()
    states = {f"{name}_state_dict": part.state_dict() for name, part in saved.items()}
    torch.save({"epoch": 5, **states, "random_state": 42, "made_for": "the course"}, path)
    rest = restore(path, **now)
    assert bits(now) == bits(saved)
    # These two names only have a meaning in files of the helper. Here they are values.
    assert rest == {"epoch": 5, "random_state": 42, "made_for": "the course"}


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda golden: golden.stem.rpartition("-")[2])
@pytest.mark.filterwarnings("ignore:.*not verified")
def test_files_of_old_releases_are_restored(golden):
    model = LeNet()
    optimizer = SGD(model.parameters(), lr=0.1, momentum=0.5)
    rest = restore(golden, model=model, optimizer=optimizer)
    with torch.inference_mode():
        logits = model(torch.linspace(-1, 1, 4 * 3 * 32 * 32).view(4, 3, 32, 32))
    assert torch.allclose(logits, rest["logits"], rtol=0, atol=1e-6)
    saved = torch.load(golden)["optimizer_state_dict"]
    last = saved["state"][saved["param_groups"][0]["params"][-1]]["momentum_buffer"]
    assert torch.equal(optimizer.state[model.fc3.bias]["momentum_buffer"], last)
    assert optimizer.param_groups[0]["momentum"] == 0.9


def test_restore_returns_everything_else_in_the_file(path):
    saved = training()
    save(path, **saved, epoch=5, classes=["cat", "dog"])
    rest = restore(path, optimizer=saved["optimizer"])
    assert set(rest) == {"model_state_dict", "scheduler_state_dict", "epoch", "classes"}
    assert (rest["epoch"], rest["classes"]) == (5, ["cat", "dog"])


def test_without_random_state_there_is_nothing_but_the_parts(path):
    save(path, epoch=5, random_state=False)
    assert load(path) == {"epoch": 5}


@pytest.mark.parametrize("value", [42, 0, None, torch.ones(8)], ids=str)
def test_a_seed_called_random_state_is_not_dropped_silently(value, path):
    with pytest.raises(TypeError, match="random_state is .*: expected True or False"):
        save(path, epoch=3, random_state=value)
    assert not path.exists()


@pytest.mark.parametrize(
    "given, owners",
    [
        ({"model": nn.Linear(2, 2), "model_state_dict": 1}, "model and model_state_dict"),
        ({"model_state_dict": 1, "model": nn.Linear(2, 2)}, "model_state_dict and model"),
        ({"made_for": 1}, "save itself and made_for"),
        ({"random_state": 1}, "save itself and random_state"),
        ({"random": random.Random()}, "save itself and random share the key 'random_state'"),
    ],
    ids=lambda given: "+".join(given) if isinstance(given, dict) else "",
)
def test_two_parts_never_share_a_key(given, owners, tmp_path):
    with pytest.raises(SaveError, match=owners):
        Checkpoints(tmp_path).save(1, **given)
    assert list(tmp_path.iterdir()) == []


def test_checksums_are_written_even_if_torch_is_configured_to_omit_them(path):
    with config.patch("save.compute_crc32", False):
        save(path, epoch=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert load(path)["epoch"] == 1


def test_equal_content_gives_equal_files(tmp_path):
    model = nn.Linear(3, 2)
    for name in ("one.pt", "other.pt"):
        save(tmp_path / name, model=model, random_state=False)
    assert (tmp_path / "one.pt").read_bytes() == (tmp_path / "other.pt").read_bytes()
