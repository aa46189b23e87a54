"""The loop: every slot has an actor, every free actor gets a job, whatever dies is replaced."""

from __future__ import annotations

import secrets
import time
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import ray
from ray.exceptions import RayActorError, RayError, RayTaskError

from ptbench import (
    Answer,
    Event,
    Failure,
    PtbenchError,
    Record,
    Status,
    UsageError,
    Workload,
    installed_versions,
    overdue,
)
from ptbench_ray import cluster
from ptbench_ray.actor import Glimpse, Parcel, Whereabouts
from ptbench_ray.homecoming import bring_home
from ptbench_ray.losses import Losses, failure_of_loss
from ptbench_ray.seats import Seat, arrived
from ptbench_ray.versions import differences

TICK = 0.5
"""Seconds between two looks at how far the workers have come."""
LATE = 10.0
"""Seconds that the first job waits for slots without room, once another is ready."""
STARTS = 3
"""Actors of a slot that may die in a row without a job, until the slot is given up."""


def run(workload: Workload) -> Iterator[Record]:
    """Evaluate the jobs of a workload by actors; see `ptbench.Executor`."""
    if workload.schedule.over:
        return
    with cluster.connected(workload.options.get("address"), workload.slots) as root:
        pool = Pool(workload, root)
        try:
            yield from pool.records()
        finally:
            pool.close()


