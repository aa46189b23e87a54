"""Models from the hub: a small hub runs here, so that fetching, caching and being offline are tried."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from ptbench import ModelError
from ptbench_hf.options import Wishes
from ptbench_hf.snapshots import wanted_files

pytest.importorskip("huggingface_hub")

COMMIT = "86b5e0934494bd15c9632b12f734a8a67f723594"

FETCH = """
import json, sys, time
from ptbench import ModelError, ModelRequest, Reference
from ptbench_hf import models, references, snapshots
from ptbench_hf.options import Wishes
reference, allow = sys.argv[1], len(sys.argv) > 2
request = ModelRequest(Reference.parse(reference), {"allow_unpinned": allow})
place = references.locate(request, Wishes(allow_unpinned=allow))
known = [download.what for download in models.describe(request).downloads]
start = time.perf_counter()
try:
    complete = lambda folder: models._complete(place, folder, Wishes())
    folder = snapshots.fetch_snapshot(place, Wishes(), complete)
    found = {"commit": folder.name, "files": sorted(str(f.relative_to(folder)) for f in folder.rglob("*.*"))}
except ModelError as error:
    found = {"error": str(error)}
print(json.dumps({**found, "downloads": known, "seconds": time.perf_counter() - start}))
"""


class Hub(ThreadingHTTPServer):
    """As much of the hub as its client asks for: what a revision holds, and its files."""

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.folder = folder
        self.asked: list[str] = []

    @property
    def files(self) -> list[str]:
        return sorted(
            path.relative_to(self.folder).as_posix() for path in self.folder.rglob("*") if path.is_file()
        )


class Handler(BaseHTTPRequestHandler):
    server: Hub

    def log_message(self, *args: Any) -> None:
        """Be quiet."""

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        self.server.asked.append(path)
        parts = path.strip("/").split("/")
        if parts[:4] == ["api", "models", "org", "tiny"] and parts[-1] in ("main", COMMIT, COMMIT[:8]):
            if parts[4] == "tree":
                tree = [self.entry(name) for name in self.server.files]
                return self.answer(json.dumps(tree).encode())
            siblings = [{"rfilename": name} for name in self.server.files]
            return self.answer(json.dumps({"id": "org/tiny", "sha": COMMIT, "siblings": siblings}).encode())
        if parts[:3] == ["org", "tiny", "resolve"] and "/".join(parts[4:]) in self.server.files:
            return self.answer((self.server.folder / "/".join(parts[4:])).read_bytes())
        code = "EntryNotFound" if parts[:2] == ["org", "tiny"] else "RepoNotFound"
        if parts[:4] == ["api", "models", "org", "tiny"]:
            code = "RevisionNotFound"
        return self.answer(b"", status=404, headers={"X-Error-Code": code})

    def entry(self, name: str) -> dict[str, Any]:
        data = (self.server.folder / name).read_bytes()
        return {"type": "file", "path": name, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}

    def answer(self, data: bytes, status: int = 200, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        own = {"Content-Length": str(len(data)), "ETag": f'"{hashlib.sha1(data).hexdigest()}"'}
        for name, value in {**own, "X-Repo-Commit": COMMIT, **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data)


@pytest.fixture
def hub(copied: Any) -> Iterator[Hub]:
    folder = copied("named")
    (folder / "onnx").mkdir()
    (folder / "onnx" / "model.onnx").write_bytes(b"not wanted")
    (folder / "pytorch_model.bin").write_bytes(b"not wanted")
    server = Hub(folder)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def fetch(hub: Hub | None, home: Path, *arguments: str, **environment: str) -> dict[str, Any]:
    """Fetch in a fresh process: the hub's client reads its environment when it is imported."""
    endpoint = f"http://127.0.0.1:{hub.server_port}" if hub else "http://127.0.0.1:9"
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    values = {
        **inherited,
        "HF_ENDPOINT": endpoint,
        "HF_HOME": str(home),
        "HF_HUB_DISABLE_XET": "1",
        **environment,
    }
    command = [sys.executable, "-W", "ignore", "-c", FETCH, *arguments]
    done = subprocess.run(command, env=values, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


@pytest.mark.parametrize("revision", [COMMIT, COMMIT[:8]])
def test_a_pinned_model_is_fetched_once(hub: Hub, tmp_path: Path, revision: str) -> None:
    first = fetch(hub, tmp_path / "home", f"hf:org/tiny@{revision}")
    assert first["downloads"] == [f"hub model org/tiny@{revision}"]
    assert first["commit"] == COMMIT
    expected = [name for name in hub.files if name not in ("onnx/model.onnx", "pytorch_model.bin")]
    assert first["files"] == expected
    again = fetch(None, tmp_path / "home", f"hf:org/tiny@{revision}")  # and now without a network
    assert again["commit"] == COMMIT
    assert again["downloads"] == []
    assert fetch(hub, tmp_path / "home", f"hf:org/tiny@{revision}", HF_HUB_OFFLINE="1")["commit"] == COMMIT


def test_a_branch_becomes_its_commit(hub: Hub, tmp_path: Path) -> None:
    found = fetch(hub, tmp_path / "home", "hf:org/tiny@main", "allow")
    assert found["commit"] == COMMIT


def test_what_a_checkpoint_declares_is_not_lost_from_a_cache_that_has_only_a_part(
    hub: Hub, tmp_path: Path
) -> None:
    """Another tool cached all but modules.json: without a network its absence is not known."""
    assert fetch(hub, tmp_path / "home", f"hf:org/tiny@{COMMIT}")["commit"] == COMMIT
    for marker in (tmp_path / "home").rglob(".no_exist"):
        for file in marker.rglob("modules.json"):
            file.unlink()
    lost = fetch(None, tmp_path / "home", f"hf:org/tiny@{COMMIT}")
    assert "is only partly in the local cache" in lost["error"]
    assert fetch(hub, tmp_path / "home", f"hf:org/tiny@{COMMIT}")["commit"] == COMMIT


@pytest.mark.parametrize("environment", [{}, {"HF_HUB_OFFLINE": "1"}])
def test_an_unreachable_hub_is_one_line_and_soon(environment: dict[str, str], tmp_path: Path) -> None:
    found = fetch(None, tmp_path / "home", f"hf:org/tiny@{COMMIT}", **environment)
    message = found["error"]
    assert "\n" not in message
    assert f"org/tiny@{COMMIT} is not in the local cache ({tmp_path / 'home' / 'hub'})" in message
    assert "http://127.0.0.1:9 cannot be reached" in message
    assert message.endswith(f"connect, or fetch it before with: hf download org/tiny --revision {COMMIT}")
    assert found["seconds"] < 15


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        (
            f"hf:org/none@{COMMIT}",
            "the hub has no model 'org/none' (or it is private, and you are not logged in)",
        ),
        ("hf:org/tiny@abcdef0", "the hub has no revision 'abcdef0' of org/tiny"),
    ],
)
def test_what_the_hub_does_not_have(reference: str, message: str, hub: Hub, tmp_path: Path) -> None:
    assert fetch(hub, tmp_path / "home", reference)["error"] == message


