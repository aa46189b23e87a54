"""A guest at ptbench: a provider, a source, an adapter, a metric, a reporter and an observer."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np

import ptbench

WIDTH = 4096
WEATHER = {"rain": "wet", "snow": "wet", "drizzle": "wet", "sun": "dry", "heat": "dry", "drought": "dry"}


class HashedWords:
    """Counts words in hashed buckets: no weights, no training, and yet an embedding."""

    facts = ptbench.ModelFacts(parameters=0, extra={"buckets": WIDTH})

    def embed(self, examples: ptbench.Examples) -> np.ndarray:
        counts = np.zeros((len(examples), WIDTH), dtype=np.float32)
        for row, text in enumerate(examples["text"]):
            for word in text.lower().split():
                counts[row, zlib.crc32(word.encode()) % WIDTH] += 1
        return counts


def describe(request: ptbench.ModelRequest) -> ptbench.ModelDescription:
    if request.reference.name != "words":
        hint = ptbench.nearest(request.reference.name, ["words"])
        raise ptbench.ModelError(f"{request.reference}: there is no such model; {hint}")
    return ptbench.ModelDescription(
        frozenset({ptbench.Capability.EMBED}),
        inputs=frozenset({"text"}),
        parameters=0,
        files={"weights": ()},
    )


def load_weather(request: ptbench.DataRequest) -> dict[str, ptbench.Rows]:
    places = ["Oslo", "Lima", "Cairo", "Turin", "Quito", "Perth", "Delhi", "Dakar"]
    rows = [(f"{word} over {place}", kind) for place in places for word, kind in WEATHER.items()]
    cut = len(rows) * 2 // 3
    return {
        split: {"headline": [text for text, _ in part], "sky": [kind for _, kind in part]}
        for split, part in (("train", rows[:cut]), ("test", rows[cut:]))
    }


def build(rows: dict[str, ptbench.Rows], request: ptbench.TaskRequest) -> ptbench.Task:
    from ptbench_hf.text import TEXT_CLASSIFICATION

    return ptbench.build_task(
        TEXT_CLASSIFICATION, rows, request, inputs={"text": "headline"}, target="sky", labels=["dry", "wet"]
    )


def errors(predictions: ptbench.Predictions) -> np.ndarray:
    wrong = (predictions["prediction"] != predictions["target"]).astype(np.float64)
    return np.stack([wrong, np.ones(len(predictions))], axis=1)


def write_text(report: ptbench.Report, folder: Path) -> list[Path]:
    lines = [f"{r.model} on {r.task}: {r.status}" for r in report.records]
    path = folder / "acme.txt"
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return [path]


PROVIDER = ptbench.Provider(
    name="acme", description="Hashed words.", describe=describe, load=lambda request: HashedWords()
)
SOURCE = ptbench.Source(
    name="acme",
    description="Weather headlines.",
    describe=lambda request: ptbench.DataDescription(("headline", "sky"), quick=True),
    load=load_weather,
)
ADAPTER = ptbench.Adapter(
    name="acme-weather",
    description="Headlines to skies.",
    kind="text-classification",
    metrics=("acme_error_rate", "accuracy"),
    build=build,
    columns=lambda options: ("headline", "sky"),
)
METRIC = ptbench.SumMetric(
    name="acme_error_rate",
    description="Share of wrong predictions.",
    higher_is_better=False,
    target="label",
    rows=errors,
    value=lambda sums: sums[..., 0] / sums[..., 1],
    interval="wilson",
)
REPORTER = ptbench.Reporter(name="acme-text", description="One line per record.", write=write_text)


@ptbench.hookimpl
def ptbench_providers() -> list[ptbench.Provider]:
    return [PROVIDER]


@ptbench.hookimpl
def ptbench_sources() -> list[ptbench.Source]:
    return [SOURCE]


@ptbench.hookimpl
def ptbench_adapters() -> list[ptbench.Adapter]:
    return [ADAPTER]


@ptbench.hookimpl
def ptbench_metrics() -> list[ptbench.Metric]:
    return [METRIC]


@ptbench.hookimpl
def ptbench_reporters() -> list[ptbench.Reporter]:
    return [REPORTER]


@ptbench.hookimpl
def ptbench_record_written(folder: Path, record: ptbench.Record) -> None:
    with (folder / "acme-observed.txt").open("a", encoding="utf-8") as file:
        file.write(f"{record.cell} {record.status}\n")
