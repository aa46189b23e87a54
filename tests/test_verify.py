"""Verify: verdicts, choice of claims, exit codes; and a suite's published figures through its own cells."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import ptbench as pt
from ptbench.catalog import Catalog, load_catalog, load_plugin
from ptbench.claims import Claim, ClaimSet, Measured, Verdict, check
from ptbench.errors import PluginError, SuiteError, UnknownNameError
from ptbench.model import Download
from ptbench.runner.plan import make_plan
from ptbench.runner.resolve import resolve
from ptbench.runner.verify import check_options, chosen, claims_of, counts, good, runnable, suite_claims
from ptbench.suite import load_suite
from tests.conftest import Ptbench


def claim(published: float | None, measured: float | Measured, **rest: Any) -> Claim:
    found = measured if isinstance(measured, Measured) else Measured(measured)
    rest = {"subject": "a", "quantity": "q", "source": "a book", **rest}
    return Claim(published=published, measure=lambda: found, **rest)


@pytest.mark.parametrize(
    ("published", "measured", "rest", "verdict"),
    [
        (100, 100, {}, Verdict.REPRODUCED),
        (100, 101, {}, Verdict.OFF),
        (4.1, 4.149, {"digits": 1}, Verdict.REPRODUCED),
        (4.1, 4.15, {"digits": 1}, Verdict.REPRODUCED),  # a tie may round either way
        (4.1, 4.151, {"digits": 1}, Verdict.OFF),
        (4.1, 4.049, {"digits": 1}, Verdict.OFF),
        (0, 0.004, {"digits": 2}, Verdict.REPRODUCED),
        (100, 101, {"tolerance": 0.01}, Verdict.REPRODUCED),
        (100, 101.1, {"tolerance": 0.01}, Verdict.OFF),
        (100, 101.4, {"tolerance": 0.01, "digits": 0}, Verdict.REPRODUCED),
        (-2, -2.02, {"tolerance": 0.01}, Verdict.REPRODUCED),
        (0.92, Measured(0.9, 0.88, 0.93, 100), {}, Verdict.REPRODUCED),
        (0.94, Measured(0.9, 0.88, 0.93, 100), {}, Verdict.OFF),
        (0.94, Measured(0.9, 0.88, 0.936, 100), {"digits": 2}, Verdict.REPRODUCED),
        (None, 3, {}, Verdict.UNPUBLISHED),
        (1, math.nan, {}, Verdict.UNMEASURED),
        (1, 1, {"obstacle": "needs the data"}, Verdict.UNMEASURED),
    ],
)
def test_verdicts(published: float | None, measured: Any, rest: dict[str, Any], verdict: Verdict) -> None:
    finding = check(claim(published, measured, **rest))
    assert finding.verdict is verdict
    assert finding.failed == (isinstance(measured, float) and math.isnan(measured))
    assert bool(finding.reason) == (verdict in (Verdict.OFF, Verdict.UNMEASURED))


def test_how_far_off_is_told_in_its_unit_and_in_per_cent() -> None:
    assert check(claim(4.089, 4.105, digits=3)).reason == "by +0.0160 (+0.39 %)"
    assert check(claim(1000, 2500)).reason == "by +1,500 (+1.5e+02 %)"
    assert check(claim(0, 3)).reason == "by +3"


@pytest.mark.parametrize("error", [RuntimeError("no\nkernel"), SystemExit(3), MemoryError()])
def test_what_a_measure_raises_costs_its_claim_alone(error: BaseException) -> None:
    def measure() -> Measured:
        raise error

    finding = check(Claim(subject="a", quantity="q", published=1, source="s", measure=measure))
    assert (finding.verdict, finding.failed) == (Verdict.UNMEASURED, True)
    assert finding.reason.startswith(type(error).__name__)
    assert "\n" not in finding.reason


def test_an_interruption_is_no_finding() -> None:
    def measure() -> Measured:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        check(Claim(subject="a", quantity="q", published=1, source="s", measure=measure))


MANY = [claim(1, 1, subject=f"Model {i}", quantity=q) for i in range(20) for q in ("speed", "size")]


def test_a_sample_draws_whole_subjects_the_same_for_the_same_seed() -> None:
    drawn = chosen(MANY, sample=5, seed=3)
    assert drawn == chosen(MANY, sample=5, seed=3) != chosen(MANY, sample=5, seed=4)
    assert len(drawn) == 10
    assert [c for c in MANY if c in drawn] == drawn
    assert chosen(MANY, sample=100) == MANY
    assert chosen(reversed(MANY), sample=5, seed=3) == drawn[::-1]  # the order of a set does not matter


def test_a_text_is_looked_for_in_subject_and_quantity() -> None:
    assert len(chosen(MANY, "model 1")) == 2 * 11
    assert len(chosen(MANY, "model 7 SIZE")) == 1
    assert chosen(MANY, "nothing") == []


def catalog_of(*claims: Claim, failing: Callable[..., Any] | None = None) -> Catalog:
    module = ModuleType("guest")
    options = (pt.Option("faces", (int,), "Faces.", default=6, check=lambda n: None if n > 0 else "too few"),)
    offer = ClaimSet(name="mine", description="Mine.", claims=failing or (lambda o: claims), options=options)

    @pt.hookimpl
    def ptbench_claims() -> list[ClaimSet]:
        return [offer]

    module.ptbench_claims = ptbench_claims  # type: ignore[attr-defined]
    return Catalog([load_plugin(module)])


def test_options_reach_the_set_with_its_defaults() -> None:
    seen: list[Any] = []
    catalog = catalog_of(failing=lambda options: seen.append(dict(options)) or [])
    claims_of("mine", {}, catalog)
    claims_of("mine", {"faces": 8, "of another set": 1}, catalog)
    assert seen == [{"faces": 6}, {"faces": 8}]
    with pytest.raises(
        UnknownNameError, match=r"option 'face' is unknown to claims mine; did you mean 'faces'"
    ):
        check_options(["mine"], {"face": 1}, catalog)
    for value, told in (("x", "a whole number was expected"), (-1, "too few")):
        with pytest.raises(pt.UsageError, match=told):
            claims_of("mine", {"faces": value}, catalog)


def test_a_set_that_returns_something_else_is_named() -> None:
    with pytest.raises(PluginError, match="claims 'mine' returned a str, no Claim"):
        claims_of("mine", {}, catalog_of(failing=lambda options: ["claim"]))


def test_counts_name_every_verdict_and_a_known_obstacle_is_no_failure() -> None:
    found = [check(c) for c in (claim(1, 1), claim(None, 1), claim(1, 1, obstacle="no data"))]
    assert counts(found) == {"reproduced": 1, "off": 0, "not published": 1, "not measured": 1}
    assert good(found)
    assert not good([*found, check(claim(1, 2))])
    assert not good([check(claim(1, math.nan))])


@pytest.fixture
def guest(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let the command line see one claim set alone."""

    def install(*claims: Claim, failing: Callable[..., Any] | None = None) -> None:
        catalog = catalog_of(*claims, failing=failing)
        monkeypatch.setattr("ptbench.catalog.load_catalog", lambda: catalog)

    return install


