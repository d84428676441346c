"""A checkpoint that cannot be lost: saved whole or not at all, and restored the same way::

    save("checkpoint.pt", model=model, optimizer=optimizer, epoch=3)
    done = restore("checkpoint.pt", model=model, optimizer=optimizer)
    done["epoch"]

The file is an ordinary one: plain ``torch.load(path)`` reads it, with ``weights_only=True``, and
finds ``"model_state_dict"``, ``"optimizer_state_dict"``, ``"epoch"`` and so on; and ``restore``
reads such files, whatever wrote them. All this needs torch and the standard library: copy it.
"""

import atexit
import copy
import io
import math
import os
import pickle
import random
import re
import shutil
import struct
import sys
import tempfile
import warnings
import weakref
import zipfile
import zlib
from collections import OrderedDict
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import MethodType
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.optim import LBFGS, Adafactor, Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.utils.serialization import config

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None


class CheckpointError(Exception):
    """What is raised here. Whatever kind it is, no part has changed and no good file is lost."""


class SaveError(CheckpointError):
    """It was not saved for certain. The path holds what it held before, or what the text says."""


class CorruptError(CheckpointError):
    """The file is not as it was written, or is no checkpoint. Nothing was restored from it."""


class MismatchError(CheckpointError):
    """The file is whole, but it belongs to other objects. None of those given was touched."""


def save(path: str | Path, /, *, random_state: bool = True, **parts: Any) -> None:
    """Save a checkpoint: at every instant ``path`` holds the old one or the new one, whole.

    Whatever has a state is stored as its state: ``model`` under ``"model_state_dict"``, a
    ``torch.Generator`` called ``shuffle`` under ``"shuffle_state"``. Other parts are stored as they
    are, and the global generators of Python, numpy and torch under ``"random_state"``.

    The new file is written beside the old one, flushed to the disk, and takes its place; a link
    stays a link. When ``save`` returns, the new file outlives a power cut.

    Raises SaveError if a part is nothing that ``torch.load`` would read with ``weights_only=True``,
    if two would share a key, and if the file cannot be written: no such folder, no right, no room.
    """
    _write(Path(path), _collect(parts, random_state))


def load(path: str | Path, /, map_location: Any = None) -> Any:
    """What ``torch.load(path, map_location, weights_only=True)`` returns, if the file is intact.

    The CRC32 that ``torch.save`` stored for each record is checked against the very bytes that go
    into the tensors. Of a folder, the newest checkpoint that is intact is loaded (that with the
    highest numbers in its name), and a warning says which were passed over, and why. Files
    without checksums (torch < 1.6, or compute_crc32 = False) are read, and a warning says so.

    Raises CorruptError if the file (or every one in the folder) is damaged or no checkpoint,
    FileNotFoundError if there is none, and pickle.UnpicklingError if it is intact but holds what
    ``weights_only=True`` refuses. Nothing switches that off.
    """
    return _load_newest(Path(path), map_location)[0]


def restore(path: str | Path, /, *, random_state: bool = True, **parts: Any) -> dict[str, Any]:
    """Load a checkpoint into all of the parts or, if anything is wrong, into none of them.

    Name the parts as in ``save``. ``path`` is a file or a folder, as for ``load``. The parts may be
    on any device; a model on ``meta`` gets memory on the CPU. The global generators are set as
    well, unless ``random_state=False``. Each ``load_state_dict`` is tried on a twin first, which
    shares what is no tensor, list, dict, part or ``torch.Generator``: it must not alter such things
    in place, only replace them.

    Returns what else is in the file: values, and the states of parts that were not given.

    Raises MismatchError if a state is missing, has other keys or shapes, or is that of another kind
    of optimizer or scheduler, or of an optimizer of other parameters; and what ``load`` raises.
    """
    return _restore(load(path, map_location="cpu"), parts, random_state)


