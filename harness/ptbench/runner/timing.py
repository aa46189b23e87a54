"""Where the time of a run went: predicted against actual, idle slots, and the share of the harness."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ptbench.jobs import Event
from ptbench.records import Record, Status
from ptbench.schedule import Schedule
from ptbench.slots import Slot

WORK = ("data", "load", "decode", "model", "fit")
"""Keys of `Record.wall` that any evaluation needs, with a harness or without."""
OWN = ("metrics", "copies", "write")
START, END, OTHER = "start-up and plan", "shut-down", "other"
STARTING = "start"
"""The phase of a job while its slot's process starts."""


@dataclass(slots=True)
class _SlotTime:
    """Where the time of a slot went, seconds."""

    busy: float = 0.0
    """At jobs."""
    starting: float = 0.0
    """Its process was starting; not known better than executors tell of progress."""
    jobs: int = 0
    job: str = ""
    """What it is at."""
    since: float = 0.0
    phase: str = ""


class Timing:
    """A watcher that keeps account of the time of a run.

    ``earlier``: seconds that the command had run before this was made. Wall-clock time is counted once for
    every slot, since each of them waits while nothing but the parent works: shares are of slots x seconds.
    """

    def __init__(self, earlier: float = 0.0, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock, self._earlier, self._made = clock, earlier, clock()
        self._lock = threading.Lock()
        self._began: float | None = None
        self._over: float | None = None
        self._ended: float | None = None
        self._slots: dict[str, _SlotTime] = {}
        self._schedule: Schedule | None = None
        self._home = 0
        """The thread that may ask the schedule."""
        self._looking: float | None = None
        self._predicted: dict[str, float] | None = None
        self._parent: dict[str, float] = defaultdict(float)
        self._walls: dict[str, float] = defaultdict(float)
        self._parts = self._lost = self._longest = self._inspecting = 0.0
        self._cells: dict[str, float] = defaultdict(float)
        """Seconds of whole cells that are not accounted for by a record yet, by cell."""

    def run_began(self, slots: Sequence[Slot], schedule: Schedule, reused: int) -> None:
        """The first job is about to be handed out."""
        self._began, self._schedule = self._clock(), schedule
        self._slots = {slot.name: _SlotTime() for slot in slots}
        self._home = threading.get_ident()
        self._predict()

    def told(self, event: Event) -> None:
        """A job has started, come so far, or ended."""
        if event.what == "warning":
            return
        now = self._clock()
        with self._lock:
            slot = self._slots.setdefault(event.slot, _SlotTime())
            if event.what == "progress":
                if slot.job and slot.phase == STARTING != event.phase:
                    slot.starting += now - slot.since
                    slot.since = now
                slot.phase = event.phase
                return
            self._stop(slot, now)
            if event.what == "started":
                slot.job, slot.since, slot.phase = event.job, now, event.phase
                slot.jobs += 1
                self._cells[event.cell] += 0.0
        if threading.get_ident() == self._home:
            self._predict()

    def cell_ended(self, record: Record) -> None:
        """A cell has ended; one that no job of this run was about is reused, or was skipped."""
        with self._lock:
            if record.cell not in self._cells:
                return
            for name, spent in record.wall.items():
                self._walls[name] += spent
            if record.status is not Status.OK:
                self._lost += max(0.0, self._cells[record.cell] - sum(record.wall.values()))
        self._predict()

    def inspection_started(self, title: str) -> None:
        """A look inside a model begins; that is no part of the account."""
        self._cells_are_over()
        self._looking = self._clock()

    def inspection_ended(self, done: Any) -> None:
        """It has ended."""
        if self._looking is not None:
            self._inspecting += self._clock() - self._looking
        self._looking = None

    @contextmanager
    def mark(self, what: str) -> Iterator[None]:
        """Book the time of the block, in which no slot works any more, under this name."""
        if self._began is not None:
            self._cells_are_over()
        began = self._clock()
        try:
            yield
        finally:
            self._parent[what] += self._clock() - began

    def summary(self) -> dict[str, Any]:
        """Return the account so far, as plain data.

        ``seconds``: of the whole run, but for ``inspections``, which have their own. ``predicted``: what
        ``seconds`` was expected to be when the run began, or ``after`` so many seconds, when that could
        first be said, with its 80 % interval. ``least``: the longest job, or all of them by the number of
        slots: no order of the same jobs had been faster than that. ``slots``: seconds in which each was
        busy, starting, and idle while cells ran, and the last of them as a ``share`` of the run. ``idle``:
        the same over all slots. ``work``: shares of slots x seconds that any evaluation needs: data, load,
        decode, model and fit of the cells measured now, the parts of split cells, what cells that did not
        end well took, and those that were interrupted. ``harness``: what is neither work nor idle.
        ``shares``: what that is made of; they add up to it.
        """
        now = self._clock()
        with self._lock:
            began = now if self._began is None else self._began
            over = now if self._over is None else self._over
            last = over if any(slot.job for slot in self._slots.values()) else min(over, self._ended or over)
            seconds = self._earlier + now - self._made - self._inspecting
            slots = {name: _told(slot, began, last, seconds) for name, slot in self._slots.items()}
            many = max(1, len(slots))
            whole = max(many * seconds, 1e-9)
            busy, idle, starting = (
                sum(s[key] for s in slots.values()) for key in ("busy", "idle", "starting")
            )
            work = {name: self._walls[name] for name in WORK} | {"parts": self._parts, "failed": self._lost}
            work["interrupted"] = sum(max(0.0, last - s.since) for s in self._slots.values() if s.job)
            harness = max(0.0, 1 - (sum(work.values()) + idle) / whole)
            before = many * (self._earlier + began - self._made)
            own = {START: before + starting, **{name: self._walls[name] for name in OWN}}
            own[END] = many * (over - last)
            own |= {name: many * spent for name, spent in self._parent.items()}
            shares = {name: spent / whole for name, spent in own.items()}
            return {
                "seconds": seconds,
                "inspections": self._inspecting,
                "predicted": self._predicted,
                "least": max(self._longest, busy / many),
                "slots": slots,
                "idle": idle / whole,
                "harness": harness,
                "shares": shares | {OTHER: max(0.0, harness - sum(shares.values()))},
                "work": {name: spent / whole for name, spent in work.items()},
            }

    def _stop(self, slot: _SlotTime, now: float) -> None:
        if not slot.job:
            return
        lasted = now - slot.since
        cell, _, part = slot.job.partition("#")
        if part:
            self._parts += lasted
        else:
            self._cells[cell] += lasted
        slot.busy += lasted
        slot.job = ""
        self._ended = now
        self._longest = max(self._longest, lasted)

    def _cells_are_over(self) -> None:
        if self._over is None:
            self._over = self._clock()

    def _predict(self) -> None:
        if self._predicted is None and self._schedule is not None:
            now = self._clock()
            left = self._schedule.remaining(now - (self._ended or self._began or now))
            if left is not None:
                gone = self._earlier + now - self._made
                estimate, low, high = (gone + seconds for seconds in left)
                after = now - (self._began or now)
                self._predicted = {"seconds": estimate, "low": low, "high": high, "after": after}


def _told(slot: _SlotTime, began: float, last: float, seconds: float) -> dict[str, float]:
    busy = slot.busy + (max(0.0, last - slot.since) if slot.job else 0.0)
    idle = max(0.0, last - began - busy - slot.starting)
    share = idle / max(seconds, 1e-9)
    return {"jobs": slot.jobs, "busy": busy, "starting": slot.starting, "idle": idle, "share": share}
