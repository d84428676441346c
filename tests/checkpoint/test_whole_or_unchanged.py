"""A path always holds the complete old checkpoint or the complete new one.

These tests kill real processes and fill a real disk. KILLS=500 kills more processes.
"""

import errno
import gc
import os
import random
import re
import signal
import stat
import subprocess
import sys
import threading
import time
import weakref
from argparse import Namespace
from collections import OrderedDict
from contextlib import contextmanager
from pathlib import Path
from shutil import which

import numpy
import pytest
import torch
from torch import nn

from helpers import checkpoint
from helpers.checkpoint import Checkpoints, SaveError, load, save
from parts import content, fork

KILLS = int(os.environ.get("KILLS", 30))
posix = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs Linux or macOS")
# From 3.12 on Python warns of forks of a process with threads. Those here only save.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")


def number_in(path):
    """The number of a file's content, after checking each of its values."""
    loaded = load(path)
    assert (loaded["weight"] == loaded["number"]).all()
    return loaded["number"]


def beside(path):
    return sorted(set(os.listdir(path.parent)) - {path.name})


def temporary_files(folder):
    return {name for name in os.listdir(folder) if name.endswith(".tmp")}


@pytest.fixture
def path(tmp_path):
    """A checkpoint with content 1, alone in a folder."""
    (tmp_path / "folder").mkdir()
    save(tmp_path / "folder" / "c.pt", **content(1))
    return tmp_path / "folder" / "c.pt"


@pytest.fixture(autouse=True)
def no_test_hangs():
    def stop(*_):
        raise TimeoutError("It hangs.")

    if hasattr(signal, "SIGALRM"):
        signal.signal(signal.SIGALRM, stop)
        signal.alarm(60 + KILLS)
    yield
    if hasattr(signal, "SIGALRM"):
        signal.alarm(0)


def kill(child):
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


# ---- kills --------------------------------------------------------------------------------------


@posix
@pytest.mark.parametrize("background", [False, True])
def test_a_kill_leaves_the_old_checkpoint_or_the_new_one(background, path, monkeypatch):
    def save_once(number):
        # The helper treats the fork as an ordinary process, in which it can use threads.
        monkeypatch.setattr(checkpoint, "_PID", os.getpid())
        checkpoints = Checkpoints(path.parent, keep_last=2, background=background)
        checkpoints.save(number, **content(number))
        checkpoints.close()

    path.unlink()
    start = time.perf_counter()
    assert os.waitpid(fork(save_once, 1), 0)[1] == 0
    length, now, interrupted = time.perf_counter() - start, 1, 0
    for number in range(2, 2 + KILLS):
        leftovers = temporary_files(path.parent)
        victim = fork(save_once, number)
        start = time.perf_counter()
        if number % 2:  # once it writes; the others, at any time
            while temporary_files(path.parent) <= leftovers and time.perf_counter() < start + 2:
                time.sleep(0.0002)
            time.sleep(random.uniform(0, 0.002))
        else:
            time.sleep(random.uniform(0, 1.2 * length))
        kill(victim)
        interrupted += temporary_files(path.parent) > leftovers
        found = number_in(path.parent)
        assert found in (now, number)
        now = found
    print(f"{interrupted} of {KILLS} kills came in the middle of a write")
    assert interrupted, "no kill came in the middle of a write: nothing was tested"


def stop_in_the_middle(path):
    """Stop a save of content 2 that has written something, but has not ended. Returns its id."""
    for _ in range(100):
        child = fork(save, path, **content(2, 1 << 22))
        while not os.waitpid(child, os.WNOHANG)[0]:
            if any((path.parent / name).stat().st_size for name in beside(path)):
                os.kill(child, signal.SIGSTOP)
                return child
    raise AssertionError("None of 100 saves was seen at work.")


@posix
def test_what_a_killed_save_left_is_deleted_an_hour_later(path):
    kill(stop_in_the_middle(path))
    (leftover,) = beside(path)
    save(path, **content(3))
    assert beside(path) == [leftover]  # it might be at work
    an_hour_ago = time.time() - 3700
    os.utime(path.parent / leftover, (an_hour_ago, an_hour_ago))
    save(path, **content(4))
    assert (number_in(path), beside(path)) == (4, [])


