"""A results folder as a small static site: an overview, a page for each run, and each suite over its nights.

A night writes its own page, the history of its suite and the overview; pages of older runs are written once,
and again only where what they show has changed since. Every file is replaced at once, so that runs of several
suites may write to one site together.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

from ptbench import (
    PtbenchError,
    Report,
    Summary,
    UsageError,
    read_history,
    read_report,
    read_summary,
    run_folders,
)
from ptbench_html.markup import Html, el, join, name
from ptbench_html.nights import history_page, nights_table, plain_page
from ptbench_html.page import page

SITE = "site"
SHOWN = ("records.jsonl", "standings.json", "averages.json", "comparison.json")
"""What the page of a run is made from; ``run.json`` is written once more when the page is there."""
NEWEST = 10
"""Runs of a suite in the overview; its history has all."""
ATTEMPTS = 5


def write_site(report: Report, folder: Path) -> Sequence[Path]:
    """Bring the site of the results that a run lies in up to date; return what was written for this run.

    Raises `UsageError` where the run does not lie in ``results/<suite>/<run>``.
    """
    results = folder.resolve().parent.parent
    here = folder.resolve()
    if here not in run_folders(here.parent) or results == here.parent:
        raise UsageError(f"{folder}: a site is made of results/<suite>/<run>, and this run lies elsewhere")
    site = results / SITE
    own = site / here.parent.name / f"{here.name}.html"
    _place(own, page(report, back="../index.html"))
    for suite in _suites(results):
        folders = run_folders(suite)
        _pages(site / suite.name, folders, own)
        path = site / suite.name / "history.html"
        if suite == here.parent or _changed(folders) > _written(path):
            with suppress(PtbenchError):  # no run of it can be read; the overview says so
                _place(path, history_page(read_history(suite), back="../index.html"))
    _overview(results, site / "index.html")
    return [site / "index.html", site / here.parent.name / "history.html", own]


def _pages(site: Path, folders: Sequence[Path], own: Path) -> None:
    """Write the pages of runs that have none, or one that is older than what it shows."""
    for folder in folders:
        path = site / f"{folder.name}.html"
        if path != own and _changed([folder]) > _written(path):
            with suppress(Exception):  # damaged in whatever way; the overview says so
                _place(path, page(read_report(folder), back="../index.html"))


def _overview(results: Path, path: Path) -> None:
    """Write the overview, again where another run ended meanwhile: the last that writes has seen all."""
    for _ in range(ATTEMPTS):
        before = _state(results)
        _place(path, overview(results))
        if _state(results) == before:
            return


def overview(results: Path) -> str:
    """Return the page of all suites with their newest runs."""
    sections = []
    for suite in _suites(results):
        folders = run_folders(suite)
        runs, damaged = _summaries(folders[:NEWEST])
        title = runs[0].suite if runs else suite.name
        more = el("a", f"History of {len(folders):,} runs", href=f"{_address(suite)}history.html")
        sections.append(
            el(
                "section",
                el("h2", name(title)),
                nights_table(runs, _address(suite)) if runs else "",
                *(el("p", name(reason), class_="note") for reason in damaged),
                el("p", more) if runs else "",
                aria_label=title,
            )
        )
    head = [el("h1", "Results"), el("p", "All suites, the newest runs of each.", class_="lead")]
    return plain_page("Results", head=join(head), nav=Html(), body=join(sections))


def _summaries(folders: Sequence[Path]) -> tuple[list[Summary], list[str]]:
    """Return runs in short, and why some cannot be read."""
    runs, damaged = [], []
    for folder in folders:
        try:
            runs.append(read_summary(folder))
        except Exception as error:  # damaged in whatever way; the others are shown
            damaged.append(f"{folder.name}: {error}")
    return runs, damaged


def _address(suite: Path) -> str:
    return f"{quote(suite.name, safe='', errors='surrogateescape')}/"


def _suites(results: Path) -> Iterator[Path]:
    """Yield the folders of suites that have runs."""
    for path in sorted(results.iterdir()):
        if path.is_dir() and run_folders(path):
            yield path


def _state(results: Path) -> list[tuple[Path, float]]:
    """Return when what the overview shows was changed last."""
    newest = [folder for suite in _suites(results) for folder in run_folders(suite)[:NEWEST]]
    return [(folder, _changed([folder])) for folder in newest]


def _changed(folders: Sequence[Path]) -> float:
    return max((_written(folder / name) for folder in folders for name in SHOWN), default=0.0)


def _written(path: Path) -> float:
    """Return when a file was written; 0 where there is none."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _place(path: Path, text: str) -> None:
    """Write a file so that a reader sees the old one or the new one; two processes may do so together."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        part.write_text(text, "utf-8")
        part.replace(path)
    except OSError:
        part.unlink(missing_ok=True)
        raise
