"""Operations against closed forms: what each layer must cost, whatever kernel, device or dtype."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from ptbench import ModelError
from ptbench_torch.operations import count_operations
from ptbench_torch.parameters import weight_bytes


class Calls(nn.Module):
    """A module that calls one function."""

    def __init__(self, function: Callable[..., Any], *modules: nn.Module) -> None:
        super().__init__()
        self.function, self.inside = function, nn.ModuleList(modules)

    def forward(self, *inputs: Tensor) -> Any:
        return self.function(*inputs)


def macs(function: Callable[..., Any], *shapes: tuple[int, ...]) -> int:
    module = function if isinstance(function, nn.Module) else Calls(function)
    return count_operations(module, tuple(torch.zeros(shape) for shape in shapes)).macs


CONVOLUTIONS = {
    "plain": (nn.Conv2d(3, 8, 3), (1, 3, 10, 12), 8 * 8 * 10 * 3 * 9),
    "no bias": (nn.Conv2d(3, 8, 3, bias=False), (1, 3, 10, 12), 8 * 8 * 10 * 3 * 9),
    "stride and padding": (nn.Conv2d(3, 8, 5, stride=2, padding=2), (1, 3, 16, 16), 8 * 8 * 8 * 3 * 25),
    "dilation": (nn.Conv2d(3, 8, 3, dilation=2), (1, 3, 10, 10), 8 * 6 * 6 * 3 * 9),
    "groups": (nn.Conv2d(8, 16, 3, groups=4, padding=1), (1, 8, 6, 6), 16 * 36 * 2 * 9),
    "depthwise": (nn.Conv2d(8, 8, 3, groups=8, padding=1), (1, 8, 6, 6), 8 * 36 * 9),
    "padding in words": (nn.Conv2d(4, 4, 3, padding="same"), (1, 4, 6, 6), 4 * 36 * 4 * 9),
    "one axis": (nn.Conv1d(4, 6, 3), (1, 4, 10), 6 * 8 * 4 * 3),
    "three axes": (nn.Conv3d(2, 3, 2), (1, 2, 4, 4, 4), 3 * 27 * 2 * 8),
    "transposed": (nn.ConvTranspose2d(6, 4, 3, stride=2), (1, 6, 5, 5), 6 * 25 * 4 * 9),
    "transposed, groups": (nn.ConvTranspose2d(6, 4, 3, groups=2), (1, 6, 5, 5), 6 * 25 * 2 * 9),
}


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolutions(name: str) -> None:
    module, shape, expected = CONVOLUTIONS[name]
    counted = count_operations(module, (torch.zeros(shape),))
    assert counted.macs == counted.fvcore_macs == expected
    assert counted.activations == module(torch.zeros(shape)).numel()
    assert counted.uncounted == {}


PRODUCTS: Mapping[str, tuple[Callable[..., Any], tuple[tuple[int, ...], ...], int]] = {
    "linear": (nn.Linear(5, 7), ((1, 5),), 35),
    "linear over a sequence": (nn.Linear(5, 7, bias=False), ((1, 4, 5),), 4 * 35),
    "matrix by matrix": (torch.mm, ((3, 4), (4, 5)), 60),
    "matmul, vectors": (torch.matmul, ((4,), (4,)), 4),
    "matmul, vector": (torch.matmul, ((3, 4), (4,)), 12),
    "matmul, broadcast": (torch.matmul, ((1, 2, 3, 4), (4, 5)), 2 * 60),
    "matmul, the other way": (torch.matmul, ((3, 4), (1, 2, 4, 5)), 2 * 60),
    "bmm": (torch.bmm, ((6, 3, 4), (6, 4, 5)), 6 * 60),
    "addmm": (torch.addmm, ((5,), (3, 4), (4, 5)), 60),
    "baddbmm": (torch.baddbmm, ((6, 3, 5), (6, 3, 4), (6, 4, 5)), 6 * 60),
    "addbmm": (torch.addbmm, ((3, 5), (6, 3, 4), (6, 4, 5)), 6 * 60),
    "mv": (torch.mv, ((3, 4), (4,)), 12),
    "dot": (torch.dot, ((4,), (4,)), 4),
    "tensordot": (lambda a, b: torch.tensordot(a, b, 2), ((2, 3, 4), (3, 4, 5)), 2 * 60),
    "einsum": (lambda a, b: torch.einsum("bhqd,bhkd->bhqk", a, b), ((1, 2, 3, 4), (1, 2, 5, 4)), 2 * 60),
    "einsum, outer": (lambda a, b: torch.einsum("bqd,dc->bqc", a, b), ((1, 3, 4), (4, 5)), 60),
    "operator @": (lambda a, b: a @ b.mT, ((1, 3, 4), (1, 5, 4)), 60),
}


@pytest.mark.parametrize("name", PRODUCTS)
def test_matrix_products(name: str) -> None:
    function, shapes, expected = PRODUCTS[name]
    assert macs(function, *shapes) == expected


@pytest.mark.parametrize(("mask", "causal"), [(False, False), (True, False), (False, True)])
def test_attention_counts_both_products_with_or_without_a_mask(mask: bool, causal: bool) -> None:
    def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        extra = torch.zeros(3, 5) if mask else None
        return functional.scaled_dot_product_attention(query, key, value, extra, is_causal=causal)

    def by_hand(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        return (query @ key.mT).softmax(-1) @ value

    inputs = (torch.zeros(1, 2, 3, 4), torch.zeros(1, 2, 5, 4), torch.zeros(1, 2, 5, 6))
    fused, plain = count_operations(Calls(attend), inputs), count_operations(Calls(by_hand), inputs)
    assert fused.macs == plain.macs == 2 * 3 * 5 * (4 + 6)
    assert fused.fvcore_macs == plain.fvcore_macs == fused.macs
    assert fused.activations == plain.activations == 2 * 3 * 5 + 2 * 3 * 6


def test_grouped_queries_count_the_heads_of_the_queries() -> None:
    def attend(query: Tensor, key: Tensor) -> Tensor:
        return functional.scaled_dot_product_attention(query, key, key, enable_gqa=True)

    assert macs(attend, (1, 8, 3, 4), (1, 2, 5, 4)) == 8 * 3 * 5 * (4 + 4)


@pytest.mark.parametrize("weights", [False, True])
def test_multihead_attention_counts_projections_and_products_on_no_fast_path(weights: bool) -> None:
    attention = nn.MultiheadAttention(8, 2, batch_first=True).eval()
    module = Calls(lambda x: attention(x, x, x, need_weights=weights)[0], attention)
    tokens, width = 5, 8
    expected = 4 * tokens * width**2 + 2 * tokens**2 * width
    assert macs(module, (1, tokens, width)) == expected
    assert torch.backends.mha.get_fastpath_enabled()


def test_a_transformer_layer_counts_the_same_in_training_mode_and_in_eval_mode() -> None:
    layer = nn.TransformerEncoderLayer(8, 2, dim_feedforward=16, batch_first=True)
    expected = 4 * 5 * 64 + 2 * 25 * 8 + 2 * 5 * 8 * 16
    assert macs(layer.train(), (1, 5, 8)) == macs(layer.eval(), (1, 5, 8)) == expected


@pytest.mark.parametrize(("kind", "gates"), [(nn.LSTM, 4), (nn.GRU, 3), (nn.RNN, 1)])
@pytest.mark.parametrize("directions", [1, 2])
def test_recurrent_layers(kind: Any, gates: int, directions: int) -> None:
    module = kind(3, 4, num_layers=2, bidirectional=directions == 2, batch_first=True)
    first, second = 4 * (3 + 4), 4 * (4 * directions + 4)
    assert macs(module, (1, 6, 3)) == 6 * directions * gates * (first + second)


NORMS = {
    "batch": (nn.BatchNorm2d(4), 2),
    "batch, not affine": (nn.BatchNorm2d(4, affine=False), 1),
    "layer": (nn.LayerNorm([4, 5, 6]), 5),
    "layer, not affine": (nn.LayerNorm([4, 5, 6], elementwise_affine=False), 4),
    "group": (nn.GroupNorm(2, 4), 5),
    "pool": (nn.AdaptiveAvgPool2d(1), 1),
}


@pytest.mark.parametrize("name", NORMS)
def test_fvcore_counts_norms_per_number_and_the_other_definition_does_not(name: str) -> None:
    module, per_number = NORMS[name]
    counted = count_operations(module, (torch.zeros(1, 4, 5, 6),))
    assert (counted.macs, counted.fvcore_macs) == (0, per_number * 4 * 5 * 6)
    assert counted.uncounted == {}


def test_upsampling_is_counted_as_fvcore_does() -> None:
    for mode, per_number in (("nearest", 1), ("bilinear", 4)):
        module = nn.Upsample(scale_factor=2, mode=mode)
        assert count_operations(module, (torch.zeros(1, 2, 3, 3),)).fvcore_macs == per_number * 2 * 36


def test_an_embedding_has_no_arithmetic_and_views_are_not_listed() -> None:
    module = nn.Sequential(nn.Embedding(10, 4), nn.Flatten(), nn.ReLU(), nn.ReLU())
    counted = count_operations(module, (torch.zeros(1, 3, dtype=torch.long),))
    assert (counted.macs, counted.fvcore_macs, counted.activations) == (0, 0, 0)
    assert counted.uncounted == {"relu": 2}
    assert counted.input == "3"


def test_a_module_that_is_called_twice_counts_twice() -> None:
    linear = nn.Linear(4, 4)
    assert macs(nn.Sequential(linear, linear), (1, 4)) == 32


def test_named_inputs() -> None:
    class Two(nn.Module):
        def forward(self, left: Tensor, right: Tensor) -> Tensor:
            return left @ right

    inputs = {"right": torch.zeros(1, 4, 5), "left": torch.zeros(1, 3, 4)}
    counted = count_operations(Two(), inputs)
    assert (counted.macs, counted.input) == (60, "right 4x5, left 3x4")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_neither_precision_nor_device_matters(dtype: torch.dtype) -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4 * 36, 2))
    expected = count_operations(module, (torch.zeros(1, 3, 8, 8),))
    assert count_operations(module.to(dtype), (torch.zeros(1, 3, 8, 8, dtype=dtype),)) == expected
    image = torch.zeros(1, 3, 8, 8, dtype=dtype, device="meta")
    assert count_operations(module.to("meta"), (image,)) == expected


class Stateful(nn.Module):
    """A module that keeps a table that it computed, and counts its calls in a buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.linear, self.norm = nn.Linear(4, 4), nn.BatchNorm1d(4)
        self.register_buffer("calls", torch.zeros(()))
        self.table: Tensor | None = None
        self.seen: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        if self.table is None:
            self.table = torch.arange(4.0)
        self.calls += 1
        self.seen.append(x)
        out: Tensor = self.norm(self.linear(x)) + self.table
        return out


