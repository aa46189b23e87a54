"""Looking into networks: closed forms, networks built to fail, and nothing changed afterwards."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import nn

from ptbench import Examples, Inspection, InspectRequest, ModelError, ModelFacts, Split
from ptbench_torch.batching import Batching
from ptbench_torch.inspecting import LearnerInspector
from ptbench_torch.inspecting_activations import units_first, units_last
from ptbench_torch.inspecting_gradients import Loss, gradient_rows
from ptbench_torch.inspecting_histograms import FINE, SHOWN, Histogram, size_rows
from ptbench_torch.inspecting_weights import spectrum
from ptbench_torch.learner import Learner

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Table:
    """Inputs that are rows of an array."""

    rows: NDArray[np.float32]

    @property
    def lengths(self) -> NDArray[np.int64]:
        return np.ones(len(self.rows), np.int64)

    def batch(self, rows: NDArray[np.intp]) -> Any:
        return torch.from_numpy(self.rows[rows])


@dataclass(frozen=True)
class Texts:
    """Inputs that are padded to the longest of a batch."""

    tokens: Sequence[Sequence[int]]

    @property
    def lengths(self) -> NDArray[np.int64]:
        return np.array([len(row) for row in self.tokens], np.int64)

    def batch(self, rows: NDArray[np.intp]) -> dict[str, Any]:
        some = [torch.tensor(self.tokens[i]) for i in rows]
        ids = nn.utils.rnn.pad_sequence(some, batch_first=True)
        mask = nn.utils.rnn.pad_sequence([torch.ones_like(row) for row in some], batch_first=True)
        return {"input_ids": ids, "attention_mask": mask}


def blocks_of(network: nn.Module) -> tuple[tuple[str, nn.Module], ...]:
    return tuple(
        (name, part) for name, part in network.named_children() if next(part.parameters(), None) is not None
    )


def learner(network: nn.Module, inputs: Any, width: int, **more: Any) -> Learner:
    batching = Batching("examples", more.pop("budget", 5), even=more.pop("even", False))
    given = {"blocks": blocks_of(network), "batching": batching, **more}
    return Learner(
        network, read=lambda examples: inputs, device=torch.device("cpu"), autocast=None, width=width, **given
    )


def split(targets: Any) -> Split:
    ids = [f"e{i}" for i in range(len(targets))]
    return Split(Examples(ids, {"text": ids}), np.asarray(targets))


def look(
    network: nn.Module,
    inputs: Any,
    width: int,
    *,
    targets: Any = None,
    labels: tuple[str, ...] = ("a", "b"),
    **more: Any,
) -> Inspection:
    """Look inside a network that reads these inputs."""
    n = len(inputs.lengths)
    only = more.pop("only", ("weights", "gradients", "activations"))
    sample = split(np.arange(n) % 2 if targets is None else targets)
    inspector = LearnerInspector(learner(network, inputs, width, **more), ModelFacts())
    return inspector.inspect(InspectRequest(sample, labels, only))


def by(rows: Sequence[Row], key: str, level: str | None = None) -> dict[str, Row]:
    return {row[key]: row for row in rows if level is None or row["level"] == level}


def numbers(n: int, d: int, seed: int = 0) -> Table:
    return Table(np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32))


# Weights


def test_the_weights_of_a_known_matrix() -> None:
    network = nn.Sequential(nn.Linear(3, 2))
    with torch.no_grad():
        network[0].weight.copy_(torch.tensor([[3.0, 0.0, 0.0], [0.0, -4.0, 1e-4]]))
        network[0].bias.zero_()
    found = look(network, numbers(8, 3), 2, only=("weights",))
    weight, bias = found.weights
    assert (weight["block"], weight["layer"], weight["name"], weight["shape"]) == (
        "0",
        "0",
        "0.weight",
        "2x3",
    )
    assert weight["count"] == 6
    assert weight["norm"] == pytest.approx(5.0)
    assert weight["rms"] == pytest.approx(5 / math.sqrt(6))
    assert weight["mean"] == pytest.approx((3 - 4 + 1e-4) / 6)
    assert weight["spectral_norm"] == pytest.approx(4.0)
    assert weight["stable_rank"] == pytest.approx(25 / 16)
    p = np.array([3, 4]) / 7
    assert weight["effective_rank"] == pytest.approx(math.exp(-(p * np.log(p)).sum()))
    assert weight["near_zero"] == pytest.approx(4 / 6), "three zeros and 1e-4, beside an rms of 2"
    assert (weight["min"], weight["max"]) == (-4, 3)
    assert (bias["norm"], bias["near_zero"], bias["kurtosis"]) == (0, 1, None)
    assert "spectral_norm" not in bias


def test_moments_and_quantiles_are_those_of_numpy() -> None:
    from scipy.stats import kurtosis

    network = nn.Sequential(nn.Conv2d(3, 8, 5))
    found = look(network, numbers(8, 3), 8, only=("weights",))
    weights = network[0].weight.detach().numpy()
    row = found.weights[0]
    assert row["shape"] == "8x3x5x5"
    assert row["std"] == pytest.approx(weights.std(), rel=1e-6)
    assert row["kurtosis"] == pytest.approx(kurtosis(weights.ravel().astype(np.float64)), rel=1e-6)
    for q in (1, 25, 50, 99):
        assert row[f"q{q:02d}"] == pytest.approx(np.quantile(weights, q / 100), rel=1e-5)
    singular = np.linalg.svd(weights.reshape(8, -1), compute_uv=False)
    assert row["spectral_norm"] == pytest.approx(singular[0], rel=1e-6)


@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_a_spectrum_is_that_of_the_singular_values(rows: int, columns: int, seed: int) -> None:
    matrix = np.random.default_rng(seed).normal(size=(rows, columns))
    singular = np.linalg.svd(matrix, compute_uv=False)
    shares = singular / singular.sum()
    found = spectrum(torch.from_numpy(matrix))
    assert found["spectral_norm"] == pytest.approx(singular[0])
    assert found["stable_rank"] == pytest.approx((singular**2).sum() / singular[0] ** 2)
    assert found["effective_rank"] == pytest.approx(math.exp(-(shares * np.log(shares)).sum()), rel=1e-6)


def test_ranks_at_their_ends() -> None:
    assert spectrum(torch.eye(7))["effective_rank"] == pytest.approx(7)
    assert spectrum(torch.ones(5, 9))["effective_rank"] == pytest.approx(1, abs=1e-6)
    assert spectrum(torch.zeros(3, 3))["effective_rank"] is None


def test_a_parameter_that_is_shared_is_one_row_and_one_that_is_broken_a_note() -> None:
    network = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    network[1].weight = network[0].weight
    with torch.no_grad():
        network[1].bias[1] = math.nan
    found = look(network, numbers(8, 3), 3, only=("weights",))
    assert [row["name"] for row in found.weights] == ["0.weight", "0.bias", "1.bias"]
    assert found.notes == ("1 of 3 weights of 1.bias are not finite",)


# Gradients


def test_the_gradient_of_a_linear_network_is_the_closed_form() -> None:
    """For f = W x and the loss of a linear head, dL/dW is the mean of (dL/df) x'."""
    torch.manual_seed(1)  # of which there is more than noise
    network = nn.Sequential(nn.Linear(4, 3, bias=False))
    table, n = numbers(24, 4), 24
    targets = np.random.default_rng(1).integers(0, 2, n)
    found = look(network, table, 3, targets=targets, only=("gradients",))
    x = table.rows.astype(np.float64)
    features = x @ network[0].weight.detach().numpy().astype(np.float64).T
    loss = Loss(features.astype(np.float32), targets, 2, torch.device("cpu"), 0)
    head = loss.weights.numpy().astype(np.float64)
    std = features.std(axis=0)
    logits = ((features - features.mean(axis=0)) / std) @ head.T
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    outer = (shares - np.eye(2)[targets]) @ (head / std)
    gradient = outer.T @ x / n
    row = by(found.gradients, "name", "tensor")["0.weight"]
    assert row["norm"] == pytest.approx(np.linalg.norm(gradient), rel=1e-4)
    assert row["rms"] == pytest.approx(np.sqrt((gradient**2).mean()), rel=1e-4)
    assert row["abs_max"] == pytest.approx(np.abs(gradient).max(), rel=1e-4)
    assert row["abs_q50"] == pytest.approx(np.median(np.abs(gradient)), rel=1e-4)
    weight = np.linalg.norm(network[0].weight.detach().numpy())
    assert row["relative"] == pytest.approx(np.linalg.norm(gradient) / weight, rel=1e-4)
    assert found.facts["loss_value"] == pytest.approx(-np.log(shares[np.arange(n), targets]).mean(), rel=1e-4)
    parts = [(outer[rows].T @ x[rows]) / len(rows) for rows in np.array_split(np.arange(n), 8)]
    norms = np.array([np.linalg.norm(part) for part in parts])
    assert row["batch_norm_mean"] == pytest.approx(norms.mean(), rel=1e-4)
    assert row["batch_norm_sd"] == pytest.approx(norms.std(ddof=1), rel=1e-4)
    variance = np.sum([(part - gradient) ** 2 for part in parts]) / 7
    signal = np.sum(gradient**2) - variance / 8
    assert row["signal_to_noise"] == pytest.approx(math.sqrt(signal / variance), rel=1e-3)


