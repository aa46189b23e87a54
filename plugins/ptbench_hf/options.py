"""The options of an `hf:` model in a suite, read and checked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from ptbench import ModelError, Option, nearest

POOLINGS = ("mean", "cls", "max", "last")

OPTIONS = (
    Option(
        "pooling",
        (str,),
        "How token vectors become one; default: what the checkpoint declares, else mean",
        choices=POOLINGS,
    ),
    Option(
        "layer",
        (int,),
        "Whose token vectors are pooled: 0 the token embeddings, n after the n-th block; default: the last",
    ),
    Option("normalize", (bool,), "Whether embeddings get length 1; default: what the checkpoint declares"),
    Option("max_length", (int,), "Longest input in tokens; never more than the checkpoint allows"),
    Option("prompt", (str,), "Text put before every text; default: the checkpoint's own default prompt"),
    Option(
        "labels",
        (list,),
        "Names of the classes of the head, in its order; needed where it names none",
        inert=True,  # for features, which no head has seen
    ),
    Option("sha256", (str,), "Digest that the weights file must have", inert=True),
    Option(
        "allow_unpinned",
        (bool,),
        "Allow a hub revision that is no commit: it may change",
        default=False,
        inert=True,
    ),
    Option("allow_pickle", (bool,), "Allow weights that are stored as a pickle", default=False, inert=True),
    Option(
        "spread",
        (bool,),
        "Deal its layers out over all GPUs of its slot, where one alone does not hold it",
        default=False,
        inert=True,
    ),
    Option("trust_remote_code", (bool,), "Run Python code that comes with the checkpoint", default=False),
)


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a suite asks of one model; None: nothing asked, the checkpoint decides."""

    pooling: str | None = None
    layer: int | None = None
    normalize: bool | None = None
    max_length: int | None = None
    prompt: str | None = None
    labels: tuple[str, ...] | None = None
    sha256: str | None = None
    allow_unpinned: bool = False
    allow_pickle: bool = False
    trust_remote_code: bool = False
    spread: bool = False


def read_options(given: Mapping[str, Any]) -> Wishes:
    """Read the options of a model. Raises `ModelError` that names the option and what it may be."""
    known = {field.name for field in fields(Wishes)}
    for name in given:
        if name not in known:
            raise ModelError(f"a model of provider 'hf' has no option '{name}': {nearest(name, known)}")
    wishes = Wishes(**{**given, "labels": _labels(given.get("labels"))})
    if wishes.pooling is not None and wishes.pooling not in POOLINGS:
        raise ModelError(f"pooling = '{wishes.pooling}' is unknown: {nearest(wishes.pooling, POOLINGS)}")
    if wishes.max_length is not None and wishes.max_length < 1:
        raise ModelError(f"max_length = {wishes.max_length}: it is a number of tokens, 1 or more")
    if wishes.sha256 is not None and not re.fullmatch(r"[0-9a-fA-F]{64}", wishes.sha256):
        raise ModelError(f"sha256 = '{wishes.sha256}' is no sha256: that is 64 hexadecimal digits")
    return wishes


def _labels(value: Any) -> tuple[str, ...] | None:
    if value is None:
        return None
    if not isinstance(value, list | tuple) or not all(isinstance(label, str) for label in value):
        raise ModelError(
            f"labels = {value!r}: it is a list of names, one per class, in the order of the head"
        )
    if len(set(value)) < len(value):
        raise ModelError(f"labels = {list(value)!r}: two classes have the same name")
    return tuple(value)
