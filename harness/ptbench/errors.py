"""The errors that ptbench raises: one tree, one line each, shown once at the edge.

```
PtbenchError                 exit code 1
├── UsageError               exit code 2: the suite, or the call, is wrong
│   ├── SuiteError           carries every mistake that was found, not only the first
│   └── UnknownNameError     answers with the nearest known name
├── PluginError              a plugin is broken, misses an extra, or clashes with another
├── DataError                data cannot be read, or does not fit its task
├── ModelError               a model cannot be loaded, or broke its promise
└── ProtocolError            a protocol cannot be applied to this model and task
```
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence


class PtbenchError(Exception):
    """Something that a person can act on; its text is one line: what, where, what to do."""

    exit_code = 1


class UsageError(PtbenchError):
    """The suite or the call is wrong; nothing was run."""

    exit_code = 2


class SuiteError(UsageError):
    """A suite file is wrong; ``mistakes`` has one line for each thing to mend."""

    def __init__(self, mistakes: Sequence[str]) -> None:
        self.mistakes = tuple(mistakes)
        super().__init__("; ".join(self.mistakes))


class UnknownNameError(UsageError):
    """A name that nobody offers; the text has the nearest known one."""


class PluginError(PtbenchError):
    """A plugin is broken, misses an extra, or clashes with another plugin."""


class DataError(PtbenchError):
    """Data cannot be read, or does not fit the task that it is to be used for."""


class ModelError(PtbenchError):
    """A model cannot be loaded, or what it returned is not what its kind promises."""


class ProtocolError(PtbenchError):
    """A protocol cannot be applied to this model and this task."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a hint that names the nearest known name, or the first few there are.

    >>> nearest("acuracy", ["accuracy", "f1"])
    "did you mean 'accuracy'?"
    >>> nearest("zzz", ["accuracy", "f1"])
    'known: accuracy, f1'
    >>> nearest("zzz", [])
    'none is known'
    """
    known = sorted(one if len(one) <= 80 else one[:79] + "…" for one in known)
    close = difflib.get_close_matches(name[:80], known, n=1, cutoff=0.6)
    if close:
        return f"did you mean '{close[0]}'?"
    if not known:
        return "none is known"
    more = f" and {len(known) - 12} more" if len(known) > 12 else ""
    return f"known: {', '.join(known[:12])}{more}"


def one_line(error: BaseException) -> str:
    """Return an error as one line of text: ptbench's own as they are, others with their type.

    >>> one_line(DataError("no file 'a.csv'"))
    "no file 'a.csv'"
    >>> one_line(KeyError("x"))
    "KeyError: 'x'"
    """
    text = printable(" ".join(str(error).split()))
    if isinstance(error, PtbenchError):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def printable(text: str) -> str:
    r"""Return a text with its control characters escaped, so that none of them reaches a terminal.

    >>> printable("red \x1b[31m")
    'red \\x1b[31m'
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
