"""Loading: nothing made up, nothing printed, and what was trusted is said."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

import transformers  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402

from ptbench import Embedder, Examples, ModelError, Predictor, Settings  # noqa: E402

Folders = Callable[[str], Path]
Load = Callable[..., Any]


def change_weights(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def drop(*names: str) -> Callable[[dict[str, Any]], None]:
    return lambda tensors: [tensors.pop(name) for name in names] and None


def add(**new: Any) -> Callable[[dict[str, Any]], None]:
    return lambda tensors: tensors.update({name.replace("__", "."): value for name, value in new.items()})


ONE = torch.zeros(16, 16)

BAD_WEIGHTS: dict[str, tuple[str, str, Callable[[dict[str, Any]], None], str]] = {
    "head missing": (
        "named",
        "predict",
        drop("classifier.weight", "classifier.bias"),
        "misses classifier.bias, classifier.weight: these weights would be random",
    ),
    "pooler missing, which the head reads": (
        "named",
        "predict",
        drop("bert.pooler.dense.weight"),
        "misses bert.pooler.dense.weight: these weights would be random",
    ),
    "layer missing": (
        "bert",
        "embed",
        drop("encoder.layer.1.output.dense.weight"),
        "misses encoder.layer.1.output.dense.weight: these weights would be random",
    ),
    "layer too many": (
        "bert",
        "embed",
        add(encoder__layer__2__output__dense__weight=ONE),
        "has weights that config.json has no place for: encoder.layer.2.output.dense.weight",
    ),
    "layer too many beneath a prefix": (
        "named",
        "embed",
        add(bert__encoder__layer__2__output__dense__weight=ONE),
        "no place for: .*encoder.layer.2.output.dense.weight",
    ),
    "another shape": (
        "bert",
        "embed",
        add(encoder__layer__1__output__dense__weight=ONE),
        "encoder.layer.1.output.dense.weight",
    ),
}


@pytest.mark.parametrize("what", BAD_WEIGHTS)
def test_weights_that_do_not_fit_are_an_error(what: str, copied: Folders, load: Load) -> None:
    name, capability, change, message = BAD_WEIGHTS[what]
    folder = copied(name)
    change_weights(folder, change)
    with pytest.raises(ModelError, match=message) as caught:
        load(folder, capability)
    assert "\n" not in str(caught.value)
    assert str(folder) in str(caught.value)


def test_heads_that_are_not_used_may_be_there(made: Folders, load: Load) -> None:
    assert load(made("masked"), "embed").facts.extra["unused_weights"] == "cls"
    assert load(made("bert"), "embed").facts.extra["unused_weights"] == "pooler"


def test_a_pickle_with_leave(copied: Folders, load: Load, describe: Load, texts: Any) -> None:
    folder = copied("named")
    before = load(folder, "predict").predict(texts(["good film"]))["scores"]
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    assert load(folder, "predict", allow_pickle=True).facts.trust == ()  # allowed, and not used
    (folder / "model.safetensors").unlink()
    model = load(folder, "predict", allow_pickle=True)
    assert model.facts.trust == ("pickle",)
    assert model.predict(texts(["good film"]))["scores"] == pytest.approx(before, abs=1e-6)
    description = describe(folder, allow_pickle=True)
    assert description.trust == ("pickle",)
    assert description.parameters is None


def test_shards(copied: Folders, load: Load, describe: Load, texts: Any) -> None:
    folder = copied("named")
    before = load(folder, "predict")
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    placed = {}
    for i, part in enumerate((list(tensors)[::2], list(tensors)[1::2]), start=1):
        file = f"model-0000{i}-of-00002.safetensors"
        save_file({name: tensors[name] for name in part}, folder / file, metadata={"format": "pt"})
        placed.update(dict.fromkeys(part, file))
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": placed}))
    model = load(folder, "predict")
    assert model.facts.parameters == before.facts.parameters == describe(folder).parameters
    examples = texts(["good film", "bad"])
    assert model.predict(examples)["scores"] == pytest.approx(before.predict(examples)["scores"], abs=1e-6)
    with pytest.raises(ModelError, match="the list of its 2 weights files has sha256"):
        load(folder, "predict", sha256="0" * 64)


def test_sha256(made: Folders, load: Load) -> None:
    folder = made("named")
    digest = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    assert load(folder, "predict", sha256=digest.upper()).facts.weights == digest
    wrong = "0" * 64
    with pytest.raises(ModelError, match=f"model.safetensors has sha256 {digest}, not {wrong}"):
        load(folder, "predict", sha256=wrong)


def test_weights_are_checked_before_they_are_used(
    made: Folders, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    def used(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("loaded")

    monkeypatch.setattr(transformers.AutoModelForSequenceClassification, "from_pretrained", used)
    with pytest.raises(ModelError, match="sha256"):
        load(made("named"), "predict", sha256="0" * 64)


@pytest.mark.parametrize("name", ["bert", "masked", "named"])
def test_loading_prints_nothing_and_leaves_the_settings_alone(
    name: str, made: Folders, load: Load, capfd: pytest.CaptureFixture[str], texts: Any
) -> None:
    log = transformers.utils.logging
    before = log.get_verbosity(), log.is_progress_bar_enabled()
    load(made(name), "embed").embed(texts(["good"]))
    assert (log.get_verbosity(), log.is_progress_bar_enabled()) == before
    assert capfd.readouterr() == ("", "")


def test_capabilities(made: Folders, load: Load) -> None:
    predictor, embedder = load(made("named"), "predict"), load(made("named"), "embed")
    assert isinstance(predictor, Predictor)
    assert not isinstance(predictor, Embedder)
    assert isinstance(embedder, Embedder)
    assert not isinstance(embedder, Predictor)
    with pytest.raises(ModelError, match="cannot peek; it can embed, fit, inspect, predict, profile"):
        load(made("named"), "peek")
    with pytest.raises(
        ModelError, match="has a head for text-classification, and cannot predict for sentence-sim"
    ):
        load(made("named"), "predict", kind="sentence-similarity")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"model_type": ...}, "config.json has no model_type"),
        ({"model_type": "berd"}, "knows no model_type 'berd': did you mean 'bert'?"),
        (
            {"model_type": "mine", "auto_map": {"AutoConfig": "own.Config", "AutoModel": "own.Model"}},
            "needs Python code that comes with it: .*trust_remote_code = true",
        ),
        ({"vocab_size": 10}, "embeddings.word_embeddings.weight"),
    ],
)
def test_configurations_that_cannot_be_loaded(
    values: Any, message: str, copied: Folders, edit: Any, load: Load
) -> None:
    folder = copied("bert")
    edit(folder / "config.json", **values)
    with pytest.raises(ModelError, match=message) as caught:
        load(folder, "embed")
    assert "\n" not in str(caught.value)


OWN_CODE = """
from transformers import BertConfig, BertModel

