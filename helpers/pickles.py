"""Read what a pickle holds and asks for, without building or calling anything of it."""

import itertools
import pickletools
import re
import tomllib
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

_TABLE = tomllib.loads(
    Path(__file__).with_name("files").joinpath("pickles.toml").read_text("utf-8")
)
_LIMIT = 300_000  # opcodes, which take about a second
_MARK = object()
Storage = tuple[str, str, int | None]  # dtype, device, and bytes, None if they are not known


@dataclass
class Made:
    """Represents a class or a function that a pickle names, or the object that it makes."""

    name: str
    items: dict[Any, Any] = field(default_factory=dict)
    storage: Storage | None = None


class Pickle:
    """The content of one pickle.

    Attributes:
        top: The object, in which ``Made`` represents everything but Python's basic types.
        names: What it asks for, and how each name is used: "dict", "list", "module".
        storages: The storages by their keys.
        tensors: The number of tensors of each dtype.
        weights_only: Whether torch has all its opcodes under ``weights_only``.
        whole: Whether the end of the pickle was reached.
        error: Why it was not, if the pickle is damaged. A long pickle is read up to a limit.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self.top: Any = None
        self.names: defaultdict[str, set[str]] = defaultdict(set)
        self.storages: dict[str, Storage] = {}
        self.tensors: Counter[str] = Counter()
        self.weights_only = self.whole = False
        self.error = ""
        self._protocol = 0
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}
        try:
            for opcode, argument, _ in itertools.islice(pickletools.genops(stream), _LIMIT):
                self._step(opcode, argument)
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
            return self._named(*(argument.split(" ", 1) if argument else operands))
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
        elif name == "BUILD":
            if isinstance(operands[1], dict) and "_parameters" in operands[1]:
                self.names[operands[0].name].add("module")
        elif name == "STOP":
            self.top, self.whole = operands[0], True
        return operands[0] if operands else argument

    def _named(self, module: str, attribute: str) -> Made:
        if self._protocol < 3:  # the names of Python 2, which unpicklers map, too
            mapped = IMPORT_MAPPING.get(module, module), attribute
            module, attribute = NAME_MAPPING.get((module, attribute), mapped)
        self.names[f"{module}.{attribute}"].add("named")
        return Made(f"{module}.{attribute}")

    def _called(self, function: Made, arguments: Any) -> Made:
        if function.name.startswith("torch._utils._rebuild_tensor"):
            storage = arguments[0].storage
            dtype = storage[0] if storage else "of an unknown type"
            if function.name.endswith("_v3") and isinstance(arguments[6], Made):
                dtype = arguments[6].name.removeprefix("torch.")
            self.tensors[dtype] += 1
        return Made(function.name)

    def _stored(self, kind: Made, key: Any, device: str, elements: int) -> Made:
        name = re.sub(r".*\.|Storage$", "", kind.name)
        dtype, itemsize = _TABLE["storages"].get(name, (name, None))
        size = None if itemsize is None else itemsize * elements
        self.storages[str(key)] = dtype, str(device), size
        return Made(kind.name, storage=(dtype, device, size))

    def _filled(self, made: Any, items: list[Any], name: str) -> Any:
        use, target = "list" if name.startswith("APPEND") else "dict", made
        if isinstance(made, Made):
            self.names[made.name].add(use)
            target = made.items if use == "dict" else []
        if use == "list":
            target.extend(items)
        else:  # Only such keys are hashed. Hashing nested tuples could take for ever.
            pairs = zip(items[::2], items[1::2], strict=True)
            target.update((k, value) for k, value in pairs if isinstance(k, str | int | bytes))
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

    def torch_lines(self, zipped: bool) -> list[str]:
        """The lines that load a file of ``torch.save`` with this pickle from {path}."""
        place = ', map_location="cpu"' if self.devices() else ""
        call = f"state = torch.load({{path}}{place})"
        trusting = ["import torch", f"{call[:-1]}, weights_only=False)"]
        if not self.weights_only:
            return trusting
        refused = self.refused()
        if not refused:
            return ["import torch", call]
        imports, replaced = {"torch"}, {}
        for name in refused:
            uses = "".join(f" ({use})" for use in ("dict", "list") if use in self.names[name])
            for pattern, module, code in _TABLE["replacements"]:
                if match := re.fullmatch(pattern, name + uses):
                    imports.add(module)
                    replaced[name] = match.expand(code)
                    break
        others = [name for name in refused if name not in replaced]
        lines = [f"import {', '.join(sorted(imports))}"]
        if others:
            is_module = any("module" in self.names[name] for name in others)
            lines += _TABLE["stand_in"]["module" if is_module else "class"]
        if replaced:
            pairs = [f"    {quoted(name)}: {use}," for name, use in replaced.items()]
            lines += ["replaced = {", *pairs, "}"]
        if zipped:
            lines.append("names = torch.serialization.get_unsafe_globals_in_checkpoint({path})")
        else:
            lines.append(f"names = [{', '.join(map(quoted, refused))}]")
        new = "replaced.get(name, StandIn)" if others else "replaced[name]"
        lines.append(f"allowed = [({new if replaced else 'StandIn'}, name) for name in names]")
        if "numpy.dtype" in refused:
            lines.append("allowed += map(np.dtypes.__dict__.get, np.dtypes.__all__)")
        lines += ["with torch.serialization.safe_globals(allowed):", f"    {call}"]
        if module := self._module():
            lines.append(f"weights = {module}.state_dict()")
        return lines if len(lines) < 23 else trusting

    def _module(self) -> str:
        """How to get a module: the object itself, or one of its items."""
        for key, value in {"": self.top, **(self.items() or {})}.items():
            is_module = isinstance(value, Made) and "module" in self.names[value.name]
            if is_module and isinstance(key, str):
                return f"state[{quoted(key)}]" if key else "state"
        return ""


def quoted(text: str) -> str:
    """The text as a string of Python in double quotes, as in the other lines."""
    code = repr(text)
    code = code if code[0] == '"' else '"' + code[1:-1].replace('"', r"\"") + '"'
    return code.replace("{", r"\x7b")  # so that no text looks like a place for a path
