"""At every instant a path holds the old checkpoint or the new one, whole; and damage is found.

Processes are really killed here and disks are really full. KILLS=500 kills more of them.
"""

import errno
import gc
import io
import os
import pickle
import random
import re
import signal
import subprocess
import sys
import threading
import time
import traceback
import warnings
import weakref
import zipfile
from argparse import Namespace
from collections import OrderedDict
from contextlib import contextmanager
from pathlib import Path
from shutil import which

import numpy
import pytest
import torch
from torch import nn
from torch.utils.serialization import config

from helpers.checkpoint import Checkpoints, CorruptError, SaveError, load, restore, save
from helpers.devices import save_from

KILLS = int(os.environ.get("KILLS", 30))
GOLDEN = Path(__file__).parent / "golden"
posix = pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows has no fork, and no umask")
# From 3.12 on Python warns of forks of a process with threads. Those here save, and no more.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")


def content(number, size=1 << 20):
    return {"number": number, "weight": torch.full((size,), float(number))}


def number_in(path):
    """The number of the content that the path holds, after a look at each of its values."""
    loaded = load(path)
    assert (loaded["weight"] == loaded["number"]).all()
    return loaded["number"]


def beside(path):
    return sorted(set(os.listdir(path.parent)) - {path.name})


@pytest.fixture
def path(tmp_path):
    """A checkpoint in a folder of its own, with content 1."""
    (tmp_path / "folder").mkdir()
    save(tmp_path / "folder" / "c.pt", **content(1))
    return tmp_path / "folder" / "c.pt"


@pytest.fixture(autouse=True)
def no_test_hangs():
    """A save that waited for a lock which nobody gives back would wait for ever."""

    def stop(*_):
        raise TimeoutError("It hangs.")

    if hasattr(signal, "SIGALRM"):
        signal.signal(signal.SIGALRM, stop)
        signal.alarm(60 + KILLS)
    yield
    if hasattr(signal, "SIGALRM"):
        signal.alarm(0)


def fork(function, *arguments, **keywords):
    """Call it in a process of its own, and return its id. Its status is 0 if all went well."""
    if child := os.fork():
        return child
    try:
        torch.set_num_threads(1)  # a fork has none of the others
        function(*arguments, **keywords)
        os._exit(0)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(1)


def kill(child):
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


# ---- saving -------------------------------------------------------------------------------------


@posix
def test_a_killed_save_leaves_the_old_checkpoint_or_the_new_one(path):
    start = time.perf_counter()
    save(path, **content(1))
    length, now, interrupted = time.perf_counter() - start, 1, 0
    for number in range(2, 2 + KILLS):
        victim = fork(save, path, **content(number))
        time.sleep(random.uniform(0, 1.2 * length))
        kill(victim)
        interrupted += bool(beside(path))
        found = number_in(path)
        assert found in (now, number)
        now = found
    assert interrupted, "no kill came in the middle of a save: nothing was tested"
    save(path, **content(0))
    assert beside(path) == []


@posix
def test_a_kill_in_the_background_leaves_the_newest_or_the_one_before(tmp_path):
    def save_in_the_background(number):
        with Checkpoints(tmp_path, keep_last=1, background=True) as checkpoints:
            checkpoints.save(number, **content(number))

    save_in_the_background(0)
    now = 0
    for number in range(1, 1 + KILLS):
        victim = fork(save_in_the_background, number)
        time.sleep(random.uniform(0, 0.025))
        kill(victim)
        found = number_in(tmp_path)
        assert found in (now, number)
        now = found
    save_in_the_background(1 + KILLS)  # takes away what the others left, whatever its name
    assert os.listdir(tmp_path) == [f"step-{1 + KILLS:08d}.pt"]


def stop_in_the_middle(path):
    """Stop a save of content 2 that has written something, but has not ended. Returns its id."""
    for _ in range(100):
        child = fork(save, path, **content(2, 1 << 22))
        while not os.waitpid(child, os.WNOHANG)[0]:
            for stray in beside(path):
                if any(p.is_file() and p.stat().st_size for p in path.parent.rglob(f"{stray}*/*")):
                    os.kill(child, signal.SIGSTOP)
                    return child
    raise AssertionError("None of 100 saves was seen at work.")


@posix
def test_the_next_save_takes_away_what_a_killed_one_left(path):
    kill(stop_in_the_middle(path))
    assert beside(path)
    assert number_in(path) == 1
    save(path, **content(3))
    assert (number_in(path), beside(path)) == (3, [])


