"""A dual encoder that is loaded: it embeds images and texts into one space, as its checkpoint does."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ptbench import Examples, ModelError, ModelFacts, Operations, Settings
from ptbench_hf.checkpoints import Checkpoint
from ptbench_hf.dual import FILLED, check_dual, image_versions, processing_digest
from ptbench_hf.dualimages import ImageEngine, ImageTower
from ptbench_hf.engine import Engine, attention_of
from ptbench_hf.loading import length_limit, load_dual, load_image_processor, load_tokenizer
from ptbench_hf.quiet import explained, quiet
from ptbench_hf.spreading import refuse_spread
from ptbench_hf.textmodels import preprocessing_digest
from ptbench_hf.tokens import TextReader, Tokens
from ptbench_torch.device import find_device, find_dtype, image_batching, text_batching
from ptbench_torch.memory import saying
from ptbench_torch.operations import count_operations
from ptbench_torch.parameters import count_parameters, weight_bytes
from ptbench_torch.precision import chosen_precision, fallback_note, unsafe


class DualEmbedder:
    """Both towers of a dual encoder with their projections: the column ``image``, or the column ``text``."""

    def __init__(self, checkpoint: Checkpoint, settings: Settings, facts: ModelFacts) -> None:
        check_dual(checkpoint)
        refuse_spread(checkpoint, "a dual encoder")
        device = find_device(settings.device)
        processor = load_image_processor(checkpoint)
        tokenizer = load_tokenizer(checkpoint)
        finish = Features(normalize=bool(checkpoint.wishes.normalize))

        def started(precision: str) -> _Started:
            return _start(checkpoint, settings, device, processor, tokenizer, finish, precision)

        precision = chosen_precision(settings.precision, device)
        towers, notes = started(precision), facts.notes
        if precision not in (settings.precision, "fp32"):
            full = started("fp32")
            if why := unsafe(towers.text, full.text) or unsafe(towers.image, full.image):
                towers, precision = full, "fp32"
                notes += (fallback_note(why),)
        model, left, reader = towers.model, towers.left, towers.texts.reader
        texts, images = towers.texts, towers.images
        self._texts, self._images = texts, images
        digest = preprocessing_digest(checkpoint, reader)
        how = type(processor).__name__  # of one name, one works on PIL's images, another one on tensors
        done = (how, bool(checkpoint.wishes.normalize), image_versions(processor))
        self._facts = replace(
            facts,
            parameters=count_parameters(model),
            preprocessing=processing_digest(digest, checkpoint, *done),
            device=str(device),
            precision=precision,
            notes=notes,
            weight_bytes=weight_bytes(model),
            extra={
                **facts.extra,
                "architecture": type(model).__name__,
                "max_length": towers.said,
                "preprocessing": how,
                "normalize": bool(checkpoint.wishes.normalize),
                **attention_of(model),
                **_scale(model),
                **({"unused_weights": ", ".join(left)} if left else {}),
            },
        )

    @cached_property
    def _operations(self) -> Operations | None:
        """What an image costs, counted when it is first asked for: it is no part of loading."""
        try:
            with quiet():
                return count_operations(self._images.tower, (self._images.first(),))
        except ModelError:
            return None

    @property
    def facts(self) -> ModelFacts:
        """What is known of it; its operations are those of an image. Texts that were cut off are counted."""
        texts, images = self._texts.batching, self._images.batching
        counts = self._texts.reader.counts()
        for name, count in (*texts.counts().items(), *images.counts().items()):
            counts[name] = counts.get(name, 0) + count
        seconds = dict(self._images.seconds)
        for name, spent in self._texts.seconds.items():
            seconds[name] = seconds.get(name, 0.0) + spent
        return replace(
            self._facts,
            counts=counts,
            seconds=seconds,
            operations=self._operations,
            extra={**self._facts.extra, "batch": [texts.facts(), images.facts()]},
            notes=self._facts.notes + texts.notes() + images.notes(),
        )

    def embed(self, examples: Examples) -> NDArray[np.float32]:
        """Return float32[n, d], one row per image, or per text where there are no images.

        Raises `ModelError` where there are neither, or both.
        """
        there = [name for name in ("image", "text") if name in examples.columns]
        if len(there) != 1:
            columns = ", ".join(examples.columns) or "none"
            raise ModelError(f"a dual encoder reads the column image or text; the examples have: {columns}")
        return self._images.run(examples) if there == ["image"] else self._texts.run(examples)


@dataclass(frozen=True, slots=True)
class _Started:
    """Both towers in one precision, with what they gave for a first text and a first image."""

    model: Any
    left: tuple[str, ...]
    said: int | str
    texts: Engine
    images: ImageEngine
    text: Tensor
    image: Tensor


def _start(
    checkpoint: Checkpoint,
    settings: Settings,
    device: torch.device,
    processor: Any,
    tokenizer: Any,
    finish: Features,
    precision: str,
) -> _Started:
    dtype = find_dtype(precision, device)
    with saying(f"the weights in {precision}", device):
        loaded, left = load_dual(checkpoint, dtype)
        model: Any = loaded.to(device)
    reader, said = _reader(checkpoint, tokenizer, model)
    texts = Engine(
        TextTower(model), finish, reader, device, text_batching(settings, device, reader.max_length)
    )
    with explained(checkpoint.root, "cannot run on a first text"), saying("a first text", device):
        texts, text = texts.tried(precision)
    images = ImageEngine(
        ImageTower(model), processor, finish, device, dtype, image_batching(settings, device), texts.width
    )
    with (
        explained(checkpoint.root, "cannot run on a first image"),
        saying("a first image", device),
        torch.inference_mode(),
    ):
        image = finish(images.tower(images.first()))
    if image.shape[1] != texts.width:
        widths = f"{image.shape[1]} numbers for an image, {texts.width} for a text"
        raise ModelError(f"{checkpoint.root}: {widths}")
    return _Started(model, left, said, texts, images, text, image)


class TextTower(nn.Module):
    """From token ids to what ``get_text_features`` of a model gives."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model
        self.config = model.config.text_config

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Any:
        """Return a tensor [batch, d], or an output that has it as ``pooler_output``."""
        return self.model.get_text_features(input_ids=input_ids, attention_mask=attention_mask)


