"""The conformance kit: a plugin's offers are checked here, for guests and for the built-ins alike.

Each function raises `AssertionError` that says which promise was broken. In a plugin's own tests::

    from ptbench import testing
    import my_plugin

    def test_my_plugin():
        testing.check_plugin(my_plugin)
        testing.check_provider(my_plugin.PROVIDER, "mine:small", testing.texts())
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from ptbench.catalog import Catalog, Plugin, load_plugin
from ptbench.data import Examples, Predictions, Rows, Task
from ptbench.executorkit import check_executor
from ptbench.model import (
    Capability,
    Embedder,
    FitRequest,
    Fittable,
    ModelFacts,
    ModelRequest,
    Predictor,
    Reference,
)
from ptbench.offers import (
    Adapter,
    DataRequest,
    Metric,
    Provider,
    Reporter,
    Source,
    SumMetric,
    TableMetric,
    TaskRequest,
)
from ptbench.poisoning import TOLERANCE, check_protocol
from ptbench.records import Cell, ModelSpec, Record, Report, Score, Status, TaskSpec
from ptbench.samples import images, png, texts
from ptbench.trials import make_trial

FRAMEWORKS = ("torch", "transformers", "timm", "torchvision", "sklearn", "ray", "datasets", "matplotlib")


def check_plugin(module: ModuleType) -> Plugin:
    """Check what can be checked of every offer without data: names, descriptions, light imports."""
    plugin = load_plugin(module)
    assert not plugin.error, f"{module.__name__} does not load: {plugin.error}"
    catalog = Catalog([plugin])
    assert not catalog.clashes(), f"two offers have one name: {catalog.clashes()}"
    for offer in plugin.offers:
        assert offer.description.strip(), f"{offer.group} '{offer.name}' has no description"
        names = [option.name for option in offer.options]
        assert len(set(names)) == len(names), f"{offer.group} '{offer.name}' has one option twice"
        if isinstance(offer, SumMetric | TableMetric) and offer.target in ("label", "number"):
            check_metric(offer)
    return plugin


def check_metric(metric: Metric, predictions: Predictions | None = None) -> None:
    """Check that a metric ignores the order of rows, and that weights mean repeated rows."""
    given = predictions or _predictions(metric)
    n = len(given)
    index = np.random.default_rng(0).integers(0, n, size=n)
    counts = np.bincount(index, minlength=n).astype(np.float64)
    shuffled, resampled = given.take(np.random.default_rng(1).permutation(n)), given.take(index)
    if isinstance(metric, SumMetric):
        rows = metric.rows(given)
        assert rows.ndim == 2, f"metric '{metric.name}': rows must be [n, k], not {rows.shape}"
        assert len(rows) == n, f"metric '{metric.name}': {len(rows)} rows for {n} examples"
        some = np.random.default_rng(2).permutation(n)[: n // 2]
        assert np.allclose(metric.rows(given.take(some)), rows[some], equal_nan=True), (
            f"metric '{metric.name}': what an example adds depends on the others"
        )
        sums = np.stack([rows.sum(axis=0), counts @ rows])
        plain, weighted = metric.value(sums)
        if metric.interval == "wilson":
            pairs = rows.shape[1] == 2 and np.isin(rows[:, 0], (0, 1)).all() and (rows[:, 1] == 1).all()
            assert pairs, f"metric '{metric.name}': it has Wilson's interval, and its rows are not (hit, 1)"
            assert np.isclose(plain, rows[:, 0].mean()), (
                f"metric '{metric.name}': it has Wilson's interval, and its value is not the share of hits"
            )
        if metric.proportion:
            hits, trials = (np.asarray(count) for count in metric.proportion.counts(rows))
            fits = np.isin(hits, (0, 1)).all() and np.isin(trials, (0, 1)).all() and (hits <= trials).all()
            assert fits, f"metric '{metric.name}': an example adds more than 0 or 1 to hits and trials"
            share = float(hits.sum() / trials.sum())
            assert np.isclose(plain, metric.proportion.value(share)), (
                f"metric '{metric.name}': its value is not that of its proportion, {share:g}"
            )
        again = metric.value(metric.rows(shuffled).sum(axis=0))
        direct = metric.value(metric.rows(resampled).sum(axis=0))
    else:
        assert isinstance(metric, TableMetric)
        plain, weighted = metric.compute(given, np.stack([np.ones(n), counts]))
        again = metric.compute(shuffled, np.ones((1, n)))[0]
        direct = metric.compute(resampled, np.ones((1, n)))[0]
        if metric.moves is not None:
            moves, by_hand = metric.moves(given), (n - 1) * (plain - metric.compute(given, 1 - np.eye(n)))
            assert np.allclose(moves, by_hand, atol=0.25 * float(np.nanstd(by_hand)), equal_nan=True), (
                f"metric '{metric.name}': its moves are not what leaving out each example gives"
            )
    assert np.isclose(plain, again, equal_nan=True), f"metric '{metric.name}' depends on the order of rows"
    assert np.isclose(weighted, direct, equal_nan=True), (
        f"metric '{metric.name}': a row that counts twice is not the same as two rows"
    )


def check_source(
    source: Source, reference: str, options: Mapping[str, Any] | None = None, base: Path = Path()
) -> Mapping[str, Rows]:
    """Check that a source keeps what its description says, and gives the same rows twice."""
    parsed = Reference.parse(reference, revisions=source.revisions)
    request = DataRequest(parsed, source.filled(options or {}), base)
    described = source.describe(request)
    first, second = source.load(request), source.load(request)
    assert first, f"source '{source.name}': {reference} has no split"
    for split, rows in first.items():
        lengths = {name: len(column) for name, column in rows.items()}
        assert len(set(lengths.values())) == 1, f"{reference}: {split}: columns differ in length: {lengths}"
        for name, column in rows.items():
            same = all(_same(a, b) for a, b in zip(column, second[split][name], strict=True))
            assert same, f"{reference}: {split}: column '{name}' differs when it is read again"
        if described.columns is not None:
            assert set(described.columns) <= set(rows), f"{reference}: described {described.columns}"
        if described.splits and described.splits.get(split) is not None:
            expected = described.splits[split]
            assert set(lengths.values()) == {expected}, f"{reference}: {split}: described {expected} rows"
    return first


def check_adapter(
    adapter: Adapter, rows: Mapping[str, Rows], options: Mapping[str, Any] | None = None
) -> Task:
    """Check that an adapter builds a task of its kind with a row for every row."""
    given = adapter.filled(options or {})
    task = adapter.build(rows, TaskRequest("checked", adapter.metrics, given))
    assert task.kind == adapter.kind, f"adapter '{adapter.name}' built a task of kind {task.kind}"
    for split, columns in rows.items():
        n = len(next(iter(columns.values())))
        assert len(task.split(split)) == n, f"{split}: {len(task.split(split))} examples from {n} rows"
    named = adapter.columns(given)
    missing = [column for column in named if column not in next(iter(rows.values()))]
    assert not missing, f"adapter '{adapter.name}' names columns that are not there: {missing}"
    return task


def check_provider(
    provider: Provider,
    reference: str,
    examples: Examples,
    options: Mapping[str, Any] | None = None,
    *,
    base: Path = Path(),
    task: Task | None = None,
) -> None:
    """Check that a model does what its description says, row by row, whatever the batch.

    Give ``task`` to check what the model can predict or be fitted to.
    """
    parsed = Reference.parse(reference, revisions=provider.revisions)
    request = ModelRequest(parsed, provider.filled(options or {}), base=base)
    before = {name for name in FRAMEWORKS if name in sys.modules}
    described = provider.describe(request)
    heavy = {name for name in FRAMEWORKS if name in sys.modules} - before
    assert not heavy, f"describing {reference} imported {', '.join(sorted(heavy))}"
    assert described.capabilities, f"{reference} can do nothing"
    for capability in described.capabilities:
        kind = task.kind if task and capability is not Capability.EMBED else None
        loading = ModelRequest(parsed, request.options, base=base, capability=capability, kind=kind)
        if capability is Capability.EMBED:
            model = provider.load(loading)
            assert isinstance(model, Embedder), f"{reference}: loaded to embed, and has no method embed"
            assert isinstance(model.facts, ModelFacts), f"{reference}: facts are no ModelFacts"
            check_rows(model.embed, examples, f"{reference}: embed")
        elif task is not None and capability in (Capability.PREDICT, Capability.FIT):
            model = provider.load(loading)
            if capability is Capability.FIT:
                assert isinstance(model, Fittable), f"{reference}: has no method fit"
                fitting = FitRequest(task.kind, task.labels, seed=0)
                model = model.fit(task.split("train"), task.split("test"), fitting)
            assert isinstance(model, Predictor), f"{reference}: has no method predict"
            name = "prediction" if not task.labels else "scores"
            test = task.split("test").examples
            check_rows(lambda some: model.predict(some)[name], test, f"{reference}: predict")  # noqa: B023


def check_rows(function: Any, examples: Examples, who: str) -> None:
    """Check that a function of examples gives one row each, in order, whatever stands beside them."""
    n = len(examples)
    rows = np.asarray(function(examples))
    assert len(rows) == n, f"{who}: {len(rows)} rows for {n} examples"
    assert np.isfinite(rows).all(), f"{who}: NaN or infinity"
    order = np.random.default_rng(0).permutation(n)
    shuffled = np.asarray(function(examples.take(order)))
    assert np.allclose(rows[order], shuffled, atol=TOLERANCE), f"{who}: depends on the order of examples"
    alone = np.asarray(function(examples.take([n - 1])))
    assert np.allclose(rows[n - 1 :], alone, atol=TOLERANCE), f"{who}: depends on the rest of the batch"


def check_reporter(reporter: Reporter, folder: Path) -> Sequence[Path]:
    """Check that a reporter writes files into the folder, and survives hostile names and failures."""
    written = reporter.write(sample_report(folder), folder)
    for path in written:
        assert path.is_file(), f"reporter '{reporter.name}' says it wrote {path}, which is not there"
        assert path.resolve().is_relative_to(folder.resolve()), f"{path} is outside of the run's folder"
    return written


def sample_report(folder: Path) -> Report:
    """Return a report with a scored, a failed and an undefined cell, and with hostile names."""
    hostile = ModelSpec("=cmd()<script>alert(1)</script>", "baseline:majority")
    good = _record(_cell(0))
    nan = float("nan")
    undefined = Score("f1", nan, nan, nan, 10, True, "none", "no positives")
    failed = _record(Cell("sample", hostile, TaskSpec("t" * 300, "a", "s:d"), "as_is", seed=1))
    records = (
        good,
        Record(**{**_fields(failed), "status": Status.FAILED, "error": "it broke", "scores": ()}),
        Record(**{**_fields(_record(_cell(2))), "scores": (undefined,), "primary": "f1"}),
    )
    return Report({"suite": "sample", "run": "r1"}, records, (), folder)


def _fields(record: Record) -> dict[str, Any]:
    return {name: getattr(record, name) for name in record.__dataclass_fields__}


def _cell(seed: int) -> Cell:
    return Cell("sample", ModelSpec("m", "baseline:majority"), TaskSpec("t", "a", "s:d"), "as_is", seed=seed)


def _record(cell: Cell) -> Record:
    score = Score("accuracy", 0.8, 0.7, 0.9, 100, True, "wilson")
    return Record(
        cell=cell.id,
        suite=cell.suite,
        run="r1",
        model=cell.model.name,
        reference=cell.model.reference,
        task=cell.task.name,
        data=cell.task.data,
        kind="text-classification",
        protocol=cell.protocol,
        options={},
        seed=cell.seed,
        status=Status.OK,
        scores=(score,),
        primary="accuracy",
        n=100,
    )


def _predictions(metric: Metric, n: int = 60) -> Predictions:
    random = np.random.default_rng(0)
    ids = [str(i) for i in range(n)]
    if metric.target == "number":
        columns = {"target": random.normal(size=n).round(1), "prediction": random.normal(size=n).round(1)}
        return Predictions(ids, columns)
    labels = ("a", "b") if metric.binary else ("a", "b", "c")
    scores = random.dirichlet(np.ones(len(labels)), size=n).round(2)
    scores[:, 0] += 1 - scores.sum(axis=1)
    target = random.integers(0, len(labels), size=n)
    return Predictions(ids, {"target": target, "prediction": scores.argmax(axis=1), "scores": scores}, labels)


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return bool(np.array_equal(a, b))
    return bool(a == b)


__all__ = [
    "check_adapter",
    "check_executor",
    "check_metric",
    "check_plugin",
    "check_protocol",
    "check_provider",
    "check_reporter",
    "check_rows",
    "check_source",
    "images",
    "make_trial",
    "png",
    "sample_report",
    "texts",
]  # fmt: skip
