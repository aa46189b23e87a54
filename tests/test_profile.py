"""`ptbench profile` as a user meets it; and the rules of honest numbers, which need no framework."""

from __future__ import annotations

import csv
import json
import math
import os
import random
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import ptbench
from ptbench import catalog as catalogs
from ptbench.cli import profilerows
from ptbench.cli.profilerows import PROFILE_COLUMNS
from ptbench.profiles import (
    Fidelity,
    Latency,
    Profile,
    ProfileRequest,
    Throughput,
    break_even_calls,
    check_variants,
    quantile,
    samples_needed,
)
from tests.conftest import Ptbench, Written

Requests = list[tuple[str, ProfileRequest, ptbench.ModelRequest]]


def measured(variant: str, first: float = 1.0, p50: float | None = 0.01, **changes: Any) -> Profile:
    facts = {
        "input": "128 tokens", "parameters": 22_713_216, "weight_bytes": 90_852_864, "load_seconds": 0.5,
        "operations": ptbench.Operations(2_812_000_000, 2_900_000_000, 10, {"gelu": 6}), "threads": 2,
        "latency": Latency(first, 100, p50, 0.02, None), "peak_memory_mb": 512.0, "peak_memory_batch": 8,
        "throughputs": (Throughput(1, 100, 1.0), Throughput(8, 800, 2.0)),
        "fidelity": Fidelity(64, 0.03125, 0.25),
    }  # fmt: skip
    return Profile(variant, "cpu", "fp32", **{**facts, **changes})


class Costly:
    """A model whose costs are known."""

    facts = ptbench.ModelFacts()

    def __init__(self, asked: ptbench.ModelRequest, requests: Requests) -> None:
        self.asked, self.requests = asked, requests

    def profile(self, request: ProfileRequest) -> Sequence[Profile]:
        print("a plugin that chatters")
        self.requests.append((str(self.asked.reference), request, self.asked))
        if self.asked.reference.name == "broken":
            raise RuntimeError("no\nweights")
        cannot = {"int8": Profile("int8", "cpu", "int8", "the model has no Linear layer")}
        return [cannot.get(name) or measured(name) for name in request.variants]


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> Requests:
    """Offer the provider `costly` beside the installed ones; what its models are asked is noted."""
    heard: Requests = []

    def describe(request: ptbench.ModelRequest) -> ptbench.ModelDescription:
        if request.reference.name == "unknown":
            raise ptbench.ModelError("costly:unknown: there is no such model; did you mean 'known'?")
        return ptbench.ModelDescription(frozenset({ptbench.Capability.PROFILE}))

    module = ModuleType("costly")
    provider = ptbench.Provider(
        name="costly", description="Known costs.", describe=describe,
        load=lambda request: Costly(request, heard),
        options=(
            ptbench.Option("init", (str,), "Weights.", choices=("random",)),
            ptbench.Option("depth", (int,), "Layers."),
        ),
    )  # fmt: skip
    module.ptbench_providers = ptbench.hookimpl(lambda: [provider])  # type: ignore[attr-defined]
    real = catalogs.load_catalog
    guest = catalogs.load_plugin(module)
    assert not guest.error
    monkeypatch.setattr(os, "getloadavg", lambda: (0.0, 0.0, 0.0))  # a busy machine has a note
    monkeypatch.setattr(catalogs, "load_catalog", lambda: catalogs.Catalog([*real().plugins, guest]))
    return heard


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_table_a_csv_and_an_exit_code(ptbench: Ptbench, requests: Requests, tmp_path: Path) -> None:
    called = ptbench(
        "profile", "costly:known", "--variants", "fp32,int8", "--batch-sizes", "8,1", "--seconds", "0.5",
        "--device", "cpu", "-o", "init=random", "-o", "depth=3", "--output", tmp_path / "out",
    )  # fmt: skip
    assert called.code == 1, "a row could not be measured"
    ((_, request, asked),) = requests
    assert request == ProfileRequest(("fp32", "int8"), (1, 8), 0.5)
    assert asked.options == {"init": "random", "depth": 3}
    assert asked.capability == "profile"
    assert asked.settings.device == "cpu"
    good, bad = rows_of(tmp_path / "out" / "profile.csv")
    assert list(good) == list(PROFILE_COLUMNS)
    assert (good["model"], good["variant"], good["parameters"]) == ("costly:known", "fp32", "22713216")
    assert (good["best_examples_per_s"], good["best_batch_size"]) == ("400.0", "8")
    assert (good["latency_samples"], good["latency_p90_s"], good["latency_p99_s"]) == ("100", "0.02", "")
    assert json.loads(good["throughput"]) == {"1": 100.0, "8": 400.0}
    assert json.loads(good["uncounted"]) == {"gelu": 6}
    assert (bad["variant"], bad["reason"]) == ("int8", "the model has no Linear layer")
    assert bad["parameters"] == bad["latency_p50_s"] == ""
    for text in ("22.7 M", "2.81 G", "400 @8", "3.1%", "2.5e-01", "one example: 128 tokens"):
        assert text in called.out
    assert "not measured: costly:known int8: the model has no Linear layer" in called.out
    assert "chatters" not in called.out


