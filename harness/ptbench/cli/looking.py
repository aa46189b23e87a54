"""From a suite, and how it is to be executed, to its plan."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ptbench.errors import SuiteError

if TYPE_CHECKING:
    from ptbench.catalog import Catalog
    from ptbench.runner.execution import Execution
    from ptbench.runner.plan import Plan
    from ptbench.suite import Suite

_EXECUTION = (
    click.option(
        "--devices",
        help="Slots: auto (default), cpu, cpu:4, cuda, cuda:0,2, cuda:0+1,2+3 (two GPUs each).",
    ),
    click.option("--executor", help="local (default), serial, ray, or one of a plugin."),
    click.option("--address", help="Of a cluster, for executors that join one: auto, or HOST:PORT."),
    click.option("--timeout", type=click.FloatRange(min=0, min_open=True), help="Seconds a cell may take."),
    click.option(
        "--canonical",
        is_flag=True,
        default=None,
        help="One thread per slot, batches made of the examples alone: the same bits on any number of slots.",
    ),
)
"""Options that override ``[run]`` of the suite."""


def EXECUTION(command: Callable[..., Any]) -> Callable[..., Any]:  # noqa: N802  (used as the others are)
    """Give a command the options on how a suite is executed, in one mapping named ``given``."""
    names = ("devices", "executor", "address", "timeout", "canonical")

    @functools.wraps(command)
    def gathered(*objects: Any, **options: Any) -> Any:
        return command(*objects, given={name: options.pop(name) for name in names}, **options)

    for option in reversed(_EXECUTION):
        gathered = option(gathered)
    return gathered


@dataclass(frozen=True, slots=True)
class Looked:
    """What a look at a suite brings: the plan of what is well-formed in it, and every mistake in the rest."""

    plan: Plan
    mistakes: tuple[str, ...]
    catalog: Catalog
    execution: Execution

    def checked(self) -> Looked:
        """Return it. Raises `SuiteError` where there are mistakes."""
        if self.mistakes:
            raise SuiteError(self.mistakes)
        return self


def look(
    path: Path,
    given: Mapping[str, Any],
    precision: str | None,
    *,
    offline: bool = False,
    fail_fast: bool = False,
) -> Looked:
    """Return a suite's plan. Raises `SuiteError` and `UsageError` where there can be none."""
    from ptbench.suite import load_suite

    return look_at(load_suite(path), given, precision, offline=offline, fail_fast=fail_fast)


def look_at(
    suite: Suite,
    given: Mapping[str, Any],
    precision: str | None,
    *,
    offline: bool = False,
    fail_fast: bool = False,
) -> Looked:
    """Return the plan of a suite that was read. Raises like `look`."""
    from ptbench.catalog import load_catalog
    from ptbench.runner.execution import find_execution
    from ptbench.runner.inspecting import plan_inspections
    from ptbench.runner.plan import make_plan
    from ptbench.runner.resolve import resolve

    with redirect_stdout(sys.stderr):  # what a plugin prints is no output of ours
        catalog = load_catalog()
        execution = find_execution(suite, catalog, given, offline=offline, fail_fast=fail_fast)
        settings = {**execution.settings, **({"precision": precision} if precision else {})}
        cells, mistakes = resolve(suite, catalog, settings)
        plan = make_plan(suite, cells, catalog, execution.device)
        broken = {name: task.problem for name, task in plan.tasks.items() if task.problem}
        inspections = plan_inspections(suite, catalog, settings, broken)
    return Looked(replace(plan, inspections=inspections), mistakes, catalog, execution)
