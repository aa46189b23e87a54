"""A Ray of our own on this machine: started for a run, silent, and gone with it."""

from __future__ import annotations

import signal
import tempfile
from pathlib import Path

import pytest
from tests.conftest import Ptbench, Written
from tests.plugins.ray.clusters import ROOT, run, workload

from ptbench import Status

pytest.importorskip("ray")

SUITE = """
[suite]
name = "small"

[models]
majority = "baseline:majority"
random = "baseline:random"
words = "sklearn:tfidf"

[tasks]
sst2 = { use = "lite/sst2", limit = { train = 200, validation = 60, test = 80 } }
cola = { use = "lite/cola", limit = { train = 200, validation = 60, test = 80 } }

[[grid]]
protocols = ["linear_probe"]
"""


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


def test_a_suite_gives_the_bits_of_serial(ptbench: Ptbench, written: Written, tmp_path: Path) -> None:
    suite = written("small.toml", SUITE)
    found: dict[str, dict[str, bytes]] = {}
    for executor in ("serial", "ray"):
        called = ptbench(
            "run", suite, "--executor", executor, "--devices", "cpu:2", "--output", tmp_path / executor
        )
        assert called.code == 0, called.err
        (folder,) = (tmp_path / executor / "small").iterdir()
        found[executor] = {path.name: path.read_bytes() for path in (folder / "predictions").iterdir()}
    assert len(found["serial"]) == 6
    assert found["ray"] == found["serial"]
