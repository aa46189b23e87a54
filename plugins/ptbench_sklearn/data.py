"""The source ``sklearn:``: the data sets that scikit-learn carries, and two that it can bring."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ptbench import (
    CUT_OPTIONS,
    DataDescription,
    DataError,
    DataRequest,
    Download,
    Rows,
    Source,
    cut_rows,
    nearest,
)

BUNDLED = ("breast_cancer", "diabetes", "digits", "iris", "wine")
DOWNLOADS = {
    "20newsgroups": (
        "20news-bydate_py3.pkz",
        Download("20 newsgroups, by date (ndownloader.figshare.com)", 14_464_277),
    ),
    "california_housing": (
        "cal_housing_py3.pkz",
        Download("California housing (ndownloader.figshare.com)", 441_963),
    ),
}
DEFAULT_CUT = {"test": 0.25}


def describe(request: DataRequest) -> DataDescription:
    """Say what is known from the name alone, and whether it lies on this machine."""
    name = _name(request)
    if name == "20newsgroups":
        splits: dict[str, int | None] = {"train": 11_314, "test": 7_532}
        return DataDescription(("text", "target"), splits, _missing(name), state=name)
    cut = request.options.get("cut") or DEFAULT_CUT
    splits = dict.fromkeys(["train", *cut])
    quick = name in BUNDLED
    return DataDescription(splits=splits, downloads=_missing(name), quick=quick, state="" if quick else name)


def load(request: DataRequest) -> Mapping[str, Rows]:
    """Read a data set and cut it; a quarter is test where no option says otherwise."""
    from sklearn import datasets

    name, options = _name(request), request.options
    if name == "20newsgroups":
        return {split: _newsgroups(split) for split in ("train", "test")}
    if name in DOWNLOADS:
        bunch = _fetched(name, datasets.fetch_california_housing)
    else:
        bunch = getattr(datasets, f"load_{name}")()
    return cut_rows(
        _rows(bunch, images=name == "digits"),
        options.get("cut") or DEFAULT_CUT,
        options.get("cut_seed", 0),
        by=options.get("cut_by") or (),
        where=f"sklearn:{name}",
    )


def _rows(bunch: Any, *, images: bool) -> Rows:
    """Return each column of numbers by its name, all of them as ``features``, and ``target``.

    The grey values of digits, 0 to 16, are given as ``image`` too: uint8[8, 8] from 0 to 255.
    """
    rows: dict[str, list[Any]] = {
        str(name): bunch.data[:, i].tolist() for i, name in enumerate(bunch.feature_names)
    }
    rows["features"] = bunch.data.tolist()
    if images:
        rows["image"] = list(np.rint(bunch.images * (255 / 16)).astype(np.uint8))
    labels = bunch.get("target_names")
    if labels is None or np.issubdtype(bunch.target.dtype, np.floating):
        rows["target"] = bunch.target.astype(float).tolist()
    else:
        rows["target"] = [str(labels[i]) for i in bunch.target]
    return rows


def _newsgroups(split: str) -> Rows:
    from sklearn.datasets import fetch_20newsgroups

    bunch = _fetched("20newsgroups", fetch_20newsgroups, subset=split)
    return {"text": bunch.data, "target": [bunch.target_names[i] for i in bunch.target]}


def _fetched(name: str, fetch: Any, **options: Any) -> Any:
    try:
        return fetch(n_retries=1, delay=0.0, **options)
    except (OSError, ValueError) as error:  # no network; or what came is not what was expected
        reason = " ".join(str(error).split())[:160]
        raise DataError(
            f"sklearn:{name} is not in {_home()}, and could not be brought: {reason}; "
            "connect once, or copy that folder from a machine that has it"
        ) from None


def _missing(name: str) -> tuple[Download, ...]:
    if name not in DOWNLOADS:
        return ()
    file, download = DOWNLOADS[name]
    return () if (_home() / file).is_file() else (download,)


def _home() -> Path:
    """Return scikit-learn's data folder, as it finds it itself, without importing it."""
    import os

    return Path(os.environ.get("SCIKIT_LEARN_DATA") or Path("~", "scikit_learn_data")).expanduser()


def _name(request: DataRequest) -> str:
    name = request.reference.name
    if name not in BUNDLED and name not in DOWNLOADS:
        raise DataError(f"scikit-learn has no data set '{name}'; {nearest(name, [*BUNDLED, *DOWNLOADS])}")
    if name == "20newsgroups" and request.options.get("cut"):
        raise DataError("sklearn:20newsgroups has splits of its own, by date; leave 'cut' out")
    return name


SOURCE = Source(
    name="sklearn",
    description="Data that scikit-learn carries: breast_cancer, diabetes, digits, iris, wine; or brings.",
    requires=("sklearn",),
    options=CUT_OPTIONS,
    describe=describe,
    load=load,
)
