"""Loading what a cell names: its task through source and adapter, its model through its provider."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ptbench.catalog import Catalog
from ptbench.data import Rows, Task
from ptbench.errors import DataError, ModelError, nearest
from ptbench.model import Capability, Model, ModelRequest, Reference
from ptbench.offers import Adapter, DataDescription, DataRequest, Metric, Provider, Source, TaskRequest
from ptbench.records import ModelSpec, TaskSpec

ROLES = ("train", "validation", "test")


def describe_data(spec: TaskSpec, base: Path, catalog: Catalog) -> DataDescription:
    """Say what is known of a task's data without reading all of it. Raises `DataError`.

    Where the task says which split of the data is which of its own, the splits are told as its own.
    """
    source, request = data_request(spec, base, catalog)
    described = source.describe(request)
    if not spec.splits or not isinstance(described, DataDescription) or described.splits is None:
        return described
    sizes = described.splits
    chosen = _chosen(sizes, spec, f"task '{spec.name}' ({spec.data})")
    return replace(described, splits={role: sizes[name] for role, name in chosen.items()})


def load_task(spec: TaskSpec, base: Path, catalog: Catalog) -> Task:
    """Read a task's data and adapt it. Raises `DataError` that names task, split, row and column."""
    source, request = data_request(spec, base, catalog)
    adapter = catalog.get(Adapter, spec.adapter)
    where = f"task '{spec.name}' ({spec.data})"
    rows = _roles(source.load(request), spec, where)
    metrics = metrics_of(spec, adapter)
    options = {**spec.options, "note": spec.note}
    asked = TaskRequest(spec.name, metrics, options, spec.data, source.root(request), spec.cluster)
    task = adapter.build(rows, asked)
    if spec.cluster and any(split.clusters is None for split in task.splits.values()):
        raise DataError(
            f"{where}: adapter '{adapter.name}' does not keep clusters; take 'cluster' out of the task"
        )
    binary = [name for name in task.metrics if catalog.metric(name).binary]
    if binary and len(task.labels) != 2:
        raise DataError(f"{where}: {_too_binary(binary, len(task.labels), catalog)}")
    return replace(task, name=spec.name, note=spec.note)


def metrics_of(spec: TaskSpec, adapter: Adapter) -> tuple[str, ...]:
    """Return the metrics of a task: those that it names, else those customary for its adapter."""
    return spec.metrics or adapter.metrics


def primary_metric(metrics: tuple[str, ...], catalog: Catalog) -> str:
    """Return the first metric that is a number: it stands for the task in the leaderboard."""
    return next((name for name in metrics if isinstance(catalog.metric(name), Metric)), "")


def model_request(
    spec: ModelSpec,
    base: Path,
    catalog: Catalog,
    capability: Capability | None = None,
    kind: str | None = None,
) -> tuple[Provider, ModelRequest]:
    """Return the provider of a model and what it is to be asked. Raises `UnknownNameError`."""
    scheme = spec.reference.partition(":")[0]
    provider = catalog.get(Provider, scheme)
    reference = Reference.parse(spec.reference, revisions=provider.revisions)
    return provider, ModelRequest(reference, spec.options, spec.settings, base, capability, kind)


def load_model(
    spec: ModelSpec, base: Path, catalog: Catalog, capability: Capability, kind: str | None
) -> Model:
    """Load a model for a capability. Raises `ModelError`."""
    provider, request = model_request(spec, base, catalog, capability, kind)
    model = provider.load(request)
    if not hasattr(model, capability.value):
        raise ModelError(
            f"{spec.reference} was loaded to {capability.value}, but provider '{provider.name}' gave a "
            f"{type(model).__name__}, which has no method {capability.value}"
        )
    return model


def _too_binary(names: Sequence[str], labels: int, catalog: Catalog) -> str:
    """Say which metrics are for two labels, and which metrics of the catalog do the same for more."""
    offered = catalog.names(Metric.group)
    others = [other for name in names for other in (f"macro_{name}", f"{name}_ovr") if other in offered]
    quoted = ", ".join(f"'{name}'" for name in names)
    what, them = (f"metric {quoted} is", "it") if len(names) == 1 else (f"metrics {quoted} are", "them")
    use = f"use {', '.join(others)} or " if others else ""
    return f"{what} for two labels, this task has {labels}; {use}take {them} out of 'metrics'"


def data_request(spec: TaskSpec, base: Path, catalog: Catalog) -> tuple[Source, DataRequest]:
    """Return the source of a task and what it is to be asked.

    A source that cuts does so by what a model gets to see: rows that differ in id, label or the name of a
    file only would leak from train into test.
    """
    source = catalog.get(Source, spec.data.partition(":")[0])
    adapter = catalog.get(Adapter, spec.adapter, usable=False)
    reference = Reference.parse(spec.data, revisions=source.revisions)
    adapting, options = adapter.filled(spec.options), spec.data_options
    columns = adapter.columns(adapting)
    if not options.get("cut_by") and any(option.name == "cut_by" for option in source.options):
        others = (adapting.get("target"), adapting.get("id"))
        seen = [column for column in columns if column not in others]
        options = {
            **options,
            "cut_by": [spec.cluster] if spec.cluster else seen,
        }  # a cluster stays in one split
    if spec.cluster:
        columns = tuple(dict.fromkeys((*columns, spec.cluster)))
    request = DataRequest(reference, options, base, tuple(spec.splits.values()), tuple(columns))
    if content := adapter.content(adapting):
        root = source.root(request)
        bound = {column: _rooted(function, root) for column, function in content.items()}
        request = replace(request, content=bound)
    return source, request


def _rooted(function: Callable[[Any, Path], Any], root: Path) -> Callable[[Any], Any]:
    return lambda value: function(value, root)


def _roles(splits: Mapping[str, Rows], spec: TaskSpec, where: str) -> dict[str, Rows]:
    """Take the first rows of each split of the data that is train, validation or test."""
    chosen = _chosen(splits, spec, where)
    return {
        role: {column: values[: spec.limit.get(role)] for column, values in splits[name].items()}
        for role, name in chosen.items()
    }


def _to_test(splits: Mapping[str, Any]) -> str:
    """Say how to come by a test split; what has splits of its own is not cut."""
    if "validation" in splits:
        train = 'train = "train", ' if "train" in splits else ""
        return f'name one: splits = {{ {train}test = "validation" }}'
    if len(splits) == 1 and "train" not in splits:
        (name,) = splits
        return f'cut one with cut = {{ test = 0.2 }} or name one with splits = {{ test = "{name}" }}'
    return (
        "name one with splits = { test = \"…\" }, or let 'data' name the one file or folder to be cut, with "
        "cut = { test = 0.2 }"
    )


def _chosen(splits: Mapping[str, Any], spec: TaskSpec, where: str) -> Mapping[str, str]:
    """Return which split of the data is train, validation and test. Raises `DataError`."""
    chosen = spec.splits or {role: role for role in ROLES if role in splits}
    for role, name in chosen.items():
        if name not in splits:
            raise DataError(f"{where}: splits.{role} = '{name}': no such split; {nearest(name, splits)}")
    if "test" not in chosen:
        there = ", ".join(f"'{name}'" for name in splits)
        raise DataError(f"{where}: has no test split (there is {there or 'none'}); {_to_test(splits)}")
    if len(set(chosen.values())) < len(chosen):
        raise DataError(f"{where}: one split serves twice in splits = {dict(chosen)}; they must differ")
    return chosen
