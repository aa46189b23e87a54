"""The schedule, through what an executor sees of it."""

from __future__ import annotations

import heapq
import math
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from zlib import crc32

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ptbench.jobs import Job
from ptbench.records import Cell, ModelSpec, TaskSpec
from ptbench.schedule import Schedule


def make(
    name: str,
    own: float,
    *,
    model: str = "m",
    shared: str = "",
    load: float = 0.0,
    features: float = 0.0,
    blocks: int = 1,
    measured: bool = True,
) -> Job:
    cell = Cell("s", ModelSpec(model, f"x:{model}"), TaskSpec(name, "a", f"x:{name}"), "probe")
    return Job(cell, "kind", model, shared, load, features, own, measured, blocks)


def play(
    jobs: Sequence[Job],
    slots: int,
    *,
    split: bool = False,
    lost: Callable[[Job], bool] = lambda job: False,
    pace: Callable[[Job], float] = lambda job: 1.0,
) -> tuple[float, list[tuple[float, float, int, Job, bool]]]:
    """Run jobs that take what they say; return the end, and (start, end, slot, job, lost) of each."""
    schedule = Schedule(jobs, slots, split=split)
    held: dict[int, str] = {}
    done: dict[str, float] = {}
    log: list[tuple[float, float, int, Job, bool]] = []
    events: list[tuple[float, int, int, Job, float, bool]] = []
    free, now = list(range(slots)), 0.0
    while True:
        idle = []
        for slot in sorted(free):
            job = schedule.next(slot)
            if job is None:
                idle.append(slot)
                continue
            divisible = job.shared_seconds if job.shared else job.own_seconds
            left = 1 - done.get(job.shared or job.cell.task.name, 0.0)
            seconds = 0.0 if held.get(slot) == job.model else job.load_seconds
            held[slot] = job.model
            if job.part is not None:
                seconds += divisible / job.part[1]
            else:
                seconds += divisible * left + (job.own_seconds if job.shared else 0.0)
            seconds *= pace(job)
            dies = lost(job)
            log.append((now, now + seconds, slot, job, dies))
            heapq.heappush(events, (now + seconds, len(log), slot, job, seconds, dies))
        if not events:
            assert schedule.over
            assert schedule.remaining() == (0.0, 0.0, 0.0)
            return now, log
        assert not schedule.over
        now, _, slot, job, seconds, dies = heapq.heappop(events)
        if dies:
            held.pop(slot)
        else:
            key = job.shared or job.cell.task.name
            done[key] = 1.0 if job.part is None else done.get(key, 0.0) + 1 / job.part[1]
        schedule.ended(job, seconds, lost=dies)
        free = [slot, *idle]


@st.composite
def some_jobs(draw: st.DrawFn) -> list[Job]:
    jobs = []
    for i in range(draw(st.integers(1, 25))):
        model, task = draw(st.integers(0, 3)), draw(st.integers(0, 2))
        shares = model < 2
        jobs.append(
            make(
                f"{i}",
                draw(st.floats(0, 30)),
                model=f"m{model}",
                shared=f"m{model} t{task}" if shares else "",
                load=float(model),
                features=10.0 * task if shares else 0.0,
                blocks=draw(st.sampled_from([1, 1, 2, 9])) if not shares else 1 + 7 * (task == 2),
                measured=draw(st.booleans()),
            )
        )
    return jobs


@settings(deadline=None, max_examples=100)
@given(some_jobs(), st.integers(1, 9), st.booleans(), st.integers(0, 2**32 - 1))
def test_every_job_is_handed_out_once_and_nothing_that_must_wait(
    jobs: list[Job], slots: int, split: bool, luck: int
) -> None:
    def dies(job: Job) -> bool:
        return luck != 0 and crc32(f"{job.cell.task.name} {job.part} {luck}".encode()) % 7 == 0

    _, log = play(jobs, slots, split=split, lost=dies, pace=lambda job: 1 + (luck + len(job.name)) % 3)
    wholes = [job for *_, job, _ in log if job.part is None]
    assert Counter(id(job.cell) for job in wholes) == Counter(id(job.cell) for job in jobs)
    parts: dict[int, list[tuple[float, Job]]] = {}
    for _, end, _, job, _ in log:
        if job.part is not None:
            assert split
            parts.setdefault(id(job.cell), []).append((end, job))
    starts = {id(job.cell): start for start, _, _, job, _ in log if job.part is None}
    for cell, found in parts.items():
        n = len(found)
        assert sorted(job.part for _, job in found if job.part) == [(k, n) for k in range(n)]
        assert all(2 <= n <= job.blocks for _, job in found)
        assert max(end for end, _ in found) <= starts[cell] + 1e-9
    for shared in {job.shared for job in jobs if job.shared}:
        ran = [(s, e, dead) for s, e, _, job, dead in log if job.shared == shared and job.part is None]
        computed = next((i for i, (_, _, dead) in enumerate(ran) if not dead), len(ran) - 1)
        for before, after in pairwise(ran[: computed + 2]):
            assert before[1] <= after[0] + 1e-9  # until the features are there, one after the other
        assert all(start >= ran[computed][1] - 1e-9 for start, *_ in ran[computed + 1 :])
    busy: dict[int, float] = {}
    for start, end, slot, _, _ in log:
        assert busy.get(slot, 0.0) <= start + 1e-9
        busy[slot] = end


