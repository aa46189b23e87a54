"""The suite: a TOML file of models, tasks and grids. It is data, never code.

This module reads the file and checks its shape; which names exist is for `ptbench.runner` to check
against the catalog. Every mistake is collected, so that all are shown at once.
"""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ptbench.errors import SuiteError, nearest
from ptbench.inspect_table import InspectTable, read_inspect
from ptbench.published import Published, read_published
from ptbench.shape import Shape
from ptbench.values import has_type

SETTINGS: Mapping[str, tuple[type, ...]] = {
    "device": (str,),
    "precision": (str,),
    "batch_tokens": (int,),
    "batch_size": (int,),
}
RUN_KEYS: Mapping[str, tuple[type, ...]] = {
    "executor": (str,),
    "devices": (str,),
    "timeout": (float,),
    "canonical": (bool,),
}
GATE_KEYS: Mapping[str, tuple[type, ...]] = {"alpha": (float,), "margins": (dict,)}
DEVICE = r"auto|cpu|mps|cuda(:\d+)?"
PRECISIONS = ("auto", "fp32", "bf16", "fp16")
TASK_KEYS: Mapping[str, tuple[type, ...]] = {
    "use": (str,),
    "adapter": (str,),
    "data": (str,),
    "metrics": (list,),
    "splits": (dict,),
    "limit": (dict,),
    "note": (str,),
    "copies": (bool,),
    "cluster": (str,),
}
ROLES = ("train", "validation", "test")


@dataclass(frozen=True, slots=True)
class Entry:
    """A model, a task or a protocol as it stands in the suite: its tables, not yet checked."""

    name: str
    where: str
    """``suites/x.toml: [models.minilm]``, for error messages."""
    place: str
    """The same without the file."""
    table: Mapping[str, Any]
    broken: bool = False
    """Whether a mistake in it was found already."""


@dataclass(frozen=True, slots=True)
class Grid:
    """The product of models, tasks, protocols and seeds."""

    where: str
    models: tuple[str, ...]
    tasks: tuple[str, ...]
    protocols: tuple[Entry, ...]
    seeds: tuple[int, ...]
    """Empty: what is usual for a protocol, three where its outcome depends on the seed, else one."""


@dataclass(frozen=True, slots=True)
class Suite:
    """A suite as its file says it."""

    path: Path
    name: str
    description: str
    settings: Mapping[str, Any]
    reporters: tuple[str, ...]
    models: Mapping[str, Entry]
    tasks: Mapping[str, Entry]
    grids: tuple[Grid, ...]
    text: str = field(repr=False, default="")
    mistakes: tuple[str, ...] = ()
    """Everything that is wrong with its shape; what is well-formed can be planned all the same."""
    published: tuple[Published, ...] = ()
    inspect: InspectTable | None = None
    run: Mapping[str, Any] = field(default_factory=dict)
    """``[run]``: executor, devices, timeout, and options of the executor, whose names are not yet checked."""
    gate: Mapping[str, Any] = field(default_factory=dict)
    """``[gate]``: ``alpha`` and ``margins`` by metric, whose names are not yet checked."""


def load_suite(path: Path) -> Suite:
    """Read a suite; mistakes in its shape are in ``mistakes``.

    Raises `SuiteError` where there is no such file or where it is not TOML.
    """
    try:
        text = path.read_text("utf-8-sig")
    except FileNotFoundError:
        folder = path.parent if path.parent.is_dir() else Path()
        names = [p.name for p in folder.glob("*.toml")]
        where = "this folder" if folder == Path() else str(folder)
        told = (
            f"; in {where}: {nearest(path.name, names)}" if names else f", and {where} has no suite (*.toml)"
        )
        raise SuiteError([f"{path}: there is no such file{told}"]) from None
    except (OSError, UnicodeDecodeError) as error:
        raise SuiteError([f"{path}: cannot be read: {error}"]) from None
    try:
        data = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # not only TOMLDecodeError: a number of 5000 digits
        raise SuiteError([f"{path}: is not TOML: {error}"]) from None
    return _Reader(path).suite(data, text)


