"""The comparison with the baseline: what it comes to, row by row, and what else differs."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ptbench import Change, Compared, Comparison, Timing, margins_text
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
    percent,
    signed,
    sort_button,
    span,
)

JUDGED = (Change.BETTER, Change.WORSE, Change.SAME)
"""The verdicts that a test comes to."""
ORDER = (Change.WORSE, Change.GONE, Change.BETTER, Change.NOT_COMPARABLE, Change.NEW, Change.SAME)
MARKS = {Change.WORSE: "▼", Change.BETTER: "▲", Change.SAME: "=", Change.GONE: "✕", Change.NEW: "+"}


def comparison(found: Comparison) -> Html:
    """Return a comparison: the verdicts counted, and a row for each."""
    counts = [
        el("li", _chip(verdict), f" {found.count(verdict):,}") for verdict in ORDER if found.count(verdict)
    ]
    parts: list[object] = [
        el("p", "From ", el("b", name(found.a)), " to ", el("b", name(found.b)), "."),
        el("ul", *counts, class_="counts"),
        *(el("p", text, class_="note") for text in meaning(found)),
    ]
    if found.average is not None:
        change = found.average
        words = f"{signed(change.change)} ({span(change.low, change.high)})"
        parts.append(el("p", "Average over the tasks: ", el("b", words), "."))
    shared = _shared(found.rows)
    if shared:
        words = name("; ".join(shared))
        parts.append(el("p", "What differs in every row that could be compared: ", words, "."))
    parts.append(_table(found, shared))
    for title, texts in (("What differs between the runs", found.environment), ("Notes", found.notes)):
        if texts:
            parts += [el("h3", title), el("ul", *(el("li", name(text)) for text in texts))]
    return join(parts)


def meaning(found: Comparison) -> list[str]:
    """Return what was asked of how many rows and how often an answer is false; and what the interval is."""
    compared = [row.primary for row in found.rows if row.primary is not None and row.verdict in JUDGED]
    scores = sum(not math.isnan(one.adjusted) for one in compared)
    times = sum(row.timing is not None and not math.isnan(row.timing.p) for row in found.rows)
    alike = sum(one.differing == 0 for one in compared)
    counts = [_many(n, what) for n, what in ((scores, "score"), (times, "time")) if n]
    judged = " and ".join(counts) or "0 scores"
    rows = f"Of {_many(len(found.rows), 'row')}, {len(compared):,} could be compared"
    if alike:
        some = f"{alike:,} of these" if alike < len(compared) else "all of these"
        rows += f", and in {some} both sides predict the same for every example"
    share = f"{100 * found.alpha:.3g} %"
    slack = f" ({margins})" if (margins := margins_text(found.margins)) else ""
    together = f"over {judged} that had to be judged (Holm)"
    if found.gate:
        said = (
            f"One-sided: is it worse, by more than the margin{slack}? Where nothing got worse, at most "
            f"{share} of gates are a false alarm, {together}. “better” is asked apart, at a rate of its own."
        )
    else:
        said = (
            f"Two-sided: better and worse are told. At most {share} of such comparisons hold any false "
            f"verdict, {together}."
        )
    worse = "“worse” may hold 0 and " if found.gate else ""
    return [
        f"{rows}. {said} “same” means: no difference was shown.",
        f"The interval of a change is two-sided and of its row alone, not corrected as p is: {worse}"
        "“same” need not hold 0.",
    ]


def _many(n: int, what: str) -> str:
    return f"{n:,} {what}{'s' * (n != 1)}"


def _shared(rows: Sequence[Compared]) -> list[str]:
    """Return what differs in each of several rows that could be compared."""
    told = [row.differs for row in rows if row.primary is not None]
    return [words for words in told[0] if all(words in one for one in told)] if len(told) > 1 else []


def _table(found: Comparison, shared: Sequence[str]) -> Html:
    timed = any(row.timing for row in found.rows)
    rows = sorted(found.rows, key=lambda row: ORDER.index(row.verdict))
    words = [_words(row, shared) for row in rows]
    wordy = any(words)
    body = [_row(row, timed, text if wordy else None) for row, text in zip(rows, words, strict=True)]
    heads = [
        ("Verdict", "text", ""), ("Model", "text", ""), ("Task", "text", ""), ("Before", "number", ""),
        ("After", "number", ""), ("Change", "number", "95 % interval"),
        ("p", "number", f"{'one' if found.gate else 'two'}-sided, Holm"),
        *([("Time", "number", "")] if timed else []), *([("What differs", "text", "")] if wordy else []),
    ]  # fmt: skip
    head = [
        el(
            "th", sort_button(title), *([el("small", note)] if note else []), scope="col",
            aria_sort="none", data_kind=kind, data_first="ascending",
        )
        for title, kind, note in heads
    ]  # fmt: skip
    table = el(
        "table", el("caption", hidden("Comparison with the baseline")), el("thead", el("tr", *head)),
        el("tbody", *body), class_="sortable",
    )  # fmt: skip
    return el("div", table, class_="scroll", role="region", aria_labelledby="h-comparison", tabindex="0")


def _words(row: Compared, shared: Sequence[str]) -> str:
    own = [one for one in row.differs if row.primary is None or one not in shared]
    return "; ".join([*(["reused"] if row.reused else []), *own])


def _row(row: Compared, timed: bool, words: str | None) -> Html:
    primary = row.primary
    (model, protocol), (other, other_protocol) = row.a, row.b
    who = entry(model, protocol)
    if row.a != row.b:
        who = join([who, " → ", entry(other, other_protocol)])
    cells = [el("td", _chip(row.verdict), data_v=ORDER.index(row.verdict)), el("th", who, scope="row")]
    cells.append(
        el("td", name(row.task), *([el("small", name(primary.metric))] if primary else []), class_="task")
    )
    if primary is None:
        cells += [el("td", name(row.reason), colspan="4", class_="reason")]
    else:
        flips = "" if primary.gained is None else f"{primary.gained:,} gained, {primary.lost:,} lost"
        seen = "" if math.isnan(primary.detectable) else f"could show {number(primary.detectable)}"
        change = join([el("b", signed(primary.change)), el("small", span(primary.low, primary.high))], " ")
        about = "; ".join(filter(None, [flips, seen, primary.caveat]))
        cells += [
            _number(number(primary.a), primary.a),
            _number(number(primary.b), primary.b),
            _number(change, primary.gain, about),
            _number(_p(primary.adjusted), primary.adjusted),
        ]
    if timed:
        cells.append(_time(row))
    if words is not None:
        cells.append(el("td", el("small", name(words)), class_="differs"))
    return el("tr", *cells)


def _p(p: float) -> str:
    return "" if math.isnan(p) else "<0.001" if p < 0.001 else number(p)


def _time(row: Compared) -> Html:
    timing = row.timing
    if timing is None or not timing.a > 0 or not math.isfinite(timing.b):
        return el("td", NOTHING)
    share = timing.b / timing.a - 1
    words = f"{duration(timing.a)} → {duration(timing.b)}"
    if math.isnan(timing.p):
        text = f"{words}, not judged"
        return _number(el("span", percent(share), " ", el("small", "not judged"), class_="soft"), share, text)
    slower = [" ", el("span", "slower", class_="chip bad")] if timing.slower else []
    return _number(join([percent(share), *slower]), share, words + _noise(timing))


def _noise(timing: Timing) -> str:
    if math.isnan(timing.noise):
        return ""
    return f"; noise {100 * timing.noise:.0f} % of {timing.repeats:,} earlier runs"


def _number(shown: object, value: float, title: str = "") -> Html:
    sort = None if math.isnan(value) else f"{value:.6g}"
    return el("td", shown, class_="num", data_v=sort, title=clean(title) if title else None)


def _chip(verdict: Change) -> Html:
    mark = el("span", MARKS.get(verdict, "≠"), aria_hidden="true")
    return el("span", mark, " ", verdict.value, class_=f"chip v-{verdict.value.replace(' ', '-')}")