@settings(deadline=None, max_examples=200)
@given(some_jobs(), st.integers(1, 9), st.booleans(), st.integers(0, 2**32 - 1))
def test_whoever_asks_while_no_job_runs_gets_one(jobs: list[Job], slots: int, split: bool, luck: int) -> None:
    """In whatever order slots ask, jobs end, processes die, and slots are never heard of again."""
    schedule = Schedule(jobs, slots, split=split)
    running: dict[int, Job] = {}
    alive = set(range(slots))
    some = random.Random(luck)
    while not schedule.over:
        slot = some.choice(sorted(alive))
        if slot in running:
            job, lost = running.pop(slot), some.random() < 0.3
            schedule.ended(job, some.choice((0.0, 0.01, 6.0, 1e4)), lost=lost)
            if lost and len(alive) > 1 and some.random() < 0.3:
                alive.remove(slot)
            continue
        given = schedule.next(slot)
        assert given is not None or running
        if given is not None:
            running[slot] = given
        if some.random() < 0.1:
            schedule.remaining(some.choice((0.0, 5.0)))
    assert not running
    assert all(schedule.next(slot) is None for slot in range(slots))


def test_jobs_of_which_nothing_is_known_are_spread() -> None:
    schedule = Schedule([make(f"{i}", 0.0, measured=False) for i in range(3)], 3)
    assert None not in [schedule.next(slot) for slot in range(3)]


def test_a_guess_that_is_far_too_low_costs_little_where_the_cell_can_be_split() -> None:
    jobs = [make("big", 5, blocks=64, measured=False)]
    jobs += [make(f"{i}", 10, model=f"n{i}", measured=False) for i in range(12)]
    slow = {"big": 40.0}
    whole, _ = play(jobs, 4, pace=lambda job: slow.get(job.cell.task.name, 1.0))
    span, _ = play(jobs, 4, split=True, pace=lambda job: slow.get(job.cell.task.name, 1.0))
    assert whole >= 200
    assert span < 1.1 * (200 + 120) / 4


def test_seeds_of_a_cell_that_lasts_already_are_begun_early() -> None:
    """What runs and has not ended tells as well: the second seed is as long as the first one is by now."""
    jobs = [make(f"s{i}", 10, model="slow", measured=False) for i in range(2)]
    jobs += [make(f"{i}", 9, model=f"n{i}", measured=False) for i in range(12)]
    span, _ = play(jobs, 4, pace=lambda job: 5.0 if job.model == "slow" else 1.0)
    assert span <= 68


@settings(deadline=None, max_examples=30)
@given(some_jobs(), st.integers(1, 9), st.booleans())
def test_it_is_the_same_each_time(jobs: list[Job], slots: int, split: bool) -> None:
    assert play(jobs, slots, split=split) == play(jobs, slots, split=split)


def test_one_slot_keeps_the_order_with_the_cells_of_a_model_together() -> None:
    jobs = [
        make("a", 1, model="x"),
        make("b", 9, model="y"),
        make("c", 5, model="x"),
        make("d", 1, model="y"),
    ]
    _, log = play(jobs, 1, split=True)
    assert [job.cell.task.name for *_, job, _ in log] == ["a", "c", "b", "d"]


def test_the_longest_come_first() -> None:
    jobs = [make(str(n), n, model=str(n)) for n in (2, 3, 4, 5, 6)]
    span, log = play(jobs, 2)
    assert [job.own_seconds for *_, job, _ in log] == [6, 5, 4, 3, 2]
    assert span == 11  # 6 + 3 + 2 beside 5 + 4


