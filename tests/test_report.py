"""The CSV of a report reads back as it was meant, whatever stands in it."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ptbench import testing
from ptbench.report import COLUMNS, safe_cell, tidy_lines, tidy_rows, write_csv

TEXTS = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"))
CELLS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), TEXTS)


def text_of(value: Any) -> str:
    """Return what a reader of the CSV is to see."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return str(safe_cell(value))


@given(st.lists(st.lists(CELLS, min_size=3, max_size=3), max_size=5))
def test_any_table_reads_back(rows: list[list[Any]]) -> None:
    file = io.StringIO(newline="")
    write_csv(file, ["a", "=b", 'c"'], rows)
    header, *found = csv.reader(io.StringIO(file.getvalue(), newline=""))
    assert header == ["a", "'=b", 'c"']
    assert found == [[text_of(value) for value in row] for row in rows]


def test_the_lines_of_a_report_are_its_rows(tmp_path: Path) -> None:
    report = testing.sample_report(tmp_path)
    header, *found = csv.reader(io.StringIO("".join(tidy_lines(report)), newline=""))
    assert header == list(COLUMNS)
    assert found == [[text_of(value) for value in row] for row in tidy_rows(report)]
    assert {row["status"] for row in (dict(zip(header, line, strict=True)) for line in found)} == {
        "ok",
        "failed",
    }
