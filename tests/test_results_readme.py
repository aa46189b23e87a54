"""`results/README.md` is the dictionary of the columns, made from the code.

After a change of the columns: `python tests/test_results_readme.py`.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ptbench.cli.profilerows import PROFILE_COLUMNS
from ptbench.report import COLUMNS

README = Path(__file__).resolve().parent.parent / "results" / "README.md"
TABLES = {"columns": COLUMNS, "columns of a profile": PROFILE_COLUMNS}


def table(name: str) -> str:
    """Return the columns of a CSV file as a table in Markdown, between its marks."""
    rows = [f"| `{column}` | {meaning} |" for column, meaning in TABLES[name].items()]
    head = [f"<!-- {name} -->", "| column | meaning |", "| --- | --- |"]
    return "\n".join([*head, *rows, f"<!-- end of {name} -->"])


@pytest.mark.parametrize("name", TABLES)
def test_the_dictionary_has_the_columns_of_the_code(name: str) -> None:
    assert table(name) in README.read_text("utf-8")


def test_every_file_of_a_run_is_listed_once() -> None:
    head = README.read_text("utf-8").split("<!-- columns -->")[0]
    listed = re.findall(r"^\| `([^`]+)` \|", head, re.MULTILINE)
    assert len({*listed}) == len(listed)
    assert {"run.json", "records.jsonl", "standings.json", "events.jsonl", "live.json", "replay.json"} <= {
        *listed
    }


if __name__ == "__main__":
    text = README.read_text("utf-8")
    for name in TABLES:
        head, tail = text.split(f"<!-- {name} -->")[0], text.split(f"<!-- end of {name} -->")[-1]
        text = head + table(name) + tail
    README.write_text(text, "utf-8")
