"""The gate: alarms at a stated rate, times beside the noise of repeats, the luck of training, pinned runs."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from ptbench import Predictions, Record, Report, Score, Status, UsageError, store
from ptbench.catalog import Catalog, load_catalog
from ptbench.cellidentity import UNTOLD
from ptbench.comparison import Change, Compared, Difference, Timing
from ptbench.records import Cost
from ptbench.runner.gating import decided, gate
from ptbench.runner.luck import ASSUMED, with_luck
from ptbench.runner.noise import FLOOR, REPEATS, beside_hiccups, hiccups, timed
from ptbench.runner.pins import BASELINE, pin, pinned
from ptbench.statistics.jackknife import freedom
from ptbench.statistics.multiple import holm
from ptbench.statistics.paired import compare
from tests.benchmarks import gate as simulation
from tests.test_comparing import Made, N, made, only, wrong

__all__ = ["made"]
MACHINE = {"machine": {"cores": 2}, "executor": "serial", "slots": ["cpu:0"], "python": "3", "packages": {}}


@pytest.fixture(scope="module")
def offers() -> Catalog:
    return load_catalog()


def row(p: float = math.nan, gain: float = -0.01, time: float = math.nan) -> Compared:
    """Return a row whose score is worse (or better, by the sign of the gain) with this one-sided p."""
    error = 1.0 if math.isnan(p) else abs(gain) / float(stats.norm.isf(p))
    difference = Difference(
        "accuracy",
        True,
        0.9,
        0.9 + gain,
        gain,
        -1.0,
        1.0,
        2 * p,
        "t",
        1000,
        1000,
        100,
        error=error,
        freedom=1e12,
        moving=100,
    )
    timing = None if math.isnan(time) else Timing(1.0, 2.0, 10, 0.03, time)
    found = () if math.isnan(p) else (difference,)
    return Compared("t", ("m", "p"), ("m", "p"), Change.SAME, differences=found, timing=timing)


def test_scores_and_times_are_one_family() -> None:
    rows = decided([row(0.012), row(0.2, time=0.011), row(0.014)], 0.05, {})
    expected = holm([0.012, 0.2, 0.014, 0.011])
    assert [r.primary.adjusted for r in rows if r.primary] == pytest.approx(expected[:3], rel=1e-6)
    assert [r.verdict for r in rows] == [Change.WORSE, Change.SAME, Change.WORSE]
    assert rows[1].timing
    assert (rows[1].timing.adjusted, rows[1].timing.slower) == (pytest.approx(expected[3]), True)
    alone = decided([row(0.012), *[row(0.2)] * 4, row(time=0.011)], 0.05, {})
    assert [r.verdict for r in alone] == [Change.SAME] * 6


def test_good_news_is_a_family_of_its_own() -> None:
    rows = decided([row(0.01, gain=0.02), row(0.02, gain=-0.02)], 0.05, {})
    assert [r.verdict for r in rows] == [Change.BETTER, Change.WORSE]
    assert rows[0].primary
    assert rows[0].primary.adjusted == pytest.approx(0.02, rel=1e-6)


def test_what_is_within_the_margin_is_no_loss() -> None:
    lost = row(1e-6, gain=-0.02)
    assert decided([lost], 0.05, {"accuracy": 0.005})[0].verdict is Change.WORSE
    assert decided([lost], 0.05, {"accuracy": 0.019})[0].verdict is Change.SAME
    assert decided([row(1e-6, gain=0.02)], 0.05, {"accuracy": 0.019})[0].verdict is Change.SAME


@settings(deadline=None, max_examples=30)
@given(st.lists(st.floats(1e-6, 0.49), min_size=1, max_size=8), st.randoms(use_true_random=False))
def test_no_verdict_depends_on_the_order_of_rows(ps: list[float], random: Any) -> None:
    rows = [replace(row(p), task=str(i)) for i, p in enumerate(ps)]
    mixed = random.sample(rows, len(rows))
    verdicts = {r.task: r.verdict for r in decided(rows, 0.05, {})}
    assert {r.task: r.verdict for r in decided(mixed, 0.05, {})} == verdicts


def test_a_time_is_a_prediction_of_students_t() -> None:
    before = [10.0, 10.4, 9.8, 10.1, 10.3, 9.9]
    logs = np.log(before)
    scale = logs.std(ddof=1) * math.sqrt(1 + 1 / 6)
    expected = stats.t.sf((math.log(12) - logs.mean() - math.log(1.05)) / scale, 5)
    found = timed(12.0, before, 0.05)
    assert found.p == pytest.approx(expected, rel=1e-9)
    assert (found.a, found.repeats, found.noise) == (
        pytest.approx(stats.gmean(before)), 6, pytest.approx(logs.std(ddof=1)),
    )  # fmt: skip


def test_times_that_nobody_can_judge() -> None:
    assert math.isnan(timed(99.0, [1.0] * (REPEATS - 1), 0.05).p)
    assert math.isnan(timed(99.0, [0.04] * 9, 0.05).p)  # too short
    equal = timed(1.07, [1.0] * 5, 0.05)  # by luck: the floor stands for their noise
    assert equal.p == pytest.approx(stats.t.sf(math.log(1.07 / 1.05) / (FLOOR * math.sqrt(1.2)), 4), rel=1e-9)


def test_hiccups_that_repeats_had_are_no_alarm() -> None:
    random = np.random.default_rng(0)
    quiet = [list(np.exp(random.normal(0, 0.02, 12))) for _ in range(8)]
    late = [[*times[:-1], 1.5] if i < 2 else times for i, times in enumerate(quiet)]
    slow = timed(1.45, quiet[7], 0.05)
    assert beside_hiccups(slow, hiccups(quiet, 0.05), 0.05).p == slow.p < 1e-6
    known = hiccups(late, 0.05)
    expected = [math.log(1.5) - np.mean(np.log(times[:-1])) - math.log(1.05) for times in late[:2]]
    assert (list(known.lengths), known.of) == (pytest.approx(sorted(expected)), 96)
    assert beside_hiccups(slow, known, 0.05).p == 2 / 96
    longer = timed(3.0, quiet[7], 0.05)
    assert beside_hiccups(longer, known, 0.05).p == longer.p


def difference(change: float, error: float = 0.004) -> Difference:
    return Difference(
        "accuracy",
        True,
        0.9,
        0.9 + change,
        change,
        -1,
        1,
        0.001,
        "mcnemar",
        2000,
        2000,
        100,
        20,
        60,
        error,
        1999.0,
        moving=100,
        example_error=error,
        example_freedom=1999.0,
    )


def test_luck_is_that_of_the_trainings_there_are() -> None:
    nights = [{0: value} for value in (0.91, 0.89, 0.90, 0.92)]
    found = with_luck(difference(-0.02), {0: 0.9}, {0: 0.88}, nights, 1.0)
    luck = np.var([0.9, 0.91, 0.89, 0.90, 0.92], ddof=1)
    assert found.error == pytest.approx(math.sqrt(0.004**2 + 2 * luck))
    welch = (0.004**2 + 2 * luck) ** 2 / (0.004**4 / 1999 + (2 * luck) ** 2 / 4)
    assert found.freedom == pytest.approx(welch)
    assert found.p == pytest.approx(2 * stats.t.sf(0.02 / found.error, welch), rel=1e-6)
    assert found.caveat == "the luck of a training, 0.011, is that of 6 trainings"


def test_luck_that_nobody_knows_is_assumed_and_a_collapse_is_seen() -> None:
    again = [{0: 0.9}] * 9  # a training that repeats exactly is one training
    for repeats in ([], again):
        found = with_luck(difference(-0.02), {0: 0.9}, {0: 0.88}, repeats, 1.0)
        assert found.error == pytest.approx(math.hypot(0.004, math.sqrt(2) * ASSUMED))
        assert found.caveat.endswith("give three seeds or more")
        collapse = replace(difference(-0.2), p=1e-12)
        assert with_luck(collapse, {0: 0.9}, {0: 0.7}, repeats, 1.0).p < 1e-6


def test_seeds_of_both_sides_tell_luck_together() -> None:
    a, b = {0: 0.90, 1: 0.91, 2: 0.92}, {0: 0.88, 1: 0.91, 2: 0.88}
    spread = np.var([b[seed] - a[seed] for seed in a], ddof=1) / 3
    examples = 0.003**2
    told = replace(
        difference(-0.02),
        error=math.sqrt(examples + spread),
        freedom=1 / ((examples / 999 + spread / 2) / (examples + spread)),
        example_error=math.sqrt(examples),
        example_freedom=999.0,
        gained=None,
        lost=None,
    )
    found = with_luck(told, a, b, [], 1.0)
    luck = (np.var(list(a.values()), ddof=1) + np.var(list(b.values()), ddof=1)) / 2 * 2 / 3
    assert found.error == pytest.approx(math.sqrt(examples + luck))
    welch = (examples + luck) ** 2 / (examples**2 / 999 + luck**2 / 4)
    assert found.freedom == pytest.approx(welch, rel=1e-6)


@pytest.mark.parametrize("named", [False, True])
def test_the_luck_of_a_few_seeds_is_replaced_and_the_examples_stay(offers: Catalog, named: bool) -> None:
    random = np.random.default_rng(4)
    metric, night = simulation.BY_NAME["accuracy"], simulation.labels(random, 1000, 0.85, 0.5, 0.08, 0.01)
    a, b = ([night(random, 0.0) for _ in range(3)] for _ in range(2))
    names = [0, 1, 2] if named else []
    found = compare(metric, a, b, a_names=names, b_names=names)
    before, now = (dict(enumerate(map(simulation.accuracy, side))) for side in (a, b))
    hits = [np.mean([run["target"] == run["prediction"] for run in side], axis=0) for side in (a, b)]
    luck = (np.var(list(before.values()), ddof=1) + np.var(list(now.values()), ddof=1)) / 2
    with_it = with_luck(found, before, now, [], 1.0)
    examples, seeds = stats.sem(hits[1] - hits[0]) ** 2, luck * 2 / 3
    assert with_it.error == pytest.approx(math.sqrt(examples + seeds))
    assert found.example_freedom == pytest.approx(freedom(hits[1] - hits[0]))
    welch = with_it.error**4 / (examples**2 / found.example_freedom + seeds**2 / 4)
    assert with_it.freedom == pytest.approx(welch)


def test_luck_knows_that_clusters_are_so_many_coins() -> None:
    few = replace(difference(-0.2), moving=3, p=0.25, gained=None, lost=None)
    again = [{0: value} for value in (0.9001, 0.8999, 0.9, 0.9002, 0.8998)]
    found = with_luck(few, {0: 0.9}, {0: 0.7}, again, 1.0)
    assert found.p == 0.25
    assert found.low < -0.2 < 0 <= found.high
    seeds = with_luck(few, {0: 0.9, 1: 0.9}, {0: 0.7, 1: 0.7}, [{0: 0.9001}, {0: 0.8999}, {1: 0.9001}], 1.0)
    assert seeds.p >= 0.25


def test_what_could_be_seen_is_one_sided_beyond_the_margin_and_one_of_all_questions() -> None:
    rows = decided([row(0.2), row(0.3, time=0.4), row(0.1)], 0.05, {"accuracy": 0.01})
    for one in rows:
        assert one.primary
        reach = (stats.norm.isf(0.05 / 4) + stats.norm.ppf(0.8)) * one.primary.error
        assert one.primary.detectable == pytest.approx(0.01 + reach, rel=1e-6)
    for alpha in (1e-20, 0.9):
        (alone,) = decided([row(0.2)], alpha, {})
        assert alone.primary
        assert 0 < alone.primary.detectable < math.inf


def cost(report: Report, *seconds: float) -> Report:
    """Return the report with these seconds, one for each record."""
    records = (replace(r, cost=Cost(seconds=s)) for r, s in zip(report.records, seconds, strict=True))
    return replace(report, records=tuple(records))


IDENTITY = {"weights": "w", "seed": "0"}


@pytest.fixture
def nights(made: Made) -> list[Report]:
    """Seven nights of the same cell on the same machine."""
    seconds = (10.0, 10.3, 9.9, 10.1, 10.2, 9.8, 10.0)
    return [
        cost(made(f"night{i}", {("m", "t"): wrong()}, MACHINE, identity=IDENTITY), s)
        for i, s in enumerate(seconds)
    ]


def test_a_slow_night_is_an_alarm_beside_repeats_alone(
    made: Made, nights: list[Report], offers: Catalog
) -> None:
    baseline, *rest = nights
    slow = cost(made("now", {("m", "t"): wrong()}, MACHINE), 15.0)
    found = gate(slow, baseline, offers, nights=rest)
    assert only(found).verdict is Change.SAME
    assert only(found).timing.repeats == 7
    assert (only(found).timing.slower, len(found.regressed)) == (True, 1)
    assert only(gate(slow, baseline, offers, nights=rest, margins={"time": 0.6})).timing.slower is False
    assert not gate(slow, baseline, offers, nights=rest[:3]).regressed
    few = gate(slow, baseline, offers, nights=rest[:3])
    assert few.notes == ("times that are not judged: 1 for want of 5 earlier runs of exactly the same",)


def test_what_is_no_repeat(made: Made, nights: list[Report], offers: Catalog) -> None:
    baseline, *rest = nights
    slow = cost(made("now", {("m", "t"): wrong()}, MACHINE), 15.0)

    def repeats(reports: list[Report], run: Report = slow) -> int:
        timing = only(gate(run, baseline, offers, nights=reports)).timing
        return timing.repeats if timing else 0

    def each(**facts: Any) -> list[Report]:
        return [replace(n, records=tuple(replace(r, **facts) for r in n.records)) for n in rest]

    assert repeats([*rest, *rest, baseline, slow]) == 7  # each once, and never the run itself
    assert repeats(each(identity={**IDENTITY, "weights": "other"})) == 1
    assert repeats(each(reused="before")) == 1
    assert repeats(each(status=Status.FAILED)) == 1
    assert repeats([replace(n, run={**n.run, "packages": {"torch": "2"}}) for n in rest]) == 1
    assert repeats(rest, replace(slow, run={**slow.run, "machine": {"cores": 4}})) == 0
    assert repeats(rest, replace(slow, records=(replace(slow.records[0], reused="night0"),))) == 0
    untold = {**IDENTITY, UNTOLD: "it runs code of its own"}
    strange = replace(baseline, records=(replace(baseline.records[0], identity=untold),))
    assert only(gate(slow, strange, offers, nights=each(identity=untold))).timing is None
    found = gate(slow, baseline, offers, nights=rest)
    told = replace(
        slow,
        run={**slow.run, "run": "yesterday"},
        comparison=found,
        records=each(cost=Cost(seconds=15.0))[0].records,
    )
    assert repeats([*rest, told]) == 7  # a night that was found slow is no measure of noise


def test_what_had_a_score_and_has_none_is_an_alarm(made: Made, offers: Catalog) -> None:
    cells = {("m", "t"): wrong(), ("fell", "t"): wrong(), ("dropped", "t"): wrong()}
    a = made("a", cells)
    b = made("b", {("m", "t"): wrong(), ("fell", "t"): "no memory"})
    found = gate(b, a, offers)
    assert {r.a[0]: (r.verdict, r.reason) for r in found.rows} == {
        "m": (Change.SAME, ""),
        "fell": (Change.GONE, "failed: no memory"),
        "dropped": (Change.GONE, ""),
    }
    assert [r.a[0] for r in found.regressed] == ["fell"]
    stopped = gate(replace(b, run={**b.run, "status": "interrupted"}), a, offers)
    assert {r.a[0] for r in stopped.regressed} == {"fell", "dropped"}
    assert stopped.notes == ("the run has not finished (interrupted)",)


def test_a_loss_is_an_alarm_and_a_gain_is_none(made: Made, offers: Catalog) -> None:
    a = made("a", {("m", "t"): wrong(range(30)), ("o", "t"): wrong(range(30))})
    b = made("b", {("m", "t"): wrong(range(45)), ("o", "t"): wrong()})
    found = gate(b, a, offers)
    assert [r.verdict for r in found.rows] == [Change.WORSE, Change.BETTER]
    assert found.rows[0].primary
    assert found.rows[0].primary.adjusted == pytest.approx(
        2 * stats.binomtest(0, 15, alternative="less").pvalue
    )
    assert [d.metric for d in found.rows[0].differences] == ["accuracy"]
    assert (found.gate, found.margins, len(found.regressed)) == (True, {"time": 0.05}, 1)
    assert not gate(b, a, offers, margins={"accuracy": 0.05}).regressed


def test_one_seed_of_what_is_trained(made: Made, offers: Catalog) -> None:
    cells = {("m", "t", "fine_tune"): wrong()}
    a, b = made("a", cells), made("b", {("m", "t", "fine_tune"): wrong(range(12))})
    row = only(gate(b, a, offers))
    assert (row.verdict, row.primary.test) == (Change.SAME, "t")
    assert "give three seeds" in row.primary.caveat
    collapsed = made("c", {("m", "t", "fine_tune"): wrong(range(150))})
    assert only(gate(collapsed, a, offers)).verdict is Change.WORSE


def test_undefined_scores(made: Made, offers: Catalog) -> None:
    def numbers(name: str, prediction: Any) -> Report:
        report = made(name, {("m", "t"): wrong()})
        record, rng = report.records[0], np.random.default_rng(0)
        target = rng.normal(size=N)
        table = Predictions([str(i) for i in range(N)], {"target": target, "prediction": prediction(target)})
        store.write_predictions(report.folder / record.files[0], table)
        value = math.nan if math.isnan(prediction(target).sum()) else 1.0
        score = Score("pearson", value, math.nan, math.nan, N, True, "bootstrap")
        return replace(report, records=(replace(record, scores=(score,), primary="pearson"),))

    fine, broken = numbers("a", lambda t: t), numbers("b", lambda t: t * math.nan)
    row = only(gate(broken, fine, offers))
    assert (row.verdict, row.reason) == (Change.GONE, "pearson is undefined for B")
    assert only(gate(fine, broken, offers)).verdict is Change.NEW
    assert only(gate(broken, numbers("c", lambda t: t * math.nan), offers)).verdict is Change.NOT_COMPARABLE


@pytest.mark.parametrize(
    ("margins", "answer"),
    [
        ({"acuracy": 0.1}, "the margin of 'acuracy' is not known here; did you mean 'accuracy'?"),
        ({"time": -1.0}, "the margin of 'time' must be 0 or more; got -1.0"),
        ({"accuracy": math.nan}, "the margin of 'accuracy' must be 0 or more; got nan"),
    ],
)
def test_margins_that_make_no_sense(made: Made, offers: Catalog, margins: Any, answer: str) -> None:
    report = made("a", {("m", "t"): wrong()})
    with pytest.raises(UsageError) as error:
        gate(report, report, offers, margins=margins)
    assert str(error.value) == answer


def test_a_baseline_is_pinned_and_found(made: Made, tmp_path: Path) -> None:
    a, b = made("a", {("m", "t"): wrong()}), made("b", {("m", "t"): wrong()})
    assert pinned(tmp_path, "s") is None
    path = pin(tmp_path, a.folder)
    assert pinned(tmp_path, "s") == a.folder
    assert pin(tmp_path, b.folder, by="me") == path == tmp_path / "s" / BASELINE
    assert pinned(tmp_path, "s") == b.folder
    told = json.loads(path.read_text())
    assert (told["suite"], told["run"], told["by"]) == ("s", "b", "me")
    assert pinned(tmp_path, "s!") is None  # another suite that shares the folder
    (b.folder / store.RUN).unlink()
    with pytest.raises(UsageError, match="is gone; bring it back, or pin another run"):
        pinned(tmp_path, "s")


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"run": "../x", "suite": "s"}', '{"run": 1, "suite": "s"}']
)
def test_a_damaged_pin_is_told(made: Made, tmp_path: Path, text: str) -> None:
    pin(tmp_path, made("a", {("m", "t"): wrong()}).folder).write_text(text)
    with pytest.raises(UsageError, match=r"baseline\.json is damaged"):
        pinned(tmp_path, "s")


def test_what_cannot_be_pinned(made: Made, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no run"):
        pin(tmp_path, tmp_path)
    report = made("a", {("m", "t"): wrong()})
    with pytest.raises(UsageError, match="copy it into"):
        pin(tmp_path / "elsewhere", report.folder)
    store.write_json(report.folder / store.RUN, {**report.run, "status": "interrupted"})
    with pytest.raises(UsageError, match=r"has not finished \(interrupted\)"):
        pin(tmp_path, report.folder)


def test_false_alarms_are_rare_and_losses_are_seen() -> None:
    rows = [r for r in dict.fromkeys(simulation.SUITE) if r.metric != "spearman" and r.n < 2000]
    random = np.random.default_rng(6)
    suites = [simulation.simulated(random, rows) for _ in range(20)]
    cried = sum(any(simulation.alarms(suite)) for suite in suites)
    assert cried <= stats.binom.ppf(0.999, len(suites), simulation.ALPHA)
    for sure, loss in ((True, 0.06), (False, 0.0)):
        lost = [simulation.scored(rows[1], random, loss) for _ in range(10)]
        seen = [decided([one, *suites[0][1:]], 0.05, {})[0].verdict is Change.WORSE for one in lost]
        assert sum(seen) >= 9 if sure else sum(seen) <= 2


def test_records_stay_as_they_are(made: Made, offers: Catalog) -> None:
    report = made("a", {("m", "t"): wrong()})
    before: tuple[Record, ...] = report.records
    gate(report, report, offers)
    assert store.read_report(report.folder).records == before