def test_a_plugin_that_forgets_a_variant_is_told(
    ptbench: Ptbench, requests: Requests, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Costly, "profile", lambda self, request: [])
    called = ptbench("profile", "costly:known", "--json")
    assert called.code == 1
    (row,) = json.loads(called.out)
    assert row["reason"] == "Costly.profile did not return one Profile per variant"


def test_json_is_json(ptbench: Ptbench, requests: Requests) -> None:
    called = ptbench("profile", "costly:known", "--json")
    assert called.code == 0
    (row,) = json.loads(called.out)
    assert list(row) == list(PROFILE_COLUMNS)
    assert (row["variant"], row["macs"], row["flipped"]) == ("fp32", 2_812_000_000, 0.03125)


def test_a_variant_is_by_default_the_precision(ptbench: Ptbench, requests: Requests) -> None:
    assert ptbench("profile", "costly:known", "--precision", "bf16", "--quiet").code == 0
    assert requests[0][1].variants == ("bf16",)


@pytest.mark.parametrize("columns", [80, 100, 160])
def test_the_table_fits(
    columns: int, ptbench: Ptbench, requests: Requests, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    called = ptbench("profile", "costly:" + "n" * 50, "--variants", "fp32,bf16+compile", "--quiet")
    lines = called.out.splitlines()
    assert max(map(len, lines)) <= columns
    table = "\n".join(line for line in lines if line.startswith(("┃", "│")))
    for text in ("p50", "10.0", "400 @8", "bf16+compile", "n" * 15):
        assert text in table, text
    assert ("22.7 M" in table) == (columns == 160)
    assert ("512" in table) == (columns > 80)


def test_names_are_not_folded_while_a_column_can_go(
    ptbench: Ptbench, requests: Requests, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    called = ptbench("profile", "costly:known", "--variants", "bf16+channels_last", "--quiet")
    assert "│ costly:known │ bf16+channels_last │" in called.out
    assert "peak: memory" not in called.out


def test_a_busy_machine_is_noted(
    ptbench: Ptbench, requests: Requests, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "getloadavg", lambda: (2.1, 0.0, 0.0))
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    called = ptbench("profile", "costly:known", "--quiet")
    assert "the machine was busy when this began (load 2.1 on 2 cores): times may be too long" in called.out


SUITE = """
[suite]
name = "costs"

[settings]
precision = "bf16"

[models]
known = { ref = "costly:known", depth = 7 }
broken = "costly:broken"
unused = "costly:unused"
majority = "baseline:majority"

[tasks]
mine = { adapter = "text-classification", data = "file:a.csv", input = "a", target = "b" }

[[grid]]
models = ["known"]
protocols = ["linear_probe"]
"""


def test_all_models_of_a_suite(
    ptbench: Ptbench, requests: Requests, written: Written, tmp_path: Path
) -> None:
    file = tmp_path / "costs.csv"
    called = ptbench("profile", written("costs.toml", SUITE), "--csv", file)
    assert called.code == 1
    rows = rows_of(file)
    assert [row["model"] for row in rows] == ["known", "broken", "unused", "majority"]
    assert [bool(row["reason"]) for row in rows] == [False, True, False, True]
    assert rows[1]["reason"] == "RuntimeError: no weights"
    assert "baseline:majority cannot be profiled" in rows[3]["reason"]
    assert rows[0]["options"] == '{"depth": 7}'
    assert requests[0][1].variants == ("bf16",)
    assert requests[0][2].base == tmp_path


def test_one_model_of_a_suite(ptbench: Ptbench, requests: Requests, written: Written) -> None:
    called = ptbench("profile", written("costs.toml", SUITE), "--model", "unused", "--json")
    assert [row["model"] for row in json.loads(called.out)] == ["unused"]
    assert called.code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["costly:unknown"], "there is no such model; did you mean 'known'?"),
        (["costli:known"], "no plugin offers the provider 'costli'; did you mean 'costly'?"),
        (["known"], "'known' is no reference: write scheme:name"),
        (["absent.toml"], "absent.toml: there is no such file"),
        (["baseline:oracle"], "baseline:oracle cannot be profiled: provider 'baseline' offers no profile"),
        (["sklearn:tfidf"], "sklearn:tfidf cannot be profiled: provider 'sklearn' offers no profile"),
        (["costly:known", "--variants", "fp32,compil"], "there is no step 'compil'; did you mean 'compile'?"),
        (["costly:known", "--variants", "bf16+int8"], "variant 'bf16+int8': a model runs in one precision"),
        (["costly:known", "--batch-sizes", "1,0"], "'1,0' is no list of whole numbers from 1"),
        (["costly:known", "--seconds", "0"], "0.0 is not in the range"),
        (["costly:known", "--seconds", "inf"], "inf is no time that ends"),
        (["costly:known", "--seconds", "nan"], "nan is no time that ends"),
        (["costly:known", "--variants", ""], "'' names none; write, say, fp32"),
        (["costly:known", "--variants", " ,"], "' ,' names none"),
        (["costly:known", "--variants", "FP32"], "there is no step 'FP32'; did you mean 'fp32'?"),
        (["costly:known", "--csv", "/dev/null/x"], "cannot write /dev/null/x: /dev/null is no folder"),
        (["costly:known", "--output", "/dev/null/out"], "cannot write /dev/null/out/profile.csv: /dev/null"),
        (["costly:known", "-o", "inti=random"], "key 'inti': unknown to provider 'costly'; did you mean"),
        (["costly:known", "-o", "init=none"], "key 'init' is 'none'"),
        (["costly:known", "-o", "init"], "write -o key=value"),
        (["costly:known", "--model", "costly:knwn"], "no such model; did you mean 'costly:known'?"),
        ([], "Missing argument 'MODEL...'"),
    ],
)
def test_what_is_wrong_in_the_call(
    arguments: list[str], message: str, ptbench: Ptbench, requests: Requests
) -> None:
    called = ptbench("profile", *arguments)
    assert called.code == 2
    assert message in called.err
    assert called.out == ""
    assert not requests


