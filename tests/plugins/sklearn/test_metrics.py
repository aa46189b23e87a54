"""Every metric against scikit-learn or SciPy, against the replicated sample, and where it is undefined."""

from __future__ import annotations

import csv
import itertools
import math
import re
import subprocess
import sys
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import stats
from sklearn import metrics as oracle

import ptbench_sklearn
from ptbench import DataError, FileMetric, Predictions, SumMetric, TableMetric
from ptbench.statistics.intervals import score
from ptbench_sklearn.metrics import METRICS

BY_NAME = {metric.name: metric for metric in METRICS}
NUMBERS = [m for m in METRICS if isinstance(m, SumMetric | TableMetric)]
LABELS = ("no", "yes", "maybe", "never")


def compute(name: str, predictions: Predictions, weights: Any = None) -> Any:
    """Return the values of a metric under weights float[..., n], by default each example once."""
    metric = BY_NAME[name]
    weights = np.ones(len(predictions)) if weights is None else np.asarray(weights, dtype=float)
    if isinstance(metric, SumMetric):
        return metric.value(weights @ metric.rows(predictions))
    assert isinstance(metric, TableMetric)
    return metric.compute(predictions, weights)


def of_labels(target: Any, prediction: Any, k: int = 3) -> Predictions:
    columns = {"target": np.asarray(target), "prediction": np.asarray(prediction)}
    return Predictions([f"e{i}" for i in range(len(columns["target"]))], columns, LABELS[:k])


def of_scores(target: Any, scores: Any) -> Predictions:
    scores = np.asarray(scores, dtype=float)
    columns = {"target": np.asarray(target), "prediction": scores.argmax(axis=1), "scores": scores}
    return Predictions([f"e{i}" for i in range(len(scores))], columns, LABELS[: scores.shape[1]])


def of_numbers(target: Any, prediction: Any) -> Predictions:
    columns = {"target": np.asarray(target, dtype=float), "prediction": np.asarray(prediction, dtype=float)}
    return Predictions([f"e{i}" for i in range(len(columns["target"]))], columns)


def positive(*values: float) -> list[list[float]]:
    """Return scores of two labels from the probability of the second."""
    return [[1 - value, value] for value in values]


def quietly(function: Callable[..., Any], *arguments: Any, **options: Any) -> float:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return float(function(*arguments, **options))


def with_average(function: Any, average: str) -> Callable[[Any, Any], float]:
    return lambda t, p: quietly(function, t, p, average=average, zero_division=0)


FUNCTIONS = {
    "precision": oracle.precision_score,
    "recall": oracle.recall_score,
    "f1": oracle.f1_score,
}
FROM_LABELS: dict[str, Callable[[Any, Any], float]] = {
    "accuracy": oracle.accuracy_score,
    "balanced_accuracy": lambda t, p: quietly(oracle.balanced_accuracy_score, t, p),
    "mcc": lambda t, p: math.nan if len(set(t)) < 2 else oracle.matthews_corrcoef(t, p),
    **{
        f"{average}_{name}": with_average(function, average)
        for average in ("macro", "micro", "weighted")
        for name, function in FUNCTIONS.items()
    },
}
BINARY: dict[str, Callable[[Any, Any], float]] = {
    name: lambda t, p, f=function: f(t, p, labels=[0, 1], zero_division=math.nan)  # type: ignore[misc]
    for name, function in FUNCTIONS.items()
}
FROM_NUMBERS: dict[str, Callable[[Any, Any], float]] = {
    "mse": oracle.mean_squared_error,
    "rmse": oracle.root_mean_squared_error,
    "mae": oracle.mean_absolute_error,
    "r2": oracle.r2_score,
    "pearson": lambda t, p: stats.pearsonr(t, p)[0],
    "spearman": lambda t, p: stats.spearmanr(t, p)[0],
}


def _over_labels(function: Callable[[Any, Any], float]) -> Callable[[Any, Any], float]:
    """Return the mean over the labels for which one against the rest is defined."""

    def mean(target: Any, scores: Any) -> float:
        present = [k for k in range(scores.shape[1]) if (target == k).sum() > 0]
        return float(np.mean([function(target == k, scores[:, k]) for k in present]))

    return mean


