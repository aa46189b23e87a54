"""The data sets that scikit-learn carries."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import pytest
from sklearn import datasets

from ptbench import DataDescription, DataError, DataRequest, Reference, Rows, testing
from ptbench_sklearn.data import BUNDLED, SOURCE


def ask(name: str, options: Mapping[str, Any]) -> DataRequest:
    return DataRequest(Reference.parse(f"sklearn:{name}", revisions=SOURCE.revisions), options)


def load(name: str, **options: Any) -> Mapping[str, Rows]:
    return SOURCE.load(ask(name, options))


def describe(name: str, **options: Any) -> DataDescription:
    return SOURCE.describe(ask(name, options))


@pytest.mark.parametrize("name", ["breast_cancer", "diabetes", "digits", "iris", "wine"])
def test_bundled_data(name: str) -> None:
    splits = load(name)
    assert list(splits) == list(describe(name).splits or ()) == ["train", "test"]
    assert describe(name).quick
    bunch = getattr(datasets, f"load_{name}")()
    n = len(bunch.target)
    assert len(splits["test"]["target"]) / n == pytest.approx(0.25, abs=0.08)
    for rows in splits.values():
        columns = list(zip(*(rows[column] for column in bunch.feature_names), strict=True))
        assert [list(row) for row in columns] == list(rows["features"])
        assert {type(value) for value in rows["target"]} == {float if name == "diabetes" else str}
    both = [tuple(row) for rows in splits.values() for row in rows["features"]]
    assert sorted(both) == sorted(map(tuple, bunch.data.tolist()))


def test_the_source_conforms() -> None:
    for name in BUNDLED:
        testing.check_source(SOURCE, f"sklearn:{name}", {"cut": {"validation": 0.2, "test": 0.2}})


def test_targets_stay_with_their_rows() -> None:
    bunch = datasets.load_wine()
    names = {tuple(row): str(bunch.target_names[y]) for row, y in zip(bunch.data, bunch.target, strict=True)}
    for rows in load("wine").values():
        pairs = zip(rows["features"], rows["target"], strict=True)
        assert all(names[tuple(row)] == target for row, target in pairs)


def test_digits_are_images_too() -> None:
    test = load("digits")["test"]
    image = test["image"][0]
    assert image.shape == (8, 8)
    assert image.dtype == np.uint8
    assert max(map(np.max, test["image"])) == 255
    assert (image == np.rint(np.array(test["features"][0]).reshape(8, 8) / 16 * 255)).all()
    assert set(test["target"]) == set("0123456789")


def test_the_cut_is_that_of_files() -> None:
    splits = load("wine", cut={"validation": 0.2, "test": 0.2}, cut_seed=3)
    assert list(splits) == ["train", "validation", "test"]
    assert load("wine", cut={"validation": 0.2, "test": 0.2}, cut_seed=4) != splits


def test_what_has_to_be_brought_is_said_before(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(tmp_path))
    for name in ("20newsgroups", "california_housing"):
        description = describe(name)
        assert not description.quick
        assert [download.bytes is not None for download in description.downloads] == [True]
    (tmp_path / "20news-bydate_py3.pkz").touch()
    assert not describe("20newsgroups").downloads
    assert describe("20newsgroups").splits == {"train": 11_314, "test": 7_532}


@pytest.mark.parametrize("name", ["20newsgroups", "california_housing"])
def test_without_a_network(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def unreachable(*arguments: Any, **options: Any) -> None:
        raise URLError("no network")

    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(tmp_path))
    monkeypatch.setattr("sklearn.datasets._base.urlretrieve", unreachable)
    with pytest.raises(DataError) as error:
        load(name)
    assert str(error.value).startswith(f"sklearn:{name} is not in {tmp_path}, and could not be brought")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("iriss", {}, "scikit-learn has no data set 'iriss'; did you mean 'iris'?"),
        ("linnerud", {}, "scikit-learn has no data set 'linnerud'"),
        ("iris", {"cut": {"dev": 0.1}}, "sklearn:iris: cut has an unknown split 'dev'"),
        ("20newsgroups", {"cut": {"test": 0.1}}, "has splits of its own, by date; leave 'cut' out"),
    ],
)
def test_complaints(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError) as error:
        load(name, **options)
    assert message in str(error.value)
