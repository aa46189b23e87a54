"""The logistic path: scikit-learn's optimum for every strength, whatever the features are like."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import expit, softmax
from sklearn.linear_model import LogisticRegression

from ptbench_sklearn.logistic import TOLERANCE, logistic_path
from ptbench_sklearn.solution import Solution

PATH = (1e3, 10.0, 0.1)


def features(n: int, d: int, seed: int = 0) -> NDArray[np.float64]:
    """Return features whose spectrum falls by a factor of 30, with means that are not 0."""
    random = np.random.default_rng(seed)
    mixing = random.normal(size=(d, d)) * np.geomspace(1, 1 / 30, d)
    return random.normal(size=(n, d)) @ mixing.T / np.sqrt(d) * 3 + random.normal(size=d)


def classes(x: NDArray[Any], k: int, noise: float, seed: int = 1) -> NDArray[np.int64]:
    random = np.random.default_rng(seed)
    signal = x @ random.normal(size=(x.shape[1], k))
    y = (signal - signal.mean(axis=0) + noise * random.normal(size=signal.shape)).argmax(axis=1)
    y[:k] = np.arange(k)  # each occurs
    return y


def theirs(x: NDArray[Any], y: NDArray[Any], strength: float) -> Any:
    model = LogisticRegression(C=1 / strength, tol=1e-9, max_iter=100_000, solver="newton-cg")
    return model.fit(x.astype(np.float64), y)


def same(x: NDArray[Any], y: NDArray[Any], path: tuple[float, ...] = PATH) -> list[Solution]:
    ours = list(logistic_path(x, y, path))
    for strength, solution in zip(path, ours, strict=True):
        model = theirs(x, y, strength)
        assert solution.converged
        np.testing.assert_allclose(solution.coefficients, model.coef_, atol=1e-3)
        logits = x @ solution.coefficients.T + solution.intercepts
        expected = x @ model.coef_.T + model.intercept_
        np.testing.assert_allclose(logits, expected, atol=1e-3 * max(1, np.abs(expected).max()))
    return ours


def relative_slope(x: NDArray[Any], y: NDArray[Any], strength: float, solution: Solution) -> float:
    """Return the gradient's norm divided by strength and norm of the weights, from the definition."""
    wide = x.astype(np.float64)
    logits = wide @ solution.coefficients.T + solution.intercepts
    if solution.coefficients.shape[0] == 1:
        residual = expit(logits) - y[:, None]
    else:
        residual = softmax(logits, axis=1) - np.eye(logits.shape[1])[y]
    gradient = wide.T @ residual + strength * solution.coefficients.T
    centred = gradient - np.outer(wide.mean(axis=0), residual.sum(axis=0))
    size = np.hypot(np.linalg.norm(centred), np.linalg.norm(residual.sum(axis=0)))
    return float(size / (strength * np.linalg.norm(solution.coefficients)))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("k", [2, 3, 10])
@pytest.mark.parametrize("noise", [0.0, 2.0])
def test_it_is_scikit_learns(dtype: Any, k: int, noise: float) -> None:
    x = features(400, 12).astype(dtype)
    y = classes(x, k, noise)
    for strength, solution in zip(PATH, same(x, y), strict=True):
        assert relative_slope(x, y, strength, solution) <= TOLERANCE * 1.01
        assert solution.coefficients.dtype == np.float64


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("k", [2, 3])
def test_more_columns_than_rows(dtype: Any, k: int) -> None:
    x = features(30, 200).astype(dtype)
    same(x, classes(x, k, 1.0))


@pytest.mark.parametrize("k", [2, 4])
def test_columns_that_add_nothing(k: int) -> None:
    x = features(200, 5)
    y = classes(x, k, 1.0)
    x = np.hstack([x, x[:, :2], x @ np.ones((5, 1)), np.full((200, 1), 7.0), np.zeros((200, 1))])
    for solution in same(x, y):
        np.testing.assert_allclose(solution.coefficients[:, 5:7], solution.coefficients[:, :2], atol=1e-5)
        np.testing.assert_allclose(solution.coefficients[:, 8:], 0, atol=1e-8)


