"""Jobs whose actor died: what Ray says of it, and the log that it left on its node."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import ActorUnavailableError, OutOfMemoryError, RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from ptbench import Failure, Job, Record, Status, death
from ptbench_ray.actor import Whereabouts, read_log
from ptbench_ray.cluster import living

PATIENCE = 5.0
"""Seconds to wait for a log from another node."""
_FATAL = re.compile(r"^Fatal Python error: (.+)$", re.MULTILINE)
_EXIT_CODE = re.compile(r"exits? with an exit code (-?\d+)")
_NODE = re.compile(r"(its|the) node (has )?(died|was terminated|is dead)|node failure", re.IGNORECASE)


def failure_of_loss(error: BaseException, host: str) -> Failure:
    """Return why a job whose actor died has no scores; ``error`` is what Ray raised."""
    text = " ".join(str(error).split())
    if isinstance(error, OutOfMemoryError):
        advice = "fewer slots on a node, or a smaller batch_size"
        return Failure(Status.OOM, f"the memory of node {host} was used up, and Ray ended the worker", advice)
    if _NODE.search(text):
        return node_death(host)
    if isinstance(error, ActorUnavailableError):
        return replace(
            node_death(host), error=f"its node {host} cannot be reached: it died, or the network did"
        )
    code = _EXIT_CODE.search(text)
    how = f", with exit code {code[1]}" if code else ""
    return Failure(Status.CRASHED, f"its process on node {host} died{how}")


def node_death(host: str) -> Failure:
    """Return why a job has no scores whose node is gone."""
    return Failure(Status.CRASHED, f"its node {host} died", "it may work on another node: --retry-failed")


def last_words(log: bytes) -> str:
    r"""Return what Python wrote of the signal that ended it.

    >>> last_words(b"Fatal Python error: Segmentation fault\n\nCurrent thread 0x1:")
    'Segmentation fault'
    """
    found = _FATAL.search(log.decode("utf-8", "replace"))
    return found[1] if found else ""


@dataclass(eq=False)
class _Loss:
    record: Record
    node: str
    host: str
    log: str
    content: bytes | Any
    """What the log holds, or the answer of the node that has it."""
    until: float


@dataclass
class Losses:
    """Records of lost jobs, until the logs are there."""

    node: str
    """Of this process: what lies there is read at once."""
    waiting: list[_Loss] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.waiting)

    def awaited(self) -> list[Any]:
        """Return the answers that nodes owe."""
        return [loss.content for loss in self.waiting if not isinstance(loss.content, bytes)]

    def add(self, record: Record, job: Job, where: Whereabouts) -> None:
        """Take in the record of a job, and look for its log where the worker was."""
        name = job.cell.log
        path = str(Path(where.folder) / name)
        content = read_log(path) if where.node == self.node else _fetch(path, where.node)
        until = time.monotonic() + PATIENCE
        self.waiting.append(_Loss(record, where.node, where.host, name, content, until))

    def ready(self) -> Iterator[tuple[Record, bytes]]:
        """Yield the records whose log is there, or does not come, with the log."""
        for loss in list(self.waiting):
            if isinstance(loss.content, bytes):
                log: bytes | None = loss.content
            elif ray.wait([loss.content], timeout=0)[0]:
                try:
                    log = ray.get(loss.content)
                except RayError:
                    log = None
            elif time.monotonic() < loss.until:
                continue
            else:
                log = None
            self.waiting.remove(loss)
            yield _completed(loss, log), log or b""


def _completed(loss: _Loss, log: bytes | None) -> Record:
    """Return the record with what the log says; None: the node does not give it."""
    record = replace(loss.record, log=loss.log if log else "")
    if record.status is not Status.CRASHED:
        return record
    if log is None and loss.node not in living():
        died = node_death(loss.host)
        return replace(record, error=died.error, advice=died.advice)
    if record.advice:  # it is known why
        return record
    said = last_words(log or b"")
    how = f"{record.error} ({said})" if said else record.error
    failure = death(how, (log or b"").decode("utf-8", "replace"))
    return replace(record, status=failure.status, error=failure.error, advice=failure.advice)


def _fetch(path: str, node: str) -> Any:
    there = NodeAffinitySchedulingStrategy(node, soft=False)
    return ray.remote(num_cpus=0, max_retries=0, scheduling_strategy=there)(read_log).remote(path)
