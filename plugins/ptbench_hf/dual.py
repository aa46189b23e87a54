"""Dual encoders such as CLIP: a tower for images and one for texts, told from their files alone."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ptbench import Capability, ModelDescription, ModelError
from ptbench_hf.checkpoints import BUFFERS, Checkpoint
from ptbench_hf.files import find_tokenizer, read_object

TYPES = ("clip", "siglip", "chinese_clip", "align")
"""The ``model_type`` of those that have both towers; SigLIP 2 of fixed size calls itself ``siglip``."""
FILLED = ("siglip",)
"""Those whose texts are filled up to one length, and read to the end of it (``padding="max_length"``)."""
INPUTS = frozenset({"image", "text"})
PROCESSORS = ("preprocessor_config.json", "processor_config.json")
"""Where the image processor is described: on its own, or, since transformers 5, with the tokenizer."""
STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
"""Buffers of batch normalisation, which are no parameters."""
UNFIT = ("pooling", "layer", "labels")
"""Options of text models that mean nothing here."""


def is_dual(config: Mapping[str, Any]) -> bool:
    """Return whether a configuration is that of a dual encoder."""
    return config.get("model_type") in TYPES


def check_dual(checkpoint: Checkpoint) -> None:
    """Raise `ModelError` where a file is missing, or an option makes no sense."""
    find_tokenizer(checkpoint.folder)
    find_processor(checkpoint.folder)
    for name in UNFIT:
        if getattr(checkpoint.wishes, name) is not None:
            kind = checkpoint.config["model_type"]
            raise ModelError(
                f"{checkpoint.root}: option '{name}' is not for a dual encoder ({kind}): its towers say how "
                "they pool; it takes max_length, normalize and prompt"
            )


def describe_dual(checkpoint: Checkpoint) -> ModelDescription:
    """Return what is known of a dual encoder: it embeds, for any kind of task."""
    check_dual(checkpoint)
    tensors = checkpoint.weights.tensors()
    sizes = [one.size for one in tensors or () if not one.name.endswith((*BUFFERS, *STATISTICS))]
    return ModelDescription(
        capabilities=frozenset({Capability.EMBED}),
        inputs=INPUTS,
        parameters=None if tensors is None else sum(sizes),
        trust=checkpoint.trust(Capability.EMBED),
        files=checkpoint.parts(Capability.EMBED),
    )


def find_processor(folder: Path) -> tuple[Path, ...]:
    """Return the files that describe the image processor. Raises `ModelError` where there is none."""
    files = tuple(folder / name for name in PROCESSORS if (folder / name).is_file())
    alone, both = (folder / name for name in PROCESSORS)
    if alone not in files and not (both in files and "image_processor" in read_object(both)):
        raise ModelError(f"{folder} has no image processor: expected {PROCESSORS[0]}")
    return files


def image_versions(processor: Any) -> dict[str, str]:
    """Return the versions of what computes pixels: PIL, and torchvision where the processor uses it.

    The processors of transformers that do say so by a class above them, or, before transformers 5, in
    their own name, which ended in ``Fast``.
    """
    import PIL

    versions = {"PIL": PIL.__version__}
    kinds = [kind.__name__ for kind in type(processor).__mro__]
    if any(name == "TorchvisionBackend" or name.endswith("Fast") for name in kinds):
        import torchvision

        versions["torchvision"] = torchvision.__version__
    return versions


def processing_digest(base: str, checkpoint: Checkpoint, *more: Any) -> str:
    """Return a digest of all that is done to an image or a text: ``base`` is that of the texts."""
    parts = [base, *(path.read_text(encoding="utf-8") for path in find_processor(checkpoint.folder)), more]
    return hashlib.sha256(repr(parts).encode()).hexdigest()
