"""Student's t against SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from ptbench.statistics.student import t_cdf, t_quantile, t_strata


@given(st.floats(-50, 50), st.integers(1, 200))
def test_the_distribution_function_equals_scipys(t: float, freedom: int) -> None:
    assert t_cdf(t, freedom) == pytest.approx(stats.t.cdf(t, freedom), abs=1e-12)


@given(st.integers(1, 200), st.sampled_from([0.5, 0.9, 0.95, 0.99]))
def test_quantiles_equal_scipys(freedom: int, confidence: float) -> None:
    expected = stats.t.ppf((1 + confidence) / 2, freedom)
    assert t_quantile(freedom, confidence) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("n", [4, 5, 1000])
def test_strata_are_the_quantiles_of_their_middles(n: int) -> None:
    expected = stats.t.ppf((np.arange(n) + 0.5) / n, 2)
    np.testing.assert_allclose(t_strata(2, n), expected, rtol=1e-9, atol=1e-12)


def test_there_is_no_t_without_freedom() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        t_cdf(0.0, 0)
