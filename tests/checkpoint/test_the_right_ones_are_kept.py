"""A folder of checkpoints: the newest and the best are kept, and nobody else's file is deleted."""

import os
import warnings

import numpy
import pytest
import torch

from helpers.checkpoint import Checkpoints, CorruptError, SaveError, load, save
from parts import damage

NAN = float("nan")


def steps(folder):
    return [int(path.stem.removeprefix("step-")) for path in sorted(folder.iterdir())]


def fill(folder, *numbers, **options):
    with Checkpoints(folder, **options) as checkpoints:
        for step in numbers:
            checkpoints.save(step, step=step, weight=torch.ones(64))
    return checkpoints


# ---- names --------------------------------------------------------------------------------------


def test_the_folder_is_created_and_its_files_are_named_by_their_steps(tmp_path):
    checkpoints = Checkpoints(tmp_path / "run")
    path = checkpoints.save(12, epoch=1)
    assert path == tmp_path / "run" / "step-00000012.pt"
    assert checkpoints.paths == [path]
    assert checkpoints.restore() == {"epoch": 1}


def test_the_folder_stays_the_same_after_chdir(tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    checkpoints = Checkpoints("run", keep_last=1, metric="score")
    checkpoints.save(1, score=1)
    monkeypatch.chdir("elsewhere")
    path = checkpoints.save(2, score=2)
    assert checkpoints.paths == [path] == [checkpoints.best] == [*(tmp_path / "run").iterdir()]
    assert checkpoints.restore() == {"score": 2}


def test_a_missing_parent_folder_is_pythons_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        Checkpoints(tmp_path / "missing" / "run")


def test_the_highest_number_is_the_newest_whatever_its_length_and_the_time(tmp_path):
    for number, ending in ((10, "pt"), (9, "pth"), (100, "tar")):
        save(tmp_path / f"epoch-{number}.{ending}", number=number)
    os.utime(tmp_path / "epoch-100.tar", (0, 0))
    assert load(tmp_path)["number"] == 100


def test_steps_of_more_than_eight_digits_are_in_order(tmp_path):
    fill(tmp_path, 99_999_999, 100_000_000, keep_last=1)
    assert load(tmp_path)["step"] == 100_000_000


@pytest.mark.parametrize(
    "make", [os.mkdir, getattr(os, "mkfifo", os.mkdir)], ids=["a folder", "a pipe"]
)
def test_folders_and_pipes_with_a_checkpoint_name_do_no_harm(make, tmp_path):
    for name in ("step-00000001.pt", "step-00000009.pt"):
        make(tmp_path / name)
    checkpoints = fill(tmp_path, 2, 3, keep_last=1, metric="step")
    assert checkpoints.restore()["step"] == load(tmp_path)["step"] == 3
    assert checkpoints.best.name == "step-00000003.pt"
    assert steps(tmp_path) == [1, 3, 9]


@pytest.mark.parametrize("name", ["._step-00000009.pt", ".step-00000009.pt", "step-00000009.pt~"])
def test_hidden_files_and_backups_do_no_harm(name, tmp_path):
    (tmp_path / name).write_bytes(b"\x00\x05\x16\x07")  # AppleDouble, as macOS writes it
    checkpoints = fill(tmp_path, 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert checkpoints.restore()["step"] == load(tmp_path)["step"] == 2


@pytest.mark.parametrize("names", [["epoch=3.ckpt", "last.ckpt"], ["pytorch_model.bin"]])
def test_files_with_other_extensions_are_named_if_there_is_nothing_else(names, tmp_path):
    for name in names:
        save(tmp_path / name, v=1)
    message = rf"{tmp_path.name}' matches .*pt\|pth\|tar.*{names[0]}"
    with pytest.raises(FileNotFoundError, match=message):
        load(tmp_path)
    assert load(tmp_path / names[0])["v"] == 1


# ---- the last and the best ----------------------------------------------------------------------


@pytest.mark.parametrize("background", [False, True])
@pytest.mark.parametrize("keep, kept", [(1, [11]), (2, [10, 11]), (None, [8, 9, 10, 11])])
def test_the_last_ones_are_kept(background, keep, kept, tmp_path):
    fill(tmp_path, 8, 9, 10, 11, keep_last=keep, background=background)
    assert steps(tmp_path) == kept


def test_files_of_others_are_never_deleted(tmp_path):
    names = {"final.pt", "pretrained.pth", "step-best.pt", "step-00000001-copy.pt", "1.pt"}
    for name in names:
        save(tmp_path / name, v=1)
    fill(tmp_path, 1, 2, keep_last=1)
    assert {path.name for path in tmp_path.iterdir()} == names | {"step-00000002.pt"}


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize(
    "mode, scores, best, kept",
    [
        ("max", [0.1, 0.9, 0.5, 0.3], 2, [2, 3, 4]),
        ("min", [0.1, 0.9, 0.5, 0.3], 1, [1, 4]),
        ("max", [NAN, 0.2, NAN, 0.1], 2, [2, 4]),
        ("min", [NAN, 0.2, NAN, NAN], 2, [2, 4]),
        ("max", [None, 0.2, None, 0.1], 2, [2, 4]),
        ("min", [None, 0.2, 0.1, None], 3, [2, 3, 4]),
        ("max", [1, 1, 1, 1], 1, [1, 2, 4]),  # of equals, the older
        ("max", [float("-inf"), 0.0, float("inf"), 0.0], 3, [2, 3, 4]),
    ],
)
def test_the_best_ones_are_kept(restart, mode, scores, best, kept, tmp_path):
    def make():
        return Checkpoints(tmp_path, keep_last=1, keep_best=2, metric="score", mode=mode)

    checkpoints = make()
    for number, score in enumerate(scores, 1):
        path = checkpoints.save(number, score=score)
        assert path.is_file()
        if restart:
            checkpoints = make()
            checkpoints.restore()
    assert steps(tmp_path) == kept
    assert checkpoints.best == tmp_path / f"step-{best:08d}.pt"


@pytest.mark.parametrize(
    "number, score",
    [
        (numpy.int64, numpy.float32),
        (numpy.int8, numpy.float64),
        (numpy.array, numpy.array),
        (torch.tensor, torch.tensor),
        (int, int),
    ],
    ids=["numpy.int64", "numpy.int8", "array", "tensor", "int"],
)
@pytest.mark.parametrize("background", [False, True])
def test_steps_and_metrics_may_be_scalars_of_numpy_and_torch(number, score, background, tmp_path):
    options = {"keep_last": 1, "keep_best": 1, "metric": "score", "background": background}
    with Checkpoints(tmp_path, **options) as checkpoints:
        for step, value in ((1, 1), (2, 5), (3, 2)):
            path = checkpoints.save(number(step), score=score(value))
    assert (path.name, steps(tmp_path)) == ("step-00000003.pt", [2, 3])
    assert checkpoints.best.name == "step-00000002.pt"
    assert Checkpoints(tmp_path, metric="score").best == checkpoints.best
    assert load(checkpoints.best)["score"] == 5


def test_a_metric_with_a_gradient_is_a_number_like_any_other(tmp_path):
    loss = torch.ones(1, requires_grad=True).sum()
    checkpoints = Checkpoints(tmp_path, metric="loss", mode="min")
    assert load(checkpoints.save(1, loss=loss))["loss"] == 1.0


@pytest.mark.parametrize("background", [False, True])
def test_a_save_without_the_metric_is_kept_and_is_not_the_best(background, tmp_path):
    options = {"keep_last": 2, "keep_best": 1, "metric": "accuracy", "background": background}
    with Checkpoints(tmp_path, **options) as checkpoints:
        checkpoints.save(1, accuracy=0.1)
        checkpoints.save(2, epoch=1)  # on SIGTERM, in the middle of an epoch
        checkpoints.save(3, epoch=1)
    assert steps(tmp_path) == [1, 2, 3]
    assert checkpoints.best.name == "step-00000001.pt"
    assert checkpoints.restore() == {"epoch": 1}


@pytest.mark.parametrize(
    "score", ["0.5", [0.5], {"a": 1}, torch.ones(2), numpy.ones(2), 1j], ids=str
)
def test_a_metric_that_is_not_a_number_is_an_immediate_error(score, tmp_path):
    checkpoints = Checkpoints(tmp_path, metric="score", background=True)
    with pytest.raises(SaveError, match="Nothing was saved: 'score' is .*, and not a number"):
        checkpoints.save(1, score=score)
    assert checkpoints.paths == []


def test_there_is_no_best_without_a_score(tmp_path):
    checkpoints = Checkpoints(tmp_path, metric="score")
    with pytest.raises(FileNotFoundError, match="No checkpoint in .* has 'score'"):
        _ = checkpoints.best
    checkpoints.save(1, score=None)
    with pytest.raises(FileNotFoundError, match="No checkpoint in .* has 'score'"):
        _ = checkpoints.best


def test_a_step_that_is_saved_again_has_its_new_score(tmp_path):
    checkpoints = Checkpoints(tmp_path, metric="score")
    for number, score in ((1, 0.9), (2, 0.5), (1, 0.1)):
        checkpoints.save(number, score=score)
    assert checkpoints.best == tmp_path / "step-00000002.pt"


def test_the_best_is_an_intact_one(tmp_path):
    for number, score in enumerate((0.5, 0.9, 0.1), 1):
        path = tmp_path / f"step-{number:08d}.pt"
        save(path, score=score, weight=torch.ones(64))
    damage(tmp_path / "step-00000002.pt")
    checkpoints = Checkpoints(tmp_path, keep_last=1, keep_best=1, metric="score")
    assert load(checkpoints.best)["score"] == 0.5
    checkpoints.restore()
    checkpoints.save(4, score=0.2)
    assert 1 in steps(tmp_path)


@pytest.mark.parametrize("other", [False, True])
def test_the_best_can_be_asked_for_while_others_come_and_go(other, tmp_path):
    options = {"keep_last": 1, "keep_best": 1, "metric": "score"}
    with Checkpoints(tmp_path, background=True, **options) as checkpoints:
        asked = Checkpoints(tmp_path, **options) if other else checkpoints  # as in another process
        best = checkpoints.save(0, score=10)
        checkpoints.wait()
        for number in range(1, 100):
            checkpoints.save(number, score=number % 7)
            assert asked.best == best
            assert best in asked.paths


def test_nothing_is_deleted_for_a_checkpoint_that_could_not_be_saved(tmp_path):
    checkpoints = fill(tmp_path, 1, 2, keep_last=2)
    checkpoints.keep_last = 1
    with pytest.raises(SaveError):
        checkpoints.save(3, v=object())
    (tmp_path / "step-00000003.pt").mkdir()  # a file cannot replace it
    with pytest.raises(SaveError):
        checkpoints.save(3, v=1)
    assert steps(tmp_path) == [1, 2, 3]


# ---- another run --------------------------------------------------------------------------------


@pytest.mark.parametrize("background", [False, True])
@pytest.mark.parametrize("first", [0, 1, 100])
def test_a_new_run_in_the_folder_of_an_old_one_is_reported_and_deletes_nothing(
    first, background, tmp_path
):
    fill(tmp_path, 100, 200, keep_last=2)
    checkpoints = Checkpoints(tmp_path, keep_last=1, background=background)
    with pytest.warns(UserWarning, match=f"'{tmp_path.name}' holds another run") as caught:
        checkpoints.save(first, v=first)
    assert caught[0].filename == __file__  # it points at the line that saves
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # it is said once
        for step in range(first + 1, first + 4):
            checkpoints.save(step, v=step)
    checkpoints.close()
    assert steps(tmp_path) == sorted({*range(first, first + 4), 100, 200})


@pytest.mark.parametrize("first", [3, 4, 100])
def test_a_continued_run_gives_no_warning_and_keeps_the_last(first, tmp_path):
    fill(tmp_path, 1, 2, 3, keep_last=2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        checkpoints = Checkpoints(tmp_path, keep_last=2)
        checkpoints.restore()
        for step in range(first, first + 3):
            checkpoints.save(step, v=step)
    assert steps(tmp_path) == [first + 1, first + 2]


def test_a_run_restored_by_the_function_may_continue_above_it(tmp_path):
    fill(tmp_path, 1, 2, 3, keep_last=2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fill(tmp_path, 4, 5, keep_last=2)
    assert steps(tmp_path) == [4, 5]


def test_a_new_checkpoint_does_not_replace_the_restored_one(tmp_path):
    fill(tmp_path, 1, 2, 3)
    damage(tmp_path / "step-00000002.pt")
    (tmp_path / "step-00000003.pt").write_bytes(b"")
    checkpoints = Checkpoints(tmp_path, keep_last=2)
    with pytest.warns(UserWarning):
        assert checkpoints.restore()["step"] == 1
    checkpoints.save(2, step=2)
    with pytest.warns(UserWarning, match="step-00000003"):
        assert load(tmp_path)["step"] == 2


def test_a_failed_restore_does_not_make_another_run_this_one(tmp_path):
    fill(tmp_path, 100)
    damage(tmp_path / "step-00000100.pt")
    checkpoints = Checkpoints(tmp_path, keep_last=1)
    with pytest.raises(CorruptError):
        checkpoints.restore()
    with pytest.warns(UserWarning, match="another run"):
        checkpoints.save(1, v=1)
    assert steps(tmp_path) == [1, 100]


# ---- arguments ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {"keep_last": 0},
        {"keep_last": -1},
        {"keep_best": 1},
        {"keep_best": -1, "metric": "a"},
        {"mode": "best"},
    ],
    ids=str,
)
def test_contradictory_arguments_are_named(options, tmp_path):
    name, value = [*options.items()][0]
    with pytest.raises(ValueError, match=f"Expected .*but this is .*{name}={value!r}"):
        Checkpoints(tmp_path / "run", **options)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("step", [-1, 1.5, "1", None, float("nan"), numpy.float32(1)], ids=repr)
def test_a_step_that_is_not_an_integer_is_shown(step, tmp_path):
    with pytest.raises(ValueError, match="The step is .*: expected an integer, 0 or more"):
        Checkpoints(tmp_path).save(step, v=1)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("old", "new", "warns"),
    [(120_000_000, 20_000_000, True), (90_000_000, 100_000_000, False)],
    ids=["fewer digits", "more digits"],
)
def test_steps_are_compared_as_numbers(old, new, warns, tmp_path):
    Checkpoints(tmp_path).save(old, v=1)
    checkpoints = Checkpoints(tmp_path, keep_last=1)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        checkpoints.save(new, v=1)
    assert [("holds another run" in str(w.message)) for w in caught] == [True] * warns


def test_two_failures_are_both_reported(tmp_path):
    checkpoints = Checkpoints(tmp_path, background=True)
    checkpoints.save(1, first=len)
    checkpoints.background = False
    with pytest.raises(SaveError, match="first"):
        checkpoints.save(2, second=len)
    with pytest.raises(SaveError, match="second"):
        checkpoints.close()
    checkpoints.close()


def test_a_temporary_file_that_is_not_ours_is_left_alone(tmp_path):
    theirs = tmp_path / ".checkpoint-mine.tmp"
    theirs.touch()
    os.utime(theirs, (0, 0))
    Checkpoints(tmp_path).save(1, v=1)
    assert theirs.exists()
