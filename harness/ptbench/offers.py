"""Offers: the named things that a plugin contributes. Each is a name, a few facts, one function.

All have one shape, so that there is one catalog, one error message and one conformance kit for all.
The function does its heavy imports inside itself; ``requires`` names the modules it needs, and the
harness checks them with `importlib.util.find_spec` before it calls.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from ptbench.data import Columns, Examples, Predictions, Rows, Task
from ptbench.errors import DataError, nearest
from ptbench.model import (
    Capability,
    Download,
    Model,
    ModelDescription,
    ModelRequest,
    Reference,
)

if TYPE_CHECKING:
    from ptbench.records import Record, Report
    from ptbench.slots import Slot
    from ptbench.workload import Workload

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Option:
    """One option that a suite may give to an offer: its name, its types, its default, its meaning."""

    name: str
    types: tuple[type, ...]
    description: str
    default: Any = None
    choices: tuple[Any, ...] = ()
    required: bool = False
    check: Callable[[Any], str | None] = lambda value: None
    """What is wrong with a value that has one of the types, or None."""
    inert: bool = False
    """Whether no value of it can change what a model gives, such as ``sha256``: features that are kept
    serve every value of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What all offers have: a name that is unique within their kind, and one sentence."""

    group: ClassVar[str] = "offer"
    name: str
    description: str
    requires: tuple[str, ...] = ()
    """Modules that must be importable for it to work; the harness names the extra that brings them."""
    options: tuple[Option, ...] = ()

    def filled(self, given: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the options that a suite gave, with the defaults for those that it did not."""
        return {**{option.name: option.default for option in self.options}, **given}


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider(Offer):
    """What turns a model reference into a model."""

    group: ClassVar[str] = "provider"
    describe: Callable[[ModelRequest], ModelDescription]
    """Say what is known without loading weights and without a network. Raises `ModelError`."""
    load: Callable[[ModelRequest], Model]
    """Load the model for ``request.capability``. Raises `ModelError`."""
    revisions: bool = True
    """Whether an ``@`` in a reference separates a revision."""
    fetch: Callable[[ModelRequest, Fetching], Sequence[Path]] | None = None
    """Bring what `ModelDescription.downloads` names to where `load` finds it, telling how far it has come,
    and return the files that are there now; what is there already is not brought again, and what was begun
    goes on. It is called for a model without downloads too, in a thread. Raises `ModelError`."""


Fetching = Callable[[str, int, int | None], None]
"""Told while something is brought: what it is, bytes so far, bytes in all (None: not known)."""


@dataclass(frozen=True, slots=True)
class DataRequest:
    """What a source is asked for: a reference, its options, where relative paths start, and what for."""

    reference: Reference
    options: Mapping[str, Any] = field(default_factory=dict)
    base: Path = Path()
    splits: tuple[str, ...] = ()
    """The splits that will be used, by their names in the data; empty: any. A source may leave the others
    out, see `wanted`."""
    columns: tuple[str, ...] = ()
    """Columns that will be looked for, so that a source can say why it does not give one."""
    content: Mapping[str, Callable[[Any], Any]] = field(default_factory=dict)
    """What the values of a column stand for, where they are names, such as paths of images. A source that
    cuts hands it to `cut_rows`, so that copies of one image under two names stay in one split."""

    def wanted(self, there: Iterable[str]) -> list[str]:
        """Return which of the splits that are there will be used, in their order: all if nobody said.

        Raises `DataError`, naming those there are, where one that will be used is not there.
        """
        names = list(there)
        for split in self.splits:
            if split not in names:
                raise DataError(f"{self.reference}: there is no split '{split}'; {nearest(split, names)}")
        return [name for name in names if name in self.splits] if self.splits else names


@dataclass(frozen=True, slots=True)
class DataDescription:
    """What is known of data without reading all of it. None means: not known before it is read."""

    columns: tuple[str, ...] | None = None
    splits: Mapping[str, int | None] | None = None
    downloads: tuple[Download, ...] = ()
    quick: bool = False
    """Whether reading it takes about a second at most, so that a plan may check its rows."""
    state: str = ""
    """What is known, without reading it all, to change when the rows do: a commit, names, sizes and times of
    files. Only where it is not ``quick``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source(Offer):
    """What turns a data reference into splits of rows."""

    group: ClassVar[str] = "source"
    describe: Callable[[DataRequest], DataDescription]
    """Say what is known without a network. Raises `DataError`."""
    load: Callable[[DataRequest], Mapping[str, Rows]]
    """Read the splits that are wanted. The same request gives the same rows in the same order. Raises
    `DataError`."""
    revisions: bool = False
    fetch: Callable[[DataRequest, Fetching], Sequence[Path]] | None = None
    """As `Provider.fetch`, for `DataDescription.downloads`. Raises `DataError`."""
    root: Callable[[DataRequest], Path] = lambda request: request.base
    """The folder against which relative paths in its rows are read."""


ColumnType = Literal["text", "label", "number", "scores", "vector", "image", "any"]


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a kind. ``label`` is a position in the labels, ``scores`` a row of probabilities."""

    name: str
    type: ColumnType
    required: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind(Offer):
    """A kind of task: which columns an example, a target and a prediction have. An open set."""

    group: ClassVar[str] = "kind"
    inputs: tuple[Column, ...]
    target: Column
    outputs: tuple[Column, ...]
    pair: tuple[str, str] | None = None
    """Two input columns of the same sort, such as two sentences; the second may be absent."""
    copies: Callable[[Examples, Examples], NDArray[np.int8]] | None = None
    """From training and test examples to int8[test]: how far a test example stands in train already, as
    `ptbench.Copy` has it: 0 not, 1 nearly, 2 exactly. None: nobody can tell for this kind."""


