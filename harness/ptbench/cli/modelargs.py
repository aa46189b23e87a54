"""The models that a command line names: references with options, or suites."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ptbench.errors import SuiteError, UnknownNameError, UsageError, nearest, printable

if TYPE_CHECKING:
    from ptbench.catalog import Catalog
    from ptbench.records import ModelSpec
    from ptbench.suite import Suite


def read_options(given: Sequence[str]) -> dict[str, Any]:
    """Read ``key=value``: a value of TOML, or else a text without quotes."""
    options: dict[str, Any] = {}
    for text in given:
        key, equals, value = text.partition("=")
        if not equals or not key.strip() or key.strip() == "ref":
            raise UsageError(f"-o {printable(text)}: write -o key=value, such as -o init=random")
        try:
            options[key.strip()] = tomllib.loads(f"value = {value}")["value"]
        except (ValueError, RecursionError):
            options[key.strip()] = value
    return options


def named_models(
    models: Sequence[str],
    options: dict[str, Any],
    names: Sequence[str],
    settings: dict[str, Any],
    catalog: Catalog,
) -> Iterator[tuple[ModelSpec, Path]]:
    """Yield every model with the folder that its relative paths start from. Raises `SuiteError`."""
    from ptbench.runner.resolve import resolve_models
    from ptbench.suite import load_suite

    found: list[tuple[ModelSpec, Path]] = []
    mistakes: list[str] = []
    files = [text for text in models if text.endswith(".toml")]
    for text in models:
        suite = load_suite(Path(text)) if text in files else _lone(text, options)
        specs, wrong = resolve_models(suite, catalog, settings)
        mistakes += wrong
        found += [(spec, suite.path.resolve().parent) for spec in specs]
    if options and files:
        raise UsageError("-o is for models that are given by reference; a suite has its own options")
    if mistakes:
        raise SuiteError(mistakes)
    known = [spec.name for spec, _ in found]
    for name in names:
        if name not in known:
            raise UnknownNameError(
                f"--model '{printable(name)}': there is no such model; {nearest(name, known)}"
            )
    yield from (pair for pair in found if not names or pair[0].name in names)


def _lone(reference: str, options: dict[str, Any]) -> Suite:
    """Return a suite of one model, so that a lone reference is checked as in a file."""
    from ptbench.suite import Entry, Suite

    where = f"ptbench profile {reference}:"
    entry = Entry(reference, where, where, {"ref": reference, **options})
    return Suite(Path("profile"), "profile", "", {}, (), {reference: entry}, {}, ())
