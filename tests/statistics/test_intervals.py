"""Intervals against closed forms, SciPy and statsmodels; their coverage is simulated in `test_coverage`."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.proportion import proportion_confint
from tests.statistics.measures import (
    ACCURACY,
    MEAN,
    PEARSON,
    numbers,
    table,
)
from tests.statistics.measures import (
    F1 as F1_LEFT_OUT,
)
from tests.statistics.measures import (
    HITS as LEFT_OUT,
)

from ptbench import DataError, Predictions, Proportion, Score, SumMetric, TableMetric
from ptbench.statistics import jackknife
from ptbench.statistics import resampling as engine
from ptbench.statistics.intervals import RESAMPLES, score, scores, t_interval, wilson


def _median(predictions: Predictions, weights: Any) -> Any:
    order = np.argsort(predictions["prediction"])
    upto = np.cumsum(weights[..., order], axis=-1)
    return predictions["prediction"][order][(upto < upto[..., -1:] / 2).sum(axis=-1)]


HITS = replace(LEFT_OUT, interval="bootstrap")
F1 = replace(
    F1_LEFT_OUT,
    proportion=Proportion(
        lambda sums: (sums[..., 0], sums[..., 1] + sums[..., 2] - sums[..., 0]), lambda q: 2 * q / (1 + q)
    ),
)
F1_DRAWN = replace(F1_LEFT_OUT, interval="bootstrap")
MEAN_DRAWN = replace(MEAN, interval="bootstrap")
MEDIAN = replace(PEARSON, name="median", compute=_median, interval="bootstrap")


def spread(rows: Any) -> SumMetric:
    """Return a metric of wide rows."""
    return replace(F1_LEFT_OUT, name="spread", rows=rows, value=lambda sums: (sums**2).sum(axis=-1))


def ends(found: Score) -> tuple[float, float]:
    return found.ci_low, found.ci_high


# Wilson's


@pytest.mark.parametrize(
    ("hits", "n"), [(0, 1), (1, 1), (0, 29), (3, 10), (81, 263), (15, 148), (9999, 10_000)]
)
@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.99])
def test_wilson_equals_scipy_and_statsmodels(hits: int, n: int, confidence: float) -> None:
    expected = stats.binomtest(hits, n).proportion_ci(confidence, method="wilson")
    assert wilson(hits, n, confidence) == pytest.approx((expected.low, expected.high), abs=1e-9)
    theirs = proportion_confint(hits, n, 1 - confidence, method="wilson")
    assert wilson(hits, n, confidence) == pytest.approx(theirs, abs=1e-9)


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_equals_published_values(hits: int, n: int, low: float, high: float) -> None:
    """Newcombe (1998), "Two-sided confidence intervals for the single proportion", table I, method 3."""
    assert wilson(hits, n) == pytest.approx((low, high), abs=5e-5)


@given(st.integers(1, 10**6).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_holds_the_proportion(case: tuple[int, int]) -> None:
    hits, n = case
    low, high = wilson(hits, n)
    assert 0 <= low <= hits / n <= high <= 1


def test_wilson_of_nothing_and_of_nonsense() -> None:
    assert all(math.isnan(end) for end in wilson(0, 0))
    with pytest.raises(ValueError, match="11 of 10"):
        wilson(11, 10)


def test_what_grows_with_a_proportion_has_its_interval() -> None:
    target, prediction = [1] * 12 + [0] * 30, [1] * 9 + [0] * 3 + [1] * 4 + [0] * 26
    found = score(F1, table(target, prediction))
    low, high = proportion_confint(9, 16, method="wilson")  # nine hits of sixteen that are or seem positive
    assert found.value == pytest.approx(18 / 25)
    assert ends(found) == pytest.approx((2 * low / (1 + low), 2 * high / (1 + high)), abs=1e-9)
    assert (found.interval, found.n, found.clusters) == ("wilson", 42, None)


@pytest.mark.parametrize("right", [0, 1])
def test_a_perfect_and_a_hopeless_f1_have_an_interval(right: int) -> None:
    found = score(F1, table([1] * 20 + [0] * 80, [right] * 20 + [0] * 80))
    low, high = wilson(20 * right, 20)
    assert (found.value, found.caveat) == (right, "")
    assert ends(found) == pytest.approx((2 * low / (1 + low), 2 * high / (1 + high)))


# Student's, on the scale of the bounds


def test_without_bounds_it_is_students() -> None:
    expected = stats.t.interval(0.95, 7.5, 3, 0.2)
    assert t_interval(3, 0.2, 7.5) == pytest.approx(expected, abs=1e-9)


def test_between_minus_one_and_one_it_is_fishers_z() -> None:
    z = np.arctanh(0.8) + np.array([-1, 1]) * stats.t.ppf(0.975, 20) * 0.05 / (1 - 0.8**2)
    assert t_interval(0.8, 0.05, 20, (-1, 1)) == pytest.approx(tuple(np.tanh(z)), abs=1e-9)


def test_beside_one_bound_it_is_a_ratio() -> None:
    factor = math.exp(stats.t.ppf(0.975, 9) * 0.3 / 2)
    assert t_interval(2, 0.3, 9, (0, math.inf)) == pytest.approx((2 / factor, 2 * factor), abs=1e-9)
    assert t_interval(-1, 0.3, 9, (-math.inf, 1)) == pytest.approx((1 - 2 * factor, 1 - 2 / factor), abs=1e-9)


bounds = st.sampled_from([(0.0, 1.0), (-1.0, 1.0), (0.0, math.inf), (-math.inf, 1.0), (-math.inf, math.inf)])


@settings(deadline=None)
@given(bounds, st.floats(0.001, 0.999), st.floats(1e-6, 10), st.floats(1, 1e6))
def test_it_holds_the_value_within_the_bounds(
    bounds: tuple[float, float], value: float, error: float, freedom: float
) -> None:
    low, high = t_interval(value, error, freedom, bounds)
    assert bounds[0] <= low < value < high <= bounds[1]


def test_it_is_undefined_without_an_error_and_on_a_bound() -> None:
    for value, error in ((0.5, 0), (0.5, math.nan), (1, 0.1), (0, 0.1), (0.5, 1e-17)):
        assert all(math.isnan(end) for end in t_interval(value, error, 9, (0, 1)))


# The jackknife


def test_the_jackknife_of_a_mean_is_its_standard_error() -> None:
    values = np.random.default_rng(0).normal(3, 2, size=500)
    moved = jackknife.contributions(MEAN, table(values, values))
    assert moved == pytest.approx(values - values.mean(), abs=1e-9)
    error = values.std(ddof=1) / math.sqrt(500)
    assert jackknife.standard_error(moved) == pytest.approx(error, rel=1e-12)
    found = score(MEAN, table(values, values))
    expected = stats.t.interval(0.95, jackknife.freedom(moved), values.mean(), error)
    assert ends(found) == pytest.approx(expected, abs=1e-9)
    assert (found.n, found.interval, found.caveat, found.higher_is_better) == (500, "jackknife", "", False)


def test_freedom_is_satterthwaites() -> None:
    """Twice the squared variance over the variance of its estimate, ``mu4 / g - (g - 3) / (g (g - 1))``."""
    values = np.random.default_rng(1).standard_exponential(60)
    variance, fourth = (float(stats.moment(values, order=k)) for k in (2, 4))
    of_estimate = fourth / 60 - variance**2 * 57 / (60 * 59)
    assert jackknife.freedom(values) == pytest.approx(2 * variance**2 / of_estimate, rel=1e-9)


def test_freedom_of_normal_values_is_one_less_than_there_are() -> None:
    values = stats.norm.ppf((np.arange(100_000) + 0.5) / 100_000)
    assert jackknife.freedom(values) == pytest.approx(99_999, rel=0.01)


@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=50))
def test_freedom_lies_between_one_and_all(values: list[float]) -> None:
    found = jackknife.freedom(np.array(values))
    assert math.isnan(found) or 0.99 <= found <= len(values) - 1


def test_few_examples_that_decide_all_give_little_freedom() -> None:
    """Only five of a thousand vary: with normal ones the freedom is about that of five, not of a thousand."""
    rng = np.random.default_rng(2)
    moved = [np.r_[rng.normal(size=5), np.zeros(995)] for _ in range(200)]
    assert 3 <= np.median([jackknife.freedom(one) for one in moved]) <= 8


def test_blocks_of_left_out_examples_stand_for_single_ones() -> None:
    predictions = numbers(np.random.default_rng(3), 4_000)
    by_block = jackknife.standard_error(jackknife.contributions(PEARSON, predictions))
    r = float(PEARSON.compute(predictions, np.ones(4_000)))
    assert by_block == pytest.approx((1 - r * r) / math.sqrt(4_000), rel=0.1)


def test_wide_rows_are_never_held_all_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[int] = []

    def rows(predictions: Predictions) -> Any:
        held.append(len(predictions))
        return (predictions["prediction"][:, None] == np.arange(40)).astype(float) * 0.1

    metric = spread(rows)
    predictions = table(np.arange(300), np.random.default_rng(5).integers(0, 40, 300))
    whole = jackknife.contributions(metric, predictions)
    monkeypatch.setattr(jackknife, "CHUNK", 8 * 40 * 7)
    held.clear()
    assert jackknife.contributions(metric, predictions) == pytest.approx(whole, rel=1e-10)
    assert max(held) == 14


# The bootstrap


def test_bootstrap_of_a_mean_is_its_standard_error() -> None:
    values = np.random.default_rng(0).normal(3, 2, size=500)
    found = score(MEAN_DRAWN, table(values, values), resamples=10_000)
    assert found.value == pytest.approx(values.mean(), abs=1e-12)
    standard_error = values.std() / math.sqrt(len(values))
    assert found.half_width == pytest.approx(1.96 * standard_error, rel=0.03)
    assert (found.interval, found.caveat) == ("bootstrap", "")


def test_bootstrap_equals_scipys() -> None:
    values = np.random.default_rng(1).standard_exponential(80)
    found = score(MEAN_DRAWN, table(values, values), resamples=20_000)
    theirs = stats.bootstrap((values,), np.mean, n_resamples=20_000, method="percentile", rng=2)
    spread = values.std() / math.sqrt(80)
    assert ends(found) == pytest.approx(tuple(theirs.confidence_interval), abs=0.05 * spread)
    weights = np.concatenate(list(engine.resample(np.ones(80, dtype=np.int64), 0, 20_000)))
    by_hand = np.quantile([values.repeat(row.astype(int)).mean() for row in weights], [0.025, 0.975])
    assert ends(found) == pytest.approx(tuple(by_hand), abs=1e-12)


def test_a_median_has_the_bootstrap_that_it_asks_for() -> None:
    """Its interval is near that of the order statistics, 40th and 61st of 100; a jackknife's is not."""
    values = np.sort(np.random.default_rng(4).normal(size=100))
    found = score(MEDIAN, table(values, values), resamples=4_000)
    assert found.interval == "bootstrap"
    assert values[36] <= found.ci_low <= values[42]
    assert values[57] <= found.ci_high <= values[63]


