"""Time the intervals of ten metrics, beside real resampling and beside `scipy.stats.bootstrap`.

    python tests/benchmarks/bootstrap.py [--json PATH] [--examples 10000] [--resamples 10000]
        [--drawn 500] [--scipy 20] [--repeats 3]

- default: `ptbench.statistics.intervals.scores`, values and intervals as every report has them: closed forms
  and the jackknife. It draws no resample; what is compared is the interval that one gets.
- drawn: the bootstrap of the same metrics in ptbench (weights; counts of distinct rows where there are few).
- scipy: `scipy.stats.bootstrap`, percentile method, with scikit-learn's and SciPy's functions.

Both bootstraps run fewer resamples (``--drawn``, ``--scipy``); their times are extrapolated linearly to
``--resamples``, but all are drawn where there are few distinct rows. Metrics take turns: each is timed all
three ways before the next. ``apart`` is how far the ends of the default interval lie from those of the drawn
one, in half-widths.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import time
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats
from sklearn import metrics as oracle

from ptbench import Predictions, SumMetric, TableMetric
from ptbench.statistics.intervals import score, scores
from ptbench.statistics.jackknife import units
from ptbench.statistics.resampling import bootstrap, distinct, in_order, narrow
from ptbench_sklearn.metrics import METRICS

Oracle = Callable[..., float]
FEW = 100
"""Distinct rows of labels and predictions: there are four."""


def predictions(n: int) -> tuple[Predictions, Predictions]:
    """Return binary labels with scores, and numbers."""
    rng = np.random.default_rng(0)
    target = rng.integers(0, 2, n)
    logit = 2 * target - 1 + rng.normal(0, 1.5, n)
    positive = 1 / (1 + np.exp(-logit))
    scores = np.stack([1 - positive, positive], axis=1)
    labels = {"target": target, "prediction": scores.argmax(axis=1), "scores": scores}
    number = rng.normal(size=n)
    numbers = {"target": number, "prediction": number + rng.normal(size=n)}
    ids = [f"test-{i}" for i in range(n)]
    return Predictions(ids, labels, ("no", "yes")), Predictions(ids, numbers)


CASES: Sequence[tuple[str, str, Oracle]] = (
    ("accuracy", "prediction", oracle.accuracy_score),
    ("f1", "prediction", oracle.f1_score),
    ("macro_f1", "prediction", lambda t, p: oracle.f1_score(t, p, average="macro")),
    ("balanced_accuracy", "prediction", oracle.balanced_accuracy_score),
    ("mcc", "prediction", oracle.matthews_corrcoef),
    ("roc_auc", "scores", oracle.roc_auc_score),
    ("average_precision", "scores", oracle.average_precision_score),
    ("log_loss", "scores", oracle.log_loss),
    ("pearson", "prediction", lambda t, p: stats.pearsonr(t, p)[0]),
    ("spearman", "prediction", lambda t, p: stats.spearmanr(t, p)[0]),
)


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Return the seconds that something takes, and what it returns."""
    began = time.perf_counter()
    found = work()
    return time.perf_counter() - began, found


def by_scipy(function: Oracle, target: Any, second: Any, resamples: int) -> None:
    """Run SciPy's bootstrap."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        stats.bootstrap(
            (target, second),
            function,
            paired=True,
            vectorized=False,
            method="percentile",
            n_resamples=resamples,
            rng=np.random.default_rng(0),
        )


def main() -> None:
    """Print a table of seconds and their ratio, and write it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--json", type=Path)
    for name, default in (("examples", 10_000), ("resamples", 10_000), ("drawn", 500), ("scipy", 20)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    by_name = {metric.name: metric for metric in METRICS if isinstance(metric, SumMetric | TableMetric)}
    tables = dict(zip(("label", "number"), predictions(given.examples), strict=True))
    chosen = {kind: [by_name[name] for name, *_ in CASES if by_name[name].target == kind] for kind in tables}
    whole = min(
        timed(lambda: [scores(chosen[kind], table) for kind, table in tables.items()])[0]
        for _ in range(given.repeats)
    )
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"{given.examples:,} examples; bootstraps of {given.resamples:,} resamples, extrapolated", flush=True
    )
    print(f"all ten, default: {whole:.3f} s, {memory:.2f} GiB at most")
    print(
        f"{'metric':18} {'interval':9} {'default s':>9} {'drawn s':>9} {'scipy s':>9} {'ratio':>8} "
        f"{'apart':>6}"
    )
    rows = []
    for name, column, function in CASES:
        metric, table = by_name[name], in_order(tables[by_name[name].target])
        ours, found = min(
            (timed(partial(score, metric, table)) for _ in range(given.repeats)), key=lambda pair: pair[0]
        )
        seen = narrow(metric, table)
        count = given.resamples if len(distinct(seen)[0]) < FEW else given.drawn
        drawn, draws = timed(partial(bootstrap, metric, seen, units(seen), 0, count))
        second = table[column][:, 1] if column == "scores" else table[column]
        theirs, _ = timed(partial(by_scipy, function, table["target"], second, given.scipy))
        low, high = np.quantile(draws, [0.025, 0.975])
        apart = max(abs(found.ci_low - low), abs(found.ci_high - high)) / found.half_width
        row = {
            "metric": name,
            "interval": found.interval,
            "default_s": round(ours, 5),
            "drawn_s": round(drawn * given.resamples / count, 3),
            "scipy_s": round(theirs * given.resamples / given.scipy, 2),
            "apart": round(float(apart), 3),
        }
        rows.append(row)
        print(
            f"{name:18} {found.interval:9} {row['default_s']:9.4f} {row['drawn_s']:9.2f} "
            f"{row['scipy_s']:9.1f} {row['scipy_s'] / row['default_s']:8.0f} {row['apart']:6.3f}",
            flush=True,
        )
    total = {key: sum(row[key] for row in rows) for key in ("default_s", "drawn_s", "scipy_s")}
    print(
        f"{'all':18} {'':9} {total['default_s']:9.4f} {total['drawn_s']:9.2f} {total['scipy_s']:9.1f} "
        f"{total['scipy_s'] / total['default_s']:8.0f}; drawn: {total['scipy_s'] / total['drawn_s']:.0f}"
    )
    if given.json:
        facts = {
            "examples": given.examples,
            "resamples": given.resamples,
            "measured_resamples": {"drawn": given.drawn, "scipy": given.scipy},
            "default_all_s": round(whole, 4),
            "peak_gib": round(memory, 3),
            "ratio_default": round(total["scipy_s"] / total["default_s"]),
            "ratio_drawn": round(total["scipy_s"] / total["drawn_s"], 1),
            "load": round(os.getloadavg()[0], 1),
            "metrics": rows,
        }
        given.json.write_text(json.dumps(facts, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
