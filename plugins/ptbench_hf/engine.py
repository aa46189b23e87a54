"""A module on its device with the tokenizer that feeds it: examples in, float32 rows out."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ptbench import Examples, ModelError, ModelFacts, Operations, Settings
from ptbench_hf.checkpoints import Checkpoint
from ptbench_hf.loading import length_limit, load_tokenizer, takes
from ptbench_hf.profiling import TOKENS, Whole
from ptbench_hf.quiet import explained, quiet
from ptbench_hf.tokens import TextReader, Tokens
from ptbench_torch.batching import Index, token_batches
from ptbench_torch.collect import collect
from ptbench_torch.device import batch_tokens, find_device, find_dtype
from ptbench_torch.operations import count_operations
from ptbench_torch.parameters import weight_bytes

FIRST_TEXTS = ("to be or not to be", "to be or not to be, that is the question, and so on")
TOLERANCE = {"fp32": 1e-4, "bf16": 5e-2, "fp16": 5e-2}
"""Relative difference that padding may make, above rounding in each precision."""


@dataclass(frozen=True, slots=True)
class Engine:
    """A module on its device, with the tokenizer that feeds it."""

    module: nn.Module
    finish: nn.Module
    """From the output of ``module`` and the attention mask to one row per example."""
    reader: TextReader
    device: torch.device
    budget: int
    width: int = 0
    """Numbers in a row."""
    even: bool = False
    """Whether padding changes what the module gives, so that only texts of one length go together."""
    seconds: dict[str, float] = field(default_factory=lambda: {"decode": 0.0, "compute": 0.0})
    """What its time went to: tokenizing, and the rest."""

    def run(self, examples: Examples) -> NDArray[np.float32]:
        """Return float32[n, width], in the order of examples.

        Raises `ModelError` where a number is not finite.
        """
        started = time.perf_counter()
        with quiet():
            tokens = self.reader.read(examples)
            read = time.perf_counter()
            batches = token_batches(tokens.lengths, self.budget, even=self.even)
            result = collect(batches, lambda rows: self._step(tokens, rows), width=self.width)
        self.seconds["decode"] += read - started
        self.seconds["compute"] += time.perf_counter() - read
        broken = int((~np.isfinite(result).all(axis=1)).sum())
        if broken:
            raise ModelError(f"{broken} of {len(result)} outputs are not finite numbers: try precision fp32")
        return result

    def tried(self, tolerance: float) -> Engine:
        """Return the engine with what a first run tells: its width, and whether padding leaks.

        XLNet's head and convolutions over tokens read the padding: their scores depend on the batch.
        """
        tokens = self.first_tokens()
        with torch.inference_mode():
            alone = self._step(tokens, np.array([0])).float()
            beside = self._step(tokens, np.array([0, 1])).float()[:1]
        leak = (alone - beside).abs().max() > tolerance * alone.abs().max()
        return replace(self, width=alone.shape[1], even=bool(leak))

    def first_tokens(self) -> Tokens:
        """Return a short text and a longer one, to try the module with."""
        tokens = self.reader.read(Examples(["short", "long"], {"text": FIRST_TEXTS}))
        self.reader.truncated = 0  # these two are nobody's examples
        return tokens

    def inputs(self, tokens: Tokens, rows: Index) -> dict[str, Tensor]:
        """Return what the module takes for these rows, on its device."""
        return {name: self._move(array) for name, array in tokens.batch(rows, self.reader.pad).items()}

    def _step(self, tokens: Tokens, rows: Index) -> Tensor:
        inputs = self.inputs(tokens, rows)
        output: Tensor = self.finish(self.module(**inputs), inputs["attention_mask"])
        return output

    def _move(self, array: NDArray[np.int64]) -> Tensor:
        tensor = torch.from_numpy(array)
        if self.device.type == "cuda":  # from pinned memory the copy runs beside the computation
            return tensor.pin_memory().to(self.device, non_blocking=True)
        return tensor.to(self.device)


def start_engine(
    checkpoint: Checkpoint,
    settings: Settings,
    facts: ModelFacts,
    load: Callable[[Checkpoint, torch.dtype], tuple[nn.Module, tuple[str, ...]]],
    finish: nn.Module,
    *,
    prompt: str,
) -> tuple[Engine, ModelFacts]:
    """Load a checkpoint onto its device; return the engine, and the facts with what was found."""
    device = find_device(settings.device)
    dtype = find_dtype(settings.precision, device)
    tokenizer = load_tokenizer(checkpoint)
    loaded, left = load(checkpoint, dtype)
    module: Any = loaded.to(device)
    max_length, said = length_limit(checkpoint, tokenizer, module)
    reader = TextReader(
        tokenizer,
        max_length,
        vocabulary=module.get_input_embeddings().weight.shape[0],
        types="token_type_ids" in tokenizer.model_input_names and takes(module, "token_type_ids"),
        prompt=prompt,
        lower=checkpoint.recipe.lower,
    )
    module.config.use_cache = False  # a decoder would keep keys and values for a next token
    if getattr(module.config, "pad_token_id", None) is None:
        module.config.pad_token_id = reader.pad  # by it the head of a decoder finds the last token
    engine = Engine(module, finish.to(device), reader, device, batch_tokens(settings.batch_tokens, device))
    with explained(checkpoint.root, "cannot run on a first text"):
        engine = engine.tried(TOLERANCE[settings.precision])
    extra = {**facts.extra, "architecture": type(module).__name__, "max_length": said}
    if left:
        extra["unused_weights"] = ", ".join(left)
    if engine.even:
        extra["batches"] = "texts of one length (padding would change the output)"
    return engine, replace(
        facts,
        device=str(device),
        precision=settings.precision,
        weight_bytes=weight_bytes(module, finish),
        extra=extra,
    )


def operations_of(engine: Engine) -> Operations | None:
    """Return what a text of `TOKENS` tokens costs; None where that cannot be counted."""
    reader = engine.reader
    words = torch.full((1, min(TOKENS, reader.max_length)), int(reader.pad == 0), device=engine.device)
    inputs = {"input_ids": words, "attention_mask": torch.ones_like(words)}
    if reader.types:
        inputs["token_type_ids"] = torch.zeros_like(words)
    try:
        with quiet():
            counted = count_operations(Whole(engine.module, engine.finish), inputs)
    except ModelError:
        return None
    return replace(counted, input=f"{words.shape[1]} tokens")
