"""What a model costs to run, measured: plain data that a provider fills, and the rules of honest numbers.

Everything here is arithmetic on samples; the passes themselves run where the framework is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Protocol as Interface
from typing import runtime_checkable

from ptbench.errors import UsageError, nearest
from ptbench.meter import peak_memory_mb, reset_peak_memory
from ptbench.model import Model, Operations

PRECISION_STEPS: Mapping[str, str] = {
    "fp32": "weights and activations in float32",
    "bf16": "weights and activations in bfloat16",
    "fp16": "weights and activations in float16",
}
STEPS: Mapping[str, str] = {
    **PRECISION_STEPS,
    "channels_last": "the numbers of one pixel side by side in memory (convolutions only)",
    "int8": "weights of Linear layers in int8, activations quantised as they come (dynamic, CPU only)",
    "compile": "torch.compile, its disk cache off: the first call compiles",
}
"""The steps of a variant; ``+`` joins them: ``bf16+compile``."""


def _nobody(profile: Profile) -> None:
    """Nobody waits for single profiles."""


@dataclass(frozen=True, slots=True)
class ProfileRequest:
    """What is to be measured. Device and precision came with the `Settings` that loaded the model."""

    variants: tuple[str, ...] = ("fp32",)
    batch_sizes: tuple[int, ...] = (1, 8, 32)
    """Examples in a batch, ascending."""
    seconds: float = 3.0
    """Wall-clock budget of each timed window."""
    inputs: int = 64
    """Seeded random inputs that a variant's outputs are compared on."""
    seed: int = 0
    done: Callable[[Profile], None] = field(default=_nobody, compare=False, repr=False)
    """Takes each profile as soon as it is finished, so that an interruption loses only the one at work."""


@dataclass(frozen=True, slots=True)
class Latency:
    """Seconds of one call at batch 1, inputs on the device, synchronised; None: too few samples."""

    first: float
    """The first call of a freshly loaded module, compilation included."""
    n: int
    """Calls of the steady pass, after its warm-up; the quantiles are of these."""
    p50: float | None
    p90: float | None
    p99: float | None

    @classmethod
    def of(cls, first: float, samples: Sequence[float]) -> Latency:
        """Return the quantiles that so many samples can tell."""
        p50, p90, p99 = (quantile(samples, p) for p in (0.50, 0.90, 0.99))
        return cls(first, len(samples), p50, p90, p99)


@dataclass(frozen=True, slots=True)
class Throughput:
    """All examples of one timed window by all of its seconds: not a mean of ratios."""

    batch_size: int
    examples: int
    seconds: float

    @property
    def examples_per_s(self) -> float:
        """Examples per second."""
        return self.examples / self.seconds


@dataclass(frozen=True, slots=True)
class Fidelity:
    """How far a variant is from the float32 contiguous eager model, on the same seeded inputs."""

    inputs: int
    flipped: float | None
    """Share of inputs whose highest score is another label; None for a model without labels."""
    max_error: float
    """Largest absolute difference of any output number."""


@dataclass(frozen=True, slots=True)
class Profile:
    """What one variant of a model costs on one device. None: not measured here."""

    variant: str
    device: str
    precision: str
    """``fp32``, ``bf16``, ``fp16`` or ``int8``."""
    reason: str = ""
    """Why it cannot run; empty where it was measured."""
    input: str = ""
    """One example: ``128 tokens``, ``3x224x224``."""
    threads: int | None = None
    """Threads of the CPU; None on another device."""
    parameters: int | None = None
    operations: Operations | None = None
    """Of the float32 model for one example: a variant computes the same, otherwise."""
    weight_bytes: int | None = None
    load_seconds: float | None = None
    """Building the module, reading its weights, moving them to the device."""
    prepare_seconds: float | None = None
    """Making the variant of the loaded module: another layout, quantisation."""
    latency: Latency | None = None
    throughputs: tuple[Throughput, ...] = ()
    peak_memory_mb: float | None = None
    """MiB: what the allocator held at once (CUDA), or resident memory of the whole process (CPU)."""
    peak_memory_batch: int | None = None
    """Examples in the batch that memory was measured with: the largest that ran."""
    fidelity: Fidelity | None = None
    notes: tuple[str, ...] = ()

    @property
    def best(self) -> Throughput | None:
        """The highest throughput; None where none was measured."""
        return max(self.throughputs, key=lambda t: t.examples_per_s, default=None)


@runtime_checkable
class Profilable(Model, Interface):
    """A model that can be measured."""

    def profile(self, request: ProfileRequest) -> Sequence[Profile]:
        """Return one profile per variant, in their order; one that cannot run has a reason."""


def check_variants(names: Sequence[str]) -> None:
    """Raise `UsageError` for a variant with an unknown step, two precisions, or a step twice."""
    for name in names:
        steps = name.split("+")
        for step in steps:
            if step not in STEPS:
                hint = nearest(step.lower(), STEPS)
                raise UsageError(f"variant '{name}': there is no step '{step}'; {hint}")
        if len(set(steps)) < len(steps):
            raise UsageError(f"variant '{name}': a step is there twice")
        if len({*PRECISION_STEPS, "int8"} & set(steps)) > 1:
            raise UsageError(f"variant '{name}': a model runs in one precision")


def samples_needed(p: float) -> int:
    """Return how many samples a p-quantile needs before it is shown: 11, 64 and 662 for p50, p90, p99.

    So many that with 99 % confidence at least two samples lie beyond it, whatever the distribution:
    1 - n p^(n-1) + (n-1) p^n >= 0.99 (Wilks 1941, Ann. Math. Stat. 12:91; Conover, Practical
    Nonparametric Statistics, 3rd ed., table A6). Its 95 % interval from order statistics then lies
    within the sample (which 36 and 368 samples would do for p90 and p99) and does not end at the maximum.

    >>> [samples_needed(p) for p in (0.50, 0.90, 0.99)]
    [11, 64, 662]
    """
    return next(n for n in count(2) if 1 - n * p ** (n - 1) + (n - 1) * p**n >= 0.99)


def quantile(samples: Sequence[float], p: float) -> float | None:
    """Return the smallest sample that a share p of the samples does not exceed; None for too few."""
    if len(samples) < samples_needed(p):
        return None
    return sorted(samples)[math.ceil(p * len(samples) - 1e-9) - 1]


def resident_peak_mb(call: Callable[[], object]) -> float | None:
    """Run a call and return the peak of the process's resident memory meanwhile, MiB; None off Linux."""
    known = reset_peak_memory()
    call()
    return peak_memory_mb() if known else None


def break_even_calls(compiled: Profile, profiles: Sequence[Profile]) -> float | None:
    """Return after how many calls at batch 1 compiling has paid; infinity: never, None: not known.

    The longer first call by what each later call saves, against the same variant without ``compile``.
    """
    steps = _steps(compiled)
    if "compile" not in steps:
        return None
    plain = steps - {"compile"}
    other = next((p for p in profiles if _steps(p) == plain and p.device == compiled.device), None)
    ours, theirs = compiled.latency, other.latency if other else None
    if not (ours and theirs and ours.p50 and theirs.p50):
        return None
    saved = theirs.p50 - ours.p50
    return max(ours.first - theirs.first, 0.0) / saved if saved > 0 else float("inf")


def _steps(profile: Profile) -> set[str]:
    """Return the steps of a variant; one that names no precision runs in the model's."""
    steps = set(profile.variant.split("+"))
    return steps if steps & {*PRECISION_STEPS, "int8"} else steps | {profile.precision}
