"""What became of a cell that did not end well, and what to try."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ptbench.records import Cell, Record, Status


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a cell has no scores."""

    status: Status
    error: str
    """One line."""
    advice: str = ""
    """What to try, where somebody knows."""


def new_record(cell: Cell, run: str, status: Status, error: str = "", **facts: Any) -> Record:
    """Return the record of a cell with what is known before it is started."""
    from ptbench import __version__

    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    return Record(
        cell=cell.id,
        suite=cell.suite,
        run=run,
        model=cell.model.name,
        reference=cell.model.reference,
        task=cell.task.name,
        data=cell.task.data,
        protocol=cell.protocol,
        options=cell.options,
        seed=cell.seed,
        status=status,
        error=error,
        version=__version__,
        **{"kind": "", "started": now, "finished": now, **facts},
    )
