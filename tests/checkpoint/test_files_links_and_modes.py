"""A file is written and replaced as any other: special files, links, modes and shared folders."""

import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch

from helpers.checkpoint import Checkpoints, SaveError, load, save
from parts import content, fork

LONG = 240 if os.name == "posix" else 40  # Windows limits the whole path, to 260
posix = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs Linux or macOS")
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")


@pytest.fixture
def link():
    """How to make a link to a path, on a system that lets anybody make one."""

    def make(path, target):
        try:
            path.symlink_to(target)
        except OSError:
            pytest.skip("needs Linux or macOS: Windows asks for a right to make links")
        return path

    return make


# ---- special files ------------------------------------------------------------------------------


def device_like(name: str, folder: Path) -> Path:
    """A device, or for root a copy of it, because root could replace the one of the system."""
    if os.geteuid() != 0:
        return Path(name)
    device = folder / "device"
    try:
        os.mknod(device, 0o666 | stat.S_IFCHR, os.stat(name).st_rdev)
        device.open("wb").close()
    except PermissionError:
        pytest.skip("needs root that makes devices, or a user")
    return device


@posix
def test_the_null_device_takes_a_checkpoint_and_stays_what_it_is(tmp_path):
    device = device_like("/dev/null", tmp_path)
    save(device, v=1)
    assert stat.S_ISCHR(device.stat().st_mode)
    assert list(tmp_path.iterdir()) in ([], [device])


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")
def test_a_full_device_is_reported_as_full(tmp_path):
    with pytest.raises(SaveError, match="No space left on device for .* bytes of tensors"):
        save(device_like("/dev/full", tmp_path), **content(1))


@posix
def test_a_pipe_gets_the_checkpoint(tmp_path):
    pipe, copy = tmp_path / "pipe.pt", tmp_path / "copy.pt"
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: copy.write_bytes(pipe.read_bytes()))
    reader.start()
    save(pipe, **content(1))
    reader.join()
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert (load(copy)["weight"] == 1).all()


@pytest.mark.parametrize("make", [Path.mkdir, lambda path: (path / "a").mkdir(parents=True)])
def test_a_folder_instead_of_a_file_is_an_error_and_is_unchanged(make, tmp_path):
    path = tmp_path / "c.pt"
    make(path)
    inside = os.listdir(path)
    with pytest.raises(SaveError, match="c.pt was not saved: "):
        save(path, v=1)
    assert (os.listdir(tmp_path), os.listdir(path)) == (["c.pt"], inside)


# ---- modes --------------------------------------------------------------------------------------


@posix
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664, 0o755])
def test_an_existing_file_keeps_its_mode(mode, tmp_path):
    path = tmp_path / "c.pt"
    save(path, v=1)
    path.chmod(mode)
    save(path, v=2)
    assert (path.stat().st_mode & 0o7777, load(path)["v"]) == (mode, 2)


@posix
@pytest.mark.parametrize("mask, mode", [(0o022, 0o644), (0o077, 0o600), (0o027, 0o640)])
def test_a_new_file_gets_the_mode_that_the_umask_leaves(mask, mode, tmp_path):
    before = os.umask(mask)
    try:
        save(tmp_path / "c.pt", v=1)
    finally:
        os.umask(before)
    assert (tmp_path / "c.pt").stat().st_mode & 0o7777 == mode


@posix
def test_a_read_only_file_is_not_replaced(tmp_path):
    path = tmp_path / "c.pt"
    save(path, v=1)
    path.chmod(0o444)
    tmp_path.chmod(0o777)
    root = os.geteuid() == 0  # may write anything, so it acts as another user for a while
    if root:
        os.seteuid(65534)
    try:
        with pytest.raises(SaveError, match="c.pt was not saved: Permission denied"):
            save(path, v=2)
    finally:
        if root:
            os.seteuid(0)
    assert (load(path)["v"], os.listdir(tmp_path)) == (1, ["c.pt"])


# ---- links, names and readers -------------------------------------------------------------------


def test_a_link_stays_a_link_to_the_new_checkpoint(tmp_path, link):
    (tmp_path / "runs").mkdir()
    target = tmp_path / "runs" / "c.pt"
    latest = link(tmp_path / "latest.pt", Path("runs", "c.pt"))
    for number in (1, 2):  # at first there is nothing at its end
        save(latest, v=number)
        assert latest.is_symlink()
        assert (load(target)["v"], os.listdir(target.parent)) == (number, ["c.pt"])


def test_a_link_into_a_missing_folder_names_that_folder(tmp_path, link):
    latest = link(tmp_path / "latest.pt", Path("missing", "c.pt"))
    with pytest.raises(SaveError, match="latest.pt was not saved: there is no folder 'missing'"):
        save(latest, v=1)
    assert os.listdir(tmp_path) == ["latest.pt"]


@pytest.mark.parametrize("name", ["größe [1].tar", "without-extension", "a b.pt", "x" * LONG])
def test_a_file_may_have_any_name(name, tmp_path):
    for number in (1, 2):
        save(tmp_path / name, v=number)
    assert load(tmp_path / name)["v"] == 2
    assert os.listdir(tmp_path) == [name]


def test_a_path_may_be_a_string_and_relative(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save("c.pt", v=1)
    save("./c.pt", v=2)
    assert load("c.pt")["v"] == 2
    assert os.listdir() == ["c.pt"]


@pytest.mark.skipif(os.name == "nt", reason="needs Linux or macOS")
def test_a_program_that_has_the_old_file_open_or_mapped_keeps_its_values(tmp_path):
    path = tmp_path / "c.pt"
    save(path, **content(1))
    mapped = torch.load(path, mmap=True)
    with path.open("rb") as opened:
        save(path, **content(2))
        assert torch.load(opened)["number"] == 1
    assert (mapped["weight"] == 1).all()


# ---- shared folders -----------------------------------------------------------------------------


@posix
def test_two_processes_can_create_the_same_folder(tmp_path):
    def open_all():
        for number in range(200):
            Checkpoints(tmp_path / str(number))

    children = [fork(open_all) for _ in range(3)]
    statuses = [os.waitpid(child, 0)[1] for child in children]
    assert statuses == [0, 0, 0]


def test_a_file_instead_of_the_folder_is_an_error(tmp_path):
    (tmp_path / "run").write_bytes(b"mine")
    with pytest.raises(FileExistsError):
        Checkpoints(tmp_path / "run")
    assert (tmp_path / "run").read_bytes() == b"mine"


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux and root, to mount")
def test_a_folder_that_may_not_be_written_is_an_error_and_keeps_the_old_file(tmp_path):
    save(tmp_path / "c.pt", v=1)
    mounts = [["--bind", tmp_path, tmp_path], ["-o", "remount,bind,ro", tmp_path]]
    for options in mounts:
        if subprocess.run(["mount", *options], capture_output=True).returncode:
            pytest.skip("needs Linux and root, to mount")
    try:
        with pytest.raises(SaveError, match="Read-only file system"):
            save(tmp_path / "c.pt", v=2)
        assert load(tmp_path / "c.pt")["v"] == 1
    finally:
        subprocess.run(["umount", "--lazy", tmp_path], check=True)
