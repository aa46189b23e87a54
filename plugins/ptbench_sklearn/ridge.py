"""Ridge regression for a whole path of strengths from one eigendecomposition."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptbench_sklearn.solution import Solution
from ptbench_sklearn.spectrum import Spectrum, transposed_times


def ridge_path(
    x: NDArray[Any], y: NDArray[Any], strengths: Sequence[float], start: Solution | None = None
) -> Iterator[Solution]:
    """Yield the minimum of ``|y - x w - b|^2 + strength |w|^2`` for each strength, solved exactly.

    Args:
        x: Dense features [n, d], float32 or float64; sums are float64.
        y: Numbers [n].
        strengths: Numbers above 0.
        start: Not needed.
    """
    spectrum = Spectrum.of(x)
    mean = float(y.mean())
    residual = (y - mean)[:, None]
    moments = transposed_times(spectrum.rows, residual) - np.outer(spectrum.mean, residual.sum(axis=0))
    basis = spectrum.basis
    turned = moments if basis is None else basis.T @ moments
    for strength in strengths:
        solved = turned / (spectrum.values + strength)[:, None]
        weights, offsets = spectrum.to_features(solved if basis is None else basis @ solved)
        yield Solution(weights.T, mean + offsets, 1, True)
