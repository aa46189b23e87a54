"""The front against its definition by brute force; who takes part in it; and the mark in the table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from ptbench.cli.tables import render
from ptbench.errors import UsageError
from ptbench.pareto import on_front, pareto_front, pareto_points
from ptbench.records import Cost, Record, Report, Score, Status

VALUES = st.integers(-3, 3) | st.floats(-1e6, 1e6)  # few whole numbers, so that there are ties


def beats(cost: float, gain: float, other_cost: float, other_gain: float) -> bool:
    return (gain >= other_gain and cost < other_cost) or (gain > other_gain and cost <= other_cost)


@given(st.lists(st.tuples(VALUES, VALUES), max_size=30))
def test_the_front_is_who_is_beaten_by_nobody(pairs: list[tuple[float, float]]) -> None:
    costs, gains = [cost for cost, _ in pairs], [gain for _, gain in pairs]
    assert on_front(costs, gains) == [not any(beats(*b, *a) for b in pairs) for a in pairs]


@given(st.lists(st.tuples(VALUES, VALUES), min_size=1, max_size=20), st.randoms())
def test_the_order_of_entries_is_of_no_account(pairs: list[tuple[float, float]], random: Any) -> None:
    shuffled = random.sample(pairs, len(pairs))
    before = [p for p, flag in zip(pairs, on_front(*zip(*pairs, strict=True)), strict=True) if flag]
    after = [p for p, flag in zip(shuffled, on_front(*zip(*shuffled, strict=True)), strict=True) if flag]
    assert sorted(before) == sorted(after)
    assert before, "somebody is always best"


def record(
    model: str, value: float, speed: float | None, *, seed: int = 0, higher: bool = True, **changes: Any
) -> Record:
    cost = changes.pop("cost", Cost(examples_per_s=speed))
    facts = {
        "cell": f"{model}-{seed}", "suite": "s", "run": "r", "model": model, "reference": "p:m", "task": "t",
        "data": "d:d", "kind": "k", "protocol": "as_is", "options": {}, "seed": seed, "status": Status.OK,
        "scores": (Score("accuracy", value, value, value, 10, higher, "wilson"),), "primary": "accuracy",
        "n": 10, "cost": cost,
    }  # fmt: skip
    return Record(**{**facts, **changes})


def on(records: Sequence[Record], cost: str = "seconds") -> set[str]:
    return {model for _, model, _ in pareto_front(Report({}, tuple(records)), cost)}


def test_the_slow_and_worse_one_is_off_the_front() -> None:
    assert on([record("fast", 0.7, 100), record("good", 0.9, 10), record("bad", 0.6, 50)]) == {"fast", "good"}


def test_equals_are_both_on_the_front() -> None:
    assert on([record("a", 0.9, 10), record("b", 0.9, 10)]) == {"a", "b"}


def test_times_that_differ_by_noise_are_no_difference() -> None:
    """The same network twice, a little faster with the labels mixed up: found on the front by a user."""
    assert on([record("right", 0.9, 100), record("wrong", 0.7, 107)]) == {"right"}
    assert on([record("right", 0.9, 100), record("faster", 0.7, 150)]) == {"right", "faster"}
    assert on([record("one", 0.9, 100), record("two", 0.9, 107)]) == {"one", "two"}


def test_sentinels_are_no_candidates() -> None:
    majority = record("majority", 0.5, 1e9, reference="baseline:majority")
    assert on([majority, record("net", 0.9, 100)]) == {"net"}


def test_lower_may_be_better() -> None:
    assert on([record("low", 0.1, 10, higher=False), record("high", 0.9, 10, higher=False)]) == {"low"}


@pytest.mark.parametrize(
    "other",
    [
        record("x", 1.0, 1000, capability="peek"),
        record("x", 1.0, 1000, status=Status.FAILED, scores=(), error="it broke"),
        record("x", math.nan, 1000),
        record("x", 1.0, None),
        record("x", 1.0, 1000, scores=(), primary=""),
    ],
    ids=["peeks", "failed", "undefined", "unknown cost", "no number"],
)
def test_who_takes_no_part(other: Record) -> None:
    assert on([record("honest", 0.5, 10), other]) == {"honest"}


def test_one_seed_that_failed_or_is_undefined_leaves_the_entry_out() -> None:
    failed = record("x", 1.0, 99, seed=1, status=Status.FAILED, scores=())
    assert on([record("x", 1.0, 99), failed]) == set()
    assert on([record("x", 1.0, 99), record("x", math.nan, 99, seed=1)]) == set()


def test_a_point_is_the_mean_over_seeds_and_all_seconds_by_all_examples() -> None:
    two = [record("x", 0.5, 10), record("x", 0.7, 40, seed=1, n=30)]
    (point,) = pareto_points(Report({}, tuple(two)))
    assert point.score == pytest.approx(0.6)
    assert point.cost == pytest.approx((10 / 10 + 30 / 40) / 40)
    assert point.front


def test_tasks_and_protocols_are_told_apart() -> None:
    report = Report({}, (
        record("a", 0.9, 10), record("b", 0.8, 9), record("b", 0.7, 9, task="u"),
        record("a", 0.95, 1, protocol="knn"),
    ))  # fmt: skip
    assert pareto_front(report) == {("t", "a", "as_is"), ("t", "a", "knn"), ("u", "b", "as_is")}


def test_other_costs() -> None:
    small = record("small", 0.8, None, cost=Cost(parameters=10, macs=5, peak_memory_mb=100.0))
    large = record("large", 0.8, None, cost=Cost(parameters=20, macs=2, peak_memory_mb=100.0))
    assert on([small, large], "parameters") == {"small"}
    assert on([small, large], "macs") == {"large"}
    assert on([small, large], "memory") == {"small", "large"}
    assert on([small, large], "seconds") == set()
    with pytest.raises(UsageError, match="no cost 'memori'; did you mean 'memory'"):
        on([small], "memori")


def test_the_cost_table_counts_the_tasks_on_whose_front_one_is(capsys: pytest.CaptureFixture[str]) -> None:
    records = [record("best", 0.9, 10, task=task) for task in "tu"] + [record("bad", 0.1, 5, task="t")]
    render(Report({"status": "finished"}, tuple(records), (), Path()), Console(width=120))
    lines = capsys.readouterr().out.split("cost (")[1].splitlines()
    cells = {line.split("│")[1].strip(): line.split("│")[6].strip() for line in lines if "│" in line}
    assert cells == {"best": "2", "bad": ""}
