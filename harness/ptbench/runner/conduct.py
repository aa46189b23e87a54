"""Conduct a plan: run its cells, keep each record as it comes, and leave a report behind."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from ptbench import journal, store
from ptbench.cache import Cache
from ptbench.catalog import Catalog
from ptbench.environment import installed_versions, snapshot
from ptbench.errors import PtbenchError, one_line
from ptbench.executors import SERIAL
from ptbench.failures import new_record
from ptbench.jobs import WorkerSpec
from ptbench.offers import Reporter
from ptbench.records import Record, Report, Status
from ptbench.runlog import RunLog
from ptbench.runner.estimates import make_jobs
from ptbench.runner.execution import Execution
from ptbench.runner.inspecting import conduct_inspections
from ptbench.runner.plan import Plan, PlannedCell, settled_identity
from ptbench.runner.ranking import rank
from ptbench.runner.timing import Timing
from ptbench.runner.watching import Watcher, Watchers
from ptbench.schedule import Schedule
from ptbench.slots import find_slots
from ptbench.summaries import keep_summary
from ptbench.workload import Workload

EVALUATOR = "ptbench.evaluate:make_evaluator"


def conduct(
    plan: Plan,
    catalog: Catalog,
    folder: Path,
    watcher: Watcher,
    *,
    execution: Execution | None = None,
    finished: Mapping[str, Record] | None = None,
    earlier: Sequence[Record] = (),
    request: Mapping[str, Any] | None = None,
    fresh: bool = False,
    reporters: Sequence[str] | None = None,
    cache: Cache | None = None,
    began: float | None = None,
) -> Report:
    """Run the cells of a plan and return the report.

    ``finished`` are cells that need not run again, by id: they stand in the journal already. ``earlier``
    records tell how long cells take. ``request`` is what a later command must ask for to go on with this
    run, ``fresh`` whether it uses nothing of earlier ones, and ``began`` when the command began, by
    `time.perf_counter`. Without ``execution`` cells run one by one in this process.

    An interruption (`KeyboardInterrupt`) ends the run: what is finished is kept and reported, and the
    exception goes on to the caller.
    """
    execution, finished = execution or Execution(SERIAL, find_slots("cpu")), finished or {}
    facts = {**_facts(plan, catalog, execution), "run": folder.name, "request": request or {}, "fresh": fresh}
    store.write_json(folder / store.RUN, {**facts, "status": "running"})
    timing = Timing(0.0 if began is None else time.perf_counter() - began)
    log = RunLog(folder, {planned.cell.id: planned.cell.title for planned in plan.cells}, watcher.warned)
    watchers = Watchers([watcher, log, timing])
    observe(catalog, watcher, "ptbench_run_started", folder=folder, cells=len(plan.cells))
    records: list[Record] = []

    def keep(record: Record, *, new: bool = True) -> None:
        if new:
            try:
                journal.append_record(folder, record)
            except OSError as error:
                raise PtbenchError(f"{folder / journal.RECORDS} cannot be written: {_why(error)}") from None
        records.append(record)
        watchers.cell_ended(record)
        observe(catalog, watcher, "ptbench_record_written", folder=folder, record=record)

    if execution.executor.here and execution.timeout:
        watcher.warned(f"executor '{execution.executor.name}' cannot end a cell: the timeout has no effect")
    status = "interrupted"
    with log:
        try:
            ready = [p for p in plan.cells if not p.problem and p.cell.id not in finished]
            workload = _workload(plan, ready, earlier, folder, execution, cache, watchers)
            watchers.run_began(execution.slots, workload.schedule, len(finished))
            for planned in plan.cells:
                if planned.cell.id in finished:
                    keep(finished[planned.cell.id], new=False)
                elif planned.problem:
                    kind = plan.tasks[planned.cell.task.name].kind
                    keep(new_record(planned.cell, folder.name, Status.SKIPPED, planned.problem, kind=kind))
            by_id = {planned.cell.id: planned for planned in ready}
            with closing(execution.executor.run(workload)) as running:  # type: ignore[type-var]
                for record in running:
                    keep(replace(record, identity=settled_identity(by_id[record.cell], plan, catalog)))
                    bad = record.status is not Status.OK
                    if bad and execution.fail_fast and not workload.schedule.over:
                        status = "stopped"
                        break
            if status != "stopped":
                conduct_inspections(plan.inspections, catalog, folder, watchers)
                status = "finished"
        finally:
            facts |= {"status": status, "finished": _now()}
            names = reporters or plan.suite.reporters
            report = _conclude(folder, facts, records, catalog, names, watchers, timing)
            observe(catalog, watcher, "ptbench_run_finished", folder=folder, report=report)
        log.close(status)
    return report


def _conclude(
    folder: Path,
    facts: dict[str, Any],
    records: Sequence[Record],
    catalog: Catalog,
    reporters: Sequence[str],
    watchers: Watchers,
    timing: Timing,
) -> Report:
    """Compare what has ended, and write the reports; what a full disk does not take is told, not raised."""

    def write(name: str, data: Any) -> None:
        try:
            store.write_json(folder / name, data)
        except OSError as error:
            watchers.report_failed(f"{folder / name} cannot be written: {_why(error)}")

    with timing.mark("standings"):
        found = rank(folder, records, catalog)
        write(store.STANDINGS, found.standings)
        write(store.AVERAGES, found.averages)
    write(store.RUN, {**facts, "timing": timing.summary()})
    told = {**facts, "timing": timing.summary()}
    report = Report(told, tuple(records), found.standings, folder, found.averages)
    with suppress(PtbenchError):
        report = store.read_report(folder)
    with timing.mark("reports"):
        write_reports(report, catalog, reporters, watchers.report_failed)
    facts["timing"] = timing.summary()
    write(store.RUN, facts)
    report = replace(report, run=facts, standings=found.standings, averages=found.averages)
    keep_summary(report)
    return report


def _why(error: OSError) -> str:
    """Return what keeps a file from being written, and what to do about it."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    hint = "; free space, and the same command goes on" if full else ""
    return f"{error.strerror or one_line(error)}{hint}"