def test_the_module_is_left_as_it_was() -> None:
    module = Stateful()
    module.norm.eval()
    called: list[int] = []
    handle = module.linear.register_forward_hook(lambda *_: called.append(1))
    before = {name: (tensor, tensor.clone()) for name, tensor in module.state_dict(keep_vars=True).items()}
    count_operations(module, (torch.ones(1, 4),))
    assert module.training
    assert module.linear.training
    assert not module.norm.training
    assert module.table is None
    assert module.seen == []
    for name, tensor in module.state_dict(keep_vars=True).items():
        assert tensor is before[name][0]
        assert torch.equal(tensor, before[name][1])
    called.clear()
    module(torch.ones(2, 4))
    handle.remove()
    module(torch.ones(2, 4))
    assert called == [1]


def plain_net() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(8, 4),
    )  # fmt: skip


@pytest.mark.parametrize("compiler", ["script", "trace", "inside"])
@pytest.mark.filterwarnings("ignore:.torch.jit:FutureWarning", "ignore:.torch.jit:DeprecationWarning")
def test_modules_of_torch_jit_count_the_same_and_hold_no_fakes(compiler: str) -> None:
    image = torch.randn(1, 3, 12, 12)
    plain = plain_net().eval()
    make: Mapping[str, Callable[[], Any]] = {
        "script": lambda: torch.jit.script(plain),
        "trace": lambda: torch.jit.trace(plain, image),
        "inside": lambda: nn.Sequential(nn.Identity(), torch.jit.script(plain)),
    }
    module = make[compiler]().train()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    counted = count_operations(module, (image,))
    assert counted == count_operations(plain, (image,))
    assert counted.macs == 8 * 100 * 27 + 32
    assert all(part.training for part in module.modules())
    for name, tensor in module.state_dict().items():
        assert torch.equal(tensor, before[name])
    assert module(image).shape == (1, 4)


