"""Steps of AdamW: groups with and without weight decay, accumulation, clipping, a scaled loss."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import Tensor, nn

from ptbench_torch.recipe import Recipe


def parameter_groups(module: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Return what learns in two groups: matrices decay; biases, norms and other vectors do not.

    Nor does what a network within says should not, such as position embeddings in timm.
    """
    spared = excluded(module)
    learning = [(name, p) for name, p in module.named_parameters() if p.requires_grad]
    decays = [p.ndim > 1 and not name.endswith("bias") and id(p) not in spared for name, p in learning]
    groups: list[tuple[bool, float]] = [(True, weight_decay), (False, 0.0)]
    return [
        {
            "params": [p for (_, p), decay in zip(learning, decays, strict=True) if decay is wanted],
            "weight_decay": amount,
        }
        for wanted, amount in groups
    ]


def excluded(module: nn.Module) -> frozenset[int]:
    """Return the ids of parameters that a part excludes by ``no_weight_decay()``, as networks of timm do.

    Its names, or patterns of them, are relative to that part.
    """
    found = set()
    for part in module.modules():
        patterns = getattr(part, "no_weight_decay", None)
        for pattern in patterns() if callable(patterns) else ():
            found |= {id(p) for name, p in part.named_parameters() if fnmatchcase(name, pattern)}
    return frozenset(found)


class Optimiser:
    """AdamW over what learns in a module, one step per group of batches."""

    def __init__(self, module: nn.Module, recipe: Recipe, rate: float, autocast: torch.dtype | None) -> None:
        groups = parameter_groups(module, recipe.weight_decay)
        self._parameters: list[Tensor] = [p for group in groups for p in group["params"]]
        device = self._parameters[0].device.type
        fused = device in ("cpu", "cuda")
        self._adamw = torch.optim.AdamW([g for g in groups if g["params"]], lr=rate, fused=fused)
        # the small gradients of fp16 would vanish
        self._scaler = torch.amp.GradScaler(device, enabled=autocast is torch.float16)
        self._rate, self._clip = rate, recipe.clip

    def add(self, loss: Tensor) -> None:
        """Add the gradient of a part of the loss."""
        self._scaler.scale(loss).backward()  # type: ignore[no-untyped-call]

    def forget(self) -> None:
        """Drop the gradients that were added since the last step."""
        self._adamw.zero_grad(set_to_none=True)

    def step(self, factor: float) -> Tensor:
        """Make a step with this share of the rate, and forget the gradients.

        Returns bool[]: whether the norm of the gradients is a number; clipped by another, they vanish.
        """
        for group in self._adamw.param_groups:
            group["lr"] = self._rate * factor
        sound = torch.ones((), dtype=torch.bool, device=self._parameters[0].device)
        if self._clip:
            self._scaler.unscale_(self._adamw)
            norm = nn.utils.clip_grad_norm_(self._parameters, self._clip)
            if not self._scaler.is_enabled():  # which leaves such steps out, and lowers its scale
                sound = norm.isfinite()
        self._scaler.step(self._adamw)
        self._scaler.update()
        self.forget()
        return sound

    def state(self) -> dict[str, Any]:
        """Return what has to be kept to go on later."""
        return {"adamw": self._adamw.state_dict(), "scaler": self._scaler.state_dict()}

    def restore(self, state: dict[str, Any]) -> None:
        """Take up what was kept."""
        self._adamw.load_state_dict(state["adamw"])
        self._scaler.load_state_dict(state["scaler"])


def counted(parameters: Iterable[Tensor]) -> int:
    """Return how many numbers learn."""
    return sum(parameter.numel() for parameter in parameters if parameter.requires_grad)
