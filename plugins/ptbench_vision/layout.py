"""Which memory layout a network runs fastest in, told from its structure alone."""

from __future__ import annotations

from torch import nn


def prefers_channels_last(module: nn.Module) -> bool:
    """Return whether most weights of convolutions are in dense ones wider than one pixel.

    A rule and not a timing: a layout that depends on how busy the machine is would change the last bits
    of a score. Measured: `tests/benchmarks/layout.py`.
    """
    return any(isinstance(layer, nn.Conv2d) and layer.groups == 1 for layer in module.modules())