@dataclass(frozen=True, slots=True)
class TaskRequest:
    """What an adapter is asked for: a name for the task, and the options that the suite gives."""

    name: str
    metrics: tuple[str, ...]
    options: Mapping[str, Any]
    where: str = ""
    """Where the rows came from, for error messages."""
    root: Path = Path()
    """The folder against which relative paths in the rows are read."""
    cluster: str = ""
    """The column whose values become `Split.clusters`; empty: none. `build_task` sees to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapter(Offer):
    """What turns rows into a task of one kind."""

    group: ClassVar[str] = "adapter"
    kind: str
    metrics: tuple[str, ...]
    """The metrics customary for it; the first is the primary one."""
    build: Callable[[Mapping[str, Rows], TaskRequest], Task]
    """Raises `DataError` that names split, row and column."""
    columns: Callable[[Mapping[str, Any]], tuple[str, ...]]
    """The columns of the data that these options name, so that a plan can look for them."""
    content: Callable[[Mapping[str, Any]], Mapping[str, Callable[[Any, Path], Any]]] = lambda options: {}
    """Columns whose values are names, such as paths, each with a function that tells from a value and the
    source's root what a model sees: a path, bytes, an array. Rows are cut by that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedTask(Offer):
    """A task that a plugin ships, so that a suite can say ``sst2 = "lite/sst2"``."""

    group: ClassVar[str] = "task"
    adapter: str
    data: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    """The rest of the table that a suite would have written: columns, metrics, splits, note."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What a protocol gets: a loaded model, a task, its options, and helpers that keep the costs."""

    model: Model
    task: Task
    kind: Kind
    options: Mapping[str, Any]
    seed: int
    features: Callable[[str], tuple[NDArray[np.float32], ...]]
    """Features of a split ("train", "validation", "test"): one float32[n, d] per side of the input,
    so one for single inputs and two for pairs. Extracted once per model and data, and read-only."""
    phase: Callable[[str], AbstractContextManager[None]]
    """``with trial.phase("fit"):`` books the time under that name in the record."""
    predict: Callable[[Examples], Columns]
    """What the model itself predicts, in blocks of examples that other slots may have computed; booked as
    ``predict``. Use it in place of ``model.predict``."""
    embed: Callable[[Examples], NDArray[np.float32]]
    """float32[n, d] for examples of the protocol's own making, such as the names of labels; they are
    booked and kept as features are."""
    scratch: Path | None = None
    """See `FitRequest.scratch`."""


@dataclass(frozen=True, slots=True)
class Draw:
    """Predictions for the test split after learning from one draw of training rows."""

    columns: Columns
    shots: int
    """Training examples per class that were drawn."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a protocol returns: output columns for the test split, and facts for the record.

    Facts that reports know: ``search`` (how many settings were compared on validation), ``validation_rows``,
    ``earlier_seconds`` (of a fitting that went on after an interruption) and ``curves``, a list of
    `{"name": "loss", "of": "train", "x": "epoch", "points": [[x, y], …]}` in which a point may go on with
    the ends of its interval.
    """

    columns: Columns = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    draws: tuple[Draw, ...] = ()
    """Several draws of training rows in place of ``columns``: scores are means over those with the most
    shots, and every numeric metric has a learning curve over ``shots``."""


