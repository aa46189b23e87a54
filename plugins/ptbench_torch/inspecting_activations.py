"""What the layers of a network put out over a sample: running statistics, gathered by hooks in one pass."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ptbench_torch.batching import Index
from ptbench_torch.inspecting_histograms import Histogram
from ptbench_torch.inspecting_names import named_layers
from ptbench_torch.inspecting_weights import effective_rank, singular_values
from ptbench_torch.learner import Learner

RECTIFIERS = (
    "ReLU", "GELU", "SiLU", "Swish", "Mish", "QuickGELU", "Hardswish", "ELU",
)  # fmt: skip
"""Activation functions, by a part of their name, of which a unit that is never above 0 is dead."""
UNITS_FIRST = ("1d", "2d", "3d", "BatchNorm", "GroupNorm", "InstanceNorm")
"""Modules whose units are the axis after that of examples, by a part of their name or of a class above."""
UNITS_LAST = ("Linear", "LayerNorm", "RMSNorm", "RmsNorm", "Embedding", "Conv1D", "LayerScale")
"""Modules whose units are the last axis, by the end of such a name; a ``LayerNorm2d`` is none of them."""


@dataclass
class Running:
    """Statistics of what one layer puts out, added up batch by batch; sums are in float64."""

    level: str
    block: str
    layer: str
    kind: str
    count: int = 0
    lost: int = 0
    mean: float = 0.0
    squares: float = 0.0
    """Sum of squared distances from the mean."""
    zeros: int = 0
    histogram: Histogram = field(default_factory=Histogram)
    least: NDArray[np.float32] | None = None
    most: NDArray[np.float32] | None = None

    def add(self, rows: Tensor) -> None:
        """Take numbers [places, units]."""
        finite = torch.isfinite(rows)
        if not bool(finite.all()):
            self.lost += int((~finite).sum())
            rows = rows[finite.all(dim=1)]
        if not rows.numel():
            return
        least, most = (edge.float().cpu().numpy() for edge in (rows.amin(dim=0), rows.amax(dim=0)))
        if self.least is None or self.most is None:
            self.least, self.most = least, most
        else:
            self.least, self.most = np.minimum(self.least, least), np.maximum(self.most, most)
        self._merge(rows)
        self.zeros += rows.numel() - int(torch.count_nonzero(rows))
        self.histogram.add(rows, float(least.min()), float(most.max()))

    def _merge(self, rows: Tensor) -> None:
        """Update count, mean and squares by those of more numbers (Chan, Golub & LeVeque 1979)."""
        wide = torch.float32 if rows.device.type == "mps" else torch.float64
        n, centre = rows.numel(), float(rows.mean())
        around = rows - centre  # its squares keep the digits that those of large numbers would lose
        off = float(around.sum(dtype=wide)) / n
        squares = float(torch.linalg.vector_norm(around, dtype=wide)) ** 2 - n * off**2
        apart, count = centre + off - self.mean, self.count + n
        self.squares += squares + apart**2 * self.count * n / count
        self.mean += apart * n / count
        self.count = count

    def row(self) -> dict[str, Any]:
        """Return a row of activations.csv."""
        row: dict[str, Any] = {
            "level": self.level, "block": self.block, "layer": self.layer, "type": self.kind,
            "count": self.count, "flag": "not finite" if self.lost else "",
        }  # fmt: skip
        if self.least is None or self.most is None:
            return row
        units = len(self.least)
        constant = int((self.least == self.most).sum())
        low, high = float(self.least.min()), float(self.most.max())
        rectified = any(word in self.kind for word in RECTIFIERS) or (self.level == "block" and low >= 0)
        dead = int((self.most <= 0).sum()) if rectified else None
        row |= {
            "shape": units, "mean": self.mean, "std": math.sqrt(max(self.squares / self.count, 0.0)),
            "min": low, "max": high, "zeros": self.zeros / self.count, "dead": dead, "constant": constant,
        }  # fmt: skip
        if not self.lost and units == dead:
            row["flag"] = "dead"
        elif not self.lost and units == constant and "Embedding" not in self.kind:  # such as token types
            row["flag"] = "constant"
        return row


class Recorder:
    """Watches the blocks of a learner and the modules without parts within its backbone."""

    def __init__(self, learner: Learner, n: int) -> None:
        self.learner, self.n = learner, n
        self.unseen: set[str] = set()
        """Layers that do not put out a row per example, or not the same units for each."""
        self._layers: dict[str, Running] = {}
        self._pooled: dict[str, NDArray[np.float32]] = {}
        self._units: dict[str, int] = {}
        self._rows: Index = np.zeros(0, dtype=np.intp)
        self._mask: Tensor | None = None
        self._calls: Counter[str] = Counter()

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Have the hooks in place meanwhile; they are gone afterwards, whatever happens."""
        handles = []
        try:
            for name, block, level, module in named_layers(self.learner):
                handles.append(module.register_forward_hook(self._hook(name, block, level)))
            yield
        finally:
            for handle in handles:
                handle.remove()

    def begin(self, rows: Index, batch: Any) -> None:
        """Say which rows of the sample the next pass is of, and what it is given."""
        mask = batch.get("attention_mask") if isinstance(batch, Mapping) else None
        self._rows, self._mask = rows, mask.bool() if isinstance(mask, Tensor) and mask.ndim == 2 else None
        self._calls.clear()

    def forget(self) -> None:
        """Keep of what was seen only which layers cannot be: the examples were none of the sample."""
        self._layers.clear()
        self._pooled.clear()

    @property
    def representations(self) -> dict[str, NDArray[np.float32]]:
        """Pooled outputs of blocks over the sample, float32[n, units] each."""
        return {layer: rows for layer, rows in self._pooled.items() if layer not in self.unseen}

    def rows(self) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """Return the rows of activations.csv and the histograms, in the order of the calls."""
        table, histograms = [], []
        for name, running in self._layers.items():
            if name in self.unseen:
                continue
            row = running.row()
            if name in self._pooled:
                row |= _representation(self._pooled[name])
            table.append(row)
            histograms += running.histogram.rows("activations", name)
        return table, histograms

    def _hook(self, name: str, block: str, level: str) -> Any:
        """Return what takes the outputs of a layer, until one of them shows that it cannot be told."""

        def hook(module: nn.Module, given: Any, output: Any) -> None:
            tensor = first_tensor(output)
            if tensor is None or not tensor.is_floating_point():
                return
            self._calls[name] += 1
            call = self._calls[name]
            layer = name if call == 1 else f"{name}#{call}"
            found = units_last(tensor.detach(), self._mask, len(self._rows), units_first(module))
            units = found[1].shape[1] if found is not None else -1
            if units < 0 or self._units.setdefault(layer, units) != units:
                self.unseen.add(layer)
            if found is None or layer in self.unseen:
                return
            places, pooled = found
            if layer not in self._layers:
                self._layers[layer] = Running(level, block, layer, type(module).__name__)
            self._layers[layer].add(places)
            if level == "block":
                if layer not in self._pooled:
                    self._pooled[layer] = np.full((self.n, units), np.nan, dtype=np.float32)
                self._pooled[layer][self._rows] = pooled.float().cpu().numpy()

        return hook


