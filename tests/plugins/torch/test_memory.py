"""Memory that is short: batches are halved, every example is computed once, and what fails says why."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from tests.plugins.torch.toys import fit, learner, model, task, toy  # noqa: E402
from torch import nn  # noqa: E402

from ptbench import Examples, ModelError, Split  # noqa: E402
from ptbench_torch.batching import Batching, Index  # noqa: E402
from ptbench_torch.collect import collect  # noqa: E402
from ptbench_torch.goals import Labels  # noqa: E402
from ptbench_torch.memory import OutOfMemory, needed, out_of_memory  # noqa: E402
from ptbench_torch.network import Head, Network  # noqa: E402
from ptbench_torch.optimising import Optimiser  # noqa: E402
from ptbench_torch.recipe import Recipe  # noqa: E402
from ptbench_torch.stepping import step_batching  # noqa: E402
from ptbench_torch.training import Kept, Rows, train_epoch  # noqa: E402

LENGTHS = st.lists(st.integers(0, 40), max_size=60)
CUDA = (
    "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 79.20 GiB of which "
    "1.81 GiB is free."
)
ALLOCATOR = (
    "[enforce fail at alloc_cpu.cpp:124] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to "
    "allocate 3221225472 bytes. Error code 12 (Cannot allocate memory)"
)
Raised = Callable[[], BaseException]
ERRORS: list[Raised] = [
    lambda: torch.OutOfMemoryError(CUDA),
    lambda: RuntimeError(ALLOCATOR),
    lambda: MemoryError("Unable to allocate 7.28 TiB for an array"),
]


class Holding:
    """Takes so many padded units at once, and remembers which rows it has seen through."""

    def __init__(self, lengths: list[int], capacity: int, error: Raised = ERRORS[0]) -> None:
        self.lengths = np.maximum(np.array(lengths, np.int64), 1)
        self.capacity, self.error = capacity, error
        self.seen: Counter[int] = Counter()

    def __call__(self, rows: Index) -> torch.Tensor:
        if len(rows) * self.lengths[rows].max() > self.capacity:
            raise self.error()
        self.seen.update(set(rows.tolist()))
        return torch.from_numpy(np.stack([rows, self.lengths[rows]], axis=1)).float()


@given(LENGTHS, st.integers(1, 400), st.integers(40, 400), st.booleans(), st.booleans())
def test_rows_are_those_of_a_machine_with_enough_memory_and_each_is_computed_once(
    lengths: list[int], asked: int, capacity: int, canonical: bool, even: bool
) -> None:
    batching = Batching("tokens", asked, even=even, canonical=canonical)
    step = Holding(lengths, capacity)
    result = collect(batching.cut(lengths), step, batching=batching, width=2)
    assert result.tolist() == [[i, max(length, 1)] for i, length in enumerate(lengths)]
    assert step.seen == Counter(range(len(lengths)))
    assert batching.used in {asked >> k for k in range(10)}


@pytest.mark.parametrize("error", ERRORS)
def test_the_batch_that_was_used_is_told(error: Raised) -> None:
    batching = Batching("tokens", 1024)
    for _ in range(2):  # what was learnt stays
        collect(batching.cut([16] * 100), Holding([16] * 100, 300, error), batching=batching, width=2)
    assert batching.facts() == {"unit": "tokens", "asked": 1024, "used": 256}
    assert batching.notes() == ("out of memory with batches of 1,024 tokens: 256 were used",)
    assert batching.counts() == {"batch halved": 2}


def test_without_a_shortage_there_is_nothing_to_note() -> None:
    batching = Batching("images", 8)
    collect(batching.cut([1] * 20), Holding([1] * 20, 8), batching=batching, width=2)
    assert (batching.notes(), batching.counts()) == ((), {})
    assert batching.facts() == {"unit": "images", "asked": 8, "used": 8}


@pytest.mark.parametrize(
    ("error", "amount"), [(ERRORS[0], "2.0 GiB"), (ERRORS[1], "3.0 GiB"), (ERRORS[2], "7454.7 GiB")]
)
def test_one_example_that_does_not_fit_says_how_much_was_needed(error: Raised, amount: str) -> None:
    batching = Batching("tokens", 1024)
    with pytest.raises(OutOfMemory) as caught:
        collect(batching.cut([512, 512, 8]), Holding([512, 512, 8], 500, error), batching=batching, width=2)
    said = str(caught.value)
    assert said.startswith(f"needed {amount} for a batch of 1 text of 512 tokens; ")
    assert "were held by this process" in said
    assert isinstance(caught.value, ModelError)
    assert isinstance(caught.value, MemoryError)
    assert "\n" not in said


def test_what_held_a_gpu_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    gib = 2**30
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (int(1.8 * gib), int(79.2 * gib)))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: int(76.3 * gib))
    emptied: list[str] = []
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: emptied.append("once"))
    batching = Batching("images", 2, torch.device("cuda:0"))
    with pytest.raises(OutOfMemory) as caught:
        collect(batching.cut([1, 1]), Holding([1, 1], 0), batching=batching, width=2)
    assert str(caught.value) == (
        "needed 2.0 GiB for a batch of 1 image; 76.3 of 79.2 GiB of cuda:0 were held by this process, 1.1 by "
        "others and the driver"
    )
    assert emptied == ["once"], "before the halves are tried, and not for nothing"


def test_other_errors_are_not_taken_for_it() -> None:
    def step(rows: Index) -> torch.Tensor:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    batching = Batching("tokens", 64)
    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        collect(batching.cut([3] * 10), step, batching=batching, width=2)
    assert batching.used == 64
    assert not out_of_memory(ValueError("can't allocate memory"))
    assert out_of_memory(RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"))
    assert needed(RuntimeError("std::bad_alloc")) == ""


def test_what_failed_is_let_go_before_the_halves_are_tried() -> None:
    import weakref

    alive: list[weakref.ref[torch.Tensor]] = []

    def step(rows: Index) -> torch.Tensor:
        assert all(ref() is None for ref in alive)
        activations = torch.ones(len(rows), 2)
        if len(rows) > 1:
            alive.append(weakref.ref(activations))
            raise torch.OutOfMemoryError(CUDA)
        return activations.clone()

    batching = Batching("images", 4)
    collect(batching.cut([1] * 4), step, batching=batching, width=2)
    assert len(alive) == 2


class Full(nn.Module):
    """Runs out of memory above so many rows, in the forward pass or only on the way back."""

    def __init__(self, module: nn.Module, capacity: int, *, backward: bool) -> None:
        super().__init__()
        self.module, self.capacity, self.backward = module, capacity, backward
        self.failures = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.module(x)
        if len(x) > self.capacity:
            if not self.backward:
                self._fail()
            out.register_hook(self._fail)
        return out

    def _fail(self, *gradients: torch.Tensor) -> None:
        self.failures += 1
        raise torch.OutOfMemoryError(CUDA)


GOAL = Labels(3)


def vectors(n: int) -> Rows:
    draw = np.random.default_rng(1)
    x = draw.normal(size=(n, 4)).astype(np.float32)
    split = Split(Examples([str(i) for i in range(n)], {"x": x}), draw.integers(0, 3, n))
    return Rows.of(split, Kept(torch.from_numpy(x)), GOAL, torch.device("cpu"), 0)


def deep() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3))


def trained(module: nn.Module, n: int, **options: object) -> tuple[float, Batching]:
    recipe = Recipe.of({"clip": 0.5, **options})
    data = vectors(n)
    batching = step_batching(module, recipe, torch.device("cpu"))
    optimiser = Optimiser(module, recipe, 1e-2, None)
    return train_epoch(module, data, GOAL, optimiser, recipe, 0, 1, batching), batching


@pytest.mark.parametrize("backward", [False, True])
@pytest.mark.parametrize(("capacity", "used"), [(16, 16), (5, 4), (1, 1)])
def test_a_step_that_does_not_fit_has_the_same_gradient_in_smaller_batches(
    capacity: int, used: int, backward: bool
) -> None:
    plain, full = deep(), Full(deep(), capacity, backward=backward)
    loss, _ = trained(plain, 70)
    lowered, batching = trained(full, 70)
    assert batching.facts() == {"unit": "training examples", "asked": 32, "used": used}
    assert batching.notes() == (f"out of memory with batches of 32 training examples: {used} were used",)
    assert full.failures == {16: 1, 4: 3, 1: 5}[used], "only the first step meets it"
    np.testing.assert_allclose(lowered, loss, rtol=1e-6)
    for ours, theirs in zip(full.module.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)


class Second(nn.Module):
    """Runs out of memory once, in its second batch."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module, self.calls = module, 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.module(x)
        self.calls += 1
        if self.calls == 2:
            raise torch.OutOfMemoryError(CUDA)
        return out


