"""How far a cell has come: a model says ``advance(32)``, and whoever listens hears it.

A model need not call it. It costs nothing where nobody listens.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(slots=True)
class Progress:
    """How far a job has come; another thread may look at it."""

    examples: int = 0
    phase: str = ""


_listener: ContextVar[Progress | None] = ContextVar("ptbench_progress", default=None)


def advance(examples: int) -> None:
    """Say that so many more examples went through the model.

    >>> with listening() as heard:
    ...     advance(32)
    >>> advance(1)  # nobody listens
    >>> heard.examples
    32
    """
    heard = _listener.get()
    if heard is not None:
        heard.examples += examples


def enter(phase: str) -> None:
    """Say what is being done from now on."""
    heard = _listener.get()
    if heard is not None:
        heard.phase = phase


@contextmanager
def listening() -> Iterator[Progress]:
    """Hear every `advance` and every phase inside the block."""
    heard = Progress()
    token = _listener.set(heard)
    try:
        yield heard
    finally:
        _listener.reset(token)
