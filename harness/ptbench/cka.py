"""Linear CKA: how alike two representations of the same examples are, whatever their width and rotation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

GRAM_ROWS = 1024
"""Up to so many examples, products are taken of n x n Gram matrices (8 MiB each), which are made once per
layer; beyond, of the features themselves, so that memory does not grow with the square of n."""


@dataclass(frozen=True, slots=True)
class Likeness:
    """How alike two representations of n examples are; NaN where one of them is constant."""

    cka: float
    """Linear CKA (Kornblith et al. 2019, ICML, equation 4 with a linear kernel), from 0 to 1. With fewer
    examples than features it is near 1 for unrelated features too."""
    debiased: float
    """The same of unbiased HSIC (Song et al. 2012, JMLR 13:1393, equation 5): about 0 for unrelated
    features, whatever n; it can fall below 0. NaN for fewer than four examples."""


def linear_cka(x: ArrayLike, y: ArrayLike) -> Likeness:
    """Compare two representations, float[n, p] and float[n, q], of the same examples in the same order.

    Neither rotating features nor scaling all of them by one number changes it.

    >>> x = np.random.default_rng(0).normal(size=(100, 3))
    >>> round(linear_cka(x, 2 * x[:, ::-1]).cka, 9)
    1.0

    Raises `ValueError` where they are no two tables of one length.
    """
    left, right = _Centred.of(x), _Centred.of(y)
    if left.n != right.n:
        raise ValueError(f"representations of {left.n} and {right.n} examples cannot be compared")
    return _likeness(left, right, _inner(left, left), _inner(right, right))


def cka_table(
    ours: Mapping[str, NDArray[np.float32]], theirs: Mapping[str, NDArray[np.float32]]
) -> dict[tuple[str, str], Likeness]:
    """Compare every layer of one model with every layer of another (or of itself): by (ours, theirs)."""
    left = {name: _Centred.of(x) for name, x in ours.items()}
    right = left if theirs is ours else {name: _Centred.of(y) for name, y in theirs.items()}
    own_left = {name: _inner(x, x) for name, x in left.items()}
    own_right = own_left if right is left else {name: _inner(y, y) for name, y in right.items()}
    return {
        (a, b): _likeness(x, y, own_left[a], own_right[b]) for a, x in left.items() for b, y in right.items()
    }


@dataclass(frozen=True, slots=True)
class _Centred:
    """Features less their mean, their squared lengths, and their Gram matrix where that is small."""

    features: NDArray[np.float64]
    lengths: NDArray[np.float64]
    gram: NDArray[np.float64] | None

    @property
    def n(self) -> int:
        return len(self.features)

    @classmethod
    def of(cls, values: ArrayLike) -> _Centred:
        features = np.asarray(values, dtype=np.float64)
        if features.ndim != 2 or not len(features):
            raise ValueError(f"a representation is a table [n, d], not an array of shape {features.shape}")
        features = features - features.mean(axis=0)
        gram = features @ features.T if len(features) <= GRAM_ROWS else None
        return cls(features, np.einsum("ij,ij->i", features, features), gram)


def _inner(x: _Centred, y: _Centred) -> float:
    """Return the squared Frobenius norm of X'Y, which is the product of the Gram matrices."""
    if x.gram is not None and y.gram is not None:
        return float(np.vdot(x.gram, y.gram))
    return float(np.square(x.features.T @ y.features).sum())


def _likeness(x: _Centred, y: _Centred, own_x: float, own_y: float) -> Likeness:
    cross = _inner(x, y)
    scale = math.sqrt(own_x * own_y)
    plain = min(cross / scale, 1.0) if scale > 0 else math.nan
    if x.n < 4:
        return Likeness(plain, math.nan)
    unbiased = [
        _unbiased(cross, x.lengths, y.lengths),
        _unbiased(own_x, x.lengths, x.lengths),
        _unbiased(own_y, y.lengths, y.lengths),
    ]
    positive = unbiased[1] > 0 and unbiased[2] > 0 and scale > 0
    return Likeness(plain, unbiased[0] / math.sqrt(unbiased[1] * unbiased[2]) if positive else math.nan)


def _unbiased(product: float, x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """Return n (n - 3) times unbiased HSIC from centred features, of which Gram matrices have sums of 0."""
    n = len(x)
    return float(product - n / (n - 2) * (x @ y) + x.sum() * y.sum() / ((n - 1) * (n - 2)))
