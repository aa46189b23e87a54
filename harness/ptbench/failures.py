"""What became of a cell that did not end well, and what to try."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ptbench.errors import ModelError, ProtocolError, PtbenchError, one_line
from ptbench.gpus import gpu_users
from ptbench.meter import resident_mb
from ptbench.offline import WithinError, sealed
from ptbench.records import Cell, Record, Status
from ptbench.version import __version__

LONGEST = 500
"""Characters of an error that stand in a record; its traceback in the log has them all."""
SMALLER = "a smaller batch_tokens or batch_size, or another device"
_OUT_OF_MEMORY = (
    "out of memory", "can't allocate memory", "cannot allocate memory", "std::bad_alloc",
    "cublas_status_alloc_failed",
)  # fmt: skip
_POISONED = (
    "device-side assert", "illegal memory access", "an illegal instruction", "misaligned address",
    "unspecified launch failure", "uncorrectable ecc error",
)  # fmt: skip
_OFFLINE = ("offline", "connection", "resolve host", "name resolution", "network is unreachable")
_NOT_FINITE = re.compile(r"\bnot finite\b|\bNaN or infinity\b")


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a cell has no scores."""

    status: Status
    error: str
    """One line."""
    advice: str = ""
    """What to try, where somebody knows."""


def failure_of(error: BaseException, log: str = "") -> Failure:
    """Return what an exception makes of the cell that raised it; ``log`` names where its traceback stands.

    Frameworks' errors are known by their names and texts, since none is imported here; where an error was
    raised ``from`` another one, that one counts too. `Status.CRASHED` means that the process is of no more
    use, such as after a failed assertion on a GPU: whoever runs it starts a new one.
    """
    text = one_line(error)
    said = text if len(text) <= LONGEST else f"{text[:LONGEST]}… ({len(text):,} characters)"
    chain = list(_chain(error))
    words = " ".join(f"{type(one).__name__}: {one}" for one in chain)
    low = words.lower()
    if any(sign in low for sign in _POISONED):
        return Failure(Status.CRASHED, said, f"{_first(log)}; CUDA_LAUNCH_BLOCKING=1 shows where it was")
    if any(_is_oom(one) for one in chain):
        on_gpu = "cuda" in low or "gpu" in low or "hip out of memory" in low
        return Failure(Status.OOM, said, f"{SMALLER}; {held_memory(gpu=on_gpu)}")
    codes = {one.errno for one in chain if isinstance(one, OSError)}
    if codes & {errno.ENOSPC, errno.EDQUOT}:
        advice = "free space on the disk, or name another: --output for the run, PTBENCH_CACHE for the cache"
        return Failure(Status.FAILED, said, advice)
    if sealed() and any(isinstance(one, WithinError) for one in chain):
        advice = "leave --offline out if it needs a network socket within this machine"
        return Failure(Status.FAILED, said, advice)
    if sealed() and _is_refused(chain):
        advice = (
            "--offline refuses network sockets, and native code and child processes hear no more than "
            "'Permission denied': `ptbench fetch SUITE` brings what a suite needs, or leave --offline out"
        )
        return Failure(Status.FAILED, said, advice)
    if any(_is_missing(one) for one in chain):
        advice = "`ptbench fetch SUITE` brings what a suite needs; `ptbench plan SUITE` says what is missing"
        return Failure(Status.FAILED, said, advice)
    if any(isinstance(one, ModelError | ProtocolError) and _NOT_FINITE.search(str(one)) for one in chain):
        advice = 'precision = "fp32" where it ran in fp16 or bf16; else look for broken weights or inputs'
        return Failure(Status.FAILED, said, advice)
    return Failure(Status.FAILED, said)


def held_memory(*, gpu: bool) -> str:
    """Return in words what holds memory now: processes that of the GPUs, or this one that of the machine."""
    if gpu:
        users = ", ".join(map(str, gpu_users()))
        return f"on the GPU now: {users}" if users else "nvidia-smi names no process on the GPU"
    own, free = resident_mb(), _free_mb()
    held = "" if own is None else f"this process holds {own:,.0f} MiB"
    left = "" if free is None else f"{free:,.0f} MiB of the machine are free"
    return ", ".join(filter(None, (held, left))) or "how much is free is not known here"


def new_record(cell: Cell, run: str, status: Status, error: str = "", **facts: Any) -> Record:
    """Return the record of a cell with what is known before it is started."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    return Record(
        cell=cell.id,
        suite=cell.suite,
        run=run,
        model=cell.model.name,
        reference=cell.model.reference,
        task=cell.task.name,
        data=cell.task.data,
        protocol=cell.protocol,
        options=cell.options,
        seed=cell.seed,
        status=status,
        error=error,
        version=__version__,
        **{"kind": "", "started": now, "finished": now, **facts},
    )


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and those that it was raised from."""
    seen: set[int] = set()
    one: BaseException | None = error
    while one is not None and id(one) not in seen:
        seen.add(id(one))
        yield one
        one = one.__cause__


def _is_oom(error: BaseException) -> bool:
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    return isinstance(error, RuntimeError) and any(sign in str(error).lower() for sign in _OUT_OF_MEMORY)


def _is_missing(error: BaseException) -> bool:
    """Whether it says that something is not there that a network could bring."""
    if isinstance(error, FileNotFoundError):  # not a file of the run itself
        return not {"predictions", "logs", "parts"} & set(Path(str(error.filename)).parts)
    if isinstance(error, ConnectionError | TimeoutError):
        return True
    name, text = type(error).__name__.lower(), str(error).lower()
    named = any(word in name for word in ("connect", "offline", "localentrynotfound", "urlerror"))
    return named or (isinstance(error, OSError | PtbenchError) and any(word in text for word in _OFFLINE))


def _is_refused(chain: Sequence[BaseException]) -> bool:
    """Whether it may be what the kernel says of a network socket in a process that is sealed."""
    if any(isinstance(one, OSError) and one.filename is not None for one in chain):
        return False  # of a file
    text = " ".join(map(str, chain)).lower()
    return "permission denied" in text or f"[errno {errno.EACCES}]" in text


def _first(log: str) -> str:
    return f"its process was ended; {log} has what it said" if log else "its process was ended"


def _free_mb() -> float | None:
    try:
        for line in Path("/proc/meminfo").read_text("ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) / 1024
    except OSError:
        pass
    return None
