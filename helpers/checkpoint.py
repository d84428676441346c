"""Checkpoints that survive a crash: complete on disk, verified, restored completely or not."""

import atexit
import copy
import errno
import math
import os
import pickle
import random
import re
import sys
import threading
import traceback
import warnings
import zipfile
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Literal

import torch
from torch import Tensor, nn
from torch.optim import Optimizer, lr_scheduler
from torch.utils.serialization import config

_PID = os.getpid()  # differs in a process that was forked later
_ANY, _STEP = r"[^.].*\.(pt|pth|tar)", r"step-\d{8,}\.pt"  # the names of checkpoints
_PACKED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"7z\xbc\xaf", b"(\xb5/\xfd", b"Rar!")


class CheckpointError(Exception):
    """No intact checkpoint is lost. Parts are unchanged, except lazy layers and those it names."""


class SaveError(CheckpointError, OSError):
    """The checkpoint was not saved. The message says what the path contains now."""


class CorruptError(CheckpointError, ValueError):
    """The file is damaged, or it never was a checkpoint."""


class MismatchError(CheckpointError, RuntimeError):
    """The file is intact, but it is not a checkpoint, or it belongs to other objects."""


def save(path: str | Path, /, *, random_state: bool = True, **parts: Any) -> None:
    """Save a checkpoint. ``path`` always holds the complete old one or the complete new one.

    Args:
        path: A file in a folder that exists. A device or a pipe is written to directly.
        random_state: Whether to store the states of the global random generators as well.
        **parts: ``model`` is stored as ``"model_state_dict"``, a generator as ``"name_state"``.

    Raises:
        SaveError: A part cannot be read back with ``weights_only=True``, or writing failed.

    Example:
        >>> save("checkpoint.pt", model=model, optimizer=optimizer, epoch=3)
    """
    _write(Path(path), _collect(parts, random_state))


def load(path: str | Path, /, map_location: Any = None) -> Any:
    """Verify all checksums, then return what ``torch.load(path, weights_only=True)`` returns.

    Args:
        path: A file, or a folder. In a folder, the .pt, .pth or .tar file with the highest numbers
            in its name is loaded. Damaged files are skipped, and a warning names them.
        map_location: As in ``torch.load``.

    Raises:
        CorruptError: The file, or every file in the folder, is damaged or not a checkpoint.
        MismatchError: The file is intact, but of a kind that ``torch.load`` does not read.
        Exception: Any error of ``torch.load``. FileNotFoundError if the folder is empty.

    Example:
        >>> epoch = load("checkpoint.pt", map_location="cpu")["epoch"]
    """
    return (_load_newest if os.path.isdir(path) else _load_file)(Path(path), map_location)


def restore(path: str | Path, /, *, random_state: bool = True, **parts: Any) -> dict[str, Any]:
    """Load a checkpoint into all of the parts or, after an exception, into none of them.

    Until it returns, CPU memory also holds the previous state. For large models, see notebook 12.

    Args:
        path: A file or a folder, as in ``load``.
        random_state: Whether to set the global random generators as well.
        **parts: The objects to load into, under the names that they were saved with.

    Returns:
        The other entries of the file, by name, including states of parts that were not given.

    Raises:
        MismatchError: A state is missing, or a part refuses it. Also every error of ``load``.

    Example:
        >>> rest = restore("checkpoint.pt", model=model, optimizer=optimizer)
    """
    return _restore(load(path, map_location="cpu"), parts, random_state)


