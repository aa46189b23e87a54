"""`torchvision:`, `timm:` and `torchhub:` what a reference names, what it needs, and loading from caches."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file
from torchvision import models

from ptbench import Capability, Examples, ModelError, ModelRequest, Reference
from ptbench_torch.digest import file_sha256
from ptbench_vision import timm_models, torchhub, torchvision_models
from ptbench_vision.categories import imagenet, synonyms_of

COMMIT = "0123456789abcdef0123456789abcdef01234567"
PROVIDERS = {
    "torchvision": torchvision_models.PROVIDER,
    "timm": timm_models.PROVIDER,
    "torchhub": torchhub.PROVIDER,
}


def request(text: str, capability: Capability | None = None, **options: Any) -> ModelRequest:
    return ModelRequest(Reference.parse(text), options, capability=capability)


def describe(text: str, **options: Any) -> Any:
    asked = request(text, **options)
    return PROVIDERS[asked.reference.scheme].describe(asked)


def load(text: str, capability: Capability = Capability.PREDICT, **options: Any) -> Any:
    asked = request(text, capability, **options)
    return PROVIDERS[asked.reference.scheme].load(asked)


def pictures() -> Examples:
    numbers = np.random.default_rng(0)
    return Examples(["a", "b"], {"image": list(numbers.integers(0, 256, (2, 240, 260, 3), dtype=np.uint8))})


@pytest.fixture
def caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Empty caches of torch.hub and of the Hugging Face hub, and no network."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.file_download.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path


def test_all_of_torchvision_can_be_planned(caches: Path) -> None:
    entries = [(n, w) for n in models.list_models(module=models) for w in models.get_model_weights(n)]
    assert len(entries) >= 100
    for name, weights in entries:
        described = describe(f"torchvision:{name}@{weights.name}")
        assert described.parameters == weights.meta["num_params"]
        assert len(described.labels or ()) == (0 if weights.name == "IMAGENET1K_FEATURES" else 1000)
        assert described.downloads[0].bytes > 1e6


@pytest.mark.parametrize(
    ("text", "options", "said"),
    [
        ("torchvision:resnet19@IMAGENET1K_V1", {}, "did you mean 'resnet18'"),
        ("torchvision:resnet18@IMAGENET1K_V9", {}, "did you mean 'IMAGENET1K_V1'"),
        ("torchvision:resnet50", {}, "which weights.*IMAGENET1K_V1, IMAGENET1K_V2"),
        ("torchvision:resnet50@DEFAULT", {}, "another thing in each version"),
        ("torchvision:resnet50@IMAGENET1K_V1", {"init": "random"}, "leave out '@IMAGENET1K_V1'"),
        ("torchvision:resnet50", {"init": "random", "sha256": "0" * 64}, "sha256 is for a file"),
        ("torchvision:fasterrcnn_resnet50_fpn", {}, "no classification model"),
        ("timm:resnet19.a1_in1k", {}, "did you mean 'resnet18'"),
        ("timm:resnet18.a9_in1k", {}, "no weights 'a9_in1k'; did you mean"),
        ("timm:resnet18", {}, "which weights.*resnet18.TAG"),
        ("timm:resnet18.a1_in1k", {}, "is not pinned"),
        ("timm:vit_tiny_patch16_224.augreg_in21k@" + COMMIT, {"test_size": True}, "no test input size"),
        ("torchhub:owner/repo:net@" + COMMIT, {}, "trust_remote_code = true"),
        ("torchhub:owner/repo@" + COMMIT, {"trust_remote_code": True}, "OWNER/REPO:ENTRY"),
        ("torchhub:owner/repo:net", {"trust_remote_code": True}, "is not pinned"),
        ("torchhub:owner/repo:net@" + COMMIT, {"trust_remote_code": True}, "nothing declares"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_found_by_the_plan(
    caches: Path, text: str, options: Mapping[str, Any], said: str
) -> None:
    with pytest.raises(ModelError, match=said):
        describe(text, **options)


def test_categories_and_wordnet_ids_are_of_one_order() -> None:
    """torchvision and timm list the thousand classes each for itself; the order must be the same."""
    ids, words = imagenet("imagenet-1k")
    weights = models.get_model_weights("resnet50")["IMAGENET1K_V2"]
    categories = weights.meta["categories"]
    agree = sum(c.casefold() in text.casefold() for c, text in zip(categories, words, strict=True))
    assert agree >= 990
    known = synonyms_of(categories)
    assert [known[identifier] for identifier in ids] == list(range(1000))
    assert known["crane"] == -1  # the bird, and the machine
    assert known["tench, Tinca tinca"] == 0
    assert synonyms_of([f"class {i}" for i in range(1000)]) == {}


def test_torchvision_from_its_cache(caches: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    module = models.get_model("squeezenet1_1", weights=None).eval()
    folder = caches / "torch" / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    torch.save(module.state_dict(), folder / "new.pth")
    digest = file_sha256(folder / "new.pth")
    name = f"squeezenet1_1-{digest[:8]}.pth"
    (folder / "new.pth").rename(folder / name)
    weights = models.get_model_weights("squeezenet1_1")["IMAGENET1K_V1"]
    monkeypatch.setattr(weights.value, "url", f"https://localhost:9/{name}")

    text = "torchvision:squeezenet1_1@IMAGENET1K_V1"
    assert describe(text).downloads == ()
    model = load(text)
    assert model.facts.weights == digest
    assert model.facts.parameters == weights.meta["num_params"]
    assert model.facts.notes == ()
    with torch.inference_mode():
        from PIL import Image

        inputs = [weights.transforms()(Image.fromarray(cell)) for cell in pictures()["image"]]
        expected = module(torch.stack(inputs)).softmax(dim=1).numpy()
    assert np.allclose(model.predict(pictures())["scores"], expected, atol=1e-5)

    torch.save(models.get_model("squeezenet1_1", weights=None).state_dict(), folder / name)
    with pytest.raises(ModelError, match="is not the published file"):
        load(text)


def test_torchvision_without_cache_or_network(caches: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = models.get_model_weights("squeezenet1_1")["IMAGENET1K_V1"]
    monkeypatch.setattr(weights.value, "url", "https://localhost:9/squeezenet1_1-b8a52dc0.pth")
    with pytest.raises(ModelError, match="could not be brought"):
        load("torchvision:squeezenet1_1@IMAGENET1K_V1")


def cached(caches: Path, name: str) -> Path:
    """Put random weights of a timm model where the hub's cache keeps them."""
    repository = timm.get_pretrained_cfg(name).hf_hub_id
    folder = caches / "hub" / f"models--{repository.replace('/', '--')}"
    snapshot = folder / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text(COMMIT)
    torch.manual_seed(0)
    save_file(timm.create_model(name).state_dict(), snapshot / "model.safetensors")
    return snapshot / "model.safetensors"


