"""Vision models that are loaded: one embeds, one predicts with its own head."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ptbench import (
    Capability,
    Columns,
    Examples,
    Model,
    ModelError,
    ModelFacts,
    ModelRequest,
    Operations,
    PtbenchError,
)
from ptbench_torch.inspecting import LearnerInspector
from ptbench_torch.operations import count_operations
from ptbench_torch.parameters import count_parameters, weight_bytes
from ptbench_torch.trainable import Trainable
from ptbench_vision.engine import ImageEngine
from ptbench_vision.heads import without_head
from ptbench_vision.imagecost import ImageCost
from ptbench_vision.layout import prefers_channels_last
from ptbench_vision.learning import image_learner
from ptbench_vision.networks import Network, notes_of
from ptbench_vision.options import RANDOM
from ptbench_vision.preprocessing import Preprocessing


def start(build: Callable[[], Network], request: ModelRequest) -> Model:
    """Build a network and put it on its device, to predict, to embed or to learn; or have it ready to be
    profiled or looked into.

    Raises `ModelError`.
    """
    wants = request.capability or Capability.EMBED
    if wants is Capability.PROFILE:
        return ImageCost(build, request.settings)
    network = _built(build, request)
    random = network.extra.get("init") == RANDOM
    where = str(request.reference)
    if wants is Capability.PREDICT and not network.labels:
        why = "random weights predict nothing" if random else "nothing names the classes of its head"
        raise ModelError(f"{where} cannot predict: {why}")
    module = network.module.eval()
    model = ImagePredictor if wants is Capability.PREDICT else ImageEmbedder
    settings = request.settings
    if wants in (Capability.FIT, Capability.INSPECT):  # weights that learn are float32, whatever is computed
        settings = replace(settings, precision="fp32")
    try:
        if wants is not Capability.PREDICT:
            module = network.strip(module) if network.strip else without_head(module, _classes(network))
        channels_last = request.options.get("channels_last")
        if channels_last is None:
            channels_last = prefers_channels_last(module)
        engine = ImageEngine(module, network.preprocessing, settings, channels_last=channels_last)
    except (ModelError, MemoryError):
        raise
    except Exception as error:  # networks check the size of their input in many ways
        size = "x".join(map(str, network.preprocessing.size))
        raise ModelError(f"{where} cannot run on an image of {size}: {_brief(error)}") from error
    if model is ImagePredictor and engine.width != len(network.labels):
        raise ModelError(f"{where} puts out {engine.width} numbers for its {len(network.labels)} labels")
    loaded = model(network, engine)
    if wants is Capability.FIT:
        return Trainable(*image_learner(engine, loaded.facts, request.settings))
    if wants is Capability.INSPECT:
        return LearnerInspector(*image_learner(engine, loaded.facts, request.settings))
    return loaded


def _built(build: Callable[[], Network], request: ModelRequest) -> Network:
    try:
        return build()
    except (PtbenchError, torch.OutOfMemoryError, MemoryError):
        raise
    except Exception as error:  # whatever a library raises for a size or an option that it cannot have
        raise ModelError(f"{request.reference} cannot be built: {_brief(error)}") from error


class ImageModel:
    """What embedders and predictors share: an engine, and facts."""

    def __init__(self, network: Network, engine: ImageEngine) -> None:
        preprocessing = network.preprocessing
        self._engine = engine
        self._facts = ModelFacts(
            parameters=count_parameters(engine.module),
            weights=network.weights,
            preprocessing=_digest(preprocessing, len(network.labels)),  # by which a head is found
            device=str(engine.device),
            precision=engine.precision,
            trust=network.trust,
            extra={
                "architecture": type(network.module).__name__,
                **network.extra,
                "preprocessing": _brief_words(preprocessing.words),
                "layout": "channels_last" if engine.channels_last else "contiguous",
            },
            notes=notes_of(network),
            weight_bytes=weight_bytes(engine.module),
        )

    @cached_property
    def _operations(self) -> tuple[Operations | None, tuple[str, ...]]:
        """What an image costs, counted when it is first asked for: it is no part of loading.

        Where it cannot be counted there is a note, since a score does not hang on it.
        """
        try:
            return count_operations(self._engine.module, (self._engine.inputs(1),)), ()
        except ModelError as error:
            return None, (f"multiply-adds are not known: {str(error)[:160]}",)

    @property
    def facts(self) -> ModelFacts:
        """What is known of it; enlarged images and seconds are counted since it was loaded."""
        operations, uncounted = self._operations
        engine, batching = self._engine, self._engine.batching
        return replace(
            self._facts,
            operations=operations,
            extra={**self._facts.extra, "batch": batching.facts()},
            notes=(*self._facts.notes, *uncounted, *engine.notes, *batching.notes()),
            counts={"resized up": engine.decoder.enlarged, **batching.counts()},
            seconds=dict(engine.seconds),
        )


class ImageEmbedder(ImageModel):
    """A network without its head: the features that the head would have seen."""

    def embed(self, examples: Examples) -> NDArray[np.float32]:
        """Return float32[n, d], one row per image."""
        return self._engine.run(examples)


class ImagePredictor(ImageModel):
    """A network with its head: a probability per class, by softmax."""

    def __init__(self, network: Network, engine: ImageEngine) -> None:
        super().__init__(network, engine)
        engine.finish = _softmax
        self._facts = replace(
            self._facts,
            preprocessing=_digest(network.preprocessing, network.labels),
            labels=network.labels,
            synonyms=network.synonyms,
        )

    def predict(self, examples: Examples) -> Columns:
        """Return ``scores`` float32[n, labels]."""
        return {"scores": self._engine.run(examples)}


def _softmax(logits: Tensor) -> Tensor:
    return logits.float().softmax(dim=1)


def _classes(network: Network) -> int:
    """Return the width of the head: how many numbers the network puts out."""
    if network.labels:
        return len(network.labels)
    height, width = network.preprocessing.size
    with torch.inference_mode():
        output = network.module(torch.zeros(1, 3, height, width))
    return int(output.shape[-1])


def _digest(preprocessing: Preprocessing, labels: int | tuple[str, ...]) -> str:
    return hashlib.sha256(json.dumps([preprocessing.digest, labels]).encode()).hexdigest()


def _brief_words(words: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in words.items() if name not in ("mean", "std"))


def _brief(error: Exception) -> str:
    text = " ".join(str(error).split())[:240]
    return f"{type(error).__name__}: {text}" if text else f"{type(error).__name__} (it says no more)"
