"""The source ``file:``: a file of rows, or a folder with one file for each split."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from ptbench.cut import CUT_OPTIONS, checked_shares, cut_as_asked
from ptbench.data import Rows
from ptbench.delimited import Dialect, brief
from ptbench.digests import files_state
from ptbench.errors import DataError, nearest
from ptbench.formats import read_header, read_rows, split_name
from ptbench.offers import DataDescription, DataRequest, Option, Source

QUICK_BYTES = 50_000_000
QUICK_NAMES = 200_000
"""Likewise where cells are names of what has yet to be read, such as images: some two thousand rows."""
ALL = "all"
"""The split of a file that no option cuts."""

WORDS = {
    "train": "train",
    "training": "train",
    "dev": "validation",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}


def split_of(stem: str) -> str:
    """Return the split that a file is named after, by the last word of its name; else the name itself.

    >>> [split_of(stem) for stem in ("train", "stsb-en-dev", "dev_matched", "test-00000-of-00001")]
    ['train', 'validation', 'dev_matched', 'test']
    """
    whole = re.sub(r"-\d+-of-\d+$", "", stem)
    return WORDS.get(re.split(r"[-_. ]", whole)[-1].lower(), whole)


def describe(request: DataRequest) -> DataDescription:
    """Read headers only."""
    path, dialect = _path(request), _dialect(request)
    cut = request.options.get("cut")
    splits: dict[str, int | None] = {}
    columns: dict[str, None] | None = {}
    size = 0
    files = _files(path, request)
    for split, file in files.items():
        names, splits[split] = read_header(file, dialect)
        columns = None if names is None or columns is None else {**columns, **dict.fromkeys(names)}
        size += file.stat().st_size
    if cut is not None:
        splits = dict.fromkeys(["train", *checked_shares(cut, str(path))])
    quick = size < (QUICK_NAMES if request.content else QUICK_BYTES)
    return DataDescription(
        columns=None if columns is None else tuple(columns),
        splits=splits,
        quick=quick,
        state="" if quick else files_state(files.values(), path.parent),
    )


def load(request: DataRequest) -> Mapping[str, Rows]:
    """Read the file of every split that is wanted, and cut where the options say so."""
    path, dialect = _path(request), _dialect(request)
    rows = {split: read_rows(file, dialect) for split, file in _files(path, request).items()}
    return cut_as_asked(rows, request, str(path))


def root(request: DataRequest) -> Path:
    """Return the folder from which paths in the rows are read: that of the file, or of the splits."""
    path = _path(request)
    return path if path.is_dir() else path.parent


def _path(request: DataRequest) -> Path:
    try:
        return request.base / Path(request.reference.name).expanduser()
    except RuntimeError:  # "~name", of which nobody knows the home
        raise DataError(f"{request.reference.name}: there is no such home folder; write the path") from None


def _dialect(request: DataRequest) -> Dialect:
    options, where = request.options, _path(request)
    columns = options.get("columns")
    for column in columns or ():
        if not isinstance(column, str):
            raise DataError(f"{where}: option 'columns' has {column!r}; names in quotes were expected")
    separator = options.get("separator")
    if separator == "\0":  # the csv module takes it for none at all
        raise DataError(f"{where}: separator = {separator!r}: it may be any character but this one")
    encoding = options.get("encoding") or "utf-8"
    try:
        "a".encode(encoding)
    except (LookupError, ValueError):
        raise DataError(f"{where}: encoding {encoding!r} is unknown; utf-8 and latin-1 are usual") from None
    return Dialect(
        columns=None if columns is None else tuple(columns),
        separator=separator,
        encoding=encoding,
        quoting=options.get("quoting", True),
    )


def _files(path: Path, request: DataRequest) -> dict[str, Path]:
    """Return the file of each split that is wanted. Raises `DataError` where one cannot be found."""
    try:
        files = _found(path, request)
    except OSError as error:  # a name that is too long, a folder that is closed to us
        raise DataError(f"{path} cannot be read: {error.strerror or brief(error)}") from None
    if request.options.get("cut") is not None:  # the splits are those of the cut
        return files
    return {split: files[split] for split in request.wanted(files)}


def _found(path: Path, request: DataRequest) -> dict[str, Path]:
    if path.is_file():
        return {ALL: path}
    if not path.is_dir():
        raise DataError(f"there is no file or folder {path}; {_nearby(path)}")
    if request.options.get("cut") is not None:
        raise DataError(f"{path} is a folder of splits, and is not cut; leave 'cut' out or name one file")
    files: dict[str, Path] = {}
    for file in sorted(path.iterdir()):
        stem, known = split_name(file)
        if not known or file.name.startswith((".", "_")) or not file.is_file():
            continue
        split = split_of(stem)
        if split in files:
            raise DataError(
                f"{path}: {files[split].name} and {file.name} are both {split}; join them, or name one file"
            )
        files[split] = file
    if not files:
        raise DataError(f"{path} has no file of a known format (.csv, .tsv, .jsonl, .json, .parquet)")
    return {split: files[split] for split in sorted(files, key=_role)}


def _role(split: str) -> tuple[int, str]:
    roles = ("train", "validation", "test")
    return (roles.index(split) if split in roles else len(roles), split)


def _nearby(path: Path) -> str:
    folder = path.parent
    if not folder.is_dir():
        return f"nor is there a folder {folder}"
    return f"in {folder.resolve()}: {nearest(path.name, (entry.name for entry in folder.iterdir()))}"


SOURCE = Source(
    name="file",
    description="A CSV, TSV, JSON lines, JSON or Parquet file, or a folder with one for each split.",
    options=(
        *CUT_OPTIONS,
        Option("columns", (list,), "Names of the columns, for a CSV or TSV file without a header."),
        Option("separator", (str,), "What separates cells; default: a comma in CSV, a tab in TSV."),
        Option("encoding", (str,), "The encoding of a text file.", default="utf-8"),
        Option(
            "quoting",
            (bool,),
            "Whether a cell may stand in quotes; false, as in GLUE's TSV files: a quote is a letter.",
            default=True,
        ),
    ),
    describe=describe,
    load=load,
    root=root,
)
