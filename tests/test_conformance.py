"""The kit checks the built-ins, as it checks guests; and it finds what it is there to find."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ptbench
from ptbench import executors, reporters, testing
from tests import executor_workers
from tests.test_docs import PAGES, blocks


@pytest.mark.parametrize("name", ["ptbench.builtin", "ptbench_hf", "ptbench_lite", "ptbench_sklearn"])
def test_a_built_in_plugin_conforms(name: str) -> None:
    assert testing.check_plugin(import_module(name)).offers


def test_the_built_in_executor_and_reporter_conform(tmp_path: Path) -> None:
    testing.check_executor(executors.SERIAL)
    written = testing.check_reporter(reporters.CSV, tmp_path)
    assert "'=cmd()" in written[0].read_text()


@pytest.fixture
def spooled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The module of the guide, where its workers find it too."""
    (code,) = blocks(PAGES / "ptbench_executors.md", "python")
    (tmp_path / "spooled.py").write_text(code, "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), str(PAGES.parents[2])]))
    yield import_module("spooled")
    del sys.modules["spooled"]


def test_the_guides_executor_keeps_all_promises(spooled: Any) -> None:
    assert not spooled.EXECUTOR.here
    testing.check_executor(spooled.EXECUTOR, timeout=2.0)


def test_the_guides_executor_says_what_became_of_cells(spooled: Any, tmp_path: Path) -> None:
    def run(make: str, *deeds: str, timeout: float | None = None) -> list[ptbench.Record]:
        folder = tmp_path / make
        folder.mkdir()
        work = executor_workers.jobs(*deeds)
        worker = ptbench.WorkerSpec(f"tests.executor_workers:{make}", "r1", str(folder))
        slot = ptbench.Slot("cpu:0")
        given = ptbench.Workload(ptbench.Schedule(work, 1), (slot,), worker, folder, timeout)
        records = list(spooled.EXECUTOR.run(given))
        assert [record.slot for record in records] == ["cpu:0"] * len(deeds)
        assert not list(folder.glob("spool-*"))
        return sorted(records, key=lambda record: record.seed)

    segfault, words, hang, interrupt, fine = run(
        "make_evaluator", "segfault", "last words", "hang", "interrupt", "print", timeout=3.0
    )
    assert segfault.error.startswith("killed by SIGSEGV: in string_at, __init__.py, line ")
    assert words.error == "exit code 7: no licence was found"
    assert hang.error == "ended after 3 s, the most a cell may take"
    assert "in _in_embed" in (tmp_path / "make_evaluator" / hang.log).read_text()
    assert (interrupt.status, interrupt.error) == (ptbench.Status.FAILED, "KeyboardInterrupt")
    assert (fine.status, fine.advice) == (ptbench.Status.OK, "")
    assert (tmp_path / "make_evaluator" / fine.log).read_text() == "said by a child\n"

    for record in run("no_such_function", "", ""):
        assert record.status is ptbench.Status.FAILED
        assert record.error.startswith("no worker could be started: AttributeError: ")
        assert "Traceback" in (tmp_path / "no_such_function" / record.log).read_text()


def embedder(embed: Any) -> ptbench.Provider:
    """Return a provider of a model that embeds so."""

    class Some:
        facts = ptbench.ModelFacts()

        def embed(self, examples: ptbench.Examples) -> Any:
            return embed(examples)

    return ptbench.Provider(
        name="some",
        description="Some.",
        describe=lambda request: ptbench.ModelDescription(frozenset({ptbench.Capability.EMBED})),
        load=lambda request: Some(),
    )


@pytest.mark.parametrize(
    ("embed", "message"),
    [
        (lambda examples: np.zeros((len(examples) - 1, 2)), "11 rows for 12 examples"),
        (lambda examples: np.arange(len(examples))[:, None], "depends on the order"),
        (lambda examples: np.full((len(examples), 1), len(examples)), "depends on the rest of the batch"),
        (lambda examples: np.full((len(examples), 1), np.nan), "NaN or infinity"),
    ],
)
def test_the_kit_finds_a_bad_embedder(embed: Any, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        testing.check_provider(embedder(embed), "some:thing", testing.texts())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rows": lambda p: np.ones((3, 2))}, "3 rows for 60 examples"),
        ({"rows": lambda p: np.arange(2.0 * len(p)).reshape(-1, 2)}, "depends on"),
        ({"rows": lambda p: np.full((len(p), 2), [-1.0, 1]), "interval": "wilson"}, "rows are not .hit, 1."),
        ({"rows": lambda p: np.full((len(p), 2), [1.0, 2]), "interval": "wilson"}, "rows are not .hit, 1."),
        ({"rows": lambda p: np.ones((len(p), 3)), "interval": "wilson"}, "rows are not .hit, 1."),
        ({"value": lambda sums: 2 * sums[..., 0], "interval": "wilson"}, "is not the share of hits"),
        (
            {"proportion": ptbench.Proportion(lambda sums: (sums[..., 1], sums[..., 0]))},
            "adds more than 0 or 1 to hits",
        ),
        (
            {"proportion": ptbench.Proportion(lambda sums: (sums[..., 0], sums[..., 1]), lambda q: q / 2)},
            "is not that of its proportion",
        ),
    ],
)
def test_the_kit_finds_a_bad_metric(change: dict[str, Any], message: str) -> None:
    good: dict[str, Any] = {
        "name": "hits",
        "description": "Share of hits.",
        "higher_is_better": True,
        "target": "label",
        "rows": lambda p: np.stack([p["prediction"] == p["target"], np.ones(len(p))], axis=1).astype(float),
        "value": lambda sums: sums[..., 0] / sums[..., 1],
    }
    testing.check_metric(ptbench.SumMetric(**good))
    testing.check_metric(ptbench.SumMetric(**good, interval="wilson"))
    with pytest.raises(AssertionError, match=message):
        testing.check_metric(ptbench.SumMetric(**{**good, **change}))


def test_the_kit_finds_wrong_moves() -> None:
    def hits(predictions: Any) -> Any:
        return (predictions["prediction"] == predictions["target"]).astype(float)

    good = ptbench.TableMetric(
        name="hits",
        description="Share of hits.",
        higher_is_better=True,
        target="label",
        compute=lambda p, weights: weights @ hits(p) / weights.sum(axis=-1),
        moves=lambda p: hits(p) - hits(p).mean(),
    )
    testing.check_metric(good)
    with pytest.raises(AssertionError, match="its moves are not what leaving out each example gives"):
        testing.check_metric(replace(good, moves=lambda p: hits(p).mean() - hits(p)))
