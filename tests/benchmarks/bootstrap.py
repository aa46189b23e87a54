"""Time ten metrics with intervals, beside `scipy.stats.bootstrap` with scikit-learn's metrics.

``python tests/benchmarks/bootstrap.py [examples] [scipy resamples]``: SciPy runs fewer resamples, which
are extrapolated linearly to those of ptbench.
"""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable, Sequence

import numpy as np
from scipy import stats
from sklearn import metrics as oracle

from ptbench import Predictions, SumMetric, TableMetric
from ptbench.statistics.intervals import RESAMPLES, score
from ptbench_sklearn.metrics import METRICS

Oracle = Callable[..., float]


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


def main(n: int = 10_000, scipy_resamples: int = 20) -> None:
    """Print a table of seconds and their ratio."""
    by_name = {metric.name: metric for metric in METRICS}
    labels, numbers = predictions(n)
    print(f"{n:,} examples, {RESAMPLES:,} resamples; SciPy extrapolated from {scipy_resamples}")
    print(f"{'metric':20} {'value':>8} {'ptbench s':>10} {'scipy s':>10} {'ratio':>8}")
    total = scipy_total = 0.0
    for name, column, function in CASES:
        metric = by_name[name]
        assert isinstance(metric, SumMetric | TableMetric)
        table = labels if metric.target == "label" else numbers
        began = time.perf_counter()
        result = score(metric, table)
        ours = time.perf_counter() - began
        second = table[column][:, 1] if column == "scores" else table[column]
        began = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            stats.bootstrap(
                (table["target"], second),
                function,
                paired=True,
                vectorized=False,
                method="percentile",
                n_resamples=scipy_resamples,
                rng=np.random.default_rng(0),
            )
        theirs = (time.perf_counter() - began) * RESAMPLES / scipy_resamples
        total, scipy_total = total + ours, scipy_total + theirs
        print(f"{name:20} {result.value:8.4f} {ours:10.3f} {theirs:10.2f} {theirs / ours:8.0f}")
    print(f"{'all':20} {'':8} {total:10.3f} {scipy_total:10.2f} {scipy_total / total:8.0f}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
