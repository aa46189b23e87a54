"""Image classification: the kind, and the adapter that leaves out what cannot be read, and says so."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ptbench import (
    UNCUT,
    Adapter,
    Column,
    DataError,
    Kind,
    Option,
    Rows,
    Task,
    TaskRequest,
    Unread,
    build_task,
    nearest,
)
from ptbench_torch.images import Checked
from ptbench_vision.cells import image_cell
from ptbench_vision.checking import check_images
from ptbench_vision.copies import copies

KIND = Kind(
    name="image-classification",
    description="An image has one label out of a fixed set.",
    inputs=(Column("image", "image"),),
    target=Column("target", "label"),
    outputs=(Column("prediction", "label"), Column("scores", "scores", required=False)),
    copies=copies,
)

INPUT = Option(
    "input",
    (str,),
    "The column of the image: a path, encoded bytes, or an array uint8 [height, width, channels].",
    default="image",
)
TARGET = Option("target", (str,), "The column of the target.", default="label")
ID = Option("id", (str,), "The column of ids; without one 'path', if it has no value twice, else numbers.")
LABELS = Option("labels", (list, dict), "The labels in order; a table renames those of the data.")
ON_UNREAD = Option(
    "on_unread",
    (str,),
    "What to do with images that cannot be read: leave their rows out and count them, or stop.",
    default="leave_out",
    choices=("leave_out", "error"),
)
TRAITS = {
    "rotated": "EXIF rotation not applied, as in torchvision and timm",
    "frames": "the first of several frames taken",
    "16-bit": "more than 8 bits, scaled to 8",
    "alpha": "alpha channel dropped",
}
"""What to say of images that are read, and are not quite what they seem (`ptbench_torch.images.TRAITS`)."""
PATH = "path"
ROW_ID, CELLS = "number of the row", "cell of the image"
"""The columns that the adapter adds; their spaces keep them apart from names that anyone uses."""


def columns(options: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the columns that the options name."""
    ids = [options["id"]] if options.get("id") else []
    return (options.get("input", INPUT.default), options.get("target", TARGET.default), *ids)


def content(options: Mapping[str, Any]) -> Mapping[str, Callable[[Any, Path], Any]]:
    """Return what a value of the image's column stands for: copies of one image may have many names."""
    return {options.get("input", INPUT.default): image_cell}


def build(rows: Mapping[str, Rows], request: TaskRequest) -> Task:
    """Check every image and build a task of those that can be read.

    Ids are given before rows are left out: ``test-5`` is the sixth row of the data, whatever the others
    are. Raises `DataError`.
    """
    options = request.options
    image, target, *_ = wanted = columns(options)
    where = f"task '{request.name}'" + (f" ({request.where})" if request.where else "")
    splits = {name: given for name, given in rows.items() if given}
    for split, given in splits.items():
        for name in wanted:
            if name not in given:
                raise DataError(f"{where}: {split} has no column '{name}'; {nearest(name, given)}")
    id_column = options.get("id") or _default_ids(splits)
    kept: dict[str, Rows] = {}
    unread: dict[str, Mapping[str, int]] = {}
    left_out: list[Unread] = []
    traits: Counter[str] = Counter()
    for split, given in splits.items():
        cells = [image_cell(value, request.root) for value in given[image]]
        ids = given[id_column] if id_column else [f"{split}-{row}" for row in range(len(cells))]
        checked = check_images(cells)
        read, unread[split] = _read(checked, f"{where}: {split}", request)
        traits.update(trait for row in read for trait in checked[row].traits)
        left_out += [
            Unread(split, str(ids[row]), one.reason, one.message)
            for row, one in enumerate(checked)
            if one.reason
        ]
        columns_given = {id_column or ROW_ID: ids, CELLS: cells, target: given[target]}
        kept[split] = {name: [values[row] for row in read] for name, values in columns_given.items()}
        if options.get("labels") is None:
            _no_label_lost(given[target], kept[split][target], f"{where}: {split}")
    task = build_task(
        KIND,
        kept,
        request,
        inputs={"image": CELLS},
        target=target,
        id_column=id_column or ROW_ID,
        labels=options.get("labels"),
    )
    notes = tuple(
        f"{traits[trait]:,} of the images: {words}" for trait, words in TRAITS.items() if traits[trait]
    )
    return replace(task, unread=unread, left_out=tuple(left_out), notes=notes)


def _read(checked: Sequence[Checked], here: str, request: TaskRequest) -> tuple[list[int], dict[str, int]]:
    """Return the rows that can be read, and why how many others cannot."""
    read = [row for row, one in enumerate(checked) if not one.reason]
    bad = [row for row, one in enumerate(checked) if one.reason]
    if not bad:
        return read, {}
    first = f"row {bad[0] + 1}: {checked[bad[0]].message}"
    if not read:
        relative = any(one.reason == "missing" for one in checked)
        looked = f" (relative paths are read from {request.root.resolve()})" if relative else ""
        raise DataError(f"{here}: none of its {len(bad)} images can be read; {first}{looked}")
    if request.options.get("on_unread") == "error":
        raise DataError(
            f"{here}, {first}; {len(bad)} of {len(checked)} images cannot be read; mend them, or write "
            'on_unread = "leave_out"'
        )
    return read, dict(sorted(Counter(checked[row].reason for row in bad).items()))


def _no_label_lost(before: Sequence[Any], after: Sequence[Any], here: str) -> None:
    """Check that every label has an image that can be read: with fewer labels, a task is easier."""
    if lost := {str(value) for value in before} - {str(value) for value in after}:
        name = min(lost)
        raise DataError(
            f"{here}: no image of label '{name}' can be read; mend them, or name the labels in 'labels'"
        )


def _default_ids(splits: Mapping[str, Rows]) -> str | None:
    """Return the column of paths if it can serve as ids, else that of rows before a cut, if there was one."""
    for column in (PATH, UNCUT):
        if all(column in given for given in splits.values()):
            values = [value for given in splits.values() for value in given[column]]
            texts = all(isinstance(value, str | Path) and str(value) for value in values)
            if texts and len(set(map(str, values))) == len(values):
                return column
    return None


ADAPTER = Adapter(
    name="image-classification",
    description="Images with a label each.",
    kind="image-classification",
    metrics=("accuracy", "top5_accuracy", "balanced_accuracy", "macro_f1", "ece", "confusion_matrix"),
    options=(INPUT, TARGET, ID, LABELS, ON_UNREAD),
    build=build,
    columns=columns,
    content=content,
)
