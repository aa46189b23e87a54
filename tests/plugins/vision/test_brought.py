"""`fetch` of torchvision's weights and data: half files are gone on with, and nothing is kept unchecked."""

from __future__ import annotations

import gzip
import hashlib
import random
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("torchvision")

from tests.serving import Served, serving

from ptbench import DataError, DataRequest, ModelError, ModelRequest, Reference
from ptbench_torch import bringing
from ptbench_vision import checkpoints, datasets, torchvision_models

DATA = random.Random(0).randbytes(300_000)
DIGEST = hashlib.sha256(DATA).hexdigest()


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bringing, "PAUSES", (0.0, 0.0, 0.0))


@pytest.fixture
def served() -> Iterator[Served]:
    with serving(weights=DATA) as here:
        yield here


def redirected(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every address lead to the server here, by the last part of its path."""
    opened = bringing.urllib.request.urlopen

    def urlopen(request: Any, timeout: float) -> Any:
        request.full_url = f"{served.url}/{request.full_url.rpartition('/')[2]}"
        return opened(request, timeout=timeout)

    monkeypatch.setattr("urllib.request.urlopen", urlopen)


def test_weights_of_torchvision(served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    redirected(served, monkeypatch)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    request = ModelRequest(Reference("torchvision", "squeezenet1_1", "IMAGENET1K_V1"))
    provider = torchvision_models.PROVIDER
    assert provider.fetch is not None
    (download,) = provider.describe(request).downloads
    name = download.what.rpartition("/")[2]
    served.files = {f"/{name}": DATA}
    with pytest.raises(ModelError, match="it was not kept"):  # the name has the digest of the real one
        provider.fetch(request, lambda *told: None)

    entry = torchvision_models.find_weights(request)
    url = f"https://download.example/net-{DIGEST[:8]}.pth"
    weights = SimpleNamespace(url=url, transforms=entry.transforms, meta=entry.meta)
    monkeypatch.setattr(torchvision_models, "find_weights", lambda request: weights)
    served.files = {f"/net-{DIGEST[:8]}.pth": DATA}
    told: list[tuple[str, int, int | None]] = []
    (file,) = provider.fetch(request, lambda *far: told.append(far))
    assert file == tmp_path / "hub" / "checkpoints" / f"net-{DIGEST[:8]}.pth"
    assert file.read_bytes() == DATA
    assert told[-1] == (url, len(DATA), len(DATA))
    assert provider.describe(request).downloads == ()
    file.write_bytes(b"damaged")
    with pytest.raises(ModelError, match="is not the published file"):
        provider.fetch(request, lambda *told: None)


def test_a_checkpoint_by_its_address(served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    redirected(served, monkeypatch)
    provider, url = checkpoints.PROVIDER, "https://weights.example/net.pth"
    assert provider.fetch is not None
    options = {"architecture": "torchvision:resnet18", "url": url, "sha256": DIGEST}
    request = ModelRequest(Reference("checkpoint", "store/net.pth"), options, base=tmp_path)
    assert [download.what for download in provider.describe(request).downloads] == [url]
    served.files = {"/net.pth": DATA}
    served.cut = [1000, 0, 0, 0]
    with pytest.raises(ModelError, match="the connection broke off after 1,000 bytes"):
        provider.fetch(request, lambda *told: None)
    (file,) = provider.fetch(request, lambda *told: None)
    assert served.asked[-1] == ("/net.pth", "bytes=1000-")
    assert file.read_bytes() == DATA
    assert provider.describe(request).downloads == ()


def idx(array: Any) -> bytes:
    """Return an array of bytes in the format of MNIST."""
    head = bytes([0, 0, 8, array.ndim]) + b"".join(size.to_bytes(4, "big") for size in array.shape)
    return gzip.compress(head + array.tobytes(), mtime=0)


def test_data_of_torchvision(served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import numpy as np
    from torchvision.datasets import MNIST

    redirected(served, monkeypatch)
    source = datasets.SOURCE
    assert source.fetch is not None
    request = DataRequest(Reference("torchvision", "MNIST"), {"root": "pictures"}, tmp_path)
    made = np.random.default_rng(0)
    images, labels = made.integers(0, 256, (4, 28, 28), np.uint8), np.array([0, 1, 2, 3], np.uint8)
    served.files = {f"/{name}": idx(images if "images" in name else labels) for name, _ in MNIST.resources}
    with pytest.raises(DataError, match="not f68b3c2dcbeaaa9fbdd348bbdeb94873: it was not kept"):
        source.fetch(request, lambda *told: None)
    resources = [(name, hashlib.md5(served.files[f"/{name}"]).hexdigest()) for name, _ in MNIST.resources]
    monkeypatch.setattr(MNIST, "resources", resources)
    served.failures = [404]  # the first mirror has it not
    files = source.fetch(request, lambda *told: None)
    assert [file.is_file() for file in files] == [True] * 4
    assert source.describe(request).downloads == ()
    served.asked.clear()
    assert source.fetch(request, lambda *told: None) == files
    assert source.load(request)["train"]["label"] == ["0 - zero", "1 - one", "2 - two", "3 - three"]
    assert served.asked == []
