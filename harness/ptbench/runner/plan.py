"""The plan: what each cell needs and what is wrong with it, found without loading a model.

Two things are told apart. A *mistake* is in the words of the suite (an unknown key or name): nothing
runs. A *problem* belongs to a cell (data that is not there, labels that do not fit): the cell is
skipped with that reason, and the others run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ptbench.catalog import Catalog
from ptbench.cellidentity import ABSENT, Identities
from ptbench.data import Task
from ptbench.errors import DataError, ModelError, PluginError, PtbenchError, nearest, one_line
from ptbench.evaluate import chosen_capability, unread_notes
from ptbench.loading import describe_data, load_task, metrics_of, model_request
from ptbench.model import Capability, Download, ModelDescription
from ptbench.offers import (
    Adapter,
    DataDescription,
    FileMetric,
    Kind,
    Metric,
    Protocol,
    Provider,
    Source,
    TaskFacts,
)
from ptbench.protocols import label_mapping, mapping_note
from ptbench.records import Cell, ModelSpec, TaskSpec
from ptbench.runner.inspecting import InspectionPlan
from ptbench.suite import Suite

UNKNOWN_ROWS = 1000
"""What a task of unknown size counts as in an estimate of time."""


@dataclass(frozen=True, slots=True)
class ModelPlan:
    """What is known of a model before it is loaded."""

    spec: ModelSpec
    plugin: str
    description: ModelDescription | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class TaskPlan:
    """What is known of a task before a model sees it."""

    spec: TaskSpec
    kind: str
    plugin: str
    metrics: tuple[str, ...] = ()
    facts: TaskFacts | None = None
    downloads: tuple[Download, ...] = ()
    problem: str = ""
    notes: tuple[str, ...] = ()
    """What reading it brought to light, if it was read: what was left out, and why."""
    unread: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    data: str = ""
    """`Task.fingerprint` where it was read, else `DataDescription.state`."""


@dataclass(frozen=True, slots=True)
class PlannedCell:
    """A cell with why it cannot run, if it cannot, and how much work it is."""

    cell: Cell
    problem: str = ""
    capability: Capability | None = None
    rows: int = UNKNOWN_ROWS
    """Rows that go through the model, times how often they do."""
    note: str = ""
    """How the task's labels stand to those of the model's head, where they are not the same."""
    identity: Mapping[str, str] = field(default_factory=dict)
    """`ptbench.cellidentity.cell_identity`; empty where it cannot run."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that `ptbench plan` shows."""

    suite: Suite
    cells: tuple[PlannedCell, ...]
    models: Mapping[str, ModelPlan] = field(default_factory=dict)
    tasks: Mapping[str, TaskPlan] = field(default_factory=dict)
    inspections: InspectionPlan = field(default_factory=InspectionPlan)
    device: str = "cpu"
    """The kind of device that ``auto`` stands for."""

    def parameters(self, model: str) -> int:
        """Return the parameters of a model as far as they are known before it is loaded, else 0."""
        described = self.models[model].description
        return (described.parameters if described else None) or 0

    @property
    def problems(self) -> tuple[str, ...]:
        """Every problem once, with how many cells it costs."""
        counts: dict[str, int] = {}
        for planned in self.cells:
            if planned.problem:
                counts[planned.problem] = counts.get(planned.problem, 0) + 1
        cells = (f"{text} [{n} cell{'s' * (n > 1)}]" for text, n in counts.items())
        return (*cells, *self.inspections.problems)

    @property
    def downloads(self) -> tuple[Download, ...]:
        """What has to be brought before the cells can run."""
        found: dict[str, Download] = {}
        for model in self.models.values():
            for download in model.description.downloads if model.description else ():
                found[download.what] = download
        for task in self.tasks.values():
            for download in task.downloads:
                found[download.what] = download
        return tuple(found.values())


