"""A gate as a Rich table: what got worse first, what is the same as a count, what the verdict means."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.text import Text

from ptbench.cli.comparetable import LONGEST_TITLE, STYLES, P, fitted, remarks
from ptbench.cli.words import (
    INTERVALS,
    JUDGED,
    LONGEST_TEXT,
    NOT_ASKED,
    named,
    number,
    p_of,
    probability,
    reason_of,
)
from ptbench.comparison import TIME, Change, Compared, Comparison
from ptbench.figures import interval_text, margins_text, timing_text

WORST_FIRST = (
    Change.WORSE, Change.GONE, Change.NOT_COMPARABLE, Change.NEW, Change.BETTER, Change.SAME,
)  # fmt: skip
COLUMNS = (
    "verdict", "model", "protocol", "task", "metric", "baseline", "run", "change (95 % interval)", P,
    "time", "reason",
)  # fmt: skip


def render_gate(comparison: Comparison, console: Console, *, every: bool = False) -> None:
    """Print a gate: rows that changed, or ``every`` one, and the verdict over all of them."""
    console.print(
        Text.assemble(
            "baseline: ",
            named(comparison.a, most=LONGEST_TITLE),
            "\nrun: ",
            named(comparison.b, most=LONGEST_TITLE),
        ),
        soft_wrap=True,
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
    dropped = [row.title for row in comparison.rows if row.verdict is Change.GONE and not row.reason]
    numbers = {verdict.value: comparison.count(verdict) for verdict in WORST_FIRST}
    numbers[Change.GONE.value] -= len(dropped)
    numbers |= {"slower": sum(map(_slower, comparison.rows)), NOT_ASKED: len(dropped)}
    told = ", ".join(f"{count:,} {what}" for what, count in numbers.items() if count)
    lost = f"; {NOT_ASKED}: {some(dropped)}" if dropped else ""
    if regressed:
        title = regressed[0].title if len(regressed) == 1 else f"{len(regressed):,} rows"
        return f"REGRESSED: {title} ({told}){lost}"
    if not comparison.comparable:
        return "nothing could be compared" + (f": {told}" if told else "")
    refused, n = numbers.pop(Change.NOT_COMPARABLE.value), len(comparison.rows)
    if not refused:
        return f"no regression was shown ({told}){lost}"
    compared = sum(bool(row.differences) and row.verdict in JUDGED for row in comparison.rows)
    rest = ", ".join(f"{count:,} {what}" for what, count in numbers.items() if count)
    said = f"no regression was shown on {compared:,} of {n:,} rows; {refused:,} not comparable"
    return f"{said} ({rest}){lost}"


def some(titles: Sequence[str], most: int = 3) -> str:
    """Return the first of some titles, and how many there are beside.

    >>> some(["a", "b", "c", "d", "e"])
    'a; b; c; and 2 more'
    """
    more = [f"and {len(titles) - most:,} more"] if len(titles) > most else []
    return "; ".join([*titles[:most], *more])


def meaning(comparison: Comparison) -> Iterator[str]:
    """Yield what the verdict means: how often it is false, what counts as no difference, what was not run."""
    scores = sum(row.primary is not None and not math.isnan(row.primary.adjusted) for row in comparison.rows)
    times = sum(row.timing is not None and not math.isnan(row.timing.adjusted) for row in comparison.rows)
    if asked := scores + times:
        kinds = ", ".join(f"{n:,} {kind}" for n, kind in ((scores, "of scores"), (times, "of times")) if n)
        of = (
            f"the one question ({kinds})"
            if asked == 1
            else f"all {asked:,} questions together (Holm): {kinds}"
        )
        share = f"{100 * comparison.alpha:.3g} %"
        yield f"false alarms: where nothing got worse, at most {share} of gates fail, over {of}"
        yield INTERVALS
    if told := margins_text({name: margin for name, margin in comparison.margins.items() if name != TIME}):
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
        named(reason_of(row), most=LONGEST_TEXT),
    ]


def _slower(row: Compared) -> bool:
    return row.timing is not None and row.timing.slower