FROM_SCORES: dict[str, Callable[[Any, Any], float]] = {
    "log_loss": lambda t, s: quietly(oracle.log_loss, t, s, labels=range(s.shape[1])),
    "roc_auc_ovr": _over_labels(oracle.roc_auc_score),
    "average_precision_ovr": _over_labels(oracle.average_precision_score),
}

pairs = st.integers(2, 4).flatmap(
    lambda k: st.tuples(
        st.just(k), st.lists(st.tuples(st.integers(0, k - 1), st.integers(0, k - 1)), min_size=1, max_size=30)
    )
)
tied_numbers = st.lists(st.tuples(st.integers(-3, 3), st.integers(-3, 3)), min_size=3, max_size=30)
any_numbers = arrays.arrays(
    float, st.tuples(st.integers(3, 20), st.just(2)), elements=st.floats(-1e6, 1e6, width=32)
)


@st.composite
def scored(draw: st.DrawFn, labels: int = 0) -> Predictions:
    """Draw targets and probabilities with ties, absent labels and zeros."""
    k = labels or draw(st.integers(2, 4))
    n = draw(st.integers(2, 25))
    target = draw(arrays.arrays(np.int64, n, elements=st.integers(0, k - 1)))
    parts = draw(arrays.arrays(float, (n, k), elements=st.integers(0, 4).map(float)))
    parts[parts.sum(axis=1) == 0] = 1
    return of_scores(target, parts / parts.sum(axis=1, keepdims=True))


# Values equal those of scikit-learn and SciPy


@settings(deadline=None)
@given(pairs)
def test_label_metrics_equal_scikit_learn(case: tuple[int, list[tuple[int, int]]]) -> None:
    k, rows = case
    target, prediction = np.array(rows).T
    predictions = of_labels(target, prediction, k)
    for name, expected in FROM_LABELS.items():
        assert compute(name, predictions) == pytest.approx(
            expected(target, prediction), abs=1e-9, nan_ok=True
        ), name


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=1, max_size=30))
def test_binary_metrics_equal_scikit_learn(rows: list[tuple[int, int]]) -> None:
    target, prediction = np.array(rows).T
    for name, expected in BINARY.items():
        assert compute(name, of_labels(target, prediction, 2)) == pytest.approx(
            expected(target, prediction), abs=1e-9, nan_ok=True
        ), name


@settings(deadline=None)
@given(scored())
def test_score_metrics_equal_scikit_learn(predictions: Predictions) -> None:
    assume(len(set(predictions["target"])) > 1)
    for name, expected in FROM_SCORES.items():
        found = compute(name, predictions)
        assert found == pytest.approx(expected(predictions["target"], predictions["scores"]), abs=1e-9), name


@settings(deadline=None)
@given(scored(labels=2))
def test_binary_score_metrics_equal_scikit_learn(predictions: Predictions) -> None:
    target, scores = predictions["target"], predictions["scores"][:, 1]
    assume(len(set(target)) > 1)
    assert compute("roc_auc", predictions) == pytest.approx(oracle.roc_auc_score(target, scores), abs=1e-9)
    assert compute("average_precision", predictions) == pytest.approx(
        oracle.average_precision_score(target, scores), abs=1e-9
    )


def test_roc_auc_ovr_equals_scikit_learn_by_its_own_name() -> None:
    rng = np.random.default_rng(0)
    scores = rng.dirichlet(np.ones(4), 200)
    target = rng.integers(0, 4, 200)
    assert compute("roc_auc_ovr", of_scores(target, scores)) == pytest.approx(
        oracle.roc_auc_score(target, scores, multi_class="ovr"), abs=1e-9
    )
    one_hot = target[:, None] == np.arange(4)
    assert compute("average_precision_ovr", of_scores(target, scores)) == pytest.approx(
        oracle.average_precision_score(one_hot, scores, average="macro"), abs=1e-9
    )


READS = {"r2": ("target",), "pearson": ("target", "prediction"), "spearman": ("target", "prediction")}
"""The columns that must vary."""


def _check_numbers(target: Any, prediction: Any) -> None:
    """Compare with the oracles where those are defined and know their own digits."""
    columns = {"target": target, "prediction": prediction}
    for name, expected in FROM_NUMBERS.items():
        found = compute(name, of_numbers(target, prediction))
        varying = [columns[column] for column in READS.get(name, ())]
        if any(len(set(values)) < 2 for values in varying):
            assert math.isnan(found), name
        elif name != "pearson" or all(np.ptp(v) > 1e-6 * np.abs(v).max() for v in varying):
            # (for numbers that vary less, SciPy itself warns that its answer may be off)
            assert found == pytest.approx(expected(target, prediction), rel=1e-9, abs=1e-9), name


