"""The precision that `auto` stands for: bf16 on a GPU that is made for it, as long as the model bears it."""

from __future__ import annotations

import torch
from torch import Tensor

AUTO = "auto"
TOLERANCE = 0.05
"""How far outputs in bf16 may be from those in float32, as a share of their length (2-norm)."""
AMPERE = (8, 0)
"""The first compute capability with bf16 in its matrix units."""


def chosen_precision(asked: str, device: torch.device) -> str:
    """Return what is to be computed in: what was asked; with ``auto`` bf16 where that is fast, else fp32."""
    if asked != AUTO:
        return asked
    return "bf16" if fast_bf16(device) else "fp32"


def fast_bf16(device: torch.device) -> bool:
    """Whether a device has matrix units for bf16."""
    if device.type != "cuda" or not torch.cuda.is_bf16_supported():
        return False
    return torch.cuda.get_device_capability(device) >= AMPERE


def unsafe(outputs: Tensor, full: Tensor) -> str:
    """Say what is wrong with outputs in a lower precision, beside those in float32; empty: nothing.

    A model that gives no numbers in float32 either is not to be blamed on the precision.
    """
    outputs, full = outputs.double(), full.double()
    if not bool(full.isfinite().all()):
        return ""
    if not bool(outputs.isfinite().all()):
        return "its first output is no finite number"
    difference = float((outputs - full).norm() / full.norm().clamp_min(1e-30))
    return f"its first output differs by {difference:.0%}" if difference > TOLERANCE else ""


def fallback_note(why: str) -> str:
    """Return what a reader must know of a model that does not bear bf16."""
    return f"computed in fp32, since in bf16 {why}"
