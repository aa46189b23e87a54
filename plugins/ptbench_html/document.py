"""What the script of the page draws and opens, as one JSON document, nothing twice."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from ptbench import COSTS, Average, Record, Score, pareto_points
from ptbench_html.behind import look_behind
from ptbench_html.view import View

MOST_FACTS = 2000
"""Records whose facts and costs are told; of the others only scores are."""
MOST_CURVES = 600
MOST_POINTS = 200
LONGEST = 300
"""Characters of a fact."""


def document(view: View) -> dict[str, Any]:
    """Return the data of the page; tasks and entries are positions in its lists."""
    tasks = {task: i for i, task in enumerate(view.tasks)}
    entries = {entry: i for i, entry in enumerate(view.entries)}
    behind = look_behind(view)
    curves, curves_left = _curves(view, tasks, entries)
    groups: dict[str, list[Any]] = {}
    for i, record in enumerate(view.records):
        key = f"{tasks[record.task]},{entries[record.model, record.label]}"
        groups.setdefault(key, []).append(_record(record, full=i < MOST_FACTS))
    places = []
    for task, t in tasks.items():
        for entry in view.ranked(task):
            standing, score = view.standings.get((task, *entry)), view.score(task, entry)
            found = standing or score
            assert found is not None
            rival = standing if len(view.rivals(task)) > 1 else None
            state = 0 if rival is None else 1 if rival.best else 2 if rival.tied else 0
            places.append(
                [t, entries[entry], exact(found.value), exact(found.ci_low), exact(found.ci_high), state]
                + ([standing.group, standing.rank_low, standing.rank_high] if standing else ["", None, None])
            )
    changes, unchanged = _changes(view)
    tied = [(a.model, a.protocol) for a in view.tied_averages]
    averages = [
        _average(a, entries[who], 1 if i == 0 else 2 if who in tied else 0)
        for i, a in enumerate(view.leaders)
        if (who := (a.model, a.protocol)) in entries
    ]
    return {
        "tasks": [[task, metric, view.higher.get(task, True)] for task, metric in view.tasks.items()],
        "entries": [
            [model, protocol, view.title((model, protocol)), int((model, protocol) in view.peeking)]
            for model, protocol in view.entries
        ],
        "places": places,
        "averages": averages,
        "costs": _costs(view, tasks, entries),
        "records": groups,
        "curves": curves,
        "behind": behind.places,
        "labels": behind.labels,
        "changes": changes,
        "left": {
            "behind": behind.left_out,
            "unreadable": behind.unreadable,
            "curves": curves_left,
            "changes": unchanged,
            "facts": max(0, len(view.records) - MOST_FACTS),
        },
    }


def short(value: float | None) -> float | None:
    """Return a number with five digits; None where it is not finite."""
    return float(f"{value:.5g}") if value is not None and math.isfinite(value) else None


def _average(found: Average, entry: int, state: int) -> list[Any]:
    ends = [exact(found.ci_low), exact(found.ci_high)]
    return [entry, exact(found.value), *ends, state, found.group, found.rank_low, found.rank_high]


def exact(value: float | None) -> float | None:
    """Return a number as it is, since it is rounded where it is shown; None where it is not finite."""
    return value if value is not None and math.isfinite(value) else None


def _costs(view: View, tasks: Mapping[str, int], entries: Mapping[Any, int]) -> dict[str, Any]:
    found = {}
    for key, (title, _) in COSTS.items():
        points = [
            [tasks[p.task], entries[p.model, p.protocol], short(p.cost), int(p.front)]
            for p in pareto_points(view.report, key)
            if p.cost > 0
        ]
        if points:
            found[key] = {"title": title, "points": points}
    return found


def _record(record: Record, full: bool) -> dict[str, Any]:
    """Return what is told of one cell; what is empty is left out."""
    told: dict[str, Any] = {
        "cell": record.cell,
        "seed": record.seed,
        "status": record.status.value,
        "error": record.error,
        "scores": [_score(score) for score in record.scores],
    }
    if full:
        cost = record.cost
        costs = {
            "seconds": cost.seconds, "load_seconds": cost.load_seconds, "examples_per_s": cost.examples_per_s,
            "parameters": cost.parameters, "macs": cost.macs, "peak_memory_mb": cost.peak_memory_mb,
        }  # fmt: skip
        told |= {
            "cost": {key: short(value) for key, value in costs.items() if value is not None},
            "facts": _facts(record.facts),
            "notes": list(record.notes),
            "about": [
                text
                for text in (
                    f"n = {record.n:,}" if record.n is not None else "",
                    f"{record.unread} unread" if record.unread else "",
                    _copies(record),
                    " ".join(filter(None, [record.device, record.precision])),
                    f"loaded to {record.capability}" if record.capability else "",
                    f"taken over from {record.reused}" if record.reused else "",
                    record.slot,
                )
                if text
            ],
        }
    return {key: value for key, value in told.items() if value not in ("", [], {}, None)}


def _copies(record: Record) -> str:
    found = sum((record.copies or {}).values())
    return f"{found} test rows stand in train too" if found else ""


def _score(score: Score) -> list[Any]:
    ends = [exact(score.ci_low), exact(score.ci_high)]
    by = score.interval if score.clusters is None else f"{score.interval}, {score.clusters:,} clusters"
    told = [score.metric, exact(score.value), *ends, score.n, by]
    last = [score.caveat, exact(score.without_copies)]
    return told + (last if any(last) else [])


def _facts(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return facts that fit on a line."""
    found: dict[str, Any] = {}
    for key, value in list(facts.items())[:60]:
        if key in ("curves", "path") or value is None or value in ("", [], {}):
            continue
        if isinstance(value, bool | int):
            found[key] = value
        elif isinstance(value, float):
            found[key] = short(value)
        else:
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
            found[key] = text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
    return found


