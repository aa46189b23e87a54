"""Multinomial logistic regression for a whole path of strengths, by preconditioned Newton steps.

The objective is scikit-learn's: the sum of the log losses of all rows plus ``strength / 2 * |w|^2``, with
intercepts free; two classes share one vector of weights. Newton's equations are solved by conjugate
gradients (truncated Newton; Nocedal and Wright, Numerical Optimization, chapter 7), and their Hessian,
the sum over rows of ``(diag(p) - p p') (x) x x'``, is preconditioned by the Kronecker product of the mean
of the first factor with the sum of the second. That is Boehning's bound (1992) with the actual
probabilities in place of the worst, and the eigenvectors of both factors invert it exactly for any
strength: those of the second, which are the dear ones, serve the whole path.

Products with the Hessian are taken in the features' own precision, since they only have to find a good
direction; gradients, objective and solution are float64, so that the end is as exact as with float64.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptbench_sklearn.solution import Solution
from ptbench_sklearn.spectrum import Spectrum, chunks, times, transposed_times

Floats = NDArray[np.float64]

TOLERANCE = 1e-4
"""How far weights may lie from the optimum, relative to their norm. As the objective is strongly convex,
the distance is at most the norm of the gradient divided by the strength; that is what is checked."""
ROUNDING = 1e-14
"""A gradient of this part of the largest that the losses can have counts as none."""
MAX_ITERATIONS = 100
MAX_INNER = 250
FORCING = (0.1, 0.01)
"""How exactly Newton's equations are solved: the first step, and the last ones. Float32 can do no more."""


def logistic_path(
    x: NDArray[Any], y: NDArray[np.int64], strengths: Sequence[float], start: Solution | None = None
) -> Iterator[Solution]:
    """Yield the optimum for each strength, each found from the one before.

    Args:
        x: Dense features [n, d], float32 or float64.
        y: Classes 0 … k - 1 of the rows, each of which occurs; k is 2 or more.
        strengths: Numbers above 0, best from large to small.
        start: Where to start, if not from the classes' shares.
    """
    problem = _Problem(Spectrum.of(x), y)
    spectrum = problem.spectrum
    theta = problem.shares()
    if start is not None:
        weights, offsets = spectrum.from_features(start.coefficients.T)
        theta = np.vstack([weights, start.intercepts + offsets])
    ends: list[tuple[float, Floats]] = []
    for strength in strengths:
        theta, iterations, converged = problem.solve([theta, *_onwards(ends, strength)], strength)
        ends = [*ends[-1:], (strength, theta)]
        weights, offsets = spectrum.to_features(theta[:-1])
        intercepts = theta[-1] + offsets
        intercepts -= intercepts.mean() if problem.classes > 2 else 0  # a shift of all changes nothing
        yield Solution(weights.T, intercepts, iterations, converged)


def _onwards(ends: Sequence[tuple[float, Floats]], strength: float) -> list[Floats]:
    """Return where the path leads if it goes on straight over the logarithm of the strength."""
    if len(ends) < 2 or ends[0][0] == ends[1][0]:
        return []
    (before, first), (last, second) = ends
    return [second + (second - first) * (math.log(strength / last) / math.log(last / before))]


