"""Where the time of a run went: known answers, and shares that add up."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptbench.cli.timingtable import timing_lines
from ptbench.records import Status
from ptbench.runner.timing import Timing
from tests.running import LOCAL, Clock, cells, ended, event, knows

WALL = {"data": 1.0, "load": 2.0, "decode": 1.0, "model": 4.0, "fit": 1.0, "copies": 0.2, "metrics": 0.5,
        "write": 0.2, "other": 0.1}  # fmt: skip


def test_the_account_of_two_slots() -> None:
    clock, of = Clock(), cells(3)
    timing = Timing(earlier=1.0, clock=clock)
    clock.now += 1  # planning
    timing.run_began(LOCAL, knows(20.0, 15.0, 30.0), 1)
    timing.cell_ended(ended(of[2], reused="20261121-101010", wall={"model": 1000.0}))
    for slot, cell, part in (("cpu:0", of[0], ""), ("cpu:1", of[1], "#1/2")):
        timing.told(event("started", slot, cell, part, phase="start"))
    clock.now += 1  # their processes start
    for slot, cell, part in (("cpu:0", of[0], ""), ("cpu:1", of[1], "#1/2")):
        timing.told(event("progress", slot, cell, part, phase="load"))
    clock.now += 5
    timing.told(event("ended", "cpu:1", of[1], "#1/2"))
    clock.now += 5
    timing.told(event("ended", "cpu:0", of[0]))
    timing.cell_ended(ended(of[0], wall=WALL))
    clock.now += 1  # and end
    with timing.mark("standings"):
        clock.now += 2
    with timing.mark("reports"):
        clock.now += 1
    told = timing.summary()
    assert told["seconds"] == 17
    assert told["predicted"] == {"seconds": 22, "low": 17, "high": 32, "after": 0}
    assert told["least"] == 10
    assert told["slots"] == {
        "cpu:0": {"jobs": 1, "busy": 10, "starting": 1, "idle": 0, "share": 0},
        "cpu:1": {"jobs": 1, "busy": 5, "starting": 1, "idle": 5, "share": pytest.approx(5 / 17)},
    }
    assert told["idle"] == pytest.approx(5 / 34)
    assert told["harness"] == pytest.approx(1 - (9 + 5 + 5) / 34)
    assert told["shares"] == {
        "start-up and plan": pytest.approx((2 * 2 + 2 * 1) / 34),
        "metrics": pytest.approx(0.5 / 34),
        "copies": pytest.approx(0.2 / 34),
        "write": pytest.approx(0.2 / 34),
        "shut-down": pytest.approx(2 / 34),
        "standings": pytest.approx(4 / 34),
        "reports": pytest.approx(2 / 34),
        "other": pytest.approx(0.1 / 34),
    }
    assert json.loads(json.dumps(told)) == told
    (first, second) = (line.plain for line in timing_lines(told))
    assert first.startswith(
        "took 17 s (predicted 22 s); slots idle 15 %; harness 44 %: start-up and plan 18 %, "
    )
    assert second == "idle by slot: cpu:0 0 % of 1 job, cpu:1 29 % of 1 job"


def test_a_cell_that_crashes_is_no_work_of_the_harness() -> None:
    clock, (one,) = Clock(), cells(1)
    timing = Timing(clock=clock)
    timing.run_began(LOCAL[:1], knows(), 0)
    timing.told(event("started", "cpu:0", one))
    clock.now += 3
    timing.told(event("ended", "cpu:0", one))
    timing.cell_ended(ended(one, Status.CRASHED, "signal 11", wall={}))
    told = timing.summary()
    assert told["harness"] == 0
    assert told["work"]["failed"] == 1


def test_what_was_expected_may_be_known_only_later() -> None:
    clock, (one, two) = Clock(), cells(2)
    timing, schedule = Timing(clock=clock), knows()
    timing.run_began(LOCAL[:1], schedule, 0)
    timing.told(event("started", "cpu:0", one))
    clock.now += 10
    assert timing.summary()["predicted"] is None
    schedule.left = (30.0, 20.0, 40.0)  # type: ignore[attr-defined]
    timing.told(event("ended", "cpu:0", one))
    timing.cell_ended(ended(one))
    clock.now += 20
    schedule.left = (1.0, 1.0, 1.0)  # type: ignore[attr-defined]
    timing.cell_ended(ended(two))
    assert timing.summary()["predicted"] == {"seconds": 40, "low": 30, "high": 50, "after": 10}
    assert "(predicted after 10 s: 40 s)" in next(iter(timing_lines(timing.summary()))).plain


def test_looking_into_models_is_no_part_of_the_account() -> None:
    clock, (one,) = Clock(), cells(1)
    timing = Timing(clock=clock)
    timing.run_began(LOCAL[:1], knows(), 0)
    timing.told(event("started", "cpu:0", one))
    clock.now += 3.2
    timing.told(event("ended", "cpu:0", one))
    timing.cell_ended(ended(one))
    timing.inspection_started("minilm")
    clock.now += 100
    timing.inspection_ended(None)
    told = timing.summary()
    assert told["seconds"] == pytest.approx(3.2)
    assert told["inspections"] == pytest.approx(100)
    assert next(iter(timing_lines(told))).plain.startswith(
        "took 3.2 s and inspections 1 min 40 s; slots idle"
    )
    assert told["idle"] == 0
    assert told["harness"] == pytest.approx(0.2 / 3.2)


def test_a_run_in_which_all_is_reused_says_how_long_it_took() -> None:
    clock = Clock()
    timing = Timing(clock=clock)
    timing.run_began(LOCAL, knows(), 40)
    clock.now += 1.5
    assert [line.plain for line in timing_lines(timing.summary())] == ["took 1.5 s"]


def test_a_run_that_is_interrupted_counts_what_was_at_work() -> None:
    clock, (one,) = Clock(), cells(1)
    timing = Timing(clock=clock)
    assert timing.summary()["seconds"] == 0
    timing.run_began(LOCAL[:1], knows(), 0)
    timing.told(event("started", "cpu:0", one))
    clock.now += 4
    assert timing.summary()["slots"]["cpu:0"]["busy"] == 4


@pytest.mark.parametrize(
    "timing", [None, 3, {}, {"slots": {}}, {"slots": {"a": {}}, "seconds": 1}, {"slots": 3}]
)
def test_an_account_that_is_not_understood_is_left_out(timing: object) -> None:
    assert list(timing_lines(timing)) == []


@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.floats(0.01, 100), st.floats(0, 1), st.booleans()),
        min_size=1,
        max_size=30,
    )
)
def test_shares_add_up_and_stay_between_0_and_1(jobs: list[tuple[int, float, float, bool]]) -> None:
    """Jobs on three slots, one after another on each; some end badly."""
    clock = Clock()
    timing = Timing(clock=clock)
    slots = (*LOCAL, LOCAL[0].__class__("cpu:2"))
    clock.now += 0.5
    timing.run_began(slots, knows(), 0)
    of = cells(len(jobs))
    moments: list[tuple[float, int, int]] = []
    free = [clock.now] * 3
    for i, (slot, lasts, _, _) in enumerate(jobs):
        moments += [(free[slot], 1, i), (free[slot] + lasts, 0, i)]
        free[slot] += lasts
    for moment, start, i in sorted(moments, key=lambda one: (one[0], one[1])):
        clock.now = moment
        slot, lasts, share, good = jobs[i]
        timing.told(event("started" if start else "ended", slots[slot].name, of[i]))
        if not start:
            wall = {"model": lasts * share, "metrics": lasts * (1 - share)}
            timing.cell_ended(ended(of[i], Status.OK if good else Status.CRASHED, wall=wall if good else {}))
    with timing.mark("standings"):
        clock.now += 0.25
    told = timing.summary()
    assert sum(told["shares"].values()) == pytest.approx(told["harness"])
    assert sum(told["work"].values()) + told["harness"] + told["idle"] == pytest.approx(1)
    assert all(0 <= share <= 1 for share in (*told["shares"].values(), *told["work"].values(), told["idle"]))
    assert told["shares"]["other"] == pytest.approx(0, abs=1e-6)
    assert told["least"] <= told["seconds"]


def test_what_an_interruption_cut_short_is_no_work_of_the_harness() -> None:
    clock, (one, _) = Clock(), cells(2)
    timing = Timing(clock=clock)
    timing.run_began(LOCAL[:1], knows(20.0, 15.0, 30.0), 0)
    timing.told(event("started", "cpu:0", one))
    clock.now += 9
    with timing.mark("standings"):
        clock.now += 1
    told = timing.summary()
    assert told["work"]["interrupted"] == pytest.approx(0.9)
    assert told["harness"] == pytest.approx(0.1)
