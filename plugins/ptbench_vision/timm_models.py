"""The provider `timm`: ``timm:NAME.TAG@COMMIT``, preprocessing and all from its pre-trained configuration."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache, partial
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
from ptbench_vision.categories import subset_labels
from ptbench_vision.describing import described, untrained
from ptbench_vision.options import COMMON, INIT, RANDOM, SHA256, is_random, no_random_sha256
from ptbench_vision.preprocessing import Preprocessing, from_timm

if TYPE_CHECKING:
    from ptbench_vision.networks import Network

OPTIONS = (
    *COMMON,
    SHA256,
    *INIT,
    Option("test_size", (bool,), "Use the test input size that the weights declare", default=False),
    Option(
        "allow_unpinned",
        (bool,),
        "Allow weights without a commit or sha256: they may change",
        default=False,
        inert=True,
    ),
)


def describe(request: ModelRequest) -> ModelDescription:
    """Read timm's pre-trained configuration: no weights, no network."""
    config = find_config(request)
    _preprocessing(config, request)
    if is_random(request.options):
        return untrained(_parameters(request.reference.name))
    trust = _trust(request)
    labels, synonyms = _labels(config)
    missing = Download(f"hub model {config['hf_hub_id']}@{request.reference.revision or 'main'}")
    file = cached_weights(config, request)
    return described(
        labels,
        synonyms,
        parameters=_parameters(request.reference.name),
        downloads=() if file else (missing,),
        trust=trust,
        files={"weights": (file,)} if file else {},
    )


def load(request: ModelRequest) -> Model:
    """Build the network and load its weights, from the cache of the Hugging Face hub or from the hub."""
    from ptbench_vision.visionmodels import start

    return start(lambda: _network(request), request)


def fetch(request: ModelRequest, told: Fetching) -> list[Path]:
    """Bring the weights, unless they are in the cache, and return their file."""
    from ptbench_torch.hubfiles import watched

    if is_random(request.options):
        return []
    config = find_config(request)
    _trust(request)
    file = cached_weights(config, request)
    if file is None:
        repository = str(config["hf_hub_id"])
        with watched(repository, "models", None, partial(told, f"hub model {repository}")):
            file = _fetched(config, request)
    return [file]


def _network(request: ModelRequest) -> Network:
    import timm
    import torch

    from ptbench_vision.networks import Network
    from ptbench_vision.statedict import checked_sha256, only_weights, state_digest

    config = find_config(request)
    options, name = request.options, request.reference.name
    trust = _trust(request)
    preprocessing = _preprocessing(config, request)
    sizes = _sizes(preprocessing, config)
    labels: tuple[str, ...] = ()
    synonyms: Mapping[str, int] = {}
    if is_random(options):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(options.get("init_seed", 0))
            module = timm.create_model(name, pretrained=False, **sizes)
        digest = state_digest(module)
        extra: dict[str, Any] = {"init": RANDOM, "init_seed": options.get("init_seed", 0)}
    else:
        file = cached_weights(config, request) or _fetched(config, request)
        digest = checked_sha256(file, options.get("sha256"))
        overlay = {"file": str(file), "url": "", "hf_hub_id": None, "source": None, "custom_load": False}
        with only_weights():
            module = timm.create_model(name, pretrained=True, pretrained_cfg_overlay=overlay, **sizes)
        extra = {"commit": _commit(file)}
        labels, synonyms = _labels(config)
    if options.get("test_size"):
        extra["test_size"] = True
    return Network(
        module, preprocessing, digest, labels, synonyms, trust=trust, extra=extra, strip=_without_head
    )


def find_config(request: ModelRequest) -> Mapping[str, Any]:
    """Return the pre-trained configuration that a reference names. Raises `ModelError`."""
    import timm

    name, where = request.reference.name, str(request.reference)
    architecture, _, tag = name.partition(".")
    if not timm.is_model(architecture):
        raise ModelError(f"timm has no model '{architecture}'; {nearest(architecture, timm.list_models())}")
    no_random_sha256(request.options, where)
    tags = [entry.partition(".")[2] for entry in timm.list_pretrained(f"{architecture}.*")]
    if is_random(request.options):
        if request.reference.revision:
            raise ModelError(f'{where}: init = "random" has no weights; leave out the revision')
    elif not tag:
        known = ", ".join(tags[:8]) or "none"
        raise ModelError(
            f'{where}: which weights? write timm:{architecture}.TAG, with one of {known}; or init = "random"'
        )
    if tag and tag not in tags:
        raise ModelError(f"timm's {architecture} has no weights '{tag}'; {nearest(tag, tags)}")
    found = timm.get_pretrained_cfg(name)
    if found is None:
        raise ModelError(f"timm declares no preprocessing for '{name}'")
    config: dict[str, Any] = found.to_dict()
    return config


