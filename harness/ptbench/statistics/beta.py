"""Tails of Student's t and of the binomial distribution, by the incomplete beta function, without SciPy.

Arrays or numbers in, arrays out: thousands of pairs of models ask at once.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ptbench.offers import Floats

NORMAL = 1e9
"""With more degrees of freedom Student's t is taken for normal, a tail then being wrong by t**4 / (4 freedom)
of it."""


@np.errstate(all="ignore")  # the values at and beyond the ends are chosen afterwards
def incomplete_beta(a: Any, b: Any, x: Any, y: Any) -> Floats:
    """Return the regularised incomplete beta function I_x(a, b); ``y`` is 1 - x, without loss of digits.

    By the continued fraction of Didonato and Morris (1992), ACM TOMS 18, in Lentz's way, after a factor by
    Stirling's series (Loader 2000, "Fast and accurate computation of binomial probabilities"): far tails
    keep their digits down to 1e-300.
    """
    a, b, x, y = np.broadcast_arrays(*(np.asarray(v, dtype=np.float64) for v in (a, b, x, y)))
    swap = x > (a + 1) / (a + b + 2)  # there the fraction converges slowly, and that of 1 - x fast
    a, b, x, y = (np.where(swap, p, q) for p, q in ((b, a), (a, b), (y, x), (x, y)))
    total = a + b
    log = a * np.log(x * total / a) + b * np.log(y * total / b)
    log += _stirling(total) - _stirling(a) - _stirling(b)
    factor = np.sqrt(a * b / (2 * math.pi * total)) * np.exp(log)
    tail = np.where(x > 0, factor / a * _fraction(a, b, x), 0.0)
    return np.asarray(np.where(swap, 1 - tail, tail))


def t_tail(t: Any, freedom: Any) -> Floats:
    """Return the chance that Student's t exceeds this, for any degrees of freedom, also infinitely many.

    >>> round(float(t_tail(1.0, 1)), 12)
    0.25
    """
    t, freedom = np.broadcast_arrays(np.asarray(t, dtype=np.float64), np.asarray(freedom, dtype=np.float64))
    with np.errstate(over="ignore", invalid="ignore"):
        square, few = t * t, np.where(freedom < NORMAL, freedom, 1.0)
        below = np.where(np.isinf(square), 1.0, square / (few + square))
        tail = incomplete_beta(few / 2, 0.5, few / (few + square), below) / 2
    if (freedom >= NORMAL).any():
        normal = [math.erfc(abs(one) / math.sqrt(2)) / 2 for one in t.ravel()]
        tail = np.where(freedom < NORMAL, tail, np.reshape(normal, t.shape))
    return np.asarray(np.where(np.isnan(t + freedom), math.nan, np.where(t < 0, 1 - tail, tail)))


def sign_tail(k: Any, n: Any) -> Floats:
    """Return the chance of at most k heads in n throws of a fair coin.

    >>> round(float(sign_tail(0, 5)), 12)
    0.03125
    """
    k, n = np.broadcast_arrays(np.asarray(k, dtype=np.float64), np.asarray(n, dtype=np.float64))
    inside = (k >= 0) & (k < n)
    tail = incomplete_beta(np.where(inside, n - k, 1), np.where(inside, k + 1, 1), 0.5, 0.5)
    return np.asarray(np.where(inside, tail, np.where(k < 0, 0.0, 1.0)))


def _fraction(a: Floats, b: Floats, x: Floats) -> Floats:
    shape, (a, b, x) = x.shape, (v.ravel() for v in (a, b, x))
    found, left = np.ones(x.size), np.arange(x.size)
    c = np.ones_like(x)
    d = 1 / _away(1 - (a + b) * x / (a + 1))
    value = d
    for m in range(1, 100_000):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for step in (even, odd):
            d, c = 1 / _away(1 + step * d), _away(1 + step / c)
            value = value * (c * d)
        if m % 8 == 0:
            found[left] = value
            on = abs(c * d - 1) > 1e-15
            if not on.any():
                break
            left = left[on]
            a, b, x, c, d, value = (np.asarray(v[on]) for v in (a, b, x, c, d, value))
    return np.asarray(found.reshape(shape))


def _away(value: Floats) -> Floats:
    """Return it, but never 0, by which the fraction would divide."""
    return np.where(abs(value) < 1e-300, 1e-300, value)


def _stirling(a: Floats) -> Floats:
    """Return log(gamma(a + 1)) less Stirling's formula for it."""
    left = np.zeros_like(a)
    for _ in range(15):
        small = a < 15
        left += np.where(small, (a + 0.5) * np.log1p(1 / a) - 1, 0.0)
        a = np.where(small, a + 1, a)
    square = a * a
    series = 1 / 1260 - (1 / 1680 - 1 / 1188 / square) / square
    return np.asarray(left + (1 / 12 - (1 / 360 - series / square) / square) / a)
