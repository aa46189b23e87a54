"""Intervals against closed forms, SciPy and simulated coverage; standings against known cases."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from ptbench import DataError, Predictions, Score, Standing, SumMetric, TableMetric
from ptbench.statistics import resampling as engine
from ptbench.statistics.intervals import RESAMPLES, score, wilson
from ptbench.statistics.standing import score_runs, standings


def _hits(predictions: Predictions) -> Any:
    hit = predictions["target"] == predictions["prediction"]
    return np.stack([hit, np.ones(len(hit))], axis=1).astype(float)


def _counts(predictions: Predictions) -> Any:
    target, prediction = predictions["target"] == 1, predictions["prediction"] == 1
    return np.stack([target & prediction, target, prediction], axis=1).astype(float)


def _pearson(predictions: Predictions, weights: Any) -> Any:
    x, y = predictions["target"], predictions["prediction"]
    n, sx, sy, sxx, syy, sxy = np.moveaxis(weights @ np.stack([x**0, x, y, x * x, y * y, x * y], 1), -1, 0)
    return (sxy - sx * sy / n) / np.sqrt((sxx - sx**2 / n) * (syy - sy**2 / n))


def _sum_metric(name: str, rows: Any, value: Any, **rest: Any) -> SumMetric:
    given = {"higher_is_better": True, "target": "label", **rest}
    return SumMetric(name=name, description=name, rows=rows, value=value, **given)


ACCURACY = _sum_metric("accuracy", _hits, lambda sums: sums[..., 0] / sums[..., 1], interval="wilson")
HITS = replace(ACCURACY, name="hits", interval="bootstrap")
F1 = _sum_metric("f1", _counts, lambda sums: 2 * sums[..., 0] / (sums[..., 1] + sums[..., 2]))
MEAN = _sum_metric(
    "mean",
    lambda predictions: np.stack([predictions["prediction"], np.ones(len(predictions))], axis=1),
    lambda sums: sums[..., 0] / sums[..., 1],
    target="number",
    higher_is_better=False,
)
PEARSON = TableMetric(
    name="pearson", description="pearson", higher_is_better=True, target="number", compute=_pearson
)


def table(target: Any, prediction: Any, ids: Sequence[str] | None = None) -> Predictions:
    columns = {"target": np.asarray(target), "prediction": np.asarray(prediction)}
    return Predictions(ids or [f"e{i}" for i in range(len(columns["target"]))], columns, ("no", "yes"))


def numbers(rng: np.random.Generator, n: int) -> Predictions:
    target = rng.normal(size=n)
    return table(target, target + rng.normal(size=n))


# wilson


@pytest.mark.parametrize(
    ("hits", "n"), [(0, 1), (1, 1), (0, 29), (3, 10), (81, 263), (15, 148), (9999, 10_000)]
)
@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.99])
def test_wilson_equals_scipy(hits: int, n: int, confidence: float) -> None:
    expected = stats.binomtest(hits, n).proportion_ci(confidence, method="wilson")
    assert wilson(hits, n, confidence) == pytest.approx((expected.low, expected.high), abs=1e-9)


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


# score


def test_bootstrap_of_a_mean_is_its_standard_error() -> None:
    values = np.random.default_rng(0).normal(3, 2, size=500)
    found = score(MEAN, table(values, values), resamples=10_000)
    assert found.value == pytest.approx(values.mean(), abs=1e-12)
    standard_error = values.std() / math.sqrt(len(values))
    assert found.half_width == pytest.approx(1.96 * standard_error, rel=0.03)
    assert (found.n, found.interval, found.caveat, found.higher_is_better) == (500, "bootstrap", "", False)


def _coverage(metric: SumMetric | TableMetric, truth: float, samples: Sequence[Predictions]) -> float:
    found = [score(metric, sample, seed=i, resamples=400) for i, sample in enumerate(samples)]
    return float(np.mean([one.ci_low <= truth <= one.ci_high for one in found]))


def test_simulated_coverage_of_accuracy() -> None:
    rng = np.random.default_rng(1)
    samples = [table(np.ones(60, int), (rng.random(60) < 0.8).astype(int)) for _ in range(500)]
    assert 0.92 <= _coverage(ACCURACY, 0.8, samples) <= 0.98


def test_simulated_coverage_of_f1() -> None:
    rng = np.random.default_rng(2)
    samples = []
    for _ in range(400):
        target = rng.random(200) < 0.3
        prediction = np.where(target, rng.random(200) < 0.8, rng.random(200) < 0.1)
        samples.append(table(target.astype(int), prediction.astype(int)))
    truth = 2 * 0.3 * 0.8 / (0.3 + 0.3 * 0.8 + 0.7 * 0.1)
    assert 0.92 <= _coverage(F1, truth, samples) <= 0.98


def test_simulated_coverage_of_pearson() -> None:
    rng = np.random.default_rng(3)
    samples = [numbers(rng, 100) for _ in range(400)]
    assert 0.91 <= _coverage(PEARSON, math.sqrt(0.5), samples) <= 0.98


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

    metric = _sum_metric("spread", one_hot, lambda sums: (sums**2).sum(axis=-1))
    values = np.random.default_rng(5).integers(0, 40, 300)
    predictions = table(np.arange(300), values)
    dense = score(metric, predictions)
    monkeypatch.setattr(engine, "CHUNK", 8 * 40 * 7)
    sparse = score(metric, predictions)
    assert sparse.value == pytest.approx(dense.value, abs=1e-12)
    assert (sparse.ci_low, sparse.ci_high) == pytest.approx((dense.ci_low, dense.ci_high), abs=1e-12)


@pytest.mark.parametrize("metric", [ACCURACY, HITS, F1, PEARSON, MEAN])
def test_the_order_of_examples_and_chunks_changes_nothing(
    metric: SumMetric | TableMetric, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(6)
    if metric in (PEARSON, MEAN):
        predictions = numbers(rng, 70)
    else:
        predictions = table(rng.integers(0, 2, 70), rng.integers(0, 2, 70))
    before = score(metric, predictions)
    monkeypatch.setattr(engine, "CHUNK", 5_000)
    after = score(metric, predictions.take(rng.permutation(70)))
    assert (after.value, after.ci_low, after.ci_high) == pytest.approx(
        (before.value, before.ci_low, before.ci_high), abs=1e-12
    )
    assert score(metric, predictions) == score(metric, predictions)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=2, max_size=60))
def test_intervals_of_proportions_hold_their_value(pairs: list[tuple[int, int]]) -> None:
    for metric in (ACCURACY, HITS, F1):
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
    assert (found.ci_low, found.ci_high) == pytest.approx(wilson(1, 1))
    assert found.caveat == ""
    assert found.interval == "wilson"


def test_undefined_resamples_are_left_out_and_counted() -> None:
    def f1_of(positives: int, n: int) -> Score:
        """Return F1 = 1 but for one example, of a target with so few positives."""
        target = [1] * positives + [0] * (n - positives)
        return score(F1, table(target, [0, *target[1:]]))

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


# standings


def _named(found: Sequence[Standing]) -> dict[str, Standing]:
    return {one.model: one for one in found}


def _rank(metric: SumMetric | TableMetric, **models: Predictions | list[Predictions]) -> dict[str, Standing]:
    entries = {(k, "as_is"): v if isinstance(v, list) else [v] for k, v in models.items()}
    return _named(standings("task", metric, entries))


def test_pairing_sees_what_overlapping_intervals_hide() -> None:
    target = np.ones(1000, int)
    worse = (np.arange(1000) >= 300).astype(int)
    better = (np.arange(1000) >= 280).astype(int)  # right wherever the other is, and on 20 more
    found = _rank(ACCURACY, better=table(target, better), worse=table(target, worse))
    assert found["worse"].ci_high > found["better"].ci_low
    assert found["better"].best
    assert not found["better"].tied
    assert not found["worse"].tied
    assert found["worse"].difference == pytest.approx(0.02)
    spread = 1.96 * math.sqrt(0.02 * 0.98 / 1000)
    assert found["worse"].difference_low == pytest.approx(0.02 - spread, abs=0.002)
    assert found["worse"].difference_high == pytest.approx(0.02 + spread, abs=0.002)
    single = score(ACCURACY, table(target, worse))
    assert (found["worse"].ci_low, found["worse"].ci_high) == (single.ci_low, single.ci_high)
    assert math.isnan(found["worse"].seed_sd)


def test_unpaired_noise_of_the_same_size_ties() -> None:
    target = np.ones(1000, int)
    a = (np.arange(1000) >= 280).astype(int)
    b = (np.arange(1000)[::-1] >= 300).astype(int)  # wrong on other examples
    assert _rank(ACCURACY, a=table(target, a), b=table(target, b))["b"].tied


@pytest.mark.parametrize("metric", [ACCURACY, F1, HITS])
def test_identical_predictions_tie(metric: SumMetric) -> None:
    rng = np.random.default_rng(7)
    predictions = table(rng.integers(0, 2, 50), rng.integers(0, 2, 50))
    found = _rank(metric, b=predictions, a=predictions.take(rng.permutation(50)))
    assert found["a"].best
    assert found["b"].tied
    assert (found["b"].difference, found["b"].difference_low, found["b"].difference_high) == (0, 0, 0)


def test_five_examples_prove_nothing_and_eight_do() -> None:
    target = np.ones(500, int)
    perfect, five, eight = (table(target, (np.arange(500) >= wrong).astype(int)) for wrong in (0, 5, 8))
    found = _rank(ACCURACY, perfect=perfect, five=five, eight=eight)
    assert found["five"].tied
    assert found["five"].difference_low <= 0
    assert not found["eight"].tied


def test_models_as_good_as_each_other_are_told_apart_one_time_in_twenty() -> None:
    rng = np.random.default_rng(8)
    tied = []
    for _ in range(300):
        shared, own = rng.random(200), rng.random((2, 200))
        right = ((shared < 0.6) | (own < 0.5)).astype(int)
        target = np.ones(200, int)
        entries = {(name, "as_is"): [table(target, row)] for name, row in zip("ab", right, strict=True)}
        tied.append(standings("task", HITS, entries, resamples=400)[1].tied)
    assert 0.92 <= np.mean(tied) <= 0.98


def test_other_examples_are_not_compared() -> None:
    target, prediction = [1] * 20, [1] * 15 + [0] * 5
    base = table(target, prediction)
    other_ids = table(target, [0] * 20, ids=[f"x{i}" for i in range(20)])
    other_targets = table([0] * 20, [1] * 20)
    fewer = table(target[:8], [0] * 8)
    found = _rank(HITS, base=base, ids=other_ids, targets=other_targets, fewer=[fewer, fewer])
    assert found["base"].best
    for name in ("ids", "targets", "fewer"):
        assert not found[name].tied
        assert math.isnan(found[name].difference)
        assert math.isnan(found[name].difference_low)
        assert found[name].value == 0
    shuffled = _rank(HITS, base=base, same=base.take(range(19, -1, -1)))
    assert shuffled["same"].tied


def test_seeds_are_averaged_and_their_spread_is_told() -> None:
    rng = np.random.default_rng(9)
    target = rng.integers(0, 2, 300)

    def run(accuracy: float) -> Predictions:
        return table(target, np.where(rng.random(300) < accuracy, target, 1 - target))

    good, bad = [run(0.9) for _ in range(3)], [run(0.6) for _ in range(3)]
    found = _rank(ACCURACY, good=good, bad=bad)
    values = [score(ACCURACY, one).value for one in good]
    assert found["good"].value == pytest.approx(np.mean(values))
    assert found["good"].seed_sd == pytest.approx(np.std(values, ddof=1))
    assert found["good"].seeds == 3
    assert found["good"].ci_low < found["good"].value < found["good"].ci_high
    assert not found["bad"].tied
    assert found["bad"].difference_low < found["bad"].difference < found["bad"].difference_high


def test_what_lies_between_seeds_alone_has_students_interval() -> None:
    values = [0.1, 0.2, 0.6]
    found = _rank(MEAN, a=[table([0.0] * 30, [value] * 30) for value in values])["a"]
    low, high = stats.t.interval(0.95, 2, np.mean(values), stats.sem(values))
    assert (found.ci_low, found.ci_high) == pytest.approx((low, high), abs=0.02)
    assert found.seed_share == 1


def test_the_share_of_seeds_is_that_of_their_variance() -> None:
    rng = np.random.default_rng(13)
    rows = rng.normal(size=400)
    found = _rank(MEAN, a=[table(rows, rows + shift) for shift in (0.0, 0.1, 0.2)])["a"]
    seeds, examples = 0.1**2 / 3, np.var(rows) / 400
    assert found.seed_share == pytest.approx(seeds / (seeds + examples), rel=0.1)
    assert _rank(MEAN, a=table(rows, rows))["a"].seed_share != 0  # one seed: nobody knows


def test_simulated_coverage_over_examples_and_seeds() -> None:
    rng = np.random.default_rng(14)
    hits, draws = 0, 400
    for _ in range(draws):
        rows, shifts = rng.normal(size=100), 0.1 * rng.normal(size=3)
        runs = [table(rows, rows + shift) for shift in shifts]
        found = standings("task", MEAN, {("m", "p"): runs}, resamples=400)[0]
        hits += found.ci_low <= 0 <= found.ci_high
    assert 0.92 <= hits / draws <= 0.99  # Behrens-Fisher intervals are a little long


def test_equal_draws_are_compared_draw_by_draw() -> None:
    rng = np.random.default_rng(16)
    n, draws = 2000, 10
    target = rng.integers(0, 2, n)
    good, less = [], []
    for luck in rng.uniform(0.6, 0.8, draws):  # how lucky a draw is matters to both models alike
        right = rng.random(n) < luck
        lost = right & (rng.random(n) < 0.05)
        good.append(table(target, np.where(right, target, 1 - target)))
        less.append(table(target, np.where(right & ~lost, target, 1 - target)))
    entries = {("good", "p"): good, ("less", "p"): less}
    names = dict.fromkeys(entries, range(draws))
    paired = {row.model: row for row in standings("t", ACCURACY, entries, names=names)}
    assert not paired["less"].tied
    apart = {row.model: row for row in standings("t", ACCURACY, entries)}
    assert apart["less"].tied  # as if each model had had draws of its own
    assert paired["less"].difference == apart["less"].difference


def test_no_interval_leaves_the_bounds_of_its_metric() -> None:
    bounded = replace(ACCURACY, bounds=(0.0, 1.0))
    runs = [table([1] * 200, [1] * right + [0] * (200 - right)) for right in (198, 160, 199)]
    found, free = _rank(bounded, a=runs)["a"], _rank(ACCURACY, a=runs)["a"]
    assert free.ci_high > 1
    assert (found.ci_low, found.ci_high) == (free.ci_low, 1.0)


def test_runs_are_scored_as_their_standing() -> None:
    rng = np.random.default_rng(15)
    base = numbers(rng, 80)
    runs = [table(base["target"], base["prediction"] + rng.normal(size=80)) for _ in range(4)]
    found, standing = score_runs(PEARSON, runs), _rank(PEARSON, a=runs)["a"]
    assert found.value == pytest.approx(standing.value)
    assert (found.ci_low, found.ci_high) == pytest.approx((standing.ci_low, standing.ci_high), abs=0.03)
    assert (found.n, found.interval) == (80, "draws")


def test_several_equal_seeds_are_one() -> None:
    predictions = numbers(np.random.default_rng(10), 60)
    one, three = _rank(PEARSON, a=predictions)["a"], _rank(PEARSON, a=[predictions] * 3)["a"]
    assert (three.value, three.ci_low, three.ci_high) == pytest.approx((one.value, one.ci_low, one.ci_high))
    assert three.seed_sd == 0


@pytest.mark.parametrize("right", [0, 20])
def test_seeds_of_a_perfect_or_hopeless_model_have_the_interval_of_one(right: int) -> None:
    run = table([1] * 20, [1] * right + [0] * (20 - right))
    shuffled = run.take(range(19, -1, -1))
    found = _rank(ACCURACY, a=[run, shuffled])["a"]
    assert (found.ci_low, found.ci_high) == wilson(right, 20)
    assert math.isnan(_rank(HITS, a=[run, run])["a"].ci_low)  # no proportion, as far as it says


def test_a_proportion_that_no_resample_moves_has_wilsons_interval() -> None:
    wrong = [table([0] * 20, [other] * 20) for other in (1, 2)]  # both always wrong, each in its own way
    half = [table([1] * 20, [one, 1 - one] * 10) for one in (0, 1)]  # each example is hit by one of the two
    for runs, hits in ((wrong, 0), (half, 10)):
        found = _rank(ACCURACY, a=runs)["a"]
        assert (found.ci_low, found.ci_high) == wilson(hits, 20)
        assert math.isnan(_rank(HITS, a=runs)["a"].ci_low)


def test_undefined_values_are_last_and_never_best() -> None:
    defined = table([0, 1, 0, 1], [1, 0, 1, 1])
    undefined = table([0, 0, 0, 0], [0, 0, 0, 0])
    entries = {("a", "p"): [undefined], ("b", "p"): [defined], ("c", "p"): [defined, undefined]}
    found = standings("task", F1, entries)
    assert [one.model for one in found] == ["b", "a", "c"]
    assert [one.best for one in found] == [True, False, False]
    assert not any(one.tied for one in found)
    assert all(math.isnan(one.value) for one in found[1:])
    assert not any(one.best for one in standings("task", F1, {("a", "p"): [undefined]}))
    assert standings("task", F1, {}) == []


def test_lower_is_better_and_the_order_of_entries_changes_nothing() -> None:
    rng = np.random.default_rng(11)
    entries = {(name, "p"): [numbers(rng, 50)] for name in "abcd"}
    target = entries["a", "p"][0]["target"]
    entries = {key: [table(target, runs[0]["prediction"])] for key, runs in entries.items()}
    found = standings("task", MEAN, entries)
    assert [one.value for one in found] == sorted(one.value for one in found)
    assert found[0].best
    assert all(one.difference <= 0 for one in found)
    assert standings("task", MEAN, dict(reversed(entries.items()))) == found


def test_the_number_of_resamples_is_the_stated_one() -> None:
    predictions = numbers(np.random.default_rng(12), 40)
    assert score(MEAN, predictions) == score(MEAN, predictions, resamples=RESAMPLES)
    assert score(MEAN, predictions) != score(MEAN, predictions, seed=1)
