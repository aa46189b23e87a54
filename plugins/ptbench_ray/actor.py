"""What lives in an actor: the worker of one slot, which evaluates into a folder of its own node."""

from __future__ import annotations

import ctypes
import os
import socket
import sys
import tempfile
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from ptbench import (
    Evaluate,
    Job,
    Progress,
    Record,
    Status,
    WorkerSpec,
    failure_of,
    installed_versions,
    listening,
    new_record,
)
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
class Answer:
    """What came of a job: its record, and what it wrote."""

    record: Record | None
    files: Mapping[str, bytes] = field(default_factory=dict)
    """By path within the folder of the run."""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Glimpse:
    """How far a worker has come."""

    job: str
    phase: str
    examples: int
    memory_mb: float | None
    warnings: tuple[str, ...]


class Worker:
    """The worker of a slot. `progress` is called from another thread than the rest."""

    def __init__(self, root: str | None, token: str) -> None:
        """``root``: where to make its folder; None: where this machine has such things.

        ``token``: of the run. What its workers leave when they die is still looked for.
        """
        self._progress, self._job = Progress(), ""
        self._folder = Path(own_folder(root or tempfile.gettempdir(), "ptbench-ray", token))
        self._evaluate: Evaluate | None = None
        self._run = ""

    def where(self) -> Whereabouts:
        """Say where this is, before anything of a plugin is imported."""
        import ray

        node = ray.get_runtime_context().get_node_id()
        return Whereabouts(node, socket.gethostname(), str(self._folder), installed_versions())

    def prepare(self, spec: WorkerSpec) -> str:
        """Make what evaluates; return the error, or nothing."""
        with listening() as self._progress:
            try:
                self._evaluate = replace(spec, folder=str(self._folder)).start()
            except (Exception, SystemExit) as error:
                return failure_of(error).error
        self._run = spec.run
        return ""

    def evaluate(self, job: Job, home: str) -> Answer:
        """Return what came of a job; ``home`` is the host that the run was started on."""
        assert self._evaluate is not None
        log = self._folder / job.cell.log
        record: Record | None
        with _output_to(log), listening() as self._progress:
            self._job = job.name
            try:
                record = self._evaluate(job)
            except (Exception, SystemExit) as error:
                traceback.print_exc()
                why = failure_of(error, job.cell.log)
                record = new_record(
                    job.cell, self._run, why.status, why.error, advice=why.advice, kind=job.kind
                )
        warnings = tuple(self._progress.warnings)
        if record is None:
            return Answer(None, warnings=warnings)
        record = replace(_placed(record, job, home), log=job.cell.log if log.stat().st_size else "")
        names = {*record.files, *([record.log] if record.log else [])}
        try:
            files = {name: (self._folder / name).read_bytes() for name in sorted(names)}
        except OSError as error:
            text = f"what it wrote cannot be read on node {socket.gethostname()}: {failure_of(error).error}"
            return Answer(replace(record, status=Status.FAILED, error=text, files=(), log=""))
        for name in {*names, job.cell.log}:
            (self._folder / name).unlink(missing_ok=True)
        return Answer(record, files, warnings)

    def progress(self) -> Glimpse:
        """Say how far the job has come."""
        job, heard = self._job, self._progress
        warnings = tuple(heard.warnings.pop(0) for _ in range(len(heard.warnings)))
        return Glimpse(job, heard.phase, heard.examples, _memory_mb(), warnings)


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


@contextmanager
def _output_to(path: Path) -> Iterator[None]:
    """Let what this process and its children print go to a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    saved = [(number, os.dup(number)) for number in (1, 2)]
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        _switch([(number, log) for number, _ in saved])
        yield
    finally:
        _switch(saved)
        for number in (log, *(copy for _, copy in saved)):
            os.close(number)


def _switch(pairs: list[tuple[int, int]]) -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # a full disk; or a plugin closed it
            stream.flush()
    with suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).fflush(None)  # C's own streams, so that no word lands in the next log
    for number, other in pairs:
        os.dup2(other, number)


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
