"""Generated probes in GLUE's formats.

Not GLUE: scores here are not comparable with published GLUE scores.
"""

from __future__ import annotations

from collections.abc import Iterable

from ptbench import NamedTask, Source, hookimpl
from ptbench_lite import source


@hookimpl
def ptbench_sources() -> Iterable[Source]:
    """The generator."""
    return [source.SOURCE]


@hookimpl
def ptbench_tasks() -> Iterable[NamedTask]:
    """The six probes, ready to use."""
    return source.NAMED
