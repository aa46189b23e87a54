"""How often 95 % intervals hold the truth, by simulation: every draw is a new test set, scored by ptbench.

    python tests/benchmarks/coverage.py [--json PATH] [--draws 2000] [--workers 2] [--seed 0]

- labels: a positive scores N(1, 1), a negative N(-1, 1); the positive label is predicted above 0 where the
  classes are balanced and above 1.2 where 5 % are positive. All truths are closed forms.
- numbers: prediction and target have correlation 0.7 and variance 1, from normal or Laplace noise.
- clusters: 50 of 20 examples, and 500 pairs, with an intraclass correlation of 0.8, scored with their
  clusters and, to show what that hides, without.

``coverage`` is of the draws that have an interval, ``none`` the share of those that have none (a test set
without positives, say), ``below`` and ``above`` how often the whole interval lies below or above the truth.
"""

from __future__ import annotations

import argparse
import json
import math
import time
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np

from ptbench import Predictions, SumMetric, TableMetric
from ptbench.statistics.intervals import score
from ptbench_sklearn.metrics import METRICS

SIZES = (100, 1_000, 10_000)
ALIKE = 0.8
CORRELATION = 0.7
HIT = 0.8
THRESHOLDS = {"balanced": (0.5, 0.0), "5 % positive": (0.05, 1.2)}
"""The share of positives, and above which score one is predicted."""
BY_NAME = {metric.name: metric for metric in METRICS if isinstance(metric, SumMetric | TableMetric)}


@dataclass(frozen=True)
class Case:
    """A metric on examples of one sort."""

    metric: str
    examples: str
    n: int
    clusters: int | None = None
    """Of so many clusters; None: each example stands alone."""
    told: bool = True
    """Whether the interval is told of the clusters."""


@dataclass(frozen=True)
class Found:
    """What came of a case; shares of the draws."""

    case: Case
    draws: int
    coverage: float
    error: float
    """The standard error of the coverage."""
    below: float
    above: float
    none: float
    width: float
    """The median length of the intervals."""


@lru_cache(maxsize=8)
def _ids(n: int) -> list[str]:
    return [f"{i:06}" for i in range(n)]


def _labels(rng: np.random.Generator, case: Case) -> Predictions:
    share, threshold = THRESHOLDS[case.examples]
    target = rng.random(case.n) < share
    latent = rng.normal(size=case.n) + np.where(target, 1, -1)
    positive = 1 / (1 + np.exp(-latent))
    columns = {
        "target": target.astype(np.int64),
        "prediction": (latent > threshold).astype(np.int64),
        "scores": np.stack([1 - positive, positive], axis=1),
    }
    return Predictions(_ids(case.n), columns, ("no", "yes"))


