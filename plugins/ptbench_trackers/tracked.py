"""A report as runs of MLflow: one for the run of ptbench, and below it one for each cell."""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ptbench import (
    PtbenchError,
    Record,
    Report,
    Status,
    markdown_text,
    ordered,
    printable,
    shortened,
    write_tables,
)
from ptbench_trackers.keys import key_of
from ptbench_trackers.numbers import costs_of, milliseconds, scores_of
from ptbench_trackers.stores import experiment_of, quiet, shown, tracking_uri

MAX_PARAM, MAX_TAG, MAX_NAME, MAX_PARAMS = 500, 5_000, 250, 100
"""Characters that also older servers take of a parameter, of a tag and of a name; parameters of a run."""
KEY, CELL, NOTE = "ptbench.key", "ptbench.cell", "mlflow.note.content"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What one run of MLflow is to say."""

    cell: str
    """The id of the cell; empty for the run of ptbench."""
    name: str
    status: str
    start: int | None
    end: int | None
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]


def write_tracked(report: Report, folder: Path) -> Path:
    """Bring a report to MLflow; return ``mlflow.json``, which says where it is.

    What is there already of this very run is brought up to date: written twice, nothing is there twice.
    Raises `PtbenchError` where MLflow refuses.
    """
    uri = tracking_uri(report, folder)
    with quiet():
        from mlflow.exceptions import MlflowException
        from mlflow.tracking import MlflowClient

        try:
            client = MlflowClient(tracking_uri=uri)
            experiment = experiment_of(client, report, folder)
            run = _Runs(client, experiment, report).write()
        except MlflowException as error:
            said = " ".join(str(error).replace(uri, shown(uri)).split())
            raise PtbenchError(
                f"MLflow at {shown(uri)}: {printable(shortened(said, 300))}; MLFLOW_TRACKING_URI says where"
            ) from None
    path = folder / "mlflow.json"
    told = {"tracking_uri": shown(uri), "experiment_id": experiment, "run_id": run}
    path.write_text(json.dumps(told, indent=2) + "\n", "ascii")
    return path


class _Runs:
    """The runs of one report."""

    def __init__(self, client: Any, experiment: str, report: Report) -> None:
        self.client, self.experiment, self.report = client, experiment, report
        words = f"{report.run.get('suite', '')}\n{report.run.get('run', '')}"
        self.key = hashlib.sha256(words.encode("utf-8", "backslashreplace")).hexdigest()[:32]
        self.there = self._find()

    def write(self) -> str:
        """Write all of them and return the id of the one that holds the others."""
        parent = self._put(_whole(self.report), {})
        for record in ordered(self.report):
            self._put(_cell(record), {"mlflow.parentRunId": parent})
        with TemporaryDirectory() as name:
            folder = Path(name)
            summary = folder / "report.md"
            summary.write_text(markdown_text(self.report), "utf-8", "backslashreplace")
            for path in (*write_tables(self.report, folder), summary):
                self.client.log_artifact(parent, str(path))
        return parent

    def _find(self) -> dict[str, Any]:
        """Return the runs that are there of this report, by cell."""
        found: dict[str, Any] = {}
        token = None
        while True:
            page = self.client.search_runs(
                [self.experiment], f"tags.`{KEY}` = '{self.key}'", page_token=token
            )
            for run in page:
                found.setdefault(run.data.tags.get(CELL, ""), run)
            if not (token := page.token):
                return found

    def _put(self, wanted: Wanted, more: Mapping[str, str]) -> str:
        """Make a run say what is wanted, and nothing else; return its id.

        MLflow changes no parameter and takes back no metric: a run that says otherwise is deleted there (its
        trash keeps it), and made anew.
        """
        from mlflow.entities import Metric, Param, RunTag

        run = self.there.get(wanted.cell)
        tags = {KEY: self.key, CELL: wanted.cell, **wanted.tags, **more}
        if run is not None and not _can_become(run, wanted):
            self.client.delete_run(run.info.run_id)
            run = None
        if run is None:
            run = self.client.create_run(
                self.experiment, start_time=wanted.start, tags=tags, run_name=wanted.name
            )
        has, key, now = run.data, run.info.run_id, round(time.time() * 1000)
        for name in has.tags:
            if name.startswith("ptbench.") and name not in tags:
                self.client.delete_tag(key, name)
        self.client.log_batch(
            key,
            metrics=[Metric(k, v, now, 0) for k, v in wanted.metrics.items() if has.metrics.get(k) != v],
            params=[Param(k, v) for k, v in wanted.params.items() if k not in has.params],
            tags=[RunTag(k, v) for k, v in tags.items() if has.tags.get(k) != v],
        )
        if run.info.status != wanted.status or wanted.end not in (None, run.info.end_time):
            self.client.set_terminated(key, wanted.status, wanted.end)
        return str(key)


def _can_become(run: Any, wanted: Wanted) -> bool:
    params, metrics = run.data.params, run.data.metrics
    return all(wanted.params.get(k) == v for k, v in params.items()) and set(metrics) <= set(wanted.metrics)


def _whole(report: Report) -> Wanted:
    """Return the run of MLflow that stands for the run of ptbench."""
    run = report.run
    statuses = Counter(record.status for record in report.records)
    done = run.get("status", "finished") == "finished" and set(statuses) <= {Status.OK}
    tags = {
        "mlflow.source.name": "ptbench",
        "mlflow.source.type": "LOCAL",
        "mlflow.source.git.commit": str(run.get("commit") or ""),
        NOTE: markdown_text(report),
        "ptbench.suite": str(run.get("suite", "")),
        "ptbench.run": str(run.get("run", "")),
        "ptbench.status": str(run.get("status", "")),
        "ptbench.packages": _json(run.get("packages", {})),
        "ptbench.machine": _json(run.get("machine", {})),
    }
    ends = [end for record in report.records if (end := milliseconds(record.finished)) is not None]
    starts = [start for record in report.records if (start := milliseconds(record.started)) is not None]
    return Wanted(
        cell="",
        name=_cut(str(run.get("run", "")) or "ptbench", MAX_NAME),
        status="FINISHED" if done else "FAILED",
        start=min(starts, default=None),
        end=max(ends, default=None),
        params={},
        metrics={f"cells/{status.value}": float(statuses[status]) for status in Status},
        tags=_tags(tags),
    )


def _cell(record: Record) -> Wanted:
    """Return the run of MLflow that stands for a cell."""
    metrics = {
        "/".join(filter(None, (key_of(metric), end))): value for metric, end, value in scores_of(record)
    }
    metrics |= {f"cost/{name}": value for name, value in costs_of(record).items()}
    long = {key: s.metric for s in record.scores if "::" in (key := key_of(s.metric)) and s.metric}
    caveats = "; ".join(f"{score.metric}: {score.caveat}" for score in record.scores if score.caveat)
    tags = {
        "ptbench.status": record.status.value,
        "ptbench.error": record.error,
        "ptbench.advice": record.advice,
        "ptbench.log": record.log,
        "ptbench.run": record.run,
        "ptbench.reused": record.reused,
        "ptbench.primary": record.primary,
        "ptbench.caveats": caveats,
        "ptbench.notes": "; ".join(record.notes),
        "ptbench.trust": "; ".join(record.trust),
        "ptbench.version": record.version,
        "ptbench.plugins": _json(record.plugins),
        **{f"ptbench.fingerprint.{key_of(k)}": v for k, v in record.fingerprints.items()},
        **{f"ptbench.metric.{key}": metric for key, metric in long.items()},
    }
    return Wanted(
        cell=record.cell,
        name=_cut(record.title, MAX_NAME),
        status="FINISHED" if record.status is Status.OK else "FAILED",
        start=milliseconds(record.started),
        end=milliseconds(record.finished),
        params=_params(record),
        metrics=metrics,
        tags=_tags(tags),
    )


def _params(record: Record) -> dict[str, str]:
    told = {
        "model": record.model,
        "reference": record.reference,
        "task": record.task,
        "data": record.data,
        "kind": record.kind,
        "protocol": record.protocol,
        "seed": str(record.seed),
        "device": record.device,
        "precision": record.precision,
    }
    options = {
        f"option/{key_of(name)}": value if isinstance(value, str) else _json(value)
        for name, value in sorted(record.options.items())[: MAX_PARAMS - len(told)]
    }
    return {name: _cut(text, MAX_PARAM) for name, text in {**told, **options}.items() if text}


def _tags(tags: Mapping[str, str]) -> dict[str, str]:
    """Return the tags that say something; the summary keeps its lines, and is inert by itself."""
    return {
        name: shortened(text, MAX_TAG) if name == NOTE else _cut(text, MAX_TAG)
        for name, text in tags.items()
        if text
    }


def _json(value: Any) -> str:
    return json.dumps(value, default=str, sort_keys=True)


def _cut(text: str, most: int) -> str:
    """Return a text that every store takes: no control characters, no longer than that."""
    return shortened(printable(text), most)
