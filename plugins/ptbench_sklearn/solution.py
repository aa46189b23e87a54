"""What a solver of linear heads returns for one strength."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Solution:
    """The coefficients of a linear head at one strength, and how they were found."""

    coefficients: Floats
    """float64[m, d]: m is 1 for numbers and for two classes, else the number of classes."""
    intercepts: Floats
    """float64[m]."""
    iterations: int
    converged: bool
