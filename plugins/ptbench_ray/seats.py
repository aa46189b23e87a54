"""A slot with the actor that works for it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import ray
from ray.exceptions import RayError

from ptbench import Failure, Job, Record, Slot, WorkerSpec, new_record
from ptbench_ray.actor import Actor, Glimpse, Whereabouts

HEARING = 1.0
"""Seconds within which an actor has to say what it is doing before it is ended."""


@dataclass(eq=False)
class Seat:
    """A slot with the actor that works for it, and what is being waited for."""

    index: int
    slot: Slot
    root: str | None
    """Where workers make their folders in a Ray of our own; None in a cluster."""
    token: str
    """Of the run: part of the names of those folders."""
    actor: Any = None
    doing: str = ""
    """``come``, ``prepare``, ``evaluate``, or nothing: it is free, or has no actor."""
    awaited: Any = None
    """The answer to that."""
    asked: Any = None
    """The answer to how far it has come."""
    where: Whereabouts | None = None
    job: Job | None = None
    began: float = 0.0
    phase: str = ""
    """Of its job, when it was last looked at."""
    lost: int = 0
    """Actors in a row that died without a job."""

    @property
    def free(self) -> bool:
        """Whether it can take a job."""
        return self.actor is not None and not self.doing

    @property
    def host(self) -> str:
        """The name of the machine that it is on, as far as it has told."""
        return self.where.host if self.where else "(of unknown name)"

    @property
    def seconds(self) -> float:
        """For how long its job has been running."""
        return time.monotonic() - self.began

    def hire(self) -> None:
        """Ask Ray for an actor, wherever there is room. Its process is pinned before it starts."""
        environment = dict(self.slot.environment())
        gpus = len(self.slot.gpus) if self.root is None else 0
        if gpus:
            environment.pop("CUDA_VISIBLE_DEVICES", None)  # which ones they are is for Ray to say
        made = ray.remote(concurrency_groups={"look": 1})(Actor).options(
            num_cpus=self.slot.threads,
            num_gpus=gpus,
            max_restarts=0,
            max_task_retries=0,
            runtime_env={"env_vars": environment},
        )
        self.actor = made.remote(self.root, self.token)
        self.doing, self.awaited = "come", self.actor.where.remote()

    def dismiss(self) -> None:
        """End its actor, whatever that does."""
        if self.actor is not None:
            with suppress(RayError, ValueError):
                ray.kill(self.actor)
        self.actor = self.awaited = self.asked = self.where = self.job = None
        self.doing = ""

    def prepare(self, where: Whereabouts, spec: WorkerSpec) -> None:
        """Let the actor, which said where it is, import plugins."""
        self.where, self.doing = where, "prepare"
        self.awaited = self.actor.prepare.remote(spec, self.slot.name)

    def start(self, job: Job, home: str) -> None:
        """Let the actor work."""
        self.job, self.doing, self.began, self.phase = job, "evaluate", time.monotonic(), ""
        self.awaited = self.actor.evaluate.remote(job, home)

    def rest(self) -> None:
        """Take note that it has done what it was to do."""
        self.job, self.doing, self.awaited, self.lost = None, "", None, 0

    def look(self) -> None:
        """Ask how far it has come, unless it was asked before and has not answered."""
        if self.asked is None and (self.free or self.doing == "evaluate"):
            self.asked = self.actor.progress.options(concurrency_group="look").remote()

    def stop(self) -> None:
        """Let the log show what its job is doing, before it is ended; one that is deaf is not waited for."""
        with suppress(RayError):
            asked = self.actor.stop.options(concurrency_group="look").remote()
            self.take(ray.get(asked, timeout=HEARING))

    def take(self, glimpse: Glimpse) -> bool:
        """Take note of how far it has come; False where that is about another job."""
        if self.job is None or glimpse.job != self.job.name:
            return False
        self.phase = glimpse.phase
        return True

    def record(self, failure: Failure, run: str) -> Record:
        """Return the record of its job, which did not end well."""
        assert self.job is not None
        started = datetime.fromtimestamp(time.time() - self.seconds, UTC).isoformat(timespec="milliseconds")
        facts = {"kind": self.job.kind, "advice": failure.advice, "slot": self.slot.name, "started": started}
        return new_record(self.job.cell, run, failure.status, failure.error, **facts)


def arrived(refs: Sequence[Any]) -> set[Any]:
    """Return those that are there."""
    return set(ray.wait(list(refs), num_returns=len(refs), timeout=0)[0]) if refs else set()
