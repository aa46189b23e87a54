"""Where `datasets` keeps data sets, and which splits of them; found as it does, but without importing it.

A folder is ``ORG___NAME/CONFIG/VERSION/COMMIT``. One that holds some splits only is named after them, as in
``default-splits=validation``: `datasets` itself never takes such a folder for the whole configuration.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from ptbench import DataError

COMMIT = re.compile(r"[0-9a-f]{7,40}")
_PART = "-splits="


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


def cached(data: HubData, splits: Collection[str] = ()) -> Path | None:
    """Return the folder of this revision in the local cache; of any where none is pinned and one is there.

    One that holds no more than these splits will do, if there is none with all. Raises `DataError` where
    the configuration is open and several are cached.
    """
    *organisation, name = data.name.split("/")
    snake = re.sub(r"([a-z\d])([A-Z])", r"\1_\2", re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1_\2", name)).lower()
    root = cache_folder() / "___".join([*organisation, snake])
    commit = data.revision if data.pinned else ""
    whole: list[Path] = []
    parts: list[Path] = []
    configs = set()
    for folder in sorted(path.parent for path in root.glob(f"*/*/{commit}*/dataset_info.json")):
        config, part, held = folder.parts[-3].partition(_PART)
        if data.config in (None, config) and (not part or (splits and {*splits} <= {*held.split("+")})):
            configs.add(config)
            (parts if part else whole).append(folder)
    if len(configs) > 1:
        names = ", ".join(sorted(configs))
        raise DataError(f"{data}: which configuration? hub:{data.name}#… with one of: {names}")
    found = whole or parts
    return found[0] if len({folder.name for folder in found}) == 1 else None


def part_folder(whole: Path, splits: Sequence[str]) -> Path:
    """Return the folder for some splits of what has this folder as a whole."""
    *_, config, version, commit = whole.parts
    return whole.parents[2] / f"{config}{_PART}{'+'.join(splits)}" / version / commit


def cache_folder() -> Path:
    """Return where `datasets` keeps data."""
    home = os.environ.get("XDG_CACHE_HOME", "~/.cache") + "/huggingface"
    default = os.environ.get("HF_HOME", home) + "/datasets"
    return Path(os.environ.get("HF_DATASETS_CACHE", default)).expanduser()
