"""Text models that are loaded: one embeds, one predicts with the head of its checkpoint."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptbench import Columns, Examples, ModelFacts, Operations, Settings
from ptbench_hf.checkpoints import Checkpoint
from ptbench_hf.engine import Engine, operations_of, start_engine
from ptbench_hf.files import find_tokenizer
from ptbench_hf.heads import Head
from ptbench_hf.loading import load_backbone, load_classifier
from ptbench_hf.pooling import Embedding, Number, Probabilities
from ptbench_hf.tokens import TextReader
from ptbench_torch.digest import file_sha256
from ptbench_torch.parameters import count_parameters


class TextEmbedder:
    """A backbone whose token vectors are pooled as its checkpoint declares."""

    def __init__(self, checkpoint: Checkpoint, settings: Settings, facts: ModelFacts) -> None:
        recipe = checkpoint.recipe
        finish = Embedding(recipe, dict(checkpoint.dense))
        self._engine, facts = start_engine(
            checkpoint, settings, facts, load_backbone, finish, prompt=recipe.prompt
        )
        pooling = "+".join(recipe.pooling) + ("" if recipe.origin == "checkpoint" else f" ({recipe.origin})")
        stages = [stage if isinstance(stage, str) else stage.activation for stage in recipe.stages]
        layer = {} if recipe.layer is None else {"layer": recipe.layer}
        chosen = (recipe.pooling, stages, *layer.values())
        self._facts = replace(
            facts,
            parameters=count_parameters(self._engine.module, finish),
            preprocessing=preprocessing_digest(checkpoint, self._engine.reader, *chosen),
            extra={**facts.extra, "pooling": pooling, "normalize": stages[-1:] == ["normalize"], **layer},
        )

    @property
    def engine(self) -> Engine:
        """What runs it."""
        return self._engine

    @cached_property
    def _operations(self) -> Operations | None:
        """What a text costs, counted when it is first asked for: it is no part of loading."""
        return operations_of(self._engine)

    @property
    def facts(self) -> ModelFacts:
        """What is known of it; truncated texts are counted since it was loaded."""
        return replace(_counted(self._facts, self._engine), operations=self._operations)

    def embed(self, examples: Examples) -> NDArray[np.float32]:
        """Return float32[n, d], one row per example."""
        return self._engine.run(examples)


class TextPredictor:
    """A backbone with the head of its checkpoint: it scores labels, or predicts a number."""

    def __init__(self, checkpoint: Checkpoint, head: Head, settings: Settings, facts: ModelFacts) -> None:
        labels = head.labels or ()
        finish = Probabilities() if labels else Number()
        prompt = checkpoint.wishes.prompt or ""
        self._engine, facts = start_engine(
            checkpoint, settings, facts, load_classifier, finish, prompt=prompt
        )
        origin = {"labels": "option"} if checkpoint.wishes.labels else {}
        self._facts = replace(
            facts,
            parameters=count_parameters(self._engine.module),
            preprocessing=preprocessing_digest(checkpoint, self._engine.reader),
            labels=labels,
            extra={**facts.extra, **origin},
        )

    @cached_property
    def _operations(self) -> Operations | None:
        """What a text costs, counted when it is first asked for: it is no part of loading."""
        return operations_of(self._engine)

    @property
    def facts(self) -> ModelFacts:
        """What is known of it; truncated texts are counted since it was loaded."""
        return replace(_counted(self._facts, self._engine), operations=self._operations)

    def predict(self, examples: Examples) -> Columns:
        """Return ``scores`` float32[n, labels], or ``prediction`` float64[n] from a head for a number."""
        rows = self._engine.run(examples)
        return {"scores": rows} if self._facts.labels else {"prediction": rows[:, 0].astype(np.float64)}


def preprocessing_digest(checkpoint: Checkpoint, reader: TextReader, *more: Any) -> str:
    """Return a digest of all that changes an output besides weights and precision."""
    files = [checkpoint.folder / "config.json", *find_tokenizer(checkpoint.folder)]
    digests = {file.name: file_sha256(file) for file in files}
    parts = [digests, reader.max_length, reader.prompt, reader.lower, more]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _counted(facts: ModelFacts, engine: Engine) -> ModelFacts:
    batching = engine.batching
    return replace(
        facts,
        counts={**engine.reader.counts(), **batching.counts()},
        seconds=dict(engine.seconds),
        extra={**facts.extra, "batch": batching.facts()},
        notes=facts.notes + batching.notes(),
    )
