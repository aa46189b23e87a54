"""Baselines: known answers, whatever the order of the rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier, DummyRegressor

from ptbench import (
    Capability,
    Examples,
    FitRequest,
    ModelError,
    ModelRequest,
    Reference,
    Settings,
    Split,
    Task,
    testing,
)
from ptbench.baselines import PROVIDER

LABELS = ("no", "yes", "maybe")
TARGETS = np.array([0, 2, 2, 1, 2, 0, 1, 0])


def request(name: str) -> ModelRequest:
    return ModelRequest(
        Reference.parse(f"baseline:{name}", revisions=PROVIDER.revisions), settings=Settings()
    )


def examples(n: int, start: int = 0) -> Examples:
    return Examples([f"id-{i}" for i in range(start, start + n)], {"text": ["x"] * n})


def fitted(name: str, targets: Any, *, labels: tuple[str, ...] = LABELS, seed: int = 0) -> Any:
    train = Split(examples(len(targets)), np.asarray(targets))
    model: Any = PROVIDER.load(request(name))
    return model.fit(train, train, FitRequest("any", labels, seed))


def test_majority_is_that_of_scikit_learn() -> None:
    columns = fitted("majority", TARGETS).predict(examples(5))
    dummy = DummyClassifier(strategy="prior").fit(np.zeros((8, 1)), TARGETS)
    assert columns["prediction"].tolist() == dummy.predict(np.zeros((5, 1))).tolist() == [0] * 5
    np.testing.assert_allclose(columns["scores"], dummy.predict_proba(np.zeros((5, 1))))


def test_a_tie_goes_to_the_first_label_and_unseen_ones_score_zero() -> None:
    columns = fitted("majority", [1, 2, 1, 2]).predict(examples(1))
    assert columns["prediction"].tolist() == [1]
    assert columns["scores"].tolist() == [[0, 0.5, 0.5]]


def test_the_mean_stands_for_numbers() -> None:
    targets = np.array([1.0, 2.0, 4.5])
    columns = fitted("majority", targets, labels=()).predict(examples(3))
    assert list(columns) == ["prediction"]
    np.testing.assert_allclose(
        columns["prediction"], DummyRegressor().fit(targets, targets).predict([[0]] * 3)
    )


def test_random_draws_depend_on_seed_and_id_alone() -> None:
    model = fitted("random", TARGETS)
    some = examples(300)
    order = np.random.default_rng(0).permutation(300)
    whole = model.predict(some)
    assert (model.predict(some.take(order))["scores"] == whole["scores"][order]).all()
    assert (model.predict(some.take([7]))["scores"] == whole["scores"][[7]]).all()
    assert (fitted("random", TARGETS[::-1]).predict(some)["prediction"] == whole["prediction"]).all()
    assert (fitted("random", TARGETS, seed=1).predict(some)["prediction"] != whole["prediction"]).any()
    assert (whole["scores"].argmax(axis=1) == whole["prediction"]).all()


def test_random_is_uniform_over_labels_whatever_their_frequency() -> None:
    columns = fitted("random", [0, 0, 0, 0, 1]).predict(examples(6000))
    np.testing.assert_allclose(np.bincount(columns["prediction"]) / 6000, 1 / 3, atol=0.03)
    np.testing.assert_allclose(columns["scores"].sum(axis=1), 1)


def test_random_numbers_are_targets_of_train() -> None:
    targets = np.array([1.0, 1.0, 1.0, 5.0])
    columns = fitted("random", targets, labels=()).predict(examples(4000))
    assert set(columns["prediction"]) == {1.0, 5.0}
    assert columns["prediction"].mean() == pytest.approx(2, abs=0.15)
    again = fitted("random", targets[::-1], labels=()).predict(examples(4000))
    assert (again["prediction"] == columns["prediction"]).all()


def test_the_oracle_is_perfect() -> None:
    model: Any = PROVIDER.load(request("oracle"))
    split = Split(examples(8), TARGETS)
    columns = model.peek(split, FitRequest("any", LABELS, 0))
    assert columns["prediction"].tolist() == TARGETS.tolist()
    assert (columns["scores"] == np.eye(3)[TARGETS]).all()
    numbers = Split(examples(2), np.array([0.5, 2.0]))
    assert model.peek(numbers, FitRequest("any", (), 0))["prediction"].tolist() == [0.5, 2.0]


@pytest.mark.parametrize(
    ("name", "capability"),
    [("majority", Capability.FIT), ("random", Capability.FIT), ("oracle", Capability.PEEK)],
)
def test_what_a_baseline_can(name: str, capability: Capability) -> None:
    description = PROVIDER.describe(request(name))
    assert description.capabilities == {capability}
    assert description.kinds is description.inputs is None
    model = PROVIDER.load(request(name))
    assert hasattr(model, capability.value)
    assert [c for c in Capability if hasattr(model, c.value)] == [capability]
    assert model.facts.parameters == 0


@pytest.mark.parametrize("name", ["majorty", "majority@1"])
def test_an_unknown_baseline_is_answered_with_the_nearest(name: str) -> None:
    for call in (PROVIDER.describe, PROVIDER.load):
        with pytest.raises(ModelError, match=f"there is no baseline '{name}'; did you mean 'majority'"):
            call(request(name))


def test_the_provider_conforms() -> None:
    splits = {name: Split(examples(8), TARGETS) for name in ("train", "validation", "test")}
    for name in ("majority", "random", "oracle"):
        task = Task("t", "any", splits, (), LABELS)
        testing.check_provider(PROVIDER, f"baseline:{name}", examples(8), task=task)
