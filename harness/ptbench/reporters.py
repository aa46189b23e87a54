"""The reporters that need nothing else: CSV."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ptbench.offers import Reporter
from ptbench.records import Report


def _csv(report: Report, folder: Path) -> Sequence[Path]:
    from ptbench.report import COLUMNS, leaderboard, tidy_rows, write_csv

    tidy, board = folder / "report.csv", folder / "leaderboard.csv"
    with tidy.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
        write_csv(file, COLUMNS, tidy_rows(report))
    best = leaderboard(report)
    with board.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
        write_csv(file, best.columns, best.itertuples(index=False, name=None))
    return [tidy, board]


CSV = Reporter(
    name="csv",
    description="report.csv, one row per cell and metric, and leaderboard.csv, models by tasks.",
    write=_csv,
)
