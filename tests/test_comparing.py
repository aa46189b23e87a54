"""Two runs side by side, and models within one: small runs of the command line, and what was done to them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from ptbench import Predictions, Record, Report, Score, Status, UsageError, journal, store
from ptbench.catalog import Catalog, load_catalog
from ptbench.comparison import Change, Comparison
from ptbench.failures import new_record
from ptbench.records import Cell, ModelSpec, TaskSpec
from ptbench.runner.comparing import compare_all, compare_runs, compare_sides
from ptbench.runner.ranking import rank
from ptbench.statistics.intervals import values_of
from ptbench.statistics.multiple import holm

N = 400
IDS = [f"{i:04}" for i in range(N)]
TARGET = np.arange(N) % 2


@pytest.fixture(scope="module")
def offers() -> Catalog:
    return load_catalog()


Made = Callable[..., Report]


def wrong(*where: range) -> np.ndarray[Any, Any]:
    """Return predictions that are wrong just there."""
    prediction = TARGET.copy()
    for part in where:
        prediction[part.start : part.stop] = 1 - prediction[part.start : part.stop]
    return prediction


@pytest.fixture
def made(tmp_path: Path, offers: Catalog) -> Made:
    """Write a run by hand: what each (model, task, protocol, seed) predicts, or why it failed."""

    def make(
        name: str, cells: dict[tuple[Any, ...], Any], run: dict[str, Any] | None = None, **facts: Any
    ) -> Report:
        folder = tmp_path / "s" / name
        folder.mkdir(parents=True)
        store.write_json(folder / store.RUN, {"suite": "s", "run": name, "status": "finished", **(run or {})})
        for key, predicted in cells.items():
            model, task, *rest = key
            protocol, seed = (*rest, "as_is", 0)[:2] if len(rest) < 2 else rest
            cell = Cell("s", ModelSpec(model, f"x:{model}"), TaskSpec(task, "a", "d:e"), protocol, seed=seed)
            if isinstance(predicted, str):
                record = new_record(cell, name, Status.FAILED, predicted)
            else:
                table = Predictions(
                    IDS[: len(predicted)],
                    {"target": TARGET[: len(predicted)], "prediction": predicted},
                    ("n", "y"),
                )
                record = kept(folder, cell, table, offers)
            journal.append_record(folder, replace(record, **facts))
        return store.read_report(folder)

    return make


def kept(folder: Path, cell: Cell, table: Predictions, offers: Catalog) -> Record:
    """Return the record of a cell that predicted this, as an evaluation leaves it."""
    file = f"predictions/{cell.id}.parquet"
    store.write_predictions(folder / file, table)
    scores = tuple(
        Score(name, values_of(offers.metric(name), [table])[0], 0.0, 1.0, len(table), True, "wilson")  # type: ignore[arg-type]
        for name in ("accuracy", "f1")
    )
    return new_record(
        cell, folder.name, Status.OK, scores=scores, primary="accuracy", files=(file,), n=len(table)
    )


def edited(report: Report, **facts: Any) -> Report:
    """Return the report with other facts in all of its records."""
    return replace(report, records=tuple(replace(record, **facts) for record in report.records))


def verdicts(found: Comparison) -> list[tuple[str, Change]]:
    return [(row.title, row.verdict) for row in found.rows]


def only(found: Comparison) -> Any:
    (row,) = found.rows
    return row


def test_real_runs_of_the_same_are_the_same(
    ptbench: Any, suite: Path, tmp_path: Path, offers: Catalog
) -> None:
    for _ in range(2):
        ptbench("run", suite, "--output", tmp_path / "out", "--fresh")
    a, b = (store.read_report(path) for path in sorted(tmp_path.glob("out/*/*")))
    found = compare_runs(a, b, offers)
    assert verdicts(found) == [
        ("majority x mine x linear_probe", Change.SAME),
        ("words x mine x linear_probe", Change.SAME),
    ]
    assert [d.metric for d in found.rows[0].differences] == ["accuracy", "f1"]
    assert (found.a, found.b) == (f"small/{a.folder.name}", f"small/{b.folder.name}")
    assert (found.environment, [row.differs for row in found.rows]) == ((), [(), ()])
    beside = compare_sides(a, "majority", a, "words", offers)
    assert verdicts(beside) == [("majority -> words x mine x linear_probe", Change.BETTER)]
    assert (beside.a, beside.b) == ("majority", "words")


def test_a_verdict_is_holms_over_the_rows_that_differ(made: Made, offers: Catalog) -> None:
    a = made("a", {("m", "t"): wrong(range(40)), ("m", "u"): wrong(range(40)), ("m", "v"): wrong()})
    now = {("m", "t"): wrong(range(60)), ("m", "u"): wrong(range(30)), ("m", "v"): wrong()}
    found = compare_runs(a, made("b", now), offers)
    assert [row.verdict for row in found.rows] == [Change.WORSE, Change.BETTER, Change.SAME]
    assert [row.primary.adjusted for row in found.rows[:2] if row.primary] == pytest.approx(
        holm([stats.binomtest(k, k + m).pvalue for k, m in ((0, 20), (10, 0))]), rel=1e-9
    )
    worse, _, same = (row.primary for row in found.rows)
    assert worse
    assert (worse.gained, worse.lost) == (0, 20)
    assert same
    assert np.isnan(same.adjusted)  # it asks no question, and costs the others nothing


def test_what_one_side_lacks(made: Made, offers: Catalog) -> None:
    a = made(
        "a", {("m", "t"): wrong(), ("gone", "t"): wrong(), ("fell", "t"): wrong(), ("bad", "t"): "broke"}
    )
    b = made(
        "b", {("m", "t"): wrong(), ("new", "t"): wrong(), ("fell", "t"): "no\nmemory", ("bad", "t"): "broke"}
    )
    found = {row.b[0]: (row.verdict, row.reason) for row in compare_runs(a, b, offers).rows}
    assert found == {
        "m": (Change.SAME, ""),
        "gone": (Change.GONE, ""),
        "new": (Change.NEW, ""),
        "fell": (Change.GONE, "failed: no\\nmemory"),
        "bad": (Change.NOT_COMPARABLE, "neither has a score (A: failed: broke; B: failed: broke)"),
    }


def test_other_examples_are_never_compared(made: Made, offers: Catalog) -> None:
    a, fewer = made("a", {("m", "t"): wrong()}), made("b", {("m", "t"): wrong()[:300]})
    everything = frozenset({"data", "preprocessing", "metrics"})
    row = only(compare_runs(a, fewer, offers, allow=everything))
    assert row.verdict is Change.NOT_COMPARABLE
    assert row.reason == "other examples: 300 in common, 100 only in A, 0 only in B"
    assert not compare_runs(a, fewer, offers).comparable


@pytest.mark.parametrize(
    ("before", "now", "word", "reason"),
    [
        ({"data": "1"}, {"data": "2"}, "data", "the data changed"),
        (
            {"preprocessing": "1", "weights": "w"},
            {"preprocessing": "2", "weights": "w"},
            "preprocessing",
            "the prepro",
        ),
    ],
)
def test_other_digests_are_compared_if_allowed(
    made: Made, offers: Catalog, before: Any, now: Any, word: str, reason: str
) -> None:
    a = edited(made("a", {("m", "t"): wrong()}), fingerprints=before)
    b = edited(made("b", {("m", "t"): wrong()}), fingerprints=now)
    row = only(compare_runs(a, b, offers))
    assert (row.verdict, row.reason[:10]) == (Change.NOT_COMPARABLE, reason[:10])
    assert only(compare_runs(a, b, offers, allow=frozenset({word}))).verdict is Change.SAME
    assert only(compare_runs(a, edited(b, fingerprints={**now, word: ""}), offers)).verdict is Change.SAME


def test_models_may_have_their_own_preprocessing(made: Made, offers: Catalog) -> None:
    report = made("a", {("m", "t"): wrong(), ("o", "t"): wrong(range(30))})
    m, o = report.records
    told = [{"weights": "w", "preprocessing": "1"}, {"weights": "w", "preprocessing": "2"}]
    same = [replace(r, fingerprints=f, reference="x:one") for r, f in zip((m, o), told, strict=True)]
    assert (
        only(compare_sides(replace(report, records=tuple(same)), "m", report, "o", offers)).verdict
        is Change.WORSE
    )


def test_a_score_that_the_metric_does_not_reproduce(made: Made, offers: Catalog) -> None:
    a, b = made("a", {("m", "t"): wrong()}), made("b", {("m", "t"): wrong(range(30))})
    other = [replace(score, value=score.value + 1e-6) for score in a.records[0].scores]
    row = only(compare_runs(edited(a, scores=tuple(other)), b, offers))
    assert row.verdict is Change.NOT_COMPARABLE
    assert row.reason.startswith("accuracy of A was scored by another version of the metric")
    allowed = only(compare_runs(edited(a, scores=tuple(other)), b, offers, allow=frozenset({"metrics"})))
    assert (allowed.verdict, allowed.primary.a) == (Change.WORSE, 1.0)
    second = edited(a, scores=(a.records[0].scores[0], other[1]))  # only what is beside the primary one
    row = only(compare_runs(second, b, offers))
    assert [d.metric for d in row.differences] == ["accuracy"]
    assert row.differs[-1].startswith("f1 of A was scored by another version")


@pytest.mark.parametrize("content", [None, b"", b"PAR1 nonsense PAR1"])
def test_damaged_predictions_are_a_reason(made: Made, offers: Catalog, content: bytes | None) -> None:
    a, b = (
        made("a", {("m", "t"): wrong(), ("o", "t"): wrong()}),
        made("b", {("m", "t"): wrong(), ("o", "t"): wrong()}),
    )
    path = b.folder / b.records[0].files[0]
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    damaged, fine = compare_runs(a, b, offers).rows
    assert (damaged.verdict, fine.verdict) == (Change.NOT_COMPARABLE, Change.SAME)
    assert "predictions" in damaged.reason


def test_what_was_allowed_is_told(made: Made, offers: Catalog) -> None:
    a, b = made("a", {("m", "t"): wrong()}), made("b", {("m", "t"): wrong(range(30))})
    everything = frozenset({"data", "preprocessing", "metrics"})
    assert only(compare_runs(a, b, offers, allow=everything)).differs == ()
    before, now = ({"data": text, "preprocessing": text, "weights": "w"} for text in "12")
    a = edited(a, fingerprints=before, identity={"preprocessing": "1", "seed": "0"})
    b = edited(b, fingerprints=now, identity={"preprocessing": "2", "seed": "0"})
    row = only(compare_runs(a, b, offers, allow=everything))
    assert row.differs == ("data changed, allowed", "preprocessing changed, allowed")
    undefined = tuple(replace(score, value=float("nan")) for score in a.records[0].scores)
    row = only(compare_runs(edited(a, scores=undefined), b, offers, allow=everything))
    assert row.differs[2] == (
        "accuracy of A was scored by another version of the metric, or its predictions were changed "
        "(undefined then, 1 by the one installed), allowed"
    )


def test_seeds_that_differ_are_told_and_what_was_skipped_has_no_device(made: Made, offers: Catalog) -> None:
    a = made("a", {("m", "t", "as_is", seed): wrong() for seed in (0, 1, 2)}, device="cpu")
    b = made("b", {("m", "t", "as_is", seed): wrong() for seed in (1, 2, 3, 4)}, device="cpu")
    assert only(compare_runs(a, b, offers)).differs == ("seeds changed (0, 1, 2 -> 1, 2, 3, 4)",)
    assert only(compare_runs(a, edited(a, device=""), offers)).differs == ()


def test_a_run_that_says_nothing_of_its_environment(made: Made, offers: Catalog) -> None:
    a = made("a", {("m", "t"): wrong()}, {"packages": {"torch": "2.6"}, "text": "1"})
    b = made("b", {("m", "t"): wrong()}, {"text": "2"})
    changed = "suite text changed"
    assert compare_runs(a, b, offers).environment == ("B says nothing of its environment", changed)
    assert compare_runs(b, a, offers).environment == ("A says nothing of its environment", changed)
    bare = replace(b, run={**b.run, "text": "3", "device": "cuda"})
    assert compare_runs(bare, b, offers).environment == (changed,)


def test_a_record_that_a_finished_run_lacks_is_missed(made: Made, offers: Catalog) -> None:
    a = made("a", {("m", "t", "as_is", seed): wrong() for seed in range(3)})
    b = made("b", {("m", "t", "as_is", seed): wrong() for seed in range(2)})
    assert only(compare_runs(a, b, offers)).verdict is Change.SAME  # nobody says that there were to be more
    short = replace(b, run={**b.run, "cells": 3})
    row = only(compare_runs(a, short, offers))
    said = "its record may be missing: the run has 2 for 3 cells: seed 2 is not there"
    assert (row.verdict, row.reason) == (Change.GONE, said)


def test_other_clusters_are_a_reason_with_what_to_do(made: Made, offers: Catalog) -> None:
    a, b = made("a", {("m", "t"): wrong()}), made("b", {("m", "t"): wrong()})
    path = b.folder / b.records[0].files[0]
    table = store.read_predictions(path)
    columns = {name: table[name] for name in table}
    store.write_predictions(path, Predictions(table.ids, columns, table.labels, [i[:3] for i in table.ids]))
    row = only(compare_runs(a, b, offers))
    assert (row.verdict, row.reason) == (
        Change.NOT_COMPARABLE,
        "other clusters of examples: run A again with the `cluster` of B",
    )


def test_clusters_that_all_change_alike_have_no_interval(made: Made, offers: Catalog) -> None:
    a, b = made("a", {("m", "t"): wrong()}), made("b", {("m", "t"): wrong(range(0, N))})
    for report in (a, b):
        path = report.folder / report.records[0].files[0]
        table = store.read_predictions(path)
        columns = {name: table[name] for name in table}
        clusters = [i[:3] for i in table.ids]
        store.write_predictions(path, Predictions(table.ids, columns, table.labels, clusters))
    found = only(compare_runs(a, b, offers)).primary
    assert (found.change, np.isnan(found.low), np.isnan(found.high)) == (-1.0, True, True)
    assert found.caveat == "the interval is undefined, as no cluster differs from the others"


def test_another_primary_metric_or_direction(made: Made, offers: Catalog) -> None:
    a, b = made("a", {("m", "t"): wrong()}), made("b", {("m", "t"): wrong()})
    assert (
        only(compare_runs(a, edited(b, primary="f1"), offers)).reason
        == "the primary metric changed (accuracy -> f1)"
    )
    turned = tuple(replace(score, higher_is_better=False) for score in b.records[0].scores)
    assert (
        only(compare_runs(a, edited(b, scores=turned), offers)).reason == "the direction of accuracy changed"
    )


def test_what_else_differs(made: Made, offers: Catalog) -> None:
    machine = {"cores": 2, "gpus": ""}
    a = made("a", {("m", "t"): wrong()}, {"packages": {"torch": "2.6"}, "machine": machine, "text": "1"})
    b = made(
        "b",
        {("m", "t"): wrong()},
        {"packages": {"torch": "2.7"}, "machine": {**machine, "cores": 4}, "text": "2"},
    )
    a = edited(
        a, identity={"weights": "none", "precision": "auto", "seed": "0"}, device="cpu", precision="fp32"
    )
    batch = {"unit": "tokens", "asked": 16, "used": 8}
    b = edited(
        b,
        identity={"weights": "none", "precision": "bf16", "seed": "0"},
        device="cuda",
        precision="bf16",
        facts={"batch": batch},
    )
    found = compare_runs(a, b, offers)
    assert only(found).differs == (
        "precision changed (auto -> bf16)",
        "device changed (cpu -> cuda)",
        "memory was short in B, where batches are smaller",
    )
    assert found.environment == ("suite text changed", "torch 2.6 -> 2.7", "cores 2 -> 4")


def test_sides_by_model_and_protocol(made: Made, offers: Catalog) -> None:
    cells = {
        (m, t, p): wrong(range(30 * (p == "knn")))
        for m in ("m", "o")
        for t in ("t", "u")
        for p in ("as_is", "knn")
    }
    report = made("a", cells)
    by_protocol = compare_sides(report, "m", report, "o", offers)
    assert verdicts(by_protocol)[0] == ("m -> o x t x as_is", Change.SAME)
    assert len(by_protocol.rows) == 4
    assert by_protocol.average is None  # tasks stand there twice
    within = compare_sides(report, "m x as_is", report, "m x knn", offers)
    assert verdicts(within) == [(f"m x {t} x as_is -> knn", Change.WORSE) for t in ("t", "u")]
    assert within.average
    assert within.average.change == pytest.approx(-30 / N)
    assert len(compare_sides(report, "m x knn", report, "o", offers).rows) == 2
    for side, answer in {
        "n": "no model 'n' in this run; known: m, o",
        "m x kn": "model 'm' has no protocol 'kn' in this run; did you mean 'knn'?",
    }.items():
        with pytest.raises(UsageError) as error:
            compare_sides(report, "m", report, side, offers)
        assert str(error.value) == answer


def test_tasks_on_the_very_same_data_have_no_average(made: Made, offers: Catalog) -> None:
    cells = {("m", t): wrong() for t in "tuv"}
    a, b = made("a", cells), made("b", {key: wrong(range(30)) for key in cells})

    def with_data(report: Report, *digests: str) -> Report:
        told = zip(report.records, digests, strict=True)
        return replace(report, records=tuple(replace(r, fingerprints={"data": d}) for r, d in told))

    for digests, there in ((("1", "2", "3"), True), (("1", "2", "1"), False), (("", "", ""), True)):
        found = compare_runs(with_data(a, *digests), with_data(b, *digests), offers)
        assert (found.average is not None) is there
        assert [row.verdict for row in found.rows] == [Change.WORSE] * 3
        ranking = rank(a.folder, with_data(a, *digests).records, offers)
        assert (len(ranking.averages), len({one.task for one in ranking.standings})) == (int(there), 3)


def test_what_could_be_seen_is_that_of_one_of_all_questions(made: Made, offers: Catalog) -> None:
    a = made("a", {("m", t): wrong(range(40)) for t in "tuv"})
    now = {("m", "t"): wrong(range(50)), ("m", "u"): wrong(range(35)), ("m", "v"): wrong(range(40))}
    found = compare_runs(a, made("b", now), offers)
    for row in found.rows[:2]:
        assert row.primary
        reach = stats.t.isf(0.05 / 4, row.primary.freedom) + stats.t.ppf(0.8, row.primary.freedom)
        least = 7 / N  # 2 * 0.5**7 is below 0.05 / 2, 2 * 0.5**6 is not
        assert row.primary.detectable == pytest.approx(max(least, reach * row.primary.error))
        alone = row.differences[1]
        assert alone.detectable == pytest.approx(
            (stats.t.ppf(0.975, alone.freedom) + stats.t.ppf(0.8, alone.freedom)) * alone.error
        )
    same = found.rows[2].primary
    assert same
    assert same.detectable == 7 / N


def test_a_protocols_name_alone_where_it_is_one(made: Made, offers: Catalog) -> None:
    report = made("a", {("m", "t", "knn"): wrong(), ("o", "t", "knn"): wrong()})
    records = [
        replace(r, options={"k": k}) for r in report.records for k in ((1, 2) if r.model == "o" else (1,))
    ]
    report = replace(report, records=tuple(records))
    assert only(compare_sides(report, "m x knn", report, "o x knn (k=2)", offers)).b == ("o", "knn (k=2)")
    with pytest.raises(UsageError, match=r"'o x knn' may be any of: knn \(k=1\); knn \(k=2\)"):
        compare_sides(report, "m", report, "o x knn", offers)


def test_all_pairs(made: Made, offers: Catalog) -> None:
    cells = {(m, t): wrong(range(20 * i)) for i, m in enumerate("abc") for t in ("t", "u")}
    report = made("a", {**cells, ("d", "t"): "broke"})
    found = compare_all(report, offers, "u")
    assert [(row.a[0], row.b[0], row.verdict) for row in found.rows] == [
        (a, b, Change.WORSE) for a, b in (("a", "b"), ("a", "c"), ("b", "c"))
    ]
    assert len(compare_all(report, offers).rows) == 6
    with pytest.raises(UsageError, match="the task 'w' is not known here; known: t, u"):
        compare_all(report, offers, "w")


@pytest.mark.parametrize(
    ("given", "answer"),
    [
        ({"allow": frozenset({"dat"})}, "to allow 'dat' is not known here; did you mean 'data'?"),
        ({"metrics": ("acuracy",)}, "the metric 'acuracy' is not known here; did you mean 'accuracy'?"),
        ({"alpha": 1.5}, "alpha is a chance between 0 and 1, such as 0.05; got 1.5"),
    ],
)
def test_calls_that_make_no_sense(made: Made, offers: Catalog, given: Any, answer: str) -> None:
    report = made("a", {("m", "t"): wrong()})
    with pytest.raises(UsageError) as error:
        compare_runs(report, report, offers, **given)
    assert str(error.value) == answer


def test_seeds_count_together(made: Made, offers: Catalog) -> None:
    a = made("a", {("m", "t", "as_is", seed): wrong(range(seed)) for seed in range(3)})
    b = made("b", {("m", "t", "as_is", seed): wrong(range(60 + seed)) for seed in range(3)})
    row = only(compare_runs(a, b, offers))
    assert (row.verdict, row.primary.a) == (Change.WORSE, pytest.approx(1 - 1 / N))
    assert row.primary.change == pytest.approx(-60 / N)
    one = replace(b, records=(*b.records[:2], replace(b.records[2], status=Status.OOM, error="too much")))
    row = only(compare_runs(a, one, offers))
    assert (row.verdict, row.reason) == (Change.GONE, "1 of 3 seeds did not end well: oom: too much")
    lacking = replace(b, records=b.records[:2], run={**b.run, "status": "interrupted"})
    row = only(compare_runs(a, lacking, offers))
    assert (row.verdict, row.reason) == (
        Change.GONE,
        "the run has not finished (interrupted): seed 2 is not there",
    )


def test_written_and_read_back(made: Made, offers: Catalog) -> None:
    from ptbench.comparison import comparison_from_json
    from ptbench.plain import to_json

    found = compare_runs(made("a", {("m", "t"): wrong()}), made("b", {("m", "t"): wrong(range(30))}), offers)
    assert comparison_from_json(json.loads(json.dumps(to_json(found)))).rows[0].verdict is Change.WORSE
