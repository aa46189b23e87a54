"""One cell from its names to its record. An error becomes a record, never an exception."""

from __future__ import annotations

import json
import shutil
import time
import traceback
import warnings
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ptbench.audit import permuted_labels
from ptbench.blocks import Parts
from ptbench.border import checked_facts, checked_outcome
from ptbench.cache import Cache, find_cache
from ptbench.catalog import Catalog, load_catalog
from ptbench.data import Task
from ptbench.errors import ProtocolError
from ptbench.failures import failure_of, new_record
from ptbench.features import FeatureStore
from ptbench.identity import model_identity, training_identity
from ptbench.jobs import Evaluate, Job, WorkerSpec
from ptbench.journal import dumps
from ptbench.loading import load_model, load_task, model_request, primary_metric
from ptbench.meter import peak_memory_mb, reset_peak_memory
from ptbench.model import Capability, Model, ModelFacts
from ptbench.offers import Adapter, Kind, Outcome, Protocol
from ptbench.offline import seal
from ptbench.overlap import Overlap, OverlapFinder
from ptbench.plain import to_json
from ptbench.progress import enter, warn
from ptbench.records import Cell, Record, Status, TaskSpec
from ptbench.scoring import Scorer, predicted
from ptbench.store import PREDICTIONS, unread_name, write_predictions, write_unread
from ptbench.work import Work

PARTS = "parts"
RESIDENT_TASKS = 16
FEW_ROWS = 30
"""Validation rows below which a choice among several settings is told to be luck."""


