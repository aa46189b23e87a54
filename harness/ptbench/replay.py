"""Replay: how the machine of a bundle differs from this one, and its scores from those here."""

from __future__ import annotations

import hashlib
import json
import os
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np

from ptbench.archive import Archive, is_inside
from ptbench.bundle import DATA, FILES, FORMAT, LOCK, SUITE, references
from ptbench.cellidentity import changes
from ptbench.data import Predictions
from ptbench.errors import PtbenchError, UsageError
from ptbench.journal import RECORDS, read_records
from ptbench.records import Record, Status
from ptbench.store import RUN, read_predictions
from ptbench.suite import PRECISIONS

ROUNDING = 5e-7
"""Scores that differ by no more are the same: half of the sixth decimal (of the sixth digit, above 1)."""


class Verdict(StrEnum):
    """How a cell came out here, beside how it came out then."""

    SAME_BITS = "same bits"
    """Scores and predictions are equal, bit for bit."""
    SAME_SCORES = "same scores"
    """Scores are equal within `ROUNDING`; some predictions are not."""
    DIFFERS = "differs"
    COULD_NOT_RUN = "could not run"
    NO_SCORES_THEN = "no scores then"
    """It did not end well in the bundle: there is nothing to compare with."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that is not the same here."""

    what: str
    then: str
    now: str


