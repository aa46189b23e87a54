"""Examples, tasks and predictions: the tables that flow between sources, models and metrics.

A table is a mapping of column names to columns of one length. Nothing here knows about classes, texts
or boxes: which columns there are is said by the *kind* (`ptbench.offers.Kind`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any, SupportsBytes

import numpy as np
from numpy.typing import NDArray

from ptbench.errors import DataError

Rows = Mapping[str, Sequence[Any]]
"""What a source gives for one split: column name to values, all of one length."""

Columns = Mapping[str, NDArray[Any]]
"""What a model gives: column name to an array whose first axis is the examples."""


@dataclass(frozen=True, slots=True)
class Examples:
    """What a model gets to see: ids and input columns, never targets.

    A column is any sequence, so that a costly value (a decoded image) may be made when it is asked for.
    So may a value: one with ``__bytes__`` stands for bytes that are read when it is asked for them.
    """

    ids: Sequence[str]
    columns: Mapping[str, Sequence[Any]]

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, column: str) -> Sequence[Any]:
        return self.columns[column]

    def take(self, indices: Sequence[int] | NDArray[np.integer[Any]]) -> Examples:
        """Return the examples at these positions, in this order."""
        return Examples(
            ids=[self.ids[i] for i in indices],
            columns={name: [values[i] for i in indices] for name, values in self.columns.items()},
        )

    def fingerprint(self) -> str:
        """Return a digest of the input columns, row by row in their order (64 hex digits); not of ids."""
        digest = hashlib.sha256()
        for column in sorted(self.columns):
            feed(digest, (column, list(self.columns[column])))
        return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class Split:
    """Examples with what is to be predicted for them: ``targets[i]`` belongs to ``examples.ids[i]``.

    Targets are an integer array of positions in the task's labels where the task has labels, else what
    the kind says (float64 for numbers).
    """

    examples: Examples
    targets: NDArray[Any]
    clusters: Sequence[str] | None = None
    """Which examples belong together, such as the sentences of one document; None: each stands alone."""

    def __len__(self) -> int:
        return len(self.examples)

    def take(self, indices: Sequence[int] | NDArray[np.integer[Any]]) -> Split:
        """Return the rows at these positions, in this order."""
        clusters = None if self.clusters is None else [self.clusters[i] for i in indices]
        return Split(self.examples.take(indices), self.targets[np.asarray(indices, dtype=np.intp)], clusters)


@dataclass(frozen=True, slots=True)
class Unread:
    """A row that was left out of a task because it could not be read."""

    split: str
    id: str
    reason: str
    """One word or two, by which such rows are counted."""
    message: str
    """What is wrong with it, in one line."""


@dataclass(frozen=True, slots=True)
class Task:
    """Named examples with fixed splits, a kind, a label space and metrics."""

    name: str
    kind: str
    splits: Mapping[str, Split]
    metrics: tuple[str, ...]
    labels: tuple[str, ...] = ()
    note: str = ""
    """What a reader of the table must know about this task, such as "generated probe, not GLUE"."""
    unread: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """Rows that were left out because they could not be read: split to reason to how many; a split
    without any is there too, if somebody looked."""
    left_out: tuple[Unread, ...] = ()
    """These rows one by one, as far as the adapter names them; a run lists them in a file."""
    notes: tuple[str, ...] = ()
    """What reading its inputs brought to light, such as "3 images have several frames"."""

    def split(self, name: str) -> Split:
        """Return a split. Raises `DataError`, naming those there are."""
        try:
            return self.splits[name]
        except KeyError:
            there = ", ".join(self.splits) or "none"
            raise DataError(f"task '{self.name}' has no {name} split; it has: {there}") from None

    @property
    def inputs(self) -> tuple[str, ...]:
        """The names of the input columns."""
        return tuple(next(iter(self.splits.values())).examples.columns) if self.splits else ()

    def inputs_fingerprints(self) -> dict[str, str]:
        """Return `Examples.fingerprint` of every split."""
        return {name: split.examples.fingerprint() for name, split in self.splits.items()}

    def fingerprint(self, inputs: Mapping[str, str] | None = None) -> str:
        """Return a digest of everything in this task that can change a score (16 hex digits).

        Ids, inputs, targets, labels and kind of every split; not the name under which a suite uses it.
        ``inputs`` is what `inputs_fingerprints` gave, for who has it already: files are then read once.
        """
        inputs = self.inputs_fingerprints() if inputs is None else inputs
        digest = hashlib.sha256()
        feed(digest, (self.kind, self.labels))
        for name in sorted(self.splits):
            split = self.splits[name]
            feed(digest, (name, list(split.examples.ids), split.targets, inputs[name]))
        return digest.hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Predictions:
    """One row per evaluated example: id, target, prediction, and what the kind adds.

    ``columns["scores"]``, where a kind has it, is float[n, labels]: one probability per label.
    """

    ids: Sequence[str]
    columns: Columns
    labels: tuple[str, ...] = ()
    clusters: Sequence[str] | None = None
    """Which examples belong together (`Split.clusters`): resampled, and left out, as a whole."""

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, column: str) -> NDArray[Any]:
        return self.columns[column]

    def __contains__(self, column: object) -> bool:
        return column in self.columns

    def __iter__(self) -> Iterator[str]:
        return iter(self.columns)

    def take(self, indices: Sequence[int] | NDArray[np.integer[Any]]) -> Predictions:
        """Return the rows at these positions, in this order."""
        index = np.asarray(indices, dtype=np.intp)
        return Predictions(
            ids=[self.ids[i] for i in index],
            columns={name: values[index] for name, values in self.columns.items()},
            labels=self.labels,
            clusters=None if self.clusters is None else [self.clusters[i] for i in index],
        )


def feed(digest: hashlib._Hash, value: Any) -> None:
    """Feed a value into a digest so that different values never read alike.

    Every value is prefixed with its type and length, and so ``["ab", "c"]`` differs from
    ``["a", "bc"]`` and ``1`` from ``"1"``. A path counts as the content of its file, and what only stands
    for bytes (it has ``__bytes__``) as these. Raises `DataError` for a type whose bytes mean nothing, and
    for a file that cannot be read.
    """
    match value:
        case None | bool() | int() | float() | str():
            text = repr(value) if not isinstance(value, str) else value
            data = text.encode("utf-8", "surrogatepass")
            digest.update(f"{type(value).__name__}:{len(data)}:".encode())
            digest.update(data)
        case bytes():
            digest.update(f"bytes:{len(value)}:".encode())
            digest.update(value)
        case np.ndarray() if value.dtype != object:
            digest.update(f"array:{value.dtype.str}:{value.shape}:".encode())
            digest.update(np.ascontiguousarray(value).tobytes())
        case np.generic():
            feed(digest, value.item())
        case Path():  # what the file says, wherever it lies
            _feed_file(digest, value)
        case Mapping():
            digest.update(f"map:{len(value)}:".encode())
            for key in sorted(value, key=str):
                feed(digest, key)
                feed(digest, value[key])
        case Sequence() | np.ndarray():
            digest.update(f"list:{len(value)}:".encode())
            for item in value:
                feed(digest, item)
        # not PurePath: its bytes are a name, and no file is there to be read
        case SupportsBytes() if not isinstance(value, PurePath):
            feed(digest, bytes(value))
        case _:
            raise DataError(f"a value of type {type(value).__name__} has no fingerprint")


def _feed_file(digest: hashlib._Hash, path: Path) -> None:
    try:
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").digest()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from None
    digest.update(b"file:")
    digest.update(content)
