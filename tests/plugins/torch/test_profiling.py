"""The passes and the variants: what is measured, with known answers; never how long it took."""

from __future__ import annotations

import functools
import math
import statistics
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

from ptbench import ModelError, Profile, ProfileRequest, Settings  # noqa: E402
from ptbench_torch import passes, profiling, variants  # noqa: E402
from ptbench_torch.profiling import Subject, compare, profile_module  # noqa: E402
from ptbench_torch.variants import Variant, bytes_of  # noqa: E402

CPU = torch.device("cpu")
QUICK = ProfileRequest(batch_sizes=(1, 4), seconds=0.01, inputs=12)


class Powers(nn.Module):
    """Numbers that every precision holds: bf16 changes nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 3, bias=False)
        with torch.no_grad():
            self.linear.weight.copy_(torch.tensor([[1.0, 0, 0, 0], [0, 2.0, 0, 0], [0, 0, 4.0, 0]]))

    def forward(self, x: Any) -> Any:
        return self.linear(x)


class Pixels(nn.Module):
    """A convolution and a Linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.linear = nn.Conv2d(3, 4, 3), nn.Linear(4, 2)

    def forward(self, x: Any) -> Any:
        return self.linear(self.conv(x).mean((2, 3)))


def ones_and_zeros(n: int, generator: Any) -> Any:
    return (torch.randint(0, 2, (n, 4), generator=generator).float(),)


def images(n: int, generator: Any) -> Any:
    return (torch.randn(n, 3, 6, 6, generator=generator),)


def subject(build: Callable[[], Any] = Powers, make: Any = ones_and_zeros, labels: bool = True) -> Subject:
    def load(dtype: Any) -> Any:
        torch.manual_seed(0)
        return build().eval().to(dtype)

    return Subject(load, make, labels=labels, input="4")


def profiles(
    *names: str, build: Any = Powers, make: Any = ones_and_zeros, request: ProfileRequest = QUICK, **more: Any
) -> list[Profile]:
    settings = Settings(device="cpu", precision=more.pop("precision", "fp32"))
    return profile_module(subject(build, make, **more), settings, replace(request, variants=names))


def test_a_profile_has_everything() -> None:
    (one,) = profiles("fp32")
    assert (one.variant, one.device, one.precision, one.reason) == ("fp32", "cpu", "fp32", "")
    assert one.threads == torch.get_num_threads()
    assert one.parameters == 12
    assert one.operations is not None
    assert one.operations.macs == 12
    assert one.weight_bytes == 48
    assert one.latency is not None
    assert one.latency.n >= 11
    assert one.latency.p50 is not None
    assert [t.batch_size for t in one.throughputs] == [1, 4]
    assert all(t.examples % t.batch_size == 0 and t.examples >= t.batch_size for t in one.throughputs)
    assert one.best in one.throughputs
    assert one.peak_memory_batch == 4
    assert one.fidelity is not None
    assert (one.fidelity.inputs, one.fidelity.flipped, one.fidelity.max_error) == (12, 0.0, 0.0)


def test_every_pass_is_taken_once_and_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[str] = []

    def noting(name: str) -> None:
        real = getattr(profiling, name)
        monkeypatch.setattr(profiling, name, lambda *a, **k: (taken.append(name), real(*a, **k))[1])

    for name in ("count_operations", "timed", "compare", "latencies", "throughput", "peak_memory_mb"):
        noting(name)
    profiles("fp32")
    load, prepare, first = ["timed"] * 3
    assert taken == [
        "count_operations", load, prepare, first, "compare", "latencies", *["throughput"] * 2,
        "peak_memory_mb",
    ]  # fmt: skip


