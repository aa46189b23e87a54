"""The options that all vision models have in a suite."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ptbench import ModelError, ModelRequest, Option
from ptbench_vision.categories import subset_labels, synonyms_of
from ptbench_vision.preprocessing import OPTIONS as PREPROCESSING

WEIGHTS, RANDOM = "weights", "random"


def _sha256(value: Any) -> str | None:
    return None if re.fullmatch(r"[0-9a-fA-F]{64}", value) else "that is 64 hexadecimal digits"


def _seed(value: Any) -> str | None:
    return None if 0 <= value < 2**63 else "a whole number from 0 to 2^63 was expected"


def _labels(value: Any) -> str | None:
    if not value or not all(isinstance(label, str) for label in value):
        return "names in quotes, one per class, were expected"
    return "two classes have the same name" if len(set(value)) < len(value) else None


LAYOUT = Option(
    "channels_last",
    (bool,),
    "Whether the channels of a pixel lie together in memory; default: where that is faster",
)
# How many labels there are can change a feature, since the head is found by it; that goes into the digest of
# the preprocessing. Their names cannot.
LABELS = Option(
    "labels",
    (list,),
    "Names of the classes of the head, in its order; where it names none",
    check=_labels,
    inert=True,
)
LABEL_SET = Option(
    "label_set",
    (str,),
    "Names of the classes of the head: a set that timm knows, such as imagenet-1k",
    inert=True,
)
SHA256 = Option("sha256", (str,), "Digest that the weights file must have", check=_sha256, inert=True)
INIT = (
    Option(
        "init",
        (str,),
        "random: an untrained network, which the report shows",
        default=WEIGHTS,
        choices=(WEIGHTS, RANDOM),
    ),
    Option("init_seed", (int,), "Seed of random weights", default=0, check=_seed),
)
COMMON = (*PREPROCESSING, LAYOUT)


def is_random(options: Mapping[str, Any]) -> bool:
    """Return whether the suite asks for random weights."""
    return options.get("init") == RANDOM


def no_random_sha256(options: Mapping[str, Any], where: str) -> None:
    """Raise `ModelError` where random weights are to have a certain digest."""
    if is_random(options) and options.get("sha256"):
        raise ModelError(f'{where}: sha256 is for a file of weights; take it out, or init = "random"')


def labels_of(request: ModelRequest) -> tuple[tuple[str, ...], Mapping[str, int]]:
    """Return the classes of the head as the suite names them, and other names; none: it can only embed.

    Raises `ModelError`.
    """
    given, subset = request.options.get("labels"), request.options.get("label_set")
    if given and subset:
        raise ModelError(f"{request.reference}: 'labels' and 'label_set' say the same thing; leave one out")
    if subset:
        return subset_labels(subset)
    return (tuple(given), synonyms_of(given)) if given else ((), {})
