"""Read what a pickle holds and asks for, without building or calling anything of it."""

import itertools
import pickletools
import re
import sys
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

_TABLE = tomllib.loads(
    Path(__file__).with_name("files").joinpath("pickles.toml").read_text("utf-8")
)
_OPCODES = {opcode.code: opcode for opcode in pickletools.opcodes}
_LIMIT = 300_000  # opcodes, which take about a second
_LINES, _WIDTH, _NAME = 32, 120, 400  # of the lines that load a file; characters of a name
_MARK = object()
Storage = tuple[str, str, int | None]  # dtype, device, and bytes, None if they are not known


@dataclass(eq=False)
class Made:
    """Represents a class or a function that a pickle names, or the object that it makes."""

    name: str
    items: dict[Any, Any] = field(default_factory=dict)
    storage: Storage | None = None

    def __str__(self) -> str:  # not of the items, which could contain it
        return self.name


class Pickle:
    """The content of one pickle.

    Attributes:
        top: The object, in which ``Made`` represents everything but Python's basic types.
        names: What it asks for, and how each name is used: "dict", "list", "module", "tensor".
        storages: The storages by their keys.
        tensors: The number of tensors of each dtype.
        ends: Where the parts of a distributed checkpoint end, by the name of the file.
        weights_only: Whether torch can build its objects under ``weights_only``.
        whole: Whether the end of the pickle was reached.
        error: Why it was not, if the pickle is damaged. A long pickle is read up to a limit.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self.top: Any = None
        self.names: defaultdict[str, set[str]] = defaultdict(set)
        self.storages: dict[str, Storage] = {}
        self.tensors: Counter[str] = Counter()
        self.ends: Counter[str] = Counter()
        self.weights_only = self.whole = False
        self.error = ""
        self._protocol = 0
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}
        try:
            for opcode, argument in itertools.islice(_opcodes(stream), _LIMIT):
                self._step(opcode, argument)
                self.weights_only &= opcode.code in _TABLE["opcodes"]
        except OverflowError:
            pass  # a name of more characters than the limit: what follows is not read
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            self.error = str(error) or type(error).__name__

    def _step(self, opcode: pickletools.OpcodeInfo, argument: Any) -> None:
        name, stack, before = opcode.name, self._stack, opcode.stack_before
        if name == "MEMOIZE" or "PUT" in name:
            self._memo[len(self._memo) if argument is None else argument] = stack[-1]
            return
        items: list[Any] = []
        if pickletools.markobject in before:
            while (item := stack.pop()) is not _MARK:
                items.append(item)
            items.reverse()
            before = before[: before.index(pickletools.markobject)]
        operands = [stack.pop() for _ in before][::-1]
        result = self._result(name, argument, operands, items)
        stack.extend([result] * len(opcode.stack_after))

    def _result(self, name: str, argument: Any, operands: list[Any], items: list[Any]) -> Any:
        """What an opcode pushes. It pops the operands, and the items above the mark."""
        if name == "PROTO":
            self._protocol = argument
            self.weights_only = argument == 2
        elif name == "MARK":
            return _MARK
        elif name in ("GLOBAL", "STACK_GLOBAL", "INST"):
            return self._named(*(argument or operands))
        elif name == "OBJ":
            return items[0]
        elif name in ("REDUCE", "NEWOBJ", "NEWOBJ_EX"):
            return self._called(operands[0], operands[1])
        elif "GET" in name:
            return self._memo[argument]
        elif name == "BINPERSID":
            kind, *given = operands[0]
            if kind == "storage":
                return self._stored(*given[:4])
            self.weights_only = False  # a class with its source, in legacy files of whole models
            return given[0]
        elif "TUPLE" in name:
            return tuple(operands or items)
        elif name in ("LIST", "EMPTY_LIST", "EMPTY_SET", "FROZENSET"):
            return items
        elif name in ("DICT", "EMPTY_DICT"):
            return self._filled({}, items, "SETITEMS")
        elif name.startswith(("SETITEM", "APPEND")):
            return self._filled(operands[0], items or operands[1:], name)
        elif name == "BUILD" and isinstance(operands[0], Made):
            self._built(operands[0].name, operands[1])
        elif name.startswith("NEW"):  # TRUE or FALSE
            return name == "NEWTRUE"
        elif name == "STOP":
            self.top, self.whole = operands[0], True
        return operands[0] if operands else argument

    def _named(self, module: str, attribute: str) -> Made:
        from torch._utils import IMPORT_MAPPING, NAME_MAPPING

        if not isinstance(module, str) or not isinstance(attribute, str):
            raise ValueError("It names a class with an object that is not a string")
        if len(module) + len(attribute) > _NAME:
            raise OverflowError
        if self._protocol < 3:  # the names of Python 2, which torch maps, too
            mapped = IMPORT_MAPPING.get(module, module), attribute
            module, attribute = NAME_MAPPING.get((module, attribute), mapped)
        self.names[f"{module}.{attribute}"].add("named")
        return Made(f"{module}.{attribute}")

    def _called(self, function: Made, arguments: Any) -> Made:
        made, kind = Made(function.name), function.name.removeprefix("torch._utils._rebuild_")
        if kind in ("tensor", "tensor_v2", "tensor_v3", "qtensor", "meta_tensor_no_storage"):
            origin = arguments[6 if kind == "tensor_v3" else 0]
            dtype = origin.storage[0] if origin.storage else origin.name.removeprefix("torch.")
            made.storage = dtype, "", None
            self.tensors[dtype] += 1
        if kind in ("qtensor", "sparse_tensor", "nested_tensor"):  # it is made of other tensors
            inner = {"q": arguments[4:5], "s": arguments[1:2]}.get(kind[0], [arguments])[0][:9]
            parts = [part for part in inner if isinstance(part, Made) and part.storage]
            parts = {"s": parts[:-1], "n": parts[1:]}.get(kind[0], parts)
            self.tensors.subtract(part.storage[0] for part in parts if part.storage)
        if kind == "torch._tensor._rebuild_from_type_v2" and isinstance(arguments[1], Made):
            self.names[arguments[1].name].add("tensor")
        return made

    def _built(self, name: str, state: Any) -> None:
        """Note the state that an object of the class with this name gets."""
        is_dict = isinstance(state, dict)
        if "list" in self.names[name] or "dict" in self.names[name] and not is_dict:
            self.weights_only = False  # torch gives a state to no list, and to a dict only a dict
        if is_dict and "_parameters" in state:
            self.names[name].add("module")
        if name == "torch.distributed.checkpoint.filesystem._StorageInfo":
            path, end = state["relative_path"], state["offset"] + state["length"]
            if isinstance(path, str) and isinstance(end, int):
                self.ends[path] = max(self.ends[path], end)

    def _stored(self, kind: Made, key: Any, device: str, elements: int) -> Made:
        if not (isinstance(key, str) and isinstance(device, str) and isinstance(elements, int)):
            raise ValueError("The key, device or length of a storage has a wrong type")
        name = kind.name.rpartition(".")[2].removesuffix("Storage")
        dtype, itemsize = _TABLE["storages"].get(name, (name, None))
        size = None if itemsize is None else itemsize * elements
        self.storages[key] = dtype, device, size
        return Made(kind.name, storage=(dtype, device, size))

    def _filled(self, made: Any, items: list[Any], name: str) -> Any:
        use, target = "list" if name.startswith("APPEND") else "dict", made
        if isinstance(made, Made):
            self.names[made.name].add(use)
            target = made.items if use == "dict" else []
        if use == "list" and isinstance(target, list):
            target.extend(items)
        elif isinstance(target, dict):
            for key, value in zip(items[::2], items[1::2], strict=True):
                # Hashing nested tuples could take for ever, and so could printing a long number.
                plain = isinstance(key, str | bytes | float | Made) or key is None
                plain = plain or isinstance(key, int) and abs(key) < 1 << 64
                target[key if plain else Made(type(key).__name__)] = value
        return made

    def items(self) -> dict[Any, Any] | None:
        """The items of the object. None if it is not a dict."""
        items = (self.top.items or None) if isinstance(self.top, Made) else self.top
        return items if isinstance(items, dict) else None

    def devices(self) -> list[str]:
        """The devices of the storages, without the CPU."""
        return sorted({device for _, device, _ in self.storages.values()} - {"cpu"})

    def refused(self) -> list[str]:
        """The names that ``torch.load`` does not allow under ``weights_only``, its default."""
        from torch._weights_only_unpickler import _get_allowed_globals

        return [name for name in self.names if name not in _get_allowed_globals()]

    def dangerous(self) -> list[str]:
        """The names of functions that can run commands or other code."""
        return [name for name in self.names if re.fullmatch(_TABLE["dangerous"], name)]

    def torch_lines(self, zipped: bool, packing: Sequence[str] = ()) -> list[str]:
        """The lines that load a file of ``torch.save`` with this pickle.

        There are none if the file needs classes of its author, and no others can replace them.

        Args:
            zipped: Whether it is a zip archive.
            packing: The lines that write this archive to {target}. Otherwise it is at {path}.
        """
        path = "{target}" if packing else "{path}"
        call = f"state = torch.load({path}" + ', map_location="cpu"' * bool(self.devices())
        refused, lines = self.refused(), []
        if self.weights_only and not refused and (self.whole or not zipped):
            lines = ["import torch", f"{call})"]
        elif self.weights_only:
            lines = self._replacing(refused, f"{call})", path if zipped else "")
        if not lines or len(lines) + len(packing) > _LINES or max(map(len, lines)) > _WIDTH:
            known = {*sys.stdlib_module_names, "numpy", "torch"}
            if not self.whole or {name.partition(".")[0] for name in refused} - known:
                return []
            lines = ["import torch", f"{call}, weights_only=False)"]
        return [*packing, *lines]

    def _replacing(self, refused: list[str], call: str, archive: str) -> list[str]:
        """The lines that replace each class that weights_only does not allow."""
        imports, replaced = {"torch"}, {}
        for name in refused:
            uses = ("tensor", "dict", "list")
            kind = name + "".join(f" ({use})" for use in uses if use in self.names[name])
            for pattern, module, code in _TABLE["replacements"]:
                if match := re.fullmatch(pattern, kind):
                    imports.add(module)
                    replaced[name] = match.expand(code)
                    break
        others = [name for name in refused if name not in replaced]
        has_others = bool(others) or not self.whole
        lines = [f"import {', '.join(sorted(imports))}"]
        for kind in sorted({"Dict", "List"} & set(replaced.values())):
            lines += _TABLE["stand_in"][kind]
        if has_others:
            is_module = any("module" in self.names[name] for name in others)
            lines += _TABLE["stand_in"]["module" if is_module else "class"]
        if replaced:
            pairs = [f"    {quoted(name)}: {use}," for name, use in replaced.items()]
            lines += ["replaced = {", *pairs, "}"]
        if archive:
            lines.append(f"names = torch.serialization.get_unsafe_globals_in_checkpoint({archive})")
        elif has_others:
            known = ["    *replaced,"] if replaced else []
            lines += ["names = [", *known, *[f"    {quoted(name)}," for name in others], "]"]
        else:
            lines.append("names = list(replaced)")
        new = "replaced.get(name, StandIn)" if has_others else "replaced[name]"
        lines.append(f"allowed = [({new if replaced else 'StandIn'}, name) for name in names]")
        if "numpy.dtype" in refused:
            lines.append("allowed += map(np.dtypes.__dict__.get, np.dtypes.__all__)")
        lines += ["with torch.serialization.safe_globals(allowed):", f"    {call}"]
        module = f"weights = {self._module()}.state_dict()"
        if self._module() and len(module) <= _WIDTH:
            lines.append(module)
        return lines

    def _module(self) -> str:
        """How to get a module: the object itself, or one of its items."""
        for key, value in {"": self.top, **(self.items() or {})}.items():
            is_module = isinstance(value, Made) and "module" in self.names[value.name]
            if is_module and isinstance(key, str):
                return f"state[{quoted(key)}]" if key else "state"
        return ""


def _opcodes(stream: BinaryIO) -> Iterator[tuple[pickletools.OpcodeInfo, Any]]:
    """Like ``pickletools.genops``, but a class may have a name in any alphabet."""
    code = ""
    while code != ".":
        code = stream.read(1).decode("latin-1")
        if code not in _OPCODES:
            raise ValueError(f"the opcode {code!r} is unknown" if code else "pickle exhausted")
        opcode, argument = _OPCODES[code], None
        if code in "ci":  # GLOBAL and INST
            argument = [stream.readline().decode() for _ in range(2)]
            if not argument[1].endswith("\n"):
                raise ValueError("no newline after the name of a class")
            argument = [line[:-1] for line in argument]
        elif opcode.arg:
            argument = opcode.arg.reader(stream)
        yield opcode, argument


def quoted(text: str) -> str:
    """The text as a string of Python in double quotes, as in the other lines."""
    code = repr(text)
    code = code if code[0] == '"' else '"' + code[1:-1].replace('"', r"\"") + '"'
    return code.replace("{", r"\x7b")  # so that no text looks like a place for a path
