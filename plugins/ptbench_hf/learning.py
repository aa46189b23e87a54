"""A checkpoint as training and inspection see it: its backbone with its pooling, fed with tokens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ptbench import Examples, ModelFacts, Settings
from ptbench_hf.checkpoints import Checkpoint
from ptbench_hf.engine import Engine
from ptbench_hf.quiet import quiet
from ptbench_hf.spreading import refuse_spread
from ptbench_hf.textmodels import TextEmbedder
from ptbench_hf.tokens import Tokens
from ptbench_torch.batching import Index
from ptbench_torch.blocks import find_blocks
from ptbench_torch.device import find_dtype
from ptbench_torch.learner import Learner
from ptbench_torch.precision import chosen_precision


class TextBackbone(nn.Module):
    """A module with the pooling that makes one row of its token vectors."""

    def __init__(self, module: nn.Module, finish: nn.Module) -> None:
        super().__init__()
        self.module, self.finish = module, finish

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Return [batch, width] for token ids, their mask, and token types where it takes them."""
        rows: Tensor = self.finish(self.module(**inputs), inputs["attention_mask"])
        return rows


@dataclass(frozen=True, slots=True)
class TextInputs:
    """Texts that were tokenised once; a pair was read jointly, as the tokenizer joins pairs."""

    tokens: Tokens
    engine: Engine

    @property
    def lengths(self) -> NDArray[np.int64]:
        """int64[n]: tokens of each example."""
        return self.tokens.lengths

    def batch(self, rows: Index) -> dict[str, Tensor]:
        """Return token ids, mask and types of these rows, padded to the longest of them."""
        return self.engine.inputs(self.tokens, rows)


def text_learner(checkpoint: Checkpoint, settings: Settings, facts: ModelFacts) -> tuple[Learner, ModelFacts]:
    """Load a checkpoint to be trained or looked into; return it with what is known of it.

    Its weights are float32 whatever the precision: bf16 and fp16 are for what is computed with them.
    Raises `ModelError`.
    """
    refuse_spread(checkpoint, "training and inspection")
    embedder = TextEmbedder(checkpoint, replace(settings, precision="fp32"), facts)
    engine = embedder.engine
    precision = chosen_precision(settings.precision, engine.device)
    dtype = find_dtype(precision, engine.device)
    backbone = TextBackbone(engine.module, engine.finish).eval().requires_grad_(True)

    def read(examples: Examples) -> TextInputs:
        with quiet():
            return TextInputs(engine.reader.read(examples), engine)

    first = engine.first_tokens()

    def run() -> None:
        with torch.inference_mode(), quiet():
            backbone(engine.inputs(first, np.arange(1)))

    after = (("pooling", engine.finish),) if any(True for _ in engine.finish.parameters()) else ()
    learner = Learner(
        backbone,
        find_blocks(engine.module, run) + after,
        read,
        engine.device,
        None if dtype is torch.float32 else dtype,
        engine.width,
        batching=engine.batching,
        counts=engine.reader.counts,
    )
    return learner, replace(embedder.facts, precision=precision, seconds={})
