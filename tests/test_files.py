"""The source `file:`: what is written is what is read, and every complaint says where."""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptbench import DataDescription, DataError, DataRequest, Reference, Rows, testing
from ptbench.files import SOURCE

Written = Callable[..., Path]
CSV = "review,stars\nfine,1\nNA,007\n"
SPLIT = {"review": ["fine", "NA"], "stars": ["1", "007"]}


def ask(name: str, base: Path, options: Mapping[str, Any]) -> DataRequest:
    return DataRequest(Reference.parse(f"file:{name}", revisions=SOURCE.revisions), options, base)


def load(name: str, base: Path, **options: Any) -> Mapping[str, Rows]:
    return SOURCE.load(ask(name, base, options))


def describe(name: str, base: Path, **options: Any) -> DataDescription:
    return SOURCE.describe(ask(name, base, options))


def complaint(name: str, base: Path, **options: Any) -> str:
    with pytest.raises(DataError) as error:
        load(name, base, **options)
    text = str(error.value)
    assert "\n" not in text
    return text.replace(str(base), "BASE")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", CSV),
        ("a.csv", "\ufeff" + CSV),
        ("a.csv", CSV.replace("\n", "\r\n")),
        ("a.csv", CSV.rstrip("\n")),
        ("a.csv", "\n" + CSV + "\n\n"),
        ("a.CSV", CSV),
        ("a.tsv", CSV.replace(",", "\t")),
        ("with, comma@home.csv", '"review","stars"\n"fine","1"\n"NA","007"\n'),
        ("a.jsonl", '{"review": "fine", "stars": "1"}\n\n{"stars": "007", "review": "NA"}\n'),
        ("a.ndjson", '{"review": "fine", "stars": "1"}\n{"review": "NA", "stars": "007"}'),
        ("a.json", '[{"review": "fine", "stars": "1"}, {"review": "NA", "stars": "007"}]'),
    ],
)
def test_every_text_format_gives_the_same_rows(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text, "utf-8", newline="")
    assert load(name, tmp_path) == {"all": SPLIT}
    described = describe(name, tmp_path)
    assert described.columns == (None if name == "a.json" else ("review", "stars"))
    assert described.splits == {"all": None}
    assert described.quick
    (tmp_path / f"{name}.gz").write_bytes(gzip.compress((tmp_path / name).read_bytes()))
    assert load(f"{name}.gz", tmp_path) == {"all": SPLIT}
    assert describe(f"{name}.gz", tmp_path) == described


def test_the_source_conforms(tmp_path: Path, written: Written) -> None:
    for name in ("a.csv", "data/train.csv", "data/test.csv"):
        written(name, CSV)
    testing.check_source(SOURCE, "file:a.csv", base=tmp_path)
    testing.check_source(SOURCE, "file:data", base=tmp_path)


def test_paths_are_absolute_or_start_at_the_base(tmp_path: Path, written: Written) -> None:
    path = written("data/a.csv", CSV)
    assert load("data/a.csv", tmp_path) == load(str(path), Path("/")) == {"all": SPLIT}


@given(
    st.lists(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=2, max_size=2), min_size=1)
)
def test_csv_cells_are_text_exactly_as_written(tmp_path_factory: Any, rows: list[list[str]]) -> None:
    folder = tmp_path_factory.mktemp("cells")
    lines = [",".join('"' + cell.replace('"', '""') + '"' for cell in row) for row in rows]
    (folder / "a.csv").write_text("\n".join(["a,b", *lines]), "utf-8", newline="")
    assert load("a.csv", folder)["all"] == {"a": [row[0] for row in rows], "b": [row[1] for row in rows]}


def test_a_cell_may_be_a_whole_document(tmp_path: Path, written: Written) -> None:
    written("a.csv", f"text\n{'word ' * 100_000}\n")
    assert len(load("a.csv", tmp_path)["all"]["text"][0]) == 500_000


