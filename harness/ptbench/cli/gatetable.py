"""A gate as a Rich table: what got worse first, what is the same as a count, what the verdict means."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.text import Text

from ptbench.cli.comparetable import STYLES, fitted, remarks
from ptbench.cli.words import JUDGED, LONGEST_TEXT, named, number, p_of, probability
from ptbench.comparison import TIME, Change, Compared, Comparison
from ptbench.figures import interval_text, timing_text

WORST_FIRST = (
    Change.WORSE, Change.GONE, Change.NOT_COMPARABLE, Change.NEW, Change.BETTER, Change.SAME,
)  # fmt: skip
COLUMNS = (
    "verdict", "model", "protocol", "task", "metric", "baseline", "run", "change (95 % interval)", "p",
    "time", "reason",
)  # fmt: skip


def render_gate(comparison: Comparison, console: Console, *, every: bool = False) -> None:
    """Print a gate: rows that changed, or ``every`` one, and the verdict over all of them."""
    console.print(
        Text.assemble("baseline: ", named(comparison.a), "\nrun: ", named(comparison.b)), soft_wrap=True
    )
    rows = worst_first(comparison)
    shown = [row for row in rows if every or row.verdict is not Change.SAME or _slower(row)]
    if shown:
        console.print(fitted(COLUMNS, [_row(row) for row in shown], console))
    if folded := len(rows) - len(shown):
        told = (
            "1 row the same; --all shows it" if folded == 1 else f"{folded:,} rows the same; --all shows them"
        )
        console.print(Text(told, style="dim"))
    for line in remarks(comparison):
        console.print(line, soft_wrap=True)
    for text in meaning(comparison):
        console.print(Text(text, style="dim"), soft_wrap=True)
    style = "bold red" if comparison.regressed else "bold green" if comparison.comparable else "bold yellow"
    console.print(named(summary(comparison), style, 1000), soft_wrap=True)


def worst_first(comparison: Comparison) -> list[Compared]:
    """Return the rows, those that regressed first; within a verdict the largest loss first."""
    regressed = set(map(id, comparison.regressed))

    def place(row: Compared) -> tuple[bool, int, float]:
        gain = row.primary.gain if row.primary is not None else math.nan
        return (
            id(row) not in regressed,
            WORST_FIRST.index(row.verdict),
            0.0 if math.isnan(gain) else gain,
        )

    return sorted(comparison.rows, key=place)


def summary(comparison: Comparison) -> str:
    """Return the verdict of a gate in one line.

    >>> summary(Comparison("s/1", "s/2", ()))
    'nothing could be compared'
    """
    regressed = comparison.regressed
    counts = [f"{count:,} {verdict.value}" for verdict in WORST_FIRST if (count := comparison.count(verdict))]
    if slower := sum(_slower(row) for row in comparison.rows):
        counts.append(f"{slower:,} slower")
    told = ", ".join(counts)
    if regressed:
        title = regressed[0].title if len(regressed) == 1 else f"{len(regressed):,} rows"
        return f"REGRESSED: {title} ({told})"
    if not comparison.comparable:
        return "nothing could be compared" + (f": {told}" if told else "")
    return f"no regression was shown ({told})"


def meaning(comparison: Comparison) -> Iterator[str]:
    """Yield what the verdict means: how often it is false, what counts as no difference, what was not run."""
    rows = sum(bool(row.differences) and row.verdict in JUDGED for row in comparison.rows)
    if rows:
        of = "the one row" if rows == 1 else f"all {rows:,} rows together (Holm)"
        share = f"{100 * comparison.alpha:.3g} %"
        yield f"false alarms: where nothing got worse, at most {share} of gates fail, over {of}"
    margins = {name: margin for name, margin in comparison.margins.items() if name != TIME}
    if margins:
        told = ", ".join(f"{margin:g} of {name}" for name, margin in sorted(margins.items()))
        yield f"margin: a loss of up to {told} counts as none"
    timed = [row.timing for row in comparison.rows if row.timing is not None]
    if timed:
        slack = comparison.margins.get(TIME)
        within = f" and the margin of {slack:.0%}" if slack else ""
        known = sum(not math.isnan(one.p) for one in timed)
        yield (
            f"time: slower means beyond the noise of earlier runs of the same cell{within}; "
            f"{known:,} of {len(timed):,} timed rows have enough of them"
        )
    if reused := sum(row.reused for row in comparison.rows):
        yield f"reused: {reused:,} of {len(comparison.rows):,} rows were not run again"


def _row(row: Compared) -> list[Text]:
    verdict = Text(row.verdict.value, style=STYLES[row.verdict])
    if _slower(row):
        slower = Text("slower", style="bold red")
        verdict = slower if row.verdict is Change.SAME else verdict.append(", ").append_text(slower)
    one = row.primary
    numbers: Sequence[Text] = [Text()] * 5
    if one is not None:
        numbers = (
            named(one.metric),
            Text(number(one.a)),
            Text(number(one.b)),
            Text(interval_text(one)),
            Text(probability(p_of(one))),
        )
    return [
        verdict,
        named(" -> ".join(dict.fromkeys((row.a[0], row.b[0])))),
        named(" -> ".join(dict.fromkeys((row.a[1], row.b[1])))),
        named(row.task),
        *numbers,
        Text(timing_text(row.timing)) if row.timing is not None else Text(),
        named(row.reason, most=LONGEST_TEXT),
    ]


def _slower(row: Compared) -> bool:
    return row.timing is not None and row.timing.slower
