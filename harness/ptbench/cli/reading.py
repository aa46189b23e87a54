"""Reading runs for the commands that look back: a folder, the newest in it, or a bundle."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from ptbench.cli.whichrun import newest_run
from ptbench.comparison import Comparison
from ptbench.errors import UsageError
from ptbench.records import Report


def told_apart(found: Comparison, a: Path, b: Path) -> Comparison:
    """Return a comparison that calls its sides by their paths where they have the same name, as copies do."""
    return replace(found, a=str(a), b=str(b)) if found.a == found.b else found


@contextmanager
def opened_run(path: Path) -> Iterator[Report]:
    """Read a run: its folder, the newest in a folder of runs, or a bundle (unpacked while it is used).

    Raises `UsageError` where there is none, and for a bundle that is damaged or hostile.
    """
    from ptbench.archive import Archive
    from ptbench.bundle import DATA, FILES
    from ptbench.replay import read_bundle
    from ptbench.store import read_report

    if path.is_dir():
        yield read_report(newest_run(path))
        return
    if not path.exists():
        raise UsageError(f"{path}: there is no such run; give a folder results/<suite>/<run>, or a bundle")
    with Archive(path) as archive, tempfile.TemporaryDirectory(prefix="ptbench-bundle-") as made:
        bundle, folder = read_bundle(archive), Path(made).resolve()
        bundle.unpack(folder)
        report = read_report(folder / FILES)
        told = {"text": bundle.text, "base": str(folder / DATA)}  # the data that came with it
        yield replace(report, run={**report.run, **told})
