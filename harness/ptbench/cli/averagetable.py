"""The table of averages over tasks: value with its interval, place, and who cannot be told apart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from ptbench.cli.reliability import MAX_NAME
from ptbench.figures import score_text
from ptbench.records import Average, Report


def averages(report: Report, entries: Sequence[tuple[str, str]]) -> Iterator[RenderableType]:
    """Yield the averages of these (model, protocol), the best first, where there are any."""
    shown = [average for average in report.averages if (average.model, average.protocol) in entries]
    if not shown:
        return
    title = (
        f"average over the primary metrics of {shown[0].tasks} tasks (interval: other examples of these; "
        "two that share a letter cannot be told apart)"
    )
    table = Table(title=title, title_justify="left", header_style="bold")
    for name in ("model", "protocol"):
        table.add_column(name, overflow="fold", max_width=MAX_NAME)
    for name in ("average", "place"):
        table.add_column(name, justify="right")
    table.add_column("letters")
    for average in shown:
        value = Text(score_text(average.value, average.ci_low, average.ci_high))
        row = Text(average.model), Text(average.protocol), value, Text(place(average)), Text(average.group)
        table.add_row(*row)
    yield table


def place(average: Average) -> str:
    """Return the place that a model has, or those that it may have.

    >>> place(Average("m", "p", 0.8, 0.7, 0.9, tasks=2, rank_low=1, rank_high=3, group="a"))
    '1 to 3'
    """
    low, high = average.rank_low, average.rank_high
    if low is None or high is None:
        return ""
    return str(low) if low == high else f"{low} to {high}"
