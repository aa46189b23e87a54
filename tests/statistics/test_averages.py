"""Averages over tasks: independent tasks, paired models within each."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from tests.statistics.measures import ACCURACY, HITS, MEAN, numbers, right

from ptbench import Average, Predictions, Record, Status, SumMetric
from ptbench.failures import new_record
from ptbench.records import Cell, ModelSpec, TaskSpec
from ptbench.statistics.averages import Scored, average_difference, averages, shares_data
from ptbench.statistics.paired import compare
from ptbench.statistics.standing import stand


def _task(rng: np.random.Generator, rates: dict[str, float], n: int = 500) -> dict[str, Predictions]:
    easy = rng.random(n)
    return {
        name: right(np.where(rng.random(n) < 0.8, easy, rng.random(n)) < rate) for name, rate in rates.items()
    }


def _scored(metric: SumMetric, models: dict[str, Predictions]) -> Scored:
    return stand("t", metric, {(name, "p"): [one] for name, one in models.items()})[1]


def _named(found: list[Average]) -> dict[str, Average]:
    return {one.model: one for one in found}


RATES = {"good": 0.9, "alike": 0.9, "bad": 0.7}


def test_an_average_is_the_mean_and_its_variance_that_of_independent_tasks() -> None:
    rng = np.random.default_rng(0)
    tasks = [_task(rng, RATES, n) for n in (200, 500, 1000)]
    found = averages([_scored(HITS, models) for models in tasks])
    assert [one.value for one in found] == sorted((one.value for one in found), reverse=True)
    for one in found:
        hits = [models[one.model]["prediction"] for models in tasks]
        assert one.value == pytest.approx(np.mean([np.mean(hit) for hit in hits]))
        assert one.tasks == 3
        error = math.sqrt(sum(stats.sem(hit) ** 2 for hit in hits)) / 3
        assert one.ci_high - one.ci_low == pytest.approx(2 * 1.96 * error, rel=0.02)
        assert 0 < one.ci_low < one.value < one.ci_high < 1


def test_many_tasks_show_what_one_does_not() -> None:
    rng = np.random.default_rng(1)
    rates = {"a": 0.87, "b": 0.855}
    tasks = [_scored(ACCURACY, _task(rng, rates, 300)) for _ in range(20)]
    found = averages(tasks)
    assert [(one.model, one.rank_low, one.rank_high, one.group) for one in found] == [
        ("a", 1, 1, "a"), ("b", 2, 2, "b"),
    ]  # fmt: skip
    assert found[0].ci_low < found[1].ci_high  # apart, though their intervals overlap


def test_groups_and_places_are_those_of_the_differences() -> None:
    rng = np.random.default_rng(2)
    found = _named(averages([_scored(ACCURACY, _task(rng, RATES)) for _ in range(4)]))
    assert found["good"].group == found["alike"].group == "a"
    assert (found["bad"].group, found["bad"].rank_low, found["bad"].rank_high) == ("b", 3, 3)
    assert {found["good"].rank_high, found["alike"].rank_high} == {2}


def test_only_who_has_a_value_on_every_task() -> None:
    rng = np.random.default_rng(3)
    one, two = _task(rng, RATES), _task(rng, {"good": 0.9, "bad": 0.7})
    assert set(_named(averages([_scored(ACCURACY, one), _scored(ACCURACY, two)]))) == {"good", "bad"}
    assert averages([_scored(ACCURACY, one), _scored(ACCURACY, {})]) == []


def test_only_tasks_with_a_common_scale() -> None:
    rng = np.random.default_rng(4)
    task = _scored(ACCURACY, _task(rng, RATES))
    assert averages([task]) == []
    assert averages([task, replace(task, higher_is_better=False)]) == []
    assert averages([task, replace(task, bounds=(0.0, 100.0))]) == []
    assert averages([task, _scored(MEAN, {name: numbers(rng, 9) for name in RATES})]) == []
    assert len(averages([task, replace(task, bounds=(-1.0, 1.0))])) == 3


def test_models_that_predict_the_same_everywhere_share_all() -> None:
    rng = np.random.default_rng(5)
    tasks = []
    for _ in range(2):
        models = _task(rng, {"a": 0.8})
        tasks.append(_scored(ACCURACY, {**models, "b": models["a"]}))
    first, second = averages(tasks)
    assert (first.value, first.group, first.rank_high) == (second.value, "a", 2)


def test_simulated_coverage_of_an_average() -> None:
    rng, draws = np.random.default_rng(6), 200
    held = 0
    for _ in range(draws):
        (found,) = averages([_scored(ACCURACY, _task(rng, {"m": rate}, 200)) for rate in (0.95, 0.8, 0.6)])
        held += found.ci_low <= (0.95 + 0.8 + 0.6) / 3 <= found.ci_high
    assert 0.9 <= held / draws <= 0.99


def test_the_average_of_differences_adds_the_variances() -> None:
    rng = np.random.default_rng(7)
    found = []
    for _ in range(10):
        task = _task(rng, {"a": 0.84, "b": 0.87}, 300)
        found.append(compare(ACCURACY, [task["a"]], [task["b"]]))
    average = average_difference(found)
    assert average is not None
    assert average.metric == "average"
    assert average.change == pytest.approx(np.mean([one.change for one in found]))
    assert average.change == pytest.approx(average.b - average.a)
    assert average.error == pytest.approx(math.sqrt(sum(one.error**2 for one in found)) / 10)
    assert average.p == pytest.approx(
        2 * stats.t.sf(abs(average.change) / average.error, average.freedom), rel=1e-9
    )
    assert average.low < average.change < average.high
    assert (average.n, average.units) == (3000, 3000)
    assert average.p < min(one.p for one in found)


def test_what_has_no_average_difference() -> None:
    task = _task(np.random.default_rng(8), {"a": 0.8, "b": 0.8})
    one = compare(ACCURACY, [task["a"]], [task["b"]])
    assert average_difference([one]) is None
    assert average_difference([one, replace(one, higher_is_better=False)]) is None
    assert average_difference([one, replace(one, b=31.2)]) is None
    assert average_difference([one, replace(one, p=math.nan)]) is None
    same = compare(ACCURACY, [task["a"]], [task["a"]])
    average = average_difference([same, same])
    assert average is not None
    assert (average.change, average.low, average.high, average.p) == (0, 0, 0, 1)


def _clusters_that_turn(turned: int, of: int, size: int = 20) -> tuple[Predictions, Predictions]:
    """Return A and B on clusters, of which B gets so many wrong that A gets right; else both are alike."""
    cluster = np.arange(of * size) // size
    names = [f"c{one:03}" for one in cluster]
    return right(cluster < of // 2, clusters=names), right(
        (cluster < of // 2) & (cluster >= turned), clusters=names
    )


@pytest.mark.parametrize(("tasks", "turned"), [(2, 1), (3, 2), (2, 2)])
def test_clusters_that_turn_are_so_many_coins_and_not_their_examples(tasks: int, turned: int) -> None:
    a, b = _clusters_that_turn(turned, of=20)
    one = compare(ACCURACY, [a], [b])
    assert (one.differing, one.moving, one.p >= 2 * 0.5**turned) == (20 * turned, turned, True)
    average = average_difference([one] * tasks)
    assert average is not None
    coins = tasks * turned
    assert (average.differing, average.moving) == (20 * coins, coins)
    assert average.p >= 2 * 0.5**coins
    assert (average.low <= 0 <= average.high) is (coins < 6)


def test_few_examples_that_differ_leave_zero_in_the_interval_of_an_average() -> None:
    a, b = (_clusters_that_turn(turned, of=20, size=1)[1] for turned in (0, 2))
    plain = [Predictions(side.ids, side.columns, side.labels) for side in (a, b)]
    one = compare(HITS, [plain[0]], [plain[1]])
    average = average_difference([one, one])
    assert average is not None
    assert (average.moving, average.p) == (4, pytest.approx(2 * 0.5**4))
    assert average.low < average.change < 0 <= average.high


def test_tasks_on_the_very_same_data_are_told() -> None:
    def record(task: str, data: str) -> Record:
        cell = Cell("s", ModelSpec("m", "x:m"), TaskSpec(task, "a", "d:e"), "p")
        return new_record(cell, "r", Status.OK, fingerprints={"data": data})

    assert not shares_data([record("t", "1"), record("t", "1"), record("u", "2")])
    assert shares_data([record("t", "1"), record("u", "2"), record("v", "1")])
    assert not shares_data([record("t", ""), record("u", "")])  # nobody knows
