"""Hugging Face models, and the kinds, adapters and hub source for text."""

from __future__ import annotations

from collections.abc import Iterable

from ptbench import Adapter, Kind, Provider, Source, hookimpl
from ptbench_hf import hub, models, text


@hookimpl
def ptbench_providers() -> Iterable[Provider]:
    """Models from the hub, from a folder, from an installed package."""
    return [models.PROVIDER]


@hookimpl
def ptbench_sources() -> Iterable[Source]:
    """Data sets from the hub."""
    return [hub.SOURCE]


@hookimpl
def ptbench_kinds() -> Iterable[Kind]:
    """Text classification and sentence similarity."""
    return text.KINDS


@hookimpl
def ptbench_adapters() -> Iterable[Adapter]:
    """Columns of text to tasks."""
    return text.ADAPTERS
