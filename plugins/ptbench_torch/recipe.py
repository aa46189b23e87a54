"""The options of fine-tuning, by the names of the field, and what is wrong with a value."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ptbench import Option

STAGES = (["head", "all"], ["head"], ["all"])
ALL = "all"


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a network is fine-tuned; the meaning of each is that of the option of its name."""

    stages: tuple[str, ...]
    unfreeze: str | int
    epochs: int
    head_epochs: int
    rates: tuple[float, ...]
    head_rate: float
    batch_size: int
    accumulate: int
    warmup: float
    decay: str
    weight_decay: float
    clip: float
    patience: int
    dropout: float
    batch_norm: str

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Recipe:
        """Take what concerns training from the options of a protocol, with the defaults for the rest."""
        given: dict[str, Any] = {o.name: options.get(o.name, o.default) for o in OPTIONS}
        for name in ("stages", "rates"):
            given[name] = tuple(given[name])
        return cls(**given)

    @property
    def last(self) -> int | None:
        """How many blocks are unfrozen, from the last one; None: all."""
        return self.unfreeze if isinstance(self.unfreeze, int) else None


def _stages(value: list[Any]) -> str | None:
    return None if value in STAGES else '["head", "all"], ["head"] or ["all"] was expected'


def _blocks(value: str | int) -> str | None:
    good = value == ALL or (isinstance(value, int) and not isinstance(value, bool) and value >= 1)
    return None if good else '"all" or a number of blocks, 1 or more, was expected'


def _rates(values: list[Any]) -> str | None:
    good = [_is_number(value) and 0 < value < math.inf for value in values]
    return None if good and all(good) and len(set(values)) == len(values) else (
        "a list of different numbers above 0 was expected, as in [2e-5, 5e-5]"
    )  # fmt: skip


def _positive(value: float) -> str | None:
    return None if 0 < value < math.inf else "a number above 0 was expected"


def _not_negative(value: float) -> str | None:
    return None if 0 <= value < math.inf else "a number of 0 or more was expected"


def _count(value: int) -> str | None:
    return None if value >= 1 else "a whole number of 1 or more was expected"


def _below_one(value: float) -> str | None:
    return None if 0 <= value < 1 else "a share from 0 to below 1 was expected"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


OPTIONS = (
    Option(
        "stages", (list,), "The head on frozen features, then head and backbone together; or one of the two.",
        default=["head", "all"], check=_stages,
    ),
    Option(
        "unfreeze", (str, int), "What of the backbone learns in stage all: all, or the last so many blocks.",
        default=ALL, check=_blocks,
    ),
    Option("epochs", (int,), "Passes over train in stage all.", default=3, check=_count),
    Option("head_epochs", (int,), "Passes over the frozen features in stage head.", default=10, check=_count),
    Option(
        "rates", (list,), "Learning rates of stage all to try; validation chooses.",
        default=[2e-5, 5e-5], check=_rates,
    ),
    Option("head_rate", (float,), "Learning rate of stage head.", default=1e-3, check=_positive),
    Option("batch_size", (int,), "Examples in a batch.", default=32, check=_count),
    Option(
        "accumulate", (int,), "Batches whose gradients make one step, where memory is short.",
        default=1, check=_count,
    ),
    Option(
        "warmup", (float,), "Share of the steps in which the rate rises to its height.",
        default=0.1, check=_below_one,
    ),
    Option(
        "decay", (str,), "How the rate falls to 0 after that.", default="linear", choices=("linear", "cosine")
    ),
    Option(
        "weight_decay", (float,),
        "Weight decay of AdamW; biases, norms and other vectors have none, nor what a network leaves out.",
        default=0.01, check=_not_negative,
    ),
    Option(
        "clip", (float,), "The most that the norm of all gradients together may be; 0: anything.",
        default=1.0, check=_not_negative,
    ),
    Option(
        "patience", (int,), "Epochs without a better validation score after which a stage stops.",
        default=3, check=_count,
    ),
    Option("dropout", (float,), "Dropout before the head.", default=0.1, check=_below_one),
    Option(
        "batch_norm", (str,), "Statistics of batch norm in blocks that learn: those of each batch, or those "
        "that it came with.",
        default="learn", choices=("learn", "keep"),
    ),
)  # fmt: skip
