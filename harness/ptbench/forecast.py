"""How long what remains will take, and how sure that is."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

SCENARIOS = 64
QUANTILES = (0.1, 0.9)


def forecast(
    rests: Sequence[float], pieces: Sequence[float], fluid: float, slots: int, spread: tuple[float, float]
) -> tuple[float, float, float]:
    """Return the seconds until all is done: as expected, and the 10 % and 90 % quantiles.

    ``rests`` are the seconds that running jobs still take, ``pieces`` those of what nobody can divide, and
    ``fluid`` all the rest, which fills whatever gaps are left. In each of 64 scenarios all times are off by
    one log-normal factor, and each by one of its own (``spread``: the standard deviations of their
    logarithms), and the pieces go, longest first, where there is room first.
    """
    common, each = spread
    ordered = sorted(pieces, reverse=True)
    noise = _noise(len(rests) + len(ordered))
    factors = np.exp(common * noise[:, :1] + each * noise[:, 1:])
    running, waiting = factors[:, : len(rests)] * rests, factors[:, len(rests) :] * ordered
    several = max(1.0, fluid / max([*ordered, *rests, 1e-9]))  # errors of many jobs cancel out
    drop = np.exp(common * noise[:, 0] + each / np.sqrt(several) * _noise(1)[:, 1]) * fluid
    spans = _span(running, waiting, drop, slots)
    low, high = np.quantile(spans[1:], QUANTILES)
    return float(spans[0]), float(min(low, spans[0])), float(max(high, spans[0]))


def _span(
    running: NDArray[np.float64], waiting: NDArray[np.float64], fluid: NDArray[np.float64], slots: int
) -> NDArray[np.float64]:
    """Return for each scenario (a row) when the last slot is done."""
    ends = np.zeros((len(running), max(slots, running.shape[1])))
    ends[:, : running.shape[1]] = running
    rows = np.arange(len(ends))
    for column in waiting.T:
        ends[rows, ends.argmin(axis=1)] += column
    spans: NDArray[np.float64] = np.maximum(ends.max(axis=1), (ends.sum(axis=1) + fluid) / ends.shape[1])
    return spans


@cache
def _noise(columns: int) -> NDArray[np.float64]:
    """Return float64[1 + SCENARIOS, 1 + columns]: standard normal numbers, and zeros in the first row."""
    drawn = np.random.default_rng(0).standard_normal((columns + 1, SCENARIOS)).T
    return np.vstack([np.zeros(columns + 1), drawn])
