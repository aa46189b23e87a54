"""A Ray of our own on this machine: started for a run, silent, and gone with it."""

from __future__ import annotations

import signal
import tempfile
from pathlib import Path

import pytest
from tests.plugins.ray.clusters import ROOT, run, workload

from ptbench import Status

pytest.importorskip("ray")


def test_it_is_started_for_a_run_and_gone_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    import ray

    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    folders, handler = _folders(), signal.getsignal(signal.SIGTERM)
    records = run(workload(tmp_path / "run", ["print", "exit", "write"]))
    assert {name: record.status for name, record in records.items()} == {
        "print": Status.OK,
        "exit": Status.CRASHED,
        "write": Status.OK,
    }
    assert not ray.is_initialized()
    assert _folders() == folders
    assert signal.getsignal(signal.SIGTERM) == handler
    assert capfd.readouterr() == ("", "")
    assert not Path(records["write"].facts["folder"]).exists()


def _folders() -> set[str]:
    return {path.name for path in Path(tempfile.gettempdir()).glob("ptb-ray-*")}
