"""Which memory layout a network runs fastest in, told from its structure alone."""

from __future__ import annotations

from torch import nn


def prefers_channels_last(module: nn.Module) -> bool:
    """Return whether the channels of a pixel had better lie together: where there is a dense convolution.

    A rule and not a timing: a layout that depends on how busy the machine is would change the last bits
    of a score. On two cores it is faster for 22 of 26 networks (up to 1.7 times) and equal within the
    noise for the others (`tests/benchmarks/layout.py`); on a GPU nobody has measured it yet.
    """
    if any(parameter.ndim == 5 for parameter in module.parameters()):  # torch cannot lay these out so
        return False
    return any(isinstance(layer, nn.Conv2d) and layer.groups == 1 for layer in module.modules())
