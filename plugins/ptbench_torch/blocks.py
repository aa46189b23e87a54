"""The parts of a network in the order in which it uses them: stem, layers or stages, what comes last."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from torch import nn

Blocks = tuple[tuple[str, nn.Module], ...]

LOOSE = "parameters"
"""The name of the block of parameters that lie in no part, such as a class token; nobody calls it."""


def find_blocks(module: nn.Module, run: Callable[[], object]) -> Blocks:
    """Return the parts of a network by name, from input to output; they hold each parameter once.

    The layers are the members of its one large list (BERT's layers, the blocks of a vision transformer,
    the stages of ConvNeXt), wherever it lies; what lies beside that list is a part of its own. A network
    with several such lists, or none, has its children as parts (the stages of a ResNet).

    Args:
        module: The network.
        run: Calls it once: the parts come in the order of their first calls. Those that are not called,
            and loose parameters, come first, so that the last n are those nearest to the output.
    """
    parts = list(_new(_parts(module, "")))
    held = {id(p) for _, part in parts for p in part.parameters()}
    loose = [parameter for parameter in module.parameters() if id(parameter) not in held]
    called: dict[str, int] = {}
    hooks = [part.register_forward_pre_hook(_noting(called, name)) for name, part in parts]
    try:
        run()
    finally:
        for hook in hooks:
            hook.remove()
    ordered = sorted(parts, key=lambda part: called.get(part[0], -1))
    return ((LOOSE, nn.ParameterList(loose)), *ordered) if loose else tuple(ordered)


def _noting(called: dict[str, int], name: str) -> Callable[[nn.Module, Any], None]:
    return lambda part, args: called.update({name: called.get(name, len(called))})


def _parts(module: nn.Module, prefix: str) -> Iterator[tuple[str, nn.Module]]:
    children = {name: child for name, child in module.named_children() if _holds(child)}
    if not children:
        yield prefix.rstrip(".") or type(module).__name__, module
    main = None if _is_stack(module) else _main(list(children.values()))
    for name, child in children.items():
        if child is main:
            yield from _parts(child, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", child


def _main(children: list[nn.Module]) -> nn.Module | None:
    """Return the one child that is the list of layers, or in which alone such lists lie."""
    stacks = [child for child in children if _is_stack(child)]
    stacks = stacks or [child for child in children if any(map(_is_stack, child.modules()))]
    return stacks[0] if len(stacks) == 1 else None


def _is_stack(module: nn.Module) -> bool:
    """Say whether a module is a list of layers, and not a mere chain of convolution and norm."""
    if not isinstance(module, nn.ModuleList | nn.Sequential):
        return False
    layers = [child for child in module.children() if _holds(child)]
    return len(layers) > 1 and any(next(layer.children(), None) is not None for layer in layers)


def _holds(module: nn.Module) -> bool:
    return next(module.parameters(), None) is not None


def _new(parts: Iterator[tuple[str, nn.Module]]) -> Iterator[tuple[str, nn.Module]]:
    """Leave out parts whose every parameter an earlier one holds: tables of tokens may be shared."""
    seen: set[int] = set()
    for name, part in parts:
        own = {id(parameter) for parameter in part.parameters()}
        if own - seen:
            yield name, part
        seen |= own
