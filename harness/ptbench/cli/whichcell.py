"""Which cell of a run is meant."""

from __future__ import annotations

from ptbench.errors import UnknownNameError, UsageError, nearest, printable
from ptbench.records import Record, Report
from ptbench.report import ordered

BETWEEN, SEED = " x ", " seed "
MOST = 12
"""Cells that an error names."""


def find_cell(report: Report, text: str) -> Record:
    """Return the cell that a text means. Raises `UsageError`: there is none, or it may mean several."""
    records = ordered(report)
    wanted = " ".join(text.split())
    if not wanted:
        raise UsageError('which cell? give "MODEL x TASK x PROTOCOL", or an id; `ptbench report` names them')
    start, said, seed = wanted.rpartition(SEED)
    if said and seed.isdecimal() and not any(_is(record, wanted) for record in records):
        records, wanted = [record for record in records if record.seed == int(seed)], start
    for means in (_is, _begins):
        found = [record for record in records if means(record, wanted)]
        if len(found) == 1:
            return found[0]
        if found:
            seeds = {(record.model, record.task, record.label) for record in found}
            if len(seeds) == 1 and means is _is:
                names = [f"seed {record.seed}" for record in found]
                hint = f"add {', '.join(names[:-1])} or {names[-1]}"
            else:
                names = [title(record) for record in found]
                more = f" and {len(names) - MOST} more" if len(names) > MOST else ""
                hint = f"say which: {'; '.join(names[:MOST])}{more}"
            raise UsageError(f"'{printable(text)}' may be {len(found)} cells; {printable(hint)}")
    wanted, records = " ".join(text.split()), ordered(report)
    known = {record.cell for record in records}
    if BETWEEN in wanted:
        known = {name for record in records for name in (title(record), _without_options(record))}
    raise UnknownNameError(
        f"run {report.folder.name} has no cell '{printable(text)}'; {printable(nearest(wanted, known))}"
    )


def title(record: Record) -> str:
    """Return a cell as it is named on a command line."""
    return " ".join(record.title.split())


def _is(record: Record, text: str) -> bool:
    """Whether a text names a cell: its id, its title, or its title without the seed or the options."""
    names = {record.cell, title(record)}
    for label in (record.label, record.protocol):
        start = _without_options(record, label)
        names |= {start, f"{start} seed {record.seed}"}
    return text in names


def _without_options(record: Record, label: str = "") -> str:
    return " ".join(f"{record.model} x {record.task} x {label or record.protocol}".split())


def _begins(record: Record, text: str) -> bool:
    start = f"{title(record)} "
    return record.cell.startswith(text) or start.startswith(f"{text} ")