class _Problem:
    """The objective over ``theta`` [r + 1, m]: weights for centred rows, and in the last row intercepts."""

    def __init__(self, spectrum: Spectrum, y: NDArray[np.int64]) -> None:
        self.spectrum, self.y = spectrum, y
        self.classes = int(y.max()) + 1
        self.dtype = spectrum.rows.dtype
        self.narrow_mean = spectrum.mean.astype(self.dtype)
        squares = spectrum.values.sum() + len(y) * (1 + np.vdot(spectrum.mean, spectrum.mean))
        self.rounding = ROUNDING * float(np.sqrt(squares * len(y)))
        self.basis = None if spectrum.basis is None else spectrum.basis.astype(self.dtype)

    def shares(self) -> Floats:
        """Return the optimum without weights."""
        log = np.log(np.bincount(self.y))
        theta = np.zeros((len(self.spectrum.values) + 1, self.classes if self.classes > 2 else 1))
        theta[-1] = log - log.mean() if self.classes > 2 else log[1] - log[0]
        return theta

    def logits(self, theta: Floats) -> Floats:
        logits = times(self.spectrum.rows, theta[:-1])
        logits += theta[-1] - self.spectrum.mean @ theta[:-1]
        return logits

    def losses(self, logits: Floats) -> tuple[float, Floats]:
        """Return the sum of the log losses, and the probabilities [n, m]."""
        top = logits.max(axis=1, keepdims=True)
        if self.classes == 2:  # the logit of class 0 is 0
            np.maximum(top, 0, out=top)
        odds = np.exp(logits - top)
        total = odds.sum(axis=1, keepdims=True)
        if self.classes == 2:
            total += np.exp(-top)
            hit = logits[:, 0] @ self.y
        else:
            hit = logits[np.arange(len(logits)), self.y].sum()
        odds /= total
        return float((top + np.log(total)).sum() - hit), odds

    def gradient(self, theta: Floats, p: Floats, strength: float) -> Floats:
        residual = p.copy()
        if self.classes == 2:
            residual[:, 0] -= self.y
        else:
            residual[np.arange(len(residual)), self.y] -= 1
        total = residual.sum(axis=0)
        weights = transposed_times(self.spectrum.rows, residual) - np.outer(self.spectrum.mean, total)
        return np.vstack([weights + strength * theta[:-1], total])

    def start(self, theta: Floats, strength: float) -> tuple[float, Floats, Floats, Floats]:
        """Return the objective, theta, the logits and the probabilities."""
        logits = self.logits(theta)
        loss, p = self.losses(logits)
        return loss + strength / 2 * float(np.vdot(theta[:-1], theta[:-1])), theta, logits, p

    def solve(self, starts: Sequence[Floats], strength: float) -> tuple[Floats, int, bool]:
        """Return the optimum, Newton steps, and whether it is one; the best of the starts is taken."""
        found = [self.start(theta, strength) for theta in starts]
        value, theta, logits, p = min(found, key=lambda start: start[0])
        first = None
        for iteration in range(MAX_ITERATIONS + 1):
            gradient = self.gradient(theta, p, strength)
            size = float(np.linalg.norm(gradient))
            if size <= TOLERANCE * strength * np.linalg.norm(theta[:-1]) + self.rounding:
                return theta, iteration, True
            if iteration == MAX_ITERATIONS:
                break
            first = first or size
            step = self.newton_step(gradient / size, p, strength, max(FORCING[1], FORCING[0] * size / first))
            step *= size
            ahead = self.logits(step)
            slope, length = np.vdot(gradient, step), 1.0
            while True:
                there = theta + length * step
                loss, trial = self.losses(logits + length * ahead)
                lower = loss + strength / 2 * float(np.vdot(there[:-1], there[:-1]))
                if lower <= value + 1e-4 * length * slope + 1e-12 * abs(value):
                    break
                length /= 2
                if length < 1e-9:  # rounding alone is left
                    return theta, iteration, False
            theta, p, value = there, trial, lower
            logits += length * ahead
        return theta, MAX_ITERATIONS, False

    def newton_step(self, gradient: Floats, p: Floats, strength: float, forcing: float) -> Floats:
        """Return about ``-H^-1 gradient``, by preconditioned conjugate gradients."""
        shares, turn = np.linalg.eigh(self.mean_spread(p))
        shares = np.maximum(shares, np.finfo(np.float64).tiny)
        scale = np.outer(np.append(self.spectrum.values, len(p)), shares)
        scale[:-1] += strength
        if self.classes > 2:
            scale[-1, 0] = np.inf  # the same number added to all intercepts changes nothing
        inverse, turn = (1 / scale).astype(self.dtype), turn.astype(self.dtype)

        residual = -gradient.astype(self.dtype)
        step = np.zeros_like(residual)
        solved = self.precondition(residual, inverse, turn)
        direction = solved.copy()
        energy = enough = float(np.vdot(residual, solved))
        enough *= forcing**2
        for _ in range(MAX_INNER):
            product = self.hessian_times(direction, p, strength)
            curvature = float(np.vdot(direction, product))
            if curvature <= 0:  # rounding alone is left
                break
            length = energy / curvature
            step += length * direction
            residual -= length * product
            solved = self.precondition(residual, inverse, turn)
            before, energy = energy, float(np.vdot(residual, solved))
            if energy <= enough:
                break
            direction *= energy / before
            direction += solved
        return step.astype(np.float64)

    def mean_spread(self, p: Floats) -> Floats:
        """Return the mean over rows of ``diag(p) - p p'``."""
        if self.classes == 2:
            return (p.T @ (1 - p)) / len(p)
        spread = -(p.T @ p) / len(p)
        np.fill_diagonal(spread, 0)
        np.fill_diagonal(spread, -spread.sum(axis=0))  # so that small ones are not lost in rounding
        return spread

    def precondition(self, r: NDArray[Any], inverse: NDArray[Any], turn: NDArray[Any]) -> NDArray[Any]:
        out = r @ turn
        if self.basis is not None:
            out[:-1] = self.basis.T @ out[:-1]
        out *= inverse
        if self.basis is not None:
            out[:-1] = self.basis @ out[:-1]
        back: NDArray[Any] = out @ turn.T
        return back

    def hessian_times(self, v: NDArray[Any], p: Floats, strength: float) -> NDArray[Any]:
        shift = v[-1] - self.narrow_mean @ v[:-1]
        total, out = np.zeros(v.shape[1]), np.zeros_like(v)
        for some in chunks(self.spectrum.rows):  # both products while the rows are in the cache
            x, q = self.spectrum.rows[some], p[some]
            u = q * (x @ v[:-1] + shift)
            u -= q * u.sum(axis=1, keepdims=True)  # in float64: where p is nearly 1 it cancels
            total += u.sum(axis=0)
            out[:-1] += x.T @ u.astype(self.dtype)
        out[-1] = total
        out[:-1] -= np.outer(self.narrow_mean, out[-1])
        out[:-1] += self.dtype.type(strength) * v[:-1]
        return out
