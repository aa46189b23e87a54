"""Linear heads: logistic or ridge regression, with the strength of regularisation chosen on validation.

The strength is what the penalty ``strength / 2 * |w|^2`` is multiplied by when the losses of all rows
are summed: scikit-learn's ``1 / C`` of logistic regression, and its ``alpha`` of ridge regression. So
one path serves both, and a larger number always means a simpler head.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptbench import Columns

Features = Any
"""A dense float array [n, d], or a sparse matrix of SciPy of that shape."""
Floats = NDArray[np.float64]

MAX_ITERATIONS = 1000
TOLERANCE = 1e-5
"""Largest slope that counts as none. Rows of length 1, as of TF-IDF, need less than the usual 1e-4."""


def strengths_problem(strengths: Sequence[Any]) -> str | None:
    """Say what is wrong with a path of strengths, or None."""
    good = [isinstance(s, int | float) and not isinstance(s, bool) and 0 < s < math.inf for s in strengths]
    return None if good and all(good) else "a list of numbers above 0 was expected"


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
    path: tuple[tuple[float, float], ...]
    """Each strength with its validation score: accuracy, or for numbers the mean squared error."""
    iterations: int
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
            "path": [{"strength": strength, score: value} for strength, value in self.path],
            "iterations": self.iterations,
            "converged": self.converged,
        }

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of its scores should know."""
        if self.converged:
            return ()
        return (f"the linear head had not converged after {self.iterations} iterations",)

    def predict(self, x: Features) -> Columns:
        """Return ``scores`` and ``prediction``, or for numbers ``prediction``.

        A label that was never seen in fitting has probability 0.
        """
        decision = np.asarray(x @ self.coefficients.T, dtype=np.float64) + self.intercepts
        if not self.labels:
            return {"prediction": decision[:, 0]}
        if len(self.classes) == 2:
            decision = np.hstack([np.zeros_like(decision), decision])
        decision -= decision.max(axis=1, keepdims=True)
        odds = np.exp(decision)
        scores = np.zeros((len(odds), self.labels))
        scores[:, self.classes] = odds / odds.sum(axis=1, keepdims=True)
        return {"scores": scores, "prediction": scores.argmax(axis=1)}


def fit_head(
    train_x: Features,
    train_y: NDArray[Any],
    validation_x: Features,
    validation_y: NDArray[Any],
    *,
    labels: int,
    strengths: Sequence[float],
) -> Head:
    """Fit a head for each strength, choose one on validation, and fit that again on all rows.

    Of equally good strengths the largest is chosen. Nothing here is random.

    Args:
        train_x: Features, dense or sparse; float32 stays float32 where that is precise enough.
        train_y: Positions of labels, or numbers.
        validation_x: Features of the rows that choose the strength.
        validation_y: Their targets.
        labels: How many labels there are; 0 for numbers.
        strengths: The path of strengths to try, each above 0, in any order.
    """
    if problem := strengths_problem(strengths):
        raise ValueError(f"strengths = {list(strengths)}: {problem}")
    fit = _Logistic(labels) if labels else _Ridge()
    path, heads = [], []
    for strength in sorted(strengths, reverse=True):  # warm starts go from simple to complex
        head = fit(train_x, train_y, strength)
        heads.append(head)
        path.append((strength, _score(head, validation_x, validation_y)))
    sign = 1 if labels else -1
    best = max(range(len(path)), key=lambda i: sign * path[i][1])  # the first of equals: the strongest
    every_x, every_y = _stacked(train_x, validation_x), np.concatenate([train_y, validation_y])
    final = fit(every_x, every_y, path[best][0], start=heads[best])
    return Head(
        final.coefficients,
        final.intercepts,
        final.classes,
        labels,
        final.strength,
        tuple(path),
        final.iterations,
        final.converged,
    )