@dataclass(frozen=True, slots=True)
class Replayed:
    """A cell, then and now."""

    cell: str
    title: str
    verdict: Verdict
    then: Mapping[str, float] = field(default_factory=dict)
    """Scores by metric, then."""
    now: Mapping[str, float] = field(default_factory=dict)
    metric: str = ""
    """The metric that differs most, where one does."""
    difference: float = 0.0
    """Now minus then, of that metric."""
    rows: int = 0
    """Predictions then."""
    changed: int = 0
    """How many of them are not the same bits now."""
    reason: str = ""
    """Why it could not run, or why predictions could not be compared."""
    parts: tuple[str, ...] = ()
    """What of all that can change its score is not the same now: code, data, weights."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """What a bundle says of itself; its members are whole."""

    archive: Archive
    lock: Mapping[str, Any]
    run: Mapping[str, Any]
    text: str
    """The suite."""

    def unpack(self, folder: Path) -> list[Record]:
        """Write the run to ``run/`` and data to ``data/`` below a folder; return the records of then.

        Raises `UsageError` where there are none, or where they are none of ptbench.
        """
        self.archive.extract(self.archive.names(FILES), folder)
        self.archive.extract(self.archive.names(DATA), folder)
        path = self.archive.path
        try:
            records = read_records(folder / FILES)
            for record in records:
                _check_record(record)
        except UsageError as error:
            raise UsageError(f"{path}: {str(error).replace(f'{folder / FILES}/', '')}") from None
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
            raise UsageError(f"{path} is no bundle of a run: {RECORDS}: {error}") from None
        if not records:
            raise UsageError(f"{path} has no records: there is nothing to compare with")
        return records


def read_bundle(archive: Archive) -> Bundle:
    """Read what an archive has of a run. Raises `UsageError` where it is no bundle of a run."""
    if archive.about.get("format") != FORMAT:
        raise UsageError(f"{archive.path} is no bundle of ptbench")
    try:
        lock, run = json.loads(archive.read(LOCK)), json.loads(archive.read(FILES + RUN))
        text = archive.read(SUITE).decode()
        tomllib.loads(text)
        if not isinstance(lock.get("cells"), dict) or not isinstance(run, dict):
            raise ValueError(f"{LOCK} has no cells")
        archive.read(FILES + RECORDS)
        differences(lock, {})
        _check_data(lock.get("data") or ())
        _check_request(run.get("request") or {})
    except (ValueError, AttributeError, TypeError, KeyError, RecursionError) as error:
        raise UsageError(f"{archive.path} is no bundle of a run: {error}") from None
    return Bundle(archive, lock, run, text)


def _check_data(data: Sequence[Mapping[str, Any]]) -> None:
    """Raise an error of Python for what is no list of local data."""
    for local in data:
        if not isinstance(local["path"], str) or not isinstance(local["included"], bool):
            raise TypeError("data without a path")
        for name, file in local["files"].items():
            if (
                not is_inside(name)
                or not isinstance(file["bytes"], int)
                or not isinstance(file["sha256"], str)
            ):
                raise TypeError(f"{name!r} is no data beside a suite")


def _check_request(request: Any) -> None:
    precision = request.get("precision") if isinstance(request, dict) else request
    if precision not in (None, *PRECISIONS):
        raise ValueError(f"{RUN}: request: {str(precision)[:40]} is no precision")


def _check_record(record: Record) -> None:
    """Raise `TypeError` for what is shaped like a record, and is none: its fields are no texts."""
    texts = [
        (name, getattr(record, name))
        for name in ("cell", "model", "task", "protocol", "error", "reference", "data")
    ]
    texts += [("files", name) for name in record.files]
    texts += [("scores", score.metric) for score in record.scores]
    texts += [("identity", text) for text in record.identity.values()]
    for name, text in texts:
        if not isinstance(text, str):
            raise TypeError(f"{name}: {text!r:.40} is no text")
    if not isinstance(record.n, int | None) or not isinstance(record.options, dict):
        raise TypeError("n or options: is no number, or no table")


def differences(lock: Mapping[str, Any], here: Mapping[str, Any]) -> list[Difference]:
    """Return what of Python, packages, plugins, machine and device is not the same here.

    ``here`` is what a run that begins now would write of itself.
    """
    return [
        Difference(name, then or "none", now or "none")
        for name, then, now in _facing(_told(lock), _told(here))
        if then != now
    ]


def data_differences(lock: Mapping[str, Any], base: Path | None) -> list[Difference]:
    """Return which local data is missing or another one here. Without ``base`` it is what the bundle has."""
    found = []
    for local in lock.get("data") or ():
        if base is None:
            if not local["included"]:
                size = sum(file["bytes"] for file in local["files"].values())
                told = f"{size:,} bytes" if local["files"] else "left out"
                found.append(Difference(f"data {local['path']}", told, "not in the bundle: --base"))
            continue
        for name, then in local["files"].items():
            now = _sha256(base / name)
            if now != then["sha256"]:
                told = f"sha256 {now[:12]}" if now else "missing"
                found.append(Difference(f"data {name}", f"sha256 {then['sha256'][:12]}", told))
    return found


def code_differences(then: Iterable[Record], now: Mapping[str, Mapping[str, str]]) -> list[Difference]:
    """Return which sources are others here, though their versions may be the same.

    ``now`` has the identities of the cells that can run here, by cell.
    """
    found = {}
    for old in then:
        before, here = _sources(old.identity), _sources(now.get(old.cell) or {})
        for name in before.keys() & here.keys():
            if before[name] != here[name]:
                found[name] = Difference(name, before[name][:12], here[name][:12])
    return [found[name] for name in sorted(found)]


def outside(suite: str, base: Path) -> list[str]:
    """Return what a suite refers to that is on this machine, and not below a folder."""
    base = base.resolve()
    names = [os.path.expanduser(reference.partition(":")[2]) for reference in references(suite)]
    there = {name: base / name for name in names if name and os.path.lexists(base / name)}
    return [name for name, path in there.items() if base not in Path(os.path.realpath(path)).parents]


def compare(
    then: Iterable[Record], before: Path, now: Iterable[Record], folder: Path, reasons: Mapping[str, str]
) -> Iterator[Replayed]:
    """Compare each cell of then with what came of it now.

    Args:
        then: The records of then.
        before: The folder with their predictions.
        now: The records of now.
        folder: The folder with their predictions.
        reasons: Why cells have no record now, by cell; "" for those that are not there.
    """
    found = {record.cell: record for record in now}
    for old in then:
        new = found.get(old.cell)
        if old.status is not Status.OK:
            yield Replayed(old.cell, old.title, Verdict.NO_SCORES_THEN, reason=old.error)
        elif new is None or new.status is not Status.OK:
            reason = new.error if new else reasons.get(old.cell) or reasons.get("", "")
            yield Replayed(old.cell, old.title, Verdict.COULD_NOT_RUN, _scores(old), reason=reason)
        else:
            yield _compared(old, before, new, folder)


def all_equal(cells: Sequence[Replayed]) -> bool:
    """Return whether every cell that had scores has the same ones here, and there is one at least."""
    counted = [cell for cell in cells if cell.verdict is not Verdict.NO_SCORES_THEN]
    return bool(counted) and all(cell.verdict in (Verdict.SAME_BITS, Verdict.SAME_SCORES) for cell in counted)


def _compared(old: Record, before: Path, new: Record, folder: Path) -> Replayed:
    then, now = _scores(old), _scores(new)
    gaps = {name: _gap(value, now.get(name)) for name, value in then.items()}
    metric = max(gaps, key=lambda name: abs(gaps[name]), default="")
    far = [name for name, gap in gaps.items() if not abs(gap) <= ROUNDING * max(1.0, abs(then[name]))]
    rows, changed, reason = _changed(old, before, new, folder)
    if far or {*now} - {*then}:
        verdict = Verdict.DIFFERS
    else:
        exact = not changed and not reason and not any(gaps.values())
        verdict = Verdict.SAME_BITS if exact else Verdict.SAME_SCORES
    gap = gaps.get(metric, 0.0)
    parts = tuple(changes(old.identity, new.identity)) if old.identity and new.identity else ()
    return Replayed(
        old.cell, old.title, verdict, then, now, metric if gap else "", gap, rows, changed, reason, parts
    )


def _sources(identity: Mapping[str, str]) -> dict[str, str]:
    """Return the digests of sources that an identity tells of, by what they are the source of."""
    code = "; ".join(text for name, text in identity.items() if name.startswith("code of "))
    items = dict(item.partition(" = ")[::2] for item in code.split("; "))
    return {name: digest for name, digest in items.items() if name.startswith("source of ")}


def _scores(record: Record) -> dict[str, float]:
    return {score.metric: score.value for score in record.scores}


def _gap(then: float, now: float | None) -> float:
    """Return now minus then: 0 where both are undefined, infinite where one is."""
    if now is not None and (then == now or (np.isnan(then) and np.isnan(now))):
        return 0.0
    gap = np.nan if now is None else now - then
    return float("inf") if np.isnan(gap) else float(gap)


def _changed(old: Record, before: Path, new: Record, folder: Path) -> tuple[int, int, str]:
    """Return how many predictions there were, how many are other bits now, and why it cannot be told."""
    there = []
    for record, place, where in ((old, before, "in the bundle"), (new, folder, "here")):
        path = _predictions(record, place)
        if path is None or not path.is_file():
            return old.n or 0, 0, f"its predictions are not {where}"
        try:
            there.append(read_predictions(path))
        except (PtbenchError, OSError, ValueError, TypeError, KeyError):
            return old.n or 0, 0, f"its predictions {where} cannot be read"
    then, now = there
    if then.ids != now.ids or {*then} != {*now} or then.labels != now.labels:
        return len(then), len(then), "the rows, columns or labels are others"
    return len(then), int(np.count_nonzero(_differing(then, now))), ""


def _predictions(record: Record, folder: Path) -> Path | None:
    """Return where the predictions of a record should lie; None where that is nowhere in the folder."""
    name = next((name for name in record.files if name.endswith(".parquet")), "")
    path = (folder / name).resolve()
    return path if name and folder.resolve() in path.parents else None


def _differing(then: Predictions, now: Predictions) -> Any:
    """Return bool[n]: the rows in which any column has other bits."""
    differing = np.zeros(len(then), dtype=bool)
    for name in then:
        a, b = np.asarray(then[name]), np.asarray(now[name])
        if a.shape != b.shape or a.dtype != b.dtype:
            return np.ones(len(then), dtype=bool)
        if a.dtype != object:
            a, b = (np.ascontiguousarray(x).reshape(len(x), -1).view(np.uint8) for x in (a, b))
        differing |= (a != b).reshape(len(a), -1).any(axis=1) if len(a) else False
    return differing


def _told(facts: Mapping[str, Any]) -> dict[str, str]:
    """Return what counts of a machine, by names for people."""
    machine = facts.get("machine") or {}
    plugins = [str(one.get("plugin", "")) for one in facts.get("plugins") or ()]
    return {
        "python": str(facts.get("python", "")),
        **{f"package {name}": str(version) for name, version in (facts.get("packages") or {}).items()},
        **{f"plugin {text.partition(' ')[0]}": text.partition(" ")[2].strip("()") for text in plugins},
        **{f"machine: {name}": str(machine.get(name) or "") for name in machine},
        "device": str(facts.get("device", "")),
    }


def _facing(then: Mapping[str, str], now: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    for name in dict.fromkeys([*then, *now]):
        yield name, then.get(name, ""), now.get(name, "")


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""
