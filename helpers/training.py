"""The training loop that the notebooks use and do not teach, and the accuracy."""

import sys
from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.utils.data import TensorDataset
from tqdm import tqdm

from helpers.data import batches


def progress(epochs: Iterable[int], label: str = "training") -> Iterable[int]:
    """Go through the epochs behind a tqdm bar.

    The bar shows no times: those differ from run to run, and a notebook's outputs must not.
    """
    layout = "{desc} {bar:20} {n_fmt}/{total_fmt} epochs"
    return tqdm(epochs, desc=label, bar_format=layout, file=sys.stdout)


def train(
    model: nn.Module,
    optimizer: Optimizer,
    dataset: TensorDataset,
    *,
    epochs: range,
    scheduler: LRScheduler | None = None,
    label: str = "training",
) -> list[float]:
    """Train a classifier in train mode, on the device that it is on, and show a bar.

    ``epochs`` are the epochs to run: ``range(5)`` the first five, ``range(5, 8)`` the three after
    them. A scheduler steps once after each epoch. Returns the cross-entropy of every step, in nats.
    """
    device = next(model.parameters()).device
    losses = []
    model.train()
    for epoch in progress(epochs, label):
        for images, labels in batches(dataset, epoch):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(images.to(device)), labels.to(device))
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        if scheduler:
            scheduler.step()
    return losses


@torch.inference_mode()
def accuracy(model: nn.Module, dataset: TensorDataset) -> float:
    """The share of images, from 0 to 1, that the model in eval mode labels right.

    The model is left in the mode that it came in, each part of it in its own.
    """
    device = next(model.parameters()).device
    images, labels = dataset.tensors
    modes = {module: module.training for module in model.modules()}
    predictions = model.eval()(images.to(device)).argmax(1)
    for module, mode in modes.items():
        module.training = mode
    return (predictions == labels.to(device)).float().mean().item()
