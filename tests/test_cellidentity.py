"""What a score depends on: each part changes the identity of a cell, and no knob does."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptbench import Capability, Cell, Download, ModelDescription, Settings
from ptbench.catalog import Catalog, load_catalog
from ptbench.cellidentity import ABSENT, UNTOLD, Identities, cell_identity, changes
from ptbench.records import ModelSpec, TaskSpec

CAPABLE = frozenset({Capability.FIT})
DESCRIBED = ModelDescription(CAPABLE, files={"weights": ()})
CELL = Cell(
    suite="s",
    model=ModelSpec("words", "sklearn:tfidf"),
    task=TaskSpec("mine", "text-classification", "file:a.csv", {"input": "text", "target": "y"}),
    protocol="linear_probe",
)
DATA = "0123456789abcdef"


@cache
def catalog() -> Catalog:
    return load_catalog()


def identity(
    cell: Cell = CELL, described: ModelDescription = DESCRIBED, data: str = DATA, device: str = "cpu"
) -> dict[str, str]:
    return cell_identity(cell, described, data, device, catalog())


def of_model(**changed: Any) -> Cell:
    return replace(CELL, model=replace(CELL.model, **changed))


def of_task(**changed: Any) -> Cell:
    return replace(CELL, task=replace(CELL.task, **changed))


@pytest.mark.parametrize(
    ("cell", "part"),
    [
        (of_model(reference="sklearn:tfidf-char"), "model"),
        (of_model(options={"max_features": 10}), "model"),
        (of_model(settings=Settings(precision="bf16")), "precision"),
        (of_model(settings=Settings(device="cuda:1")), "device"),
        (of_task(data="file:b.csv"), "data"),
        (of_task(data_options={"cut": {"test": 0.2}}), "data"),
        (of_task(splits={"test": "validation"}), "data"),
        (of_task(limit={"test": 10}), "data"),
        (of_task(options={"input": "other", "target": "y"}), "task"),
        (of_task(copies=False), "task"),
        (of_task(metrics=("f1",)), "metrics"),
        (replace(CELL, protocol="knn"), "protocol"),
        (replace(CELL, options={"strengths": [1.0]}), "protocol"),
        (replace(CELL, seed=1), "seed"),
    ],
)
def test_each_part_changes_it(cell: Cell, part: str) -> None:
    found = changes(identity(), identity(cell))
    assert any(text.startswith(f"{part} changed") for text in found), found
    assert UNTOLD not in identity(cell)


@pytest.mark.parametrize(
    "cell",
    [
        replace(CELL, suite="other", base="/elsewhere"),
        of_model(name="other"),
        of_model(settings=Settings(batch_size=3, batch_tokens=99)),
        of_model(settings=Settings(device="cpu")),
        of_task(name="other", note="a probe"),
        of_task(metrics=("accuracy", "macro_f1")),  # those that are customary anyway
        replace(CELL, options={"validation": 0.1}),  # the default
    ],
)
def test_no_knob_changes_it(cell: Cell) -> None:
    assert identity(cell) == identity()


def test_canonical_batches_are_part_of_it_where_they_are_asked_for() -> None:
    found = changes(identity(), identity(of_model(settings=Settings(canonical=True))))
    assert found == ["batches changed (none -> canonical)"]


def test_equal_devices_are_one() -> None:
    assert identity(of_model(settings=Settings(device="cuda:1"))) == identity(device="cuda")
    assert changes(identity(), identity(device="cuda")) == ["device changed (cpu -> cuda)"]


def test_rows_that_changed() -> None:
    assert changes(identity(), identity(data="f" * 16)) == ["data changed"]
    assert identity(data="names, sizes and times") != identity(data="names, sizes and other times")
    assert "does not say when its data change" in identity(data="")[UNTOLD]


@pytest.mark.parametrize("name", ["weights", "preprocessing"])
def test_files_that_changed(tmp_path: Path, name: str) -> None:
    file = tmp_path / "a.bin"
    file.write_bytes(b"one")
    described = replace(DESCRIBED, files={name: (file,)})
    before = identity(described=described)
    assert identity(described=described) == before
    file.write_bytes(b"two")
    assert changes(before, identity(described=described)) == [f"{name} changed"]
    assert changes(identity(), before) == [f"{name} changed"]


@pytest.mark.parametrize(
    ("described", "why"),
    [
        (replace(DESCRIBED, trust=("remote_code",)), "runs code of its own (remote_code)"),
        (replace(DESCRIBED, trust=("pickle", "code acme:make")), "runs code of its own (code acme:make)"),
        (replace(DESCRIBED, files={}), "does not say which files"),
        (replace(DESCRIBED, downloads=(Download("weights"),)), "not on this machine yet"),
    ],
)
def test_where_nobody_can_tell_it_says_why(described: ModelDescription, why: str) -> None:
    parts = identity(described=described)
    assert why in parts[UNTOLD]
    assert why in identity(described=described, data="")[UNTOLD]
    assert "data change" in identity(described=described, data="")[UNTOLD]
    assert (parts["weights"] == ABSENT) == bool(described.downloads)


@pytest.mark.parametrize(
    ("package", "parts"),
    [
        ("ptbench", ["code of ptbench"]),
        ("sklearn", ["code of provider", "code of protocol"]),
    ],
)
def test_versions_are_told(monkeypatch: pytest.MonkeyPatch, package: str, parts: list[str]) -> None:
    from ptbench import identity as identities

    before, versions = identity(), identities._version
    monkeypatch.setattr(identities, "_version", lambda name: "9" if name == package else versions(name))
    old = versions(package)
    assert changes(before, identity()) == [f"{part} changed ({package} {old} -> 9)" for part in parts]


def test_what_a_reader_is_told() -> None:
    code = "ptbench = 1; source of acme = {}; acme-lib = {}"
    before = {"code of metrics": code.format("a" * 16, "2.0"), "seed": "0", "gone": "x"}
    now = {"code of metrics": code.format("b" * 16, "2.1"), "seed": "0", "weights": "c" * 16}
    assert changes(before, now) == [
        "code of metrics changed (source of acme, acme-lib 2.0 -> 2.1)",
        "weights changed",
        "gone changed (x -> none)",
    ]


CELLS = st.builds(
    lambda model, task, protocol, seed: replace(
        CELL,
        model=ModelSpec("m", model, {}),
        task=replace(CELL.task, data=task),
        protocol=protocol,
        seed=seed,
    ),
    st.sampled_from(["sklearn:tfidf", "baseline:majority", "hf:x"]),
    st.sampled_from(["file:a.csv", "file:b.csv"]),
    st.sampled_from(["linear_probe", "knn", "as_is"]),
    st.integers(0, 2),
)


@given(st.lists(CELLS, max_size=8))
def test_many_at_once_are_as_one_by_one(cells: list[Cell]) -> None:
    together = Identities(catalog(), "cpu")
    assert [together.of(cell, DESCRIBED, DATA) for cell in cells] == [identity(cell) for cell in cells]
    telling = {(c.model.reference, c.task.data, c.protocol, c.seed) for c in cells}
    assert len({tuple(identity(cell).items()) for cell in cells}) == len(telling)
