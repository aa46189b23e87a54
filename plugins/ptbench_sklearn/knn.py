"""The protocol ``knn``: the targets of the nearest training rows, in the space of frozen features."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptbench import Capability, Option, Outcome, Protocol, ProtocolError, TaskFacts, Trial
from ptbench_sklearn.distances import Floats, neighbours, placement
from ptbench_sklearn.frozen import (
    DISTANCE,
    PAIR,
    VALIDATION,
    check_options,
    distances_to_try,
    followed,
    has_no_train,
    learning_rows,
)
from ptbench_sklearn.probe import combined

KS = (1, 3, 5, 10, 20, 50, 100)


def answer(
    targets: NDArray[Any], distances: Floats, labels: int, weights: str, temperature: float
) -> NDArray[np.float64]:
    """Return what neighbours say: shares of votes float64[n, labels], or for numbers means float64[n].

    Args:
        targets: Targets of the neighbours [n, k].
        distances: How far they are [n, k].
        labels: How many labels there are; 0 for numbers.
        weights: ``uniform``: each counts one. ``softmax``: each counts exp(-distance / temperature), as
            in Wu et al. 2018 and DINO, whose exp(cosine / temperature) it is but for a factor.
        temperature: See ``weights``.
    """
    weight = np.ones(targets.shape)
    if weights == "softmax":
        weight = np.exp((distances.min(axis=1, keepdims=True) - distances).astype(np.float64) / temperature)
    weight /= weight.sum(axis=1, keepdims=True)
    if not labels:
        means: NDArray[np.float64] = (targets * weight).sum(axis=1)
        return means
    n = len(targets)
    cells = np.arange(n)[:, None] * labels + targets
    votes: NDArray[np.float64] = np.bincount(cells.ravel(), weight.ravel(), n * labels).astype(np.float64)
    return votes.reshape(n, labels)


def run(trial: Trial) -> Outcome:
    """Choose k and distance on validation, and ask the neighbours of test rows in train and validation."""
    check_options(trial, PROTOCOL)
    own = followed(trial, PROTOCOL)
    if own is not None:
        return own
    known = learning_rows(trial)
    options, labels, n = trial.options, len(trial.task.labels), known.train
    ks = sorted({k for k in options["k"] if k <= n}, reverse=True)
    if not ks:
        raise ProtocolError(_too_large(options["k"], n))

    def said(at: NDArray[np.intp], far: Floats, k: int) -> NDArray[np.float64]:
        near = known.y[at[:, :k]]
        return answer(near, far[:, :k], labels, options["weights"], options["temperature"])

    distances = distances_to_try(trial)
    score = "accuracy" if labels else "mse"
    tried: list[dict[str, Any]] = []
    with trial.phase("fit"):
        for distance in distances if len(distances) * len(ks) > 1 else ():
            place = placement(distance, known.x[:n])
            rows = place(known.x)
            at, far = neighbours(rows[:n], rows[n:], ks[0])
            for k in ks:
                value = _score(said(at, far, k), known.y[n:], labels)
                tried.append({"distance": distance, "k": k, score: value})
        sign = 1 if labels else -1
        # the first of equals: the largest k, and cosine before euclidean
        best = max(tried, key=lambda one: sign * one[score], default={"distance": distances[0], "k": ks[0]})
    test = trial.features("test")
    with trial.phase("predict"):
        place = placement(best["distance"], known.x[:n])
        at, far = neighbours(place(known.x), place(combined(test, options["pair"])), best["k"])
        values = said(at, far, best["k"])
    facts = {
        "k": best["k"],
        "distance": best["distance"],
        "weights": options["weights"],
        "search": max(1, len(tried)),
        "tried": tried,
        "validation_rows": len(known.x) - n,
        "features": known.x.shape[1],
    }
    notes = _left_out(trial, n)
    if not labels:
        return Outcome({"prediction": values}, facts, notes)
    return Outcome({"scores": values, "prediction": values.argmax(axis=1)}, facts, notes)


def _score(values: NDArray[np.float64], targets: NDArray[Any], labels: int) -> float:
    right = values.argmax(axis=1) == targets if labels else (values - targets) ** 2
    return float(right.mean())


def _too_large(ks: Sequence[int], n: int) -> str:
    return f"knn: k = {list(ks)}: there are only {n} rows to learn from"


def _left_out(trial: Trial, n: int) -> tuple[str, ...]:
    """Say which k the suite named in vain; those of the default list are for tasks of any size."""
    ks = trial.options["k"]
    large = sorted({k for k in ks if k > n})
    if not large or ks == list(KS):
        return ()
    cut = "" if "validation" in trial.task.splits else " besides those cut for validation"
    rows = "row" if n == 1 else "rows"
    return (f"k left out: {', '.join(f'{k:,}' for k in large)}; train has {n:,} {rows}{cut}",)


def _ks_problem(ks: list[Any]) -> str | None:
    good = ks and all(type(k) is int and k >= 1 for k in ks)
    return None if good else "a list of whole numbers above 0 was expected"


def temperature_problem(value: float) -> str | None:
    """Say what is wrong with a temperature, or None."""
    return None if 0 < value < math.inf else "a number above 0 was expected"


def refuses(facts: TaskFacts) -> str | None:
    """Say why neighbours cannot answer for a task, or None."""
    if facts.kind.target.type not in ("label", "number"):
        return f"knn predicts a label or a number, and {facts.kind.name} has neither as target"
    return has_no_train("knn", facts)


def misfit(facts: TaskFacts, options: Mapping[str, Any]) -> str | None:
    """Say that there are too few training rows for every k, or None; rows cut for validation count too."""
    n = (facts.splits or {}).get("train")
    return _too_large(options["k"], n) if n is not None and min(options["k"]) > n else None


PROTOCOL = Protocol(
    name="knn",
    description="The k nearest training rows vote, or their mean is taken; k and distance from validation.",
    options=(
        Option(
            "k",
            (list,),
            "Numbers of neighbours to try; those above the number of rows are left out.",
            default=list(KS),
            check=_ks_problem,
        ),
        DISTANCE,
        Option(
            "weights",
            (str,),
            "Whether each neighbour counts one, or exp(-distance / temperature).",
            default="uniform",
            choices=("uniform", "softmax"),
        ),
        Option(
            "temperature",
            (float,),
            "Of the softmax weights; DINO's by default.",
            default=0.07,
            check=temperature_problem,
        ),
        PAIR,
        VALIDATION,
    ),
    needs=(Capability.EMBED, Capability.FIT, Capability.PEEK),
    run=run,
    refuses=refuses,
    misfit=misfit,
    trains=True,
)
