"""From what a cell predicted to its scores, its files and its learning curves."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptbench.border import checked_predictions
from ptbench.catalog import Catalog
from ptbench.data import Predictions, Task
from ptbench.errors import ProtocolError
from ptbench.offers import FileMetric, Kind, Metric, Outcome, SumMetric, TableMetric
from ptbench.records import Score
from ptbench.statistics.intervals import score, values_of
from ptbench.statistics.standing import score_runs
from ptbench.store import PREDICTIONS, joined


@dataclass(frozen=True, slots=True)
class Predicted:
    """What a cell predicted: once, or once for each draw of training rows."""

    runs: tuple[Predictions, ...]
    """Those that the scores are of: with draws, the ones with the most shots."""
    by_shots: Mapping[int, tuple[Predictions, ...]] = field(default_factory=dict)
    """All draws, by training examples per class; empty where nothing was drawn."""


def predicted(outcome: Outcome, kind: Kind, task: Task, who: str) -> Predicted:
    """Return what a protocol predicted, checked. Raises `ModelError` or `ProtocolError`."""
    if not outcome.draws:
        return Predicted((checked_predictions(outcome.columns, kind, task, who),))
    if outcome.columns:
        raise ProtocolError(f"{who}: the protocol returned both columns and draws; return one of them")
    by_shots: dict[int, tuple[Predictions, ...]] = {}
    for draw in outcome.draws:
        table = checked_predictions(draw.columns, kind, task, who)
        by_shots[draw.shots] = (*by_shots.get(draw.shots, ()), table)
    return Predicted(by_shots[max(by_shots)], dict(sorted(by_shots.items())))


@dataclass(frozen=True, slots=True)
class Scorer:
    """Scores the predictions of one cell by the metrics of its task."""

    catalog: Catalog
    folder: Path
    """The folder of the run."""
    key: tuple[str, str]
    """Model and protocol, as the standings have them."""

    def scores(self, found: Predicted, task: Task, copies: NDArray[np.int8] | None) -> tuple[Score, ...]:
        """Return a score per numeric metric; beside it, where there are copies, the value without them."""
        apart = None if copies is None or not copies.any() else np.flatnonzero(copies == 0)
        return tuple(self._score(metric, found.runs, apart) for metric in self._numeric(task))

    def files(self, found: Predicted, task: Task, cell: str) -> tuple[str, ...]:
        """Write what is no number, such as a confusion matrix; return the files."""
        written = []
        table = found.runs[0] if len(found.runs) == 1 else joined(found.runs)
        for metric in map(self.catalog.metric, task.metrics):
            if isinstance(metric, FileMetric) and not _missing(metric, table):
                path = self.folder / PREDICTIONS / f"{cell}.{metric.name}{metric.suffix}"
                metric.write(table, path)
                written.append(path.relative_to(self.folder).as_posix())
        return tuple(written)

    def curves(self, found: Predicted, task: Task, scores: Sequence[Score]) -> dict[str, Any]:
        """Return the facts that draws bring: a learning curve per metric, and the value of each draw.

        The curve ends with the ``scores``, which are of the draws with the most shots.
        """
        if not found.by_shots:
            return {}
        curves, values = [], {}
        for metric, last in zip(self._numeric(task), scores, strict=True):
            if _missing(metric, found.runs[0]):
                continue
            assert isinstance(metric, SumMetric | TableMetric)
            points = []
            for shots, runs in found.by_shots.items():
                mean = last if runs is found.runs else score_runs(metric, runs, self.key)
                points.append([shots, mean.value, mean.ci_low, mean.ci_high])
            values[metric.name] = values_of(metric, found.runs)
            curves.append({"name": metric.name, "of": "test", "x": "shots", "points": points})
        return {"curves": curves, "draws": values}

    def _numeric(self, task: Task) -> list[Metric]:
        metrics = map(self.catalog.metric, task.metrics)
        return [metric for metric in metrics if isinstance(metric, Metric)]

    def _score(self, metric: Metric, runs: Sequence[Predictions], apart: NDArray[np.intp] | None) -> Score:
        if missing := _missing(metric, runs[0]):
            return _unscored(metric, runs[0], missing)
        assert isinstance(metric, SumMetric | TableMetric)
        found = score(metric, runs[0]) if len(runs) == 1 else score_runs(metric, runs, self.key)
        if apart is None:
            return found
        values = values_of(metric, [run.take(apart) for run in runs])
        return replace(found, without_copies=math.fsum(values) / len(values))


def _missing(metric: Metric | FileMetric, table: Predictions) -> str:
    return next((column for column in metric.columns if column not in table), "")


def _unscored(metric: Metric, predictions: Predictions, missing: str) -> Score:
    nan = float("nan")
    caveat = f"the predictions have no column '{missing}', which {metric.name} reads"
    return Score(metric.name, nan, nan, nan, len(predictions), metric.higher_is_better, "none", caveat)
