"""The audit: labels in another order are found, and chance is not taken for it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.optimize import linear_sum_assignment

from ptbench.audit import assignment, permuted_labels
from ptbench.data import Predictions

ANIMALS = ("cat", "dog", "fox", "owl")


def predictions(target: np.ndarray, prediction: np.ndarray, labels: tuple[str, ...] = ANIMALS) -> Predictions:
    ids = [f"e{i}" for i in range(len(target))]
    return Predictions(ids, {"target": target, "prediction": prediction}, labels)


def test_rotated_labels_are_found_and_the_mapping_is_told() -> None:
    target = np.arange(400) % 4
    prediction = np.where(np.arange(400) < 360, (target + 1) % 4, target)
    said = permuted_labels(predictions(target, prediction))
    assert said is not None
    assert "from 0.100 to 0.900" in said
    for mapping in ("'dog' means 'cat'", "'fox' means 'dog'", "'owl' means 'fox'", "'cat' means 'owl'"):
        assert mapping in said


def test_two_swapped_labels_of_two() -> None:
    target = np.arange(100) % 2
    assert "'no' means 'yes'" in str(permuted_labels(predictions(target, 1 - target, ("no", "yes"))))


def test_a_good_model_and_a_poor_one_are_left_alone() -> None:
    numbers = np.random.default_rng(0)
    target = numbers.integers(0, 4, 500)
    good = np.where(numbers.random(500) < 0.9, target, numbers.integers(0, 4, 500))
    assert permuted_labels(predictions(target, good)) is None
    assert permuted_labels(predictions(target, numbers.integers(0, 4, 500))) is None


@pytest.mark.parametrize("seed", range(5))
def test_chance_with_many_labels_and_few_rows_is_no_permutation(seed: int) -> None:
    """The best permutation of its own rows would lift accuracy by half: it must hold on other rows."""
    numbers = np.random.default_rng(seed)
    labels = tuple(f"l{i}" for i in range(1000))
    target, prediction = numbers.integers(0, 1000, 300), numbers.integers(0, 1000, 300)
    assert permuted_labels(predictions(target, prediction, labels)) is None


def test_one_label_for_all_rows_is_no_permutation() -> None:
    target = np.array([1] * 16 + [0] * 7)
    assert permuted_labels(predictions(target, np.zeros(23, dtype=np.int64), ("bad", "good"))) is None


def test_a_lift_on_few_rows_must_be_more_than_luck() -> None:
    """8 of 20 rows more: an order that was searched for gives that by chance."""
    target = np.arange(20) % 2
    right = np.isin(np.arange(20), [0, 3, 6, 9, 12])
    prediction = np.where(right, target, 1 - target)
    assert permuted_labels(predictions(target, prediction, ("no", "yes"))) is None
    assert permuted_labels(predictions(target, 1 - target, ("no", "yes"))) is not None


@pytest.mark.parametrize("size", [10, 20, 40])
def test_chance_on_few_rows_raises_no_alarm(size: int) -> None:
    numbers = np.random.default_rng(size)
    draws = [numbers.integers(0, 4, (2, size)) for _ in range(1000)]
    assert [said for target, given in draws if (said := permuted_labels(predictions(target, given)))] == []


def test_rare_labels_that_were_swapped_are_found() -> None:
    target = np.array([0] * 950 + [1] * 50)
    prediction = np.where(np.arange(1000) % 100 == 0, target, 1 - target)
    assert "from 0.010 to 0.990" in str(permuted_labels(predictions(target, prediction, ("no", "yes"))))


def test_sorted_rows_do_not_hide_it() -> None:
    """A folder of classes comes class by class: both halves must have all of them."""
    target = np.sort(np.arange(400) % 4)
    ids = [f"{ANIMALS[t]}/{i:04}.jpg" for i, t in enumerate(target)]
    rotated = Predictions(ids, {"target": target, "prediction": (target + 1) % 4}, ANIMALS)
    assert permuted_labels(rotated) is not None


def test_numbers_have_no_labels_to_permute() -> None:
    columns = {"target": np.array([1.0, 2.0]), "prediction": np.array([2.0, 1.0])}
    assert permuted_labels(Predictions(["a", "b"], columns)) is None


@given(hnp.arrays(np.int64, st.integers(1, 7).map(lambda n: (n, n)), elements=st.integers(0, 20)))
def test_the_assignment_is_the_best_there_is(table: np.ndarray) -> None:
    found = assignment(table)
    rows, columns = linear_sum_assignment(table, maximize=True)
    assert sorted(found) == list(range(len(table)))
    assert table[found, np.arange(len(table))].sum() == table[rows, columns].sum()


def test_equal_choices_leave_the_labels_as_they_are() -> None:
    assert assignment(np.ones((5, 5), dtype=np.int64)).tolist() == [0, 1, 2, 3, 4]
