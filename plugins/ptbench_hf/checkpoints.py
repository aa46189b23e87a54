"""A checkpoint: what its files say of it, before anything is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from ptbench import Capability
from ptbench_hf.depth import below, blocks_of, checked_layer
from ptbench_hf.files import Tensor, Weights, find_weights, read_object
from ptbench_hf.heads import Head, read_head
from ptbench_hf.options import Wishes
from ptbench_hf.recipes import Dense, Recipe, read_recipe

BUFFERS = (
    "position_ids",
    "token_type_ids",
    "masked_bias",
    ".attn.bias",
    "inv_freq",
    "embed_positions.weights",
)
TOLD = (".json", ".txt", ".model", ".codes", ".tiktoken", ".jinja")
"""How the files of a checkpoint end that hold configuration, tokenizer and pooling."""
TOKEN_EMBEDDINGS = ("embed", "wte", "shared", "word_embedding")
HEADS = (
    *("pooler", "classifier", "classification_head", "pre_classifier", "score", "head", "qa_outputs"),
    *("cls", "lm_head", "predictions", "vocab_transform", "vocab_projector", "vocab_layer_norm"),
    *("generator_predictions", "generator_lm_head", "discriminator_predictions", "embed_out"),
    *("lm_predictions", "mask_predictions"),
)
"""Parts of checkpoints that are no backbone, by the names that transformers gives them."""


@dataclass(frozen=True)
class Checkpoint:
    """The files of a model in a folder, read but not loaded."""

    root: Path
    wishes: Wishes
    recipe: Recipe
    config: Mapping[str, Any]
    weights: Weights

    @classmethod
    def read(cls, root: Path, wishes: Wishes) -> Checkpoint:
        """Read the files of a folder. Raises `ModelError` for what is missing or broken."""
        recipe = read_recipe(root, wishes)
        config = read_object(recipe.transformer / "config.json")
        blocks = blocks_of(config)
        if recipe.layer is not None and blocks is not None:
            recipe = replace(recipe, layer=checked_layer(recipe.layer, blocks, str(root)))
        weights = find_weights(recipe.transformer, allow_pickle=wishes.allow_pickle)
        weights.tensors()  # a file that is cut off is told before anything is loaded
        return cls(root, wishes, recipe, config, weights)

    @property
    def folder(self) -> Path:
        """The folder of the transformer: configuration, tokenizer and weights."""
        return self.recipe.transformer

    @cached_property
    def head(self) -> Head | None:
        """The head that it brings, if any."""
        return read_head(self.config, self.wishes.labels, str(self.root))

    @cached_property
    def dense(self) -> tuple[tuple[Dense, Weights], ...]:
        """The dense layers after the pooling, with their weights."""
        allow = self.wishes.allow_pickle
        layers = [stage for stage in self.recipe.stages if isinstance(stage, Dense)]
        return tuple((layer, find_weights(layer.folder, allow_pickle=allow)) for layer in layers)

    def files(self, capability: Capability) -> tuple[Path, ...]:
        """The weight files that are used for a capability."""
        dense = self.dense if capability is Capability.EMBED else ()
        return self.weights.files + tuple(file for _, weights in dense for file in weights.files)

    def parts(self, capability: Capability) -> Mapping[str, tuple[Path, ...]]:
        """Return the files that it is made of: weights, and all that says what is done to an example."""
        folders = {self.root, self.folder, *(path for path in self.root.glob("[0-9]*_*") if path.is_dir())}
        small = {path for folder in folders for path in folder.iterdir() if path.suffix in TOLD}
        return {"weights": self.files(capability), "preprocessing": tuple(sorted(small))}

    def trust(self, capability: Capability) -> tuple[str, ...]:
        """What the suite allowed for its files, where it is used."""
        used = [self.weights, *(weights for _, weights in self.dense)]
        pickle = any(
            weights.format == "pickle" for weights in (used if capability is Capability.EMBED else used[:1])
        )
        return ("pickle",) * pickle + ("remote_code",) * (self.wishes.trust_remote_code and self.has_code)

    @cached_property
    def has_code(self) -> bool:
        """Whether it names Python code of its own to be run."""
        path = self.folder / "tokenizer_config.json"
        tokenizer = read_object(path) if path.is_file() else {}
        return bool(self.config.get("auto_map") or tokenizer.get("auto_map"))

    def parameters(self, capability: Capability) -> int | None:
        """Count the parameters that a capability uses, from the headers; None where they are not known."""
        tensors = self.weights.tensors()
        if tensors is None or self.config.get("is_encoder_decoder"):  # of those the encoder alone embeds
            return None
        own = [tensor for tensor in tensors if not tensor.name.endswith(BUFFERS)]
        if capability is Capability.PREDICT:
            return sum(tensor.size for tensor in own)
        dense = sum(layer.inputs * layer.outputs + layer.outputs * layer.bias for layer, _ in self.dense)
        used, blocks = backbone(own), blocks_of(self.config)
        if self.recipe.layer is not None and blocks is not None:
            used = below(used, self.recipe.layer, blocks)
        return sum(tensor.size for tensor in used) + dense


def backbone(tensors: list[Tensor]) -> list[Tensor]:
    """Keep the tensors of the backbone alone: no pooler, no head.

    In a checkpoint with a head all of the backbone has one prefix: that of its token embeddings.
    """
    paths = [tensor.name.split(".") for tensor in tensors]
    depths = [
        (depth, path[0])
        for path in paths
        if path[0] not in HEADS
        for depth, part in enumerate(path)
        if any(key in part for key in TOKEN_EMBEDDINGS)
    ]
    depth, prefix = min(depths, default=(0, ""))
    start = [prefix] if depth else []  # embeddings at the top: there is no prefix
    inner = [(tensor, path[len(start) :]) for tensor, path in zip(tensors, paths, strict=True)
             if path[: len(start)] == start]  # fmt: skip
    return [tensor for tensor, path in inner if path[0] not in HEADS]
