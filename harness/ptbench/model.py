"""What a model is to the harness: plain Python in, NumPy out, each capability one method wide.

Batching, device and precision are the model's own affair, and so is its preprocessing: it belongs to
the weights and travels with them. `embed` and `predict` return one row per example, in the order of
the examples.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, runtime_checkable
from typing import Protocol as Interface

import numpy as np
from numpy.typing import NDArray

from ptbench.data import Columns, Examples, Split


class Capability(StrEnum):
    """What a model can do; the value is the name of the method that does it."""

    PREDICT = "predict"
    EMBED = "embed"
    FIT = "fit"
    PEEK = "peek"
    PROFILE = "profile"
    INSPECT = "inspect"


@dataclass(frozen=True, slots=True)
class Reference:
    """``scheme:name@revision``: a model reference or a data reference."""

    scheme: str
    name: str
    revision: str | None = None

    def __str__(self) -> str:
        return f"{self.scheme}:{self.name}" + (f"@{self.revision}" if self.revision else "")

    @classmethod
    def parse(cls, text: str, *, revisions: bool = True) -> Reference:
        """Read a reference. With ``revisions`` false an ``@`` is part of the name.

        Raises `ValueError` where there is no scheme or no name.

        >>> Reference.parse("hf:roberta-base@e2da8e2")
        Reference(scheme='hf', name='roberta-base', revision='e2da8e2')
        >>> Reference.parse("file:mail@home.csv", revisions=False).name
        'mail@home.csv'
        """
        scheme, colon, rest = text.partition(":")
        if not colon or not scheme or not rest:
            raise ValueError(f"'{text}' is no reference: write scheme:name or scheme:name@revision")
        if not revisions or "@" not in rest:
            return cls(scheme, rest)
        name, _, revision = rest.rpartition("@")
        if not name or not revision:
            raise ValueError(f"'{text}' is no reference: an '@' stands between name and revision")
        return cls(scheme, name, revision)


@dataclass(frozen=True, slots=True)
class Settings:
    """How to run, not what: nothing here may change a score beyond rounding."""

    device: str = "auto"
    """``auto`` (a GPU if there is one), ``cpu``, ``cuda``, ``cuda:N`` or ``mps``."""
    precision: str = "auto"
    """``fp32``, ``bf16`` or ``fp16``; ``auto``: bf16 on a GPU with matrix units for it where the model bears
    it, else fp32. It can change a score, and what was used is a column of every report."""
    batch_tokens: int | None = None
    """Padded tokens in a batch of texts; None lets the model choose."""
    batch_size: int | None = None
    """Images in a batch; None lets the model choose."""
    canonical: bool = False
    """Whether batches are made of the examples alone, so that neither ``batch_tokens`` nor ``batch_size``
    changes the last bit of what a model gives; the run then computes with one thread everywhere."""


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """What a provider is asked for: a reference, its options, and what it is wanted for."""

    reference: Reference
    options: Mapping[str, Any] = field(default_factory=dict)
    settings: Settings = Settings()
    base: Path = Path()
    """The folder against which relative paths are read: that of the suite."""
    capability: Capability | None = None
    """What the model is loaded for; None when it is only described."""
    kind: str | None = None
    """The kind of task to predict for; None for `embed`, which serves every kind."""


@dataclass(frozen=True, slots=True)
class Download:
    """Something that has to be brought before a cell can run."""

    what: str
    bytes: int | None = None
    digest: str = ""
    """What the file must have, as ``sha256:…``, where that is known before."""


@dataclass(frozen=True, slots=True)
class ModelDescription:
    """What is known of a model without loading it. None means: not known before it is loaded."""

    capabilities: frozenset[Capability]
    labels: tuple[str, ...] | None = None
    """The label space of its own head, in the order of its scores; empty: it predicts a number."""
    kinds: frozenset[str] | None = None
    """The kinds that it can `predict` or be `fit` to; None means any."""
    inputs: frozenset[str] | None = None
    """The input columns that it can read; None means any."""
    parameters: int | None = None
    downloads: tuple[Download, ...] = ()
    trust: tuple[str, ...] = ()
    """What the suite allowed for this model beyond the safe default: ``pickle``, ``unpinned``…"""
    synonyms: Mapping[str, int] = field(default_factory=dict)
    """Other names of the labels, such as WordNet ids, to their positions; -1 where a name has two."""
    notes: tuple[str, ...] = ()
    """What a reader of the plan must know, such as ``random weights``."""
    files: Mapping[str, tuple[Path, ...]] = field(default_factory=dict)
    """The local files that it is made of, ``weights`` and ``preprocessing`` (configuration, tokenizer): their
    digests are part of a cell's identity, so that a changed file is noticed before anything is loaded.
    ``{"weights": ()}`` says that there are none; empty says nothing, and cells are run in every run anew."""


@dataclass(frozen=True, slots=True)
class Operations:
    """What one example costs a model in multiply-adds, under two stated definitions.

    A multiply-add counts one. Neither definition counts activation functions, softmax or sums.
    """

    macs: int
    """Matrix products and convolutions alone, attention included (as torchvision's ``_ops``)."""
    fvcore_macs: int
    """As fvcore counts, and so timm's tables: with normalisations, up-sampling and adaptive pooling.
    Attention counts as the two matrix products it stands for, fused or not, as in those tables."""
    activations: int
    """Numbers that convolutions and matrix products put out (fvcore's definition)."""
    uncounted: Mapping[str, int] = field(default_factory=dict)
    """Operators that neither definition counts, with how often they are called."""
    input: str = ""
    """The shape of the example: ``3x224x224``."""


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What is known of a loaded model; all of it goes into the record."""

    parameters: int | None = None
    weights: str = ""
    """Digest of the weights (sha256 of the file where there is one), empty where there are none. Features
    outlive the process only where this and ``preprocessing`` are given, since they are kept under both."""
    preprocessing: str = ""
    """Digest of what is done to an example besides the weights: tokenizer, lengths, pooling, layer."""
    device: str = "cpu"
    precision: str = "fp32"
    labels: tuple[str, ...] = ()
    """The label space of ``scores``, in their order; empty where it is the task's own or a number."""
    trust: tuple[str, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)
    """More that a reader should know, such as ``{"pooling": "mean"}``."""
    counts: Mapping[str, int] = field(default_factory=dict)
    """What it had to change in its inputs since it was loaded, such as ``{"truncated": 3}``."""
    notes: tuple[str, ...] = ()
    """What a reader of any score of it must know: random weights, preprocessing that is not its own."""
    synonyms: Mapping[str, int] = field(default_factory=dict)
    """Other names of the labels to their positions; -1 where a name has two."""
    weight_bytes: int | None = None
    """Bytes of parameters and buffers as they lie in memory."""
    operations: Operations | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)
    """Wall-clock seconds since it was loaded by what they went to: ``decode`` (waiting for decoded
    inputs), ``transfer`` (to the device), ``compute``."""


