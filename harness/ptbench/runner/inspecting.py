"""Looking inside models: which can be, on which tasks; then one after another, each at its own risk."""

from __future__ import annotations

import hashlib
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from typing import Protocol as Interface

import numpy as np
from numpy.typing import NDArray

from ptbench import __version__, store
from ptbench.border import checked_facts
from ptbench.catalog import Catalog
from ptbench.data import Split, Task
from ptbench.errors import DataError, PtbenchError, one_line
from ptbench.inspect_table import PARTS, SAMPLE
from ptbench.inspection import (
    Inspector,
    InspectRequest,
    checked_inspection,
    cka_rows,
    write_inspection,
    write_table,
)
from ptbench.loading import load_model, load_task, model_request
from ptbench.model import Capability
from ptbench.offers import Adapter, Kind
from ptbench.progress import listening
from ptbench.records import ModelSpec, TaskSpec
from ptbench.runner.resolve import resolve_models, resolve_tasks
from ptbench.suite import Suite

INSPECT, ABOUT = "inspect", "inspection.json"
ROLES = ("train", "validation", "test")
"""The sample is of the first of these splits that a task has."""


@dataclass(frozen=True, slots=True)
class PlannedInspection:
    """One model to be looked into on one task, or its weights alone."""

    model: ModelSpec
    task: TaskSpec | None = None
    only: tuple[str, ...] = tuple(PARTS)
    sample: int = SAMPLE
    seed: int = 0
    base: Path = Path()
    """The folder against which relative paths of the model are read."""
    task_base: Path = Path()
    problem: str = ""
    """Why it cannot be done."""

    @property
    def title(self) -> str:
        """The inspection as people read it."""
        return f"{self.model.name} x {self.task.name}" if self.task else self.model.name


@dataclass(frozen=True, slots=True)
class InspectionPlan:
    """What is to be looked into, and what is left out since nobody asked for it by name."""

    items: tuple[PlannedInspection, ...] = ()
    pairs: tuple[tuple[str, str], ...] = ()
    """Models whose layers are compared on every task on which both are looked into."""
    left_out: tuple[str, ...] = ()

    @property
    def skipped(self) -> tuple[PlannedInspection, ...]:
        """Those that cannot be done."""
        return tuple(item for item in self.items if item.problem)

    @property
    def problems(self) -> tuple[str, ...]:
        """Why some cannot be done, each reason once."""
        return tuple(dict.fromkeys(item.problem for item in self.skipped))


@dataclass(frozen=True, slots=True)
class Inspected:
    """What came of one inspection; it is written beside its tables."""

    title: str
    folder: str
    """Within the folder of the run."""
    model: str
    reference: str
    task: str = ""
    data: str = ""
    against: str = ""
    """The other model, where two were compared."""
    only: tuple[str, ...] = ()
    split: str = ""
    examples: int = 0
    seed: int = 0
    status: str = "ok"
    """``ok``, ``failed`` or ``skipped``."""
    error: str = ""
    notes: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    device: str = ""
    weights: str = ""
    """Digest of the weights."""
    seconds: float = 0.0
    files: tuple[str, ...] = ()
    version: str = __version__


class Onlooker(Interface):
    """Who is told how inspections go on."""

    def inspection_started(self, title: str) -> None:
        """One begins."""

    def advanced(self, examples: int) -> None:
        """So many more examples went through the model."""

    def inspection_ended(self, done: Inspected) -> None:
        """One has ended, and its tables are on the disk."""


