"""Nothing is lost when a run is killed, and nothing is run twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.killing import kill_often, predictions, scores, undisturbed, write_suite

pytest.importorskip("sklearn")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, float]:
    place = tmp_path_factory.mktemp("undisturbed")
    suite = write_suite(place)
    return (suite, *undisturbed(suite, place / "results", "--devices", "cpu:2"))


@pytest.mark.timeout(600)
@pytest.mark.parametrize("whom", ["main", "worker"])
def test_five_kills_lose_no_cell_and_change_no_score(
    whole: tuple[Path, Path, float], tmp_path: Path, whom: str
) -> None:
    suite, folder, seconds = whole
    killed = kill_often(suite, tmp_path, 5, whom, seconds, 1, "--devices", "cpu:2")
    assert killed.kills == 5
    assert killed.lost == []
    assert scores(killed.folder) == scores(folder)
    assert predictions(killed.folder) == predictions(folder)