def test_nothing_is_left_of_a_step_that_failed_halfway() -> None:
    """The gradient of its first batch, what dropout drew, and what batch norm saw."""

    def noisy() -> nn.Module:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.3), nn.Linear(8, 3))

    halves, broken = noisy(), Second(noisy())
    torch.manual_seed(3)
    loss, _ = trained(halves, 32, batch_size=8, accumulate=4)
    torch.manual_seed(3)
    lowered, batching = trained(broken, 32, batch_size=16, accumulate=2)
    assert (broken.calls, batching.used) == (2 + 4, 8)
    assert lowered == loss
    for name, tensor in broken.module.state_dict().items():
        assert torch.equal(tensor, halves.state_dict()[name]), name


def test_batch_norm_is_never_given_one_row() -> None:
    network = Network(learner(toy()), Head(16, 3, 0.1), None)
    assert step_batching(network, Recipe.of({}), torch.device("cpu")).least == 2
    assert step_batching(network, Recipe.of({"batch_norm": "keep"}), torch.device("cpu")).least == 1
    module = Full(nn.Sequential(nn.BatchNorm1d(4), nn.Linear(4, 3)), 1, backward=False)
    with pytest.raises(OutOfMemory, match=r"^needed 2\.0 GiB for a training step with 2 examples at once; "):
        trained(module, 70)


