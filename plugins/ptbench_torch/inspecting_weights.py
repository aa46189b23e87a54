"""What the weights of a network look like: sizes, distribution, spectrum, a row per parameter."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ptbench_torch.inspecting_histograms import CHUNK, Histogram, pieces
from ptbench_torch.inspecting_names import named_tensors
from ptbench_torch.learner import Learner

NEAR_ZERO = 1e-3
"""Of the root mean square: what is smaller counts as near zero."""
QUANTILES = (1, 5, 25, 50, 75, 95, 99)
ROWS = 8192
"""Rows of a matrix that are held in float64 at once."""


def weight_rows(learner: Learner) -> tuple[list[dict[str, Any]], list[dict[str, Any]], tuple[str, ...]]:
    """Return the rows of weights.csv, their histograms, and notes of parameters that are not finite."""
    rows: list[dict[str, Any]] = []
    histograms: list[dict[str, Any]] = []
    notes: list[str] = []
    for tensor in named_tensors(learner):
        name, values = tensor.name, tensor.parameter.detach()
        row: dict[str, Any] = {"block": tensor.block, "layer": tensor.layer, "name": name}
        row |= {"shape": "x".join(map(str, values.shape)) or "1", "count": values.numel()}
        broken = int((~torch.isfinite(values)).sum())
        if broken:
            notes.append(f"{broken} of {values.numel()} weights of {name} are not finite")
        elif values.numel():
            row |= distribution(values)
            if values.ndim >= 2:
                row |= spectrum(values.reshape(len(values), -1))
            histogram = Histogram()
            histogram.add(values, row["min"], row["max"])
            histograms += histogram.rows("weights", name)
        rows.append(row)
    return rows, histograms, tuple(notes)


def distribution(values: Tensor) -> dict[str, Any]:
    """Return sizes, moments and quantiles of finite numbers; sums are in float64."""
    flat = _exact(values).reshape(-1)
    count = flat.numel()
    mean = _sum(flat, lambda x: x) / count
    square = _sum(flat, lambda x: x * x)
    second = _sum(flat, lambda x: (x - mean) ** 2) / count
    fourth = _sum(flat, lambda x: (x - mean) ** 4) / count
    rms = (square / count) ** 0.5
    near = int((flat.abs() < NEAR_ZERO * rms).sum()) if rms else count
    quantiles = np.quantile(flat.float().cpu().numpy(), [q / 100 for q in QUANTILES])
    return {
        "norm": square**0.5,
        "rms": rms,
        "mean": mean,
        "std": second**0.5,
        "min": float(flat.min()),
        **{f"q{q:02d}": float(value) for q, value in zip(QUANTILES, quantiles, strict=True)},
        "max": float(flat.max()),
        "kurtosis": fourth / second**2 - 3 if second > 0 else None,
        "near_zero": near / count,
    }


def spectrum(matrix: Tensor) -> dict[str, Any]:
    """Return spectral norm, stable rank and effective rank of a matrix.

    Singular values are the roots of the eigenvalues of the smaller Gram matrix, in float64: what is below
    1e-8 of the largest is noise and counts as zero. Effective rank: exp(-sum p log p) with p the singular
    values by their sum (Roy & Vetterli 2007, EUSIPCO).
    """
    values = singular_values(matrix)
    if not len(values) or values[-1] <= 0:
        return {"spectral_norm": 0.0, "stable_rank": None, "effective_rank": None}
    top = float(values[-1])
    return {
        "spectral_norm": top,
        "stable_rank": float((values**2).sum()) / top**2,
        "effective_rank": effective_rank(values),
    }


def singular_values(matrix: Tensor) -> Tensor:
    """Return the singular values of a matrix, float64, ascending."""
    tall = matrix if matrix.shape[0] >= matrix.shape[1] else matrix.T
    exact = _exact(tall[:1])
    gram = torch.zeros(tall.shape[1], tall.shape[1], dtype=torch.float64, device=exact.device)
    for part in pieces(tall, ROWS):
        some = _exact(part).double()
        gram += some.T @ some
    values = torch.linalg.eigvalsh(gram).clamp(min=0).sqrt()
    return torch.where(values < 1e-8 * values[-1:], 0.0, values)


def effective_rank(values: Tensor) -> float | None:
    """Return exp of the entropy of normalised singular values; None where all are zero."""
    total = values.sum()
    if total <= 0:
        return None
    shares = values[values > 0] / total
    return float(torch.exp(-(shares * shares.log()).sum()))


def _sum(flat: Tensor, function: Callable[[Tensor], Tensor]) -> float:
    """Return the sum of a function of numbers, which are held in float64 a chunk at a time."""
    return sum(float(function(part.double()).sum()) for part in pieces(flat, CHUNK // 8))


def _exact(values: Tensor) -> Tensor:
    """Return numbers on a device that has float64."""
    return values.detach().cpu() if values.device.type == "mps" else values.detach()
