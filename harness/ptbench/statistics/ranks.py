"""Places among many models that hold all together, and letters that say who cannot be told apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ptbench.offers import Floats
from ptbench.statistics.multiple import holm

ALPHA = 0.05


@dataclass(frozen=True, slots=True)
class Place:
    """Where one stands among M, from 1."""

    low: int
    """The best place that it may have: one more than those that are shown to be better."""
    high: int
    """The worst: M less those that are shown to be worse."""
    group: str
    """Letters: two that share one cannot be told apart, two that share none can."""


def different(p: Floats) -> NDArray[np.bool_]:
    """Return which two are shown to differ, from p of all pairs, float64[M, M]: Holm's, at `ALPHA`."""
    upper = np.triu_indices(len(p), 1)
    found = np.zeros(p.shape, dtype=bool)
    found[upper] = [adjusted <= ALPHA for adjusted in holm(p[upper].tolist())]
    return found | found.T


def places(goodness: Floats, apart: NDArray[np.bool_]) -> list[Place]:
    """Return the place of each, from how good they are (more is better) and which two are shown to differ.

    All intervals of places hold together in 95 % of cases, as then no pair is wrongly told apart (Mohamad,
    Goeman and van Zwet, "Simultaneous confidence intervals for ranks", arXiv:1708.02428; Klein, Wright and
    Wieczorek 2020, JRSS A 183). Letters: Piepho (2004), "An algorithm for a letter-based representation of
    all-pairwise comparisons", Journal of Computational and Graphical Statistics 13.
    """
    better = apart & (goodness > goodness[:, None])  # [i, j]: j is shown to be better than i
    letters = compact_letters(apart, sorted(range(len(goodness)), key=lambda i: -goodness[i]))
    return [
        Place(1 + int(better[i].sum()), len(goodness) - int(better[:, i].sum()), letters[i])
        for i in range(len(goodness))
    ]


def compact_letters(apart: NDArray[np.bool_], order: Sequence[int]) -> list[str]:
    """Return the letters of each, so that two share one just if they are not ``apart``; a to the first.

    Every letter is a set in which no two are apart. For two that share none yet, a set is opened and filled
    with all that fit, in order: a clique cover, as Gramm et al. (2007, CSDA 52) show the task to be. Unlike
    Piepho's inserting and absorbing it never takes long; a letter too many is possible, and no harm. Beyond z
    comes aa, and then a space stands between the letters.
    """
    sets: list[set[int]] = []
    for at, i in enumerate(order):
        for j in order[at:]:
            if apart[i, j] or any(i in one and j in one for one in sets):
                continue
            new = {i, j}
            for k in order:
                if not any(apart[k, member] for member in new):
                    new.add(k)
            sets.append(new)
    between = "" if len(sets) <= 26 else " "
    return [
        between.join(_letter(place) for place, one in enumerate(sets) if i in one) for i in range(len(order))
    ]


def _letter(place: int) -> str:
    """Return a, b, ..., z, aa, ab, ..."""
    rest, last = divmod(place, 26)
    return (_letter(rest - 1) if rest else "") + chr(ord("a") + last)
