"""Worker processes as their parent sees them: started with a slot's variables, and never left behind."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, Pipe
from typing import IO, Any

from ptbench.errors import one_line
from ptbench.jobs import Job, WorkerSpec
from ptbench.slots import Slot

GRACE = 1.0
"""Seconds that workers have to end by themselves before they are killed."""
POLL = 0.01
_GUARD = 'while read -r groups; do all="$groups"; done; [ -n "$all" ] && kill -9 $all'


class UnreadableError(Exception):
    """A worker's message cannot be read here: it holds what only its plugins know."""


class Guard:
    """Kills the workers and their children when this process dies, however it dies.

    A shell waits for the end of a pipe whose other end only this process holds. A thread of the workers could
    not do it: it does not run while a library holds the interpreter. On a machine without a shell nobody
    guards, and a worker ends with its job.
    """

    def __init__(self) -> None:
        self._groups: list[int] = []
        read, write = os.pipe()
        self._pipe: IO[str] = os.fdopen(write, "w")
        self._shell: subprocess.Popen[bytes] | None = None
        with suppress(OSError), open(read, "rb") as end:
            self._shell = subprocess.Popen(  # noqa: S603
                ["/bin/sh", "-c", _GUARD],
                stdin=end,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # a Ctrl-C is not for it
            )

    def add(self, group: int) -> None:
        """Guard a process group."""
        self._groups.append(group)
        self._tell()

    def remove(self, group: int) -> None:
        """Guard it no more: it has ended, and its number may become another's."""
        self._groups.remove(group)
        self._tell()

    def close(self) -> None:
        """End it. Those that it still guards are killed."""
        with suppress(OSError):
            self._pipe.close()
        if self._shell is not None:
            self._shell.wait()

    def _tell(self) -> None:
        with suppress(OSError):
            print(*(f"-{group}" for group in self._groups), file=self._pipe, flush=True)


class Process:
    """One worker process, which leads a session of its own."""

    def __init__(self, slot: Slot, spec: WorkerSpec, guard: Guard) -> None:
        """Start it; `receive` says ("ready",) or ("broken", why) when it can take jobs."""
        self._guard = guard
        self._said = _scratch_file()
        theirs_in, self._jobs = Pipe(duplex=False)  # pipes, not sockets: a run without a network opens none
        self.answers, theirs_out = Pipe(duplex=False)
        numbers = (theirs_in.fileno(), theirs_out.fileno())
        try:
            # -P: the folder of the call is not looked into for modules, as for the command itself
            self._process = subprocess.Popen(  # noqa: S603
                [sys.executable, "-P", "-m", "ptbench.worker", *map(str, numbers)],
                env={**os.environ, **slot.environment()},
                stdin=subprocess.DEVNULL,
                stdout=self._said,
                stderr=self._said,
                pass_fds=numbers,
                start_new_session=True,
            )
        except OSError:
            self._close()
            raise
        finally:
            theirs_in.close()
            theirs_out.close()
        guard.add(self.pid)
        self.death = os.pidfd_open(self.pid) if hasattr(os, "pidfd_open") else None
        """Readable once it is dead, where the system has such a thing."""
        self._send(sys.path)
        self._send(spec)
        self._send(slot.name)

    @property
    def pid(self) -> int:
        """Its number, and that of its session and its group."""
        return self._process.pid

    @property
    def watched(self) -> list[Connection[Any, Any] | int]:
        """What `multiprocessing.connection.wait` can wait for: answers, and its death."""
        return [self.answers, *([] if self.death is None else [self.death])]

    def give(self, job: Job) -> None:
        """Send it a job. It may be dead: then `receive` says nothing and `alive` is false."""
        self._send(job)

    def receive(self) -> tuple[Any, ...] | None:
        """Return its next message, None where none is waiting.

        Raises `EOFError` where none will come, `UnreadableError` where it holds what cannot be read here.
        """
        try:
            if not self.answers.poll():
                return None
            data = self.answers.recv_bytes()
        except OSError as error:
            raise EOFError from error
        try:
            message: tuple[Any, ...] = pickle.loads(data)  # noqa: S301
        except Exception as error:
            raise UnreadableError(one_line(error)) from error
        return message

    @property
    def alive(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def said(self) -> str:
        """Return the end of what it said outside of any job."""
        self._said.seek(max(0, self._said.seek(0, os.SEEK_END) - 4096))
        return self._said.read(4096).decode("utf-8", "replace")

    def ask_where(self) -> None:
        """Let it write into the log what each of its threads is doing."""
        if hasattr(signal, "SIGUSR1"):
            with suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGUSR1)
                time.sleep(0.05)

    def leave(self) -> None:
        """Tell it that there are no more jobs; it ends by itself."""
        self._jobs.close()

    def signal(self, number: int) -> None:
        """Send a signal to it and its children."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)

    def bury(self) -> int:
        """Kill what is left of it and its children; return its exit code, negative for a signal."""
        self.signal(signal.SIGKILL)
        code = self._process.wait()
        self.signal(signal.SIGKILL)  # what it started while the first one came
        self._guard.remove(self.pid)
        self._close()
        if self.death is not None:
            os.close(self.death)
        return code

    def _close(self) -> None:
        for pipe in (self._jobs, self.answers, self._said):
            pipe.close()

    def _send(self, what: object) -> None:
        with suppress(OSError):  # it is dead, which its answers will tell
            self._jobs.send(what)


def _scratch_file() -> IO[bytes]:
    try:
        return tempfile.TemporaryFile()
    except OSError:  # a full disk: what it says outside of jobs is lost
        return open(os.devnull, "w+b")


def end_all(processes: Sequence[Process], *, politely: bool) -> None:
    """End processes and their children within two seconds.

    ``politely``: they may end by themselves, so that what they registered for their end is done; else SIGTERM
    tells them to end at once. What is still there after a second is killed, and so are all if another
    interruption comes meanwhile.
    """
    try:
        for process in processes:
            if politely:
                process.leave()
            else:
                process.signal(signal.SIGTERM)
        _wait(processes, GRACE)
    finally:
        for process in processes:
            process.signal(signal.SIGKILL)
        for process in processes:
            process.bury()


def _wait(processes: Iterable[Process], seconds: float) -> None:
    end = time.monotonic() + seconds
    while any(process.alive for process in processes) and time.monotonic() < end:
        time.sleep(POLL)
