"""How deep a checkpoint is, and what of it a layer below the last needs: told from its files alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ptbench import ModelError
from ptbench_hf.files import Tensor

BLOCKS = ("encoder_layers", "num_hidden_layers", "n_layers", "n_layer", "num_layers")
"""What configurations call the number of blocks, that of an encoder first."""
FINAL_NORMS = ("ln_f", "norm", "final_norm", "final_layer_norm", "final_layernorm", "layer_norm")
"""The norm after the last block, by the names that transformers gives it beside the list of blocks."""


def blocks_of(config: Mapping[str, Any]) -> int | None:
    """Return the number of blocks; None where the configuration leaves it open."""
    return next((config[name] for name in BLOCKS if type(config.get(name)) is int), None)


def checked_layer(layer: int, blocks: int, where: str) -> int:
    """Return a layer counted from the input. Raises `ModelError` where there is none.

    >>> checked_layer(-1, 12, "bert"), checked_layer(0, 12, "bert")
    (12, 0)
    """
    if not -blocks - 1 <= layer <= blocks:
        raise ModelError(
            f"{where}: layer = {layer}: it has {blocks} blocks: 0 (token embeddings) to {blocks} (after the "
            f"last), or -1 (the last) to {-blocks - 1}"
        )
    return layer if layer >= 0 else blocks + 1 + layer


def below(tensors: Sequence[Tensor], layer: int, blocks: int) -> list[Tensor]:
    """Keep what a layer needs: no block above it, and no norm after the last.

    The blocks are what has a number in its name, all from 0 to ``blocks`` - 1; where nothing or more than
    one part has, all is kept.
    """
    places = [_place(tensor.name) for tensor in tensors]
    numbers: dict[tuple[str, ...], set[int]] = {}
    for prefix, number in filter(None, places):
        numbers.setdefault(prefix, set()).add(number)
    stacks = [prefix for prefix, found in numbers.items() if found == set(range(blocks))]
    if len(stacks) != 1 or layer == blocks:
        return list(tensors)
    (stack,) = stacks
    norms = tuple(".".join((*stack[:-1], norm, "")) for norm in FINAL_NORMS)
    return [
        tensor
        for tensor, place in zip(tensors, places, strict=True)
        if not (place and place[0] == stack and place[1] >= layer) and not tensor.name.startswith(norms)
    ]


def _place(name: str) -> tuple[tuple[str, ...], int] | None:
    """Return what stands before the first number in a name, and the number."""
    parts = name.split(".")
    at = next((i for i, part in enumerate(parts) if part.isdecimal()), None)
    return None if at is None else (tuple(parts[:at]), int(parts[at]))
