"""A resumed run equals the uninterrupted run bit for bit, and the comparison can fail."""

import itertools
import json
import shutil

import pytest

import forked
import resumed_training
from resumed_training import OPTIMIZERS, STEPS, build, resume, train

STOPS = {"the end of an epoch": 8, "the middle of one": 5}
CASES = list(itertools.product(OPTIMIZERS, (0, 2), STOPS))
SEVEN = ("model", "optimizer", "scheduler", "loader", "python", "numpy", "torch")


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """The whole run and a checkpoint at each stop, for each optimizer and number of workers."""
    runs = {}
    for optimizer, workers in itertools.product(OPTIMIZERS, (0, 2)):
        folder = tmp_path_factory.mktemp(f"{optimizer}{workers}")
        paths = {step: folder / f"{step}.pt" for step in STOPS.values()}
        runs[optimizer, workers] = train(build(optimizer, workers, seed=0), save_at=paths), paths
    return runs


@pytest.fixture(scope="module")
def resumed(uninterrupted):
    """Each case, resumed in another process that reads only the files."""
    arguments = [
        (str(uninterrupted[optimizer, workers][1][STOPS[stop]]), optimizer, workers)
        for optimizer, workers, stop in CASES
    ]
    done = forked.run(resumed_training.__file__, json.dumps(arguments))
    assert done.returncode == 0, done.stderr
    return dict(zip(CASES, json.loads(done.stdout), strict=True))


@pytest.mark.parametrize(("optimizer", "workers", "stop"), CASES)
def test_resumed_in_another_process_equals_uninterrupted(
    uninterrupted, resumed, optimizer, workers, stop
):
    whole, _ = uninterrupted[optimizer, workers]
    rest = resumed[optimizer, workers, stop]
    assert rest["losses"] == whole["losses"][STOPS[stop] :]
    assert len(rest["losses"]) == STEPS - STOPS[stop]
    assert rest["trained"] == whole["trained"]  # every parameter, buffer and moment
    assert rest["lr"] == whole["lr"]


@pytest.mark.parametrize("without", SEVEN)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_each_of_the_seven_states_is_needed(uninterrupted, tmp_path, optimizer, without):
    whole, paths = uninterrupted[optimizer, 0]
    path = shutil.copy(paths[5], tmp_path / "checkpoint.pt")
    rest = resume(path, optimizer, 0, without)
    assert rest["losses"] != whole["losses"][5:]
    assert rest["trained"] != whole["trained"]


def test_the_first_loss_does_not_show_two_of_them(uninterrupted, tmp_path):
    """Therefore, compare several steps and the states at the end."""
    whole, paths = uninterrupted["SGD", 0]
    unseen = set()
    for without in SEVEN:
        path = shutil.copy(paths[5], tmp_path / "checkpoint.pt")
        if resume(path, "SGD", 0, without)["losses"][0] == whole["losses"][5]:
            unseen.add(without)
    assert unseen == {"optimizer", "scheduler"}