def test_counts_of_distinct_rows_are_the_bootstrap_itself() -> None:
    rng = np.random.default_rng(4)
    target = rng.integers(0, 2, 400)
    predictions = table(target, np.where(rng.random(400) < 0.8, target, 1 - target))
    rows, counts, _ = engine.distinct(predictions)
    assert len(rows) == 4
    assert counts.sum() == 400
    grouped, by_row = (
        np.concatenate([engine.function(F1, data)(w) for w in engine.resample(times, seed, 8_000)])
        for seed, data, times in ((0, rows, counts), (1, predictions, np.ones(400, dtype=np.int64)))
    )
    assert stats.ks_2samp(grouped, by_row).pvalue > 0.01
    ends = [np.quantile(draws, [0.025, 0.25, 0.5, 0.75, 0.975]) for draws in (grouped, by_row)]
    assert ends[0] == pytest.approx(ends[1], abs=0.004)


@given(st.lists(st.tuples(st.integers(-3, 3), st.integers(-3, 3)), min_size=1, max_size=40))
def test_distinct_rows_stand_for_all(pairs: list[tuple[int, int]]) -> None:
    predictions = table(*zip(*pairs, strict=True))
    rows, counts, which = engine.distinct(predictions)
    assert list(zip(rows["target"], rows["prediction"], strict=True)) == sorted(set(pairs))
    assert [(rows["target"][i], rows["prediction"][i]) for i in which] == pairs
    assert counts.tolist() == np.bincount(which).tolist()