@posix
def test_a_save_leaves_the_temporary_file_of_another_save_alone(path):
    slow = stop_in_the_middle(path)
    try:
        begun = beside(path)
        save(path, **content(3))
        assert (number_in(path), beside(path)) == (3, begun)
    finally:
        os.kill(slow, signal.SIGCONT)
        status = os.waitpid(slow, 0)[1]
    assert status == 0
    assert (number_in(path), beside(path)) == (2, [])


@posix
@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_an_interrupted_save_leaves_the_old_checkpoint_and_passes_the_interrupt_on(error, path):
    def interrupt(*_):
        raise error(7)

    before = signal.signal(signal.SIGUSR1, interrupt)
    timer = threading.Timer(0.02, os.kill, (os.getpid(), signal.SIGUSR1))
    try:
        timer.start()
        with pytest.raises(error):
            while True:
                save(path, **content(1, 1 << 22))
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert (number_in(path), beside(path)) == (1, [])


# ---- several at the same time -------------------------------------------------------------------


@posix
def test_each_of_several_simultaneous_saves_is_complete(path):
    def write(first):
        for number in range(first, first + saves):
            save(path, **content(number, 1 << 12), random_state=False)

    saves, reads = 4 * KILLS, 0
    running = [fork(write, 10_000 * i) for i in (1, 2, 3)]
    while running:
        child, status = os.waitpid(-1, os.WNOHANG)
        if child:
            running.remove(child)
            assert status == 0
        number_in(path)
        reads += 1
    assert reads > 10
    assert number_in(path) % 10_000 == saves - 1  # the last of one of them
    assert beside(path) == []


@posix
def test_a_folder_can_be_read_while_another_process_saves_and_deletes_in_it(tmp_path):
    def write(first):
        checkpoints = Checkpoints(tmp_path, keep_last=1)
        for number in range(first, first + 4 * KILLS):
            checkpoints.save(number, v=number)

    for number in range(300):  # so that a look at the folder takes its time
        (tmp_path / f"{number}.log").touch()
    Checkpoints(tmp_path).save(0, v=0)
    child, seen = fork(write, 1), 0
    try:
        while not os.waitpid(child, os.WNOHANG)[0]:
            number = load(tmp_path)["v"]  # though the one it has just seen may be gone by now
            assert number >= seen
            seen = number
    except BaseException:
        kill(child)
        raise
    assert seen


@posix
def test_the_best_can_be_asked_for_while_another_process_saves_and_deletes(tmp_path):
    def write():
        checkpoints = Checkpoints(tmp_path, keep_last=1)
        for number in range(1, 1 + 4 * KILLS):
            checkpoints.save(number, v=number)

    for number in range(300):
        (tmp_path / f"{number}.log").touch()
    Checkpoints(tmp_path).save(0, v=0)
    child, seen = fork(write), set()
    try:
        while not os.waitpid(child, os.WNOHANG)[0]:
            seen.add(Checkpoints(tmp_path, metric="v").best)  # at every instant there is one
    except BaseException:
        kill(child)
        raise
    assert len(seen) > 1


# ---- disks --------------------------------------------------------------------------------------


@contextmanager
def file_size_limit(size):
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@posix
def test_a_save_beyond_the_file_size_limit_leaves_the_old_checkpoint(path):
    message = "c.pt was not saved: File too large for 4,19.,... bytes"
    with file_size_limit(100_000), pytest.raises(SaveError, match=message):
        save(path, **content(2))
    assert (number_in(path), beside(path)) == (1, [])
    save(path, **content(3))
    assert number_in(path) == 3


@posix
@pytest.mark.filterwarnings("ignore:Lazy|.*Sparse CSR")
def test_the_size_needed_is_that_of_the_storages_each_counted_once(path):
    whole = torch.ones(1 << 20)
    others = [torch.eye(3).to_sparse(), torch.eye(3).to_sparse_csr(), nn.LazyLinear(2).weight]
    parts = {"row": whole[:3], "again": [whole], "others": others}
    with file_size_limit(100_000), pytest.raises(SaveError, match="for 4,194,304 bytes of tensors"):
        save(path, **parts, random_state=False)


