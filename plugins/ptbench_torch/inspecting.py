"""Looking into a network: weights, gradients and activations, and the network as it was afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ptbench import Inspection, InspectRequest, ModelError, ModelFacts, advance
from ptbench_torch.inspecting_activations import Recorder
from ptbench_torch.inspecting_gradients import BATCHES, Loss, batches_of, gradient_rows
from ptbench_torch.inspecting_weights import weight_rows
from ptbench_torch.learner import Inputs, Learner


class LearnerInspector:
    """A model that can be looked into; providers make it of a learner."""

    def __init__(self, learner: Learner, facts: ModelFacts) -> None:
        self.learner, self._facts = learner, facts

    @property
    def facts(self) -> ModelFacts:
        """What is known of the model; it is looked into in float32 without autocast."""
        return replace(self._facts, precision="fp32", counts=dict(self.learner.counts()))

    def inspect(self, request: InspectRequest) -> Inspection:
        """Look inside; the network is as before afterwards, bit for bit, also when this raises.

        Raises `ModelError` where there is no sample for what is asked, or its features are not finite.
        """
        learner = self.learner
        found = Inspection()
        with untouched(learner):
            if "weights" in request.only:
                weights, histograms, notes = weight_rows(learner)
                found = replace(found, weights=weights, histograms=histograms, notes=notes)
            if {"gradients", "activations"} & set(request.only):
                if request.split is None or not len(request.split):
                    raise ModelError("gradients and activations need a sample of a task; there is none")
                found = _sampled(learner, request, found)
        return found


def _sampled(learner: Learner, request: InspectRequest, found: Inspection) -> Inspection:
    assert request.split is not None
    inputs = learner.read(request.split.examples)
    watched = "activations" in request.only
    recorder = Recorder(learner, len(request.split))
    features = _features(learner, inputs, recorder, watched)
    facts: dict[str, Any] = {"examples": len(features), "mode": "evaluation, float32"}
    histograms, notes = list(found.histograms), list(found.notes)
    if watched:
        rows, counted = recorder.rows()
        histograms += counted
        notes += _told(rows)
        facts["unseen"] = sorted(recorder.unseen)
        order = recorder.representations
        found = replace(found, activations=rows, representations=order)
    if "gradients" in request.only:
        if not np.isfinite(features).all():
            raise ModelError("features of the sample are not finite numbers, so that no loss can be taken")
        loss = Loss(features, request.split.targets, len(request.labels), learner.device, request.seed)
        learner.backbone.requires_grad_(True)
        with torch.enable_grad():
            gradients, counted, named, value = gradient_rows(learner, inputs, loss)
        histograms += counted
        notes += named
        if loss.constant:
            some = f"{loss.constant} of {learner.width}"
            notes.append(f"features that are constant over the sample, but for rounding: {some}")
        what = "cross-entropy" if request.labels else "squared error of standardised targets"
        facts |= {
            "loss": f"{what} of a fresh linear head on standardised features",
            "loss_value": value,
            "batches": min(BATCHES, len(features)),
        }
        found = replace(found, gradients=gradients)
    return replace(found, histograms=histograms, notes=tuple(notes), facts=facts)


def _features(learner: Learner, inputs: Inputs, recorder: Recorder, watched: bool) -> NDArray[np.float32]:
    """Run the sample through the backbone once, watched or not, and return its features."""
    features = np.full((len(inputs.lengths), learner.width), np.nan, dtype=np.float32)
    with torch.no_grad():
        if watched:
            _find_unseen(learner, inputs, recorder)
        for rows in batches_of(learner, inputs.lengths):
            batch = inputs.batch(rows)
            if watched:
                recorder.begin(rows, batch)
                with recorder.watching():
                    output = learner.backbone(batch)
            else:
                output = learner.backbone(batch)
            features[rows] = output.float().cpu().numpy()
            advance(len(rows))
    return features


def _find_unseen(learner: Learner, inputs: Inputs, recorder: Recorder) -> None:
    """Run one row beside itself: what all rows share looks like a row of its own in a batch of one."""
    twice = np.full(2, int(np.argmin(inputs.lengths)))
    batch = inputs.batch(twice)
    recorder.begin(twice, batch)
    with recorder.watching():
        learner.backbone(batch)
    recorder.forget()


def _told(rows: list[dict[str, Any]]) -> Iterator[str]:
    """Say which layers are wholly dead, constant or not finite, and where single units are dead."""
    for kind, words in (
        ("not finite", "activations are not finite in"),
        ("dead", "every unit is dead in"),
        ("constant", "every unit is constant in"),
    ):
        if layers := [row["layer"] for row in rows if row["flag"] == kind]:
            yield f"{words} {', '.join(layers)}"
    counted = [row for row in rows if row["level"] == "layer" and row.get("dead") is not None]
    counted = counted or [row for row in rows if row.get("dead") is not None]  # they may be no modules
    if some := [row for row in counted if row["dead"] and row["flag"] != "dead"]:
        told = ", ".join(f"{row['dead']} of {row['shape']} in {row['layer']}" for row in some)
        yield f"dead units (never above 0 over the sample): {told}"


@contextmanager
def untouched(learner: Learner) -> Iterator[None]:
    """Evaluate the network meanwhile; modes, buffers, what requires gradients and random states are put back.

    Gradients are taken without ``.grad``, and nothing writes to parameters, so that nothing else can differ.
    """
    module, device = learner.backbone, learner.device
    modes = [(part, part.training) for part in module.modules()]
    wanted = [(parameter, parameter.requires_grad) for parameter in module.parameters()]
    buffers = [(buffer, buffer.detach().clone()) for buffer in module.buffers()]
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        try:
            module.eval()
            yield
        finally:
            for part, training in modes:
                part.training = training
            for parameter, requires in wanted:
                parameter.requires_grad_(requires)
            with torch.no_grad():
                for buffer, before in buffers:
                    buffer.copy_(before)