def _workload(
    plan: Plan,
    ready: Sequence[PlannedCell],
    earlier: Sequence[Record],
    folder: Path,
    execution: Execution,
    cache: Cache | None,
    watchers: Watchers,
) -> Workload:
    """Return what the executor of a run is given."""
    jobs = make_jobs(replace(plan, cells=tuple(ready)), earlier)
    kept = str(cache.root) if cache else None
    return Workload(
        schedule=Schedule(jobs, len(execution.slots), split=execution.executor.splits),
        slots=execution.slots,
        worker=WorkerSpec(EVALUATOR, folder.name, str(folder), kept, execution.offline),
        folder=folder,
        timeout=execution.timeout,
        tell=watchers.told,
        versions=installed_versions(),
        options=execution.options,
    )


def write_reports(
    report: Report, catalog: Catalog, names: Sequence[str], warned: Callable[[str], None]
) -> list[Path]:
    """Let every reporter write; one that fails is told through ``warned`` and does not stop the others."""
    written: list[Path] = []
    for name in names:
        try:
            written += catalog.get(Reporter, name).write(report, report.folder)
        except OSError as error:
            warned(f"reporter '{name}': {error.filename or report.folder} cannot be written: {_why(error)}")
        except (Exception, SystemExit) as error:  # whatever a plugin raises must not cost the other reports
            warned(f"reporter '{name}' failed: {one_line(error)}")
    return written


def observe(catalog: Catalog, watcher: Watcher, hook: str, **facts: Any) -> None:
    """Call an observer hook of every plugin; one that fails is told and does not stop the run."""
    caller = getattr(catalog.hooks, hook, None)
    for implementation in caller.get_hookimpls() if caller is not None else ():
        try:
            wanted = {name: facts[name] for name in implementation.argnames}
            implementation.function(**wanted)
        except (Exception, SystemExit) as error:  # an observer must not cost the run
            watcher.warned(f"{implementation.plugin_name}: {hook} failed: {one_line(error)}")


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def _facts(plan: Plan, catalog: Catalog, execution: Execution) -> dict[str, Any]:
    suite = plan.suite
    return {
        "executor": execution.executor.name,
        "slots": [slot.name for slot in execution.slots],
        "canonical": execution.canonical,
        "device": execution.device,
        "suite": suite.name,
        "description": suite.description,
        "file": suite.path.name,
        "base": str(suite.path.resolve().parent),
        "text": suite.text,
        "gate": dict(suite.gate),
        "started": _now(),
        "cells": len(plan.cells),
        "order": {"models": list(suite.models), "tasks": list(suite.tasks)},
        "plugins": [{"plugin": str(plugin), "error": plugin.error} for plugin in catalog.plugins],
        **snapshot(suite.path.resolve().parent),
    }
