"""The spectrum of centred features: one eigendecomposition that serves a whole path of strengths.

With no more columns than rows it is that of the columns' products, and features stay as they are. With
more columns than rows it is that of the rows' products, and features are replaced by their coordinates
in the space that the rows span: a penalised solution has no part outside of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

CHUNK = 1 << 18
"""Numbers that are turned into float64 at once: 2 MiB, which fits in a processor's cache."""


def chunks(x: NDArray[Any]) -> Iterator[slice]:
    """Yield slices of rows that hold about `CHUNK` numbers each."""
    step = max(1, CHUNK // max(1, x.shape[1]))
    return (slice(start, start + step) for start in range(0, len(x), step))


def times(x: NDArray[Any], weights: Floats) -> Floats:
    """Return ``x @ weights`` in float64, with no float64 copy of x."""
    out = np.empty((len(x), weights.shape[1]))
    for rows in chunks(x):
        out[rows] = x[rows].astype(np.float64, copy=False) @ weights
    return out


def transposed_times(x: NDArray[Any], weights: Floats) -> Floats:
    """Return ``x.T @ weights`` in float64, with no float64 copy of x."""
    out = np.zeros((x.shape[1], weights.shape[1]))
    for rows in chunks(x):
        out += x[rows].T.astype(np.float64, copy=False) @ weights[rows]
    return out


@dataclass(frozen=True, slots=True)
class Spectrum:
    """Features to solve with, and the eigenvalues and eigenvectors of their centred products.

    Beside the features x of n rows and d columns it holds about 32 * min(n, d)^2 bytes at its peak.
    """

    rows: NDArray[Any]
    """[n, r]: the features, r = d; or float64 coordinates of the centred rows, r = their rank."""
    mean: Floats
    """float64[r]: the mean of ``rows``."""
    values: Floats
    """float64[r]: eigenvalues, none below 0."""
    basis: Floats | None
    """float64[r, r]: an eigenvector in each column; None: the axes themselves."""
    _features: NDArray[Any]
    _centre: Floats
    _lift: Floats | None
    """float64[n, r]: ``_lift.T`` times the centred features is the orthonormal basis of the coordinates."""

    @classmethod
    def of(cls, x: NDArray[Any]) -> Spectrum:
        """Return the spectrum of dense float features [n, d]."""
        centre = transposed_times(x, np.ones((len(x), 1)))[:, 0] / len(x)
        if len(x) >= x.shape[1]:
            products = np.zeros((x.shape[1], x.shape[1]))
            for rows in chunks(x):
                centred = x[rows] - centre
                products += centred.T @ centred
            values, basis = np.linalg.eigh(products)
            return cls(x, centre, np.maximum(values, 0), basis, x, centre, None)
        products = np.zeros((len(x), len(x)))
        for columns in chunks(x.T):
            centred = x[:, columns] - centre[columns]
            products += centred @ centred.T
        values, vectors = np.linalg.eigh(products)
        real = values > values[-1] * len(x) * np.finfo(np.float64).eps  # the others are rounding alone
        values, vectors = values[real], vectors[:, real]
        roots = np.sqrt(values)
        return cls(vectors * roots, np.zeros(len(values)), values, None, x, centre, vectors / roots)

    def to_features(self, weights: Floats) -> tuple[Floats, Floats]:
        """Return weights [d, m] and intercepts [m] for features, from weights [r, m] for centred rows."""
        if self._lift is None:
            return weights, -self._centre @ weights
        lifted = self._lift @ weights
        weights = transposed_times(self._features, lifted) - np.outer(self._centre, lifted.sum(axis=0))
        return weights, -self._centre @ weights

    def from_features(self, weights: Floats) -> tuple[Floats, Floats]:
        """Undo `to_features`; what lies outside of the space of the rows is left out."""
        offsets = self._centre @ weights
        if self._lift is None:
            return weights, offsets
        return self._lift.T @ (times(self._features, weights) - offsets), offsets
