"""The reporters that need nothing else: CSV, Markdown, JUnit XML and JSON."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ptbench.offers import Reporter
from ptbench.records import Report


def _csv(report: Report, folder: Path) -> Sequence[Path]:
    from ptbench.reporters.tables import write_tables

    return write_tables(report, folder)


def _markdown(report: Report, folder: Path) -> Sequence[Path]:
    from ptbench.reporters.markdown import write_markdown

    return [write_markdown(report, folder)]


def _junit(report: Report, folder: Path) -> Sequence[Path]:
    from ptbench.reporters.junit import write_junit

    return [write_junit(report, folder)]


def _json(report: Report, folder: Path) -> Sequence[Path]:
    from ptbench.reporters.plainjson import write_json

    return [write_json(report, folder)]


CSV = Reporter(
    name="csv",
    description="report.csv, one row per cell and metric, and leaderboard.csv, models by tasks.",
    write=_csv,
)
MARKDOWN = Reporter(
    name="markdown",
    description="report.md: a summary for a pull request or the page of a CI job.",
    write=_markdown,
)
JUNIT = Reporter(
    name="junit",
    description="junit.xml: a test case per cell, and per row of the gate, for CI.",
    write=_junit,
)
JSON = Reporter(
    name="json",
    description="report.json: the whole report as one file of JSON.",
    write=_json,
)
