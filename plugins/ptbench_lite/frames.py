"""Frames: the templates of a task, with the fillers of their slots."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

from .english import as_sentence

T = TypeVar("T")
Slots = Mapping[str, Sequence[Any]]


class Row(NamedTuple):
    """One example: its texts (one or two) and its label."""

    texts: tuple[str, ...]
    label: str | float


@dataclass(frozen=True)
class Share:
    """The part of every list of words that a split may use: one third is held out from train."""

    held_out: bool

    def of(self, fillers: Sequence[T]) -> list[T]:
        """Pick this share's fillers: every third one is held out."""
        return [filler for i, filler in enumerate(fillers) if (i % 3 == 2) is self.held_out]


@dataclass(frozen=True)
class Frame:
    """Slots, and how one filler for each of them builds a group: one row for every label."""

    build: Callable[..., tuple[Row, ...]]
    slots: Slots

    @property
    def size(self) -> int:
        """How many groups there are."""
        return math.prod(len(fillers) for fillers in self.slots.values())

    def group(self, number: int) -> tuple[Row, ...]:
        """Build the group with this number, read as digits: one for each slot."""
        chosen = {}
        for name, fillers in self.slots.items():
            number, digit = divmod(number, len(fillers))
            chosen[name] = fillers[digit]
        return self.build(**chosen)


def template(labels: Sequence[str], *texts: str, **slots: Sequence[Any]) -> Frame:
    """Make a frame from format strings, in which `<a|b>` gives one alternative for each label.

    Slots that the texts do not name are left out.
    """
    named = set(re.findall(r"{(\w+)", " ".join(texts)))
    used = {name: fillers for name, fillers in slots.items() if name in named}
    variants = [[_alternative(text, i) for text in texts] for i in range(len(labels))]

    def build(**chosen: Any) -> tuple[Row, ...]:
        return tuple(
            Row(tuple(as_sentence(text.format_map(chosen)) for text in variant), label)
            for variant, label in zip(variants, labels, strict=True)
        )

    return Frame(build, used)


def _alternative(text: str, i: int) -> str:
    return re.sub("<(.*?)>", lambda match: match[1].split("|")[i], text)
