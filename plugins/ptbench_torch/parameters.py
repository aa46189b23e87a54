"""How many parameters a loaded module has."""

from __future__ import annotations

import torch


def count_parameters(*modules: torch.nn.Module) -> int:
    """Return how many parameters modules have; one that is shared counts once.

    >>> count_parameters(torch.nn.Linear(3, 2), torch.nn.Linear(2, 1, bias=False))
    10
    """
    sizes = {id(parameter): parameter.numel() for module in modules for parameter in module.parameters()}
    return sum(sizes.values())


def weight_bytes(*modules: torch.nn.Module) -> int:
    """Return the bytes of parameters and buffers as they lie in memory; what is shared counts once.

    >>> weight_bytes(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
    72
    """
    sizes = {
        id(tensor): tensor.numel() * tensor.element_size()
        for module in modules
        for tensor in (*module.parameters(), *module.buffers())
    }
    return sum(sizes.values())
