"""The report as tables: one row per cell and metric, and models by tasks. Made from records alone."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TextIO

from ptbench.pareto import Entry, pareto_front
from ptbench.plain import to_json
from ptbench.records import Record, Report, Score, Standing

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = {
    "suite": "Name of the suite.",
    "run": "Name of the run: the folder under `results/<suite>/`.",
    "reused": "The run that the cell was measured in, where that is another one.",
    "cell": "Id of the cell; `predictions/<cell>.parquet` has its predictions.",
    "model": "Name of the model in the suite.",
    "reference": "Model reference, `provider:name@revision`.",
    "task": "Name of the task in the suite.",
    "data": "Data reference, `source:name@revision`.",
    "kind": "Kind of the task, such as `text-classification`.",
    "protocol": "Evaluation protocol, such as `linear_probe`.",
    "options": "Options that the suite gave to the protocol, as JSON.",
    "seed": "Seed of the cell.",
    "capability": "What the model was loaded for: `predict`, `embed`, `fit`, or `peek` (saw the targets).",
    "split": "Split that was scored; always `test`.",
    "metric": "Name of the metric; empty where a cell was not scored.",
    "value": "Value of the metric; empty where it is undefined, and `caveat` says why.",
    "ci_low": "Lower end of the 95 % interval.",
    "ci_high": "Upper end of the 95 % interval.",
    "interval": "How the interval of this cell was found: `wilson` (a proportion, or what grows with one), "
    "`jackknife` (Student's t with the jackknife's standard error, on the metric's scale), `bootstrap`, "
    "`draws` (over examples and several draws of training rows), or `none`.",
    "without_copies": "Value on the test examples that stand in neither train nor validation; empty where "
    "there are no copies, where nobody looked, and where it is undefined without them.",
    "exact_copies": "Test examples that stand in train or validation too; empty where nobody looked.",
    "near_copies": "Test examples of which a near copy does.",
    "n": "Number of examples that the value was computed from.",
    "unread": "Examples that could not be read and were left out of `n`; empty where nobody looked.",
    "higher_is_better": "Direction of the metric.",
    "primary": "Whether the metric stands for its task in the leaderboard.",
    "best": "Whether this model and protocol is the best on this task and metric (mean over seeds).",
    "pareto": "Whether nothing as good costs less time per example on this task (the Pareto front).",
    "mean": "Mean of the metric over the seeds of this model, task and protocol.",
    "mean_low": "Lower end of its 95 % interval, for other examples and, where seeds differ, other seeds.",
    "mean_high": "Upper end.",
    "seeds": "Runs that the mean is over: seeds, times the draws of training rows in each.",
    "seed_sd": "Standard deviation over them; empty for a single one.",
    "seed_share": "Share of the seeds in the variance of the mean; the rest is that of the examples.",
    "tied": "Whether it cannot be told from the best: paired by example, after Holm's correction for all "
    "pairs of the task and metric.",
    "caveat": "What to know of this value: why it is undefined, or by which convention it is 0.",
    "status": "`ok`; `failed`: an error ended it; `crashed`: its process died; `oom`: memory was too small; "
    "`timeout`: it took longer than allowed; `skipped`: the plan found that it cannot run.",
    "error": "Why the cell did not end well.",
    "advice": "What to try then, where somebody knows.",
    "log": "Log file of the cell within the folder of the run; empty where it said nothing.",
    "seconds": "Wall-clock seconds of features, fitting and prediction, without loading.",
    "load_seconds": "Seconds of loading the model; 0 where it was resident.",
    "embed_seconds": "Part of `seconds`: features.",
    "fit_seconds": "Part of `seconds`: fitting, the choice of hyper-parameters included.",
    "predict_seconds": "Part of `seconds`: prediction.",
    "decode_share": "Share of `seconds` and scoring that the model waited for decoded inputs.",
    "transfer_share": "Likewise: copies to the device.",
    "compute_share": "Likewise: the model itself.",
    "fit_share": "Likewise: fitting.",
    "metrics_share": "Likewise: computing the metrics and their intervals.",
    "rest_share": "Likewise: all else.",
    "features_reused": "Whether features came from an earlier cell; their time is counted all the same.",
    "examples_per_s": "Test examples per second, features included, fitting not.",
    "parameters": "Number of parameters of the model, as it was used (a head taken off not counted).",
    "macs": "Multiply-adds of one example (`macs_of` in `facts`): matrix products and convolutions, "
    "attention included.",
    "fvcore_macs": "Multiply-adds of one example as fvcore counts, and so timm's tables.",
    "activations": "Numbers that convolutions and matrix products put out for one example.",
    "weight_bytes": "Bytes of parameters and buffers in memory.",
    "peak_memory_mb": "Peak resident memory of the process during the cell, MiB; empty if unknown.",
    "device": "Device that the model ran on.",
    "slot": "Slot that it ran in, such as `cpu:0` or `cuda:0+1`.",
    "precision": "Precision that it ran in.",
    "batch": "The most that went through the model at once, padding included; where memory was short, with "
    "what was asked for: `8192 tokens (16384 asked)`.",
    "trust": "What the suite allowed beyond the safe default: pickle, unpinned, remote_code, or "
    "`code NAME`, a factory of an installed package that it names.",
    "search": "Settings (epochs too) that were compared on validation; empty where nothing was chosen.",
    "facts": "What model and protocol tell of themselves, as JSON: pooling, strength, truncated inputs…",
    "notes": "What to know of the task and of the run.",
    "weights": "Digest of the weights.",
    "preprocessing": "Digest of the preprocessing.",
    "data_digest": "Digest of the task's examples, targets and labels.",
    "plugin": "Plugin that the model came from, with its version.",
    "version": "Version of ptbench.",
    "started": "When the cell began, UTC.",
    "finished": "When its record was made, UTC.",
}
"""The columns of ``report.csv`` and their meaning; ``results/README.md`` is made from it."""


def tidy(report: Report) -> pd.DataFrame:
    """Return one row per cell and metric; a cell without scores has one row with its error."""
    return tidy_frame(tidy_rows(report))


def tidy_frame(rows: Iterable[list[Any]]) -> pd.DataFrame:
    """Return rows of `tidy_rows`, of one report or of many, as a frame."""
    import pandas as pd

    frame = pd.DataFrame(list(rows), columns=list(COLUMNS))
    kinds = (_INTEGERS, "Int64"), (_BOOLEANS, "boolean"), (_FLOATS, "float64")  # a cell without stays empty
    return frame.astype({column: kind for columns, kind in kinds for column in columns})


def check_rows(rows: Iterable[list[Any]]) -> None:
    """Raise `ValueError` where rows of `tidy_rows` have what is no number in a column of numbers."""
    for row in rows:
        for column in _NUMBERS:
            if not isinstance(row[column], int | float | None):
                raise ValueError(f"{list(COLUMNS)[column]} is {row[column]!r}, which is no number")


def tidy_rows(report: Report) -> Iterator[list[Any]]:
    """Yield the rows of `tidy`, values in the order of `COLUMNS`."""
    for before, scores, after in _rows(report):
        for score in scores:
            yield _printable([*before, *score, *after])


def tidy_lines(report: Report) -> Iterator[str]:
    """Yield `tidy` as lines of CSV (`write_csv`), the head first; lone surrogates are left to the file."""
    texts = _Texts()
    yield texts.line(list(COLUMNS)) + "\n"
    for before, scores, after in _rows(report):
        start, end = texts.line(before), texts.line(after)  # once for all scores of a cell
        for score in scores:
            yield f"{start},{texts.line(score)},{end}\n"


def _rows(report: Report) -> Iterator[tuple[list[Any], list[list[Any]], list[Any]]]:
    """Yield for each record what its rows begin with, what each has of its metric, and what they end with."""
    stand = {(s.task, s.metric, s.model, s.protocol): s for s in report.standings}
    front = pareto_front(report)
    for record in ordered(report):
        task, model, label = entry = record.task, record.model, record.label
        scores = [
            _of_score(record, score, stand.get((task, score.metric, model, label)), entry in front)
            for score in record.scores
        ]
        yield _before_score(record), scores or [_of_score(record, None, None, False)], _after_score(record)


def leaderboard(report: Report) -> pd.DataFrame:
    """Return models (under protocols) by tasks: the primary metric's mean over seeds; empty if none."""
    import pandas as pd

    header, rows = leaderboard_rows(report)
    return pd.DataFrame(rows, columns=header)  # a task may be called "model"