@dataclass(eq=False, kw_only=True)
class Checkpoints(AbstractContextManager):
    """The checkpoints of one run, in a separate folder, with names like ``step-00000012.pt``.

    Args:
        folder: Created if it does not exist.
        keep_last: How many of the highest steps to keep, or None for all.
        keep_best: How many of the best to keep as well.
        metric: The name of the value to rank by. NaN and None are never the best.
        mode: Whether the highest (``"max"``) or the lowest (``"min"``) is best.
        background: Whether a thread writes a copy of the state to the disk. The next ``save``,
            ``restore`` or ``close``, and the exit of the process, waits for it and reports errors.

    Raises:
        ValueError: The arguments contradict one another.

    Example:
        >>> path = Checkpoints("run", keep_best=1, metric="acc").save(9, model=model, acc=0.97)
    """

    folder: str | Path = field(kw_only=False)
    keep_last: int | None = 3
    keep_best: int = 0
    metric: str = ""
    mode: Literal["max", "min"] = "max"
    background: bool = False

    def __post_init__(self) -> None:
        counts = self.keep_best >= 0 and (self.keep_last is None or self.keep_last >= 1)
        if not counts or self.mode not in ("max", "min") or (self.keep_best and not self.metric):
            text = "keep_last >= 1 or None, keep_best with a metric, mode 'max' or 'min'"
            raise ValueError(f"Expected {text}, but this is {self}.")
        self.folder = self._folder = Path(self.folder).absolute()  # also after os.chdir
        self._done = [True]  # not a lock, for which a signal handler could wait forever
        self._scores, self._errors = dict[Path, float](), list[BaseException]()  # not reported yet
        self._folder.mkdir(exist_ok=True)
        _flush(self._folder.parent)
        self._unknown = self.paths  # another run's, unless this object restores one of them
        atexit.register(self.close)  # prints an error that nothing else waited for

    @property
    def paths(self) -> list[Path]:
        """The checkpoints in the folder, the one with the highest step last."""
        return _in_order(self._folder, _STEP)

    @property
    def best(self) -> Path:
        """The checkpoint with the best metric. Raises FileNotFoundError if there is none."""
        for path in self._ranked():
            return path
        raise FileNotFoundError(f"No checkpoint in {self._folder.name!r} has {self.metric!r}.")

    def save(self, step: int, /, **parts: Any) -> Path:
        """Save a checkpoint as the function ``save`` does, delete outdated ones, return its path.

        Args:
            step: An integer, 0 or more. Scalars of NumPy and torch are accepted.
            **parts: The objects and values to save, by name, and usually the metric.

        Raises:
            SaveError: This checkpoint was not saved. Or it was saved, and the previous one was not.
        """
        if not hasattr(step, "__index__") or step < 0:
            raise ValueError(f"The step is {step!r}: expected an integer, 0 or more.")
        score = parts.get(self.metric)
        with suppress(AttributeError, KeyError, RuntimeError, ValueError):
            parts[self.metric] = score = parts[self.metric].item()
        if not isinstance(score, int | float | None):
            raise SaveError(f"Nothing was saved: {self.metric!r} is {score!r}, and not a number.")
        path, state = self._folder / f"step-{step.__index__():08d}.pt", _collect(parts, True)
        if self._unknown and step <= int(self._unknown[-1].stem.removeprefix("step-")):
            self.keep_last = None
            text = "holds another run, which a restart would resume. Nothing is deleted any more."
            warnings.warn(f"{self._folder.name!r} {text} Use another folder.", stacklevel=2)
        self._unknown = []
        while not self._done and os.getpid() == _PID:
            threading.Event().wait(0.001)
        threaded = self.background and threading.main_thread().is_alive() and os.getpid() == _PID
        state = _snapshot(state) if threaded else state
        errors, self._errors, done = self._errors, [], []
        if threaded:
            threading.Thread(target=self._save, args=(path, state, self._errors, done)).start()
            self._done = done  # not before: a signal handler would wait for no thread
        else:  # also in an exit handler or a forked process, which cannot rely on threads
            self._save(path, state, errors, done)
        if errors:
            self._errors += errors[1:]  # reported by the next call
            raise errors.pop(0)  # a variable would keep the error, and all it holds, alive
        return path

    def restore(self, **parts: Any) -> dict[str, Any]:
        """Restore the newest intact checkpoint, as the function ``restore`` does."""
        self.close()
        rest = _restore(_load_newest(self._folder, "cpu", _STEP), parts, random_state=True)
        self._unknown = []
        return rest

    def close(self, leaving_by: type[BaseException] | None = None, *_: object) -> None:
        """Wait until the last checkpoint is on disk. Raises SaveError if it was not saved."""
        while not self._done and os.getpid() == _PID:
            threading.Event().wait(0.001)
        if self._errors and issubclass(leaving_by or Exception, Exception):  # not by sys.exit(3)
            raise self._errors.pop(0)

    wait = __exit__ = close

    def _save(self, path: Path, state: dict[str, Any], errors: list, done: list[bool]) -> None:
        try:
            _write(path, state)
            score, paths = state.get(self.metric), self.paths
            self._scores[path] = math.nan if score is None else float(score)
            keep = {path, *paths[-(self.keep_last or 0) :], *self._ranked()[: self.keep_best]}
            for outdated in set(paths) - keep:
                outdated.unlink(missing_ok=True)
        except BaseException as error:
            errors.append(error)
        done.append(True)

    def _ranked(self) -> list[Path]:  # intact and with a score, the best first
        while new := set(paths := self.paths if self.metric else []) - self._scores.keys():
            for path in new:  # saved by another process, which may have deleted it by now
                self._scores[path] = math.nan  # whatever is wrong with it, it cannot be the best
                with suppress(Exception):
                    self._scores[path] = float(_load_file(path, "cpu")[self.metric])
        ranked = [path for path in paths if not math.isnan(self._scores[path])]
        return sorted(ranked, key=self._scores.__getitem__, reverse=self.mode == "max")