@posix
def test_a_save_leaves_alone_what_a_living_one_has_begun(path):
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
def test_of_saves_at_once_each_is_whole(path):
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
def test_a_folder_is_read_while_another_process_saves_and_deletes_in_it(tmp_path):
    def write(first):
        checkpoints = Checkpoints(tmp_path, keep_last=1)
        for number in range(first, first + 4 * KILLS):
            checkpoints.save(number, v=number)

    for number in range(300):  # it takes its time to see what is there
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
def test_the_best_is_asked_for_while_another_process_saves_and_deletes(tmp_path):
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


@posix
def test_a_process_forked_during_a_save_does_not_hold_up_the_next(path):
    # A DataLoader's workers are such: they inherit whatever a save in a thread has open.
    stop, saved, children = threading.Event(), threading.Event(), []

    def keep_saving():
        while not stop.is_set():
            save(path, v=1)
            saved.set()

    thread = threading.Thread(target=keep_saving)
    thread.start()
    try:
        for _ in range(40):
            children.append(fork(time.sleep, 60))
            time.sleep(random.uniform(0, 0.002))
        saved.clear()
        assert saved.wait(5), "it waits for a lock that a child holds"
    finally:
        stop.set()
        for child in children:
            kill(child)
        thread.join()


@posix
def test_a_save_that_may_not_write_so_much_leaves_the_old_checkpoint(path):
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        with pytest.raises(SaveError, match="c.pt.* was not saved"):
            save(path, **content(2))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert (number_in(path), beside(path)) == (1, [])
    save(path, **content(3))
    assert number_in(path) == 3