def test_warm_up_is_outside_of_the_window(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    slow = 5.0  # the first call compiles, say

    def clock() -> float:
        return now

    def call() -> None:
        nonlocal now, slow
        now += slow
        slow = 1.0

    monkeypatch.setattr(passes.time, "perf_counter", clock)
    assert passes.latencies(call, CPU, seconds=20.0) == [1.0] * 20
    slow = 5.0
    result = passes.throughput(call, 8, CPU, seconds=20.0)
    assert (result.examples, result.seconds, result.examples_per_s) == (160, 20.0, 8.0)


def test_a_window_goes_by_the_median_call_and_ends_at_twice_its_budget(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 0.0
    costs = [2.0, 0.01, 2.0]

    def call() -> None:
        nonlocal now
        now += costs.pop(0) if costs else 2.0

    monkeypatch.setattr(passes.time, "perf_counter", lambda: now)
    assert statistics.median(costs) == 2.0
    assert passes.throughput(call, 1, CPU, seconds=10.0).examples == 5
    costs[:] = [1.0, 1.0, 1.0]  # and slow afterwards: 10 calls would take 100 s
    monkeypatch.setattr(passes, "WARM_UP_SHARE", 0.0)
    costs += [10.0] * 10
    result = passes.throughput(call, 1, CPU, seconds=10.0)
    assert (result.examples, result.seconds) == (3, 30.0)


def test_a_window_holds_at_least_what_a_median_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter(range(10**6))
    monkeypatch.setattr(passes.time, "perf_counter", lambda: float(next(now)))
    assert len(passes.latencies(lambda: None, CPU, seconds=0.5)) == passes.LEAST_CALLS
    assert passes.throughput(lambda: None, 2, CPU, seconds=0.5).examples == 2


def test_bf16_of_numbers_that_it_holds_changes_nothing() -> None:
    (row,) = profiles("bf16")
    assert row.precision == "bf16"
    assert row.weight_bytes == 24
    assert row.fidelity is not None
    assert (row.fidelity.flipped, row.fidelity.max_error) == (0.0, 0.0)


def test_the_models_precision_is_that_of_variants_that_name_none() -> None:
    rows = profiles("bf16", "channels_last", "fp32", precision="bf16", build=Pixels, make=images)
    assert [(row.precision, row.reason) for row in rows] == [("bf16", ""), ("bf16", ""), ("fp32", "")]
    errors = [row.fidelity.max_error for row in rows if row.fidelity]
    assert errors[0] > 0
    assert errors[2] == 0, "the reference is float32, whatever the precision of the model"


def test_channels_last_reaches_weights_and_inputs() -> None:
    variant = Variant.read("channels_last", CPU, "fp32")
    (pixels,) = variant.inputs(images(2, torch.Generator()))
    assert pixels.is_contiguous(memory_format=torch.channels_last)
    module = variant.prepare(Pixels())
    assert module.conv.weight.is_contiguous(memory_format=torch.channels_last)


def test_int8_quantises_linear_layers_and_says_how_large_it_is() -> None:
    (row,) = profiles("int8", build=Pixels, make=images)
    assert row.reason == ""
    assert row.precision == "int8"
    conv, bias, linear, linear_bias = 3 * 4 * 9 * 4, 4 * 4, 4 * 2 * 1, 2 * 4
    assert row.weight_bytes == conv + bias + linear + linear_bias
    assert row.fidelity is not None
    assert 0 < row.fidelity.max_error < 0.1


@pytest.mark.parametrize(
    ("name", "build", "make", "reason"),
    [
        ("int8", lambda: nn.Sequential(nn.Flatten(), nn.Softmax(1)), images, "the model has no Linear layer"),
        ("channels_last", Powers, ones_and_zeros, "the model has no 2-d convolution"),
    ],
)
def test_a_variant_without_effect_is_a_row_with_its_reason(
    name: str, build: Any, make: Any, reason: str
) -> None:
    row, after = profiles(name, "fp32", build=build, make=make)
    assert reason in row.reason
    assert row.latency is None
    assert row.throughputs == ()
    assert row.parameters is not None, "what is known of the model stands there all the same"
    assert after.reason == ""


def test_a_device_that_cannot(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ModelError, match="int8 runs on the CPU only"):
        Variant.read("int8", torch.device("cuda:0"), "fp32")
    with pytest.raises(ModelError, match="'cuda:7' is not there"):
        profile_module(subject(), Settings(device="cuda:7"), QUICK)


def test_compile_is_in_the_first_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(variants, "COMPILER", "eager")  # dynamo alone: no compiler of C++ is needed
    (row,) = profiles("bf16+compile")
    assert (row.reason, row.precision) == ("", "bf16")
    assert row.latency is not None
    assert row.latency.p50 is not None
    assert row.latency.first > row.latency.p50


def test_a_compiler_that_fails_costs_its_row_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(module: Any, inputs: Any) -> None:
        raise RuntimeError("no compiler\nfor you")

    monkeypatch.setattr(variants, "COMPILER", broken)
    row, after = profiles("compile", "fp32")
    assert "no compiler for you" in row.reason
    assert "\n" not in row.reason
    assert after.reason == ""


class Hungry(Powers):
    """Holds no batch of more than two."""

    limit = 2

    def forward(self, x: Any) -> Any:
        if len(x) > self.limit:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return super().forward(x)


def test_memory_that_fails_ends_the_growth_of_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profiling, "FIDELITY_BATCH", 2)
    (row,) = profiles("fp32", build=Hungry, request=replace(QUICK, batch_sizes=(1, 2, 4, 8)))
    assert row.reason == ""
    assert [t.batch_size for t in row.throughputs] == [1, 2]
    assert row.peak_memory_batch == 2
    assert "batch 4 ran out of memory; no larger one was tried" in row.notes


def test_memory_that_fails_at_once_is_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Variant, "prepare", lambda self, module: (_ for _ in ()).throw(MemoryError()))
    (row,) = profiles("fp32")
    assert row.reason == "out of memory at batch 1"


def test_operations_that_cannot_be_counted_are_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(module: Any, inputs: Any) -> None:
        raise ModelError("odd operator")

    monkeypatch.setattr(profiling, "count_operations", fails)
    (row,) = profiles("fp32")
    assert row.operations is None
    assert row.notes == ("operations were not counted: odd operator",)
    assert row.latency is not None


