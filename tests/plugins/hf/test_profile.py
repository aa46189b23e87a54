"""Text models are measured with their head or with their pooling, on texts without padding."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from ptbench import Profilable, Profile, ProfileRequest  # noqa: E402

QUICK = ProfileRequest(batch_sizes=(1, 2), seconds=0.01, inputs=8)
Folders = Callable[[str], Path]


def profile(load: Callable[..., Any], folder: Path, *variants: str) -> list[Profile]:
    model = load(folder, "profile")
    assert isinstance(model, Profilable)
    request = ProfileRequest(variants or ("fp32",), QUICK.batch_sizes, QUICK.seconds, QUICK.inputs)
    return list(model.profile(request))


@pytest.mark.parametrize(
    ("name", "capability", "flipped", "tokens"),
    [
        ("bert", "embed", None, 64),
        ("named", "predict", 0.0, 64),
        ("unnamed", None, 0.0, 64),
        ("regression", "predict", None, 64),
        ("roberta", "embed", None, 20),
        ("gpt2_classifier", "predict", 0.0, 64),
        ("xlnet_classifier", "predict", 0.0, 64),
        ("t5", "embed", None, 64),
    ],
)
def test_what_is_measured(
    name: str, capability: str | None, flipped: float | None, tokens: int, made: Folders,
    load: Callable[..., Any],
) -> None:  # fmt: skip
    (row,) = profile(load, made(name))
    assert row.reason == ""
    assert row.notes == ()
    assert row.input == f"{tokens} tokens"
    assert row.fidelity is not None
    assert (row.fidelity.flipped, row.fidelity.max_error) == (flipped, 0.0)
    assert row.operations is not None
    assert row.operations.macs > 0
    assert row.latency is not None
    assert [t.batch_size for t in row.throughputs] == [1, 2]
    if capability:
        assert row.parameters == load(made(name), capability).facts.parameters


def test_variants(made: Folders, load: Callable[..., Any]) -> None:
    plain, half, last, small = profile(load, made("named"), "fp32", "bf16", "channels_last", "int8")
    assert [row.precision for row in (plain, half, small)] == ["fp32", "bf16", "int8"]
    assert [row.reason for row in (plain, half, small)] == [""] * 3
    assert "no 2-d convolution" in last.reason
    assert plain.weight_bytes is not None
    assert half.weight_bytes is not None
    assert small.weight_bytes is not None
    assert max(half.weight_bytes, small.weight_bytes) < plain.weight_bytes
    errors = [row.fidelity.max_error for row in (half, small) if row.fidelity]
    assert all(0 < error < 0.1 for error in errors)


def test_a_model_without_linear_layers_is_not_quantised(made: Folders, load: Callable[..., Any]) -> None:
    (row,) = profile(load, made("gpt2"), "int8")
    assert "no Linear layer" in row.reason, "GPT-2 multiplies in layers of its own"


def test_the_description_says_so(made: Folders, describe: Callable[..., Any]) -> None:
    assert "profile" in describe(made("bert")).capabilities