@pytest.fixture
def disk(tmp_path):
    """A disk of 4 MB."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", tmp_path]
    if sys.platform != "linux" or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("only on Linux is there tmpfs, and only root may mount it")
    yield tmp_path
    subprocess.run(["umount", "--lazy", tmp_path], check=True)


def test_a_save_on_a_full_disk_gives_back_the_room_it_took(disk):
    path = disk / "c.pt"
    save(path, **content(1, 1 << 18))  # 1 MB
    gc.disable()  # which would give it back, too, but later
    try:
        for _ in range(3):
            with pytest.raises(SaveError, match="What was there before is there still"):
                save(path, **content(2, 1 << 20))  # 4 MB
            assert (number_in(path), beside(path)) == (1, [])
        save(path, **content(3, 1 << 19))  # 2 MB, for which there is room if nothing is left
    finally:
        gc.enable()
    assert number_in(path) == 3


@posix
def test_without_the_right_to_write_a_save_leaves_the_old_checkpoint(path):
    path.parent.chmod(0o555)
    root = os.geteuid() == 0  # may write anywhere, and so is somebody else for a while
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


def test_if_only_the_folder_is_not_flushed_it_is_said_that_the_new_file_is_there(path, monkeypatch):
    def flush(flushed):
        if flushed.is_dir():
            raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("helpers.checkpoint._flush", flush)
    with pytest.raises(SaveError, match="Input/output error. The new file is there") as raised:
        save(path, **content(2))
    assert "before" not in str(raised.value)
    assert (number_in(path), beside(path)) == (2, [])


@pytest.mark.parametrize("background", [False, True])
def test_an_error_is_let_go_with_all_it_holds_once_it_is_handled(background, tmp_path):
    checkpoints = Checkpoints(tmp_path / "run", background=background)
    checkpoints.folder.rmdir()
    weight = torch.ones(9)
    held = [weakref.ref(weight)]
    gc.disable()  # which would find it, but later
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


def test_a_missing_folder_is_an_error(tmp_path):
    with pytest.raises(SaveError, match=r"missing.c\.pt"):
        save(tmp_path / "missing" / "c.pt", v=1)


class Unpicklable:
    def __reduce__(self):
        raise RuntimeError("half way")


@pytest.mark.parametrize(
    "value",
    [Unpicklable(), len, lambda: 0, numpy.float64(0), numpy.ones(3), Path(), Namespace(lr=0.1)],
    ids=lambda value: type(value).__name__,
)
def test_what_could_not_be_loaded_is_refused_before_anything_is_written(value, path):
    def state():
        return path.read_bytes(), path.stat().st_mtime_ns, path.parent.stat().st_mtime_ns

    before = state()
    with pytest.raises(SaveError, match=f"config.*layers.*1.*act.*{type(value).__name__}"):
        save(path, **content(2), config={"layers": [0, {"act": value}]})
    assert state() == before


def in_itself():
    value = []
    value.append(value)
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
        "a key": lambda: {numpy.float64(1): 1},
        "a tensor's attribute": lambda: with_an_array(torch.ones(2), "scale"),
        "an attribute in a dict": lambda: {"weight": with_an_array(torch.ones(2), "scale")},
        "a state dict's metadata": lambda: with_an_array(OrderedDict(), "_metadata"),
    }.items(),
    ids=lambda made: made[0],
)
def test_what_was_saved_without_an_error_can_be_loaded(make, path):
    # Each looks like something that weights_only=True reads, and is not.
    try:
        save(path, value=make[1]())
    except SaveError:
        assert number_in(path) == 1
    else:
        load(path)


def test_checksums_are_written_even_if_torch_was_told_to_leave_them_out(path):
    with config.patch("save.compute_crc32", False):
        save(path, **content(2))
    assert number_in(path) == 2


TWO_SAVES = """
import sys, torch, helpers.checkpoint as checkpoint
checkpoint.save(sys.argv[1] + "/c.pt", v=torch.ones(9))
checkpoint.Checkpoints(sys.argv[1] + "/run").save(1, v=torch.ones(9))
"""


@pytest.mark.skipif(not which("strace"), reason="what reaches the disk is seen with Linux's strace")
def test_first_the_bytes_then_the_name_then_the_folder_reaches_the_disk(tmp_path):
    log, here = tmp_path / "log", tmp_path / "here"
    here.mkdir()
    calls = "mkdir,write,pwrite64,writev,fsync,fdatasync,rename,renameat,renameat2"
    strace = ["strace", "-f", "--seccomp-bpf", "-y", "-e", f"trace={calls}", "-o", log]
    script = [sys.executable, "-c", TWO_SAVES, here]
    if subprocess.run([*strace, *script], stderr=subprocess.PIPE).returncode:
        pytest.skip("strace is not permitted here, or is too old")
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


def test_a_link_stays_a_link_to_the_new_checkpoint(tmp_path):
    (tmp_path / "runs").mkdir()
    target, link = tmp_path / "runs" / "c.pt", tmp_path / "latest.pt"
    try:
        link.symlink_to(Path("runs", "c.pt"))
    except OSError:
        pytest.skip("Windows asks for a right to make links")
    for number in (1, 2):  # at first there is nothing at its end
        save(link, **content(number))
        assert link.is_symlink()
        assert (number_in(target), beside(target)) == (number, [])


@posix
@pytest.mark.parametrize("mask, mode", [(0o022, 0o644), (0o077, 0o600), (0o027, 0o640)])
def test_the_file_gets_the_rights_that_the_umask_leaves(mask, mode, tmp_path):
    before = os.umask(mask)
    try:
        save(tmp_path / "c.pt", v=1)
    finally:
        os.umask(before)
    assert (tmp_path / "c.pt").stat().st_mode & 0o777 == mode


@pytest.mark.skipif(os.name == "nt", reason="Windows replaces no file that is mapped")
def test_whoever_has_the_old_file_mapped_keeps_its_values(path):
    mapped = torch.load(path, mmap=True)
    save(path, **content(2))
    assert (mapped["weight"] == 1).all()


@pytest.mark.parametrize("name", ["checkpoint.pt", "größe [1].tar", "without-ending"])
def test_the_bytes_are_those_that_torch_save_writes(name, tmp_path):
    model = nn.Linear(3, 2)
    (tmp_path / "theirs").mkdir()
    save(tmp_path / name, model=model, epoch=3, random_state=False)
    torch.save({"model_state_dict": model.state_dict(), "epoch": 3}, tmp_path / "theirs" / name)
    assert (tmp_path / name).read_bytes() == (tmp_path / "theirs" / name).read_bytes()


# ---- loading ------------------------------------------------------------------------------------

SMALL = {name: torch.arange(16.0) + 100 * i for i, name in enumerate("abc")}  # of equal size,
# so that a wrong address in the file could put one in another's place.


def is_damaged(path):
    """Whether load says so. If it does not, there may be nothing wrong with what it returns."""
    try:
        loaded = load(path)
    except CorruptError:
        return True
    assert list(loaded) == list(SMALL)
    assert all(torch.equal(loaded[name], SMALL[name]) for name in SMALL)
    return False


@pytest.fixture
def small(tmp_path):
    save(tmp_path / "c.pt", **SMALL, random_state=False)
    return tmp_path / "c.pt"


def headers_and_data(path):
    """Where the headers of a zip file's records stand, and where their data."""
    raw, data = path.read_bytes(), set()
    with zipfile.ZipFile(path) as archive:
        headers = set(range(archive.start_dir, len(raw)))
        for record in archive.infolist():
            at = record.header_offset
            name, extra = (int.from_bytes(raw[at + i : at + i + 2], "little") for i in (26, 28))
            headers |= set(range(at, at + 30 + name))
            data |= set(range(at + 30 + name + extra, at + 30 + name + extra + record.file_size))
    return headers, data


