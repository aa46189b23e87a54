"""A checkpoint on the disk is known by its files: one that changed is noticed before anything is loaded."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from ptbench import Capability, Cell, ModelRequest, Reference
from ptbench.catalog import Catalog, load_catalog
from ptbench.cellidentity import UNTOLD, cell_identity, changes
from ptbench.records import ModelSpec, TaskSpec
from ptbench_hf.models import PROVIDER


@cache
def catalog() -> Catalog:
    return load_catalog()


def identity(folder: Path, capability: Capability = Capability.EMBED) -> dict[str, str]:
    reference = f"hf:{folder}"
    request = ModelRequest(Reference.parse(reference), base=Path(), capability=capability)
    task = TaskSpec("t", "text-classification", "file:a.csv", {"input": "text", "target": "y"})
    cell = Cell("s", ModelSpec("m", reference), task, "linear_probe")
    return cell_identity(cell, PROVIDER.describe(request), "0123456789abcdef", "cpu", catalog())


def test_weights_that_changed(copied: Callable[[str], Path]) -> None:
    folder = copied("named")
    before = identity(folder)
    assert UNTOLD not in before
    assert identity(folder) == before
    weights = folder / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1  # one bit of one number; size, header and layout are the same
    weights.write_bytes(data)
    assert changes(before, identity(folder)) == ["weights changed"]


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "tokenizer_config.json"])
def test_preprocessing_that_changed(copied: Callable[[str], Path], name: str) -> None:
    folder = copied("named")
    before = identity(folder)
    (folder / name).write_text((folder / name).read_text() + "\n")
    assert changes(before, identity(folder)) == ["preprocessing changed"]


def test_pooling_that_is_declared_later(copied: Callable[[str], Path]) -> None:
    folder = copied("bert")
    before = identity(folder)
    (folder / "notes.md").write_text("what does not matter")
    assert identity(folder) == before
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text("{}")
    assert changes(before, identity(folder)) == ["preprocessing changed"]
