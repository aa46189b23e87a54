"""Open a run: the folder that it goes on in or begins with, and what need not be run again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ptbench.records import Record, Status
from ptbench.runner.execution import Execution
from ptbench.runner.plan import Plan
from ptbench.runner.reuse import Finished, find_finished
from ptbench.runs import open_run, read_run


@dataclass(frozen=True, slots=True)
class Opened:
    """A run that this process conducts, and no other."""

    folder: Path
    finished: Mapping[str, Record]
    """Records of cells that need not be run again, by cell; their files lie in the folder."""
    earlier: Sequence[Record]
    """What earlier cells took tells what these will take."""
    request: Mapping[str, Any]
    """What a later command must ask for to go on with it: the suite, and what overrides it."""
    fresh: bool = False
    """Whether nothing of earlier runs is used; a run that goes on keeps what it began with."""


def request_of(plan: Plan, execution: Execution, precision: str | None) -> dict[str, Any]:
    """Return what makes two commands the same: all that a score can depend on, and the cells."""
    return {
        "text": plan.suite.text,
        "device": execution.device,
        "precision": precision,
        "canonical": execution.canonical,
    }


@contextmanager
def opened(
    plan: Plan,
    results: Path,
    execution: Execution,
    precision: str | None = None,
    *,
    fresh: bool = False,
    retry_failed: bool = False,
) -> Iterator[Opened]:
    """Hold the run that a plan is to be conducted in. Raises `UsageError` where results cannot be written."""
    request, suite = request_of(plan, execution, precision), plan.suite.name
    run = open_run(results, suite, request, fresh=fresh, retry_failed=retry_failed)
    if run.continued:
        fresh = fresh or read_run(run.folder).get("fresh") is True
        found = find_finished(plan, results, run.folder, retry_failed=retry_failed, fresh=fresh)
        if _outdated(found):
            run.lock.release()
            run = open_run(results, suite, request, fresh=True)
    if not run.continued:
        found = find_finished(plan, results, fresh=fresh)
    with run.lock:
        yield Opened(run.folder, found.adopted(run.folder), found.seen, request, fresh)


def _outdated(found: Finished) -> bool:
    """Whether a run holds what would come out differently now: one table must not mix the two.

    What of it serves is taken over into a new run, as from any earlier one.
    """
    measured = {r.cell for r in found.own if r.status is Status.OK}
    return not measured <= found.cells.keys()
