"""The whole report as one file of JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ptbench.plain import to_json
from ptbench.records import Report
from ptbench.reporters.placing import placed
from ptbench.version import __version__

SCHEMA = 1
"""The version of the layout; it changes when a reader of the old one would be misled."""


def write_json(report: Report, folder: Path) -> Path:
    """Write ``report.json`` into a folder; return its path."""
    path = folder / "report.json"
    with placed(path) as file:
        file.write(
            json.dumps(report_data(report), allow_nan=False) + "\n"
        )  # in ASCII: any text is safe in it
    return path


def report_data(report: Report) -> dict[str, Any]:
    """Return all of a report as plain JSON data, the fields as those of `Report` and its parts.

    A number that is not finite is null. Each of ``records`` is a line of ``records.jsonl``. Where the folder
    of the run lies is left out: it is that of the file.
    """
    return {"schema": SCHEMA, "version": __version__, **to_json(report, without=("folder",))}