def _accessors(part: Any) -> tuple[str, Callable[[], Any], Callable[[Any], Any] | None]:
    """The suffix of a part's key, and the functions that get and set its state."""
    if hasattr(part, "state_dict") and hasattr(part, "load_state_dict"):
        return "_state_dict", part.state_dict, part.load_state_dict
    for getter in ("getstate", "get_state", "get_rng_state"):  # Python, torch and NumPy, torch.mps
        if hasattr(part, getter) and hasattr(part, setter := getter.replace("get", "set")):
            return "_state", getattr(part, getter), getattr(part, setter)
    if bits := getattr(part, "bit_generator", None):  # numpy.random.default_rng()
        return "_state", lambda: bits.state, lambda state: setattr(bits, "state", state)
    return "", lambda: part, None


def _generators() -> dict[str, Any]:  # the global ones; no accelerator is initialized for this
    found: dict[str, Any] = {"torch": torch.default_generator, "python": random}
    found |= {"numpy": sys.modules["numpy"].random} if sys.modules.get("numpy") else {}
    found |= {"mps": torch.mps} if torch.backends.mps.is_available() else {}
    of_gpus = torch.cuda.default_generators if torch.cuda.is_initialized() else ()
    return found | {f"cuda:{index}": generator for index, generator in enumerate(of_gpus)}


def _collect(parts: dict[str, Any], random_state: bool) -> dict[str, Any]:
    if not isinstance(random_state, bool):
        raise TypeError(f"random_state is {random_state!r}: expected True or False.")
    collected: dict[str, Any] = {}
    made_for, drawn, owners = {}, {}, dict.fromkeys(("random_state", "made_for"), "save itself")
    for name, part in parts.items():
        suffix, get, _ = _accessors(part)
        if (key := name + suffix) in owners:
            raise SaveError(f"Nothing was saved: {owners[key]} and {name} share the key {key!r}.")
        owners[key], collected[key] = name, _plain(get()) if suffix == "_state" else get()
        _, kind = _unwrapped(part, collected[key])
        if kind:
            made_for[name] = [kind]
    for name, generator in _generators().items() if random_state else ():
        _, get, _ = _accessors(generator)
        drawn[name] = _plain(get())
    return collected | {k: v for k, v in (("random_state", drawn), ("made_for", made_for)) if v}


def _plain(state: Any) -> Any:  # with lists for NumPy's arrays, which weights_only refuses
    return _map(state, lambda v: v.tolist() if type(v).__module__ == "numpy" else v)


def _map(value: Any, change: Callable[[Any], Any]) -> Any:  # dicts, lists and tuples stay
    if isinstance(value, dict) and type(value).__module__ in ("builtins", "collections"):
        changed = copy.copy(value)  # with the _metadata of a module's state dict
        for key, item in value.items():
            changed[key] = _map(item, change)
        return changed
    if type(value) in (list, tuple):
        return type(value)(_map(item, change) for item in value)
    return change(value)


def _unwrapped(part: Any, state: Any) -> tuple[Any, str | None]:
    """The optimizer or scheduler that a part is or wraps, and its class in torch.optim."""
    for inner in getattr(part, "__dict__", {}).values():  # of a wrapper, such as accelerate's
        is_inner = isinstance(inner, Optimizer | lr_scheduler.LRScheduler) and inner is not part
        if is_inner and isinstance(state, dict) and inner.state_dict().keys() == state.keys():
            return _unwrapped(inner, state)
    kinds = [k.__name__ for k in type(part).__mro__ if k.__module__.startswith("torch.optim")]
    return part, next((k for k in kinds if not k.endswith(("Optimizer", "LRScheduler"))), None)


