"""Compare the saves and loads of helpers/checkpoint.py with torch and with other libraries.

`make bench` runs it. `make bench ARGS=--long` adds models of 1 GB, which need 10 GB of disk, the
speed of training during a save, and more rounds. Only the ratios are comparable between machines.
In each round, the methods run in random order. A ratio is the median, over the rounds, of the time
of a method divided by the time of the first method in that round. The files are in this
repository's folder, because /tmp may be in memory, and in the disk's cache when they are read. The
targets are printed, not asserted.
"""

import argparse
import ctypes
import gc
import itertools
import os
import random
import re
import tempfile
import time
import warnings
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from threading import Thread
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from course import ROOT
from helpers import checkpoint

BYTES = {"1 MB": 10**6, "100 MB": 10**8, "1 GB": 10**9}
ROUNDS = {"1 MB": 15, "100 MB": 5, "1 GB": 5}
SHAPES = ("few", "many")
AIMS = {
    "save": {"1 MB": 2.0, "100 MB": 1.2, "1 GB": 1.2},
    "load": {"1 MB": 2.0, "100 MB": 1.6, "1 GB": 1.6},
    "background": {"1 MB": 2.5, "100 MB": 2.5, "1 GB": 2.5},
}
KEY = "model_state_dict"
LIBC = ctypes.CDLL(None)
STATUS = Path("/proc/self/status")  # where Linux tells a process how much memory it has

Ways = dict[str, Callable[[], Any]]
Found = dict[str, float]


@dataclass(frozen=True)
class Case:
    """A model of four tensors ("few"), or of one tensor for each 25 kB, at most 10,000."""

    size: str
    shape: str

    def model(self) -> nn.Module:
        count = 4 if self.shape == "few" else min(BYTES[self.size] // 25_000, 10_000)
        length = BYTES[self.size] // 4 // count
        return nn.ParameterList(torch.rand(length) for _ in range(count))


def ratios(ways: Ways, rounds: int) -> Found:
    """The milliseconds of the first method, and the ratio of each other method to it."""
    first, *others = ways
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds + 1):
        for name in random.sample(list(ways), len(ways)):
            settle()
            start = time.perf_counter()
            result = ways[name]()
            seconds[name].append(time.perf_counter() - start)
            if callable(result):  # what waits for the end of a save in the background
                result()
            del result
    base = seconds[first][1:]  # the first round warms up
    found = {f"{first}, ms": 1000 * median(base)}
    for name in others:
        found[name] = median(a / b for a, b in zip(seconds[name][1:], base, strict=True))
    return found


def settle() -> None:
    """Free all memory and flush all writes, so that each measurement starts like a new process."""
    gc.collect()
    if hasattr(LIBC, "malloc_trim"):  # glibc
        LIBC.malloc_trim(0)
    os.sync()


def save_and_load(case: Case, folder: Path, rounds: int) -> tuple[Found, Found]:
    """The ratios of the saves to torch.save and fsync, and of the loads to torch.load."""
    import torch.distributed.checkpoint as dcp  # The peers are imported here: the processes
    from ignite.handlers import DiskSaver  # that measure memory do without.
    from lightning_fabric.plugins.io import TorchCheckpointIO
    from safetensors.torch import load_file, save_file

    model, lightning, ignite = case.model(), TorchCheckpointIO(), DiskSaver(folder)
    file, shards, tensors = folder / "checkpoint.pt", folder / "dcp", folder / "model.safetensors"
    gc.freeze()  # what is there by now is not looked at in each gc.collect()

    def state() -> dict[str, Any]:
        return {KEY: model.state_dict()}

    def durably(path: Path) -> None:
        torch.save(state(), path)
        flush(path)

    def atomically() -> None:
        durably(folder / "new.pt")
        os.replace(folder / "new.pt", folder / "replaced.pt")
        flush(folder)

    def dcp_load() -> dict[str, Tensor]:
        into = {key: torch.empty_like(one) for key, one in model.state_dict().items()}
        dcp.load({KEY: into}, checkpoint_id=shards)
        return into

    saves: Ways = {
        "torch.save + fsync": lambda: durably(folder / "durable.pt"),
        # Without random states, as the others. Those of Python and NumPy are 3,000 numbers.
        "checkpoint.save": lambda: checkpoint.save(file, model=model, random_state=False),
        "torch.save, fsync, rename, fsync": atomically,
        "torch.save alone": lambda: torch.save(state(), folder / "plain.pt"),
        "safetensors": lambda: save_file(model.state_dict(), tensors),
        "ignite, atomic": lambda: ignite(state(), "ignite.pt"),
        "Lightning, atomic": lambda: lightning.save_checkpoint(state(), folder / "lightning.pt"),
        "DCP, durable": lambda: dcp.save(state(), checkpoint_id=shards) and None,
    }
    loads: Ways = {
        "torch.load (also ignite's)": lambda: torch.load(file),
        "checkpoint.load": lambda: checkpoint.load(file),
        "torch.load(mmap), each page read": lambda: touch(torch.load(file, mmap=True)[KEY]),
        "safetensors, each page read": lambda: touch(load_file(tensors)),
        "Lightning": lambda: lightning.load_checkpoint(file),
        "DCP": dcp_load,
    }
    return ratios(saves, rounds), ratios(loads, rounds)


def flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def touch(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Read one number of each page, because mmap has read none."""
    for tensor in tensors.values():
        tensor[::1024].sum()
    return tensors


RESTORES: dict[str, Callable[[Path, nn.Module], Any]] = {
    "torch.load + load_state_dict": lambda path, model: model.load_state_dict(
        torch.load(path)[KEY]
    ),
    "checkpoint.restore": lambda path, model: checkpoint.restore(path, model=model),
    "torch.load(mmap) + assign": lambda path, model: model.load_state_dict(
        torch.load(path, mmap=True)[KEY], assign=True
    ),
}


def peak(name: str, path: Path, case: Case) -> float:
    """The peak memory of a load beyond the model, divided by the size of the file."""

    def memory(field: str) -> int:
        (kilobytes,) = re.findall(rf"{field}:\s+(\d+) kB", STATUS.read_text())
        return 1024 * int(kilobytes)

    small, file = Case("1 MB", "few").model(), path.with_suffix(".small.pt")
    checkpoint.save(file, model=small)
    RESTORES[name](file, small)  # so that all that it imports is there
    touch(small.state_dict())
    model = case.model()
    settle()
    STATUS.with_name("clear_refs").write_text("5")  # from here on the peak counts
    before = memory("VmRSS")
    RESTORES[name](path, model)
    touch(model.state_dict())
    return (memory("VmHWM") - before) / path.stat().st_size


def peaks(case: Case, folder: Path) -> Found:
    """The peak of each way to load, each in a separate process."""
    checkpoint.save(path := folder / "memory.pt", model=case.model())
    found: Found = {}
    for name in RESTORES if STATUS.exists() else ():  # only Linux tells
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
            found[name] = process.submit(peak, name, path, case).result()
    return found


def async_save(state_dict: dict[str, Tensor], folder: Path) -> Callable[[], Any]:
    """Start to save a distributed checkpoint, and return a function that waits for it."""
    import torch.distributed.checkpoint as dcp

    saving = dcp.async_save(state_dict, checkpoint_id=folder)
    assert isinstance(saving, Future)
    return saving.result


def background(case: Case, folder: Path, rounds: int, long: bool) -> tuple[Found, Found]:
    """How long a save blocks, relative to a copy, and the speed of training while it writes."""
    model, number, cores = case.model(), itertools.count(), torch.get_num_threads()
    with checkpoint.Checkpoints(folder / "run", keep_last=1, background=True) as own:
        copy = {"a copy": lambda: {key: one.clone() for key, one in model.state_dict().items()}}
        ways: Ways = {
            "Checkpoints.save": lambda: own.save(next(number), model=model) and own.wait,
            "DCP async_save": lambda: async_save(model.state_dict(), folder / "async_dcp"),
        }
        blocked = ratios(copy | ways, rounds)
        speeds = {
            f"{name}, {n} of {cores} cores": median(speed(way, n) for _ in range(rounds))
            for n in ((cores, max(1, cores - 1)) if long else ())
            for name, way in ways.items()
        }
    torch.set_num_threads(cores)
    return blocked, speeds


def speed(save: Callable[[], Callable[[], Any]], threads: int) -> float:
    """The training steps per second while the file is written, relative to an idle disk."""
    torch.set_num_threads(threads)
    net = nn.Sequential(nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 256))
    optimizer, x = torch.optim.SGD(net.parameters(), lr=1e-3), torch.rand(64, 256)

    def pace(goes_on: Callable[[], bool]) -> float:
        steps, start = 0, time.perf_counter()
        while not steps or goes_on():
            optimizer.zero_grad()
            nn.functional.mse_loss(net(x), x).backward()
            optimizer.step()
            steps += 1
        return steps / (time.perf_counter() - start)

    end = time.perf_counter() + 0.1
    pace(lambda: time.perf_counter() < end)  # warms up
    settle()
    writing, start = Thread(target=save()), time.perf_counter()
    writing.start()
    during = pace(writing.is_alive)
    end = 2 * time.perf_counter() - start
    return during / pace(lambda: time.perf_counter() < end)


def table(
    title: str, columns: dict[Case, Found], own: str = "", aims: dict[str, float] | None = None
) -> None:
    """Print the results with one column for each case, and below whether the target is reached."""
    names = next(iter(columns.values()))
    if not names:
        return
    print(f"\n{title}\n{'':34}" + "".join(f"{f'{c.size}, {c.shape}':>14}" for c in columns))
    for name in names:
        print(f"{name:34}" + "".join(f"{column[name]:14.2f}" for column in columns.values()))
    if aims:
        print(f"{f'aim for {own}':34}" + "".join(f"{aims[case.size]:14.2f}" for case in columns))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--long", action="store_true", help="add 1 GB, training, and more rounds")
    long = parser.parse_args().long
    cases = [Case(size, shape) for size in list(BYTES)[: None if long else 2] for shape in SHAPES]
    warnings.filterwarnings("ignore", module="torch.distributed")  # that DCP has one process, …
    saves, loads, memory, blocked, speeds = ({} for _ in range(5))
    for case in tqdm(cases, desc="checkpoints"):
        rounds = ROUNDS[case.size] * (2 if long and case.size != "1 GB" else 1)
        with tempfile.TemporaryDirectory(prefix=".bench-", dir=ROOT) as name:
            saves[case], loads[case] = save_and_load(case, Path(name), rounds)
            memory[case] = peaks(case, Path(name))
            blocked[case], speeds[case] = background(case, Path(name), rounds, long)

    table("Save, by torch.save + fsync", saves, "checkpoint.save", AIMS["save"])
    table("Load, by torch.load", loads, "checkpoint.load", AIMS["load"])
    table("Peak beyond the model, by the file", memory)
    table("A background save blocks, by a copy", blocked, "Checkpoints.save", AIMS["background"])
    table("Training while it writes, by alone", speeds)


if __name__ == "__main__":
    main()
