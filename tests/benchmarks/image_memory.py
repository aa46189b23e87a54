"""Does memory stay flat in the number of images? `ptbench run` on few and on many, peak memory side by side.

    python tests/benchmarks/image_memory.py [--json PATH] [--images 50000] [--few 500]

Writes JPEG files into a temporary folder (one folder for each of ten classes), evaluates ResNet-20 for
CIFAR-10 (random weights, in a checkpoint file) under `as_is` in a fresh process for each size, and compares
the highest resident memory of the two processes.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file

from ptbench_vision.cifar import resnet20

SUITE = """
[suite]
name = "memory"
[models.net]
ref = "checkpoint:net.safetensors"
architecture = "ptbench_vision.cifar:resnet20"
size = 32
mean = [0.5, 0.5, 0.5]
std = [0.25, 0.25, 0.25]
labels = {labels}
[tasks.images]
adapter = "image-classification"
data = "folder:images"
splits = {{ test = "all" }}
[[grid]]
protocols = ["as_is"]
"""
LABELS = [f"c{i}" for i in range(10)]
RUN = """
import resource, sys
from ptbench.cli import run
code = run(["run", "suite.toml", "--quiet", "--device", "cpu"])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, file=sys.stderr)
sys.exit(code)
"""


def make(root: Path, images: int) -> None:
    """Write the images, the weights and the suite."""
    draw = np.random.default_rng(0)
    for i in range(images):
        path = root / "images" / LABELS[i % 10] / f"{i:06}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(draw.integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(path)
    torch.manual_seed(0)
    save_file(resnet20().state_dict(), root / "net.safetensors")
    (root / "suite.toml").write_text(SUITE.format(labels=json.dumps(LABELS)))


def peak_mib(root: Path) -> tuple[float, float]:
    """Return the highest resident memory of a run in MiB, and its seconds."""
    started = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", RUN], cwd=root, capture_output=True, text=True, check=True)
    return float(done.stderr.split()[-1]), time.perf_counter() - started


def main() -> None:
    """Measure, print, and write the figures where that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, default=50_000)
    parser.add_argument("--few", type=int, default=500)
    parser.add_argument("--json", type=Path, default=None, help="write the figures to this file")
    given = parser.parse_args()
    figures = {}
    for images in (given.few, given.images):
        with tempfile.TemporaryDirectory() as name:
            make(Path(name), images)
            peak, seconds = peak_mib(Path(name))
        figures[str(images)] = {"peak_mib": round(peak), "seconds": round(seconds, 1)}
        print(f"{images:8,} images: peak {peak:,.0f} MiB, {seconds:.1f} s")
    more = figures[str(given.images)]["peak_mib"] - figures[str(given.few)]["peak_mib"]
    print(f"{more:,} MiB more for {given.images - given.few:,} more images")
    if given.json:
        given.json.write_text(json.dumps({"runs": figures, "more_mib": more}, indent=1) + "\n")


if __name__ == "__main__":
    main()
