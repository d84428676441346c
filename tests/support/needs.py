"""The declared needs of tests, which are the only reasons to skip a test."""

import platform
import shutil

SYSTEM = {"Darwin": "macOS"}.get(platform.system(), platform.system())


def has_gpu() -> bool:
    import torch  # takes seconds, and is rarely needed

    return torch.cuda.is_available()


def has_accelerator() -> bool:
    import torch

    return torch.accelerator.is_available()


def only_the_test_knows() -> bool:
    return False


# Whether this machine has it.
NEEDS = {
    "a GPU": has_gpu,
    "a machine without a GPU": lambda: not has_accelerator(),
    "make": lambda: shutil.which("make") is not None,
    "Linux": lambda: SYSTEM == "Linux",
    "Linux or macOS": lambda: SYSTEM in ("Linux", "macOS"),
    "Linux and root": only_the_test_knows,  # in a container, root may not mount
    "Linux and strace": only_the_test_knows,  # it may be forbidden, or too old
    "root that makes devices": only_the_test_knows,
}


def excuses(reason: str) -> bool:
    """Whether a test may be skipped for this reason: a declared need that this machine lacks."""
    need = reason.partition(",")[0].removeprefix("needs ")
    return reason.startswith("needs ") and need in NEEDS and not NEEDS[need]()
