"""Metrics in pure NumPy: scikit-learn and SciPy are their oracles in the tests, not their engines.

What each means, and what it answers where it is undefined, is in ``METRICS.md`` beside this package.
"""

from ptbench import FileMetric, Metric
from ptbench_sklearn.metrics import averages, calibration, classification, ranking, regression

METRICS: tuple[Metric | FileMetric, ...] = (
    *classification.METRICS,
    *averages.METRICS,
    *ranking.METRICS,
    *calibration.METRICS,
    *regression.METRICS,
)
"""Every metric that this plugin offers."""
