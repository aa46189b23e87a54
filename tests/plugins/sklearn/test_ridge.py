"""The ridge path: scikit-learn's solution, and the closed form, for every strength."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Ridge

from ptbench_sklearn.ridge import ridge_path

PATH = (1e5, 1e3, 1.0, 1e-2)


@pytest.mark.parametrize("shape", [(300, 10), (25, 90), (40, 40)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_it_is_scikit_learns(shape: tuple[int, int], dtype: Any) -> None:
    random = np.random.default_rng(0)
    x = (random.normal(size=shape) * np.geomspace(1, 0.03, shape[1]) + 2).astype(dtype)
    y = x[:, 0] - x[:, 1] + random.normal(size=shape[0])
    for strength, solution in zip(PATH, ridge_path(x, y, PATH), strict=True):
        model = Ridge(alpha=strength, solver="svd").fit(x.astype(np.float64), y)
        error = np.linalg.norm(solution.coefficients[0] - model.coef_) / np.linalg.norm(model.coef_)
        assert error <= 1e-6
        assert solution.intercepts[0] == pytest.approx(model.intercept_, rel=1e-6)
        assert solution.converged


def test_columns_that_add_nothing() -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=(50, 1))
    y = 3 * x[:, 0] + 1
    x = np.hstack([x, x, np.full((50, 1), 4.0)])
    (solution,) = ridge_path(x, y, [1e-6])
    np.testing.assert_allclose(solution.coefficients, [[1.5, 1.5, 0]], atol=1e-6)
    np.testing.assert_allclose(solution.intercepts, [1], atol=1e-6)


@settings(max_examples=40, deadline=None)
@given(n=st.integers(2, 40), d=st.integers(1, 60), strength=st.floats(1e-3, 1e4), seed=st.integers(0, 999))
def test_the_closed_form(n: int, d: int, strength: float, seed: int) -> None:
    random = np.random.default_rng(seed)
    x, y = random.normal(size=(n, d)), random.normal(size=n)
    (solution,) = ridge_path(x, y, [strength])
    centred = x - x.mean(axis=0)
    expected = np.linalg.solve(centred.T @ centred + strength * np.eye(d), centred.T @ (y - y.mean()))
    np.testing.assert_allclose(solution.coefficients[0], expected, atol=1e-8)
    np.testing.assert_allclose(solution.intercepts[0], y.mean() - x.mean(axis=0) @ expected, atol=1e-8)
