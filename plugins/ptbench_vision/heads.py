"""The classification head of a network: found by its width, and taken off to have the features before it."""

from __future__ import annotations

from torch import nn

from ptbench import ModelError


def find_head(module: nn.Module, classes: int) -> str:
    """Return the name of the last linear layer or convolution that puts out one number per class.

    Raises `ModelError` where there is none.
    """
    found: str | None = None
    for name, layer in module.named_modules():
        width = layer.out_features if isinstance(layer, nn.Linear) else getattr(layer, "out_channels", None)
        if width == classes and isinstance(layer, nn.Linear | nn.Conv2d):
            found = name
    if found is None:
        raise ModelError(
            f"{type(module).__name__} has no layer with {classes} outputs that could be its head"
        )
    return found


def without_head(module: nn.Module, classes: int) -> nn.Module:
    """Return the network with its head replaced by the identity: it then gives the features before it.

    After the head only pooling and flattening may follow, as in every classifier of torchvision (that
    of SqueezeNet is a convolution before the pooling). The module itself is changed.
    """
    name = find_head(module, classes)
    if not name:  # the module is its own head
        return nn.Identity()
    parent, _, last = name.rpartition(".")
    owner = module.get_submodule(parent)
    if isinstance(owner, nn.Sequential):
        owner[int(last) if last.isdigit() else list(dict(owner.named_children())).index(last)] = nn.Identity()
    else:
        setattr(owner, last, nn.Identity())
    return module
