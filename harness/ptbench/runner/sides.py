"""The sides of a comparison: what a run holds of one model under one protocol on one task, seeds together."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from ptbench.catalog import Catalog
from ptbench.comparison import Side
from ptbench.data import Predictions
from ptbench.errors import DataError, UsageError, nearest, printable
from ptbench.offers import SumMetric, TableMetric
from ptbench.pareto import Entry as Address
from ptbench.records import Record, Report, Status
from ptbench.report import ordered
from ptbench.store import read_runs

FINISHED = "finished"


@dataclass(frozen=True, eq=False)
class Entry:
    """The records of one task, model and protocol of a run, by seed."""

    task: str
    model: str
    label: str
    records: tuple[Record, ...]
    run: Mapping[str, Any] = field(repr=False)
    """``run.json``."""
    folder: Path

    @property
    def side(self) -> Side:
        """Model and protocol."""
        return self.model, self.label

    @property
    def problem(self) -> str:
        """Why it has no score that counts: one of its seeds did not end well; empty where all did."""
        bad = [record for record in self.records if record.status is not Status.OK]
        if not bad:
            return ""
        what = f"{bad[0].status.value}: {printable(bad[0].error)}" if bad[0].error else bad[0].status.value
        some = f"{len(bad)} of {len(self.records)} seeds did not end well: " if len(self.records) > 1 else ""
        return some + what

    @property
    def primary(self) -> str:
        """Its primary metric."""
        return self.records[0].primary

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics that all of its records were scored by, the primary one first."""
        of_each = [[s.metric for s in record.scores if s.interval != "none"] for record in self.records]
        common = [name for name in of_each[0] if all(name in names for names in of_each)]
        return tuple(sorted(common, key=lambda name: name != self.primary))

    @property
    def reused(self) -> bool:
        """Whether nothing of it was measured in this run."""
        return all(record.reused for record in self.records)

    def values(self, metric: str) -> dict[int, float]:
        """Return the value of a metric by seed, as the records have it; NaN where one has none."""
        scores = {record.seed: record.score(metric) for record in self.records}
        return {seed: math.nan if score is None else score.value for seed, score in scores.items()}


@dataclass(frozen=True, eq=False)
class Loaded:
    """An entry with its predictions: for each seed one table, or one for each draw of training rows."""

    entry: Entry
    metrics: tuple[str, ...]
    """Those that the columns are enough for, the primary one first."""
    tables: tuple[tuple[Predictions, ...], ...]

    @cached_property
    def runs(self) -> list[Predictions]:
        """All tables, seed by seed."""
        return [table for tables in self.tables for table in tables]

    @cached_property
    def names(self) -> list[tuple[int, int]]:
        """Seed and draw of each table, by which two sides pair."""
        seeds = (record.seed for record in self.entry.records)
        return [
            (seed, draw)
            for seed, tables in zip(seeds, self.tables, strict=True)
            for draw in range(len(tables))
        ]


def entries(report: Report) -> dict[Address, Entry]:
    """Return the entries of a report by task, model and protocol, in the order of the suite."""
    groups: dict[Address, list[Record]] = {}
    for record in ordered(report):
        groups.setdefault((record.task, record.model, record.label), []).append(record)
    return {
        key: Entry(*key, tuple(records), report.run, report.folder)  # `ordered` has them by seed
        for key, records in groups.items()
    }


def load(entry: Entry, catalog: Catalog, metrics: Sequence[str]) -> Loaded:
    """Read the predictions of an entry, as far as these metrics read them. Raises `DataError`."""
    columns = dict.fromkeys(("target", *(c for name in metrics for c in catalog.metric(name).columns)))
    tables = []
    for record in entry.records:
        if not record.files:
            raise DataError(f"no predictions of {record.title} were kept")
        path = entry.folder / record.files[0]
        if not path.is_file():
            raise DataError(f"{record.files[0]} of run {entry.folder.name} is gone")
        tables.append(tuple(read_runs(path, list(columns))))
    return Loaded(entry, tuple(metrics), tuple(tables))


def checked_names(given: Sequence[str], known: Iterable[str], what: str) -> None:
    """Raise `UsageError`, with the nearest one, for the first of the names that is not known."""
    known = list(known)
    for name in given:
        if name not in known:
            raise UsageError(f"{what} '{printable(name)}' is not known here; {nearest(name, known)}")


def numeric_metrics(catalog: Catalog) -> dict[str, SumMetric | TableMetric]:
    """Return all installed metrics that are numbers."""
    offers = (offer for offer, _ in catalog.owned("metric"))
    return {offer.name: offer for offer in offers if isinstance(offer, SumMetric | TableMetric)}


def title(report: Report) -> str:
    """Return what a run is called: ``suite/run``."""
    return f"{report.run.get('suite', '')}/{report.run.get('run') or report.folder.name}"


def unfinished(run: Mapping[str, Any]) -> str:
    """Return why a run may yet lack cells; empty where it finished."""
    status = run.get("status")
    return "" if status in (FINISHED, None) else f"the run has not finished ({status})"
