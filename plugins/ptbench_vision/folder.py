"""The source ``folder:``: a folder for each class, or folders of splits with a folder for each class."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from ptbench import (
    CUT_OPTIONS,
    DataDescription,
    DataError,
    DataRequest,
    Rows,
    Source,
    checked_columns,
    checked_shares,
    cut_rows,
    files_state,
    nearest,
    split_of,
)
from ptbench_torch.images import RAW

SUFFIXES = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".gif", ".bmp", ".tif", ".tiff", ".webp",
    ".ppm", ".pgm", ".pbm", ".pnm", ".jp2", ".j2k", ".avif",
)  # fmt: skip
"""Files that count as images by their name; what is in them is for the adapter to see."""
OTHERS = (
    ".heic", ".heif", ".jxl", ".svg", ".svgz", ".psd", ".xcf", ".eps", ".ai", ".pdf", ".dcm", ".exr", ".hdr",
    ".tga", ".ico", *RAW,
)  # fmt: skip
"""Pictures in formats that are not read. They are rows too, so that the adapter counts them as unread."""
ALL = "all"
"""The split of a folder that no option cuts, as of a file."""
COLUMNS = ("image", "label", "path")
ROLES = ("train", "validation", "test")
QUICK_IMAGES = 500


def describe(request: DataRequest) -> DataDescription:
    """List the classes; the images are counted when they are read."""
    root, splits = _layout(request)
    cut = request.options.get("cut")
    quick = sum(1 for _ in islice(_all_files(splits), QUICK_IMAGES + 1)) <= QUICK_IMAGES
    names = splits if cut is None else ["train", *checked_shares(cut, str(root))]
    state = "" if quick else files_state(_all_files(splits), root)
    return DataDescription(COLUMNS, dict.fromkeys(names), quick=quick, state=state)


def load(request: DataRequest) -> Mapping[str, Rows]:
    """List every image with its label, sorted by path, and cut where the options say so."""
    root, splits = _layout(request)
    _labels_differ(splits, root)
    rows = {split: image_rows(folder, root) for split, folder in splits.items()}
    cut = request.options.get("cut")
    if cut is None:
        return rows
    return _cut(rows[ALL], request, str(root))


def image_rows(folder: Path, root: Path) -> Rows:
    """Return the images of a folder of classes: image, label and path, which starts at ``root``.

    A class may have folders inside. Raises `DataError` for an image without a class, and for a class
    without an image, since it would vanish from the labels.
    """
    loose = [entry.name for entry in _entries(folder) if _is_image(entry) and _suffix(entry)]
    if loose:
        more = f" and {len(loose) - 1} more" if len(loose) > 1 else ""
        raise DataError(
            f"{folder}: image '{printable_name(loose[0])}'{more} lies in no folder of a class, and so has no "
            "label; move it into one"
        )
    found = []
    for name in _folders(folder):
        files = list(_files(folder / name, ()))
        if not files:
            raise DataError(f"{folder / name} has no image (as {_some_suffixes()}); add some or remove it")
        found += [(printable_name(file.relative_to(root).as_posix()), file, name) for file in files]
    if not found:
        raise DataError(f"{folder} has no folders of classes; a folder for each class was expected")
    found.sort(key=lambda one: one[0])
    paths, images, labels = zip(*found, strict=True)
    return {"image": images, "label": [printable_name(label) for label in labels], "path": paths}


def printable_name(name: str) -> str:
    """Return a file's name as text: bytes that are no UTF-8 are written as escapes."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _layout(request: DataRequest) -> tuple[Path, dict[str, Path]]:
    """Return the folder, and the folder of each split in it that is wanted."""
    try:
        root = (request.base / Path(request.reference.name).expanduser()).absolute()
        splits = _splits(root)
    except (OSError, RuntimeError, ValueError) as error:  # closed to us; "~nobody"; a null byte
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"folder {request.reference.name} cannot be read: {reason}") from None
    if request.options.get("cut") is not None and ALL not in splits:
        raise DataError(f"{root} has splits ({', '.join(splits)}), and is not cut; leave 'cut' out")
    if request.options.get("cut") is not None:  # the splits are those of the cut
        return root, splits
    own = {folder.name: folder for folder in splits.values() if folder != root}
    named = {**splits, **{name: own[name] for name in own if name in request.splits}}  # "val" as well
    if not request.splits:
        return root, splits
    wanted = {split: named[split] for split in request.wanted(named)}
    if len(set(wanted.values())) < len(wanted):
        raise DataError(f"{root}: splits {', '.join(wanted)}: two of these are one folder; they must differ")
    return root, wanted


