"""Change points of a series: where its level moved, found by optimal partitioning with a penalty.

A series of one number a night is cut into stretches of one level each. Of all ways to cut it, the one is
taken whose sum of squares about the levels, in units of the noise, plus a penalty for each cut is least. That
is the exact optimum, by dynamic programming: optimal partitioning (Jackson et al., 2005, IEEE Signal
Processing Letters 12), the recursion of PELT (Killick, Fearnhead, Eckley, 2012, JASA 107). PELT's pruning is
left out: it pays where changes are many, and most series have none; all series go through one recursion
together instead, which is quadratic in the nights (1,000 nights of 100 series: under a second).

- **Penalty**: 3 log n for each change of the level, the leading term of the modified BIC (Zhang and Siegmund,
  2007, Biometrics 63), widened for short series, in which the noise is little known (`penalty_of`).
- **Noise**: the standard deviation from night to night about one level, from the absolute first differences
  (their median / 0.6745 / sqrt 2), to which a few changes make no difference. A series that mostly repeats
  itself (a score is computed of the same examples every night) has a median of 0: then three quarters of the
  differences tell, and where they are 0 as well, any change of the level counts. *The interval of a score is
  not this noise*: it is for other examples, and every night has the same.
- **One night is no level**: a stretch has two nights at least, and a night that jumps and comes back at once
  is an outlier, which is reported, and counts for nothing else. So is a last night that jumps, until another
  confirms it.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

SHORTEST = 2
"""Nights that a level lasts at least."""
JUMP = 5.0
"""Standard deviations of the noise by which an outlier stands off from the nights on either side."""
MEDIAN, THREE_QUARTERS = 0.6744897501960817, 1.1503493803760079
"""Quantiles of the absolute value of a standard normal."""
LEAST_OF_RANGE, LEAST_OF_SIZE = 1e-5, 1e-9
"""The least noise, as a share of the range of a series and of its numbers: what is less is rounding."""
UNKNOWN_NOISE = 10.0
"""How far thresholds are widened for noise that is estimated: by this over the nights (`widening`)."""


@dataclass(frozen=True, slots=True)
class Segmentation:
    """How one series falls into stretches of one level each."""

    starts: tuple[int, ...]
    """The nights with which a new level begins; that of the first night is not among them."""
    outliers: tuple[int, ...]
    """Nights that belong to no level."""
    levels: tuple[float, ...]
    """The mean of each stretch: one more than ``starts``; none where no night has a number."""
    noise: float
    """The standard deviation that was reckoned with."""


def segment(series: ArrayLike, noise: ArrayLike | None = None) -> list[Segmentation]:
    """Return how each series falls into stretches.

    Args:
        series: float[k, n], a row for each series, a column for each night; NaN where a night has no number.
        noise: float[k], the standard deviation from night to night where it is known; else it is estimated.

    Raises `ValueError` where the numbers are not of this shape.
    """
    rows = np.asarray(series, dtype=np.float64)
    if rows.ndim != 2:
        raise ValueError(f"series have the shape {rows.shape}; [series, nights] was expected")
    given = [None] * len(rows) if noise is None else np.broadcast_to(noise, rows.shape[:1]).tolist()
    cleared = [_clear(row, sigma) for row, sigma in zip(rows, given, strict=True)]
    cuts = partition(
        [one.scaled for one in cleared],
        [penalty_of(len(one.values), known=noise is not None) for one in cleared],
    )
    return [one.cut(where) for one, where in zip(cleared, cuts, strict=True)]


@dataclass(frozen=True, slots=True)
class _Cleared:
    """A series without its gaps and its outliers."""

    nights: NDArray[np.intp]
    values: Floats
    outliers: NDArray[np.intp]
    noise: float

    @property
    def scaled(self) -> Floats:
        """The numbers about their median, in units of the noise."""
        scaled: Floats = (
            (self.values - np.median(self.values)) / self.noise if len(self.values) else self.values
        )
        return scaled

    def cut(self, cuts: Sequence[int]) -> Segmentation:
        """Return the series as it falls into stretches that begin there."""
        parts = np.split(self.values, cuts) if len(self.values) else []
        starts = tuple(int(self.nights[cut]) for cut in cuts)
        levels = tuple(float(part.mean()) for part in parts)
        return Segmentation(starts, tuple(self.outliers.tolist()), levels, self.noise)


def _clear(row: Floats, known: float | None) -> _Cleared:
    nights = np.flatnonzero(np.isfinite(row))
    values = row[nights]
    noise = _floored(values, estimate_noise(values) if known is None else known)
    jumps = _outliers(values, noise, known is not None)
    return _Cleared(nights[~jumps], values[~jumps], nights[jumps], noise)


def penalty_of(nights: int, *, known: bool) -> float:
    """Return what a change must explain, in squares of the noise: 3 log n, more where it is estimated."""
    return 3 * math.log(max(nights, 2)) * widening(nights, known=known)


def widening(nights: int, *, known: bool) -> float:
    """Return the factor on squares for noise that is estimated: 1 + 10 / n.

    It holds false alarms on normal noise to 5 % of the series at every length, and to 1 % from 100
    nights on (simulated: ``tests/benchmarks/history.py``).
    """
    return 1.0 if known else 1 + UNKNOWN_NOISE / max(nights, 1)


def estimate_noise(values: Floats) -> float:
    """Return the standard deviation about a level that moves now and then; 0 where most nights are alike."""
    sizes = np.abs(np.diff(values))
    if not len(sizes):
        return 0.0
    median = float(np.median(sizes)) / MEDIAN
    return (median or float(np.quantile(sizes, 0.75, method="lower")) / THREE_QUARTERS) / math.sqrt(2)


def partition(series: Sequence[Floats], penalties: Sequence[float]) -> list[list[int]]:
    """Return for each series where it is cut: the exact minimum of squares about the means plus penalties.

    The series, of any lengths, are in units of their noise; a stretch has at least `SHORTEST` numbers. A
    series that is shorter than two of them has no cut.
    """
    cuts: list[list[int]] = [[] for _ in series]
    # what never moves by more than chance has no change; most series of a deterministic suite are such
    moving = [i for i, one in enumerate(series) if len(one) >= 2 * SHORTEST and np.ptp(one) > 0]
    if not moving:
        return cuts
    before = _recursion([series[i] for i in moving], np.array([penalties[i] for i in moving]))
    for row, i in enumerate(moving):
        end = len(series[i])
        while (start := int(before[row, end])) > 0:
            cuts[i].append(start)
            end = start
        cuts[i].reverse()
    return cuts


def _recursion(series: Sequence[Floats], penalty: Floats) -> NDArray[np.int64]:
    """Return int[k, n + 1]: where the last stretch begins of the best cut of the first t numbers.

    F(t) = min over s of F(s) + C(s, t) + penalty, where C(s, t) = Q(t) - Q(s) - (S(t) - S(s))^2 / (t - s),
    with sums S and sums of squares Q. Q(t) is the same for every s, and so stays out of the minimum.
    """
    longest = max(map(len, series))
    sums = np.zeros((len(series), longest + 1))
    squares = np.zeros_like(sums)
    for row, one in enumerate(series):
        sums[row, 1 : len(one) + 1] = np.cumsum(one)
        squares[row, 1 : len(one) + 1] = np.cumsum(one**2)
    best = np.full_like(sums, np.inf)  # F(s) - Q(s)
    best[:, 0] = -penalty
    before = np.zeros(sums.shape, dtype=np.int64)
    lengths = np.arange(longest, 0, -1, dtype=np.float64)
    rows = np.arange(len(series))
    for t in range(SHORTEST, longest + 1):
        last = t - SHORTEST + 1
        work = sums[:, :last] - sums[:, t, None]
        np.square(work, out=work)
        work /= lengths[longest - t : longest - t + last]
        np.subtract(best[:, :last], work, out=work)
        chosen = work.argmin(axis=1)
        before[:, t] = chosen
        best[:, t] = work[rows, chosen] + penalty
    return before


def _outliers(values: Floats, noise: float, known: bool) -> NDArray[np.bool_]:
    """Return which nights jump off both their neighbours to the same side; an end has but one neighbour."""
    if len(values) <= SHORTEST:
        return np.zeros(len(values), dtype=bool)
    steps: Any = np.diff(values) / noise
    up, down = np.r_[-steps[0], steps], np.r_[-steps, steps[-1]]
    least = JUMP * math.sqrt(widening(len(values), known=known))
    found: NDArray[np.bool_] = (np.minimum(up, down) > least) | (np.maximum(up, down) < -least)
    return found


def _floored(values: Floats, noise: float) -> float:
    """Return the noise, or what is the least that counts: squares of more digits would not be exact."""
    if not len(values):
        return 0.0
    size, spread = float(np.abs(values).max()), float(np.ptp(values))
    return max(noise, LEAST_OF_RANGE * spread, LEAST_OF_SIZE * size, sys.float_info.min)
