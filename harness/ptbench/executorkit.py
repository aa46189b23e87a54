"""The conformance kit of executors: cells that fail in every way, and what must come of them."""

from __future__ import annotations

import os
import platform
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from ptbench import executorcells
from ptbench.executorcells import LONG, PINS
from ptbench.jobs import Event, Job, WorkerSpec
from ptbench.offers import Executor
from ptbench.records import Cell, ModelSpec, Record, Status, TaskSpec
from ptbench.schedule import Schedule
from ptbench.slots import Slot
from ptbench.workload import Workload

STOP = 2.0
"""Seconds within which closing has to stop all workers."""
_ENDS = {
    "": Status.OK,
    "throw": Status.FAILED,
    "exit": Status.CRASHED,
    "segfault": Status.CRASHED,
    "be killed": Status.CRASHED,
    "hang": Status.TIMEOUT,
}


def check_executor(
    executor: Executor, options: Mapping[str, Any] | None = None, *, timeout: float = 1.0
) -> None:
    """Check an executor's promises with cells that end well, raise, crash, hang and are killed.

    ``options`` are its own; ``timeout`` is what a cell that hangs is given, in seconds: more than starting a
    worker takes. An executor that says ``here`` is spared what no executor in this process could survive.
    """
    given = executor.filled(options or {})
    with tempfile.TemporaryDirectory(prefix="ptbench-kit-") as folder:
        kit = _Kit(executor, given, Path(folder), timeout)
        kit.check_records()
        kit.check_closing()
        if executor.here:
            return
        kit.check_workers()
        kit.check_deaths()
        kit.check_start()
        if executor.splits:
            kit.check_parts()


class _Kit:
    """One executor under test, in one folder."""

    def __init__(self, executor: Executor, options: Mapping[str, Any], folder: Path, timeout: float) -> None:
        self.executor = executor
        self.options = options
        self.folder = folder
        self.timeout = timeout
        self.name = f"executor '{executor.name}'"
        self.runs = 0

    def check_records(self) -> None:
        """One record per cell, in whatever order and on however many slots, and files where they belong."""
        deeds = ["", "raise", "", "", "raise", "", ""]
        expected = {cell.id: _expected(cell) for cell in map(_cell, range(len(deeds)), deeds)}
        for slots in (1,) if self.executor.here else (1, 2, 3):
            jobs = [_job(seed, do) for seed, do in enumerate(deeds)][:: 1 if slots == 1 else -1]
            workload, records = self.run(jobs, slots=slots)
            found = {record.cell: (record.status, record.facts.get("square")) for record in records}
            assert len(records) == len(found), f"{self.name}: several records of one cell"
            assert found == expected, f"{self.name} on {slots} slots: {found} in place of {expected}"
            assert workload.schedule.over, f"{self.name} did not tell the schedule of every job that ended"
            for path in (workload.folder / name for record in records for name in record.files):
                assert path.is_file(), f"{self.name}: {path.name} is not in the folder of the run"

    def check_closing(self) -> None:
        """Closing stops the workers and their children within two seconds."""
        later = "" if self.executor.here else "hang"
        jobs = [_job(0, "bear"), *(_job(seed, later) for seed in range(1, 5))]
        if self.executor.here:
            jobs[0] = _job(0)
        running = self.executor.run(self.workload(jobs, slots=1))
        first = next(running)
        close = getattr(running, "close", None)
        assert close is not None, f"{self.name} returned an iterator that cannot be closed"
        began = time.monotonic()
        close()
        seconds = time.monotonic() - began
        assert seconds < STOP, f"{self.name} took {seconds:.1f} s to stop when it was closed"
        assert next(running, None) is None, f"{self.name} goes on after it was closed"
        if not self.executor.here and first.facts["host"] == platform.node():
            left = [name for name in ("pid", "child") if not _gone(first.facts[name], began + STOP)]
            assert not left, f"{self.name} was closed and leaves processes: its worker's {', '.join(left)}"

    def check_workers(self) -> None:
        """Workers are pinned before anything is imported, live on from cell to cell, and log what is said."""
        workload, records = self.run([_job(seed) for seed in range(6)], slots=2)
        pids = {record.facts["pid"] for record in records}
        assert os.getpid() not in pids, f"{self.name} runs cells in this process: it must say here=True"
        assert len(pids) <= 2, f"{self.name} started {len(pids)} processes for 6 cells on 2 slots"
        slots = {slot.name: slot for slot in workload.slots}
        for record in records:
            assert record.slot, f"{self.name} does not say in Record.slot where a cell ran"
            heavy = ", ".join(record.facts["frameworks"])
            assert not heavy, f"{self.name} imported {heavy} before the worker was made"
            found = record.facts["environment"]
            if record.slot in slots:
                wanted = {name: slots[record.slot].environment()[name] for name in PINS}
                assert found == wanted, f"{self.name}: a worker of {record.slot} has {found}, not {wanted}"
            assert None not in found.values(), f"{self.name}: a worker is not pinned: {found}"
        workload, records = self.run([_job(0, "print"), _job(1)])
        logs = {record.cell: record.log for record in records}
        said = workload.folder / (logs[_cell(0, "print").id] or "no log")
        text = said.read_text("utf-8") if said.is_file() else ""
        assert "said by Python" in text, f"{self.name}: what a cell prints is not in its log"
        assert "said by C" in text, f"{self.name}: what a library writes to standard error is not in its log"
        assert not logs[_cell(1).id], f"{self.name}: a cell that said nothing has a log"

    def check_deaths(self) -> None:
        """Each cell that ends badly gives one record with its status, and the others go on."""
        self._check_ends("", "throw", "exit", "exit", "", "segfault", "be killed", "", "")
        self._check_ends("", "hang", "", "hang", "", "", timeout=self.timeout)

    def check_start(self) -> None:
        """A worker that cannot be made fails its cells with the reason, and ends."""
        _, records = self.run([_job(seed) for seed in range(4)], slots=2, make="make_nothing")
        statuses = [record.status for record in records]
        assert statuses == [Status.FAILED] * 4, f"{self.name}: no worker starts, and cells are {statuses}"
        why = "there is nothing to start"
        assert all(why in record.error for record in records), f"{self.name} does not say why none starts"

    def check_parts(self) -> None:
        """Parts make no records, also where one is lost; the whole cell finds what they computed."""
        for deed in ("", "lose the first part"):
            workload = replace(self.workload([], slots=2), schedule=_InParts(_job(0, deed)))
            records = list(self.executor.run(workload))
            statuses = [record.status for record in records]
            assert statuses == [Status.OK], f"{self.name}: a cell in four parts gave {statuses}"
            parts = records[0].facts["parts"]
            expected = [str(k) for k in range(4) if not (deed and k == 0)]
            assert parts == expected, f"{self.name}: a worker finds the parts {parts}, not {expected}"

    def _check_ends(self, *deeds: str, timeout: float | None = None) -> None:
        jobs = [_job(seed, do) for seed, do in enumerate(deeds)]
        what = ", ".join(sorted({do for do in deeds if do}))
        with _in_time(f"{self.name}: cells that {what}"):
            _, records = self.run(jobs, slots=2, timeout=timeout)
        number = f"{len(records)} records of {len(deeds)} cells"
        assert len(records) == len(deeds), f"{self.name}: {number}, some of which {what}"
        for record in sorted(records, key=lambda record: record.seed):
            do = deeds[record.seed]
            who = f"{self.name}: a cell that is to {do or 'end well'} is '{record.status}' ({record.error})"
            assert record.status is _ENDS[do], f"{who} in place of '{_ENDS[do]}'"
            assert record.status is Status.OK or record.error, f"{self.name}: {do} without a reason"
            assert record.slot, f"{self.name} does not say in Record.slot where a cell ran that is to {do}"
            assert do != "throw" or record.log, f"{self.name}: no traceback in the log of a cell that raises"

    def run(self, jobs: Sequence[Job], **how: Any) -> tuple[Workload, list[Record]]:
        workload = self.workload(jobs, **how)
        records = list(self.executor.run(workload))
        return workload, records

    def workload(
        self,
        jobs: Sequence[Job],
        *,
        slots: int = 1,
        timeout: float | None = None,
        make: str = "make_evaluator",
        tell: Callable[[Event], None] = lambda event: None,
    ) -> Workload:
        self.runs += 1
        folder = self.folder / str(self.runs)
        folder.mkdir()
        return Workload(
            schedule=Schedule(jobs, slots, split=self.executor.splits),
            slots=tuple(Slot(f"cpu:{i}") for i in range(slots)),
            worker=WorkerSpec(f"{executorcells.__name__}:{make}", "kit", str(folder)),
            folder=folder,
            timeout=timeout,
            tell=tell,
            options=self.options,
        )


