"""What a model returned is checked against its kind."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ptbench import Column, Examples, Kind, ModelError, Split, Task
from ptbench.border import checked_features, checked_predictions

LABELLED = Kind(
    name="k",
    description="d",
    inputs=(Column("text", "text"),),
    target=Column("target", "label"),
    outputs=(Column("prediction", "label"), Column("scores", "scores", required=False)),
)
NUMBERED = Kind(
    name="n",
    description="d",
    inputs=(Column("text", "text"),),
    target=Column("target", "number"),
    outputs=(Column("prediction", "number"),),
)
TEST = Split(Examples(["a", "b"], {"text": ["x", "y"]}), np.array([0, 1]))
TASK = Task("t", "k", {"test": TEST}, (), ("no", "yes"))


@pytest.mark.parametrize(
    ("kind", "columns", "message"),
    [
        (LABELLED, {"prediction": [0]}, "column 'prediction' has 1 rows for 2 examples"),
        (
            LABELLED,
            {"prediction": [0, 2]},
            "is no position in the 2 labels for 1 of 2 examples, first for id 'b'",
        ),
        (LABELLED, {"prediction": [0.0, 1.0]}, "must be integers [n]"),
        (LABELLED, {"scores": [[1.0], [1.0]]}, "has the shape (2, 1); (2, 2) was expected"),
        (LABELLED, {"scores": [[0.5, 0.6], [0, 1]]}, "is no row of probabilities for 1 of 2 examples"),
        (LABELLED, {"scores": [[np.nan, 1], [0, 1]]}, "is no row of probabilities"),
        (LABELLED, {"scroes": [0, 1]}, "returned a column 'scroes'; k has prediction, scores"),
        (LABELLED, {}, "returned no column 'prediction'"),
        (
            NUMBERED,
            {"prediction": [0.0, np.nan]},
            "is not a finite number for 1 of 2 examples, first for id 'b'",
        ),
        (NUMBERED, {"prediction": ["a", "b"]}, "must be numbers [n]"),
        (NUMBERED, {"prediction": 3.0}, "has no rows for 2 examples"),
    ],
)
def test_a_broken_promise_is_named(kind: Kind, columns: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError) as caught:
        checked_predictions({k: np.asarray(v) for k, v in columns.items()}, kind, TASK, "m on t")
    assert str(caught.value).startswith("m on t: ")
    assert message in str(caught.value)


def test_the_prediction_is_the_largest_score() -> None:
    checked = checked_predictions({"scores": np.array([[0.4, 0.6], [0.5, 0.5]])}, LABELLED, TASK, "m")
    assert checked["prediction"].tolist() == [1, 0]
    assert checked["target"].tolist() == [0, 1]


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (np.zeros(2), "shape (2,) for 2 examples"),
        (np.zeros((3, 4)), "shape (3, 4) for 2 examples"),
        (np.zeros((2, 4), dtype=int), "floating-point numbers were expected"),
        (np.array([[1.0], [np.inf]]), "NaN or infinity for 1 of 2 examples"),
    ],
)
def test_features_are_finite_rows(features: Any, message: str) -> None:
    with pytest.raises(ModelError) as caught:
        checked_features(features, 2, "m")
    assert message in str(caught.value)
