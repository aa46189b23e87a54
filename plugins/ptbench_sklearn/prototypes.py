"""The protocol ``prototypes``: the class whose mean is nearest, in the space of frozen features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptbench import Capability, Columns, Option, Outcome, Protocol, TaskFacts, Trial
from ptbench_sklearn.distances import Floats, between, placement, unit
from ptbench_sklearn.frozen import (
    DISTANCE,
    PAIR,
    VALIDATION,
    check_options,
    distances_to_try,
    followed,
    has_no_train,
    learning_rows,
    wants_labels,
)
from ptbench_sklearn.knn import temperature_problem
from ptbench_sklearn.probe import combined

TEMPERATURE = 0.1
BLOCK = 8192


@dataclass(frozen=True, slots=True)
class Prototypes:
    """A mean for each class that was seen, among placed rows."""

    means: NDArray[np.float64]
    classes: NDArray[np.intp]
    labels: int
    temperature: float = TEMPERATURE

    def predict(self, x: Floats) -> Columns:
        """Return ``scores``, the softmax of -distance / temperature, and ``prediction``, the nearest.

        A label that was never seen has probability 0. Of equally near ones the first label wins.
        """
        scores = np.zeros((len(x), self.labels), dtype=np.float32)
        prediction = np.empty(len(x), dtype=np.intp)
        for start in range(0, len(x), BLOCK):
            some = slice(start, start + BLOCK)
            closeness = -between(x[some], self.means).astype(np.float64) / self.temperature
            odds = np.exp(closeness - closeness.max(axis=1, keepdims=True))
            scores[some, self.classes] = odds / odds.sum(axis=1, keepdims=True)
            prediction[some] = self.classes[closeness.argmax(axis=1)]
        return {"scores": scores, "prediction": prediction}


def fit_prototypes(
    x: Floats, y: NDArray[Any], distance: str, labels: int, temperature: float = TEMPERATURE
) -> Prototypes:
    """Return the mean of each class; for ``cosine`` it is scaled to length 1 again."""
    classes, counts = np.unique(y, return_counts=True)
    starts = np.concatenate([[0], counts.cumsum()[:-1]])
    sums = np.add.reduceat(x[np.argsort(y, kind="stable")], starts, axis=0, dtype=np.float64)
    means = sums / counts[:, None]
    return Prototypes(unit(means) if distance == "cosine" else means, classes, labels, temperature)


def run(trial: Trial) -> Outcome:
    """Choose the distance on validation, take means over train and validation, and predict on test."""
    check_options(trial, PROTOCOL)
    own = followed(trial, PROTOCOL)
    if own is not None:
        return own
    known = learning_rows(trial)
    n, labels = known.train, len(trial.task.labels)
    temperature = trial.options["temperature"]
    distances = distances_to_try(trial)
    tried: list[dict[str, Any]] = []
    with trial.phase("fit"):
        for distance in distances if len(distances) > 1 else ():
            rows = placement(distance, known.x[:n])(known.x)
            model = fit_prototypes(rows[:n], known.y[:n], distance, labels)
            right = model.predict(rows[n:])["prediction"] == known.y[n:]
            tried.append({"distance": distance, "accuracy": float(right.mean())})
        # the first of equals: cosine
        best = max(tried, key=lambda one: one["accuracy"], default={"distance": distances[0]})["distance"]
        place = placement(best, known.x[:n])
        model = fit_prototypes(place(known.x), known.y, best, labels, temperature)
    test = trial.features("test")
    with trial.phase("predict"):
        columns = model.predict(place(combined(test, trial.options["pair"])))
    facts = {
        "distance": best,
        "temperature": temperature,
        "search": max(1, len(tried)),
        "tried": tried,
        "validation_rows": len(known.x) - n,
        "features": known.x.shape[1],
    }
    return Outcome(columns, facts)


def refuses(facts: TaskFacts) -> str | None:
    """Say why a task has no prototypes, or None."""
    why = "takes the mean of each class"
    return wants_labels("prototypes", why, facts) or has_no_train("prototypes", facts)


PROTOCOL = Protocol(
    name="prototypes",
    description="The class whose mean of frozen features is nearest.",
    options=(
        DISTANCE,
        Option(
            "temperature",
            (float,),
            "Of the softmax that makes distances to scores; the prediction does not depend on it.",
            default=TEMPERATURE,
            check=temperature_problem,
        ),
        PAIR,
        VALIDATION,
    ),
    needs=(Capability.EMBED, Capability.FIT, Capability.PEEK),
    run=run,
    refuses=refuses,
    trains=True,
)
