"""The page of a suite over its nights: each series as a line, what changed and why, and the nights."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from ptbench import History, Series, Summary
from ptbench_html.lines import change_words, line
from ptbench_html.markup import Html, clean, el, entry, hidden, join, name, number
from ptbench_html.page import document_of, script

SCRIPTS = ("base", "theme", "board", "nights")
EMPTY = Html('<script type="application/json" id="data">{}</script>')


def history_page(history: History, back: str) -> str:
    """Return the history of a suite as an HTML document; pages of its runs lie beside it."""
    first, last = history.nights[0], history.nights[-1]
    many = f"{len(history.nights):,} night{'s' * (len(history.nights) != 1)}"
    span = f"{first.started[:10] or first.run} to {last.started[:10] or last.run}"
    head = [
        el("h1", name(history.suite), " ", el("small", f"{many}, {span}")),
        el("p", name(history.sentence), class_="lead"),
        *([el("p", name(history.gate))] if history.gate else []),
    ]
    body = [
        _section("series", f"Series ({len(history.series):,})", [_controls(), _table(history), _note()]),
        _section("nights", f"Nights ({len(history.nights):,})", [nights_table(history.nights[::-1], "")]),
    ]
    links = [el("a", "← all runs", href=back, class_="back"), el("a", "Series", href="#series"),
             el("a", "Nights", href="#nights")]  # fmt: skip
    title = f"{clean(history.suite)} · history"
    return plain_page(title, head=join(head), nav=join(links, " "), body=join(body))


def plain_page(title: str, *, head: Html, nav: Html, body: Html) -> str:
    """Return a document of tables, which are all that its script cares for."""
    return document_of(
        title, head=head, nav=nav, body=body, data=EMPTY, script=script(SCRIPTS), styles=("site",)
    )


def nights_table(nights: Sequence[Summary], folder: str) -> Html:
    """Return runs as a table, each with a link to its page in a folder."""
    rows = [
        el(
            "tr",
            el("th", el("a", name(night.run), href=f"{folder}{page_name(night.run)}"), scope="row"),
            el("td", night.started.replace("T", " ").removesuffix("Z"), class_="num"),
            el("td", _chip(night.status, night.status != "finished")),
            el("td", *_cells(night), data_v=str(night.statuses.get("ok", 0))),
            el("td", *_verdict(night)),
        )
        for night in nights
    ]
    heads = [("Run", "text"), ("Started (UTC)", "text"), ("Status", "text"), ("Cells", "number"),
             ("Against the baseline", "text")]  # fmt: skip
    return table_of("Runs, the newest first", heads, rows)


def table_of(
    caption: str, heads: Sequence[tuple[str, str]], rows: Sequence[Html], key: str | None = None
) -> Html:
    """Return a table that the script sorts: heads are titles and what a column holds, text or number."""
    arrow = el("span", class_="arrow", aria_hidden="true")
    first = {"number": "descending", "text": "ascending"}
    head = [
        el(
            "th",
            el("button", title, arrow, type="button"),
            scope="col",
            aria_sort="none",
            data_kind=kind,
            data_first=first[kind],
        )
        for title, kind in heads
    ]
    parts = el("caption", hidden(caption)), el("thead", el("tr", *head)), el("tbody", *rows)
    table = el("table", *parts, class_="sortable", id=key)
    return el("div", table, class_="scroll", role="region", aria_label=caption, tabindex="0")


def page_name(run: str) -> str:
    """Return the address of the page of a run, beside which it lies."""
    return quote(f"{run}.html", safe="", errors="surrogateescape")


def _table(history: History) -> Html:
    texts, numbers = ("Model", "Task"), ("First", "Last")
    heads = [*((title, "text") for title in texts), *((title, "number") for title in numbers)]
    heads += [("Nights", "text"), ("Changes", "number")]
    rows = [_row(history, series) for series in history.series]
    return table_of("The series; the buttons in the head of the table sort them", heads, rows, "series-table")


def _row(history: History, series: Series) -> Html:
    nights = series.nights
    ends = [float(series.values[night]) for night in (nights[:1] + nights[-1:])]
    newest = series.changes[-1].night + 1 if series.changes else 0
    arrow = " ↑" if series.higher_is_better else " ↓"
    return el(
        "tr",
        el("th", entry(series.model, series.protocol), scope="row"),
        el("td", name(series.task), el("small", name(series.metric), arrow), class_="task"),
        *(el("td", number(value), data_v=f"{value:.9g}", class_="num") for value in ends),
        *([] if ends else [el("td"), el("td")]),
        el("td", line(history, series), class_="line"),
        el("td", *_changes(history, series), class_="changes", data_v=str(newest)),
        data_words=clean(series.title).lower(),
        data_changed=bool(series.changes),
        data_worse=any(not point.better for point in series.changes),
    )


def _changes(history: History, series: Series) -> list[Html]:
    """Return the changes of a series as a list, the newest first."""
    found = []
    for point in reversed(series.changes):
        said, causes = change_words(history, point).split("\n", 1)
        verdict = "v-better" if point.better else "v-worse"
        address = page_name(history.nights[point.night].run)
        found.append(
            el("li", el("a", said, href=address, class_=f"chip {verdict}"), el("small", name(causes)))
        )
    if series.too_few:
        found.append(el("li", el("small", series.too_few)))
    if series.stands_out:
        found.insert(0, el("li", el("span", "the last night stands out", class_="chip")))
    return [el("ul", *found)] if found else []


def _controls() -> Html:
    find = Html('<input type="search" id="filter-text" autocomplete="off" spellcheck="false">')
    options = {"": "any", "changed": "changed", "worse": "got worse somewhere"}
    shown = [el("option", text, value=value) for value, text in options.items()]
    return el(
        "div",
        el("label", el("span", "Filter by name"), find),
        el("label", el("span", "Changes"), el("select", *shown, id="filter-changes")),
        el("output", "", id="filter-count", aria_live="polite"),
        class_="controls", role="search", aria_label="Filter the series", hidden=True,
    )  # fmt: skip


def _note() -> Html:
    words = (
        "Where a level changed is found by a segmentation of the whole series, not by comparing the "
        "last two nights: of eight nights at least, and three of the new level. "
        "A gap is a night without a score; a dashed line is the mean of a stretch. "
        "Under a change stands what is known to have changed between the two nights about it."
    )
    return el("p", words, class_="note")


def _cells(night: Summary) -> list[object]:
    ok = night.statuses.get("ok", 0)
    bad = sum(night.statuses.values()) - ok
    missing = night.cells - ok - bad
    told: list[object] = [f"{ok:,} ok"]
    if bad:
        told += [" ", _chip(f"{bad:,} not ok", True)]
    if missing > 0:
        told += [" ", _chip(f"{missing:,} not run", True)]
    return told


def _verdict(night: Summary) -> list[object]:
    if night.gate is None:
        return []
    counts = ", ".join(f"{n:,} {verdict}" for verdict, n in night.verdicts.items())
    said = _chip("passed" if night.gate else "failed", not night.gate)
    return [said, " ", el("small", counts, " against ", name(night.against))]


def _chip(text: str, bad: bool) -> Html:
    return el("span", name(text), class_="chip bad" if bad else "chip")


def _section(key: str, title: str, body: Sequence[object]) -> Html:
    return el("section", el("h2", title, id=f"h-{key}"), *body, id=key, aria_labelledby=f"h-{key}")
