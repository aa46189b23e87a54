"""Confusions, reliability and worst errors: known answers, and what holds for any predictions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptbench import Predictions, confusion, reliability, worst
from ptbench.catalog import load_catalog
from ptbench.offers import SumMetric
from ptbench.statistics.intervals import score, wilson

LABELS = ("cat", "dog", "owl")


def labelled(target: list[int], prediction: list[int], scores: object = None) -> Predictions:
    columns = {"target": np.array(target, np.int64), "prediction": np.array(prediction, np.int64)}
    if scores is not None:
        columns["scores"] = np.array(scores, np.float32)
    return Predictions([f"e{i}" for i in range(len(target))], columns, LABELS)


def numbers(target: list[float], prediction: list[float]) -> Predictions:
    columns = {"target": np.array(target, np.float64), "prediction": np.array(prediction, np.float64)}
    return Predictions([f"e{i}" for i in range(len(target))], columns)


def drawn(n: int, seed: int) -> Predictions:
    rng = np.random.default_rng(seed)
    scores = rng.dirichlet(np.ones(3), n)
    return labelled(rng.integers(0, 3, n).tolist(), scores.argmax(axis=1).tolist(), scores)


def test_rows_of_a_confusion_are_targets_and_columns_predictions() -> None:
    found = confusion(labelled([0, 0, 1, 2, 2, 2], [0, 1, 1, 0, 0, 2]))
    assert found is not None
    assert found.labels == LABELS
    assert found.counts.tolist() == [[1, 1, 0], [0, 1, 0], [2, 0, 1]]
    assert found.mistakes() == [("owl", "cat", 2), ("cat", "dog", 1)]
    assert found.mistakes(1) == [("owl", "cat", 2)]


def test_numbers_have_no_confusion_and_no_reliability() -> None:
    table = numbers([1.0, 2.0], [1.0, 3.0])
    assert confusion(table) is None
    assert reliability(table) == ()


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), max_size=50))
def test_a_confusion_counts_every_example_once(pairs: list[tuple[int, int]]) -> None:
    target, prediction = [t for t, _ in pairs], [p for _, p in pairs]
    found = confusion(labelled(target, prediction))
    assert found is not None
    assert found.counts.sum() == len(pairs)
    assert found.counts.sum(axis=1).tolist() == [target.count(i) for i in range(3)]
    assert found.counts.sum(axis=0).tolist() == [prediction.count(i) for i in range(3)]
    assert sum(count for *_, count in found.mistakes()) == sum(t != p for t, p in pairs)


def test_reliability_of_a_known_case() -> None:
    scores = [[0.75, 0.25, 0.0]] * 4 + [[0.0, 0.0, 1.0]] * 2
    first, second = reliability(labelled([0, 0, 0, 1, 2, 2], [0, 0, 0, 0, 2, 2], scores), bins=4)
    assert (first.low, first.high, first.n, first.confidence, first.accuracy) == (0.5, 0.75, 4, 0.75, 0.75)
    assert (first.accuracy_low, first.accuracy_high) == wilson(3, 4)
    assert (second.low, second.high, second.n, second.confidence, second.accuracy) == (0.75, 1.0, 2, 1.0, 1.0)


def test_reliability_needs_scores_and_bins() -> None:
    assert reliability(labelled([0, 1], [0, 1])) == ()
    assert reliability(labelled([], [], np.zeros((0, 3)))) == ()
    with pytest.raises(ValueError, match="bins must be at least 1; got 0"):
        reliability(drawn(10, 0), bins=0)


@pytest.mark.parametrize("seed", range(5))
def test_the_calibration_error_of_the_bins_is_the_metric(seed: int) -> None:
    table = drawn(400, seed)
    bins = reliability(table)
    metric = load_catalog().metric("ece")
    assert isinstance(metric, SumMetric)
    assert sum(one.n for one in bins) == 400
    ours = sum(one.n * abs(one.confidence - one.accuracy) for one in bins) / 400
    assert ours == pytest.approx(score(metric, table, resamples=2).value, abs=1e-12)


def test_the_worst_labels_are_wrong_ones_most_confident_first() -> None:
    scores = [[0.6, 0.2, 0.2], [0.9, 0.1, 0.0], [0.7, 0.3, 0.0], [0.2, 0.8, 0.0]]
    table = labelled([1, 0, 1, 2], [0, 0, 0, 1], scores)
    assert worst(table) == [3, 2, 0]
    assert worst(table, most=1) == [3]


def test_without_scores_the_worst_stand_in_their_order() -> None:
    assert worst(labelled([1, 0, 2, 2], [0, 0, 1, 1])) == [0, 2, 3]


def test_the_worst_numbers_have_the_largest_errors() -> None:
    assert worst(numbers([1.0, 2.0, 3.0, 4.0], [1.5, 2.0, 0.0, 4.6])) == [2, 3, 0]


def test_what_is_neither_label_nor_number_has_no_worst() -> None:
    texts = np.array(["a", "b"], object)
    assert worst(Predictions(["1", "2"], {"target": texts, "prediction": texts[::-1]})) == []
