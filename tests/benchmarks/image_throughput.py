"""Images per second from a folder of JPEG files to metrics: ptbench beside timm's own `validate.py` recipe.

    python tests/benchmarks/image_throughput.py [--json PATH] [--model resnet50] [--images 256] [--repeats 5]

One process, one model (random weights: speed does not depend on them), the same files, the same batch;
repeats are interleaved and ratios are taken within a repeat. Both start from the names of files and end
with top-1 and top-5 accuracy. timm's side is what `validate.py` runs: `create_dataset`, `create_loader`,
the model, `utils.accuracy` per batch, in its default settings and with as many workers as there are cores.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import timm
import timm.data
import timm.utils
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import save_file

from ptbench import Capability, DataRequest, ModelRequest, Predictions, Reference, Settings, TaskRequest
from ptbench_sklearn.metrics.classification import METRICS
from ptbench_vision import checking, checkpoints, classification, folder

CLASSES = 8
Scores = NDArray[np.float32]
Run = Callable[[], Scores]


def make_folder(root: Path, number: int, seed: int) -> None:
    """Write JPEG files of about the size and the detail of ImageNet's: one folder per class."""
    draw = np.random.default_rng(seed)
    names = timm.data.ImageNetInfo("imagenet-1k").label_names()[:CLASSES]
    for i in range(number):
        width, height = draw.integers(400, 600), draw.integers(300, 450)
        coarse = draw.integers(0, 256, (height // 24, width // 24, 3), dtype=np.uint8)
        smooth = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))
        grain = draw.normal(0, 12, (height, width, 1))
        pixels = np.clip(smooth + grain, 0, 255).astype(np.uint8)
        path = root / names[i % CLASSES] / f"{i:05}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path, quality=90)


def ptbench_run(model: Any, images: Path) -> Run:
    """From the folder through source, adapter (which checks every image), model and metrics."""
    wanted = ("accuracy", "top5_accuracy")
    metrics = [metric for metric in METRICS if metric.name in wanted]
    assert len(metrics) == len(wanted)

    def run() -> Scores:
        checking._known.clear()  # each repeat checks the files as if for the first time
        rows = {"test": folder.SOURCE.load(DataRequest(Reference("folder", str(images))))["all"]}
        task = classification.build(rows, TaskRequest("images", (), {}, "folder"))
        test = task.split("test")
        scores: Scores = model.predict(test.examples)["scores"]
        ids = timm.data.ImageNetInfo("imagenet-1k").label_names()
        target = np.array([ids.index(task.labels[t]) for t in test.targets])
        columns = {"target": target, "prediction": scores.argmax(axis=1), "scores": scores}
        predictions = Predictions(test.examples.ids, columns, tuple(ids))
        for metric in metrics:
            metric.value(metric.rows(predictions).sum(axis=0))  # type: ignore[union-attr]
        return scores

    return run


def timm_run(name: str, weights: Path, images: Path, batch: int, workers: int, *, channels_last: bool) -> Run:
    """The loop of timm's validate.py on the CPU."""
    model = timm.create_model(name, checkpoint_path=str(weights)).eval()
    if channels_last:
        model = model.to(memory_format=torch.channels_last)
    config = timm.data.resolve_data_config({}, model=model)
    ids = timm.data.ImageNetInfo("imagenet-1k").label_names()
    loss = torch.nn.CrossEntropyLoss()

    @torch.inference_mode()
    def run() -> Scores:
        dataset = timm.data.create_dataset("", root=images, class_map={c: i for i, c in enumerate(ids)})
        loader = timm.data.create_loader(
            dataset,
            input_size=config["input_size"],
            batch_size=batch,
            use_prefetcher=False,  # it is for CUDA
            interpolation=config["interpolation"],
            mean=config["mean"],
            std=config["std"],
            num_workers=workers,
            crop_pct=config["crop_pct"],
            crop_mode=config["crop_mode"],
            device=torch.device("cpu"),
        )
        losses, top1, top5 = (timm.utils.AverageMeter() for _ in range(3))
        outputs = []
        for batch_images, target in loader:
            if channels_last:
                batch_images = batch_images.contiguous(memory_format=torch.channels_last)  # noqa: PLW2901
            output = model(batch_images)
            losses.update(loss(output, target).item(), len(target))
            accuracy1, accuracy5 = timm.utils.accuracy(output, target, topk=(1, 5))
            top1.update(accuracy1.item(), len(target))
            top5.update(accuracy5.item(), len(target))
            outputs.append(output)
        return torch.cat(outputs).softmax(-1).numpy()

    return run


