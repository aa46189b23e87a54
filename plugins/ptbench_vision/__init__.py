"""Images: torchvision and timm models, checkpoints, image data and its kind."""

from __future__ import annotations

from collections.abc import Iterable

from ptbench import Adapter, Kind, Provider, Source, hookimpl


@hookimpl
def ptbench_providers() -> Iterable[Provider]:
    """Models of torchvision, of timm, of torch.hub, and from checkpoint files."""
    return []


@hookimpl
def ptbench_sources() -> Iterable[Source]:
    """Folders of images, NumPy archives, and data sets of torchvision."""
    return []


@hookimpl
def ptbench_kinds() -> Iterable[Kind]:
    """Image classification."""
    return []


@hookimpl
def ptbench_adapters() -> Iterable[Adapter]:
    """Columns of images to tasks."""
    return []