def units_first(module: nn.Module) -> bool | None:
    """Return whether the type of a module puts units first (convolutions) or last; None: it does not tell."""
    names = [kind.__name__ for kind in type(module).__mro__]
    if any(part in name for part in UNITS_FIRST for name in names):
        return True
    return False if any(name.endswith(UNITS_LAST) for name in names) else None


def units_last(
    output: Tensor, mask: Tensor | None, n: int, first: bool | None = None
) -> tuple[Tensor, Tensor] | None:
    """Return what a layer put out as [places, units], padding left out, and pooled as [n, units].

    [n, d] has no places; [n, tokens, d] has its tokens, those of the mask where there is one, and
    [n, height, width, d] its pixels, or heads and tokens. None for anything else, such as attention maps.

    Args:
        output: What the layer put out.
        mask: bool[n, tokens]: what is no padding.
        n: Examples in the batch.
        first: Whether units are the axis after that of examples, as in [n, d, height, width]; else they are
            the last. None: with four axes they are the former, unless what would be height and width with
            units last is a square, and with units first is none.
    """
    if not output.ndim or len(output) != n:
        return None
    if first is None:
        first = output.ndim == 4 and not output.shape[1] == output.shape[2] != output.shape[3]
    if first and output.ndim > 2:
        output = output.movedim(1, -1)
    if output.ndim == 2:
        return output, output
    if output.ndim == 3:
        if mask is not None and output.shape[:2] == mask.shape:
            weights = mask.to(output.dtype).unsqueeze(-1)
            return output[mask], (output * weights).sum(1) / weights.sum(1)
        return (output.flatten(0, 1), output.mean(1)) if mask is None else None
    if output.ndim == 4 and mask is None:
        return output.flatten(0, 2), output.mean((1, 2))
    return None


def first_tensor(output: Any) -> Tensor | None:
    """Return the tensor that a module puts out, or the first of several."""
    if isinstance(output, Tensor):
        return output
    items: Sequence[Any] = list(output.values()) if isinstance(output, Mapping) else ()
    items = output if isinstance(output, tuple | list) else items
    return next((item for item in items if isinstance(item, Tensor)), None)


def _representation(values: NDArray[np.float32]) -> dict[str, Any]:
    """Return the mean norm and the effective rank of pooled representations."""
    if not np.isfinite(values).all():
        return {}
    centred = torch.from_numpy(values.astype(np.float64) - values.astype(np.float64).mean(axis=0))
    rank = effective_rank(singular_values(centred)) if len(values) > 1 else None
    return {"norm": float(np.linalg.norm(values.astype(np.float64), axis=1).mean()), "effective_rank": rank}
