"""transformers kept quiet, and its errors made into one line."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import transformers

from ptbench import ModelError
from ptbench_torch.memory import out_of_memory


class UnknownOptionError(Exception):
    """A class of models does not know an option of its constructor."""


@contextmanager
def quiet() -> Iterator[None]:
    """Silence transformers: its warnings, its reports, its bars. Trouble is an error or a fact instead."""
    log = transformers.utils.logging
    verbosity, bars = log.get_verbosity(), log.is_progress_bar_enabled()
    log.set_verbosity_error()
    log.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.set_verbosity(verbosity)
        if bars:
            log.enable_progress_bar()


@contextmanager
def explained(root: Path, what: str) -> Iterator[None]:
    """Be quiet, and turn whatever transformers raises into one line: a `ModelError`."""
    try:
        with quiet():
            yield
    except (ModelError, UnknownOptionError):
        raise
    except Exception as error:  # transformers raises every type there is
        if out_of_memory(error):
            raise
        if "trust_remote_code" in str(error):
            raise ModelError(
                f"{root} needs Python code that comes with it: read that code, and if you "
                "trust it write trust_remote_code = true"
            ) from error
        raise ModelError(f"{root}: {what}: {brief(error)}") from error


def brief(error: object) -> str:
    """Return an error of somebody else as the beginning of one line."""
    text = " ".join(str(error).split())
    name = f"{type(error).__name__}: " if isinstance(error, Exception) else ""
    return f"{name}{text[:240]}{'…' if len(text) > 240 else ''}"
