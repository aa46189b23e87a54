"""The protocols that need no learning library: `as_is` and `zero_shot`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ptbench.border import checked_column, checked_columns, checked_facts
from ptbench.data import Columns, Split
from ptbench.errors import ModelError, ProtocolError
from ptbench.model import Capability, FitRequest, Fittable, Peeker, Predictor
from ptbench.offers import Column, Outcome, Protocol, TaskFacts, Trial


def own_recipe(trial: Trial, train: Split | None = None, validation: Split | None = None) -> Columns | None:
    """Return predictions of a model that brings its own recipe, or None where it has none.

    A sentinel that peeks is shown the test split; a model that fits itself is given ``train`` and
    ``validation``, if the protocol has any to give, and never the test split. Both get the protocol's
    options, with the defaults for those that the suite did not give.
    """
    model = trial.model
    task = trial.task
    checked_facts(model, _who(trial))  # without them a model is none of the classes that are asked for here
    request = FitRequest(task.kind, task.labels, trial.seed, trial.options)
    test = task.split("test")
    if isinstance(model, Peeker):
        with trial.phase("predict"):
            return model.peek(test, request)
    if isinstance(model, Fittable) and train is not None and validation is not None:
        with trial.phase("fit"):
            fitted = model.fit(train, validation, request)
        with trial.phase("predict"):
            return fitted.predict(test.examples)
    return None


def label_mapping(own: tuple[str, ...], wanted: tuple[str, ...]) -> list[int]:
    """Return for each wanted label its position among a model's own, compared without case.

    Raises `ProtocolError` where the two are not the same set: labels are never matched by position.

    >>> label_mapping(("NEGATIVE", "POSITIVE"), ("positive", "negative"))
    [1, 0]
    """
    position = {label.casefold().strip(): i for i, label in enumerate(own)}
    missing = [label for label in wanted if label.casefold().strip() not in position]
    if missing or len(own) != len(wanted):
        raise ProtocolError(
            f"the model's head knows the labels {_some(own)}, the task has {_some(wanted)}; rename the "
            "task's with labels = { … }, or name the head's in their order with the model's labels = [ … ]"
        )
    return [position[label.casefold().strip()] for label in wanted]


def cosine(u: NDArray[np.float32], v: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the cosine of each row of u with the same row of v; 0 where one of them is zero."""
    a, b = u.astype(np.float64), v.astype(np.float64)
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    products: NDArray[np.float64] = np.einsum("nd,nd->n", a, b)
    similarity: NDArray[np.float64] = np.divide(products, norms, out=np.zeros_like(products), where=norms > 0)
    return similarity


def _as_is(trial: Trial) -> Outcome:
    own = own_recipe(trial)
    if own is not None:
        return Outcome(own)
    model = trial.model
    assert isinstance(model, Predictor)
    examples = trial.task.split("test").examples
    with trial.phase("predict"):
        columns = model.predict(examples)
    labels = model.facts.labels
    if not labels:
        return Outcome(columns)
    who = _who(trial)
    order = label_mapping(labels, trial.task.labels)
    if "scores" not in checked_columns(columns, who):
        raise ModelError(
            f"{who}: returned no column 'scores'; a model with labels of its own must, in their order"
        )
    column = Column("scores", "scores")
    scores = checked_column(columns["scores"], column, len(examples), labels, examples.ids, who)
    # without a prediction: it is the largest of the mapped scores
    return Outcome({**{k: v for k, v in columns.items() if k != "prediction"}, "scores": scores[:, order]})


def _zero_shot(trial: Trial) -> Outcome:
    own = own_recipe(trial)
    if own is not None:
        return Outcome(own)
    u, v = trial.features("test")
    with trial.phase("predict"):
        similarity = cosine(u, v)
    return Outcome({"prediction": similarity}, facts={"similarity": "cosine"})


def _zero_shot_refuses(facts: TaskFacts) -> str | None:
    if facts.pair is not False and facts.kind.target.type == "number":
        return None
    return (
        "zero_shot gives the similarity of two inputs: it is for pairs with a number as target "
        f"(sentence-similarity), and this task is {facts.kind.name}"
    )


def _who(trial: Trial) -> str:
    return f"{type(trial.model).__name__} on {trial.task.name}"


def _some(labels: tuple[str, ...]) -> str:
    shown = ", ".join(f"'{label[:40]}'" for label in labels[:6])
    return shown + (f" and {len(labels) - 6} more" if len(labels) > 6 else "")


AS_IS = Protocol(
    name="as_is",
    description="The model predicts with its own head; nothing is learnt from the task.",
    needs=(Capability.PREDICT, Capability.PEEK),
    run=_as_is,
)
ZERO_SHOT = Protocol(
    name="zero_shot",
    description="Cosine similarity of the embeddings of the two inputs; nothing is learnt from the task.",
    needs=(Capability.EMBED, Capability.PEEK),
    run=_zero_shot,
    refuses=_zero_shot_refuses,
)
PROTOCOLS = (AS_IS, ZERO_SHOT)