def test_the_command_prints_one_line_per_claim_and_counts(
    ptbench: Ptbench, guest: Callable[..., None]
) -> None:
    guest(
        claim(25_557_032, 25_557_032, subject="resnet50"),
        claim(None, 4.0892, subject="resnet50", quantity="multiply-adds", digits=3, unit="G"),
        claim(0.92, Measured(0.9, 0.88, 0.93, 1017), subject="[red]evil[/] \x1b[31m", digits=2),
    )
    called = ptbench("verify")
    assert called.code == 0, called.err
    assert called.err == ""
    first, second, third = (line for line in called.out.splitlines() if "│" in line)
    assert "25,557,032" in first
    assert "reproduced" in first
    assert "4.0892 G" in second
    assert "not published" in second
    assert "0.900 [0.880, 0.930]" in third
    assert "n = 1,017" in third
    assert "[red]evil[/] \\x1b[31m" in third
    assert called.out.splitlines()[-1] == "2 reproduced, 0 off, 1 not published, 0 not measured"


def test_what_is_off_or_failed_makes_the_exit_code_1(ptbench: Ptbench, guest: Callable[..., None]) -> None:
    guest(claim(1, 2, subject="one"), claim(1, math.nan, subject="two"), claim(1, 1, subject="three"))
    called = ptbench("verify", "mine", "--json")
    assert called.code == 1
    told = json.loads(called.out)
    assert told["counts"] == {"reproduced": 1, "off": 1, "not published": 0, "not measured": 1}
    assert [row["reason"] for row in told["claims"]] == [
        "by +1 (+1e+02 %)",
        "ValueError: the measured value is nan",
        "",
    ]
    assert told["claims"][0]["measured"]["value"] == 2
    assert ptbench("verify", "mine", "--match", "three").code == 0
    assert ptbench("verify", "mine", "--match", "one").code == 1


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["nine"], "did you mean 'mine'?"),
        (["mine", "-o", "faces"], "write -o key=value"),
        (["mine", "--match", "nobody"], "no claim has 'nobody' in its subject or quantity"),
        (["mine", "-o", "face=2"], "option 'face' is unknown to claims mine; did you mean 'faces'?"),
        (["mine", "--sample", "0"], "0 is not in the range"),
        (["none.toml"], "there is no such file"),
    ],
)
def test_a_wrong_call_is_told_in_one_line(
    ptbench: Ptbench, guest: Callable[..., None], arguments: list[str], told: str
) -> None:
    guest(claim(1, 1))
    called = ptbench("verify", *arguments)
    assert called.code == 2
    assert told in called.err


