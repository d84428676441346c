"""The training loop of the notebooks, and the accuracy of a model."""

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
    """Iterate over the epochs with a tqdm bar.

    The bar shows no times, because the outputs of a notebook must be the same in every run.
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
    """Train a classifier in train mode, on its device, and show a progress bar.

    ``epochs`` are the numbers of the epochs: ``range(5)`` runs the first five, ``range(5, 8)`` the
    next three. A scheduler steps once after each epoch. Returns the cross-entropy of each step, in
    nats.
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
    """The share of correct labels in eval mode, from 0 to 1.

    The train or eval mode of every submodule is restored afterwards.
    """
    device = next(model.parameters()).device
    images, labels = dataset.tensors
    modes = {module: module.training for module in model.modules()}
    predictions = model.eval()(images.to(device)).argmax(1)
    for module, mode in modes.items():
        module.training = mode
    return (predictions == labels.to(device)).float().mean().item()