class _Reader(Shape):
    """Walks the parsed file and collects mistakes."""

    def suite(self, data: Mapping[str, Any], text: str) -> Suite:
        names = ("suite", "settings", "models", "tasks", "inspect", "run", "gate")
        keys = {**dict.fromkeys(names, (dict,)), "grid": (list,), "published": (list,)}
        top = self.table(data, keys, "the top level")
        head = self.table(
            top.get("suite", {}),
            {"name": (str,), "description": (str,), "reporters": (list,)},
            "[suite]",
        )
        name = head.get("name", "")
        if not name.strip():
            self.wrong("[suite]", "key 'name' is missing; give the suite a name")
        elif not name.isprintable():
            self.wrong("[suite]", f"key 'name' is {name!r}; it must be printable")
        models = {k: self.entry(k, v, "models", "ref") for k, v in top.get("models", {}).items()}
        tasks = {k: self.entry(k, v, "tasks", "use") for k, v in top.get("tasks", {}).items()}
        tasks = {k: self.checked(entry, self.task) for k, entry in tasks.items()}
        models = {k: self.checked(entry, self.model) for k, entry in models.items()}
        if not models:
            self.wrong("[models]", 'names no model; write, say, majority = "baseline:majority"')
        if not tasks:
            self.wrong("[tasks]", 'names no task; write, say, sst2 = "lite/sst2"')
        settings = self.settings(top.get("settings", {}), "[settings]")
        grids = tuple(
            self.grid(table, i, models, tasks) for i, table in enumerate(top.get("grid", []), start=1)
        )
        if not grids:
            self.wrong("[[grid]]", 'is missing; write [[grid]] with protocols = ["linear_probe"]')
        reporters = self.strings(head.get("reporters", ["csv"]), "[suite]", "reporters")
        figures = [
            read_published(self, figure, i, models, tasks)
            for i, figure in enumerate(top.get("published", []), start=1)
        ]
        inspect = read_inspect(self, top["inspect"], models, tasks) if "inspect" in top else None
        run, gate = self.run(top.get("run", {})), self.gate(top.get("gate", {}))
        return Suite(
            path=self.path,
            name=name,
            description=head.get("description", ""),
            settings=settings,
            reporters=reporters,
            models=models,
            tasks=tasks,
            grids=grids,
            text=text,
            mistakes=tuple(self.mistakes),
            published=tuple(figure for figure in figures if figure),
            inspect=inspect,
            run=run,
            gate=gate,
        )

    def run(self, table: Mapping[str, Any]) -> Mapping[str, Any]:
        if not self.plain(table, "[run]", ""):
            return {}
        known = self.typed({k: v for k, v in table.items() if k in RUN_KEYS}, RUN_KEYS, "[run]")
        if known.get("timeout", 1) <= 0:
            self.wrong("[run]", f"key 'timeout' is {known['timeout']}; seconds above 0 were expected")
        return {**{k: v for k, v in table.items() if k not in RUN_KEYS}, **known}

    def gate(self, table: Mapping[str, Any]) -> Mapping[str, Any]:
        known = self.table(table, GATE_KEYS, "[gate]")
        if not 0 < known.get("alpha", 0.05) < 1:
            self.wrong("[gate]", f"key 'alpha' is {known['alpha']}; a chance between 0 and 1 was expected")
        for name, margin in known.get("margins", {}).items():
            if not has_type(margin, (float,)) or not 0 <= margin < math.inf:
                self.wrong("[gate]", f"key 'margins.{name}' is {margin!r}; a number from 0 was expected")
        return known

    def checked(self, entry: Entry, check: Callable[[Entry], None]) -> Entry:
        """Return an entry marked as broken where a check of it finds a mistake."""
        before = len(self.mistakes)
        if not entry.broken:
            check(entry)
        return replace(entry, broken=entry.broken or len(self.mistakes) > before)

    def model(self, entry: Entry) -> None:
        self.settings({k: v for k, v in entry.table.items() if k in SETTINGS}, entry.place)

    def grid(self, value: Any, number: int, models: Mapping[str, Entry], tasks: Mapping[str, Entry]) -> Grid:
        where = "[[grid]]" if number == 1 else f"[[grid]] number {number}"
        keys = {"models": (list,), "tasks": (list,), "protocols": (list,), "seeds": (list,)}
        table = self.table(value, keys, where)
        named = {}
        for key, known in (("models", models), ("tasks", tasks)):
            named[key] = self.strings(table.get(key, list(known)), where, key)
            for name in named[key]:
                if name not in known:
                    self.wrong(where, f"key '{key}': [{key}] has no '{name}'; {nearest(name, known)}")
            if key in table and not named[key]:
                self.wrong(where, f"key '{key}' is empty; leave it out to take all of [{key}]")
        protocols = []
        for item in table.get("protocols", []):
            options = {"use": item} if isinstance(item, str) else item
            if not isinstance(options, dict) or not isinstance(options.get("use"), str):
                self.wrong(where, f"key 'protocols': {item!r} is neither a name nor {{ use = NAME, … }}")
            elif self.plain(options, where, "protocols"):
                name = options["use"]
                options = {k: v for k, v in options.items() if k != "use"}
                protocols.append(Entry(name, f"{self.path}: {where}", where, options))
        if not table.get("protocols"):
            self.wrong(where, "key 'protocols' names none; write, say, protocols = [\"linear_probe\"]")
        seeds = table.get("seeds", ())
        if not all(isinstance(s, int) and not isinstance(s, bool) and s >= 0 for s in seeds) or (
            "seeds" in table and not seeds
        ):
            self.wrong(where, f"key 'seeds' is {seeds!r}; whole numbers from 0 were expected")
            seeds = ()
        return Grid(f"{self.path}: {where}", named["models"], named["tasks"], tuple(protocols), tuple(seeds))

    def task(self, entry: Entry) -> None:
        where = entry.place
        self.typed({k: v for k, v in entry.table.items() if k in TASK_KEYS}, TASK_KEYS, where)
        if "use" not in entry.table:
            for key in ("adapter", "data"):
                if key not in entry.table:
                    self.wrong(where, f"key '{key}' is missing; a task needs adapter and data (or use)")
        for key, item, words in (
            ("splits", str, "a name of a split"),
            ("limit", int, "a whole number from 1"),
        ):
            table = entry.table.get(key, {})
            for role, value in table.items() if isinstance(table, dict) else ():
                if role not in ROLES:
                    self.wrong(where, f"key '{key}.{role}': unknown; {nearest(role, ROLES)}")
                elif not has_type(value, (item,)) or value == "" or (item is int and value < 1):
                    self.wrong(where, f"key '{key}.{role}' is {value!r}; {words} was expected")
        if isinstance(entry.table.get("metrics"), list):
            self.strings(entry.table["metrics"], where, "metrics")

    def settings(self, table: Any, where: str) -> Mapping[str, Any]:
        checked = self.table(table, SETTINGS, where)
        precision = checked.get("precision", "auto")
        if precision not in PRECISIONS:
            self.wrong(where, f"key 'precision' is '{precision}'; {nearest(precision, PRECISIONS)}")
        for key in ("batch_tokens", "batch_size"):
            if checked.get(key, 1) < 1:
                self.wrong(where, f"key '{key}' must be at least 1")
        device = checked.get("device", "auto")
        if not re.fullmatch(DEVICE, device):
            hint = nearest(device, ("auto", "cpu", "cuda", "cuda:0", "mps"))
            self.wrong(where, f"key 'device' is '{device}'; {hint}")
        return checked

    def entry(self, name: str, value: Any, group: str, short: str) -> Entry:
        place = f"[{group}.{name}]"
        entry = Entry(
            name, f"{self.path}: {place}", place, {short: value} if isinstance(value, str) else value
        )
        if not name.strip():
            self.wrong(f"[{group}]", f"key {name!r}: a name is empty; give it one, since the report shows it")
        elif not name.isprintable():
            self.wrong(f"[{group}]", f"key {name!r}: a name must be printable, since the report shows it")
        elif not isinstance(entry.table, dict):
            self.wrong(place, f"is {value!r}; a text or a table was expected")
        elif group == "models" and not isinstance(entry.table.get("ref"), str):
            self.wrong(place, "key 'ref' is missing; write ref = \"provider:name\"")
        elif self.plain(entry.table, place, ""):
            return entry
        return replace(entry, broken=True)


def task_mistakes(path: Path, place: str, table: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what is wrong with the shape of a task that stands elsewhere: a plugin's named task."""
    reader = _Reader(path)
    entry = Entry("", f"{path}: {place}", place, table)
    if reader.plain(table, place, ""):
        reader.task(entry)
    return tuple(reader.mistakes)
