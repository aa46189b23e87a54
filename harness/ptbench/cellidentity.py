"""What the score of a cell depends on, part by part and readable, so that finished cells are found again.

Not in it, on purpose: names in a suite, notes, batch sizes, slots, executors, other splits of the data.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from ptbench.catalog import Catalog
from ptbench.digests import files_digest
from ptbench.identity import STRANGE, code_versions, telling_options
from ptbench.model import ModelDescription
from ptbench.offers import Adapter, Kind, Offer, Protocol, Provider, Source
from ptbench.plain import to_json
from ptbench.records import Cell, ModelSpec, TaskSpec

UNTOLD = "cannot be told"
"""The part that says why nobody can tell whether something changed: such a cell counts as finished in its own
run only, which nobody but the user continues."""
ABSENT = "to be brought"
"""What stands for weights that are not on this machine yet."""
PTBENCH = ("ptbench", "source of ptbench")
"""What all code stands on."""
LONG = 200
"""Characters of options beyond which their digest stands for them."""


def cell_identity(
    cell: Cell, described: ModelDescription, data: str, device: str, catalog: Catalog
) -> dict[str, str]:
    """Return all that can change the score of a cell.

    Args:
        cell: The cell.
        described: Its model, as described for what it is loaded for.
        data: `Task.fingerprint` where the plan reads the rows, else `DataDescription.state`.
        device: The kind of device that ``auto`` stands for: ``cpu``, ``cuda``.
        catalog: Where the code comes from.
    """
    return Identities(catalog, device).of(cell, described, data)


class Identities:
    """Computes the identities of many cells; what they share is looked at once."""

    def __init__(self, catalog: Catalog, device: str = "cpu") -> None:
        self._catalog = catalog
        self._device = device
        self._known: dict[tuple[Any, ...], tuple[tuple[Any, ...], dict[str, str]]] = {}

    def of(self, cell: Cell, described: ModelDescription, data: str) -> dict[str, str]:
        """Return `cell_identity` of a cell."""
        model = self._once(self._model, cell.model, described)
        task = self._once(self._task, cell.task, data)
        protocol = self._once(self._protocol, cell.protocol, cell.options)
        parts = {**model, **task, **protocol, "seed": str(cell.seed)}
        if UNTOLD in model and UNTOLD in task:
            parts[UNTOLD] = f"{model[UNTOLD]}; {task[UNTOLD]}"
        return parts

    def _once(self, make: Callable[..., dict[str, str]], *given: Any) -> dict[str, str]:
        """Call a function once for the same objects, which are held so that no others get their ids."""
        key = (make.__name__, *map(id, given))
        if key not in self._known:
            self._known[key] = (given, make(*given))
        return self._known[key][1]

    def _model(self, spec: ModelSpec, described: ModelDescription) -> dict[str, str]:
        provider = self._catalog.get(Provider, spec.reference.partition(":")[0], usable=False)
        device = spec.settings.device.partition(":")[0]
        weights, preprocessing = (
            files_digest(described.files.get(name, ())) for name in ("weights", "preprocessing")
        )
        absent = bool(described.downloads)
        versions = code_versions(provider, self._catalog)
        parts = {
            # all of them: what is inert for features, such as names for labels, can change a prediction
            "model": spec.reference + _told(to_json(spec.options)),
            "weights": weights or (ABSENT if absent else "none"),
            "preprocessing": preprocessing or (ABSENT if absent else "none"),
            "precision": spec.settings.precision,
            "device": self._device if device == "auto" else device,
            "code of ptbench": "; ".join(f"{name} = {versions[name]}" for name in PTBENCH),
            "code of provider": self._code(provider),
        }
        if spec.settings.canonical:  # it is asked for where the last bit counts
            parts["batches"] = "canonical"
        own = [word for word in described.trust if word.startswith(STRANGE)]
        if own:
            parts[UNTOLD] = f"the model runs code of its own ({', '.join(own)})"
        elif absent:
            parts[UNTOLD] = "what the model needs is not on this machine yet"
        elif not described.files:
            parts[UNTOLD] = (
                f"provider '{provider.name}' does not say which files the model is made of "
                '(ModelDescription.files; {"weights": ()} where there are none)'
            )
        return parts

    def _task(self, spec: TaskSpec, data: str) -> dict[str, str]:
        catalog = self._catalog
        adapter = catalog.get(Adapter, spec.adapter, usable=False)
        source = catalog.get(Source, spec.data.partition(":")[0], usable=False)
        kind = catalog.get(Kind, adapter.kind, usable=False)
        metrics = spec.metrics or adapter.metrics
        chosen = {"splits": spec.splits, "limit": spec.limit}
        read = {**telling_options(source, spec.data_options), **{k: v for k, v in chosen.items() if v}}
        told = {
            **telling_options(adapter, spec.options),
            **({} if spec.copies else {"copies": False}),
            **({"cluster": spec.cluster} if spec.cluster else {}),
        }
        parts = {
            "data": f"{spec.data}{_told(read)} = {_short(data)}" if data else spec.data + _told(read),
            "task": f"{adapter.name} ({kind.name}){_told(told)}",
            "metrics": ", ".join(metrics),
            "code of task": self._code(source, adapter, kind),
            "code of metrics": self._code(*map(catalog.metric, metrics)),
        }
        if not data:
            parts[UNTOLD] = f"source '{source.name}' does not say when its data change"
        return parts

    def _protocol(self, name: str, options: Mapping[str, Any]) -> dict[str, str]:
        protocol = self._catalog.get(Protocol, name, usable=False)
        return {
            "protocol": name + _told(telling_options(protocol, options)),
            "code of protocol": self._code(protocol),
        }

    def _code(self, *offers: Offer) -> str:
        """Return `code_versions` of all as one text, which `changes` can read, but for those of ptbench."""
        found: dict[str, list[str]] = {}
        for offer in offers:
            for name, version in code_versions(offer, self._catalog).items():
                if name not in PTBENCH and version not in found.setdefault(name, []):
                    found[name].append(version)
        return "; ".join(f"{name} = {', '.join(sorted(versions))}" for name, versions in found.items())


def changes(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Return what differs between two identities, a few words for each part; empty where nothing does.

    >>> before = {"precision": "fp32", "weights": "0123456789abcdef"}
    >>> changes(before, {"precision": "bf16", "weights": "none"})
    ['precision changed (fp32 -> bf16)', 'weights changed']
    """
    names = [name for name in {**now, **before} if name != UNTOLD and before.get(name) != now.get(name)]
    return [f"{name} changed{_how(name, before.get(name, ''), now.get(name, ''))}" for name in names]


@lru_cache(1024)
def _how(name: str, before: str, now: str) -> str:
    if name.startswith("code of "):
        old, new = _items(before), _items(now)
        parts = [item for item in {**old, **new} if old.get(item) != new.get(item)]
        return f" ({', '.join(_item(item, old.get(item, ''), new.get(item, '')) for item in parts)})"
    if re.search(r"[0-9a-f]{16}", before + now) or ABSENT in (before, now) or len(before + now) > LONG:
        return ""
    return f" ({before or 'none'} -> {now or 'none'})"


def _item(name: str, before: str, now: str) -> str:
    return name if name.startswith("source of ") else f"{name} {before or 'none'} -> {now or 'none'}"


def _items(text: str) -> dict[str, str]:
    return dict(item.partition(" = ")[::2] for item in text.split("; ") if item)


def _told(options: Mapping[str, Any]) -> str:
    if not options:
        return ""
    text = json.dumps(options, sort_keys=True, default=str)
    return f" {text if len(text) <= LONG else _short(text)}"


def _short(text: str) -> str:
    """Return a digest in place of what is no digest itself."""
    if re.fullmatch(r"[0-9a-f]{16}", text):
        return text
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:16]
