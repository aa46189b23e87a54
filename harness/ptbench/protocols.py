"""The protocol `as_is`, and what several protocols need: a model's own recipe, labels by name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from ptbench.border import checked_column, checked_columns, checked_facts
from ptbench.data import Split
from ptbench.errors import ModelError, ProtocolError
from ptbench.model import Capability, FitRequest, Fittable, Peeker
from ptbench.offers import Column, Outcome, Protocol, Trial


def own_recipe(trial: Trial, train: Split | None = None, validation: Split | None = None) -> Outcome | None:
    """Return the outcome of a model that brings its own recipe, or None where it has none.

    A sentinel that peeks is shown the test split; a model that fits itself is given ``train`` and
    ``validation``, if the protocol has any to give, and never the test split. Both get the protocol's
    options, with the defaults for those that the suite did not give. What the fitted model tells in its
    facts goes into the outcome.
    """
    model = trial.model
    task = trial.task
    checked_facts(model, _who(trial))  # without them a model is none of the classes that are asked for here
    request = FitRequest(task.kind, task.labels, trial.seed, trial.options, trial.scratch)
    test = task.split("test")
    if isinstance(model, Peeker):
        with trial.phase("predict"):
            return Outcome(model.peek(test, request))
    if isinstance(model, Fittable) and train is not None and validation is not None:
        with trial.phase("fit"):
            fitted = model.fit(train, validation, request)
        with trial.phase("predict"):
            columns = fitted.predict(test.examples)
        told = checked_facts(fitted, f"{_who(trial)}, fitted")
        return Outcome(columns, told.extra, told.notes)
    return None


def label_mapping(
    own: tuple[str, ...], wanted: tuple[str, ...], synonyms: Mapping[str, int] | None = None
) -> list[int]:
    """Return for each wanted label its position among a model's own, by name, without case or underscores.

    A head may know more labels than the task has (`mapping_note` tells of it), never fewer. A label that
    is not the head's own name for a class is looked up among its ``synonyms``.

    Raises `ProtocolError` where a label is not known, means two classes, or means the class of another
    one: labels are never matched by position.

    >>> label_mapping(("NEGATIVE", "POSITIVE"), ("positive", "negative"))
    [1, 0]
    >>> label_mapping(("tench", "goldfish", "shark"), ("n01443537", "tench"), {"n01443537": 1})
    [1, 0]
    """
    positions: dict[str, int] = {}
    for name, position in (synonyms or {}).items():
        positions[_plain(name)] = position if positions.get(_plain(name), position) == position else -1
    named = Counter(map(_plain, own))
    positions |= {_plain(name): i if named[_plain(name)] == 1 else -1 for i, name in enumerate(own)}
    missing = [label for label in wanted if _plain(label) not in positions]
    if missing:
        unknown = "" if len(missing) == len(wanted) else f" (it does not know '{missing[0][:40]}')"
        raise ProtocolError(
            f"the model's head knows the labels {_some(own)}, the task has {_some(wanted)}{unknown}; "
            "rename the task's with labels = { … }, or name the head's in their order with the model's "
            "labels = [ … ]"
        )
    taken: dict[int, str] = {}
    for label in wanted:
        position = positions[_plain(label)]
        if position < 0:
            raise ProtocolError(f"the model's head has two classes '{label}': name them by id")
        if position in taken:
            raise ProtocolError(f"'{taken[position]}' and '{label}' are one class of the model's head")
        taken[position] = label
    return list(taken)


def mapping_note(own: tuple[str, ...], wanted: tuple[str, ...], found: list[int]) -> str:
    """Say how the labels of a task stand to those of a head; empty where they are the same.

    >>> mapping_note(("tench", "goldfish", "shark"), ("n01443537", "tench"), [1, 0])
    "scored among 2 of the head's 3 classes; matched by other names ('n01443537' is 'goldfish')"
    """
    said = []
    if len(own) > len(wanted):
        said.append(f"scored among {len(wanted):,} of the head's {len(own):,} classes")
    renamed = [(w, own[i]) for w, i in zip(wanted, found, strict=True) if _plain(w) != _plain(own[i])]
    if renamed:
        word, name = renamed[0]
        said.append(f"matched by other names ('{word[:40]}' is '{name[:40]}')")
    return "; ".join(said)


def _as_is(trial: Trial) -> Outcome:
    own = own_recipe(trial)
    if own is not None:
        return own
    model = trial.model
    examples = trial.task.split("test").examples
    columns = trial.predict(examples)
    labels = model.facts.labels
    if not labels:
        return Outcome(columns)
    who = _who(trial)
    wanted = trial.task.labels
    order = label_mapping(labels, wanted, model.facts.synonyms)
    if "scores" not in checked_columns(columns, who):
        raise ModelError(
            f"{who}: returned no column 'scores'; a model with labels of its own must, in their order"
        )
    column = Column("scores", "scores")
    scores = checked_column(columns["scores"], column, len(examples), labels, examples.ids, who)
    if order != list(range(len(labels))):  # else there is nothing to copy
        scores = scores[:, order]
    if len(order) < len(labels):
        scores = _among(scores)
    note = mapping_note(labels, wanted, order)
    # without a prediction: it is the largest of the mapped scores
    mapped = {**{k: v for k, v in columns.items() if k != "prediction"}, "scores": scores}
    return Outcome(mapped, notes=tuple(note.split("; ")) if note else ())


def _among(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return probabilities given that it is one of these classes; all equal where none has any."""
    sums = scores.sum(axis=1, keepdims=True)
    even = np.float32(1 / scores.shape[1])
    among: NDArray[np.float32] = np.divide(scores, sums, out=np.full_like(scores, even), where=sums > 0)
    return among


def _plain(label: str) -> str:
    return label.casefold().replace("_", " ").strip()


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
