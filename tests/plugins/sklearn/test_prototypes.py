"""Class means: beside scikit-learn's, and nothing of test in what is chosen."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.neighbors import NearestCentroid
from tests.plugins.sklearn.toys import NUMBERS, VECTORS, arrays, baseline, raw, task

from ptbench import Outcome, ProtocolError, Task, TaskFacts
from ptbench.testing import check_protocol, make_trial
from ptbench_sklearn.distances import unit
from ptbench_sklearn.prototypes import PROTOCOL, fit_prototypes


def prototypes(toy: Task, model: Any = None, **options: Any) -> Outcome:
    return PROTOCOL.run(make_trial(PROTOCOL, model or raw(), toy, VECTORS, **options))


def test_it_is_the_nearest_centroid_of_standardised_rows() -> None:
    toy = task(classes=3, margin=0.5)
    outcome = prototypes(toy, distance="euclidean")
    x, y = arrays(toy)
    mean, deviation = x["train"].mean(axis=0), x["train"].std(axis=0)
    every = (np.vstack([x["train"], x["validation"]]) - mean) / deviation
    theirs = NearestCentroid().fit(every.astype(float), np.r_[y["train"], y["validation"]])
    test = (x["test"] - mean) / deviation
    assert (outcome.columns["prediction"] == theirs.predict(test.astype(float))).all()
    squares = ((test[:, None] - theirs.centroids_[None]) ** 2).sum(axis=2) / (2 * 4)
    odds = np.exp(-squares / 0.1)
    np.testing.assert_allclose(outcome.columns["scores"], odds / odds.sum(axis=1, keepdims=True), atol=1e-5)
    assert outcome.facts["search"] == 1


def test_by_cosine_means_are_of_directions() -> None:
    toy = task(classes=3, margin=0.5)
    outcome = prototypes(toy, distance="cosine", temperature=0.5)
    x, y = arrays(toy)
    every, targets = unit(np.vstack([x["train"], x["validation"]])), np.r_[y["train"], y["validation"]]
    means = unit(np.stack([every[targets == label].mean(axis=0) for label in range(3)]))
    odds = np.exp(-(1 - unit(x["test"]) @ means.T) / 0.5)
    np.testing.assert_allclose(outcome.columns["scores"], odds / odds.sum(axis=1, keepdims=True), atol=1e-5)
    assert outcome.facts["temperature"] == 0.5


def test_the_distance_is_chosen_on_validation() -> None:
    """Only the length of rows tells the classes apart, and a cosine is blind to it."""
    toy = task(margin=0)
    for split in toy.splits.values():
        size = np.where(split.targets == 1, 100.0, 1.0)
        split.examples["features"][:] = (np.abs(split.examples["features"]) * size[:, None]).tolist()
    facts = prototypes(toy).facts
    assert facts["distance"] == "euclidean"
    assert facts["search"] == 2
    blind, seeing = (one["accuracy"] for one in facts["tried"])
    assert blind < 0.7
    assert seeing > 0.9


def test_a_label_without_a_row_has_no_chance() -> None:
    x = np.float32([[1, 0], [0, 1], [1, 0.5]])
    model = fit_prototypes(x, np.array([0, 2, 0]), "cosine", 3)
    columns = model.predict(np.float32([[2, 0], [0, 3], [0, 0]]))
    assert columns["prediction"].tolist() == [0, 2, 0]  # of equally near ones the first
    assert columns["scores"][:, 1].tolist() == [0, 0, 0]
    np.testing.assert_allclose(columns["scores"].sum(axis=1), 1, rtol=1e-6)


@pytest.mark.parametrize("validation", [False, True])
@pytest.mark.parametrize("classes", [2, 4])
def test_poisoned_test_rows_change_nothing(validation: bool, classes: int) -> None:
    check_protocol(PROTOCOL, raw(), task(validation=validation, classes=classes), VECTORS)


def test_models_with_their_own_recipe_and_the_oracle() -> None:
    toy = task()
    assert prototypes(toy, baseline("majority")).notes == ("follows its own recipe, not that of prototypes",)
    outcome = prototypes(toy, baseline("oracle"))
    assert (outcome.columns["prediction"] == toy.split("test").targets).all()


def test_what_makes_no_sense_is_refused() -> None:
    assert PROTOCOL.refuses(TaskFacts(VECTORS)) is None
    numbers = "prototypes takes the mean of each class, and toy-numbers has a number as target"
    assert PROTOCOL.refuses(TaskFacts(NUMBERS)) == numbers
    without = PROTOCOL.refuses(TaskFacts(VECTORS, splits={"test": 3}))
    assert without == "prototypes learns from a train split, and the task has none"


def test_complaints() -> None:
    with pytest.raises(ProtocolError, match=r"^prototypes: temperature = -1\.0: a number above 0"):
        prototypes(task(), temperature=-1.0)
