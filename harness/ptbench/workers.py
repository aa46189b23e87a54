"""The executor ``local``: a worker process for each slot of this machine, fed one job at a time."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from multiprocessing.connection import wait
from typing import Literal

from ptbench.deaths import OomKills, death, log_end
from ptbench.errors import one_line
from ptbench.failures import Failure, new_record
from ptbench.jobs import Event, Job
from ptbench.neighbours import Neighbours
from ptbench.offers import Executor
from ptbench.processes import Guard, Process, UnreadableError, end_all
from ptbench.records import Record, Status
from ptbench.slots import Slot
from ptbench.workload import Workload

TICK = 0.25
"""Seconds after which deadlines and GPUs are looked at, if no worker says anything before."""
CLOSING = 1.0
"""Seconds within which a process that closed its pipe has to be dead."""


@dataclass
class _Seat:
    """A slot, its process, and what that does."""

    number: int
    slot: Slot
    process: Process | None = None
    ready: bool = False
    retired: str = ""
    """Why no process can be started here."""
    job: Job | None = None
    began: float = 0.0
    started: str = ""
    phase: str = ""
    kills: OomKills = field(default_factory=OomKills)
    beside: dict[int, str] = field(default_factory=dict)
    """Processes of others that were on its GPUs while the job ran, by number."""


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
        self.seats = [_Seat(i, slot) for i, slot in enumerate(workload.slots)]
        self.sessions: set[int] = set()
        self.finished: deque[Record] = deque()
        self.guard = Guard()
        self.neighbours = Neighbours(workload.slots, self.sessions)
        self.kills, self.counted = OomKills.now(), time.monotonic()

    def records(self) -> Iterator[Record]:
        """Yield the record of every whole cell."""
        while True:
            handed = self._hand_out()
            while self.finished:
                yield self.finished.popleft()
            if any(seat.job is not None for seat in self.seats):
                self._listen()
            elif self.schedule.over:
                return
            elif not handed:
                raise RuntimeError("the schedule has jobs left and hands none out, while none is running")

    def end(self, *, politely: bool) -> None:
        """End all processes."""
        try:
            self.neighbours.close()
            end_all([seat.process for seat in self.seats if seat.process is not None], politely=politely)
        finally:
            self.guard.close()

    def _hand_out(self) -> bool:
        """Give every free slot its next job; return whether there was one."""
        handed = False
        for seat in self.seats:
            if seat.job is None and not seat.retired and (job := self.schedule.next(seat.number)) is not None:
                self._begin(seat, job)
                handed = True
        if all(seat.retired for seat in self.seats):
            while (job := self.schedule.next(0)) is not None:
                self.seats[0].job = job
                self._lost(self.seats[0], Failure(Status.FAILED, self.seats[0].retired))
                handed = True
        return handed

    def _begin(self, seat: _Seat, job: Job) -> None:
        if time.monotonic() - self.counted > 1:
            self.kills, self.counted = OomKills.now(), time.monotonic()
        seat.job, seat.began, seat.started = job, time.monotonic(), _now()
        seat.phase, seat.kills, seat.beside = "", self.kills, {}
        self._tell(seat, "started", "" if seat.ready else "start")
        if seat.process is not None and not seat.process.alive:  # it died while it had nothing to do
            self._bury(seat)
        if seat.process is None:
            try:
                seat.process = Process(seat.slot, self.workload.worker, self.guard)
            except OSError as error:  # no more processes, files or memory
                self._retire(seat, one_line(error))
                return
            self.sessions.add(seat.process.pid)
        else:
            seat.process.give(job)
        self._look_beside(seat)

    def _listen(self) -> None:
        """Wait until a worker says something, or dies, or for a moment; take note of it."""
        watched = {one: seat for seat in self.seats if seat.process for one in seat.process.watched}
        heard = wait(watched, self._patience())
        for seat in {watched[one].number: watched[one] for one in heard}.values():  # type: ignore[index]
            self._hear(seat)
        for seat in self.seats:
            if seat.process is not None and not heard and not seat.process.alive:
                self._hear(seat)
            if seat.job is not None:
                self._look_beside(seat)
                self._look_at_the_clock(seat)

    def _patience(self) -> float:
        if self.workload.timeout is None:
            return TICK
        now = time.monotonic()
        left = [seat.began + self.workload.timeout - now for seat in self.seats if seat.job is not None]
        return max(0.0, min([TICK, *left]))

    def _hear(self, seat: _Seat) -> None:
        process = seat.process
        assert process is not None
        dead = not process.alive  # asked first: what it said before it died is still heard
        try:
            while seat.process is process and (message := process.receive()) is not None:
                self._take(seat, process, *message)
        except EOFError:
            dead = True
        except UnreadableError as error:
            self._lost(seat, Failure(Status.FAILED, f"its record cannot be read: {error}"))
            self._bury(seat)
        if dead and seat.process is process:
            self._died(seat, process)

    def _take(self, seat: _Seat, process: Process, what: str, *more: object) -> None:
        match what, more:
            case "ready", ():
                seat.ready, seat.began = True, time.monotonic()
                if seat.job is not None:
                    process.give(seat.job)
            case "broken", (str(why),):
                self._retire(seat, why)
            case "warning", (str(text),):
                self._warn(seat, text)
            case "progress", (str(phase), int(examples), float() | None as memory) if seat.job is not None:
                seat.phase = phase
                on_gpu = self.neighbours.memory_mb(process.pid)
                self._tell(seat, "progress", phase, examples, memory if on_gpu is None else on_gpu)
            case "done", (record, float(seconds), bool(lost), bool(poisoned)):
                assert record is None or isinstance(record, Record)
                self._ended(seat, record, seconds, lost=lost or poisoned)
                if poisoned:
                    self._bury(seat)

    def _ended(self, seat: _Seat, record: Record | None, seconds: float, *, lost: bool) -> None:
        """A job has ended. Nobody waits for its record: the slot is free."""
        assert seat.job is not None
        self._look_beside(seat)
        self._tell(seat, "ended")
        job, seat.job = seat.job, None
        self.schedule.ended(job, seconds, lost=lost)
        if record is not None and job.part is None:
            notes = (*record.notes, *seat.beside.values())
            self.finished.append(replace(record, slot=seat.slot.name, notes=notes))

    def _lost(self, seat: _Seat, failure: Failure) -> None:
        """The job has no answer of its own: make its record."""
        job = seat.job
        if job is None:
            return
        facts = {
            "kind": job.kind,
            "advice": failure.advice,
            "log": self._log(job),
            "started": seat.started or _now(),
        }
        record = new_record(job.cell, self.workload.worker.run, failure.status, failure.error, **facts)
        self._ended(seat, record, time.monotonic() - seat.began, lost=True)

    def _log(self, job: Job) -> str:
        """Return the log that a job left, and remove it if it has no word."""
        name = job.cell.log
        path = self.workload.folder / name
        if log_end(path):
            return name
        with suppress(OSError):
            path.unlink()
        return ""

    def _died(self, seat: _Seat, process: Process) -> None:
        closed = time.monotonic()
        while process.alive and time.monotonic() - closed < CLOSING:
            time.sleep(0.001)
        deaf, ready, said = process.alive, seat.ready, process.said()
        code = self._bury(seat)
        if not ready:
            self._retire(seat, death(code, said, starved=OomKills.now().since(self.kills)).error)
        elif deaf:
            self._lost(seat, Failure(Status.CRASHED, "its process closed the pipe to the run and went on"))
        elif seat.job is not None:
            log = log_end(self.workload.folder / seat.job.cell.log)
            self._lost(seat, death(code, log, starved=OomKills.now().since(seat.kills)))

    def _retire(self, seat: _Seat, why: str) -> None:
        """A process could not be started: its job has failed, and the slot is used no more."""
        seat.retired = f"no worker could be started: {why}"
        self._warn(seat, f"slot {seat.slot.name} is left out: {seat.retired}")
        self._lost(seat, Failure(Status.FAILED, seat.retired))
        if seat.process is not None:
            self._bury(seat)

    def _look_at_the_clock(self, seat: _Seat) -> None:
        limit = self.workload.timeout
        if limit is None or time.monotonic() - seat.began < limit:
            return
        assert seat.process is not None
        if not seat.ready:
            self._retire(seat, f"it was not ready after {limit:g} s")
            return
        seat.process.ask_where()
        self._bury(seat)
        where = f", it was in phase '{seat.phase}'" if seat.phase else ""
        advice = "give it more time, or fewer rows (limit); the end of the log shows what it was doing"
        self._lost(
            seat, Failure(Status.TIMEOUT, f"ended after {limit:g} s, the most a cell may take{where}", advice)
        )

    def _bury(self, seat: _Seat) -> int:
        """End what is left of a seat's process; the next job gets a new one."""
        assert seat.process is not None
        code = seat.process.bury()
        self.sessions.discard(seat.process.pid)
        seat.process, seat.ready = None, False
        return code

    def _look_beside(self, seat: _Seat) -> None:
        """Take note of processes of others on the GPUs of a seat."""
        for user, new in self.neighbours.beside(seat.slot):
            seat.beside[user.pid] = f"another process ({user}) was on the GPU: times are too long"
            if new:
                text = f"another process ({user}) is on the GPU of slot {seat.slot.name}"
                self._warn(seat, f"{text}: cells that run beside it are marked")

    def _tell(
        self,
        seat: _Seat,
        what: Literal["started", "progress", "ended"],
        phase: str = "",
        examples: int = 0,
        memory: float | None = None,
    ) -> None:
        assert seat.job is not None
        job = seat.job
        self.workload.tell(Event(what, seat.slot.name, job.name, job.cell.id, phase, examples, memory))

    def _warn(self, seat: _Seat, text: str) -> None:
        job = seat.job
        told = ("", "") if job is None else (job.name, job.cell.id)
        self.workload.tell(Event("warning", seat.slot.name, *told, text=text))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


LOCAL = Executor(
    name="local",
    description="A worker process for each slot of this machine, kept alive from cell to cell.",
    run=_local,
    splits=True,
)
