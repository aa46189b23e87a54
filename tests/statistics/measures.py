"""Metrics and predictions that the tests of statistics share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ptbench import Predictions, SumMetric, TableMetric


def _hits(predictions: Predictions) -> Any:
    hit = predictions["target"] == predictions["prediction"]
    return np.stack([hit, np.ones(len(hit))], axis=1).astype(float)


def _counts(predictions: Predictions) -> Any:
    target, prediction = predictions["target"] == 1, predictions["prediction"] == 1
    return np.stack([target & prediction, target, prediction], axis=1).astype(float)


def _pearson(predictions: Predictions, weights: Any) -> Any:
    x, y = predictions["target"], predictions["prediction"]
    n, sx, sy, sxx, syy, sxy = np.moveaxis(weights @ np.stack([x**0, x, y, x * x, y * y, x * y], 1), -1, 0)
    return (sxy - sx * sy / n) / np.sqrt((sxx - sx**2 / n) * (syy - sy**2 / n))


def _sum_metric(name: str, rows: Any, value: Any, **rest: Any) -> SumMetric:
    given = {"higher_is_better": True, "target": "label", **rest}
    return SumMetric(name=name, description=name, rows=rows, value=value, **given)


def _share(sums: Any) -> Any:
    return sums[..., 0] / sums[..., 1]


ACCURACY = _sum_metric("accuracy", _hits, _share, interval="wilson", bounds=(0.0, 1.0))
HITS = replace(ACCURACY, name="hits", interval="jackknife")
"""The same, but that it does not say that it is a proportion."""
ERRORS = replace(
    ACCURACY,
    name="errors",
    higher_is_better=False,
    rows=lambda predictions: np.array([1.0, 0.0]) + _hits(predictions) * np.array([-1.0, 1.0]),
)
F1 = _sum_metric("f1", _counts, lambda sums: 2 * sums[..., 0] / (sums[..., 1] + sums[..., 2]))
MEAN = _sum_metric(
    "mean",
    lambda predictions: np.stack([predictions["prediction"], np.ones(len(predictions))], axis=1),
    _share,
    target="number",
    higher_is_better=False,
)
PEARSON = TableMetric(
    name="pearson", description="pearson", higher_is_better=True, target="number", compute=_pearson
)


def table(
    target: Any,
    prediction: Any,
    ids: Sequence[str] | None = None,
    clusters: Sequence[str] | None = None,
) -> Predictions:
    columns = {"target": np.asarray(target), "prediction": np.asarray(prediction)}
    names = ids or [f"e{i:06d}" for i in range(len(columns["target"]))]
    return Predictions(names, columns, ("no", "yes"), clusters)


def right(hits: Any, **rest: Any) -> Predictions:
    """Return predictions that are right just there."""
    return table(np.ones(len(hits), int), np.asarray(hits).astype(int), **rest)


def numbers(rng: np.random.Generator, n: int) -> Predictions:
    target = rng.normal(size=n)
    return table(target, target + rng.normal(size=n))
