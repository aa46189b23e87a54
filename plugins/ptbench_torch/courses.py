"""One way through a stage of training, under one rate: what it reached, epoch by epoch."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Course:
    """A stage under one learning rate; the lists have a number for each epoch that is over."""

    stage: str
    rate: float
    epochs: int
    patience: int
    train: list[float] = field(default_factory=list)
    """Mean loss of train, as it was while the epoch went on."""
    validation: list[float] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    diverged: bool = False

    @property
    def name(self) -> str:
        """What people call it."""
        return self.stage if self.stage == "head" else f"{self.stage} {self.rate:g}"

    @property
    def done(self) -> int:
        """How many epochs are over."""
        return len(self.scores)

    @property
    def best(self) -> int:
        """The best epoch, from 0: highest score, of equal ones lowest loss, of those the first."""
        return max(range(self.done), key=self.rank)

    def rank(self, epoch: int) -> tuple[float, float]:
        """Return what epochs are compared by: the more the better."""
        return self.scores[epoch], -self.validation[epoch]

    @property
    def early(self) -> bool:
        """Whether validation did not become better for as long as patience lasts."""
        return 0 < self.done < self.epochs and self.done - 1 - self.best >= self.patience

    @property
    def over(self) -> bool:
        """Whether there is nothing more to be done."""
        return self.diverged or self.early or self.done >= self.epochs

    def add(self, train: float, validation: float, score: float) -> None:
        """Add an epoch; one whose loss is no number is the end."""
        if not (math.isfinite(train) and math.isfinite(validation) and math.isfinite(score)):
            self.diverged = True
            return
        self.train.append(train)
        self.validation.append(validation)
        self.scores.append(score)

    def curves(self, score: str) -> list[dict[str, Any]]:
        """Return loss and score over the epochs, as reports draw them."""
        lines = (("loss", "train", self.train), ("loss", "validation", self.validation),
                 (score, "validation", self.scores))  # fmt: skip
        return [
            {
                "name": name,
                "of": f"{split}, {self.name}",
                "x": "epoch",
                "points": [[epoch, value] for epoch, value in enumerate(values, start=1)],
            }
            for name, split, values in lines
        ]

    @property
    def remark(self) -> str:
        """What a reader must know of how it ended; empty where it ended as planned.

        A head stops early for almost every seed; that is a fact, and no note.
        """
        if self.diverged:
            return f"{self.name} diverged in epoch {self.done + 1}: its loss was no number"
        told = self.early and self.stage != "head"
        return f"{self.name} stopped early at epoch {self.done} of {self.epochs}" if told else ""
