"""Damage is found before anything is loaded, and the newest intact file is used."""

import io
import random
import warnings
import zipfile
from contextlib import contextmanager

import numpy
import pytest
import torch
from torch import nn
from torch.utils.serialization import config

from helpers.checkpoint import Checkpoints, CorruptError, load, restore, save
from parts import GOLDEN, damage

SMALL = {name: torch.arange(16.0) + 100 * i for i, name in enumerate("abc")}  # of equal size,
# so that a wrong address in the file could put one in another's place.


def is_damaged(path):
    """Whether load reports damage. If it does not, its result has to be correct."""
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
    """Where the headers of a zip file's records are, and where their data."""
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


# ---- one file -----------------------------------------------------------------------------------


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
                except Exception as error:  # continue: their positions tell more than the first one
                    wrong.append((at, bit, repr(error)[:60]))
    assert not wrong, f"{len(wrong)} flips, at (byte, bit): {wrong}"
    assert found[True] > len(data) + 1000
    assert found[False] > 1000  # dates, flags, padding: nobody reads them


def test_every_flip_in_a_large_file_is_found(tmp_path):
    path, size, chunk = tmp_path / "c.pt", 3 << 20, 1 << 20  # more than is read in one go
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


def test_a_file_that_is_cut_off_anywhere_is_damaged(small):
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


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935\nsize 12345\n"
OLD = GOLDEN[0].read_bytes()


