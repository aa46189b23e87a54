"""The shared torch engine, and fine-tuning with it."""

from __future__ import annotations

from collections.abc import Iterable

from ptbench import Protocol, hookimpl
from ptbench_torch import finetuning


@hookimpl
def ptbench_protocols() -> Iterable[Protocol]:
    """Fine-tuning."""
    return [finetuning.PROTOCOL]
