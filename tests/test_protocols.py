"""`as_is` with models that break their promise: one line each."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ptbench import Examples, ModelError, ModelFacts, Outcome, Split, Task
from ptbench.protocols import AS_IS
from ptbench.testing import make_trial
from tests.test_border import LABELLED

ROWS = Split(Examples(["a", "b"], {"text": ["x", "y"]}), np.array([0, 1]))
TASK = Task("t", "k", {"test": ROWS}, (), ("no", "yes"))


class Head:
    """A model whose head knows the task's labels the other way round."""

    facts = ModelFacts(labels=("YES", "NO"))

    def __init__(self, columns: Any) -> None:
        self.columns = columns

    def predict(self, examples: Examples) -> Any:
        return self.columns


def as_is(model: Any) -> Outcome:
    return AS_IS.run(make_trial(AS_IS, model, TASK, LABELLED))


def test_scores_are_brought_into_the_order_of_the_task() -> None:
    outcome = as_is(Head({"scores": np.array([[0.75, 0.25], [0.5, 0.5]]), "prediction": [0, 0]}))
    assert list(outcome.columns) == ["scores"]
    assert outcome.columns["scores"].tolist() == [[0.25, 0.75], [0.5, 0.5]]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"prediction": [0, 1]}, "returned no column 'scores'; a model with labels of its own must"),
        ({"scores": [[1.0], [1.0]]}, "column 'scores' has the shape (2, 1); (2, 2) was expected"),
        (None, "returned a NoneType; a mapping of column names to arrays was expected"),
    ],
)
def test_a_head_without_scores_is_named(columns: Any, message: str) -> None:
    with pytest.raises(ModelError) as caught:
        as_is(Head(columns))
    assert str(caught.value).startswith(f"Head on t: {message}")


def test_a_model_without_facts_is_named() -> None:
    with pytest.raises(ModelError, match=r"^object on t: object has no facts"):
        as_is(object())
