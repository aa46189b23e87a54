"""Many questions at once: p-values corrected so that any false answer among all is rare."""

from __future__ import annotations

import math
from collections.abc import Sequence


def holm(p: Sequence[float]) -> list[float]:
    """Return p-values adjusted for all these questions together, so that any false yes at all is rare.

    Holm (1979), "A simple sequentially rejective multiple test procedure", Scandinavian Journal of
    Statistics 6; it holds however the questions depend on each other. NaN (nobody can tell) stays NaN and
    counts as no question.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    asked = sorted((index for index, value in enumerate(p) if not math.isnan(value)), key=p.__getitem__)
    adjusted, most = [math.nan] * len(p), 0.0
    for done, index in enumerate(asked):
        most = max(most, min(1.0, p[index] * (len(asked) - done)))
        adjusted[index] = most
    return adjusted