@settings(deadline=None)
@given(tied_numbers)
def test_number_metrics_equal_the_oracles_with_ties(rows: list[tuple[int, int]]) -> None:
    target, prediction = np.array(rows, dtype=float).T
    _check_numbers(target, prediction)


@settings(deadline=None)
@given(any_numbers)
def test_number_metrics_equal_the_oracles(rows: Any) -> None:
    target, prediction = rows.T
    assume(np.ptp(target) == 0 or np.ptp(target) > 1e-6)
    _check_numbers(target, prediction)


@pytest.mark.parametrize("offset", [0.0, 1e4, 1e8, 1e12])
def test_a_large_offset_costs_no_digits(offset: float) -> None:
    """Numbers are multiples of 1/1024, so that adding the offset rounds nothing."""
    target, noise = np.random.default_rng(1).integers(-4096, 4096, (2, 300)) / 1024
    prediction = target + noise
    for name, expected in FROM_NUMBERS.items():
        found = compute(name, of_numbers(target + offset, prediction + offset))
        assert found == pytest.approx(expected(target, prediction), rel=1e-9), name


def test_ece_equals_its_definition() -> None:
    """Guo et al. (2017), equation 3, as a loop over bins that are open on the left."""
    rng = np.random.default_rng(2)
    scores = rng.dirichlet(np.ones(3), 500)
    scores[:15] = [[i / 15, 1 - i / 15, 0] for i in range(15)]  # on the edges of bins
    target = rng.integers(0, 3, 500)
    confidence, hit = scores.max(axis=1), scores.argmax(axis=1) == target
    edges, expected = np.linspace(0, 1, 16), 0.0
    for low, high in itertools.pairwise(edges):
        inside = (confidence > low) & (confidence <= high)
        if inside.any():
            expected += inside.mean() * abs(hit[inside].mean() - confidence[inside].mean())
    assert compute("ece", of_scores(target, scores)) == pytest.approx(expected, abs=1e-12)


def test_ece_of_known_cases() -> None:
    certain = of_scores([1, 1, 1, 0], positive(1, 1, 1, 1))
    assert compute("ece", certain) == pytest.approx(0.25)
    calibrated = of_scores([1, 1, 1, 0], positive(0.75, 0.75, 0.75, 0.75))
    assert compute("ece", calibrated) == pytest.approx(0, abs=1e-12)


# Weights are replication, and shapes are kept


def _shares(rng: np.random.Generator, n: int) -> Any:
    """Return probabilities of four labels with ties and without zeros."""
    parts = rng.integers(1, 6, (n, 4))
    return parts / parts.sum(axis=1, keepdims=True)


SAMPLES: dict[str, Callable[[np.random.Generator, int], Predictions]] = {
    "labels": lambda rng, n: of_scores(
        rng.integers(0, 2, n),
        positive(*rng.integers(0, 6, n) / 5),  # with ties
    ),
    "more labels": lambda rng, n: of_scores(rng.integers(0, 4, n), _shares(rng, n)),
    "numbers": lambda rng, n: of_numbers(rng.integers(0, 5, n), rng.normal(size=n).round(1)),
}


def _sample(metric: Any, rng: np.random.Generator, n: int) -> Predictions:
    kind = "numbers" if metric.target == "number" else "labels" if metric.binary else "more labels"
    return SAMPLES[kind](rng, n)


@pytest.mark.parametrize("metric", NUMBERS, ids=lambda metric: metric.name)
@pytest.mark.parametrize("seed", range(5))
def test_a_weight_is_how_often_a_row_counts(metric: Any, seed: int) -> None:
    rng = np.random.default_rng(seed)
    predictions = _sample(metric, rng, 15)
    weights = rng.integers(0, 4, (2, 3, 15))
    found = compute(metric.name, predictions, weights)
    assert found.shape == (2, 3)
    for place in np.ndindex(2, 3):
        replicated = predictions.take(np.repeat(np.arange(15), weights[place]))
        assert found[place] == pytest.approx(compute(metric.name, replicated), abs=1e-9, nan_ok=True)
    assert np.isnan(compute(metric.name, predictions, np.zeros((1, 15)))).all()