def _snapshot(state: Any) -> Any:  # a copy in CPU memory, where shared storages are shared as well
    storages: dict[Any, Any] = {}

    def copied(item: Any) -> Any:
        if not isinstance(item, Tensor) or nn.parameter.is_lazy(item) or item.is_meta:
            return item if isinstance(item, Tensor) else copy.deepcopy(item)
        special = item.is_quantized or item.is_nested or item.is_conj() or item.is_neg()
        if special or item.layout is not torch.strided or type(item) not in (Tensor, nn.Parameter):
            tensor = item.detach().to("cpu", copy=True)
        else:
            storage = item.untyped_storage()
            key = storage.device, storage.data_ptr(), storage.nbytes()
            if key not in storages:
                storages[key] = torch.UntypedStorage(storage.nbytes()).copy_(storage)
            tensor = torch.empty(0, dtype=item.dtype, device="cpu").as_subclass(type(item))
            tensor.set_(storages[key], item.storage_offset(), item.size(), item.stride())
        tensor.__dict__.update(_map(item.__dict__, copied))
        return tensor.requires_grad_(item.requires_grad)

    return _map(state, copied)


def _write(path: Path, state: dict[str, Any]) -> None:  # beside the target, then in its place
    target = Path(os.path.realpath(path))  # so that a link stays a link
    temporary = target.with_name(f".checkpoint-{os.urandom(8).hex()}.tmp")
    now = "The previous file, if there is one, is unchanged."
    try:
        if path.exists() and not path.is_file():  # a device or a pipe, or by mistake a folder
            with path.open("wb") as file:  # given a path, torch hides why a write fails
                return torch.save(state, file)
        with temporary.open("x+b") as file:
            if target.exists():
                target.open("r+b").close()  # raises PermissionError if the file is read-only
                temporary.chmod(target.stat().st_mode)
            _dump(state, file)
        _flush(temporary)
        os.replace(temporary, target)
        now = "The new file is in place, but may not survive a power cut: save it again."
        _flush(target.parent)
    except Exception as error:
        reason = getattr(error, "strerror", None) or str(error)
        if isinstance(error, FileNotFoundError) and not os.path.isdir(target.parent):
            reason = f"there is no folder {target.parent.name!r}"
        if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            _map(state, (found := list[Any]()).append)
            own = [t for t in found if type(t) in (Tensor, nn.Parameter)]
            own = [t.untyped_storage() for t in own if t.layout is torch.strided]
            sizes = {storage.data_ptr(): storage.nbytes() for storage in own}
            reason += f" for {sum(sizes.values()):,} bytes of tensors"
        raise SaveError(f"{path.name} was not saved: {reason}. {now}") from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
            for leftover in target.parent.glob(f".checkpoint-{'[0-9a-f]' * 16}.tmp"):  # if killed
                if leftover.stat().st_mtime < target.parent.stat().st_mtime - 3600:
                    leftover.unlink()


def _dump(value: Any, file: BinaryIO, where: str = "") -> None:  # and read it back
    _, handled, _ = sys.exc_info()
    file.seek(0)
    file.truncate()
    try:
        with config.patch("save.compute_crc32", True):  # type: ignore[attr-defined]
            torch.save(value, file)
        try:
            file.seek(0)
            torch.load(file, "meta", weights_only=True, mmap=False)  # reads no tensor's bytes
        except Exception:  # meta knows no quantized and no nested tensors
            file.seek(0)
            torch.load(file, "cpu", weights_only=True, mmap=False)
    except BaseException as error:
        context = None if error.__context__ is handled else error.__context__
        for one in (error, context or error):  # a writer that outlived its file would abort us
            traceback.clear_frames(one.__traceback__)
        cause = context if context and type(error) is RuntimeError else error  # torch hides it
        others = OSError, MemoryError, torch.OutOfMemoryError, torch.AcceleratorError
        if not isinstance(cause, Exception) or isinstance(cause, others):
            raise cause from None
        items = enumerate(value) if isinstance(value, list | tuple) else ()
        for key, item in value.items() if isinstance(value, dict) else items:
            _dump(key, file, f"the key {key!r} in {where or 'the checkpoint'}")
            _dump(item, file, f"{where}[{key!r}]")
        text = "which weights_only=True refuses: store numbers, strings, lists, dicts and tensors"
        raise TypeError(f"{where} is of {type(value)}, {text}") from error