def leaderboard_rows(report: Report) -> tuple[list[str], list[list[Any]]]:
    """Return the head and the rows of `leaderboard`."""
    tasks = tasks_of(report)
    stand = {(s.task, s.metric, s.model, s.protocol): s.value for s in report.standings}
    rows = [
        [model, protocol, *(stand.get((task, metric, model, protocol)) for task, metric in tasks.items())]
        for model, protocol in entries_of(report)
    ]
    return ["model", "protocol", *tasks], rows


def ordered(report: Report) -> list[Record]:
    """Return the records in the order of the suite: by model, task, protocol and seed."""
    order = report.run.get("order", {})
    models = {name: i for i, name in enumerate(order.get("models", ()))}
    tasks = {name: i for i, name in enumerate(order.get("tasks", ()))}
    return sorted(
        report.records,
        key=lambda r: (
            models.get(r.model, len(models)),
            r.model,
            tasks.get(r.task, len(tasks)),
            r.task,
            r.label,
            r.seed,
        ),
    )


def entries_of(report: Report) -> list[tuple[str, str]]:
    """Return every (model, protocol) of a report once, in the order of the suite."""
    first = {(r.model, r.task, r.label): r for r in report.records}  # seeds make no difference
    one_seed = replace(report, records=tuple(first.values()))
    return list(dict.fromkeys((r.model, r.label) for r in ordered(one_seed)))


