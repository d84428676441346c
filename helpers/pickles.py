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
_RULES = _TABLE["pickle"]
_LIMIT = 300_000  # opcodes, which take about a second
_MARK = object()


@dataclass
class Made:
    """Stands for a class or a function that a pickle names, or for what it makes."""

    name: str
    items: dict[Any, Any] = field(default_factory=dict)
    storage: tuple[str, str, int] | None = None  # type, device, number of elements


class Pickle:
    """The content of one pickle.

    Attributes:
        top: The object, with ``Made`` in the place of everything but Python's basic types.
        names: What it asks for, and how each name is used: "dict", "list", "module", "built".
        raw: The same names as they are written in the file.
        storages: The type, the device and the number of elements of each storage, by its key.
        tensors: The number of tensors of each dtype.
        opcodes: The names of the opcodes.
        whole: Whether the end of the pickle was reached.
        error: Why it was not, if the pickle is damaged. A long pickle is read up to a limit.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self.top: Any = None
        self.names: defaultdict[str, set[str]] = defaultdict(set)
        self.raw: set[str] = set()
        self.storages: dict[Any, tuple[str, str, int]] = {}
        self.tensors: Counter[str] = Counter()
        self.opcodes: set[str] = set()
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}
        self.error = ""
        try:
            for opcode, argument, _ in itertools.islice(pickletools.genops(stream), _LIMIT):
                self._step(opcode, argument)
                self.opcodes.add(opcode.name)
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            self.error = str(error) or type(error).__name__
        self.whole = "STOP" in self.opcodes

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
        if name == "MARK":
            return _MARK
        if name in ("GLOBAL", "STACK_GLOBAL"):
            return self._named(*(argument.split(" ", 1) if argument else operands))
        if name in ("INST", "OBJ"):
            made = self._named(*argument.split(" ", 1)) if argument else items[0]
            return Made(made.name)
        if name in ("REDUCE", "NEWOBJ", "NEWOBJ_EX"):
            return self._called(operands[0], operands[1])
        if "GET" in name:
            return self._memo[argument]
        if name == "BINPERSID":
            kind, *given = operands[0]
            if kind == "storage":
                return self._stored(*given[:4])
            self.opcodes.add("class with its source")  # in legacy files of whole models
            return given[0]
        if "TUPLE" in name:
            return tuple(operands or items)
        if name in ("LIST", "EMPTY_LIST", "EMPTY_SET", "FROZENSET"):
            return items
        if name in ("DICT", "EMPTY_DICT"):
            return self._filled({}, items)
        if name.startswith("SETITEM"):
            return self._filled(operands[0], items or operands[1:])
        if name.startswith("APPEND"):
            return self._extended(operands[0], items or operands[1:])
        if name == "BUILD" and isinstance(operands[0], Made):
            is_module = isinstance(operands[1], dict) and "_parameters" in operands[1]
            self.names[operands[0].name].add("module" if is_module else "built")
        if name == "STOP":
            self.top = operands[0]
        if name in ("NEWTRUE", "NEWFALSE"):
            return name == "NEWTRUE"
        return operands[0] if operands else argument

    def _named(self, module: str, attribute: str) -> Made:
        self.raw.add(f"{module}.{attribute}")
        if "STACK_GLOBAL" not in self.opcodes:  # the names of Python 2, which torch maps, too
            mapped = IMPORT_MAPPING.get(module, module), attribute
            module, attribute = NAME_MAPPING.get((module, attribute), mapped)
        made = Made(f"{module}.{attribute}")
        self.names[made.name].add("named")
        return made

    def _called(self, function: Made, arguments: Any) -> Made:
        if function.name.startswith("torch._utils._rebuild_tensor"):
            dtype = [given.name for given in arguments[6:7] if isinstance(given, Made)]  # of v3
            stored = arguments[0].storage[0] if arguments[0].storage else "of an unknown type"
            stored = _TABLE["storages"].get(stored, stored)
            self.tensors[dtype[0].removeprefix("torch.") if dtype else stored] += 1
        return Made(function.name)

    def _stored(self, kind: Made, key: Any, device: str, elements: int) -> Made:
        name = re.sub(r".*\.|Storage$", "", kind.name)
        self.storages[str(key)] = (name, str(device), int(elements))
        return Made(kind.name, storage=self.storages[str(key)])

    def _filled(self, target: Any, items: list[Any]) -> Any:
        if isinstance(target, Made):
            self.names[target.name].add("dict")
        # Only such keys are hashed. Hashing nested tuples could take for ever.
        pairs = zip(items[::2], items[1::2], strict=True)
        kept = {key: value for key, value in pairs if isinstance(key, str | int | bytes)}
        (target.items if isinstance(target, Made) else target).update(kept)
        return target

    def _extended(self, target: Any, items: list[Any]) -> Any:
        if isinstance(target, Made):
            self.names[target.name].add("list")
        else:
            target.extend(items)
        return target

    def keys(self) -> list[str] | None:
        """The keys of the object. None if it is not a dict."""
        items = (self.top.items or None) if isinstance(self.top, Made) else self.top
        return list(map(str, items)) if isinstance(items, dict) else None

    def modules(self) -> list[str]:
        """How to get the modules: the object itself, or some of its items."""
        items = self.top.items if isinstance(self.top, Made) else self.top
        found = {"": self.top}
        if isinstance(items, dict):
            found |= {f"[{quoted(key)}]": value for key, value in items.items() if type(key) is str}
        made = {where: value for where, value in found.items() if isinstance(value, Made)}
        return [where for where, value in made.items() if "module" in self.names[value.name]]

    def devices(self) -> list[str]:
        """The devices of the storages, without the CPU."""
        return sorted({device for _, device, _ in self.storages.values()} - {"cpu"})

    def refused(self) -> list[str]:
        """The names that ``torch.load`` does not allow under ``weights_only``, its default."""
        names = [name for name in self.names if not re.fullmatch(_RULES["allowed"], name)]
        if names:  # only now import torch, which takes a second
            from torch._weights_only_unpickler import _get_allowed_globals

            names = [name for name in names if name not in _get_allowed_globals()]
        return names

    def dangerous(self) -> list[str]:
        """The names of functions that can run commands or other code."""
        return [name for name in self.names if re.fullmatch(_RULES["dangerous"], name)]

    def loads_weights_only(self) -> bool:
        """Whether torch.load has all the opcodes under ``weights_only``."""
        return self.opcodes <= set(_RULES["opcodes"].split())

    def torch_lines(self, zipped: bool) -> list[str]:
        """The lines that load a file of ``torch.save`` with this pickle from {path}."""
        place = ', map_location="cpu"' if self.devices() else ""
        call = f"state = torch.load({{path}}{place})"
        if not self.loads_weights_only():
            return ["import torch", f"{call[:-1]}, weights_only=False)"]
        refused = self.refused()
        if not refused:
            return ["import torch", call]
        imports, others, replaced = {"torch"}, [], []
        for name in refused:
            row = next((r for r in _TABLE["names"] if re.fullmatch(r["pattern"], name)), None)
            if row is None:
                row = next(
                    (_TABLE[use] for use in ("dict", "list") if use in self.names[name]), None
                )
            if row is None:
                others.append(name)
            else:
                imports.add(row.get("import", "torch"))
                use = re.sub(row["pattern"], row["use"], name)
                replaced.append(f"{quoted(name)}: {use}")
        lines = [f"import {', '.join(sorted(imports))}"]
        if replaced:
            lines += _listed("replaced = {", replaced, "}")
        if others:
            is_module = any("module" in self.names[name] for name in others)
            lines += _TABLE["stand_in"]["module" if is_module else "class"]
        names = _listed("names = [", [quoted(name) for name in others], "]")
        if len(names) > 5 and zipped:
            lines.append("names = torch.serialization.get_unsafe_globals_in_checkpoint({path})")
            new = "replaced.get(name, StandIn)" if replaced else "StandIn"
            lines.append(f"allowed = [({new}, name) for name in names]")
        else:
            if others:
                lines += [*names, "allowed = [(StandIn, name) for name in names]"]
            if replaced:
                sign = "+=" if others else "="
                lines.append(f"allowed {sign} [(new, name) for name, new in replaced.items()]")
        if "numpy.dtype" in refused:
            lines.append("allowed += map(np.dtypes.__dict__.get, np.dtypes.__all__)")
        lines += ["with torch.serialization.safe_globals(allowed):", f"    {call}"]
        lines += [f"weights = state{where}.state_dict()" for where in self.modules()[:1]]
        return lines if len(lines) < 21 else ["import torch", f"{call[:-1]}, weights_only=False)"]

    def is_harmless(self) -> bool:
        """Whether it asks only for names that build tensors, arrays and Python's basic types."""
        harmless = f"{_RULES['allowed']}|{_RULES['harmless']}"
        return self.whole and all(re.fullmatch(harmless, name) for name in self.names)

    def pickle_lines(self) -> list[str]:
        """The lines that load a file of ``pickle.dump`` with this pickle from {path}."""
        if self.names and self.is_harmless():
            return [
                *_listed("allowed = [", [quoted(name) for name in sorted(self.raw)], "]"),
                *_RULES["restricted"],
            ]
        return _RULES["plain"]


def quoted(text: str) -> str:
    """The text as a string of Python in double quotes, as in the other lines."""
    code = repr(text)
    code = code if code[0] == '"' else '"' + code[1:-1].replace('"', r"\"") + '"'
    return code.replace("{", r"\x7b")  # so that no text looks like a place for a path


def _listed(begin: str, items: list[str], end: str) -> list[str]:
    """The lines of a list or a dict."""
    line = f"{begin}{', '.join(items)}{end}"
    if len(line) < 94:
        return [line]
    lines, width = [begin], 0
    for item in items:
        if not width or width + len(item) > 90:
            lines.append("   ")
            width = 3
        lines[-1] += f" {item},"
        width += len(item) + 2
    return [*lines, end]
