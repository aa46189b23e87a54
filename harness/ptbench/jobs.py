"""Jobs: cells with what a schedule must know of them; what is told of them, and how a worker is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Literal

from ptbench.records import Cell, Record


@dataclass(frozen=True, slots=True)
class Job:
    """A cell, or a part of one, with what a schedule must know of it. Plain data that can be pickled."""

    cell: Cell
    kind: str = ""
    """The kind of its task, for the record where a worker dies."""
    model: str = ""
    """Jobs of equal ones work with one loaded model."""
    shared: str = ""
    """Jobs of equal ones share features, which the first of them computes; empty: it shares none."""
    load_seconds: float = 0.0
    """Estimate: loading the model, where the slot does not hold it yet."""
    shared_seconds: float = 0.0
    """Estimate: what the first of those that share pays for all of them."""
    own_seconds: float = 0.0
    """Estimate: the rest."""
    measured: bool = False
    """Whether the estimates come from earlier records."""
    blocks: int = 1
    """Into how many parts it can be split: blocks of examples that a model sees one after another."""
    part: tuple[int, int] | None = None
    """``(2, 8)``: compute what falls to the third of eight parts, and nothing else. A part has no record;
    the whole cell comes when all of its parts have ended, and finds what they computed."""

    @property
    def name(self) -> str:
        """What it is called in messages and logs: the id of its cell, with the part if it is one."""
        return self.cell.id if self.part is None else f"{self.cell.id}#{self.part[0] + 1}/{self.part[1]}"


@dataclass(frozen=True, slots=True)
class Event:
    """What an executor tells while it works."""

    what: Literal["started", "progress", "ended", "warning"]
    slot: str = ""
    job: str = ""
    """`Job.name`."""
    cell: str = ""
    """The id of the cell."""
    phase: str = ""
    """``load``, ``embed``, ``fit``, ``predict``, ``metrics``…"""
    examples: int = 0
    """Examples that went through the model in this job so far."""
    memory_mb: float | None = None
    """Resident memory of its process, or on a GPU memory of the device, in MiB."""
    text: str = ""


Evaluate = Callable[[Job], Record | None]
"""From a job to its record; None for a part. An exception is an error of ptbench itself."""


@dataclass(frozen=True, slots=True)
class WorkerSpec:
    """How a process that evaluates jobs is made. Plain data that can be pickled."""

    make: str
    """``package.module:function``: called once in each worker with this specification; returns an
    `Evaluate`. Nothing of a plugin is imported before."""
    run: str
    folder: str
    """Where predictions, logs and parts are written: the folder of the run, or one of the worker's own, from
    which an executor brings the `Record.files` and `Record.log` home."""
    cache: str | None = None
    offline: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
    """More for ``make``, plain data."""

    def start(self) -> Evaluate:
        """Return the function that evaluates, made here and now."""
        module, _, name = self.make.partition(":")
        evaluate: Evaluate = getattr(import_module(module), name)(self)
        return evaluate
