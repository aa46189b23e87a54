"""Which memory layout is faster on the CPU: contiguous or channels_last, side by side, model by model.

    python tests/benchmarks/layout.py [--json PATH] [--batch 8] [--repeats 3] [MODEL …]

Random weights, random pixels at the size that the weights declare; repeats are interleaved and ratios taken
within a repeat. `ptbench_vision.layout.prefers_channels_last` is a rule; this shows where it is right.
"""

from __future__ import annotations

import argparse
import copy
import json
import statistics
import time
from pathlib import Path
from typing import Any

import timm
import torch

from ptbench_vision.layout import prefers_channels_last

MODELS = (
    "resnet18", "resnet50", "resnext50_32x4d", "wide_resnet50_2", "vgg11_bn", "densenet121",
    "mobilenetv2_100", "mobilenetv3_large_100", "efficientnet_b0", "tf_efficientnetv2_b0", "regnety_008",
    "convnext_atto", "convnext_tiny", "nfnet_l0", "ghostnet_100", "repvgg_a2", "inception_v3",
    "vit_tiny_patch16_224", "vit_small_patch16_224", "swin_tiny_patch4_window7_224", "mixer_s32_224",
    "maxvit_nano_rw_256", "coatnet_nano_rw_224", "poolformer_s12", "levit_128", "cspdarknet53",
)  # fmt: skip


def measure(name: str, batch: int, repeats: int) -> dict[str, Any]:
    """Time both layouts of one model in turn."""
    torch.manual_seed(0)
    plain = timm.create_model(name).eval()
    size = plain.pretrained_cfg["input_size"]
    last = copy.deepcopy(plain).to(memory_format=torch.channels_last)
    inputs = torch.randn(batch, *size)
    contenders = {
        "contiguous": (plain, inputs),
        "channels_last": (last, inputs.contiguous(memory_format=torch.channels_last)),
    }
    seconds: dict[str, list[float]] = {key: [] for key in contenders}
    with torch.inference_mode():
        for repeat in range(repeats + 1):
            for key, (module, pixels) in contenders.items():
                started = time.perf_counter()
                module(pixels)
                if repeat:  # the first one warms up
                    seconds[key].append(time.perf_counter() - started)
    ratios = [a / b for a, b in zip(seconds["contiguous"], seconds["channels_last"], strict=True)]
    best = {key: min(times) for key, times in seconds.items()}
    return {
        "channels_last_is_faster_by": round(statistics.median(ratios), 2),
        "by_best_times": round(best["contiguous"] / best["channels_last"], 2),
        "rule": "channels_last" if prefers_channels_last(plain) else "contiguous",
        "images_per_s": round(batch / min(best.values()), 1),
    }


def main() -> None:
    """Measure, print, and write the figures where that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("models", nargs="*", default=MODELS)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path, default=None, help="write the figures to this file")
    given = parser.parse_args()
    rows = {}
    for name in given.models:
        rows[name] = measure(name, given.batch, given.repeats)
        print(f"{name:32}" + "  ".join(f"{key} {value}" for key, value in rows[name].items()), flush=True)
    if given.json:
        setting = f"batch {given.batch}, {torch.get_num_threads()} threads, torch {torch.__version__}"
        given.json.write_text(json.dumps({"setting": setting, "models": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
