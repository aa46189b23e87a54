"""The provider `torchhub`: ``torchhub:OWNER/REPO:ENTRY@COMMIT``, code of a repository, run where allowed."""

from __future__ import annotations

import re
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
)
from ptbench_vision.describing import described
from ptbench_vision.options import COMMON, LABEL_SET, LABELS, labels_of
from ptbench_vision.preprocessing import preset

if TYPE_CHECKING:
    from ptbench_vision.networks import Network

OPTIONS = (
    Option(
        "trust_remote_code", (bool,), "Run the Python code of the repository: it is needed", default=False
    ),
    Option("allow_pickle", (bool,), "Let its code load pickles, which can run more code", default=False),
    Option(
        "allow_unpinned",
        (bool,),
        "Allow a branch instead of a commit: it may change",
        default=False,
        inert=True,
    ),
    Option("arguments", (dict,), "Keyword arguments for the entry, such as { pretrained = true }"),
    LABEL_SET,
    LABELS,
    *COMMON,
)


def describe(request: ModelRequest) -> ModelDescription:
    """Check what is allowed and what is said; nothing is imported or brought."""
    repository, entry, trust = _read(request)
    preset({}, request.options)
    labels, synonyms = labels_of(request)
    missing = Download(f"repository {repository} (github.com), and what its entry '{entry}' brings")
    return described(
        labels,
        synonyms,
        downloads=() if _folder(request).is_dir() else (missing,),
        trust=trust,
    )


def load(request: ModelRequest) -> Model:
    """Bring the repository, if it is not in torch.hub's cache, and call its entry."""
    from ptbench_vision.visionmodels import start

    return start(lambda: _network(request), request)


def fetch(request: ModelRequest, told: Fetching) -> list[Path]:
    """Call the entry once, since it alone knows what it brings; return the files of the repository."""
    folder = _folder(request)
    told(f"repository {_read(request)[0]}", 0, None)
    if not folder.is_dir():
        _network(request)
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _network(request: ModelRequest) -> Network:
    from contextlib import nullcontext

    import torch
    from torch import nn

    from ptbench_vision.networks import Network
    from ptbench_vision.statedict import only_weights, state_digest

    repository, entry, trust = _read(request)
    folder, options = _folder(request), request.options
    local = folder.is_dir()
    try:
        with nullcontext() if options.get("allow_pickle") else only_weights():
            module: Any = torch.hub.load(  # type: ignore[no-untyped-call]
                str(folder) if local else repository,
                entry,
                source="local" if local else "github",
                trust_repo=True,  # the suite said so
                verbose=False,
                **(options.get("arguments") or {}),
            )
    except Exception as error:  # whatever the code of a stranger raises
        raise ModelError(
            f"{request.reference}: cannot be loaded: {type(error).__name__}: "
            f"{' '.join(str(error).split())[:200]}"
        ) from error
    if not isinstance(module, nn.Module):
        raise ModelError(f"{request.reference}: entry '{entry}' gave a {type(module).__name__}, no network")
    labels, synonyms = labels_of(request)
    extra = {"repository": repository, "entry": entry}
    return Network(
        module,
        preset({}, options),
        state_digest(module),
        labels,
        synonyms,
        trust=trust,
        extra=extra,
    )


def _read(request: ModelRequest) -> tuple[str, str, tuple[str, ...]]:
    """Return (``owner/repo:revision``, entry, trust). Raises `ModelError` for what is not allowed."""
    where, options = str(request.reference), request.options
    repository, colon, entry = request.reference.name.partition(":")
    if not colon or not re.fullmatch(r"[\w.-]+/[\w.-]+", repository) or not re.fullmatch(r"\w+", entry):
        raise ModelError(f"{where}: write torchhub:OWNER/REPO:ENTRY@COMMIT")
    revision = request.reference.revision
    if not options.get("trust_remote_code"):
        raise ModelError(
            f"{where} runs Python code of the repository {repository}: read that code, and if you trust it "
            "write trust_remote_code = true"
        )
    pinned = revision is not None and re.fullmatch(r"[0-9a-f]{7,40}", revision)
    if not pinned and not options.get("allow_unpinned"):
        raise ModelError(
            f"{where} is not pinned, so it may change: write torchhub:{repository}:{entry}@COMMIT, or "
            "allow_unpinned = true"
        )
    if revision is not None and not re.fullmatch(r"[\w./-]+", revision):
        raise ModelError(f"{where}: '{revision}' is no name of a revision")
    trust = [
        "remote_code",
        *(["pickle"] if options.get("allow_pickle") else ()),
        *(() if pinned else ["unpinned"]),
    ]
    return f"{repository}:{revision}" if revision else repository, entry, tuple(trust)


def _folder(request: ModelRequest) -> Path:
    """Return where torch.hub keeps the repository (see `torch.hub._get_cache_or_reload`)."""
    import torch

    repository = request.reference.name.partition(":")[0]
    revision = request.reference.revision or "main"
    return Path(torch.hub.get_dir(), "_".join([*repository.split("/"), revision.replace("/", "_")]))


PROVIDER = Provider(
    name="torchhub",
    description="Models of torch.hub: torchhub:OWNER/REPO:ENTRY@COMMIT; runs the repository's code",
    requires=("torch", "torchvision", "PIL"),
    options=OPTIONS,
    describe=describe,
    load=load,
    fetch=fetch,
)
