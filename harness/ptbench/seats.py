"""A slot of this machine with the worker process that sits there, and the job that it has in hand."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Literal

from ptbench.answers import UNSTARTED, Answer, lost_record
from ptbench.deaths import OomKills, death, log_end, overdue
from ptbench.errors import one_line
from ptbench.failures import Failure
from ptbench.jobs import Event, Job
from ptbench.neighbours import Neighbours
from ptbench.processes import Guard, Process, UnreadableError
from ptbench.records import Record, Status
from ptbench.slots import Slot
from ptbench.workload import Workload

CLOSING = 1.0
"""Seconds within which a process that closed its pipe has to be dead."""


class Room:
    """What the seats of a workload share. `finished` are records on their way out."""

    def __init__(self, workload: Workload) -> None:
        self.workload = workload
        self.finished: deque[Record] = deque()
        self.sessions: set[int] = set()
        self.guard = Guard()
        self.neighbours = Neighbours(workload.slots, self.sessions)
        self._kills, self._counted = OomKills.now(), time.monotonic()

    def kills(self) -> OomKills:
        """Return how often the kernel killed for want of memory until now, or a second ago."""
        if time.monotonic() - self._counted > 1:
            self._kills, self._counted = OomKills.now(), time.monotonic()
        return self._kills


@dataclass
class Seat:
    """A slot, its process, and what that does."""

    number: int
    slot: Slot
    room: Room
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

    def begin(self, job: Job) -> None:
        """Give it a job, and a process where it has none."""
        self.job, self.began, self.started = job, time.monotonic(), _now()
        self.phase, self.kills, self.beside = "", self.room.kills(), {}
        self._tell("started", "" if self.ready else "start")
        if self.process is not None and not self.process.alive:  # it died while it had nothing to do
            self._bury()
        if self.process is None:
            try:
                self.process = Process(self.slot, self.room.workload.worker, self.room.guard)
            except OSError as error:  # no more processes, files or memory
                self._retire(one_line(error))
                return
            self.room.sessions.add(self.process.pid)
        else:
            self.process.give(job)
        self.look_beside()

    def hear(self) -> None:
        """Take note of what its process says, and of its death."""
        process = self.process
        assert process is not None
        dead = not process.alive  # asked first: what it said before it died is still heard
        try:
            while self.process is process and (message := process.receive()) is not None:
                self._take(process, *message)
        except EOFError:
            dead = True
        except UnreadableError as error:
            self.lose(Failure(Status.FAILED, f"its record cannot be read: {error}"))
            self._bury()
        if dead and self.process is process:
            self._died(process)

    def look_at_the_clock(self) -> None:
        """End a job that takes longer than it may."""
        limit = self.room.workload.timeout
        if limit is None or self.job is None or time.monotonic() - self.began < limit:
            return
        assert self.process is not None
        if not self.ready:
            self._retire(f"it was not ready after {limit:g} s")
            return
        self.process.ask_where()
        self._bury()
        self.lose(overdue(limit, self.phase))

    def look_beside(self) -> None:
        """Take note of processes of others on its GPUs."""
        for user, new in self.room.neighbours.beside(self.slot):
            self.beside[user.pid] = f"another process ({user}) was on the GPU: times are too long"
            if new:
                text = f"another process ({user}) is on the GPU of slot {self.slot.name}"
                self._warn(f"{text}: cells that run beside it are marked")

    def lose(self, failure: Failure) -> None:
        """The job has no answer of its own: make its record."""
        if self.job is not None:
            facts = {"started": self.started or _now()}
            record = lost_record(self.job, self.room.workload.worker, self.slot.name, failure, **facts)
            self._ended(Answer(record, time.monotonic() - self.began, lost=True))

    def _take(self, process: Process, what: str, *more: object) -> None:
        match what, more:
            case "ready", ():
                self.ready, self.began = True, time.monotonic()
                if self.job is not None:
                    process.give(self.job)
            case "broken", (str(why),):
                self._retire(why)
            case "warning", (str(text),):
                self._warn(text)
            case "progress", (str(phase), int(examples), float() | None as memory) if self.job is not None:
                self.phase = phase
                on_gpu = self.room.neighbours.memory_mb(process.pid)
                self._tell("progress", phase, examples, memory if on_gpu is None else on_gpu)
            case "done", (Answer() as answer,):
                self._ended(answer)
                if answer.spent:
                    self._bury()

    def _ended(self, answer: Answer) -> None:
        """A job has ended. Nobody waits for its record: the slot is free."""
        assert self.job is not None
        self.look_beside()
        self._tell("ended")
        job, self.job = self.job, None
        self.room.workload.schedule.ended(job, answer.seconds, lost=answer.lost)
        if answer.record is not None:
            notes = (*answer.record.notes, *self.beside.values())
            self.room.finished.append(replace(answer.record, notes=notes))

    def _died(self, process: Process) -> None:
        closed = time.monotonic()
        while process.alive and time.monotonic() - closed < CLOSING:
            time.sleep(0.001)
        deaf, ready, said = process.alive, self.ready, process.said()
        code = self._bury()
        starved = OomKills.now().since(self.kills)
        if not ready:
            self._retire(death(code, said, starved=starved).error)
        elif deaf:
            self.lose(Failure(Status.CRASHED, "its process closed the pipe to the run and went on"))
        elif self.job is not None:
            log = log_end(self.room.workload.folder / self.job.cell.log)
            self.lose(death(code, log, starved=starved))

    def _retire(self, why: str) -> None:
        """A process could not be started: its job has failed, and the slot is used no more."""
        self.retired = f"{UNSTARTED}: {why}"
        self._warn(f"slot {self.slot.name} is left out: {self.retired}")
        self.lose(Failure(Status.FAILED, self.retired))
        if self.process is not None:
            self._bury()

    def _bury(self) -> int:
        """End what is left of its process; the next job gets a new one."""
        assert self.process is not None
        code = self.process.bury()
        self.room.sessions.discard(self.process.pid)
        self.process, self.ready = None, False
        return code

    def _tell(
        self,
        what: Literal["started", "progress", "ended"],
        phase: str = "",
        examples: int = 0,
        memory: float | None = None,
    ) -> None:
        assert self.job is not None
        job = self.job
        self.room.workload.tell(Event(what, self.slot.name, job.name, job.cell.id, phase, examples, memory))

    def _warn(self, text: str) -> None:
        told = ("", "") if self.job is None else (self.job.name, self.job.cell.id)
        self.room.workload.tell(Event("warning", self.slot.name, *told, text=text))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
