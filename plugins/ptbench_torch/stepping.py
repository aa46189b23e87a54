"""The gradient of one step, in as many pieces as memory asks for."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ptbench_torch.batching import Batching, Index
from ptbench_torch.memory import explained, out_of_memory
from ptbench_torch.optimising import Optimiser
from ptbench_torch.recipe import Recipe
from ptbench_torch.seeding import draw_again, drawn
from ptbench_torch.shuffling import cut

BATCH_NORM = nn.modules.batchnorm._BatchNorm


def step_batching(module: nn.Module, recipe: Recipe, device: torch.device) -> Batching:
    """Return how the examples of a step go through a module; batch norm has no variance of one."""
    normed = recipe.batch_norm == "learn" and any(isinstance(part, BATCH_NORM) for part in module.modules())
    return Batching("training examples", recipe.batch_size, device, least=2 if normed else 1)


def step_gradient(
    module: nn.Module,
    losses: Callable[[Index], Tensor],
    step: Index,
    optimiser: Optimiser,
    batching: Batching,
) -> Tensor:
    """Compute the gradient of the mean loss over the rows of a step; return the sum of their losses.

    Where memory is short all of it is computed again in batches of half the size, and so is every step that
    follows: the gradient is the same but for rounding (and for dropout, which is drawn for other shapes, and
    batch norm that learns, whose batches are those that go through at once). Nothing is left of what failed:
    gradients, random numbers and the statistics of batch norm are those from before. Raises
    `ptbench_torch.memory.OutOfMemory`.
    """
    device = batching.device
    while True:
        randomness, statistics = drawn(device), _statistics(module)
        at_once = 0
        total = torch.zeros((), device=device)
        try:
            for batch in cut(step, batching.used):
                at_once = len(batch)
                loss = losses(batch).sum() / len(step)
                optimiser.add(loss)
                total += loss.detach() * len(step)
        except Exception as error:
            if not out_of_memory(error):
                raise
            told = explained(error, device, f"a training step with {at_once:,} examples at once")
        else:
            return total
        loss = total  # the old one may hold its activations
        optimiser.forget()
        batching.shrink(min(at_once, batching.used), 1, told)
        draw_again(device, randomness)
        with torch.no_grad():
            for buffer, before in statistics:
                buffer.copy_(before)


def _statistics(module: nn.Module) -> list[tuple[Tensor, Tensor]]:
    """Return the buffers that a forward pass in training changes, with a copy of each."""
    learning = [part for part in module.modules() if isinstance(part, BATCH_NORM) and part.training]
    return [(buffer, buffer.clone()) for part in learning for buffer in part.buffers()]
