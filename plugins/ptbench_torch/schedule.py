"""The learning rate over the steps of a stage: it rises in a line, then falls."""

from __future__ import annotations

import math


def rate_factor(step: int, steps: int, warmup: float, decay: str) -> float:
    """Return the share of the learning rate with which a step is made; steps count from 0.

    The first ``ceil(warmup * steps)`` steps rise in a line to 1. From there the rate falls in a line, or
    as half a cosine; it would reach 0 right after the last step, so that no step is without effect.

    >>> [rate_factor(step, 6, 1 / 3, "linear") for step in range(6)]
    [0.5, 1.0, 1.0, 0.75, 0.5, 0.25]
    """
    rising = math.ceil(warmup * steps)
    if step < rising:
        return (step + 1) / rising
    left = (steps - step) / (steps - rising)
    return left if decay == "linear" else 0.5 * (1 - math.cos(math.pi * left))