def _noise(rng: np.random.Generator, case: Case) -> Any:
    """Return noise of variance 1, alike within clusters."""

    def of(n: int) -> Any:
        return rng.laplace(size=n) / math.sqrt(2) if case.examples == "Laplace" else rng.normal(size=n)

    if case.clusters is None:
        return of(case.n)
    shared = np.repeat(of(case.clusters), case.n // case.clusters)
    return math.sqrt(ALIKE) * shared + math.sqrt(1 - ALIKE) * of(case.n)


def _numbers(rng: np.random.Generator, case: Case) -> Predictions:
    target = _noise(rng, case)
    prediction = CORRELATION * target + math.sqrt(1 - CORRELATION**2) * _noise(rng, case)
    return Predictions(_ids(case.n), {"target": target, "prediction": prediction}, (), _clusters(case))


def _hits(rng: np.random.Generator, case: Case) -> Predictions:
    """Return hits of which two in a cluster are the cluster's own with a probability of `ALIKE`."""
    assert case.clusters is not None
    own = rng.random(case.n) < HIT
    shared = np.repeat(rng.random(case.clusters) < HIT, case.n // case.clusters)
    hit = np.where(rng.random(case.n) < math.sqrt(ALIKE), shared, own)
    columns = {"target": np.ones(case.n, dtype=np.int64), "prediction": hit.astype(np.int64)}
    return Predictions(_ids(case.n), columns, ("no", "yes"), _clusters(case))


def _clusters(case: Case) -> Sequence[str] | None:
    if case.clusters is None or not case.told:
        return None
    return [f"c{i // (case.n // case.clusters)}" for i in range(case.n)]


def _truth(case: Case) -> float:
    if case.examples == "hits":
        return HIT
    if case.examples in THRESHOLDS:
        share, threshold = THRESHOLDS[case.examples]
        normal = NormalDist().cdf
        tp, fp = share * normal(1 - threshold), (1 - share) * normal(-1 - threshold)
        fn, tn = share - tp, 1 - share - fp
        margins = (tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)
        truths = {
            "accuracy": tp + tn,
            "f1": 2 * tp / (2 * tp + fp + fn),
            "mcc": (tp * tn - fp * fn) / math.sqrt(margins),
            "roc_auc": normal(math.sqrt(2)),
        }
        return truths[case.metric]
    if case.metric == "spearman":
        assert case.examples == "normal"
        return 6 / math.pi * math.asin(CORRELATION / 2)
    return {"pearson": CORRELATION, "rmse": math.sqrt(2 - 2 * CORRELATION)}[case.metric]


def _draw(case: Case) -> Callable[[np.random.Generator, Case], Predictions]:
    return _labels if case.examples in THRESHOLDS else _hits if case.examples == "hits" else _numbers


def cases() -> list[Case]:
    """Return all cases, the smallest first."""
    found = []
    for n in SIZES:
        for examples in THRESHOLDS:
            found += [Case(metric, examples, n) for metric in ("accuracy", "f1", "mcc", "roc_auc")]
        found += [Case(metric, "normal", n) for metric in ("pearson", "spearman", "rmse")]
        found += [Case(metric, "Laplace", n) for metric in ("pearson", "rmse")]
    for clusters in (50, 500):
        for metric, examples in (("accuracy", "hits"), ("pearson", "normal"), ("spearman", "normal"),
                                 ("rmse", "normal")):  # fmt: skip
            found += [Case(metric, examples, 1_000, clusters, told) for told in (True, False)]
    return found


def coverage(case: Case, draws: int, seed: int = 0) -> Found:
    """Return how often the intervals of so many draws hold the truth; the same for the same seed."""
    truth, draw, metric = _truth(case), _draw(case), BY_NAME[case.metric]
    rng = np.random.default_rng([seed, zlib.crc32(repr(case).encode())])
    scored = [score(metric, draw(rng, case)) for _ in range(draws)]
    low, high = np.array([(one.ci_low, one.ci_high) for one in scored]).T
    known = ~np.isnan(low)
    low, high = low[known], high[known]
    share = float(np.mean((low <= truth) & (truth <= high)))
    return Found(
        case=case,
        draws=draws,
        coverage=share,
        error=math.sqrt(share * (1 - share) / max(1, known.sum())),
        below=float(np.mean(high < truth)),
        above=float(np.mean(low > truth)),
        none=1 - float(known.mean()),
        width=float(np.median(high - low)),
    )


def _row(found: Found) -> str:
    case = found.case
    clusters = "" if case.clusters is None else f"{case.clusters}{'' if case.told else ' untold'}"
    return (
        f"{case.metric:10} {case.examples:13} {case.n:7,} {clusters:11} {100 * found.coverage:8.1f} "
        f"{100 * found.error:5.1f} {100 * found.below:6.1f} {100 * found.above:6.1f} "
        f"{100 * found.none:5.1f} {found.width:7.4f}"
    )


def main() -> None:
    """Print a table, in percent, and write it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--draws", type=int, default=2_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    began = time.perf_counter()
    print(
        f"{'metric':10} {'examples':13} {'n':>7} {'clusters':11} {'coverage':>8} {'error':>5} {'below':>6} "
        f"{'above':>6} {'none':>5} {'width':>7}"
    )
    rows = []
    with ProcessPoolExecutor(given.workers) as pool:
        for found in pool.map(partial(coverage, draws=given.draws, seed=given.seed), cases()):
            print(_row(found), flush=True)
            rows.append({**asdict(found.case), **asdict(found), "case": None})
    seconds = time.perf_counter() - began
    print(f"{seconds:.0f} s")
    if given.json:
        rows = [{key: value for key, value in row.items() if key != "case"} for row in rows]
        whole = {"draws": given.draws, "seed": given.seed, "seconds": round(seconds), "cases": rows}
        given.json.write_text(json.dumps(whole, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
