"""How far a score can be relied on, as tables: its spread over seeds, and what it is without copies."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from rich.markup import escape
from rich.table import Table
from rich.text import Text

from ptbench.figures import score_text
from ptbench.records import Record, Report, Standing
from ptbench.report import entries_of, grouped, tasks_of

MAX_NAME = 24
"""Characters of a name before it is folded."""


def spread_over_seeds(report: Report) -> Iterator[Table]:
    """Yield how far seeds lie apart, where there are several: the spread that repeating would show."""
    tasks = tasks_of(report)
    told = {
        (s.model, s.protocol, s.task): s
        for s in report.standings
        if s.seeds > 1 and s.metric == tasks.get(s.task) and not math.isnan(s.seed_sd)
    }
    if not any(standing.seed_sd for standing in told.values()):
        return
    title = "spread over seeds: standard deviation (its share in the interval; the rest is the examples)"
    table = Table(title=title, title_justify="left", header_style="bold")
    for name in ("model", "protocol", "seeds"):
        table.add_column(name, overflow="fold", max_width=MAX_NAME)
    shown = [task for task in tasks if any(key[2] == task for key in told)]
    for task in shown:
        table.add_column(escape(task), justify="right", overflow="fold")
    for model, protocol in entries_of(report):
        row = [told.get((model, protocol, task)) for task in shown]
        if any(standing and standing.seed_sd for standing in row):
            runs = ", ".join(dict.fromkeys(str(standing.seeds) for standing in row if standing))
            table.add_row(Text(model), Text(protocol), runs, *map(_spread, row))
    yield table


def _spread(standing: Standing | None) -> str:
    if standing is None:
        return ""
    share = "" if math.isnan(standing.seed_share) else f" ({standing.seed_share:.0%})"
    return f"{standing.seed_sd:.3f}{share}"


def without_copies(report: Report) -> Iterator[Table]:
    """Yield the scores on the test rows that do not stand in train too, for tasks with some that do."""
    copied = {r.task: r for r in report.records if r.copies and any(r.copies.values())}
    tasks = {task: metric for task, metric in tasks_of(report).items() if task in copied}
    if not tasks:
        return
    title = "without test rows that stand in train or validation too (mean over seeds)"
    table = Table(title=title, title_justify="left", header_style="bold")
    for name in ("model", "protocol"):
        table.add_column(name, overflow="fold", max_width=MAX_NAME)
    for task in tasks:
        copies, n = copied[task].copies or {}, copied[task].n or 0
        what = " ".join(f"{count:,} {how}" for how, count in copies.items() if count)
        table.add_column(f"{escape(task)}\n[dim]{what} of {n:,}[/]", justify="right", overflow="fold")
    records = grouped(report)
    for model, protocol in entries_of(report):
        row = [_apart(records.get((task, model, protocol), ()), metric) for task, metric in tasks.items()]
        if any(row):
            table.add_row(Text(model), Text(protocol), *row)
    yield table


def _apart(records: Sequence[Record], metric: str) -> str:
    scores = [score.without_copies for record in records if (score := record.score(metric)) is not None]
    known = [value for value in scores if value is not None]
    return score_text(math.fsum(known) / len(known)) if known else ""