@pytest.mark.parametrize("groups", [3, 90])
def test_resamples_have_the_size_of_the_sample(groups: int) -> None:
    counts = np.arange(1, groups + 1) * 7
    weights = np.concatenate(list(engine.resample(counts, 0, 300)))
    assert weights.shape == (300, groups)
    assert (weights.sum(axis=1) == counts.sum()).all()
    assert weights.mean(axis=0) == pytest.approx(counts, rel=0.25)


def test_wide_rows_of_mostly_zeros_are_added_without_holding_them(monkeypatch: pytest.MonkeyPatch) -> None:
    def one_hot(predictions: Predictions) -> Any:
        return (predictions["prediction"][:, None] == np.arange(40)).astype(float) * 0.1

    metric = replace(spread(one_hot), interval="bootstrap")
    values = np.random.default_rng(5).integers(0, 40, 300)
    predictions = table(np.arange(300), values)
    dense = score(metric, predictions)
    monkeypatch.setattr(engine, "CHUNK", 8 * 40 * 7)
    sparse = score(metric, predictions)
    assert sparse.value == pytest.approx(dense.value, abs=1e-12)
    assert ends(sparse) == pytest.approx(ends(dense), abs=1e-12)


def test_the_number_of_resamples_is_the_stated_one() -> None:
    predictions = numbers(np.random.default_rng(12), 40)
    assert score(MEAN_DRAWN, predictions) == score(MEAN_DRAWN, predictions, resamples=RESAMPLES)
    assert score(MEAN_DRAWN, predictions) != score(MEAN_DRAWN, predictions, seed=1)


