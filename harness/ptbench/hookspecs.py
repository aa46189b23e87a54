"""The hooks: what a plugin may implement, when it is called, with what, and what is made of the answer.

A plugin is a module that implements any of these functions, marked with ``@ptbench.hookimpl``, and is
named by an entry point of the group ``ptbench``. Hooks that return offers are called once, when the
catalog is built, and must be quick: no heavy import at the top of a plugin module. The observers are
called while a run goes on; an exception in one is reported and does not stop the run.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import pluggy

from ptbench.claims import ClaimSet
from ptbench.offers import (
    Adapter,
    Executor,
    FileMetric,
    Kind,
    Metric,
    NamedTask,
    Protocol,
    Provider,
    Reporter,
    Source,
)

if TYPE_CHECKING:
    from ptbench.records import Record, Report

hookspec = pluggy.HookspecMarker("ptbench")
hookimpl = pluggy.HookimplMarker("ptbench")


@hookspec
def ptbench_providers() -> Iterable[Provider]:  # type: ignore[empty-body]
    """Offer model providers: what turns ``NAME:…`` into a model."""


@hookspec
def ptbench_sources() -> Iterable[Source]:  # type: ignore[empty-body]
    """Offer data sources: what turns ``NAME:…`` into splits of rows."""


@hookspec
def ptbench_kinds() -> Iterable[Kind]:  # type: ignore[empty-body]
    """Offer kinds of task: which columns an example, a target and a prediction have."""


@hookspec
def ptbench_adapters() -> Iterable[Adapter]:  # type: ignore[empty-body]
    """Offer task adapters: what turns rows into a task of one kind."""


@hookspec
def ptbench_tasks() -> Iterable[NamedTask]:  # type: ignore[empty-body]
    """Offer ready-made tasks, so that a suite can say ``sst2 = "lite/sst2"``."""


@hookspec
def ptbench_protocols() -> Iterable[Protocol]:  # type: ignore[empty-body]
    """Offer evaluation protocols: how a model is put to a task."""


@hookspec
def ptbench_metrics() -> Iterable[Metric | FileMetric]:  # type: ignore[empty-body]
    """Offer metrics: functions from predictions to one number, or to a file."""


@hookspec
def ptbench_reporters() -> Iterable[Reporter]:  # type: ignore[empty-body]
    """Offer reporters: what writes a finished run somewhere."""


@hookspec
def ptbench_executors() -> Iterable[Executor]:  # type: ignore[empty-body]
    """Offer executors: what runs cells somewhere."""


@hookspec
def ptbench_claims() -> Iterable[ClaimSet]:  # type: ignore[empty-body]
    """Offer claim sets: figures that were published, which `ptbench verify` measures again."""


@hookspec
def ptbench_run_started(folder: Path, cells: int) -> None:
    """Observe that a run begins: its folder under ``results/`` and the number of its cells."""


@hookspec
def ptbench_record_written(folder: Path, record: Record) -> None:
    """Observe that a cell has ended and that its record is on disk."""


@hookspec
def ptbench_run_finished(folder: Path, report: Report) -> None:
    """Observe that a run has ended, also one that was interrupted; every reporter has written."""
