"""Checkpoints that old releases of torch wrote still open, and still mean the same."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch.optim import SGD

from helpers.inspection import look_inside
from helpers.models import LeNet

FILES = sorted((Path(__file__).parent / "golden").glob("checkpoint-torch-*.tar"))
IMAGES = torch.linspace(-1, 1, 4 * 3 * 32 * 32).view(4, 3, 32, 32)
LABELS = torch.arange(4)


def version_of(path):
    return path.stem.removeprefix("checkpoint-torch-")


@pytest.fixture(params=FILES, ids=version_of)
def path(request):
    return request.param


@pytest.fixture
def checkpoint(path):
    return torch.load(path, weights_only=True)


@pytest.fixture
def model(checkpoint):
    model = LeNet()
    model.load_state_dict(checkpoint["model_state_dict"])
    return model


def test_there_are_five_releases():
    assert set(map(version_of, FILES)) == {"1.0.1", "1.5.1", "1.6.0", "1.12.1", "2.13.0"}


def test_the_file_was_written_by_the_release_in_its_name(checkpoint, path):
    assert checkpoint["torch_version"].partition("+")[0] == version_of(path)


def test_the_model_answers_as_it_did_then(checkpoint, model):
    with torch.inference_mode():
        logits = model.eval()(IMAGES)
    assert torch.allclose(logits, checkpoint["logits"], rtol=0, atol=1e-6)


def test_training_goes_on(checkpoint, model):
    optimizer = SGD(model.parameters(), lr=0.001, momentum=0.9)
    optimizer.load_state_dict(checkpoint["optimizer_state_dict"])
    momentum = optimizer.state[model.fc3.bias]["momentum_buffer"].clone()
    before = model.fc3.bias.detach().clone()
    loss = F.cross_entropy(model(IMAGES), LABELS)
    loss.backward()
    optimizer.step()
    # The step is the one that the stored momentum asks for: v = 0.9 v + g, w = w - 0.001 v.
    step = 0.001 * (0.9 * momentum + model.fc3.bias.grad)
    assert torch.allclose(model.fc3.bias, before - step, rtol=0, atol=1e-7)
    assert F.cross_entropy(model(IMAGES), LABELS) < loss


def test_only_releases_before_1_6_wrote_the_legacy_format(path):
    legacy = version_of(path) in ("1.0.1", "1.5.1")
    assert look_inside(path).kind == ("a legacy PyTorch file" if legacy else "a PyTorch file")
