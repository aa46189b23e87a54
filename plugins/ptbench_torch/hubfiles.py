"""Files of the Hugging Face hub: large ones brought so that they can be gone on with, and how far they are.

Versions of the hub's client differ in whether they go on with a half file, and in their bars. In all of them
a blob is named after its sha256 and lies in ``blobs``, and the client takes what is there.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

EVERY = 0.3
"""Seconds between two looks."""
LARGE = 2**20
"""Bytes from which on a file is worth going on with."""
MOST = 50 * 10**9
"""Bytes up to which the hub gives a file by its plain address."""


@dataclass(frozen=True, slots=True)
class HubFile:
    """A file of a repository, as the hub knows it."""

    name: str
    bytes: int | None = None
    sha256: str = ""
    """Empty for files that git itself holds, which are small."""

    @classmethod
    def of(cls, name: str, told: Any) -> HubFile:
        """Read what the hub's client tells of a file (a sibling, or a path's info)."""
        return cls(name, getattr(told, "size", None), str(getattr(getattr(told, "lfs", None), "sha256", "")))


def bring_large(
    repository: str, kind: Literal["models", "datasets"], commit: str, files: Iterable[HubFile]
) -> None:
    """Bring the large files among these into the hub's cache, where its client finds them.

    Raises `ModelError` where one cannot be brought; what has come of it stays, and the next call goes on.
    """
    from huggingface_hub import hf_hub_url
    from huggingface_hub.utils import build_hf_headers

    from ptbench_torch.bringing import bring

    headers = {name.title(): value for name, value in build_hf_headers().items()}
    for file in files:
        if re.fullmatch(r"[0-9a-f]{64}", file.sha256) and LARGE <= (file.bytes or 0) <= MOST:
            url = hf_hub_url(repository, file.name, repo_type=kind.removesuffix("s"), revision=commit)
            bring(url, _blobs(repository, kind) / file.sha256, file.sha256, headers=headers)


def hub_reason(error: Exception) -> str:
    """Return in a few words why the hub's client did not bring something."""
    if type(error).__name__ == "OfflineModeIsEnabled":
        return "HF_HUB_OFFLINE is set"
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:160].rstrip(": ")


def _blobs(repository: str, kind: str) -> Path:
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE, f"{kind}--{repository.replace('/', '--')}", "blobs")


@contextmanager
def watched(
    repository: str, kind: str, total: int | None, tell: Callable[[int, int | None], None]
) -> Iterator[None]:
    """Tell, while the block runs, how many bytes of a repository have come; the client's bars are off.

    Args:
        repository: Its name on the hub.
        kind: ``models`` or ``datasets``.
        total: Bytes of what is wanted of it, where that is known.
        tell: Whom to tell bytes so far and bytes in all; called from another thread.
    """
    from huggingface_hub.utils import disable_progress_bars

    disable_progress_bars()
    blobs = _blobs(repository, kind)
    before = sum(size for name, size in _sizes(blobs) if not name.endswith((".incomplete", ".part")))
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(EVERY):
            come = max(0, sum(size for _, size in _sizes(blobs)) - before)
            tell(come if total is None else min(come, total), total)

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _sizes(folder: Path) -> list[tuple[str, int]]:
    found = []
    for path in folder.iterdir() if folder.is_dir() else ():
        try:
            found.append((path.name, path.stat().st_size))
        except OSError:  # it got its name meanwhile
            continue
    return found
