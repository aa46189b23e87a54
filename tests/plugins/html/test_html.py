"""The page as text: what it holds, that nothing in it is more than text, and that it is always made."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.plugins.html import toys

from ptbench import Predictions, Report, Status, Timing
from ptbench.store import write_predictions
from ptbench.testing import check_reporter
from ptbench_html import HTML
from ptbench_html.markup import clean, el, script_json
from ptbench_html.page import page

VOID = {"meta", "link", "img", "input", "br"}
ATTRIBUTES = re.compile("on|style$|srcdoc$|formaction$")


class Page(HTMLParser):
    """What a browser would make of a page: elements in balance, texts, scripts."""

    def __init__(self, markup: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.raw: dict[str, list[str]] = {"script": [], "style": []}
        self.rows: list[list[str]] = []
        self.feed(markup)
        self.close()
        assert self.open == [], "every element is closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> ends nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in self.raw:
            self.raw[self.open[-1]].append(data)
            return
        self.texts.append(data)
        if "td" in self.open or "th" in self.open:
            self.rows[-1][-1] += data

    @property
    def text(self) -> str:
        return "".join(self.texts)

    @property
    def data(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.raw["script"][0])
        return found

    def ids(self) -> list[str]:
        return [attributes["id"] or "" for _, attributes in self.tags if "id" in attributes]


def inert(found: Page) -> None:
    """Nothing runs but the one script, nothing is loaded, nothing is styled by hand."""
    assert [a.get("type") for t, a in found.tags if t == "script"] == ["application/json", None]
    assert not [name for _, a in found.tags for name in a if ATTRIBUTES.match(name)]
    assert {t for t, _ in found.tags} & {"iframe", "object", "embed", "form", "base", "svg"} == set()
    addresses = [a[k] or "" for _, a in found.tags for k in ("href", "src") if k in a]
    assert all(address.startswith(("#", "data:", "../")) for address in addresses)


def test_everything_is_there(tmp_path: Path) -> None:
    report = toys.rich(tmp_path)
    found = Page(page(report, back="../index.html"))
    inert(found)
    sections = ("answers", "leaderboard", "failures", "comparison", "cost", "intervals", "behind", "curves")
    assert {*sections, "provenance"} <= set(found.ids())
    assert len(found.ids()) == len(set(found.ids()))
    assert "minilm is best (accuracy 0.900, 0.880 to 0.920); bert cannot be told from it." in found.text
    assert "Over the 3 tasks together, minilm is best: 0.800 on average" in found.text
    assert "Try: use a smaller batch" in found.text
    assert "MemoryError: out of memory" in found.text
    assert "12 ok" in found.text
    assert "2 not ok" in found.text
    assert "1 h 2 min" in found.text
    assert "torch 2.6 -> 2.7" in found.text
    assert "name = 'toys'" in found.text
    assert ("../index.html", "back") in [(a.get("href"), a.get("class")) for t, a in found.tags if t == "a"]


def test_headings_go_down_one_by_one(tmp_path: Path) -> None:
    levels = [int(t[1]) for t, _ in Page(page(toys.rich(tmp_path))).tags if re.fullmatch("h[1-6]", t)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b <= a + 1 for a, b in pairwise(levels))


def test_the_leaderboard_is_a_table_in_order() -> None:
    report = toys.grid(7, 3)
    found = Page(page(report))
    assert len(found.rows) >= 8
    order = [f"{a.model} {a.protocol}" for a in report.averages]
    assert [row[0] for row in found.rows[1:8]] == order
    values = [float(row[1].split()[0]) for row in found.rows[1:8]]
    assert values == [round(a.value, 3) for a in report.averages]
    best = next(s for s in report.standings if s.task == "task-0000" and s.best)
    (cell,) = [row[2] for row in found.rows[1:8] if row[0].startswith(best.model)]
    assert cell.startswith(f"{best.value:.3f}")
    assert "best, rank 1 to 2" in cell


def test_many_tasks_are_rows() -> None:
    found = Page(page(toys.grid(2, 30)))
    assert [row[0] for row in found.rows[1:31]] == [f"task-{i:04}" for i in range(30)]
    assert len(found.rows[1]) == 3


def test_a_failed_cell_says_so_in_its_place(tmp_path: Path) -> None:
    found = Page(page(toys.rich(tmp_path)))
    row = next(row for row in found.rows if row[0].startswith("big"))
    assert [cell.split(" ")[0].strip() for cell in row[2:]] == ["oom", "skipped", "·"]


def test_one_who_saw_the_targets_is_no_rival() -> None:
    oracle = toys.record("oracle", "t", 1.0, capability="peek")
    found = Page(page(toys.ranked([toys.record("a", "t", 0.5), toys.record("b", "t", 0.49), oracle])))
    assert "oracle is best" not in found.text
    row = next(row for row in found.rows if row[0].startswith("oracle"))
    assert "a bound, not a rival" in row[1]


def test_predictions_are_looked_behind(tmp_path: Path) -> None:
    report = toys.rich(tmp_path)
    data = Page(page(report)).data
    assert len(data["behind"]) == 12
    assert data["left"]["unreadable"] == 0
    for told in data["behind"].values():
        assert sum(map(sum, told["counts"])) == 400
        assert sum(one[4] for one in told["bins"]) == 400
    assert data["labels"] == [["no", "yes"]]


def test_without_predictions_the_page_is_made_all_the_same(tmp_path: Path) -> None:
    report = toys.rich(tmp_path)
    files = [tmp_path / one.files[0] for one in report.records if one.files]
    files[0].unlink()
    files[1].write_bytes(b"PAR1 this is none PAR1")
    found = Page(page(report))
    assert len(found.data["behind"]) == 10
    assert found.data["left"]["unreadable"] == 2
    for file in files[2:]:
        file.unlink()
    assert "behind" not in Page(page(report)).ids()


def test_the_best_of_each_task_are_looked_behind_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ptbench_html.behind.MOST_PLACES", 4)
    data = Page(page(toys.rich(tmp_path))).data
    places = [key.split(",") for key in data["behind"]]
    found = {(task, data["entries"][int(entry)][0]) for task, entry in places}
    assert found == {("0", "minilm"), ("1", "minilm"), ("2", "minilm"), ("0", "bert")}
    assert data["left"]["behind"] == 8


def test_of_many_labels_the_mistakes_are_told(tmp_path: Path) -> None:
    labels = tuple(f"label {i}" for i in range(100))
    target = np.arange(200) % 100
    prediction = np.where(target < 3, 7, target)
    columns = {"target": target, "prediction": prediction}
    write_predictions(tmp_path / "p.parquet", Predictions([str(i) for i in range(200)], columns, labels))
    found = Page(page(toys.ranked([toys.record("a", "t", files=("p.parquet",))], tmp_path)))
    (told,) = found.data["behind"].values()
    assert (told["right"], told["n"], "counts" in told) == (194, 200, False)
    assert told["mistakes"] == [[f"label {i}", "label 7", 2] for i in range(3)]


def test_an_average_of_who_saw_the_targets_is_a_bound() -> None:
    records = [
        toys.record(model, task, value, capability="peek" if model == "oracle" else "embed")
        for model, value in (("a", 0.5), ("b", 0.4), ("oracle", 1.0))
        for task in ("t", "u")
    ]
    found = Page(page(toys.ranked(records)))
    assert "Over the 2 tasks together, a is best: 0.500 on average" in found.text
    assert [row[0].split()[0] for row in found.rows[1:4]] == ["a", "b", "oracle"]
    assert [entry for entry, *_ in found.data["averages"]] == [0, 1]


def test_nothing_outside_of_the_folder_is_read(tmp_path: Path) -> None:
    (tmp_path / "secret.log").write_text("the secret")
    folder = tmp_path / "run"
    folder.mkdir()
    broken = [toys.failed("a", "t", log=name) for name in ("../secret.log", str(tmp_path / "secret.log"))]
    assert "the secret" not in page(Report(toys.RUN, tuple(broken), (), folder))


def test_pictures_of_inspections_are_part_of_the_page(tmp_path: Path) -> None:
    folder = tmp_path / "inspect" / "minilm"
    folder.mkdir(parents=True)
    about = {"title": "minilm <x>", "status": "ok", "notes": ["layer 3 vanishes"], "files": ["weights.csv"]}
    (folder / "inspection.json").write_text(json.dumps(about))
    report = replace(toys.grid(1, 1), folder=tmp_path)
    without = Page(page(report))
    assert "layer 3 vanishes" in without.text
    assert "No pictures were drawn" in without.text
    png = b"\x89PNG\r\n\x1a\n" + bytes(100)
    (folder / "weights.png").write_bytes(png)
    (folder / "cka.png").write_bytes(b"<svg onload=alert(1)>")
    (folder / "gradients.png").write_bytes(png + bytes(3_000_000))
    found = Page(page(report))
    (image,) = [a for t, a in found.tags if t == "img"]
    assert image["src"] == "data:image/png;base64," + base64.b64encode(png).decode()
    assert image["alt"] is not None
    assert image["alt"].endswith(": minilm <x>")
    assert "1 pictures are left out" in found.text


def test_hostile_texts_are_texts(tmp_path: Path) -> None:
    markup = page(toys.hostile(tmp_path))
    found = Page(markup)
    inert(found)
    for text in map(clean, toys.HOSTILE):
        assert text in found.text
        assert any(text in (model, protocol) for model, protocol, *_ in found.data["entries"])
    for unseen in ("\u202e", "\u2028", "\x1b"):
        assert unseen not in markup
        assert clean(unseen) in found.text
    assert clean("one\ttwo\r\nthree") == "one\ttwo\nthree"
    assert "<" not in found.raw["script"][0]


def test_the_policy_allows_this_script_and_style_only() -> None:
    found = Page(page(toys.grid(1, 1)))
    (policy,) = [a["content"] for t, a in found.tags if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy is not None

    def digest(text: str) -> str:
        return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()

    style = "".join(found.raw["style"])
    script = "".join(found.raw["script"][1:])
    assert f"script-src '{digest(script)}'" in policy
    assert f"style-src '{digest(style)}'" in policy
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


def compared(report: Report, **told: Any) -> Page:
    """Return the page of a report whose comparison is told otherwise."""
    assert report.comparison is not None
    return Page(page(replace(report, comparison=replace(report.comparison, **told))))


def test_a_gate_says_how_often_its_alarm_is_false(tmp_path: Path) -> None:
    report = toys.rich(tmp_path)
    gate = compared(report, gate=True, alpha=0.01)
    assert "at most 1 % of gates are a false alarm" in gate.text
    assert "“better” is asked apart, at a rate of its own" in gate.text
    assert "“worse” may hold 0" in gate.text
    both = compared(report)
    assert "At most 5 % of such comparisons hold any false verdict" in both.text
    assert "gates" not in both.text
    assert "Of 6 rows, 3 could be compared" in both.text
    assert "over 3 scores and 1 time that had to be judged" in both.text


def row_of(found: Page, task: str) -> list[str]:
    """Return a row of the comparison."""
    return next(
        row
        for row in found.rows
        if len(row) > 4 and row[1] == "minilm linear_probe" and row[2].startswith(task)
    )


def heads(found: Page) -> list[str]:
    """Return the head of the comparison."""
    return next(row for row in found.rows if row[0] == "Verdict")


def test_rows_without_a_question_have_no_p(tmp_path: Path) -> None:
    report = toys.rich(tmp_path)
    assert report.comparison is not None
    rows = list(report.comparison.rows)
    (same,) = rows[0].differences
    rows[0] = replace(rows[0], differences=(replace(same, adjusted=math.nan, differing=0, change=0.0),))
    found = compared(report, rows=tuple(rows), gate=True)
    assert [row_of(found, task)[6] for task in ("cola", "sst2", "mrpc")] == ["", "0.003", "<0.001"]
    assert "in 1 of these both sides predict the same" in found.text
    assert "over 2 scores" in found.text
    assert "pone-sided, Holm" in heads(found)
    assert len(found.data["changes"]) == 2
    assert found.data["left"]["changes"] == 1
    assert "ptwo-sided, Holm" in heads(compared(report))


def test_times_that_are_not_judged_are_no_facts(tmp_path: Path) -> None:
    report = toys.rich(tmp_path)
    assert report.comparison is not None
    rows = list(report.comparison.rows)
    rows[0] = replace(rows[0], timing=Timing(1.0, 0.07, 1, math.nan, math.nan))
    rows[2] = replace(rows[2], timing=Timing(1.0, math.nan, 0, math.nan, math.nan))
    found = compared(report, rows=tuple(rows))
    assert row_of(found, "cola")[7] == "\N{MINUS SIGN}93 % not judged"
    assert row_of(found, "sst2")[7] == "+50 % slower"
    assert row_of(found, "mrpc")[7] == "\N{EN DASH}"
    titles = [a["title"] or "" for t, a in found.tags if t == "td" and "title" in a]
    assert "1.0 s → 70 ms, not judged" in titles
    assert not [text for text in (*titles, *found.texts) if re.search(r"\bnan\b", text)]


def test_what_differs_everywhere_is_said_once(tmp_path: Path) -> None:
    report = toys.rich(tmp_path)
    assert report.comparison is not None
    rows = [replace(row, differs=("weights",) if row.differences else ()) for row in report.comparison.rows]
    found = compared(report, rows=tuple(rows))
    assert "What differs in every row that could be compared: weights." in found.text
    assert heads(found)[-1] == "What differs"
    assert row_of(found, "sst2")[-1] == ""
    assert row_of(found, "cola")[-1] == "reused"
    rows = [replace(row, reused=False) for row in rows]
    assert heads(compared(report, rows=tuple(rows)))[-1] == "Time"


def test_numbers_are_rounded_once() -> None:
    report = toys.ranked([toys.record("a", "t", 0.253499928), toys.record("b", "t", 0.1)])
    found = Page(page(report))
    assert found.data["places"][0][2] == 0.253499928
    assert found.data["records"]["0,0"][0]["scores"][0][1] == 0.253499928


def test_equals_are_best_together() -> None:
    values = {"a": 0.782, "b": 0.782, "c": 0.782, "d": 0.77, "e": 0.5}
    report = toys.ranked([toys.record(model, "t", value) for model, value in values.items()])
    standings = [replace(s, best=s.model == "a", tied=s.model in "bcd") for s in report.standings]
    found = Page(page(replace(report, standings=tuple(standings))))
    assert (
        "a, b and c are equal best (accuracy 0.782, 0.762 to 0.802); d cannot be told from them."
        in found.text
    )


def test_letters_of_two_characters_are_letters() -> None:
    report = toys.grid(3, 2)
    groups = ("z aa", "ab", "aa ac")
    averages = tuple(replace(a, group=group) for a, group in zip(report.averages, groups, strict=True))
    found = Page(page(replace(report, averages=averages)))
    assert [one[4] for one in found.data["averages"]] == [1, 0, 2]
    assert f"; {averages[2].model} cannot be told from it" in found.text


def test_scores_without_standings_are_told() -> None:
    records = (toys.record("a", "t", 0.8), toys.record("b", "t", 0.7))
    found = Page(page(Report(toys.RUN, records)))
    assert (
        "a has the best of 2 scores, 0.800; whether others can be told from it was not worked out."
        in found.text
    )
    assert "a alone has a score: 0.800." in Page(page(Report(toys.RUN, records[:1]))).text
    equal = (*records, toys.record("c", "t", 0.8))
    assert "a and c have the best of 3 scores, 0.800" in Page(page(Report(toys.RUN, equal))).text
    seen = toys.record("oracle", "t", 1.0, capability="peek")
    assert "only what saw the targets has a score." in Page(page(Report(toys.RUN, (seen,)))).text
    seeds = (records[0], replace(records[0], seed=1, cell="other"))
    assert "there are scores, but none that could be compared." in Page(page(Report(toys.RUN, seeds))).text


def test_pictures_keep_their_room(tmp_path: Path) -> None:
    folder = tmp_path / "inspect" / "minilm"
    folder.mkdir(parents=True)
    (folder / "inspection.json").write_text("{}")
    size = (300).to_bytes(4, "big") + (200).to_bytes(4, "big")
    (folder / "weights.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(4) + b"IHDR" + size + bytes(9))
    found = Page(page(replace(toys.grid(1, 1), folder=tmp_path)))
    (image,) = [a for t, a in found.tags if t == "img"]
    assert (image["width"], image["height"]) == ("300", "200")


TEXTS = st.text(st.characters(), max_size=20)


@given(TEXTS, TEXTS)
def test_any_text_stays_within_its_element(text: str, key: str) -> None:
    parsed = Page(el("p", text, title=key))
    assert [t for t, _ in parsed.tags] == ["p"]
    assert set(parsed.tags[0][1]) == {"title"}


@given(st.dictionaries(TEXTS, TEXTS | st.floats() | st.integers()))
def test_json_reads_back_and_ends_no_script(data: dict[str, Any]) -> None:
    text = script_json(data)
    assert not set(text) & set("<>&\u2028\u2029")
    assert len(json.loads(text)) <= len(data)
    plain = {k: v for k, v in data.items() if k.isprintable() and (not isinstance(v, str) or v.isprintable())}
    expected = {k: v if not isinstance(v, float) or math.isfinite(v) else None for k, v in plain.items()}
    assert expected == json.loads(script_json(plain))


@given(TEXTS, TEXTS, TEXTS, TEXTS)
def test_a_page_of_any_names_is_inert(model: str, task: str, protocol: str, error: str) -> None:
    records = [
        toys.record(model, task, protocol=protocol, notes=(error,), facts={model: error}),
        replace(toys.failed(model, task + "x", protocol=protocol), error=error, advice=task, log=model),
    ]
    inert(Page(page(Report({"suite": task, "run": model, "text": error}, tuple(records)))))


@pytest.mark.parametrize(
    "run", [{}, {"suite": None, "machine": 5, "packages": [], "started": 3, "command": 7}]
)
def test_a_run_without_cells_has_a_page(run: dict[str, Any]) -> None:
    found = Page(page(Report(run, ())))
    inert(found)
    assert "This run has no cells." in found.text


def test_a_run_of_failures_has_a_page() -> None:
    records = tuple(toys.failed(f"m{i}", "t", status) for i, status in enumerate(Status) if status != "ok")
    found = Page(page(Report(toys.RUN, records)))
    assert "nobody has a score." in found.text
    assert f"{len(records)} not ok" in found.text
    assert "cost" not in found.ids()


def test_a_run_that_goes_on_tells_what_is_missing() -> None:
    report = toys.grid(2, 2)
    found = Page(page(replace(report, run={**report.run, "cells": 10, "status": "running"})))
    assert "not run yet" in found.text
    assert "6" in [row.strip() for row in found.texts]


@pytest.mark.parametrize(
    "curves",
    [None, 5, "text", [5], [{}], [{"points": "text"}], [{"points": [[1], ["a", 2], [None, 1], [True, 1]]}]],
)  # fmt: skip
def test_malformed_curves_are_left_out(curves: Any) -> None:
    report = toys.ranked([toys.record("a", "t", facts={"curves": curves})])
    assert Page(page(report)).data["curves"] == []


def test_long_curves_keep_their_ends() -> None:
    points = [[i, 1 / (i + 1)] for i in range(10_001)]
    report = toys.ranked(
        [toys.record("a", "t", facts={"curves": [{"name": "l", "x": "step", "points": points}]})]
    )
    (curve,) = Page(page(report)).data["curves"]
    assert len(curve["p"]) <= 202
    assert (curve["p"][0], curve["p"][-1][0]) == ([0.0, 1.0], 10_000)


def test_the_same_report_gives_the_same_page(tmp_path: Path) -> None:
    report = toys.rich(tmp_path)
    assert page(report) == page(report)
    shuffled = replace(report, records=tuple(reversed(report.records)))
    assert Page(page(shuffled)).rows[:6] == Page(page(report)).rows[:6]


def test_the_reporter_writes_one_file(tmp_path: Path) -> None:
    (path,) = HTML.write(toys.grid(2, 2), tmp_path)
    assert path == tmp_path / "report.html"
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]
    assert path.read_text("utf-8") == page(toys.grid(2, 2))


def test_the_reporter_conforms(tmp_path: Path) -> None:
    check_reporter(HTML, tmp_path)


@pytest.mark.parametrize(("models", "tasks"), [(100, 10), (1, 1000)])
def test_a_thousand_cells_are_small(models: int, tasks: int) -> None:
    assert len(page(toys.grid(models, tasks)).encode()) < 3_000_000
