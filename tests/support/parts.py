"""Shared code of the tests of helpers/checkpoint.py: small training runs, and comparisons."""

import itertools
import os
import random
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import torch
from torch import nn
from torch.optim import Adam, lr_scheduler
from torch.testing._internal.two_tensor import TwoTensor

INPUT = torch.linspace(-1, 1, 12).view(4, 3)
GOLDEN = sorted((Path(__file__).parents[1] / "golden").glob("checkpoint-torch-*.tar"))


def net(*sizes: int) -> nn.Sequential:
    return nn.Sequential(*(nn.Linear(a, b) for a, b in itertools.pairwise(sizes or (3, 4, 2))))


def train(model, optimizer, scheduler=None, steps=3) -> None:
    for _ in range(steps):
        optimizer.zero_grad()
        model(INPUT).pow(2).sum().backward()
        optimizer.step()
        if isinstance(scheduler, lr_scheduler.ReduceLROnPlateau):
            scheduler.step(1.0)
        elif scheduler:
            scheduler.step()


def training(optimizer=Adam, scheduler=lr_scheduler.LinearLR, model=net, steps=3) -> dict[str, Any]:
    """A model, its optimizer and its scheduler after some steps."""
    model = model()
    optimizer = optimizer(model.parameters(), lr=0.1)
    scheduler = scheduler(optimizer)
    train(model, optimizer, scheduler, steps)
    return {"model": model, "optimizer": optimizer, "scheduler": scheduler}


def bits(parts: dict[str, Any]) -> Any:
    """The states of the parts and of the global generators. Compare them with ``==``."""

    def plain(value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            dense = value.detach().to_dense() if value.layout is not torch.strided else value
            return (
                value.dtype,
                value.shape,
                dense.detach().view(-1).clone().untyped_storage().tolist(),
            )
        if isinstance(value, dict):
            return {key: plain(item) for key, item in value.items()}
        return [plain(item) for item in value] if isinstance(value, list | tuple) else value

    _, numbers, *others = numpy.random.get_state()
    generators = random.getstate(), plain(torch.get_rng_state()), numbers.tobytes(), others
    return plain({name: part.state_dict() for name, part in parts.items()}), generators


def content(number: int, size: int = 1 << 20) -> dict[str, Any]:
    """Parts to save whose values show whether they are complete."""
    return {"number": number, "weight": torch.full((size,), float(number))}


def damage(path: Path) -> None:
    """Flip a bit in the 64 ones of a checkpoint's content."""
    raw = bytearray(path.read_bytes())
    raw[raw.index(torch.ones(64).numpy().tobytes()) + 9] ^= 1
    path.write_bytes(raw)


def fork(function: Callable[..., Any], *arguments: Any, **keywords: Any) -> int:
    """Call a function in a forked process and return its id. It exits with 0 if nothing failed."""
    if child := os.fork():
        return child
    try:
        torch.set_num_threads(1)  # the fork does not have the other threads
        function(*arguments, **keywords)
        os._exit(0)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(1)


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(3, 3), nn.Linear(3, 3)
        self.last.weight = self.first.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.first(x))


class Wrapped(nn.Module):
    """A model, filled with a value, whose parameters do not own a storage."""

    def __init__(self, model: nn.Module, value: float) -> None:
        super().__init__()
        for name, parameter in model.named_parameters():
            filled = torch.full_like(parameter, value).detach()
            two = TwoTensor(filled, filled.clone())
            self.register_parameter(name.replace(".", "_"), nn.Parameter(two))
