"""The luck of a training, in the difference between two sides that were trained anew.

A test on examples asks whether two trained models differ, and of two trainings of one recipe the answer is
yes. A gate asks whether the recipe got worse. So the luck of each training is part of the error.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import variance

from ptbench.comparison import Difference
from ptbench.statistics.power import detectable, holding_zero, least_p
from ptbench.statistics.student import pooled_freedom, t_quantile, t_sf

FREEDOM = 4
"""Fewer degrees of freedom tell too little of luck: five trainings have four, as have three on each side."""
ASSUMED = 0.02
"""The standard deviation of luck that is assumed where too little is known, as a share of the range of the
metric (of its value, where it has no bounds): on the large side for fine-tuning that does not fail, so that
luck is rarely taken for a loss, and a collapse is still seen."""

Trained = Mapping[int, float]
"""The value of a metric by seed: one training each."""


def with_luck(
    difference: Difference, a: Trained, b: Trained, repeats: Sequence[Trained], width: float
) -> Difference:
    """Return a difference between trained models with the luck of training in its error.

    Luck is the spread of single trainings: over the seeds of A and of its ``repeats`` (runs of exactly the
    same), and over those of B, with equal variances, since it is that of one recipe. Where a seed gave
    another value in some repeat, every repeat is a training of its own: what makes a training
    non-deterministic moves it as much as another seed does (Summers and Dinneen 2021, "Nondeterminism and
    instability in neural network optimization", ICML). Where a seed always gave the same, it tells of one
    training only. With fewer than `FREEDOM` degrees of freedom it is `ASSUMED`, times ``width``.

    It takes the place of the spread of the few seeds at hand, and only the part of the examples in the error
    stays: a spread of so few is too small too often, of three one time in ten less than a third of the true
    one.
    """
    if not difference.differing or not difference.error > 0:
        return difference
    samples = [_trainings([a, *repeats]), list(b.values())]
    freedom = float(sum(len(values) - 1 for values in samples))
    squares = sum((len(values) - 1) * variance(values) for values in samples if len(values) > 1)
    known = freedom >= FREEDOM
    luck = math.sqrt(squares / freedom) if known else ASSUMED * width
    parts = [
        (difference.example_error**2, difference.example_freedom),
        (luck**2 * (1 / len(a) + 1 / len(b)), freedom if known else math.inf),
    ]
    error = math.sqrt(sum(part for part, _ in parts))
    if not error > 0:
        return difference
    pooled = pooled_freedom(parts)
    half, floor = t_quantile(pooled) * error, float(least_p(difference.moving))
    low, high = holding_zero(difference.change - half, difference.change + half, difference.moving)
    alone = difference.p if len(a) == len(b) == 1 else 0.0  # with luck, one is never more sure than without
    return replace(
        difference,
        test="t",
        p=min(1.0, max(2 * t_sf(abs(difference.change) / error, pooled), floor, alone)),
        low=low,
        high=high,
        error=error,
        freedom=pooled,
        detectable=detectable(error, pooled),
        gained=None,
        lost=None,
        caveat="; ".join(filter(None, (difference.caveat, _told(luck, samples, known)))),
    )


def _trainings(repeats: Sequence[Trained]) -> list[float]:
    """Return the value of every training that is known to be one of its own."""
    found: list[float] = []
    for seed in repeats[0]:
        values = [one[seed] for one in repeats if seed in one and not math.isnan(one[seed])]
        found += values if len(set(values)) > 1 else values[:1]
    return found


def _told(luck: float, samples: Sequence[Sequence[float]], known: bool) -> str:
    if known:
        return f"the luck of a training, {luck:.2g}, is that of {sum(map(len, samples))} trainings"
    return f"the luck of a training is not known, and {luck:.2g} is assumed: give three seeds or more"