@pytest.fixture
def disk(tmp_path):
    """A disk of 4 MB."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", tmp_path]
    if sys.platform != "linux" or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("needs Linux and root, to mount a small disk")
    yield tmp_path
    subprocess.run(["umount", "--lazy", tmp_path], check=True)


def test_a_full_disk_is_reported_with_the_size_needed_and_gets_its_room_back(disk):
    path = disk / "c.pt"
    save(path, **content(1, 1 << 18))  # 1 MB
    gc.disable()  # the collector would free the room as well, but later
    try:
        for _ in range(3):
            message = "No space left on device for 4,19.,... bytes of tensors. .* is unchanged"
            with pytest.raises(SaveError, match=message):
                save(path, **content(2, 1 << 20))  # 4 MB
            assert (number_in(path), beside(path)) == (1, [])
        save(path, **content(3, 1 << 19))  # 2 MB, which fit if nothing was left behind
    finally:
        gc.enable()
    assert number_in(path) == 3


@posix
def test_without_permission_a_save_leaves_the_old_checkpoint(path):
    path.parent.chmod(0o555)
    root = os.geteuid() == 0  # may write anywhere, so it acts as another user for a while
    if root:
        os.seteuid(65534)
    try:
        with pytest.raises(SaveError, match="Permission denied"):
            save(path, **content(2))
    finally:
        if root:
            os.seteuid(0)
        path.parent.chmod(0o755)
    assert (number_in(path), beside(path)) == (1, [])


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(SaveError, match="c.pt was not saved: there is no folder 'missing'"):
        save(tmp_path / "missing" / "c.pt", v=1)


def test_an_error_is_freed_with_all_it_holds_once_it_is_handled(tmp_path):
    for background in (False, True):
        checkpoints = Checkpoints(tmp_path / f"run {background}", background=background)
        checkpoints.folder.rmdir()
        weight = torch.ones(9)
        held = [weakref.ref(weight)]
        gc.disable()  # the collector would find it, but later
        try:
            try:
                checkpoints.save(1, weight=weight)
                checkpoints.close()
            except SaveError as error:
                held.append(weakref.ref(error))
            del weight
            assert [one() for one in held] == [None, None]
        finally:
            gc.enable()


# ---- what weights_only=True would refuse -------------------------------------------------------


class Unpicklable:
    def __reduce__(self):
        raise RuntimeError("half way")


@pytest.mark.parametrize(
    "value",
    [Unpicklable(), len, lambda: 0, numpy.float64(0), numpy.ones(3), Path(), Namespace(lr=0.1)],
    ids=lambda value: type(value).__name__,
)
def test_what_torch_load_would_refuse_is_not_saved_and_its_place_is_named(value, path):
    place = rf"\['config'\]\['layers'\]\[1\]\['act'\] is of <class '.*{type(value).__name__}'>"
    with pytest.raises(SaveError, match=place):
        save(path, **content(2), config={"layers": [0, {"act": value}]})
    assert (number_in(path), beside(path)) == (1, [])


def in_itself():
    value = []
    value.append(value)
    return value


def nested(depth):
    value = 1
    for _ in range(depth):
        value = [value]
    return value


def with_an_array(holder, name):
    setattr(holder, name, {"": {"scale": numpy.ones(2)}})
    return holder


@pytest.mark.parametrize(
    "make",
    {
        "a long integer": lambda: 2**3000,
        "long integers": lambda: [2**3000],
        "names of integers": lambda: [signal.SIGINT],
        "a list in itself": in_itself,
        "a deep list": lambda: nested(2000),
        "a key": lambda: {numpy.float64(1): 1},
        "a tensor's attribute": lambda: with_an_array(torch.ones(2), "scale"),
        "an attribute in a dict": lambda: {"weight": with_an_array(torch.ones(2), "scale")},
        "a state dict's metadata": lambda: with_an_array(OrderedDict(), "_metadata"),
    }.items(),
    ids=lambda made: made[0],
)
def test_whatever_is_saved_without_an_error_can_be_loaded(make, path):
    # Each looks like something that weights_only=True reads, and is not.
    try:
        save(path, value=make[1]())
    except SaveError:
        assert number_in(path) == 1
    else:
        load(path)
    assert beside(path) == []


# ---- the order of things ------------------------------------------------------------------------

TWO_SAVES = """
import sys, torch, helpers.checkpoint as checkpoint
checkpoint.save(sys.argv[1] + "/c.pt", v=torch.ones(9))
checkpoint.Checkpoints(sys.argv[1] + "/run").save(1, v=torch.ones(9))
"""


@pytest.mark.skipif(not which("strace"), reason="needs Linux and strace")
def test_first_the_bytes_then_the_name_then_the_folder_reaches_the_disk(tmp_path):
    log, here = tmp_path / "log", tmp_path / "here"
    here.mkdir()
    calls = "mkdir,write,pwrite64,writev,fsync,fdatasync,rename,renameat,renameat2"
    strace = ["strace", "-f", "--seccomp-bpf", "-y", "-e", f"trace={calls}", "-o", log]
    script = [sys.executable, "-c", TWO_SAVES, here]
    if subprocess.run([*strace, *script], stderr=subprocess.PIPE).returncode:
        pytest.skip("needs Linux and strace, permitted and new")
    below = re.escape(str(here))  # as in: rename("/from", "/to") and fsync(3</path>)
    line = rf'(\w+)\([^"\n]*?[<"]({below}[^>"]*)[>"](?:.*"({below}[^"]*)")?'
    seen = re.findall(line, log.read_text())
    for path in (here / "c.pt", here / "run" / "step-00000001.pt"):
        at = next(i for i, (_, _, to) in enumerate(seen) if to == str(path))
        new = seen[at][1]
        about = [(call, file) for call, file, _ in seen if file in (new, str(path))]
        assert any("write" in call for call, _ in about)
        assert [call for call, _ in about][-2:] == ["fsync", "rename"]  # no write after it
        assert {file for _, file in about} == {new}  # and none to the path itself, ever
        assert ("fsync", str(path.parent), "") in seen[at:]
    made = seen.index(("mkdir", str(here / "run"), ""))  # its name has to reach the disk as well
    assert ("fsync", str(here), "") in seen[made:]


def test_a_flush_of_the_folder_that_fails_is_reported_though_the_file_is_there(path, monkeypatch):
    fail_for_folders(monkeypatch, errno.EIO)
    with pytest.raises(SaveError, match="Input/output error. The new file is in place") as raised:
        save(path, **content(2))
    assert "before" not in str(raised.value)
    assert (number_in(path), beside(path)) == (2, [])


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.EBADF])
def test_a_folder_that_cannot_be_flushed_fails_no_save(number, tmp_path, monkeypatch):
    # As CIFS (Linux before 4.17) and some FUSE and Ceph mounts answer.
    fail_for_folders(monkeypatch, number)
    checkpoints = Checkpoints(tmp_path / "run", keep_last=2)
    for step in range(4):
        checkpoints.save(step, step=step)
    assert checkpoints.restore()["step"] == 3
    assert len(checkpoints.paths) == 2


def fail_for_folders(monkeypatch, number):
    real = os.fsync

    def fsync(descriptor):
        if os.path.isdir(f"/dev/fd/{descriptor}"):
            raise OSError(number, os.strerror(number))
        real(descriptor)

    if not os.path.exists("/dev/fd"):
        pytest.skip("needs Linux or macOS, which tell what a descriptor belongs to")
    monkeypatch.setattr(os, "fsync", fsync)


def test_an_odd_key_is_named_and_not_the_dict_around_it(path):
    with pytest.raises(SaveError, match=r"the key .*0\.5.* in \['scores'\] is of <class 'numpy"):
        save(path, scores={numpy.float64(0.5): 1})


@pytest.mark.parametrize("error", [MemoryError("no memory"), torch.OutOfMemoryError("no memory")])
def test_an_error_that_is_not_of_the_value_is_reported_as_it_is(error, path):
    class Fails:
        def __reduce__(self):
            raise error

    with pytest.raises(SaveError, match="c.pt was not saved: no memory. The previous file"):
        save(path, epoch=1, v=Fails())


@pytest.mark.parametrize("error", [KeyboardInterrupt(), MemoryError("no memory")])
def test_what_stops_the_second_reading_stops_the_save(error, path, monkeypatch):
    original = torch.load

    def stopped(file, map_location, **options):
        if map_location == "cpu":
            raise error
        original(file, map_location, **options)
        raise NotImplementedError("as meta does for quantized tensors")

    monkeypatch.setattr(torch, "load", stopped)
    before = path.read_bytes()
    expected = SaveError if isinstance(error, MemoryError) else KeyboardInterrupt
    with pytest.raises(expected):
        save(path, v=1)
    assert path.read_bytes() == before


@posix
def test_a_temporary_file_is_as_private_as_the_file_that_it_replaces(path, monkeypatch):
    save(path, v=1)
    path.chmod(0o600)
    modes = []
    original = torch.save

    def spy(value, file):
        modes.append(stat.S_IMODE(os.stat(file.name).st_mode))
        return original(value, file)

    monkeypatch.setattr(torch, "save", spy)
    save(path, v=2)
    assert modes == [0o600]
