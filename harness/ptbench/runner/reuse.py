"""Which cells are finished already, in the run that goes on or in an earlier one of the suite.

A record serves again where the identity of its cell is the same in every part and all of its files are
there. In the run that goes on, a cell that did not end well counts as finished too, unless it is to be tried
again: an interruption is no reason to repeat what fails.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path

from ptbench import journal
from ptbench.cellidentity import UNTOLD, changes
from ptbench.durable import flush_folder, part_of, place
from ptbench.errors import PtbenchError, printable
from ptbench.records import Cell, Record, Status
from ptbench.runner.plan import Plan, PlannedCell
from ptbench.runs import read_run, run_folders
from ptbench.store import suite_folder

ENOUGH = 100_000
"""Records of earlier runs that are read at most, the newest first; each run has those that it reused too."""
LINKED = ".parquet"
"""Files that are linked instead of copied: they are never written in place."""

FRESH = "everything is run anew"

Address = tuple[str, str, str, int]


@dataclass(frozen=True, slots=True)
class EarlierRun:
    """The records of a run of the same suite."""

    folder: Path
    records: Sequence[Record]


@dataclass(frozen=True, slots=True)
class Found:
    """A record that serves again, and the folder of the run that its files lie in."""

    record: Record
    folder: Path

    @property
    def run(self) -> str:
        """The run that it was measured in."""
        return self.record.reused or self.record.run

    @property
    def ok(self) -> bool:
        """Whether the cell ended well."""
        return self.record.status is Status.OK


@dataclass(frozen=True, slots=True)
class Finished:
    """What need not be run again, and why the rest has to."""

    cells: Mapping[str, Found] = field(default_factory=dict)
    """By the id of the cell."""
    why: Mapping[str, str] = field(default_factory=dict)
    """By the id of the cell: ``new``, ``weights changed``, ``failed before: …``."""
    seen: Sequence[Record] = ()
    """Every record that was read, the newest run first: what cells took tells what they will take."""
    own: Sequence[Record] = ()
    """Those of the run that goes on."""

    def adopted(self, folder: Path) -> dict[str, Record]:
        """Bring all that lies elsewhere into the folder of this run; return every record, by cell.

        Their files are on the disk by then, and after that, in one piece, their lines of the journal. A
        cell whose files cannot be brought (they went meanwhile, the disk is full) is left out.
        """
        records: dict[str, Record] = {}
        new: list[Record] = []
        for cell, found in self.cells.items():
            if found.folder == folder:
                records[cell] = found.record
                continue
            with suppress(OSError):
                records[cell] = adopt(found.record, found.folder, folder, flush=False)
                new.append(records[cell])
        if new:
            for parent in {(folder / name).parent for record in new for name in record.files}:
                flush_folder(parent)
            journal.append_records(folder, new)
        return records


def find_finished(
    plan: Plan,
    results: Path,
    this_run: Path | None = None,
    *,
    retry_failed: bool = False,
    fresh: bool = False,
) -> Finished:
    """Return which cells of a plan are finished, and why the others are not.

    Args:
        plan: The plan, with the identity of each cell.
        results: Where runs are kept: ``results/<suite>/<run>/``.
        this_run: The folder of the run that goes on, if one does; its records go first.
        retry_failed: Whether what did not end well in this very run is tried again.
        fresh: Whether nothing of earlier runs is used; what this run has measured itself is all the same.
    """
    cells = {planned.cell.id: planned for planned in plan.cells if not planned.problem}
    found: dict[str, Found] = {}
    ids: dict[str, tuple[Record, Path]] = {}
    addresses: dict[Address, tuple[Record, Path]] = {}
    own = journal.read_records(this_run) if this_run else []
    going_on = [EarlierRun(this_run, own)] if this_run else []
    seen: list[Record] = []
    for run in chain(going_on, earlier_runs(results, plan.suite.name, but=this_run)):
        here = run.folder == this_run
        seen += run.records
        for record in run.records:
            addresses.setdefault(_address(record), (record, run.folder))
            planned = cells.get(record.cell)
            if planned is None or record.cell in found:
                continue
            ids.setdefault(record.cell, (record, run.folder))
            if fresh and (record.reused or not here):
                continue
            settled = here and not retry_failed and record.status is not Status.SKIPPED
            if (record.status is Status.OK or settled) and _serves(planned, record, run.folder, here):
                found[record.cell] = Found(record, run.folder)
        if len(found) == len(cells):
            break
    why = {}
    for cell, planned in cells.items():
        if cell not in found:
            last = ids.get(cell) or addresses.get(_address(planned.cell))
            why[cell] = FRESH if fresh else _why(planned, *last, this_run) if last else "new"
    return Finished({cell: found[cell] for cell in cells if cell in found}, why, seen, own)


def earlier_runs(results: Path, suite: str, but: Path | None = None) -> Iterator[EarlierRun]:
    """Yield the runs of a suite with their records, the newest first, as long as `ENOUGH` is not read.

    A run whose journal cannot be read is passed over.
    """
    read = 0
    for folder in run_folders(suite_folder(results, suite)):
        if folder == but or read_run(folder).get("suite") != suite:
            continue
        with suppress(PtbenchError, OSError):
            records = journal.read_records(folder)
            read += len(records)
            yield EarlierRun(folder, records)
        if read >= ENOUGH:
            return


def adopt(record: Record, source: Path, target: Path, *, flush: bool = True) -> Record:
    """Bring the files of a record from the folder of one run into that of another; return its record there.

    Predictions are hard-linked where the disk allows it, all else is copied; a file appears whole or not at
    all. ``flush`` false leaves it to the caller to bring the names in the folders to the disk. Raises
    `OSError` where a file is not there or the disk is full; the record is then not to be used.
    """
    for name in record.files:
        _bring(source / name, target / name, flush=flush)
    log = ""
    if record.log:
        with suppress(OSError):
            _bring(source / record.log, target / record.log, flush=False)
            log = record.log
    return replace(record, run=target.name, reused=record.reused or record.run, log=log)


def _bring(source: Path, target: Path, *, flush: bool) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    part = part_of(target)
    part.unlink(missing_ok=True)
    if source.suffix == LINKED:
        try:
            os.link(source, part)
        except FileNotFoundError:
            raise
        except OSError:  # another disk, or one without links
            pass
        else:
            part.replace(target)
            if flush:
                flush_folder(target.parent)
            return
    shutil.copyfile(source, part)
    place(part, target)


def _serves(planned: PlannedCell, record: Record, folder: Path, here: bool) -> bool:
    """Return whether the record of a cell counts for it again."""
    same = record.identity == planned.identity
    if not record.identity and here:
        same = record.status is not Status.OK
    told = here or UNTOLD not in record.identity
    return same and told and all(_there(folder, name) for name in record.files)


def _why(planned: PlannedCell, record: Record, folder: Path, this_run: Path | None) -> str:
    """Return why the last record of a cell, or of another one of its names, does not serve."""
    if record.status is not Status.OK:
        return printable(f"{record.status.value} before: {record.error}")
    if not record.identity:
        return f"ptbench {record.version} did not note what it depends on"
    if found := changes(record.identity, planned.identity):
        return "; ".join(found)
    if folder != this_run and (untold := planned.identity.get(UNTOLD) or record.identity.get(UNTOLD)):
        return f"may have changed: {untold}"
    gone = (f"{name} is gone or empty" for name in record.files if not _there(folder, name))
    return next(gone, "an option changed that changes no score")


def _there(folder: Path, name: str) -> bool:
    path = f"{folder}/{name}"
    try:
        return os.stat(path).st_size > 0 and os.access(path, os.R_OK)
    except OSError:
        return False


def _address(cell: Cell | Record) -> Address:
    model, task = (cell.model, cell.task) if isinstance(cell, Record) else (cell.model.name, cell.task.name)
    return model, task, cell.label, cell.seed