def test_options_of_delimited_files(tmp_path: Path, written: Written) -> None:
    written("bare.csv", "fine;1\nNA;007\n")
    assert load("bare.csv", tmp_path, columns=["review", "stars"], separator=";") == {"all": SPLIT}
    assert describe("bare.csv", tmp_path, columns=["review", "stars"], separator=";").columns == (
        "review",
        "stars",
    )
    written("glue.tsv", 'sentence\tlabel\n"a quote opens\t1\nand "another"\t0\n')
    rows = load("glue.tsv", tmp_path, quoting=False)["all"]
    assert rows == {"sentence": ['"a quote opens', 'and "another"'], "label": ["1", "0"]}
    (tmp_path / "latin.csv").write_text("a\nnaïve\n", "latin-1")
    assert load("latin.csv", tmp_path, encoding="latin-1") == {"all": {"a": ["naïve"]}}
    (tmp_path / "wide.csv").write_text("a\nnaïve\n", "utf-16")
    assert load("wide.csv", tmp_path, encoding="utf-16") == {"all": {"a": ["naïve"]}}


def test_parquet_keeps_types_and_nulls_are_none(tmp_path: Path) -> None:
    columns = {
        "text": ["a", None],
        "number": [1.5, None],
        "nan": [1.5, math.nan],
        "count": pa.array([1, None], pa.int64()),
        "vector": [[1.0, 2.0], None],
        "category": pa.array(["x", "y"]).dictionary_encode(),
        "day": [date(2026, 1, 2), None],
        "price": [Decimal("1.50"), None],
    }
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    assert load("a.parquet", tmp_path)["all"] == {
        "text": ["a", None],
        "number": [1.5, None],
        "nan": [1.5, None],
        "count": [1, None],
        "vector": [[1.0, 2.0], None],
        "category": ["x", "y"],
        "day": ["2026-01-02", None],
        "price": ["1.50", None],
    }
    assert describe("a.parquet", tmp_path) == DataDescription(tuple(columns), {"all": 2}, quick=True)


def test_json_keeps_types_and_nan_is_none(tmp_path: Path, written: Written) -> None:
    written("a.jsonl", '{"a": 1, "b": [1, 2.5], "c": null, "d": NaN, "e": true}\n')
    assert load("a.jsonl", tmp_path)["all"] == {
        "a": [1], "b": [[1, 2.5]], "c": [None], "d": [None], "e": [True]
    }  # fmt: skip