def test_a_fine_tuned_model_tells_what_went_through_at_once() -> None:
    plain = fit(
        model(toy(dropout=0.0)), task(), rates=[1e-2], epochs=2, head_epochs=2, dropout=0.0, batch_norm="keep"
    )
    tight = model(toy(dropout=0.0))
    tight.learner.backbone.layers.register_forward_pre_hook(crowded(10))  # type: ignore[union-attr]
    tuned = fit(tight, task(), rates=[1e-2], epochs=2, head_epochs=2, dropout=0.0, batch_norm="keep")
    assert tuned.facts.extra["batch"] == {"unit": "training examples", "asked": 32, "used": 8}
    assert "out of memory with batches of 32 training examples: 8 were used" in tuned.facts.notes
    assert "out of memory with batches of 1,024 examples: 8 were used" in tight.facts.notes
    assert tight.facts.counts["batch halved"] > 0
    test = task().split("test").examples
    np.testing.assert_allclose(tuned.predict(test)["scores"], plain.predict(test)["scores"], atol=1e-4)


def crowded(capacity: int) -> Callable[[nn.Module, tuple[torch.Tensor]], None]:
    def check(module: nn.Module, inputs: tuple[torch.Tensor]) -> None:
        if len(inputs[0]) > capacity:
            raise RuntimeError(ALLOCATOR)

    return check


SHORT = """
import resource, sys
import numpy as np, torch
from ptbench_torch.batching import Batching
from ptbench_torch.collect import collect
from ptbench_torch.memory import OutOfMemory

torch.set_num_threads(1)
held = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (held + 600 * 2**20, resource.RLIM_INFINITY))
wide = 2**22  # 16 MiB a row

def step(rows):
    return torch.ones(len(rows), wide).mul_(torch.from_numpy(rows)[:, None]).mean(1, keepdim=True)

batching = Batching("images", 256)
result = collect(batching.cut([1] * 300), step, batching=batching, width=1)
assert (result[:, 0] == np.arange(300)).all(), result
print(batching.facts(), batching.notes())
wide = 2**29
try:
    collect(batching.cut([1]), step, batching=batching, width=1)
except OutOfMemory as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits of the address space are those of Linux")
def test_a_process_that_may_have_no_more_memory_goes_on_with_less() -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", SHORT], capture_output=True, text=True, timeout=120, check=False,
        env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told, failed = done.stdout.splitlines()
    assert told.startswith("{'unit': 'images', 'asked': 256, 'used': ")
    assert "out of memory with batches of 256 images: " in told
    assert failed.startswith("needed 2.0 GiB for a batch of 1 image; ")