@pytest.mark.parametrize("metric", NUMBERS, ids=lambda metric: metric.name)
def test_a_row_depends_on_its_own_example_alone(metric: Any) -> None:
    predictions = _sample(metric, np.random.default_rng(3), 30)
    if isinstance(metric, SumMetric):
        some = [7, 3, 3, 29]
        np.testing.assert_array_equal(metric.rows(predictions.take(some)), metric.rows(predictions)[some])


@pytest.mark.parametrize("metric", NUMBERS, ids=lambda metric: metric.name)
@pytest.mark.parametrize("clusters", [None, 50])
def test_every_metric_has_an_interval_around_its_value(metric: Any, clusters: int | None) -> None:
    sample = _sample(metric, np.random.default_rng(4), 200)
    if clusters:
        sample = replace(sample, clusters=[f"c{i % clusters}" for i in range(200)])
    found = score(metric, sample)
    assert found.ci_low < found.ci_high
    assert metric.bounds[0] <= found.ci_low <= found.value <= found.ci_high <= metric.bounds[1]
    told = "always 1: there are 4 labels for 5 guesses" if metric.name == "top5_accuracy" else ""
    assert (found.caveat, found.clusters) == (told, clusters)


@pytest.mark.parametrize("metric", NUMBERS, ids=lambda metric: metric.name)
def test_the_interval_is_about_the_bootstraps(metric: Any) -> None:
    """On many examples all good intervals agree; `ece` resampled is biased, but spreads alike."""
    sample = _sample(metric, np.random.default_rng(6), 800)
    drawn = score(replace(metric, interval="bootstrap", **_no_proportion(metric)), sample, resamples=2_000)
    found = score(metric, sample)
    if metric.name != "top5_accuracy":
        assert found.half_width == pytest.approx(drawn.half_width, rel=0.15 if metric.name == "ece" else 0.08)


def _no_proportion(metric: Any) -> dict[str, None]:
    return {"proportion": None} if isinstance(metric, SumMetric) else {}


MOVES = [metric for metric in NUMBERS if isinstance(metric, TableMetric)]


@pytest.mark.parametrize("metric", MOVES, ids=lambda metric: metric.name)
@pytest.mark.parametrize("n", [20, 300])
def test_moves_are_what_leaving_out_each_example_gives(metric: TableMetric, n: int) -> None:
    sample = _sample(metric, np.random.default_rng(n), n)
    assert metric.moves is not None
    value = metric.compute(sample, np.ones(n))
    by_hand = (n - 1) * (value - metric.compute(sample, 1 - np.eye(n)))
    # Spearman's leave out how an example's two ranks move together, a share of 1 / n.
    near = 2 / n * np.abs(by_hand).max() if metric.name == "spearman" else 1e-9
    assert metric.moves(sample) == pytest.approx(by_hand, abs=near)


@pytest.mark.parametrize("name", ["roc_auc", "average_precision"])
def test_without_the_only_positive_there_is_no_interval(name: str) -> None:
    metric = BY_NAME[name]
    assert isinstance(metric, TableMetric)
    found = score(metric, of_scores([0, 1, 0, 0], positive(0.1, 0.6, 0.7, 0.2)))
    assert not math.isnan(found.value)
    assert math.isnan(found.ci_low)
    assert found.caveat == "the interval is undefined, as is the metric without any of 1 examples"


# Where a metric is undefined or a convention speaks, it says so


