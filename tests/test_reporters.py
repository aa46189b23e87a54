"""What reporters write reads back as it was meant: in the words of the format, inert, and not too long."""

from __future__ import annotations

import csv
import json
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from ptbench import (
    Change,
    Compared,
    Comparison,
    Difference,
    FileMetric,
    Predictions,
    Record,
    Report,
    Reporter,
    Score,
    Standing,
    Status,
    Timing,
    journal,
    printable,
    reporters,
    safe_cell,
    testing,
)
from ptbench.catalog import load_catalog
from ptbench.reporters.inert import inert
from ptbench.reporters.markdown import markdown_text
from tests.hostile import HOSTILE, hostile_report

EVERY = (reporters.CSV, reporters.MARKDOWN, reporters.JUNIT, reporters.JSON)
NAN = math.nan
MARKDOWN = MarkdownIt("commonmark").enable(["table", "strikethrough"])
BOTH = ("minilm", "linear_probe")


def difference(change: float, p: float, metric: str = "accuracy") -> Difference:
    return Difference(
        metric, True, 0.8, 0.8 + change, change, change - 0.01, change + 0.01, p, "mcnemar", 900, 900, 60
    )


def row(task: str, verdict: Change, **more: object) -> Compared:
    return Compared(task, BOTH, BOTH, verdict, **more)  # type: ignore[arg-type]


ROWS = (
    row("sst2", Change.SAME, differences=(difference(0.001, 0.9),)),
    row("cola", Change.WORSE, differences=(difference(-0.05, 0.0001),), differs=("weights",)),
    row("rte", Change.GONE, reason="failed: it broke"),
    row("qqp", Change.NOT_COMPARABLE, reason="other examples"),
    row(
        "mnli",
        Change.SAME,
        differences=(difference(0.0, 1.0),),
        timing=Timing(10.0, 15.0, 5, 0.02, 0.0, 0.0, True),
    ),
    row("wnli", Change.BETTER, differences=(difference(0.04, 0.001),)),
)
GATE = Comparison("base/1", "suite/2", ROWS, gate=True, environment=("torch 2.6 -> 2.7",), notes=("a note",))