@dataclass(frozen=True, slots=True)
class TaskFacts:
    """What a protocol may ask of a task before anything is loaded. None means: not known yet."""

    kind: Kind
    pair: bool | None = None
    labels: tuple[str, ...] | None = None
    splits: Mapping[str, int | None] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Protocol(Offer):
    """An evaluation protocol: how a model is put to a task."""

    group: ClassVar[str] = "protocol"
    needs: tuple[Capability, ...]
    """What a model must be able to do: one of these; the first that it has is what it is loaded for."""
    run: Callable[[Trial], Outcome]
    refuses: Callable[[TaskFacts], str | None] = lambda facts: None
    """Why it makes no sense for a task, or None."""
    misfit: Callable[[TaskFacts, Mapping[str, Any]], str | None] = lambda facts, options: None
    """What is wrong with its options, defaults included, for a task that it does not refuse, or None: a
    label that the task has not, or two options that exclude each other."""
    trains: bool = False
    """Whether it reads training rows."""
    stochastic: bool = False
    """Whether its outcome depends on the seed: a grid that names no seeds then runs it under three."""
    passes: Callable[[Mapping[str, Any]], float] = lambda options: 1.0
    """How often the rows go through the model under these options, a training step counting as three: for
    the estimate of the time left."""
    reads: Callable[[TaskFacts], frozenset[str]] = lambda facts: frozenset()
    """Input columns, beyond those of the task, that the model must be able to read: ``text`` where labels
    are embedded as texts."""


Interval = Literal["wilson", "jackknife", "bootstrap"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric(Offer):
    """A pure function from predictions to one number, with a direction. Use one of its two shapes."""

    group: ClassVar[str] = "metric"
    higher_is_better: bool
    target: ColumnType
    """The type of target that it is for: ``label`` or ``number``, say."""
    columns: tuple[str, ...] = ("prediction",)
    """The output columns that it reads besides the target."""
    binary: bool = False
    """Whether it needs exactly two labels; the second is the positive one."""
    bounds: tuple[float, float] = (-math.inf, math.inf)
    """Between which values it lies: no interval goes beyond, and intervals are made on the scale on which
    these bounds are infinitely far."""
    interval: Interval = "jackknife"
    """``bootstrap`` for what is no smooth function of how often each example counts, such as a median;
    ``wilson`` only for sums of rows (hit, 1), so that the value is a proportion."""
    caveat: Callable[[Predictions], str | None] = lambda predictions: None
    """What a reader must know of this value: why it is undefined, or by which convention it is 0.
    Separate statements are joined with "; "; no statement has one inside it."""


@dataclass(frozen=True, slots=True)
class Proportion:
    """How a value grows with a share of some examples: F1 with that of the hits in all that is positive."""

    counts: Callable[[Floats], tuple[Floats, Floats]]
    """From sums float64[..., k] to hits and trials; an example adds 0 or 1 to either, and no hit alone."""
    value: Callable[[float], float] = lambda share: share
    """From hits / trials to the value, growing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SumMetric(Metric):
    """A metric that is a function of sums over examples.

    Merging shards is addition, a bootstrap is one matrix product, clusters are rows added first.
    """

    rows: Callable[[Predictions], Floats]
    """float64[n, k]: what each example adds."""
    value: Callable[[Floats], Floats]
    """From sums float64[..., k] to values float64[...]; NaN where it is undefined."""
    proportion: Proportion | None = None
    """Wilson's interval for a value that is not the share of hits among all examples, but a growing function
    of a share."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TableMetric(Metric):
    """A metric that is no function of sums: ROC AUC, Spearman, average precision."""

    compute: Callable[[Predictions, Floats], Floats]
    """From predictions and weights float64[..., n] (how often each row counts) to float64[...]."""
    moves: Callable[[Predictions], Floats] | None = None
    """In closed form, float64[n]: how much each example moves the value. That is n - 1 times the value less
    the one without the example, or (the same but for a share of 1 / n) n times the derivative by its weight;
    NaN where the value is undefined without it. None: blocks of examples are left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileMetric(Offer):
    """A metric that is no number but a file beside the report, such as a confusion matrix."""

    group: ClassVar[str] = "metric"
    target: ColumnType
    columns: tuple[str, ...] = ("prediction",)
    binary: bool = False
    suffix: str = ".csv"
    write: Callable[[Predictions, Path], None]
    """Write the file to this path, which ends in ``suffix``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reporter(Offer):
    """What writes a report somewhere."""

    group: ClassVar[str] = "reporter"
    write: Callable[[Report, Path], Sequence[Path]]
    """Write the report into the folder of the run and return the files that were written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Executor(Offer):
    """What runs cells somewhere and yields their records.

    Four promises, which the conformance kit checks: one record per cell, in any order; an exception or
    a dead worker becomes a record and the others go on; the device is pinned before any plugin is
    loaded; closing the iterator stops the workers, within two seconds.
    """

    group: ClassVar[str] = "executor"
    run: Callable[[Workload], Iterator[Record]]
    """Ask ``workload.schedule`` for jobs until it is over, and yield the record of every whole cell."""
    here: bool = False
    """Whether cells run in this very process, so that a crash or a hang is that of the run."""
    splits: bool = False
    """Whether its workers share the folder of the run, so that a cell can be split among them."""
    offline: bool = False
    """Whether it works without the network; ``--offline`` refuses it otherwise."""
    slots: Callable[[str, Mapping[str, Any]], tuple[Slot, ...] | None] | None = None
    """The slots for ``--devices`` and its options, where they are not those of this machine; else None."""
