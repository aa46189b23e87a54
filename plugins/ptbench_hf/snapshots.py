"""Models from the Hugging Face hub: what lies in the local cache, and what has to be brought.

Only files that are needed are brought: configuration, tokenizer, and the weights in one format.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path

from ptbench import ModelError
from ptbench_hf.files import PICKLE_INDEX, SAFE, SAFE_INDEX
from ptbench_hf.options import Wishes
from ptbench_hf.references import HubName
from ptbench_torch.hubfiles import HubFile, bring_large, hub_reason, watched

TIMEOUT = 10.0
"""Seconds to wait for the hub to answer."""


def cached_snapshot(hub: HubName) -> Path | None:
    """Return the folder of a revision in the local cache, perhaps incomplete; None where there is none."""
    from huggingface_hub import constants

    root = Path(constants.HF_HUB_CACHE) / f"models--{hub.name.replace('/', '--')}"
    revision = hub.revision or "main"
    ref = root / "refs" / revision
    commit = ref.read_text(encoding="utf-8").strip() if ref.is_file() else revision
    if not re.fullmatch(r"[0-9a-f]{7,40}", commit):
        return None
    found = sorted((root / "snapshots").glob(f"{commit}*"))  # a short commit stands for the one it begins
    return found[0] if len(found) == 1 else None


def modules_known(hub: HubName, folder: Path) -> bool:
    """Return whether it is known if a snapshot has a ``modules.json``.

    Its absence from the cache alone says nothing: the pooling that a model declares would be lost.
    """
    from huggingface_hub import try_to_load_from_cache

    return try_to_load_from_cache(hub.name, "modules.json", revision=folder.name) is not None


def fetch_snapshot(
    hub: HubName,
    wishes: Wishes,
    complete: Callable[[Path], bool],
    tell: Callable[[int, int | None], None] | None = None,
) -> Path:
    """Return a complete folder of a revision, from the cache where it holds all of it.

    A branch is asked for anew whenever the hub can be reached, since it may have moved. ``tell`` hears how
    many bytes have come, of how many. Raises `ModelError` in one line, soon, where the hub cannot be reached
    or has no such model.
    """
    cached = cached_snapshot(hub)
    if cached and hub.pinned and complete(cached):
        return cached
    from huggingface_hub import HfApi, constants, errors, hf_hub_download, snapshot_download

    try:
        info = HfApi().model_info(hub.name, revision=hub.revision, timeout=TIMEOUT, files_metadata=True)
        commit = str(info.sha)
        files = {str(file.rfilename): HubFile.of(file.rfilename, file) for file in info.siblings or ()}
        names = wanted_files(list(files), wishes, str(hub))
        wanted = [files[name] for name in names]
        with _told(hub.name, [file.bytes for file in wanted], cached, tell):
            bring_large(hub.name, "models", commit, wanted)
            folder = Path(
                snapshot_download(hub.name, revision=commit, allow_patterns=names, etag_timeout=TIMEOUT)
            )
        if "modules.json" not in names:
            _note_absence(hf_hub_download, errors.EntryNotFoundError, hub.name, commit)
        return folder
    except errors.GatedRepoError:
        raise ModelError(
            f"{hub} is gated: ask for access at {constants.ENDPOINT}/{hub.name}, then log in"
        ) from None
    except errors.RevisionNotFoundError:
        raise ModelError(f"the hub has no revision '{hub.revision}' of {hub.name}") from None
    except errors.RepositoryNotFoundError:
        raise ModelError(
            f"the hub has no model '{hub.name}' (or it is private, and you are not logged in)"
        ) from None
    except ModelError:
        raise
    except Exception as error:  # each version of huggingface_hub has connection errors of its own
        if getattr(error, "errno", None) == errno.ENOSPC:
            raise ModelError(
                f"{hub} does not fit on the disk of {constants.HF_HUB_CACHE}: make room, or name another "
                "place with HF_HOME; what has come stays, and the next try goes on from it"
            ) from None
        if cached and complete(cached):
            return cached  # an unpinned revision; the commit goes into the facts
        part = "only partly in" if cached else "not in"
        revision = f" --revision {hub.revision}" if hub.revision else ""
        raise ModelError(
            f"{hub} is {part} the local cache ({constants.HF_HUB_CACHE}), and {constants.ENDPOINT} "
            f"cannot be reached ({hub_reason(error)}): connect, or fetch it before with: "
            f"hf download {hub.name}{revision}"
        ) from None


def _told(
    name: str,
    sizes: Sequence[int | None],
    cached: Path | None,
    tell: Callable[[int, int | None], None] | None,
) -> AbstractContextManager[None]:
    """Return what tells of the bytes as they come, if somebody wants to hear it."""
    if tell is None:
        return nullcontext()
    whole = None if cached or None in sizes else sum(size or 0 for size in sizes)
    return watched(name, "models", whole, tell)


def wanted_files(names: Iterable[str], wishes: Wishes, where: str) -> list[str]:
    """Choose the files of a repository that are needed. Raises `ModelError` where the weights are pickles.

    >>> wanted_files(["config.json", "model.safetensors", "onnx/model.onnx"], Wishes(), "x")
    ['config.json', 'model.safetensors']
    """
    # modules of sentence-transformers lie in folders such as 1_Pooling
    near = [name for name in names if re.fullmatch(r"(\d+_\w+/)?[^/]+", name)]
    safe = [name for name in near if re.search(r"(^|/)model(-\d+-of-\d+)?\.safetensors$", name)]
    pickles = [name for name in near if re.search(r"(^|/)pytorch_model(-\d+-of-\d+)?\.bin$", name)]
    saved = {name.rpartition("/")[0] for name in safe}
    pickles = [name for name in pickles if name.rpartition("/")[0] not in saved]
    if pickles and not wishes.allow_pickle:
        raise ModelError(
            f"{where} has weights only as a pickle ({pickles[0]}), which can run code when it is loaded: "
            f"take a revision that has {SAFE}, or write allow_pickle = true"
        )
    if not safe and not pickles:
        raise ModelError(
            f"{where} has no weights for PyTorch: expected {SAFE}, or {SAFE_INDEX} and its shards"
        )
    suffixes = (".json", ".txt", ".model", ".codes", ".tiktoken") + (
        (".py",) if wishes.trust_remote_code else ()
    )
    skipped = {PICKLE_INDEX} if safe else set()
    small = [name for name in near if name.endswith(suffixes) and name not in skipped]
    return [*small, *safe, *pickles]


def _note_absence(download: Callable[..., str], not_found: type[Exception], name: str, commit: str) -> None:
    """Let the cache know that there is no ``modules.json``, so that a later run needs no network."""
    with suppress(not_found):
        download(name, "modules.json", revision=commit, etag_timeout=TIMEOUT)
