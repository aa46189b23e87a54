"""The parts of training against closed forms: schedule, batches, groups, steps, courses, blocks, states."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.plugins.torch.toys import CPU, learner, toy
from torch import nn
from torch.nn import functional as f

from ptbench import Examples, Split
from ptbench_torch.blocks import find_blocks
from ptbench_torch.courses import Course
from ptbench_torch.goals import Labels, Numbers
from ptbench_torch.keeping import STATES, Keeper
from ptbench_torch.network import Head, Network
from ptbench_torch.optimising import Optimiser, parameter_groups
from ptbench_torch.recipe import Recipe
from ptbench_torch.schedule import rate_factor
from ptbench_torch.seeding import own_randomness, reseed
from ptbench_torch.shuffling import cut, epoch_batches, example_keys
from ptbench_torch.training import Kept, Rows, train_epoch

lengths = st.lists(st.integers(1, 60), min_size=1, max_size=300)


@pytest.mark.parametrize("decay", ["linear", "cosine"])
@given(steps=st.integers(1, 200), warmup=st.floats(0, 0.99))
def test_the_rate_rises_in_a_line_then_falls(decay: str, steps: int, warmup: float) -> None:
    rising = math.ceil(warmup * steps)
    factors = [rate_factor(step, steps, warmup, decay) for step in range(steps)]
    np.testing.assert_allclose(factors[:rising], [(i + 1) / rising for i in range(rising)])
    share = np.arange(steps - rising) / max(1, steps - rising)
    expected = 1 - share if decay == "linear" else (1 + np.cos(np.pi * share)) / 2
    np.testing.assert_allclose(factors[rising:], expected, atol=1e-12)
    assert min(factors) > 0


@given(lengths, st.integers(1, 9), st.integers(0, 5))
def test_every_row_is_in_one_batch_of_the_right_size(sizes: list[int], size: int, epoch: int) -> None:
    keys = example_keys([str(i) for i in range(len(sizes))], seed=3)
    batches = epoch_batches(np.array(sizes), keys, size, epoch)
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(sizes)))
    full, rest = divmod(len(sizes), size)
    alone = rest == 1 and size > 1 and full > 0
    expected = [size] * (full - alone) + ([size + 1] if alone else [rest] if rest else [])
    assert sorted(map(len, batches)) == sorted(expected)


@given(st.permutations(range(130)), st.integers(0, 2**70))
def test_batches_depend_on_ids_and_never_on_places(order: list[int], seed: int) -> None:
    ids, sizes = [f"id-{i}" for i in range(130)], np.arange(130) % 7
    first = epoch_batches(sizes, example_keys(ids, seed), 4, 2)
    moved = epoch_batches(sizes[order], example_keys([ids[i] for i in order], seed), 4, 2)
    assert [[ids[i] for i in batch] for batch in first] == [[ids[order[i]] for i in b] for b in moved]


def test_batches_differ_by_epoch_and_seed_and_have_little_padding() -> None:
    draw = np.random.default_rng(0)
    sizes = np.clip(draw.lognormal(3, 0.8, 10_000), 3, 256).astype(np.int64)
    ids = [str(i) for i in range(10_000)]
    runs = [
        epoch_batches(sizes, example_keys(ids, seed), 32, epoch) for seed, epoch in ((0, 0), (0, 1), (1, 0))
    ]
    assert len({tuple(map(tuple, run)) for run in runs}) == 3
    unsorted = 32 * sum(sizes[i : i + 32].max() for i in range(0, 10_000, 32))
    assert unsorted > 2 * sizes.sum()
    for run in runs:
        padded = sum(sizes[batch].max() * len(batch) for batch in run)
        assert padded < 1.15 * sizes.sum()
        longest = [sizes[batch].max() for batch in run]
        assert abs(np.corrcoef(longest, np.arange(len(run)))[0, 1]) < 0.4, "batches come in order of length"


def test_the_same_few_do_not_meet_in_every_epoch() -> None:
    keys = example_keys([str(i) for i in range(400)], 0)
    equal = np.ones(400, np.int64)
    pairs = [
        {(i, j) for batch in epoch_batches(equal, keys, 8, epoch) for i in batch for j in batch if i < j}
        for epoch in range(2)
    ]
    assert len(pairs[0] & pairs[1]) < 0.1 * len(pairs[0])


def test_groups_of_weight_decay() -> None:
    head = Head(16, 3, 0.1)
    network = Network(learner(toy(layers=1)), head, None)
    network.unfreeze()
    decaying, others = parameter_groups(network, 0.3)
    names = {id(p): name for name, p in network.named_parameters()}
    assert (decaying["weight_decay"], others["weight_decay"]) == (0.3, 0.0)
    assert [names[id(p)] for p in decaying["params"]] == [
        "backbone.stem.weight", "backbone.layers.0.linear.weight", "head.linear.weight",
    ]  # fmt: skip
    assert len(decaying["params"]) + len(others["params"]) == len(names)
    assert not {"backbone.norm.weight", "head.linear.bias"} - {names[id(p)] for p in others["params"]}


class Positioned(nn.Module):
    """What it says should not decay has names relative to itself, or patterns of them."""

    def __init__(self) -> None:
        super().__init__()
        self.body = toy(layers=1)
        self.pos_embed = nn.Parameter(torch.zeros(1, 5, 4))
        self.table = nn.ModuleDict({"bias_table": nn.Embedding(3, 4)})

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.body(x)
        return out

    def no_weight_decay(self) -> set[str]:
        return {"pos_embed", "*bias_table*", "weight", "cls_token"}


class Wrapped(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.network = Positioned()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.network(x)
        return out


def test_what_a_backbone_leaves_out_does_not_decay() -> None:
    network = Network(learner(Wrapped()), Head(16, 3, 0.1), None)
    network.unfreeze()
    decaying, others = parameter_groups(network, 0.3)
    names = {id(p): name for name, p in network.named_parameters()}
    assert [names[id(p)] for p in decaying["params"]] == [
        "backbone.network.body.stem.weight", "backbone.network.body.layers.0.linear.weight",
        "head.linear.weight",
    ]  # fmt: skip
    spared = {names[id(p)] for p in others["params"]}
    assert {"backbone.network.pos_embed", "backbone.network.table.bias_table.weight"} < spared
    assert len(decaying["params"]) + len(others["params"]) == len(names)


def rows(n: int, width: int = 4, *, numbers: bool = False) -> tuple[Rows, Any]:
    draw = np.random.default_rng(1)
    x = draw.normal(size=(n, width)).astype(np.float32)
    targets = draw.normal(size=n) if numbers else draw.integers(0, 3, n)
    goal: Any = Numbers.of(targets) if numbers else Labels(3)
    split = Split(Examples([str(i) for i in range(n)], {"x": x}), targets)
    return Rows.of(split, Kept(torch.from_numpy(x)), goal, CPU, 0), goal


def linear(width: int, *, dtype: torch.dtype = torch.float32) -> nn.Linear:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Linear(4, width, dtype=dtype)


@pytest.mark.parametrize("numbers", [False, True])
def test_accumulated_batches_are_one_large_batch(numbers: bool) -> None:
    data, goal = rows(70, numbers=numbers)
    ends = []
    for size, accumulate in ((32, 1), (8, 4), (16, 2)):
        recipe = Recipe.of({"batch_size": size, "accumulate": accumulate, "clip": 0.5})
        module = linear(goal.width)
        losses = [train_epoch(module, data, goal, Optimiser(module, recipe, 1e-2, None), recipe, 0, 1)]
        ends.append((losses, module.weight.detach().clone()))
    for loss, weight in ends[1:]:
        np.testing.assert_allclose(loss, ends[0][0], rtol=1e-6)
        torch.testing.assert_close(weight, ends[0][1], rtol=0, atol=1e-6)


def test_a_step_is_adamw_on_the_clipped_gradient() -> None:
    data, goal = rows(8)
    recipe = Recipe.of({"clip": 0.01, "weight_decay": 0.1, "warmup": 0.0})
    module = linear(3)
    start = module.weight.detach().clone()
    optimiser = Optimiser(module, recipe, 1e-2, None)
    train_epoch(module, data, goal, optimiser, recipe, 0, 1)

    by_hand = start.clone().requires_grad_(True)
    bias = linear(3).bias.detach().clone().requires_grad_(True)
    x = data.inputs.batch(np.arange(8))
    f.cross_entropy(x @ by_hand.T + bias, data.encoded).backward()
    assert by_hand.grad is not None
    assert bias.grad is not None
    norm = math.sqrt(by_hand.grad.square().sum() + bias.grad.square().sum())
    assert norm > 0.01
    gradient = by_hand.grad * 0.01 / (norm + 1e-6)
    # the first step of AdamW: m / (sqrt(v) + eps) with both corrected is g / (|g| + eps)
    expected = start * (1 - 1e-2 * 0.1) - 1e-2 * gradient / (gradient.abs() + 1e-8)
    torch.testing.assert_close(module.weight.detach(), expected, rtol=1e-4, atol=1e-7)


def test_gradients_that_are_no_numbers_are_told() -> None:
    data, goal = rows(8)
    broken = Rows(Kept(torch.full((8, 4), 3e38)), data.targets, data.encoded, data.keys)
    module = linear(3)
    recipe = Recipe.of({})
    assert math.isnan(train_epoch(module, broken, goal, Optimiser(module, recipe, 1.0, None), recipe, 0, 1))


def test_goals() -> None:
    labels = Labels(3)
    outputs = np.float32([[1, 2, 0], [5, 0, 0]])
    assert labels.score(outputs, np.array([1, 2])) == 0.5
    np.testing.assert_allclose(labels.columns(outputs)["scores"].sum(axis=1), 1, rtol=1e-6)
    targets = np.array([10.0, 20.0, 60.0])
    numbers = Numbers.of(targets)
    assert numbers.mean == 30
    encoded = numbers.encoded(targets)
    torch.testing.assert_close(encoded.mean(), torch.tensor(0.0), atol=1e-6, rtol=0)
    assert math.isclose(float(encoded.square().mean()), 1, rel_tol=1e-6)
    np.testing.assert_allclose(numbers.columns(encoded.numpy()[:, None])["prediction"], targets, rtol=1e-6)
    assert math.isclose(numbers.score(encoded.numpy()[:, None], targets), 1, abs_tol=1e-9)
    assert numbers.score(np.zeros((3, 1), np.float32), targets) == 0
    assert Numbers.of(np.array([2.0, 2.0])).score(np.ones((2, 1), np.float32), np.array([2.0, 2.0])) == 0


def test_a_head_standardises_and_leaves_dead_columns_alone() -> None:
    head = Head(3, 2, 0.5).eval()
    features = torch.tensor([[1.0, 7.0, 1e-33], [3.0, 7.0, -1e-33]])
    head.standardise(features)
    assert head.mean.tolist() == pytest.approx([2, 7, 0])
    assert head.deviation.tolist() == [1, 1, 1]
    head.draw()
    torch.testing.assert_close(head(features), (features - head.mean) @ head.linear.weight.T)


def test_only_the_last_blocks_are_awake() -> None:
    network = Network(learner(toy(dropout=0.3)), Head(16, 2, 0.1), 2)
    network.unfreeze()
    network.train()
    assert network.names == ("layers.1", "layers.2", "norm"), "a norm comes along uncounted"
    modes = [layer.training for layer in network.backbone.layers]  # type: ignore[union-attr, operator]
    assert modes == [False, True, True]
    assert {name.split(".")[1] for name, p in network.named_parameters() if not p.requires_grad} == {
        "stem", "layers",
    }  # fmt: skip
    assert sorted(name.rpartition(".")[0] for name in network.changing() if "running_mean" in name) == [
        "layers.1.norm", "layers.2.norm",
    ]  # fmt: skip
    network.eval()
    assert not any(part.training for part in network.modules())


def test_the_best_epoch_and_early_stopping() -> None:
    course = Course("all", 1e-3, epochs=6, patience=2)
    for score, loss in ((0.5, 1.0), (0.7, 0.9), (0.7, 0.8), (0.7, 0.8)):
        assert not course.over
        course.add(0.1, loss, score)
    assert course.best == 2, "of equal scores the lower loss, of equal losses the first"
    course.add(0.1, 0.95, 0.7)
    assert course.over
    assert course.remark == "all 0.001 stopped early at epoch 5 of 6"
    assert course.curves("accuracy")[2] == {
        "name": "accuracy", "of": "validation, all 0.001", "x": "epoch",
        "points": [[1, 0.5], [2, 0.7], [3, 0.7], [4, 0.7], [5, 0.7]],
    }  # fmt: skip
    head = Course("head", 1e-3, epochs=6, patience=1)
    for score in (0.5, 0.4):
        head.add(0.1, 1.0, score)
    assert head.early
    assert head.remark == "", "most heads stop early: it is a fact, and no note"
    broken = Course("all", 1.0, epochs=6, patience=2)
    broken.add(math.nan, 1.0, 0.5)
    assert broken.over
    assert broken.curves("r2")[0]["points"] == []
    assert broken.remark == "all 1 diverged in epoch 1: its loss was no number"


class Odd(nn.Module):
    """What is defined last is used first; a loose parameter, a part that is not called, a shared table."""

    def __init__(self) -> None:
        super().__init__()
        self.token = nn.Parameter(torch.zeros(4))
        self.body = nn.ModuleDict(
            {"layers": nn.ModuleList([nn.Sequential(nn.Linear(4, 4)) for _ in range(3)])}
        )
        self.spare = nn.Linear(4, 4)
        self.first = nn.Linear(4, 4)
        self.again = nn.ModuleList([self.first])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(x) + self.token
        for layer in self.body["layers"]:  # type: ignore[union-attr]
            x = layer(x)
        return x


def test_blocks_come_in_order_of_use_and_hold_each_parameter_once() -> None:
    odd = Odd()
    blocks = find_blocks(odd, lambda: odd(torch.zeros(1, 4)))
    names = [name for name, _ in blocks]
    assert names == ["parameters", "spare", "first", "body.layers.0", "body.layers.1", "body.layers.2"]
    held = [id(p) for _, block in blocks for p in block.parameters()]
    assert len(held) == len(set(held))
    assert set(held) == {id(p) for p in odd.parameters()}
    assert not any(part._forward_pre_hooks for part in odd.modules())


def test_a_state_is_kept_whole_and_a_damaged_one_is_ignored(tmp_path: Path) -> None:
    keeper = Keeper(tmp_path / "scratch", "mine")
    assert keeper.read() is None
    keeper.write({"x": torch.arange(3), "deep": {"y": [1.5, None]}})
    keeper.write({"x": torch.arange(3), "deep": {"y": [1.5, None]}})
    (path,) = (tmp_path / "scratch").iterdir()  # in place of the one before
    assert path.match(STATES)
    state = keeper.read()
    assert state is not None
    assert state["x"].tolist() == [0, 1, 2]
    assert state["deep"] == {"y": [1.5, None]}
    other = Keeper(tmp_path / "scratch", "other")
    assert other.read() is None
    assert other.notes == ["a state of another training was ignored"]
    path.write_bytes(path.read_bytes()[:100])
    assert keeper.read() is None
    assert keeper.notes[0].startswith("a damaged state of training was ignored (")
    Keeper(None, "mine").write({})


def test_random_numbers_depend_on_the_key_and_leave_nothing_behind() -> None:
    before = torch.random.get_rng_state()
    draws = []
    with own_randomness(CPU):
        for key in ((0, "all", 1), (0, "all", 2), (1, "all", 1), (0, "all", 1)):
            reseed(CPU, *key)
            draws.append(tuple(torch.randn(3).tolist()))
    assert draws[0] == draws[3]
    assert len(set(draws)) == 3
    assert torch.equal(torch.random.get_rng_state(), before)


def test_pieces() -> None:
    assert [len(piece) for piece in cut(np.arange(9), 4)] == [4, 5]
    assert [len(piece) for piece in cut(np.arange(1), 4)] == [1]
    assert [len(piece) for piece in cut(np.arange(3), 1)] == [1, 1, 1]