PUBLISHED = """
[[published]]
model = "majority"
task = "mine"
metric = "accuracy"
protocol = "linear_probe"
value = "50 %"
source = "a coin"
"""


def test_a_suites_published_figures_go_through_its_cells(
    ptbench: Ptbench, suite: Path, tmp_path: Path
) -> None:
    wrong = PUBLISHED.replace('"majority"', '"words"').replace('"50 %"', "0.123")
    suite.write_text(suite.read_text() + PUBLISHED + wrong)
    called = ptbench("verify", suite, "--output", tmp_path / "out", "--json")
    assert called.code == 1, called.err
    majority, words = json.loads(called.out)["claims"]
    assert majority["verdict"] == "reproduced"
    assert majority["subject"] == "majority x mine x linear_probe"
    assert (majority["published"], majority["digits"]) == (0.5, 2)
    measured = majority["measured"]
    assert measured["low"] < 0.5 < measured["high"]
    assert measured["n"] == 23
    assert words["verdict"] == "off"
    assert words["measured"]["value"] == 1.0
    (records,) = (tmp_path / "out").glob("small/*/records.jsonl")
    assert len(records.read_text().splitlines()) == 2
    assert ptbench("verify", suite, "--output", tmp_path / "out", "--match", "majority").code == 0


def test_only_cells_with_a_published_figure_are_run(ptbench: Ptbench, suite: Path, tmp_path: Path) -> None:
    suite.write_text(suite.read_text() + PUBLISHED)
    called = ptbench("verify", suite, "--output", tmp_path / "out")
    assert called.code == 0, called.err
    (records,) = (tmp_path / "out").glob("small/*/records.jsonl")
    assert [json.loads(line)["model"] for line in records.read_text().splitlines()] == ["majority"]


def test_a_cell_that_cannot_run_is_not_measured_and_says_why(
    ptbench: Ptbench, suite: Path, tmp_path: Path
) -> None:
    suite.write_text(suite.read_text() + PUBLISHED)
    (suite.parent / "reviews.csv").unlink()
    called = ptbench("verify", suite, "--output", tmp_path / "out", "--json")
    assert called.code == 1  # nothing was checked, and a night must not stay green
    (row,) = json.loads(called.out)["claims"]
    assert row["verdict"] == "not measured"
    assert "reviews.csv" in row["reason"]
    assert not (tmp_path / "out").exists()  # nothing was run


