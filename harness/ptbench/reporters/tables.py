"""The report as CSV: one row per cell and metric, and models by tasks."""

from __future__ import annotations

from pathlib import Path

from ptbench.records import Report
from ptbench.report import leaderboard_rows, tidy_lines, write_csv
from ptbench.reporters.placing import placed


def write_tables(report: Report, folder: Path) -> list[Path]:
    """Write ``report.csv`` and ``leaderboard.csv`` into a folder; return their paths."""
    tidy, board = folder / "report.csv", folder / "leaderboard.csv"
    with placed(tidy) as file:
        file.writelines(tidy_lines(report))
    with placed(board) as file:
        write_csv(file, *leaderboard_rows(report))
    return [tidy, board]