def test_one_of_several_that_is_unknown_is_a_row(ptbench: Ptbench, requests: Requests) -> None:
    called = ptbench("profile", "costly:unknown", "costly:known", "--json")
    assert called.code == 1
    assert [bool(row["reason"]) for row in json.loads(called.out)] == [True, False]


def test_options_are_not_for_suites(ptbench: Ptbench, requests: Requests, written: Written) -> None:
    called = ptbench("profile", written("costs.toml", SUITE), "-o", "depth=1")
    assert (called.code, "a suite has its own options" in called.err) == (2, True)


def test_an_interruption_keeps_what_was_measured(
    ptbench: Ptbench, requests: Requests, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Costly.profile

    def interrupted(self: Costly, request: ProfileRequest) -> Sequence[Profile]:
        if self.asked.reference.name == "second":
            raise KeyboardInterrupt
        return real(self, request)

    monkeypatch.setattr(Costly, "profile", interrupted)
    called = ptbench("profile", "costly:first", "costly:second", "--output", tmp_path / "out")
    assert called.code == 130
    assert [row["model"] for row in rows_of(tmp_path / "out" / "profile.csv")] == ["costly:first"]


@pytest.mark.parametrize("as_json", [False, True])
def test_an_interruption_keeps_finished_variants(
    as_json: bool, ptbench: Ptbench, requests: Requests, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(self: Costly, request: ProfileRequest) -> Sequence[Profile]:
        request.done(measured(request.variants[0]))
        raise KeyboardInterrupt

    monkeypatch.setattr(Costly, "profile", interrupted)
    file = tmp_path / "costs.csv"
    more = ["--json"] * as_json
    called = ptbench("profile", "costly:known", "--variants", "fp32,bf16", "--csv", file, *more)
    assert called.code == 130
    assert [row["variant"] for row in rows_of(file)] == ["fp32"]
    assert '"variant": "fp32"' in called.out if as_json else "│ fp32" in called.out


def test_a_plugin_that_fails_midway_keeps_finished_variants(
    ptbench: Ptbench, requests: Requests, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(self: Costly, request: ProfileRequest) -> Sequence[Profile]:
        request.done(measured(request.variants[0]))
        raise RuntimeError("no more")

    monkeypatch.setattr(Costly, "profile", fails)
    called = ptbench("profile", "costly:known", "--variants", "fp32,bf16", "--json")
    rows = json.loads(called.out)
    assert [(row["variant"], row["reason"]) for row in rows] == [("fp32", ""), ("", "RuntimeError: no more")]


def test_a_file_that_fails_after_all_costs_no_table(
    ptbench: Ptbench, requests: Requests, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(profilerows, "write_csv", full)
    called = ptbench("profile", "costly:known", "--csv", tmp_path / "x.csv")
    assert called.code == 1
    assert "22.7 M" in called.out
    assert "error: cannot write" in called.err
    assert "No space left on device" in called.err


def test_a_path_makes_no_folder_that_it_only_passes(
    ptbench: Ptbench, requests: Requests, tmp_path: Path
) -> None:
    called = ptbench("profile", "costly:known", "--csv", f"{tmp_path}/new/../sub/x.csv")
    assert called.code == 0
    assert [path.name for path in tmp_path.iterdir()] == ["sub"]
    assert len(rows_of(tmp_path / "sub" / "x.csv")) == 1


def test_spaces_and_names_in_messages(ptbench: Ptbench, requests: Requests) -> None:
    called = ptbench("profile", "costly:known", "baseline:majority", "--variants", "bf16 + compile, fp32")
    assert requests[0][1].variants == ("bf16+compile", "fp32")
    assert "not measured: baseline:majority: cannot be profiled: provider" in called.out


@pytest.mark.parametrize(("p", "n"), [(0.5, 11), (0.9, 64), (0.99, 662)])
def test_a_quantile_is_there_only_with_enough_samples(p: float, n: int) -> None:
    assert samples_needed(p) == n
    assert quantile(range(n - 1), p) is None
    assert quantile(range(n), p) is not None


@pytest.mark.parametrize("p", [0.5, 0.9, 0.99])
def test_two_samples_lie_beyond_the_quantile_as_often_as_promised(p: float) -> None:
    draw = random.Random(0)
    trials = [sum(draw.random() > p for _ in range(samples_needed(p))) >= 2 for _ in range(4000)]
    assert sum(trials) / len(trials) == pytest.approx(0.99, abs=4 * math.sqrt(0.99 * 0.01 / 4000))


@given(st.lists(st.floats(0, 1e3), min_size=11, max_size=800), st.sampled_from([0.5, 0.9, 0.99]))
def test_a_quantile_is_the_smallest_sample_with_enough_below(samples: list[float], p: float) -> None:
    found = quantile(samples, p)
    if found is not None:
        assert sum(s <= found for s in samples) >= p * len(samples) - 1e-6
        assert sum(s < found for s in samples) < p * len(samples)


def test_latency_of_a_thousand() -> None:
    samples = [i / 1000 for i in range(1, 1001)]
    random.Random(0).shuffle(samples)
    assert Latency.of(9.0, samples) == Latency(9.0, 1000, 0.5, 0.9, 0.99)
    assert Latency.of(9.0, samples[:10]) == Latency(9.0, 10, None, None, None)


@pytest.mark.parametrize(
    ("name", "other", "first", "p50", "calls"),
    [
        ("compile", "fp32", 21.0, 0.005, 20.0 / 0.005),
        ("bf16+compile", "bf16", 21.0, 0.005, 20.0 / 0.005),
        ("compile", "fp32", 21.0, 0.02, math.inf),
        ("compile", "fp32", 21.0, None, None),
        ("compile", "bf16", 21.0, 0.005, None),
        ("bf16", "fp32", 21.0, 0.005, None),
        ("bf16+channels_last+compile", "channels_last+bf16", 21.0, 0.005, 20.0 / 0.005),
        ("fp32+compile", "fp32", 21.0, 0.005, 20.0 / 0.005),
        ("fp32+channels_last+compile", "channels_last", 21.0, 0.005, 20.0 / 0.005),
    ],
)
def test_when_compiling_has_paid(
    name: str, other: str, first: float, p50: float | None, calls: float | None
) -> None:
    compiled = measured(name, first, p50)
    found = break_even_calls(compiled, [measured(other, 1.0, 0.01), compiled])
    assert found == (calls if calls is None else pytest.approx(calls))


def test_variants_that_are_none() -> None:
    check_variants(["fp32", "bf16+channels_last+compile"])
    for name in ("", "fp32+", "compile+compile", "fp32+bf16", "int8+fp16"):
        with pytest.raises(ptbench.UsageError, match="variant"):
            check_variants([name])
