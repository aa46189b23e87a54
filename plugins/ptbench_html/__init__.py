"""A report as one self-contained page, and a results folder as a small static site."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from ptbench import Report, Reporter, hookimpl


def _html(report: Report, folder: Path) -> Sequence[Path]:
    from ptbench_html.page import write_page

    return [write_page(report, folder / "report.html")]


def _site(report: Report, folder: Path) -> Sequence[Path]:
    from ptbench_html.site import write_site

    return write_site(report, folder)


HTML = Reporter(
    name="html",
    description="report.html: leaderboard, intervals, cost, errors and provenance in one file for a browser.",
    write=_html,
)

SITE = Reporter(
    name="site",
    description="results/site/: an overview of all suites, a page for each run, each suite over its nights.",
    write=_site,
)


@hookimpl
def ptbench_reporters() -> Iterable[Reporter]:
    """One page per run, and a site of all."""
    return [HTML, SITE]
