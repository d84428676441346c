"""What a test may need that a machine does not have, and the only reasons to skip one."""

import platform
import shutil

import torch

SYSTEM = {"Darwin": "macOS"}.get(platform.system(), platform.system())

# Whether it is here. None: only the test itself can find out.
NEEDS = {
    "a GPU": torch.cuda.is_available(),
    "a machine without a GPU": not torch.accelerator.is_available(),
    "make": shutil.which("make") is not None,
    "Linux": SYSTEM == "Linux",
    "Linux or macOS": SYSTEM in ("Linux", "macOS"),
    "Linux and root": None,  # in a container, root may not mount
    "Linux and strace": None,  # it may be forbidden, or too old
    "root that makes devices": None,
}


def excuses(reason: str) -> bool:
    """Whether a test may be skipped for this reason: it needs what is declared, and is not here."""
    need = reason.partition(",")[0].removeprefix("needs ")
    return reason.startswith("needs ") and need in NEEDS and not NEEDS[need]
