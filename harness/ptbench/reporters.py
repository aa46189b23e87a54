"""The reporters that need nothing else: CSV."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ptbench.durable import part_of
from ptbench.offers import Reporter
from ptbench.records import Report


def _csv(report: Report, folder: Path) -> Sequence[Path]:
    from ptbench.report import leaderboard_rows, tidy_lines, write_csv

    tidy, board = folder / "report.csv", folder / "leaderboard.csv"
    for path in (tidy, board):
        part = part_of(path)
        with part.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
            if path == tidy:
                file.writelines(tidy_lines(report))
            else:
                write_csv(file, *leaderboard_rows(report))
        part.replace(path)
    return [tidy, board]


CSV = Reporter(
    name="csv",
    description="report.csv, one row per cell and metric, and leaderboard.csv, models by tasks.",
    write=_csv,
)