def tasks_of(report: Report) -> dict[str, str]:
    """Return every task of a report with its primary metric ("" where no cell of it was scored)."""
    order = report.run.get("order", {}).get("tasks", ())
    seen = {record.task for record in report.records}
    names = [t for t in order if t in seen] + sorted(seen - set(order))
    primary = {record.task: record.primary for record in reversed(report.records) if record.primary}
    return {name: primary.get(name, "") for name in names}


def grouped(report: Report) -> dict[Entry, list[Record]]:
    """Return the records of each task, model and protocol: one for each seed."""
    groups: dict[Entry, list[Record]] = {}
    for record in report.records:
        groups.setdefault((record.task, record.model, record.label), []).append(record)
    return groups


def safe_cell(value: Any) -> Any:
    r"""Return a value that no spreadsheet takes for a formula, and that every reader of CSV takes.

    Before text that starts with = + - @ stands an apostrophe (OWASP, "CSV injection"); NUL is written as its
    escape, since for some readers it ends a text, and so is what turns the direction of writing.

    >>> safe_cell("=cmd()"), safe_cell("a\0b")
    ("'=cmd()", 'a\\x00b')
    >>> safe_cell("a\u202eb")
    'a\\u202eb'
    >>> safe_cell(-1.5)
    -1.5
    """
    if not isinstance(value, str):
        return value
    text = value if value.isascii() else _TURNING.sub(lambda found: f"\\u{ord(found[0]):04x}", value)
    text = text.replace("\0", "\\x00")
    return "'" + text if text.startswith(_FORMULA) else text


