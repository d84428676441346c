"""The accelerator of this machine, and files that came from one or look as if they did."""

from collections.abc import Mapping
from pathlib import Path

import torch

# Saved on an NVIDIA H200 by torch 2.11.0+cu130. tests/test_golden.py says what is in them.
FILES = Path(__file__).with_name("files")

_locations: dict[int, str] = {}  # where a storage is to seem to be, while save_from runs


def best() -> torch.device:
    """The current accelerator (CUDA, MPS, XPU, …), or the CPU where there is none."""
    # Without check_available it is what torch was built for, be it there or not.
    return torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")


def save_from(
    device: str | Mapping[str, str], state: Mapping[str, torch.Tensor], path: str | Path
) -> None:
    """``torch.save(state, path)`` as a machine whose tensors are on ``device`` would do it.

    ``device`` is a location such as ``"cuda:0"``, or one for each key of ``state``. No such device
    is needed: the storages are on the CPU and only their tags in the file say otherwise, by way of
    ``torch.serialization.register_package``. Every byte of the file is as a GPU would have it; what
    it cannot show is a copy from one memory to another.
    """
    places = device if isinstance(device, Mapping) else dict.fromkeys(state, device)
    try:
        for name, tensor in state.items():
            _locations[tensor.untyped_storage().data_ptr()] = places[name]
        torch.save(state, path)
    finally:
        _locations.clear()


# Once: registering twice at one priority raises, and leaves the second entry behind. 5 comes before
# torch's own CPU tagger (10). Nothing is tagged outside save_from, and nothing is ever loaded here.
torch.serialization.register_package(
    5, lambda storage: _locations.get(storage.data_ptr()), lambda storage, location: None
)
