"""The folder of a run: what is written there, and how it is read back.

``results/<suite>/<run>/`` holds ``run.json``, ``records.jsonl`` (append-only, one line per cell as it
ends), ``predictions/<cell>.parquet``, ``unread/<task>.csv``, ``standings.json``, ``averages.json``,
``comparison.json`` where somebody compared the run with another, and what the reporters write. A record is
flushed to the disk before anybody hears of it.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import re
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from ptbench.comparison import comparison_from_json
from ptbench.data import Predictions, Unread
from ptbench.durable import flush_folder, part_of, place
from ptbench.errors import DataError, UsageError
from ptbench.journal import average_from_json, read_records, standing_from_json
from ptbench.plain import to_json
from ptbench.records import Report

RUN, STANDINGS, PREDICTIONS, UNREAD = "run.json", "standings.json", "predictions", "unread"
AVERAGES, COMPARISON = "averages.json", "comparison.json"
DRAW, CLUSTER = "draw", "cluster"
ROW_GROUP_NUMBERS = 2**21
"""Numbers that are encoded at once when predictions are written: a group of rows is held in memory."""
T = TypeVar("T")


def create_run(results: Path, suite: str) -> Path:
    """Make a new folder for a run and return it. Raises `UsageError` where it cannot be made.

    Two runs that start in the same second get different folders.
    """
    parent = suite_folder(results, suite)
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    try:
        parent.mkdir(parents=True, exist_ok=True)
        for attempt in range(100):
            folder = parent / (stamp if not attempt else f"{stamp}-{attempt + 1}")
            try:
                folder.mkdir()
            except FileExistsError:
                continue
            (folder / PREDICTIONS).mkdir()
            for made in (folder, parent, parent.parent):
                flush_folder(made)
            return folder
    except OSError as error:
        raise UsageError(f"results cannot be written to {parent}: {error.strerror}; use --output") from None
    raise UsageError(f"no free name for a run in {parent}")


def suite_folder(results: Path, suite: str) -> Path:
    """Return where the runs of a suite lie."""
    return results.resolve() / slug(suite)  # a plugin may change the working directory


def slug(text: str) -> str:
    """Return a text as a name that is safe in a path.

    >>> slug("../My suite: β")
    'My-suite'
    """
    return re.sub(r"[^A-Za-z0-9_.]+", "-", text).strip("-.")[:80] or "unnamed"


def write_json(path: Path, data: Any) -> None:
    """Write JSON so that a reader sees the old file or the new one, never half of it."""
    text = json.dumps(to_json(data), indent=2, allow_nan=False) + "\n"
    part = part_of(path)
    part.write_text(text, "utf-8")
    place(part, path)


def read_report(folder: Path) -> Report:
    """Read a run back. Raises `UsageError` where the folder holds no run.

    A last line that was cut short by a crash is left out; any other bad line is an error.
    """
    if not (folder / RUN).is_file():
        raise UsageError(f"{folder} holds no run (no {RUN}); give the folder results/<suite>/<run>")
    try:
        run = json.loads((folder / RUN).read_text("utf-8"))
        if not isinstance(run, dict) or not isinstance(run.get("order", {}), dict):
            raise ValueError("it does not hold what a run writes")
        if not isinstance(run.get("suite"), str):
            raise ValueError("it names no suite, and so is no run of ptbench")
    except (ValueError, TypeError) as error:
        raise UsageError(f"{folder}: {RUN} is damaged: {error}") from None
    standings = _derived(folder / STANDINGS, lambda rows: tuple(map(standing_from_json, rows))) or ()
    averages = _derived(folder / AVERAGES, lambda rows: tuple(map(average_from_json, rows))) or ()
    comparison = _derived(folder / COMPARISON, comparison_from_json)
    return Report(run, tuple(read_records(folder)), standings, folder, averages, comparison)


def _derived(path: Path, make: Callable[[Any], T]) -> T | None:
    """Read what was made from the records, where it is there. Raises `UsageError` where it is damaged."""
    if not path.is_file():
        return None
    try:
        return make(json.loads(path.read_text("utf-8")))
    except (AttributeError, ValueError, TypeError) as error:
        raise UsageError(f"{path.parent}: {path.name} is damaged: {error}") from None


def write_predictions(path: Path, *runs: Predictions) -> None:
    """Write predictions as Parquet: labels by name, scores as a list per row.

    Several runs on the same examples (draws of training rows) stand one below the other, and a column
    ``draw`` numbers them.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    predictions = runs[0] if len(runs) == 1 else joined(runs)
    columns: dict[str, Any] = {"id": pa.array([_utf8(i) for i in predictions.ids], pa.string())}
    if len(runs) > 1:
        columns[DRAW] = pa.array(np.repeat(np.arange(len(runs), dtype=np.int32), len(runs[0])))
    if predictions.clusters is not None:
        columns[CLUSTER] = pa.array([_utf8(cluster) for cluster in predictions.clusters], pa.string())
    for name in predictions:
        values = predictions[name]
        if values.ndim > 1:
            flat = pa.array(np.ascontiguousarray(values).reshape(-1))
            for size in reversed(values.shape[1:]):
                flat = pa.FixedSizeListArray.from_arrays(flat, size)
            columns[name] = flat
        elif predictions.labels and np.issubdtype(values.dtype, np.integer):
            labels = pa.array([_utf8(label) for label in predictions.labels], pa.string())
            columns[name] = pa.DictionaryArray.from_arrays(pa.array(values.astype(np.int32)), labels)
        else:
            columns[name] = pa.array(values.tolist() if values.dtype == object else values)
    path.parent.mkdir(exist_ok=True)  # a worker's own folder has none yet
    table = pa.table(columns)
    table = table.replace_schema_metadata(
        {"labels": json.dumps([_utf8(label) for label in predictions.labels])}
    )
    part = part_of(path)
    width = sum(int(np.prod(predictions[name].shape[1:])) for name in predictions)
    pq.write_table(table, part, row_group_size=max(1024, ROW_GROUP_NUMBERS // width))
    place(part, path)


def unread_name(task: str) -> str:
    """Return where a run lists the rows of a task that could not be read: a name for each task.

    >>> unread_name("pets"), unread_name("my pets")
    ('unread/pets.csv', 'unread/my-pets-8d0df190.csv')
    """
    safe = slug(task)
    mark = "" if safe == task else f"-{hashlib.sha256(task.encode('utf-8', 'replace')).hexdigest()[:8]}"
    return f"{UNREAD}/{safe}{mark}.csv"


def write_unread(path: Path, rows: Iterable[Unread]) -> None:
    """List rows that could not be read, so that people can mend them."""
    path.parent.mkdir(exist_ok=True)
    part = part_of(path.with_name(f"{path.name}.{os.getpid()}"))  # another process may write the same list
    with part.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(["split", "id", "reason", "message"])
        table.writerows([_utf8(row.split), _utf8(row.id), row.reason, _utf8(row.message)] for row in rows)
    place(part, path)


def read_runs(path: Path, wanted: Sequence[str]) -> list[Predictions]:
    """Read the predictions of a cell, one table per draw of training rows, or the one that there is.

    Raises `DataError` where the file is damaged.
    """
    table = read_predictions(path, (*wanted, DRAW))
    if DRAW not in table:
        return [table]
    draws = table[DRAW]
    columns = {name: table[name] for name in table if name != DRAW}
    whole = Predictions(table.ids, columns, table.labels, table.clusters)
    return [whole.take(np.flatnonzero(draws == draw)) for draw in np.unique(draws)]


def joined(runs: Sequence[Predictions]) -> Predictions:
    """Return the rows of several runs on the same examples as one table."""
    first = runs[0]
    columns = {name: np.concatenate([run[name] for run in runs]) for name in first}
    known = [run.clusters for run in runs if run.clusters is not None]
    clusters = [cluster for of_run in known for cluster in of_run] if len(known) == len(runs) else None
    return Predictions([i for run in runs for i in run.ids], columns, first.labels, clusters)


def read_predictions(path: Path, wanted: Sequence[str] | None = None) -> Predictions:
    """Read predictions back as they were written, or those of the wanted columns that are there.

    Raises `DataError` where the file is damaged.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        if not path.is_file():
            raise ValueError("it is not there")
        there = pq.read_schema(path).names
        if "id" not in there:
            raise ValueError("it has no column 'id'")
        names = [name for name in there if wanted is None or name in ("id", CLUSTER) or name in wanted]
        table = pq.read_table(path, columns=names)
        told = (table.schema.metadata or {}).get(b"labels")
        if told is None:
            raise ValueError("it does not say its labels, and so was not written by ptbench")
        labels = tuple(json.loads(told))
    except (OSError, pa.ArrowException, TypeError, ValueError) as error:
        why = " ".join(str(error).split())
        raise DataError(f"{path}: is no file of predictions: {why}") from None
    columns: dict[str, Any] = {}
    for name in table.column_names:
        column = table.column(name).combine_chunks()
        shape = []
        while pa.types.is_fixed_size_list(column.type):
            shape.append(column.type.list_size)
            column = column.flatten()
        if pa.types.is_dictionary(column.type):
            try:
                columns[name] = _codes(column, labels)
            except KeyError as error:
                raise DataError(f"{path}: is no file of predictions: no label is called {error}") from None
        elif shape:
            columns[name] = column.to_numpy(zero_copy_only=False).reshape(table.num_rows, *shape)
        else:
            columns[name] = column.to_numpy(zero_copy_only=False)
    ids = [str(i) for i in columns.pop("id")]
    clusters = columns.pop(CLUSTER, None)
    return Predictions(ids, columns, labels, None if clusters is None else clusters.tolist())


def _utf8(text: object) -> str:
    """Return text that UTF-8 can hold: a lone surrogate becomes its escape."""
    return str(text).encode("utf-8", "backslashreplace").decode()


def _codes(column: Any, labels: Sequence[str]) -> Any:
    """Return positions in the labels; a dictionary may have been written anew in another order."""
    position = {label: i for i, label in enumerate(labels)}
    order = np.array([position[label] for label in column.dictionary.to_pylist()], dtype=np.int64)
    return order[column.indices.to_numpy(zero_copy_only=False)]