ALL_NO, ALL_YES, MIXED = [0, 0, 0], [1, 1, 1], [0, 1, 0]
HALF = positive(0.5, 0.5, 0.5)
VARIED = positive(0.1, 0.9, 0.4)
UNDEFINED = {
    "precision": (of_labels(MIXED, ALL_NO, 2), "undefined: 'yes' is never predicted"),
    "recall": (of_labels(ALL_NO, MIXED, 2), "undefined: no example is 'yes'"),
    "f1": (of_labels(ALL_NO, ALL_NO, 2), "undefined: no example is 'yes' and none is predicted to be"),
    "mcc": (of_labels(ALL_YES, MIXED), "undefined: all examples have one label"),
    "roc_auc": (of_scores(ALL_NO, VARIED), "undefined: all examples have one label"),
    "roc_auc_ovr": (of_scores(ALL_YES, VARIED), "undefined: all examples have one label"),
    "average_precision": (of_scores(ALL_NO, VARIED), "undefined: no example is 'yes'"),
    "r2": (of_numbers([0.1] * 3, [1, 2, 3]), "undefined: every target is 0.1"),
    "pearson": (of_numbers([1, 2, 3], [0.1] * 3), "undefined: every prediction is 0.1"),
    "spearman": (of_numbers([7] * 3, [1, 2, 3]), "undefined: every target is 7"),
}
CONVENTIONS = {
    "f1": (of_labels(MIXED, ALL_NO, 2), 0, ""),
    "recall": (of_labels(MIXED, ALL_NO, 2), 0, ""),
    "precision": (of_labels(ALL_NO, MIXED, 2), 0, ""),
    "mcc": (of_labels(MIXED, ALL_NO), 0, "0 by convention: one label is predicted for all examples"),
    "macro_precision": (
        of_labels(MIXED, ALL_NO),
        1 / 3,
        "1 of 3 labels occur in no target and no prediction and are left out; "
        "1 of 3 labels are never predicted, so their precision counts as 0",
    ),
    "macro_recall": (
        of_labels(ALL_NO, MIXED, 2),
        1 / 3,
        "1 of 2 labels are predicted but no target, so their recall counts as 0",
    ),
    "macro_f1": (
        of_labels(MIXED, MIXED, 4),
        1,
        "2 of 4 labels occur in no target and no prediction and are left out",
    ),
    "weighted_precision": (
        of_labels(MIXED, ALL_NO, 2),
        4 / 9,
        "1 of 2 labels are never predicted, so their precision counts as 0",
    ),
    "balanced_accuracy": (
        of_labels(ALL_NO, MIXED, 2),
        2 / 3,
        "1 of 2 labels are no target and are left out",
    ),
    "average_precision": (of_scores(ALL_YES, VARIED), 1, "1 for any scores: all examples are 'yes'"),
    "average_precision_ovr": (
        of_scores(ALL_YES, VARIED),
        1,
        "1 for any scores: all examples have one label",
    ),
    "roc_auc_ovr": (
        of_scores(MIXED, [[0.8, 0.2, 0.0]] * 3),
        0.5,
        "1 of 3 labels are no target and are left out",
    ),
    "roc_auc": (of_scores(MIXED, HALF), 0.5, ""),
    "log_loss": (
        of_scores([0, 1], [[1.0, 0.0], [1.0, 0.0]]),
        -math.log(2**-52) / 2,
        "the target's probability was clipped to 2.2e-16 for 1 of 2 examples",
    ),
    "ece": (
        of_scores([0, 1], [[0.5, 0.9], [0.5, 0.5]]),
        0.7,
        "the scores of 1 of 2 examples are no probabilities",
    ),
}


@pytest.mark.parametrize(("name", "case"), UNDEFINED.items(), ids=list(UNDEFINED))
def test_undefined_is_nan_and_says_why(name: str, case: tuple[Predictions, str]) -> None:
    predictions, caveat = case
    metric = BY_NAME[name]
    assert isinstance(metric, SumMetric | TableMetric)
    found = score(metric, predictions)
    assert math.isnan(found.value)
    assert math.isnan(found.ci_low)
    assert found.caveat == caveat


@pytest.mark.parametrize(("name", "case"), CONVENTIONS.items(), ids=list(CONVENTIONS))
def test_conventions_are_stated(name: str, case: tuple[Predictions, float, str]) -> None:
    predictions, value, caveat = case
    metric = BY_NAME[name]
    assert isinstance(metric, SumMetric | TableMetric)
    assert compute(name, predictions) == pytest.approx(value)
    assert (metric.caveat(predictions) or "") == caveat


@pytest.mark.parametrize("metric", NUMBERS, ids=lambda metric: metric.name)
def test_one_example_and_constant_predictions_warn_of_nothing(metric: Any) -> None:
    rng = np.random.default_rng(5)
    for some in ([0], [0] * 5):
        found = score(metric, _sample(metric, rng, 3).take(some))
        assert found.caveat or not math.isnan(found.value)


def test_a_position_outside_the_labels_is_an_error() -> None:
    for prediction, says in ((-1, "is -1"), (3, "is 3")):
        with pytest.raises(DataError, match=f"prediction of example 'e1' {says}, but there are 3 labels"):
            compute("accuracy", of_labels([0, 1], [0, prediction]))


