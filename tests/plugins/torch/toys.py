"""A small network on vectors, as the trainer sees one: what it does can be computed by hand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ptbench import Column, Examples, FitRequest, Kind, ModelFacts, Split, Task
from ptbench_torch.batching import Index
from ptbench_torch.blocks import find_blocks
from ptbench_torch.learner import Learner
from ptbench_torch.trainable import Trainable

KIND = Kind(
    name="toy",
    description="A vector with a label.",
    inputs=(Column("features", "vector"),),
    target=Column("target", "label"),
    outputs=(Column("prediction", "label"), Column("scores", "scores", required=False)),
)
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Vectors:
    rows: Tensor

    @property
    def lengths(self) -> NDArray[np.int64]:
        return np.ones(len(self.rows), np.int64)

    def batch(self, rows: Index) -> Tensor:
        return self.rows[torch.from_numpy(rows)]


def read(examples: Examples) -> Vectors:
    return Vectors(torch.tensor(np.array(examples["features"], np.float32).reshape(len(examples), -1)))


class Block(nn.Module):
    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.linear, self.norm = nn.Linear(width, width), nn.BatchNorm1d(width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.dropout(torch.relu(self.norm(self.linear(x))))


class Toy(nn.Module):
    def __init__(self, width: int = 16, layers: int = 3, dropout: float = 0.1) -> None:
        super().__init__()
        self.stem = nn.Linear(4, width)
        self.layers = nn.Sequential(*(Block(width, dropout) for _ in range(layers)))
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        rows: Tensor = self.norm(self.layers(torch.relu(self.stem(x))))
        return rows


def toy(**sizes: Any) -> Toy:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Toy(**sizes).eval()


def learner(module: nn.Module | None = None, *, autocast: torch.dtype | None = None) -> Learner:
    module = module if module is not None else toy()
    example = torch.zeros(2, 4)
    width = module(example).shape[1]
    return Learner(module, find_blocks(module, lambda: module(example)), read, CPU, autocast, width)


def model(module: nn.Module | None = None, **more: Any) -> Trainable:
    return Trainable(learner(module, **more), ModelFacts(weights="toy"))


def split(name: str, n: int, *, numbers: bool = False, seed: int = 0) -> Split:
    """Vectors whose label is the sign of a product, which no linear head on them can tell."""
    x = np.random.default_rng([seed, len(name)]).normal(size=(n, 4))
    product = x[:, 0] * x[:, 1]
    targets = 100 + 10 * product if numbers else (product > 0).astype(int)
    return Split(Examples([f"{name}-{i}" for i in range(n)], {"features": x.tolist()}), targets)


def task(*, validation: bool = True, numbers: bool = False, train: int = 100) -> Task:
    sizes = {"train": train, **({"validation": 40} if validation else {}), "test": 50}
    splits = {name: split(name, n, numbers=numbers) for name, n in sizes.items()}
    return Task("toy", "toy", splits, (), () if numbers else ("no", "yes"))


def fit(model: Trainable, task: Task, *, seed: int = 0, scratch: Any = None, **options: Any) -> Any:
    request = FitRequest("toy", task.labels, seed, options, scratch)
    return model.fit(task.split("train"), task.split("validation"), request)


def state(module: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}
