"""The loop: examples once through a module, forward and backward, or forward only."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ptbench import Split, advance
from ptbench_torch.batching import Batching, Index
from ptbench_torch.collect import collect
from ptbench_torch.goals import Goal, Outputs
from ptbench_torch.learner import Inputs
from ptbench_torch.memory import saying
from ptbench_torch.optimising import Optimiser
from ptbench_torch.recipe import Recipe
from ptbench_torch.schedule import rate_factor
from ptbench_torch.shuffling import Keys, cut, epoch_batches, example_keys
from ptbench_torch.stepping import step_batching, step_gradient


@dataclass(frozen=True, slots=True)
class Rows:
    """Examples as a module reads them, with what it is to put out for them."""

    inputs: Inputs
    targets: NDArray[Any]
    encoded: Tensor
    """Targets as the loss takes them, on the device."""
    keys: Keys

    @classmethod
    def of(cls, split: Split, inputs: Inputs, goal: Goal, device: torch.device, seed: int) -> Rows:
        """Put inputs that were read beside the targets of their split."""
        keys = example_keys(split.examples.ids, seed)
        return cls(inputs, split.targets, goal.encoded(split.targets).to(device), keys)

    def reading(self, inputs: Inputs) -> Rows:
        """Return the same rows with other inputs."""
        return replace(self, inputs=inputs)


@dataclass(frozen=True, slots=True)
class Kept:
    """Features that were computed once, as inputs of a head; what reads them tells no progress of a model."""

    features: Tensor

    @property
    def lengths(self) -> NDArray[np.int64]:
        """int64[n]: ones, since all cost the same."""
        return np.ones(len(self.features), np.int64)

    def batch(self, rows: Index) -> Tensor:
        """Return float32[rows, width]."""
        return self.features[torch.from_numpy(rows)]


def train_epoch(
    module: nn.Module,
    rows: Rows,
    goal: Goal,
    optimiser: Optimiser,
    recipe: Recipe,
    epoch: int,
    epochs: int,
    batching: Batching | None = None,
) -> float:
    """Learn from every row once, in the given epoch of so many, from 0; return the mean loss on the way.

    A step is made of ``accumulate`` batches; its loss is the mean over all of their examples. Where memory is
    short ``batching`` tells afterwards, see `step_gradient`. NaN where gradients were no numbers. Raises
    `ptbench_torch.memory.OutOfMemory`.
    """
    steps = epoch_batches(rows.inputs.lengths, rows.keys, recipe.batch_size * recipe.accumulate, epoch)
    device = rows.encoded.device
    batching = batching or step_batching(module, recipe, device)
    module.train()
    total = torch.zeros((), device=device)
    sound = torch.ones_like(total, dtype=torch.bool)

    def losses(batch: Index) -> Tensor:
        return goal.losses(module(rows.inputs.batch(batch)), rows.encoded[torch.from_numpy(batch)])

    for i, step in enumerate(steps):
        total += step_gradient(module, losses, step, optimiser, batching)
        if not isinstance(rows.inputs, Kept):
            advance(len(step))
        done, planned = epoch * len(steps) + i, epochs * len(steps)
        with saying("a step of the optimiser", device):
            sound &= optimiser.step(rate_factor(done, planned, recipe.warmup, recipe.decay))
    return total.item() / len(rows.targets) if sound.item() else math.nan


def evaluate(forward: Callable[[Any], Tensor], inputs: Inputs, batching: Batching, *, width: int) -> Outputs:
    """Return float32[n, width]: what is put out for every row, in their order.

    Raises `ptbench_torch.memory.OutOfMemory`.
    """
    batches = batching.cut(inputs.lengths)
    told = not isinstance(inputs, Kept)
    return collect(
        batches, lambda rows: forward(inputs.batch(rows)), batching=batching, width=width, told=told
    )


def mean_loss(outputs: Outputs, rows: Rows, goal: Goal) -> float:
    """Return the mean loss of outputs that `evaluate` gave."""
    losses = goal.losses(torch.from_numpy(outputs), rows.encoded.cpu())
    return float(losses.double().mean())


def steps_of(rows: Rows, recipe: Recipe) -> int:
    """Return how many steps an epoch has."""
    n, size = len(rows.targets), recipe.batch_size * recipe.accumulate
    return len(cut(np.arange(n), size))
