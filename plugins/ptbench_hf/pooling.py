"""From what a module gives to one row per example: pooled vectors, probabilities, a number."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ptbench import ModelError
from ptbench_hf.files import Weights
from ptbench_hf.recipes import Dense, Recipe


def _mean(hidden: Tensor, mask: Tensor) -> Tensor:
    return (hidden * mask).sum(1) / mask.sum(1)


def _mean_sqrt_len(hidden: Tensor, mask: Tensor) -> Tensor:
    return (hidden * mask).sum(1) / mask.sum(1).sqrt()


def _weighted_mean(hidden: Tensor, mask: Tensor) -> Tensor:
    return _mean(hidden, mask * torch.arange(1, mask.shape[1] + 1, device=mask.device)[:, None])


def _max(hidden: Tensor, mask: Tensor) -> Tensor:
    return hidden.masked_fill(mask == 0, -torch.inf).amax(1)


def _cls(hidden: Tensor, mask: Tensor) -> Tensor:
    return hidden[:, 0]


def _last(hidden: Tensor, mask: Tensor) -> Tensor:
    last = mask[:, :, 0].sum(1).long() - 1
    return hidden[torch.arange(len(hidden), device=hidden.device), last]


POOLINGS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "mean": _mean,
    "mean_sqrt_len": _mean_sqrt_len,
    "weightedmean": _weighted_mean,
    "max": _max,
    "cls": _cls,
    "last": _last,
}


def pool(hidden: Tensor, mask: Tensor, modes: Sequence[str]) -> Tensor:
    """Return [batch, modes x d] from token vectors [batch, tokens, d], padded on the right.

    ``mask`` [batch, tokens] is 1 for tokens and 0 for padding; every row has a token. Sums are in
    float32, whatever the precision of the backbone.
    """
    hidden, mask = hidden.float(), mask.float().unsqueeze(-1)
    return torch.cat([POOLINGS[mode](hidden, mask) for mode in modes], dim=1)


class Embedding(nn.Module):
    """From token vectors to embeddings: the pooling, then the stages of a recipe."""

    def __init__(self, recipe: Recipe, weights: Mapping[Dense, Weights]) -> None:
        super().__init__()
        self.modes = recipe.pooling
        self.layer = recipe.layer
        stages = (Normalize() if s == "normalize" else _dense_layer(s, weights[s]) for s in recipe.stages)
        self.stages = nn.Sequential(*stages).eval()

    def forward(self, output: Any, mask: Tensor) -> Tensor:
        """Return [batch, d]."""
        hidden = output.last_hidden_state
        if self.layer is not None and getattr(output, "hidden_states", None) is not None:
            hidden = output.hidden_states[self.layer]  # else the backbone ends there: see `cut_above`
        vectors: Tensor = self.stages(pool(hidden, mask, self.modes))
        return vectors


class Normalize(nn.Module):
    """Give every vector length 1."""

    def forward(self, vectors: Tensor) -> Tensor:
        """Return the vectors, each divided by its length."""
        return nn.functional.normalize(vectors, dim=1)


class Probabilities(nn.Module):
    """From the logits of a head to one probability per class."""

    def forward(self, output: Any, mask: Tensor) -> Tensor:
        """Return [batch, classes]."""
        scores: Tensor = output.logits.float().softmax(dim=-1)
        return scores


class Number(nn.Module):
    """What a head for one number gives."""

    def forward(self, output: Any, mask: Tensor) -> Tensor:
        """Return [batch, 1]."""
        logits: Tensor = output.logits
        return logits


def _dense_layer(layer: Dense, weights: Weights) -> nn.Module:
    """Load a dense layer with its activation. Raises `ModelError` where its weights do not fit."""
    path = weights.files[0]
    linear = nn.Linear(layer.inputs, layer.outputs, bias=layer.bias)
    activation = getattr(nn, layer.activation, None)
    if not (isinstance(activation, type) and issubclass(activation, nn.Module)):
        raise ModelError(f"{layer.folder / 'config.json'}: torch.nn has no activation '{layer.activation}'")
    try:
        state = {
            name.removeprefix("linear."): tensor for name, tensor in _state(path, weights.format).items()
        }
        linear.load_state_dict(state)
        return nn.Sequential(linear, activation())
    except (RuntimeError, TypeError) as error:
        reason = " ".join(str(error).split())
        raise ModelError(f"{path} does not fit its config.json: {reason}") from error


def _state(path: Path, kind: str) -> dict[str, Tensor]:
    if kind == "safetensors":
        from safetensors.torch import load_file

        state: dict[str, Tensor] = load_file(path)
        return state
    return dict(torch.load(path, map_location="cpu", weights_only=True))