def plan_inspections(
    suite: Suite,
    catalog: Catalog,
    settings: Mapping[str, Any] | None = None,
    broken: Mapping[str, str] | None = None,
) -> InspectionPlan:
    """Return what the table ``[inspect]`` of a suite asks for; nothing is loaded.

    What cannot be done is a problem where the suite names it, and is left out where it says nothing.
    ``broken`` has the tasks that cannot be read, with the reason.
    """
    table = suite.inspect
    if table is None:
        return InspectionPlan()
    paired = {name for pair in table.pairs for name in pair}
    named = None if table.models is None else {*table.models, *paired}
    models = [m for m in resolve_models(suite, catalog, settings)[0] if named is None or m.name in named]
    chosen = [t for t in resolve_tasks(suite, catalog)[0] if table.tasks is None or t.name in table.tasks]
    tasks: Sequence[TaskSpec | None] = [None] if table.only == ("weights",) else chosen
    base = suite.path.resolve().parent
    items, left_out = [], []
    for model in models:
        refusal = why_not(model, base, catalog)
        if refusal and named is None and model.name not in paired:
            left_out.append(f"{model.name}: {refusal}")
            continue
        for task in tasks:
            misfit = refusal or (why_not(model, base, catalog, task) if task else "")
            if misfit and not refusal and (named is None or table.tasks is None):
                continue  # texts for a model of images, say, which nobody asked for
            reason = misfit or (broken or {}).get(task.name if task else "", "")
            problem = f"[inspect] {model.name}: {reason}" if reason else ""
            items.append(
                PlannedInspection(model, task, table.only, table.sample, table.seed, base, base, problem)
            )
    return InspectionPlan(tuple(items), table.pairs, tuple(left_out))


def why_not(model: ModelSpec, base: Path, catalog: Catalog, task: TaskSpec | None = None) -> str:
    """Return why a model cannot be looked into, or not on this task, as far as descriptions tell."""
    try:
        provider, request = model_request(model, base, catalog, Capability.INSPECT)
        described = provider.describe(request)
        if Capability.INSPECT not in described.capabilities:
            return f"{model.reference} cannot be inspected: provider '{provider.name}' offers no inspection"
        if task is None:
            return ""
        kind = catalog.get(Kind, catalog.get(Adapter, task.adapter, usable=False).kind, usable=False)
        names = {column.name for column in kind.inputs}
        if described.inputs is not None and not names & described.inputs:
            reads, has = ", ".join(sorted(described.inputs)), ", ".join(sorted(names))
            return f"the model reads {reads}; task '{task.name}' ({kind.name}) has {has}"
        if kind.target.type not in ("label", "number"):
            return f"task '{task.name}' ({kind.name}) has no labels and no numbers as targets"
    except (Exception, SystemExit) as error:  # whatever a plugin raises costs its own inspections
        return one_line(error)
    return ""


def conduct_inspections(
    plan: InspectionPlan, catalog: Catalog, folder: Path, watcher: Onlooker
) -> list[Inspected]:
    """Do what is planned; what fails costs only itself. Tables are written to ``folder/inspect/``."""
    return _Inspecting(plan, catalog, folder, watcher).run()


def draw_sample(task: Task, n: int, seed: int) -> tuple[Split, str]:
    """Return n examples, chosen and ordered by a hash of the seed and their ids, and which split they are of.

    That is train; of a task without, validation, or else test.
    """
    role = next(role for role in ROLES if role in task.splits)
    split = task.split(role)
    if len(split) < 2:
        raise DataError(f"task '{task.name}' has {len(split)} {role} rows; two are the least to look at")
    keys = [
        hashlib.sha256(f"{seed}:{example}".encode("utf-8", "replace")).digest()
        for example in split.examples.ids
    ]
    order = sorted(range(len(split)), key=keys.__getitem__)
    return split.take(order[:n]), role


