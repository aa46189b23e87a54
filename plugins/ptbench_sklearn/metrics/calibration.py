"""Metrics of probabilities: log loss and the expected calibration error."""

from __future__ import annotations

import numpy as np

from ptbench import Predictions, SumMetric
from ptbench_sklearn.metrics.counts import Floats, positions, proportion, ratio

SMALLEST = float(np.finfo(np.float64).eps)
"""Probabilities are clipped to this from below, as scikit-learn does for float64: 2.2e-16."""
BINS = 15


def _of_target(predictions: Predictions) -> Floats:
    target = positions(predictions, "target")
    scores = np.asarray(predictions["scores"])
    return np.asarray(scores[np.arange(len(target)), target], dtype=np.float64)


def _log_loss_rows(predictions: Predictions) -> Floats:
    """Return minus the natural logarithm of the target's probability, and 1: float64[n, 2]."""
    loss = -np.log(np.clip(_of_target(predictions), SMALLEST, 1 - SMALLEST))
    return np.stack([loss, np.ones(len(loss))], axis=1)


def _log_loss_caveat(predictions: Predictions) -> str:
    clipped = int((_of_target(predictions) < SMALLEST).sum())
    zero = (
        f"the target's probability was clipped to {SMALLEST:.1e} for {clipped} of {len(predictions)} examples"
    )
    return "; ".join(filter(None, [zero if clipped else "", _not_probabilities(predictions)]))


def _ece_rows(predictions: Predictions) -> Floats:
    """Return confidence minus hit in the column of the example's bin, and 1: float64[n, BINS + 1]."""
    scores = np.asarray(predictions["scores"])
    confidence = scores.max(axis=1).astype(np.float64)
    hit = scores.argmax(axis=1) == positions(predictions, "target")
    inner_edges = np.linspace(0, 1, BINS + 1)[1:-1]
    rows = np.zeros((len(scores), BINS + 1))
    rows[np.arange(len(scores)), np.searchsorted(inner_edges, confidence)] = confidence - hit
    rows[:, BINS] = 1
    return rows


def _ece(sums: Floats) -> Floats:
    return ratio(np.abs(sums[..., :BINS]).sum(axis=-1), sums[..., BINS])


def _not_probabilities(predictions: Predictions) -> str:
    scores = np.asarray(predictions["scores"])
    wrong = (np.abs(scores.sum(axis=1, dtype=np.float64) - 1) > 0.01) | (scores.min(axis=1) < 0)
    return (
        f"the scores of {wrong.sum()} of {len(scores)} examples are no probabilities" if wrong.any() else ""
    )


METRICS = (
    SumMetric(
        name="log_loss",
        description="Mean of minus the natural logarithm of the probability of the right label.",
        higher_is_better=False,
        target="label",
        columns=("scores",),
        rows=_log_loss_rows,
        value=proportion,
        caveat=_log_loss_caveat,
    ),
    SumMetric(
        name="ece",
        description="Expected calibration error: |confidence - accuracy| in 15 equal bins of confidence.",
        higher_is_better=False,
        target="label",
        columns=("scores",),
        rows=_ece_rows,
        value=_ece,
        caveat=_not_probabilities,
    ),
)