@pytest.mark.parametrize(("n", "truth"), [(64, 0.0), (64, 0.5), (59, 0.5), (8, 2.0)])
def test_the_noise_of_the_mean_is_no_signal(n: int, truth: float) -> None:
    """The gradient of each example is known: the truth, and noise of variance 1 in each of 4000 numbers."""
    width = 4000
    given = torch.from_numpy(np.random.default_rng(3).normal(truth, 1, size=(n, width)).astype(np.float32))
    network = nn.Sequential(nn.Linear(4, width))

    class Linear(Loss):
        def __call__(self, features: Any, rows: Any) -> Any:
            return (features * given[torch.from_numpy(rows)]).sum()

    flat = Linear(np.eye(n, width, dtype=np.float32), np.zeros(n), 2, torch.device("cpu"), 0)
    table = numbers(n, 4)
    found, *_ = gradient_rows(learner(network, table, width), table, flat)
    row = by(found, "name", "tensor")["0.bias"]
    expected = truth / math.sqrt(8 / n)  # eight batches of n / 8 examples
    assert row["signal_to_noise"] == pytest.approx(expected, rel=0.03, abs=0.1)


def test_one_batch_has_no_noise() -> None:
    network = nn.Sequential(nn.Linear(4, 3))
    found = look(network, numbers(1, 4), 3, targets=[0], only=("gradients",))
    assert {row["signal_to_noise"] for row in found.gradients} == {None}


