"""The reporters that need nothing else: CSV."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ptbench.offers import Reporter
from ptbench.records import Report


def _csv(report: Report, folder: Path) -> Sequence[Path]:
    from ptbench.report import csv_text, leaderboard, tidy_blocks

    tidy, board = folder / "report.csv", folder / "leaderboard.csv"
    with tidy.open("w", encoding="utf-8", errors="backslashreplace") as file:
        for number, block in enumerate(tidy_blocks(report)):
            file.write(csv_text(block, head=number == 0))
    board.write_text(csv_text(leaderboard(report)), "utf-8", "backslashreplace")
    return [tidy, board]


CSV = Reporter(
    name="csv",
    description="report.csv, one row per cell and metric, and leaderboard.csv, models by tasks.",
    write=_csv,
)
