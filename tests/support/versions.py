"""The texts in which the installed versions differ from the stored outputs: see versions.toml."""

import copy
import functools
import platform
import tomllib
from importlib import metadata
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

TABLE = Path(__file__).with_suffix(".toml")


@functools.cache
def rows(kind: str) -> list[dict[str, str]]:
    """The rows of kind ``"text"`` or ``"warning"`` that apply to the installed versions."""
    return [row for row in table()[kind] if _runs_here(row["on"])]


@functools.cache
def table() -> dict[str, Any]:
    return tomllib.loads(TABLE.read_text(encoding="utf-8"))


def as_said_here(stored: Any) -> Any:
    """Stored outputs, or any nested dicts, lists and strings, with the texts of these versions."""
    if isinstance(stored, dict):
        changed = copy.copy(stored)  # of the same class
        for key, value in stored.items():
            changed[key] = as_said_here(value)
        return changed
    if isinstance(stored, list):
        return [as_said_here(value) for value in stored]
    if isinstance(stored, str):
        for row in rows("text"):
            stored = stored.replace(row["stored"], row["said"])
    return stored


def _runs_here(on: str) -> bool:
    requirement = Requirement(on)
    if requirement.name == "Python":
        version = platform.python_version()
    else:
        version = metadata.version(requirement.name)
    return requirement.specifier.contains(version, prereleases=True)