def _flush(path: Path) -> None:  # wait until the disk has a file's bytes or a folder's names
    with suppress(PermissionError):  # Windows opens no folders
        descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
        try:
            os.fsync(descriptor)
        except OSError as error:
            if error.errno in (errno.EIO, errno.ENOSPC, errno.EDQUOT):
                raise
        finally:
            os.close(descriptor)


def _load_file(path: Path, map_location: Any) -> Any:
    with path.open("rb") as file:
        if not _verify(file, path.name):
            warnings.warn(f"{path.name} is not verified: it has no checksums.", stacklevel=4)
        try:
            file.seek(0)
            return torch.load(file, map_location, weights_only=True, mmap=False)
        except Exception as error:
            if isinstance(error, pickle.UnpicklingError | MemoryError) or "allocate" in str(error):
                raise
            try:  # if the CPU can load it, the bytes are right, and the device is the problem
                file.seek(0)
                torch.load(file, "cpu", weights_only=True, mmap=False)
            except Exception:
                raise CorruptError(f"{path.name} is damaged: {error!r}. Get it again.") from error
            raise


def _verify(file: BinaryIO, name: str) -> bool:  # compares all checksums: False if there are none
    start = file.read(512)
    if b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19" in start[:32]:  # torch < 1.6
        return False
    if start[8:10] == b'{"' or start.startswith(_PACKED) or start[257:262] == b"ustar":
        raise MismatchError(f"{name} seems intact: unpack it, or use safetensors.torch.load_file.")
    if not start.startswith(b"PK\x03\x04"):
        raise CorruptError(f"{name} does not begin like a checkpoint, but with {start[:24]!r}.")
    is_other, verified, root = False, False, ""
    try:
        file.seek(max(0, file.seek(0, os.SEEK_END) - (1 << 16) - 21))
        _, mark, end = file.read().rpartition(b"PK\x05\x06")  # here it counts its records
        if not mark:
            raise ValueError("its end is missing, and with it the list of its records")
        with zipfile.ZipFile(file) as archive:
            records = {record.filename: record for record in archive.infolist()}
            root, _, _ = next(iter(records)).partition("/")
            is_other = not {f"{root}/data.pkl", f"{root}/version"} <= records.keys()
            is_other = is_other or f"{root}/constants.pkl" in records
            odd = any(r.external_attr & 16 and not r.is_dir() for r in records.values())
            if odd or min(len(archive.infolist()), 0xFFFF) != int.from_bytes(end[6:8], "little"):
                raise ValueError("its list of records is not as it was written")
            verified = any(record.CRC for record in records.values())
            if verified and (damaged := archive.testzip()):
                raise ValueError(f"the checksum of {damaged} does not match its bytes")
    except MemoryError:
        raise
    except Exception as error:
        if not (is_other and isinstance(error, RuntimeError)):  # of zipfile, if it cannot unpack
            raise CorruptError(f"{name} is damaged: {error}. Get it again.") from error
    if is_other:
        text = f"{name} is intact, but it is another archive, with {root}. Use"
        raise MismatchError(f"{text} torch.jit, torch.export, torch.package or numpy to load it.")
    return verified


def _in_order(folder: Path, names: str) -> list[Path]:
    found = [path for path in folder.iterdir() if re.fullmatch(names, path.name)]
    files = [path for path in found if path.is_file() or not path.exists()]  # or broken links
    return sorted(files, key=lambda path: ([int(n) for n in re.findall(r"\d+", path.stem)], path))


def _load_newest(folder: Path, map_location: Any, names: str = _ANY) -> Any:
    errors: list[str] = []
    for path in reversed(_in_order(folder, names)):
        try:
            loaded = _load_file(path, map_location)
            if errors:
                warnings.warn("\n".join([*errors, f"{path.name} is loaded instead."]), stacklevel=3)
            return loaded
        except (CorruptError, FileNotFoundError) as error:
            if not os.path.lexists(path):  # another process has just deleted it: look again
                return _load_newest(folder, map_location, names)
            errors.append(str(error))
    if errors:
        raise CorruptError("\n".join([f"Nothing in {folder.name!r} is intact:", *errors]))
    raise FileNotFoundError(f"No file in {folder.name!r} matches {names}: {os.listdir(folder)[:5]}")


