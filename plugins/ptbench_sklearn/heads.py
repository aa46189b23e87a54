"""Linear heads: logistic or ridge regression, with the strength of regularisation chosen on validation.

The strength is what the penalty ``strength / 2 * |w|^2`` is multiplied by when the losses of all rows
are summed: scikit-learn's ``1 / C`` of logistic regression, and its ``alpha`` of ridge regression. So
one path serves both, and a larger number always means a simpler head.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptbench import Columns
from ptbench_sklearn.logistic import logistic_path
from ptbench_sklearn.ridge import ridge_path
from ptbench_sklearn.solution import Solution
from ptbench_sklearn.sparse import sparse_logistic_path, sparse_ridge_path
from ptbench_sklearn.spectrum import times

Features = Any
"""A dense float array [n, d], or a sparse matrix of SciPy of that shape."""
Floats = NDArray[np.float64]


def strengths_problem(strengths: Sequence[Any]) -> str | None:
    """Say what is wrong with a path of strengths, or None."""
    good = [isinstance(s, int | float) and not isinstance(s, bool) and 0 < s < math.inf for s in strengths]
    return None if good and all(good) else "a list of numbers above 0 was expected"


@dataclass(frozen=True, slots=True)
class Step:
    """One strength of a path."""

    strength: float
    score: float
    """On validation: accuracy, or for numbers the mean squared error."""
    iterations: int
    converged: bool


@dataclass(frozen=True, slots=True)
class Head:
    """A fitted linear head, and how it came about."""

    coefficients: Floats
    """float64[k, d]: a row for each class that was seen, one for two classes, one for numbers."""
    intercepts: Floats
    classes: NDArray[np.int64]
    """The positions of the labels that were seen in fitting; empty for numbers."""
    labels: int
    """How many labels there are; 0: it predicts a number."""
    strength: float
    path: tuple[Step, ...]
    iterations: int
    """Of the last fit, on train and validation."""
    converged: bool

    @property
    def parameters(self) -> int:
        """How many numbers were fitted."""
        return self.coefficients.size + self.intercepts.size

    @property
    def facts(self) -> dict[str, Any]:
        """What a record should say of it."""
        score = "accuracy" if self.labels else "mse"
        return {
            "strength": self.strength,
            "search": len(self.path),
            "path": [
                {"strength": s.strength, score: s.score, "iterations": s.iterations, "converged": s.converged}
                for s in self.path
            ],
            "iterations": self.iterations,
            "converged": self.converged,
        }

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of its scores should know."""
        notes = []
        if not self.converged:
            notes.append(f"the linear head had not converged after {self.iterations} iterations")
        if short := sum(not step.converged for step in self.path):
            notes.append(f"{short} of {len(self.path)} strengths were compared before they had converged")
        return tuple(notes)

    def before(self, mean: NDArray[Any], deviation: NDArray[Any]) -> Head:
        """Return the head that does with x what this one does with ``(x - mean) / deviation``."""
        coefficients = self.coefficients / deviation
        return replace(
            self,
            coefficients=coefficients,
            intercepts=self.intercepts - coefficients @ mean.astype(np.float64),
        )

    def predict(self, x: Features) -> Columns:
        """Return ``scores`` and ``prediction``, or for numbers ``prediction``.

        A label that was never seen in fitting has probability 0.
        """
        product = x @ self.coefficients.T if _is_sparse(x) else times(x, self.coefficients.T)
        decision = np.asarray(product, dtype=np.float64) + self.intercepts
        if not self.labels:
            return {"prediction": decision[:, 0]}
        if len(self.classes) == 2:
            decision = np.hstack([np.zeros_like(decision), decision])
        decision -= decision.max(axis=1, keepdims=True)
        odds = np.exp(decision)
        scores = np.zeros((len(odds), self.labels))
        scores[:, self.classes] = odds / odds.sum(axis=1, keepdims=True)
        return {"scores": scores, "prediction": scores.argmax(axis=1)}


def fit_head(x: Features, y: NDArray[Any], train: int, *, labels: int, strengths: Sequence[float]) -> Head:
    """Fit a head for each strength on train, choose one on validation, and fit that again on all rows.

    Every strength is tried, and of equally good ones the largest is chosen. Nothing here is random.

    Args:
        x: Features, dense or sparse, of train and after them of validation; float32 stays float32 where
            that is precise enough.
        y: Positions of labels, or numbers.
        train: How many of the rows are train; the others choose the strength.
        labels: How many labels there are; 0 for numbers.
        strengths: The path of strengths to try, each above 0, in any order.
    """
    if problem := strengths_problem(strengths):
        raise ValueError(f"strengths = {list(strengths)}: {problem}")
    ordered = sorted(strengths, reverse=True)  # warm starts go from simple to complex
    fitted = _fit(x[:train], y[:train], labels, ordered)
    steps = tuple(
        Step(head.strength, _score(head, x[train:], y[train:]), head.iterations, head.converged)
        for head in fitted
    )
    sign = 1 if labels else -1
    best = max(range(len(steps)), key=lambda i: sign * steps[i].score)  # the first of equals: the strongest
    (final,) = _fit(x, y, labels, ordered[best : best + 1], start=fitted[best])
    return replace(final, path=steps)


def _fit(
    x: Features, y: NDArray[Any], labels: int, strengths: list[float], start: Head | None = None
) -> list[Head]:
    """Return a head for each strength; the first starts where another ended if both saw the same classes."""
    classes, positions = np.unique(y, return_inverse=True) if labels else (np.empty(0, np.int64), y)
    if len(classes) == 1:  # there is nothing to tell apart
        nothing = Solution(np.zeros((1, x.shape[1])), np.zeros(1), 0, True)
        solutions = [nothing] * len(strengths)
    else:
        from_there = None
        if start is not None and np.array_equal(start.classes, classes):
            from_there = Solution(start.coefficients, start.intercepts, start.iterations, start.converged)
        logistic, ridge = (
            (sparse_logistic_path, sparse_ridge_path) if _is_sparse(x) else (logistic_path, ridge_path)
        )
        solutions = list((logistic if labels else ridge)(x, positions, strengths, from_there))
    return [
        Head(s.coefficients, s.intercepts, classes, labels, strength, (), s.iterations, s.converged)
        for strength, s in zip(strengths, solutions, strict=True)
    ]


def _score(head: Head, x: Features, y: NDArray[Any]) -> float:
    prediction = head.predict(x)["prediction"]
    return float((prediction == y).mean() if head.labels else ((prediction - y) ** 2).mean())


def _is_sparse(x: Features) -> bool:
    return not isinstance(x, np.ndarray)