class Restless(nn.Module):
    """A module that changes what it holds in place, and draws; values are asked for or not."""

    def __init__(self, asks: bool) -> None:
        super().__init__()
        self.asks, self.norm = asks, nn.BatchNorm1d(4)
        self.register_buffer("calls", torch.zeros(()))
        self.table, self.tables = torch.ones(4), {"a": [torch.ones(4)]}

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        out: Tensor = x
        self.norm.train()
        self.table.mul_(2)
        self.tables["a"][0].add_(1)
        if self.asks and not x.isfinite().all():
            return out
        out = self.norm(x) + self.table + torch.rand(4)
        return out


@pytest.mark.parametrize("asks", [False, True])
def test_what_is_changed_in_place_and_drawn_is_put_back(asks: bool) -> None:
    module = Restless(asks)
    table, inner = module.table, module.tables["a"][0]
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    drawn = torch.get_rng_state()
    count_operations(module, (torch.randn(2, 4, generator=torch.Generator().manual_seed(0)),))
    assert torch.equal(torch.get_rng_state(), drawn)
    for name, tensor in module.state_dict().items():
        assert torch.equal(tensor, before[name]), name
    assert module.table is table
    assert module.tables["a"][0] is inner
    assert torch.equal(table, torch.ones(4))
    assert torch.equal(inner, torch.ones(4))


