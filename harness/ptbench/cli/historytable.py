"""The history of a suite as a table: each series as a line of blocks, and where its level changed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise

from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from ptbench.errors import printable
from ptbench.history import ChangePoint, History, Series, level_text
from ptbench.summaries import missing_records

BLOCKS = "▁▂▃▄▅▆▇█"
MOST = 40
"""Blocks of a line; of more nights, several share one."""
NARROW = 20
MOST_CAUSES = 4
MAX_NAME = 30
SHORT = 80
"""Characters of a cause that a table has."""


def render_history(history: History, console: Console, every: bool) -> None:
    """Print a history; all causes of each change where ``every`` is set."""
    console.print(Group(*_parts(history, console.width, every)))


def sparkline(values: Sequence[float], most: int = MOST) -> str:
    """Return numbers as blocks between their least and their greatest; a night without is a gap.

    >>> sparkline([0.1, 0.2, float("nan"), 0.3])
    '▁▅ █'
    >>> sparkline([0.5, 0.5])
    '▄▄'
    >>> sparkline([0, 0, 1, 1], most=2)
    '▁█'
    """
    count = min(most, len(values))
    ends = [len(values) * i // count for i in range(count + 1)] if count else [0]
    bins = [[value for value in values[start:end] if math.isfinite(value)] for start, end in pairwise(ends)]
    means = [math.fsum(found) / len(found) if found else math.nan for found in bins]
    there = [mean for mean in means if not math.isnan(mean)]
    low, high = (min(there), max(there)) if there else (0.0, 0.0)
    return "".join(
        " "
        if math.isnan(mean)
        else BLOCKS[3]
        if high == low
        else BLOCKS[min(7, int(8 * (mean - low) / (high - low)))]
        for mean in means
    )


def _parts(history: History, width: int, every: bool) -> Iterator[RenderableType]:
    first, last = history.nights[0], history.nights[-1]
    table = Table(
        title=escape(printable(f"{history.suite} · {first.run} to {last.run}")),
        title_justify="left",
        header_style="bold",
    )
    for name in ("model", "task", "protocol"):
        table.add_column(name, overflow="fold", max_width=MAX_NAME)
    for name in ("first", "last"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("nights", no_wrap=True)
    table.add_column("changes", overflow="fold", ratio=1)
    blocks = MOST if width >= 140 else NARROW
    for series in history.series:
        nights = series.nights
        ends = [level_text(float(series.values[night])) for night in (nights[:1] + nights[-1:])]
        table.add_row(
            Text(printable(series.model)),
            Text(printable(series.task)).append(f"\n{printable(series.metric)}", style="dim"),
            Text(printable(series.protocol)),
            *(ends or ["", ""]),
            sparkline(series.values.tolist(), blocks),
            _changes(history, series, every),
        )
    if history.series:
        yield table
    yield Text(printable(history.sentence))
    if history.gate:
        yield Text(printable(history.gate))
    if lost := [night for night in history.nights if missing_records(night)]:
        yield Text(printable(f"{lost[-1].run}: {missing_records(lost[-1])}"), style="yellow")
    if any(night.status != "finished" for night in history.nights):
        count = sum(night.status != "finished" for night in history.nights)
        yield Text(f"{count:,} of the nights did not finish", style="dim")


def _changes(history: History, series: Series, every: bool) -> Text:
    text = Text("\n").join([_change(history, series, point, every) for point in series.changes])
    if series.too_few:
        text.append(series.too_few, style="dim")
    if series.stands_out:
        value = float(series.values[series.outliers[-1]])
        text.append("\n" if text else "")
        text.append(f"the last night stands out: {level_text(value)}", style="yellow")
    return text


def _change(history: History, series: Series, point: ChangePoint, every: bool) -> Text:
    night = history.nights[point.night]
    text = Text(f"{printable(night.started[:10] or night.run)} ")
    text.append(point.words, style="green" if point.better else "red")
    told = list(point.causes) if every else [_short(cause) for cause in point.causes[:MOST_CAUSES]]
    if not told:
        text.append("\n  nothing changed that is known of", style="dim")
    for cause in told:
        text.append(f"\n  {printable(cause)}", style="dim")
    if (more := len(point.causes) - len(told)) > 0:
        text.append(f"\n  and {more} more (--causes)", style="dim")
    return text


def _short(text: str) -> str:
    return text if len(text) <= SHORT else f"{text[: SHORT - 1]}…"
