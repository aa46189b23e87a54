"""The comparison with the baseline: what it comes to, row by row, and what else differs."""

from __future__ import annotations

import math

from ptbench import Change, Compared, Comparison
from ptbench_html.markup import (
    NOTHING,
    Html,
    clean,
    duration,
    el,
    entry,
    hidden,
    join,
    name,
    number,
    signed,
    sort_button,
    span,
)

ORDER = (Change.WORSE, Change.GONE, Change.BETTER, Change.NOT_COMPARABLE, Change.NEW, Change.SAME)
MARKS = {Change.WORSE: "▼", Change.BETTER: "▲", Change.SAME: "=", Change.GONE: "✕", Change.NEW: "+"}


def comparison(found: Comparison) -> Html:
    """Return a comparison: the verdicts counted, and a row for each."""
    counts = [
        el("li", _chip(verdict), f" {found.count(verdict):,}") for verdict in ORDER if found.count(verdict)
    ]
    asked = (
        "One-sided: only what got worse by more than the margin is told"
        if found.gate
        else "Two-sided: better and worse are told"
    )
    parts: list[object] = [
        el("p", "From ", el("b", name(found.a)), " to ", el("b", name(found.b)), "."),
        el("ul", *counts, class_="counts"),
        el("p", f"{asked}; at most {found.alpha:.0%} of such comparisons hold any false verdict (Holm). "
           "“same” means: no difference was shown.", class_="note"),
    ]  # fmt: skip
    if found.average is not None:
        change = found.average
        words = f"{signed(change.change)} ({span(change.low, change.high)})"
        parts.append(el("p", "Average over the tasks: ", el("b", words), "."))
    timed = any(row.timing for row in found.rows)
    rows = sorted(found.rows, key=lambda row: ORDER.index(row.verdict))
    parts.append(_table([_row(row, timed) for row in rows], timed))
    for title, texts in (("What differs between the runs", found.environment), ("Notes", found.notes)):
        if texts:
            parts += [el("h3", title), el("ul", *(el("li", name(text)) for text in texts))]
    return join(parts)


def _table(rows: list[Html], timed: bool) -> Html:
    heads = [
        ("Verdict", "text"), ("Model", "text"), ("Task", "text"), ("Before", "number"), ("After", "number"),
        ("Change", "number"), ("p", "number"), *([("Time", "number")] if timed else []),
        ("What differs", "text"),
    ]  # fmt: skip
    head = [
        el("th", sort_button(title), scope="col", aria_sort="none", data_kind=kind, data_first="ascending")
        for title, kind in heads
    ]
    table = el(
        "table", el("caption", hidden("Comparison with the baseline")), el("thead", el("tr", *head)),
        el("tbody", *rows), class_="sortable",
    )  # fmt: skip
    return el("div", table, class_="scroll", role="region", aria_labelledby="h-comparison", tabindex="0")


def _row(row: Compared, timed: bool) -> Html:
    primary = row.primary
    (model, protocol), (other, other_protocol) = row.a, row.b
    who = entry(model, protocol)
    if row.a != row.b:
        who = join([who, " → ", entry(other, other_protocol)])
    cells = [el("td", _chip(row.verdict), data_v=ORDER.index(row.verdict)), el("th", who, scope="row")]
    cells.append(el("td", name(row.task), *([el("small", name(primary.metric))] if primary else [])))
    if primary is None:
        cells += [el("td", name(row.reason), colspan="4", class_="reason")]
    else:
        flips = "" if primary.gained is None else f"{primary.gained:,} gained, {primary.lost:,} lost"
        seen = "" if math.isnan(primary.detectable) else f"could show {number(primary.detectable)}"
        p = primary.p if math.isnan(primary.adjusted) else primary.adjusted
        change = join([el("b", signed(primary.change)), el("small", span(primary.low, primary.high))], " ")
        about = "; ".join(filter(None, [flips, seen, primary.caveat]))
        cells += [
            _number(number(primary.a), primary.a),
            _number(number(primary.b), primary.b),
            _number(change, primary.gain, about),
            _number(_p(p), p),
        ]
    if timed:
        cells.append(_time(row))
    words = [*(["reused"] if row.reused else []), *row.differs]
    cells.append(el("td", el("small", name("; ".join(words)))))
    return el("tr", *cells)


def _p(p: float) -> str:
    return "<0.001" if p < 0.001 else number(p)


def _time(row: Compared) -> Html:
    timing = row.timing
    if timing is None or not timing.a > 0:
        return el("td", NOTHING)
    share = timing.b / timing.a - 1
    words = f"{duration(timing.a)} → {duration(timing.b)}; noise {timing.noise:.0%} of {timing.repeats} runs"
    shown = join(
        [f"{share:+.0%}", *([" ", el("span", "slower", class_="chip bad")] if timing.slower else [])]
    )
    return _number(shown, share, words)


def _number(shown: object, value: float, title: str = "") -> Html:
    sort = None if math.isnan(value) else f"{value:.6g}"
    return el("td", shown, class_="num", data_v=sort, title=clean(title) if title else None)


def _chip(verdict: Change) -> Html:
    mark = el("span", MARKS.get(verdict, "≠"), aria_hidden="true")
    return el("span", mark, " ", verdict.value, class_=f"chip v-{verdict.value.replace(' ', '-')}")
