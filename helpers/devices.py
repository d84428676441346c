"""Files that were saved on a GPU, or look as if they were."""

from collections.abc import Mapping
from pathlib import Path

import torch

# Saved on an NVIDIA H200 by torch 2.11.0+cu130. tests/test_golden.py describes their content.
FILES = Path(__file__).with_name("files")

_locations: dict[int, str] = {}  # the device to write for each storage, while save_from runs


def save_from(
    device: str | Mapping[str, str], state: Mapping[str, torch.Tensor], path: str | Path
) -> None:
    """Write the file that ``torch.save(state, path)`` writes if the tensors are on ``device``.

    ``device`` is a location such as ``"cuda:0"``, or one location for each key of ``state``. The
    machine does not need such a device: the storages are on the CPU, and
    ``torch.serialization.register_package`` changes only their tags in the file. A file from a GPU
    has the same tags and values. This file cannot show a copy between two memories.
    """
    places = device if isinstance(device, Mapping) else dict.fromkeys(state, device)
    try:
        for name, tensor in state.items():
            _locations[tensor.untyped_storage().data_ptr()] = places[name]
        torch.save(state, path)
    finally:
        _locations.clear()


# Registering twice at one priority raises an error and still adds the second entry. Priority 5
# comes before torch's CPU tagger (10). It tags nothing outside save_from, and loads nothing.
torch.serialization.register_package(
    5, lambda storage: _locations.get(storage.data_ptr()), lambda storage, location: None
)
