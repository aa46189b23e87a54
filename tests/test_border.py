"""What a model returned is checked against its kind."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ptbench import Column, Examples, Kind, ModelError, ModelFacts, Outcome, ProtocolError, Split, Task
from ptbench.border import checked_facts, checked_features, checked_outcome, checked_predictions

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
        (LABELLED, {"scores": [["a", "b"]] * 2}, "column 'scores' must be numbers, not <U1"),
        (LABELLED, {"scores": [[1e300, 0], [0, 1]]}, "is no row of probabilities for 1 of 2 examples"),
        (LABELLED, {"prediction": ["no", "yes"]}, "must be integers [n]"),
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


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (None, "m: returned a NoneType; a mapping of column names to arrays was expected"),
        ([0, 1], "m: returned a list; a mapping"),
        ({"scores": [[0.5, 0.5], [1.0]]}, "m: column 'scores' is no array: "),
        ({0: [0, 1]}, "m: returned a column '0'"),
    ],
)
def test_what_are_no_columns_is_one_line(columns: Any, message: str) -> None:
    with pytest.raises(ModelError) as caught:
        checked_predictions(columns, LABELLED, TASK, "m")
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_the_prediction_is_the_largest_score() -> None:
    checked = checked_predictions({"scores": np.array([[0.4, 0.6], [0.5, 0.5]])}, LABELLED, TASK, "m")
    assert checked["prediction"].tolist() == [1, 0]
    assert checked["target"].tolist() == [0, 1]


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (None, "m: embed returned a NoneType; an array [n, d] was expected"),
        ("texts", "m: embed returned a str; an array [n, d] was expected"),
        ([[1.0], [1.0, 2.0]], "m: what embed returned is no array: "),
        ([["a"], ["b"]], "embed returned <U1; floating-point numbers were expected"),
        (np.zeros((2, 0)), "embed returned no features: an array of shape (2, 0)"),
        (np.array([[1.0], [1e300]]), "NaN or infinity for 1 of 2 examples (as float32)"),
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


def test_a_model_without_facts_is_named() -> None:
    with pytest.raises(ModelError, match=r"^m: object has no facts; give it .* ptbench.ModelFacts\(\)$"):
        checked_facts(object(), "m")
    facts = ModelFacts()
    assert checked_facts(type("Some", (), {"facts": facts})(), "m") is facts


def test_an_outcome_is_made_tidy() -> None:
    facts = {"a": [1, 2.0, None, {"b": np.float32(1)}], "c": np.arange(3), "d": ("x", True)}
    checked = checked_outcome(Outcome({}, facts, "one note"), "m on t")  # type: ignore[arg-type]
    assert checked.notes == ("one note",)
    assert checked.facts == facts
    assert checked_outcome(Outcome({}, notes=["a", "b"]), "m").notes == ("a", "b")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("outcome", "message"),
    [
        (None, "the protocol returned a NoneType; return ptbench.Outcome(columns)"),
        ({"prediction": [0]}, "the protocol returned a dict"),
        (Outcome({}, notes=3), "the notes of the outcome are of type int"),  # type: ignore[arg-type]
        (Outcome({}, notes=("a", 3)), "the notes of the outcome hold the type int"),  # type: ignore[arg-type]
        (Outcome({}, ["a"]), "the facts of the outcome are of type list"),  # type: ignore[arg-type]
        (Outcome({}, {1: "a"}), "the facts of the outcome have the key 1"),  # type: ignore[dict-item]
        (Outcome({}, {"head": object()}), "fact 'head' is no plain data (object)"),
        (Outcome({}, {"a": [{"b": {1, 2}}]}), "fact 'a' is no plain data (list)"),
        (Outcome({}, {"a": np.array([object()])}), "fact 'a' is no plain data (ndarray)"),
    ],
)
def test_a_broken_outcome_is_named(outcome: Any, message: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        checked_outcome(outcome, "m on t")
    assert str(caught.value).startswith("m on t: ")
    assert message in str(caught.value)