class Checkpoints:
    """The checkpoints of one training, in a folder of their own, as ``step-00000012.pt``.

    Kept are the ``keep_last`` with the highest steps (None: all) and the ``keep_best`` by
    ``metric``, the name of a value that each ``save`` is given; ``mode`` says which end is best.
    The others are deleted, but only after the new one is safe.

    With ``background=True``, ``save`` copies the state into the CPU's memory and returns, and a
    thread writes the copy while training goes on. The next ``save``, ``restore`` or ``close`` waits
    for it and raises what went wrong there. The process does not end before the file is safe.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        keep_last: int | None = 3,
        keep_best: int = 0,
        metric: str | None = None,
        mode: Literal["max", "min"] = "max",
        background: bool = False,
    ) -> None:
        if keep_last is not None and keep_last < 1:
            raise ValueError(f"keep_last is {keep_last}: keep at least one, or None for all.")
        if mode not in ("max", "min") or keep_best < 0 or (keep_best and not metric):
            raise ValueError("To keep the best, give metric='its name', and mode='max' or 'min'.")
        self.folder = Path(folder).absolute()  # so that it is the same after os.chdir
        self.keep_last, self.keep_best, self.metric, self.mode = keep_last, keep_best, metric, mode
        self._scores: dict[Path, float] = {}
        self._corrupt: list[Path] = []
        self._pool = ThreadPoolExecutor(1) if background else None
        self._pending: list[Future[None]] = []  # the one in the thread, if any
        self._closed = False
        if not self.folder.is_dir():
            self.folder.mkdir()
            _flush(self.folder.parent)
        atexit.register(self.close)  # so that an error which nobody waited for is printed

    @property
    def paths(self) -> list[Path]:
        """The checkpoints that are there, the newest last."""
        return _in_order(self.folder, _STEP)

    @property
    def best(self) -> Path:
        """The checkpoint with the best metric. Raises FileNotFoundError if none has it."""
        for path in self._ranked():
            return path
        raise FileNotFoundError(f"No checkpoint in {str(self.folder)!r} has {self.metric!r}.")

    def save(self, step: int, /, **parts: Any) -> Path:
        """Save as the function ``save`` does, and return the path.

        Raises what that raises, about this checkpoint or about the one before in the background:
        then this one is saved all the same. After ``close`` the thread saves nothing: SaveError.
        """
        if self._closed:
            raise SaveError(f"Nothing was saved: {str(self.folder)!r} is closed. Open it anew.")
        if not isinstance(step, int) or step < 0:
            raise ValueError(f"The step is {step!r}: expected an integer, 0 or more.")
        if self.metric and not isinstance(score := parts.get(self.metric), int | float):
            raise SaveError(f"Nothing was saved: {self.metric!r} is {score!r}, and not a number.")
        path, state = self.folder / f"step-{step:08d}.pt", _collect(parts, random_state=True)
        if not self._pool:
            self._save(path, state)
            return path
        try:
            self.wait()
        finally:
            # What was copied is let go first: once the thread runs, each tensor that is freed here
            # would have to wait for its turn at Python's lock.
            state = _snapshot(state)
            self._pending.append(self._pool.submit(self._save, path, state))
        return path

    def restore(self, **parts: Any) -> dict[str, Any]:
        """Restore from the newest checkpoint that is intact, as the function ``restore`` does."""
        self.wait()
        state, self._corrupt = _load_newest(self.folder, "cpu", _STEP)
        return _restore(state, parts, random_state=True)

    def wait(self) -> None:
        """Wait until the last checkpoint is safe. Raises SaveError if it was not saved."""
        if self._pending:
            self._pending.pop().result()  # in no variable: the error would be in a cycle with it

    def close(self) -> None:
        """Wait as ``wait`` does, and end the thread."""
        atexit.unregister(self.close)
        try:
            self.wait()
        finally:
            if self._pool:
                self._pool.shutdown()
                self._closed = True

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _save(self, path: Path, state: dict[str, Any]) -> None:
        _write(path, state)
        self._scores[path] = float(state[self.metric]) if self.metric else math.nan
        self._corrupt = [other for other in self._corrupt if other != path]
        paths = [one for one in self.paths if one not in self._corrupt]
        keep = {path, *paths[-(self.keep_last or len(paths)) :]}
        if self.keep_best:
            keep.update(self._ranked()[: self.keep_best])
        for outdated in set(paths) - keep:
            outdated.unlink(missing_ok=True)

    def _ranked(self) -> list[Path]:
        """The intact checkpoints that have the metric, the best first; of equals, the older one."""
        while new := set(paths := self.paths) - self._scores.keys():
            for path in new:  # another process saved it, and may have deleted it by now
                try:
                    self._scores[path] = float(_load_file(path, "cpu")[self.metric])
                except Exception:  # whatever it is, it is none to keep for its score
                    self._scores[path] = math.nan
        ranked = [path for path in paths if not math.isnan(self._scores[path])]
        return sorted(ranked, key=self._scores.get, reverse=self.mode == "max")


# ---- what is in a checkpoint --------------------------------------------------------------------


def _methods(part: Any) -> tuple[Callable[[], Any], Callable[[Any], Any], str] | None:
    """How to get and to set the state of what has one, and what its key ends in."""
    for getter, setter, ending in (
        ("state_dict", "load_state_dict", "_state_dict"),  # modules, optimizers, schedulers, …
        ("getstate", "setstate", "_state"),  # Python's generators
        ("get_state", "set_state", "_state"),  # torch's generators, and numpy's global one
        ("get_rng_state", "set_rng_state", "_state"),  # torch.mps, which shows no generator
    ):
        if hasattr(part, getter) and hasattr(part, setter):
            return getattr(part, getter), getattr(part, setter), ending
    if hasattr(part, "bit_generator"):  # numpy.random.default_rng()
        bits = part.bit_generator
        return lambda: bits.state, lambda state: setattr(bits, "state", state), "_state"
    return None


def _generators() -> dict[str, Any]:
    """The global generators of random numbers, by the names they have in ``"random_state"``."""
    found = {"torch": torch.default_generator, "python": random}
    if "numpy" in sys.modules:
        found["numpy"] = sys.modules["numpy"].random
    if torch.accelerator.is_available():
        kind = torch.accelerator.current_accelerator().type
        module = torch.get_device_module(kind)
        if not hasattr(module, "default_generators"):
            return found | {kind: module}
        module.init()
        found |= {f"{kind}:{i}": generator for i, generator in enumerate(module.default_generators)}
    return found


def _collect(parts: dict[str, Any], random_state: bool) -> dict[str, Any]:
    """The dict to save, of which it is certain that ``weights_only=True`` reads it."""
    state: dict[str, Any] = {}
    owners = dict.fromkeys(("made_for", "random_state"), "save itself")
    generators = _generators() if random_state else {}
    try:
        for name, part in parts.items():
            getter, _, ending = _methods(part) or (lambda part=part: part, None, "")
            if (owner := owners.setdefault(key := name + ending, name)) != name:
                raise SaveError(f"Nothing was saved: {owner} and {name} share {key!r}: rename one.")
            state[key] = _readable(getter(), f"[{key!r}]", is_generator=ending == "_state")
        if generators:
            drawn = {name: _methods(generator)[0]() for name, generator in generators.items()}
            state["random_state"] = _readable(drawn, "['random_state']", is_generator=True)
    except RecursionError as error:
        raise SaveError(f"Nothing was saved: {name} is in itself, or nested too deep.") from error
    if made_for := _made_for(parts):
        state["made_for"] = made_for
    return state


def _made_for(parts: dict[str, Any]) -> dict[str, list[str]]:
    """The class of each optimizer and the parameters that it steps; the classes of each scheduler.

    Their own states tell neither, so that torch often loads another one's without a word.
    """
    names = {id(parameter): name for name, parameter in reversed(_named(parts).items())}
    made_for = {}
    for name, part in parts.items():
        if isinstance(part, Optimizer):
            made_for[name] = [type(part).__name__, *(names.get(id(p), "?") for p in _stepped(part))]
        elif isinstance(part, LRScheduler):
            inside = getattr(part, "_schedulers", ())
            made_for[name] = [type(scheduler).__name__ for scheduler in (part, *inside)]
    return made_for


def _named(parts: dict[str, Any]) -> dict[str, nn.Parameter]:
    return {
        f"{part}.{name}": parameter
        for part, module in parts.items()
        if isinstance(module, nn.Module)
        for name, parameter in module.named_parameters(remove_duplicate=False)
    }


def _stepped(optimizer: Optimizer) -> list[nn.Parameter]:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


_PLAIN = {Tensor, nn.Parameter, torch.Size, torch.dtype, torch.device}
_PLAIN |= {type(None), bool, float, complex, str, bytes}


def _readable(value: Any, where: str, is_generator: bool = False) -> Any:
    """The value, with a list for each array in a generator's state. SaveError if unreadable.

    That is found out here, before anything is written, and not when the file is needed.
    """
    kind = type(value)
    attributes = getattr(value, "__dict__", None)  # of a tensor, or the _metadata of a state dict
    if kind in _PLAIN and not attributes or kind is int and value.bit_length() < 2000:
        return value
    if kind in (list, tuple):
        if all(type(item) is int and abs(item) < 1 << 64 for item in value):  # as in random states
            return value
        return kind(_readable(v, f"{where}[{i}]", is_generator) for i, v in enumerate(value))
    if kind in (dict, OrderedDict):
        copied = copy.copy(value)  # keeps the _metadata that hangs on a module's state dict
        for key, item in value.items():
            if type(key) is not str:
                _readable(key, f"a key of {where}")
            if type(item) is not Tensor or item.__dict__:  # thousands of them are plain tensors
                copied[key] = _readable(item, f"{where}[{key!r}]", is_generator)
        _readable(attributes, f"what hangs on {where}")
        return copied
    if is_generator and hasattr(value, "tolist"):  # an array of numpy's
        return value.tolist()
    try:
        torch.save(value, buffer := io.BytesIO())
        torch.load(io.BytesIO(buffer.getvalue()), weights_only=True)
    except Exception as error:
        raise SaveError(
            f"Nothing was saved: {where} is a {kind.__module__}.{kind.__qualname__}, which "
            "weights_only=True would not read back. Store numbers, strings, lists, dicts, tensors."
        ) from error
    return value


def _snapshot(state: dict[str, Any]) -> dict[str, Any]:
    """A copy in the CPU's memory. Tensors that share their storage share its copy."""
    storages: dict[int, torch.UntypedStorage] = {}

    def copied(tensor: Tensor) -> Tensor:
        if tensor.layout is not torch.strided or tensor.is_conj() or tensor.is_neg():
            return tensor.detach().cpu().clone()
        storage = tensor.untyped_storage()
        if storage._cdata not in storages:
            # As a tensor: unlike a storage, it is copied by all threads.
            whole = torch.empty(0, dtype=torch.uint8, device=storage.device).set_(storage)
            storages[storage._cdata] = whole.to("cpu", copy=True).untyped_storage()
        view = tensor.storage_offset(), tensor.shape, tensor.stride()
        copy = torch.empty(0, dtype=tensor.dtype, device="cpu")
        copy.set_(storages[storage._cdata], *view)
        return nn.Parameter(copy, tensor.requires_grad) if type(tensor) is nn.Parameter else copy

    return _map(state, copied)


