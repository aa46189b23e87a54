"""The folder of a run: what is written comes back."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptbench import Cost, Predictions, Record, Score, Status, UsageError, journal, store
from ptbench.journal import dumps, loads
from ptbench.testing import sample_report

FLOATS = st.floats(allow_nan=True, allow_infinity=False)
RECORDS = st.builds(
    Record,
    cell=st.text(),
    suite=st.text(),
    run=st.text(),
    model=st.text(),
    reference=st.text(),
    task=st.text(),
    data=st.text(),
    kind=st.text(),
    protocol=st.text(),
    options=st.dictionaries(st.text(), st.integers() | st.text()),
    seed=st.integers(0, 9),
    status=st.sampled_from(Status),
    error=st.text(st.characters(codec=None)),
    scores=st.lists(
        st.builds(Score, st.text(), FLOATS, FLOATS, FLOATS, st.integers(0, 9), st.booleans(), st.text()),
        max_size=2,
    ).map(tuple),
    cost=st.builds(Cost, seconds=st.none() | st.floats(0, 1e9)),
)


@given(RECORDS)
def test_a_record_survives_its_line(record: Record) -> None:
    line = dumps(record)
    assert "\n" not in line
    assert line.isascii()
    assert repr(loads(line)) == repr(record)  # repr, since NaN is not equal to itself


def test_a_last_line_that_was_cut_short_is_left_out(tmp_path: Path) -> None:
    (tmp_path / store.RUN).write_text('{"suite": "s"}')
    for record in sample_report(tmp_path).records:
        journal.append_record(tmp_path, record)
    path = tmp_path / journal.RECORDS
    whole = path.read_text()
    path.write_text(whole[:-20])
    assert len(store.read_report(tmp_path).records) == 2
    path.write_text(whole[:50] + "\n" + whole)
    with pytest.raises(UsageError, match="line 1: is no record"):
        store.read_report(tmp_path)


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no run"):
        store.read_report(tmp_path)


def test_two_runs_in_one_second_get_two_folders(tmp_path: Path) -> None:
    folders = {store.create_run(tmp_path, "a/b: c") for _ in range(3)}
    assert len(folders) == 3
    assert {folder.parent for folder in folders} == {tmp_path / "a-b-c"}


def test_predictions_come_back_as_they_were(tmp_path: Path) -> None:
    labels = ("b", "a", "=c()")
    scores = np.array([[0.2, 0.5, 0.3], [1, 0, 0]], dtype=np.float32)
    columns = {
        "target": np.array([2, 0]),
        "prediction": np.array([1, 0]),
        "scores": scores,
        "text": np.array(["ä\n", ""], dtype=object),
        "length": np.array([1.5, math.inf]),
    }
    path = tmp_path / "p.parquet"
    store.write_predictions(path, Predictions(["x", "\ud800"], columns, labels))
    back = store.read_predictions(path)
    assert back.labels == labels
    assert back.ids == ["x", "\\ud800"]
    for name, values in columns.items():
        assert np.array_equal(back[name], values), name
    import pandas as pd

    assert list(pd.read_parquet(path)["target"]) == ["=c()", "b"]  # readable without ptbench


def test_json_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    store.write_json(path, {"value": math.nan})
    assert json.loads(path.read_text()) == {"value": None}
    with pytest.raises(ValueError, match="cannot be text"):
        store.write_json(path, {"value": 1, "bad": _Bad()})
    assert json.loads(path.read_text()) == {"value": None}


class _Bad:
    def __str__(self) -> str:
        raise ValueError("this cannot be text")


def test_draws_come_back_one_by_one(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    path = tmp_path / "p.parquet"
    target = rng.integers(0, 2, 7)
    runs = [
        Predictions(
            [f"e{i}" for i in range(7)],
            {"target": target, "prediction": rng.integers(0, 2, 7), "scores": rng.dirichlet([1, 1], 7)},
            ("no", "yes"),
        )
        for _ in range(3)
    ]
    store.write_predictions(path, *runs)
    found = store.read_runs(path, ("target", "prediction"))
    assert len(found) == 3
    for run, back in zip(runs, found, strict=True):
        assert list(back.ids) == list(run.ids)
        assert list(back) == ["target", "prediction"]
        assert back["prediction"].tolist() == run["prediction"].tolist()
    store.write_predictions(path, runs[0])
    assert len(store.read_runs(path, ("target",))) == 1


@pytest.mark.parametrize("text", ["{}", "[]", "3", '{"suite": 3}', '{"suite": "s", "order": 3}', "["])
def test_a_folder_of_something_else_is_no_run(text: str, tmp_path: Path) -> None:
    (tmp_path / store.RUN).write_text(text)
    with pytest.raises(UsageError, match=r"run\.json") as error:
        store.read_report(tmp_path)
    assert error.value.exit_code == 2
    assert [path.name for path in tmp_path.iterdir()] == [store.RUN]
