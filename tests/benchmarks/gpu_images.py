"""Images on a GPU with the data path on: JPEG files to features, and how long the model waited for pixels.

    python -m tests.benchmarks.gpu_images [--json PATH] [--images 4096] [--batch 256] [--repeats 3] [--tiny]

A ViT-B/16 (random weights: speed does not depend on them) embeds a folder of JPEG files of about the size of
ImageNet's, in the precision that ``auto`` stands for. In turn with it runs the network alone on pixels that
lie on the device: what it could do if nobody had to decode. What is missing to that is the time in which the
device stood idle. ``waited_for_pixels`` is the host's: a GPU may still be busy while the host waits for the
next image. On a CPU that decodes and computes neither says much. With --tiny all is small, to see on a CPU
that it runs.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import timm
import torch
from tests.benchmarks.image_throughput import make_folder

from ptbench import Capability, Examples, ModelRequest, Reference, Settings
from ptbench_torch.passes import synchronize
from ptbench_vision.timm_models import PROVIDER


def alone(model: Any, batch: int, images: int) -> float:
    """Return the images a second of the network on pixels that lie on its device."""
    engine = model._engine
    inputs = engine.inputs(batch)
    calls = max(1, images // batch)
    with torch.inference_mode():
        engine.module(inputs)
        synchronize(engine.device)
        started = time.perf_counter()
        for _ in range(calls):
            engine.module(inputs)
        synchronize(engine.device)
    return calls * batch / (time.perf_counter() - started)


def main() -> None:
    """Measure, print, and write the figures where that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", default=None, help="vit_base_patch16_224; with --tiny test_vit")
    parser.add_argument("--images", type=int, default=None, help="4,096; with --tiny 32")
    parser.add_argument("--batch", type=int, default=None)
    parser.add_argument("--repeats", type=int, default=None, help="3; with --tiny 2")
    parser.add_argument("--tiny", action="store_true", help="all is small: does it run?")
    parser.add_argument("--json", type=Path, default=None, help="write the figures to this file")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    name = given.model or ("test_vit" if given.tiny else "vit_base_patch16_224")
    number, repeats = given.images or (32 if given.tiny else 4096), given.repeats or (2 if given.tiny else 3)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    settings = Settings(batch_size=given.batch)
    reference, options = Reference("timm", name), {"init": "random"}
    model: Any = PROVIDER.load(ModelRequest(reference, options, settings, capability=Capability.EMBED))
    with tempfile.TemporaryDirectory() as folder:
        make_folder(Path(folder), number, seed=0)
        files = sorted(Path(folder).rglob("*.jpg"))
        examples = Examples([file.stem for file in files], {"image": files})
        model.embed(examples.take(range(min(number, 2 * model.facts.extra["batch"]["used"]))))  # warms up
        before = dict(model.facts.seconds)
        whole: list[float] = []
        network: list[float] = []
        for _ in range(repeats):
            started = time.perf_counter()
            model.embed(examples)
            whole.append(number / (time.perf_counter() - started))
            network.append(alone(model, min(number, model.facts.extra["batch"]["used"]), number))
        spent = {key: value - before[key] for key, value in model.facts.seconds.items()}
    facts = model.facts
    device = torch.device(facts.device)
    where = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
    figures = {
        "device": where,
        "precision": facts.precision,
        "batch": facts.extra["batch"],
        "cores": cores,
        "images_per_s": statistics.median(whole),
        "images_per_s_of_the_network_alone": statistics.median(network),
        "device_idle": 1 - statistics.median([w / n for w, n in zip(whole, network, strict=True)]),
        "waited_for_pixels": spent["decode"] / sum(spent.values()),
        "waited_for_the_transfer": spent["transfer"] / sum(spent.values()),
    }
    setting = (
        f"{name} with random weights, {number:,} JPEG files of about 500x375, {facts.precision}, "
        f"{repeats} interleaved repeats, median; {where}, {cores} cores; torch {torch.__version__}, "
        f"timm {timm.__version__}"
    )
    print(setting)
    for key, value in figures.items():
        print(f"{key:36}{value}")
    if given.json:
        given.json.write_text(json.dumps({"setting": setting, **figures}, indent=1) + "\n")


if __name__ == "__main__":
    main()
