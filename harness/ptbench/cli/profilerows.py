"""Profiles as flat rows: one per model and variant, for CSV, JSON and the table."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ptbench.errors import UsageError, printable
from ptbench.plain import to_json
from ptbench.profiles import Profile, break_even_calls
from ptbench.records import ModelSpec

PROFILE_COLUMNS = {
    "model": "Name of the model in the suite, or its reference.",
    "reference": "Model reference, `provider:name@revision`.",
    "options": "Options that the suite or `-o` gave to the model, as JSON.",
    "variant": "What was measured: steps joined by `+`; empty where the model could not be loaded at all.",
    "device": "Device that it ran on.",
    "precision": "`fp32`, `bf16`, `fp16` or `int8` (weights of Linear layers, the rest in float32).",
    "threads": "Threads of the CPU; empty on another device.",
    "reason": "Why this row could not be measured; empty where it was.",
    "input": "One example: tokens (none of them padding) or channels x height x width.",
    "parameters": "Exact number of parameters; one that is shared counts once.",
    "macs": "Multiply-adds of one example in matrix products, convolutions, attention, recurrent layers.",
    "fvcore_macs": "Multiply-adds as fvcore and timm's tables count them: norms too, recurrent layers not.",
    "activations": "Numbers that convolutions and matrix products put out for one example.",
    "uncounted": "Operators that neither count includes, with how often they are called, as JSON.",
    "weight_bytes": "Bytes of parameters and buffers in memory, in this variant.",
    "load_seconds": "Building the module, reading its weights, moving them to the device.",
    "prepare_seconds": "Making the variant of the loaded module (layout, quantisation).",
    "first_latency_s": "Seconds of the first call at batch 1 of a freshly loaded module; compiling included.",
    "latency_samples": "Calls at batch 1 that the quantiles are of, after a warm-up.",
    "latency_p50_s": "Median latency: seconds of one synchronised call at batch 1, inputs on the device.",
    "latency_p90_s": "90 % of calls were as fast; empty below 64 samples.",
    "latency_p99_s": "99 % of calls were as fast; empty below 662 samples.",
    "break_even_calls": "`compile` only: calls at batch 1 after which its first call has paid; `inf`: never.",
    "throughput": "Examples per second by batch size, as JSON: all examples by all seconds of the window.",
    "best_examples_per_s": "The highest of them.",
    "best_batch_size": "The batch size that gave it.",
    "peak_memory_mb": "MiB. CUDA: given out by the allocator. CPU: resident memory of the whole process, "
    "with what earlier variants and models left in it: to compare, measure each in a run of its own.",
    "peak_memory_batch_size": "Batch size that memory was measured with: the largest that ran.",
    "fidelity_inputs": "Seeded random inputs on which this variant is compared with float32 eager.",
    "flipped": "Share of them that get another label; empty without labels, or where they tell nothing.",
    "max_error": "Largest absolute difference of any output number on them.",
    "notes": "What to know of this row: batches out of memory, operations not counted, a busy machine.",
}
"""The columns of ``profile.csv`` and their meaning."""


def profile_rows(measured: Sequence[tuple[ModelSpec, Sequence[Profile]]]) -> list[dict[str, Any]]:
    """Return one row per model and variant, with the keys of `PROFILE_COLUMNS`, as plain JSON data."""
    return [_row(spec, p, profiles) for spec, profiles in measured for p in profiles]


def check_writable(path: Path) -> None:
    """Raise `UsageError` where a file cannot be written, as far as that can be told without a trace."""
    place = path.resolve()
    if place.is_dir():
        raise UsageError(f"cannot write {printable(str(path))}: it is a folder; name a file")
    if not place.exists():
        place = next(parent for parent in place.parents if parent.exists())
        if not place.is_dir():
            raise UsageError(f"cannot write {printable(str(path))}: {printable(str(place))} is no folder")
    if not os.access(place, os.W_OK):
        raise UsageError(f"cannot write {printable(str(path))}: {printable(str(place))} is not writable")


def write_csv(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Write rows as CSV with inert text; folders are made. Raises `OSError`."""
    from ptbench import report

    flat = [{k: _text(v) if isinstance(v, dict) else v for k, v in row.items()} for row in rows]
    path = path.resolve()  # of `new/../x` no `new` is made
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
        report.write_csv(file, PROFILE_COLUMNS, ([row.get(name) for name in PROFILE_COLUMNS] for row in flat))


def _text(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False) if value else ""


def _row(spec: ModelSpec, profile: Profile, profiles: Sequence[Profile]) -> dict[str, Any]:
    operations, latency, fidelity, best = (
        profile.operations, profile.latency, profile.fidelity, profile.best,
    )  # fmt: skip
    pays = break_even_calls(profile, profiles)
    row = {
        "model": spec.name,
        "reference": spec.reference,
        "options": dict(spec.options),
        **{name: getattr(profile, name) for name in _OF_PROFILE},
        **{name: getattr(operations, name, None) for name in ("macs", "fvcore_macs", "activations")},
        "uncounted": dict(operations.uncounted) if operations else {},
        "first_latency_s": latency.first if latency else None,
        "latency_samples": latency.n if latency else None,
        **{f"latency_{p}_s": getattr(latency, p, None) for p in ("p50", "p90", "p99")},
        "break_even_calls": "inf" if pays == math.inf else pays,
        "throughput": {str(t.batch_size): t.examples_per_s for t in profile.throughputs},
        "best_examples_per_s": best.examples_per_s if best else None,
        "best_batch_size": best.batch_size if best else None,
        "peak_memory_batch_size": profile.peak_memory_batch,
        "fidelity_inputs": fidelity.inputs if fidelity else None,
        "flipped": fidelity.flipped if fidelity else None,
        "max_error": fidelity.max_error if fidelity else None,
        "notes": "; ".join(profile.notes),
    }
    return {name: to_json(row[name]) for name in PROFILE_COLUMNS}


_OF_PROFILE = (
    "variant", "device", "precision", "threads", "reason", "input", "parameters", "weight_bytes",
    "load_seconds", "prepare_seconds", "peak_memory_mb",
)  # fmt: skip
