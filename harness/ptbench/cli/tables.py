"""A report as Rich tables: scores, costs, what failed, what to know."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from ptbench.cli.averagetable import averages
from ptbench.cli.failuretable import failures
from ptbench.cli.reliability import MAX_NAME, spread_over_seeds, without_copies
from ptbench.cli.timingtable import timing_lines
from ptbench.errors import printable
from ptbench.figures import count_text, number_text, score_text, throughput
from ptbench.pareto import pareto_front
from ptbench.records import Record, Report, Standing, Status
from ptbench.remarks import notes_of, where_of
from ptbench.report import entries_of, grouped, halved, ordered, searched, tasks_of

LEGEND = (
    "score ± half the 95 % interval, or -below+above   [bold green]*[/] best   "
    "[green]~[/] cannot be told from the best (paired by example)"
)
DISPENSABLE = ("cells", "search", "device", "peak\n(MiB)", "MACs", "front", "protocol")
"""Columns of the cost table that a narrow terminal does without, in this order."""
MOST_ENTRIES, MOST_TASKS = 100, 30
"""Rows and columns of scores that are drawn: nobody reads more on a terminal."""
HALVED, BESIDE = "½", "†"
SCORE_WIDTH = 17
"""A column of scores with its frame, at least; intervals of two unequal sides take more."""


def render(report: Report, console: Console) -> None:
    """Print a report to a console."""
    console.print(Group(*_parts(report, console.width)))


def _parts(whole: Report, width: int) -> Iterator[RenderableType]:
    records = ordered(whole)
    groups = _groups(records)
    report = _shown(whole, groups)
    tasks = list(tasks_of(report).items())
    entries = entries_of(report)
    names = [max(map(len, column), default=0) for column in zip(*entries, strict=True)]
    room = width - sum(min(size, MAX_NAME) + 3 for size in names) - 1
    tried = _tried(report)
    for i, part in enumerate(_parted(tasks, _widths(report), room)):
        yield _scores(report, entries, tried, dict(part), first=i == 0)
    if report is not whole:
        yield Text(
            f"shown: the first {len(entries):,} of {len(groups):,} models under protocols on the "
            f"first {len(tasks):,} of {len(tasks_of(whole)):,} tasks; leaderboard.csv and report.csv have all"
        )
    if any(record.status is Status.OK for record in report.records):
        yield Text.from_markup(LEGEND, style="dim")
        yield from averages(whole, entries)
        yield from spread_over_seeds(report)
        yield from without_copies(report)
        yield _costs(whole, dict(list(groups.items())[:MOST_ENTRIES]), width)
        yield from _marks(whole)
    yield from _remarks(whole, records)
    yield from timing_lines(whole.run.get("timing"))


def _groups(records: Sequence[Record]) -> dict[tuple[str, str], list[Record]]:
    """Return the records of each model under each protocol, in the order of the suite."""
    groups: dict[tuple[str, str], list[Record]] = {}
    for record in records:
        groups.setdefault((record.model, record.label), []).append(record)
    return groups


def _shown(report: Report, groups: Mapping[tuple[str, str], Sequence[Record]]) -> Report:
    """Return what a person can still read of a report: itself, or its first entries and tasks."""
    tasks = list(tasks_of(report))
    if len(groups) <= MOST_ENTRIES and len(tasks) <= MOST_TASKS:
        return report
    kept = set(tasks[:MOST_TASKS])
    entries = dict(list(groups.items())[:MOST_ENTRIES])
    return replace(
        report,
        records=tuple(record for records in entries.values() for record in records if record.task in kept),
        standings=tuple(s for s in report.standings if s.task in kept and (s.model, s.protocol) in entries),
    )


def _tried(report: Report) -> dict[tuple[str, str, str], Counter[str]]:
    """Return what became of the cells of each task, model and protocol."""
    tried: dict[tuple[str, str, str], Counter[str]] = {}
    for entry, records in grouped(report).items():
        tried[entry] = Counter(record.status.value for record in records)
    return tried


def _scores(
    report: Report,
    entries: Sequence[tuple[str, str]],
    tried: Mapping[tuple[str, str, str], Counter[str]],
    tasks: Mapping[str, str],
    first: bool,
) -> Table:
    title = f"{report.run.get('suite', '')} · {report.run.get('run', '')}" if first else None
    table = Table(title=escape(title) if title else None, title_justify="left", header_style="bold")
    table.add_column("model", overflow="fold", max_width=MAX_NAME)
    table.add_column("protocol", overflow="fold", max_width=MAX_NAME)
    for task, metric in tasks.items():
        table.add_column(f"{escape(task)}\n[dim]{escape(metric)}[/]", justify="right", overflow="fold")
    stand = {(s.task, s.metric, s.model, s.protocol): s for s in report.standings}
    for model, protocol in entries:
        cells: list[Text] = []
        for task, metric in tasks.items():
            statuses = tried.get((task, model, protocol), Counter())
            if set(statuses) - {Status.OK.value}:
                cells.append(_bad(statuses))
            elif (task, metric, model, protocol) in stand:
                cells.append(_score(stand[task, metric, model, protocol]))
            else:
                state = "" if not statuses else "no number" if metric else "done"
                cells.append(Text(state, style="dim"))
        table.add_row(Text(model), Text(protocol), *cells)
    return table


def _bad(statuses: Counter[str]) -> Text:
    """Return what became of cells of which some did not end well: ``oom``, or ``oom 1/3`` of three seeds."""
    every = statuses.total()
    bad = {status: n for status, n in statuses.items() if status != Status.OK}
    said = (status if n == every else f"{status} {n}/{every}" for status, n in bad.items())
    return Text(", ".join(said), style="red")


def _score(standing: Standing) -> Text:
    mark, style = " ", ""
    if standing.best:
        mark, style = "*", "bold green"
    elif standing.tied:
        mark, style = "~", "green"
    elif math.isnan(standing.value):
        style = "yellow"
    value, _, half = _interval(standing).partition(" ")
    text = Text(value, style=style)
    text.append(f" {half}" if half else "", style="dim")
    text.append(f" {mark}", style=style)
    return text


def _interval(standing: Standing) -> str:
    return score_text(standing.value, standing.ci_low, standing.ci_high)


def _widths(report: Report) -> dict[tuple[str, str], int]:
    """Return what the column of each task and metric takes with its mark and its frame."""
    widths: dict[tuple[str, str], int] = {}
    for standing in report.standings:
        key = standing.task, standing.metric
        widths[key] = max(widths.get(key, SCORE_WIDTH), len(_interval(standing)) + 5)
    return widths


def _parted(
    tasks: Sequence[tuple[str, str]], widths: Mapping[tuple[str, str], int], room: int
) -> list[list[tuple[str, str]]]:
    """Return tasks as tables of them that fit into the room, at least one in each.

    >>> _parted([("a", "f1"), ("b", "f1"), ("c", "f1")], {("b", "f1"): 25}, 45)
    [[('a', 'f1'), ('b', 'f1')], [('c', 'f1')]]
    """
    parts: list[list[tuple[str, str]]] = [[]]
    left = room
    for task in tasks:
        width = widths.get(task, SCORE_WIDTH)
        if parts[-1] and width > left:
            parts.append([])
            left = room
        parts[-1].append(task)
        left -= width
    return parts


def _costs(report: Report, groups: Mapping[tuple[str, str], Sequence[Record]], width: int) -> Table:
    title = (
        "cost (ex/s: test examples per second; front: tasks where nothing as good is cheaper; "
        "search: settings compared on validation)"
    )
    table = Table(title=title, title_justify="left", header_style="bold")
    front = Counter((model, protocol) for _, model, protocol in pareto_front(report))
    rows = [_cost(*entry, records, front[entry]) for entry, records in groups.items()]
    columns = {name: [row[name] for row in rows] for name in (rows[0] if rows else ())}
    for name in ("MACs", "search"):
        if not any(columns.get(name, ())):
            columns.pop(name, None)
    sizes = {
        name: min(MAX_NAME, max(len(word) for word in (*name.split("\n"), *cells))) + 3
        for name, cells in columns.items()
    }
    for name in DISPENSABLE:  # rather a column less than names broken in two; the CSV has all
        if name in columns and sum(sizes[left] for left in columns) + 1 > width:
            del columns[name]
    for name in columns:
        folded = name in ("model", "protocol")
        table.add_column(
            name,
            justify="left" if folded else "right",
            overflow="fold",
            max_width=MAX_NAME if folded else None,
        )
    for row in rows:
        styles = {"front": "green"}
        table.add_row(*(Text(row[name], style=styles.get(name, "")) for name in columns))
    return table


def _cost(model: str, protocol: str, records: Sequence[Record], front: int) -> dict[str, str]:
    """Return what an entry cost, as texts by the heads of their columns."""
    done = [r for r in records if r.status is Status.OK]
    beside = BESIDE if any(map(_beside, done)) else ""
    devices = (f"{r.device} {r.precision}{' ' + HALVED if halved(r) else ''}".strip() for r in done)
    return {
        "model": model,
        "protocol": protocol,
        "cells": f"{len(done)}/{len(records)}",
        "time\n(s)": number_text(sum(r.cost.seconds or 0.0 for r in done), 1) + beside if done else "",
        "ex/s": count_text(throughput(done) or 0) + beside if done else "",
        "front": count_text(front),
        "search": count_text(max((searched(r) or 0 for r in done), default=0)),
        "params": count_text(max((r.cost.parameters or 0 for r in done), default=0)),
        "MACs": count_text(max((r.cost.macs or 0 for r in done), default=0)),
        "peak\n(MiB)": number_text(max((r.cost.peak_memory_mb or 0.0 for r in done), default=0.0) or None, 0),
        "device": ", ".join(dict.fromkeys(devices)),
    }


def _beside(record: Record) -> bool:
    """Whether another process was on the GPU meanwhile, so that its times are too long."""
    return any(note.startswith("another process") and "GPU" in note for note in record.notes)


def _marks(report: Report) -> Iterator[Text]:
    """Yield what the marks in the table of costs mean, those that stand there."""
    done = [record for record in report.records if record.status is Status.OK]
    if any(map(halved, done)):
        yield Text(
            f"{HALVED} memory was short: batches were halved (the scores are those of the same examples)",
            style="dim",
        )
    if any(map(_beside, done)):
        yield Text(f"{BESIDE} another process was on the GPU: the times are too long", style="dim")


def _remarks(report: Report, records: Sequence[Record]) -> Iterator[RenderableType]:
    yield from failures(report)
    reused = [record for record in report.records if record.reused]
    if reused:
        runs = ", ".join(printable(run) for run in sorted({record.reused for record in reused}))
        verb = "cell was" if len(reused) == 1 else "cells were"
        yield Text(f"{len(reused):,} {verb} measured in earlier runs: {runs}", style="dim")
    everyone = {record.model for record in report.records if record.status is Status.OK}
    if report.run.get("status") != "finished":
        why = "stopped at a cell that did not end well: " if report.run.get("status") == "stopped" else ""
        done = f"{len(report.records)} of {report.run.get('cells')} cells"
        yield Text(f"this run has not finished: {why}{done}; the same command goes on with it")
    for note, places in notes_of(records).items():
        yield Text(f"note: {printable(note)} ({where_of(places, everyone)})", style="dim")
