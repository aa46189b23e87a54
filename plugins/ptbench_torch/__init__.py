"""The shared torch engine, and fine-tuning with it."""

from __future__ import annotations

from collections.abc import Iterable

from ptbench import Protocol, hookimpl


@hookimpl
def ptbench_protocols() -> Iterable[Protocol]:
    """Fine-tuning."""
    return []
