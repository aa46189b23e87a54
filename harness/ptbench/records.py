"""Plain frozen data: what is to be done (cells) and what came of it (records)."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Any

from ptbench.comparison import Comparison
from ptbench.data import feed
from ptbench.model import Settings
from ptbench.plain import to_json

RECORD_VERSION = 1


class Status(StrEnum):
    """What became of a cell."""

    OK = "ok"
    FAILED = "failed"
    """It was started, and an error ended it."""
    CRASHED = "crashed"
    """The process that ran it died: a segmentation fault, ``os._exit``, a kill from outside."""
    OOM = "oom"
    """Memory did not suffice, of the device or of the machine, at the smallest batch too."""
    TIMEOUT = "timeout"
    """It took longer than the run allows, and its process was ended."""
    SKIPPED = "skipped"
    """The plan found that it cannot run, and so it was not started."""


@dataclass(frozen=True)
class ModelSpec:
    """A model as a suite names it."""

    name: str
    reference: str
    options: Mapping[str, Any] = field(default_factory=dict)
    settings: Settings = Settings()

    @cached_property
    def digest(self) -> str:
        """All of it that can change a score, as 64 hex digits."""
        return _digest({**to_json(self), "settings": {"precision": self.settings.precision}})


@dataclass(frozen=True)
class TaskSpec:
    """A task as a suite, or the plugin that ships it, describes it."""

    name: str
    adapter: str
    data: str
    options: Mapping[str, Any] = field(default_factory=dict)
    """What the adapter is told: input and target columns, labels."""
    data_options: Mapping[str, Any] = field(default_factory=dict)
    """What the source is told."""
    metrics: tuple[str, ...] = ()
    """Empty: the adapter's customary ones. The first is the primary metric."""
    splits: Mapping[str, str] = field(default_factory=dict)
    """Which split of the data serves as train, validation and test; empty: those of these names."""
    limit: Mapping[str, int] = field(default_factory=dict)
    """At most so many rows of a split, the first ones."""
    note: str = ""
    copies: bool = True
    """Whether test rows that stand in train too are looked for."""
    cluster: str = ""
    """The column that says which examples belong together; empty: each stands alone."""

    @cached_property
    def digest(self) -> str:
        """All of it, as 64 hex digits."""
        return _digest(to_json(self, without=() if self.cluster else ("cluster",)))


@dataclass(frozen=True)
class Cell:
    """One model put to one task under one protocol with one seed: the unit of work."""

    suite: str
    model: ModelSpec
    task: TaskSpec
    protocol: str
    options: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    base: str = "."
    """The folder of the suite, against which its relative paths are read."""

    @property
    def label(self) -> str:
        """The protocol with the options that the suite gave, as the tables show it."""
        return _label(self.protocol, self.options)

    @property
    def title(self) -> str:
        """The cell as people read it; the seed stands there where it is not 0."""
        return _title(self.model.name, self.task.name, self.label, self.seed)

    @cached_property
    def id(self) -> str:
        """A name that is safe in a path, readable, and different for different cells.

        Settings that cannot change a score (device, batches) are not part of it.
        """
        rest = json.dumps([self.protocol, to_json(self.options), self.seed], sort_keys=True)
        digest = hashlib.sha256(f"{self.model.digest} {self.task.digest} {rest}".encode())
        words = f"{self.model.name}-{self.task.name}-{self.protocol}-s{self.seed}"
        slug = re.sub(r"[^A-Za-z0-9_.]+", "-", words).strip("-.")[:80]
        return f"{slug}-{digest.hexdigest()[:8]}"

    @property
    def log(self) -> str:
        """Its log file within the folder of a run."""
        return f"logs/{self.id}.log"


