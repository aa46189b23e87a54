"""`ptbench inspect`: what the weights, gradients and activations of a model look like."""

from __future__ import annotations

import json
import sys
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ptbench.cli.modelargs import named_models, read_options
from ptbench.cli.shared import DEVICE, JSON, interruptible, make_console
from ptbench.errors import PtbenchError, SuiteError, UnknownNameError, UsageError, nearest, printable
from ptbench.inspect_table import LEAST_SAMPLE, PARTS, SAMPLE

if TYPE_CHECKING:
    from ptbench.catalog import Catalog
    from ptbench.records import ModelSpec, TaskSpec
    from ptbench.runner.inspecting import InspectionPlan


def _parts(context: click.Context, parameter: click.Parameter, value: str | None) -> tuple[str, ...]:
    if value is None:
        return tuple(PARTS)
    names = [word.strip() for word in value.split(",") if word.strip()]
    for name in names:
        if name not in PARTS:
            raise click.BadParameter(f"there is no part '{name}'; {nearest(name, PARTS)}")
    if not names:
        raise click.BadParameter(f"'{value}' names none; write, say, weights,gradients")
    return tuple(part for part in PARTS if part in names)


@click.command("inspect")
@click.argument("model", metavar="MODEL")
@click.option("--task", help="A task that a plugin ships (lite/sst2), or SUITE.toml#NAME.")
@click.option("--against", metavar="MODEL", help="Compare the layers with those of this model (CKA).")
@click.option("-o", "options", multiple=True, metavar="KEY=VALUE", help="An option of the models given.")
@click.option(
    "--sample", type=click.IntRange(LEAST_SAMPLE), default=SAMPLE, show_default=True,
    help="Training examples to look at, chosen by a hash of their ids.",
)  # fmt: skip
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of sample and head.")
@click.option("--only", callback=_parts, help="weights, gradients, activations.  [default: all three]")
@DEVICE
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("results"),
    show_default=True,
    help="Where the folder inspect/<run>/ is made.",
)
@click.option("--quiet", is_flag=True, help="No progress; the tables alone.")
@JSON
def inspect_command(
    model: str,
    task: str | None,
    against: str | None,
    options: tuple[str, ...],
    sample: int,
    seed: int,
    only: tuple[str, ...],
    device: str | None,
    output: Path,
    quiet: bool,
    as_json: bool,
) -> int:
    """Look inside MODEL (hf:…, timm:…): its weights, its gradients and activations on a task.

    CSVs and PNGs are left under results/inspect/. The exit code is 1 where something could not be done.
    """
    from ptbench.catalog import load_catalog
    from ptbench.cli.inspecttable import Progress, render_inspections
    from ptbench.plain import to_json
    from ptbench.runner.inspecting import conduct_inspections

    with redirect_stdout(sys.stderr):  # what a plugin prints is no output of ours
        catalog = load_catalog()
        plan = _planned(model, against, task, read_options(options), device, catalog)
        plan = replace(
            plan, items=tuple(replace(item, only=only, sample=sample, seed=seed) for item in plan.items)
        )
        _check(plan, catalog, task, only)
        folder = _folder(output)
    shown = output / folder.relative_to(output.resolve())
    progress = make_console(stderr=True)
    progress.quiet = quiet or as_json
    with interruptible(), redirect_stdout(sys.stderr):
        status = "interrupted"
        _about(folder, plan, "running")
        try:
            done = conduct_inspections(plan, catalog, folder, Progress(progress))
            status = "finished"
        finally:
            _about(folder, plan, status)
            pictures, failed = _pictures(folder, catalog)
    console = make_console()
    if as_json:
        files = [str(path) for path in pictures]
        console.out(json.dumps(to_json({"folder": shown, "inspections": done, "pictures": files})))
    else:
        render_inspections(folder, done, console)
        console.out(f"results: {shown}", highlight=False)
    for text in failed:
        click.echo(f"error: {printable(text)}", err=True)
    return 1 if failed or any(one.status != "ok" for one in done) else 0