class Evaluator:
    """Evaluates cells one after another; keeps the last model, recent tasks and features resident.

    With a cache, features outlive the process, and an interrupted training can go on.
    """

    def __init__(self, catalog: Catalog, folder: Path, run: str, cache: Cache | None = None) -> None:
        self.catalog = catalog
        self.folder = folder
        self.run = run
        self.cache = cache
        self.features = FeatureStore(cache)
        self.overlaps = OverlapFinder(catalog, cache)
        self._scratch: Path | None = None
        self._model: tuple[str, Model] | None = None
        self._tasks: OrderedDict[str, tuple[Task, str, Mapping[str, str]]] = OrderedDict()

    def __call__(self, cell: Cell) -> Record:
        """Return the record of a cell; its predictions are on the disk by then."""
        began = time.perf_counter()
        kind = self.catalog.get(Adapter, cell.task.adapter, usable=False).kind
        started = new_record(cell, self.run, Status.OK, kind=kind)
        with self._log(cell) as log:
            try:
                record = self._evaluate(cell, started)
                dumps(record)  # facts that cannot be written are this cell's fault, and no other's
                self._leave_scratch(done=True)
            except (Exception, SystemExit) as error:  # what a plugin raises costs its own cell and no other
                log.append(traceback.format_exc())
                failure = failure_of(error, cell.log)
                record = replace(started, status=failure.status, error=failure.error, advice=failure.advice)
                self._model = None  # nobody knows in what state it is
            finally:
                self._leave_scratch(done=False)
        self._leave_parts(cell)
        total = time.perf_counter() - began
        known = sum(record.wall.values())
        return replace(
            record,
            log=cell.log if (self.folder / cell.log).is_file() else "",
            wall={**record.wall, "other": max(0.0, total - known)},
            finished=datetime.now(UTC).isoformat(timespec="milliseconds"),
        )

    def part(self, cell: Cell, own: tuple[int, int]) -> None:
        """Compute a part of a cell and keep it in the folder of the run. Raises what a plugin raises."""
        protocol = self.catalog.get(Protocol, cell.protocol)
        work, capability, _ = self._work(cell, protocol, Parts(self._parts(cell), own), {})
        work.part(capability, trains=protocol.trains)

    def _work(
        self, cell: Cell, protocol: Protocol, parts: Parts, wall: dict[str, float]
    ) -> tuple[Work, Capability, str]:
        """Load a cell's task and model; return what the protocol gets, and the digest of the data."""
        enter("data")
        began = time.perf_counter()
        task, data_digest, inputs = self._task(cell.task, Path(cell.base))
        kind = self.catalog.get(Kind, task.kind)
        wall["data"] = time.perf_counter() - began
        enter("load")
        reset_peak_memory()
        began = time.perf_counter()
        capability, model, load_seconds = self._load(cell, protocol, task.kind)
        wall["load"] = time.perf_counter() - began  # a framework that is imported for it, too
        facts = checked_facts(model, f"{cell.model.reference} on {cell.task.name}")
        identity = model_identity(cell, facts, self.catalog)
        work = Work(self.features, cell, model, task, kind, identity, inputs, None, parts, load_seconds)
        return work, capability, data_digest

    def _evaluate(self, cell: Cell, started: Record) -> Record:
        protocol = self.catalog.get(Protocol, cell.protocol)
        wall: dict[str, float] = {}
        work, capability, data_digest = self._work(cell, protocol, Parts(self._parts(cell)), wall)
        task, kind, model, who = work.task, work.kind, work.model, work.who
        if self.cache and protocol.trains and work.identity.lasting:
            training = training_identity(cell, work.identity, data_digest, self.catalog)
            self._scratch = work.scratch = self.cache.scratch(training.key())
        outcome = checked_outcome(protocol.run(work.trial(protocol.filled(cell.options))), who)
        wall |= work.wall()
        found = predicted(outcome, kind, task, who)
        peak = peak_memory_mb()
        with _timed(wall, "write"):
            write_predictions(self.folder / PREDICTIONS / f"{cell.id}.parquet", *found.runs)
        with _timed(wall, "copies"):
            looks = protocol.trains and cell.task.copies
            overlap = self.overlaps.find(task, kind, data_digest) if looks else Overlap()
        with _timed(wall, "metrics"):
            scorer = Scorer(self.catalog, self.folder, (cell.model.name, cell.label))
            scores = scorer.scores(found, task, overlap.rows)
            files = scorer.files(found, task, cell.id)
            curves = scorer.curves(found, task, scores)
            audit = permuted_labels(found.runs[0])
        n = len(found.runs[0])
        earlier = float(outcome.facts.get("earlier_seconds", 0.0))
        cost = work.cost(n, peak, wall["metrics"], earlier)
        facts = model.facts
        return replace(
            started,
            capability=capability.value,
            scores=scores,
            primary=primary_metric(task.metrics, self.catalog),
            n=n,
            copies=overlap.counts,
            unread=sum(task.unread.get("test", {}).values()) if "test" in task.unread else None,
            cost=cost,
            device=facts.device,
            precision=facts.precision,
            facts={**facts.extra, **_counting(facts), **work.counted(), **curves, **outcome.facts},
            notes=_notes(task, facts, outcome, work.counted(), audit, overlap.note),
            trust=facts.trust,
            fingerprints={
                "weights": facts.weights,
                "preprocessing": facts.preprocessing,
                "data": data_digest,
            },
            plugins=self._plugins(cell, task),
            files=(f"{PREDICTIONS}/{cell.id}.parquet", *files, *self._unread(cell, task)),
            wall=wall,
        )

    def _parts(self, cell: Cell) -> Path:
        return self.folder / PARTS / cell.id

    def _leave_parts(self, cell: Cell) -> None:
        """Remove what other slots computed for a cell: it is in the predictions now, or was of no use."""
        folder = self._parts(cell)
        if folder.is_dir():
            shutil.rmtree(folder, ignore_errors=True)

    def _leave_scratch(self, *, done: bool) -> None:
        if self.cache and self._scratch:
            self.cache.leave(self._scratch, done=done)
        self._scratch = None

    def _task(self, spec: TaskSpec, base: Path) -> tuple[Task, str, Mapping[str, str]]:
        key = json.dumps(to_json(spec))
        if key not in self._tasks:
            task = load_task(spec, base, self.catalog)
            inputs = task.inputs_fingerprints()
            self._tasks[key] = (task, task.fingerprint(inputs), inputs)
        self._tasks.move_to_end(key)
        if len(self._tasks) > RESIDENT_TASKS:
            self._tasks.popitem(last=False)
        return self._tasks[key]

    def _load(self, cell: Cell, protocol: Protocol, kind: str) -> tuple[Capability, Model, float]:
        base = Path(cell.base)
        provider, request = model_request(cell.model, base, self.catalog)
        able = provider.describe(request).capabilities
        capability = chosen_capability(protocol, able)
        for_kind = None if capability is Capability.EMBED else kind
        key = json.dumps([to_json(cell.model), capability, for_kind])
        if self._model is not None and self._model[0] == key:
            return capability, self._model[1], 0.0
        self._model = None  # let go of the old weights before the new ones come
        started = time.perf_counter()
        model = load_model(cell.model, base, self.catalog, capability, for_kind)
        self._model = (key, model)
        return capability, model, time.perf_counter() - started

    def _unread(self, cell: Cell, task: Task) -> tuple[str, ...]:
        """List what could not be read, once per task; return the file."""
        if not task.left_out:
            return ()
        name = unread_name(cell.task.name)
        if not (self.folder / name).exists():
            write_unread(self.folder / name, task.left_out)
        return (name,)

    def _plugins(self, cell: Cell, task: Task) -> Mapping[str, str]:
        parts = [
            ("provider", cell.model.reference.partition(":")[0]),
            ("source", cell.task.data.partition(":")[0]),
            ("adapter", cell.task.adapter),
            ("kind", task.kind),
            ("protocol", cell.protocol),
            *(("metric", name) for name in task.metrics),
        ]
        return {f"{group}:{name}": str(self.catalog.owner(group, name)) for group, name in parts}

    @contextmanager
    def _log(self, cell: Cell) -> Iterator[list[str]]:
        """Keep warnings and tracebacks of a cell in its own log file; there is none without any."""
        lines: list[str] = []
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("default")
            yield lines
        lines += [f"{w.filename}:{w.lineno}: {w.category.__name__}: {w.message}\n" for w in caught]
        if lines:
            path = self.folder / cell.log
            path.parent.mkdir(exist_ok=True)
            with path.open("a", encoding="utf-8", errors="backslashreplace") as file:
                file.write("\n".join(lines) + "\n")


