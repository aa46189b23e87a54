"""How a run is executed: by which executor, on which slots, within which limits; it changes no score."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ptbench.catalog import Catalog
from ptbench.errors import PtbenchError, SuiteError, UsageError, nearest, printable
from ptbench.offers import Executor
from ptbench.slots import Slot, find_slots
from ptbench.suite import RUN_KEYS, Suite
from ptbench.values import has_type, type_names

DEFAULT = "local"


@dataclass(frozen=True, slots=True)
class Execution:
    """How a run is executed."""

    executor: Executor
    slots: tuple[Slot, ...]
    timeout: float | None = None
    """Seconds that a cell may take."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """The executor's own."""
    canonical: bool = False
    """Whether every slot computes with one thread and batches are made of the examples alone."""
    offline: bool = False
    fail_fast: bool = False

    @property
    def device(self) -> str:
        """What ``auto`` means for a model here: ``cuda`` or ``cpu``."""
        return self.slots[0].device

    @property
    def settings(self) -> dict[str, Any]:
        """Return the settings that every model gets from it, over what the suite says."""
        settings: dict[str, Any] = {"canonical": True} if self.canonical else {}
        if self.executor.here and self.device == "cpu":
            settings["device"] = "cpu"  # nothing hides the GPUs from this very process
        return settings


def find_execution(
    suite: Suite,
    catalog: Catalog,
    given: Mapping[str, Any],
    *,
    offline: bool = False,
    fail_fast: bool = False,
) -> Execution:
    """Return how a suite is to be executed: what is ``given`` (not None) goes before its ``[run]``.

    Raises `SuiteError` with every mistake, `UsageError` for devices that are not there, and for an executor
    that cannot be ``offline``.
    """
    told = {key: value for key, value in given.items() if value is not None}
    table = {**suite.run, **told}
    where = {key: "the call:" if key in told else f"{suite.path}: [run]" for key in table}
    name = table.pop("executor", DEFAULT)
    try:
        executor = catalog.get(Executor, name)
    except PtbenchError as error:
        raise SuiteError([f"{where.get('executor', suite.path)} key 'executor': {error}"]) from None
    if offline and not (executor.offline or executor.here):
        raise UsageError(
            f"executor '{name}' does not say that it works without the network (Executor.offline); "
            "with --offline use --executor local"
        )
    devices, timeout = table.pop("devices", "auto"), table.pop("timeout", None)
    canonical = bool(table.pop("canonical", False))
    if canonical and executor.here and os.environ.get("OMP_NUM_THREADS") != "1":
        raise UsageError(
            f"executor '{name}' with canonical: threads are fixed when Python starts; set OMP_NUM_THREADS=1, "
            "OPENBLAS_NUM_THREADS=1 and MKL_NUM_THREADS=1 before, or take the executor 'local'"
        )
    mistakes = list(_mistakes(executor, table, where))
    if mistakes:
        raise SuiteError(mistakes)
    options = executor.filled(table)
    slots = executor.slots(devices, options) if executor.slots is not None else None
    if slots is None:
        slots = find_slots(devices, canonical=canonical)[: 1 if executor.here else None]
    elif canonical:
        slots = tuple(replace(slot, threads=1) for slot in slots)
    return Execution(executor, slots, timeout, options, canonical, offline, fail_fast)


def _mistakes(executor: Executor, table: Mapping[str, Any], where: Mapping[str, str]) -> list[str]:
    known = {option.name: option for option in executor.options}
    found = []
    for key, value in table.items():
        option = known.get(key)
        if option is None:
            hint = nearest(key, [*known, *RUN_KEYS])
            found.append(f"{where[key]} key '{key}': unknown to executor '{executor.name}'; {hint}")
        elif not has_type(value, option.types):
            found.append(f"{where[key]} key '{key}' is {value!r}; {type_names(option.types)} was expected")
        elif problem := option.check(value):
            found.append(f"{where[key]} key '{key}' is {value!r}; {problem}")
    return [printable(text) for text in found]