class _Inspecting:
    """The state of one series of inspections: the last model, the samples, what pairs wait for."""

    def __init__(self, plan: InspectionPlan, catalog: Catalog, folder: Path, watcher: Onlooker) -> None:
        self.plan, self.catalog, self.folder, self.watcher = plan, catalog, folder, watcher
        self.paired = {name for pair in plan.pairs for name in pair}
        self.samples: dict[str, tuple[Task, Split, str]] = {}
        self.kept: dict[tuple[str, str], Mapping[str, NDArray[np.float32]]] = {}
        self.folders: dict[str, tuple[str, ...]] = {}
        self.model: tuple[ModelSpec, str | None, Inspector] | None = None

    def run(self) -> list[Inspected]:
        done = [self._one(item) for item in self.plan.items]
        self.model = None  # its memory is free for whatever comes
        tasks = dict.fromkeys(item.task.name for item in self.plan.items if item.task)
        for pair in self.plan.pairs:
            done += [self._pair(*pair, task, done) for task in tasks]
        return done

    def _one(self, item: PlannedInspection) -> Inspected:
        task = item.task
        about: dict[str, Any] = {
            "title": item.title, "folder": self._folder(item.model.name, *([task.name] if task else [])),
            "model": item.model.name, "reference": item.model.reference, "task": task.name if task else "",
            "data": task.data if task else "", "only": item.only, "seed": item.seed,
        }  # fmt: skip
        return self._kept(about, item.problem, lambda folder: self._inspected(item, folder))

    def _inspected(self, item: PlannedInspection, folder: Path) -> dict[str, Any]:
        split: Split | None = None
        role, kind = "", None
        labels: tuple[str, ...] = ()
        if item.task is not None and item.only != ("weights",):
            task, split, role = self._sample(item, item.task)
            labels, kind = task.labels, task.kind
        model = self._load(item, kind)
        facts = checked_facts(model, item.model.reference)
        request = InspectRequest(split, labels, item.only, item.seed)
        with listening(self.watcher.advanced):
            found = checked_inspection(model.inspect(request), item.model.reference)
        if item.model.name in self.paired and item.task:
            self.kept[item.model.name, item.task.name] = found.representations
        files = write_inspection(folder, item.model.name, found)
        return {
            "split": role, "examples": len(split) if split else 0, "notes": found.notes, "facts": found.facts,
            "device": facts.device, "weights": facts.weights, "files": tuple(path.name for path in files),
        }  # fmt: skip

    def _pair(self, a: str, b: str, task: str, done: Sequence[Inspected]) -> Inspected:
        ours, theirs = self.kept.get((a, task)), self.kept.get((b, task))
        missing = [name for name, found in ((a, ours), (b, theirs)) if found is None]
        problem = f"there are no activations of {' and '.join(missing)} on {task}" if missing else ""
        references = {one.model: one.reference for one in done}
        about: dict[str, Any] = {
            "title": f"{a} against {b} x {task}", "folder": self._folder(a, "against", b, task),
            "model": a, "reference": references.get(a, ""), "against": b, "task": task,
        }  # fmt: skip

        def compare(folder: Path) -> dict[str, Any]:
            assert ours is not None
            assert theirs is not None
            rows = cka_rows(a, ours, b, theirs)
            folder.mkdir(parents=True, exist_ok=True)
            return {"examples": rows[0]["n"], "files": (write_table(folder, "cka", rows).name,)}

        return self._kept(about, problem, compare)

    def _kept(self, about: dict[str, Any], problem: str, do: Callable[[Path], dict[str, Any]]) -> Inspected:
        """Do one thing, and write what came of it into its folder, whatever that is."""
        folder = self.folder / about["folder"]
        self.watcher.inspection_started(about["title"])
        began = time.perf_counter()
        if problem:
            about |= {"status": "skipped", "error": problem}
        else:
            try:
                about |= do(folder)
            except (Exception, SystemExit) as error:  # what a plugin raises costs this inspection alone
                about |= {"status": "failed", "error": one_line(error)}
                if not isinstance(error, PtbenchError):
                    folder.mkdir(parents=True, exist_ok=True)
                    text = traceback.format_exc()
                    (folder / "error.log").write_text(text, "utf-8", "backslashreplace")
                    about["error"] += f" (traceback: {about['folder']}/error.log)"
        done = Inspected(**about, seconds=time.perf_counter() - began)
        folder.mkdir(parents=True, exist_ok=True)
        store.write_json(folder / ABOUT, done)
        self.watcher.inspection_ended(done)
        return done

    def _folder(self, *names: str) -> str:
        """Return a folder within the run: readable, and different for different names."""
        name = store.slug("-".join(names))
        if self.folders.setdefault(name, names) != names:
            digest = hashlib.sha256("\0".join(names).encode("utf-8", "replace"))
            name = f"{name}-{digest.hexdigest()[:8]}"
        return f"{INSPECT}/{name}"

    def _sample(self, item: PlannedInspection, spec: TaskSpec) -> tuple[Task, Split, str]:
        if spec.name not in self.samples:
            task = load_task(spec, item.task_base, self.catalog)
            self.samples[spec.name] = (task, *draw_sample(task, item.sample, item.seed))
        return self.samples[spec.name]

    def _load(self, item: PlannedInspection, kind: str | None) -> Inspector:
        if self.model is None or self.model[:2] != (item.model, kind):
            self.model = None  # two at once may not fit
            model = load_model(item.model, item.base, self.catalog, Capability.INSPECT, kind)
            assert isinstance(model, Inspector)
            self.model = (item.model, kind, model)
        return self.model[2]