def _planned(
    model: str,
    against: str | None,
    task: str | None,
    options: dict[str, Any],
    device: str | None,
    catalog: Catalog,
) -> InspectionPlan:
    from ptbench.runner.inspecting import InspectionPlan, PlannedInspection

    settings = {"device": device} if device else {}
    models = [_model(name, options, settings, catalog) for name in (model, against) if name]
    if against == model:
        raise UsageError(f"--against {printable(against)}: is MODEL itself; its own CKA is there anyway")
    spec, task_base = _task(task, catalog) if task else (None, Path())
    items = tuple(PlannedInspection(m, spec, base=base, task_base=task_base) for m, base in models)
    return InspectionPlan(items, ((models[0][0].name, models[1][0].name),) if against else ())


def _model(
    reference: str, options: dict[str, Any], settings: dict[str, Any], catalog: Catalog
) -> tuple[ModelSpec, Path]:
    if reference.endswith(".toml"):
        raise UsageError(
            f"{printable(reference)}: MODEL is a reference; a suite says it in its table [inspect]"
        )
    ((spec, base),) = named_models((reference,), options, (), settings, catalog)
    return spec, base


def _task(text: str, catalog: Catalog) -> tuple[TaskSpec, Path]:
    """Return the task that a command line names, and where its relative paths start."""
    from ptbench.runner.resolve import resolve_tasks
    from ptbench.suite import Entry, Suite, load_suite

    file, mark, name = text.rpartition("#")
    if mark and file.endswith(".toml"):
        suite = load_suite(Path(file))
        if name not in suite.tasks:
            raise UnknownNameError(
                f"--task {printable(text)}: [tasks] has no '{printable(name)}'; {nearest(name, suite.tasks)}"
            )
        entry = suite.tasks[name]
        suite = replace(suite, tasks={name: entry}, mistakes=suite.mistakes if entry.broken else ())
    else:
        entry = Entry(text, "ptbench inspect", f"--task {text}", {"use": text})
        suite = Suite(Path("inspect"), "inspect", "", {}, (), {}, {text: entry}, ())
    tasks, mistakes = resolve_tasks(suite, catalog)
    if mistakes or not tasks:
        raise SuiteError(mistakes or [f"--task {printable(text)}: is no task"])
    return tasks[0], suite.path.resolve().parent


def _check(plan: InspectionPlan, catalog: Catalog, task: str | None, only: tuple[str, ...]) -> None:
    """Raise `UsageError` where what is asked for cannot be done: nothing was loaded yet."""
    from ptbench.runner.inspecting import why_not

    if task is None and only != ("weights",):
        raise UsageError("gradients and activations need --task, such as lite/sst2; or say --only weights")
    if plan.pairs and "activations" not in only:
        raise UsageError("--against compares activations; leave out --only, or let it name activations")
    for item in plan.items:
        if refusal := why_not(item.model, item.base, catalog) or why_not(
            item.model, item.base, catalog, item.task
        ):
            raise UsageError(refusal)


def _folder(output: Path) -> Path:
    from ptbench import store

    folder = store.create_run(output, "inspect")
    (folder / store.PREDICTIONS).rmdir()  # there will be none
    return folder


def _about(folder: Path, plan: InspectionPlan, status: str) -> None:
    """Write ``run.json``, by which a folder is known as a run."""
    import time

    from ptbench import store
    from ptbench.environment import snapshot

    models = [item.model.name for item in plan.items]
    tasks = list(dict.fromkeys(item.task.name for item in plan.items if item.task))
    run = {
        "suite": "inspect", "run": folder.name, "cells": 0, "status": status,
        "order": {"models": models, "tasks": tasks},
        "written": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), **snapshot(Path.cwd()),
    }  # fmt: skip
    store.write_json(folder / store.RUN, run)


def _pictures(folder: Path, catalog: Catalog) -> tuple[list[Path], list[str]]:
    """Let the reporter draw what there is, where it can; return its files, and what went wrong."""
    from ptbench import store
    from ptbench.offers import Reporter
    from ptbench.runner.conduct import write_reports

    try:
        catalog.get(Reporter, "inspection")
    except PtbenchError:  # without matplotlib there are tables
        return [], []
    failed: list[str] = []
    return write_reports(store.read_report(folder), catalog, ["inspection"], failed.append), failed
