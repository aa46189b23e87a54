"""What gradients reach the layers of a network from the loss of a fresh head, over a sample."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ptbench_torch.batching import Index, token_batches
from ptbench_torch.inspecting_histograms import size_rows
from ptbench_torch.inspecting_names import Tensors, named_tensors
from ptbench_torch.learner import Inputs, Learner

BATCHES = 8
"""Batches of equal size that the sample is cut into, to see how much gradients differ between them."""
FAR = 1e3
"""A layer vanishes or explodes if its relative gradient is so many times smaller or larger than the
reference."""
RULE = (
    f"vanishing, exploding: gradient norm by weight norm is {FAR:g} times smaller or larger than the median "
    "over the layers of the block nearest to the output that gets gradients"
)
CONSTANT = 1e-6
"""A feature whose deviation is so small beside its mean, or the largest deviation, is constant and not
scaled: divided by it, rounding errors would count like features (MiniLM has one that is 1e-29)."""
KEPT_ACTIVATIONS = 4
"""Batches are so many times smaller where the backward pass needs what the layers put out."""


class Loss:
    """The loss of a linear head with seeded weights on standardised features; a mean over examples.

    This is where the training of a head begins: cross-entropy of labels, squared error of standardised
    numbers. Weights are uniform in +-1/sqrt(width), the bias is zero; mean and deviation of the features are
    those of the sample, and count as constants.
    """

    def __init__(
        self,
        features: NDArray[np.float32],
        targets: NDArray[Any],
        labels: int,
        device: torch.device,
        seed: int,
    ) -> None:
        wide = features.astype(np.float64)
        std = wide.std(axis=0)
        least = CONSTANT * np.maximum(np.abs(wide.mean(axis=0)), std.max())
        self.constant = int((std <= least).sum())
        self.mean = torch.tensor(wide.mean(axis=0), dtype=torch.float32, device=device)
        self.std = torch.tensor(np.where(std > least, std, 1.0), dtype=torch.float32, device=device)
        width, outputs = features.shape[1], labels or 1
        random = np.random.default_rng(seed)
        weights = random.uniform(-1, 1, (outputs, width)) / math.sqrt(width)
        self.weights = torch.tensor(weights, dtype=torch.float32, device=device)
        self.labels = labels
        if not labels:
            numbers = np.asarray(targets, dtype=np.float64)
            targets = (numbers - numbers.mean()) / (numbers.std() or 1.0)
        kind = torch.int64 if labels else torch.float32
        self.targets = torch.tensor(np.asarray(targets), dtype=kind, device=device)

    def __call__(self, features: Tensor, rows: Index) -> Tensor:
        """Return the sum of the loss over these rows."""
        outputs = nn.functional.linear((features - self.mean) / self.std, self.weights)
        targets = self.targets[torch.from_numpy(rows).to(self.targets.device)]
        if self.labels:
            return nn.functional.cross_entropy(outputs, targets, reduction="sum")
        return nn.functional.mse_loss(outputs[:, 0], targets, reduction="sum")


def batches_of(learner: Learner, lengths: NDArray[np.int64], *, backward: bool = False) -> list[Index]:
    """Return batches of a size that the learner can hold."""
    budget = max(1, learner.batching.asked // (KEPT_ACTIVATIONS if backward else 1))
    return token_batches(lengths, budget, even=learner.batching.even)


def gradient_rows(
    learner: Learner, inputs: Inputs, loss: Loss
) -> tuple[list[dict[str, Any]], list[dict[str, Any]], tuple[str, ...], float]:
    """Return the rows of gradients.csv, histograms of sizes, notes that name layers, and the loss.

    Held at once: the gradient of one batch, and the mean of all.
    """
    tensors = named_tensors(learner)
    parameters = {tensor.name: tensor.parameter for tensor in tensors}
    n = len(inputs.lengths)
    groups = np.array_split(np.arange(n), min(BATCHES, n))
    shares = np.array([len(group) / n for group in groups])
    mean: dict[str, Tensor] = {}
    squares = np.zeros((len(groups), len(parameters)))
    total = 0.0
    for b, group in enumerate(groups):
        gradients, value = _gradient(learner, inputs, loss, group, parameters)
        total += value / n
        for i, (name, gradient) in enumerate(gradients.items()):
            if gradient is not None:
                squares[b, i] = _norm(gradient) ** 2
                kept = mean.setdefault(name, torch.zeros_like(gradient))
                kept.add_(gradient, alpha=float(shares[b]))
    measured = [_Tensor(tensor, mean.get(tensor.name), squares[:, i]) for i, tensor in enumerate(tensors)]
    rows = list(_rows(measured, shares))
    notes = flag(rows, [name for name, _ in learner.blocks])
    histograms = [
        row
        for name, gradient in mean.items()
        if bool(torch.isfinite(gradient).all())
        for row in size_rows(gradient, "gradients", name)
    ]
    return rows, histograms, notes, total


def flag(rows: Sequence[dict[str, Any]], order: Sequence[str]) -> tuple[str, ...]:
    """Flag layers by `RULE`, and their tensors likewise; return notes that name them."""
    layers = [row for row in rows if row["level"] == "layer"]
    reference = _reference(layers, order)
    flags: dict[str, list[str]] = {}
    for row in layers:
        row["flag"] = _flag(row, reference)
        if row["flag"]:
            flags.setdefault(row["flag"], []).append(row["layer"])
    by_layer = {row["layer"]: row["flag"] for row in layers}
    for row in rows:
        if row["level"] == "tensor":
            row["flag"] = by_layer[row["layer"]]
    words = {
        "not finite": "gradients are not finite", "zero": "gradients are exactly zero",
        "unused": "the loss does not depend on", "vanishing": "gradients vanish",
        "exploding": "gradients explode",
    }  # fmt: skip
    notes = [
        f"{said}{':' if kind == 'unused' else ' in'} {', '.join(flags[kind])}"
        for kind, said in words.items()
        if kind in flags
    ]
    return (*notes, RULE) if {"vanishing", "exploding"} & set(flags) else tuple(notes)


def _reference(layers: Sequence[Mapping[str, Any]], order: Sequence[str]) -> float | None:
    for block in reversed(order):
        known = [row["relative"] for row in layers if row["block"] == block and row["relative"]]
        if finite := [value for value in known if math.isfinite(value)]:
            return float(np.median(finite))
    return None


def _flag(row: Mapping[str, Any], reference: float | None) -> str:
    if row["norm"] is None:
        return "unused"
    if not math.isfinite(row["norm"]):
        return "not finite"
    if row["norm"] == 0:
        return "zero"
    if reference is None or row["relative"] is None:
        return ""
    if row["relative"] * FAR < reference:
        return "vanishing"
    return "exploding" if row["relative"] > FAR * reference else ""


def _gradient(
    learner: Learner, inputs: Inputs, loss: Loss, group: Index, parameters: Mapping[str, Tensor]
) -> tuple[dict[str, Tensor | None], float]:
    """Return the gradient of the mean loss over a group of rows, and the sum of its losses.

    `torch.autograd.grad` leaves ``.grad`` alone. Without dropout, and with BatchNorm's kept statistics, a
    group may be cut into pieces that fit into memory.
    """
    found: dict[str, Tensor | None] = dict.fromkeys(parameters)
    total = 0.0
    for piece in batches_of(learner, inputs.lengths[group], backward=True):
        rows = group[piece]
        value = loss(learner.backbone(inputs.batch(rows)).float(), rows)
        total += float(value.detach())
        if not value.requires_grad:
            continue
        gradients = torch.autograd.grad(value / len(group), list(parameters.values()), allow_unused=True)
        for name, gradient in zip(parameters, gradients, strict=True):
            if gradient is not None:
                kept = found[name]
                found[name] = gradient.detach().clone() if kept is None else kept.add_(gradient)
    return found, total


class _Tensor:
    """What is known of the gradient of one parameter."""

    def __init__(self, tensor: Tensors, gradient: Tensor | None, squares: NDArray[np.float64]) -> None:
        self.name, self.block, self.layer = tensor.name, tensor.block, tensor.layer
        self.count = tensor.parameter.numel()
        self.weight_square = _norm(tensor.parameter.detach()) ** 2
        self.gradient = gradient
        self.squares = squares
        self.square = _norm(gradient) ** 2 if gradient is not None else None
        self.zeros = int((gradient == 0).sum()) if gradient is not None else 0


def _rows(measured: Sequence[_Tensor], shares: NDArray[np.float64]) -> Iterator[dict[str, Any]]:
    for level, key in (("block", "block"), ("layer", "layer"), ("tensor", "name")):
        groups: dict[str, list[_Tensor]] = {}
        for tensor in measured:
            groups.setdefault(getattr(tensor, key), []).append(tensor)
        for tensors in groups.values():
            first = tensors[0]
            row = {"level": level, "block": first.block}
            row["layer"] = first.layer if level != "block" else ""
            row["name"] = first.name if level == "tensor" else ""
            yield row | _sizes(tensors, shares) | (_quantiles(first.gradient) if level == "tensor" else {})


def _sizes(tensors: Sequence[_Tensor], shares: NDArray[np.float64]) -> dict[str, Any]:
    """Return sizes of one or several tensors, as if they were one."""
    count = sum(tensor.count for tensor in tensors)
    reached = [tensor for tensor in tensors if tensor.square is not None]
    if not reached:
        return {"count": count, "norm": None, "relative": None, "flag": ""}
    norm = math.sqrt(sum(tensor.square or 0.0 for tensor in reached))
    weights = math.sqrt(sum(tensor.weight_square for tensor in tensors))
    batches = np.sum([tensor.squares for tensor in reached], axis=0)
    norms = np.sqrt(batches)
    return {
        "count": count,
        "norm": norm,
        "rms": norm / math.sqrt(count),
        "relative": norm / weights if weights > 0 else None,
        "abs_max": max(float(t.gradient.abs().max()) for t in reached if t.gradient is not None),
        "zeros": sum(tensor.zeros for tensor in reached) / sum(tensor.count for tensor in reached),
        "batch_norm_mean": float(shares @ norms),
        "batch_norm_sd": float(norms.std(ddof=1)) if len(norms) > 1 else None,
        "signal_to_noise": signal_to_noise(norm**2, batches, shares),
        "flag": "",
    }


def signal_to_noise(square: float, squares: NDArray[np.float64], shares: NDArray[np.float64]) -> float | None:
    """Return the norm of the true gradient by the root mean square distance of a batch's gradient from it.

    Both are estimated without bias, as squares: the mean of B batches lies a B-th of the variance s^2 of a
    batch away from the truth, which ``square`` (the norm of the mean, squared) has too much. 0 where noise
    explains all of it, None where there is no noise or a single batch.

    Args:
        square: Squared norm of the mean gradient.
        squares: float64[B]: squared norms of the gradients of the batches.
        shares: float64[B]: shares of the examples in the batches.
    """
    b = len(squares)
    around = float(shares @ squares) - square
    if b < 2 or not around > 0:
        return None
    variance = around * b / (b - 1)
    return math.sqrt(max(square - variance / b, 0.0) / variance)


def _quantiles(gradient: Tensor | None) -> dict[str, Any]:
    if gradient is None:
        return {}
    sizes = np.quantile(gradient.abs().float().cpu().numpy(), (0.5, 0.9, 0.99))
    return dict(zip(("abs_q50", "abs_q90", "abs_q99"), map(float, sizes), strict=True))


def _norm(values: Tensor) -> float:
    """Return the Euclidean norm, summed in float64 where the device has it."""
    wide = torch.float32 if values.device.type == "mps" else torch.float64
    return float(torch.linalg.vector_norm(values, dtype=wide))
