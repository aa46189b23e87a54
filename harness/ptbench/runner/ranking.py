"""Who stands where: every model under every protocol beside every other, from stored predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ptbench import store
from ptbench.catalog import Catalog
from ptbench.data import Predictions
from ptbench.model import Capability
from ptbench.offers import FileMetric, Metric, SumMetric, TableMetric
from ptbench.records import Average, Record, Standing, Status
from ptbench.statistics.averages import Scored, averages, shares_data
from ptbench.statistics.standing import stand


@dataclass(frozen=True, slots=True)
class Ranking:
    """Who stands where: on each metric of each task, and over the primary metrics of all."""

    standings: tuple[Standing, ...] = ()
    averages: tuple[Average, ...] = ()


def rank(folder: Path, records: Sequence[Record], catalog: Catalog) -> Ranking:
    """Compare, for each task and metric, every model under every protocol with every other.

    One of whose seeds some did not end well is left out: a mean over the others would hide that. There are no
    averages where two tasks are on the very same data, whose examples would count twice; that tasks share
    only some examples is not noticed.
    """
    broken = {(r.task, r.model, r.label) for r in records if r.status is not Status.OK}
    done = [record for record in records if (record.task, record.model, record.label) not in broken]
    found: list[Standing] = []
    primaries: list[Scored] = []
    counted: list[Record] = []
    for task in dict.fromkeys(record.task for record in done):
        here = [record for record in done if record.task == task]
        for name in dict.fromkeys(score.metric for record in here for score in record.scores):
            metric = catalog.metric(name)
            columns = ("target", *metric.columns)  # no more: scores of many labels and models are gibibytes
            predictions = {r.cell: store.read_runs(folder / r.files[0], columns) for r in here}
            scored = [r for r in here if (score := r.score(name)) and score.interval != "none"]
            honest = [r for r in scored if r.capability != Capability.PEEK]
            standings, of_all = _rank(task, metric, honest, predictions)
            found += standings
            if of_all and name == here[0].primary:
                primaries.append(of_all)
                counted += honest
            peeked = [r for r in scored if r.capability == Capability.PEEK]
            for standing in _rank(task, metric, peeked, predictions)[0]:  # it is no rival of anybody
                alone = replace(standing, best=False, tied=False, rank_low=None, rank_high=None, group="")
                found.append(alone)
    return Ranking(tuple(found), () if shares_data(counted) else tuple(averages(primaries)))


def _rank(
    task: str,
    metric: Metric | FileMetric,
    records: Sequence[Record],
    predictions: Mapping[str, Sequence[Predictions]],
) -> tuple[list[Standing], Scored | None]:
    entries: dict[tuple[str, str], list[Predictions]] = {}
    names: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for record in sorted(records, key=lambda record: record.seed):
        key, runs = (record.model, record.label), predictions[record.cell]
        entries.setdefault(key, []).extend(runs)
        names.setdefault(key, []).extend((record.seed, draw) for draw in range(len(runs)))
    assert isinstance(metric, SumMetric | TableMetric)
    return stand(task, metric, entries, names=names) if entries else ([], None)
