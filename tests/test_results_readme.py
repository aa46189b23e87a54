"""`results/README.md` is the dictionary of the columns, made from the code.

After a change of the columns: `python tests/test_results_readme.py`.
"""

from __future__ import annotations

from pathlib import Path

from ptbench.report import COLUMNS

README = Path(__file__).resolve().parent.parent / "results" / "README.md"
START, END = "<!-- columns -->", "<!-- end of columns -->"


def columns() -> str:
    """Return the table of the columns of ``report.csv`` in Markdown."""
    rows = [f"| `{name}` | {meaning} |" for name, meaning in COLUMNS.items()]
    return "\n".join([START, "| column | meaning |", "| --- | --- |", *rows, END])


def test_the_dictionary_has_the_columns_of_the_code() -> None:
    assert columns() in README.read_text("utf-8")


if __name__ == "__main__":
    text = README.read_text("utf-8")
    before, after = text.split(START)[0], text.split(END)[-1]
    README.write_text(before + columns() + after, "utf-8")