def test_a_forward_pass_that_asks_for_values_is_run_in_earnest() -> None:
    linear = nn.Linear(4, 4)

    def forward(x: Tensor) -> Tensor:
        return linear(linear(x)) if float(x.sum()) > 0 else linear(x)

    module = Calls(forward, linear)
    assert count_operations(module, (torch.ones(1, 4),)).macs == 32
    assert count_operations(module, (-torch.ones(1, 4),)).macs == 16


def test_a_forward_pass_that_fails_is_one_line() -> None:
    with pytest.raises(ModelError, match="operations of Linear cannot be counted: RuntimeError") as caught:
        count_operations(nn.Linear(4, 4), (torch.ones(1, 5),))
    assert "\n" not in str(caught.value)


def test_what_is_large_costs_no_memory() -> None:
    with torch.device("meta"):
        module = nn.Sequential(*(nn.Linear(100_000, 100_000) for _ in range(10)))
    assert count_operations(module, (torch.zeros(1, 100_000, device="meta"),)).macs == 10**11


def test_weight_bytes_count_buffers_and_shared_storage_once() -> None:
    first, second = nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False)
    assert weight_bytes(first) == 64
    second.weight = first.weight
    assert weight_bytes(nn.Sequential(first, second)) == 64
    assert weight_bytes(first.half()) == 32
    assert weight_bytes(nn.BatchNorm1d(3)) == 4 * 3 * 4 + 8
    assert weight_bytes(nn.Linear(4, 4, device="meta")) == 80
