"""A model over several GPUs: its layers in turn on each of them, as accelerate deals them out."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import torch

from ptbench import ModelError
from ptbench_hf.checkpoints import Checkpoint

DEVICE_MAP = "balanced"


def check_spread(checkpoint: Checkpoint, device: torch.device) -> None:
    """Raise `ModelError` where a model cannot be spread: it takes two GPUs that the process can see."""
    there = torch.cuda.device_count() if device.type == "cuda" else 0
    if there < 2:
        raise ModelError(
            f"{checkpoint.root}: spread = true needs a slot of two GPUs or more, and this one has "
            f"{there or 'none'}: run it with --devices cuda:0+1, or take spread out"
        )
    if find_spec("accelerate") is None:
        raise ModelError(
            f"{checkpoint.root}: spread = true needs the package accelerate: pip install accelerate"
        )


def refuse_spread(checkpoint: Checkpoint, what: str) -> None:
    """Raise `ModelError` where what a checkpoint is loaded for cannot be done over several GPUs."""
    if checkpoint.wishes.spread:
        raise ModelError(
            f"{checkpoint.root}: spread = true is for embedding and predicting, not for {what}: take it out"
        )


def spread_over(module: Any) -> str:
    """Return the devices that hold a part of a module, in order: ``cuda:0, cuda:1``."""
    return ", ".join(sorted({str(parameter.device) for parameter in module.parameters()}))