class Features(nn.Module):
    """From what a tower gives to one row per example."""

    def __init__(self, *, normalize: bool) -> None:
        super().__init__()
        self.normalize = normalize

    def forward(self, output: Any, mask: Tensor | None = None) -> Tensor:
        """Return [batch, d]; before transformers 5 a tower gave it bare."""
        rows: Tensor = (output if isinstance(output, Tensor) else output.pooler_output).float()
        return nn.functional.normalize(rows, dim=1) if self.normalize else rows


@dataclass(slots=True)
class FilledReader(TextReader):
    """Reads texts filled up to one length, of which the filling is read too: so was SigLIP trained."""

    length: int = 64

    def read(self, examples: Examples) -> Tokens:
        """Tokenise the column ``text``; every example has the same number of tokens."""
        tokens = TextReader.read(self, examples)
        n = len(tokens.lengths)
        rows = np.repeat(np.arange(n), tokens.lengths)
        places = np.arange(len(rows)) - tokens.starts[rows]
        if self.tokenizer.padding_side == "left":
            places += self.length - tokens.lengths[rows]
        ids = np.full((n, self.length), self.pad, dtype=np.int32)
        ids[rows, places] = tokens.ids
        return Tokens(ids.ravel(), None, np.arange(n) * self.length, np.full(n, self.length))


def _reader(checkpoint: Checkpoint, tokenizer: Any, model: Any) -> tuple[TextReader, int | str]:
    tower = TextTower(model)
    max_length, said = length_limit(checkpoint, tokenizer, tower)
    given: dict[str, Any] = {
        "vocabulary": tower.config.vocab_size,
        "prompt": checkpoint.wishes.prompt or "",
    }
    if checkpoint.config["model_type"] in FILLED:
        length = tower.config.max_position_embeddings
        return FilledReader(tokenizer, max_length, length=length, **given), said
    return TextReader(tokenizer, max_length, **given), said


def _scale(model: Any) -> dict[str, float]:
    """Return by what the model multiplies a cosine before a softmax (SigLIP: a sigmoid), and adds to it."""
    told = {}
    if hasattr(model, "logit_scale"):
        told["logit_scale"] = float(model.logit_scale.detach().float().exp())
    elif hasattr(model, "temperature"):
        told["logit_scale"] = 1 / float(model.temperature.detach().float())
    if hasattr(model, "logit_bias"):
        told["logit_bias"] = float(model.logit_bias.detach().float())
    return told
