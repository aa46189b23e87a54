"""Where models stand: pairs, seeds, places and groups, against known cases and simulation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from tests.statistics.measures import ACCURACY, F1, HITS, MEAN, PEARSON, numbers, right, table

from ptbench import Predictions, Standing, SumMetric, TableMetric
from ptbench.offers import Proportion
from ptbench.statistics.intervals import score, wilson
from ptbench.statistics.paired import compare
from ptbench.statistics.standing import score_runs, standings


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
        hits = (shared < 0.6) | (own < 0.5)
        entries = {(name, "as_is"): [right(row)] for name, row in zip("ab", hits, strict=True)}
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
        hits = rng.random(n) < luck
        lost = hits & (rng.random(n) < 0.05)
        good.append(table(target, np.where(hits, target, 1 - target)))
        less.append(table(target, np.where(hits & ~lost, target, 1 - target)))
    entries = {("good", "p"): good, ("less", "p"): less}
    names = dict.fromkeys(entries, range(draws))
    paired = {row.model: row for row in standings("t", ACCURACY, entries, names=names)}
    assert not paired["less"].tied
    apart = {row.model: row for row in standings("t", ACCURACY, entries)}
    assert apart["less"].tied  # as if each model had had draws of its own
    assert paired["less"].difference == apart["less"].difference


def test_no_interval_leaves_the_bounds_of_its_metric() -> None:
    free = replace(ACCURACY, bounds=(-math.inf, math.inf))
    runs = [right(np.arange(200) < hits) for hits in (198, 160, 199)]
    assert _rank(free, a=runs)["a"].ci_high > 1
    found = _rank(ACCURACY, a=runs)["a"]
    assert 0 < found.ci_low < found.value < found.ci_high < 1


@pytest.mark.parametrize("runs", [3, 10])
@pytest.mark.parametrize(("mean", "spread"), [(0.85, 0.0), (0.85, 0.03), (0.97, 0.015)])
def test_simulated_coverage_of_a_proportion_over_seeds(runs: int, mean: float, spread: float) -> None:
    rng, draws, n = np.random.default_rng(17), 150, 300
    size = mean * (1 - mean) / spread**2 - 1 if spread else 0.0
    held = 0
    for _ in range(draws):
        rates = rng.beta(mean * size, (1 - mean) * size, runs) if spread else np.full(runs, mean)
        easy, own = rng.random(n), rng.random((runs, n))
        hits = np.where(own < 0.9, easy < rates[:, None], rng.random((runs, n)) < rates[:, None])
        one = standings("t", ACCURACY, {("m", "p"): [right(row) for row in hits]})[0]
        held += one.ci_low <= mean <= one.ci_high
    assert 0.9 <= held / draws <= 0.999


# many models


def _models(rng: np.random.Generator, rates: Sequence[float], n: int = 1000) -> dict[str, Predictions]:
    easy = rng.random(n)
    return {
        f"m{i}": right(np.where(rng.random(n) < 0.8, easy, rng.random(n)) < rate)
        for i, rate in enumerate(rates)
    }


@pytest.mark.parametrize("metric", [ACCURACY, HITS, F1])
def test_pairs_of_many_are_those_of_two(metric: SumMetric) -> None:
    models = _models(np.random.default_rng(18), [0.9, 0.88, 0.85, 0.7])
    rows = standings("t", metric, {(name, "p"): [one] for name, one in models.items()})
    best = rows[0].model
    for row in rows[1:]:
        alone = compare(metric, [models[row.model]], [models[best]])
        assert row.difference == pytest.approx(alone.change)
        assert (row.difference_low, row.difference_high) == pytest.approx((alone.low, alone.high))


def test_places_and_groups_and_ties_say_the_same() -> None:
    models = _models(np.random.default_rng(19), [0.9, 0.9, 0.86, 0.86, 0.7, 0.5])
    rows = standings("t", ACCURACY, {(name, "p"): [one] for name, one in models.items()})
    assert (rows[0].group, rows[0].rank_low) == ("a", 1)
    for place, row in enumerate(rows, start=1):
        assert row.rank_low is not None
        assert row.rank_high is not None
        assert row.rank_low <= place <= row.rank_high
        assert row.tied == (not row.best and "a" in row.group)
    assert [row.tied for row in rows] == [False, True, False, False, False, False]
    assert (rows[-1].rank_low, rows[-1].rank_high) == (6, 6)


def test_among_many_equals_hardly_ever_one_is_told_apart() -> None:
    rng, draws = np.random.default_rng(20), 80
    told = 0
    for _ in range(draws):
        models = _models(rng, [0.8] * 8, 200)
        rows = standings("t", HITS, {(name, "p"): [one] for name, one in models.items()})
        told += any(row.rank_high != 8 or row.rank_low != 1 for row in rows)
    assert told / draws <= 0.05 + 2.6 * math.sqrt(0.05 * 0.95 / draws)


def test_who_is_not_compared_has_no_place() -> None:
    base = right([1] * 30 + [0] * 10)
    rows = _rank(ACCURACY, base=base, other=right([0] * 40, ids=[f"x{i}" for i in range(40)]))
    assert (rows["base"].rank_low, rows["base"].rank_high, rows["base"].group) == (1, 1, "a")
    assert (rows["other"].rank_low, rows["other"].rank_high, rows["other"].group) == (None, None, "")


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


@pytest.mark.parametrize("hits", [0, 20])
def test_seeds_of_a_perfect_or_hopeless_model_have_the_interval_of_one(hits: int) -> None:
    run = right([1] * hits + [0] * (20 - hits))
    shuffled = run.take(range(19, -1, -1))
    found = _rank(ACCURACY, a=[run, shuffled])["a"]
    assert (found.ci_low, found.ci_high) == wilson(hits, 20)
    assert math.isnan(_rank(HITS, a=[run, run])["a"].ci_low)  # no proportion, as far as it says


def test_a_proportion_that_no_example_moves_has_wilsons_interval() -> None:
    wrong = [table([0] * 20, [other] * 20) for other in (1, 2)]  # both always wrong, each in its own way
    half = [table([1] * 20, [one, 1 - one] * 10) for one in (0, 1)]  # each example is hit by one of the two
    for runs, hits in ((wrong, 0), (half, 10)):
        found = _rank(ACCURACY, a=runs)["a"]
        assert (found.ci_low, found.ci_high) == wilson(hits, 20)
        assert math.isnan(_rank(HITS, a=runs)["a"].ci_low)


PRECISION = replace(
    F1,
    name="precision",
    bounds=(0.0, 1.0),
    value=lambda sums: sums[..., 0] / sums[..., 2],
    proportion=Proportion(lambda sums: (sums[..., 0], sums[..., 2])),
)
HITS_OF_EITHER = Proportion(
    lambda sums: (sums[..., 0], sums[..., 1] + sums[..., 2] - sums[..., 0]), lambda q: 2 * q / (1 + q)
)


def test_perfect_runs_of_what_grows_with_a_proportion_have_wilsons_interval() -> None:
    target = [1] * 40 + [0] * 60
    runs = [table(target, [1] * k + [0] * (100 - k)) for k in (20, 30)]  # neither is ever wrong
    found = _rank(PRECISION, a=runs)["a"]
    assert (found.value, found.ci_low, found.ci_high) == (1.0, *wilson(25, 25))
    missed = [table(target, [0] * 40 + [1] * k + [0] * (60 - k)) for k in (20, 30)]  # both always are
    metric = replace(F1, bounds=(0.0, 1.0), proportion=HITS_OF_EITHER)
    found, q = _rank(metric, a=missed)["a"], wilson(0, 65)[1]
    assert (found.value, found.ci_low, found.ci_high) == (0.0, 0.0, pytest.approx(2 * q / (1 + q)))
    clusters = [f"c{i // 5:02}" for i in range(100)]
    groups = [Predictions(run.ids, run.columns, run.labels, clusters) for run in runs]
    found = _rank(PRECISION, a=groups)["a"]
    assert (found.ci_low, found.ci_high) == wilson(20, 20)


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
