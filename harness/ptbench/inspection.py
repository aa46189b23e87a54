"""A look inside a model: what is asked for, what comes back, and the tables that are kept of it.

Models fill the rows; columns and their meaning are stated here, so that every provider tells the same.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, runtime_checkable
from typing import Protocol as Interface

import numpy as np
from numpy.typing import NDArray

from ptbench.cka import cka_table
from ptbench.data import Split
from ptbench.errors import ModelError, nearest
from ptbench.inspect_table import PARTS
from ptbench.model import Model

COLUMNS: Mapping[str, Mapping[str, str]] = {
    "weights": {
        "block": "Part of the model that the parameter belongs to, from input to output.",
        "layer": "Module that holds the parameter.",
        "name": "Name of the parameter.",
        "shape": "Its shape, such as `384x1536`.",
        "count": "Numbers in it.",
        "norm": "Euclidean (Frobenius) norm.",
        "rms": "Root of the mean square.",
        "mean": "Mean.",
        "std": "Standard deviation (n in the denominator).",
        "min": "Smallest value.",
        **{f"q{q:02d}": f"{q} % quantile." for q in (1, 5, 25, 50, 75, 95, 99)},
        "max": "Largest value.",
        "kurtosis": "Excess kurtosis: 0 for a normal distribution.",
        "near_zero": "Share of numbers smaller than a thousandth of `rms`, exact zeros included.",
        "spectral_norm": "Largest singular value; of matrices, and of convolutions as outputs x the rest.",
        "stable_rank": "Squared Frobenius norm by squared spectral norm.",
        "effective_rank": "exp of the entropy of the normalised singular values (Roy & Vetterli 2007).",
    },
    "gradients": {
        "level": "`block`, `layer` (a module with its own parameters) or `tensor`.",
        "block": "Part of the model, from input to output.",
        "layer": "Module; empty for a block.",
        "name": "Name of the parameter; empty but for a tensor.",
        "count": "Numbers in it.",
        "norm": "Norm of the mean gradient over the sample.",
        "rms": "`norm` by the root of `count`.",
        "relative": "`norm` by the norm of the weights.",
        **{f"abs_q{q}": f"{q} % quantile of the absolute gradient; of tensors." for q in (50, 90, 99)},
        "abs_max": "Largest absolute gradient.",
        "zeros": "Share of exact zeros.",
        "batch_norm_mean": "Mean over batches of the norm of a batch's gradient.",
        "batch_norm_sd": "Standard deviation of these norms over batches (n - 1 in the denominator).",
        "signal_to_noise": "Norm of the true gradient by the root mean square distance of batch gradients "
        "from it, the noise within `norm` taken off; 0: nothing but noise.",
        "flag": "`vanishing`, `exploding`, `zero`, `unused` or `not finite`; the notes state the rule.",
    },
    "activations": {
        "level": "`block`, or `layer`: a module without parts.",
        "block": "Part of the model, from input to output.",
        "layer": "Module; `#2` is its second call within one pass.",
        "type": "Class of the module.",
        "shape": "What it puts out for one example, without tokens or space: the number of units.",
        "count": "Numbers that were seen, padding left out.",
        "mean": "Mean.",
        "std": "Standard deviation.",
        "min": "Smallest value.",
        "max": "Largest value.",
        "zeros": "Share of exact zeros (sparsity).",
        "dead": "Units never above 0; of activation functions, and of blocks that give nothing below 0.",
        "constant": "Units with one value for all examples, tokens and places.",
        "norm": "Mean Euclidean norm of the pooled representation (mean over tokens or space); of blocks.",
        "effective_rank": "Effective rank of the centred pooled representations; of blocks.",
        "flag": "`dead` where every unit is dead, `constant` where every unit is, `not finite`.",
    },
    "histograms": {
        "part": "`weights`, `gradients` (absolute values) or `activations`.",
        "layer": "Parameter, or layer as in activations.csv.",
        "bin": "Number of the bin.",
        "low": "Lower edge, included; of the first bin the smallest value.",
        "high": "Upper edge; of the last bin the largest value, included.",
        "count": "Numbers in the bin.",
    },
    "cka": {
        "model_a": "One model.",
        "layer_a": "A block of it.",
        "model_b": "The other model, or the same.",
        "layer_b": "A block of it.",
        "n": "Examples.",
        "cka": "Linear CKA (Kornblith et al. 2019); near 1 for any features that outnumber the examples.",
        "cka_debiased": "Linear CKA of unbiased HSIC: about 0 for unrelated features.",
    },
}
"""The tables of an inspection, their columns and what these mean."""

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class InspectRequest:
    """What is to be looked at. Without a split the weights alone can be."""

    split: Split | None = None
    """The sample: examples with their targets."""
    labels: tuple[str, ...] = ()
    """The label space of the targets; empty: they are numbers."""
    only: tuple[str, ...] = tuple(PARTS)
    """Some of `PARTS`."""
    seed: int = 0
    """Of the head that gives the loss."""


@dataclass(frozen=True, slots=True)
class Inspection:
    """What a look inside a model brought: rows of the tables in `COLUMNS`, from input to output."""

    weights: Sequence[Row] = ()
    gradients: Sequence[Row] = ()
    activations: Sequence[Row] = ()
    histograms: Sequence[Row] = ()
    representations: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    """Of each block, pooled: float32[n, d], in the order of the sample."""
    notes: tuple[str, ...] = ()
    """What a reader must know: layers that vanish, explode or are dead, by name, and the rule."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """How it was done: the loss, batches, what was not seen."""


@runtime_checkable
class Inspector(Model, Interface):
    """A model that can be looked into."""

    def inspect(self, request: InspectRequest) -> Inspection:
        """Look inside. The model is as before afterwards, bit for bit, also when this raises."""


def checked_inspection(inspection: Any, who: str) -> Inspection:
    """Return what a model told. Raises `ModelError` for another type or for columns that nobody knows."""
    if not isinstance(inspection, Inspection):
        raise ModelError(f"{who}: inspect returned a {type(inspection).__name__}; an Inspection was expected")
    for part in ("weights", "gradients", "activations", "histograms"):
        for row in getattr(inspection, part):
            for name in row:
                if name not in COLUMNS[part]:
                    hint = nearest(name, COLUMNS[part])
                    raise ModelError(f"{who}: a row of {part} has a column '{name}'; {hint}")
    return inspection


def write_inspection(folder: Path, model: str, inspection: Inspection) -> list[Path]:
    """Write a CSV for every table that has rows, the layers' own CKA among them; return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    tables = {
        name: getattr(inspection, name) for name in ("weights", "gradients", "activations", "histograms")
    }
    tables["cka"] = cka_rows(model, inspection.representations, model, inspection.representations)
    return [write_table(folder, name, rows) for name, rows in tables.items() if rows]


def cka_rows(
    model_a: str,
    ours: Mapping[str, NDArray[np.float32]],
    model_b: str,
    theirs: Mapping[str, NDArray[np.float32]],
) -> list[Row]:
    """Return the rows of cka.csv: every block of one model with every block of the other."""
    n = len(next(iter(ours.values()))) if ours else 0
    return [
        {
            "model_a": model_a, "layer_a": a, "model_b": model_b, "layer_b": b, "n": n,
            "cka": found.cka, "cka_debiased": found.debiased,
        }
        for (a, b), found in cka_table(ours, theirs).items()
    ]  # fmt: skip


def write_table(folder: Path, name: str, rows: Iterable[Row]) -> Path:
    """Write one table; what is not known or not a number is an empty field."""
    path = folder / f"{name}.csv"
    part = path.with_name(path.name + ".part")
    with part.open("w", encoding="utf-8", newline="", errors="backslashreplace") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(COLUMNS[name])
        table.writerows([_field(row.get(column)) for column in COLUMNS[name]] for row in rows)
    part.replace(path)
    return path


def _field(value: Any) -> Any:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")):
        return "'" + value  # no spreadsheet takes it for a formula
    return value
