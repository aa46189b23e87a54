"""How a run stands is what its watchers were told, whoever tells it and however often."""

from __future__ import annotations

import threading

from ptbench.records import Status
from ptbench.tracking import Snapshot, Tracker
from tests.running import LOCAL, Clock, cells, ended, event, knows, titles


def test_a_slot_says_what_it_does_and_how_fast() -> None:
    clock, (one, two) = Clock(), cells(2)
    tracker = Tracker(titles([one, two]), clock)
    tracker.run_began(LOCAL, knows(), 0)
    tracker.told(event("started", "cpu:0", one, "#3/8"))
    clock.now += 2
    tracker.told(event("progress", "cpu:0", one, "#3/8", phase="load", memory_mb=100.0))
    clock.now += 1
    tracker.told(event("progress", "cpu:0", one, "#3/8", phase="load", examples=0))
    clock.now += 4
    tracker.told(event("progress", "cpu:0", one, "#3/8", phase="embed", examples=800, memory_mb=200.0))
    first, second = tracker.snapshot().slots
    assert (first.title, first.part, first.phase, first.examples) == (
        "minilm x t0 x as_is",
        "3 of 8",
        "embed",
        800,
    )
    assert (first.per_second, first.memory_mb, first.seconds) == (200.0, 200.0, 7.0)
    assert (second.slot, second.title) == ("cpu:1", "")
    tracker.told(event("progress", "cpu:0", one, "#3/8", phase="predict", examples=800))
    assert tracker.snapshot().slots[0].examples == 0  # of this phase
    tracker.told(event("ended", "cpu:0", two))  # comes late: another job is there by now
    assert tracker.snapshot().slots[0].title
    tracker.told(event("ended", "cpu:0", one, "#3/8"))
    assert not tracker.snapshot().slots[0].title


def test_the_time_left_runs_down_between_two_estimates() -> None:
    clock, (one,) = Clock(), cells(1)
    tracker = Tracker(titles([one]), clock)
    assert tracker.snapshot().left is None
    tracker.run_began(LOCAL, knows(60.0, 45.0, 90.0), 0)
    assert tracker.snapshot().left == (60.0, 45.0, 90.0)
    clock.now += 50
    assert tracker.snapshot().left == (10.0, 0.0, 40.0)


def test_a_schedule_is_asked_by_its_own_thread_alone_and_seldom() -> None:
    asked: list[int] = []

    class Counting:
        def remaining(self, since: float) -> tuple[float, float, float]:
            asked.append(threading.get_ident())
            return 9.0, 9.0, 9.0

    clock, (one,) = Clock(), cells(1)
    tracker = Tracker(titles([one]), clock)
    tracker.run_began(LOCAL, Counting(), 0)  # type: ignore[arg-type]
    other = threading.Thread(target=lambda: tracker.told(event("progress", "cpu:0", one)))
    clock.now += 10
    other.start()
    other.join()
    assert asked == [threading.get_ident()]
    for _ in range(100):
        tracker.told(event("progress", "cpu:0", one))
    assert asked == [threading.get_ident()] * 2


def test_reused_cells_are_told_from_those_that_end_now() -> None:
    of = cells(6)
    tracker = Tracker(titles(of))
    tracker.run_began(LOCAL, knows(), 3)
    reused = [
        tracker.cell_ended(ended(of[0], reused="20261121-101010")),
        tracker.cell_ended(ended(of[1])),  # an earlier call measured it in this very run
        tracker.cell_ended(ended(of[2], Status.FAILED, "x", reused="20261121-101010")),
    ]
    assert reused == [False, False, False]
    assert tracker.cell_ended(ended(of[3], Status.SKIPPED, "y"))
    tracker.told(event("started", "cpu:0", of[4]))
    assert tracker.cell_ended(ended(of[4]))
    assert tracker.cell_ended(ended(of[5], Status.OOM, "too large", advice="less", log="logs/a.log"))
    now = tracker.snapshot()
    assert (now.total, now.ended, now.reused, now.reused_failed, now.bad) == (6, 6, 3, 1, 3)
    assert now.reused_from == ("20261121-101010", "")
    assert now.statuses == {"skipped": 1, "ok": 1, "oom": 1}
    assert [(failed.status, failed.error, failed.log) for failed in now.failures] == [
        ("oom", "too large", "logs/a.log")
    ]


def test_many_threads_may_tell_while_one_looks() -> None:
    of = cells(64)
    tracker = Tracker(titles(of))
    tracker.run_began([], knows(), 0)
    seen: list[Snapshot] = []

    def tell(i: int) -> None:
        for n in range(200):
            tracker.told(event("started", f"cuda:{i}", of[i]))
            tracker.told(event("progress", f"cuda:{i}", of[i], phase="embed", examples=n))
            tracker.told(event("ended", f"cuda:{i}", of[i]))

    threads = [threading.Thread(target=tell, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        seen.append(tracker.snapshot())
    for thread in threads:
        thread.join()
    assert [slot.title for slot in tracker.snapshot().slots] == [""] * 8
    assert all(slot.examples in range(200) for now in seen for slot in now.slots)
