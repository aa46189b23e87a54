"""Why a worker gave no answer, in words: how its process died, who killed it, and what it said last."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path, PurePath

from ptbench.errors import printable
from ptbench.failures import SMALLER, Failure, held_memory
from ptbench.records import Status

TAIL = 8192
"""Bytes at the end of a log that are looked at."""
AGAIN = "--retry-failed tries it again, --executor serial in the main process, where a debugger sees it"
_CGROUPS = Path("/proc/self/cgroup")
_MOUNT = Path("/sys/fs/cgroup")
_VMSTAT = Path("/proc/vmstat")
_FRAME = re.compile(r'  File "([^"]+)", line (\d+) in (\S+)')


@dataclass(frozen=True, slots=True)
class OomKills:
    """How often the kernel killed a process for want of memory, in the machine and in its own group."""

    counts: tuple[int, ...] = ()

    @classmethod
    def now(cls) -> OomKills:
        """Read the counters; those that are not there count 0."""
        return cls(tuple(_counted(path) for path in (_VMSTAT, *_group_files())))

    def since(self, earlier: OomKills) -> bool:
        """Whether one of them has grown."""
        return any(now > before for now, before in zip(self.counts, earlier.counts, strict=False))


def death(how: int | str, log: str, *, starved: bool = False) -> Failure:
    """Return what a dead worker makes of its job.

    ``how`` is its exit code, negative for a signal, or how it died in words where no code is known; ``log``
    the end of what the job said; ``starved``: the kernel killed somebody for want of memory meanwhile.
    """
    killed = how == -signal.SIGKILL
    if isinstance(how, int):
        how = f"killed by {_signal_name(-how)}" if how < 0 else f"exit code {how}"
    if killed and starved:
        error = f"{how}: the kernel did it, since the machine's memory (or the container's) was used up"
        return Failure(Status.OOM, error, f"{SMALLER}, or fewer slots; now {held_memory(gpu=False)}")
    last = _last_word(log)
    if "std::bad_alloc" in log or "can't allocate memory" in log:
        return Failure(Status.OOM, f"{how}: {last}", f"{SMALLER}; now {held_memory(gpu=False)}")
    if killed:
        return Failure(Status.CRASHED, f"{how}, sent from outside", "--retry-failed tries it again")
    return Failure(Status.CRASHED, f"{how}: {last}" if last else how, AGAIN)


def overdue(limit: float, phase: str = "") -> Failure:
    """Return what becomes of a job that was ended after ``limit`` seconds, in the phase that it was in."""
    where = f", it was in phase '{phase}'" if phase else ""
    advice = "give it more time, or fewer rows (limit); the end of the log shows what it was doing"
    return Failure(Status.TIMEOUT, f"ended after {limit:g} s, the most a cell may take{where}", advice)


def log_end(path: Path) -> str:
    """Return the end of a log; "" where there is none."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - TAIL))
            return file.read(TAIL).decode("utf-8", "replace")
    except OSError:
        return ""


def _last_word(log: str) -> str:
    """Return where faulthandler saw the crash, else the last line that says something."""
    if fatal := re.search(r"^Fatal Python error: .*", log, re.MULTILINE):
        _, _, current = log[fatal.start() :].partition("Current thread")
        if frame := _FRAME.search(current):
            return f"in {frame[3]}, {PurePath(frame[1]).name}, line {frame[2]}"
        return printable(fatal[0])
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    return printable(lines[-1])[:200] if lines else ""


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _group_files() -> Iterator[Path]:
    """Yield the files that count for the group that this process is in, of both versions of cgroups."""
    try:
        lines = _CGROUPS.read_text("ascii", "replace").splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, group = [*line.split(":", 2), "", ""][:3]
        if not controllers:
            yield _MOUNT / group.lstrip("/") / "memory.events"
            yield _MOUNT / "memory.events"  # in a container, which sees its own group as the root
        elif "memory" in controllers.split(","):
            yield _MOUNT / "memory" / group.lstrip("/") / "memory.oom_control"
            yield _MOUNT / "memory" / "memory.oom_control"


def _counted(path: Path) -> int:
    try:
        words = path.read_text("ascii", "replace").split()
    except OSError:
        return 0
    counts = dict(pairwise(words))
    return int(counts.get("oom_kill", 0))
