"""The head that a checkpoint brings: what it predicts, and what its classes are called."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ptbench import ModelError

CLASSES, NUMBER = "text-classification", "sentence-similarity"


@dataclass(frozen=True, slots=True)
class Head:
    """A head for sequences: it predicts one of several classes, or one number."""

    kind: str
    labels: tuple[str, ...] | None
    """The names of its classes in order; empty for a number; None where they cannot be trusted."""
    size: int = 1
    doubt: str = ""
    """Why the names of its classes cannot be trusted."""


def read_head(config: Mapping[str, Any], labels: tuple[str, ...] | None, where: str) -> Head | None:
    """Read what a configuration says of the head; None where there is none that can be used.

    ``labels`` are those that a suite gave. Raises `ModelError` where they do not fit.
    """
    architectures = config.get("architectures") or []
    if not any(str(name).endswith("ForSequenceClassification") for name in architectures):
        return None
    given = config.get("id2label") or {}
    size = int(config.get("num_labels") or len(given) or 2)  # two is what transformers takes for granted
    problem = config.get("problem_type")
    if problem == "multi_label_classification" or (problem == "regression" and size > 1):
        return None  # several answers per example: no kind that is offered here
    if size == 1:
        if labels is not None:
            raise ModelError(
                f"{where}: labels = {list(labels)!r}, but its head predicts a number: leave labels out"
            )
        return Head(NUMBER, ())
    if labels is None:
        labels, doubt = _declared_labels(given, config.get("label2id") or {}, size)
        return Head(CLASSES, labels, size, doubt)
    if len(labels) != size:
        raise ModelError(f"{where}: {len(labels)} labels are given, but its head has {size} classes")
    return Head(CLASSES, labels, size)


def no_head(config: Mapping[str, Any], where: str) -> ModelError:
    """Return the error for a checkpoint that is to predict and cannot."""
    architecture = ", ".join(map(str, config.get("architectures") or ["unknown"]))
    problem = config.get("problem_type")
    detail = f" (problem_type {problem})" if problem else ""
    return ModelError(
        f"{where} cannot predict: its architecture is {architecture}{detail}, and a trained head for one "
        "class or one number (*ForSequenceClassification) is needed; linear_probe and knn need none"
    )


def no_labels(head: Head, where: str) -> ModelError:
    """Return the error for a head whose classes have no names that can be trusted."""
    example = ", ".join(f'"class {i}"' for i in range(min(head.size, 3)))
    return ModelError(
        f"{where} has a head of {head.size} classes, but in config.json {head.doubt}: "
        f"write labels = [{example}{', …' if head.size > 3 else ''}] in the order of its head"
    )


def _declared_labels(
    id2label: Any, label2id: Mapping[str, Any], size: int
) -> tuple[tuple[str, ...] | None, str]:
    """Return the names of the classes, or None and why they cannot be trusted."""
    try:
        names = {int(key): str(value) for key, value in id2label.items()}
        if all(re.fullmatch(r"LABEL_\d+", name) for name in names.values()):
            return None, "they have no names (or only LABEL_0, LABEL_1, …)"
        labels = tuple(names[i] for i in range(size))
    except (AttributeError, ValueError, KeyError):
        return None, f"id2label does not name classes 0 to {size - 1}"
    clash = [label for i, label in enumerate(labels) if label2id.get(label, i) != i]
    if len(set(labels)) < size:
        return None, "two classes have the same name"
    if clash:
        return None, f"id2label and label2id disagree about '{clash[0]}'"
    return labels, ""
