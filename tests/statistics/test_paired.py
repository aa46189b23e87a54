"""Paired comparisons against SciPy and statsmodels, and by simulation."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats import contingency_tables
from tests.statistics.measures import ACCURACY, ERRORS, F1, HITS, MEAN, PEARSON, numbers, right, table

from ptbench import DataError, Predictions
from ptbench.comparison import Difference
from ptbench.statistics.paired import compare, seen_at, worse
from ptbench.statistics.pairs import bonett_price, mcnemar
from ptbench.statistics.power import FEWEST, detectable, fewest

COUNTS = st.integers(0, 400)


def _discordant(gained: int, lost: int, n: int) -> tuple[Predictions, Predictions]:
    """Return A and B of n examples, of which only B gets so many right, only A so many, and both the rest."""
    at = np.arange(n)
    return right(at >= gained), right((at < gained) | (at >= gained + lost))


# McNemar


@settings(deadline=None)
@given(COUNTS, COUNTS)
def test_mcnemar_equals_statsmodels_and_scipy(gained: int, lost: int) -> None:
    found = float(mcnemar(gained, lost))
    theirs = contingency_tables.mcnemar([[7, gained], [lost, 9]], exact=True).pvalue
    assert found == pytest.approx(min(1.0, theirs), abs=1e-9)
    if gained + lost:
        assert found == pytest.approx(stats.binomtest(gained, gained + lost).pvalue, abs=1e-9)


def test_mcnemar_is_exact_and_fast_where_many_differ() -> None:
    began = time.perf_counter()
    found = float(mcnemar(49_500, 50_500))
    assert time.perf_counter() - began < 1
    assert found == pytest.approx(stats.binomtest(49_500, 100_000).pvalue, rel=1e-8)
    assert 0 < float(mcnemar(0, 990)) == pytest.approx(2.0**-989, rel=1e-9)


def test_the_interval_of_bonett_and_price_is_walds_after_one_more_of_each() -> None:
    centre, error = -6 / 23, math.sqrt((10 / 23 - (6 / 23) ** 2) / 23)  # 1 and 7 of 21 differ
    expected = (centre - stats.norm.ppf(0.975) * error, centre + stats.norm.ppf(0.975) * error)
    assert bonett_price(1, 7, 21) == pytest.approx(expected, abs=1e-12)
    assert bonett_price(0, 50, 50)[0] == -1


def test_simulated_coverage_of_bonett_and_price() -> None:
    rng = np.random.default_rng(9)
    held = 0
    for gained, lost, _ in rng.multinomial(100, [0.08, 0.05, 0.87], size=4000):
        low, high = bonett_price(gained, lost, 100)
        held += low <= 0.03 <= high
    assert 0.94 <= held / 4000 <= 0.97


@settings(deadline=None)
@given(COUNTS, COUNTS, COUNTS)
def test_the_interval_of_bonett_and_price_holds_the_change(gained: int, lost: int, both: int) -> None:
    n = gained + lost + both
    if n:
        low, high = bonett_price(gained, lost, n)
        assert -1 <= low <= (gained - lost) / n <= high <= 1


# compare


def test_the_known_case_is_found_by_the_paired_test_alone() -> None:
    """10,000 predictions, 1 % apart: two samples of them say nothing, the same examples say it clearly."""
    n = 10_000
    a, b = _discordant(450, 350, n)
    for side in (a, b):
        side["prediction"][-2000:] = 0  # examples that both get wrong
    hits = [int(side["prediction"].sum()) for side in (a, b)]
    assert (hits[1] - hits[0]) / n == pytest.approx(0.01)
    unpaired = stats.chi2_contingency([[hit, n - hit] for hit in hits], correction=False).pvalue
    assert 0.05 < unpaired < 0.11
    found = compare(ACCURACY, [a], [b])
    assert found.p < 0.01
    assert found.test == "mcnemar"
    assert found.low > 0
    assert compare(HITS, [a], [b]).p < 0.01


def test_accuracy_of_two_runs_is_mcnemars() -> None:
    found = compare(ACCURACY, *([side] for side in _discordant(12, 3, 200)))
    assert (found.gained, found.lost, found.differing, found.n, found.units) == (12, 3, 15, 200, 200)
    assert found.change == pytest.approx(9 / 200)
    assert found.p == pytest.approx(stats.binomtest(3, 15).pvalue, abs=1e-12)
    assert (found.low, found.high) == pytest.approx(bonett_price(12, 3, 200))
    assert found.error == pytest.approx(math.sqrt((15 - 81 / 200) / 199 / 200), rel=1e-9)
    assert found.caveat == ""


def test_the_share_of_errors_is_the_mirror() -> None:
    sides = [[side] for side in _discordant(12, 3, 200)]
    hits, errors = compare(ACCURACY, *sides), compare(ERRORS, *sides)
    assert (errors.gained, errors.lost, errors.p) == (hits.gained, hits.lost, hits.p)
    assert (errors.low, errors.high) == pytest.approx((-hits.high, -hits.low))
    assert errors.gain == pytest.approx(hits.gain)
    assert worse(errors) == worse(hits)


def test_a_mean_has_the_paired_t_test() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 80))
    target = np.zeros(80)
    found = compare(MEAN, [table(target, x)], [table(target, x + 0.3 * y)])
    assert found.test == "t"
    expected = stats.ttest_1samp(0.3 * y, 0)
    assert found.change == pytest.approx(np.mean(0.3 * y))
    assert found.error == pytest.approx(stats.sem(0.3 * y))
    assert found.change / found.error == pytest.approx(expected.statistic)
    assert found.p == pytest.approx(2 * stats.t.sf(abs(expected.statistic), found.freedom), rel=1e-9)
    assert found.p == pytest.approx(expected.pvalue, rel=0.1)
    half = stats.t.ppf(0.975, found.freedom) * found.error
    assert (found.low, found.high) == pytest.approx((found.change - half, found.change + half))


@pytest.mark.parametrize("metric", [ACCURACY, HITS, F1, MEAN, PEARSON])
def test_equal_predictions_have_no_change(metric: Any) -> None:
    rng = np.random.default_rng(1)
    one = numbers(rng, 50) if metric.target == "number" else table(*rng.integers(0, 2, (2, 50)))
    found = compare(metric, [one], [one.take(rng.permutation(50))])
    assert (found.change, found.low, found.high, found.p, found.differing) == (0, 0, 0, 1, 0)
    assert worse(found) == 1
    if metric is ACCURACY:
        assert found.detectable == pytest.approx(6 / 50)
    else:
        assert math.isnan(found.detectable)


@pytest.mark.parametrize("metric", [ACCURACY, HITS])
@pytest.mark.parametrize("lost", [1, 3, 5])
def test_so_many_coins_can_tell_no_more(metric: Any, lost: int) -> None:
    found = compare(metric, *([side] for side in _discordant(0, lost, 1000)))
    assert found.p >= 2 * 0.5**lost * (1 - 1e-12)
    assert worse(found) >= 0.5**lost * (1 - 1e-12)
    if metric is HITS:
        assert found.low <= 0 <= found.high


def test_undefined_is_told() -> None:
    none, some = table([0, 0, 0, 0], [0, 0, 0, 0]), table([0, 0, 0, 0], [1, 0, 0, 0])
    found = compare(F1, [none], [some])
    assert (found.test, found.caveat) == ("none", "metric undefined for A")
    assert math.isnan(found.change)
    assert math.isnan(found.p)
    assert math.isnan(worse(found))
    single = compare(MEAN, [table([0.0], [0.0])], [table([0.0], [1.0])])
    assert (single.change, single.test) == (1.0, "none")
    assert "only one" in single.caveat
    assert math.isnan(single.p)


def test_other_examples_are_refused_with_the_reason() -> None:
    base = right([1, 1, 0, 1])
    for reason, other in {
        "4 examples, the other 3": right([1, 1, 0]),
        "the ids differ": right([1, 1, 0, 1], ids=["x", "y", "z", "w"]),
        "the targets of the same examples differ": table([1, 0, 1, 1], [1, 1, 0, 1]),
        "other labels": replace(base, labels=("a", "b")),
        "other clusters": right([1, 1, 0, 1], clusters=["p", "p", "q", "q"]),
    }.items():
        with pytest.raises(DataError, match=reason):
            compare(ACCURACY, [base], [other])
    with pytest.raises(DataError, match="without a run"):
        compare(ACCURACY, [], [base])


def test_clusters_are_the_units() -> None:
    rng = np.random.default_rng(2)
    ids = [f"e{i:04d}" for i in range(400)]
    clusters = [f"c{i // 20:02d}" for i in range(400)]
    shift = np.repeat(rng.normal(size=20), 20)
    target = np.zeros(400)
    a, b = table(target, target, ids, clusters), table(target, shift, ids, clusters)
    found = compare(MEAN, [a], [b])
    assert (found.units, found.n) == (20, 400)
    assert found.error == pytest.approx(stats.sem(shift[::20]))
    hits = rng.random(400) < 0.7
    sides = [right(one, ids=ids, clusters=clusters) for one in (hits, hits | (rng.random(400) < 0.1))]
    together = compare(ACCURACY, [sides[0]], [sides[1]])
    assert together.test == "t"  # examples of one cluster are no coins of their own
    assert together.gained is None


# seeds


def _shifted(rng: np.random.Generator, shifts: Any, n: int = 400) -> list[Predictions]:
    rows = rng.normal(size=n)
    return [table(np.zeros(n), rows + shift) for shift in shifts]


def test_seeds_add_their_variance_by_name_or_each_side_for_itself() -> None:
    rng = np.random.default_rng(3)
    luck = np.array([0.0, 0.4, 0.9])
    gain = np.array([0.10, 0.11, 0.13])
    rows = rng.normal(size=400)
    a = [table(np.zeros(400), rows + shift) for shift in luck]
    b = [table(np.zeros(400), rows + shift) for shift in luck + gain]
    apart = compare(MEAN, a, b)
    assert apart.error**2 == pytest.approx((np.var(luck, ddof=1) + np.var(luck + gain, ddof=1)) / 3)
    assert apart.freedom == pytest.approx(4, rel=0.02)
    by_name = compare(MEAN, a, b[::-1], a_names=[0, 1, 2], b_names=[2, 1, 0])
    assert by_name.error**2 == pytest.approx(np.var(gain, ddof=1) / 3)
    assert by_name.freedom == pytest.approx(2)
    assert by_name.change == pytest.approx(apart.change)
    assert by_name.p < 0.05 < apart.p


def test_the_luck_of_a_single_run_is_not_known() -> None:
    rng = np.random.default_rng(4)
    runs = _shifted(rng, [0.0, 0.3, 0.7])
    found = compare(MEAN, runs[:1], [table(run["target"], run["prediction"] + 0.1) for run in runs])
    assert found.caveat == "A ran once, and so its luck is not known"
    same = compare(MEAN, runs[:1], [runs[1]] * 3)
    assert "luck" not in same.caveat  # three runs that all say the same have none
    assert same.caveat == "the interval is undefined, as no example differs from the others"
    assert (math.isnan(same.low), math.isnan(same.high)) == (True, True)
    assert repr(same) == repr(compare(MEAN, runs[:1], runs[1:2]))


def test_equal_seeds_that_predict_the_same_have_no_change() -> None:
    runs = _shifted(np.random.default_rng(5), [0.0, 0.3])
    found = compare(MEAN, runs, runs, a_names=[1, 2], b_names=[1, 2])
    assert (found.change, found.p, found.low, found.high, found.differing) == (0, 1, 0, 0, 0)


# simulation


def _null(rng: np.random.Generator, metric: Any, n: int) -> Difference:
    """Compare two models that are equally good."""
    shared, own = rng.normal(size=n), rng.normal(size=(2, n))
    if metric.target == "number":
        target = rng.normal(size=n)
        return compare(metric, *([table(target, target + shared + one)] for one in own))
    target = (rng.random(n) < 0.4).astype(int)
    return compare(metric, *([table(target, (2 * target - 1 + shared + one > 0).astype(int))] for one in own))


@pytest.mark.parametrize("metric", [ACCURACY, HITS, F1, PEARSON])
def test_equally_good_models_are_seldom_told_apart(metric: Any) -> None:
    rng, draws = np.random.default_rng(6), 200
    p = [_null(rng, metric, 100).p for _ in range(draws)]
    assert np.mean(np.array(p) <= 0.05) <= 0.05 + 2.6 * math.sqrt(0.05 * 0.95 / draws)


def test_what_is_detectable_is_found_in_four_cases_of_five() -> None:
    rng, n, draws = np.random.default_rng(7), 1000, 300

    def pair(change: float) -> Difference:
        u = rng.random(n)
        gained, lost = u < 0.05 + change / 2, (u > 0.5) & (u < 0.55 - change / 2)
        return compare(ACCURACY, [right(~gained)], [right(~lost)])

    size = float(np.mean([pair(0.0).detectable for _ in range(30)]))
    found = np.mean([pair(size).p <= 0.05 for _ in range(draws)])
    assert 0.72 <= found <= 0.88


def test_what_is_detectable_is_a_power_calculation() -> None:
    assert detectable(0.02, 9.0) == pytest.approx((stats.t.ppf(0.975, 9) + stats.t.ppf(0.8, 9)) * 0.02)
    assert detectable(0.0001, 999.0, least=0.006) == 0.006
    assert math.isnan(detectable(math.nan, math.nan))


def test_one_of_many_questions_sees_less() -> None:
    for level in (0.05, 0.05 / 40, 0.9):
        expected = (stats.t.isf(level / 2, 9) + stats.t.ppf(0.8, 9)) * 0.02
        assert detectable(0.02, 9.0, level=level) == pytest.approx(expected)
        k = fewest(level)
        assert 2 * 0.5**k <= level < 2 * 0.5 ** (k - 1)
    assert (fewest(0.05), fewest(0.0625), fewest(1.0)) == (FEWEST, 5, 1)
    assert detectable(0.02, 9.0, level=1.5) == pytest.approx(stats.t.ppf(0.8, 9) * 0.02)
    assert 0 < detectable(0.02, 9.0, level=1e-30) < math.inf


def test_what_was_compared_is_seen_at_another_level() -> None:
    one = compare(ACCURACY, *([side] for side in _discordant(30, 20, 500)))
    assert seen_at(one, 0.05) == one
    strict = seen_at(one, 0.05 / 40).detectable
    assert strict == detectable(one.error, one.freedom, level=0.05 / 40)
    assert strict > 1.4 * one.detectable
    same = compare(ACCURACY, *([side] for side in _discordant(0, 0, 500)))
    assert seen_at(same, 0.05 / 40).detectable == 11 / 500  # 2 * 0.5**11 is below 0.05 / 40


@pytest.mark.parametrize("named", [False, True])
def test_the_examples_part_of_an_error_is_told_apart_from_that_of_seeds(named: bool) -> None:
    rng, n = np.random.default_rng(21), 1000
    target = rng.normal(size=n)
    a, b = (
        [table(target, target + shift + rng.normal(size=n)) for shift in rng.normal(0, 0.05, 3)]
        for _ in range(2)
    )
    names = [0, 1, 2] if named else []
    found = compare(MEAN, a, b, a_names=names, b_names=names)
    moved = np.mean([y["prediction"] - x["prediction"] for x, y in zip(a, b, strict=True)], axis=0)
    assert found.example_error == pytest.approx(stats.sem(moved))
    assert found.example_freedom == pytest.approx(n - 1, rel=0.15)
    values = [[one["prediction"].mean() for one in side] for side in (a, b)]
    seeds = np.var(np.subtract(*values), ddof=1) if named else np.var(values, axis=1, ddof=1).sum()
    assert found.error**2 == pytest.approx(found.example_error**2 + seeds / 3)
    single = compare(MEAN, a[:1], b[:1])
    assert (single.example_error, single.example_freedom) == (single.error, single.freedom)


# worse


@settings(deadline=None)
@given(st.integers(0, 60), st.integers(0, 60))
def test_worse_is_the_exact_one_sided_test(gained: int, lost: int) -> None:
    found = compare(ACCURACY, *([side] for side in _discordant(gained, lost, 200)))
    expected = stats.binomtest(gained, gained + lost, alternative="less").pvalue if gained + lost else 1.0
    assert worse(found) == pytest.approx(expected, abs=1e-9)


def test_a_margin_forgives_a_small_loss() -> None:
    found = compare(ACCURACY, *([side] for side in _discordant(20, 60, 2000)))
    assert worse(found) < 0.001
    assert worse(found) < worse(found, 0.01) < worse(found, 0.02) < worse(found, 0.05)
    assert worse(found, 0.02) == pytest.approx(0.5)  # it lost just that
    assert worse(found, 0.01) == pytest.approx(stats.t.sf(0.01 / found.error, found.freedom))


def test_worse_knows_the_direction() -> None:
    rng = np.random.default_rng(8)
    x, y = rng.normal(size=(2, 200))
    target = np.zeros(200)
    higher = compare(MEAN, [table(target, x)], [table(target, x + 0.5 + y)])  # of errors: less is better
    assert worse(higher) == pytest.approx(higher.p / 2)
    lower = compare(MEAN, [table(target, x + 0.5 + y)], [table(target, x)])
    assert worse(lower) == pytest.approx(1 - lower.p / 2)
