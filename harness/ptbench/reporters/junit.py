"""A report as JUnit XML, which every CI reads: a suite per task, a test case per cell.

Elements stand as the schema of Jenkins wants them, with the attributes that Ant's requires. A cell that did
not end well is an error, one that the plan skipped is skipped. Where the run was gated against a baseline,
each row of the gate is one more test case, and what got worse or is gone is a failure.
"""

from __future__ import annotations

import hashlib
import math
import re
from datetime import datetime
from pathlib import Path
from xml.etree import ElementTree as ET

from ptbench.comparison import Change, Compared
from ptbench.deaths import log_end
from ptbench.errors import printable
from ptbench.figures import finding_text, score_text
from ptbench.records import Record, Report, Score, Status
from ptbench.report import ordered, tasks_of
from ptbench.reporters.inert import shortened
from ptbench.reporters.placing import placed
from ptbench.runlog import seconds_of

MAX_NAME, MAX_MESSAGE = 250, 1_000
"""Characters of a name, and of a message."""
_FORBIDDEN = re.compile("[^\t\n\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 does not allow, or discourages."""


def write_junit(report: Report, folder: Path) -> Path:
    """Write ``junit.xml`` into a folder; return its path."""
    path = folder / "junit.xml"
    root = junit_tree(report)
    ET.indent(root)
    with placed(path) as file:
        file.write('<?xml version="1.0" encoding="utf-8"?>\n')
        file.write(ET.tostring(root, encoding="unicode") + "\n")
    return path


def junit_tree(report: Report) -> ET.Element:
    """Return the document: ``testsuites``, and below it a ``testsuite`` per task."""
    records: dict[str, list[Record]] = {task: [] for task in tasks_of(report)}
    for record in ordered(report):
        records[record.task].append(record)
    gated = report.comparison if report.comparison is not None and report.comparison.gate else None
    gates: dict[str, list[ET.Element]] = {}
    if gated is not None:
        worse = set(map(id, gated.regressed))
        for row in gated.rows:
            records.setdefault(row.task, [])
            gates.setdefault(row.task, []).append(_gated(row, gated.a, id(row) in worse))
    title = f"{report.run.get('suite', '')} {report.run.get('run', '')}".strip()
    root = ET.Element("testsuites", name=_name(title or "ptbench"))
    for number, (task, found) in enumerate(records.items()):
        suite = _suite(report, task, found)
        suite.set("id", str(number))
        suite.extend(gates.get(task, ()))
        _count(suite)
        root.append(suite)
    for name in ("tests", "failures", "errors"):
        root.set(name, str(sum(int(suite.get(name, "0")) for suite in root)))
    root.set("time", _seconds(sum(float(suite.get("time", "0")) for suite in root)))
    return root


def _suite(report: Report, task: str, records: list[Record]) -> ET.Element:
    suite = ET.Element("testsuite", name=_name(task), package=_name(str(report.run.get("suite", ""))))
    suite.set("timestamp", _timestamp(min((r.started for r in records if r.started), default="")))
    suite.set("hostname", "localhost")  # results are passed on, and nobody need know the machine
    scored = [(record, score) for record in records for score in record.scores]
    if scored:
        properties = ET.SubElement(suite, "properties")
        for record, score in scored:
            told = {"name": _name(f"{_case_name(record)}: {score.metric}"), "value": _score(score)}
            ET.SubElement(properties, "property", told)
    for record in records:
        suite.append(_case(report, record))
    return suite


def _case(report: Report, record: Record) -> ET.Element:
    case = ET.Element("testcase", classname=_name(record.task), name=_name(_case_name(record)))
    case.set("time", _seconds(0.0 if record.status is Status.SKIPPED else seconds_of(record) or 0.0))
    if record.status is Status.SKIPPED:
        ET.SubElement(case, "skipped", message=_message(record.error or "skipped"))
    elif record.status is not Status.OK:
        message = _message(record.error or "nobody knows why")
        error = ET.SubElement(case, "error", message=message, type=record.status.value)
        error.text = _text(
            "\n".join(filter(None, (record.error, f"try: {record.advice}" * bool(record.advice))))
        )
    if record.scores:
        said = (f"{score.metric} {_score(score)}" for score in record.scores)
        ET.SubElement(case, "system-out").text = _text("\n".join(said))
    if record.status is not Status.OK and (log := _log(report, record)):
        ET.SubElement(case, "system-err").text = _text(log)
    return case


def _gated(row: Compared, baseline: str, worse: bool) -> ET.Element:
    (model, protocol), (other, other_protocol) = row.a, row.b
    name = f"gate: {other} x {other_protocol}"
    if (model, protocol) != (other, other_protocol):
        name += f" against {model} x {protocol}"
    case = ET.Element("testcase", classname=_name(row.task), name=_name(name), time=_seconds(0.0))
    said = finding_text(row)
    if worse:
        kind = row.verdict.value if row.verdict in (Change.WORSE, Change.GONE) else "slower"
        failure = ET.SubElement(case, "failure", message=_message(said), type=kind)
        failure.text = _text("\n".join((said, f"baseline: {baseline}", *row.differs)))
    elif row.verdict is Change.NOT_COMPARABLE:
        ET.SubElement(case, "skipped", message=_message(said))
    else:
        ET.SubElement(case, "system-out").text = _text(said)
    return case


def _count(suite: ET.Element) -> None:
    cases = suite.findall("testcase")
    suite.set("tests", str(len(cases)))
    for name, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(name, str(sum(case.find(tag) is not None for case in cases)))
    suite.set("time", _seconds(sum(float(case.get("time", "0")) for case in cases)))


def _log(report: Report, record: Record) -> str:
    """Return the end of the log of a cell; nothing that lies elsewhere than in the folder of the run."""
    if not record.log or printable(record.log) != record.log:
        return ""
    path = (report.folder / record.log).resolve()
    return log_end(path) if path.is_relative_to(report.folder.resolve()) else ""


def _case_name(record: Record) -> str:
    return f"{record.model} x {record.label}" + (f" seed {record.seed}" if record.seed else "")


def _score(score: Score) -> str:
    text = score_text(score.value, score.ci_low, score.ci_high)
    if not math.isnan(score.half_width):
        text += f" [{score.ci_low:.6g}, {score.ci_high:.6g}]"
    text += f" n {score.n}"
    return _message(f"{text}; {score.caveat}" if score.caveat else text)


def _name(text: str) -> str:
    """Return a text as a name: one line; of one that is too long the beginning and a digest."""
    text = printable(text)
    if len(text) <= MAX_NAME:
        return text
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    return f"{text[: MAX_NAME - 9]}~{digest}"


def _message(text: str) -> str:
    return shortened(printable(text), MAX_MESSAGE)


def _text(text: str) -> str:
    return _FORBIDDEN.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def _seconds(value: float) -> str:
    return f"{value:.3f}"


def _timestamp(text: str) -> str:
    """Return a time as Ant's schema wants it: ISO 8601 of whole seconds, without a zone (it is UTC)."""
    try:
        return datetime.fromisoformat(text).strftime("%Y-%m-%dT%H:%M:%S")
    except ValueError:
        return "1970-01-01T00:00:00"
