"""The source `lite:` and its six ready-made tasks."""

from __future__ import annotations

from collections.abc import Mapping

from ptbench import (
    DataDescription,
    DataError,
    DataRequest,
    NamedTask,
    Option,
    Rows,
    Source,
    nearest,
)
from ptbench_lite.generate import TASKS, generate

SIZES: Mapping[str, int] = {"train": 2000, "validation": 500, "test": 1000}
NOTE = "generated probe in GLUE's format; not a GLUE score"
METRICS: Mapping[str, tuple[str, ...]] = {
    "cola": ("mcc", "accuracy"),
    "sst2": ("accuracy", "f1"),
    "mrpc": ("f1", "accuracy"),
    "stsb": ("spearman", "pearson"),
    "mnli": ("accuracy", "macro_f1"),
    "rte": ("accuracy", "f1"),
}
"""GLUE's own metrics, the first of which stands for the task."""


def _sizes(request: DataRequest) -> dict[str, int]:
    given = request.options.get("size") or {}
    for split, size in given.items():
        if split not in SIZES:
            raise DataError(f"{request.reference}: size.{split}: unknown split; {nearest(split, SIZES)}")
        if not isinstance(size, int) or isinstance(size, bool) or size < 1:
            raise DataError(
                f"{request.reference}: size.{split} is {size!r}; a whole number from 1 was expected"
            )
    return {**SIZES, **given}


def _describe(request: DataRequest) -> DataDescription:
    name = request.reference.name
    if name not in TASKS:
        raise DataError(f"{request.reference}: there is no such task; {nearest(name, TASKS)}")
    sizes = _sizes(request)
    columns = ("idx", "group", *TASKS[name].columns, "label")
    quick = sum(sizes.values()) <= 50_000
    return DataDescription(columns, sizes, quick=quick, state="" if quick else name)


def _load(request: DataRequest) -> Mapping[str, Rows]:
    _describe(request)
    seed = request.options.get("seed") or 0
    try:
        return generate(request.reference.name, seed=seed, sizes=_sizes(request))
    except ValueError as error:
        raise DataError(f"{request.reference}: {error}") from None


SOURCE = Source(
    name="lite",
    description="Six probes in GLUE's formats, generated from grammars and templates; not GLUE.",
    describe=_describe,
    load=_load,
    options=(
        Option("size", (dict,), "Rows of each split: { train = 2000, validation = 500, test = 1000 }."),
        Option("seed", (int,), "Another seed gives other rows.", default=0),
    ),
)
NAMED = tuple(
    NamedTask(
        name=f"lite/{name}",
        description=task.description,
        adapter="text-classification" if task.labels else "sentence-similarity",
        data=f"lite:{name}",
        settings={
            "input": list(task.columns),
            "target": "label",
            "id": "idx",
            "metrics": list(METRICS[name]),
            "note": NOTE,
            # rows of a group differ in a word or two, minimal pairs; those of stsb stand alone
            **({"labels": list(task.labels), "cluster": "group"} if task.labels else {}),
        },
    )
    for name, task in TASKS.items()
)
