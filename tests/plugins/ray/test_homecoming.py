"""Files come into the folder of the run whole, and nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest

from ptbench import PtbenchError
from ptbench_ray.homecoming import bring_home


def test_files_are_written_and_replaced_whole(tmp_path: Path) -> None:
    bring_home(tmp_path, {"predictions/a.parquet": b"old", "logs/a.log": b"said"})
    bring_home(tmp_path, {"predictions/a.parquet": b"new"})
    found = {str(p.relative_to(tmp_path)): p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    assert found == {"predictions/a.parquet": b"new", "logs/a.log": b"said"}


@pytest.mark.parametrize("name", ["../a", "/tmp/a", "x/../../a", "out/a", ""])
def test_a_path_that_leads_out_is_refused(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "out").symlink_to(tmp_path)
    with pytest.raises(PtbenchError, match="outside of the folder of the run"):
        bring_home(folder, {name: b""})
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
