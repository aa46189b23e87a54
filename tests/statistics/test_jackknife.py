"""Contributions of examples against closed forms, and against leaving out one after the other."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from tests.statistics.measures import F1, HITS, MEAN, PEARSON, numbers, table

from ptbench import Predictions, SumMetric, TableMetric
from ptbench.catalog import load_catalog
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


def _moves(predictions: Predictions) -> np.ndarray:
    """Return n times the derivative of a correlation by the weights."""
    x, y = (stats.zscore(predictions[name]) for name in ("target", "prediction"))
    return np.asarray(x * y - np.mean(x * y) * (x**2 + y**2) / 2)


def _wrong_moves(predictions: Predictions) -> np.ndarray:
    return np.full(len(predictions), 1e9)


def _clustered(rng: np.random.Generator, g: int, size: int = 5) -> Predictions:
    base, cluster = numbers(rng, g * size), np.repeat(np.arange(g), size)
    columns = {name: base[name] + rng.normal(size=g)[cluster] for name in base}
    return Predictions(base.ids, columns, (), [f"c{one:05}" for one in cluster])


def test_many_clusters_move_a_metric_by_what_their_examples_do() -> None:
    metric, table = replace(PEARSON, moves=_moves), _clustered(np.random.default_rng(3), 600)
    found, expected = contributions(metric, table), _one_by_one(PEARSON, table)
    assert found.shape == expected.shape == (600,)
    assert standard_error(found) == pytest.approx(standard_error(expected), rel=0.01)
    assert freedom(found) == pytest.approx(freedom(expected), rel=0.03)
    np.testing.assert_allclose(found, expected, atol=0.15 * float(expected.std()))
    most = np.argsort(abs(found))[-5:]
    np.testing.assert_allclose(found[most], expected[most], rtol=1e-6)  # these were left out


def test_few_clusters_are_left_out_one_after_the_other() -> None:
    table = _clustered(np.random.default_rng(4), 30)
    found = contributions(replace(PEARSON, moves=_wrong_moves), table)
    np.testing.assert_allclose(found, _one_by_one(PEARSON, table), rtol=1e-9)


def test_a_cluster_with_all_positives_leaves_no_area_under_the_curve() -> None:
    rng, metric = np.random.default_rng(5), load_catalog().metric("roc_auc")
    assert isinstance(metric, TableMetric)
    assert metric.moves is not None
    cluster = np.repeat(np.arange(500), 4)
    for inside, undefined in ((range(40, 44), True), ((40, 41, 42, 1003), False)):
        target = np.isin(np.arange(2000), list(inside)).astype(int)
        score = 1 / (1 + np.exp(-rng.normal(size=2000) - target))
        columns = {"target": target, "scores": np.stack([1 - score, score], axis=1)}
        table = Predictions(
            [f"{i:04}" for i in range(2000)], columns, ("n", "y"), [f"c{i:03}" for i in cluster]
        )
        found, expected = contributions(metric, table), _one_by_one(metric, table)
        assert bool(np.isnan(found[10])) is bool(np.isnan(expected[10])) is undefined
        assert np.isnan(found).sum() == undefined
        if not undefined:
            assert standard_error(found) == pytest.approx(standard_error(expected), rel=0.01)


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
