"""What a test set can see: the smallest true change that is found most of the time, and what few can show."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ptbench.statistics.student import t_quantile


def fewest(level: float) -> int:
    """Return how many coins, all fallen the same way, show at this two-sided level that they are not fair.

    >>> fewest(0.05)
    6
    """
    return math.ceil(1 - math.log2(level))


FEWEST = fewest(0.05)
"""Fewer units on which two models differ prove nothing: a sign test on five has p = 0.0625 at best."""


def least_p(moving: Any) -> Any:
    """Return the least two-sided p that so many units can show which the two sides do not predict alike.

    >>> float(least_p(5))
    0.0625
    """
    return np.minimum(1.0, 2 * 0.5 ** np.asarray(moving, dtype=np.float64))


def holding_zero(low: float, high: float, moving: int) -> tuple[float, float]:
    """Return an interval that holds 0 where so few units, less than `FEWEST`, prove nothing."""
    return (low, high) if moving >= FEWEST else (min(low, 0.0), max(high, 0.0))


def detectable(error: float, freedom: float, least: float = math.nan, level: float = 0.05) -> float:
    """Return the true change that a two-sided test at this level finds in four cases of five.

    It is (t(1 - level / 2) + t(0.8)) times the standard error (Bloom 1995, "Minimum detectable effects",
    Evaluation Review 19), if as many examples differ then as here. Where few or none differ, that is too good
    to be true, and so it is at least ``least``: the change that the test can see at all (for proportions,
    `fewest` examples of n, all one way). NaN where neither is known. That is for one question alone: of m
    that are asked at once, one is sure to be found at ``level / m``. One-sided, ``level`` is twice as much.

    >>> round(detectable(0.01, float("inf")), 4)
    0.028
    """
    confidence = 1 - min(1.0, max(level, 1e-12))
    reach = (t_quantile(freedom, confidence) + t_quantile(freedom, 0.6)) * error if error > 0 else math.nan
    known = [value for value in (reach, least) if not math.isnan(value)]
    return max(known, default=math.nan)
