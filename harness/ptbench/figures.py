"""Numbers as people read them; the same on a terminal, in Markdown and on a page."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from ptbench.comparison import TIME, Compared, Difference, Timing
from ptbench.records import Record

LOPSIDED, ROUNDING = 0.1, 5e-4
"""How far the sides of an interval may differ that share one number: as a share, and what is not shown."""
NARROW = 0.01
"""An interval this long needs one more decimal."""


def score_text(value: float, low: float = math.nan, high: float = math.nan) -> str:
    """Return a score with how far its interval reaches, as far as they are defined.

    One number stands for both sides where they are about the same; else each stands with its sign.

    >>> score_text(0.8123, 0.786, 0.838), score_text(1.0), score_text(math.nan)
    ('0.812 ±0.026', '1.000', 'undefined')
    >>> score_text(0.95, 0.91, 0.97), score_text(1.0, 0.996, 1.0), score_text(0.0, 0.0, 0.004)
    ('0.950 -.040+.020', '1.000 -.004', '0.000 +.004')
    """
    if math.isnan(value):
        return "undefined"
    text = f"{value:.3f}"
    if math.isnan(low) or math.isnan(high):
        return text
    down, up = value - low, high - value
    if abs(up - down) <= max(LOPSIDED * max(up, down), ROUNDING) and min(up, down) > 0:
        return f"{text} ±{(up + down) / 2:.3f}"
    sides = [f"{side:+.3f}".replace("0.", ".", 1) for side in (-down, up) if f"{abs(side):.3f}" != "0.000"]
    return f"{text} {''.join(sides)}" if sides else f"{text} ±0.000"


def number_text(value: float | None, digits: int) -> str:
    """Return a number with so many digits after the point; "" where there is none.

    >>> number_text(1234.56, 1), number_text(None, 1)
    ('1,234.6', '')
    """
    return "" if value is None else f"{value:,.{digits}f}"


def count_text(value: float) -> str:
    """Return a count as people say it.

    >>> count_text(22_713_216), count_text(41_234), count_text(1_234), count_text(0)
    ('22.7 M', '41.2 k', '1,234', '')
    """
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if value >= size:
            return f"{value / (1e3 if unit == 'k' else size):.1f} {unit}"
    return f"{value:,.0f}" if value else ""


def throughput(records: Sequence[Record]) -> float | None:
    """Return examples per second over several cells: all examples by all seconds, not a mean of ratios."""
    timed = [(r.n or 0, (r.n or 0) / r.cost.examples_per_s) for r in records if r.cost.examples_per_s]
    seconds = sum(spent for _, spent in timed)
    return sum(n for n, _ in timed) / seconds if seconds else None


def change_text(difference: Difference) -> str:
    """Return how a metric changed, with the interval of the change and its p.

    >>> change_text(Difference("f1", True, 0.8, 0.75, -0.05, -0.09, -0.01, 0.012, "t", 500, 500, 60))
    'f1 0.800 -> 0.750, change -0.050 [-0.090, -0.010], p = 0.012'
    """
    text = f"{difference.metric} {score_text(difference.a)} -> {score_text(difference.b)}"
    if interval := interval_text(difference):
        text += f", change {interval}"
    for name, p in (("p", difference.p), ("corrected p", difference.adjusted)):
        text += "" if math.isnan(p) else f", {name} {p_text(p)}"
    return text


def interval_text(difference: Difference) -> str:
    """Return a change with its interval, as far as they are defined; to four decimals where it is narrow.

    >>> interval_text(Difference("f1", True, 0.8, 0.8, -0.001, -0.003, 0.001, 0.3, "t", 500, 500, 60))
    '-0.0010 [-0.0030, +0.0010]'
    """
    change, low, high = difference.change, difference.low, difference.high
    if math.isnan(change):
        return ""
    digits = 4 if high - low < NARROW else 3
    ends = "" if math.isnan(low) else f" [{signed_text(low, digits)}, {signed_text(high, digits)}]"
    return signed_text(change, digits) + ends


def signed_text(value: float, digits: int) -> str:
    """Return a number with its sign; what is 0 as it is shown has none.

    >>> signed_text(0.05, 3), signed_text(-0.0001, 3), signed_text(-0.0001, 4)
    ('+0.050', '0.000', '-0.0001')
    """
    text = f"{value:+.{digits}f}"
    return text if text.strip("+-0.") else text[1:]


def p_text(p: float) -> str:
    """Return a p as it stands behind its name.

    >>> p_text(0.0123), p_text(1e-9)
    ('= 0.012', '< 0.001')
    """
    return f"= {p:.3f}" if p >= 0.001 else "< 0.001"


def timing_text(timing: Timing) -> str:
    """Return how the seconds of a row changed.

    >>> timing_text(Timing(a=10.0, b=12.0, repeats=5, noise=0.02, p=0.001))
    '10.0 s -> 12.0 s (+20 %, noise 2 %)'
    >>> timing_text(Timing(a=10.0, b=12.0, repeats=1, noise=math.nan, p=math.nan))
    '10.0 s -> 12.0 s (+20 %, not judged)'
    """
    share = f"{timing.b / timing.a - 1:+.0%}".replace("%", " %") if timing.a else "more"
    noise = "" if math.isnan(timing.noise) else f", noise {timing.noise:.0%}".replace("%", " %")
    if math.isnan(timing.p):
        noise += ", not judged"
    return f"{timing.a:.1f} s -> {timing.b:.1f} s ({share}{noise})"


def margins_text(margins: Mapping[str, float]) -> str:
    """Return what counts as no loss: of metrics in their own unit, of times as a share; or "".

    >>> margins_text({"accuracy": 0.002, "time": 0.05, "f1": 0.0})
    '0.002 of accuracy, 5 % of the seconds'
    """
    told = [f"{margin:g} of {name}" for name, margin in margins.items() if margin and name != TIME]
    share = margins.get(TIME)
    return ", ".join([*told, *([f"{100 * share:g} % of the seconds"] if share else [])])


def finding_text(row: Compared) -> str:
    """Return in one sentence what a comparison found of a row: the verdict with its numbers or its reason."""
    said = [f"{row.title}: {row.verdict.value}"]
    if row.reason:
        said.append(row.reason)
    if row.primary is not None:
        said.append(change_text(row.primary))
    if row.timing is not None and row.timing.slower:
        said.append(f"slower: {timing_text(row.timing)}")
    return "; ".join(said)