@pytest.mark.parametrize("name", ["test_resnet.r160_in1k", "test_vit.r160_in1k"])
def test_timm_from_the_cache_of_the_hub(caches: Path, name: str) -> None:
    assert describe(f"timm:{name}@{COMMIT}").downloads != ()
    file = cached(caches, name)
    for text, options, trust in (
        (f"timm:{name}@{COMMIT}", {}, ()),
        (f"timm:{name}@{COMMIT[:8]}", {}, ()),
        (f"timm:{name}", {"sha256": file_sha256(file)}, ()),
        (f"timm:{name}", {"allow_unpinned": True}, ("unpinned",)),
    ):
        described = describe(text, **options)
        assert (described.downloads, described.trust) == ((), trust)
        model = load(text, **options)
        assert model.facts.weights == file_sha256(file)
        assert (model.facts.trust, model.facts.extra["commit"]) == (trust, COMMIT)
    module = timm.create_model(name, checkpoint_path=str(file)).eval()
    transform = timm.data.create_transform(**timm.data.resolve_model_data_config(module), is_training=False)
    with torch.inference_mode():
        from PIL import Image

        inputs = torch.stack([transform(Image.fromarray(cell)) for cell in pictures()["image"]])
        expected = module(inputs).softmax(dim=1).numpy()
        features = module.reset_classifier(0) or module(inputs)
    assert np.allclose(model.predict(pictures())["scores"], expected, atol=1e-5)
    assert np.allclose(
        load(f"timm:{name}@{COMMIT}", Capability.EMBED).embed(pictures()), features.numpy(), atol=1e-4
    )
    with pytest.raises(ModelError, match="other weights than you asked for"):
        load(f"timm:{name}@{COMMIT}", sha256="0" * 64)


