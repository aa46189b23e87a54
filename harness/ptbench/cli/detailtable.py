"""What lies behind a score, as Rich tables: confusions and reliability."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group
from rich.table import Table
from rich.text import Text

from ptbench.cli.words import LONGEST_NAME, named, number
from ptbench.details import Confusion, ReliabilityBin

MOST_LABELS, MOST_PAIRS = 20, 20
"""Labels up to which the whole confusion matrix is drawn; of more, the pairs that are confused most."""
MOST_LETTERS, NARROW = 16, 60
"""Characters of a label above a column, and of all of them, up to which labels stand there and no numbers."""


def confusion_table(confusion: Confusion, draws: int = 1) -> Group:
    """Return the matrix, or of many labels the pairs that are confused most; a sum over so many draws."""
    over = f", summed over {draws:,} draws of training rows" if draws > 1 else ""
    size = len(confusion.labels)
    if size > MOST_LABELS:
        pairs = confusion.mistakes(MOST_PAIRS)
        table = texts("target", "prediction")
        table.add_column("examples", justify="right")
        for target, prediction, count in pairs:
            table.add_row(named(target), named(prediction), f"{count:,}")
        return under(f"the {len(pairs)} most frequent confusions of {size:,} labels{over}", table)
    table = texts("target")
    # long names of many labels would make the matrix wider than any terminal: numbers stand for them
    numbered = sum(min(len(label), MOST_LETTERS) + 3 for label in confusion.labels) > NARROW
    for i, label in enumerate(confusion.labels):
        heading = Text(str(i + 1)) if numbered else named(label, most=MOST_LETTERS)
        table.add_column(heading, justify="right", overflow="fold")
    for i, (label, row) in enumerate(zip(confusion.labels, confusion.counts.tolist(), strict=True)):
        name = Text(f"{i + 1} " if numbered else "").append_text(named(label, most=24))
        cells = [
            Text(f"{count:,}", style="bold green" if i == j else "red" if count else "dim")
            for j, count in enumerate(row)
        ]
        table.add_row(name, *cells)
    return under(f"confusion: targets down, predictions across{over}", table)


def reliability_table(bins: Sequence[ReliabilityBin], draws: int = 1, clusters: int | None = None) -> Group:
    """Return accuracy beside confidence, and where they are further apart than chance explains.

    ``draws``: the bins are of the first of so many; ``clusters``: the examples fall into so many.
    """
    n = sum(one.n for one in bins)
    error = sum(one.n * abs(one.confidence - one.accuracy) for one in bins) / n
    table = texts()
    for name in ("top score", "examples", "confidence", "accuracy", "95 % interval", "confident"):
        table.add_column(name, justify="right", no_wrap=True)
    for one in bins:
        off = "too much" if one.confidence > one.accuracy_high else ""
        off = "too little" if one.confidence < one.accuracy_low else off
        table.add_row(
            f"{one.low:.2f} to {one.high:.2f}",
            f"{one.n:,}",
            number(one.confidence),
            number(one.accuracy),
            f"{number(one.accuracy_low)} to {number(one.accuracy_high)}",
            Text(off, style="yellow"),
        )
    title = f"reliability (expected calibration error {error:.3f})"
    if draws > 1:
        title += f"; of the first of {draws:,} draws of training rows"
    if clusters is not None:
        title += f"; intervals take examples as independent, though they fall into {clusters:,} clusters"
    return under(title, table)


def texts(*names: str) -> Table:
    """Return a table with these columns of text."""
    table = Table(header_style="bold")
    for name in names:
        table.add_column(named(name), overflow="fold")
    return table


def under(title: str, table: Table) -> Group:
    """Return a table under a title, which may be longer than the table is wide."""
    return Group(named(title, "italic", 3 * LONGEST_NAME), table)