@contextmanager
def flipped(path, at, bit):
    with path.open("r+b", buffering=0) as file:

        def flip():
            file.seek(at)
            byte = file.read(1)[0]
            file.seek(at)
            file.write(bytes([byte ^ 1 << bit]))

        flip()
        yield
        flip()


def test_no_flipped_bit_changes_what_is_loaded(small):
    headers, data = headers_and_data(small)
    found, wrong = {True: 0, False: 0}, []
    for at in range(small.stat().st_size):
        for bit in range(8) if at in headers else [random.randrange(8)]:
            with flipped(small, at, bit):
                try:
                    damaged = is_damaged(small)
                    found[damaged] += 1
                    if at in data and not damaged:
                        wrong.append((at, bit, "not found"))
                except Exception as error:  # go on: where they are tells more than the first one
                    wrong.append((at, bit, repr(error)[:60]))
    assert not wrong, f"{len(wrong)} flips, at (byte, bit): {wrong}"
    assert found[True] > len(data) + 1000
    assert found[False] > 1000  # dates, flags, padding: nobody reads them


def test_in_a_large_file_too_every_flip_is_found(tmp_path):
    path, size, chunk = tmp_path / "c.pt", 9 << 20, 4 << 20  # more than what a thread reads at once
    numbers = torch.arange(size // 4, dtype=torch.int32)
    save(path, numbers=numbers, random_state=False)
    start = path.read_bytes().index(numbers[:8].numpy().tobytes())
    borders = [0, chunk - 1, chunk, 2 * chunk - 1, 2 * chunk, size - 1]
    for at in borders + random.sample(range(size), 10):
        with flipped(path, start + at, random.randrange(8)), pytest.raises(CorruptError):
            load(path)
    assert torch.equal(load(path)["numbers"], numbers)


def test_a_damaged_file_changes_nothing_that_it_is_restored_into(tmp_path):
    path, model = tmp_path / "c.pt", nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8))
    optimizer = torch.optim.Adam(model.parameters())

    def state():
        random_state = random.getstate(), torch.get_rng_state(), repr(numpy.random.get_state())
        torch.save((model.state_dict(), optimizer.state_dict(), random_state), file := io.BytesIO())
        return file.getvalue()

    model(torch.ones(2, 8)).sum().backward()
    save(path, model=model, optimizer=optimizer)
    optimizer.step()
    before, data = state(), sorted(headers_and_data(path)[1])
    for at in data[:: len(data) // 20]:
        with flipped(path, at, at % 8), pytest.raises(CorruptError):
            restore(path, model=model, optimizer=optimizer)
        assert state() == before
    restore(path, model=model, optimizer=optimizer)
    assert state() != before


def test_wherever_it_is_cut_off_a_file_is_found_damaged(small):
    raw = small.read_bytes()
    for length in {0, 1, 31, *range(64, len(raw), 64), len(raw) - 1}:
        small.write_bytes(raw[:length])
        assert is_damaged(small)


def other(raw):
    """A checkpoint of the same size with other values."""
    return raw.replace(SMALL["c"].numpy().tobytes(), SMALL["a"].numpy().tobytes())


def without_length(raw):
    """The directory says that nothing belongs to data/1, which has the checksum 0."""
    at = raw.rindex(b"PK\x01\x02", 0, raw.rindex(b"/data/1"))
    return raw[: at + 16] + bytes(12) + raw[at + 28 :]


def swapped(raw):
    """The directory takes data/0 for data/1, and the other way round: the checksums fit."""
    at = raw.index(b"PK\x01\x02")  # where the directory begins
    names = raw[at:].replace(b"/data/0", b"/data/?").replace(b"/data/1", b"/data/0")
    return raw[:at] + names.replace(b"/data/?", b"/data/1")


def other_zip(raw):
    with zipfile.ZipFile(file := io.BytesIO(), "w") as archive:
        archive.writestr("c/data.pkl", pickle.dumps({"epoch": 3}))
    return file.getvalue()


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935\nsize 12345\n"
OLD = (GOLDEN / "checkpoint-torch-1.0.1.tar").read_bytes()


@pytest.mark.parametrize(
    "damage",
    {
        "halves of two": lambda raw: raw[: len(raw) // 2] + other(raw)[len(raw) // 2 :],
        "one after another": lambda raw: raw + other(raw),
        "something before": lambda raw: bytes(64) + raw,
        "a line before": lambda raw: b"\n" + raw,
        "zeros in the middle": lambda raw: raw[:512] + bytes(512) + raw[1024:],
        "no length in the directory": without_length,
        "two names swapped in the directory": swapped,
        "zeros": lambda raw: bytes(len(raw)),
        "a Git LFS pointer": lambda raw: LFS,
        "an HTML page": lambda raw: b"<!DOCTYPE html><html><body>Not found</body></html>",
        "a pickle": lambda raw: pickle.dumps({"epoch": 3}),
        "a zip of another program": other_zip,
        "a legacy file without its end": lambda raw: OLD[:-1],
        "half a legacy file": lambda raw: OLD[: len(OLD) // 2],
        "a legacy file's pickle, cut off": lambda raw: OLD[:1000],
        "a legacy file's first bytes": lambda raw: OLD[:40],
    }.items(),
    ids=lambda damage: damage[0],
)
def test_what_is_no_whole_checkpoint_is_called_so(damage, small):
    small.write_bytes(damage[1](small.read_bytes()))
    with pytest.raises(CorruptError, match="c.pt"):
        load(small)


def test_a_legacy_file_is_read_with_a_warning_that_it_is_not_verified():
    with pytest.warns(UserWarning, match="checkpoint-torch-1.0.1.tar.*not verified"):
        loaded = load(GOLDEN / "checkpoint-torch-1.0.1.tar")
    assert "model_state_dict" in loaded


def test_a_file_of_a_torch_that_left_the_checksums_out_is_read_with_that_warning(tmp_path):
    path = tmp_path / "c.pt"
    with config.patch("save.compute_crc32", False):
        torch.save(SMALL, path)
    for found in (path, tmp_path):
        with pytest.warns(UserWarning, match="c.pt is read but not verified"):
            loaded = load(found)
        assert all(torch.equal(loaded[name], SMALL[name]) for name in SMALL)
    path.write_bytes(path.read_bytes()[:-1])
    assert is_damaged(path)


def test_any_other_file_is_read_without_a_warning(small):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load(small)


class Evil:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("legacy", [False, True])
def test_nothing_in_a_file_is_executed(legacy, tmp_path):
    for value in (Evil(tmp_path / "executed"), nn.Linear(2, 2)):
        torch.save({"v": value}, tmp_path / "c.pt", _use_new_zipfile_serialization=not legacy)
        with pytest.raises(pickle.UnpicklingError):
            load(tmp_path / "c.pt")
    assert not (tmp_path / "executed").exists()


def test_a_missing_file_is_not_called_damaged(tmp_path):
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "missing.pt")


@pytest.mark.skipif(torch.cuda.is_available(), reason="has a GPU")
def test_a_file_for_a_gpu_is_not_called_damaged(tmp_path):
    save_from("cuda:0", SMALL, tmp_path / "gpu.pt")
    with pytest.raises(RuntimeError, match="Attempting to deserialize object on a CUDA device"):
        load(tmp_path / "gpu.pt")
    assert torch.equal(load(tmp_path / "gpu.pt", map_location="cpu")["a"], SMALL["a"])


def test_checksums_are_compared_even_if_torch_was_told_to_map_files(small):
    with config.patch("load.mmap", True):
        assert not is_damaged(small)
        with flipped(small, max(headers_and_data(small)[1]), 0):
            assert is_damaged(small)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not keep to RLIMIT_AS")
def test_a_file_that_does_not_fit_in_memory_is_not_called_damaged(tmp_path):
    import resource

    def load_it():
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + (60 << 20), resource.RLIM_INFINITY))
        taken = []
        with pytest.raises(RuntimeError, match="memory"):
            while True:
                taken.append(torch.ones(1 << 20))
        del taken[-5:]  # so 20 MB are left
        with pytest.raises((MemoryError, RuntimeError), match="memory|^$"):
            load(tmp_path)  # and no older one is loaded in its place

    save(tmp_path / "1.pt", v=1)
    save(tmp_path / "2.pt", v=[torch.ones(1 << 20) for _ in range(20)])  # 80 MB
    assert os.waitpid(fork(load_it), 0)[1] == 0
