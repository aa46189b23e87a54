"""The catalog: every offer of every installed plugin, with its owner.

Entry points of the group ``ptbench`` are loaded one at a time, so that one that fails to import is
marked broken and the others go on; it stops a run only if the suite needs what it would have offered.
"""

from __future__ import annotations

import inspect
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from importlib import metadata
from importlib.util import find_spec
from types import ModuleType
from typing import Any, TypeVar

import pluggy

from ptbench import hookspecs
from ptbench.claims import ClaimSet
from ptbench.errors import PluginError, UnknownNameError, nearest, one_line
from ptbench.offers import (
    Adapter,
    Executor,
    FileMetric,
    Kind,
    Metric,
    NamedTask,
    Offer,
    Protocol,
    Provider,
    Reporter,
    Source,
)

GROUP = "ptbench"
OFFER_HOOKS: Mapping[str, tuple[type[Offer], ...]] = {
    "ptbench_providers": (Provider,),
    "ptbench_sources": (Source,),
    "ptbench_kinds": (Kind,),
    "ptbench_adapters": (Adapter,),
    "ptbench_tasks": (NamedTask,),
    "ptbench_protocols": (Protocol,),
    "ptbench_metrics": (Metric, FileMetric),
    "ptbench_reporters": (Reporter,),
    "ptbench_executors": (Executor,),
    "ptbench_claims": (ClaimSet,),
}
GROUPS = (
    *("provider", "source", "kind", "adapter", "task", "protocol", "metric", "reporter", "executor"),
    "claims",
)

# Modules whose distribution has another name, so that a hint can name the right extra.
DISTRIBUTIONS = {
    "sklearn": "scikit-learn",
    "PIL": "pillow",
    "huggingface_hub": "huggingface-hub",
    "mlflow": "mlflow-skinny",
}

T = TypeVar("T", bound=Offer)


@dataclass(frozen=True, slots=True)
class Plugin:
    """An installed plugin: where it comes from, what it offers, and why it is broken if it is."""

    name: str
    distribution: str
    version: str
    file: str = ""
    offers: tuple[Offer, ...] = ()
    error: str = ""
    missing: Mapping[str, str] = field(default_factory=dict)
    """Modules that its offers require and that are not installed, to how one gets them."""

    def __str__(self) -> str:
        return f"{self.name} ({self.distribution} {self.version})"


class Catalog:
    """Every offer by group and name. Look-ups that fail say which name is nearest."""

    def __init__(self, plugins: Iterable[Plugin], manager: pluggy.PluginManager | None = None) -> None:
        self.plugins = tuple(plugins)
        self.hooks = manager.hook if manager else None
        self._owned: dict[str, dict[str, list[tuple[Offer, Plugin]]]] = defaultdict(dict)
        for plugin in self.plugins:
            for offer in plugin.offers:
                self._owned[offer.group].setdefault(offer.name, []).append((offer, plugin))

    def names(self, group: str) -> tuple[str, ...]:
        """Return the names that are offered in a group, sorted."""
        return tuple(sorted(self._owned[group]))

    def get(self, offer_type: type[T], name: str, *, usable: bool = True) -> T:
        """Return the offer of this name.

        Raises:
            UnknownNameError: Nobody offers it; the text has the nearest name, and the broken plugins.
            PluginError: Two plugins offer it, or (with ``usable``) a module it requires is missing.
        """
        offer, plugin = self._find(offer_type.group, name)
        if usable:
            for module in offer.requires:
                if module in plugin.missing:
                    raise PluginError(
                        f"{offer.group} '{name}' needs the package '{module}', which is not installed; "
                        f"{plugin.missing[module]}"
                    )
        assert isinstance(offer, offer_type)
        return offer

    def metric(self, name: str) -> Metric | FileMetric:
        """Return the metric of this name, a number or a file. Raises like `get`."""
        offer, _ = self._find("metric", name)
        assert isinstance(offer, Metric | FileMetric)
        return offer

    def owner(self, group: str, name: str) -> Plugin:
        """Return the plugin that an offer came from. Raises like `get`."""
        return self._find(group, name)[1]

    def owned(self, group: str) -> list[tuple[Offer, Plugin]]:
        """Return the offers of a group with their owners, by name; a clash has several rows."""
        return [pair for name in self.names(group) for pair in self._owned[group][name]]

    def clashes(self) -> list[str]:
        """Return one line for each name that two plugins offer."""
        return [
            _clash(group, name, pairs)
            for group in GROUPS
            for name, pairs in sorted(self._owned[group].items())
            if len(pairs) > 1
        ]

    def broken(self) -> tuple[Plugin, ...]:
        """Return the plugins that could not be loaded."""
        return tuple(plugin for plugin in self.plugins if plugin.error)

    def _find(self, group: str, name: str) -> tuple[Offer, Plugin]:
        pairs = self._owned[group].get(name, [])
        if not pairs:
            text = f"no plugin offers the {group} '{name}'; {nearest(name, self._owned[group])}"
            broken = self.broken()
            if len(broken) == 1:
                text += f"; the plugin {broken[0]} is broken and may have offered it: {broken[0].error}"
            elif broken:
                names = ", ".join(map(str, broken))
                text += f"; one of the broken plugins may have offered it ({names}): ptbench list plugins"
            raise UnknownNameError(text)
        if len(pairs) > 1:
            raise PluginError(_clash(group, name, pairs))
        return pairs[0]


