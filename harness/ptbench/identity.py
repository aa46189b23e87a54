"""Who computes: all that can change what a model gives or learns, and nothing else, for keys.

Not in it, on purpose: names in a suite, how many examples go through at once, which of several equal
devices, options that their provider calls inert. What such things change is rounding, if anything.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from typing import Any

from ptbench.catalog import DISTRIBUTIONS, Catalog
from ptbench.data import feed
from ptbench.model import ModelFacts
from ptbench.offers import Offer, Protocol, Provider
from ptbench.plain import to_json
from ptbench.records import Cell
from ptbench.sourcecode import source_digests

STRANGE = ("remote_code", "code ")
"""How the trust of a model begins whose own code is run: nobody can tell when that changes."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Everything that a result depends on, readable."""

    parts: Mapping[str, Any]
    lasting: bool = True
    """Whether the parts tell all of it, so that a result may outlive the process."""

    def key(self) -> str:
        """Return a digest of the parts (64 hex digits)."""
        digest = hashlib.sha256()
        feed(digest, to_json(self.parts))
        return digest.hexdigest()

    def extended(self, **parts: Any) -> Identity:
        """Return the identity of what depends on more."""
        return Identity({**self.parts, **parts}, self.lasting)


def model_identity(cell: Cell, facts: ModelFacts, catalog: Catalog) -> Identity:
    """Return who a loaded model is, to embed.

    A model that does not say what its weights and preprocessing are, or runs code of its own, is known
    by all that the suite says of it, and for this process alone.
    """
    spec = cell.model
    scheme = spec.reference.partition(":")[0]
    provider = catalog.get(Provider, scheme, usable=False)
    parts = {
        "model": spec.reference,
        "options": telling_options(provider, spec.options),
        "weights": facts.weights,
        "preprocessing": facts.preprocessing,
        "precision": facts.precision,
        "device": facts.device.partition(":")[0],
        "code": code_versions(provider, catalog),
        **({"batches": "canonical"} if spec.settings.canonical else {}),
    }
    own_code = any(word.startswith(STRANGE) for word in facts.trust)
    if facts.weights and facts.preprocessing and not own_code:
        return Identity(parts)
    return Identity(
        {**parts, "spec": to_json(spec), "base": cell.base, "placed": facts.device}, lasting=False
    )


def training_identity(cell: Cell, model: Identity, data: str, catalog: Catalog) -> Identity:
    """Return what a training depends on: model, protocol with its options, seed, and the whole task."""
    protocol = catalog.get(Protocol, cell.protocol, usable=False)
    return model.extended(
        data=data,
        metrics=cell.task.metrics,
        protocol=cell.protocol,
        settings=protocol.filled(cell.options),
        seed=cell.seed,
        learning=code_versions(protocol, catalog),
    )


def telling_options(offer: Offer, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that can change a result: not inert, and not at their default anyway."""
    known = {option.name: option for option in offer.options}
    return {
        name: value
        for name, value in to_json(given).items()
        if name not in known or not (known[name].inert or _same(value, to_json(known[name].default)))
    }


def code_versions(offer: Offer, catalog: Catalog) -> dict[str, str]:
    """Return the versions of the code that an offer stands on: its plugin, ptbench, what it requires.

    And digests of the sources of ptbench, the plugin and the plugins that it imports: code that changes
    while its version does not is other code.
    """
    plugin = catalog.owner(offer.group, offer.name)
    sources = source_digests(plugin.file, (other.file for other in catalog.plugins))
    return {
        "ptbench": _version("ptbench"),
        "plugin": str(plugin),
        **{f"source of {name}": digest for name, digest in sources.items()},
        **package_versions(offer.requires),
    }


def package_versions(modules: Iterable[str]) -> dict[str, str]:
    """Return the versions of the packages that modules come from; no module is imported."""
    return {module: _version(module.partition(".")[0]) for module in modules}


@cache
def _version(module: str) -> str:
    try:
        return metadata.version(DISTRIBUTIONS.get(module, module))
    except metadata.PackageNotFoundError:  # a package of another name than its module, or none
        packages = metadata.packages_distributions().get(module, [])
        return ", ".join(f"{name} {metadata.version(name)}" for name in sorted(set(packages)))


def _same(a: Any, b: Any) -> bool:
    """Return whether two plain values are equal, of the same type: 1 and true are not."""
    return type(a) is type(b) and bool(a == b)