@pytest.mark.parametrize(
    ("files", "splits"),
    [
        (("train.csv", "dev.csv", "test.csv"), ["train", "validation", "test"]),
        (("test.tsv", "validation.jsonl", "training.json.gz"), ["train", "validation", "test"]),
        (("stsb-en-train.csv", "stsb-en-valid.csv", "x_TEST.csv"), ["train", "validation", "test"]),
        (
            ("train.csv", "val.csv", "extra.csv", "dev_matched.csv"),
            ["train", "validation", "dev_matched", "extra"],
        ),
        (
            ("data.train.csv", "test-00000-of-00001.csv", "README.md", "LICENSE", "_x.csv", ".y.csv"),
            ["train", "test"],
        ),
    ],
)
def test_a_folder_has_a_file_for_each_split(
    tmp_path: Path, files: tuple[str, ...], splits: list[str]
) -> None:
    for i, name in enumerate(files):
        text = {
            "csv": f"n\n{i}\n",
            "tsv": f"n\n{i}\n",
            "jsonl": f'{{"n": "{i}"}}',
            "json": f'[{{"n": "{i}"}}]',
        }
        content = text.get(name.removesuffix(".gz").rpartition(".")[2], "").encode()
        (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    (tmp_path / "more.csv").mkdir()
    rows = load(".", tmp_path)
    assert list(rows) == list(describe(".", tmp_path).splits or ()) == splits
    assert sorted(columns["n"][0] for columns in rows.values()) == [str(i) for i in range(len(splits))]


def test_a_folder_is_described_by_all_its_columns(tmp_path: Path, written: Written) -> None:
    written("train.csv", "a,label\n1,2\n")
    written("test.csv", "id,a\n1,2\n")
    assert describe(".", tmp_path).columns == ("a", "label", "id")


def test_a_file_is_cut(tmp_path: Path, written: Written) -> None:
    written("a.csv", "n,m\n" + "".join(f"{i},{i % 7}\n" for i in range(300)))
    shares = {"validation": 0.1, "test": 0.2}
    assert list(describe("a.csv", tmp_path, cut=shares).splits or ()) == ["train", "validation", "test"]
    rows = load("a.csv", tmp_path, cut=shares)
    assert sorted(int(n) for columns in rows.values() for n in columns["n"]) == list(range(300))
    assert load("a.csv", tmp_path, cut=shares, cut_seed=1) != rows
    groups = [
        set(columns["m"]) for columns in load("a.csv", tmp_path, cut={"test": 0.3}, cut_by=["m"]).values()
    ]
    assert not groups[0] & groups[1]


@pytest.mark.parametrize(
    ("name", "content", "options", "message"),
    [
        ("a.csv", "", {}, "BASE/a.csv is empty"),
        ("a.csv", "\n\n", {}, "BASE/a.csv is empty"),
        ("a.jsonl", "\n", {}, "BASE/a.jsonl is empty"),
        ("a.json", "[]", {}, "BASE/a.json is empty"),
        ("a.csv", "a,b\n", {}, "BASE/a.csv has a header and no rows"),
        ("a.csv", "a,b,a\n1,2,3\n", {}, "BASE/a.csv: two columns are named 'a'; names must differ"),
        ("a.csv", "1,2\n", {"columns": ["a", "a"]}, "two columns are named 'a'"),
        ("a.csv", "1,2\n", {"columns": ["a"]}, "BASE/a.csv has 2 columns, option 'columns' names 1"),
        ("a.csv", "a,b\n1,2\n\n1,2,3\n", {}, "BASE/a.csv, line 4: 3 cells where the header has 2"),
        ("a.csv", 'a,b\n"1\n2",3\n4\n', {}, "BASE/a.csv, line 4: 1 cells where the header has 2"),
        (
            "a.csv",
            'a,b\n1,2\n"x,4\n5,6\n',
            {},
            "BASE/a.csv, line 3: unexpected end of data; if quotes are part",
        ),
        (
            "a.csv",
            'a,b\n"x" y,4\n',
            {},
            "BASE/a.csv, line 2: ',' expected after '\"'; if quotes are part of the",
        ),
        ("a.csv", b"a,b\n1,2\n\xff,3\n", {}, "BASE/a.csv, line 3: byte 0xff at offset 8 is not utf-8"),
        (
            "a.csv",
            b"a\n" + b"x\n" * 9000 + b"\xe9\n",
            {},
            "line 9002: byte 0xe9 at offset 18002 is not utf-8",
        ),
        ("a.csv", CSV, {"encoding": "utf-9"}, "BASE/a.csv: encoding 'utf-9' is unknown"),
        ("a.csv", CSV, {"encoding": "u\0"}, "BASE/a.csv: encoding 'u\\x00' is unknown"),
        ("a.csv", CSV, {"encoding": "undefined"}, "BASE/a.csv: encoding 'undefined' is unknown"),
        ("a.csv", CSV, {"separator": "\0"}, "BASE/a.csv: separator = '\\x00': it may be any character but"),
        ("a.csv", CSV, {"columns": [1, [2]]}, "BASE/a.csv: option 'columns' has 1; names in quotes were"),
        (
            "a.csv",
            CSV,
            {"cut": {"test": 0.5}, "cut_by": [[1]]},
            "BASE/a.csv: cut_by has [1]; names of columns",
        ),
        ("a.csv", CSV, {"separator": "||"}, "BASE/a.csv: separator = '||': it is one character"),
        ("a.csv.gz", b"no gzip", {}, "BASE/a.csv.gz cannot be read: Not a gzipped file"),
        (
            "a.csv.gz",
            gzip.compress(CSV.encode())[:-9],
            {},
            "BASE/a.csv.gz cannot be read: Compressed file ended",
        ),
        ("a.jsonl", '{"a": 1}\n{"a": \n', {}, "BASE/a.jsonl, line 2: broken JSON: Expecting value"),
        ("a.jsonl", '{"a": 1}\n[1]\n', {}, "BASE/a.jsonl, line 2: a list; an object was expected"),
        (
            "a.jsonl",
            '{"a": 1}\n\n{"b": 1}\n',
            {},
            "BASE/a.jsonl, line 3: its keys differ from those of the first",
        ),
        ("a.jsonl", '{}\n{"b": 1}\n', {}, "line 2: its keys differ from those of the first row: 'b'"),
        ("a.jsonl", "[" * 100_000, {}, "BASE/a.jsonl, line 1: broken JSON"),
        ("a.json", '{"a": 1}', {}, "BASE/a.json holds a dict; a list of objects was expected"),
        ("a.json", '{"a": 1}\n{"a": 2}', {}, "BASE/a.json: broken JSON: Extra data: line 2 column 1"),
        ("a.json", '[{"a": 1}, 2]', {}, "BASE/a.json, row 2: a int; an object was expected"),
        ("a.parquet", b"PAR1 not", {}, "BASE/a.parquet cannot be read as Parquet"),
        (
            "a.json",
            "[]",
            {"columns": ["a"]},
            "BASE/a.json: option 'columns' is for CSV and TSV, this is json",
        ),
        ("a.jsonl", "{}", {"quoting": False}, "option 'quoting' is for CSV and TSV"),
        ("a.xlsx", b"PK", {}, "BASE/a.xlsx: its format is not known by its name; known: .csv, .json, .jsonl"),
        ("a.jsnl", "{}", {}, "did you mean '.jsonl'?"),
        ("csv", CSV, {}, "BASE/csv: its format is not known by its name"),
        ("a.parquet.gz", b"", {}, "BASE/a.parquet.gz: its format is not known"),
        ("a.csv", CSV, {"cut": {"dev": 0.1}}, "BASE/a.csv: cut has an unknown split 'dev'"),
    ],
)
def test_complaints(
    tmp_path: Path, name: str, content: str | bytes, options: dict[str, Any], message: str
) -> None:
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    assert message in complaint(name, tmp_path, **options)


def test_what_is_not_there_is_answered_with_the_nearest(tmp_path: Path, written: Written) -> None:
    written("reviews.csv", CSV)
    assert complaint("review.csv", tmp_path) == (
        "there is no file or folder BASE/review.csv; in BASE: did you mean 'reviews.csv'?"
    )
    assert complaint("nowhere/a.csv", tmp_path).endswith("nor is there a folder BASE/nowhere")
    assert complaint("a" * 400 + ".csv", tmp_path).endswith("aaa.csv cannot be read: File name too long")
    assert complaint("~no-such-user/a.csv", tmp_path).startswith("~no-such-user/a.csv: there is no such home")


def test_complaints_about_folders(tmp_path: Path, written: Written) -> None:
    (tmp_path / "empty").mkdir()
    assert "BASE/empty has no file of a known format" in complaint("empty", tmp_path)
    written("twice/dev.csv", CSV)
    written("twice/valid.tsv", CSV)
    assert "dev.csv and valid.tsv are both validation; join them" in complaint("twice", tmp_path)
    written("good/train.csv", CSV)
    assert "BASE/good is a folder of splits, and is not cut" in complaint("good", tmp_path, cut={"test": 0.1})
    written("good/test.csv", "review,stars\n1\n")
    assert "BASE/good/test.csv, line 2: 1 cells" in complaint("good", tmp_path)


def test_nothing_is_unpickled_or_run(tmp_path: Path) -> None:
    for name in ("a.pkl", "a.npy", "a.npz", "a.py", "a.pt"):
        (tmp_path / name).write_bytes(b"x")
        assert "its format is not known" in complaint(name, tmp_path)


def test_glue_and_sts_as_published(truth: Path) -> None:
    sst2 = load("sst2", truth)
    assert {name: len(rows["label"]) for name, rows in sst2.items()} == {
        "train": 60_614, "validation": 6_735, "test": 872
    }  # fmt: skip
    assert max(map(sst2["test"]["label"].count, "01")) / 872 == pytest.approx(0.5092, abs=5e-5)
    stsb = load("stsb", truth, columns=["sentence1", "sentence2", "score"])
    assert {name: len(rows["score"]) for name, rows in stsb.items()} == {
        "train": 5_749, "validation": 1_500, "test": 1_379
    }  # fmt: skip
    assert json.dumps(stsb["test"]["score"][:2]) == '["2.5", "3.6"]'