@dataclass(frozen=True, slots=True)
class Score:
    """The value of one metric with its 95 % interval. NaN: undefined, and ``caveat`` says why."""

    metric: str
    value: float
    ci_low: float
    ci_high: float
    n: int
    higher_is_better: bool
    interval: str
    """How the interval was found: ``wilson``, ``jackknife``, ``bootstrap``, ``draws`` (of several training
    sets), or ``none``."""
    caveat: str = ""
    without_copies: float | None = None
    """The value without the examples that stand in train too; None where there are none, or nobody looked."""
    clusters: int | None = None
    """Over how many clusters of examples the interval is; None where each example stands alone."""

    @property
    def half_width(self) -> float:
        """Half the length of the interval; NaN where it is undefined."""
        return (self.ci_high - self.ci_low) / 2


@dataclass(frozen=True, slots=True)
class Cost:
    """What a cell cost. Times are wall-clock seconds; None: could not be measured here."""

    seconds: float | None = None
    """From the loaded model and task to the last prediction: features, fitting, prediction."""
    load_seconds: float | None = None
    """Loading the model; 0 where it was still loaded from the cell before."""
    phases: Mapping[str, float] = field(default_factory=dict)
    """``seconds`` by phase: ``embed``, ``fit``, ``predict``…"""
    examples_per_s: float | None = None
    """Test examples per second of computing their predictions, features included, fitting not."""
    parameters: int | None = None
    macs: int | None = None
    """Multiply-adds of one example: matrix products and convolutions, attention included."""
    fvcore_macs: int | None = None
    """Multiply-adds of one example as fvcore counts, and so timm's tables."""
    activations: int | None = None
    """Numbers that convolutions and matrix products put out for one example."""
    weight_bytes: int | None = None
    """Bytes of parameters and buffers as they lie in memory."""
    peak_memory_mb: float | None = None
    """Peak resident memory of the process while the cell ran, in MiB (Linux only)."""
    features_reused: bool = False
    """Whether features came from an earlier cell; ``seconds`` then counts them as if they had not."""
    spent: Mapping[str, float] = field(default_factory=dict)
    """Seconds by activity: what the model tells of (``decode``, ``transfer``, ``compute``), ``fit``,
    ``metrics``, and the ``rest``; together ``seconds`` and the time of the metrics."""


