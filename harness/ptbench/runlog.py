"""The log of a run: ``events.jsonl``, what happened when, and ``live.json``, how it stands at this moment.

Neither is ever needed to go on with a run: where they cannot be written, that is one warning.
"""

from __future__ import annotations

import dataclasses
import io
import json
import os
import platform
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from ptbench.errors import UsageError
from ptbench.jobs import Event
from ptbench.plain import to_json
from ptbench.records import Record
from ptbench.schedule import Schedule
from ptbench.slots import Slot
from ptbench.tracking import FailedCell, SlotState, Snapshot, Tracker

EVENTS, LIVE = "events.jsonl", "live.json"
PULSE = 1.0
"""Seconds between two writings of ``live.json``."""
THINNED = 30.0
"""Seconds between two events of progress of a slot."""
RUNNING, FINISHED, STOPPED, INTERRUPTED, BROKEN = "running", "finished", "stopped", "interrupted", "broken"


NONE: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class Live:
    """What ``live.json`` says: how a run stood when it was written, and who conducts it."""

    run: str
    state: str
    """``running``, ``finished``, ``stopped`` (at a first failure), ``interrupted``, or ``broken``: an error
    of ptbench itself ended it."""
    started: str
    written: str
    """UTC; while the run goes on it is never older than some seconds, or its process is dead or stopped."""
    pid: int
    host: str
    now: Snapshot


class RunLog:
    """A watcher that keeps the log of a run, from `start` to `close`; it is a context manager too.

    ``titles`` are those of all cells, by their ids; ``warn`` is told, once, where the log cannot be written.
    """

    def __init__(
        self, folder: Path, titles: Mapping[str, str] = NONE, warn: Callable[[str], None] = lambda text: None
    ) -> None:
        self.folder, self.warn = folder, warn
        self._tracker = Tracker(titles)
        self._started = _now()
        self._lock = threading.Lock()
        self._events: io.FileIO | None = None
        self._torn = self._warned = False
        self._told: dict[str, float] = {}
        self._since: dict[str, float] = {}
        self._over = threading.Event()
        self._pulse = threading.Thread(target=self._beat, name="ptbench-runlog", daemon=True)

    def __enter__(self) -> RunLog:
        self.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        state = FINISHED if exc is None else INTERRUPTED if isinstance(exc, KeyboardInterrupt) else BROKEN
        self.close(state, f"{type(exc).__name__}: {exc}" if state == BROKEN else "")

    def start(self) -> None:
        """Say from now on how the run stands; `run_began` does so too."""
        if self._pulse.ident is None:
            self._write_live(RUNNING)
            self._pulse.start()

    def close(self, state: str, text: str = "") -> None:
        """Say how the run has ended (`Live.state`). What comes later is not heard."""
        if self._over.is_set():
            return
        self._over.set()
        if self._pulse.ident is not None:
            self._pulse.join()
        self._log("run ended", status=state, text=text)
        self._write_live(state)
        with self._lock:
            if self._events is not None:
                self._events.close()

    def run_began(self, slots: Sequence[Slot], schedule: Schedule, reused: int) -> None:
        """The first job is about to be handed out."""
        self.start()
        self._tracker.run_began(slots, schedule, reused)
        self._log("run began", text=f"{reused} cells reused; slots {' '.join(slot.name for slot in slots)}")

    def told(self, event: Event) -> None:
        """A job has started, come so far, or ended."""
        self._tracker.told(event)
        now, seconds = time.monotonic(), None
        if event.what == "started":
            self._since[event.slot] = self._told[event.slot] = now
        elif event.what == "progress":
            if now - self._told.get(event.slot, -THINNED) < THINNED:
                return
            self._told[event.slot] = now
        if event.slot in self._since and event.what != "started":
            seconds = now - self._since[event.slot]
        self._log(
            event.what, event.slot, event.job, event.cell, seconds=seconds, phase=event.phase,
            examples=event.examples, memory_mb=event.memory_mb, text=event.text,
        )  # fmt: skip

    def cell_ended(self, record: Record) -> None:
        """A cell has ended; a reused one is in the journal alone."""
        if self._tracker.cell_ended(record):
            self._log(
                "cell ended", record.slot, "", record.cell, record.status.value, seconds_of(record),
                text=record.error,
            )  # fmt: skip

    def warned(self, text: str) -> None:
        """Something is amiss that does not stop the run."""
        self._log("warning", text=text)

    def report_failed(self, text: str) -> None:
        """A reporter could not write."""
        self._log("report failed", text=text)

    def inspection_started(self, title: str) -> None:
        """A look inside a model begins."""
        self._tracker.inspection_started(title)
        self._log("inspection started", text=title)

    def advanced(self, examples: int) -> None:
        """So many more examples went through the model that is being looked into."""
        self._tracker.advanced(examples)

    def inspection_ended(self, done: Any) -> None:
        """It has ended; what is told is an `Inspected` of the runner, a floor above."""
        self._tracker.inspection_ended()
        text = f"{done.title}: {done.error}" if done.error else done.title
        self._log("inspection ended", status=done.status, seconds=done.seconds, text=text)

    def _beat(self) -> None:
        while not self._over.wait(PULSE):
            self._write_live(RUNNING)

    def _log(
        self,
        what: str,
        slot: str = "",
        job: str = "",
        cell: str = "",
        status: str = "",
        seconds: float | None = None,
        **more: Any,
    ) -> None:
        told = {"what": what, "slot": slot, "job": job, "cell": cell, "status": status, **more}
        line = {"time": _now(), **{key: value for key, value in told.items() if value}}
        if seconds is not None:
            line["seconds"] = round(seconds, 3)
        if self._events is not None and self._events.closed:
            return
        text = (json.dumps(to_json(line)) + "\n").encode("ascii")  # any text is safe in it
        try:
            with self._lock:
                if self._events is None:
                    self._events = io.FileIO(self.folder / EVENTS, "a")  # unbuffered: a line is there at once
                text = b"\n" + text if self._torn else text
                self._torn = True
                self._torn = self._events.write(text) != len(text)
        except (OSError, ValueError) as error:  # ValueError: it has been closed meanwhile
            self._complain(EVENTS, error)

    def _write_live(self, state: str) -> None:
        about = Live(
            self.folder.name, state, self._started, _now(), os.getpid(), platform.node(),
            self._tracker.snapshot(),
        )  # fmt: skip
        part = self.folder / f"{LIVE}.part"
        try:  # not flushed to the disk: after a power cut nobody asks how it stood
            part.write_text(json.dumps(to_json(about), indent=1) + "\n", "utf-8")
            part.replace(self.folder / LIVE)
        except OSError as error:
            self._complain(LIVE, error)

    def _complain(self, file: str, error: Exception) -> None:
        if not self._warned:
            self._warned = True
            self.warn(
                f"{self.folder / file} cannot be written ({getattr(error, 'strerror', None) or error}): "
                "the run goes on, but `ptbench status` may not show how it stands"
            )


