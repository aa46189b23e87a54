"""What a test set can see: the smallest true change that is found most of the time."""

from __future__ import annotations

import math

from ptbench.statistics.student import t_quantile


def detectable(error: float, freedom: float, least: float = math.nan) -> float:
    """Return the true change that a two-sided test at 5 % finds in four cases of five.

    It is (t(0.975) + t(0.8)) times the standard error (Bloom 1995, "Minimum detectable effects", Evaluation
    Review 19), if as many examples differ then as here. Where few or none differ, that is too good to be
    true, and so it is at least ``least``: the change that the test can see at all (for proportions, six
    examples of n, all one way). NaN where neither is known.

    >>> round(detectable(0.01, float("inf")), 4)
    0.028
    """
    reach = (t_quantile(freedom) + t_quantile(freedom, 0.6)) * error if error > 0 else math.nan
    known = [value for value in (reach, least) if not math.isnan(value)]
    return max(known, default=math.nan)