def make_plan(suite: Suite, cells: tuple[Cell, ...], catalog: Catalog, device: str = "cpu") -> Plan:
    """Look at every model and every task of the cells once, and at every cell.

    ``device`` is the kind of device that ``auto`` stands for: ``cpu``, ``cuda``.
    """
    models: dict[str, ModelPlan] = {}
    tasks: dict[str, TaskPlan] = {}
    for cell in cells:
        if cell.model.name not in models:
            models[cell.model.name] = _plan_model(cell.model, Path(cell.base), catalog)
        if cell.task.name not in tasks:
            tasks[cell.task.name] = _plan_task(cell.task, Path(cell.base), catalog)
    describe, identities = _describer(catalog), Identities(catalog, device)
    planned: list[PlannedCell] = []
    known: dict[tuple[str, str, str, int], PlannedCell] = {}
    for cell in cells:
        model, task = models[cell.model.name], tasks[cell.task.name]
        key = (model.spec.name, task.spec.name, cell.protocol, id(cell.options))
        if key not in known:
            known[key] = _plan_cell(cell, model, task, catalog, describe)
        one, identity = known[key], {}  # the seed alone makes no difference to a plan but for this
        if not one.problem and one.capability is not None:
            described = describe(cell, one.capability, task.kind)
            identity = identities.of(cell, described, task.data)
        planned.append(PlannedCell(cell, one.problem, one.capability, one.rows, one.note, identity))
    return Plan(suite, tuple(planned), models, tasks, device=device)


def settled_identity(planned: PlannedCell, plan: Plan, catalog: Catalog) -> Mapping[str, str]:
    """Return the identity of a cell that has been run: what had to be brought before is there by then."""
    if ABSENT not in planned.identity.values() or planned.capability is None:
        return planned.identity
    task = plan.tasks[planned.cell.task.name]
    try:
        described = _describer(catalog)(planned.cell, planned.capability, task.kind)
    except (Exception, SystemExit):  # it is told where it matters: in the next plan
        return planned.identity
    return Identities(catalog, plan.device).of(planned.cell, described, task.data)


def _describer(catalog: Catalog) -> Callable[[Cell, Capability, str], ModelDescription]:
    """Return a function that describes a cell's model for what it is to do, once for all its cells."""
    known: dict[tuple[str, Capability, str], ModelDescription] = {}

    def describe(cell: Cell, capability: Capability, kind: str) -> ModelDescription:
        key = (cell.model.name, capability, kind)
        if key not in known:
            for_kind = None if capability is Capability.EMBED else kind
            provider, request = model_request(cell.model, Path(cell.base), catalog, capability, for_kind)
            known[key] = provider.describe(request)
        return known[key]

    return describe


def _plan_model(spec: ModelSpec, base: Path, catalog: Catalog) -> ModelPlan:
    scheme = spec.reference.partition(":")[0]
    plugin = str(catalog.owner(Provider.group, scheme))
    try:
        provider, request = model_request(spec, base, catalog)
        described = provider.describe(request)
        if not isinstance(described, ModelDescription):
            raise PluginError(f"describe returned a {type(described).__name__}, no ModelDescription")
        return ModelPlan(spec, plugin, described)
    except (Exception, SystemExit) as error:  # whatever a plugin raises costs its own cells
        return ModelPlan(
            spec, plugin, problem=f"model '{spec.name}' ({spec.reference}): {_told(error, plugin)}"
        )


def _plan_task(spec: TaskSpec, base: Path, catalog: Catalog) -> TaskPlan:
    plugin = str(catalog.owner(Source.group, spec.data.partition(":")[0]))
    adapter = catalog.get(Adapter, spec.adapter, usable=False)
    kind = catalog.get(Kind, adapter.kind, usable=False)
    metrics = metrics_of(spec, adapter)
    try:
        described = describe_data(spec, base, catalog)
        if not isinstance(described, DataDescription):
            raise PluginError(f"describe returned a {type(described).__name__}, no DataDescription")
        wanted = [*adapter.columns(adapter.filled(spec.options)), *([spec.cluster] if spec.cluster else [])]
        notes: tuple[str, ...] = ()
        unread: Mapping[str, Mapping[str, int]] = {}
        if described.quick:
            task = load_task(spec, base, catalog)
            facts, unread, data = _facts(task, kind), task.unread, task.fingerprint()
            notes = (*unread_notes(task), *task.notes)
        else:
            facts, data = TaskFacts(kind, splits=described.splits), described.state
            for column in wanted if described.columns is not None else ():
                if column not in (described.columns or ()):
                    hint = nearest(column, described.columns or ())
                    raise DataError(f"task '{spec.name}' ({spec.data}): no column '{column}'; {hint}")
    except (Exception, SystemExit) as error:  # likewise
        text = _told(error, plugin, str(catalog.owner(Adapter.group, spec.adapter)))
        text = text if f"task '{spec.name}'" in text else f"task '{spec.name}': {text}"
        return TaskPlan(spec, kind.name, plugin, metrics, problem=text)
    return TaskPlan(
        spec, kind.name, plugin, metrics, facts, described.downloads, notes=notes, unread=unread, data=data
    )