def _curves(
    view: View, tasks: Mapping[str, int], entries: Mapping[Any, int]
) -> tuple[list[dict[str, Any]], int]:
    """Return the curves that can be drawn, and how many more there are; what is malformed is left out."""
    found = []
    for record in view.records:
        told = record.facts.get("curves")
        for curve in told if isinstance(told, list | tuple) else ():
            if not isinstance(curve, Mapping) or not isinstance(curve.get("points"), list | tuple):
                continue
            points = [p for point in curve["points"] if (p := _point(point))]
            if points:
                step = math.ceil(len(points) / MOST_POINTS)
                kept = points[::step] + (points[-1:] if (len(points) - 1) % step else [])
                found.append({
                    "t": tasks[record.task], "e": entries[record.model, record.label], "seed": record.seed,
                    **{key: str(curve.get(key, "")) for key in ("name", "of", "x")}, "p": kept,
                })  # fmt: skip
    return found[:MOST_CURVES], max(0, len(found) - MOST_CURVES)


def _point(point: Any) -> list[float | None]:
    """Return x, y and the ends of its interval; empty where there is no x or no y."""
    if not isinstance(point, Sequence) or isinstance(point, str):
        return []
    numbers = [
        short(float(v)) if isinstance(v, int | float) and not isinstance(v, bool) else None for v in point[:4]
    ]
    if len(numbers) < 2 or None in numbers[:2]:
        return []
    return numbers if len(numbers) == 4 and None not in numbers else numbers[:2]


def _changes(view: View) -> tuple[list[list[Any]], int]:
    """Return the changes from the baseline with their verdicts, and in how many rows nothing changed."""
    rows = view.report.comparison.rows if view.report.comparison else ()
    measured = [(row, d) for row in rows if (d := row.primary) is not None and math.isfinite(d.change)]
    changed = [(row, d) for row, d in measured if d.change or d.differing]
    return [
        [row.title, d.metric, *map(exact, (d.change, d.low, d.high)), row.verdict.value, d.higher_is_better]
        for row, d in changed
    ], len(measured) - len(changed)
