"""Outputs come back in the order of the rows, however they were batched."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from ptbench.progress import listening  # noqa: E402
from ptbench_torch import collect as module  # noqa: E402
from ptbench_torch.batching import Batch, Batching, Index  # noqa: E402
from ptbench_torch.collect import collect  # noqa: E402
from ptbench_torch.parameters import count_parameters  # noqa: E402


@pytest.mark.parametrize("held", [1, 5, 10**6])
def test_rows_come_back_in_order(held: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HELD_NUMBERS", held)
    heard: list[int] = []

    def step(rows: Index) -> torch.Tensor:
        return torch.stack([torch.tensor([i, -i], dtype=torch.bfloat16) for i in rows.tolist()])

    with listening(heard.append):
        batches = [Batch(np.array(rows), 1) for rows in ([3, 0], [2], [1, 4])]
        result = collect(batches, step, batching=Batching("examples", 2), width=2)
    assert result.dtype == np.float32
    assert result.tolist() == [[i, -i] for i in range(5)]
    assert heard == [2, 1, 2]


def test_nothing_gives_an_empty_table() -> None:
    def step(rows: Index) -> torch.Tensor:
        raise AssertionError("not called")

    assert collect([], step, batching=Batching("examples", 2), width=7).shape == (0, 7)


def test_a_shared_parameter_counts_once() -> None:
    one, two = torch.nn.Linear(2, 2, bias=False), torch.nn.Linear(2, 2, bias=False)
    two.weight = one.weight
    assert count_parameters(one, two) == 4
