"""The source ``hub:``: data sets from the Hugging Face hub, as ``hub:org/name#config@commit``.

A commit that lies in the local cache is read from there without asking the hub. Code that comes with a
data set is never run.
"""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Mapping
from copy import copy
from pathlib import Path
from typing import Any

from ptbench import DataDescription, DataError, DataRequest, Download, Option, Rows, Source
from ptbench_hf.hubcache import HubData, cache_folder, cached, part_folder
from ptbench_hf.hubrows import plain_rows

TIMEOUT = 10.0
"""Seconds to wait for the hub to answer."""
NAME = re.compile(r"([A-Za-z0-9][\w.-]*/)?[A-Za-z0-9][\w.-]*")


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


def describe(request: DataRequest) -> DataDescription:
    """Say what the local cache knows. Neither the hub nor `datasets` is asked."""
    data = locate(request)
    folder = cached(data, request.splits)
    if folder is None:
        which = f"{', '.join(request.splits)} of " if request.splits else ""
        return DataDescription(downloads=(Download(f"{which}data set {data}"),))
    info = json.loads((folder / "dataset_info.json").read_text(encoding="utf-8"))
    sizes = {name: split.get("num_examples") for name, split in (info.get("splits") or {}).items()}
    splits = {name: sizes[name] for name in request.wanted(sizes)} if sizes else None
    return DataDescription(columns=tuple(info.get("features") or ()) or None, splits=splits)


def load(request: DataRequest) -> Mapping[str, Rows]:
    """Read the splits that are wanted, from the local cache or from the hub."""
    data = locate(request)
    folder = cached(data, request.splits)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of libraries about each other
        try:
            builder = (
                _from_cache(data, folder) if folder and data.pinned else _from_hub(data, folder, request)
            )
            names = request.wanted(builder.info.splits)
            return {str(name): plain_rows(builder.as_dataset(split=name)) for name in names}
        except DataError:
            raise
        except Exception as error:  # datasets raises every type there is
            raise DataError(f"{data} cannot be read: {_brief(error)}") from error


def _from_cache(data: HubData, folder: Path) -> Any:
    from datasets.packaged_modules.cache.cache import Cache

    config, version, commit = folder.parts[-3:]
    builder = Cache(
        cache_dir=str(cache_folder()),
        dataset_name=data.name.rpartition("/")[2],
        config_name=config,
        version=version,
        hash=commit,
        repo_id=data.name,
    )
    builder.download_and_prepare()
    return builder


def _from_hub(data: HubData, folder: Path | None, request: DataRequest) -> Any:
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
    builder: Any = datasets.load_dataset_builder(data.name, data.config, revision=commit)
    if builder.hash != commit:  # it falls back to whatever the cache has when the hub goes away
        raise DataError(f"{data}: datasets found revision {builder.hash} instead of {commit}")
    _prepare(builder, request)
    return builder


def _prepare(builder: Any, request: DataRequest) -> None:
    """Download and prepare; where the files say which splits they hold, only those that are wanted."""
    files = builder.config.data_files or {}
    wanted = request.wanted(map(str, files)) if files else []
    if len(wanted) == len(files):
        builder.download_and_prepare()
        return
    builder.config = copy(builder.config)
    builder.config.data_files = type(files)({split: files[split] for split in files if str(split) in wanted})
    folder = part_folder(Path(builder.cache_dir), wanted)
    # no checks: it would miss the other splits; each file is checked all the same when it is brought
    builder.download_and_prepare(str(folder), verification_mode="no_checks")


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
