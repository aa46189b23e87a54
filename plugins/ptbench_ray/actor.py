"""What lives in an actor: the worker of one slot, which evaluates into a folder of its own node."""

from __future__ import annotations

import os
import socket
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from ptbench import Answer, Job, Record, Status, Worker, WorkerSpec, failure_of, installed_versions
from ptbench_ray.folders import own_folder


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Where a worker is, and what is installed there."""

    node: str
    """Ray's id of the node."""
    host: str
    folder: str
    versions: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Parcel:
    """What came of a job, with what it wrote."""

    answer: Answer
    files: Mapping[str, bytes] = field(default_factory=dict)
    """By path within the folder of the run."""


@dataclass(frozen=True, slots=True)
class Glimpse:
    """How far a worker has come."""

    job: str
    """`Job.name`; nothing where it has none in hand."""
    phase: str
    examples: int
    memory_mb: float | None
    warnings: tuple[str, ...]


class Actor:
    """The worker of a slot. `progress` and `stop` are called from another thread than the rest."""

    def __init__(self, root: str | None, token: str) -> None:
        """``root``: where to make its folder; None: where this machine has such things.

        ``token``: of the run. What its workers leave when they die is still looked for.
        """
        self._folder = Path(own_folder(root or tempfile.gettempdir(), "ptbench-ray", token))
        self._worker: Worker | None = None

    def where(self) -> Whereabouts:
        """Say where this is, before anything of a plugin is imported."""
        import ray

        node = ray.get_runtime_context().get_node_id()
        return Whereabouts(node, socket.gethostname(), str(self._folder), installed_versions())

    def prepare(self, spec: WorkerSpec, slot: str) -> str:
        """Make what evaluates; return the error, or nothing."""
        self._worker = Worker(replace(spec, folder=str(self._folder)), slot)
        return self._worker.broken

    def evaluate(self, job: Job, home: str) -> Parcel:
        """Return what came of a job; ``home`` is the host that the run was started on."""
        assert self._worker is not None
        answer = self._worker.evaluate(job)
        if answer.record is None:
            return Parcel(answer)
        record = _placed(answer.record, job, home)
        names = sorted({*record.files, *([record.log] if record.log else [])})
        try:
            files = {name: (self._folder / name).read_bytes() for name in names}
        except OSError as error:
            text = f"what it wrote cannot be read on node {socket.gethostname()}: {failure_of(error).error}"
            record = replace(record, status=Status.FAILED, error=text, files=(), log="")
            return Parcel(replace(answer, record=record))
        for name in names:
            (self._folder / name).unlink(missing_ok=True)
        return Parcel(replace(answer, record=record), files)

    def progress(self) -> Glimpse:
        """Say how far the job has come."""
        worker = self._worker
        job = None if worker is None else worker.job
        if worker is None or job is None:
            return Glimpse("", "", 0, None, ())
        heard = worker.progress
        warnings = []
        while heard.warnings:
            with suppress(IndexError):  # the other thread took it
                warnings.append(heard.warnings.pop(0))
        return Glimpse(job.name, heard.phase, heard.examples, _memory_mb(), tuple(warnings))

    def stop(self) -> Glimpse:
        """Say how far the job has come, and write into its log what each thread is doing."""
        if self._worker is not None:
            self._worker.show()
        return self.progress()


def read_log(path: str) -> bytes:
    """Return what a worker that is dead left in its log; nothing where it left none."""
    try:
        return Path(path).read_bytes()
    except OSError:
        return b""


def _placed(record: Record, job: Job, home: str) -> Record:
    """Say in an error on which node it was, where that is another one or lacks the suite's folder."""
    host = socket.gethostname()
    if record.status is not Status.FAILED:
        return record
    if not Path(job.cell.base).is_dir():
        lacks = f"node {host} lacks the suite's folder {job.cell.base}"
        return replace(record, error=f"{record.error} ({lacks})")
    return record if host == home else replace(record, error=f"{record.error} (on node {host})")


def _memory_mb() -> float | None:
    """Return the memory of the GPUs that torch holds here; without one the resident memory of the process."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        held = sum(torch.cuda.memory_reserved(i) for i in range(torch.cuda.device_count()))
        return float(held) / 2**20
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, ValueError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