@pytest.fixture
def report(tmp_path: Path) -> Report:
    """A report with a good, a failed and an undefined cell, and one cell of every other status."""
    sample = testing.sample_report(tmp_path)
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs/a.log").write_text("first line\nlast word \x1b[31m\0", "utf-8")
    first = sample.records[0]
    others = tuple(
        replace(
            first, cell=f"c-{status}", task="u", model=f"m-{status}", status=status, scores=(),
            error=f"why {status}", advice="try again", log="logs/a.log", started="2026-01-02T03:04:05+00:00",
            finished="2026-01-02T03:04:07.500+00:00",
        )
        for status in (Status.CRASHED, Status.OOM, Status.TIMEOUT, Status.SKIPPED)
    )  # fmt: skip
    best = Standing(
        "t", "accuracy", "m", "as_is", 0.8, 0.7, 0.9, 1, NAN, True, False, 0.0, 0.0, 0.0, group="a"
    )
    tied = replace(best, model="n", best=False, tied=True, value=0.79, group="ab")
    return replace(sample, records=(*sample.records, *others), standings=(best, tied))


@pytest.mark.parametrize("reporter", EVERY, ids=lambda reporter: reporter.name)
def test_every_reporter_keeps_its_promises(reporter: Reporter, tmp_path: Path) -> None:
    assert load_catalog().get(Reporter, reporter.name) == reporter
    written = testing.check_reporter(reporter, tmp_path)
    assert written
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(path.name for path in written)


@pytest.mark.parametrize("reporter", EVERY, ids=lambda reporter: reporter.name)
def test_hostile_names_are_written_as_utf_8(reporter: Reporter, tmp_path: Path) -> None:
    for path in reporter.write(hostile_report(tmp_path), tmp_path):
        assert "\0" not in path.read_bytes().decode("utf-8")


def test_an_empty_report_can_be_written(tmp_path: Path) -> None:
    for reporter in EVERY:
        assert reporter.write(Report({}, (), (), tmp_path), tmp_path)
    assert ET.parse(tmp_path / "junit.xml").getroot().get("tests") == "0"


# CSV


def test_hostile_names_are_inert_in_csv(tmp_path: Path) -> None:
    tidy, board = reporters.CSV.write(hostile_report(tmp_path), tmp_path)
    for path in (tidy, board):
        with path.open(encoding="utf-8", newline="") as file:
            header, *lines = csv.reader(file)
        assert {len(line) for line in lines} == {len(header)}
        assert not [cell for line in lines for cell in line if cell[:1] in ("=", "+", "@", "\t", "\r")]


def test_no_text_turns_the_direction_of_writing(report: Report, tmp_path: Path) -> None:
    name, shown = "a\u202eb\u2066c", "a\\u202eb\\u2066c"
    metric = load_catalog().metric("confusion_matrix")
    assert isinstance(metric, FileMetric)
    columns = {"target": np.array([0]), "prediction": np.array([0])}
    metric.write(Predictions(["a"], columns, ("good", name)), tmp_path / "matrix.csv")
    records = tuple(replace(record, model=name) for record in report.records)
    turned = replace(report, records=records, run={**report.run, "description": name})
    for path in (*reporters.CSV.write(turned, tmp_path), tmp_path / "matrix.csv"):
        text = path.read_text("utf-8")
        assert shown in text
        assert not {*"\u202e\u2066"} & {*text}
    assert name not in markdown_text(turned)


@pytest.mark.parametrize("label", HOSTILE)
def test_hostile_labels_are_inert_in_a_confusion_matrix(label: str, tmp_path: Path) -> None:
    labels = ("good", label)
    columns = {"target": np.array([0, 1, 1]), "prediction": np.array([1, 1, 0])}
    metric = load_catalog().metric("confusion_matrix")
    assert isinstance(metric, FileMetric)
    metric.write(Predictions(["a", "b", "c"], columns, labels), tmp_path / "matrix.csv")
    with (tmp_path / "matrix.csv").open(encoding="utf-8", newline="") as file:
        header, *lines = csv.reader(file)
    shown = safe_cell(label).encode("utf-8", "backslashreplace").decode()
    assert header == ["target", "good", shown]
    assert lines == [["good", "0", "1"], [shown, "1", "1"]]
    assert shown[0] not in "=+-@\t\r\n＝"  # noqa: RUF001
    assert "\0" not in shown


# Markdown


def test_reasons_that_differ_in_their_cells_alone_are_one(report: Report) -> None:
    failed = [
        replace(record, status=Status.FAILED, error=f"{record.title}: no file; {record.title} needs it")
        for record in (replace(report.records[0], task=f"t{i}", scores=()) for i in range(3))
    ]
    text = markdown_text(replace(report, records=tuple(failed)))
    assert "- **failed**: no file; this cell needs it\n" in text
    assert "  - 3 cells: " in text
    alone = markdown_text(replace(report, records=tuple(failed[:1])))
    assert plain(failed[0].error) in plain(alone)


@pytest.mark.parametrize(
    ("others", "said"),
    [
        ({"capability": "peek"}, "the only one"),
        ({"capability": "predict"}, "better than every other"),
        ({"value": NAN}, "the only one"),
    ],
)
def test_an_oracle_and_the_undefined_are_no_rivals(report: Report, others: dict[str, Any], said: str) -> None:
    first = next(record for record in report.records if record.task == "t")
    best = report.standings[0]
    value = others.pop("value", 0.5)
    records = (replace(first, model="m"), replace(first, model="n", cell="other", **others))
    rival = replace(report.standings[1], tied=False, value=value, protocol=best.protocol)
    text = markdown_text(replace(report, records=records, standings=(best, rival)))
    assert f"0.800 ±0.100; {said}\n" in text


def plain(markdown: str) -> str:
    """Return the text that a reader sees, without the spaces of no width."""
    html = MARKDOWN.renderInline(markdown)
    assert not re.search(r"<(?!/?(strong)\b)", html), html
    shown = html.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", '"').replace("&amp;", "&")
    return shown.replace("\u200b", "")


@given(st.one_of(st.text(max_size=60), st.text("\\`*_[]|~$!&<>@#:/.w-a1 ", max_size=60)))
def test_any_text_is_shown_as_it_is(text: str) -> None:
    shown = plain("x" + inert(text) + "x")  # spaces at the ends are Markdown's
    assert shown == "x" + printable(text) + "x"


@pytest.mark.parametrize("text", HOSTILE)
def test_no_mention_link_or_html_is_left(text: str) -> None:
    done = inert(text, 1000).replace("&#8203;", "\u200b")
    assert "\n" not in done
    assert not re.search(r"@\w|#\d|://|www\.|GH-\d|<|(?<!\\)\||\u202e|\ud800", done)


def test_a_summary_begins_with_what_got_worse_and_who_is_best(report: Report) -> None:
    text = markdown_text(replace(report, comparison=GATE))
    assert "**Worse: 3 of 6**" in text
    sentences = [line for line in text.splitlines() if line.startswith("- minilm")]
    assert sentences == [
        "- minilm x cola x linear_probe: worse; accuracy 0.800 -> 0.750, "
        "change -0.050 \\[-0.060, -0.040\\], p &lt; 0.001",
        "- minilm x rte x linear_probe: gone; failed: it broke",
        "- minilm x mnli x linear_probe: same; accuracy 0.800 -> 0.800, "
        "change 0.000 \\[-0.010, +0.010\\], p = 1.000; slower: 10.0 s -> 15.0 s (+50 %, noise 2 %)",
    ]
    assert (
        "- **t** (accuracy): **m** under as_is, 0.800 ±0.100; cannot be told from it: n under as_is" in text
    )
    assert (
        "2 same, 1 better, 1 worse, 1 gone, 1 not comparable; the chance of any false alarm is 5 %." in text
    )
    assert (
        text.index("Worse") < text.index("## Answers") < text.index("## Failures") < text.index("## Scores")
    )
    assert "- **crashed**: why crashed\n  - try: try again\n  - 1 cell: m-crashed x u x as_is\n" in text
    assert "torch 2.6 -> 2.7" in text
    assert "7 cells on 3 tasks: 2 ok, 1 failed, 1 crashed, 1 oom, 1 timeout, 1 skipped" in text


def test_a_comparison_without_regression_says_so(report: Report) -> None:
    same = replace(GATE, rows=ROWS[:1])
    assert "**Nothing got worse**" in markdown_text(replace(report, comparison=same))
    nothing = replace(GATE, rows=ROWS[3:4])
    assert "**Nothing could be compared.**" in markdown_text(replace(report, comparison=nothing))


def test_tables_have_a_cell_for_every_column(tmp_path: Path) -> None:
    text = markdown_text(replace(hostile_report(tmp_path), comparison=GATE))
    html = MARKDOWN.render(text)
    assert html.count("<table>") == 6  # the gate, three of scores, averages, costs
    for one in re.findall(r"<table>.*?</table>", html, re.DOTALL):
        heads = one.count("<th")
        rows = re.findall(r"<tr>(.*?)</tr>", one, re.DOTALL)
        assert {row.count("<td") for row in rows[1:]} == {heads - 1}  # <thead> is no cell
    assert not re.search(r"<(?!/?(h1|h2|p|ul|li|strong|table|thead|tbody|tr|th|td)\b)", html)


@pytest.mark.parametrize("name", ["x", "\U0010ffff" * 300, "|" * 300, "@" * 300, "名" * 300])
def test_a_summary_is_never_longer_than_github_takes(name: str, tmp_path: Path) -> None:
    first = hostile_report(tmp_path).records[0]
    records = [
        replace(
            first, cell=f"{i}-{j}", model=f"{i}{name}", task=f"{j}{name}", primary=name,
            scores=(Score(name, 0.5, 0.4, 0.6, 9, True, "wilson"),), notes=(f"{i} {name}",),
            status=Status.FAILED if j % 2 else Status.OK, error=f"{i} {j} {name}",
        )
        for i in range(40) for j in range(40)
    ]  # fmt: skip
    best = Standing("", name, "", "as_is", 0.5, 0.4, 0.6, 1, NAN, True, True, 0.0, 0.0, 0.0, group="a")
    standings = [replace(best, task=r.task, model=r.model) for r in records if r.status is Status.OK]
    many = replace(GATE, rows=tuple(replace(each, task=f"{i}{name}") for i in range(300) for each in ROWS))
    text = markdown_text(Report({"suite": name}, tuple(records), tuple(standings), tmp_path, (), many))
    assert len(text.encode()) <= 60_000
    for said in ("comparison.json", "leaderboard.csv", "report.csv"):
        assert re.search(rf"Cut here: [\d,]+ more of [\d,]+ [a-z ]+; {said} has all\.", text)


# JUnit

CHILDREN = {
    "testsuites": ("testsuite",),
    "testsuite": ("properties", "testcase", "system-out", "system-err"),
    "properties": ("property",),
    "property": (),
    "testcase": ("skipped", "error", "failure", "system-out", "system-err"),
    "skipped": (), "error": (), "failure": (), "system-out": (), "system-err": (),
}  # fmt: skip
"""Elements of the schema of Jenkins, and what may stand in each, in this order."""
ATTRIBUTES = {
    "testsuites": {"name", "time", "tests", "failures", "errors"},
    "testsuite": {
        *("name", "tests", "failures", "errors", "time", "skipped", "timestamp", "hostname", "id", "package"),
    },
    "property": {"name", "value"},
    "testcase": {"name", "classname", "time"},
    "skipped": {"message"},
    "error": {"message", "type"},
    "failure": {"message", "type"},
}


def check_junit(path: Path) -> ET.Element:
    """Check a document against the schema, and return it."""
    text = path.read_text("utf-8")
    assert "<!" not in text
    root = ET.fromstring(text)
    assert root.tag == "testsuites"
    for element in root.iter():
        order = [CHILDREN[element.tag].index(child.tag) for child in element]
        assert order == sorted(order)
        assert set(element.attrib) == ATTRIBUTES.get(element.tag, set())
        assert all(len(value) <= 1000 and printable(value) == value for value in element.attrib.values())
    for suite in root:
        cases = suite.findall("testcase")
        assert int(suite.attrib["tests"]) == len(cases)
        for name, tag in (("errors", "error"), ("failures", "failure"), ("skipped", "skipped")):
            assert int(suite.attrib[name]) == len(suite.findall(f"testcase/{tag}"))
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", suite.attrib["timestamp"])
        assert float(suite.attrib["time"]) == pytest.approx(sum(float(case.attrib["time"]) for case in cases))
        names = [(case.attrib["classname"], case.attrib["name"]) for case in cases]
        assert len(set(names)) == len(names)
    return root


def test_a_cell_is_a_test_case(report: Report, tmp_path: Path) -> None:
    root = check_junit(*reporters.JUNIT.write(report, tmp_path))
    assert (root.get("tests"), root.get("errors"), root.get("failures")) == ("7", "4", "0")
    cases = {case.attrib["name"]: case for case in root.iter("testcase")}
    assert cases["m x as_is"].findtext("system-out") == "accuracy 0.800 ±0.100 [0.7, 0.9] n 100"
    crashed = cases["m-crashed x as_is"]
    assert crashed.attrib["classname"] == "u"
    assert crashed.attrib["time"] == "2.500"
    error = crashed.find("error")
    assert error is not None
    assert error.attrib == {"message": "why crashed", "type": "crashed"}
    assert error.text == "why crashed\ntry: try again"
    assert crashed.findtext("system-err") == "first line\nlast word \\x1b[31m\\x00"
    skipped = cases["m-skipped x as_is"].find("skipped")
    assert skipped is not None
    assert skipped.attrib == {"message": "why skipped"}
    told = {one.attrib["name"]: one.attrib["value"] for one in root.iter("property")}
    assert told["m x as_is: accuracy"] == "0.800 ±0.100 [0.7, 0.9] n 100"
    assert told["m x as_is seed 2: f1"] == "undefined n 10; no positives"


def test_a_gate_fails_what_got_worse_slower_or_is_gone(report: Report, tmp_path: Path) -> None:
    root = check_junit(*reporters.JUNIT.write(replace(report, comparison=GATE), tmp_path))
    assert (root.get("tests"), root.get("errors"), root.get("failures")) == ("13", "4", "3")
    failed = {
        case.attrib["classname"]: failure
        for case in root.iter("testcase")
        if (failure := case.find("failure")) is not None
    }
    assert {task: failure.attrib["type"] for task, failure in failed.items()} == {
        "cola": "worse", "rte": "gone", "mnli": "slower",
    }  # fmt: skip
    assert "change -0.050 [-0.060, -0.040], p < 0.001" in failed["cola"].attrib["message"]
    assert (failed["cola"].text or "").endswith("baseline: base/1\nweights")
    skipped = root.find("testsuite[@name='qqp']/testcase/skipped")
    assert skipped is not None
    assert "other examples" in skipped.attrib["message"]


def test_a_comparison_that_is_no_gate_fails_nobody(report: Report, tmp_path: Path) -> None:
    with_it = replace(report, comparison=replace(GATE, gate=False))
    root = check_junit(*reporters.JUNIT.write(with_it, tmp_path))
    assert (root.get("tests"), root.get("failures")) == ("7", "0")


def test_hostile_names_are_inert_in_junit(tmp_path: Path) -> None:
    root = check_junit(*reporters.JUNIT.write(hostile_report(tmp_path), tmp_path))
    messages = [error.attrib["message"] for error in root.iter("error")]
    assert sorted(messages) == sorted(printable(name) for name in HOSTILE)


def test_no_log_from_elsewhere_is_shown(report: Report, tmp_path: Path) -> None:
    (tmp_path.parent / "secret.log").write_text("secret", "utf-8")
    records = tuple(replace(record, log="../secret.log") for record in report.records)
    (path,) = reporters.JUNIT.write(replace(report, records=records), tmp_path)
    assert "secret" not in path.read_text("utf-8")


# JSON


def test_json_reads_back_as_the_same_records(tmp_path: Path) -> None:
    report = replace(hostile_report(tmp_path), comparison=GATE)
    (path,) = reporters.JSON.write(report, tmp_path)

    def refused(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    data = json.loads(path.read_text("ascii"), parse_constant=refused)
    assert data["schema"] == 1
    assert str(tmp_path) not in path.read_text("ascii")
    found = [journal.loads(json.dumps(record)) for record in data["records"]]
    assert found == list(report.records)
    assert data["comparison"]["rows"][1]["verdict"] == "worse"
    assert [one["model"] for one in data["averages"]] == list(HOSTILE)


def test_json_has_null_where_a_number_is_undefined(tmp_path: Path) -> None:
    (path,) = reporters.JSON.write(testing.sample_report(tmp_path), tmp_path)
    records: list[Record] = [journal.loads(json.dumps(r)) for r in json.loads(path.read_text())["records"]]
    assert json.loads(path.read_text())["records"][2]["scores"][0]["value"] is None
    assert math.isnan(records[2].scores[0].value)
