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
from ptbench_hf.spreading import check_spread, spread_over
from ptbench_hf.tokens import TextReader, Tokens
from ptbench_torch.batching import Batching, Index
from ptbench_torch.collect import collect
from ptbench_torch.device import find_device, find_dtype, text_batching
from ptbench_torch.memory import OutOfMemory, release, saying
from ptbench_torch.operations import count_operations
from ptbench_torch.parameters import weight_bytes
from ptbench_torch.precision import chosen_precision, fallback_note, unsafe

FIRST_TEXTS = ("to be or not to be", "to be or not to be, that is the question, and so on")
TOLERANCE = {"fp32": 1e-4, "bf16": 5e-2, "fp16": 5e-2}
"""Relative difference that padding may make, above rounding in each precision."""
Load = Callable[[Checkpoint, torch.dtype], tuple[nn.Module, tuple[str, ...]]]


@dataclass(frozen=True, slots=True)
class Engine:
    """A module on its device, with the tokenizer that feeds it."""

    module: nn.Module
    finish: nn.Module
    """From the output of ``module`` and the attention mask to one row per example."""
    reader: TextReader
    device: torch.device
    batching: Batching
    width: int = 0
    """Numbers in a row."""
    seconds: dict[str, float] = field(default_factory=lambda: {"decode": 0.0, "compute": 0.0})
    """What its time went to: tokenizing, and the rest."""

    def run(self, examples: Examples) -> NDArray[np.float32]:
        """Return float32[n, width], in the order of examples.

        Raises `ModelError` where a number is not finite, or memory does not hold one of them.
        """
        started = time.perf_counter()
        with quiet():
            tokens = self.reader.read(examples)
            read = time.perf_counter()
            batches = self.batching.cut(tokens.lengths)
            result = collect(
                batches, lambda rows: self._step(tokens, rows), batching=self.batching, width=self.width
            )
        self.seconds["decode"] += read - started
        self.seconds["compute"] += time.perf_counter() - read
        broken = int((~np.isfinite(result).all(axis=1)).sum())
        if broken:
            raise ModelError(f"{broken} of {len(result)} outputs are not finite numbers: try precision fp32")
        return result

    def tried(self, precision: str) -> tuple[Engine, Tensor]:
        """Return the engine with what a first run tells: its width, and whether padding leaks; and the rows.

        XLNet's head and convolutions over tokens read the padding: their scores depend on the batch.
        """
        tokens = self.first_tokens()
        plain = replace(self, batching=replace(self.batching, canonical=False))
        with torch.inference_mode():
            alone = plain._step(tokens, np.array([0])).float()
            both = plain._step(tokens, np.array([0, 1])).float()
        leak = (alone - both[:1]).abs().max() > TOLERANCE[precision] * alone.abs().max()
        batching = replace(self.batching, even=bool(leak))
        return replace(self, width=alone.shape[1], batching=batching), both

    def first_tokens(self) -> Tokens:
        """Return a short text and a longer one, to try the module with."""
        tokens = self.reader.read(Examples(["short", "long"], {"text": FIRST_TEXTS}))
        self.reader.truncated = 0  # these two are nobody's examples
        return tokens

    def inputs(self, tokens: Tokens, rows: Index) -> dict[str, Tensor]:
        """Return what the module takes for these rows, on its device."""
        width = self.batching.width(tokens.lengths[rows])
        arrays = tokens.batch(rows, self.reader.pad, width)
        return {name: self._move(array) for name, array in arrays.items()}

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
    load: Load,
    finish: nn.Module,
    *,
    prompt: str,
) -> tuple[Engine, ModelFacts]:
    """Load a checkpoint onto its device; return the engine, and the facts with what was found.

    With precision ``auto`` a lower one is taken only where its first rows are near those in float32.
    """
    device = find_device(settings.device)
    if checkpoint.wishes.spread:
        check_spread(checkpoint, device)
    tokenizer = load_tokenizer(checkpoint)
    notes: tuple[str, ...] = ()

    def started(precision: str) -> tuple[Engine, Tensor, dict[str, Any]]:
        return _started(checkpoint, settings, load, finish, tokenizer, prompt, device, precision)

    precision = chosen_precision(settings.precision, device)
    engine, rows, extra = started(precision)
    if precision not in (settings.precision, "fp32"):
        try:
            full = started("fp32")
        except OutOfMemory:  # then there is no choice
            release(device)
        else:
            engine.batching.even |= full[0].batching.even  # in which a leak is told from rounding
            if why := unsafe(rows, full[1]):
                precision, engine, extra = "fp32", full[0], full[2]
                notes = (fallback_note(why),)
    if engine.batching.even:
        extra["batches"] = "texts of one length (padding would change the output)"
    return engine, replace(
        facts,
        device=str(device),
        precision=precision,
        weight_bytes=weight_bytes(engine.module, finish),
        extra={**facts.extra, **extra},
        notes=facts.notes + notes,
    )


def _started(
    checkpoint: Checkpoint,
    settings: Settings,
    load: Load,
    finish: nn.Module,
    tokenizer: Any,
    prompt: str,
    device: torch.device,
    precision: str,
) -> tuple[Engine, Tensor, dict[str, Any]]:
    """Load a checkpoint in one precision; return the engine, its first rows, and what there is to tell."""
    with saying(f"the weights in {precision}", device):
        loaded, left = load(checkpoint, find_dtype(precision, device))
        module: Any = loaded if checkpoint.wishes.spread else loaded.to(device)
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
    batching = text_batching(settings, device, max_length)
    engine = Engine(module, finish.to(device), reader, device, batching)
    with explained(checkpoint.root, "cannot run on a first text"), saying("a first text", device):
        engine, rows = engine.tried(precision)
    extra = {"architecture": type(module).__name__, "max_length": said, **attention_of(module)}
    if left:
        extra["unused_weights"] = ", ".join(left)
    if checkpoint.wishes.spread:
        extra["spread"] = spread_over(module)
    return engine, rows, extra


def attention_of(module: Any) -> dict[str, str]:
    """Return which attention is computed: that of torch (sdpa) wherever transformers has it for a model."""
    chosen = getattr(module.config, "_attn_implementation", None)
    return {"attention": str(chosen)} if chosen else {}


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