def _restore(state: Any, parts: dict[str, Any], random_state: bool) -> dict[str, Any]:
    if not isinstance(state, dict):
        raise MismatchError(f"The file holds a {type(state).__name__}, not a dict: use load(path).")
    rest, plan, ready, undo, converted, lost = dict(state), [], [], list[Any](), set(), {}
    made_for = rest.pop("made_for") if isinstance(rest.get("made_for"), dict) else {}
    stored = rest.pop("random_state") if isinstance(rest.get("random_state"), dict) else {}
    for name, part in parts.items():
        suffix, get, put = _accessors(part)
        if put is None:
            raise TypeError(f"{name} has no state to restore. Values are in the returned dict.")
        if (key := name + suffix) not in rest:
            raise MismatchError(f"The file has no {key!r}. It has: {', '.join(map(str, rest))}.")
        plan.append((name, part, get, put, rest.pop(key)))
    for name, generator in _generators().items():
        _, get, put = _accessors(generator)
        undo.append((f"random state {name}", generator, {}, put, get()))  # a loader may draw
        if put and random_state and name in stored:
            plan.append((name, generator, get, put, stored.pop(name)))
    if random_state and stored:
        warnings.warn(f"These generators are not in use, not restored: {[*stored]}.", stacklevel=3)
    try:
        for name, part, get, put, saved in plan:
            before = None  # no way back, so it comes last: it has no state yet, or one of locks, …
            with suppress(RuntimeError, TypeError):
                before = _snapshot(get())
            ready.append((name, part, put, saved, before))
            if isinstance(part, nn.Module) and isinstance(saved, dict):
                if any(parameter.is_meta for parameter in part.parameters()):
                    raise ValueError("It is on meta: call model.to_empty(device='cpu') first.")
                some = next(iter(saved.values()), None)  # hooks may rename the parameters
                for key, p in part.named_parameters():
                    if getattr(saved.get(key, some), "dtype", p.dtype) is not p.dtype:
                        converted.add(id(p))
        for name, part, put, saved, before in sorted(ready, key=lambda row: row[-1] is None):
            _, kind = _unwrapped(part, before)
            if kind and kind not in (of := made_for.get(name, [kind])):
                raise ValueError(f"It is the state of {of[0]}, but this is {kind}: create {of[0]}.")
            held = dict(getattr(part, "__dict__", {}))
            undo.append((name, part, held, None if before is None else put, before))
            _put(part, put, saved, before, converted)
    except BaseException as exc:
        for other, part, held, put, before in undo[::-1] * 2:  # a second Ctrl-C does not stop it
            with suppress(BaseException):
                if held and other not in lost:
                    object.__setattr__(part, "__dict__", dict(held))
                lost[other] = True
                _put(part, put, before, before)
                lost.pop(other)
        end = f"not put back: {', '.join(lost)}" if lost else "nothing was restored"
        if isinstance(exc, MemoryError | torch.OutOfMemoryError) or not isinstance(exc, Exception):
            exc.add_note(f"checkpoint.restore: {end}")
            raise
        raise MismatchError(f"{name} refused its state; {end}. {exc}") from exc
    return rest


def _put(part: Any, put: Callable, saved: Any, before: Any, converted: Any = ()) -> None:
    put(_map(saved, lambda value: value))  # a copy, since load_state_dict may change what it gets
    optimizer, _ = _unwrapped(part, before)
    ours = isinstance(saved, dict) and isinstance(saved.get("state"), dict)
    if not ours or not isinstance(optimizer, Optimizer):
        return
    is_plain = re.match(r"torch\.optim\.(?!lbfgs|_adafactor)", type(optimizer).__module__)
    parameters = [one for group in optimizer.param_groups for one in group["params"]]
    groups = [group for group in saved.get("param_groups", ()) if isinstance(group, dict)]
    indices = [index for group in groups for index in group.get("params", ())]
    for parameter, index in zip(parameters, indices, strict=False):
        loaded, state = optimizer.state.get(parameter, {}), saved["state"].get(index, {})
        if not isinstance(state, dict) or not isinstance(loaded, dict):
            continue
        shapes = {v.shape for v in loaded.values() if isinstance(v, Tensor) and v.numel() > 1}
        if is_plain and shapes and parameter.shape not in shapes:
            raise ValueError(f"It is the state of parameters of other shapes: {shapes}.")
        for key, old in state.items() if id(parameter) not in converted else ():
            now, was = loaded.get(key), getattr(old, "dtype", None)
            if isinstance(now, Tensor) and was not in (None, now.dtype) and now.equal(old.to(now)):
                loaded[key] = old.to(now.device)  # torch has cast it to the parameter's dtype
