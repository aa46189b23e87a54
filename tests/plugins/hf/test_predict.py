"""Predictions with the head of a checkpoint: those of transformers, one text at a time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import transformers  # noqa: E402

from ptbench import Settings  # noqa: E402

Load = Callable[..., Any]
Folders = Callable[[str], Path]

FIRST = ["good film", "", "a very bad plot, dull and poor " * 5, "\U0001f600", "great !"]
SECOND = ["bad", "the film was not very great", "", "good " * 60, "x"]


def logits(folder: Path, *texts: str) -> Any:
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(folder).eval()
    encoded = tokenizer(*texts, truncation=True, max_length=64, return_tensors="pt")
    if "distil" in folder.name:
        encoded.pop("token_type_ids", None)
    if not encoded["input_ids"].numel():  # an empty text is read as a space
        encoded = tokenizer(" ", return_tensors="pt")
    with torch.inference_mode():
        return model(**encoded).logits[0]


@pytest.mark.parametrize("name", ["named", "distilbert", "gpt2_classifier"])
@pytest.mark.parametrize("pair", [False, True])
def test_scores_are_probabilities_in_the_order_of_the_labels(
    name: str, pair: bool, made: Folders, load: Load, texts: Any
) -> None:
    model = load(made(name), "predict")
    scores = model.predict(texts(FIRST, SECOND) if pair else texts(FIRST))["scores"]
    assert scores.dtype == np.float32
    assert scores.shape == (5, len(model.facts.labels))
    assert scores.sum(1) == pytest.approx(1)
    rows = zip(FIRST, SECOND, strict=True) if pair else ((text,) for text in FIRST)
    for row, ours in zip(rows, scores, strict=True):
        assert ours == pytest.approx(logits(made(name), *row).softmax(-1).numpy(), abs=1e-5)


def test_a_number(made: Folders, load: Load, texts: Any) -> None:
    model = load(made("regression"), "predict", kind="sentence-similarity")
    assert model.facts.labels == ()
    values = model.predict(texts(FIRST, SECOND))["prediction"]
    assert values.dtype == np.float64
    assert values.shape == (5,)
    for first, second, value in zip(FIRST, SECOND, values, strict=True):
        assert value == pytest.approx(logits(made("regression"), first, second).item(), abs=1e-5)


@pytest.mark.parametrize("name", ["named", "gpt2_classifier"])
def test_batches_change_nothing(name: str, made: Folders, load: Load, texts: Any) -> None:
    expected = load(made(name), "predict").predict(texts(FIRST))["scores"]
    for batch_tokens in (1, 30, 10**5):
        settings = Settings(device="cpu", batch_tokens=batch_tokens)
        scores = load(made(name), "predict", settings=settings).predict(texts(FIRST))["scores"]
        assert scores == pytest.approx(expected, abs=1e-5)


def test_a_head_that_reads_the_padding_gets_none(made: Folders, load: Load, texts: Any) -> None:
    """XLNet's reads the last place of a row: with padding there, scores would depend on the batch."""
    model = load(made("xlnet_classifier"), "predict")
    assert model.facts.extra["batches"] == "texts of one length (padding would change the output)"
    scores = model.predict(texts(FIRST))["scores"]
    for text, ours in zip(FIRST, scores, strict=True):
        assert ours == pytest.approx(logits(made("xlnet_classifier"), text).softmax(-1).numpy(), abs=1e-5)
    assert "batches" not in load(made("named"), "predict").facts.extra


def test_nothing_at_all(made: Folders, load: Load, texts: Any) -> None:
    assert load(made("named"), "predict").predict(texts([]))["scores"].shape == (0, 3)
    assert load(made("regression"), "predict").predict(texts([], []))["prediction"].shape == (0,)


def test_labels_of_the_suite_name_the_scores(made: Folders, load: Load, texts: Any) -> None:
    given = load(made("unnamed"), "predict", labels=["bad", "good"])
    assert given.facts.labels == ("bad", "good")
    scores = given.predict(texts(["good film"]))["scores"][0]
    assert scores == pytest.approx(logits(made("unnamed"), "good film").softmax(-1).numpy(), abs=1e-5)