# Clusters


def _clustered(values: Any, clusters: int) -> Predictions:
    names = [f"c{i * clusters // len(values)}" for i in range(len(values))]
    return table(values, values, clusters=names)


def test_a_mean_over_clusters_has_the_standard_error_of_their_means() -> None:
    rng = np.random.default_rng(6)
    values = np.repeat(rng.normal(size=40), 5) + 0.1 * rng.normal(size=200)
    predictions, means = _clustered(values, 40), values.reshape(40, 5).mean(axis=1)
    moved = jackknife.contributions(MEAN, predictions)
    assert jackknife.standard_error(moved) == pytest.approx(stats.sem(means), rel=1e-12)
    found, drawn = score(MEAN, predictions), score(MEAN_DRAWN, predictions, resamples=8_000)
    assert ends(found) == pytest.approx(
        stats.t.interval(0.95, jackknife.freedom(means), means.mean(), stats.sem(means)), abs=1e-9
    )
    assert drawn.half_width == pytest.approx(1.96 * means.std() / math.sqrt(40), rel=0.04)
    assert [(one.n, one.clusters, one.interval) for one in (found, drawn)] == [
        (200, 40, "jackknife"),
        (200, 40, "bootstrap"),
    ]
    alone = score(MEAN, table(values, values))
    assert (alone.value, alone.clusters) == (found.value, None)
    assert 2.0 <= found.half_width / alone.half_width <= 2.5  # the root of five is 2.24


def test_clusters_of_one_change_nothing_but_wilsons() -> None:
    predictions = numbers(np.random.default_rng(7), 60)
    single = replace_clusters(predictions, [f"c{i:02}" for i in range(60)])
    for metric in (MEAN, PEARSON, MEAN_DRAWN):
        alone, clustered = score(metric, predictions), score(metric, single)
        assert ends(clustered) == pytest.approx(ends(alone), abs=1e-12)
        assert clustered.clusters == 60


def replace_clusters(predictions: Predictions, clusters: Sequence[str]) -> Predictions:
    return Predictions(predictions.ids, predictions.columns, predictions.labels, clusters)


def test_a_proportion_over_clusters_has_the_jackknifes_interval() -> None:
    rng = np.random.default_rng(8)
    hit = np.repeat(rng.random(50) < 0.7, 4).astype(int)
    clusters = [f"c{i // 4}" for i in range(200)]
    found = score(ACCURACY, table([1] * 200, hit, clusters=clusters))
    assert (found.interval, found.clusters) == ("jackknife", 50)
    assert found.half_width == pytest.approx(score(ACCURACY, table([1] * 50, hit[::4])).half_width, rel=0.1)


@pytest.mark.parametrize(("metric", "right"), [(ACCURACY, 1), (ACCURACY, 0), (F1, 1)])
def test_a_proportion_that_no_cluster_moves_has_as_many_trials_as_clusters(
    metric: SumMetric, right: int
) -> None:
    predictions = table([1] * 60, [right] * 60, clusters=[f"c{i // 6}" for i in range(60)])
    found, low = score(metric, predictions), wilson(10 * right, 10)[0]
    assert (found.interval, found.clusters, found.caveat) == ("wilson", 10, "")
    assert found.ci_low == pytest.approx(2 * low / (1 + low) if metric is F1 else low)


def test_one_cluster_gives_no_interval() -> None:
    for metric in (MEAN, MEAN_DRAWN):
        found = score(metric, table([1.0, 2], [1.0, 2], clusters=["a", "a"]))
        assert math.isnan(found.ci_low)
        assert (found.value, found.clusters, found.caveat) == (1.5, 1, "one cluster gives no interval")


# Any metric


