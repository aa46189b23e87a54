"""The source ``hub:``: data sets from the Hugging Face hub, as ``hub:org/name#config@commit``.

A commit that lies in the local cache is read from there without asking the hub. Code that comes with a
data set is never run.
"""

from __future__ import annotations

import json
import math
import os
import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ptbench import DataDescription, DataError, DataRequest, Download, Option, Rows, Source

TIMEOUT = 10.0
"""Seconds to wait for the hub to answer."""
NAME = re.compile(r"([A-Za-z0-9][\w.-]*/)?[A-Za-z0-9][\w.-]*")
COMMIT = re.compile(r"[0-9a-f]{7,40}")


@dataclass(frozen=True, slots=True)
class HubData:
    """A data set on the hub: a configuration of it at a revision."""

    name: str
    config: str | None
    revision: str | None

    @property
    def pinned(self) -> bool:
        """Whether the revision is a commit, so that it cannot change."""
        return bool(self.revision and COMMIT.fullmatch(self.revision))

    def __str__(self) -> str:
        config = f"#{self.config}" if self.config else ""
        return f"hub:{self.name}{config}@{self.revision or 'main'}"


def locate(request: DataRequest) -> HubData:
    """Read a reference. Raises `DataError` where it is none of a data set, or not pinned."""
    name, _, config = request.reference.name.partition("#")
    data = HubData(name, config or None, request.reference.revision)
    if not NAME.fullmatch(name):
        raise DataError(
            f"{request.reference}: '{name}' is no name on the hub; write hub:org/name#config@commit"
        )
    if not data.pinned and not request.options.get("allow_unpinned"):
        missing = f"revision '{data.revision}' can change" if data.revision else "it has no revision"
        raise DataError(
            f"{request.reference} is not pinned: {missing}; write the commit, as in "
            f"hub:{request.reference.name}@<commit>, or allow_unpinned = true"
        )
    return data