@runtime_checkable
class Model(Interface):
    """A loaded pre-trained network, or a baseline that stands in for one."""

    @property
    def facts(self) -> ModelFacts:
        """What is known of it; ``counts`` may grow as it works."""


@runtime_checkable
class Predictor(Model, Interface):
    """A model that predicts with what it brings: a checkpoint's own head."""

    def predict(self, examples: Examples) -> Columns:
        """Return the output columns of the kind, one row per example.

        A model with labels returns ``scores`` float[n, labels] in the order of ``facts.labels``; the
        harness maps them to the task's labels. Without, it returns ``prediction``.
        """


@runtime_checkable
class Embedder(Model, Interface):
    """A model that turns examples into vectors."""

    def embed(self, examples: Examples) -> NDArray[np.float32]:
        """Return float32[n, d], one row per example."""


@dataclass(frozen=True, slots=True)
class FitRequest:
    """What a model is fitted for, besides the rows."""

    kind: str
    labels: tuple[str, ...]
    seed: int
    options: Mapping[str, Any] = field(default_factory=dict)
    scratch: Path | None = None
    """A folder in which it may keep how far it has come: the same one when this very cell is run again
    after an interruption, and gone once it is done. None: nothing can be kept."""


@runtime_checkable
class Fittable(Model, Interface):
    """A model that learns from training rows by its own recipe."""

    def fit(self, train: Split, validation: Split, request: FitRequest) -> Predictor:
        """Return a model that predicts in the task's own labels; choices are made on validation.

        What it returns may tell of the fitting in ``facts.extra`` and ``facts.notes``. Each call starts
        from the weights that were loaded, whatever was fitted before.
        """


@runtime_checkable
class Peeker(Model, Interface):
    """A sentinel that sees the targets, to prove that a task and its metrics are sane. No others."""

    def peek(self, split: Split, request: FitRequest) -> Columns:
        """Return the output columns of the kind, one row per example."""