@pytest.mark.parametrize("metric", [ACCURACY, HITS, LEFT_OUT, F1, F1_DRAWN, PEARSON, MEAN, MEAN_DRAWN])
@pytest.mark.parametrize("clusters", [None, 14])
def test_the_order_of_examples_and_chunks_changes_nothing(
    metric: SumMetric | TableMetric, clusters: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(6)
    if metric in (PEARSON, MEAN, MEAN_DRAWN):
        predictions = numbers(rng, 70)
    else:
        predictions = table(rng.integers(0, 2, 70), rng.integers(0, 2, 70))
    if clusters:
        predictions = replace_clusters(predictions, [f"c{i}" for i in rng.integers(0, clusters, 70)])
    before = score(metric, predictions)
    for module, name in itertools.product((engine, jackknife), ("CHUNK", "CACHED")):
        monkeypatch.setattr(module, name, 5_000)
    shuffled = predictions.take(rng.permutation(70))
    after = score(metric, shuffled)
    assert (after.value, *ends(after)) == pytest.approx((before.value, *ends(before)), abs=1e-12)
    assert score(metric, predictions) == score(metric, predictions)
    assert scores([metric, metric], shuffled) == [after, after]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=2, max_size=60))
def test_intervals_of_proportions_hold_their_value(pairs: list[tuple[int, int]]) -> None:
    for metric in (ACCURACY, HITS, LEFT_OUT, F1, F1_DRAWN):
        found = score(metric, table(*zip(*pairs, strict=True)), resamples=200)
        if math.isnan(found.value) or math.isnan(found.ci_low):
            assert found.caveat
        else:
            assert 0 <= found.ci_low <= found.ci_high <= 1
            assert found.ci_low <= found.value <= found.ci_high or "outside" in found.caveat


def test_what_is_undefined_says_why() -> None:
    cases = {
        "there are no examples": score(HITS, table([], [])),
        "one example gives no interval": score(HITS, table([1], [1])),
        "prediction is NaN for 2 of 3 examples": score(MEAN, table([1.0, 2, 3], [math.nan, 1, math.nan])),
        "prediction is infinite for 1 of 2 examples": score(MEAN, table([1.0, 2], [math.inf, 1])),
        "the metric is undefined for these predictions": score(F1, table([0, 0], [0, 0])),
        "all resamples give the same value": score(HITS, table([1, 1, 1], [1, 1, 1])),
        "as no example moves the value": score(LEFT_OUT, table([1, 1, 1], [1, 1, 1])),
        "as is the metric without any of 1 examples": score(F1_LEFT_OUT, table([1, 0], [1, 0])),
        "so the metric": score(replace(F1, caveat=lambda predictions: "so the metric"), table([0], [0])),
    }
    for caveat, found in cases.items():
        assert caveat in found.caveat
        assert math.isnan(found.ci_low)
        assert math.isnan(found.ci_high)
    assert cases["one example gives no interval"].value == 1
    assert math.isnan(cases["prediction is NaN for 2 of 3 examples"].value)


def test_wilson_needs_no_more_than_one_example() -> None:
    found = score(ACCURACY, table([1], [1]))
    assert ends(found) == pytest.approx(wilson(1, 1))
    assert found.caveat == ""
    assert found.interval == "wilson"


def test_undefined_resamples_are_left_out_and_counted() -> None:
    def f1_of(positives: int, n: int) -> Score:
        """Return F1 = 1 but for one example, of a target with so few positives."""
        target = [1] * positives + [0] * (n - positives)
        return score(F1_DRAWN, table(target, [0, *target[1:]]))

    few = f1_of(4, 100)  # a resample has neither a target nor a prediction with probability 0.96^100 = 0.017
    left_out = int(few.caveat.split(" of 1000 ")[0])
    assert few.caveat.endswith("resamples, where the metric is undefined, were left out")
    assert 5 <= left_out <= 35
    assert few.ci_low < few.value < few.ci_high
    fewer = f1_of(2, 100)  # 0.98^100 = 0.13
    assert math.isnan(fewer.ci_low)
    assert fewer.value == pytest.approx(2 / 3)
    assert fewer.caveat.startswith("the interval is undefined, as is the metric on ")


def test_a_metric_sees_only_what_it_names() -> None:
    seen: list[list[str]] = []
    metric = replace(HITS, caveat=lambda predictions: seen.append(list(predictions)))
    predictions = table([0, 1], [0, 0])
    wider = Predictions(predictions.ids, {**predictions.columns, "scores": np.full((2, 2), math.nan)})
    assert score(metric, wider).value == 0.5
    assert seen == [["target", "prediction"]]
    with pytest.raises(DataError, match="'hits' needs the column 'scores'"):
        score(replace(HITS, columns=("scores",)), predictions)
