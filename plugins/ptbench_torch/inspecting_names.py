"""What the parts of a network are called when it is looked into: by their block, and within it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import nn

from ptbench_torch.learner import Learner

FEATURES = "features"
"""The name of what the backbone as a whole puts out, which a head would see."""
PASSING = ("Identity", "Dropout", "DropPath", "Flatten")
"""Modules that put out what they are given, by a part of their name."""


@dataclass(frozen=True, slots=True)
class Tensors:
    """A parameter with its names."""

    block: str
    layer: str
    name: str
    parameter: nn.Parameter


def named_tensors(learner: Learner) -> list[Tensors]:
    """Return every floating-point parameter once, from input to output, by block and the path within it."""
    own = {id(parameter): name for name, parameter in learner.backbone.named_parameters()}
    found: dict[int, Tensors] = {}
    for block, module in learner.blocks:
        for path, parameter in module.named_parameters():
            if id(parameter) in found or not parameter.is_floating_point():
                continue
            name = own.get(id(parameter), path) if isinstance(module, nn.ParameterList) else f"{block}.{path}"
            found[id(parameter)] = Tensors(block, name.rpartition(".")[0], name, parameter)
    return list(found.values())


def named_layers(learner: Learner) -> Iterator[tuple[str, str, str, nn.Module]]:
    """Yield name, block, level and module of each block, the whole, and what has no parts and is no block."""
    blocks = {id(module) for _, module in learner.blocks}
    yield from ((name, name, "block", module) for name, module in learner.blocks)
    if id(learner.backbone) not in blocks:
        yield FEATURES, FEATURES, "block", learner.backbone
    seen = {*blocks, id(learner.backbone)}
    inside = [(name, name + ".", module) for name, module in learner.blocks]
    for block, prefix, owner in [*inside, ("", "", learner.backbone)]:
        for path, module in owner.named_modules():
            leaf = next(module.children(), None) is None
            if leaf and id(module) not in seen and not any(w in type(module).__name__ for w in PASSING):
                seen.add(id(module))
                yield prefix + path, block, "layer", module
