"""Student's t for a mean over few runs (seeds, draws of training rows), without SciPy."""

from __future__ import annotations

import math
from functools import lru_cache


def t_cdf(t: float, freedom: int) -> float:
    """Return the distribution function of Student's t with whole degrees of freedom.

    Abramowitz and Stegun (1964), 26.7.3 and 26.7.4: finite sums in the angle atan(t / sqrt(freedom)).

    >>> t_cdf(1.0, 1)
    0.75
    """
    if freedom < 1:
        raise ValueError(f"degrees of freedom must be at least 1; got {freedom}")
    angle = math.atan(t / math.sqrt(freedom))
    cosine2 = math.cos(angle) ** 2
    odd = freedom % 2
    term, total = (math.cos(angle), 0.0) if odd else (1.0, 0.0)
    for i in range(2 + odd, freedom + 1, 2):
        total += term
        term *= cosine2 * (i - 1) / i
    between = math.sin(angle) * total
    return (1 + (2 / math.pi * (angle + between) if odd else between)) / 2


@lru_cache(maxsize=256)
def t_quantile(freedom: int, confidence: float = 0.95) -> float:
    """Return the t that a two-sided interval of this confidence reaches to.

    >>> round(t_quantile(2), 4), round(t_quantile(9), 4)
    (4.3027, 2.2622)
    """
    wanted = (1 + confidence) / 2
    low, high = 0.0, 1.0
    while t_cdf(high, freedom) < wanted:
        high *= 2
    while high - low > 1e-13 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if t_cdf(middle, freedom) < wanted else (low, middle)
    return (low + high) / 2


@lru_cache(maxsize=64)
def t_strata(freedom: int, n: int) -> tuple[float, ...]:
    """Return a sample of n values of Student's t without the noise of drawing: the middles of n strata.

    >>> [round(t, 3) for t in t_strata(2, 4)]
    [-1.604, -0.365, 0.365, 1.604]
    """
    sizes = [t_quantile(freedom, abs(2 * (i + 0.5) / n - 1)) for i in range(n)]
    return tuple(math.copysign(t, i + 0.5 - n / 2) for i, t in enumerate(sizes))
