"""How far a cell has come: a model says ``advance(32)``, and whoever listens hears it.

A model need not call it. It costs nothing where nobody listens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field


@dataclass(slots=True)
class Progress:
    """How far a job has come; another thread may look at it."""

    examples: int = 0
    phase: str = ""
    told: Callable[[int], None] | None = None
    """Called for every `advance`, in the thread that says it."""
    warnings: list[str] = field(default_factory=list)
    """What the person should hear of at once; whoever tells it takes it out."""


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
        if heard.told is not None:
            heard.told(examples)


def enter(phase: str) -> None:
    """Say what is being done from now on."""
    heard = _listener.get()
    if heard is not None:
        heard.phase = phase


def warn(text: str) -> None:
    """Say what the person who started the run should hear of at once."""
    heard = _listener.get()
    if heard is not None:
        heard.warnings.append(text)


@contextmanager
def listening(told: Callable[[int], None] | None = None) -> Iterator[Progress]:
    """Hear every `advance`, phase and warning inside the block."""
    heard = Progress(told=told)
    token = _listener.set(heard)
    try:
        yield heard
    finally:
        _listener.reset(token)
