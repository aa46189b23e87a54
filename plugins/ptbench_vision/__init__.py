"""Images: torchvision and timm models, checkpoints, image data and its kind."""

from __future__ import annotations

from collections.abc import Iterable

from ptbench import Adapter, ClaimSet, Kind, Provider, Source, hookimpl
from ptbench_vision import (
    archive,
    checkpoints,
    classification,
    datasets,
    folder,
    rawpixels,
    timm_models,
    torchhub,
    torchvision_models,
)


@hookimpl
def ptbench_providers() -> Iterable[Provider]:
    """Models of torchvision, of timm, of torch.hub, from checkpoint files; and pixels themselves."""
    return [
        torchvision_models.PROVIDER,
        timm_models.PROVIDER,
        torchhub.PROVIDER,
        checkpoints.PROVIDER,
        rawpixels.PROVIDER,
    ]


@hookimpl
def ptbench_sources() -> Iterable[Source]:
    """Folders of images, NumPy archives, and data sets of torchvision."""
    return [folder.SOURCE, archive.SOURCE, datasets.SOURCE]


@hookimpl
def ptbench_kinds() -> Iterable[Kind]:
    """Image classification."""
    return [classification.KIND]


@hookimpl
def ptbench_adapters() -> Iterable[Adapter]:
    """Columns of images to tasks."""
    return [classification.ADAPTER]


@hookimpl
def ptbench_claims() -> Iterable[ClaimSet]:
    """What torchvision and timm publish of their models' cost."""
    from ptbench_vision.claims import TIMM_CLAIMS, TORCHVISION_CLAIMS

    return [TORCHVISION_CLAIMS, TIMM_CLAIMS]