# The confusion matrix


def test_confusion_matrix_counts_and_disarms_labels(tmp_path: Path) -> None:
    metric = BY_NAME["confusion_matrix"]
    assert isinstance(metric, FileMetric)
    names = ("plain", '=HYPERLINK("x"),y', "+1", "-1", "@a", "two\nlines")
    rng = np.random.default_rng(6)
    target, prediction = rng.integers(0, 6, (2, 100))
    predictions = Predictions(
        [str(i) for i in range(100)], {"target": target, "prediction": prediction}, names
    )
    path = tmp_path / f"matrix{metric.suffix}"
    metric.write(predictions, path)
    with path.open(encoding="utf-8", newline="") as file:
        head, *rows = csv.reader(file)
    safe = ["plain", '\'=HYPERLINK("x"),y', "'+1", "'-1", "'@a", "two\nlines"]
    assert head == ["target", *safe]
    assert [row[0] for row in rows] == safe
    counts = np.array([[int(cell) for cell in row[1:]] for row in rows])
    np.testing.assert_array_equal(counts, oracle.confusion_matrix(target, prediction, labels=range(6)))


# What is offered


def test_every_metric_has_a_row_in_the_document() -> None:
    text = (Path(ptbench_sklearn.__file__).parent / "METRICS.md").read_text("utf-8")
    rows = {cells[1].strip(" `"): cells for line in text.splitlines() if len(cells := line.split("|")) == 7}
    names = [name for name in rows if re.fullmatch(r"[a-z0-9_]+", name) and name != "metric"]
    assert sorted(names) == sorted(BY_NAME)
    for metric in METRICS:
        cells = [cell.strip() for cell in rows[metric.name]]
        if isinstance(metric, FileMetric):
            assert cells[2] == "file"
            continue
        assert cells[2] == ("higher" if metric.higher_is_better else "lower"), metric.name
        interval = "wilson" if isinstance(metric, SumMetric) and metric.proportion else metric.interval
        shape = "sums" if isinstance(metric, SumMetric) else "table"
        assert cells[4] == f"{interval}, {shape}", metric.name


def test_names_are_unique_and_nothing_heavy_is_imported() -> None:
    assert len(BY_NAME) == len(METRICS)
    code = "import sys, ptbench_sklearn.metrics; sys.exit(bool({'sklearn', 'scipy'} & set(sys.modules)))"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert all(not metric.requires for metric in METRICS)


def of_many(target: Any, scores: Any) -> Predictions:
    """Return predictions over as many labels as there are scores in a row."""
    scores = np.asarray(scores, dtype=float)
    columns = {"target": np.asarray(target), "prediction": scores.argmax(axis=1), "scores": scores}
    names = tuple(f"label {i}" for i in range(scores.shape[1]))
    return Predictions([f"e{i}" for i in range(len(scores))], columns, names)


@given(k=st.integers(6, 12), n=st.integers(1, 30), seed=st.integers(0, 99))
def test_top5_accuracy_is_scikit_learns_without_ties(k: int, n: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    scores = random.permuted(np.tile(np.arange(1, k + 1), (n, 1)), axis=1) / (k * (k + 1) / 2)
    target = random.integers(0, k, n)
    expected = oracle.top_k_accuracy_score(target, scores, k=5, labels=np.arange(k))
    assert compute("top5_accuracy", of_many(target, scores)) == pytest.approx(expected)


def test_top5_accuracy_breaks_ties_as_the_prediction_does() -> None:
    equal = np.full((8, 8), 1 / 8)
    assert BY_NAME["top5_accuracy"].rows(of_many(range(8), equal))[:, 0].tolist() == [1] * 5 + [0] * 3  # type: ignore[union-attr]
    first = of_many([4, 5], np.array([[0, 0, 0, 0, 0, 0, 1.0]] * 2))
    assert compute("top5_accuracy", first) == 0  # after the best come 0 to 3


def test_top5_accuracy_of_five_labels_says_nothing() -> None:
    caveat = BY_NAME["top5_accuracy"].caveat  # type: ignore[union-attr]
    five, six = (of_many([0, 1], np.full((2, k), 1 / k)) for k in (5, 6))
    assert compute("top5_accuracy", five) == 1
    assert caveat(five) == "always 1: there are 5 labels for 5 guesses"
    assert caveat(six) is None
