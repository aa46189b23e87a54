"""The protocol ``linear_probe``: a linear head on frozen features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptbench import (
    Capability,
    Embedder,
    Option,
    Outcome,
    Protocol,
    ProtocolError,
    Split,
    TaskFacts,
    Trial,
    cut_positions,
    own_recipe,
)
from ptbench_sklearn.heads import Head, fit_head, strengths_problem
from ptbench_sklearn.spectrum import chunks, transposed_times

Floats = NDArray[np.float32]

STRENGTHS = (1e5, 1e4, 1e3, 1e2, 1e1, 1.0, 1e-1, 1e-2)


def combined(sides: tuple[Floats, ...], pair: str) -> Floats:
    """Return one row of features per example; a pair (u, v) is [u, v, |u - v|, u * v].

    That is how InferSent and SentEval put two sentence vectors before a linear classifier. With
    ``interaction`` it is [|u - v|, u * v], which is the same for (u, v) and (v, u).
    """
    if len(sides) == 1:
        return sides[0]
    u, v = sides
    both = [np.abs(u - v), u * v]
    return np.concatenate([u, v, *both] if pair == "concat" else both, axis=1)


def laid_out(
    splits: Sequence[tuple[Floats, ...]], pair: str, positions: NDArray[np.intp] | None = None
) -> Floats:
    """Return one new array of the rows of all splits, or of those of the only one at these positions.

    Pairs are combined in it. It is filled piece by piece, so that nothing else of its size is needed.
    """
    order = [np.arange(len(sides[0])) for sides in splits] if positions is None else [positions]
    width = combined(tuple(side[:1] for side in splits[0]), pair).shape[1]
    out = np.empty((sum(len(rows) for rows in order), width), dtype=np.float32)
    start = 0
    for sides, rows in zip(splits, order, strict=True):
        target = out[start : start + len(rows)]
        for piece in chunks(target):
            target[piece] = combined(tuple(side[rows[piece]] for side in sides), pair)
        start += len(rows)
    return out


def standardiser(x: Floats) -> tuple[Floats, Floats]:
    """Return mean and standard deviation of each column; 1 for one that is constant but for rounding.

    So that a path of strengths means the same for every model, whatever the scale of its features. A small
    column is no noise: those of 1e-33 that MiniLM has hold all their digits, and left out it loses by
    them. Constant is what varies by a millionth of its mean, or by less than float32 has digits for.
    """
    ones = np.ones((len(x), 1))
    mean = transposed_times(x, ones)[:, 0] / len(x)
    squares = np.zeros(x.shape[1])
    for rows in chunks(x):
        squares += ((x[rows] - mean) ** 2).sum(axis=0)
    deviation = np.sqrt(squares / len(x))
    deviation[(deviation <= 1e-6 * np.abs(mean)) | (deviation < np.finfo(np.float32).tiny)] = 1
    return mean.astype(np.float32), deviation.astype(np.float32)


def train_and_validation(trial: Trial) -> tuple[Split, Split, NDArray[np.intp] | None]:
    """Return the rows to learn from, the rows to choose on, and the positions in train of both.

    The rows to choose on are the task's own validation split; without one they are cut from train,
    and then the positions are those of the first rows followed by those of the second. Never test.
    """
    train = trial.task.split("train")
    if "validation" in trial.task.splits:
        return train, trial.task.split("validation"), None
    rest, cut = cut_positions(train, trial.options["validation"], trial.seed)
    return train.take(rest), train.take(cut), np.concatenate([rest, cut])


def run(trial: Trial) -> Outcome:
    """Fit a head on features of train, choose its strength on validation, and predict on test."""
    _check(trial)
    if not isinstance(trial.model, Embedder):
        return _own(trial)
    train, validation, positions = train_and_validation(trial)
    splits = [trial.features("train")]
    if positions is None:
        splits.append(trial.features("validation"))
    pair = trial.options["pair"]
    with trial.phase("fit"):
        head = _fitted(
            laid_out(splits, pair, positions),
            np.concatenate([train.targets, validation.targets]),
            len(train),
            labels=len(trial.task.labels),
            strengths=[float(strength) for strength in trial.options["strengths"]],
        )
    test = trial.features("test")
    with trial.phase("predict"):
        columns = head.predict(laid_out([test], pair))
    facts = {**head.facts, "validation_rows": len(validation), "features": head.coefficients.shape[1]}
    return Outcome(columns, facts, head.notes)


def _fitted(x: Floats, y: NDArray[Any], train: int, **options: Any) -> Head:
    """Return a head for features as they are; it is fitted on standardised ones, which overwrite them."""
    mean, deviation = standardiser(x[:train])
    if not np.isfinite(mean).all() or not np.isfinite(deviation).all() or not np.isfinite(x[train:]).all():
        raise ProtocolError("linear_probe: features of train or validation hold values that are not finite")
    x -= mean
    x /= deviation
    return fit_head(x, y, train, **options).before(mean, deviation)


def _own(trial: Trial) -> Outcome:
    """Let a model that brings its own recipe follow it; a sentinel that peeks needs no rows for that."""
    outcome = own_recipe(trial)
    if outcome is not None:
        return outcome
    train, validation, _ = train_and_validation(trial)
    outcome = own_recipe(trial, train, validation)
    if outcome is None:
        raise ProtocolError(f"linear_probe cannot use a {type(trial.model).__name__}: it has no features")
    return replace(outcome, facts={**outcome.facts, "validation_rows": len(validation)})


def _check(trial: Trial) -> None:
    for option in PROTOCOL.options:
        value = trial.options[option.name]
        if problem := option.check(value):
            raise ProtocolError(f"linear_probe: {option.name} = {value}: {problem}")


def _share_problem(share: float) -> str | None:
    return None if 0 < share < 1 else "a share between 0 and 1 was expected"


def refuses(facts: TaskFacts) -> str | None:
    """Say why a task cannot be probed, or None."""
    if facts.kind.target.type not in ("label", "number"):
        return f"linear_probe predicts a label or a number, and {facts.kind.name} has neither as target"
    if facts.splits is not None and "train" not in facts.splits:
        return "linear_probe learns from a train split, and the task has none"
    return None


PROTOCOL = Protocol(
    name="linear_probe",
    description="A linear head on frozen features; its strength of regularisation is chosen on validation.",
    requires=("sklearn",),
    options=(
        Option(
            "strengths",
            (list,),
            "Strengths of regularisation to try (1/C of logistic, alpha of ridge regression).",
            default=list(STRENGTHS),
            check=strengths_problem,
        ),
        Option(
            "pair",
            (str,),
            "Features of a pair: [u, v, |u-v|, u*v], or [|u-v|, u*v] alone.",
            default="concat",
            choices=("concat", "interaction"),
        ),
        Option(
            "validation",
            (float,),
            "Share of train to choose on, by example id, where the task has no validation split.",
            default=0.1,
            check=_share_problem,
        ),
    ),
    needs=(Capability.EMBED, Capability.FIT, Capability.PEEK),
    run=run,
    refuses=refuses,
    trains=True,
)