def test_timm_without_cache_or_network(caches: Path) -> None:
    with pytest.raises(ModelError) as error:
        load(f"timm:resnet18.a1_in1k@{COMMIT}")
    message = str(error.value)
    assert message.startswith(f"timm:resnet18.a1_in1k@{COMMIT} is not in the local cache (")
    assert "cannot be reached (HF_HUB_OFFLINE is set): connect, or fetch it before with: " in message
    assert message.endswith(f"hf download timm/resnet18.a1_in1k model.safetensors --revision {COMMIT}")
    with pytest.raises(ModelError, match=r"resnet18\.a1_in1k model\.safetensors$"):
        load("timm:resnet18.a1_in1k", allow_unpinned=True)


def test_timm_at_its_test_size(caches: Path) -> None:
    cached(caches, "resnet10t.c3_in1k")
    config = timm.get_pretrained_cfg("resnet10t.c3_in1k")
    model = load(f"timm:resnet10t.c3_in1k@{COMMIT}", test_size=True)
    side = config.test_input_size[1]
    assert model.facts.operations.input == f"3x{side}x{side}"
    assert model.facts.notes == ()  # the weights declare this one too


HUBCONF = """
dependencies = ["torch"]
def net(classes=3, evil=False):
    import torch
    if evil:
        torch.load(__file__.replace("hubconf.py", "evil.pth"), weights_only=False)
    torch.manual_seed(0)
    nn = torch.nn
    return nn.Sequential(nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(48, classes))
def words():
    return "no network"
"""


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return (print, ("evil",))


def test_torchhub_from_its_cache(caches: Path) -> None:
    text, options = (
        f"torchhub:owner/repo:net@{COMMIT}",
        {
            "trust_remote_code": True,
            "size": 32,
            "mean": [0.5] * 3,
            "std": [0.5] * 3,
            "labels": ["a", "b", "c"],
        },
    )
    (download,) = describe(text, **options).downloads
    assert download.what.startswith(f"repository owner/repo:{COMMIT}")
    folder = caches / "torch" / "hub" / f"owner_repo_{COMMIT}"
    folder.mkdir(parents=True)
    (folder / "hubconf.py").write_text(HUBCONF)
    torch.save(Evil(), folder / "evil.pth")
    assert describe(text, **options).downloads == ()
    model = load(text, **options)
    assert model.facts.trust == ("remote_code",)
    assert model.predict(pictures())["scores"].shape == (2, 3)
    assert load(text, Capability.EMBED, **options).embed(pictures()).shape == (2, 48)
    with pytest.raises(ModelError, match=r"cannot be loaded: UnpicklingError"):
        load(text, **options, arguments={"evil": True})
    with pytest.raises(ModelError, match="gave a str, no network"):
        load(text.replace(":net@", ":words@"), **options)
    with pytest.raises(ModelError, match="cannot be loaded"):
        load(text.replace(":net@", ":nothing@"), **options)


def test_torchhub_allows_pickles_where_the_suite_does(
    caches: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = caches / "torch" / "hub" / f"owner_repo_{COMMIT}"
    folder.mkdir(parents=True)
    (folder / "hubconf.py").write_text(HUBCONF)
    torch.save(Evil(), folder / "evil.pth")
    model = load(
        f"torchhub:owner/repo:net@{COMMIT}",
        trust_remote_code=True,
        allow_pickle=True,
        size=32,
        mean=[0.5] * 3,
        std=[0.5] * 3,
        labels=["a", "b", "c"],
        arguments={"evil": True},
    )
    assert model.facts.trust == ("remote_code", "pickle")
