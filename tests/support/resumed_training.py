"""A training run with every source of inexact resumes. As a script, it resumes in a new process."""

import json
import random
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import TensorDataset
from torchdata.stateful_dataloader import StatefulDataLoader
from torchdata.stateful_dataloader.sampler import RandomSampler

from helpers import checkpoint

STEPS = 12  # three epochs of four
OPTIMIZERS = {
    "SGD": lambda parameters: torch.optim.SGD(parameters, lr=0.02, momentum=0.9, nesterov=True),
    "AdamW": lambda parameters: torch.optim.AdamW(parameters, lr=0.004),
}


def build(optimizer: str, workers: int, seed: int) -> dict[str, Any]:
    """The parts of a training run, seeded. A new program would have random seeds."""
    random.seed(seed), np.random.seed(seed), torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(0)
    dataset = TensorDataset(
        torch.rand(128, 3, 8, 8, generator=generator),
        torch.randint(10, (128,), generator=generator),
    )
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Dropout(0.3), nn.Linear(144, 10)
    )
    stepper = OPTIMIZERS[optimizer](model.parameters())
    sampler = RandomSampler(dataset, generator=torch.Generator().manual_seed(seed))
    warnings.filterwarnings("ignore", message="'set_vital' is deprecated")
    loader = StatefulDataLoader(
        dataset, 32, sampler=sampler, num_workers=workers, generator=torch.Generator()
    )
    return {
        "model": model,
        "optimizer": stepper,
        "scheduler": torch.optim.lr_scheduler.StepLR(stepper, step_size=2, gamma=0.1),
        "loader": loader,
    }


def augment(images: torch.Tensor) -> torch.Tensor:
    """Draw from Python, numpy and torch."""
    images = images.roll(random.randint(-1, 1), dims=-1) + 0.1 * torch.randn_like(images)
    # One number for each image, because BatchNorm cancels a common one.
    light = np.random.normal(size=(len(images), 1, 1, 1))
    return images + torch.from_numpy(light).float()


def train(parts: dict[str, Any], done: int = 0, save_at: dict[int, Path] | None = None) -> dict:
    """Train up to step STEPS. Return the losses and, as lists, the trained parameters."""
    model, optimizer = parts["model"].train(), parts["optimizer"]
    losses = []
    while done < STEPS:
        for images, labels in parts["loader"]:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(augment(images)), labels)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
            done += 1
            if done % 4 == 0:
                parts["scheduler"].step()
            if done in (save_at or {}):
                checkpoint.save(save_at[done], **parts, step=done)
    moments = [list(state.values()) for state in optimizer.state.values()]
    tensors = [*model.state_dict().values(), *(t for state in moments for t in state)]
    trained = [t.tolist() if isinstance(t, torch.Tensor) else t for t in tensors]
    return {"losses": losses, "trained": trained, "lr": optimizer.param_groups[0]["lr"]}


def resume(path: Path, optimizer: str, workers: int, without: str = "") -> dict:
    """Resume from a checkpoint ``without`` one of the seven states."""
    parts = build(optimizer, workers, seed=1)
    if without in ("python", "numpy", "torch"):
        state = torch.load(path)
        del state["random_state"][without]
        torch.save(state, path)
    given = {name: part for name, part in parts.items() if name != without}
    return train(parts, checkpoint.restore(path, **given)["step"])


if __name__ == "__main__":
    cases = json.loads(sys.argv[1])
    print(json.dumps([resume(Path(path), *rest) for path, *rest in cases]))
