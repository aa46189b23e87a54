"""A comparison in words and numbers: changes with their intervals, verdicts, and the answer in a sentence."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from rich.text import Text

from ptbench.comparison import Change, Compared, Comparison, Difference
from ptbench.errors import printable
from ptbench.figures import interval_text

LONGEST_NAME, LONGEST_TEXT = 80, 160
"""Characters of a name and of an input that a table shows."""
JUDGED = (Change.BETTER, Change.WORSE, Change.SAME)
"""The verdicts that a test comes to."""
ONE_SIDED = {Change.GONE: "only A has it", Change.NEW: "only B has it"}
"""What is said of models of one run, of which none came before the other."""
COUNTED = {Change.GONE: "that only A has", Change.NEW: "that only B has"}
"""The same behind a number."""
NOT_ASKED = "no longer in the suite"
"""What is said of a row that a later run was not to have."""
INTERVALS = "intervals are for each question alone, so that verdict and interval may differ"
Ranges = Mapping[str, float]
"""Metric to how far apart two of its values can be."""
NO_RANGES: Ranges = {}


def named(text: str, style: str = "", most: int = LONGEST_NAME) -> Text:
    """Return a text of others as a table can show it: in one line, inert, and not endless."""
    shown = printable(" ".join(text.split()))
    return Text(shown if len(shown) <= most else f"{shown[: most - 1]}…", style=style)


def number(value: float) -> str:
    """Return a number as the tables show it.

    >>> number(0.81234), number(1234.5), number(-0.0), number(math.nan)
    ('0.812', '1,234.5', '0.000', '')
    """
    if math.isnan(value):
        return ""
    digits = 3 if abs(value) < 100 else 1
    return f"{round(value, digits) + 0.0:,.{digits}f}"  # no minus zero


def probability(p: float) -> str:
    """Return a p as the tables show it.

    >>> probability(0.0312), probability(1e-9), probability(math.nan)
    ('0.031', '<0.001', '')
    """
    return "" if math.isnan(p) else "<0.001" if p < 0.001 else f"{p:.3f}"


def p_of(difference: Difference) -> float:
    """Return p, after the correction for many questions where there was one."""
    return difference.p if math.isnan(difference.adjusted) else difference.adjusted


def probability_of(difference: Difference) -> str:
    """Return p after Holm's correction, or in parentheses where there was none."""
    text = probability(p_of(difference))
    return f"({text})" if text and math.isnan(difference.adjusted) else text


def visible(difference: Difference, ranges: Ranges = NO_RANGES) -> str:
    """Return from which size on a change would be seen; "nothing" where none that is possible would be."""
    return "nothing" if _blind(difference, ranges) else number(difference.detectable)


def reason_of(row: Compared, *, models: bool = False) -> str:
    """Return why a row is gone or not comparable; of two runs, that its suite no longer has it."""
    return NOT_ASKED if row.verdict is Change.GONE and not row.reason and not models else row.reason


def answer(comparison: Comparison, *, models: bool = False, ranges: Ranges = NO_RANGES) -> str:
    """Return in a sentence whether B is better than A; ``models``: of one run, none of which was before."""
    compared = [row for row in comparison.rows if row.differences and row.verdict in JUDGED]
    counts = {change: comparison.count(change) for change in Change if change not in JUDGED}
    words = COUNTED if models else {}
    rest = ", ".join(f"{n:,} {words.get(change, change.value)}" for change, n in counts.items() if n)
    besides = f" Besides: {rest}." if rest else ""
    if not compared:
        alone = all(row.verdict in ONE_SIDED and not row.reason for row in comparison.rows)
        why = "A and B have no row in common" if alone else "the reasons stand in the table"
        return f"Nothing could be compared: {why}.{besides}"
    better, worse = comparison.count(Change.BETTER), comparison.count(Change.WORSE)
    n, what = len(compared), "task" if len({row.task for row in compared}) == len(compared) else "row"
    if all(map(same_predictions, compared)):
        where = f"all {n:,} {what}s" if n > 1 else f"the one {what}"
        return f"B predicts the same as A, example by example, on {where}.{besides}"
    if not better and not worse:
        said = f"No difference was shown on {f'any of {n:,} {what}s' if n > 1 else f'the one {what}'}"
        said += _visible([row.primary for row in compared if row.primary is not None], ranges)
    elif n == 1:
        said = f"B is {'better' if better else 'worse'} on the one {what}"
    else:
        said = f"B is better on {better or 'none'} of {n:,} {what}s, worse on {worse or 'none'}"
    average = comparison.average
    if average is not None and not math.isnan(average.change):
        direction = "" if average.higher_is_better else " (less is better)"
        said += f"; on average {interval_text(average)}{direction}"
    return f"{said}.{besides}"


def same_predictions(row: Compared) -> bool:
    """Whether both sides of a row predict the same for every example."""
    return row.verdict is Change.SAME and row.primary is not None and row.primary.differing == 0


def word_of(change: Change, models: bool) -> str:
    """Return a verdict in words."""
    return ONE_SIDED.get(change, change.value) if models else change.value


def _visible(differences: Sequence[Difference], ranges: Ranges) -> str:
    """Return from which size on differences would have been seen, each metric for itself."""
    blind = [_blind(one, ranges) for one in differences]
    seen: dict[str, list[float]] = {}
    for one, unseen in zip(differences, blind, strict=True):
        if not unseen and not math.isnan(one.detectable):
            seen.setdefault(one.metric, []).append(one.detectable)
    if not seen:
        return "; these examples can show nothing" if any(blind) else ""
    several = len({one.metric for one in differences}) > 1
    said = [f"{f'of {name} ' if several else ''}{_ends(sizes)}" for name, sizes in seen.items()]
    return f"; these examples show differences {'; '.join(said)}"


def _ends(sizes: Sequence[float]) -> str:
    ends = dict.fromkeys((number(min(sizes)), number(max(sizes))))
    return f"from {' or '.join(ends)} on"


def _blind(difference: Difference, ranges: Ranges) -> bool:
    """Whether no change that is possible would be seen."""
    return difference.detectable > ranges.get(difference.metric, math.inf)