def test_what_would_have_to_be_downloaded_is_not_run_unless_it_is_allowed(suite: Path) -> None:
    from dataclasses import replace

    suite.write_text(suite.read_text() + PUBLISHED)
    loaded, catalog = load_suite(suite), load_catalog()
    cells, mistakes = resolve(loaded, catalog)
    assert mistakes == ()
    plan = make_plan(loaded, cells, catalog)
    task = replace(plan.tasks["mine"], downloads=(Download("reviews.zip", 5),))
    plan = replace(plan, tasks={"mine": task})
    (held,) = suite_claims(plan, {})
    assert held.obstacle == "needs a download (reviews.zip); --download allows it"
    assert not runnable(plan, [held]).cells
    (ready,) = suite_claims(plan, {}, download=True)
    assert ready.obstacle == ""
    assert len(runnable(plan, [ready]).cells) == 1
    assert good([check(held)])  # no failure: it says how to allow it


def test_only_cells_that_match_are_run(ptbench: Ptbench, suite: Path, tmp_path: Path) -> None:
    suite.write_text(suite.read_text() + PUBLISHED)
    called = ptbench("verify", suite, "--match", "nobody", "--output", tmp_path / "out")
    assert called.code == 2
    assert "no claim has 'nobody'" in called.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("published", [math.inf, -math.inf, math.nan])
def test_no_number_is_never_reproduced(published: float) -> None:
    finding = check(claim(published, 1.0))
    assert (finding.verdict, finding.failed) == (Verdict.UNMEASURED, True)


def test_a_missing_per_cent_sign_is_guessed() -> None:
    finding = check(claim(91.73, 0.9164))
    assert finding.reason.endswith("; is a per cent sign missing?")


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('"majority"', '"majorty"', "key 'model': [models] has no 'majorty'; did you mean 'majority'?"),
        ('"mine"', '"mime"', "key 'task': [tasks] has no 'mime'; did you mean 'mine'?"),
        ('"accuracy"', '"acuracy"', "key 'metric': task 'mine' has no 'acuracy'; did you mean 'accuracy'?"),
        ('"linear_probe"', '"knn"', "key 'protocol': no grid puts 'majority' to 'mine' under 'knn'"),
        ('"50 %"', '"half"', "key 'value' is 'half'; write it as it is printed"),
        ('"50 %"', "true", "key 'value' is True; a text or a number was expected"),
        ('source = "a coin"', "", "key 'source' is missing"),
        ("source", "sorce", "key 'sorce': unknown; did you mean 'source'?"),
    ],
)
def test_mistakes_in_published_figures_are_told_with_all_others(
    suite: Path, ptbench: Ptbench, old: str, new: str, told: str
) -> None:
    suite.write_text(suite.read_text() + PUBLISHED.replace(old, new) + "\n[surprise]\n")
    for command in ("plan", "run", "verify"):
        called = ptbench(command, suite)
        assert called.code == 2
        assert f"[[published]] {told}" in called.err
        assert "key 'surprise': unknown" in called.err


@pytest.mark.parametrize(
    ("value", "figure", "digits"),
    [("0.8270", 0.827, 4), ("91.73 %", 0.9173, 4), ("82%", 0.82, 2), ("-1", -1.0, 0), ("3.", 3.0, 0)],
)
def test_a_value_keeps_the_digits_that_were_printed(
    suite: Path, value: str, figure: float, digits: int
) -> None:
    suite.write_text(suite.read_text() + PUBLISHED.replace('"50 %"', f'"{value}"'))
    (published,) = load_suite(suite).published
    assert published.value == pytest.approx(figure)
    assert published.digits == digits


def test_a_suite_without_published_figures_has_nothing_to_verify(ptbench: Ptbench, suite: Path) -> None:
    called = ptbench("verify", suite)
    assert called.code == 2
    assert "has no [[published]] figures" in called.err


def test_published_figures_change_nothing_for_a_run(ptbench: Ptbench, suite: Path, tmp_path: Path) -> None:
    suite.write_text(suite.read_text() + PUBLISHED)
    called = ptbench("run", suite, "--output", tmp_path / "out", "--json")
    assert called.code == 0, called.err
    assert len(json.loads(called.out)["records"]) == 2


def test_suite_error_is_a_usage_error() -> None:
    assert issubclass(SuiteError, pt.UsageError)
