"""A report as one self-contained page: nothing is loaded from anywhere, nothing in it is trusted."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib import resources
from pathlib import Path
from string import Template

from ptbench import Report
from ptbench_html.board import board
from ptbench_html.comparing import comparison
from ptbench_html.document import document
from ptbench_html.inspections import inspections
from ptbench_html.markup import Html, clean, el, join, script_json
from ptbench_html.sections import answers, failures, head, provenance
from ptbench_html.view import View

SCRIPTS = ("base", "theme", "board", "charts", "panels", "cell", "main")
"""In this order they make the one script of a page."""


def page(report: Report, *, back: str = "") -> str:
    """Return a report as an HTML document.

    ``back`` is where a link to an overview leads, such as ``../index.html``.
    """
    view = View(report)
    data = document(view)
    run = report.run
    title = f"{clean(run.get('suite') or 'run')} · {clean(run.get('run') or '')}".rstrip("· ")
    sections = [
        _section("answers", "Answers", answers(view)),
        _section("leaderboard", "Leaderboard", join([_controls(view), board(view), _legend(view)])),
        _section("failures", f"Failures ({len(view.failed):,})", failures(view) if view.failed else ""),
        _section(
            "comparison",
            "Compared with the baseline",
            join([_chart("changes"), comparison(report.comparison)]) if report.comparison else "",
            nav="Baseline",
        ),
        _section("cost", "Accuracy against cost", _chart("cost") if data["costs"] else "", nav="Cost"),
        _section("intervals", "Intervals", _chart("intervals") if data["places"] else ""),
        _section(
            "behind", "Confusion and calibration", _chart("behind") if data["behind"] else "", nav="Errors"
        ),
        _section("curves", "Learning curves", _chart("curves") if data["curves"] else "", nav="Curves"),
        _section("inspections", "Inside the models", inspections(report.folder), nav="Inside"),
        _section("provenance", "Provenance", provenance(view)),
    ]
    links = [el("a", text, href=f"#{key}") for key, text, _ in sections if text]
    home = el("a", "← all runs", href=back, class_="back") if back else ""
    return document_of(
        title,
        head=head(view),
        nav=join([home, *links], " "),
        body=join(markup for *_, markup in sections),
        data=Html(f'<script type="application/json" id="data">{script_json(data)}</script>'),
        script=script(),
    )


def write_page(report: Report, path: Path, *, back: str = "") -> Path:
    """Write `page` so that a reader sees the old file or the new one, and return the path."""
    markup = page(report, back=back)
    part = path.with_name(path.name + ".part")
    part.write_text(markup, "utf-8", newline="\n")
    part.replace(path)
    return path


def document_of(
    title: str, *, head: Html, nav: Html, body: Html, data: Html, script: str, styles: tuple[str, ...] = ()
) -> str:
    """Return a whole document in the clothes of all pages: this style, and no script but the given one.

    ``styles`` are files of this package that add to it.
    """
    style = "".join(text(f"{name}.css") for name in ("style", *styles))
    policy = (
        f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(style)}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    return Template(text("page.html")).substitute(
        title=el("title", title), policy=policy, style=style, head=head, nav=nav, body=body, data=data,
        script=script,
    )  # fmt: skip


@cache
def script(names: tuple[str, ...] = SCRIPTS) -> str:
    """Return the script of a page, for all reports the same: files of this package, one after the other."""
    parts = "\n".join(text(f"{name}.js") for name in names)
    return f'"use strict";\n(() => {{\n{parts}\n}})();\n'


@cache
def text(name: str) -> str:
    """Return a file of this package."""
    return resources.files("ptbench_html").joinpath(name).read_text("utf-8")


def _hash(source: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()


def _section(key: str, title: str, body: object, nav: str = "") -> tuple[str, str, Html]:
    """Return its anchor, its name among the links where it has something to show, and its markup."""
    if not body:
        return key, "", Html()
    heading = el("h2", title, id=f"h-{key}")
    return key, nav or title, el("section", heading, body, id=key, aria_labelledby=f"h-{key}")


def _chart(key: str) -> Html:
    """Return a place that the script draws into."""
    told = el("p", "This part is drawn by a script.", class_="note no-js")
    return el("div", told, id=f"{key}-chart")


def _controls(view: View) -> Html:
    """Return what filters the leaderboard; hidden where no script runs."""
    states = {"": "any", "best": "best or tied with it", "ok": "with a score", "failed": "not ok"}

    def select(key: str, label: str, options: dict[str, str]) -> Html:
        shown = [el("option", text, value=value) for value, text in options.items()]
        return el("label", el("span", label), el("select", *shown, id=f"filter-{key}"))

    tasks = {"": "all", **{str(i): clean(task) for i, task in enumerate(view.tasks)}}
    protocols = {"": "all", **{clean(p): clean(p) for p in view.protocols}}
    find = Html('<input type="search" id="filter-text" autocomplete="off" spellcheck="false">')
    return el(
        "div",
        el("label", el("span", "Filter by name"), find),
        select("protocol", "Protocol", protocols) if len(view.protocols) > 1 else "",
        select("task", "Task", tasks) if len(view.tasks) > 1 else "",
        select("status", "Status", states),
        el("output", "", id="filter-count", aria_live="polite"),
        class_="controls", role="search", aria_label="Filter the leaderboard", hidden=True,
    )  # fmt: skip


def _legend(view: View) -> Html:
    words = ["Mean over seeds with its 95 % interval. ", el("span", "best", class_="swatch best"), " ",
             el("span", "not told apart from the best", class_="swatch tied")]  # fmt: skip
    if any(s.group for s in view.report.standings):
        words.append(". Two that share a letter cannot be told apart")
    if view.peeking:
        words.append(". What saw the targets is a bound, and nobody's rival")
    words += [". ", el("span", "Choose a score to see what is behind it.", class_="js-only")]
    return el("p", *words, class_="note")
