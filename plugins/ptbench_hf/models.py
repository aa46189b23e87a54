"""The provider `hf`: Hugging Face models from a folder, an installed package or the hub."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from ptbench import (
    Capability,
    Download,
    Fetching,
    Model,
    ModelDescription,
    ModelError,
    ModelFacts,
    ModelRequest,
    Provider,
)
from ptbench_hf.checkpoints import Checkpoint
from ptbench_hf.dual import INPUTS as DUAL_INPUTS
from ptbench_hf.dual import describe_dual, find_processor, is_dual
from ptbench_hf.files import find_tokenizer
from ptbench_hf.heads import CLASSES, NUMBER, no_head, no_labels
from ptbench_hf.options import OPTIONS, Wishes, read_options
from ptbench_hf.references import Folder, HubName, locate
from ptbench_hf.snapshots import cached_snapshot, fetch_snapshot, modules_known
from ptbench_torch.digest import files_sha256

INPUTS = frozenset({"text", "text_pair"})
ALL = frozenset({Capability.EMBED, Capability.PROFILE, Capability.FIT, Capability.INSPECT})
"""What every checkpoint can do."""


def describe(request: ModelRequest) -> ModelDescription:
    """Read the configuration of a model: no weights, no network, no torch."""
    wishes = read_options(request.options)
    place = locate(request, wishes)
    unpinned = _unpinned(place)
    if isinstance(place, Folder):
        return _described(Checkpoint.read(place.path, wishes), request)
    cached = cached_snapshot(place)
    if cached and _complete(place, cached, wishes):
        description = _described(Checkpoint.read(cached, wishes), request)
        return _with_trust(description, unpinned)
    return ModelDescription(
        capabilities=ALL | {Capability.PREDICT},
        kinds=frozenset({CLASSES, NUMBER}),
        inputs=INPUTS | DUAL_INPUTS,  # whichever of them it turns out to read
        downloads=(Download(f"hub model {place}"),),
        trust=unpinned,
    )


def load(request: ModelRequest) -> Model:
    """Load a model: its backbone to embed, or with its head to predict."""
    wishes = read_options(request.options)
    place = locate(request, wishes)
    if isinstance(place, HubName):
        root = fetch_snapshot(place, wishes, lambda folder: _complete(place, folder, wishes))
        origin = {"commit": root.name}
    else:
        root, origin = place.path, dict(place.origin)
    checkpoint = Checkpoint.read(root, wishes)
    capability = request.capability or Capability.EMBED
    if capability not in ALL | {Capability.PREDICT}:
        able = ", ".join(sorted(ALL | {Capability.PREDICT}))
        raise ModelError(f"{request.reference}: provider 'hf' cannot {capability}; it can {able}")
    _check_head(checkpoint, request)
    used = _used(checkpoint, capability)
    weights = _checked_digest(checkpoint, used)
    trust = _unpinned(place) + checkpoint.trust(used)
    facts = ModelFacts(weights=weights, trust=trust, extra=origin)

    if is_dual(checkpoint.config):
        if capability is not Capability.EMBED:
            raise ModelError(f"{request.reference} cannot {capability}: a dual encoder can embed")

        from ptbench_hf.dualmodels import DualEmbedder

        return DualEmbedder(checkpoint, request.settings, facts)

    if capability is Capability.PROFILE:
        from ptbench_hf.profiling import TextCost

        return TextCost(checkpoint, request.settings, facts)

    if capability is Capability.FIT:
        from ptbench_hf.learning import text_learner
        from ptbench_torch.trainable import Trainable

        return Trainable(*text_learner(checkpoint, request.settings, facts))

    if capability is Capability.INSPECT:
        from ptbench_hf.learning import text_learner
        from ptbench_torch.inspecting import LearnerInspector

        return LearnerInspector(*text_learner(checkpoint, request.settings, facts))

    from ptbench_hf.textmodels import TextEmbedder, TextPredictor

    if capability is Capability.PREDICT and checkpoint.head:
        return TextPredictor(checkpoint, checkpoint.head, request.settings, facts)
    return TextEmbedder(checkpoint, request.settings, facts)


def fetch(request: ModelRequest, told: Fetching) -> list[Path]:
    """Bring the files of a hub model, and return those of any."""
    wishes = read_options(request.options)
    place = locate(request, wishes)
    if isinstance(place, Folder):
        checkpoint = Checkpoint.read(place.path, wishes)
        return list(checkpoint.files(_used(checkpoint, request.capability)))
    tell = partial(told, f"hub model {place}")
    folder = fetch_snapshot(place, wishes, lambda folder: _complete(place, folder, wishes), tell)
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _described(checkpoint: Checkpoint, request: ModelRequest) -> ModelDescription:
    find_tokenizer(checkpoint.folder)
    _check_head(checkpoint, request)
    if is_dual(checkpoint.config):
        return describe_dual(checkpoint)
    head = checkpoint.head
    capability = _used(checkpoint, request.capability)
    return ModelDescription(
        capabilities=ALL | ({Capability.PREDICT} if head else set()),
        labels=head.labels if head else None,
        kinds=None if request.capability is Capability.FIT else frozenset({head.kind} if head else ()),
        inputs=INPUTS,
        parameters=checkpoint.parameters(capability),
        trust=checkpoint.trust(capability),
        files=checkpoint.parts(capability),
    )


def _used(checkpoint: Checkpoint, wanted: Capability | None) -> Capability:
    """Return what the files are read for: a profile is of the head where there is one."""
    if wanted in (Capability.EMBED, Capability.PREDICT):
        return wanted
    if wanted in (Capability.FIT, Capability.INSPECT):  # its own head goes: features are those that it embeds
        return Capability.EMBED
    return Capability.PREDICT if checkpoint.head else Capability.EMBED


def _check_head(checkpoint: Checkpoint, request: ModelRequest) -> None:
    """Raise `ModelError` where a model is to predict what its head cannot."""
    if request.capability is not Capability.PREDICT:
        return
    where, head = str(request.reference), checkpoint.head
    if head is None:
        raise no_head(checkpoint.config, where)
    if request.kind not in (None, head.kind):
        raise ModelError(f"{where} has a head for {head.kind}, and cannot predict for {request.kind}")
    if head.labels is None:
        raise no_labels(head, where)


def _checked_digest(checkpoint: Checkpoint, capability: Capability) -> str:
    files = checkpoint.files(capability)
    digest = files_sha256(files, checkpoint.root)
    wanted = checkpoint.wishes.sha256
    if wanted and wanted.lower() != digest:
        what = (
            str(files[0])
            if len(files) == 1
            else f"{checkpoint.root}: the list of its {len(files)} weights files"
        )
        raise ModelError(
            f"{what} has sha256 {digest}, not {wanted.lower()}: these are other weights than you asked for"
        )
    return digest


def _complete(hub: HubName, folder: Path, wishes: Wishes) -> bool:
    try:
        checkpoint = Checkpoint.read(folder, wishes)
        find_tokenizer(checkpoint.folder)
        if is_dual(checkpoint.config):
            find_processor(checkpoint.folder)
        checkpoint.files(Capability.EMBED)
    except ModelError:
        return False
    return modules_known(hub, folder)


def _unpinned(place: Folder | HubName) -> tuple[str, ...]:
    return ("unpinned",) if isinstance(place, HubName) and not place.pinned else ()


def _with_trust(description: ModelDescription, trust: tuple[str, ...]) -> ModelDescription:
    from dataclasses import replace

    return replace(description, trust=trust + description.trust)


PROVIDER = Provider(
    name="hf",
    description="Hugging Face models: from the hub, from a folder, or from an installed package",
    requires=("torch", "transformers", "tokenizers", "safetensors", "huggingface_hub"),
    options=OPTIONS,
    describe=describe,
    load=load,
    fetch=fetch,
)
