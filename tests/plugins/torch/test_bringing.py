"""Files brought by their address: interrupted, resumed, wrong, missing, and on a full disk."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.serving import Served, serving

from ptbench import ModelError
from ptbench_torch import bringing
from ptbench_torch.bringing import bring

DATA = random.Random(0).randbytes(300_000)
DIGEST = hashlib.sha256(DATA).hexdigest()


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bringing, "PAUSES", (0.0, 0.0, 0.0))


@pytest.fixture
def served() -> Iterator[Served]:
    with serving(weights=DATA) as here:
        yield here


def complaint(served: Served, path: Path, digest: str = DIGEST) -> str:
    with pytest.raises(ModelError) as error:
        bring(f"{served.url}/weights", path, digest)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_file_comes_whole_and_is_told_of(served: Served, tmp_path: Path) -> None:
    told: list[tuple[int, int | None]] = []
    path = bring(f"{served.url}/weights", tmp_path / "deep" / "w", DIGEST[:8], lambda *far: told.append(far))
    assert path.read_bytes() == DATA
    assert told[0] == (0, len(DATA))
    assert told[-1] == (len(DATA), len(DATA))
    assert [name.name for name in path.parent.iterdir()] == ["w"]
    bring(f"{served.url}/weights", path, DIGEST)
    assert len(served.asked) == 1  # what is there is not brought again


@given(cuts=st.lists(st.integers(0, len(DATA)), max_size=3), ranges=st.booleans())
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_broke_off_goes_on(
    cuts: list[int], ranges: bool, served: Served, tmp_path_factory: pytest.TempPathFactory
) -> None:
    served.asked.clear()
    served.cut, served.ranges = list(cuts), ranges
    path = tmp_path_factory.mktemp("cut") / "w"
    assert bring(f"{served.url}/weights", path, DIGEST).read_bytes() == DATA
    served.cut = []
    first, *others = [wanted for _, wanted in served.asked]
    assert first == ""
    assert len(others) <= len(cuts)
    if ranges:
        sizes = [int(wanted.removeprefix("bytes=").rstrip("-") or 0) for wanted in others]
        assert sizes == sorted(sizes)


def test_another_call_goes_on_from_what_is_left(served: Served, tmp_path: Path) -> None:
    path = tmp_path / "w"
    served.cut = [100_000, 0, 0, 0]
    assert "the connection broke off after 100,000 bytes" in complaint(served, path)
    assert not path.exists()
    assert path.with_name("w.part").stat().st_size == 100_000
    served.asked.clear()
    bring(f"{served.url}/weights", path, DIGEST)
    assert served.asked == [("/weights", "bytes=100000-")]
    assert path.read_bytes() == DATA


def test_a_part_that_is_whole_or_longer(served: Served, tmp_path: Path) -> None:
    whole, longer = tmp_path / "a", tmp_path / "b"
    whole.with_name("a.part").write_bytes(DATA)
    longer.with_name("b.part").write_bytes(DATA + b"more")
    for path in (whole, longer):
        assert bring(f"{served.url}/weights", path, DIGEST).read_bytes() == DATA


def test_another_file_is_not_kept(served: Served, tmp_path: Path) -> None:
    path = tmp_path / "w"
    assert complaint(served, path, "0" * 64).endswith(
        f"/weights has sha256 {DIGEST}, not {'0' * 64}: it was not kept"
    )
    assert list(tmp_path.iterdir()) == []


def test_a_busy_server_is_asked_again(served: Served, tmp_path: Path) -> None:
    served.failures = [503, 429, 500]
    assert bring(f"{served.url}/weights", tmp_path / "w", DIGEST).read_bytes() == DATA
    assert len(served.asked) == 4
    served.failures = [500, 501, 502, 503]
    assert "the server says 503 Service Unavailable" in complaint(served, tmp_path / "v")


def test_what_is_not_there_is_asked_for_once(served: Served, tmp_path: Path) -> None:
    served.files.clear()
    assert "the server says 404 Not Found" in complaint(served, tmp_path / "w")
    assert len(served.asked) == 1


def test_nobody_answers(tmp_path: Path) -> None:
    assert "could not be brought: [Errno 111] Connection refused" in complaint(
        Served(url="http://127.0.0.1:9"), tmp_path / "w"
    )


def test_where_nothing_came_nothing_is_left(tmp_path: Path) -> None:
    assert complaint(Served(url="http://127.0.0.1:9"), tmp_path / "w").endswith("Connection refused")
    assert list(tmp_path.iterdir()) == []


def test_many_that_fail_do_not_disturb_each_other(served: Served, tmp_path: Path) -> None:
    """Each takes its half file away, or another one's, and the last finds the server well again."""
    served.failures = [404] * 6
    with ThreadPoolExecutor(8) as pool:
        tries = [pool.submit(bring, f"{served.url}/weights", tmp_path / "w", DIGEST) for _ in range(8)]
    failed = [str(one.exception()) for one in tries if one.exception()]
    assert len(failed) == 6
    assert all("the server says 404" in text for text in failed)
    assert (tmp_path / "w").read_bytes() == DATA


def test_a_full_disk(served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "w.part").symlink_to("/dev/full")  # every write to it says that there is no space
    assert "No space left on device" in complaint(served, tmp_path / "w")
    usage = SimpleNamespace(free=1000)
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage)
    assert "needs 300,000 bytes more, and its disk has 1,000 left" in complaint(served, tmp_path / "v")


def test_two_at_once_bring_it_once(served: Served, tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        paths = list(pool.map(lambda _: bring(f"{served.url}/weights", tmp_path / "w", DIGEST), range(8)))
    assert paths[0].read_bytes() == DATA
    assert len(served.asked) == 1
