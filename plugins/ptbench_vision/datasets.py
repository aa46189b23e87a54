"""The source ``torchvision:``: data sets that torchvision knows, read from the disk or brought to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ptbench import (
    DataDescription,
    DataError,
    DataRequest,
    Download,
    Fetching,
    ModelError,
    Option,
    Rows,
    Source,
    files_state,
    nearest,
)
from ptbench_vision.folder import COLUMNS, image_rows


@dataclass(frozen=True, slots=True)
class _Known:
    """A small data set: the files that show it is there, how big it is to bring, its rows."""

    files: tuple[str, ...]
    bytes: int
    splits: Mapping[str, int]


def _idx(name: str) -> tuple[str, ...]:
    kinds = ("images-idx3", "labels-idx1")
    return tuple(f"{name}/raw/{part}-{kind}-ubyte" for part in ("train", "t10k") for kind in kinds)


SMALL = {
    "CIFAR10": _Known(
        tuple(f"cifar-10-batches-py/{part}" for part in ("data_batch_1", "test_batch", "batches.meta")),
        170_498_071,
        {"train": 50_000, "test": 10_000},
    ),
    "CIFAR100": _Known(
        tuple(f"cifar-100-python/{part}" for part in ("train", "test", "meta")),
        169_001_437,
        {"train": 50_000, "test": 10_000},
    ),
    "MNIST": _Known(_idx("MNIST"), 11_594_722, {"train": 60_000, "test": 10_000}),
    "FashionMNIST": _Known(_idx("FashionMNIST"), 30_878_645, {"train": 60_000, "test": 10_000}),
}
IMAGENET = "ImageNet"
IMAGENET_SPLITS = {"train": "train", "validation": "val"}


def describe(request: DataRequest) -> DataDescription:
    """Say what lies on the disk, and what would have to be brought."""
    name, root = _name(request), _root(request)
    if name == IMAGENET:
        folders = _imagenet(root)
        wanted = request.wanted(folders)
        classes = (folder for split in wanted for folder in sorted(folders[split].iterdir()))
        return DataDescription(COLUMNS, dict.fromkeys(wanted), state=files_state(classes, root))
    known = SMALL[name]
    splits = {split: known.splits[split] for split in request.wanted(known.splits)}
    there = all((root / file).is_file() for file in known.files)
    brought = () if there else (Download(f"{name} of torchvision, to {root}", known.bytes),)
    return DataDescription(("image", "label"), splits, brought, state=name)  # torchvision knows its digests


def load(request: DataRequest) -> Mapping[str, Rows]:
    """Read what is wanted, and bring all if it is not on the disk; torchvision checks what is there."""
    name, root = _name(request), _root(request)
    if name == IMAGENET:
        folders = _imagenet(root)
        return {split: image_rows(folders[split], root) for split in request.wanted(folders)}
    described = describe(request)
    absent = bool(described.downloads)
    return {split: _rows(name, root, split, download=absent) for split in described.splits or ()}


def fetch(request: DataRequest, told: Fetching) -> list[Path]:
    """Bring the archives and let torchvision check and unpack them; return the files that show it."""
    name, root = _name(request), _root(request)
    if name == IMAGENET:
        return []
    if describe(request).downloads:
        for addresses, file, md5 in _archives(name, root):
            _bring(addresses, file, md5, told)
        for split in SMALL[name].splits:
            _rows(name, root, split, download=True)
    return [root / file for file in SMALL[name].files]


def _archives(name: str, root: Path) -> list[tuple[list[str], Path, str]]:
    """Return for every archive its addresses, where torchvision looks for it, and its md5."""
    from torchvision import datasets

    known: Any = getattr(datasets, name)
    if name.startswith("CIFAR"):
        return [([known.url], root / known.filename, known.tgz_md5)]
    folder = root / name / "raw"
    return [
        ([f"{mirror}{file}" for mirror in known.mirrors], folder / file, md5) for file, md5 in known.resources
    ]


def _bring(addresses: Sequence[str], file: Path, md5: str, told: Fetching) -> None:
    """Bring a file from the first address that has it. Raises `DataError`."""
    from ptbench_torch.bringing import bring

    errors = []
    for url in addresses:
        try:
            bring(url, file, md5, partial(told, url), "md5")
            return
        except ModelError as error:
            errors.append(str(error))
    raise DataError("; ".join(errors))


def _rows(name: str, root: Path, split: str, *, download: bool) -> Rows:
    from torchvision import datasets

    try:
        data: Any = getattr(datasets, name)(str(root), train=split == "train", download=download)
    except Exception as error:  # of the network, of archives, of pickles, of its own checks
        reason = " ".join(str(error).split())[:160] or type(error).__name__
        if download:
            raise DataError(
                f"torchvision:{name} is not in {root}, and could not be brought: {reason}; connect once, or "
                f"copy {Path(SMALL[name].files[0]).parts[0]} from a machine that has it"
            ) from None
        raise DataError(
            f"torchvision:{name} in {root} cannot be read: {reason}; remove it, and it is brought anew"
        ) from None
    classes = [str(label) for label in data.classes]
    return {
        "image": list(np.asarray(data.data)),
        "label": [classes[int(position)] for position in data.targets],
    }


def _imagenet(root: Path) -> dict[str, Path]:
    """Return the folders of the splits of ImageNet that are there; their rows are paths, never pixels."""
    found = {split: root / name for split, name in IMAGENET_SPLITS.items() if (root / name).is_dir()}
    if not found:
        raise DataError(
            f"torchvision:ImageNet is not in {root}, and no program may bring it: get ILSVRC2012 from "
            "image-net.org, and unpack it to val/<WordNet id>/*.JPEG there (option 'root' names the folder)"
        )
    return found


def _root(request: DataRequest) -> Path:
    given = request.options.get("root") or ROOT.default
    try:
        return (request.base / Path(given).expanduser()).absolute()
    except RuntimeError:  # "~name", of which nobody knows the home
        raise DataError(f"root = '{given}': there is no such home folder; write the path") from None


def _name(request: DataRequest) -> str:
    name, names = request.reference.name, [*SMALL, IMAGENET]
    if name in names:
        return name
    same = {known.lower(): known for known in names}.get(name.lower())
    hint = f"did you mean '{same}'?" if same else nearest(name, names)
    raise DataError(f"torchvision has no data set '{name}' that this source knows; {hint}")


ROOT = Option("root", (str,), "The folder of the data, from the suite's folder on.", default="data")

SOURCE = Source(
    name="torchvision",
    description="CIFAR10, CIFAR100, MNIST, FashionMNIST, and ImageNet where it is on the disk.",
    requires=("torchvision",),
    options=(ROOT,),
    describe=describe,
    load=load,
    fetch=fetch,
)
