"""Real images that are already on this machine: scikit-learn's handwritten digits."""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import Tensor
from torch.utils.data import TensorDataset


def digits() -> tuple[TensorDataset, TensorDataset]:
    """The digits as the course's networks take them: 1437 images to train on, 360 to test on.

    Each item is an image, float32 of shape (3, 32, 32) with values from 0 to 1, and its label,
    an int64 from 0 to 9. The originals are 8x8 in 17 greys, see
    https://scikit-learn.org/stable/datasets/toy_dataset.html#digits-dataset; they are enlarged
    four times, and their one channel stands three times. The split is the same in every run.
    """
    source = load_digits()
    grey = torch.tensor(source.images / 16, dtype=torch.float32).unsqueeze(1)
    images = F.interpolate(grey, scale_factor=4, mode="bilinear").repeat(1, 3, 1, 1)
    labels = torch.tensor(source.target, dtype=torch.int64)
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
        yield dataset[indices]
