"""The kit checks the built-ins, as it checks guests; and it finds what it is there to find."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ptbench
from ptbench import executors, reporters, testing


@pytest.mark.parametrize("name", ["ptbench.builtin", "ptbench_hf", "ptbench_lite", "ptbench_sklearn"])
def test_a_built_in_plugin_conforms(name: str) -> None:
    assert testing.check_plugin(import_module(name)).offers


def test_the_built_in_executor_and_reporter_conform(tmp_path: Path) -> None:
    testing.check_executor(executors.SERIAL)
    written = testing.check_reporter(reporters.CSV, tmp_path)
    assert "'=cmd()" in written[0].read_text()


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
