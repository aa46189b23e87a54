"""The provider `checkpoint`: a file of weights for an architecture that somebody else defines."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
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
    Option,
    Provider,
    nearest,
)
from ptbench_torch.bringing import bring
from ptbench_vision.describing import described
from ptbench_vision.options import COMMON, LABEL_SET, LABELS, SHA256, labels_of
from ptbench_vision.preprocessing import Preprocessing, from_timm, preset
from ptbench_vision.torchvision_models import declared_words

if TYPE_CHECKING:
    from torch import nn

    from ptbench_vision.networks import Network

OPTIONS = (
    Option(
        "architecture",
        (str,),
        "timm:NAME, torchvision:NAME, or package.module:factory of something installed, which is called",
        required=True,
    ),
    Option("arguments", (dict,), "Keyword arguments for the architecture, such as { num_classes = 10 }"),
    Option("key", (str,), "Key of the weights in the file; default: the usual ones, averaged weights first"),
    Option("url", (str,), "Where the file is brought from if it is not there; needs sha256", inert=True),
    LABEL_SET,
    LABELS,
    SHA256,
    *COMMON,
)


def describe(request: ModelRequest) -> ModelDescription:
    """Check file, architecture and preprocessing; the weights are not read."""
    path, url = _path(request), _url(request)
    if path.is_dir():
        raise ModelError(f"{path} is a folder; name the file of weights in it")
    if not path.is_file() and not url:
        there = nearest(path.name, [p.name for p in path.parent.iterdir()]) if path.parent.is_dir() else ""
        raise ModelError(f"there is no file {path}" + (f"; in its folder: {there}" if there else ""))
    _preprocessing(request)
    labels, synonyms = labels_of(request)
    library, _ = _architecture(request)
    return described(
        labels,
        synonyms,
        downloads=() if path.is_file() else (Download(url),),
        files={"weights": (path,)} if path.is_file() else {},
        trust=() if library else (f"code {request.options['architecture']}",),
    )


def load(request: ModelRequest) -> Model:
    """Build the architecture and put the weights in, all of them and no others."""
    from ptbench_vision.visionmodels import start

    return start(lambda: _network(request), request)


def fetch(request: ModelRequest, told: Fetching) -> list[Path]:
    """Bring the file from its address, unless it is there, and return it."""
    path, url = _path(request), _url(request)
    return [bring(url, path, request.options["sha256"], partial(told, url))] if url else [path]


def _network(request: ModelRequest) -> Network:
    from ptbench_vision.networks import Network
    from ptbench_vision.statedict import checked_sha256, load_weights, read_weights

    path, options = _path(request), request.options
    if not path.is_file() and _url(request):
        bring(_url(request), path, options["sha256"])
    weights, key = read_weights(path, options.get("key"))
    digest = checked_sha256(path, options.get("sha256"))
    labels, synonyms = labels_of(request)
    module = _built(request, len(labels))
    prefix = load_weights(module, weights, str(request.reference))
    library, _ = _architecture(request)
    extra = {"built_by": options["architecture"]}
    extra |= {name: value for name, value in (("key", key), ("prefix", prefix)) if value}
    return Network(
        module,
        _preprocessing(request),
        digest,
        labels,
        synonyms,
        trust=() if library else (f"code {request.options['architecture']}",),
        extra=extra,
    )


def _path(request: ModelRequest) -> Path:
    return request.base / Path(request.reference.name).expanduser()


def _url(request: ModelRequest) -> str:
    url = str(request.options.get("url") or "")
    if url and not request.options.get("sha256"):
        raise ModelError(f"{request.reference}: url needs sha256, so that what comes is what was meant")
    if url and not url.startswith("https://"):
        raise ModelError(f"url = '{url}': it must begin with https://")
    return url


def _architecture(request: ModelRequest) -> tuple[str, str]:
    """Return (library, name), or ("", "package.module:factory"). Raises `ModelError`."""
    text = str(request.options.get("architecture") or "")
    library, colon, name = text.partition(":")
    if not colon or not library or not name:
        raise ModelError(
            f"architecture = '{text}': write timm:NAME, torchvision:NAME, or package.module:factory"
        )
    if library == "timm":
        import timm

        base, _, tag = name.partition(".")
        if not timm.is_model(base):
            raise ModelError(f"timm has no model '{base}'; {nearest(base, timm.list_models())}")
        tags = [entry.partition(".")[2] for entry in timm.list_pretrained(f"{base}.*")]
        if tag and tag not in tags:
            raise ModelError(f"timm's {base} has no weights '{tag}'; {nearest(tag, tags)}")
        return library, name
    if library == "torchvision":
        from torchvision import models

        names = models.list_models(module=models)
        if name not in names:
            raise ModelError(f"torchvision has no classification model '{name}'; {nearest(name, names)}")
        return library, name
    return "", text


def _built(request: ModelRequest, classes: int) -> nn.Module:
    from torch import nn

    library, name = _architecture(request)
    arguments = dict(request.options.get("arguments") or {})
    if library and classes:
        arguments.setdefault("num_classes", classes)
    try:
        module = _made(library, name, arguments)
    except ModelError:
        raise
    except Exception as error:  # whatever a factory raises
        raise ModelError(
            f"{request.reference}: {name} cannot be built with {arguments}: {type(error).__name__}: "
            f"{' '.join(str(error).split())[:200]}"
        ) from error
    if not isinstance(module, nn.Module):
        raise ModelError(f"{request.reference}: {name} gave a {type(module).__name__}, no torch.nn.Module")
    return module


def _made(library: str, name: str, arguments: Mapping[str, Any]) -> Any:
    if library == "timm":
        import timm

        return timm.create_model(name, pretrained=False, **arguments)
    if library == "torchvision":
        from torchvision.models import get_model

        return get_model(name, weights=None, **arguments)
    module_name, _, factory_name = name.partition(":")
    try:
        factory = getattr(importlib.import_module(module_name), factory_name)
    except (ImportError, AttributeError) as error:
        raise ModelError(f"architecture '{name}' cannot be imported: {error}") from None
    return factory(**arguments)


def _preprocessing(request: ModelRequest) -> Preprocessing:
    library, name = _architecture(request)
    if library == "timm":
        import timm
        from timm.data.config import resolve_data_config

        config = timm.get_pretrained_cfg(name)
        return from_timm(
            resolve_data_config(pretrained_cfg=config.to_dict() if config else {}), request.options
        )
    if library == "torchvision":
        from torchvision import models

        return preset(declared_words(models.get_model_weights(name).DEFAULT), request.options)
    return preset({}, request.options)


PROVIDER = Provider(
    name="checkpoint",
    description="A file of weights (safetensors, or .pth read with weights_only) for a named architecture",
    requires=("torch", "torchvision", "timm", "PIL"),
    options=OPTIONS,
    describe=describe,
    load=load,
    fetch=fetch,
    revisions=False,
)