@dataclass(frozen=True, slots=True)
class Record:
    """What came of one cell: scores or the error, cost, provenance. One JSON line."""

    cell: str
    suite: str
    run: str
    model: str
    reference: str
    task: str
    data: str
    kind: str
    protocol: str
    options: Mapping[str, Any]
    seed: int
    status: Status
    error: str = ""
    advice: str = ""
    """What to try, where it did not end well and somebody knows."""
    log: str = ""
    """The log file of the cell within the folder of the run; empty where it said nothing."""
    scores: tuple[Score, ...] = ()
    primary: str = ""
    """The metric that stands for the task in the leaderboard."""
    capability: str = ""
    """What the model was loaded for: ``predict``, ``embed``, ``fit``, or ``peek`` (it saw the targets)."""
    split: str = "test"
    n: int | None = None
    copies: Mapping[str, int] | None = None
    """How many test rows stand in train or validation too, ``exact`` and ``near``; None: nobody looked."""
    unread: int | None = None
    """Rows of the split that could not be read and were left out; ``n`` does not count them."""
    cost: Cost = Cost()
    device: str = ""
    precision: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What the model and the protocol tell of themselves: pooling, strength chosen, truncated…"""
    notes: tuple[str, ...] = ()
    """What a reader must know of the task and of the run; a score has its own caveat."""
    trust: tuple[str, ...] = ()
    fingerprints: Mapping[str, str] = field(default_factory=dict)
    """Digests of ``weights``, ``preprocessing`` and ``data``."""
    plugins: Mapping[str, str] = field(default_factory=dict)
    """``provider:hf`` to ``ptbench_hf (ptbench 0.1.0)``: which plugin each part came from."""
    files: tuple[str, ...] = ()
    """Paths within the folder of the run: predictions, confusion matrix."""
    version: str = ""
    """The version of ptbench."""
    identity: Mapping[str, str] = field(default_factory=dict)
    """All that can change a score, part by part (`ptbench.cellidentity.cell_identity`): a cell whose parts
    are all the same later is not run again."""
    reused: str = ""
    """The run that it was measured in, where that is not this one."""
    slot: str = ""
    """Where it ran."""
    wall: Mapping[str, float] = field(default_factory=dict)
    """Wall-clock seconds of the cell by what they went to: ``data``, ``load``, ``decode``, ``model``,
    ``fit``, ``copies``, ``metrics``, ``write`` and ``other``; together from its start to its end."""
    started: str = ""
    finished: str = ""
    schema: int = RECORD_VERSION

    @property
    def label(self) -> str:
        """The protocol with the options that the suite gave, as the tables show it."""
        return _label(self.protocol, self.options)

    @property
    def title(self) -> str:
        """The cell as people read it; the seed stands there where it is not 0."""
        return _title(self.model, self.task, self.label, self.seed)

    def score(self, metric: str) -> Score | None:
        """Return the score of this metric, or None."""
        return next((score for score in self.scores if score.metric == metric), None)


@dataclass(frozen=True, slots=True)
class Standing:
    """Where one model under one protocol stands on one metric of one task, over its seeds."""

    task: str
    metric: str
    model: str
    protocol: str
    value: float
    """The mean over seeds."""
    ci_low: float
    ci_high: float
    seeds: int
    """Runs that the mean is over: seeds, times the draws of training rows that each made."""
    seed_sd: float
    """Standard deviation over them (n - 1 in the denominator); NaN for a single one."""
    best: bool
    tied: bool
    """Not distinguishable from the best, after correction for all pairs of models: they share a letter."""
    difference: float
    """Best minus this one, paired by example; 0 for the best itself."""
    difference_low: float
    difference_high: float
    seed_share: float = math.nan
    """The share of the seeds in the variance of the mean; the rest is that of the examples."""
    rank_low: int | None = None
    """The best place that it may have among all: one more than those that are shown to be better. All places
    of a task and metric hold together in 95 % of cases."""
    rank_high: int | None = None
    """The worst place: all but those that are shown to be worse."""
    group: str = ""
    """Letters: two that share one cannot be told apart."""


@dataclass(frozen=True, slots=True)
class Average:
    """The mean of one model under one protocol over the primary metrics of all tasks.

    Metrics that both have 1 as the most (accuracy, MCC) may mean different things all the same.
    """

    model: str
    protocol: str
    value: float
    ci_low: float
    """Ends of the 95 % interval, for other examples (and seeds) of these very tasks, not for other tasks."""
    ci_high: float
    tasks: int
    rank_low: int | None = None
    rank_high: int | None = None
    group: str = ""
    """As those of `Standing`."""


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that a reporter may show; made from what lies in the folder of a run."""

    run: Mapping[str, Any]
    """``run.json``: the suite as run, versions, machine, plugins."""
    records: tuple[Record, ...]
    standings: tuple[Standing, ...] = ()
    folder: Path = Path()
    averages: tuple[Average, ...] = ()
    """Over all tasks, the best first; empty where the tasks have no common scale, or there is one."""
    comparison: Comparison | None = None
    """With the baseline, where somebody compared them (`ptbench gate`, `ptbench nightly`)."""


def _digest(value: Any) -> str:
    digest = hashlib.sha256()
    feed(digest, value)
    return digest.hexdigest()


def _label(protocol: str, options: Mapping[str, Any]) -> str:
    if not options:
        return protocol
    given = ", ".join(f"{key}={_brief(value)}" for key, value in sorted(options.items()))
    return f"{protocol} ({given})"


def _title(model: str, task: str, label: str, seed: int) -> str:
    return f"{model} x {task} x {label}" + (f" seed {seed}" if seed else "")


def _brief(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
