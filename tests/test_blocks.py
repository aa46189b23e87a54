"""Examples go through a model in fixed blocks: however a cell is split, the same bits come out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ptbench import Examples, ModelError, ModelFacts, blocks
from ptbench.blocks import Parts, call_in_blocks


class Company:
    """A model whose outputs depend on what stands beside an example: the worst that batches can do."""

    def __init__(self) -> None:
        self.calls: list[int] = []
        self.truncated = 0

    @property
    def facts(self) -> ModelFacts:
        return ModelFacts(counts={"truncated": self.truncated}, seconds={"decode": len(self.calls) / 8})

    def predict(self, examples: Examples) -> dict[str, Any]:
        self.calls.append(len(examples))
        self.truncated += sum(len(text) > 3 for text in examples["text"])
        lengths = np.array([len(text) for text in examples["text"]], dtype=np.float64)
        return {"prediction": lengths + lengths.sum() / 1000, "scores": lengths[:, None] * [1.0, 2.0]}


def texts(n: int) -> Examples:
    return Examples([str(i) for i in range(n)], {"text": ["x" * (i % 7) for i in range(n)]})


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "BLOCK", 10)


def same(a: Any, b: Any) -> bool:
    return a.keys() == b.keys() and all(a[name].tobytes() == b[name].tobytes() for name in a)


@pytest.mark.parametrize("n", [0, 1, 9, 10, 11, 35])
def test_blocks_are_fixed(n: int) -> None:
    model = Company()
    called = call_in_blocks(model, model.predict, texts(n), "m")
    assert model.calls == ([10] * (n // 10) + ([n % 10] if n % 10 else []) or [0])
    assert len(called.columns["prediction"]) == n
    assert called.here.counts == {"truncated": model.truncated}


@settings(max_examples=25, deadline=None)
@given(n=st.integers(1, 47), of=st.integers(1, 6), done=st.sets(st.integers(0, 5)))
def test_whoever_computes_the_parts_the_bits_are_the_same(
    tmp_path_factory: pytest.TempPathFactory, n: int, of: int, done: set[int]
) -> None:
    folder = tmp_path_factory.mktemp("parts") / "cell"
    alone = Company()
    expected = call_in_blocks(alone, alone.predict, texts(n), "m")
    for k in sorted(done & set(range(of))):  # the other parts were lost
        other = Company()
        call_in_blocks(other, other.predict, texts(n), "m", key="predict", parts=Parts(folder, (k, of)))
    last = Company()
    found = call_in_blocks(last, last.predict, texts(n), "m", key="predict", parts=Parts(folder))
    assert same(found.columns, expected.columns)
    total = found.here + found.elsewhere
    assert total.counts == expected.here.counts
    if done >= set(range(of)):
        assert last.calls == []


def test_parts_share_the_blocks_of_several_calls_evenly(tmp_path: Path) -> None:
    shares = []
    for k in range(3):
        model, parts = Company(), Parts(tmp_path, (k, 3))
        for key in ("train", "validation", "test"):
            call_in_blocks(model, model.predict, texts(20), "m", key=key, parts=parts)
        shares.append(len(model.calls))
    assert shares == [2, 2, 2]


def test_a_damaged_part_is_computed_again(tmp_path: Path) -> None:
    model, again = Company(), Company()
    call_in_blocks(model, model.predict, texts(25), "m", key="predict", parts=Parts(tmp_path, (0, 1)))
    path = tmp_path / "predict-1.npz"
    path.write_bytes(path.read_bytes()[:-20])
    found = call_in_blocks(again, again.predict, texts(25), "m", key="predict", parts=Parts(tmp_path))
    assert again.calls == [10]
    whole = Company()
    assert same(found.columns, call_in_blocks(whole, whole.predict, texts(25), "m").columns)


@pytest.mark.parametrize(
    ("columns", "text"),
    [
        (lambda n: {"prediction": np.zeros(n)} if n == 10 else {"scores": np.zeros(n)}, "has others"),
        (lambda n: [1, 2], "a mapping of column names"),
    ],
)
def test_blocks_that_do_not_fit_each_other_are_told(columns: Callable[[int], Any], text: str) -> None:
    model = Company()
    with pytest.raises(ModelError, match=text):
        call_in_blocks(model, lambda block: columns(len(block)), texts(15), "m")