def test_the_files_that_are_wanted() -> None:
    names = [
        *("README.md", "config.json", "tokenizer.json", "1_Pooling/config.json", "2_Dense/model.safetensors"),
        *("model.safetensors", "pytorch_model.bin", "pytorch_model.bin.index.json", "own.py", "tf_model.h5"),
        *("onnx/model.onnx", "onnx/config.json", "model.fp16.safetensors"),
    ]
    wanted = ["config.json", "tokenizer.json", "1_Pooling/config.json"]
    weights = ["2_Dense/model.safetensors", "model.safetensors"]
    assert wanted_files(names, Wishes(), "x") == wanted + weights
    assert wanted_files(names, Wishes(trust_remote_code=True), "x") == [*wanted, "own.py", *weights]
    pickles = ["config.json", "pytorch_model-00001-of-00002.bin", "pytorch_model.bin.index.json"]
    assert sorted(wanted_files(pickles, Wishes(allow_pickle=True), "x")) == sorted(pickles)
    with pytest.raises(ModelError, match=r"x has weights only as a pickle .*or write allow_pickle = true"):
        wanted_files(pickles, Wishes(), "x")
    with pytest.raises(ModelError, match="x has no weights for PyTorch"):
        wanted_files(["config.json", "model.gguf"], Wishes(), "x")
