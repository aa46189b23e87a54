"""How far a cell has come: a model says ``advance(32)``, and whoever listens hears it.

A model need not call it. It costs nothing where nobody listens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_listener: ContextVar[Callable[[int], None] | None] = ContextVar("ptbench_progress", default=None)


def advance(examples: int) -> None:
    """Say that so many more examples went through the model.

    >>> heard = []
    >>> with listening(heard.append):
    ...     advance(32)
    >>> advance(1)  # nobody listens
    >>> heard
    [32]
    """
    listener = _listener.get()
    if listener is not None:
        listener(examples)


@contextmanager
def listening(listener: Callable[[int], None]) -> Iterator[None]:
    """Hear every `advance` inside the block."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)
