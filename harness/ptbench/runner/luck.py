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

    It takes the place of the spread of the few seeds at hand, which is too small too often: of three, one
    time in ten less than a third of the true one.
    """
    if not difference.differing or not difference.error > 0:
        return difference
    samples = [_trainings([a, *repeats]), list(b.values())]
    freedom = float(sum(len(values) - 1 for values in samples))
    squares = sum((len(values) - 1) * variance(values) for values in samples if len(values) > 1)
    known = freedom >= FREEDOM
    luck = math.sqrt(squares / freedom) if known else ASSUMED * width
    examples, of_examples = _of_examples(difference, a, b)
    parts = [
        (examples, of_examples),
        (luck**2 * (1 / len(a) + 1 / len(b)), freedom if known else math.inf),
    ]
    error = math.sqrt(sum(part for part, _ in parts))
    if not error > 0:
        return difference
    pooled = pooled_freedom(parts)
    half, floor = t_quantile(pooled) * error, 2 * 0.5**difference.differing
    alone = difference.p if len(a) == len(b) == 1 else 0.0  # with luck, one is never more sure than without
    return replace(
        difference,
        test="t",
        p=min(1.0, max(2 * t_sf(abs(difference.change) / error, pooled), floor, alone)),
        low=difference.change - half,
        high=difference.change + half,
        error=error,
        freedom=pooled,
        detectable=(t_quantile(pooled) + t_quantile(pooled, 0.6)) * error,
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


def _of_examples(difference: Difference, a: Trained, b: Trained) -> tuple[float, float]:
    """Return the part of a variance that is of the examples, with its freedom: without that of the seeds."""
    total, own, rest = difference.error**2, 0.0, 0.0
    if a.keys() == b.keys():
        samples = [[b[seed] - a[seed] for seed in a]]
    else:
        samples = [list(a.values()), list(b.values())]
    for values in samples:
        if len(values) > 1:
            part = variance(values) / len(values)
            own += part
            rest += (part / total) ** 2 / (len(values) - 1)
    share = 1 - own / total
    left = 1 / difference.freedom - rest  # Welch and Satterthwaite, solved for the freedom of one part
    if share <= 1e-9:
        return 0.0, 1.0
    return share * total, share**2 / left if left > 1e-12 else max(1.0, difference.units - 1.0)


def _told(luck: float, samples: Sequence[Sequence[float]], known: bool) -> str:
    if known:
        return f"the luck of a training, {luck:.2g}, is that of {sum(map(len, samples))} trainings"
    return f"the luck of a training is not known, and {luck:.2g} is assumed: give three seeds or more"