def test_numbers_have_a_squared_error() -> None:
    network = nn.Sequential(nn.Linear(4, 3))
    targets = np.random.default_rng(1).normal(loc=50, scale=7, size=24)
    found = look(network, numbers(24, 4), 3, targets=targets, labels=(), only=("gradients",))
    assert "squared error" in found.facts["loss"]
    assert 0.1 < found.facts["loss_value"] < 10, "targets are standardised"


def test_pieces_that_fit_into_memory_give_the_same_gradients() -> None:
    network = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Tanh(), nn.Linear(6, 3))
    small, large = (
        look(network, numbers(40, 4), 3, only=("gradients",), budget=budget).gradients for budget in (4, 4000)
    )
    assert [row["norm"] for row in small] == pytest.approx([row["norm"] for row in large], rel=1e-4)


def deep(layers: int, make: Callable[[], nn.Module], gain: float) -> nn.Sequential:
    torch.manual_seed(0)
    network = nn.Sequential()
    for i in range(layers):
        linear = nn.Linear(16, 16)
        nn.init.normal_(linear.weight, std=gain / 4)
        network.add_module(f"layer{i}", nn.Sequential(linear, make()))
    return network


def test_layers_whose_gradients_vanish_are_named() -> None:
    """A sigmoid passes on a quarter at most, so that eight layers lose a factor of ten thousand and more."""
    found = look(deep(16, nn.Sigmoid, 2.0), numbers(32, 16), 16, only=("gradients",))
    layers = by(found.gradients, "layer", "layer")
    flagged = [name for name, row in layers.items() if row["flag"] == "vanishing"]
    assert flagged == [f"layer{i}.0" for i in range(len(flagged))], "those nearest to the input"
    assert 4 < len(flagged) < 14, "others get smaller gradients than the last, yet not a thousand times"
    assert f"gradients vanish in {', '.join(flagged)}" in found.notes
    assert any("1000 times" in note for note in found.notes), "the rule is stated"