def make_evaluator(spec: WorkerSpec) -> Evaluate:
    """Return what evaluates jobs in this process: an `Evaluator` with every installed plugin."""
    if spec.offline:
        seal()
    folder = Path(spec.folder)
    cache = find_cache(Path(spec.cache), warn) if spec.cache else None
    evaluator = Evaluator(load_catalog(), folder, spec.run, cache)

    def evaluate(job: Job) -> Record | None:
        if job.part is None:
            return evaluator(job.cell)
        evaluator.part(job.cell, job.part)
        return None

    return evaluate


@contextmanager
def _timed(wall: dict[str, float], name: str) -> Iterator[None]:
    """Book the time of the block, and say what is being done."""
    enter(name)
    began = time.perf_counter()
    try:
        yield
    finally:
        wall[name] = wall.get(name, 0.0) + time.perf_counter() - began


def chosen_capability(protocol: Protocol, able: frozenset[Capability]) -> Capability:
    """Return what a model is loaded for: the first thing that the protocol needs and the model can.

    Raises `ProtocolError` where it can none of them.
    """
    for capability in protocol.needs:
        if capability in able:
            return capability
    needs = " or ".join(c for c in protocol.needs if c is not Capability.PEEK)  # which is for sentinels
    raise ProtocolError(
        f"{protocol.name} needs a model that can {needs}; this one can {', '.join(sorted(able)) or 'nothing'}"
    )


def _notes(
    task: Task,
    facts: ModelFacts,
    outcome: Outcome,
    counted: Mapping[str, int],
    *found: str | None,
) -> tuple[str, ...]:
    changed = [f"{count:,} inputs {name.replace('_', ' ')}" for name, count in counted.items() if count]
    listed = [f"what could not be read is listed in {unread_name(task.name)}"] if task.left_out else []
    read = [*unread_notes(task), *listed, *task.notes]
    own = [note for note in (*found, task.note, _luck(outcome)) if note]
    return tuple(dict.fromkeys([*own, *read, *facts.notes, *outcome.notes, *changed]))


def _luck(outcome: Outcome) -> str:
    """Say that what was chosen rests on few rows, where it does."""
    rows, search = outcome.facts.get("validation_rows"), outcome.facts.get("search")
    if not isinstance(rows, int) or rows >= FEW_ROWS or not isinstance(search, int) or search < 2:
        return ""
    return f"what was chosen was chosen on {rows} validation rows: mostly by luck"


def unread_notes(task: Task) -> list[str]:
    """Return a sentence for each split of which rows could not be read, with how many and why."""
    unread: list[str] = []
    for split, reasons in task.unread.items():
        lost = sum(reasons.values())
        why = ", ".join(f"{n:,} {reason}" for reason, n in reasons.items())
        total = len(task.split(split)) + lost
        unread += [f"{lost:,} of {total:,} {split} inputs could not be read, left out: {why}"] if lost else []
    return unread


def _counting(facts: ModelFacts) -> dict[str, Any]:
    """Return for which input operations were counted, and which of them no definition counts."""
    operations = facts.operations
    if operations is None:
        return {}
    uncounted = {"uncounted": dict(operations.uncounted)} if operations.uncounted else {}
    return {"macs_of": operations.input, **uncounted}