def test_a_slot_stays_with_its_model() -> None:
    jobs = [make(f"{m}{i}", 1, model=m, load=10) for i in range(6) for m in ("x", "y")]
    span, log = play(jobs, 2)
    assert span == 16
    assert {(slot, job.model) for _, _, slot, job, _ in log} == {(0, "x"), (1, "y")}


def test_others_help_with_what_would_last_longer_than_all_else() -> None:
    jobs = [make(f"x{i}", 10, model="x", load=1) for i in range(6)]
    span, log = play(jobs, 3)
    assert span == 21
    assert Counter(slot for _, _, slot, _, _ in log) == {0: 2, 1: 2, 2: 2}


def test_nobody_helps_where_loading_takes_longer() -> None:
    jobs = [make(f"x{i}", 1, model="x", load=100) for i in range(6)] + [make("y", 50, model="y")]
    span, log = play(jobs, 2)
    assert span == 106
    assert {slot for _, _, slot, job, _ in log if job.model == "x"} == {0}


def test_features_are_computed_once_and_the_shortest_computes_them() -> None:
    jobs = [make(str(own), own, shared="f", features=10) for own in (1, 5, 6)]
    span, log = play(jobs, 2)
    assert [(start, job.own_seconds) for start, _, _, job, _ in log] == [(0, 1), (11, 6), (11, 5)]
    assert span == 17


def test_while_features_are_computed_others_do_something_else() -> None:
    jobs = [make(str(own), own, shared="f", features=10) for own in (1, 2)] + [make("z", 4, model="z")]
    _, log = play(jobs, 2)
    assert [(start, slot, job.cell.task.name) for start, _, slot, job, _ in log] == [
        (0, 0, "1"),
        (0, 1, "z"),
        (11, 0, "2"),
    ]


def test_a_cell_that_would_hold_all_others_is_split() -> None:
    jobs = [make("big", 100, load=1, blocks=64), make("small", 10, model="n")]
    whole, _ = play(jobs, 4)
    span, log = play(jobs, 4, split=True)
    assert whole == 101
    assert span < 35  # (100 + 4 + 10) / 4 = 28.5 is what nobody can beat
    assert [job.part for *_, job, _ in log][-1] is None


def test_features_are_split_and_the_rest_is_not() -> None:
    jobs = [make("big", 20, shared="f", features=80, blocks=64)]
    span, log = play(jobs, 4, split=True)
    assert span == 40
    assert all(job.part for *_, job, _ in log[:-1])


def test_what_cannot_be_split_is_not() -> None:
    assert len(play([make("one", 100), make("two", 1)], 4, split=True)[1]) == 2


def test_the_whole_does_what_lost_parts_have_not_done() -> None:
    def dies(job: Job) -> bool:
        return job.part is not None and job.part[0] < 2

    jobs = [make("big", 80, blocks=8)]
    span, log = play(jobs, 4, split=True, lost=dies)
    assert len(log) == 9
    assert span == 40  # two rounds of parts, and two parts again


def test_what_was_to_be_shared_is_computed_again_where_its_process_died() -> None:
    jobs = [make(str(own), own, shared="f", features=10) for own in (1, 2, 3)]
    _, log = play(jobs, 2, lost=lambda job: job.own_seconds == 1)
    assert [(start, end) for start, end, *_ in log] == [(0, 11), (11, 24), (24, 26)]


def test_a_slot_that_asks_no_more_holds_nothing_up() -> None:
    schedule = Schedule([make(f"{i}", 1, load=100) for i in range(5)], 3)
    first = schedule.next(0)
    assert first is not None
    schedule.ended(first, 1.0)  # slot 0 is never heard of again
    for _ in range(4):
        job = schedule.next(1)
        assert job is not None
        schedule.ended(job, 1.0)
    assert schedule.over


def test_the_slot_that_has_the_model_is_left_its_job() -> None:
    others = [make("y", 200, model="y"), make("z", 30, model="z")]
    schedule = Schedule([*(make(f"x{i}", 5, load=50) for i in range(2)), *others], 3)
    _, x, z = (schedule.next(slot) for slot in range(3))
    assert x is not None
    assert z is not None
    assert (x.model, z.model) == ("m", "z")
    schedule.ended(z, 30.0)
    assert schedule.next(2) is None  # slot 1 is done with both in 30 seconds, and loading takes 50
    schedule.ended(x, 55.0)
    assert schedule.next(2) is None  # asked before slot 1, which holds the model
    assert schedule.next(1) is not None


