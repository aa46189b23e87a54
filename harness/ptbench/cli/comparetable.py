"""A comparison as a Rich table: a row per task, what else differs, and a plain answer."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ptbench.cli.reliability import MAX_NAME
from ptbench.cli.words import (
    INTERVALS,
    JUDGED,
    LONGEST_NAME,
    LONGEST_TEXT,
    NO_RANGES,
    Ranges,
    answer,
    named,
    number,
    probability,
    probability_of,
    reason_of,
    same_predictions,
    visible,
    word_of,
)
from ptbench.comparison import Change, Compared, Comparison, Difference
from ptbench.figures import interval_text

STYLES = {
    Change.BETTER: "bold green",
    Change.WORSE: "bold red",
    Change.GONE: "red",
    Change.NEW: "cyan",
    Change.NOT_COMPARABLE: "yellow",
    Change.SAME: "dim",
}
MOST_REMARKS = 20
LONGEST_TITLE = 300
"""Characters of a side, which may be a path."""
WORDY, WIDE = ("model", "protocol", "task", "metric", "verdict", "reason"), ("verdict", "reason")
P = "p (Holm)"
DISPENSABLE = ("visible from", "metric", P, "time", "protocol")
"""Columns that a narrow terminal does without, in this order."""


def fitted(columns: Sequence[str], rows: Sequence[Sequence[Text]], console: Console) -> Table:
    """Return a table without columns that are empty, or for which a narrow terminal has no room."""
    kept = [i for i in range(len(columns)) if any(row[i] for row in rows)]

    def width(i: int) -> int:
        """Return what a column needs: words are not cut, numbers stay in one line."""
        texts = [columns[i], *(row[i].plain for row in rows)]
        words = [word for text in texts for word in text.split()] if columns[i] in WORDY else texts
        return min(max(map(cell_len, words)), MAX_NAME if columns[i] in WORDY else console.width) + 3

    while sum(map(width, kept)) >= console.width and (left := [i for i in kept if columns[i] in DISPENSABLE]):
        kept.remove(min(left, key=lambda i: DISPENSABLE.index(columns[i])))
    table = Table(header_style="bold")
    for i in kept:
        wordy = columns[i] in WORDY
        most = MAX_NAME if wordy and columns[i] not in WIDE else None
        table.add_column(columns[i], overflow="fold", no_wrap=not wordy, max_width=most)
        table.columns[-1].justify = "left" if wordy else "right"
    for row in rows:
        table.add_row(*(row[i] for i in kept))
    return table


def render_comparison(
    comparison: Comparison,
    console: Console,
    metrics: Sequence[str] = (),
    *,
    models: bool = False,
    every: bool = False,
    ranges: Ranges = NO_RANGES,
) -> None:
    """Print a comparison: the primary metric of each task, and these ``metrics`` beside it.

    ``models``: its sides are models of one run, which need not stand in every row. ``every``: also the rows
    in which both predict the same. ``ranges``: how far apart two values of a metric can be.
    """
    console.print(
        Text.assemble(
            "A: ", named(comparison.a, most=LONGEST_TITLE), "\nB: ", named(comparison.b, most=LONGEST_TITLE)
        ),
        soft_wrap=True,
    )
    shown = [row for row in comparison.rows if every or not same_predictions(row)]
    if shown:
        console.print(fitted(COLUMNS, list(_rows(shown, metrics, models, ranges)), console))
    if folded := len(comparison.rows) - len(shown):
        what = "rows have the same predictions; --all shows them"
        what = what if folded > 1 else "row has the same predictions; --all shows it"
        console.print(Text(f"{folded:,} {what}", style="dim"))
    for line in remarks(comparison):
        console.print(line, soft_wrap=True)
    for text in _meaning(shown, metrics, models):
        console.print(Text(text, style="dim"), soft_wrap=True)
    console.print(Text(answer(comparison, models=models, ranges=ranges), style="bold"), soft_wrap=True)


COLUMNS = (
    "model", "protocol", "task", "metric", "A", "B", "change (95 % interval)", P, "verdict", "visible from",
)  # fmt: skip


def _meaning(rows: Sequence[Compared], metrics: Sequence[str], of_models: bool) -> Iterator[str]:
    """Yield what p and intervals are about, where there are any."""
    seen = [one for row in rows for one in _seen(row, metrics) if not math.isnan(one.p)]
    if not seen:
        return
    plain = any(math.isnan(one.adjusted) for one in seen)
    of = f"over the rows that differ{'; in parentheses it is not corrected' if plain else ''}"
    yield f"p is corrected {of}; {INTERVALS}"
    if of_models:
        yield "the letters and ~ of a run are corrected over all pairs of models of one task"


def _seen(row: Compared, metrics: Sequence[str]) -> list[Difference]:
    return [one for i, one in enumerate(row.differences) if not i or one.metric in metrics]


def _rows(
    rows: Sequence[Compared], metrics: Sequence[str], of_models: bool, ranges: Ranges
) -> Iterator[list[Text]]:
    models, protocols = varying(rows)
    for row in rows:
        names = [
            named(" -> ".join(dict.fromkeys((row.a[0], row.b[0])))) if models and not of_models else Text(),
            named(" -> ".join(dict.fromkeys((row.a[1], row.b[1])))) if protocols else Text(),
            named(row.task),
        ]
        verdict = Text(word_of(row.verdict, of_models), style=STYLES[row.verdict])
        if reason := reason_of(row, models=of_models):
            verdict.append_text(named(f": {reason}", "default", LONGEST_TEXT))
        if not row.differences:
            yield [*names, *[Text()] * 5, verdict, Text()]
        for i, one in enumerate(_seen(row, metrics)):
            yield [
                *(names if i == 0 else [Text()] * 3),
                named(one.metric),
                Text(number(one.a)),
                Text(number(one.b)),
                Text(interval_text(one)),
                Text(probability_of(one), style="dim" if i else ""),
                verdict if i == 0 else Text(),
                Text(visible(one, ranges), style="dim"),
            ]


def varying(rows: Sequence[Compared]) -> tuple[bool, bool]:
    """Return whether models differ from row to row, and whether protocols do."""
    models = {(row.a[0], row.b[0]) for row in rows}
    protocols = {(row.a[1], row.b[1]) for row in rows}
    return len(models) > 1, len(protocols) > 1


def remarks(comparison: Comparison) -> Iterator[Text]:
    """Yield the average, what else differs (each remark once, with its rows), and what to know."""
    if comparison.average is not None:
        average = comparison.average
        yield Text(
            f"average over tasks: {number(average.a)} -> {number(average.b)}, change {interval_text(average)}"
            + (f", p {probability(average.p)}" if not math.isnan(average.p) else "")
        )
    judged = [row for row in comparison.rows if row.verdict in JUDGED]  # else the reason says it
    caveats = {(one.caveat, row.title) for row in judged for one in row.differences if one.caveat}
    yield from _grouped("note", sorted(caveats), len(comparison.rows))
    differing = [(text, row.title) for row in comparison.rows for text in row.differs]
    yield from _grouped("differs", differing, len(comparison.rows))
    for word, texts in (("differs", comparison.environment), ("note", comparison.notes)):
        for text in texts[:MOST_REMARKS]:
            yield named(f"{word}: {text}", "dim", 1000)
        if len(texts) > MOST_REMARKS:
            yield Text(f"{word}: {len(texts) - MOST_REMARKS:,} more; --json has all", style="dim")


def _grouped(word: str, told: Iterable[tuple[str, str]], rows: int) -> Iterator[Text]:
    """Yield every remark once, with how many rows it is about."""
    where: dict[str, list[str]] = {}
    for text, title in told:
        where.setdefault(text, []).append(title)
    for text, titles in list(where.items())[:MOST_REMARKS]:
        of = f"{len(titles):,} of {rows:,} rows" if len(titles) > 1 else titles[0]
        every = len(titles) == rows and rows > 1
        line = named(f"{word}: {text}", "dim", 1000)
        yield line.append(" ").append_text(named(f"({'every row' if every else of})", most=3 * LONGEST_NAME))
    if len(where) > MOST_REMARKS:
        yield Text(f"{word}: {len(where) - MOST_REMARKS:,} more; --json has all", style="dim")