def _facts(task: Task, kind: Kind) -> TaskFacts:
    pair = kind.pair is not None and kind.pair[1] in task.inputs
    return TaskFacts(kind, pair, task.labels, {name: len(split) for name, split in task.splits.items()})


def _plan_cell(
    cell: Cell,
    model: ModelPlan,
    task: TaskPlan,
    catalog: Catalog,
    describe: Callable[[Cell, Capability, str], ModelDescription],
) -> PlannedCell:
    where = f"{cell.model.name} x {cell.task.name} x {cell.label}"  # one problem for all seeds
    for problem in (model.problem, task.problem):
        if problem:
            return PlannedCell(cell, problem)
    facts, description = task.facts, model.description
    assert facts is not None
    assert description is not None
    try:
        protocol = catalog.get(Protocol, cell.protocol)
        for name in task.metrics:
            _check_usable(catalog, name)
        capability = _capability(protocol, description)
        described = describe(cell, capability, facts.kind.name)
        refusal = (
            protocol.refuses(facts)
            or protocol.misfit(facts, protocol.filled(cell.options))
            or _refusal(described, facts, capability)
            or _not_read(described, facts, protocol, capability)
        )
        if refusal:
            return PlannedCell(cell, f"{where}: {refusal}", capability)
        rows = round(_rows(facts, protocol) * protocol.passes(protocol.filled(cell.options)))
    except PluginError as error:  # what is not installed is not installed for every cell
        return PlannedCell(cell, str(error))
    except (Exception, SystemExit) as error:  # likewise
        plugin = str(catalog.owner(Protocol.group, cell.protocol))
        return PlannedCell(cell, f"{where}: {_told(error, plugin, model.plugin)}")
    return PlannedCell(cell, "", capability, rows, _note(described, facts, capability))


def _capability(protocol: Protocol, description: ModelDescription) -> Capability:
    try:
        return chosen_capability(protocol, description.capabilities)
    except PtbenchError as error:
        why = f" ({'; '.join(description.notes)})" if description.notes else ""
        raise ModelError(f"{error}{why}") from None


def _told(error: BaseException, *plugins: str) -> str:
    """Return an error as one line; one that is not ptbench's own is a bug of one of the plugins named."""
    text = one_line(error)
    names = " or ".join(dict.fromkeys(plugins))
    return text if isinstance(error, PtbenchError) else f"plugin {names} failed: {text}"


def _check_usable(catalog: Catalog, name: str) -> None:
    metric = catalog.metric(name)
    catalog.get(FileMetric if isinstance(metric, FileMetric) else Metric, name)


def _refusal(model: ModelDescription, facts: TaskFacts, capability: Capability) -> str | None:
    """Return why a model cannot serve a task for this capability, or None."""
    kind = facts.kind
    names = {column.name for column in kind.inputs}
    if model.inputs is not None and not names & model.inputs:
        return (
            f"the model reads {', '.join(sorted(model.inputs))}; {kind.name} has {', '.join(sorted(names))}"
        )
    if capability is Capability.EMBED:
        return None
    if model.kinds is not None and kind.name not in model.kinds:
        return f"the model can {capability} for {', '.join(sorted(model.kinds))}, not for {kind.name}"
    if capability is Capability.PREDICT and model.labels and facts.labels:
        try:
            label_mapping(model.labels, facts.labels, model.synonyms)
        except PtbenchError as error:
            return str(error)
    return None


def _not_read(
    model: ModelDescription, facts: TaskFacts, protocol: Protocol, capability: Capability
) -> str | None:
    """Return what a protocol puts before a model, beyond the task's inputs, that it cannot read, or None."""
    if model.inputs is None or capability is not Capability.EMBED:
        return None
    unread = sorted(protocol.reads(facts) - model.inputs)
    if not unread:
        return None
    return (
        f"{protocol.name} embeds {', '.join(unread)} of its own, such as the names of labels, and the model "
        f"reads {', '.join(sorted(model.inputs))}"
    )


def _note(model: ModelDescription, facts: TaskFacts, capability: Capability) -> str:
    if capability is not Capability.PREDICT or not model.labels or not facts.labels:
        return ""
    found = label_mapping(model.labels, facts.labels, model.synonyms)
    return mapping_note(model.labels, facts.labels, found)


def _rows(facts: TaskFacts, protocol: Protocol) -> int:
    sizes = facts.splits or {}
    counted = [
        sizes.get(split) for split in (("train", "validation", "test") if protocol.trains else ("test",))
    ]
    return sum(n for n in counted if n) or UNKNOWN_ROWS
