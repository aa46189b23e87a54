"""Loading with transformers: quietly, from local files only, and never with weights made up."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable
from typing import Any

import torch
import transformers
from torch import nn

from ptbench import ModelError, nearest
from ptbench_hf.checkpoints import BUFFERS, Checkpoint
from ptbench_hf.files import find_tokenizer
from ptbench_hf.layers import cut_above
from ptbench_hf.quiet import UnknownOptionError, brief, explained
from ptbench_hf.spreading import DEVICE_MAP

UNBOUNDED = 10**6
"""Tokenizers without a limit say so with a huge number."""
DEFAULT_LENGTH = 512
"""Tokens read where neither tokenizer, configuration nor suite gives a limit."""


def load_tokenizer(checkpoint: Checkpoint) -> Any:
    """Load the tokenizer of a checkpoint. Raises `ModelError`."""
    find_tokenizer(checkpoint.folder)
    with explained(checkpoint.root, "cannot load the tokenizer"):
        return transformers.AutoTokenizer.from_pretrained(checkpoint.folder, **_common(checkpoint))


def load_backbone(checkpoint: Checkpoint, dtype: torch.dtype) -> tuple[nn.Module, tuple[str, ...]]:
    """Load the backbone, without pooler and head where it comes without; and what weights were left out.

    Of an encoder with a decoder it is the encoder. Where a layer below the last is asked for, the blocks
    above are not there.
    """
    module, left = _load_whole(checkpoint, dtype)
    if checkpoint.recipe.layer is not None:
        with explained(checkpoint.root, f"has no layer {checkpoint.recipe.layer}"):
            module = cut_above(module, checkpoint.recipe.layer, str(checkpoint.root))
    return module, left


def _load_whole(checkpoint: Checkpoint, dtype: torch.dtype) -> tuple[nn.Module, tuple[str, ...]]:
    if checkpoint.config.get("is_encoder_decoder"):
        return _load_encoder(checkpoint, dtype)
    try:
        return _load(transformers.AutoModel, checkpoint, dtype, add_pooling_layer=False)
    except UnknownOptionError:
        return _load(transformers.AutoModel, checkpoint, dtype)


def load_dual(checkpoint: Checkpoint, dtype: torch.dtype) -> tuple[nn.Module, tuple[str, ...]]:
    """Load a dual encoder with both of its towers; and what weights were left out."""
    return _load(transformers.AutoModel, checkpoint, dtype)


def load_image_processor(checkpoint: Checkpoint) -> Any:
    """Load the image processor of a checkpoint, the one that transformers takes by default."""
    with explained(checkpoint.root, "cannot load the image processor"):
        return transformers.AutoImageProcessor.from_pretrained(checkpoint.folder, **_common(checkpoint))


def load_classifier(checkpoint: Checkpoint, dtype: torch.dtype) -> tuple[nn.Module, tuple[str, ...]]:
    """Load the backbone with its head; and what weights were left out."""
    return _load(transformers.AutoModelForSequenceClassification, checkpoint, dtype)


def length_limit(checkpoint: Checkpoint, tokenizer: Any, model: Any) -> tuple[int, int | str]:
    """Return the longest input in tokens, and what to say of it in the facts.

    The smallest of what suite, checkpoint, tokenizer and positions of the model allow.
    """
    positions = getattr(model.config, "max_position_embeddings", None)
    if isinstance(positions, int) and positions > 0:
        positions -= _position_offset(model)
    limits = (
        checkpoint.wishes.max_length,
        checkpoint.recipe.max_length,
        tokenizer.model_max_length,
        positions,
    )
    known = [int(limit) for limit in limits if limit is not None and 0 < limit < UNBOUNDED]
    limit = min(known, default=DEFAULT_LENGTH)
    special = int(tokenizer.num_special_tokens_to_add(pair=True))
    if limit <= special:
        raise ModelError(
            f"{checkpoint.root}: max_length {limit} leaves no place for text beside {special} special tokens"
        )
    return limit, limit if known else f"{limit} (default)"


def _load(
    auto: Any, checkpoint: Checkpoint, dtype: torch.dtype, **options: Any
) -> tuple[nn.Module, tuple[str, ...]]:
    _check_type(checkpoint)
    default = torch.get_default_dtype()
    with explained(checkpoint.root, "cannot load the weights"):
        try:
            model, info = auto.from_pretrained(
                checkpoint.folder,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # they are told below, by name
                use_safetensors=checkpoint.weights.format == "safetensors",
                **{_dtype_argument(): dtype},
                **({"device_map": DEVICE_MAP} if checkpoint.wishes.spread else {}),
                **_common(checkpoint),
                **options,
            )
        except TypeError as error:
            torch.set_default_dtype(default)  # in which transformers 4 leaves its own after an error
            if any(option in str(error) for option in options):
                raise UnknownOptionError from None
            raise
    left = _check_keys(
        checkpoint, model, info, headless=auto is not transformers.AutoModelForSequenceClassification
    )
    return model.eval(), left


def _load_encoder(checkpoint: Checkpoint, dtype: torch.dtype) -> tuple[nn.Module, tuple[str, ...]]:
    alone = transformers.MODEL_FOR_TEXT_ENCODING_MAPPING
    with explained(checkpoint.root, "cannot load the configuration"):
        config = transformers.AutoConfig.from_pretrained(checkpoint.folder, **_common(checkpoint))
    if type(config) in alone:  # T5 and its kin: checkpoints of the encoder alone exist
        return _load(transformers.AutoModelForTextEncoding, checkpoint, dtype)
    model, left = _load(transformers.AutoModel, checkpoint, dtype)
    encoder: nn.Module = model.get_encoder()  # type: ignore[operator]
    return encoder, left


def _check_type(checkpoint: Checkpoint) -> None:
    kind = checkpoint.config.get("model_type")
    path = checkpoint.folder / "config.json"
    if kind is None:
        raise ModelError(f"{path} has no model_type: it is no configuration of a transformers model")
    if kind not in transformers.CONFIG_MAPPING and not checkpoint.config.get("auto_map"):
        hint = nearest(kind, transformers.CONFIG_MAPPING)
        raise ModelError(
            f"{path}: transformers {transformers.__version__} knows no model_type '{kind}': {hint}"
        )


def _check_keys(
    checkpoint: Checkpoint, model: Any, info: dict[str, Any], *, headless: bool
) -> tuple[str, ...]:
    """Compare what was in the files with what the model needs; return the parts that were left out.

    A part that is missing would be random; only without a head is a pooler of no use. A part that is
    left over is a head or a pooler that is not used, unless it lies within a part that the model has:
    then half of the model may be lost.
    """
    path = checkpoint.weights.files[0]
    missing = [key for key in info["missing_keys"] if not key.endswith(BUFFERS)]
    missing = [key for key in missing if not (headless and "pooler" in key.split("."))]
    if missing:
        raise ModelError(f"{path} misses {_some(missing)}: these weights would be random")
    if info.get("mismatched_keys"):
        keys = [key[0] if isinstance(key, tuple) else key for key in info["mismatched_keys"]]
        raise ModelError(f"{path} has weights of another shape than config.json says: {_some(keys)}")
    if info.get("error_msgs"):
        raise ModelError(f"{path} does not fit config.json: {brief(info['error_msgs'][0])}")
    parts = {name for name, _ in model.named_children()}
    prefix = f"{getattr(model, 'base_model_prefix', '')}."
    spare = [key.removeprefix(prefix) for key in info["unexpected_keys"] if not key.endswith(BUFFERS)]
    lost = [key for key in spare if key.partition(".")[0] in parts and "pooler" not in key.split(".")]
    if lost:
        raise ModelError(f"{path} has weights that config.json has no place for: {_some(lost)}")
    return tuple(sorted({key.partition(".")[0] for key in spare}))


def _position_offset(model: Any) -> int:
    """Return how many places a table of positions keeps free: RoBERTa and its kin count from padding on."""
    for name, module in model.named_modules():
        if name.endswith("position_embeddings") and getattr(module, "padding_idx", None) is not None:
            return int(module.padding_idx) + 1
    return 0


def _common(checkpoint: Checkpoint) -> dict[str, Any]:
    return {"local_files_only": True, "trust_remote_code": checkpoint.wishes.trust_remote_code}


def _dtype_argument() -> str:
    """Its name before transformers 4.56 was ``torch_dtype``."""
    major, minor = (int(part) for part in re.findall(r"\d+", transformers.__version__)[:2])
    return "dtype" if (major, minor) >= (4, 56) else "torch_dtype"


def _some(keys: Iterable[str]) -> str:
    keys = sorted(keys)
    more = f" and {len(keys) - 4} more" if len(keys) > 4 else ""
    return f"{', '.join(keys[:4])}{more}"


def takes(model: nn.Module, name: str) -> bool:
    """Return whether a model's ``forward`` has an argument of that name."""
    return name in inspect.signature(model.forward).parameters