class OwnConfig(BertConfig):
    model_type = "own"

class OwnModel(BertModel):
    config_class = OwnConfig
"""


def test_remote_code_with_leave(copied: Folders, edit: Any, load: Load, texts: Any, monkeypatch: Any) -> None:
    folder = copied("bert")
    (folder / "own.py").write_text(OWN_CODE)
    code = {"AutoConfig": "own.OwnConfig", "AutoModel": "own.OwnModel"}
    edit(folder / "config.json", model_type="own", architectures=["OwnModel"], auto_map=code)
    model = load(folder, "embed", trust_remote_code=True)
    assert model.facts.trust == ("remote_code",)
    assert model.facts.extra["architecture"] == "OwnModel"
    assert model.embed(texts(["good"])).shape == (1, 16)


def test_tokenizer_of_another_model(copied: Folders, load: Load, texts: Any) -> None:
    folder = copied("bert")

    def shrink(tensors: dict[str, Any]) -> None:
        name = "embeddings.word_embeddings.weight"
        tensors[name] = tensors[name][:20].clone()

    change_weights(folder, shrink)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "vocab_size": 20}))
    with pytest.raises(ModelError, match="the model knows 20 tokens: tokenizer and weights do not belong"):
        load(folder, "embed").embed(texts(["zzz"]))


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_precisions(precision: str, made: Folders, load: Load, texts: Any) -> None:
    examples = texts(["good film", "a very bad plot !"])
    model = load(made("named"), "embed", settings=Settings(device="cpu", precision=precision))
    exact = load(made("named"), "embed").embed(examples)
    vectors = model.embed(examples)
    assert vectors.dtype.name == "float32"
    assert vectors == pytest.approx(exact, abs=0.05)
    assert model.facts.precision == precision


def test_numbers_that_are_not_finite_are_an_error(copied: Folders, load: Load, texts: Any) -> None:
    folder = copied("named")
    change_weights(folder, add(classifier__bias=torch.full((3,), torch.nan)))
    with pytest.raises(ModelError, match="2 of 2 outputs are not finite numbers: try precision fp32"):
        load(folder, "predict").predict(texts(["good", "bad"]))


def test_facts_of_a_predictor(made: Folders, load: Load) -> None:
    facts = load(made("unnamed"), "predict", labels=["bad", "good"], max_length=9).facts
    assert facts.labels == ("bad", "good")
    assert facts.device == "cpu"
    assert facts.extra == {
        "architecture": "BertForSequenceClassification",
        "max_length": 9,
        "labels": "option",
        "attention": "sdpa",
        "batch": {"unit": "tokens", "asked": 1024, "used": 1024},
    }
    assert facts.counts == {"truncated": 0}


def test_the_preprocessing_digest_changes_with_what_changes_the_output(made: Folders, load: Load) -> None:
    changes: list[dict[str, Any]] = [
        {},
        {"pooling": "cls"},
        {"normalize": True},
        {"max_length": 8},
        {"prompt": "good"},
    ]
    digests = [load(made("bert"), "embed", **change).facts.preprocessing for change in changes]
    assert len(set(digests)) == len(changes)
    assert digests[0] == load(made("bert"), "embed", pooling="mean", normalize=False).facts.preprocessing


def test_examples_without_text(made: Folders, load: Load) -> None:
    model = load(made("bert"), "embed")
    with pytest.raises(ModelError, match="reads the columns text and text_pair; the examples have: image"):
        model.embed(Examples(["a"], {"image": [None]}))
    with pytest.raises(ModelError, match="example 'a': column text holds None, which is no text"):
        model.embed(Examples(["a"], {"text": [None]}))
    with pytest.raises(ModelError, match="leaves no place for text beside 3 special tokens"):
        load(made("bert"), "embed", max_length=3)
