"""What is learnt, a label or a number: its loss, its score on validation, and what is predicted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from typing import Protocol as Interface

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as f

from ptbench import Columns, Split

Outputs = NDArray[np.float32]


class Goal(Interface):
    """What a head is to put out for an example."""

    @property
    def width(self) -> int:
        """Numbers that the head puts out."""

    @property
    def score_name(self) -> str:
        """The name of what `score` gives."""

    def encoded(self, targets: NDArray[Any]) -> Tensor:
        """Return targets as `losses` takes them."""

    def losses(self, outputs: Tensor, encoded: Tensor) -> Tensor:
        """Return the loss of each example."""

    def score(self, outputs: Outputs, targets: NDArray[Any]) -> float:
        """Return how good outputs are; the more the better."""

    def columns(self, outputs: Outputs) -> Columns:
        """Return the output columns of the kind."""


@dataclass(frozen=True, slots=True)
class Labels:
    """One of several labels: cross-entropy, accuracy."""

    width: int
    score_name = "accuracy"

    def encoded(self, targets: NDArray[Any]) -> Tensor:
        """Return int64[n]."""
        return torch.from_numpy(np.asarray(targets, dtype=np.int64))

    def losses(self, outputs: Tensor, encoded: Tensor) -> Tensor:
        """Return the cross-entropy of each example."""
        return f.cross_entropy(outputs, encoded, reduction="none")

    def score(self, outputs: Outputs, targets: NDArray[Any]) -> float:
        """Return the accuracy."""
        return float(np.mean(outputs.argmax(axis=1) == targets))

    def columns(self, outputs: Outputs) -> Columns:
        """Return ``scores`` float32[n, labels]."""
        return {"scores": torch.from_numpy(outputs).softmax(dim=1).numpy()}


@dataclass(frozen=True, slots=True)
class Numbers:
    """A number: squared error of targets that were standardised as those of train, R2."""

    mean: float
    deviation: float
    width = 1
    score_name = "r2"

    @classmethod
    def of(cls, targets: NDArray[Any]) -> Numbers:
        """Take mean and deviation from the targets of train."""
        deviation = float(np.std(targets))
        return cls(float(np.mean(targets)), deviation if deviation > 0 else 1.0)

    def encoded(self, targets: NDArray[Any]) -> Tensor:
        """Return float32[n], standardised."""
        standardised = (np.asarray(targets, dtype=np.float64) - self.mean) / self.deviation
        return torch.from_numpy(standardised.astype(np.float32))

    def losses(self, outputs: Tensor, encoded: Tensor) -> Tensor:
        """Return the squared error of each example."""
        return (outputs[:, 0] - encoded).square()

    def score(self, outputs: Outputs, targets: NDArray[Any]) -> float:
        """Return R2; 0 where all targets are one, and then the loss decides."""
        spread = float(np.square(targets - np.mean(targets)).sum())
        error = float(np.square(self.columns(outputs)["prediction"] - targets).sum())
        return 1 - error / spread if spread > 0 else 0.0

    def columns(self, outputs: Outputs) -> Columns:
        """Return ``prediction`` float64[n] on the scale of the task."""
        return {"prediction": outputs[:, 0].astype(np.float64) * self.deviation + self.mean}


def goal_of(train: Split, labels: tuple[str, ...]) -> Goal:
    """Return what is learnt from these training rows."""
    return Labels(len(labels)) if labels else Numbers.of(train.targets)