def _map(value: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """The same with every tensor changed and every dict, list and tuple new."""
    kind = type(value)
    if kind in (Tensor, nn.Parameter):
        return change(value)
    if kind in (list, tuple):
        return kind(_map(item, change) for item in value)
    if kind in (dict, OrderedDict):
        copied = copy.copy(value)
        copied.update((key, _map(item, change)) for key, item in value.items())
        return copied
    return value if kind in _PLAIN else copy.deepcopy(value)


# ---- writing ------------------------------------------------------------------------------------


def _write(path: Path, state: dict[str, Any]) -> None:
    target = Path(os.path.realpath(path))  # a link's target, so that the link stays
    with suppress(ValueError, OSError):  # messages show it from here on, if it is in here
        path = path.relative_to(Path.cwd())
    now = "What was there before is there still."
    try:
        if not target.parent.is_dir():
            raise FileNotFoundError(f"there is no folder {str(path.parent)!r}")
        with _workshop(target.parent) as folder:
            # Under its own name: torch.save writes it into the archive, and so the file is byte
            # for byte that of torch.save(state, path).
            new = folder / target.name
            try:
                with config.patch("save.compute_crc32", True):
                    torch.save(state, new)
            except BaseException:
                with suppress(OSError):  # torch may hold it open: give back the room at least
                    os.truncate(new, 0)
                raise
            _flush(new)  # first the bytes …
            os.replace(new, target)  # … then the name …
            now = "The new file is there, but may not outlive a power cut: save it again."
            _flush(target.parent)  # … then the folder, which holds the name
    except Exception as error:
        # Not its paths, which mean nothing to others; and not itself, which has this frame in it.
        reason = getattr(error, "strerror", None) or str(error)
        raise SaveError(f"{str(path)!r} was not saved: {reason}. {now}") from error


@contextmanager
def _workshop(parent: Path) -> Iterator[Path]:
    """A folder to write in, gone afterwards, together with those that killed saves left there.

    A lock tells a living save's folder from a dead one's. Without locks (Windows) they stay.
    """
    with ExitStack() as afterwards:
        while True:
            folder = Path(tempfile.mkdtemp(".tmp", ".checkpoint-", parent))
            afterwards.callback(shutil.rmtree, folder, ignore_errors=True)
            try:
                if _lock(folder, afterwards) and folder.is_dir():
                    break
            except FileNotFoundError:
                continue  # another save has taken it for a dead one's, before it was locked
            except OSError:
                break  # there are no locks here
        for other in parent.glob(".checkpoint-*.tmp"):
            with suppress(OSError), ExitStack() as at_once:
                if _lock(other, at_once):
                    shutil.rmtree(other)
        yield folder


def _lock(folder: Path, until: ExitStack) -> bool:
    """Lock a folder until then. False if somebody has it. Raises OSError where nothing locks."""
    if fcntl is None:
        raise OSError("This system has no flock.")
    descriptor = os.open(folder, os.O_RDONLY)
    until.callback(os.close, descriptor)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _flush(path: Path) -> None:
    """Have the disk keep a file's bytes, or the names in a folder, before anything goes on."""
    if path.is_dir() and os.name == "nt":  # Windows cannot flush a folder
        return
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        if hasattr(fcntl, "F_FULLFSYNC"):  # macOS, where fsync stops at the drive's own cache
            fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
        else:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


# ---- reading ------------------------------------------------------------------------------------

_CHUNK = 1 << 22  # bytes that a thread reads at once
_LEGACY = b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"  # torch < 1.6: torch/serialization.py


class _CheckedFile(io.BufferedReader):
    """A file that computes the checksum of each record when ``torch.load`` takes its bytes."""

    def __init__(self, path: Path) -> None:
        super().__init__(io.FileIO(str(path)), 512)  # for headers: all else passes the buffer by
        self.path, self.damaged = path, []
        self.unread: dict[int, zipfile.ZipInfo] = {}  # the records, by where their bytes begin

    def index(self) -> None:
        """Find the records. Raises what zipfile and struct raise if they make no sense."""
        with zipfile.ZipFile(self) as archive:
            records = sorted(archive.infolist(), key=lambda record: record.header_offset)
            ends = [*(record.header_offset for record in records), archive.start_dir]
        if ends[0]:
            raise zipfile.BadZipFile("it does not begin with its first record")
        for record, end in zip(records, ends[1:], strict=True):
            self.seek(record.header_offset)
            name, extra = struct.unpack("<26xHH", self.read(30))
            start = record.header_offset + 30 + name + extra
            same = self.read(name).decode() == record.filename and start + record.file_size <= end
            if not same or record.compress_type or record.external_attr:  # torch writes neither
                raise zipfile.BadZipFile(f"{record.filename} is not as it was written")
            self.unread[start] = record
        if not any(record.CRC for record in records):  # torch was told to leave them out
            self.unread.clear()

    def readinto(self, buffer: Any) -> int:
        start, view = self.tell(), memoryview(buffer).cast("B")
        record = self.unread.get(start)
        if record is None or record.file_size != len(view):
            return super().readinto(view)
        if len(view) > _CHUNK and hasattr(os, "preadv"):  # not on Windows
            crc = self._read_in_parallel(view, start)
        else:
            super().readinto(view)
            crc = zlib.crc32(view)
        if crc != record.CRC:
            self.damaged.append(record.filename)
        del self.unread[start]
        return len(view)

    def _read_in_parallel(self, view: memoryview, start: int) -> int:
        """Fill the view and return its CRC32: two threads read ahead of the one that computes."""

        def fill(at: int) -> None:
            end = min(at + _CHUNK, len(view))
            while at < end and (count := os.preadv(self.fileno(), [view[at:end]], start + at)):
                at += count

        crc, starts = 0, range(0, len(view), _CHUNK)
        with ThreadPoolExecutor(2) as pool:
            for at, _ in zip(starts, pool.map(fill, starts), strict=True):
                crc = zlib.crc32(view[at : at + _CHUNK], crc)
        self.seek(start + len(view))
        return crc

    def check(self, prefix: str = "") -> None:
        """Check the records that begin so and were not read yet. Raises CorruptError."""
        for start, record in list(self.unread.items()):
            if record.filename.partition("/")[2].startswith(prefix):
                self.seek(start)
                self.readinto(bytearray(record.file_size))
        if self.damaged:
            names = ", ".join(self.damaged[:3]) + ", …" * (len(self.damaged) > 3)
            raise _corrupt(self.path, f"the checksum does not fit the bytes of {names}")


def _load_file(path: Path, map_location: Any) -> Any:
    with _CheckedFile(path) as file:
        start = file.read(32)
        if start.startswith(b"PK\x03\x04"):
            try:
                file.index()
            except Exception as error:
                what = f"its end is missing, or its list of records ({error})"
                raise _corrupt(path, what) from error
        elif _LEGACY not in start:
            raise _corrupt(path, f"it begins with {start[:8]!r}, as no file of torch.save does")
        verified = bool(file.unread)
        file.check("data.pkl")  # so that no damaged pickle is ever executed
        file.seek(0)
        try:
            loaded = torch.load(file, map_location, weights_only=True, mmap=False)
        except (pickle.UnpicklingError, MemoryError):
            raise
        except Exception as error:
            file.check()
            # An intact file may be for a device that is not here, or too large: torch says so.
            of_here = "Attempting to deserialize|allocate memory"
            of_the_file = "PytorchStreamReader|inline_container|hasRecord|record size"
            known = of_the_file if map_location not in (None, "cpu") else f"^(?!.*({of_here}))"
            if re.search(known, str(error)):
                raise _corrupt(path, error) from error
            raise
        file.check()
    if not verified:
        message = "no checksums were stored in it. Save it anew."
        warnings.warn(f"{path.name} is read but not verified: {message}", stacklevel=4)
    return loaded


def _corrupt(path: Path, what: object) -> CorruptError:
    return CorruptError(
        f"{path.name} is damaged or no checkpoint: {what}. Get it again, or take an older one."
    )


_ANY, _STEP = r".*\.(pt|pth|tar)", r"step-\d{8,}\.pt"  # the names of checkpoints


def _in_order(folder: Path, names: str = _ANY) -> list[Path]:
    """The checkpoints in a folder by the numbers in their names, the newest last."""
    found = [path for path in folder.iterdir() if re.fullmatch(names, path.name)]
    return sorted(found, key=lambda path: ([int(n) for n in re.findall(r"\d+", path.stem)], path))


def _load_newest(path: Path, map_location: Any, names: str = _ANY) -> tuple[Any, list[Path]]:
    """What is in the file, or in the newest intact one of the folder; and which are damaged."""
    if not path.is_dir():
        return _load_file(path, map_location), []
    errors: dict[Path, str] = {}
    for candidate in reversed(_in_order(path, names)):
        try:
            loaded = _load_file(candidate, map_location)
        except (CorruptError, FileNotFoundError) as error:
            if not os.path.lexists(candidate):  # another process has just deleted it: look again
                return _load_newest(path, map_location, names)
            errors[candidate] = str(error)
            continue
        if errors:
            message = f"{candidate.name} is loaded, in the place of newer ones:"
            warnings.warn("\n".join([message, *errors.values()]), stacklevel=4)
        return loaded, list(errors)
    if errors:
        message = f"Nothing in {str(path)!r} is intact:"
        raise CorruptError("\n".join([message, *errors.values()]))
    raise FileNotFoundError(f"There is no checkpoint in {str(path)!r}: save one first.")


# ---- restoring ----------------------------------------------------------------------------------


def _restore(state: Any, parts: dict[str, Any], random_state: bool) -> dict[str, Any]:
    if not isinstance(state, dict):
        raise MismatchError(f"The file holds a {type(state).__name__}, not a dict: use load(path).")
    rest = dict(state)
    # In files that others wrote, these two names may mean something else.
    ours = {k: rest.pop(k) for k in ("made_for", "random_state") if type(rest.get(k)) is dict}
    stored = ours.get("random_state", {}) if random_state else {}
    generators = _generators() if stored else {}
    if gone := ", ".join(stored.keys() - generators.keys()):
        warnings.warn(f"No random numbers are drawn by {gone} here: not restored.", stacklevel=3)
    plan = []
    for name, part in parts.items():
        if not (methods := _methods(part)):
            raise TypeError(f"{name} has no state to restore; values are in the dict returned.")
        if (key := name + methods[2]) not in rest:
            raise MismatchError(f"The file has no {key!r}. It has: {', '.join(map(str, rest))}.")
        plan.append((name, part, rest.pop(key)))
    plan += [(name, generators[name], stored[name]) for name in stored if name in generators]

    for name, part, saved in plan:  # first all is tried, and nothing touched …
        try:
            if isinstance(part, Optimizer | LRScheduler):
                _check_kind(part, saved, ours.get("made_for", {}).get(name), parts)
            _rehearse(part, _map(saved, lambda tensor: tensor))
        except Exception as error:
            message = f"{name} does not take what was saved; nothing was restored. {error}"
            raise MismatchError(message) from error
    for _, part, saved in plan:  # … then all is done
        if isinstance(part, nn.Module):
            _leave_meta(part)
        _methods(part)[1](saved)
    return rest


def _check_kind(part: Any, saved: Any, was: list[str] | None, parts: dict[str, Any]) -> None:
    """Raise ValueError if an optimizer's or a scheduler's state is that of another kind."""
    ((now, *inside),) = _made_for({"": part}).values()
    if was and was[0] != now:
        raise ValueError(f"It is the state of {was[0]}, and this is {now}: build what was saved.")
    if isinstance(part, LRScheduler):
        if was and was[1:] != inside:
            raise ValueError(f"In it were {was[1:]}, and now {inside}: build what was saved.")
        here, there = part.state_dict(), saved
    else:
        named, stepped = _named(parts), _stepped(part)
        if any(parameter.is_meta for parameter in stepped):
            raise ValueError("It steps parameters on meta: restore the model before you build it.")
        of_others = {id(p) for p in stepped}.isdisjoint(map(id, named.values()))
        if named and of_others and not (was and set(was[1:]) == {"?"}):
            raise ValueError("It steps no parameter of the models given: build it from theirs.")
        for old, parameter in zip((was or [])[1:], stepped, strict=False):
            if named.get(old, parameter) is not parameter:
                raise ValueError(f"{old} is not where it was among what it steps: keep the order.")
        here, there = part.param_groups[0], saved["param_groups"][0]
    if not was:  # Other programs do not say what it was. Then the settings have to tell.
        needed = {k for k, v in here.items() if k[0] != "_" and type(v) in (int, float, tuple)}
        if missing := ", ".join(sorted(needed - set(there))):
            raise ValueError(f"{now} needs {missing}, which was not saved: build what was saved.")
        if there.get("decoupled_weight_decay") not in (None, here.get("decoupled_weight_decay")):
            raise ValueError(f"It is Adam's or AdamW's, and this is {now}: build what was saved.")


def _rehearse(part: Any, saved: Any) -> None:
    """Let a twin load the state, so that whatever is wrong with it shows before it does harm."""
    getter, setter, ending = _methods(part)
    if ending == "_state":  # a generator of random numbers: set it, and set it back
        before = getter()
        try:
            setter(saved)
        finally:
            setter(before)
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the twin is on meta, where there is nothing to copy into
        twin = _twin(part, {}, whole=True)
        twin.load_state_dict(saved)
    of_torch = isinstance(part, Optimizer) and type(part).__module__.startswith("torch.optim")
    if of_torch and not isinstance(part, Adafactor | LBFGS):  # whose tensors are of other shapes
        for parameter, kept in twin.state.items():
            for name, one in kept.items() if not nn.parameter.is_lazy(parameter) else ():
                if isinstance(one, Tensor) and one.numel() > 1 and one.shape != parameter.shape:
                    shapes = f"{tuple(one.shape)}, and its parameter {tuple(parameter.shape)}"
                    raise ValueError(f"{name} has the shape {shapes}: build what was saved.")
    if isinstance(part, nn.Module):
        if left := [n for n, one in part.named_buffers() if one.is_meta and n not in saved]:
            raise ValueError(f"It is on meta, and no file has values for {', '.join(left)}.")
        for name, old in part.state_dict().items():  # what only shows when bytes are copied
            new = saved.get(name)
            if isinstance(new, Tensor) and (new.is_meta or new.layout is not old.layout):
                raise ValueError(f"What was saved cannot be copied into {name}.")
            if type(old) is Tensor and old.layout is torch.strided and _overlaps(old):
                raise ValueError(f"{name} is expanded, so nothing can be copied into it.")


def _twin(one: Any, twins: dict[int, Any], whole: bool = False) -> Any:
    """One that holds the same, its tensors without data: what is loaded into it goes nowhere.

    Whatever loads a state gets a twin, with its hooks; anything else is shared.
    """
    if id(one) in twins:
        return twins[id(one)]
    kind = type(one)
    twin = one
    if isinstance(one, Tensor):
        lazy = nn.parameter.is_lazy(one)
        as_parameter = nn.parameter.UninitializedParameter if lazy else nn.Parameter
        with torch.inference_mode(not lazy and not one.is_meta and one.is_inference()):
            twin = nn.parameter.UninitializedBuffer() if lazy else one.detach().to("meta")
            if isinstance(one, nn.Parameter):
                twin = as_parameter() if lazy else as_parameter(twin, one.requires_grad)
    elif isinstance(one, torch.Generator):
        twin = one.clone_state()
    elif whole or _loads(kind):
        twins[id(one)] = twin = object.__new__(kind)
        vars(twin).update({name: _twin(value, twins) for name, value in vars(one).items()})
    elif isinstance(one, dict):
        twins[id(one)] = twin = copy.copy(one)
        twin.clear()
        twin.update((_twin(key, twins), _twin(value, twins)) for key, value in one.items())
    elif kind in (list, tuple):
        twin = kind(_twin(item, twins) for item in one)
    elif isinstance(one, MethodType):
        twin = MethodType(one.__func__, twins.get(id(one.__self__), one.__self__))
    elif isinstance(one, weakref.ref):
        twin = weakref.ref(twins.get(id(one()), one()))
    twins[id(one)] = twin
    return twin


def _loads(kind: type) -> bool:
    """Whether it has a state that is loaded. (What has a __del__ holds more than a twin may.)"""
    is_hook = kind.__module__ == "torch.nn.modules.module"
    return is_hook or (hasattr(kind, "load_state_dict") and not hasattr(kind, "__del__"))


def _overlaps(tensor: Tensor) -> bool:
    return any(
        step == 0 < size - 1 for step, size in zip(tensor.stride(), tensor.shape, strict=True)
    )


def _leave_meta(module: nn.Module) -> None:
    """Give what is on meta memory on the CPU. One tensor in two places stays one."""
    real: dict[int, tuple[Tensor, Tensor]] = {}
    for part in module.modules():
        for held in (part._parameters, part._buffers):
            for name, one in held.items():
                if one is not None and one.is_meta:
                    shape = one.size(), one.stride()  # empty_like(one) would import 486 modules
                    empty = torch.empty_strided(*shape, dtype=one.dtype, device="cpu")
                    if isinstance(one, nn.Parameter):
                        empty = nn.Parameter(empty, one.requires_grad)
                    held[name] = real.setdefault(id(one), (one, empty))[1]
