"""What a text model costs: its backbone with its head, or with its pooling, on texts of one length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ptbench import ModelFacts, Profile, ProfileRequest, Settings
from ptbench_hf.checkpoints import Checkpoint
from ptbench_hf.loading import length_limit, load_backbone, load_classifier, load_tokenizer, takes
from ptbench_hf.pooling import Embedding, Number, Probabilities
from ptbench_hf.quiet import quiet
from ptbench_hf.spreading import refuse_spread
from ptbench_torch.profiling import Subject, profile_module

TOKENS = 128
"""Tokens in a text, none of them padding; fewer where a model cannot read so many."""


class Whole(nn.Module):
    """A module with what turns its output into one row per text."""

    def __init__(self, module: nn.Module, finish: nn.Module) -> None:
        super().__init__()
        self.module, self.finish = module, finish

    def forward(self, **inputs: Tensor) -> Tensor:
        """Return [batch, width]."""
        rows: Tensor = self.finish(self.module(**inputs), inputs["attention_mask"])
        return rows


@dataclass(frozen=True, slots=True)
class TextCost:
    """A checkpoint that is to be measured; with its head where it has one, else it embeds."""

    checkpoint: Checkpoint
    settings: Settings
    facts: ModelFacts

    def profile(self, request: ProfileRequest) -> Sequence[Profile]:
        """Return one profile per variant, on random tokens. Raises `ModelError` where it cannot be loaded."""
        refuse_spread(self.checkpoint, "a profile")
        with quiet():
            shape = _Shape.of(self.checkpoint)
            subject = Subject(self._load, shape.make, self._classifies, f"{shape.tokens} tokens")
            return profile_module(subject, self.settings, request)

    @property
    def _classifies(self) -> bool:
        head = self.checkpoint.head
        return head is not None and head.size > 1

    def _load(self, dtype: torch.dtype) -> nn.Module:
        if self.checkpoint.head:
            finish: nn.Module = Probabilities() if self._classifies else Number()
        else:
            finish = Embedding(self.checkpoint.recipe, dict(self.checkpoint.dense))
        module: Any = _load_module(self.checkpoint, dtype)
        module.config.use_cache = False  # a decoder would keep keys and values for a next token
        if getattr(module.config, "pad_token_id", None) is None:
            module.config.pad_token_id = module.config.eos_token_id or 0  # no text here holds either
        return Whole(module, finish).eval()


@dataclass(frozen=True, slots=True)
class _Shape:
    """Which tokens a text of the profile may hold, and how many."""

    words: Tensor
    tokens: int
    types: bool

    @classmethod
    def of(cls, checkpoint: Checkpoint) -> _Shape:
        tokenizer = load_tokenizer(checkpoint)
        module: Any = _load_module(checkpoint, torch.float32)
        special = set(tokenizer.all_special_ids)
        words = [i for i in range(module.get_input_embeddings().weight.shape[0]) if i not in special]
        types = "token_type_ids" in tokenizer.model_input_names and takes(module, "token_type_ids")
        limit, _ = length_limit(checkpoint, tokenizer, module)
        return cls(torch.tensor(words), min(TOKENS, limit), types)

    def make(self, n: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Return the inputs of n texts of random words, full to the last token."""
        places = torch.randint(len(self.words), (n, self.tokens), generator=generator)
        inputs = {"input_ids": self.words[places], "attention_mask": torch.ones_like(places)}
        if self.types:
            inputs["token_type_ids"] = torch.zeros_like(places)
        return inputs


def _load_module(checkpoint: Checkpoint, dtype: torch.dtype) -> nn.Module:
    load = load_classifier if checkpoint.head else load_backbone
    return load(checkpoint, dtype)[0]
