"""Change points of a series: where its level moved, found by optimal partitioning with a penalty.

A series of one number a night is cut into stretches of one level each. Of all ways to cut it, the one is
taken whose sum of squares about the levels, in units of the noise, plus a penalty for each cut is least. That
is the exact optimum, by dynamic programming: optimal partitioning (Jackson et al., 2005, IEEE Signal
Processing Letters 12), the recursion of PELT (Killick, Fearnhead, Eckley, 2012, JASA 107). PELT's pruning is
left out: it pays where changes are many, and most series have none; all series go through one recursion
together instead, which is quadratic in the nights (1,000 nights of 100 series: under a second).

- **Penalty**: 3 log n for each change of the level, the leading term of the modified BIC (Zhang and Siegmund,
  2007, Biometrics 63), widened for short series, in which the noise is little known (`penalty_of`).
- **Noise**: the standard deviation from night to night about one level: the root mean square of the first
  differences over sqrt 2 (von Neumann, 1941, Annals of Mathematical Statistics 12), in which a value that
  leaves and returns counts twice, and a change of level once. Differences at changes that were found are left
  out, and the series is cut again, until no more are found: a small step beside a large one is found so.
  *The interval of a score is not this noise*: it is for other examples, and every night has the same.
- **Confirmed**: each cut must convince a test that holds for noise of any shape (`ptbench.confirmation`).
- **A night or two are no level**: a stretch has three nights at least, and fewer that jump and come back are
  outliers, which are reported, and count for nothing else. So are the last ones that jump, until a third
  confirms them. Jumps in more than one night of fifty (of few nights: more
  than four) are no outliers but noise.

Of series of independent nights, at most 5 % have a false change at 8 to 1,000 nights, and mostly 1 to 2 %:
simulated for normal noise, scores that flip between two values in 3 to 50 % of the nights, rounded scores,
Student's t with two degrees of freedom, and seconds with hiccups (``tests/benchmarks/history.py``).
*Nights that depend on each other are not held*: where each carries half of the last one's deviation on
(AR(1) of 0.5), a third of the series of 30 nights and most of those of 100 have a change that is none.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike, NDArray

from ptbench.confirmation import confirmed

Floats = NDArray[np.float64]

SHORTEST = 3
"""Nights that a level lasts at least."""
JUMP = 5.0
"""Standard deviations of the noise by which an outlier stands off from the nights on either side."""
MOST_OUTLIERS, RARE = 4, 0.02
"""Nights that may be outliers: so many, or this share if that is more; else they are noise."""
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


def segment(series: ArrayLike) -> list[Segmentation]:
    """Return how each series falls into stretches.

    Args:
        series: float[k, n], a row for each series, a column for each night; NaN where a night has no number.

    Raises `ValueError` where the numbers are not of this shape.
    """
    rows = np.asarray(series, dtype=np.float64)
    if rows.ndim != 2:
        raise ValueError(f"series have the shape {rows.shape}; [series, nights] was expected")
    found = [_Cut(row) for row in rows]
    left = found
    while left:  # with the changes of the last round known, the noise is known better
        cuts = partition([one.scaled for one in left], [penalty_of(len(one.kept)) for one in left])
        left = [one for one, where in zip(left, cuts, strict=True) if one.more(where)]
    return [one.result for one in found]


class _Cut:
    """A series, without its gaps, and what is known of it so far."""

    def __init__(self, row: Floats) -> None:
        self.nights = np.flatnonzero(np.isfinite(row))
        self.values = row[self.nights]
        jumps = _outliers(self.values, _floored(self.values, robust_noise(self.values)))
        self.kept, self.outliers = np.flatnonzero(~jumps), np.flatnonzero(jumps)
        self.cuts: list[int] = []
        self.noise = self._noise()

    @property
    def scaled(self) -> Floats:
        """The numbers that are no outliers about their median, in units of the noise."""
        values = self.values[self.kept]
        scaled: Floats = (values - np.median(values)) / self.noise if len(values) else values
        return scaled

    def more(self, where: Sequence[int]) -> bool:
        """Take over the cuts of ``scaled`` that are confirmed; return whether there are more than before."""
        found = confirmed(self.values, self.kept[list(where)].tolist(), self.outliers.tolist())
        if len(found) <= len(self.cuts):
            return False
        self.cuts = found
        self.noise = self._noise()
        return True

    @property
    def result(self) -> Segmentation:
        """The series as it falls into the stretches that were found."""
        values = self.values[self.kept]
        parts = np.split(values, self._places) if len(values) else []
        return Segmentation(
            tuple(self.nights[self.cuts].tolist()),
            tuple(self.nights[self.outliers].tolist()),
            tuple(float(part.mean()) for part in parts),
            self.noise,
        )

    @property
    def _places(self) -> NDArray[np.intp]:
        """The cuts among the numbers that are no outliers."""
        return np.searchsorted(self.kept, self.cuts)

    def _noise(self) -> float:
        values = self.values[self.kept]
        return _floored(values, estimate_noise(values, self._places))


def penalty_of(nights: int) -> float:
    """Return what a change must explain, in squares of the noise: 3 log n, more in few nights."""
    return 3 * math.log(max(nights, 2)) * widening(nights)


def widening(nights: int) -> float:
    """Return the factor on squares for noise that is estimated: 1 + 10 / n."""
    return 1 + UNKNOWN_NOISE / max(nights, 1)


def estimate_noise(values: Floats, cuts: ArrayLike = ()) -> float:
    """Return the standard deviation about levels that change at these cuts; 0 where nothing moves."""
    steps = np.delete(np.diff(values), np.asarray(cuts, dtype=np.intp) - 1)
    return math.sqrt(float(np.square(steps).mean()) / 2) if len(steps) else 0.0


def robust_noise(values: Floats) -> float:
    """Return the standard deviation of most nights, to which outliers make no difference.

    It is made from the median of the absolute first differences; where that is 0, from three quarters of
    them; where that is 0 as well, most nights are alike, and so is it.
    """
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


def _outliers(values: Floats, noise: float) -> NDArray[np.bool_]:
    """Return which nights, fewer than a level has, jump off those on either side; an end has but one side."""
    count = len(values)
    found = np.zeros(count, dtype=bool)
    least = JUMP * math.sqrt(widening(count)) * noise
    for many in range(1, SHORTEST):
        if count <= 2 * many:
            break
        for turned in (values, -values):
            lowest = sliding_window_view(turned, many).min(axis=1)
            beside = np.maximum(np.r_[-np.inf, turned[:-many]], np.r_[turned[many:], -np.inf])
            for start in np.flatnonzero(lowest - beside > least):
                found[start : start + many] = True
    if np.count_nonzero(found) > max(MOST_OUTLIERS, RARE * count):
        found[:] = False
    return found


def _floored(values: Floats, noise: float) -> float:
    """Return the noise, or what is the least that counts: squares of more digits would not be exact."""
    if not len(values):
        return 0.0
    size, spread = float(np.abs(values).max()), float(np.ptp(values))
    return max(noise, LEAST_OF_RANGE * spread, LEAST_OF_SIZE * size, sys.float_info.min)
