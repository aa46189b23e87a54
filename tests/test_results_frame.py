"""All results as one frame: what `ptbench.load_results` returns is what the runs' own tables say."""

from __future__ import annotations

import re
import shutil
from io import StringIO
from pathlib import Path

import pandas as pd
import pytest

import ptbench
from ptbench.report import COLUMNS
from tests.conftest import Ptbench
from tests.nights import cell_record, write_night

README = Path(__file__).resolve().parent.parent / "results" / "README.md"


@pytest.fixture
def results(ptbench: Ptbench, suite: Path, tmp_path: Path) -> Path:
    """Two runs of a suite, the second with a task that fails, and one of another suite."""
    out = tmp_path / "out"
    assert ptbench("run", suite, "--output", out, "--quiet").code == 0
    text = suite.read_text()
    suite.write_text(text.replace('name = "small"', 'name = "other"'))
    assert ptbench("run", suite, "--output", out, "--quiet").code == 0
    keys = {"adapter": "text-classification", "data": "file:none.csv", "input": "a", "target": "b"}
    broken = "[tasks.broken]\n" + "".join(f'{key} = "{value}"\n' for key, value in keys.items())
    suite.write_text(text.replace("[[grid]]", f"{broken}\n[[grid]]"))
    assert ptbench("run", suite, "--output", out, "--quiet").code == 1
    return out


def as_csv(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a frame as it is after a way through CSV."""
    return pd.read_csv(StringIO(frame.to_csv(index=False)))


def test_the_frame_is_the_reports_of_all_runs(results: Path) -> None:
    frame = ptbench.load_results(results)
    assert list(frame) == list(COLUMNS)
    paths = [*sorted(results.glob("other/*/report.csv")), *sorted(results.glob("small/*/report.csv"))[::-1]]
    assert len(paths) == 3
    expected = pd.concat([pd.read_csv(path) for path in paths], ignore_index=True)
    for column in COLUMNS:
        pd.testing.assert_series_equal(as_csv(frame)[column], expected[column], check_dtype=False)
    assert (frame["status"] == "skipped").sum() == 2


def test_one_suite_or_one_run_is_read_alone(results: Path) -> None:
    everything = ptbench.load_results(results)
    small = ptbench.load_results(str(results), suite="small")
    assert set(small["suite"]) == {"small"}
    assert len(small) == (everything["suite"] == "small").sum()
    assert len(ptbench.load_results(results / "small")) == len(small)
    newest = ptbench.load_results(results, suite="small", newest=True)
    (folder, _) = sorted((results / "small").iterdir(), reverse=True)
    assert set(newest["run"]) == {folder.name}
    pd.testing.assert_frame_equal(ptbench.load_results(folder), newest)


def test_a_damaged_run_is_left_out_and_named(tmp_path: Path) -> None:
    good = write_night(tmp_path / "s", 0, [cell_record(0.5)])
    bad = write_night(tmp_path / "s", 1, [cell_record(0.6)])
    (bad / "records.jsonl").write_text("{}\n")
    with pytest.warns(UserWarning, match=rf"left out: .*{bad.name}.*is no record"):
        frame = ptbench.load_results(tmp_path)
    assert list(frame["run"]) == [good.name]
    with pytest.warns(UserWarning, match="left out"):
        assert list(ptbench.load_results(tmp_path, newest=True)["value"]) == [0.5]


def test_a_run_that_is_damaged_in_any_way_costs_its_own_rows_alone(tmp_path: Path) -> None:
    runs = [write_night(tmp_path / "s", number, [cell_record(0.5, n=10)]) for number in range(4)]
    for run, old, new in (
        (runs[1], '"facts":', '"facts":3,"old":'),
        (runs[2], '"n":', '"n":"many","m":'),
        (runs[3], '"seconds":', '"seconds":"no","old":'),
    ):
        lines = (run / "records.jsonl").read_text().replace('": ', '":')
        assert old in lines
        (run / "records.jsonl").write_text(lines.replace(old, new))
    with pytest.warns(UserWarning, match="left out") as told:
        frame = ptbench.load_results(tmp_path)
    assert set(frame["run"]) == {runs[0].name}
    assert [str(one.message).split(": ")[1] for one in told] == [run.name for run in runs[:0:-1]]


def test_a_run_is_its_folder_and_lost_records_are_told(tmp_path: Path) -> None:
    run = write_night(tmp_path / "s", 0, [cell_record(0.5), cell_record(0.5, seed=1)])
    shutil.copytree(run, copy := run.with_name("copy"))
    frame = ptbench.load_results(tmp_path)
    assert set(frame["run"]) == {run.name, "copy"}
    for text, left in (((copy / "records.jsonl").read_text().splitlines()[0] + "\n", 1), ("", 0)):
        (copy / "records.jsonl").write_text(text)
        with pytest.warns(UserWarning, match=rf"copy: records.jsonl has {left} of the 2 cells"):
            frame = ptbench.load_results(tmp_path)
        assert (frame["run"] == "copy").sum() == left


def test_columns_have_their_types_whatever_is_in_them(tmp_path: Path) -> None:
    write_night(tmp_path / "s", 0, [cell_record(None), cell_record(0.5, seed=1)])
    kinds = ptbench.load_results(tmp_path).dtypes.astype(str)
    for column in ("primary", "best", "pareto", "tied", "higher_is_better", "features_reused"):
        assert kinds[column] == "boolean"
    for column in ("value", "without_copies", "mean", "seconds"):
        assert kinds[column] == "float64"
    assert (kinds["n"], kinds["seeds"]) == ("Int64", "Int64")


def test_where_there_is_none_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(ptbench.UsageError, match=r"holds no run; give the folder"):
        ptbench.load_results(tmp_path)
    with pytest.raises(ptbench.UsageError, match="holds no run"):
        ptbench.load_results(tmp_path / "none")
    write_night(tmp_path / "reviews", 0, [cell_record(0.5)])
    with pytest.raises(ptbench.UsageError, match="no run of suite 'review'; did you mean 'reviews'"):
        ptbench.load_results(tmp_path, suite="review")


def test_the_script_of_the_documentation_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (script,) = re.findall(r"^```python\n(.*?)^```", README.read_text("utf-8"), flags=re.M | re.S)
    for number, value in enumerate((0.5, 0.75)):
        write_night(
            tmp_path / "results" / "glue_lite", number, [cell_record(value), cell_record(0.25, task="b")]
        )
    monkeypatch.chdir(tmp_path)
    exec(compile(script, "README.md", "exec"), {})  # our own document
    out = capsys.readouterr().out
    assert re.search(r"minilm linear_probe +0\.25 +0\.75", out)
    assert "minilm on sst2: 0.500 in 20260101-010000, 0.750 now" in out
