"""A comparison in Markdown: what got worse in whole sentences, then every row as a table."""

from __future__ import annotations

import math
from collections.abc import Iterator

from ptbench.comparison import Change, Compared, Comparison
from ptbench.figures import change_text, finding_text, interval_text, margins_text, p_text, score_text
from ptbench.reporters.inert import fitting, inert, table

WORSE, ROWS, REST = 6_000, 10_000, 2_000
"""Bytes that what got worse, the table, and what else differs may have."""
MAX_SENTENCE, MAX_REMARK = 400, 200
"""Characters of a sentence on what got worse; of what else differs."""
ORDER = (Change.WORSE, Change.GONE, Change.BETTER, Change.NOT_COMPARABLE, Change.NEW, Change.SAME)


def comparison_section(comparison: Comparison) -> str:
    """Return what a comparison found; what got worse on top."""
    return "\n".join(_parts(comparison))


def _parts(comparison: Comparison) -> Iterator[str]:
    b, a = inert(comparison.b), inert(comparison.a)
    yield f"## {b} against {a}\n"
    worse = comparison.regressed
    if worse:
        yield f"**Worse: {len(worse):,} of {len(comparison.rows):,}**\n"
        yield fitting((f"- {_sentence(row)}\n" for row in worse), WORSE, "that got worse", "comparison.json")
    elif comparison.comparable:
        yield "**Nothing got worse** that these examples could show.\n"
    else:
        yield "**Nothing could be compared.**\n"
    counts = (f"{comparison.count(verdict):,} {verdict.value}" for verdict in Change)
    chance = f"the chance of any false alarm is {comparison.alpha:.0%}".replace("%", " %")
    margins = margins_text(comparison.margins) if comparison.gate else ""
    slack = f"; no loss: up to {inert(margins)}" if margins else ""
    yield f"{', '.join(said for said in counts if not said.startswith('0 '))}; {chance}{slack}.\n"
    if comparison.average is not None:
        yield f"Average over tasks: {inert(change_text(comparison.average), MAX_SENTENCE)}\n"
    if comparison.rows:
        header = ["task", "model", "verdict", "metric", "A", "B", "change", "p", "also differs"]
        first = set(map(id, worse))
        places = {verdict: place for place, verdict in enumerate(ORDER)}
        rows = sorted(comparison.rows, key=lambda row: (id(row) not in first, places[row.verdict]))
        yield table(header, [_row(row) for row in rows], ROWS, "rows", "comparison.json", texts=4)
    told = [("differs", text) for text in comparison.environment] + [("note", t) for t in comparison.notes]
    if told:
        lines = (f"- {what}: {inert(text, MAX_REMARK)}\n" for what, text in told)
        yield fitting(lines, REST, "remarks", "comparison.json")


def _sentence(row: Compared) -> str:
    return inert(finding_text(row), MAX_SENTENCE)


def _row(row: Compared) -> list[str]:
    """Return the cells of a row; p is the corrected one where there is one."""
    name = inert(row.title.replace(f" x {row.task} x ", " x ", 1))
    cells = [inert(row.task), name, row.verdict.value]
    if (found := row.primary) is None:
        return [*cells, "", "", "", inert(row.reason), "", _also(row)]
    p = found.p if math.isnan(found.adjusted) else found.adjusted
    sides = (score_text(value) for value in (found.a, found.b))
    told = "" if math.isnan(p) else p_text(p).removeprefix("= ")
    return [*cells, inert(found.metric), *sides, inert(interval_text(found)), inert(told), _also(row)]


def _also(row: Compared) -> str:
    return inert("; ".join(row.differs))
