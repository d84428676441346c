"""A save changes nothing but the file: no accelerator, no forked process and no exit code."""

import contextlib
import gc
import itertools
import os
import random
import re
import signal
import sys
import time
from pathlib import Path

import pytest
import torch

import forked
from helpers import checkpoint
from helpers.checkpoint import Checkpoints, load, restore, save
from parts import bits, training

posix = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs Linux or macOS")


def run(script, folder):
    return forked.run("-c", START + script, cwd=folder)


START = """
import atexit, os, random, signal, sys, time, warnings
import torch
from helpers import checkpoint
from helpers.checkpoint import Checkpoints, load, restore, save

warnings.simplefilter("ignore")
"""

# ---- what is in memory --------------------------------------------------------------------------


def test_a_save_moves_no_random_numbers_and_changes_no_part(tmp_path):
    parts = training()
    before = bits(parts)
    for background in (False, True):
        with Checkpoints(tmp_path / f"{background}", background=background) as checkpoints:
            checkpoints.save(1, **parts)
    save(tmp_path / "c.pt", **parts)
    assert bits(parts) == before


def test_the_returned_dict_may_be_changed(tmp_path):
    parts = training()
    save(tmp_path / "c.pt", **parts, values=[1])
    rest = restore(tmp_path / "c.pt", optimizer=parts["optimizer"])
    rest["values"].append(2)
    rest["model_state_dict"]["0.weight"].fill_(0)
    assert load(tmp_path / "c.pt")["values"] == [1]
    assert parts["model"][0].weight.any()


# ---- accelerators -------------------------------------------------------------------------------


def test_an_accelerator_that_the_program_has_not_initialized_is_left_alone(tmp_path, monkeypatch):
    def initialize(*_):
        raise AssertionError("The accelerator is initialized.")

    # Also where there is no GPU, this shows that none of these is called.
    for module in (torch.cuda, torch.xpu):
        for name in ("init", "_lazy_init", "get_rng_state", "get_rng_state_all", "set_rng_state"):
            if hasattr(module, name):
                monkeypatch.setattr(module, name, initialize)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: False)  # an earlier test may use it
    save(tmp_path / "c.pt", v=1)
    assert restore(tmp_path / "c.pt") == {"v": 1}
    with Checkpoints(tmp_path, background=True) as checkpoints:
        checkpoints.save(1, weight=torch.ones(3))
    assert set(load(tmp_path / "c.pt")["random_state"]) <= {"torch", "python", "numpy", "mps"}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu_machine_a_program_for_the_cpu_stays_one(tmp_path):
    script = """
save("c.pt", model=torch.nn.Linear(2, 2))
restore("c.pt", model=torch.nn.Linear(2, 2))
assert not torch.cuda.is_initialized()
"""
    assert run(script, tmp_path).returncode == 0


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_the_generator_of_a_gpu_in_use_is_saved(tmp_path):
    torch.ones(1, device="cuda")
    save(tmp_path / "c.pt")
    first = torch.rand(3, device="cuda")
    restore(tmp_path / "c.pt")
    assert torch.equal(torch.rand(3, device="cuda"), first)


# ---- forked processes ---------------------------------------------------------------------------


FORKS = """
checkpoints = Checkpoints("run", keep_last=None, background=True)
for step in range(0, 4, 2):
    checkpoints.save(step, weight=torch.ones(1 << 20))  # still at work during the fork
    child = os.fork()
    if not child:
        save("child.pt", v=step)
        checkpoints.save(step + 1, v=step)
        assert load(checkpoints.paths[-1])["v"] == step  # it is there at once
        sys.exit(7)  # and the exit handlers of the child have nothing to wait for
    assert os.waitpid(child, 0)[1] == 7 << 8
checkpoints.close()
print(len(checkpoints.paths))
"""


@posix
def test_a_process_forked_during_a_save_can_save_and_exits_normally(tmp_path):
    ended = run(FORKS, tmp_path)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "4\n", "")
    for step in range(0, 4, 2):
        assert (load(tmp_path / "run" / f"step-{step:08d}.pt")["weight"] == 1).all()


# ---- the end of a process -----------------------------------------------------------------------


ENDS_AT_ONCE = """
gone = Checkpoints("gone", background=True)
gone.folder.rmdir()
gone.save(1, v=1)  # and nobody asks what became of it
kept = Checkpoints("kept", background=True)
kept.save(1, weight=torch.ones(1 << 22))
sys.exit(3)
"""


def test_a_process_that_ends_finishes_its_save_and_prints_an_error_nobody_waited_for(tmp_path):
    ended = run(ENDS_AT_ONCE, tmp_path)
    assert (load(tmp_path / "kept" / "step-00000001.pt")["weight"] == 1).all()
    assert "SaveError: step-00000001.pt was not saved: there is no folder" in ended.stderr
    assert "'gone'" in ended.stderr
    assert ended.returncode == 3


