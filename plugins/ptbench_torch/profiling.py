"""What a model costs: each number from a pass of its own, the same code on every device.

First comes the float32 contiguous eager model: it gives parameters, operations and the outputs that
fidelity is against. Then, per variant, on a module that is loaded for it alone: loading, making the
variant, first call, fidelity, latency, throughput per batch, memory. Inputs lie on the device: it is the
model alone that is measured, without decoding, tokenising and transfer.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from ptbench import Fidelity, Latency, ModelError, Operations, Profile, ProfileRequest, Settings, Throughput
from ptbench_torch.device import find_device
from ptbench_torch.memory import out_of_memory
from ptbench_torch.operations import Inputs, count_operations
from ptbench_torch.parameters import count_parameters
from ptbench_torch.passes import free, latencies, peak_memory_mb, throughput, timed
from ptbench_torch.precision import chosen_precision
from ptbench_torch.variants import Variant, bytes_of, forget_compiled

FIDELITY_BATCH = 8


@dataclass(frozen=True, slots=True)
class Subject:
    """A model as the passes see it."""

    load: Callable[[torch.dtype], nn.Module]
    """Build it afresh in ``eval`` mode with its weights in this dtype. Called with
    the inputs it returns one Tensor[n, width]. Nobody else may hold the module: a variant changes
    it, and its memory is measured."""
    make_inputs: Callable[[int, torch.Generator], Inputs]
    """Make the inputs of n examples on the CPU from the generator: a tuple of tensors, or tensors by the
    names of the arguments; real numbers in float32."""
    labels: bool
    """Whether a row of the output scores labels, so that its highest number is the prediction."""
    input: str = ""
    """One example, for people: ``128 tokens``, ``3x224x224``."""


def profile_module(subject: Subject, settings: Settings, request: ProfileRequest) -> list[Profile]:
    """Return one profile per variant; one that cannot run, or fails, has its reason, the others go on.

    ``request.done`` is told each of them at once. Raises `ModelError` for a device that is not there and
    for an output that is no Tensor[n, width], and whatever loading in float32 raises.
    """
    device = find_device(settings.device)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what a compiler remarks on a model is no part of its cost
        known, outputs = _refer(subject, device, request)
        measured: list[Profile] = []
        for name in request.variants:
            precision = chosen_precision(settings.precision, device)
            known = replace(known, variant=name, precision=precision)
            measured.append(_measured(known, subject, outputs, request))
            request.done(measured[-1])
        return measured


def compare(outputs: Tensor, expected: Tensor, *, labels: bool) -> Fidelity:
    """Compare two Tensor[n, width]: labels by their highest score, every number by its difference.

    Labels tell something only where all numbers are finite and more than one label is expected.
    """
    outputs, expected = outputs.double(), expected.double()
    tells = labels and _finite(outputs) and _finite(expected) and len(_labels(expected)) > 1
    flips = (outputs.argmax(1) != expected.argmax(1)).double().mean().item() if tells else None
    return Fidelity(len(expected), flips, (outputs - expected).abs().max().item())


def _refer(subject: Subject, device: torch.device, request: ProfileRequest) -> tuple[Profile, Tensor]:
    """Return what the float32 eager model tells of all variants, and its outputs."""
    variant = Variant.read("fp32", device, "fp32")
    module = subject.load(torch.float32).to(device)
    example = variant.inputs(_examples(subject, 1, request.seed))
    _apply(module, example)  # caches that a first call fills, anywhere, are to hold no fakes
    operations, notes = _operations(module, example)
    outputs = _outputs(subject, variant, module, request)
    notes += _emptiness(outputs, subject.labels)
    known = Profile(
        variant="", device=str(device), precision="", input=subject.input,
        threads=torch.get_num_threads() if device.type == "cpu" else None,
        parameters=count_parameters(module), operations=operations, notes=notes,
    )  # fmt: skip
    return known, outputs


def _emptiness(outputs: Tensor, labels: bool) -> tuple[str, ...]:
    """Say where a comparison with these outputs, those of the reference, tells little or nothing."""
    if not _finite(outputs):
        return ("outputs in float32 are not finite: flips and error tell nothing",)
    if len(outputs) > 1 and bool((outputs == outputs[0]).all()):
        return ("every input gives the same output: flips and error tell nothing",)
    used, width = len(_labels(outputs)), outputs.shape[1]
    if labels and used == 1:
        return ("all random inputs get one label: flips tell nothing",)
    if labels and used == 2 < width:
        return (f"all random inputs get one of 2 labels, of {width}: flips tell little",)
    return ()


def _labels(outputs: Tensor) -> set[int]:
    return set(outputs.argmax(1).tolist())


def _finite(outputs: Tensor) -> bool:
    return bool(outputs.isfinite().all())


def _operations(module: nn.Module, inputs: Inputs) -> tuple[Operations | None, tuple[str, ...]]:
    try:
        return count_operations(module, inputs), ()
    except Exception as error:  # it looks into every operator; time and memory are known without
        return None, (f"operations were not counted: {_brief(error)}",)


def _measured(known: Profile, subject: Subject, expected: Tensor, request: ProfileRequest) -> Profile:
    """Return the profile of one variant, or why there is none."""
    device = torch.device(known.device)
    free(device)
    try:
        variant = Variant.read(known.variant, device, known.precision)
        known = replace(known, precision=variant.precision)
        return _passes(known, subject, variant, expected, request)
    except Exception as error:  # kernels, compilers, missing operators: anything may be raised
        return replace(known, reason="out of memory at batch 1" if out_of_memory(error) else _brief(error))
    finally:
        forget_compiled(known.variant)


def _passes(
    known: Profile, subject: Subject, variant: Variant, expected: Tensor, request: ProfileRequest
) -> Profile:
    device, seconds = variant.device, request.seconds
    loaded, load_seconds = timed(lambda: subject.load(variant.dtype).to(device), device)
    module, prepare_seconds = timed(lambda: variant.prepare(loaded), device)

    def call(batch: int) -> Callable[[], Tensor]:
        inputs = variant.inputs(_examples(subject, batch, request.seed))
        return lambda: _apply(module, inputs)

    single = call(1)
    _, first = timed(single, device)
    outputs = _outputs(subject, variant, module, request)
    fidelity = compare(outputs, expected, labels=subject.labels)
    latency = Latency.of(first, latencies(single, device, seconds))
    throughputs, notes = _throughputs(call, device, request)
    if _finite(expected) and not _finite(outputs):
        notes = (f"outputs in {variant.precision} are not finite: flips tell nothing", *notes)
    batch = throughputs[-1].batch_size if throughputs else 1
    return replace(
        known,
        weight_bytes=bytes_of(loaded),
        load_seconds=load_seconds,
        prepare_seconds=prepare_seconds,
        latency=latency,
        throughputs=throughputs,
        peak_memory_mb=peak_memory_mb(call(batch), device),
        peak_memory_batch=batch,
        fidelity=fidelity,
        notes=known.notes + notes,
    )


def _throughputs(
    call: Callable[[int], Callable[[], Tensor]], device: torch.device, request: ProfileRequest
) -> tuple[tuple[Throughput, ...], tuple[str, ...]]:
    """Measure batch after batch, up to the first that memory does not hold."""
    measured: list[Throughput] = []
    for batch in sorted(request.batch_sizes):
        try:
            measured.append(throughput(call(batch), batch, device, request.seconds))
        except Exception as error:  # RuntimeError on the CPU, a type of its own elsewhere
            if not out_of_memory(error):
                raise
            free(device)
            return tuple(measured), (f"batch {batch} ran out of memory; no larger one was tried",)
    return tuple(measured), ()


def _outputs(
    subject: Subject, variant: Variant, module: Callable[..., Tensor], request: ProfileRequest
) -> Tensor:
    """Return Tensor[inputs, width] on the CPU for the seeded inputs of the fidelity pass."""
    rows = []
    for start in range(0, request.inputs, FIDELITY_BATCH):
        batch = min(FIDELITY_BATCH, request.inputs - start)
        inputs = variant.inputs(_examples(subject, batch, request.seed + start))
        rows.append(_checked(_apply(module, inputs), batch).float().cpu())
    return torch.cat(rows)


def _checked(output: object, batch: int) -> Tensor:
    if isinstance(output, Tensor) and output.ndim == 2 and len(output) == batch:
        return output
    kind = type(output).__name__
    if isinstance(output, Tensor):
        kind = f"tensor {list(output.shape)} for {batch} inputs"
    raise ModelError(f"gives a {kind}; one tensor [n, width] was expected")


def _examples(subject: Subject, n: int, seed: int) -> Inputs:
    return subject.make_inputs(n, torch.Generator().manual_seed(seed))


def _apply(module: Callable[..., Tensor], inputs: Inputs) -> Tensor:
    with torch.inference_mode():
        return module(**inputs) if isinstance(inputs, Mapping) else module(*inputs)


def _brief(error: Exception) -> str:
    """Return an error as the beginning of one line."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text[:200] + "…" * (len(text) > 200)