def load_catalog() -> Catalog:
    """Load every installed plugin and return the catalog of what they offer."""
    manager = pluggy.PluginManager(GROUP)
    manager.add_hookspecs(hookspecs)
    points = sorted(metadata.entry_points(group=GROUP), key=lambda p: (_distribution(p)[0], p.name))
    return Catalog([_load(manager, point) for point in points], manager)


def missing_modules(offers: Iterable[Offer], distribution: str) -> dict[str, str]:
    """Return the modules that offers require and that are not there, to the command that brings them."""
    together: dict[str, set[str]] = defaultdict(set)
    for offer in offers:
        for module in offer.requires:
            together[module].update(offer.requires)
    extras = _extras(distribution)
    return {
        module: f"pip install '{_bringing(module, sorted(together[module]), extras, distribution)}'"
        for module in sorted(together)
        if not _installed(module)
    }


def load_plugin(module: ModuleType) -> Plugin:
    """Load one module as a plugin, alone; for tests of a plugin that is not installed."""
    manager = pluggy.PluginManager(GROUP)
    manager.add_hookspecs(hookspecs)
    return _register(manager, module, Plugin(module.__name__, module.__name__.partition(".")[0], "0"))


def _load(manager: pluggy.PluginManager, point: metadata.EntryPoint) -> Plugin:
    plugin = Plugin(point.name, *_distribution(point), file=point.value)
    try:
        module = point.load()
    except (Exception, SystemExit) as error:  # a broken plugin must not stop the others
        return replace(plugin, error=one_line(error))
    return _register(manager, module, plugin)


def _register(manager: pluggy.PluginManager, module: ModuleType, plugin: Plugin) -> Plugin:
    plugin = replace(plugin, file=str(getattr(module, "__file__", "") or ""))
    try:
        manager.register(module, name=f"{plugin.distribution}:{plugin.name}")
        manager.check_pending()
        _check_marked(module)
        offers = tuple(_offers(manager, module))
    except (Exception, SystemExit) as error:  # likewise
        if manager.is_registered(module):
            manager.unregister(module)
        return replace(plugin, error=_why(error))
    return replace(plugin, offers=offers, missing=missing_modules(offers, plugin.distribution))


def _offers(manager: pluggy.PluginManager, module: ModuleType) -> Iterable[Offer]:
    """Call the hooks of one plugin alone, so that its offers can be told from those of others."""
    for caller in manager.get_hookcallers(module) or ():
        expected = OFFER_HOOKS.get(caller.name)
        if expected is None:
            continue
        for implementation in caller.get_hookimpls():
            if implementation.plugin is not module:
                continue
            offered: Any = implementation.function()
            for offer in offered:
                if not isinstance(offer, expected):
                    raise PluginError(
                        f"{caller.name} must return {' or '.join(t.__name__ for t in expected)} offers, "
                        f"not a {type(offer).__name__}"
                    )
                if not isinstance(offer.requires, tuple):
                    raise PluginError(f"{caller.name}: requires of '{offer.name}' must be a tuple of modules")
                if not re.fullmatch(r"[A-Za-z0-9][\w./-]*", offer.name):
                    raise PluginError(
                        f"{caller.name}: '{offer.name}' is no name for an offer; "
                        "use letters, digits, '_', '-', '.' and '/'"
                    )
                yield offer


def _check_marked(module: ModuleType) -> None:
    """Find hooks without their marker: pluggy would leave them out without a word."""
    for name, value in vars(module).items():
        if name.startswith("ptbench_") and inspect.isfunction(value) and not hasattr(value, "ptbench_impl"):
            raise PluginError(f"{name} is not marked; put @ptbench.hookimpl above it")


def _why(error: BaseException) -> str:
    text = one_line(error)
    unknown = re.search(r"unknown hook '(\w+)'", text)
    if unknown:
        return f"there is no hook '{unknown[1]}'; {nearest(unknown[1], vars(hookspecs))}"
    return text


def _distribution(point: metadata.EntryPoint) -> tuple[str, str]:
    dist = point.dist
    return (dist.name, dist.version) if dist else ("unknown", "0")


def _installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except (ModuleNotFoundError, ValueError):  # a parent package is missing; the name is none
        return False


def _extras(distribution: str) -> dict[str, set[str]]:
    """Return the extras of a distribution with the packages that each brings."""
    try:
        requirements = metadata.requires(distribution) or []
    except metadata.PackageNotFoundError:
        return {}
    extras: dict[str, set[str]] = defaultdict(set)
    for requirement in requirements:
        parts = re.match(r"([\w.-]+).*;.*extra\s*==\s*['\"]([\w-]+)['\"]", requirement)
        if parts:
            extras[parts[2]].add(_normal(parts[1]))
    return extras


def _bringing(module: str, modules: list[str], extras: Mapping[str, set[str]], distribution: str) -> str:
    """Return what to install for a module.

    That is the extra that brings it and most of the other modules that offers require with it, the
    smallest of those; the package itself where no extra has it.
    """
    tops = {name: name.partition(".")[0] for name in modules}
    packages = {name: _normal(DISTRIBUTIONS.get(top, top)) for name, top in tops.items()}
    fitting = [extra for extra, brought in extras.items() if packages[module] in brought]
    if not fitting:
        return packages[module]

    def fit(extra: str) -> tuple[int, int]:
        return -len(extras[extra] & set(packages.values())), len(extras[extra])

    return f"{distribution}[{min(fitting, key=fit)}]"


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _clash(group: str, name: str, pairs: list[tuple[Offer, Plugin]]) -> str:
    owners = " and ".join(str(plugin) for _, plugin in pairs)
    return f"the {group} '{name}' is offered by {owners}; uninstall one of them"
