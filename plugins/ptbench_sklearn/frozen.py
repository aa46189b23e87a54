"""What the protocols on frozen features share: options, the rows to learn from, models with a recipe."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptbench import Embedder, Option, Outcome, Protocol, ProtocolError, TaskFacts, Trial, own_recipe
from ptbench_sklearn import probe
from ptbench_sklearn.distances import DISTANCES
from ptbench_sklearn.probe import Floats, laid_out, train_and_validation

_PROBE = {option.name: option for option in probe.PROTOCOL.options}
PAIR, VALIDATION = _PROBE["pair"], _PROBE["validation"]
DISTANCE = Option("distance", (str,), "Chosen on validation where it is not given.", choices=DISTANCES)


@dataclass(frozen=True, slots=True)
class Learning:
    """The rows that a protocol learns from: those of train, then those of validation."""

    x: Floats
    """float32[n, d]."""
    y: NDArray[Any]
    train: int
    """How many of them are of train."""


def learning_rows(trial: Trial) -> Learning:
    """Return features and targets of train and validation; see `probe.train_and_validation`."""
    train, validation, positions = train_and_validation(trial)
    splits = ["train"] if positions is not None else ["train", "validation"]
    sides = [trial.features(split) for split in splits]
    with trial.phase("fit"):
        x = laid_out(sides, trial.options["pair"], positions)
    return Learning(x, np.concatenate([train.targets, validation.targets]), len(train))


def distances_to_try(trial: Trial) -> tuple[str, ...]:
    """Return the distance that was given, or all of them."""
    given = trial.options["distance"]
    return DISTANCES if given is None else (given,)


def followed(trial: Trial, protocol: Protocol) -> Outcome | None:
    """Return the outcome of a model that brings a recipe of its own; None where it embeds instead."""
    if isinstance(trial.model, Embedder):
        return None
    outcome = own_recipe(trial)  # a sentinel that peeks needs no rows for that
    if outcome is not None:
        return outcome
    train, validation, _ = train_and_validation(trial)
    outcome = own_recipe(trial, train, validation)
    if outcome is None:
        raise ProtocolError(f"{protocol.name} cannot use a {type(trial.model).__name__}: it has no features")
    facts = {**outcome.facts, "validation_rows": len(validation)}
    return replace(outcome, facts=facts, notes=(*outcome.notes, own_note(protocol)))


def own_note(protocol: Protocol) -> str:
    """Say that what the table calls by the protocol's name is not what the model did.

    Its recipe is its own: TF-IDF under ``knn`` is no k-NN.
    """
    return f"follows its own recipe, not that of {protocol.name}"


def check_options(trial: Trial, protocol: Protocol) -> None:
    """Raise `ProtocolError` for an option with an impossible value; a suite's were checked before."""
    for option in protocol.options:
        value = trial.options[option.name]
        if value is None:
            continue
        if option.choices and value not in option.choices:
            raise ProtocolError(f"{protocol.name}: {option.name} = {value!r}; known: {option.choices}")
        if problem := option.check(value):
            raise ProtocolError(f"{protocol.name}: {option.name} = {value}: {problem}")


def has_no_train(name: str, facts: TaskFacts) -> str | None:
    """Say that a task has nothing to learn from, or None."""
    if facts.splits is not None and "train" not in facts.splits:
        return f"{name} learns from a train split, and the task has none"
    return None


def wants_labels(name: str, why: str, facts: TaskFacts) -> str | None:
    """Say why a task without labels is not for this protocol, or None."""
    target = facts.kind.target.type
    if target == "label":
        return None
    what = "a number" if target == "number" else "no label"
    return f"{name} {why}, and {facts.kind.name} has {what} as target"
