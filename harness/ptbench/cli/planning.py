"""A plan as tables and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ptbench.model import Download
from ptbench.plain import to_json
from ptbench.records import Cell
from ptbench.runner.plan import ModelPlan, Plan, PlannedCell, TaskPlan
from ptbench.runner.reuse import Finished

CANNOT = "cannot run"


def show_plan(plan: Plan, console: Console, finished: Finished | None = None) -> None:
    """Print models, tasks, cells, downloads and problems; and what is finished, where that was looked up."""
    console.print(_models(plan))
    console.print(_tasks(plan))
    console.print(_cells(plan, finished))
    for download in plan.downloads:
        console.print(Text(f"download: {download_text(download)}", style="yellow"), soft_wrap=True)
    for note, places in _notes(plan).items():
        console.print(Text(f"note: {note} ({', '.join(places)})", style="dim"), soft_wrap=True)
    for line in _inspections(plan):
        console.print(line, soft_wrap=True)
    for problem in plan.problems:
        console.print(Text(f"problem: {problem}", style="red"), soft_wrap=True)
    ready = sum(not planned.problem for planned in plan.cells)
    if finished is None:
        console.print(f"{ready} of {len(plan.cells)} cells can run")
    else:
        console.print(summary(plan, finished))


def summary(plan: Plan, finished: Finished) -> str:
    """Say how many cells are finished, and how many will run or cannot."""
    blocked = sum(bool(planned.problem) for planned in plan.cells)
    done, failed = len(finished.cells), sum(not found.ok for found in finished.cells.values())
    ended = f" ({failed} of them did not end well: --retry-failed)" if failed else ""
    rest = f", {blocked} cannot" if blocked else ""
    runs = len(plan.cells) - done - blocked
    return f"{done} of {len(plan.cells)} cells are finished{ended}, {runs} will run{rest}"


def _inspections(plan: Plan) -> Iterator[Text]:
    """Say what is looked into, and what of it cannot be."""
    planned = plan.inspections
    ready = [item for item in planned.items if not item.problem]
    if ready:
        models = ", ".join(dict.fromkeys(item.model.name for item in ready))
        tasks = ", ".join(dict.fromkeys(item.task.name for item in ready if item.task))
        where = f" on {tasks}, at most {ready[0].sample} examples each" if tasks else ""
        pairs = "".join(f"; {a} against {b}" for a, b in planned.pairs)
        yield Text(f"inspect: {', '.join(ready[0].only)} of {models}{where}{pairs}")
    for line in planned.left_out:
        yield Text(f"not inspected: {line}", style="dim")


def _notes(plan: Plan) -> dict[str, list[str]]:
    """Return what a reader of the plan must know, with the models, tasks and cells that it is about."""
    notes: dict[str, list[str]] = {}
    for name, model in plan.models.items():
        for note in model.description.notes if model.description else ():
            notes.setdefault(note, []).append(name)
        for word in model.description.trust if model.description else ():
            notes.setdefault(f"the suite allows {word}", []).append(name)
    for name, task in plan.tasks.items():
        for note in task.notes:
            notes.setdefault(note, []).append(name)
    for planned in plan.cells:
        if planned.note:
            place = f"{planned.cell.model.name} x {planned.cell.task.name}"
            places = notes.setdefault(planned.note, [])
            if place not in places:
                places.append(place)
    return notes


def plan_data(plan: Plan, finished: Finished | None = None) -> Any:
    """Return a plan as plain JSON data; with the state of each cell, where it was looked up."""
    return to_json(
        {
            "suite": plan.suite.name,
            "file": plan.suite.path,
            "models": {
                name: {
                    "reference": model.spec.reference,
                    "plugin": model.plugin,
                    "description": model.description,
                    "problem": model.problem,
                }
                for name, model in plan.models.items()
            },
            "tasks": {
                name: {
                    "data": task.spec.data,
                    "kind": task.kind,
                    "plugin": task.plugin,
                    "metrics": task.metrics,
                    "labels": task.facts.labels if task.facts else None,
                    "splits": task.facts.splits if task.facts else None,
                    "downloads": task.downloads,
                    "problem": task.problem,
                    "note": task.spec.note,
                    "notes": task.notes,
                    "unread": task.unread,
                }
                for name, task in plan.tasks.items()
            },
            "cells": [
                {
                    "cell": planned.cell.id,
                    "model": planned.cell.model.name,
                    "task": planned.cell.task.name,
                    "protocol": planned.cell.protocol,
                    "options": planned.cell.options,
                    "seed": planned.cell.seed,
                    "capability": planned.capability,
                    "problem": planned.problem,
                    "note": planned.note,
                    "identity": planned.identity,
                    **({} if finished is None else _state(planned, finished)),
                }
                for planned in plan.cells
            ],
            "inspections": {
                "items": [
                    {
                        "model": item.model.name,
                        "task": item.task.name if item.task else None,
                        "only": item.only,
                        "sample": item.sample,
                        "seed": item.seed,
                        "problem": item.problem,
                    }
                    for item in plan.inspections.items
                ],
                "pairs": plan.inspections.pairs,
                "left_out": plan.inspections.left_out,
            },
            "downloads": plan.downloads,
            "problems": plan.problems,
        }
    )


def _state(planned: PlannedCell, finished: Finished) -> dict[str, str]:
    """Return whether a cell is finished, in which run it was measured, or why it runs."""
    cell = planned.cell.id
    if planned.problem:
        return {"state": "cannot run"}
    if (found := finished.cells.get(cell)) is None:
        return {"state": "will run", "why": finished.why[cell]}
    return {"state": "finished", "status": found.record.status.value, "run": found.run}


def _words(planned: PlannedCell, finished: Finished | None) -> str:
    """Return the state of a cell as the table has it."""
    if planned.problem:
        return CANNOT
    if finished is None:
        return f"ready ({planned.capability})"
    if (found := finished.cells.get(planned.cell.id)) is None:
        return f"will run ({planned.capability}): {finished.why[planned.cell.id]}"
    if not found.ok:
        return f"{found.record.status.value} in {found.run}"
    return f"finished in {found.run}"


def _models(plan: Plan) -> Table:
    table = Table(title="models", title_justify="left", header_style="bold")
    for name in ("model", "reference", "plugin", "can", "parameters", "needs"):
        table.add_column(name, overflow="fold")
    for model in plan.models.values():
        described = model.description
        table.add_row(
            Text(model.spec.name),
            Text(model.spec.reference),
            Text(model.plugin),
            ", ".join(sorted(described.capabilities)) if described else "",
            f"{described.parameters:,}" if described and described.parameters else "",
            _needs(model, described.downloads if described else ()),
        )
    return table


def _tasks(plan: Plan) -> Table:
    table = Table(title="tasks", title_justify="left", header_style="bold")
    for name in ("task", "data", "kind", "metrics", "train / validation / test", "labels", "needs"):
        table.add_column(name, overflow="fold")
    for task in plan.tasks.values():
        sizes = (task.facts.splits if task.facts else None) or {}
        labels = (task.facts.labels if task.facts else None) or ()
        shown = ", ".join(labels[:4]) + (f" and {len(labels) - 4} more" if len(labels) > 4 else "")
        table.add_row(
            Text(task.spec.name),
            Text(task.spec.data),
            task.kind,
            ", ".join(task.metrics),
            " / ".join(_size(sizes, role) for role in ("train", "validation", "test")),
            Text(shown),
            _needs(task, task.downloads),
        )
    return table


def _cells(plan: Plan, finished: Finished | None) -> Table:
    """Return one row per model and protocol, and per state where its cells differ."""
    table = Table(title="cells", title_justify="left", header_style="bold")
    for name in ("model", "protocol", "tasks", "seeds", "cells", "state"):
        table.add_column(name, overflow="fold")
    groups: dict[tuple[str, str, str], list[Cell]] = {}
    for planned in plan.cells:
        key = (planned.cell.model.name, planned.cell.label, _words(planned, finished))
        groups.setdefault(key, []).append(planned.cell)
    for (model, protocol, state), cells in groups.items():
        table.add_row(
            Text(model),
            Text(protocol),
            Text(", ".join(dict.fromkeys(cell.task.name for cell in cells))),
            ", ".join(dict.fromkeys(str(cell.seed) for cell in cells)),
            str(len(cells)),
            Text(state, style="red" if state == CANNOT else ""),
        )
    return table


def _needs(planned: ModelPlan | TaskPlan, downloads: tuple[Download, ...]) -> Text:
    if planned.problem:
        return Text("see below", style="red")
    return Text("; ".join(map(download_text, downloads)), style="yellow")


def download_text(download: Download) -> str:
    """Return what is to be brought, with its size where that is known."""
    size = f" ({download.bytes / 2**20:,.0f} MiB)" if download.bytes else ""
    return f"{download.what}{size}"


def _size(sizes: Any, role: str) -> str:
    count = sizes.get(role)
    return "?" if role in sizes and count is None else f"{count:,}" if count else "-"