def test_fidelity_of_known_outputs() -> None:
    expected = torch.tensor([[0.0, 1.0], [1.0, 0.0], [3.0, 2.0], [0.0, 5.0]])
    outputs = torch.tensor([[0.0, 1.0], [0.0, 1.5], [3.0, 2.0], [0.0, 5.0]])
    found = compare(outputs, expected, labels=True)
    assert (found.inputs, found.flipped, found.max_error) == (4, 0.25, 1.5)
    assert compare(outputs, expected, labels=False).flipped is None
    outputs[0, 0] = math.nan
    found = compare(outputs, expected, labels=True)
    assert math.isnan(found.max_error)
    assert found.flipped is None
    one_label = torch.tensor([[0.0, 1.0], [0.5, 1.0]])
    assert compare(one_label, one_label, labels=True).flipped is None


def shifted(shift: list[float]) -> Callable[[], nn.Module]:
    class Shifted(Powers):
        def forward(self, x: Any) -> Any:
            return super().forward(x) + torch.tensor(shift, dtype=x.dtype)

    return Shifted


@pytest.mark.parametrize(
    ("shift", "note", "flips"),
    [
        ([100.0, 0, 0], "all random inputs get one label: flips tell nothing", None),
        ([0, 0, -100.0], "all random inputs get one of 2 labels, of 3: flips tell little", 0.0),
        ([math.nan, 0, 0], "outputs in float32 are not finite: flips and error tell nothing", None),
    ],
)
def test_flips_that_tell_nothing_are_empty(shift: list[float], note: str, flips: float | None) -> None:
    (row,) = profiles("bf16", build=shifted(shift))
    assert row.notes == (note,)
    assert row.fidelity is not None
    assert row.fidelity.flipped == flips


def test_a_precision_that_overflows_is_noted() -> None:
    class Large(Powers):
        def forward(self, x: Any) -> Any:
            return super().forward(x) * 60_000

    (row,) = profiles("fp16", build=Large)
    assert row.notes == ("outputs in fp16 are not finite: flips tell nothing",)
    assert row.fidelity is not None
    assert row.fidelity.flipped is None


@pytest.mark.parametrize(
    ("output", "told"),
    [
        (lambda x: (x, x), "gives a tuple; one tensor"),
        (lambda x: x[:, 0], r"gives a tensor \[8\] for 8 inputs"),
        (lambda x: x[:1], r"gives a tensor \[1, 3\] for 8 inputs"),
    ],
)
def test_an_output_that_is_no_table_of_numbers(output: Any, told: str) -> None:
    class Other(Powers):
        def forward(self, x: Any) -> Any:
            return output(super().forward(x))

    with pytest.raises(ModelError, match=told):
        profiles("fp32", build=Other)


def test_a_cache_of_everybody_holds_no_fakes() -> None:
    @functools.lru_cache
    def table(n: int) -> Any:
        return torch.arange(float(n))

    class Cached(Powers):
        def forward(self, x: Any) -> Any:
            return super().forward(x) + table(3)

    (row,) = profiles("fp32", build=Cached)
    assert row.reason == ""
    assert type(table(3)) is torch.Tensor


def test_each_profile_is_told_when_it_is_finished() -> None:
    told: list[Profile] = []
    measured = profiles("fp32", "int8", request=replace(QUICK, done=told.append))
    assert told == measured


class Nothing(Powers):
    """A head that starts at zero, as torchvision's ViT with random weights."""

    def forward(self, x: Any) -> Any:
        return super().forward(x) * 0


def test_fidelity_of_a_constant_is_called_empty() -> None:
    (row,) = profiles("bf16", build=Nothing)
    assert row.notes == ("every input gives the same output: flips and error tell nothing",)


def test_inputs_are_the_same_for_every_variant_and_run() -> None:
    seen: list[list[float]] = []

    def make(n: int, generator: Any) -> Any:
        (x,) = ones_and_zeros(n, generator)
        seen.append(x.flatten().tolist())
        return (x,)

    profiles("fp32", make=make)
    first = list(seen)
    seen.clear()
    profiles("fp32", make=make)
    assert seen == first
    assert first[1] != first[2], "the inputs that fidelity is measured on differ from batch to batch"


def test_a_module_may_take_inputs_by_name_and_shares_nothing() -> None:
    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Embedding(10, 4)

        def forward(self, ids: Any) -> Any:
            return self.table(ids).mean(1)

    (row,) = profiles("bf16", build=Named, labels=False, make=lambda n, g: {
        "ids": torch.randint(10, (n, 5), generator=g)
    })  # fmt: skip
    assert row.reason == ""
    assert row.fidelity is not None
    assert row.fidelity.flipped is None


def test_bytes_of_a_plain_module() -> None:
    assert bytes_of(nn.Linear(3, 2)) == 32
