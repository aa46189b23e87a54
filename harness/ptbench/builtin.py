"""The core plugin: what needs no framework. It comes in by the same door as every other plugin."""

from __future__ import annotations

from collections.abc import Iterable

from ptbench import baselines, executors, files, protocols, reporters, workers, zeroshot
from ptbench.hookspecs import hookimpl
from ptbench.offers import Executor, Protocol, Provider, Reporter, Source


@hookimpl
def ptbench_providers() -> Iterable[Provider]:
    """Baselines: majority, random, oracle."""
    return [baselines.PROVIDER]


@hookimpl
def ptbench_sources() -> Iterable[Source]:
    """Files and folders."""
    return [files.SOURCE]


@hookimpl
def ptbench_protocols() -> Iterable[Protocol]:
    """Protocols that learn nothing."""
    return [protocols.AS_IS, zeroshot.PROTOCOL]


@hookimpl
def ptbench_reporters() -> Iterable[Reporter]:
    """CSV, Markdown, JUnit XML, JSON."""
    return [reporters.CSV, reporters.MARKDOWN, reporters.JUNIT, reporters.JSON]


@hookimpl
def ptbench_executors() -> Iterable[Executor]:
    """Serial; local."""
    return [executors.SERIAL, workers.LOCAL]
