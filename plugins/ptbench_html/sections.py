"""The parts of the page that are words and tables: head, answers, failures, where it all came from."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from ptbench import Record, Status, log_end
from ptbench_html.markup import NOTHING, Html, clean, duration, el, join, listed, name, number, span
from ptbench_html.view import Entry, View

FEW_TASKS = 12
"""Answers and failures that are shown at once; the rest is folded."""
LOG_LINES = 40
MOST_LOGS = 200
"""Failures whose logs are shown."""


def head(view: View) -> Html:
    """Return what was run, when, where, and how it ended."""
    run = view.report.run
    total, bad = len(view.records), len(view.failed)
    planned = run.get("cells")
    missing = planned - total if isinstance(planned, int) and planned > total else 0
    tiles = [
        _tile(
            "cells", f"{total - bad:,} ok", None if not bad else f"{bad:,} not ok", "bad" if bad else "good"
        ),
        _tile("models", f"{len(view.reference):,}", _entries(view)),
        _tile("tasks", f"{len(view.tasks):,}"),
    ]
    if missing:
        tiles.append(_tile("not run yet", f"{missing:,}", _text(run.get("status")), "bad"))
    if seconds := _seconds(run):
        tiles.append(_tile("took", duration(seconds), name(_when(run.get("started")))))
    else:
        tiles.append(_tile("started", name(_when(run.get("started")) or NOTHING)))
    machine = _mapping(run.get("machine"))
    where = _text(machine.get("gpus")) or _text(machine.get("processor"))
    if where:
        cores = f"{machine['cores']} cores" if machine.get("cores") else ""
        memory = f"{machine['memory_gb']} GB" if machine.get("memory_gb") else ""
        tiles.append(_tile("machine", name(where), ", ".join(filter(None, [cores, memory]))))
    about = _text(run.get("description"))
    return join(
        [
            el("h1", name(_text(run.get("suite")) or "run"), " ", el("small", name(_text(run.get("run"))))),
            el("p", name(about), class_="lead") if about else "",
            el("dl", *tiles, class_="tiles"),
        ]
    )


def answers(view: View) -> Html:
    """Return one sentence per task: who is best, and who cannot be told from it."""
    if not view.tasks:
        return Html()
    rows = [el("li", name(task), " ", el("span", answer(view, task))) for task in view.tasks]
    parts: list[object] = []
    averages = view.leaders
    if averages:
        best = averages[0]
        tied = [((a.model, a.protocol), a.value) for a in view.tied_averages]
        who, verb, others = _best(view, (best.model, best.protocol), best.value, tied)
        words = [
            f"Over the {best.tasks:,} tasks together, ", who,
            f" {f'{verb}:' if len(averages) > 1 else 'has'} {number(best.value)} on average",
            f" ({span(best.ci_low, best.ci_high)})", others, ".",
        ]  # fmt: skip
        parts.append(el("p", *words, class_="lead"))
    parts.append(el("ul", *rows[:FEW_TASKS], class_="answers"))
    if rows[FEW_TASKS:]:
        more = el("summary", f"{len(rows) - FEW_TASKS:,} more tasks")
        parts.append(el("details", more, el("ul", *rows[FEW_TASKS:], class_="answers")))
    return join(parts)


def answer(view: View, task: str) -> Html:
    """Return who is best on a task, in a sentence."""
    found = view.rivals(task)
    best = next((s for s in found if s.best), None)
    if best is None:
        return _without_standings(view, task)
    if len(found) == 1:
        who = el("b", name(view.title((best.model, best.protocol))))
        return join([who, f" alone has a score: {number(best.value)}."])
    tied = sorted((s for s in found if s.tied), key=lambda s: view.loss(task, (s.model, s.protocol)))
    who, verb, others = _best(
        view,
        (best.model, best.protocol),
        best.value,
        [((s.model, s.protocol), s.value) for s in tied],
    )
    ends = span(best.ci_low, best.ci_high)
    score = join([name(best.metric), " ", number(best.value), f", {ends}" if ends else ""])
    return join([who, f" {verb} (", score, ")", others, "."])


def _best(
    view: View, best: Entry, value: float, tied: Sequence[tuple[Entry, float]]
) -> tuple[Html, str, Html]:
    """Return who is best, all that have the same value; the verb; and those that cannot be told from it."""
    equal = [best, *(one for one, its in tied if its == value)]
    others = [one for one, its in tied if its != value]
    many = len(equal) > 1
    told = join(["; ", _titles(view, others), f" cannot be told from {'them' if many else 'it'}"])
    return _titles(view, equal), "are equal best" if many else "is best", told if others else Html()


def _titles(view: View, some: Sequence[Entry]) -> Html:
    return listed(el("b", name(view.title(one))) for one in some)


def _without_standings(view: View, task: str) -> Html:
    """Return what can be said of a task for which no standings are kept."""
    honest = [one for one in view.ranked(task) if one not in view.peeking]
    if honest:
        value = view.value(task, honest[0])
        first = [one for one in honest if view.value(task, one) == value]
        who, score = _titles(view, first), number(value)
        if len(honest) == 1:
            return join([who, f" alone has a score: {score}."])
        has = "has" if len(first) == 1 else "have"
        best = f" {has} the best of {len(honest):,} scores, {score}"
        return join([who, f"{best}; whether others can be told from it was not worked out."])
    scored = [r for r in view.records if r.task == task and r.scores]
    if all((r.model, r.label) in view.peeking for r in scored):
        seen = "only what saw the targets has a score." if scored else "nobody has a score."
        return Html(seen)
    return Html("there are scores, but none that could be compared.")


def failures(view: View) -> Html:
    """Return what did not end well: why, what to try, and the end of the log."""
    rows = [_failure(view, record, i < MOST_LOGS) for i, record in enumerate(view.failed)]
    shown = el("ul", *rows[:FEW_TASKS], class_="failures")
    if not rows[FEW_TASKS:]:
        return shown
    more = el("summary", f"{len(rows) - FEW_TASKS:,} more")
    return join([shown, el("details", more, el("ul", *rows[FEW_TASKS:], class_="failures"))])


def _failure(view: View, record: Record, with_log: bool) -> Html:
    chip = "chip" if record.status is Status.SKIPPED else "chip bad"
    parts = [
        el("p", el("span", record.status.value, class_=chip), " ", el("b", name(record.title))),
        el("p", name(record.error or "no reason was given"), class_="reason"),
    ]
    if record.advice:
        parts.append(el("p", "Try: ", name(record.advice), class_="advice"))
    log = view.file(record.log) if record.log and with_log else None
    text = log_end(log) if log else ""
    if text.strip():
        last = "\n".join(text.rstrip().splitlines()[-LOG_LINES:])
        parts.append(el("details", el("summary", "end of ", el("code", record.log)), el("pre", last)))
    return el("li", *parts)


def provenance(view: View) -> Html:
    """Return versions, commit, plugins, fingerprints, what was trusted, notes and the suite itself."""
    run = view.report.run
    machine, packages = _mapping(run.get("machine")), _mapping(run.get("packages"))
    command = run.get("command")
    facts = {
        "run": f"{_text(run.get('suite'))}/{_text(run.get('run'))}",
        "started": _text(run.get("started")),
        "finished": _text(run.get("finished")),
        "status": _text(run.get("status")),
        "command": " ".join(map(str, command)) if isinstance(command, list | tuple) else "",
        "commit": _text(run.get("commit")),
        "executor": ", ".join(filter(None, [_text(run.get("executor")), *_texts(run.get("slots"))])),
        "device": _text(run.get("device")),
        "Python": _text(run.get("python")),
        **{key.replace("_", " "): _text(value) for key, value in machine.items()},
    }
    notes = _counted(note for record in view.records for note in record.notes)
    trust = _counted(f"{record.reference}: {word}" for record in view.records for word in record.trust)
    plugins = _counted(
        f"{part} = {plugin}" for record in view.records for part, plugin in record.plugins.items()
    )
    parts = [_terms(facts)]
    if notes:
        parts += [el("h3", "Notes"), el("ul", *(el("li", name(note)) for note in notes))]
    if trust:
        parts += [
            el("h3", "Trusted beyond the safe default"),
            el("ul", *(el("li", name(word)) for word in trust)),
        ]
    folded = {
        "Packages": _terms({key: _text(value) for key, value in packages.items()}) if packages else "",
        "Plugins": el("ul", *(el("li", name(word)) for word in plugins)) if plugins else "",
        "Fingerprints": _fingerprints(view),
        "The suite as it was run": el("pre", run["text"]) if isinstance(run.get("text"), str) else "",
    }
    parts += [el("details", el("summary", title), body) for title, body in folded.items() if body]
    return join(parts)


def _fingerprints(view: View) -> Html:
    models: dict[str, Mapping[str, str]] = {}
    data: dict[str, tuple[str, str]] = {}
    for record in view.records:
        if record.fingerprints:
            models.setdefault(record.model, record.fingerprints)
            data.setdefault(record.task, (record.data, record.fingerprints.get("data", "")))
    if not models:
        return Html()
    rows = [
        [name(model), name(view.reference[model]), _digest(of, "weights"), _digest(of, "preprocessing")]
        for model, of in models.items()
    ]
    tasks = [[name(task), name(source), el("code", digest)] for task, (source, digest) in data.items()]
    heads = ["Model", "Reference", "Weights", "Preprocessing"]
    return join([table(heads, rows), table(["Task", "Data", "Digest"], tasks)])


def _digest(of: Mapping[str, str], part: str) -> Html:
    digest = of.get(part, "")
    return el("code", digest[:16], title=clean(digest)) if digest else Html(NOTHING)


def table(heads: Sequence[object], rows: Sequence[Sequence[object]]) -> Html:
    """Return a plain table; the first cell of a row is its head."""
    body = [el("tr", el("th", row[0], scope="row"), *(el("td", cell) for cell in row[1:])) for row in rows]
    top = el("thead", el("tr", *(el("th", title, scope="col") for title in heads)))
    return el("div", el("table", top, el("tbody", *body)), class_="scroll", tabindex="0", role="region",
              aria_label=f"Table: {', '.join(map(clean, heads))}")  # fmt: skip


def _terms(facts: Mapping[str, str]) -> Html:
    return el(
        "dl", *(el("div", el("dt", key), el("dd", name(text))) for key, text in facts.items() if text),
        class_="terms",
    )  # fmt: skip


def _entries(view: View) -> str:
    """Return how many entries there are, where models stand under several protocols."""
    n = len(view.entries)
    return f"{n:,} with their protocols" if n > len(view.reference) else ""


def _tile(title: str, value: object, note: object = None, state: str = "") -> Html:
    more = [el("small", note, class_=state or None)] if note else []
    return el("div", el("dt", title), el("dd", value, *more))


def _counted(words: Any) -> list[str]:
    return list(dict.fromkeys(words))


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _texts(value: Any) -> list[str]:
    return [_text(one) for one in value] if isinstance(value, list | tuple) else []


def _text(value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else str(value)


def _when(stamp: Any) -> str:
    try:
        return datetime.fromisoformat(_text(stamp)).strftime("%Y-%m-%d %H:%M") + " UTC"
    except ValueError:
        return clean(_text(stamp))


def _seconds(run: Mapping[str, Any]) -> float:
    try:
        began, ended = (datetime.fromisoformat(_text(run.get(key))) for key in ("started", "finished"))
        return max(0.0, (ended - began).total_seconds())
    except (ValueError, TypeError):
        return 0.0
