"""Features of a layer below the last: which blocks they need, and a backbone without the others.

Layer n is ``hidden_states[n]`` of transformers: 0 is what goes into the first block, n what comes out of the
n-th. Where blocks normalise what they take in (GPT-2, LLaMA, T5), the norm after the last block is in layer N
alone, and the layers below are as the next block takes them, not normalised.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from ptbench_hf.depth import FINAL_NORMS, checked_layer

PROBE = 8
"""Tokens on which it is seen whether a backbone without the blocks above gives the same."""


def cut_above(module: nn.Module, layer: int, where: str) -> nn.Module:
    """Take away the blocks above a layer, so that ``last_hidden_state`` is that layer.

    Where they cannot be taken away (ALBERT has one block that it runs many times), all of them run, and the
    output has ``hidden_states``. Raises `ModelError` for a layer that is not there.
    """
    inner: Any = module
    whole = _probed(module, output_hidden_states=True).hidden_states
    layer = checked_layer(layer, len(whole) - 1, where)
    if layer == len(whole) - 1:
        return module
    stacks = [
        (parent, name)
        for parent in module.modules()
        for name, child in parent.named_children()
        if isinstance(child, nn.ModuleList) and len(child) == len(whole) - 1
    ]
    if len(stacks) == 1:
        parent, name = stacks[0]
        norms = {norm: child for norm, child in parent.named_children() if norm in FINAL_NORMS}
        blocks: Any = parent.get_submodule(name)
        setattr(parent, name, blocks[:layer])
        for norm in norms:
            setattr(parent, norm, nn.Identity())
        if torch.equal(_probed(module).last_hidden_state, whole[layer]):
            return module
        for restored, child in {name: blocks, **norms}.items():
            setattr(parent, restored, child)
    inner.config.output_hidden_states = True
    return module


def _probed(module: nn.Module, **options: Any) -> Any:
    """Return what it gives for a first text."""
    inner: Any = module
    words = torch.arange(PROBE)[None] % inner.get_input_embeddings().weight.shape[0]
    with torch.inference_mode():
        return module(input_ids=words, attention_mask=torch.ones_like(words), **options)
