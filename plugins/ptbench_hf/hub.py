"""The source ``hub:``: data sets from the Hugging Face hub, as ``hub:org/name#config@commit``.

A commit that lies in the local cache is read from there without asking the hub. Code that comes with a
data set is never run.
"""

from __future__ import annotations

import errno
import json
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from functools import partial
from pathlib import Path
from typing import Any

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
)
from ptbench_hf.hubcache import HubData, cache_folder, cached, part_folder
from ptbench_hf.hubrows import plain_rows
from ptbench_torch.hubfiles import HubFile, bring_large, hub_reason, watched

TIMEOUT = 10.0
"""Seconds to wait for the hub to answer."""
PATHS = 100
"""Files that the hub is asked about at once."""
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
        return DataDescription(downloads=(Download(f"{which}data set {data}"),), state=_state(data, folder))
    info = json.loads((folder / "dataset_info.json").read_text(encoding="utf-8"))
    sizes = {name: split.get("num_examples") for name, split in (info.get("splits") or {}).items()}
    splits = {name: sizes[name] for name in request.wanted(sizes)} if sizes else None
    columns = tuple(info.get("features") or ()) or None
    return DataDescription(columns=columns, splits=splits, state=_state(data, folder))


def _state(data: HubData, folder: Path | None) -> str:
    """Return the commit, as far as it is known before anything is brought."""
    return str(data) if data.pinned else folder.name if folder is not None else ""


def load(request: DataRequest) -> Mapping[str, Rows]:
    """Read the splits that are wanted, from the local cache or from the hub."""
    data = locate(request)
    folder = cached(data, request.splits)
    with _explained(data):
        builder = _from_cache(data, folder) if folder and data.pinned else _from_hub(data, folder, request)
        names = request.wanted(builder.info.splits)
        return {str(name): plain_rows(builder.as_dataset(split=name)) for name in names}


def fetch(request: DataRequest, told: Fetching) -> list[Path]:
    """Bring the splits that are wanted and prepare them; return the files that `datasets` keeps of them."""
    data = locate(request)
    folder = cached(data, request.splits)
    if folder is None or not data.pinned:
        with _explained(data), watched(data.name, "datasets", None, partial(told, f"data set {data}")):
            import datasets

            datasets.disable_progress_bars()
            _from_hub(data, folder, request)
        folder = cached(data, request.splits)
    return sorted(path for path in folder.rglob("*") if path.is_file()) if folder else []


@contextmanager
def _explained(data: HubData) -> Iterator[None]:
    """Turn whatever `datasets` raises into one line, a `DataError`, and keep its warnings silent."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of libraries about each other
        try:
            yield
        except DataError:
            raise
        except ModelError as error:  # a file that could not be brought
            raise DataError(str(error)) from None
        except Exception as error:  # datasets raises every type there is
            if getattr(error, "errno", None) == errno.ENOSPC:
                raise DataError(
                    f"{data} does not fit on the disk of {cache_folder()}: make room, or name another place "
                    "with HF_HOME; what has come stays, and the next try goes on from it"
                ) from None
            raise DataError(f"{data} cannot be read: {hub_reason(error)}") from error


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
            f"reached ({hub_reason(error)}): connect, or copy that folder from a machine that has it"
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
    _bring_large(builder, [str(path) for split in files if str(split) in wanted for path in files[split]])
    if len(wanted) == len(files):
        builder.download_and_prepare()
        return
    builder.config = copy(builder.config)
    builder.config.data_files = type(files)({split: files[split] for split in files if str(split) in wanted})
    folder = part_folder(Path(builder.cache_dir), wanted)
    # no checks: it would miss the other splits; each file is checked all the same when it is brought
    builder.download_and_prepare(str(folder), verification_mode="no_checks")


def _bring_large(builder: Any, paths: Sequence[str]) -> None:
    """Bring the large ones of these files; `datasets` finds them in the cache of the hub."""
    from huggingface_hub import HfApi

    start = f"hf://datasets/{builder.repo_id}@{builder.hash}/"
    names = [path.removeprefix(start) for path in paths if path.startswith(start)]
    for at in range(0, len(names), PATHS):
        infos = HfApi().get_paths_info(
            builder.repo_id, names[at : at + PATHS], repo_type="dataset", revision=builder.hash
        )
        bring_large(
            builder.repo_id, "datasets", builder.hash, [HubFile.of(info.path, info) for info in infos]
        )


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
    fetch=fetch,
    revisions=True,
)