def cached_weights(config: Mapping[str, Any], request: ModelRequest) -> Path | None:
    """Return the weights in the local cache of the hub, or None."""
    from huggingface_hub import try_to_load_from_cache

    revision = request.reference.revision or "main"
    if re.fullmatch(r"[0-9a-f]{7,39}", revision):  # the cache knows whole commits
        folder = _snapshots(str(config["hf_hub_id"]))
        found = sorted(folder.glob(f"{revision}*/{_file_name(config)}"))
        return found[0] if len(found) == 1 else None
    path = try_to_load_from_cache(str(config["hf_hub_id"]), _file_name(config), revision=revision)
    return Path(path) if isinstance(path, str) else None


def _file_name(config: Mapping[str, Any]) -> str:
    return str(config.get("hf_hub_filename") or "model.safetensors")


def _snapshots(repository: str) -> Path:
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE, f"models--{repository.replace('/', '--')}", "snapshots")


def _fetched(config: Mapping[str, Any], request: ModelRequest) -> Path:
    from huggingface_hub import HfApi, constants, errors, hf_hub_download

    from ptbench_torch.hubfiles import HubFile, bring_large, hub_reason

    repository, revision = str(config["hf_hub_id"]), request.reference.revision or "main"
    try:
        info = HfApi().model_info(repository, revision=revision, timeout=10.0, files_metadata=True)
        commit, name = str(info.sha), _file_name(config)
        files = [HubFile.of(name, file) for file in info.siblings or () if file.rfilename == name]
        bring_large(repository, "models", commit, files)
        return Path(hf_hub_download(repository, _file_name(config), revision=commit, etag_timeout=10.0))
    except ModelError:
        raise
    except Exception as error:  # each version of huggingface_hub has errors of its own
        verb = "did not give it" if isinstance(error, errors.HfHubHTTPError) else "cannot be reached"
        pinned = f" --revision {request.reference.revision}" if request.reference.revision else ""
        raise ModelError(
            f"{request.reference} is not in the local cache ({constants.HF_HUB_CACHE}), and "
            f"{constants.ENDPOINT} {verb} ({hub_reason(error)}): connect, or fetch it before with: "
            f"hf download {repository} {_file_name(config)}{pinned}"
        ) from None


def _commit(file: Path) -> str:
    return file.parent.name


def _trust(request: ModelRequest) -> tuple[str, ...]:
    """Return what goes beyond the safe default. Raises `ModelError` where the suite does not allow it."""
    pinned = re.fullmatch(r"[0-9a-f]{7,40}", request.reference.revision or "")
    if is_random(request.options) or pinned or request.options.get("sha256"):
        return ()
    if request.options.get("allow_unpinned"):
        return ("unpinned",)
    raise ModelError(
        f"{request.reference} is not pinned, so its weights may change: write "
        f'timm:{request.reference.name}@COMMIT, or sha256 = "…", or allow_unpinned = true'
    )


def _preprocessing(config: Mapping[str, Any], request: ModelRequest) -> Preprocessing:
    from timm.data.config import resolve_data_config

    options = request.options
    if options.get("test_size") and not config.get("test_input_size"):
        raise ModelError(f"{request.reference}: its weights declare no test input size")
    resolved = resolve_data_config(pretrained_cfg=dict(config), use_test_size=bool(options.get("test_size")))
    if resolved["input_size"][0] != 3:
        raise ModelError(f"{request.reference} wants {resolved['input_size'][0]} channels, not 3")
    return from_timm(resolved, options)


def _sizes(preprocessing: Preprocessing, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the image size for networks that are built for one (vision transformers)."""
    if tuple(config["input_size"][1:]) == preprocessing.size or not config.get("fixed_input_size"):
        return {}
    return {"img_size": preprocessing.size}


def _labels(config: Mapping[str, Any]) -> tuple[tuple[str, ...], Mapping[str, int]]:
    """Return the classes of the head: as the configuration names them, else ImageNet's by their number."""
    from timm.data.imagenet_info import infer_imagenet_subset

    names = config.get("label_names")
    if names:
        return tuple(names), {}
    subset = infer_imagenet_subset(dict(config))
    return subset_labels(subset) if subset else ((), {})


@lru_cache(maxsize=256)  # a plan describes a model several times
def _parameters(name: str) -> int | None:
    """Return the parameters of a network, built without memory; None where that does not work."""
    import timm
    import torch

    from ptbench_torch.parameters import count_parameters

    try:
        with torch.device("meta"):
            return count_parameters(timm.create_model(name))
    except Exception:  # some compute with numbers while they are built
        return None


def _without_head(module: Any) -> Any:
    module.reset_classifier(0)
    return module


PROVIDER = Provider(
    name="timm",
    description="Models of timm: timm:NAME.TAG@COMMIT",
    requires=("torch", "torchvision", "timm", "PIL"),
    options=OPTIONS,
    describe=describe,
    load=load,
    fetch=fetch,
)
