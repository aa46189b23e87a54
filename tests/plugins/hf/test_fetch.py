"""`ptbench fetch` of models and data from a hub that runs here: whole, killed and gone on with, failing."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.plugins.hf.test_snapshots import COMMIT, Handler, Hub

pytest.importorskip("huggingface_hub")

SUITE = """
[suite]
name = "from the hub"

[models]
tiny = "hf:org/tiny@{commit}"
gone = "hf:org/{gone}@{commit}"
majority = "baseline:majority"

[tasks.mine]
adapter = "text-classification"
data = "file:reviews.csv"
input = "review"
target = "stars"
cut = {{ test = 0.5 }}

[[grid]]
protocols = ["linear_probe"]
"""
REVIEWS = "review,stars\n" + "".join(f"the film was {word} {i},{word}\n" for i in range(30)
                                     for word in ("good", "bad"))  # fmt: skip
LARGE = 30 * 2**20


class RangeHandler(Handler):
    """Answers ranges, as the hub does, and stalls in the middle of a large file while it is told to."""

    server: RangeHub

    def do_GET(self) -> None:  # noqa: N802
        if self.path.startswith(f"/api/models/org/tiny/revision/{COMMIT}"):
            self.server.asked.append(self.path)
            siblings = [{"rfilename": name, "size": self.entry(name)["size"]} for name in self.server.files]
            digest = hashlib.sha256((self.server.folder / "large.txt").read_bytes()).hexdigest()
            for file in siblings:
                if file["rfilename"] == "large.txt":
                    file["lfs"] = {"sha256": digest, "size": LARGE, "pointerSize": 134}
            return self.answer(json.dumps({"id": "org/tiny", "sha": COMMIT, "siblings": siblings}).encode())
        return super().do_GET()

    def answer(self, data: bytes, status: int = 200, headers: dict[str, str] | None = None) -> None:
        wanted = self.headers.get("Range", "")
        if status == 200 and len(data) >= LARGE:
            headers = {"X-Linked-Etag": f'"{hashlib.sha256(data).hexdigest()}"', "X-Linked-Size": str(LARGE)}
        if self.command != "GET" or status != 200 or len(data) < LARGE:
            return super().answer(data, status, headers)
        self.server.ranges.append(wanted)
        start = int(wanted.removeprefix("bytes=").partition("-")[0]) if wanted else 0
        if self.server.broken:
            return super().answer(b"", 500)
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(data) - start))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.end_headers()
        half = (len(data) + start) // 2
        self.wfile.write(data[start:half])
        self.wfile.flush()
        self.server.go_on.wait(60)
        self.wfile.write(data[half:])
        return None


class RangeHub(Hub):
    """The hub of the other tests, with one large file."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.RequestHandlerClass = RangeHandler
        self.ranges: list[str] = []
        self.go_on = threading.Event()
        self.broken = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that was killed hangs up."""


@pytest.fixture
def hub(copied: Any) -> Iterator[RangeHub]:
    folder = copied("named")
    (folder / "large.txt").write_bytes(os.urandom(2**20) * 30)
    server = RangeHub(folder)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.go_on.set()
    server.shutdown()
    server.server_close()
    thread.join()


def started(hub: RangeHub | None, folder: Path, *arguments: str) -> subprocess.Popen[str]:
    endpoint = f"http://127.0.0.1:{hub.server_port}" if hub else "http://127.0.0.1:9"
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    values = {"HF_ENDPOINT": endpoint, "HF_HOME": str(folder / "home"), "HF_HUB_DISABLE_XET": "1"}
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", "from ptbench.cli import main; main()", *arguments],
        env={**inherited, **values, "COLUMNS": "200"},
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def called(hub: RangeHub | None, folder: Path, *arguments: str) -> tuple[int, str, str]:
    process = started(hub, folder, *arguments)
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def write(folder: Path, gone: str = "tiny") -> None:
    (folder / "hub.toml").write_text(SUITE.format(commit=COMMIT, gone=gone), "utf-8")
    (folder / "reviews.csv").write_text(REVIEWS, "utf-8")


def test_fetch_is_killed_and_goes_on_and_then_all_is_offline(hub: RangeHub, tmp_path: Path) -> None:
    write(tmp_path)
    process = started(hub, tmp_path, "fetch", "hub.toml")
    begun: list[Path] = []
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not begun:
        parts = (tmp_path / "home").rglob("*.part")
        begun = [path for path in parts if path.stat().st_size >= 10 * 2**20]
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert begun
    have = begun[0].stat().st_size
    hub.go_on.set()

    code, out, err = called(hub, tmp_path, "fetch", "hub.toml", "--json")
    assert code == 0, err
    assert hub.ranges == ["", f"bytes={have}-"]
    tiny, majority, mine = json.loads(out)["items"]
    assert (tiny["what"], tiny["for"], tiny["state"]) == (
        f"hf:org/tiny@{COMMIT}",
        ["tiny", "gone"],
        "brought",
    )
    assert tiny["commit"] == COMMIT
    sizes = {Path(file["path"]).name: file["bytes"] for file in tiny["files"]}
    assert sizes["large.txt"] == LARGE
    assert tiny["bytes"] == sum(sizes.values())
    assert majority["state"] == mine["state"] == "there"

    code, out, err = called(None, tmp_path, "fetch", "hub.toml")  # there is no network any more
    assert code == 0, err
    assert "3 of 3 are here" in out
    code, out, err = called(None, tmp_path, "plan", "hub.toml", "--json")
    assert json.loads(out)["downloads"] == []
    code, out, err = called(None, tmp_path, "run", "hub.toml", "--offline", "--executor", "serial", "--json")
    assert code == 0, err
    assert [record["status"] for record in json.loads(out)["records"]] == ["ok"] * 3


def test_ctrl_c_ends_it_at_once(hub: RangeHub, tmp_path: Path) -> None:
    write(tmp_path)
    process = started(hub, tmp_path, "fetch", "hub.toml")
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not hub.ranges:
        time.sleep(0.05)
    began = time.monotonic()
    os.kill(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert time.monotonic() - began < 5
    assert process.returncode == 130
    assert err.endswith("interrupted; what was finished is kept\n")


def test_what_cannot_be_brought_does_not_stop_the_others(hub: RangeHub, tmp_path: Path) -> None:
    write(tmp_path, gone="nothing")
    hub.go_on.set()
    code, out, _ = called(hub, tmp_path, "fetch", "hub.toml")
    assert code == 1
    assert f"error: hf:org/nothing@{COMMIT}: the hub has no model 'org/nothing'" in out
    assert "3 of 4 are here" in out
    code, out, _ = called(hub, tmp_path, "fetch", "hub.toml", "--json")
    states = {item["what"].partition("@")[0]: item["state"] for item in json.loads(out)["items"]}
    expected = {"hf:org/tiny": "there", "hf:org/nothing": "failed", "baseline:majority": "there"}
    assert states == {**expected, "file:reviews.csv": "there"}


def test_a_server_that_fails(hub: RangeHub, tmp_path: Path) -> None:
    write(tmp_path)
    hub.broken = True
    code, out, _ = called(hub, tmp_path, "fetch", "hub.toml")
    assert code == 1
    (line,) = [line for line in out.splitlines() if line.startswith("error: ")]
    assert line.startswith(f"error: hf:org/tiny@{COMMIT}: http://127.0.0.1")
    assert "could not be brought: the server says 500" in line
    hub.broken = False
    hub.go_on.set()
    assert called(hub, tmp_path, "fetch", "hub.toml")[0] == 0


def test_a_wrong_suite(tmp_path: Path) -> None:
    write(tmp_path)
    text = (tmp_path / "hub.toml").read_text("utf-8").replace("linear_probe", "linear_prob")
    (tmp_path / "hub.toml").write_text(text, "utf-8")
    code, out, err = called(None, tmp_path, "fetch", "hub.toml")
    assert (code, out) == (2, "")
    assert "did you mean 'linear_probe'?" in err
