"""The provider `torchvision`: every classification entry of its registry, ``torchvision:NAME@WEIGHTS``."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ptbench import (
    Download,
    Fetching,
    Model,
    ModelDescription,
    ModelError,
    ModelRequest,
    Provider,
    nearest,
)
from ptbench_vision.categories import synonyms_of
from ptbench_vision.describing import described, untrained
from ptbench_vision.options import COMMON, INIT, RANDOM, SHA256, is_random, no_random_sha256
from ptbench_vision.preprocessing import preset

if TYPE_CHECKING:
    from ptbench_vision.networks import Network


def describe(request: ModelRequest) -> ModelDescription:
    """Read the metadata of the weights: no weights, no network."""
    weights = find_weights(request)
    preset(declared_words(weights), request.options)
    if is_random(request.options):
        return untrained()
    labels = tuple(weights.meta["categories"] or ())
    size = weights.meta.get("_file_size")
    file = weights_file(weights)
    missing = Download(f"{weights.url}", None if size is None else round(size * 2**20))
    return described(
        labels,
        synonyms_of(labels),
        parameters=weights.meta["num_params"],
        downloads=() if file.is_file() else (missing,),
        files={"weights": (file,)} if file.is_file() else {},
    )


def load(request: ModelRequest) -> Model:
    """Build the network and load its weights, from the cache of torch.hub or from their address."""
    from ptbench_vision.visionmodels import start

    return start(lambda: _network(request), request)


def fetch(request: ModelRequest, told: Fetching) -> list[Path]:
    """Bring the weights into torch.hub's cache, unless they lie there, and return their file."""
    from ptbench_torch.bringing import bring
    from ptbench_torch.digest import file_sha256

    if is_random(request.options):
        return []
    weights = find_weights(request)
    file = weights_file(weights)
    bring(weights.url, file, file.stem.rpartition("-")[2], partial(told, weights.url))
    _check_published(weights, file_sha256(file), str(request.reference))
    return [file]


def _network(request: ModelRequest) -> Network:
    import torch
    from torchvision.models import get_model

    from ptbench_vision.networks import Network
    from ptbench_vision.statedict import checked_sha256, only_weights, state_digest

    weights = find_weights(request)
    options, name = request.options, request.reference.name
    preprocessing = preset(declared_words(weights), options)
    if is_random(options):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(options.get("init_seed", 0))
            module = get_model(name, weights=None, **_arguments(name, preprocessing.size[0]))
        digest = state_digest(module)
        extra: dict[str, Any] = {"init": RANDOM, "init_seed": options.get("init_seed", 0)}
        labels: tuple[str, ...] = ()
    else:
        try:
            with only_weights():
                module = get_model(name, weights=weights, progress=False)
        except (OSError, RuntimeError) as error:  # no network; a file that is not the published one
            raise ModelError(
                f"{request.reference}: {weights.url} is not in {weights_file(weights).parent} and could not "
                f"be brought: {' '.join(str(error).split())[:160]}; connect once, or copy the file there"
            ) from None
        digest = checked_sha256(weights_file(weights), options.get("sha256"))
        _check_published(weights, digest, str(request.reference))
        extra, labels = {"weights": str(weights)}, tuple(weights.meta["categories"] or ())
    return Network(
        module,
        preprocessing,
        digest,
        labels,
        synonyms_of(labels),
        extra=extra,
        strip=None if weights.meta["categories"] else _without_classifier,
    )


def find_weights(request: ModelRequest) -> Any:
    """Return the entry of torchvision's registry that a reference names; for random weights its default.

    Raises `ModelError` with the nearest name.
    """
    from torchvision import models

    name, revision, where = request.reference.name, request.reference.revision, str(request.reference)
    names = models.list_models(module=models)
    if name not in names:
        raise ModelError(f"torchvision has no classification model '{name}'; {nearest(name, names)}")
    entries = {str(entry.name): entry for entry in models.get_model_weights(name)}
    no_random_sha256(request.options, where)
    if is_random(request.options):
        if revision:
            raise ModelError(f"{where}: init = \"random\" has no weights; leave out '@{revision}'")
        return models.get_model_weights(name).DEFAULT
    known = ", ".join(entries)
    if revision is None:
        raise ModelError(
            f"{where}: which weights? write torchvision:{name}@{next(iter(entries))} (there is {known}), "
            'or init = "random"'
        )
    if revision == "DEFAULT":
        raise ModelError(
            f"{where}: DEFAULT is another thing in each version of torchvision; write one of {known}"
        )
    if revision not in entries:
        raise ModelError(f"{where}: {name} has no weights '{revision}'; {nearest(revision, entries)}")
    return entries[revision]


def weights_file(weights: Any) -> Path:
    """Return where the weights lie, or would lie, in torch.hub's cache."""
    import torch

    return Path(torch.hub.get_dir(), "checkpoints", weights.url.rpartition("/")[2])


def _check_published(weights: Any, digest: str, where: str) -> None:
    """Raise `ModelError` where a file in the cache is not what its name says.

    The name ends in the first digits of the sha256; torch.hub compares them only when it downloads.
    """
    file = weights_file(weights)
    if not digest.startswith(file.stem.rpartition("-")[2]):
        raise ModelError(f"{where}: {file} is not the published file (its sha256 is {digest}): delete it")


def _without_classifier(module: Any) -> Any:
    """Take all of the classifier off: VGG-16's weights IMAGENET1K_FEATURES have no numbers for it."""
    from torch import nn

    module.classifier = nn.Identity()
    return module


def _arguments(name: str, size: int) -> dict[str, Any]:
    """Return what a network that comes without weights has to be told."""
    if name.startswith("vit_"):
        return {"image_size": size}
    if name.startswith("maxvit_"):
        return {"input_size": (size, size)}
    return {"init_weights": True} if name in ("googlenet", "inception_v3") else {}  # else they warn


def declared_words(weights: Any) -> dict[str, Any]:
    """Return the preprocessing that weights declare, for `preset`."""
    declared = weights.transforms()
    return {
        "size": declared.crop_size[0],
        "resize": declared.resize_size[0],
        "interpolation": declared.interpolation.value,
        "mean": declared.mean,
        "std": declared.std,
    }


PROVIDER = Provider(
    name="torchvision",
    description="Classification models of torchvision: torchvision:NAME@WEIGHTS",
    requires=("torch", "torchvision", "PIL"),
    options=(*COMMON, SHA256, *INIT),
    describe=describe,
    load=load,
    fetch=fetch,
)