def _score(head: Head, x: Features, y: NDArray[Any]) -> float:
    prediction = head.predict(x)["prediction"]
    return float((prediction == y).mean() if head.labels else ((prediction - y) ** 2).mean())


class _Logistic:
    """Multinomial logistic regression; each fit starts where the last one ended."""

    def __init__(self, labels: int) -> None:
        from sklearn.linear_model import LogisticRegression

        self.labels = labels
        # lbfgs takes the same path to the same end, 4 to 20 times slower (2 cores, 384 to 60,000 features)
        self.model = LogisticRegression(solver="newton-cg", max_iter=MAX_ITERATIONS, warm_start=True)

    def __call__(self, x: Features, y: NDArray[Any], strength: float, start: Head | None = None) -> Head:
        classes = np.unique(y)
        if len(classes) == 1:  # there is nothing to tell apart
            nothing = np.zeros((1, x.shape[1]))
            return Head(nothing, np.zeros(1), classes, self.labels, strength, (), 0, True)
        model = self.model.set_params(C=1 / strength, tol=TOLERANCE)
        if start is not None and np.array_equal(start.classes, classes):
            model.coef_, model.intercept_ = (
                start.coefficients.astype(x.dtype),
                start.intercepts.astype(x.dtype),
            )
        elif not np.array_equal(getattr(model, "classes_", classes), classes):
            del model.coef_
        converged = _fitted(model, x, y)
        coefficients = model.coef_.astype(np.float64)
        intercepts = model.intercept_.astype(np.float64)
        iterations = int(model.n_iter_.max())
        return Head(coefficients, intercepts, classes, self.labels, strength, (), iterations, converged)


class _Ridge:
    """Ridge regression: solved exactly for dense features, by conjugate gradients for sparse ones."""

    def __init__(self) -> None:
        self.moments: tuple[Features, Floats, Floats, Floats] | None = None

    def __call__(self, x: Features, y: NDArray[Any], strength: float, start: Head | None = None) -> Head:
        if _is_sparse(x):
            from sklearn.linear_model import Ridge

            model = Ridge(alpha=strength, solver="sparse_cg", tol=1e-6)
            converged = _fitted(model, x, y)
            weights, intercept = model.coef_, float(model.intercept_)
            iterations = int(np.max(model.n_iter_)) if model.n_iter_ is not None else 0
        else:
            weights, intercept = self._solve(x, y, strength)
            iterations, converged = 1, True
        none = np.empty(0, dtype=np.int64)
        return Head(weights[None], np.array([intercept]), none, 0, strength, (), iterations, converged)

    def _solve(self, x: NDArray[Any], y: NDArray[Any], strength: float) -> tuple[Floats, float]:
        wide = x.shape[1] > len(x)  # then rows times rows is the smaller system
        if self.moments is None or self.moments[0] is not x:
            mean = x.mean(axis=0, dtype=np.float64)
            centred = x - mean
            products = centred @ centred.T if wide else centred.T @ centred
            self.moments = (x, mean, centred, products)  # the whole path shares them
        _, mean, centred, products = self.moments
        residual = y - y.mean()
        system = products + strength * np.eye(len(products))
        if wide:
            weights: Floats = centred.T @ np.linalg.solve(system, residual)
        else:
            weights = np.linalg.solve(system, centred.T @ residual)
        return weights, float(y.mean() - mean @ weights)


def _fitted(model: Any, x: Features, y: NDArray[Any]) -> bool:
    """Fit, and return whether it converged; that is a fact of the record, and no warning."""
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        model.fit(x, y)
    for warning in caught:
        if not issubclass(warning.category, ConvergenceWarning):
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
    return not any(issubclass(warning.category, ConvergenceWarning) for warning in caught)


def _is_sparse(x: Features) -> bool:
    return not isinstance(x, np.ndarray)


def _stacked(a: Features, b: Features) -> Features:
    if not _is_sparse(a):
        return np.concatenate([a, b])
    from scipy import sparse

    return sparse.vstack([a, b], format="csr")