def _labels_differ(splits: Mapping[str, Path], root: Path) -> None:
    """Check that no two folders are one label: spaces around a label do not count."""
    known: dict[str, str] = {}
    for folder in splits.values():
        for name in _folders(folder):
            label = printable_name(name).strip()
            if known.setdefault(label, name) != name:
                raise DataError(
                    f"{root}: the folders {known[label]!r} and {name!r} are one label, '{label}'; join or "
                    "rename them"
                )


def _splits(root: Path) -> dict[str, Path]:
    if not root.is_dir():
        if root.is_file():
            raise DataError(f"{root} is a file; folder: wants a folder of images, file: a file of rows")
        there = _folders(root.parent) if root.parent.is_dir() else []
        raise DataError(f"there is no folder {root}; in {root.parent}: {nearest(root.name, there)}")
    names = _folders(root)
    words = {name: split_of(name) for name in names if split_of(name) in ROLES}
    # one folder named "test" among the classes is a class, unless it has classes of its own
    words = {name: role for name, role in words.items() if _folders(root / name)}
    if not words:
        return {ALL: root}
    if odd := [name for name in names if name not in words]:
        raise DataError(
            f"{root} has splits ({', '.join(words)}) and '{odd[0]}' beside them; rename or move one of them"
        )
    splits: dict[str, Path] = {}
    for name, role in sorted(words.items(), key=lambda item: (ROLES.index(item[1]), item[0])):
        if role in splits:
            raise DataError(f"{root}: '{splits[role].name}' and '{name}' are both {role}; join them")
        splits[role] = root / name
    return splits


def _cut(rows: Rows, request: DataRequest, where: str) -> dict[str, Rows]:
    """Cut by the content of the images; one that cannot be opened counts by its name."""
    options = request.options
    content = [
        image if image.is_file() and os.access(image, os.R_OK) else path
        for image, path in zip(rows["image"], rows["path"], strict=True)
    ]
    given = checked_columns(options.get("cut_by") or ["image"], rows, where)
    by = [" content" if column == "image" else column for column in given]
    cut = cut_rows(
        {**rows, " content": content}, options["cut"], options.get("cut_seed", 0), by=by, where=where
    )
    return {split: {name: part[name] for name in COLUMNS} for split, part in cut.items()}


def _all_files(splits: Mapping[str, Path]) -> Iterator[Path]:
    for folder in splits.values():
        for name in _folders(folder):
            yield from _files(folder / name, ())


def _files(folder: Path, above: tuple[str, ...]) -> Iterator[Path]:
    """Walk a class; links are followed, but not back to a folder that we are in."""
    real = os.path.realpath(folder)
    if real in above:
        return
    for entry in _entries(folder):
        if entry.is_dir():
            yield from _files(Path(entry.path), (*above, real))
        elif _is_image(entry):
            yield Path(entry.path)


def _folders(folder: Path) -> list[str]:
    return [entry.name for entry in _entries(folder) if entry.is_dir()]


def _entries(folder: Path) -> list[Any]:
    """Return what lies in a folder, sorted, but for what is hidden."""
    with os.scandir(folder) as entries:
        shown = [entry for entry in entries if not entry.name.startswith((".", "__MACOSX"))]
    return sorted(shown, key=lambda entry: entry.name)


def _is_image(entry: Any) -> bool:
    """Say whether a file is to be looked at; what has no suffix is known by its content."""
    return _suffix(entry) in ("", *SUFFIXES, *OTHERS) and not entry.is_dir()


def _suffix(entry: Any) -> str:
    return os.path.splitext(str(entry.name))[1].lower()


def _some_suffixes() -> str:
    return ", ".join(SUFFIXES[:6])


SOURCE = Source(
    name="folder",
    description="A folder of images for each class, or train, validation and test with such folders. Other "
    "pictures (.heic, .svg, raw files) and files without a suffix are looked at too and counted where they "
    "cannot be read; files that are none (.txt, .csv, hidden ones) are skipped.",
    options=CUT_OPTIONS,
    describe=describe,
    load=load,
)