class Pool:
    """The actors of a workload."""

    def __init__(self, workload: Workload, root: str | None) -> None:
        """``root``: the folder of a Ray of our own, whose slots pin their GPUs themselves."""
        self.workload = workload
        self.host = cluster.home()
        token = secrets.token_hex(4)
        self.seats = [Seat(i, slot, root, token) for i, slot in enumerate(workload.slots)]
        self.losses = Losses(cluster.own_node())
        self.wait = float(workload.options["wait"])
        self.begun = False
        self.given_up = ""
        self.refused: PtbenchError | None = None
        self.finished: deque[Record] = deque()
        """Records on their way out: first the slots get their next jobs, and none waits for the journal."""
        self.looked = self.moved = time.monotonic()

    def records(self) -> Iterator[Record]:
        """Yield the record of every job."""
        for seat in self.seats:
            seat.hire()
        while not self.workload.schedule.over or self.losses:
            self._await()
            self._answers()
            self._end_overdue()
            self._look()
            if self._may_begin():
                self._hand_out()
            self._mourn()
            while self.finished:
                yield self.finished.popleft()
            if self.refused is not None:
                raise self.refused

    def close(self) -> None:
        """End every actor, whatever it does."""
        for seat in self.seats:
            seat.dismiss()

    def _may_begin(self) -> bool:
        """Wait with the first job until all have told their versions, but not long for those without room."""
        if not self.begun and any(seat.free for seat in self.seats):
            pending = any(seat.doing for seat in self.seats)
            self.begun = not pending or time.monotonic() - self.moved > LATE
        return self.begun and self.refused is None

    def _hand_out(self) -> None:
        for seat in self.seats:
            job = self.workload.schedule.next(seat.index) if seat.free else None
            if job is not None:
                seat.start(job, self.host)
                self.workload.tell(Event("started", seat.slot.name, job.name, job.cell.id))

    def _await(self) -> None:
        """Wait until anything has come, or it is time to look."""
        awaited = [*(seat.awaited for seat in self.seats if seat.doing), *self.losses.awaited()]
        left = max(0.0, self.looked + TICK - time.monotonic())
        if not awaited:
            time.sleep(min(left, TICK / 10))
        elif ray.wait(awaited, num_returns=1, timeout=left)[0]:
            self.moved = time.monotonic()
        here = [seat for seat in self.seats if seat.actor is not None]
        homeless = bool(here) and all(seat.doing == "come" for seat in here)
        if homeless and time.monotonic() - self.moved > self.wait:
            slot = here[0].slot
            self.refused = (PtbenchError if self.begun else UsageError)(
                f"no worker came up in the Ray cluster for {self.wait:g} s: a slot needs {slot.threads} CPUs "
                f"and {len(slot.gpus)} GPUs on one node, and {cluster.room()}"
            )

    def _answers(self) -> None:
        """Go on with every slot whose answer is there."""
        busy = [seat for seat in self.seats if seat.doing]
        there = arrived([seat.awaited for seat in busy])
        for seat in (seat for seat in busy if seat.awaited in there):
            try:
                answer = ray.get(seat.awaited)
            except RayTaskError as error:  # of ptbench itself, or of what was sent: the actor lives
                cause = f"{type(error.cause).__name__}: {' '.join(str(error.cause).split())}"
                if seat.doing != "evaluate":
                    self._give_up(seat, f"its worker cannot start: {cause}")
                else:
                    failure = Failure(Status.FAILED, cause)
                    record = seat.record(failure, self.workload.worker.run)
                    self._ended(seat, Parcel(Answer(record, seat.seconds, lost=True)))
            except RayError as error:
                self._lost(seat, failure_of_loss(error, seat.host))
            else:
                self._go_on(seat, answer)

    def _go_on(self, seat: Seat, answer: Any) -> None:
        match seat.doing:
            case "come":
                self._check_versions(answer)
                seat.prepare(answer, self.workload.worker)
            case "prepare" if answer:
                self._give_up(seat, f"its worker cannot start: {answer}")
            case "prepare":
                seat.doing, seat.awaited = "", None
            case "evaluate":
                self._ended(seat, answer)

    def _check_versions(self, where: Whereabouts) -> None:
        found = differences(self.workload.versions or installed_versions(), where.versions)
        if found:
            self.refused = UsageError(
                f"node {where.host} has other versions than this machine, {self.host}: {found}; "
                "install the same ones on both"
            )

    def _ended(self, seat: Seat, parcel: Parcel) -> None:
        """Bring home what a job wrote, and free its slot."""
        job, seconds, answer = seat.job, seat.seconds, parcel.answer
        assert job is not None
        seat.rest()
        record = None if answer.record is None else self._kept(answer.record, parcel.files)
        for text in answer.warnings:
            self.workload.tell(Event("warning", seat.slot.name, job.name, job.cell.id, text=text))
        if answer.spent:
            seat.dismiss()
            seat.hire()
        self.workload.schedule.ended(job, seconds, lost=answer.lost)
        self.workload.tell(Event("ended", seat.slot.name, job.name, job.cell.id))
        if record is not None:
            self.finished.append(record)

    def _kept(self, record: Record, files: Mapping[str, bytes]) -> Record:
        """Write the files of a record into the folder of the run; return the record, or why it cannot be."""
        try:
            bring_home(self.workload.folder, files)
        except (PtbenchError, OSError) as error:
            text = f"its files could not be written here: {' '.join(str(error).split())}"
            return replace(record, status=Status.FAILED, error=text, scores=(), files=(), log="")
        return record

    def _end_overdue(self) -> None:
        limit = self.workload.timeout
        for seat in self.seats:
            if limit is not None and seat.doing == "evaluate" and seat.seconds > limit:
                seat.stop()
                self._lost(seat, overdue(limit, seat.phase))

    def _lost(self, seat: Seat, failure: Failure) -> None:
        """Replace an actor that is gone; the record of its job comes with the log that it left."""
        job = seat.job
        seat.lost += 1
        if job is not None:
            seat.lost = 0
            if job.part is None:
                assert seat.where is not None  # it had a job
                self.losses.add(seat.record(failure, self.workload.worker.run), job, seat.where)
            self.workload.schedule.ended(job, seat.seconds, lost=True)
            self.workload.tell(Event("ended", seat.slot.name, job.name, job.cell.id))
        seat.dismiss()
        if seat.lost < STARTS:
            seat.hire()
        else:
            self._give_up(seat, f"its worker died {STARTS} times before a job: {failure.error}")

    def _give_up(self, seat: Seat, why: str) -> None:
        """Do without a slot from now on."""
        seat.dismiss()
        self.given_up = f"slot {seat.slot.name} is left out: {why}"
        self.workload.tell(Event("warning", seat.slot.name, text=self.given_up))

    def _mourn(self) -> None:
        """Let go of the records of lost jobs, with their logs; where no slot is left, all jobs are lost."""
        for record, log in self.losses.ready():
            self.finished.append(self._kept(record, {record.log: log} if log else {}))
        if any(seat.actor is not None for seat in self.seats):
            return
        seat, run = self.seats[0], self.workload.worker.run
        while (job := self.workload.schedule.next(seat.index)) is not None:
            seat.job, seat.began = job, time.monotonic()
            if job.part is None:
                self.finished.append(seat.record(Failure(Status.FAILED, self.given_up), run))
            self.workload.schedule.ended(job, 0.0, lost=True)

    def _look(self) -> None:
        """Tell how far the workers have come that were asked before, and ask all of them."""
        if time.monotonic() - self.looked < TICK:
            return
        self.looked = time.monotonic()
        asked = [seat for seat in self.seats if seat.asked is not None]
        there = arrived([seat.asked for seat in asked])
        for seat in (seat for seat in asked if seat.asked in there):
            answer, seat.asked = seat.asked, None
            try:
                self._tell(seat, ray.get(answer))
            except RayActorError as error:
                if seat.free:  # of one that works its job tells
                    self._lost(seat, failure_of_loss(error, seat.host))
            except RayError:
                pass
        for seat in self.seats:
            seat.look()

    def _tell(self, seat: Seat, glimpse: Glimpse) -> None:
        if not seat.take(glimpse) or seat.job is None:
            return
        about = (seat.slot.name, seat.job.name, seat.job.cell.id)
        for text in glimpse.warnings:
            self.workload.tell(Event("warning", *about, text=text))
        self.workload.tell(Event("progress", *about, glimpse.phase, glimpse.examples, glimpse.memory_mb))
