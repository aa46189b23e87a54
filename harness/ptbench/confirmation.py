"""Whether a change of level is more than the chance of nights that are off now and then.

A penalty holds false alarms where noise is normal. Scores that flip between two values, or seconds with a
hiccup now and then, have tails for which it does not. So each cut is asked once more, by a test that holds
for noise of any shape: of the nights on either side of it, how many lie beyond the middle between the two
levels? Given how many do in all, the chance that so many stand in the shorter stretch is Fisher's exact test
(Fisher, 1934, Statistical Methods for Research Workers), which assumes no more than that nights are
independent and alike. A stretch of m among n nights could stand in n / m places, and its chance is
multiplied by that (Bonferroni); in more than 50 nights by 1 + log(n / 50) besides, for all the lengths
that it could have, which is what simulation asks for (``tests/benchmarks/history.py``).

The cut that convinces least is taken out first, and its neighbours are asked anew of the longer stretch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

ALPHA = 0.05
"""The chance of a cut by chance that is let through."""
LONG = 50
"""Nights from which on a stretch could have many lengths."""
FEWEST = 8
"""Nights below which no cut is let through: (8 / 3) / 56, as there are 56 ways to choose 3 of 8, is 4.8 %."""


def confirmed(values: Floats, cuts: Sequence[int], outliers: Sequence[int] = ()) -> list[int]:
    """Return those cuts of a series that noise of any shape would hardly make.

    ``outliers`` count among the nights, as noise makes them too, but not for a level.
    """
    kept = list(cuts)
    weights = np.ones(len(values))
    weights[list(outliers)] = 0
    lengths = 1 + math.log(max(len(values), LONG) / LONG)

    def chance(i: int) -> float:
        start, cut, end = [0, *kept, len(values)][i : i + 3]
        before, after = slice(start, cut), slice(cut, end)
        levels = [float(np.average(values[part], weights=weights[part])) for part in (before, after)]
        found = chance_of(values[before], values[after], (levels[0], levels[1]))
        return found * lengths * len(values) / min(cut - start, end - cut)

    chances = [chance(i) for i in range(len(kept))]
    while chances and max(chances) > ALPHA:
        worst = int(np.argmax(chances))
        del kept[worst], chances[worst]
        for i in (worst - 1, worst):
            if 0 <= i < len(kept):
                chances[i] = chance(i)
    return kept


def chance_of(before: Floats, after: Floats, levels: tuple[float, float]) -> float:
    """Return Fisher's chance of two stretches being as far apart as they are, if nothing changed.

    >>> chance = chance_of(np.zeros(5), np.ones(3), (0.0, 1.0))
    >>> round(chance * 56, 9)  # one of the 56 ways to choose three of eight
    1.0
    """
    (short, level), (long, _) = sorted(zip((before, after), levels, strict=True), key=lambda one: len(one[0]))
    middle = math.fsum(levels) / 2
    sign = 1 if level > middle else -1
    beyond = [int(np.count_nonzero(sign * part > sign * middle)) for part in (short, long)]
    return _hypergeometric_tail(beyond[0], len(short), sum(beyond), len(short) + len(long))


def _hypergeometric_tail(found: int, drawn: int, marked: int, total: int) -> float:
    """Return the chance of at least so many marked ones among those drawn without putting back."""
    ways = np.arange(max(found, drawn + marked - total), min(drawn, marked) + 1)
    logs = _choose(marked, ways) + _choose(total - marked, drawn - ways) - _choose(total, np.array(drawn))
    return float(np.exp(logs).sum())


def _choose(n: int, k: NDArray[np.intp]) -> Floats:
    """Return the logarithm of n over k."""
    logs = _log_factorials(1 << n.bit_length())
    chosen: Floats = logs[n] - logs[k] - logs[n - k]
    return chosen


@lru_cache(maxsize=32)
def _log_factorials(most: int) -> Floats:
    logs: Floats = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, most + 1)))])
    return logs
