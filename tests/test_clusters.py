"""Examples that belong together: from a column of the data to predictions on the disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from ptbench import store
from tests.conftest import Ptbench, Written

PAGES = "text,label,book\n" + "".join(
    f"{word} page {i} of the {book} book,{word},{book}\n"
    for book in ("red", "blue", "green", "grey", "old", "new", "long", "thin", "first", "last")
    for i in range(6)
    for word in ("good", "bad")
)
SUITE = """
[suite]
name = "books"
[models]
words = "sklearn:tfidf"
[tasks.pages]
adapter = "text-classification"
data = "file:pages.csv"
input = "text"
target = "label"
metrics = ["accuracy"]
cut = { test = 0.5 }
copies = false
[[grid]]
protocols = ["linear_probe"]
"""


def _suite(written: Written, more: str) -> Path:
    written("pages.csv", PAGES)
    return written("books.toml", SUITE.replace("copies = false", f"copies = false\n{more}"))


def _run(ptbench: Ptbench, suite: Path, tmp_path: Path) -> store.Predictions:
    assert ptbench("run", suite, "--output", tmp_path / "results", "--quiet").code == 0
    (path,) = tmp_path.glob("results/books/*/predictions/*.parquet")
    return store.read_predictions(path)


def test_clusters_reach_the_predictions_and_no_cluster_is_cut_in_two(
    written: Written, ptbench: Ptbench, tmp_path: Path
) -> None:
    table = _run(ptbench, _suite(written, 'cluster = "book"'), tmp_path)
    assert table.clusters is not None
    assert len(table) == 12 * len(set(table.clusters))  # all pages of a book, or none


def test_without_the_word_every_example_stands_alone(
    written: Written, ptbench: Ptbench, tmp_path: Path
) -> None:
    assert _run(ptbench, _suite(written, ""), tmp_path).clusters is None


def test_a_score_tells_over_how_many_clusters_its_interval_is(
    written: Written, ptbench: Ptbench, tmp_path: Path
) -> None:
    table = _run(ptbench, _suite(written, 'cluster = "book"'), tmp_path)
    assert table.clusters is not None
    (folder,) = tmp_path.glob("results/books/*")
    (record,) = store.read_report(folder).records
    assert [score.clusters for score in record.scores] == [len(set(table.clusters))]


def test_a_column_that_is_not_there_is_told_before_anything_runs(
    written: Written, ptbench: Ptbench, tmp_path: Path
) -> None:
    called = ptbench("plan", _suite(written, 'cluster = "boook"'))
    assert called.code == 2
    assert "did you mean 'book'? (it is named by the key 'input', by 'cluster' or by 'cut_by')" in (
        called.out + called.err
    )


def test_a_row_without_a_cluster_is_told(written: Written, ptbench: Ptbench) -> None:
    suite = _suite(written, 'cluster = "book"')
    (suite.parent / "pages.csv").write_text(PAGES.replace("bad,red", "bad,", 1))
    called = ptbench("plan", suite)
    assert called.code == 2
    assert "'book' is missing" in called.out + called.err


def test_predictions_that_were_read_back_are_joined_with_their_clusters(
    written: Written, ptbench: Ptbench, tmp_path: Path
) -> None:
    table = _run(ptbench, _suite(written, 'cluster = "book"'), tmp_path)
    assert table.clusters is not None
    joined = store.joined([table, table])
    assert joined.clusters == [*table.clusters, *table.clusters]
    (folder,) = tmp_path.glob("results/books/*")
    assert ptbench("show", "words x pages", "--run", folder).code == 0


@pytest.mark.parametrize(
    ("gate", "message"),
    [
        ("alpha = 2", "[gate] key 'alpha' is 2; a chance between 0 and 1 was expected"),
        ("margins = { accuracy = -1 }", "[gate] key 'margins.accuracy' is -1; a number from 0 was expected"),
        ("margins = { acuracy = 0.1 }", "there is no such metric; did you mean 'accuracy'"),
        ("alfa = 0.1", "[gate] key 'alfa': unknown; did you mean 'alpha'"),
    ],
)
def test_mistakes_in_the_table_of_the_gate(
    written: Written, ptbench: Ptbench, gate: str, message: str
) -> None:
    suite = _suite(written, "")
    suite.write_text(f"{suite.read_text()}\n[gate]\n{gate}\n")
    called = ptbench("plan", suite)
    assert called.code == 2
    assert message in " ".join((called.out + called.err).split())
