"""Scores in Markdown: the answer for each task, the leaderboard, the averages."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

from ptbench.figures import score_text
from ptbench.model import Capability
from ptbench.records import Average, Record, Report, Standing, Status
from ptbench.report import entries_of, grouped, tasks_of
from ptbench.reporters.inert import fitting, inert, table

ANSWERS, SCORES, AVERAGES = 7_000, 16_000, 4_000
"""Bytes that the sections may have."""
MAX_TIED, MAX_COLUMNS = 5, 6
"""Models that are named beside the best; tasks that stand side by side."""
Key = tuple[str, str, str, str]


def answers_section(report: Report) -> str:
    """Return one line for each task: the best, and who cannot be told from it; "" without tasks."""
    lines = [f"- {_answer(report, task, metric)}\n" for task, metric in tasks_of(report).items()]
    return f"## Answers\n\n{fitting(lines, ANSWERS, 'tasks', 'leaderboard.csv')}" if lines else ""


def _answer(report: Report, task: str, metric: str) -> str:
    here = [s for s in report.standings if (s.task, s.metric) == (task, metric)]
    of = f"**{inert(task)}**" + (f" ({inert(metric)})" if metric else "")
    best = next((standing for standing in here if standing.best), None)
    if best is None:
        return f"{of}: no model was compared"
    said = f"{of}: **{inert(best.model)}** under {inert(best.protocol)}, {_score(best)}"
    tied = [standing for standing in here if standing.tied and not standing.best]
    if not tied:
        return f"{said}; better than every other" if _rivals(report, here) else f"{said}; the only one"
    named = [f"{inert(standing.model)} under {inert(standing.protocol)}" for standing in tied[:MAX_TIED]]
    more = f" and {len(tied) - MAX_TIED:,} more" if len(tied) > MAX_TIED else ""
    return f"{said}; cannot be told from it: {', '.join(named)}{more}"


def _rivals(report: Report, standings: Sequence[Standing]) -> list[Standing]:
    """Return those that the best could have lost to: with a score, made without a look at the targets."""
    peeking = {(r.model, r.label) for r in report.records if r.capability == Capability.PEEK}
    return [
        standing
        for standing in standings
        if not (standing.best or math.isnan(standing.value))
        and (standing.model, standing.protocol) not in peeking
    ]


def scores_section(report: Report) -> str:
    """Return the primary metric of each task for every model under every protocol; "" without records."""
    tasks, entries = list(tasks_of(report).items()), entries_of(report)
    if not entries:
        return ""
    stand = {(s.task, s.metric, s.model, s.protocol): s for s in report.standings}
    records = grouped(report)
    parts, room = [], SCORES
    for start in range(0, len(tasks), MAX_COLUMNS):
        some = tasks[start : start + MAX_COLUMNS]
        if room < SCORES // 10 and start:
            parts.append(
                f"Cut here: {len(tasks) - start:,} more of {len(tasks):,} tasks; leaderboard.csv has all.\n"
            )
            break
        part = _scores(entries, some, stand, records, room)
        parts.append(part)
        room -= len(part.encode())
    legend = (
        "Score ± half of its 95 % interval, or how far that reaches below and above; mean over seeds. "
        "Bold: the best. "
        "Letters: those that share one cannot be told apart; ~: cannot be told from the best."
    )
    tables = "\n".join(parts)
    return f"## Scores\n\n{tables}\n{legend}\n"


def _scores(
    entries: Sequence[tuple[str, str]],
    tasks: Sequence[tuple[str, str]],
    stand: Mapping[Key, Standing],
    records: Mapping[tuple[str, str, str], Sequence[Record]],
    room: int,
) -> str:
    header = ["model", "protocol"]
    header += [inert(task) + (f" ({inert(metric)})" if metric else "") for task, metric in tasks]
    rows = []
    for model, protocol in entries:
        cells = [
            _cell(stand.get((task, metric, model, protocol)), records.get((task, model, protocol), ()))
            for task, metric in tasks
        ]
        rows.append([inert(model), inert(protocol), *cells])
    return table(header, rows, room, "rows", "leaderboard.csv", texts=2)


def _cell(standing: Standing | None, records: Sequence[Record]) -> str:
    bad = Counter(record.status.value for record in records if record.status is not Status.OK)
    if bad:
        return ", ".join(bad)
    if standing is None:
        return "no number" if records else ""
    text = _score(standing)
    if standing.best:
        value, _, rest = text.partition(" ")
        text = f"**{value}** {rest}".strip()
    mark = standing.group or ("~" if standing.tied and not standing.best else "")
    return f"{text} {inert(mark)}".strip()


def averages_section(report: Report) -> str:
    """Return the means over all tasks, the best first; "" where there are none."""
    if not report.averages:
        return ""
    rows = [
        [inert(a.model), inert(a.protocol), _score(a), _places(a), inert(a.group)] for a in report.averages
    ]
    header = ["model", "protocol", "average", "places", "group"]
    tasks = ", ".join(f"{n:,}" for n in sorted({average.tasks for average in report.averages}))
    text = table(header, rows, AVERAGES, "rows", "averages.json", texts=2)
    return f"## Average over {tasks} tasks\n\n{text}"


def _places(average: Average) -> str:
    if average.rank_low is None or average.rank_high is None:
        return ""
    low, high = average.rank_low, average.rank_high
    return str(low) if low == high else f"{low} to {high}"


def _score(standing: Standing | Average) -> str:
    return score_text(standing.value, standing.ci_low, standing.ci_high)