def test_estimates_are_corrected_by_what_was_seen() -> None:
    """Of two models that are thought equal one turns out to be slow: its work weighs more."""
    jobs = [make(f"{m}{i}", 10, model=m, measured=False) for m in "ab" for i in range(10)]
    schedule = Schedule(jobs, 1)
    job = schedule.next(0)
    assert job is not None
    schedule.ended(job, 10.0)
    as_told = schedule.remaining()
    schedule = Schedule(jobs, 1)
    job = schedule.next(0)
    assert job is not None
    schedule.ended(job, 40.0)
    corrected = schedule.remaining()
    assert as_told is not None
    assert corrected is not None
    assert as_told[0] == pytest.approx(190, rel=0.01)
    assert 2 * as_told[0] < corrected[0] < 4 * as_told[0]


def test_measured_times_are_corrected_less() -> None:
    def left(measured: bool) -> float:
        schedule = Schedule([make(str(i), 10, measured=measured) for i in range(10)], 1)
        job = schedule.next(0)
        assert job is not None
        schedule.ended(job, 20.0)
        found = schedule.remaining()
        assert found is not None
        return found[0]

    assert 90 < left(measured=True) < left(measured=False) < 180


def test_nothing_is_known_of_guesses_before_a_job_has_ended() -> None:
    assert Schedule([make("a", 1, measured=False)], 1).remaining() is None


def test_what_remains_is_no_less_than_the_longest_job() -> None:
    jobs = [make("long", 100), *(make(f"{i}", 1, model="n") for i in range(21))]
    schedule = Schedule(jobs, 4)
    given = [schedule.next(slot) for slot in range(4)]
    assert given[1] is not None
    schedule.ended(given[1], 1.0)
    left = schedule.remaining()
    assert left is not None
    estimate, low, high = left
    assert estimate == pytest.approx(99, rel=0.05)
    assert low < estimate < high


def test_time_goes_by_while_nothing_ends() -> None:
    schedule = Schedule([make("a", 100), make("b", 100)], 1)
    schedule.next(0)
    now, later, much_later = (schedule.remaining(since) for since in (0.0, 30.0, 500.0))
    assert now
    assert later
    assert much_later
    assert now[0] == pytest.approx(200, rel=0.01)
    assert later[0] == pytest.approx(170, rel=0.01)
    assert much_later[0] == pytest.approx(
        110, rel=0.01
    )  # the first is overdue, and the second is still to come


def test_the_interval_narrows_where_estimates_are_right_and_holds_the_truth_where_they_are_not() -> None:
    def left(factor: float) -> tuple[float, float, float]:
        schedule = Schedule([make(str(i), 10, measured=False) for i in range(60)], 1)
        for i in range(30):
            job = schedule.next(0)
            assert job is not None
            schedule.ended(job, 10 * factor * (1.5 if i % 2 else 1 / 1.5))
        found = schedule.remaining()
        assert found is not None
        return found

    for factor in (0.2, 1.0, 5.0):
        estimate, low, high = left(factor)
        truth = 300 * factor
        assert low < truth < high
        assert estimate == pytest.approx(truth, rel=0.25)
        assert math.log(high / low) < 1.2


def test_a_job_that_is_not_running_cannot_end() -> None:
    schedule = Schedule([make("a", 1)], 1)
    with pytest.raises(ValueError, match=r"a-probe.* has ended, and was not running"):
        schedule.ended(make("a", 1), 1.0)


def test_a_job_may_come_back_as_another_object() -> None:
    schedule = Schedule([make("a", 1)], 1)
    job = schedule.next(0)
    assert job is not None
    schedule.ended(replace(job), 1.0)
    assert schedule.over


def test_no_jobs_are_over_at_once() -> None:
    schedule = Schedule([], 2)
    assert schedule.over
    assert schedule.next(0) is None


def test_it_works_with_very_many_jobs() -> None:
    models = [ModelSpec(f"m{i}", f"x:m{i}") for i in range(200)]
    task = TaskSpec("t", "a", "x:t")
    jobs = [
        Job(Cell("s", models[i % 200], task, "probe", seed=i), "kind", f"m{i % 200}", "", 1.0, 0.0, i % 7)
        for i in range(10_000)
    ]
    span, log = play(jobs, 8)
    assert len(log) == 10_000
    assert span < 1.01 * (sum(i % 7 for i in range(10_000)) + 200) / 8
