"""Real images that are already on this machine: scikit-learn's handwritten digits."""

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import TensorDataset


def digits() -> tuple[TensorDataset, TensorDataset]:
    """The digits as the course's networks take them: 1437 images to train on, 360 to test on.

    Each item is an image, float32 of shape (3, 32, 32) with values from 0 to 1, and its label,
    an int64 from 0 to 9. The originals are 8x8 in 17 greys, see
    https://scikit-learn.org/stable/datasets/toy_dataset.html#digits-dataset; they are enlarged
    four times, and their one channel stands three times. The split is the same in every run.

    The file is read here, and not by ``sklearn.datasets.load_digits``: importing scikit-learn would
    take nearly as long as importing torch. A test compares the two.
    """
    found = importlib.util.find_spec("sklearn")
    if found is None or found.origin is None:
        raise ModuleNotFoundError("scikit-learn is not installed: the digits lie inside it.")
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
    """One epoch's batches, each ``(images, labels)``, in an order that the epoch's number decides.

    Epoch 7 is the same whether training came to it in one go or was stopped and resumed, and
    asking for it leaves torch's random state alone.
    """
    order = torch.randperm(len(dataset), generator=torch.Generator().manual_seed(epoch))
    for indices in order.split(batch_size):
        images, labels = dataset[indices]
        yield images, labels
