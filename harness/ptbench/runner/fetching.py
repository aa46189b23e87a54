"""Fetch: bring what the cells of a plan need, before any of them runs."""

from __future__ import annotations

import hashlib
import queue
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from ptbench.catalog import Catalog
from ptbench.errors import PtbenchError, one_line
from ptbench.loading import data_request, model_request
from ptbench.model import Download
from ptbench.offers import Fetching
from ptbench.plain import to_json
from ptbench.runner.plan import Plan

THREADS = 4
"""The most things that are brought at once."""

State = Literal["there", "brought", "later", "failed"]


@dataclass(frozen=True, slots=True)
class Item:
    """A model or the data of a task, which is brought as a whole."""

    what: str
    """Its reference."""
    names: tuple[str, ...]
    """The models or tasks of the suite that need it."""
    downloads: tuple[Download, ...]
    """What of it is not there."""
    problem: str = ""
    """Why nobody can even tell what it needs."""
    bring: Callable[[Fetching], Sequence[Path]] | None = None
    left: Callable[[], tuple[Download, ...]] = lambda: ()
    """What of it is not there now."""


@dataclass(frozen=True, slots=True)
class File:
    """A file that lies on this machine."""

    path: Path
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Fetched:
    """What came of an item."""

    item: Item
    state: State
    """``there`` before already; ``later``: its plugin brings it when a cell runs, and not before."""
    files: tuple[File, ...] = ()
    error: str = ""

    @property
    def bytes(self) -> int:
        """The size of its files together."""
        return sum(file.bytes for file in self.files)

    @property
    def folder(self) -> Path | None:
        """The folder that all of its files lie in."""
        if not self.files:
            return None
        parents = [file.path.parent for file in self.files]
        return next(folder for folder in (parents[0], *parents[0].parents)
                    if all(folder == other or folder in other.parents for other in parents))  # fmt: skip

    @property
    def commit(self) -> str:
        """The commit that its folder is named after, if it is."""
        folder = self.folder
        parts = folder.parts[::-1] if folder else ()
        return next((part for part in parts if re.fullmatch(r"[0-9a-f]{40}", part)), "")

    @property
    def sha256(self) -> str:
        """The digest of its file; of several: of the list that ``sha256sum`` prints, sorted by name."""
        if len(self.files) == 1:
            return self.files[0].sha256
        base = self.folder
        if base is None:
            return ""
        lines = sorted((file.path.relative_to(base).as_posix(), file.sha256) for file in self.files)
        return hashlib.sha256("".join(f"{sha256}  {name}\n" for name, sha256 in lines).encode()).hexdigest()


def items_of(plan: Plan, catalog: Catalog) -> tuple[Item, ...]:
    """Return everything that the cells of a plan need, each thing once: models first, then data."""
    base = plan.suite.path.resolve().parent
    found: dict[str, Item] = {}

    def add(key: Any, item: Item) -> None:
        key = str(to_json(key))
        known = found.get(key)
        found[key] = item if known is None else _joined(known, item)

    for name, model in plan.models.items():
        spec = model.spec
        if model.description is None:
            add(spec, Item(spec.reference, (name,), (), model.problem))
            continue
        offer, asked = model_request(spec, base, catalog)
        add(
            (spec.reference, spec.options),
            Item(
                spec.reference,
                (name,),
                model.description.downloads,
                bring=partial(offer.fetch, asked) if offer.fetch else None,
                left=lambda offer=offer, asked=asked: offer.describe(asked).downloads,  # type: ignore[misc]
            ),
        )
    for name, task in plan.tasks.items():
        data = task.spec
        if task.problem:
            add(data, Item(data.data, (name,), (), task.problem))
            continue
        source, wanted = data_request(data, base, catalog)
        add(
            (data.data, data.data_options, sorted(wanted.splits)),
            Item(
                data.data,
                (name,),
                task.downloads,
                bring=partial(source.fetch, wanted) if source.fetch else None,
                left=lambda source=source, wanted=wanted: source.describe(wanted).downloads,  # type: ignore[misc]
            ),
        )
    return tuple(found.values())


def fetch(items: Sequence[Item], told: Callable[[Item, str, int, int | None], None]) -> Iterator[Fetched]:
    """Bring items, a few at once, and yield what came of each as it is done; the others go on.

    ``told`` hears, from several threads, what of an item is being brought, bytes so far, and bytes in all.
    Closing the iterator stops nothing that was begun; it ends with the process, and can be gone on with.
    """
    todo: queue.SimpleQueue[list[Item]] = queue.SimpleQueue()
    done: queue.SimpleQueue[Fetched] = queue.SimpleQueue()
    groups: dict[str, list[Item]] = {}
    for item in items:  # what shares a reference shares files, and comes one after the other
        groups.setdefault(item.what, []).append(item)
    for group in groups.values():
        todo.put(group)

    def work() -> None:
        while True:
            try:
                group = todo.get_nowait()
            except queue.Empty:
                return
            for item in group:
                done.put(_fetched(item, partial(told, item)))

    for _ in range(min(THREADS, len(groups))):
        threading.Thread(target=work, daemon=True).start()
    for _ in items:
        yield done.get()


def reasons_of(done: Iterable[Fetched]) -> list[str]:
    """Return why some could not be brought: errors that differ in names alone as one."""
    groups: dict[str, list[Fetched]] = {}
    for fetched in done:
        if fetched.error:
            groups.setdefault(_nameless(fetched), []).append(fetched)
    return [_told_once(group) for group in groups.values()]


def _told_once(group: Sequence[Fetched]) -> str:
    first, *others = group
    if not others:
        return first.error
    names = ", ".join(name for other in others for name in other.item.names)
    return f"{first.error} (and {len(others):,} more for the same reason: {names})"


def _nameless(fetched: Fetched) -> str:
    """Return an error without what stands in it for this item alone."""
    item = fetched.item
    name, _, revision = item.what.partition(":")[2].partition("@")
    own = {item.what, name, revision, *item.names, *(download.what for download in item.downloads)}
    words = sorted(filter(None, own), key=len, reverse=True)
    return re.sub("|".join(rf"(?<!\w){re.escape(word)}(?!\w)" for word in words), "…", fetched.error)


def _fetched(item: Item, told: Fetching) -> Fetched:
    if item.problem:
        return Fetched(item, "failed", error=item.problem)
    if item.bring is None:
        return Fetched(item, "later" if item.downloads else "there")
    try:
        files = tuple(_file(Path(path)) for path in item.bring(told))
        left = item.left()
        if left:
            raise PtbenchError(
                f"it was brought, but its plugin still misses {', '.join(download.what for download in left)}"
            )
    except (Exception, SystemExit) as error:  # whatever a plugin raises must not cost the others
        return Fetched(item, "failed", error=_named(item.what, one_line(error)))
    return Fetched(item, "brought" if item.downloads else "there", files)


def _file(path: Path) -> File:
    with path.open("rb") as file:
        return File(path, path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest())


def _named(what: str, text: str) -> str:
    """Return an error that names its reference, and once."""
    scheme, _, name = what.partition(":")
    if text.startswith(name) and not text[len(name) : len(name) + 1].isalnum():
        return f"{scheme}:{text}"
    return text if what in text else f"{what}: {text}"


def _joined(one: Item, other: Item) -> Item:
    return replace(one, names=one.names + other.names)
