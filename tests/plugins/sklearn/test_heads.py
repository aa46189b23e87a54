"""Linear heads: the same as scikit-learn's, chosen on validation, without warnings."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import sparse
from sklearn.linear_model import LogisticRegression, Ridge

from ptbench_sklearn.heads import fit_head

RNG = np.random.default_rng(0)
N, D = 240, 6
X = RNG.normal(size=(N, D))
WEIGHTS = RNG.normal(size=(D, 4))
PATH = (100.0, 1.0, 0.01)


def labels(k: int, noise: float = 1.0) -> np.ndarray[Any, Any]:
    return (X @ WEIGHTS[:, :k] + noise * RNG.normal(size=(N, k))).argmax(axis=1)


Y = {2: labels(2), 4: labels(4)}
NUMBERS = X @ WEIGHTS[:, 0] + RNG.normal(size=N) + 3


def fit(y: Any, x: Any = X, **options: Any) -> Any:
    return fit_head(x, y, 160, **{"strengths": PATH, **options})


@pytest.mark.parametrize("k", [2, 4])
@pytest.mark.parametrize("strength", [0.1, 5.0])
def test_one_strength_is_logistic_regression_on_train_and_validation(k: int, strength: float) -> None:
    head = fit(Y[k], labels=k, strengths=[strength])
    theirs = LogisticRegression(C=1 / strength, tol=1e-8, max_iter=10_000).fit(X, Y[k])
    np.testing.assert_allclose(head.coefficients, theirs.coef_, atol=2e-3)
    np.testing.assert_allclose(head.intercepts, theirs.intercept_, atol=2e-3)
    columns = head.predict(X)
    np.testing.assert_allclose(columns["scores"], theirs.predict_proba(X), atol=1e-3)
    assert (columns["prediction"] == columns["scores"].argmax(axis=1)).all()
    assert head.strength == strength
    assert head.parameters == theirs.coef_.size + theirs.intercept_.size


@pytest.mark.parametrize("columns", [D, 400])
def test_one_strength_is_ridge_regression(columns: int) -> None:
    x = RNG.normal(size=(N, columns))
    head = fit(NUMBERS, x, labels=0, strengths=[2.0])
    theirs = Ridge(alpha=2.0).fit(x, NUMBERS)
    np.testing.assert_allclose(head.coefficients[0], theirs.coef_, atol=1e-8)
    np.testing.assert_allclose(head.predict(x)["prediction"], theirs.predict(x), atol=1e-8)
    assert list(head.predict(x)) == ["prediction"]
    assert head.parameters == columns + 1


@pytest.mark.parametrize(("y", "k"), [(Y[4], 4), (NUMBERS, 0)])
def test_sparse_is_dense(y: Any, k: int) -> None:
    x = X * (np.abs(X) > 0.5)
    dense, thin = fit(y, x, labels=k), fit(y, sparse.csr_matrix(x), labels=k)
    assert thin.strength == dense.strength
    np.testing.assert_allclose(thin.coefficients, dense.coefficients, atol=2e-3)
    name = "scores" if k else "prediction"
    np.testing.assert_allclose(thin.predict(sparse.csr_matrix(x))[name], dense.predict(x)[name], atol=2e-3)


def test_float32_is_float64() -> None:
    narrow, wide = (fit(Y[4], X.astype(t), labels=4) for t in (np.float32, np.float64))
    assert [step.score for step in narrow.path] == [step.score for step in wide.path]
    np.testing.assert_allclose(narrow.predict(X)["scores"], wide.predict(X)["scores"], atol=1e-3)


@pytest.mark.parametrize(("y", "k"), [(Y[2], 2), (Y[4], 4), (NUMBERS, 0)])
def test_the_strength_is_the_best_on_validation(y: Any, k: int) -> None:
    head = fit(y, labels=k)
    assert [step.strength for step in head.path] == sorted(PATH, reverse=True)
    for step in head.path:
        strength, score = step.strength, step.score
        if k:
            model: Any = LogisticRegression(C=1 / strength, max_iter=10_000).fit(X[:160], y[:160])
            assert score == pytest.approx(model.score(X[160:], y[160:]), abs=0.015)
        else:
            model = Ridge(alpha=strength).fit(X[:160], y[:160])
            assert score == pytest.approx(((model.predict(X[160:]) - y[160:]) ** 2).mean())
    scores = [step.score for step in head.path]
    assert head.strength == head.path[scores.index((max if k else min)(scores))].strength


def test_a_tie_goes_to_the_stronger() -> None:
    y = (X[:, 0] > 0).astype(int)
    x = np.repeat(X[:, :1], 2, axis=1) * 100  # separable: every strength is right
    head = fit(y, x, labels=2, strengths=[1e-3, 1.0, 1e-1])
    assert {step.score for step in head.path} == {1.0}
    assert head.strength == 1.0


def test_labels_that_train_lacks_have_probability_zero() -> None:
    y = np.where(Y[4] == 3, 0, Y[4])
    head = fit(y, labels=5)
    scores = head.predict(X)["scores"]
    assert scores.shape == (N, 5)
    assert (scores[:, 3:] == 0).all()
    np.testing.assert_allclose(scores.sum(axis=1), 1)


def test_a_label_that_only_validation_has_is_learnt_in_the_end() -> None:
    y = Y[4].copy()
    y[:160][y[:160] == 3] = 0
    head = fit(y, labels=4)
    assert head.classes.tolist() == [0, 1, 2, 3]
    assert (head.predict(X)["scores"] > 0).all()
    assert all(score <= 1 - (y[160:] == 3).mean() for score in [step.score for step in head.path])


def test_one_label_alone() -> None:
    head = fit(np.full(N, 2), labels=4)
    assert (head.predict(X)["prediction"] == 2).all()
    assert (head.predict(X)["scores"][:, 2] == 1).all()
    assert head.converged
    two = fit(np.r_[np.zeros(160, int), np.ones(80, int)], labels=2)
    assert two.classes.tolist() == [0, 1]


@pytest.mark.parametrize("module", ["logistic", "sparse"])
def test_not_converging_is_a_fact_and_no_warning(monkeypatch: pytest.MonkeyPatch, module: str) -> None:
    x = X if module == "logistic" else sparse.csr_matrix(X)
    assert fit(Y[4], x, labels=4).notes == ()
    monkeypatch.setattr(f"ptbench_sklearn.{module}.MAX_ITERATIONS", 1)
    head = fit(Y[4], x, labels=4, strengths=[100.0, 1e-4])
    assert not head.converged
    assert head.facts["converged"] is False
    assert head.notes == (
        "the linear head had not converged after 1 iterations",
        "2 of 2 strengths were compared before they had converged",
    )


def test_facts_say_how_it_came_about() -> None:
    facts = fit(Y[2], labels=2).facts
    assert list(facts) == ["strength", "search", "path", "iterations", "converged"]
    assert facts["search"] == 3
    assert [list(p) for p in facts["path"]] == [["strength", "accuracy", "iterations", "converged"]] * 3
    assert all(point["converged"] and point["iterations"] > 0 for point in facts["path"])
    assert list(fit(NUMBERS, labels=0).facts["path"][0])[:2] == ["strength", "mse"]


def test_a_head_takes_standardisation_into_its_coefficients() -> None:
    raw = (X * 7 + 3).astype(np.float32)
    mean, deviation = raw.mean(axis=0), raw.std(axis=0)
    for y, k, name in ((Y[4], 4, "scores"), (NUMBERS, 0, "prediction")):
        head = fit(y, (raw - mean) / deviation, labels=k)
        folded = head.before(mean, deviation).predict(raw)[name]
        np.testing.assert_allclose(folded, head.predict((raw - mean) / deviation)[name], atol=1e-5)


@pytest.mark.parametrize("strengths", [[], [1.0, 0.0], [-1]])
def test_strengths_are_above_zero(strengths: list[float]) -> None:
    with pytest.raises(ValueError, match="a list of numbers above 0 was expected"):
        fit(Y[2], labels=2, strengths=strengths)
