"""Contributions of examples against closed forms, and against leaving out one after the other."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from tests.statistics.measures import F1, HITS, MEAN, PEARSON, numbers, table

from ptbench import Predictions, SumMetric, TableMetric
from ptbench.statistics.intervals import values_of
from ptbench.statistics.jackknife import contributions, freedom, freedom_at, standard_error, units


def _one_by_one(metric: SumMetric | TableMetric, predictions: Predictions) -> np.ndarray:
    unit = units(predictions)
    g = unit.max() + 1
    (value,) = values_of(metric, [predictions])
    left = values_of(metric, [predictions.take(np.flatnonzero(unit != u)) for u in range(g)])
    return (g - 1) * (value - np.array(left))


@pytest.mark.parametrize("clustered", [False, True])
@pytest.mark.parametrize("metric", [HITS, F1, MEAN, PEARSON])
def test_contributions_are_what_leaving_out_changes(metric: SumMetric, clustered: bool) -> None:
    rng = np.random.default_rng(0)
    clusters = [f"c{i // 4}" for i in range(60)] if clustered else None
    base = numbers(rng, 60) if metric.target == "number" else table(*rng.integers(0, 2, (2, 60)))
    predictions = Predictions(base.ids, base.columns, base.labels, clusters)
    found = contributions(metric, predictions)
    np.testing.assert_allclose(found, _one_by_one(metric, predictions), rtol=1e-9, atol=1e-9)


def test_the_standard_error_of_a_mean_is_the_textbooks() -> None:
    values = np.random.default_rng(1).normal(3, 2, size=200)
    moved = contributions(MEAN, table(values, values))
    assert standard_error(moved) == pytest.approx(stats.sem(values))
    assert math.isnan(standard_error(moved[:1]))


@settings(deadline=None)
@given(st.lists(st.floats(-100, 100), min_size=4, max_size=50))
def test_freedom_is_at_most_that_of_the_units(values: list[float]) -> None:
    moved = np.array(values)
    if np.ptp(moved) > 1e-6:
        assert 0 < freedom(moved) <= len(moved) - 1


def test_few_that_move_much_leave_little_freedom() -> None:
    normal = np.random.default_rng(2).normal(size=2000)
    assert freedom(normal) > 1500
    few = np.zeros(2000)
    few[:5] = 1
    assert freedom(few) < 12
    assert freedom(few) == pytest.approx(float(freedom_at(stats.kurtosis(few, fisher=False), 2000)))
