"""Models on the same examples, each with each: all differences, and how sure each of them is, at once.

From the contributions of the examples to each score (`ptbench.statistics.jackknife`) a few matrix products
give the standard errors of all differences and the counts of McNemar's tests. `paired` asks this of two
sides, `standing` of all models of a task.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import variance
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptbench.data import Predictions
from ptbench.errors import DataError
from ptbench.offers import Floats, SumMetric, TableMetric
from ptbench.statistics.beta import sign_tail, t_tail
from ptbench.statistics.examples import differing, same_examples
from ptbench.statistics.intervals import values_of
from ptbench.statistics.jackknife import contributions, freedom, freedom_at, standard_error, units
from ptbench.statistics.power import holding_zero, least_p
from ptbench.statistics.resampling import narrow
from ptbench.statistics.student import cautious_freedom, pooled_freedom, t_quantile


class Side:
    """The runs of one model (seeds, draws) on the same examples, of which the mean is meant."""

    def __init__(
        self, metric: SumMetric | TableMetric, runs: Sequence[Predictions], names: Sequence[Any] = ()
    ) -> None:
        if not runs:
            raise DataError(f"metric '{metric.name}': a side without a run has no score")
        order = sorted(range(len(runs)), key=names.__getitem__) if names else range(len(runs))
        self.metric = metric
        self.runs = [narrow(metric, runs[i]) for i in order]
        self.names = tuple(names[i] for i in order) if names else ()
        self.values = values_of(metric, self.runs)
        self.same = same_examples(self.runs)
        """Whether all runs are on the same examples."""
        self.several = len(runs) > 1 and not (self.same and not differing(self.runs).any())
        """Whether there are runs that differ: where all say the same, there is no luck to be known."""
        self.value = math.fsum(self.values) / len(self.values) if self.several else self.values[0]

    @property
    def defined(self) -> bool:
        """Whether there is a value at all."""
        return not math.isnan(self.value)

    @property
    def spread(self) -> tuple[float, float]:
        """The variance of the mean over so many runs, and its degrees of freedom."""
        return _spread(self.values) if self.several else (0.0, math.inf)

    def told_apart_by_run(self, other: Side) -> bool:
        """Whether each run has its partner of the same name on the other side."""
        return self.several and other.several and self.names == other.names != ()

    def contributions(self) -> Floats:
        """Return how much each unit moves the mean: float64[g]."""
        runs = self.runs if self.several else self.runs[:1]
        return np.asarray(np.mean([contributions(self.metric, run) for run in runs], axis=0))

    def right(self) -> NDArray[np.bool_] | None:
        """Return which examples are right, where each stands alone, and the score is the share of those."""
        run, metric = self.runs[0], self.metric
        if self.several or run.clusters is not None or not len(run):
            return None
        if not isinstance(metric, SumMetric) or metric.interval != "wilson":
            return None
        hit = metric.rows(run)[:, 0] > 0
        return np.asarray(hit if metric.higher_is_better else ~hit)


@dataclass(frozen=True, slots=True)
class Pairs:
    """M sides on the same examples; in every matrix [i, j] stands for j beside i."""

    values: Floats
    own: Floats
    """float64[M]: the variance of each value, of examples and runs."""
    own_freedom: Floats
    variance: Floats
    """float64[M, M]: that of each difference."""
    freedom: Floats
    example_variance: Floats
    """float64[M, M]: the part of the examples in it."""
    example_freedom: Floats
    differing: NDArray[np.int64]
    """Examples for which the two do not predict the same."""
    moving: NDArray[np.int64]
    """Units for which they do not: so many coins could tell."""
    gained: Floats
    """Examples that only j gets right; NaN where no example is right or wrong, or one of them ran often."""
    p: Floats
    """Two-sided: McNemar's exact test where examples are gained, else Student's t."""
    units: int
    n: int

    def change(self, i: int, j: int) -> float:
        """Return how much j has more than i."""
        return float(self.values[j] - self.values[i])

    def interval(self, i: int, j: int, most: float = math.inf) -> tuple[float, float]:
        """Return the 95 % interval of the change, which is at most ``most`` either way.

        Of Bonett and Price where McNemar's test applies, else Student's t; it holds 0 where fewer than
        `ptbench.statistics.power.FEWEST` units differ. NaN where the predictions differ and all units change
        the score alike, or not at all: nothing tells how another unit would.
        """
        if not self.differing[i, j]:
            return 0.0, 0.0
        change, error = self.change(i, j), math.sqrt(self.variance[i, j])
        if not math.isnan(self.gained[i, j]):
            low, high = bonett_price(int(self.gained[i, j]), int(self.gained[j, i]), self.n)
            if change * (self.gained[i, j] - self.gained[j, i]) < 0:  # what is right is less
                low, high = -high, -low
        elif error > 0:
            half = t_quantile(float(self.freedom[i, j])) * error
            low, high = holding_zero(change - half, change + half, int(self.moving[i, j]))
        else:
            return math.nan, math.nan
        return max(low, -most), min(high, most)


@np.errstate(all="ignore")  # 0/0 is how a metric says that it is undefined
def pairs(sides: Sequence[Side]) -> Pairs:
    """Return all differences between sides on the same examples that all have a value."""
    first, m = sides[0].runs[0], len(sides)
    unit = units(first)
    g = int(unit.max()) + 1 if len(unit) else 0
    moved = np.stack([side.contributions() for side in sides])
    among, sure = _among_examples(moved)
    each, each_sure = _each(moved)
    found, degrees = among.copy(), sure.copy()
    luck = [side.spread for side in sides]
    for i, j in _unordered(m):
        if sides[i].told_apart_by_run(sides[j]):
            more = [_spread([b - a for a, b in zip(sides[i].values, sides[j].values, strict=True)])]
        else:
            more = [luck[i], luck[j]]
        if sides[i].several or sides[j].several:
            found[i, j] = found[j, i] = among[i, j] + sum(part for part, _ in more)
            runs = (sum(part for part, _ in more), pooled_freedom(more))
            degrees[i, j] = degrees[j, i] = cautious_freedom([(among[i, j], sure[i, j]), runs])
    examples, moving = _differing(sides, unit)
    values = np.array([side.value for side in sides])
    gained = _gained(sides)
    p = np.where(np.isnan(gained), _student(values, found, degrees), mcnemar(gained, gained.T))
    p = np.where(examples > 0, np.maximum(p, least_p(moving)), 1.0)
    own = each + [part for part, _ in luck]
    own_freedom = [
        cautious_freedom(parts) for parts in zip(zip(each, each_sure, strict=True), luck, strict=True)
    ]
    return Pairs(
        values=values,
        own=own,
        own_freedom=np.array(own_freedom),
        variance=found,
        freedom=degrees,
        example_variance=among,
        example_freedom=sure,
        differing=examples,
        moving=moving,
        gained=gained,
        p=p,
        units=g,
        n=len(first),
    )


def mcnemar(gained: Any, lost: Any) -> Floats:
    """Return the exact two-sided p of as many gains as losses: the smaller tail of a fair coin, doubled.

    McNemar (1947), "Note on the sampling error of the difference between correlated proportions",
    Psychometrika 12.

    >>> round(float(mcnemar(0, 6)), 12)
    0.03125
    """
    return np.minimum(1.0, 2 * sign_tail(np.minimum(gained, lost), np.add(gained, lost)))


def bonett_price(gained: int, lost: int, n: int) -> tuple[float, float]:
    """Return the 95 % interval of a difference of paired proportions, (gained - lost) / n.

    Bonett and Price (2012), "Adjusted Wald confidence interval for a difference of binomial proportions based
    on paired data", Journal of Educational and Behavioral Statistics 37: Wald's, after one more of each.
    """
    up, down = (gained + 1) / (n + 2), (lost + 1) / (n + 2)
    half = t_quantile(math.inf) * math.sqrt((up + down - (up - down) ** 2) / (n + 2))
    return max(-1.0, up - down - half), min(1.0, up - down + half)


def _each(moved: Floats) -> tuple[Floats, Floats]:
    """Return the variance of each value by its contributions, and its degrees of freedom."""
    return np.array([standard_error(row) ** 2 for row in moved]), np.array([freedom(row) for row in moved])


def _among_examples(moved: Floats) -> tuple[Floats, Floats]:
    """Return the same for each difference, without ever holding the differences of all.

    Sums of their squares and fourth powers follow from products of powers of the contributions.
    """
    g = moved.shape[1]
    x = moved - moved.mean(axis=1, keepdims=True)
    x2, x3 = x * x, x**3
    sums, sums4 = x2.sum(axis=1), (x2 * x2).sum(axis=1)
    cubes = x3 @ x.T
    squares = sums[:, None] + sums - 2 * (x @ x.T)
    fourth = sums4[:, None] + sums4 - 4 * (cubes + cubes.T) + 6 * (x2 @ x2.T)
    squares = np.where(squares <= 1e-13 * (sums[:, None] + sums), 0.0, squares)
    if g < 2:
        return np.full_like(squares, math.nan), np.full_like(squares, math.nan)
    return squares / (g - 1) / g, np.where(squares == 0, g - 1.0, freedom_at(fourth * g / squares**2, g))


def _spread(values: Sequence[float]) -> tuple[float, float]:
    return variance(values) / len(values), len(values) - 1.0


def _unordered(m: int) -> list[tuple[int, int]]:
    return [(i, j) for i in range(m) for j in range(i + 1, m)]


def _student(values: Floats, variances: Floats, degrees: Floats) -> Floats:
    """Return p of each difference; where nothing varies, a change is certain."""
    change = abs(values - values[:, None])
    upper = np.triu_indices(len(values), 1)
    p = np.ones_like(variances)
    t = np.where(change[upper] > 1e-12, change[upper], 0.0) / np.sqrt(variances[upper])
    tail = np.where(np.isnan(t) & (variances[upper] == 0), 1.0, 2 * t_tail(t, degrees[upper]))
    p[upper] = p.T[upper] = np.minimum(1.0, tail)
    return p


def _gained(sides: Sequence[Side]) -> Floats:
    """Return how many examples only the second gets right, for each two; NaN where that says nothing."""
    right = [side.right() for side in sides]
    known = np.array([hits is not None for hits in right])
    n = len(sides[0].runs[0])
    hits = np.stack([np.zeros(n) if one is None else one for one in right]).astype(np.float64)
    return np.where(known & known[:, None], hits.sum(axis=1) - hits @ hits.T, math.nan)


def _differing(sides: Sequence[Side], unit: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return how many examples, and how many units, are not predicted alike by each two sides."""
    m = len(sides)
    examples, moving = np.zeros((2, m, m), dtype=np.int64)
    codes = [[_codes(run) for run in (side.runs if side.several else side.runs[:1])] for side in sides]
    restless = [differing(side.runs) if side.several else False for side in sides]
    for i, j in _unordered(m):
        if sides[i].told_apart_by_run(sides[j]):
            differs = np.any([a != b for a, b in zip(codes[i], codes[j], strict=True)], axis=(0, 1))
        else:
            differs = (codes[i][0] != codes[j][0]).any(axis=0) | restless[i] | restless[j]
        examples[i, j] = examples[j, i] = differs.sum()
        moving[i, j] = moving[j, i] = (
            differs.sum() if sides[0].runs[0].clusters is None else len(np.unique(unit[differs]))
        )
    return examples, moving


def _codes(run: Predictions) -> NDArray[Any]:
    """Return a number for what is predicted of each example, column by column: equal for equal ones.

    Scores of many labels become one number, so that each two of many models are quickly compared.
    """
    found = []
    for name in run:
        column = run[name]
        if name == "target":
            continue
        if column.dtype.kind in "iubf":
            wide = column.reshape(len(run), -1)
            weights = np.random.default_rng(0).random(wide.shape[1]) if wide.shape[1] > 1 else np.ones(1)
            found.append(np.einsum("ij,j->i", wide, weights))
        else:
            found.append(np.array([_hash(value) for value in column], dtype=np.float64))
    return np.stack(found) if found else np.zeros((1, len(run)))


def _hash(value: Any) -> float:
    return float(hash(value.tobytes() if isinstance(value, np.ndarray) else str(value)))
