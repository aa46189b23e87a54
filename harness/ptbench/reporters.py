"""The reporters that need nothing else: CSV."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ptbench.offers import Reporter
from ptbench.records import Report


def _csv(report: Report, folder: Path) -> Sequence[Path]:
    from ptbench.report import csv_text, leaderboard, tidy

    written = []
    for name, frame in (("report.csv", tidy(report)), ("leaderboard.csv", leaderboard(report))):
        path = folder / name
        path.write_text(csv_text(frame), "utf-8", "backslashreplace")
        written.append(path)
    return written


CSV = Reporter(
    name="csv",
    description="report.csv, one row per cell and metric, and leaderboard.csv, models by tasks.",
    write=_csv,
)