def test_features_that_have_collapsed_are_a_note() -> None:
    found = look(deep(20, nn.Sigmoid, 1.0), numbers(32, 16), 16, only=("gradients",))
    assert any("constant over the sample, but for rounding: 16 of 16" in note for note in found.notes)


def test_layers_whose_gradients_explode_are_named() -> None:
    network = nn.Sequential()
    network.add_module("first", nn.Linear(16, 16))
    network.add_module("loud", Scale(1e5))
    network.add_module("last", nn.Linear(16, 16))
    with torch.no_grad():
        network.first.weight.mul_(1e-5)  # its small weights are made large, and a small step moves them far
        network.first.bias.mul_(1e-5)
    found = look(network, numbers(32, 16), 16, only=("gradients",))
    assert by(found.gradients, "layer", "layer")["first"]["flag"] == "exploding"
    assert by(found.gradients, "name", "tensor")["first.weight"]["flag"] == "exploding"
    assert any("explode in first" in note for note in found.notes)


class Scale(nn.Module):
    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Any) -> Any:
        return x * self.factor


def test_an_ordinary_network_has_no_flags() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 8))
    found = look(network, numbers(64, 8), 8)
    assert {row["flag"] for row in found.gradients} == {""}
    assert not [note for note in found.notes if "gradients" in note]


class Branches(nn.Module):
    """One part is used, one is multiplied by zero, and one not at all."""

    def __init__(self) -> None:
        super().__init__()
        self.used, self.silent, self.idle = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x: Any) -> Any:
        return self.used(x) + 0 * self.silent(x)


def test_layers_without_gradients_are_named() -> None:
    found = look(Branches(), numbers(16, 4), 4, only=("gradients",))
    layers = by(found.gradients, "layer", "layer")
    assert {name: row["flag"] for name, row in layers.items()} == {
        "used": "",
        "silent": "zero",
        "idle": "unused",
    }
    assert layers["silent"]["zeros"] == 1
    assert "the loss does not depend on: idle" in found.notes
    assert "gradients are exactly zero in silent" in found.notes


def test_a_feature_that_is_constant_but_for_rounding_does_not_blow_up_the_loss() -> None:
    network = nn.Sequential(nn.Linear(4, 4))
    with torch.no_grad():
        network[0].weight[2] *= 1e-30
        network[0].bias[2] = 1e-30
    found = look(network, numbers(32, 4), 4, only=("gradients",))
    assert by(found.gradients, "level")["layer"]["norm"] < 10


def test_features_that_are_no_numbers_are_an_error() -> None:
    network = nn.Sequential(nn.Linear(4, 4))
    with torch.no_grad():
        network[0].bias[0] = math.inf
    with pytest.raises(ModelError, match="not finite"):
        look(network, numbers(8, 4), 4, only=("gradients",))
    with pytest.raises(ModelError, match="sample"):
        LearnerInspector(learner(network, numbers(8, 4), 4), ModelFacts()).inspect(InspectRequest())


# Activations


def test_activations_are_those_of_numpy_whatever_the_batches() -> None:
    network = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3))
    table = numbers(37, 4)
    found = look(network, table, 3, only=("activations",))
    hidden = np.maximum(network[0](torch.from_numpy(table.rows)).detach().numpy(), 0)
    row = by(found.activations, "layer")["1"]
    assert (row["level"], row["type"], row["count"], row["shape"]) == ("layer", "ReLU", 37 * 6, 6)
    assert row["mean"] == pytest.approx(hidden.mean(), rel=1e-5)
    assert row["std"] == pytest.approx(hidden.std(), rel=1e-5)
    assert row["zeros"] == (hidden == 0).mean()
    assert row["max"] == pytest.approx(hidden.max())
    block = by(found.activations, "layer")["0"]
    output = network[0](torch.from_numpy(table.rows)).detach().numpy()
    singular = np.linalg.svd(output - output.mean(axis=0), compute_uv=False)
    shares = singular / singular.sum()
    assert block["effective_rank"] == pytest.approx(math.exp(-(shares * np.log(shares)).sum()), rel=1e-4)
    assert block["norm"] == pytest.approx(np.linalg.norm(output, axis=1).mean(), rel=1e-5)
    assert np.allclose(found.representations["0"], output, atol=1e-6)
    assert list(found.representations) == ["0", "2", "features"]


