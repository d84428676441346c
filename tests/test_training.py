from copy import deepcopy

import pytest
import torch
from torch.optim import SGD, Adam
from torch.optim.lr_scheduler import ExponentialLR
from torch.utils.data import TensorDataset

from helpers.data import digits
from helpers.models import LeNet
from helpers.training import accuracy, progress, train


@pytest.fixture(scope="module")
def dataset():
    return TensorDataset(*digits()[0][:256])


@pytest.fixture
def model():
    torch.manual_seed(0)
    return LeNet()


def sgd(model):
    return SGD(model.parameters(), lr=0.05, momentum=0.9)


def test_training_lowers_the_loss_and_raises_the_accuracy(model, dataset):
    before = accuracy(model, dataset)
    losses = train(model, Adam(model.parameters(), lr=0.003), dataset, epochs=range(8))
    assert losses[0] == pytest.approx(2.3, abs=0.1)  # ln 10: an untrained model guesses
    assert losses[-1] < losses[0] / 2
    assert accuracy(model, dataset) > max(before, 0.5)


def test_there_is_one_loss_for_each_step(model, dataset):
    assert len(train(model, sgd(model), dataset, epochs=range(3))) == 3 * 4


def test_no_epochs_change_nothing(model, dataset):
    before = deepcopy(model.state_dict())
    assert train(model, sgd(model), dataset, epochs=range(0)) == []
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())


def test_two_epochs_in_two_calls_are_two_epochs_in_one_bit_for_bit(model, dataset):
    twin = deepcopy(model)
    optimizer, twins = sgd(model), sgd(twin)
    at_once = train(model, optimizer, dataset, epochs=range(2))
    first = train(twin, twins, dataset, epochs=range(0, 1))
    second = train(twin, twins, dataset, epochs=range(1, 2))
    assert first + second == at_once
    for a, b in zip(model.parameters(), twin.parameters(), strict=True):
        assert torch.equal(a, b)


def test_the_scheduler_steps_once_an_epoch(model, dataset):
    optimizer = sgd(model)
    scheduler = ExponentialLR(optimizer, gamma=0.5)
    train(model, optimizer, dataset, epochs=range(3), scheduler=scheduler)
    assert scheduler.last_epoch == 3
    assert scheduler.get_last_lr() == [0.05 / 2**3]


def test_training_is_done_in_train_mode(model, dataset):
    modes = []
    model.register_forward_pre_hook(lambda module, _: modes.append(module.training))
    train(model.eval(), sgd(model), dataset, epochs=range(1))
    assert modes == [True] * 4
    assert model.training


def test_accuracy_is_measured_in_eval_mode_and_leaves_the_mode_as_it_was(model, dataset):
    modes = []
    model.register_forward_pre_hook(lambda module, _: modes.append(module.training))
    for training in (True, False):
        accuracy(model.train(training), dataset)
        assert model.training is training
    assert modes == [False, False]


def test_accuracy_leaves_a_frozen_layer_in_eval_mode(model, dataset):
    model.train().conv1.eval()
    accuracy(model, dataset)
    assert model.training and not model.conv1.training


def test_accuracy_is_the_share_of_right_labels(model):
    images = torch.rand(4, 3, 32, 32)
    labels = model(images).argmax(1)
    assert accuracy(model, TensorDataset(images, labels)) == 1
    labels[0] = (labels[0] + 1) % 10
    assert accuracy(model, TensorDataset(images, labels)) == 0.75
    assert accuracy(model, TensorDataset(images, (labels + 2) % 10)) == 0


def last_line(capsys):
    return capsys.readouterr().out.rstrip("\n").split("\r")[-1]


def test_the_bar_ends_as_one_line_without_times(model, dataset, capsys):
    train(model, sgd(model), dataset, epochs=range(2), label="LeNet")
    assert last_line(capsys) == "LeNet " + "█" * 20 + " 2/2 epochs"


def test_the_bar_goes_through_the_epochs(capsys):
    assert list(progress(range(5, 8))) == [5, 6, 7]
    assert last_line(capsys) == "training " + "█" * 20 + " 3/3 epochs"
