"""What stands beside the scores in Markdown: what did not end well, what it cost, what to know."""

from __future__ import annotations

from collections.abc import Sequence

from ptbench.figures import count_text, number_text, throughput
from ptbench.records import Record, Report, Status
from ptbench.remarks import Reason, notes_of, reasons_of, where_of
from ptbench.report import ordered
from ptbench.reporters.inert import fitting, inert, table

FAILURES, COSTS, NOTES = 7_000, 4_000, 3_000
"""Bytes that the sections may have."""
MAX_REASON, MAX_TITLE, MAX_CELLS = 300, 100, 5
"""Characters of an error, an advice or a note; of a cell; cells that are named for a reason."""


def failures_section(report: Report) -> str:
    """Return why cells did not end well, each reason once; "" where all did."""
    lines = [_failure(reason, records) for reason, records in reasons_of(report).items()]
    return f"## Failures\n\n{fitting(lines, FAILURES, 'reasons', 'report.csv')}" if lines else ""


def _failure(reason: Reason, records: Sequence[Record]) -> str:
    status, error = reason
    lines = [f"- **{status.value}**: {inert(error, MAX_REASON) or 'nobody knows why'}\n"]
    advice = list(dict.fromkeys(record.advice for record in records if record.advice))
    lines += [f"  - try: {inert(each, MAX_REASON)}\n" for each in advice[:2]]
    named = "; ".join(inert(record.title, MAX_TITLE) for record in records[:MAX_CELLS])
    more = f" and {len(records) - MAX_CELLS:,} more" if len(records) > MAX_CELLS else ""
    lines.append(f"  - {len(records):,} {'cell' if len(records) == 1 else 'cells'}: {named}{more}\n")
    if log := next((record.log for record in records if record.log), ""):
        lines.append(f"  - log: {inert(log, MAX_REASON)}\n")
    return "".join(lines)


def costs_section(report: Report) -> str:
    """Return what each model under each protocol cost, in brief; "" where nothing was scored."""
    groups: dict[tuple[str, str], list[Record]] = {}
    for record in ordered(report):
        if record.status is Status.OK:
            groups.setdefault((record.model, record.label), []).append(record)
    if not groups:
        return ""
    header = ["model", "protocol", "cells", "seconds", "examples/s", "parameters", "peak MiB"]
    rows = [[inert(model), inert(label), *_cost(done)] for (model, label), done in groups.items()]
    return f"## Cost\n\n{table(header, rows, COSTS, 'rows', 'report.csv', texts=2)}"


def _cost(records: Sequence[Record]) -> list[str]:
    costs = [record.cost for record in records]
    return [
        f"{len(records):,}",
        number_text(sum(cost.seconds or 0.0 for cost in costs), 1),
        count_text(throughput(records) or 0),
        count_text(max(cost.parameters or 0 for cost in costs)),
        number_text(max(cost.peak_memory_mb or 0.0 for cost in costs) or None, 0),
    ]


def notes_section(report: Report) -> str:
    """Return what a reader must know of tasks and runs; "" where there is nothing."""
    everyone = {record.model for record in report.records if record.status is Status.OK}
    notes = notes_of(ordered(report))
    lines = [
        f"- {inert(note, MAX_REASON)} ({inert(where_of(places, everyone), MAX_REASON)})\n"
        for note, places in notes.items()
    ]
    return f"## Notes\n\n{fitting(lines, NOTES, 'notes', 'report.csv')}" if lines else ""
