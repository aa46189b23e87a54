"""The executor ``local``: a worker process for each slot of this machine, fed one job at a time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from multiprocessing.connection import wait

from ptbench.failures import Failure
from ptbench.offers import Executor
from ptbench.processes import end_all
from ptbench.records import Record, Status
from ptbench.seats import Room, Seat
from ptbench.workload import Workload

TICK = 0.25
"""Seconds after which deadlines and GPUs are looked at, if no worker says anything before."""


def _local(workload: Workload) -> Iterator[Record]:
    pool = _Pool(workload)
    politely = False
    try:
        yield from pool.records()
        politely = True
    finally:
        pool.end(politely=politely)


class _Pool:
    """All seats. Slots get their next jobs before records are yielded, so that none waits for the journal."""

    def __init__(self, workload: Workload) -> None:
        self.workload = workload
        self.schedule = workload.schedule
        self.room = Room(workload)
        self.seats = [Seat(i, slot, self.room) for i, slot in enumerate(workload.slots)]

    def records(self) -> Iterator[Record]:
        """Yield the record of every whole cell."""
        while True:
            handed = self._hand_out()
            while self.room.finished:
                yield self.room.finished.popleft()
            if any(seat.job is not None for seat in self.seats):
                self._listen()
            elif self.schedule.over:
                return
            elif not handed:
                raise RuntimeError("the schedule has jobs left and hands none out, while none is running")

    def end(self, *, politely: bool) -> None:
        """End all processes."""
        try:
            self.room.neighbours.close()
            end_all([seat.process for seat in self.seats if seat.process is not None], politely=politely)
        finally:
            self.room.guard.close()

    def _hand_out(self) -> bool:
        """Give every free slot its next job; return whether there was one."""
        handed = False
        for seat in self.seats:
            if seat.job is None and not seat.retired and (job := self.schedule.next(seat.number)) is not None:
                seat.begin(job)
                handed = True
        if all(seat.retired for seat in self.seats):
            first = self.seats[0]
            while (job := self.schedule.next(0)) is not None:
                first.job = job
                first.lose(Failure(Status.FAILED, first.retired))
                handed = True
        return handed

    def _listen(self) -> None:
        """Wait until a worker says something, or dies, or for a moment; take note of it."""
        watched = {one: seat for seat in self.seats if seat.process for one in seat.process.watched}
        heard = wait(watched, self._patience())
        for seat in {watched[one].number: watched[one] for one in heard}.values():  # type: ignore[index]
            seat.hear()
        for seat in self.seats:
            if seat.process is not None and not heard and not seat.process.alive:
                seat.hear()
            if seat.job is not None:
                seat.look_beside()
                seat.look_at_the_clock()

    def _patience(self) -> float:
        if self.workload.timeout is None:
            return TICK
        now = time.monotonic()
        left = [seat.began + self.workload.timeout - now for seat in self.seats if seat.job is not None]
        return max(0.0, min([TICK, *left]))


LOCAL = Executor(
    name="local",
    description="A worker process for each slot of this machine, kept alive from cell to cell.",
    run=_local,
    splits=True,
    offline=True,
)
