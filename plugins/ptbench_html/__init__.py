"""A report as one self-contained page, and a results folder as a small static site."""

from __future__ import annotations

from collections.abc import Iterable

from ptbench import Reporter, hookimpl


@hookimpl
def ptbench_reporters() -> Iterable[Reporter]:
    """None yet."""
    return []