@pytest.mark.filterwarnings("ignore:.*not verified")
@pytest.mark.parametrize(
    "damage",
    {
        "halves of two": lambda raw: raw[: len(raw) // 2] + other(raw)[len(raw) // 2 :],
        "one after another": lambda raw: raw + other(raw),
        "something before": lambda raw: bytes(64) + raw,
        "a line before": lambda raw: b"\n" + raw,
        "CRLF line ends": lambda raw: raw.replace(b"\n", b"\r\n"),
        "zeros in the middle": lambda raw: raw[:512] + bytes(512) + raw[1024:],
        "no length in the directory": without_length,
        "two names swapped in the directory": swapped,
        "zeros": lambda raw: bytes(len(raw)),
        "nothing": lambda raw: b"",
        "a Git LFS pointer": lambda raw: LFS,
        "an HTML page": lambda raw: b"<!DOCTYPE html><html><body>Not found</body></html>",
        "a legacy file without its end": lambda raw: OLD[:-1],
        "half a legacy file": lambda raw: OLD[: len(OLD) // 2],
        "a legacy file's pickle, cut off": lambda raw: OLD[:1000],
        "a legacy file's first bytes": lambda raw: OLD[:40],
    }.items(),
    ids=lambda damage: damage[0],
)
def test_what_is_not_a_whole_checkpoint_is_refused_with_its_name(damage, small):
    small.write_bytes(damage[1](small.read_bytes()))
    with pytest.raises(CorruptError, match="c.pt"):
        load(small)


def test_the_error_says_what_is_wrong(small):
    raw = small.read_bytes()
    small.write_bytes(raw[:-100])
    with pytest.raises(CorruptError, match="c.pt is damaged: its end is missing"):
        load(small)
    small.write_bytes(raw.replace(SMALL["a"].numpy().tobytes(), bytes(64)))
    with pytest.raises(CorruptError, match="the checksum of archive/data/0 does not match"):
        load(small)
    small.write_bytes(b"<!DOCTYPE html>")
    with pytest.raises(CorruptError, match="does not begin like a checkpoint, .*DOCTYPE html"):
        load(small)


def test_the_error_is_one_that_callers_catch(small):
    small.write_bytes(b"")
    with pytest.raises(ValueError):
        load(small)


# ---- files without checksums --------------------------------------------------------------------


def test_a_legacy_file_is_read_with_a_warning_that_it_is_not_verified():
    with pytest.warns(UserWarning, match="checkpoint-torch-1.0.1.tar is not verified"):
        loaded = load(GOLDEN[0])
    assert "model_state_dict" in loaded


def test_a_file_of_a_torch_that_left_the_checksums_out_is_read_with_that_warning(tmp_path):
    path = tmp_path / "c.pt"
    with config.patch("save.compute_crc32", False):
        torch.save(SMALL, path)
    for found in (path, tmp_path):
        with pytest.warns(UserWarning, match="c.pt is not verified"):
            loaded = load(found)
        assert all(torch.equal(loaded[name], SMALL[name]) for name in SMALL)
    path.write_bytes(path.read_bytes()[:-1])
    assert is_damaged(path)


def test_any_other_file_is_read_without_a_warning(small):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load(small)


def test_checksums_are_compared_even_if_torch_is_configured_to_map_files(small):
    with config.patch("load.mmap", True):
        assert not is_damaged(small)
        with flipped(small, max(headers_and_data(small)[1]), 0):
            assert is_damaged(small)


# ---- folders ------------------------------------------------------------------------------------


def fill(folder, *numbers):
    checkpoints = Checkpoints(folder)
    for step in numbers:
        checkpoints.save(step, step=step, weight=torch.ones(64))
    return checkpoints


def test_the_newest_intact_file_is_loaded_and_the_damaged_ones_are_named(tmp_path):
    checkpoints = fill(tmp_path, 1, 2, 3)
    damage(tmp_path / "step-00000002.pt")
    (tmp_path / "step-00000003.pt").write_bytes(b"")
    for call in (checkpoints.restore, lambda: load(tmp_path), lambda: restore(tmp_path)):
        message = "(?s)step-00000003.*step-00000002.*checksum.*step-00000001.pt is loaded instead"
        with pytest.warns(UserWarning, match=message):
            assert call()["step"] == 1


def test_training_continues_after_a_damaged_checkpoint(tmp_path):
    checkpoints = fill(tmp_path, 1, 2, 3)
    damage(tmp_path / "step-00000003.pt")
    checkpoints = Checkpoints(tmp_path)
    with pytest.warns(UserWarning, match="step-00000002.pt is loaded instead"):
        checkpoints.restore()
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # for example, that this were another run
        checkpoints.save(3, step=3, weight=torch.ones(64))
        assert load(tmp_path)["step"] == 3


def test_a_folder_without_an_intact_checkpoint_is_an_error(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    for call in (checkpoints.restore, lambda: load(tmp_path), lambda: restore(tmp_path)):
        with pytest.raises(FileNotFoundError):
            call()
    fill(tmp_path, 1, 2)
    damage(tmp_path / "step-00000001.pt")
    damage(tmp_path / "step-00000002.pt")
    for call in (checkpoints.restore, lambda: load(tmp_path), lambda: restore(tmp_path)):
        with pytest.raises(CorruptError, match="(?s)00002.*00001"):
            call()


def test_a_link_to_nothing_is_skipped_and_named(tmp_path):
    link = tmp_path / "step-00000002.pt"
    try:
        link.symlink_to("missing")
    except OSError:
        pytest.skip("needs Linux or macOS: Windows asks for a right to make links")
    with pytest.raises(CorruptError, match=link.name):
        load(tmp_path)
    save(tmp_path / "step-00000001.pt", step=1)
    with pytest.warns(UserWarning, match=link.name):
        assert load(tmp_path)["step"] == 1


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_only_damaged_files_are_skipped(tmp_path):
    save(tmp_path / "1.pt", v=1)
    torch.save({"v": numpy.float64(2)}, tmp_path / "2.pt")  # which weights_only=True refuses
    with pytest.raises(Exception, match="Weights only load failed"):
        load(tmp_path)
    torch.jit.save(torch.jit.script(nn.Linear(2, 2)), tmp_path / "2.pt")
    with pytest.raises(Exception, match="2.pt is intact"):
        load(tmp_path)
