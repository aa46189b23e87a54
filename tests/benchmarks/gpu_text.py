"""Texts on a GPU: how much of its matrix peak an evaluation uses, and ptbench beside `Trainer.predict`.

    python -m tests.benchmarks.gpu_text [--json PATH] [--texts 20000] [--batch-tokens N] [--tiny]

A network of the size of BERT-base (random weights: speed does not depend on them) with a head of three
classes reads texts of exactly 128 tokens, in the precision that ``auto`` stands for; `Trainer.predict`
computes in the same one, as many texts at once, but is given them tokenised. The peak is measured in
the same process, by products of large matrices in that precision. What a text costs is counted as twice the
multiply-adds of its matrix products, attention included; the share is that of the model's own time and of
all of it, from raw texts to NumPy. With --tiny everything is small, to see on a CPU that it runs.
"""

from __future__ import annotations

import argparse
import json
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
from numpy.typing import NDArray
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from ptbench import Capability, Examples, ModelRequest, Reference, Settings
from ptbench_hf.models import PROVIDER
from ptbench_torch.passes import synchronize

LABELS = ("negative", "neutral", "positive")
WORDS = 1000
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
Array = NDArray[np.floating[Any]]


def make_checkpoint(folder: Path, *, tiny: bool) -> int:
    """Save a network with random weights and a tokenizer of whole words; return the tokens of a text."""
    tokens = 16 if tiny else 128
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    ids = {word: i for i, word in enumerate([*special, *(f"w{i}" for i in range(WORDS))])}
    tokenizer = Tokenizer(models.WordLevel(ids, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    ends = [(end, ids[end]) for end in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ends)
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, model_max_length=tokens, **names
    ).save_pretrained(folder)
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    label = dict(enumerate(LABELS))
    config = transformers.BertConfig(
        vocab_size=30522,
        id2label=label,
        label2id={name: i for i, name in label.items()},
        **(sizes if tiny else {}),
    )
    torch.manual_seed(0)
    transformers.BertForSequenceClassification(config).save_pretrained(folder)
    return tokens


def make_texts(number: int, tokens: int) -> list[str]:
    """Return texts of exactly so many tokens, with the two that frame them."""
    draw = np.random.default_rng(0).integers(0, WORDS, (number, tokens - 2))
    return [" ".join(f"w{i}" for i in row) for row in draw]


def trainer_run(
    folder: Path, texts: list[str], model: Any, precision: str, batch: int
) -> Callable[[], Array]:
    """`Trainer.predict` in its own loop, over texts that were tokenised before."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    rows = [{"input_ids": ids} for ids in tokenizer(texts, truncation=True)["input_ids"]]
    network = transformers.AutoModelForSequenceClassification.from_pretrained(folder)
    settings = transformers.TrainingArguments(
        output_dir=str(folder / "trainer"),
        per_device_eval_batch_size=batch,
        bf16_full_eval=precision == "bf16",
        use_cpu=model.facts.device == "cpu",
        report_to=[],
        disable_tqdm=True,
    )
    trainer = transformers.Trainer(network, settings, processing_class=tokenizer)
    return lambda: np.asarray(trainer.predict(rows).predictions)  # type: ignore[arg-type]


def peak_flops(device: torch.device, dtype: torch.dtype, size: int, seconds: float) -> float:
    """Return the most operations a second of products of square matrices, over several windows."""
    a, b = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    for _ in range(3):
        a @ b
    best, until = 0.0, time.perf_counter() + seconds
    while time.perf_counter() < until:
        synchronize(device)
        started = time.perf_counter()
        for _ in range(10):
            a @ b
        synchronize(device)
        best = max(best, 10 * 2 * size**3 / (time.perf_counter() - started))
    return best


def main() -> None:
    """Measure, print, and write the figures where that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--texts", type=int, default=None, help="20,000; with --tiny 64")
    parser.add_argument("--batch-tokens", type=int, default=None)
    parser.add_argument("--repeats", type=int, default=None, help="5; with --tiny 2")
    parser.add_argument("--tiny", action="store_true", help="all is small: does it run?")
    parser.add_argument("--json", type=Path, default=None, help="write the figures to this file")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    number, repeats = given.texts or (64 if given.tiny else 20_000), given.repeats or (2 if given.tiny else 5)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tokens = make_checkpoint(folder, tiny=given.tiny)
        texts = make_texts(number, tokens)
        settings = Settings(batch_tokens=given.batch_tokens)
        reference = Reference("hf", str(folder))
        model: Any = PROVIDER.load(ModelRequest(reference, {}, settings, capability=Capability.PREDICT))
        facts = model.facts
        device = torch.device(facts.device)
        batch = max(1, facts.extra["batch"]["used"] // tokens)
        examples = Examples([str(i) for i in range(number)], {"text": texts})
        runs: dict[str, Callable[[], Array]] = {
            "ptbench": lambda: model.predict(examples)["scores"],
            f"Trainer.predict (batch {batch})": trainer_run(folder, texts, model, facts.precision, batch),
        }
        outputs = {label: run() for label, run in runs.items()}  # also warms up
        before = dict(model.facts.seconds)
        seconds: dict[str, list[float]] = {label: [] for label in runs}
        for _ in range(repeats):
            for label, run in runs.items():
                started = time.perf_counter()
                run()
                seconds[label].append(time.perf_counter() - started)
        spent = {key: value - before[key] for key, value in model.facts.seconds.items()}
        facts = model.facts
    ours, theirs = runs
    ratios = [slow / fast for fast, slow in zip(seconds[ours], seconds[theirs], strict=True)]
    operations = 2 * facts.operations.macs * number
    size, window = (256, 0.2) if given.tiny else (8192, 5.0)
    peak = peak_flops(device, DTYPES[facts.precision], size, window)
    where = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
    rates = {label: number / statistics.median(times) for label, times in seconds.items()}
    figures = {
        "device": where,
        "precision": facts.precision,
        "attention": facts.extra.get("attention"),
        "batch": facts.extra["batch"],
        "texts_per_s": rates,
        "ptbench_is_faster_by": statistics.median(ratios),
        "ratio_low": min(ratios),
        "ratio_high": max(ratios),
        "peak_tflops": peak / 1e12,
        "share_of_peak": operations / statistics.median(seconds[ours]) / peak,
        "share_of_peak_while_computing": operations * repeats / spent["compute"] / peak,
        "tokenizing_share": spent["decode"] / sum(spent.values()),
        "argmax_equal": float((outputs[ours].argmax(1) == outputs[theirs].argmax(1)).mean()),
    }
    setting = (
        f"{'a tiny BERT' if given.tiny else 'BERT-base'} with random weights, {number:,} texts of {tokens} "
        f"tokens, {facts.precision}, {repeats} interleaved repeats, median; {where}; "
        f"torch {torch.__version__}, transformers {transformers.__version__}"
    )
    print(setting)
    for key, value in figures.items():
        print(f"{key:32}{value}")
    if given.json:
        given.json.write_text(json.dumps({"setting": setting, **figures}, indent=1) + "\n")


if __name__ == "__main__":
    main()