def cached(data: HubData) -> Path | None:
    """Return the folder of this revision in the local cache; of any where none is pinned and one is there.

    Raises `DataError` where the configuration is open and several are cached.
    """
    *organisation, name = data.name.split("/")
    snake = re.sub(r"([a-z\d])([A-Z])", r"\1_\2", re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1_\2", name)).lower()
    root = cache_folder() / "___".join([*organisation, snake])
    commit = data.revision if data.pinned else ""
    found = [path.parent for path in root.glob(f"{data.config or '*'}/*/{commit}*/dataset_info.json")]
    configs = sorted({path.parts[-3] for path in found})
    if len(configs) > 1:
        raise DataError(f"{data}: which configuration? hub:{data.name}#… with one of: {', '.join(configs)}")
    return found[0] if len(found) == 1 else None


def cache_folder() -> Path:
    """Return where `datasets` keeps data, found as it does, but without importing it."""
    home = os.environ.get("XDG_CACHE_HOME", "~/.cache") + "/huggingface"
    default = os.environ.get("HF_HOME", home) + "/datasets"
    return Path(os.environ.get("HF_DATASETS_CACHE", default)).expanduser()


def describe(request: DataRequest) -> DataDescription:
    """Say what the local cache knows. Neither the hub nor `datasets` is asked."""
    data = locate(request)
    folder = cached(data)
    if folder is None:
        return DataDescription(downloads=(Download(f"data set {data}"),))
    info = json.loads((folder / "dataset_info.json").read_text(encoding="utf-8"))
    splits = {name: split.get("num_examples") for name, split in (info.get("splits") or {}).items()}
    return DataDescription(columns=tuple(info.get("features") or ()) or None, splits=splits or None)


def load(request: DataRequest) -> Mapping[str, Rows]:
    """Read every split, from the local cache or from the hub."""
    data = locate(request)
    folder = cached(data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of libraries about each other
        try:
            splits = _from_cache(data, folder) if folder and data.pinned else _from_hub(data, folder)
            return {str(name): _rows(split) for name, split in splits.items()}
        except DataError:
            raise
        except Exception as error:  # datasets raises every type there is
            raise DataError(f"{data} cannot be read: {_brief(error)}") from error


def _from_cache(data: HubData, folder: Path) -> Mapping[str, Any]:
    from datasets.packaged_modules.cache.cache import Cache

    config, version, commit = folder.parts[-3:]
    name = data.name.rpartition("/")[2]
    builder = Cache(
        cache_dir=str(cache_folder()),
        dataset_name=name,
        config_name=config,
        version=version,
        hash=commit,
        repo_id=data.name,
    )
    builder.download_and_prepare()
    splits: Mapping[str, Any] = builder.as_dataset()
    return splits


def _from_hub(data: HubData, folder: Path | None) -> Mapping[str, Any]:
    from huggingface_hub import HfApi, constants, errors

    try:
        # this asks once and gives up soon, where load_dataset would try for half a minute
        commit = str(HfApi().dataset_info(data.name, revision=data.revision, timeout=TIMEOUT).sha)
    except errors.GatedRepoError:
        raise DataError(
            f"{data} is gated: ask for access at {constants.ENDPOINT}/datasets/{data.name}"
        ) from None
    except errors.RevisionNotFoundError:
        raise DataError(f"the hub has no revision '{data.revision}' of data set {data.name}") from None
    except errors.RepositoryNotFoundError:
        raise DataError(
            f"the hub has no data set '{data.name}' (or it is private, and you are not logged in)"
        ) from None
    except Exception as error:  # each version of huggingface_hub has connection errors of its own
        if folder is not None:
            return _from_cache(data, folder)
        raise DataError(
            f"{data} is not in the local cache ({cache_folder()}), and {constants.ENDPOINT} cannot be "
            f"reached ({_brief(error)}): connect, or copy that folder from a machine that has it"
        ) from None
    import datasets

    if Path(data.name).is_dir():
        raise DataError(
            f"{data}: the folder '{data.name}' here would be read instead; start from another folder"
        )
    splits: Mapping[str, Any] = datasets.load_dataset(data.name, data.config, revision=commit)
    for split in splits.values():
        # load_dataset falls back to whatever revision the cache has when the hub goes away
        read = {Path(file["filename"]).parent.name for file in split.cache_files} - {commit}
        if read:
            raise DataError(f"{data}: datasets read revision {', '.join(sorted(read))} instead of {commit}")
    return splits


def _rows(split: Any) -> Rows:
    for name, feature in split.features.items():
        if hasattr(feature, "decode"):  # images and sounds stay as they are stored: {"bytes", "path"}
            split = split.cast_column(name, type(feature)(decode=False))
    columns = split[:]
    return {
        name: [_converter(feature)(value) for value in columns[name]]
        for name, feature in split.features.items()
    }


def _converter(feature: Any) -> Callable[[Any], Any]:
    """Return what makes a value plain: labels by name, None for a hidden (-1) or missing one."""
    names = getattr(feature, "names", None)
    if names is not None:
        return lambda value: None if value is None or value < 0 else names[value]
    inner = feature[0] if isinstance(feature, list) else getattr(feature, "feature", None)
    if inner is not None and not isinstance(inner, dict):
        convert = _converter(inner)
        return lambda value: None if value is None else [convert(item) for item in value]
    return _plain


def _plain(value: Any) -> Any:
    if isinstance(value, float) and math.isnan(value):
        return None
    known = value is None or isinstance(value, bool | int | float | str | bytes | list | dict)
    return value if known else str(value)


def _brief(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:160].rstrip(": ")


SOURCE = Source(
    name="hub",
    description="Data sets from the Hugging Face hub: hub:org/name#config@commit.",
    requires=("datasets", "huggingface_hub"),
    options=(
        Option(
            "allow_unpinned", (bool,), "Allow a revision that is no commit: it may change.", default=False
        ),
    ),
    describe=describe,
    load=load,
    revisions=True,
)
