"""Metrics in pure NumPy: scikit-learn and SciPy are their oracles in the tests, not their engines.

What each means, and what it answers where it is undefined, is in ``METRICS.md`` beside this package.
"""

import math
from collections.abc import Mapping
from dataclasses import replace

from ptbench import FileMetric, Metric
from ptbench_sklearn.metrics import averages, calibration, classification, ranking, regression

BOUNDS: Mapping[str, tuple[float, float]] = {
    **dict.fromkeys(("mcc", "pearson", "spearman"), (-1.0, 1.0)),
    **dict.fromkeys(("log_loss", "mse", "rmse", "mae"), (0.0, math.inf)),
    "r2": (-math.inf, 1.0),
}
"""Between which values a metric lies, where that is not 0 to 1."""


def _bounded(metric: Metric | FileMetric) -> Metric | FileMetric:
    return (
        replace(metric, bounds=BOUNDS.get(metric.name, (0.0, 1.0))) if isinstance(metric, Metric) else metric
    )


METRICS: tuple[Metric | FileMetric, ...] = tuple(
    _bounded(metric)
    for part in (classification, averages, ranking, calibration, regression)
    for metric in part.METRICS
)
"""Every metric that this plugin offers."""
