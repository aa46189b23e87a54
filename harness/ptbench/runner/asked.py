"""What a run was asked for, by the text of its suite that it kept: so a record that is lost is missed."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from ptbench.catalog import Catalog
from ptbench.errors import DataError
from ptbench.records import Report
from ptbench.runner.resolve import resolve
from ptbench.runner.sides import Entry, unfinished
from ptbench.store import slug
from ptbench.suite import Suite, load_suite


def suite_of(run: Mapping[str, Any]) -> Suite:
    """Return the suite of a run, with its path where relative paths start. Raises `PtbenchError`."""
    text, told = run.get("text"), run.get("base")
    if not isinstance(text, str) or not text:
        raise DataError("the run does not tell its suite")
    with tempfile.TemporaryDirectory(prefix="ptbench-suite-") as folder:
        path = Path(folder) / slug(str(run.get("file") or "suite.toml"))
        path.write_text(text, "utf-8")
        suite = load_suite(path)
    base = Path(told) if isinstance(told, str) else Path.cwd()
    return replace(suite, path=base / path.name)


class Asked:
    """The rows and seeds that a run was to have."""

    def __init__(self, report: Report, catalog: Catalog) -> None:
        self.report = report
        self.catalog = catalog

    def lacking(self, a: Entry | None, b: Entry | None) -> str:
        """Return why the run lacks records that an earlier one (``a``) has; empty: it was not to have them.

        Where its suite cannot be read here, it is told by the number of records.
        """
        if a is None:
            return ""
        there = {record.seed for record in b.records} if b is not None else set()
        missing = {record.seed for record in a.records} - there
        reason = unfinished(self.report.run)
        if not missing:
            return ""
        if self._cells is not None:
            wanted = any((a.task, a.model, a.label, seed) in self._cells for seed in missing)
            return (reason or "its record is missing") if wanted else ""
        cells, records = self.report.run.get("cells"), len(self.report.records)
        if isinstance(cells, int) and records < cells:
            reason = reason or f"its record may be missing: the run has {records:,} for {cells:,} cells"
        return reason

    @cached_property
    def _cells(self) -> frozenset[tuple[str, str, str, int]] | None:
        """Task, model, protocol and seed of every cell; None where nobody can tell."""
        try:
            cells, mistakes = resolve(suite_of(self.report.run), self.catalog)
        except Exception:  # an option may be a plugin's own code
            return None
        if mistakes:
            return None
        return frozenset((cell.task.name, cell.model.name, cell.label, cell.seed) for cell in cells)