def test_a_class_with_one_row() -> None:
    x = features(100, 4)
    y = (x[:, 0] > x[:, 0].mean()).astype(int)
    y[17] = 2
    same(x, y)


@pytest.mark.parametrize("k", [2, 3])
def test_separable_rows(k: int) -> None:
    x = np.repeat(np.eye(k), 20, axis=0) * 10
    y = np.repeat(np.arange(k), 20)
    path = (1e2, 1.0, 1e-2, 1e-4)
    ours = same(x, y, path)
    norms = [np.linalg.norm(solution.coefficients) for solution in ours]
    assert norms == sorted(norms)


def test_features_that_tell_nothing_leave_the_shares() -> None:
    y = np.array([0] * 20 + [1] * 30 + [2] * 50)
    (solution,) = logistic_path(np.ones((100, 3), np.float32), y, [1.0])
    assert solution.converged
    np.testing.assert_allclose(solution.coefficients, 0, atol=1e-12)
    np.testing.assert_allclose(softmax(solution.intercepts), [0.2, 0.3, 0.5], atol=1e-12)


def test_two_points_have_a_closed_form() -> None:
    x, y = np.array([[-1.0], [1.0]]), np.array([0, 1])
    for strength, solution in zip(PATH, logistic_path(x, y, PATH), strict=True):
        (w,) = solution.coefficients[0]
        assert w == pytest.approx(2 * expit(-w) / strength, rel=1e-4)
        assert solution.intercepts[0] == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("shape", [(150, 6), (20, 60)])
def test_the_start_changes_nothing_but_the_work(shape: tuple[int, int]) -> None:
    x = features(*shape)
    y = classes(x, 3, 1.0)
    (cold,) = logistic_path(x, y, [0.5])
    (warm,) = logistic_path(x, y, [0.5], cold)
    assert warm.iterations == 0 < cold.iterations
    np.testing.assert_allclose(warm.coefficients, cold.coefficients, atol=1e-10)
    np.testing.assert_allclose(warm.intercepts, cold.intercepts, atol=1e-10)
    *_, along = logistic_path(x, y, [50.0, 5.0, 0.5])
    np.testing.assert_allclose(along.coefficients, cold.coefficients, atol=1e-4)


def test_the_same_bits_twice() -> None:
    x = features(300, 20).astype(np.float32)
    y = classes(x, 4, 1.0)
    one, two = list(logistic_path(x, y, PATH)), list(logistic_path(x.copy(), y, PATH))
    for a, b in zip(one, two, strict=True):
        assert np.array_equal(a.coefficients, b.coefficients)
        assert np.array_equal(a.intercepts, b.intercepts)
        assert a.iterations == b.iterations


def test_memory_stays_below_the_features() -> None:
    x = features(6000, 128).astype(np.float32)
    y = classes(x, 3, 1.0)
    tracemalloc.start()
    try:
        list(logistic_path(x, y, [1.0]))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak <= 2 * x.nbytes  # beside the features themselves: under three times in all


@settings(max_examples=40, deadline=None)
@given(
    n=st.integers(8, 60),
    d=st.integers(1, 80),
    k=st.integers(2, 6),
    strength=st.sampled_from([100.0, 1.0, 1e-2]),
    seed=st.integers(0, 1000),
    narrow=st.booleans(),
)
def test_the_gradient_at_the_end_is_as_small_as_stated(
    n: int, d: int, k: int, strength: float, seed: int, narrow: bool
) -> None:
    x = features(n, d, seed)
    y = classes(x, k, 1.0, seed)
    x = x.astype(np.float32) if narrow else x
    (solution,) = logistic_path(x, y, [strength])
    assert solution.converged
    assert relative_slope(x, y, strength, solution) <= TOLERANCE * 1.01
    if k > 2:
        np.testing.assert_allclose(solution.coefficients.sum(axis=0), 0, atol=1e-6)