def test_dead_and_constant_units_are_counted_and_dead_layers_named() -> None:
    network = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 2))
    with torch.no_grad():
        network[0].bias[:2] = -1000.0
        network[2].bias[:] = -1000.0
    found = look(network, numbers(32, 4), 2, only=("activations",))
    layers = by(found.activations, "layer")
    assert (layers["1"]["dead"], layers["1"]["constant"]) == (2, 2)
    assert layers["0"]["dead"] is None, "no activation function: its outputs may well be below 0"
    assert layers["3"]["flag"] == "dead"
    assert "every unit is dead in 3" in found.notes
    assert any("2 of 6 in 1" in note for note in found.notes)
    assert layers["4"]["flag"] == "constant"


class Words(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table, self.mix = nn.Embedding(10, 4), nn.Linear(4, 4)

    def forward(self, inputs: dict[str, Any]) -> Any:
        hidden, mask = self.mix(self.table(inputs["input_ids"])), inputs["attention_mask"].unsqueeze(-1)
        return (hidden * mask).sum(1) / mask.sum(1)


def test_padding_does_not_count() -> None:
    network = Words()
    with torch.no_grad():
        network.table.weight[0] = 1e6  # what fills the rows
    tokens = [[1 + (i * j) % 9 for j in range(1 + i % 5)] for i in range(20)]
    found = look(network, Texts(tokens), 4, only=("activations",), budget=7)
    row = by(found.activations, "layer")["mix"]
    assert row["count"] == 4 * sum(map(len, tokens))
    assert row["max"] < 100
    each = [network.mix(network.table(torch.tensor(row))).detach().numpy() for row in tokens]
    assert np.allclose(found.representations["mix"], [rows.mean(axis=0) for rows in each], atol=1e-5)
    assert np.allclose(found.representations["features"], found.representations["mix"], atol=1e-5)


class Sharing(nn.Module):
    """Positions [1, tokens, d] that all texts share, and shares of attention [n, tokens]."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.positions, self.mix = nn.Embedding(10, 4), nn.Embedding(8, 4), nn.Linear(4, 4)
        self.share = nn.Softmax(dim=1)

    def forward(self, inputs: dict[str, Any]) -> Any:
        ids, mask = inputs["input_ids"], inputs["attention_mask"]
        hidden = self.mix(self.table(ids) + self.positions(torch.arange(ids.shape[1])[None]))
        shares = self.share(hidden.sum(-1).masked_fill(mask == 0, -math.inf))
        return (hidden * shares.unsqueeze(-1)).sum(1)


@pytest.mark.parametrize("budget", [1, 5, 9, 40])
def test_the_table_is_the_same_for_every_size_of_batches(budget: int) -> None:
    torch.manual_seed(0)
    network, texts = Sharing(), Texts([[1 + (i * j) % 9 for j in range(1 + i % 8)] for i in range(17)])
    expected = look(network, texts, 4, only=("activations",), budget=1000)
    actual = look(network, texts, 4, only=("activations",), budget=budget)
    assert expected.facts["unseen"] == actual.facts["unseen"] == ["positions", "share"]
    assert [row["layer"] for row in actual.activations] == ["table", "mix", "features"]
    assert list(actual.representations) == ["table", "mix", "features"]
    for row, other in zip(expected.activations, actual.activations, strict=True):
        for name, value in row.items():
            number = isinstance(value, float)
            assert other[name] == (pytest.approx(value, rel=1e-5, abs=1e-6) if number else value), name


def test_a_small_deviation_beside_a_large_mean_keeps_its_digits() -> None:
    draw = np.random.default_rng(0)
    table = Table(draw.normal(1e4, 0.01, size=(500, 4)).astype(np.float32))
    network = nn.Sequential(nn.Linear(4, 4))
    with torch.no_grad():
        network[0].weight.copy_(torch.eye(4))
        network[0].bias.zero_()
    row = by(look(network, table, 4, only=("activations",), budget=7).activations, "layer")["0"]
    wide = table.rows.astype(np.float64)
    assert row["std"] == pytest.approx(wide.std(), rel=1e-6)
    assert row["mean"] == pytest.approx(wide.mean(), rel=1e-12)


def test_the_type_of_a_module_says_where_its_units_are() -> None:
    class LayerNorm2d(nn.LayerNorm):
        """The name of timm and torchvision for one that puts units first."""

    class Named(nn.Linear):
        """A linear layer by another name."""

    first = (nn.Conv2d(5, 5, 1), nn.BatchNorm2d(5), nn.GroupNorm(1, 5), LayerNorm2d(5), nn.MaxPool2d(1))
    last = (nn.LayerNorm(5), nn.RMSNorm(5), nn.Linear(5, 5), Named(5, 5), nn.Embedding(5, 5))
    assert [units_first(module) for module in first] == [True] * len(first)
    assert [units_first(module) for module in last] == [False] * len(last)
    assert [units_first(module) for module in (nn.GELU(), nn.Sequential())] == [None, None]
    for units, shape in ((True, (2, 5, 5, 3)), (False, (2, 3, 17, 5)), (True, (2, 5, 7))):
        output = torch.arange(math.prod(shape)).reshape(shape).float()
        found = units_last(output, None, 2, units)
        assert found is not None
        axes = tuple(range(1 + units, len(shape) - (not units)))
        assert found[0].shape == (output.numel() // 5, 5)
        torch.testing.assert_close(found[1], output.mean(axes))


def test_norms_of_queries_and_keys_have_the_units_of_a_head() -> None:
    timm = pytest.importorskip("timm")
    network = timm.models.VisionTransformer(
        img_size=16, patch_size=8, embed_dim=24, depth=1, num_heads=3, qk_norm=True, num_classes=0
    ).eval()
    pixels = np.random.default_rng(0).normal(size=(6, 3, 16, 16)).astype(np.float32)
    found = look(network, Table(pixels), 24, only=("activations",))
    layers = by(found.activations, "layer")
    assert layers["blocks.0.attn.q_norm"]["shape"] == layers["blocks.0.attn.k_norm"]["shape"] == 8
    assert layers["blocks.0.attn.q_norm"]["count"] == 6 * 3 * 5 * 8
    assert layers["patch_embed.proj"]["shape"] == 24


def test_where_the_units_are() -> None:
    def pooled(shape: tuple[int, ...], mask: Any = None) -> tuple[int, ...] | None:
        found = units_last(torch.zeros(shape), mask, 2)
        return None if found is None else (*found[0].shape, *found[1].shape)

    assert pooled((2, 5)) == (2, 5, 2, 5)
    assert pooled((2, 7, 5)) == (14, 5, 2, 5)
    assert pooled((2, 5, 3, 3)) == (18, 5, 2, 5), "convolutions put units first"
    assert pooled((2, 3, 3, 5)) == (18, 5, 2, 5), "Swin's last"
    assert pooled((2, 3, 3, 3)) == (18, 3, 2, 3)
    assert pooled((3, 5)) is None, "not a row per example"
    mask = torch.tensor([[1, 1, 0], [1, 0, 0]]).bool()
    assert pooled((2, 3, 5), mask) == (3, 5, 2, 5)
    assert pooled((2, 4, 3, 3), mask) is None, "attention maps"


def test_a_module_that_is_called_twice_is_two_layers() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.relu, self.b = nn.Linear(4, 4), nn.ReLU(inplace=True), nn.Linear(4, 6)

        def forward(self, x: Any) -> Any:
            return self.relu(self.b(self.relu(self.a(x))))

    found = look(Twice(), numbers(16, 4), 6, only=("activations",))
    layers = by(found.activations, "layer")
    assert (layers["relu"]["shape"], layers["relu#2"]["shape"]) == (4, 6)
    assert layers["a"]["min"] < 0, "seen before the activation function writes over it"


# Histograms


@given(st.lists(st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=40), min_size=1, max_size=5))
@settings(max_examples=60, deadline=None)
def test_a_histogram_counts_every_number_between_its_edges(batches: list[list[float]]) -> None:
    histogram = Histogram()
    for batch in batches:
        tensor = torch.tensor(batch)
        histogram.add(tensor, float(tensor.min()), float(tensor.max()))
    rows = histogram.rows("weights", "w")
    values = np.concatenate([np.array(batch, np.float32) for batch in batches]).astype(np.float64)
    assert sum(row["count"] for row in rows) == len(values)
    assert len(rows) <= SHOWN + 1
    assert rows[0]["low"] == pytest.approx(values.min(), abs=1e-5 * max(1, abs(values).max()))
    for before, after in pairwise(rows):
        assert before["low"] < before["high"] <= after["low"]
    width = 2 * histogram.reach / FINE
    for row in rows:
        inside = ((values >= row["low"] - width) & (values <= row["high"] + width)).sum()
        assert row["count"] <= inside


def test_outliers_leave_room_for_the_rest() -> None:
    values = torch.cat([torch.linspace(-1, 1, 100_000), torch.tensor([60.0])])
    histogram = Histogram()
    histogram.add(values, -1.0, 60.0)
    rows = histogram.rows("weights", "w")
    assert len([row for row in rows if row["high"] <= 1.1]) > 30
    assert (rows[-1]["high"], rows[-1]["count"] >= 1) == (60.0, True)


def test_sizes_by_magnitude() -> None:
    rows = size_rows(torch.tensor([0.0, 1e-20, 0.5, -0.5, 5e5]), "gradients", "g")
    counts = {(row["low"], row["high"]): row["count"] for row in rows if row["count"]}
    assert list(counts.values()) == [2, 2, 1]
    zeros, halves, beyond = counts
    assert zeros[0] == 0
    assert halves[0] <= 0.5 < halves[1]
    assert beyond[1] == math.inf


# Afterwards


class Moody(nn.Module):
    """Everything that could be left changed: statistics, dropout, a frozen part, a part in training."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Dropout(0.5))
        self.second = nn.Linear(6, 3)
        self.first[0].weight.requires_grad_(False)
        self.second.train()
        self.register_buffer("calls", torch.zeros(1))
        self.breaks_at = -1
        self.passes = 0

    def forward(self, x: Any) -> Any:
        self.passes += 1
        self.calls += 1
        torch.rand(1)
        if self.passes == self.breaks_at:
            raise RuntimeError("in the middle")
        return self.second(self.first(x))


def state_of(network: nn.Module) -> Any:
    tensors = {**dict(network.named_parameters()), **dict(network.named_buffers())}
    return (
        {name: tensor.detach().numpy().tobytes() for name, tensor in tensors.items()},
        {name: p.requires_grad for name, p in network.named_parameters()},
        {name: p.grad.numpy().tobytes() for name, p in network.named_parameters() if p.grad is not None},
        {name: module.training for name, module in network.named_modules()},
        [len(module._forward_hooks) + len(module._forward_pre_hooks) for module in network.modules()],
        torch.get_rng_state().numpy().tobytes(),
        np.random.get_state()[1].tobytes(),
    )  # fmt: skip


@pytest.mark.parametrize("breaks_at", [-1, 1, 3, 9, 14])
def test_the_model_is_unchanged_bit_for_bit(breaks_at: int) -> None:
    network = Moody().train()
    network.first.eval()
    network.second.bias.grad = torch.ones(3)
    network.breaks_at = breaks_at
    before = state_of(network)
    blocks = (("first", network.first), ("second", network.second))
    if breaks_at < 0:
        look(network, numbers(32, 4), 3, blocks=blocks)
    else:
        with pytest.raises(RuntimeError, match="in the middle"):
            look(network, numbers(32, 4), 3, blocks=blocks)
    assert state_of(network) == before


def test_the_same_seed_gives_the_same_tables() -> None:
    torch.manual_seed(3)
    network = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3))
    first, again = (look(network, numbers(32, 4), 3) for _ in range(2))
    assert first.gradients == again.gradients
    assert first.activations == again.activations
    assert first.weights == again.weights
