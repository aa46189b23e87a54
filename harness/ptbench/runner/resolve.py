"""From a suite's words to cells: every name is looked up, every option checked, all mistakes collected."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ptbench.catalog import Catalog
from ptbench.comparison import TIME
from ptbench.errors import PtbenchError, nearest, printable
from ptbench.model import Reference, Settings
from ptbench.offers import (
    Adapter,
    Kind,
    Metric,
    NamedTask,
    Offer,
    Option,
    Protocol,
    Provider,
    Reporter,
    Source,
)
from ptbench.published import Published
from ptbench.records import Cell, ModelSpec, TaskSpec
from ptbench.suite import SETTINGS, TASK_KEYS, Entry, Suite, task_mistakes
from ptbench.values import has_type, type_names

SEEDS = (0, 1, 2)
"""The seeds of a protocol whose outcome depends on them, where a grid names none; of others the first."""


def resolve(
    suite: Suite, catalog: Catalog, settings: Mapping[str, Any] | None = None
) -> tuple[tuple[Cell, ...], tuple[str, ...]]:
    """Return the cells of a suite, grouped by model, and every mistake: in its shape, names and options.

    What has a mistake has no cells. ``settings`` override those of the suite.
    """
    resolver = _Resolver(suite, catalog, settings or {}, list(suite.mistakes))
    cells = resolver.cells()
    return cells, tuple(dict.fromkeys(map(printable, resolver.mistakes)))


def resolve_models(
    suite: Suite, catalog: Catalog, settings: Mapping[str, Any] | None = None
) -> tuple[tuple[ModelSpec, ...], tuple[str, ...]]:
    """Return the models of a suite, those in no grid too, and every mistake in them and in its shape."""
    resolver = _Resolver(suite, catalog, settings or {}, list(suite.mistakes))
    models = [resolver.model(entry) for entry in suite.models.values()]
    return tuple(m for m in models if m is not None), tuple(dict.fromkeys(map(printable, resolver.mistakes)))


def resolve_tasks(suite: Suite, catalog: Catalog) -> tuple[tuple[TaskSpec, ...], tuple[str, ...]]:
    """Return the tasks of a suite, those in no grid too, and every mistake in them and in its shape."""
    resolver = _Resolver(suite, catalog, {}, list(suite.mistakes))
    tasks = [resolver.task(entry) for entry in suite.tasks.values()]
    return tuple(t for t in tasks if t is not None), tuple(dict.fromkeys(map(printable, resolver.mistakes)))


@dataclass
class _Resolver:
    suite: Suite
    catalog: Catalog
    settings: Mapping[str, Any]
    mistakes: list[str] = field(default_factory=list)

    def cells(self) -> tuple[Cell, ...]:
        models = {name: self.model(entry) for name, entry in self.suite.models.items()}
        tasks = {name: self.task(entry) for name, entry in self.suite.tasks.items()}
        for name in self.suite.reporters:
            self.find(Reporter, name, f"{self.suite.path}: [suite] key 'reporters'")
        base = str(self.suite.path.resolve().parent)
        found: dict[str, Cell] = {}
        for grid in self.suite.grids:
            protocols = [(entry, self.protocol(entry)) for entry in grid.protocols]
            for model in (models[name] for name in grid.models if name in models):
                for task in (tasks[name] for name in grid.tasks if name in tasks):
                    for entry, protocol in protocols:
                        if model is None or task is None or protocol is None:
                            continue
                        for seed in grid.seeds or (SEEDS if protocol.stochastic else SEEDS[:1]):
                            cell = Cell(self.suite.name, model, task, protocol.name, entry.table, seed, base)
                            found.setdefault(cell.id, cell)
        self.margins()
        for figure in self.suite.published:
            self.published(figure, models.get(figure.model), tasks.get(figure.task), found.values())
        order = {name: i for i, name in enumerate(self.suite.models)}
        return tuple(sorted(found.values(), key=lambda cell: order[cell.model.name]))

    def margins(self) -> None:
        """Note a margin for what is no metric."""
        known = (TIME, *self.catalog.names(Metric.group))
        for name in self.suite.gate.get("margins", {}):
            if name not in known:
                where = f"{self.suite.path}: [gate] key 'margins.{name}'"
                self.mistakes.append(f"{where}: there is no such metric; {nearest(name, known)}")

    def published(
        self, figure: Published, model: ModelSpec | None, task: TaskSpec | None, cells: Iterable[Cell]
    ) -> None:
        """Note a published figure for a metric that its task lacks, or for which there is no cell."""
        if model is None or task is None:
            return  # the mistake is noted where it is
        metrics = task.metrics or self.catalog.get(Adapter, task.adapter, usable=False).metrics
        here = [cell for cell in cells if (cell.model, cell.task) == (model, task)]
        if figure.metric not in metrics:
            hint = nearest(figure.metric, metrics)
            self.mistakes.append(
                f"{figure.where} key 'metric': task '{task.name}' has no '{figure.metric}'; {hint}"
            )
        if not any(map(figure.about, here)):
            hint = nearest(figure.protocol, {cell.label for cell in here})
            self.mistakes.append(
                f"{figure.where} key 'protocol': no grid puts '{model.name}' to '{task.name}' "
                f"under '{figure.protocol}'; {hint}"
            )

    def model(self, entry: Entry) -> ModelSpec | None:
        if entry.broken:
            return None
        text = entry.table["ref"]
        settings = {**self.suite.settings, **{k: v for k, v in entry.table.items() if k in SETTINGS}}
        options = {k: v for k, v in entry.table.items() if k not in SETTINGS and k != "ref"}
        provider = self.reference(Provider, text, f"{entry.where} key 'ref'")
        if provider is None:
            return None
        known = {option.name: option for option in provider.options}
        before = len(self.mistakes)
        self.options(options, known, entry.where, provider, others=("ref", *SETTINGS))
        if len(self.mistakes) > before:
            return None
        return ModelSpec(entry.name, text, options, Settings(**{**settings, **self.settings}))

    def task(self, entry: Entry) -> TaskSpec | None:
        if entry.broken:
            return None
        table = dict(entry.table)
        use = table.pop("use", None)
        if use is not None:
            named = self.find(NamedTask, use, entry.where)
            if named is None:
                return None
            ours = self.named(named, entry)
            if ours is None:
                return None
            table = {**ours, **table}
        adapter = self.find(Adapter, table["adapter"], f"{entry.where} key 'adapter'")
        source = self.reference(Source, table["data"], f"{entry.where} key 'data'")
        if adapter is None or source is None:
            return None
        rest = {k: v for k, v in table.items() if k not in TASK_KEYS}
        mine = {option.name: option for option in adapter.options}
        theirs = {option.name: option for option in source.options}
        before = len(self.mistakes)
        self.options(rest, {**theirs, **mine}, entry.where, adapter, others=tuple(TASK_KEYS))
        kind = self.find(Kind, adapter.kind, f"{entry.where} key 'adapter': the adapter '{adapter.name}'")
        if kind is None:
            return None
        metrics = tuple(dict.fromkeys(table.get("metrics", ())))
        for name in metrics or adapter.metrics:
            self.metric(name, kind, f"{entry.where} key 'metrics'")
        if len(self.mistakes) > before:
            return None
        return TaskSpec(
            name=entry.name,
            adapter=adapter.name,
            data=table["data"],
            options={k: v for k, v in rest.items() if k in mine},
            data_options={k: v for k, v in rest.items() if k in theirs and k not in mine},
            metrics=metrics,
            splits=table.get("splits", {}),
            limit=table.get("limit", {}),
            note=table.get("note", ""),
            copies=table.get("copies", True),
            cluster=table.get("cluster", ""),
        )

    def named(self, task: NamedTask, entry: Entry) -> Mapping[str, Any] | None:
        """Return the table that a plugin's task stands for, or None after noting what is wrong with it."""
        settings = {k: list(v) if isinstance(v, tuple) else v for k, v in task.settings.items()}
        table = {"adapter": task.adapter, "data": task.data, **settings}
        plugin = self.catalog.owner(task.group, task.name)
        place = f"{entry.place} task '{task.name}' of the plugin {plugin}:"
        mistakes = task_mistakes(self.suite.path, place, table)
        self.mistakes += mistakes
        return None if mistakes else table

    def protocol(self, entry: Entry) -> Protocol | None:
        protocol: Protocol | None = self.find(Protocol, entry.name, f"{entry.where} key 'protocols'")
        if protocol is not None:
            known = {option.name: option for option in protocol.options}
            self.options(entry.table, known, f"{entry.where} protocol '{entry.name}'", protocol, ("use",))
        return protocol

    def metric(self, name: str, kind: Kind, where: str) -> None:
        try:
            metric = self.catalog.metric(name)
        except PtbenchError as error:
            self.mistakes.append(f"{where}: {error}")
            return
        if metric.target != kind.target.type:
            fitting = [
                offer.name
                for offer, _ in self.catalog.owned("metric")
                if getattr(offer, "target", None) == kind.target.type
            ]
            self.mistakes.append(
                f"{where}: '{name}' is for a {metric.target} as target, {kind.name} has a "
                f"{kind.target.type}; {nearest(name, fitting)}"
            )

    def reference(self, offer_type: type[Any], text: str, where: str) -> Any:
        try:
            reference = Reference.parse(text, revisions=False)
        except ValueError as error:
            self.mistakes.append(f"{where}: {error}")
            return None
        offer = self.find(offer_type, reference.scheme, where)
        if offer is not None:
            try:
                Reference.parse(text, revisions=offer.revisions)
            except ValueError as error:
                self.mistakes.append(f"{where}: {error}")
        return offer

    def find(self, offer_type: type[Any], name: str, where: str) -> Any:
        """Return an offer, or None after noting the mistake; a missing extra is for the plan to tell."""
        try:
            return self.catalog.get(offer_type, name, usable=False)
        except PtbenchError as error:
            self.mistakes.append(f"{where}: {error}")
        return None

    def options(
        self,
        given: Mapping[str, Any],
        known: Mapping[str, Option],
        where: str,
        offer: Offer,
        others: tuple[str, ...] = (),
    ) -> None:
        for key, value in given.items():
            option = known.get(key)
            if option is None:
                hint = nearest(key, [*known, *others])
                self.mistakes.append(f"{where} key '{key}': unknown to {offer.group} '{offer.name}'; {hint}")
            elif not has_type(value, option.types):
                self.mistakes.append(
                    f"{where} key '{key}' is {value!r}; {type_names(option.types)} was expected"
                )
            elif option.choices and value not in option.choices:
                self.mistakes.append(
                    f"{where} key '{key}' is {value!r}; {nearest(str(value), map(str, option.choices))}"
                )
            elif problem := option.check(value):
                self.mistakes.append(f"{where} key '{key}' is {value!r}; {problem}")
        for option in known.values():
            if option.required and option.name not in given:
                self.mistakes.append(
                    f"{where} key '{option.name}' is missing; {offer.group} '{offer.name}' needs it: "
                    f"{option.description}"
                )