def write_csv(file: TextIO, header: Iterable[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write a table as CSV with bare numbers and inert text; what is None or NaN is empty."""
    texts = _Texts()
    for row in chain((list(header),), rows):
        file.write(texts.line(row) + "\n")


class _Texts(dict[str, str]):
    """Texts as CSV has them: most stand in many rows, and are looked through once."""

    MOST = 10_000

    def line(self, row: Iterable[Any]) -> str:
        return ",".join(
            [
                self[value]
                if (kind := type(value)) is str  # these first: they are nearly all of millions
                else ""
                if value is None or value != value  # noqa: PLR0124  (NaN)
                else repr(value)
                if kind is float or kind is int or kind is bool
                else self[str(value)]
                if isinstance(value, str)
                else _quoted(str(value))
                for value in row
            ]
        )

    def __missing__(self, text: str) -> str:
        if len(self) >= self.MOST:
            self.clear()
        self[text] = field = _quoted(safe_cell(text))
        return field


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if _SPECIAL.search(text) else text


_FORMULA = (*"=+-@\t\r\n", *"\uff1d\uff0b\uff0d\uff20")  # the wide ones too
_TURNING = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_SPECIAL = re.compile('[",\r\n]')


def _before_score(record: Record) -> list[Any]:
    """Return what the rows of a cell have before their metric, in the order of `COLUMNS`."""
    return [
        record.suite,
        record.run,
        record.reused,
        record.cell,
        record.model,
        record.reference,
        record.task,
        record.data,
        record.kind,
        record.protocol,
        _json(record.options),
        record.seed,
        record.capability,
        record.split,
    ]


def _of_score(record: Record, score: Score | None, standing: Standing | None, front: bool) -> list[Any]:
    """Return what a row has of its metric, in the order of `COLUMNS`."""
    copies, primary = record.copies or {}, score.metric == record.primary if score else None
    return [
        score.metric if score else "",
        *(_SCORE(score) if score else _NO_SCORE),
        copies.get("exact"),
        copies.get("near"),
        score.n if score else record.n,
        record.unread,
        score.higher_is_better if score else None,
        primary,
        standing.best if standing else None,
        front if primary else None,
        *(_STANDING(standing) if standing else _NO_STANDING),
        score.caveat if score else "",
    ]


def _after_score(record: Record) -> list[Any]:
    """Return what the rows of a cell have after their metric, in the order of `COLUMNS`."""
    cost, phases, fingerprints = record.cost, record.cost.phases, record.fingerprints
    return [
        record.status.value,
        record.error,
        record.advice,
        record.log,
        cost.seconds,
        cost.load_seconds,
        phases.get("embed"),
        phases.get("fit"),
        phases.get("predict"),
        *_shares(cost.spent),
        cost.features_reused,
        cost.examples_per_s,
        cost.parameters,
        cost.macs,
        cost.fvcore_macs,
        cost.activations,
        cost.weight_bytes,
        cost.peak_memory_mb,
        record.device,
        record.slot,
        record.precision,
        "; ".join(map(_batch, batches(record))),
        "; ".join(record.trust),
        searched(record),
        _json(record.facts),
        "; ".join(record.notes),
        fingerprints.get("weights", ""),
        fingerprints.get("preprocessing", ""),
        fingerprints.get("data", ""),
        next((v for k, v in record.plugins.items() if k.startswith("provider:")), ""),
        record.version,
        record.started,
        record.finished,
    ]


def _printable(row: list[Any]) -> list[Any]:
    """Return a row as UTF-8 can hold it: a lone surrogate becomes its escape."""
    return [
        value.encode("utf-8", "backslashreplace").decode()
        if isinstance(value, str) and not value.isascii()
        else value
        for value in row
    ]


_SCORE, _NO_SCORE = attrgetter("value", "ci_low", "ci_high", "interval", "without_copies"), (None,) * 5
_STANDING = attrgetter("value", "ci_low", "ci_high", "seeds", "seed_sd", "seed_share", "tied")
_NO_STANDING = (None,) * 7
_INTEGERS = (
    "n", "unread", "exact_copies", "near_copies", "seeds", "search", "parameters", "macs", "fvcore_macs",
    "activations", "weight_bytes",
)  # fmt: skip
_BOOLEANS = "higher_is_better", "primary", "best", "pareto", "tied", "features_reused"
_FLOATS = (
    "value", "ci_low", "ci_high", "without_copies", "mean", "mean_low", "mean_high", "seed_sd", "seed_share",
    "seconds", "load_seconds", "embed_seconds", "fit_seconds", "predict_seconds", "decode_share",
    "transfer_share", "compute_share", "fit_share", "metrics_share", "rest_share", "examples_per_s",
    "peak_memory_mb",
)  # fmt: skip
_NUMBERS = [i for i, column in enumerate(COLUMNS) if column in {*_INTEGERS, *_BOOLEANS, *_FLOATS}]


def searched(record: Record) -> int | None:
    """Return how many settings a cell compared on validation; None where nothing was chosen."""
    search = record.facts.get("search")
    return search if isinstance(search, int) and not isinstance(search, bool) and search > 1 else None


def batches(record: Record) -> list[Mapping[str, Any]]:
    """Return how much went through the model at once: ``unit``, ``asked`` and ``used``; some tell of two."""
    told = record.facts.get("batch")
    if told is None:
        return []
    found = told if isinstance(told, Sequence) else (told,)
    return [one for one in found if isinstance(one, Mapping) and {"unit", "asked", "used"} <= set(one)]


def halved(record: Record) -> bool:
    """Whether memory did not suffice for the batch that was asked for, and a smaller one was used."""
    return any(batch["used"] != batch["asked"] for batch in batches(record))


def _batch(batch: Mapping[str, Any]) -> str:
    text = f"{batch['used']} {batch['unit']}"
    return text if batch["used"] == batch["asked"] else f"{text} ({batch['asked']} asked)"


def _shares(spent: Mapping[str, float]) -> list[float | None]:
    """Return what share of a cell's time went to what; None for what it does not tell of."""
    total = sum(spent.values())
    names = ("decode", "transfer", "compute", "fit", "metrics", "rest")
    return [spent[name] / total if name in spent and total else None for name in names]


def _json(value: Any) -> str:
    try:
        return _ENCODER.encode(value) if value else ""
    except ValueError:  # a number that is not finite
        return _ENCODER.encode(to_json(value))


_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, default=to_json)
