"""A backbone with a new head, of which the last blocks learn and the others stand still."""

from __future__ import annotations

from typing import Any, Self

import torch
from torch import Tensor, nn

from ptbench import ModelError
from ptbench_torch.blocks import Blocks
from ptbench_torch.learner import Learner

SPREAD = 0.02
"""Standard deviation of the weights of a new head, as BERT's."""


class Head(nn.Module):
    """Features standardised as those of train (a fixed affine map), dropout, a linear layer."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, width: int, outputs: int, dropout: float) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("deviation", torch.ones(width))
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(width, outputs)

    def standardise(self, features: Tensor) -> None:
        """Take mean and deviation of each column from float[n, width]; 1 where it is constant.

        Constant but for rounding, that is. Some columns are dead: MiniLM has one of 1e-33, and gradients
        that are divided by its deviation would drown all others.
        """
        deviation, mean = torch.std_mean(features.cpu().double(), dim=0, correction=0)
        constant = deviation <= 1e-6 * torch.maximum(mean.abs(), deviation.max())
        self.mean.copy_(mean)
        self.deviation.copy_(deviation.masked_fill(constant, 1))

    def draw(self) -> None:
        """Draw new weights from the generator of the CPU, so that a seed means the same on every device."""
        with torch.no_grad():
            self.linear.weight.copy_(torch.randn(self.linear.weight.shape) * SPREAD)
            self.linear.bias.zero_()

    def forward(self, features: Tensor) -> Tensor:
        """Return [batch, outputs]."""
        outputs: Tensor = self.linear(self.dropout((features - self.mean) / self.deviation))
        return outputs


class Network(nn.Module):
    """A backbone and a head; `train` wakes only what learns."""

    def __init__(self, learner: Learner, head: Head, last: int | None, *, kept_norms: bool = False) -> None:
        super().__init__()
        self.backbone, self.head = learner.backbone, head
        self._kept_norms = kept_norms
        self._device, self._dtype = learner.device.type, learner.autocast
        blocks = learner.blocks if last is None else last_blocks(learner.blocks, last)
        self.names = tuple(name for name, _ in blocks)
        self._awake = [learner.backbone] if last is None else [block for _, block in blocks]

    def unfreeze(self) -> None:
        """Let the gradient reach the blocks that learn, and no others."""
        self.requires_grad_(False)
        for part in (*self._awake, self.head):
            part.requires_grad_(True)

    def train(self, mode: bool = True) -> Self:
        """Set the parts that learn to training; dropout and batch norm of the others stay as they are."""
        super().train(False)
        for part in (*self._awake, self.head) if mode else ():
            part.train()
        for module in self.modules() if self._kept_norms else ():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()
        return self

    def changing(self) -> dict[str, Tensor]:
        """Return by name the weights and buffers of the backbone that learning changes."""
        moving = {id(tensor) for part in self._awake for tensor in (*part.parameters(), *part.buffers())}
        state = self.backbone.state_dict(keep_vars=True)
        return {name: tensor for name, tensor in state.items() if id(tensor) in moving}

    def features(self, inputs: Any) -> Tensor:
        """Return float32[batch, width]; the backbone computes in the lower precision, if there is one."""
        with torch.autocast(self._device, self._dtype, enabled=self._dtype is not None):
            features: Tensor = self.backbone(inputs)
        return features.float()

    def forward(self, inputs: Any) -> Tensor:
        """Return float32[batch, outputs]."""
        outputs: Tensor = self.head(self.features(inputs))
        return outputs


def last_blocks(blocks: Blocks, n: int) -> Blocks:
    """Return the last n blocks; one of vectors alone, such as a last norm, comes along uncounted.

    Raises `ModelError` where there are fewer.
    """
    counted = [i for i, (_, block) in enumerate(blocks) if any(p.ndim > 1 for p in block.parameters())]
    if n > len(counted):
        raise ModelError(
            f'unfreeze = {n}: this network has {len(counted)} blocks to unfreeze; write "all" for all of them'
        )
    return blocks[counted[-n] :]