class _InParts(Schedule):
    """One cell in four parts, and then as a whole."""

    def __init__(self, job: Job) -> None:
        super().__init__([], 1)
        self._parts_left = [replace(job, part=(k, 4)) for k in range(4)]
        self._whole: Job | None = job
        self._open = 0

    def next(self, slot: int) -> Job | None:
        """Return the next part; the whole cell once all have ended."""
        found = self._parts_left.pop(0) if self._parts_left else None
        if found is None and not self._open:
            found, self._whole = self._whole, None
        self._open += found is not None
        return found

    def ended(self, job: Job, seconds: float, *, lost: bool = False) -> None:
        """Take note."""
        self._open -= 1

    @property
    def over(self) -> bool:
        """Whether all parts and the whole have ended."""
        return self._whole is None and not self._open


@contextmanager
def _in_time(what: str) -> Iterator[None]:
    began = time.monotonic()
    yield
    assert time.monotonic() - began < LONG / 2, f"{what} hold the run up"


def _cell(seed: int, do: str = "") -> Cell:
    options = {"do": do} if do else {}
    task = TaskSpec("kit", "kit", "kit:rows")
    return Cell("kit", ModelSpec(f"m{seed}", "baseline:majority"), task, "as_is", options, seed)


def _job(seed: int, do: str = "") -> Job:
    return Job(_cell(seed, do), kind="kit", model=f"m{seed}", own_seconds=1.0)


def _expected(cell: Cell) -> tuple[Status, int | None]:
    return (Status.FAILED, None) if cell.options else (Status.OK, cell.seed**2)


def _gone(pid: int, until: float) -> bool:
    """Whether a process has ended by then."""
    while _lives(pid):
        if time.monotonic() > until:
            return False
        time.sleep(0.01)
    return True


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat").read_text("ascii", "replace").rpartition(")")[2].split()[0]
    except ProcessLookupError:
        return False
    except OSError:
        return Path("/proc/self").exists() is False
    return state != "Z"  # it is dead, and nobody has asked how
