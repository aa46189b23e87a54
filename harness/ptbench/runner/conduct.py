"""Conduct a plan: run its cells, keep each record as it comes, and leave a report behind."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any
from typing import Protocol as Interface

from ptbench import journal, store
from ptbench.cache import Cache
from ptbench.catalog import Catalog
from ptbench.data import Predictions
from ptbench.environment import snapshot
from ptbench.errors import one_line
from ptbench.evaluate import Evaluator, new_record
from ptbench.model import Capability
from ptbench.offers import Executor, FileMetric, Metric, Reporter, SumMetric, TableMetric
from ptbench.progress import listening
from ptbench.records import Cell, Record, Report, Standing, Status
from ptbench.runner.inspecting import Onlooker, conduct_inspections
from ptbench.runner.plan import Plan
from ptbench.statistics import standings


class Watcher(Onlooker, Interface):
    """Who is told how a run goes on."""

    def cell_started(self, cell: Cell) -> None:
        """A cell begins."""

    def cell_ended(self, record: Record, seconds: float) -> None:
        """A cell has ended, and its record is on the disk."""

    def warned(self, text: str) -> None:
        """Something is amiss that does not stop the run: an observer failed."""

    def report_failed(self, text: str) -> None:
        """A reporter could not write."""


def conduct(
    plan: Plan,
    catalog: Catalog,
    folder: Path,
    watcher: Watcher,
    reporters: Sequence[str] | None = None,
    cache: Cache | None = None,
) -> Report:
    """Run the cells of a plan and return the report.

    An interruption (`KeyboardInterrupt`) ends the run: what is finished is kept and reported, and the
    exception goes on to the caller.
    """
    run = folder.name
    facts = {**_facts(plan, catalog, folder), "run": run}
    store.write_json(folder / store.RUN, {**facts, "status": "running"})
    observe(catalog, watcher, "ptbench_run_started", folder=folder, cells=len(plan.cells))
    records: list[Record] = []

    def keep(record: Record, seconds: float) -> None:
        journal.append_record(folder, record)
        records.append(record)
        watcher.cell_ended(record, seconds)
        observe(catalog, watcher, "ptbench_record_written", folder=folder, record=record)

    status = "interrupted"
    try:
        for planned in plan.cells:
            if planned.problem:
                kind = plan.tasks[planned.cell.task.name].kind
                keep(new_record(planned.cell, run, Status.SKIPPED, planned.problem, kind=kind), 0.0)
        _run(plan, catalog, folder, watcher, keep, cache)
        conduct_inspections(plan.inspections, catalog, folder, watcher)
        status = "finished"
    finally:
        report = conclude(folder, {**facts, "status": status}, records, catalog)
        write_reports(report, catalog, reporters or plan.suite.reporters, watcher.report_failed)
        observe(catalog, watcher, "ptbench_run_finished", folder=folder, report=report)
    return report


def _run(
    plan: Plan,
    catalog: Catalog,
    folder: Path,
    watcher: Watcher,
    keep: Callable[[Record, float], None],
    cache: Cache | None,
) -> None:
    if cache:
        cache.warned = watcher.warned
    evaluator = Evaluator(catalog, folder, folder.name, cache)
    began = time.perf_counter()

    def evaluate(cell: Cell) -> Record:
        nonlocal began
        began = time.perf_counter()
        watcher.cell_started(cell)
        with listening(watcher.advanced):
            return evaluator(cell)

    # Light models first: they answer at once, and their memory is measured before a framework is loaded.
    ready = sorted((p for p in plan.cells if not p.problem), key=lambda p: plan.parameters(p.cell.model.name))
    cells = [planned.cell for planned in ready]
    executor = catalog.get(Executor, "serial")
    with closing(executor.run(cells, evaluate)) as records:  # type: ignore[type-var]
        for record in records:
            keep(record, time.perf_counter() - began)


def conclude(folder: Path, facts: Mapping[str, Any], records: Sequence[Record], catalog: Catalog) -> Report:
    """Compute the standings from the predictions on the disk and close ``run.json``."""
    found = rank(folder, records, catalog)
    store.write_json(folder / store.STANDINGS, found)
    store.write_json(
        folder / store.RUN, {**facts, "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
    )
    return store.read_report(folder)


def rank(folder: Path, records: Sequence[Record], catalog: Catalog) -> list[Standing]:
    """Compare, for each task and metric, every model under every protocol with the best of them.

    One of whose seeds some did not end well is left out: a mean over the others would hide that.
    """
    broken = {(r.task, r.model, r.label) for r in records if r.status is not Status.OK}
    done = [record for record in records if (record.task, record.model, record.label) not in broken]
    found: list[Standing] = []
    for task in dict.fromkeys(record.task for record in done):
        here = [record for record in done if record.task == task]
        for name in dict.fromkeys(score.metric for record in here for score in record.scores):
            metric = catalog.metric(name)
            columns = ("target", *metric.columns)  # no more: scores of many labels and models are gibibytes
            predictions = {r.cell: store.read_runs(folder / r.files[0], columns) for r in here}
            scored = [r for r in here if (score := r.score(name)) and score.interval != "none"]
            honest = [r for r in scored if r.capability != Capability.PEEK]
            found += _rank(task, metric, honest, predictions)
            peeked = [r for r in scored if r.capability == Capability.PEEK]
            for standing in _rank(task, metric, peeked, predictions):
                found.append(replace(standing, best=False, tied=False))  # it is no rival of anybody
    return found


def _rank(
    task: str,
    metric: Metric | FileMetric,
    records: Sequence[Record],
    predictions: Mapping[str, Sequence[Predictions]],
) -> list[Standing]:
    entries: dict[tuple[str, str], list[Predictions]] = {}
    names: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for record in sorted(records, key=lambda record: record.seed):
        key, runs = (record.model, record.label), predictions[record.cell]
        entries.setdefault(key, []).extend(runs)
        names.setdefault(key, []).extend((record.seed, draw) for draw in range(len(runs)))
    assert isinstance(metric, SumMetric | TableMetric)
    return standings(task, metric, entries, names=names) if entries else []


def write_reports(
    report: Report, catalog: Catalog, names: Sequence[str], warned: Callable[[str], None]
) -> list[Path]:
    """Let every reporter write; one that fails is told through ``warned`` and does not stop the others."""
    written: list[Path] = []
    for name in names:
        try:
            written += catalog.get(Reporter, name).write(report, report.folder)
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


def _facts(plan: Plan, catalog: Catalog, folder: Path) -> dict[str, Any]:
    suite = plan.suite
    return {
        "suite": suite.name,
        "description": suite.description,
        "file": suite.path.name,
        "text": suite.text,
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "cells": len(plan.cells),
        "order": {"models": list(suite.models), "tasks": list(suite.tasks)},
        "plugins": [{"plugin": str(plugin), "error": plugin.error} for plugin in catalog.plugins],
        **snapshot(suite.path.resolve().parent),
    }
