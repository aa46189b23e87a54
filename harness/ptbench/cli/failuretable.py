"""What did not end well in a run, each reason once: with what to try, the logs and the cells."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rich.text import Text

from ptbench.errors import printable
from ptbench.records import Record, Report, Status
from ptbench.remarks import reasons_of

MOST_REASONS, MOST_CELLS, MOST_LOGS = 20, 5, 2
"""What is told of each; ``report.csv`` has all."""
INDENT = "    "


def failures(report: Report) -> Iterator[Text]:
    """Yield every reason for which cells did not end well."""
    reasons = reasons_of(report)
    for (status, error), records in list(reasons.items())[:MOST_REASONS]:
        yield from _reason(report.folder, status, error, records)
    if len(reasons) > MOST_REASONS:
        left = list(reasons.values())[MOST_REASONS:]
        cells = sum(map(len, left))
        yield Text(
            f"and {cells:,} more cells for {len(left):,} other reasons; report.csv has all", style="red"
        )


def _reason(folder: Path, status: Status, error: str, records: list[Record]) -> Iterator[Text]:
    text = Text(f"{status.value}: ", style="red")
    if len(records) > 1:
        text.append(f"{len(records):,} cells: ", style="default")
    elif status is not Status.SKIPPED:  # a skipped cell's reason says where by itself
        text.append(f"{printable(records[0].title)}: ", style="default")
    text.append(printable(error) or "nobody knows why", style="default")
    yield text
    for advice in dict.fromkeys(record.advice for record in records if record.advice):
        yield Text(f"{INDENT}try: {printable(advice)}")
    logs = [printable(str(_near(folder) / record.log)) for record in records if record.log]
    if logs:
        yield Text(f"{INDENT}log: {_some(logs, MOST_LOGS, ', ')}", style="dim")
    if len(records) > 1:
        titles = [printable(record.title) for record in records]
        yield Text(f"{INDENT}cells: {_some(titles, MOST_CELLS, '; ')}", style="dim")


def _some(texts: list[str], most: int, joint: str) -> str:
    """Return the first of them, and how many more there are.

    >>> _some(["a", "b", "c", "d"], 2, ", ")
    'a, b and 2 more'
    """
    more = f" and {len(texts) - most:,} more" if len(texts) > most else ""
    return joint.join(texts[:most]) + more


def _near(folder: Path) -> Path:
    """Return a folder as people call it who stand where the command was called."""
    try:
        return folder.relative_to(Path.cwd())
    except ValueError:
        return folder
