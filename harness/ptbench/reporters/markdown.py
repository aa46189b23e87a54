"""A summary in Markdown, for a pull request or the page of a CI job.

What a reader needs first stands first: what got worse, then who is best. It stays below the 65,536
characters that GitHub takes for a comment, whatever the run: every section has its room.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from ptbench.records import Report, Status
from ptbench.report import tasks_of
from ptbench.reporters.inert import inert
from ptbench.reporters.mdcomparison import comparison_section
from ptbench.reporters.mdremarks import costs_section, failures_section, notes_section
from ptbench.reporters.mdscores import answers_section, averages_section, scores_section
from ptbench.reporters.placing import placed

MAX_TITLE = 100
"""Characters of a title, and of a description twice that."""


def write_markdown(report: Report, folder: Path) -> Path:
    """Write ``report.md`` into a folder; return its path."""
    path = folder / "report.md"
    with placed(path) as file:
        file.write(markdown_text(report))
    return path


def markdown_text(report: Report) -> str:
    """Return a summary of a report in GitHub's Markdown, of 60,000 bytes at most.

    Names and messages in it are inert: no HTML, no links, no mentions. Tables that are too long are cut,
    and a sentence says so.
    """
    return "\n".join(filter(None, _sections(report)))


def _sections(report: Report) -> Iterator[str]:
    yield _head(report)
    if report.comparison is not None:
        yield comparison_section(report.comparison)
    yield answers_section(report)
    yield failures_section(report)
    yield scores_section(report)
    yield averages_section(report)
    yield costs_section(report)
    yield notes_section(report)


def _head(report: Report) -> str:
    run = report.run
    title = " · ".join(inert(run[key], MAX_TITLE) for key in ("suite", "run") if run.get(key))
    lines = [f"# {title or 'ptbench'}\n"]
    if run.get("description"):
        lines.append(f"\n{inert(run['description'], 2 * MAX_TITLE)}\n")
    statuses = Counter(record.status for record in report.records)
    told = ", ".join(f"{statuses[status]:,} {status.value}" for status in Status if statuses[status])
    facts = [f"{len(report.records):,} cells on {len(tasks_of(report)):,} tasks: {told or 'nothing was run'}"]
    packages = run.get("packages")
    if isinstance(packages, dict) and packages.get("ptbench"):
        facts.append(f"ptbench {inert(packages['ptbench'])}")
    if run.get("commit"):
        facts.append(f"commit {inert(str(run['commit'])[:12])}")
    lines.append(f"\n{' · '.join(facts)}\n")
    status = run.get("status")
    if status not in (None, "finished"):
        cells = f"{len(report.records)} of {inert(run.get('cells', '?'))} cells"
        lines.append(f"\n**This run has not finished** ({inert(status)}): {cells}.\n")
    return "".join(lines)
