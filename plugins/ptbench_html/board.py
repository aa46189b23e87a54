"""The leaderboard: a real table that reads without a script, and says to a script what to sort by."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ptbench import Status
from ptbench_html.markup import NOTHING, Html, clean, el, entry, hidden, join, name, number, sort_button, span
from ptbench_html.view import Entry, View

MOST_COLUMNS = 24
"""With more tasks than this, and than entries, each task is a row."""


@dataclass(frozen=True)
class Shown:
    """What stands in a cell of the table."""

    value: float | None
    text: Html
    state: str
    """``best``, ``tied``, ``ok`` (``ok peek`` saw the targets), ``failed`` or ``none``."""
    title: str = ""


def board(view: View) -> Html:
    """Return the leaderboard."""
    tasks, entries = list(view.tasks), view.entries
    if not entries:
        return el("p", "This run has no cells.", class_="empty")
    turned = len(tasks) > MOST_COLUMNS and len(tasks) > len(entries)
    at = {task: i for i, task in enumerate(tasks)}
    number_of = {one: i for i, one in enumerate(entries)}

    def cell(task: str, one: Entry) -> Html:
        shown = score_cell(view, task, one)
        return _td(shown, f"{at[task]},{number_of[one]}")

    if turned:
        head = [_th("Task", "text"), *(_th(entry(*one), "number", down=True) for one in entries)]
        rows = [
            el(
                "tr",
                _row_head(name(task), task),
                *(cell(task, one) for one in entries),
            )
            for task in tasks
        ]
    else:
        means = bool(view.report.averages)
        first = [_th("Model", "text")]
        if means:
            first.append(_th("Average", "number", down=True, sort="descending", note="over the tasks"))
        head = first + [
            _th(
                name(task), "number", down=view.higher.get(task, True), note=_metric(view, task),
                sort=_sorted_by(view) if len(tasks) == 1 and not means else "none",
            )
            for task in tasks
        ]  # fmt: skip
        rows = [
            el(
                "tr",
                _row_head(entry(*one), " ".join((*one, view.reference.get(one[0], "")))),
                *([_average(view, one)] if means else []),
                *(cell(task, one) for task in tasks),
                data_protocol=clean(one[1]),
            )
            for one in entries
        ]
    caption = hidden("Scores with 95 % intervals. The buttons in the head of the table sort it.")
    table = el(
        "table", el("caption", caption), el("thead", el("tr", *head)), el("tbody", *rows), id="board",
        class_="board turned" if turned else "board", data_turned=turned,
    )  # fmt: skip
    return el("div", table, class_="scroll", role="region", aria_labelledby="h-leaderboard", tabindex="0")


def score_cell(view: View, task: str, one: Entry) -> Shown:
    """Return what an entry has on a task: its score, or what became of it."""
    records = view.groups.get((task, *one))
    if not records:
        return Shown(None, el("span", "·"), "none", "not run")
    bad = [record for record in records if record.status is not Status.OK]
    if bad:
        words = bad[0].status.value if len(bad) == len(records) else f"{len(bad)} of {len(records)} failed"
        return Shown(None, el("span", words, class_="chip bad"), "failed", bad[0].error)
    standing, score = view.standings.get((task, *one)), view.score(task, one)
    if standing is None and score is None:
        return Shown(None, el("span", "no score", class_="chip"), "none")
    value, low, high = (
        (standing.value, standing.ci_low, standing.ci_high)
        if standing
        else (score.value, score.ci_low, score.ci_high)  # type: ignore[union-attr]
    )
    if math.isnan(value):
        return Shown(None, el("span", "undefined", class_="chip"), "none", score.caveat if score else "")
    state = "ok"
    if standing and len(view.rivals(task)) > 1:
        state = "best" if standing.best else "tied" if standing.tied else "ok"
    parts: list[object] = [el("b", number(value))]
    said = {"best": "best", "tied": "not told apart from the best"}.get(state, "")
    place = ""
    if standing and standing.group and len(view.rivals(task)) > 1:
        parts.append(el("sup", hidden("group "), standing.group))
    if standing and standing.rank_low is not None:
        place = f"rank {standing.rank_low} to {standing.rank_high}"
    if one in view.peeking:
        said, state = "saw the targets: a bound, not a rival", "ok peek"
    parts.append(el("small", span(low, high) or "no interval"))
    words = ", ".join(filter(None, [said, place]))
    if words:
        parts.append(hidden(words))
    return Shown(value, join(parts, " "), state, words)


def _average(view: View, one: Entry) -> Html:
    found = view.averages.get(one)
    if found is None:
        return _td(Shown(None, el("span", NOTHING, title="has no score on every task"), "none"))
    place = "" if found.rank_low is None else f"rank {found.rank_low} to {found.rank_high}"
    parts: list[object] = [el("b", number(found.value))]
    peeks = one in view.peeking
    rival = not peeks and len(view.leaders) > 1
    if found.group and rival:
        parts.append(el("sup", hidden("group "), found.group))
    parts.append(el("small", span(found.ci_low, found.ci_high)))
    if place:
        parts.append(hidden(place))
    state = "ok peek" if peeks else "ok"
    if rival:
        tied = any(found is one for one in view.tied_averages)
        state = "best" if found is view.leaders[0] else "tied" if tied else "ok"
    return _td(Shown(found.value, join(parts, " "), state, place))


def _td(shown: Shown, key: str = "") -> Html:
    return el(
        "td", shown.text, class_=shown.state, data_v=None if shown.value is None else f"{shown.value:.6g}",
        data_cell=key or None, title=clean(shown.title) if shown.title else None,
    )  # fmt: skip


def _th(title: object, kind: str, *, down: bool = False, sort: str = "none", note: object = "") -> Html:
    """Return the head of a column: a button that a script makes sort it, the better ones first."""
    return el(
        "th", sort_button(title), *([el("small", note)] if note else []), scope="col",
        aria_sort=sort, data_kind=kind, data_first="descending" if down else "ascending",
    )  # fmt: skip


def _row_head(shown: Html, words: str) -> Html:
    return el("th", shown, scope="row", data_v=clean(words))


def _sorted_by(view: View) -> str:
    return "descending" if all(view.higher.values()) else "ascending"


def _metric(view: View, task: str) -> Html:
    metric = view.tasks[task]
    if not metric:
        return Html()
    down = not view.higher.get(task, True)
    return join([name(metric), el("span", " ↓" if down else " ↑", aria_hidden="true")])