def measure(contenders: dict[str, Run], images: int, repeats: int) -> dict[str, dict[str, Any]]:
    """Run all contenders in turn, several times; the first of them is what the others are compared with."""
    outputs = {name: run() for name, run in contenders.items()}  # also warms up
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(repeats):
        for name, run in contenders.items():
            start = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)
    ours, *_ = contenders
    rows = {}
    for name, times in seconds.items():
        ratios = [theirs / mine for mine, theirs in zip(seconds[ours], times, strict=True)]
        rows[name] = {
            "images_per_s": images / statistics.median(times),
            "ptbench_is_faster_by": statistics.median(ratios),
            "ratio_low": min(ratios),
            "ratio_high": max(ratios),
            "argmax_equal": bool((outputs[name].argmax(1) == outputs[ours].argmax(1)).all()),
            "max_abs_difference": float(np.abs(outputs[name] - outputs[ours]).max()),
        }
    return rows


def main() -> None:
    """Measure, print, and write the figures where that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", default="resnet50", help="a timm architecture with 1,000 classes")
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path, default=None, help="write the figures to this file")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with tempfile.TemporaryDirectory() as name:
        images, weights = Path(name) / "images", Path(name) / "weights.safetensors"
        make_folder(images, given.images, seed=0)
        torch.manual_seed(0)
        save_file(timm.create_model(given.model).state_dict(), weights)
        options = {"architecture": f"timm:{given.model}", "label_set": "imagenet-1k"}
        request = ModelRequest(
            Reference("checkpoint", str(weights)),
            options,
            Settings(device="cpu", batch_size=given.batch),
            capability=Capability.PREDICT,
        )
        model: Any = checkpoints.PROVIDER.load(request)
        contenders = {
            "ptbench": ptbench_run(model, images),
            "timm validate.py, 4 workers (its default)": timm_run(
                given.model, weights, images, given.batch, 4, channels_last=False
            ),
            f"timm validate.py, {cores} workers": timm_run(
                given.model, weights, images, given.batch, cores, channels_last=False
            ),
            f"timm validate.py, {cores} workers, --channels-last": timm_run(
                given.model, weights, images, given.batch, cores, channels_last=True
            ),
        }
        before = dict(model.facts.seconds)
        rows = measure(contenders, given.images, given.repeats)
        spent = {key: value - before[key] for key, value in model.facts.seconds.items()}
    shares = {key: value / sum(spent.values()) for key, value in spent.items()}
    setting = (
        f"{given.model} in fp32, layout {model.facts.extra['layout']}; {given.images} JPEG files of about "
        f"500x375, batch {given.batch}; {given.repeats} interleaved repeats, median; CPU, "
        f"{torch.get_num_threads()} threads; torch {torch.__version__}, timm {timm.__version__}"
    )
    print(setting)
    print("the model's time: " + ", ".join(f"{key} {share:.1%}" for key, share in shares.items()))
    for label, row in rows.items():
        same = "equal" if row["argmax_equal"] else "DIFFER"
        print(
            f"{label:52}{row['images_per_s']:8.1f} images/s  ptbench x {row['ptbench_is_faster_by']:.2f} "
            f"({row['ratio_low']:.2f} to {row['ratio_high']:.2f})  argmax {same}  "
            f"max |diff| {row['max_abs_difference']:.1e}"
        )
    if given.json:
        text = json.dumps({"setting": setting, "shares": shares, "rows": rows}, indent=1)
        given.json.write_text(text + "\n")


if __name__ == "__main__":
    main()