def read_live(folder: Path) -> Live | None:
    """Return how a run stood when that was last written; None where it never was.

    Raises `UsageError` where the file is damaged.
    """
    path = folder / LIVE
    try:
        data = json.loads(path.read_text("utf-8"))
        now = data["now"]
        now["slots"] = tuple(SlotState(**_known(SlotState, state)) for state in now["slots"])
        now["failures"] = tuple(FailedCell(**_known(FailedCell, one)) for one in now["failures"])
        now["reused_from"] = tuple(now["reused_from"])
        figures = (data["pid"], now["total"], now["reused"], now["seconds"], *now["statuses"].values())
        if not all(isinstance(figure, int | float) for figure in figures):
            raise TypeError("a number was expected")
        if now["left"] is not None:
            estimate, low, high = map(float, now["left"])
            now["left"] = (estimate, low, high)
        return Live(**_known(Live, {**data, "now": Snapshot(**_known(Snapshot, now))}))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise UsageError(f"{path} is damaged: {error}; `ptbench report` shows what is finished") from None


def seconds_of(record: Record) -> float | None:
    """Return the wall-clock seconds of a cell from its start to its end; None where nobody knows."""
    if record.wall:
        return sum(record.wall.values())
    try:
        began, ended = map(datetime.fromisoformat, (record.started, record.finished))
        return (ended - began).total_seconds()
    except (TypeError, ValueError):
        return None


def _known(cls: type, data: Mapping[str, Any]) -> dict[str, Any]:
    names = {f.name for f in dataclasses.fields(cls)}
    return {key: value for key, value in data.items() if key in names}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