EXIT_HANDLERS = """
def save_more(name, checkpoints):
    checkpoints.save(2, v=2)
    save(name + ".pt", v=2)

runs = {}
for name in ("foreground", "background"):  # Python calls exit handlers last to first
    atexit.register(lambda name=name: save_more("first " + name, runs["first " + name]))
    for order in ("first ", "last "):
        runs[order + name] = Checkpoints(order + name, background=name == "background")
        runs[order + name].save(1, v=1)
    atexit.register(save_more, "last " + name, runs["last " + name])
"""


def test_an_exit_handler_can_save(tmp_path):
    ended = run(EXIT_HANDLERS, tmp_path)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert len(os.listdir(tmp_path)) == 8
    for path in tmp_path.iterdir():
        assert load(path)["v"] == 2, path


SIGTERM = """
checkpoints = Checkpoints("run", background={background})
def stop(*_):
    checkpoints.close()
    sys.exit(99)
signal.signal(signal.SIGTERM, stop)
print("ready", flush=True)
for step in range(10_000):
    checkpoints.save(step, weight=torch.full((1 << 18,), step), step=step)
"""


@posix
@pytest.mark.parametrize("background", [False, True])
def test_a_signal_handler_that_closes_and_exits_keeps_its_exit_code(background, tmp_path):
    script = START + SIGTERM.format(background=background)
    with open(tmp_path / "said", "w+") as said:
        process = forked.start("-c", script, files=(sys.__stdin__, said, said), cwd=tmp_path)
        deadline = time.monotonic() + 60
        while "ready" not in (tmp_path / "said").read_text():
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.01)
        time.sleep(random.uniform(0.05, 0.3))
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 99
    loaded = load(tmp_path / "run")
    assert (loaded["weight"] == loaded["step"]).all()
    assert all(path.suffix == ".pt" for path in (tmp_path / "run").iterdir())


ALARMS = """
checkpoints = Checkpoints("run", background=True)
signal.signal(signal.SIGALRM, lambda *_: checkpoints.close())
for step in range(200):
    # One alarm for each save: handlers that interrupt each other reach the limit of recursion.
    signal.setitimer(signal.ITIMER_REAL, random.uniform(0.0001, 0.002))
    checkpoints.save(step, step=step)
checkpoints.close()
signal.setitimer(signal.ITIMER_REAL, 0)
"""


@posix
def test_a_signal_handler_may_close_while_a_save_or_a_close_waits(tmp_path):
    """Both would wait for one lock, if they waited by a lock: then neither would ever get it."""
    ended = run(ALARMS, tmp_path)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert load(tmp_path / "run")["step"] == 199


# ---- imports ------------------------------------------------------------------------------------


def test_only_torch_and_the_standard_library_are_imported():
    names = re.findall("^(?:import|from) ([a-z_]+)", Path(checkpoint.__file__).read_text(), re.M)
    assert set(names) - sys.stdlib_module_names == {"torch"}


def test_numpy_is_not_needed(tmp_path, monkeypatch):
    monkeypatch.delitem(sys.modules, "numpy")
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: False)  # an earlier test may use it
    save(tmp_path / "c.pt", v=1)
    assert set(load(tmp_path / "c.pt")["random_state"]) - {"mps"} == {"torch", "python"}
    assert restore(tmp_path / "c.pt") == {"v": 1}


@posix
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_an_interrupt_at_any_line_of_torch_save_does_not_end_the_process(tmp_path):
    """torch's writer, if it outlives the file, writes to it once more and aborts the process."""
    path = tmp_path / "c.pt"
    save(path, v=torch.ones(3))
    for number in range(1, 90):  # beyond the lines in which torch.save opens its writer
        child = os.fork()
        if child == 0:
            gc.freeze()  # what is there already need not be looked through below
            sys.settrace(interrupting(number))
            with contextlib.suppress(KeyboardInterrupt):
                save(path, v=torch.ones(3))
            sys.settrace(None)
            gc.collect()  # lets go of the writer
            os._exit(7)
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 7, f"event {number}"
    assert load(path)["v"].tolist() == [1, 1, 1]


def interrupting(number):
    """A trace function that raises KeyboardInterrupt at an event in torch's serialization."""
    count = itertools.count(1)

    def trace(frame, event, argument):
        if frame.f_code.co_filename != torch.serialization.__file__:
            return None
        if event in ("line", "call") and next(count) == number:
            raise KeyboardInterrupt
        return trace

    return trace


def test_leaving_by_sys_exit_keeps_its_exit_code_though_a_save_failed(tmp_path):
    code = f"""
import sys
from helpers.checkpoint import Checkpoints
with Checkpoints({str(tmp_path / "run")!r}, background=True) as checkpoints:
    checkpoints.save(1, v=len)
    sys.exit(3)
"""
    done = forked.run("-c", code)
    assert done.returncode == 3
    assert "SaveError" in done.stderr
