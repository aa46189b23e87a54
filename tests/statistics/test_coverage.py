"""Intervals at 95 % hold the truth in about 95 % of new test sets: the benchmark of coverage, cut short."""

from __future__ import annotations

import pytest
from scipy import stats
from tests.benchmarks.coverage import Case, Found, coverage

DRAWS = 200
LEAST, MOST = (int(stats.binom.ppf(p, DRAWS, at)) for p, at in ((0.001, 0.94), (0.999, 0.96)))
"""Fewer or more of the draws than these prove, at one in a thousand, less than 94 % or more than 96 %."""


def held(found: Found) -> int:
    return round(found.coverage * (1 - found.none) * found.draws)


@pytest.mark.parametrize(
    "case",
    [
        Case("accuracy", "5 % positive", 1_000),
        Case("f1", "5 % positive", 1_000),
        Case("mcc", "5 % positive", 1_000),
        Case("roc_auc", "5 % positive", 1_000),
        Case("mcc", "balanced", 100),
        Case("pearson", "normal", 100),
        Case("spearman", "normal", 100),
        Case("rmse", "normal", 100),
        Case("accuracy", "hits", 1_000, clusters=50),
        Case("rmse", "normal", 1_000, clusters=50),
    ],
    ids=lambda case: f"{case.metric}-{case.examples}-{case.n}-{case.clusters}",
)
def test_the_truth_is_held_about_as_often_as_said(case: Case) -> None:
    assert LEAST <= held(coverage(case, DRAWS, seed=1)) <= MOST


@pytest.mark.parametrize(("metric", "examples"), [("accuracy", "hits"), ("pearson", "normal")])
def test_examples_that_belong_together_prove_less_than_they_seem_to(metric: str, examples: str) -> None:
    told, untold = (coverage(Case(metric, examples, 1_000, 50, told), 100) for told in (True, False))
    assert untold.coverage < 0.6
    assert told.coverage > 0.85
    assert told.width > 3 * untold.width
