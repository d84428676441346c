"""Real images without a download: the handwritten digits that are part of scikit-learn."""

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import TensorDataset


def digits() -> tuple[TensorDataset, TensorDataset]:
    """The digits in the format of the course's networks: 1437 training and 360 test images.

    Each item is an image, float32 of shape (3, 32, 32) with values from 0 to 1, and its label,
    an int64 from 0 to 9. The originals are 8x8 in 17 greys, see
    https://scikit-learn.org/stable/datasets/toy_dataset.html#digits-dataset. They are upsampled
    4x to 32x32 and repeated over three channels. The split is the same in every run.

    This function reads the file directly, because importing scikit-learn takes nearly as long as
    importing torch. A test compares the result with ``sklearn.datasets.load_digits``.
    """
    found = importlib.util.find_spec("sklearn")
    if found is None or found.origin is None:
        raise ModuleNotFoundError(
            "scikit-learn, which contains the digits, is not installed: run `make setup`."
        )
    file = Path(found.origin).with_name("datasets") / "data" / "digits.csv.gz"
    table = torch.from_numpy(np.loadtxt(file, delimiter=","))
    grey = (table[:, :-1] / 16).float().view(-1, 1, 8, 8)
    images = F.interpolate(grey, scale_factor=4, mode="bilinear").repeat(1, 3, 1, 1)
    labels = table[:, -1].long()
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
    train, test = order[:1437], order[1437:]
    return TensorDataset(images[train], labels[train]), TensorDataset(images[test], labels[test])


def batches(
    dataset: TensorDataset, epoch: int, batch_size: int = 64
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the batches ``(images, labels)`` of one epoch. Its number seeds the shuffle.

    Epoch 7 is the same in an uninterrupted run and in a resumed run. The function does not change
    torch's global random state.
    """
    order = torch.randperm(len(dataset), generator=torch.Generator().manual_seed(epoch))
    for indices in order.split(batch_size):
        images, labels = dataset[indices]
        yield images, labels
