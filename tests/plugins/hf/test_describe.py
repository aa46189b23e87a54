"""What is said of a model before it is loaded; and every bad checkpoint, told in one line."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ptbench import Capability, ModelError
from ptbench_hf.models import PROVIDER

Folders = Callable[[str], Path]
Change = Callable[[Path, Callable[..., None]], None]

EMBED = frozenset({Capability.EMBED, Capability.PROFILE, Capability.FIT, Capability.INSPECT})
BOTH = EMBED | {Capability.PREDICT}


@pytest.mark.parametrize(
    ("name", "capabilities", "labels", "kinds"),
    [
        ("bert", EMBED, None, set()),
        ("masked", EMBED, None, set()),
        ("multi_label", EMBED, None, set()),
        ("named", BOTH, ("negative", "neutral", "positive"), {"text-classification"}),
        ("unnamed", BOTH, None, {"text-classification"}),
        ("regression", BOTH, (), {"sentence-similarity"}),
        ("distilbert", BOTH, ("no", "yes"), {"text-classification"}),
    ],
)
def test_what_a_configuration_says(
    name: str, capabilities: Any, labels: Any, kinds: set[str], made: Folders, describe: Callable[..., Any]
) -> None:
    description = describe(made(name))
    assert description.capabilities == capabilities
    assert description.labels == labels
    assert description.kinds == kinds
    assert description.inputs == {"text", "text_pair"}
    assert description.downloads == ()
    assert description.trust == ()


def test_labels_of_the_suite(made: Folders, describe: Callable[..., Any]) -> None:
    assert describe(made("unnamed"), labels=["bad", "good"]).labels == ("bad", "good")


@pytest.mark.parametrize(
    "name", ["bert", "masked", "named", "roberta", "distilbert", "gpt2", "gpt2_classifier"]
)
@pytest.mark.parametrize("capability", ["embed", "predict"])
def test_parameters_are_those_of_the_loaded_model(
    name: str, capability: str, made: Folders, describe: Callable[..., Any], load: Callable[..., Any]
) -> None:
    if capability == "predict" and Capability.PREDICT not in describe(made(name)).capabilities:
        pytest.skip("has no head")
    assert describe(made(name), capability).parameters == load(made(name), capability).facts.parameters


def test_describe_imports_no_torch(made: Folders) -> None:
    code = """
import sys
from ptbench import ModelRequest, Reference
from ptbench_hf.models import PROVIDER
for name in sys.argv[1:]:
    PROVIDER.describe(ModelRequest(Reference("hf", name, None)))
PROVIDER.describe(ModelRequest(Reference("hf", "org/name", "86b5e093")))
print(sorted({"torch", "transformers"} & set(sys.modules)))
"""
    arguments = [sys.executable, "-c", code, str(made("named")), str(made("bert"))]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_hub_model_that_is_not_cached(
    describe: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    description = describe("org/name@86b5e093")
    assert description.capabilities == BOTH
    assert description.labels is None
    assert [download.what for download in description.downloads] == ["hub model org/name@86b5e093"]
    assert description.trust == ()
    assert describe("org/name", allow_unpinned=True).trust == ("unpinned",)


def rewrite(name: str, **values: Any) -> Change:
    return lambda folder, edit: edit(folder / name, **values)


def remove(*names: str) -> Change:
    def change(folder: Path, edit: Any) -> None:
        for name in names:
            (folder / name).unlink()

    return change


def cut(folder: Path, edit: Any) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def scramble(folder: Path, edit: Any) -> None:
    (folder / "model.safetensors").write_bytes(b"these are no weights at all")


def pickle_only(folder: Path, edit: Any) -> None:
    import torch
    from safetensors.torch import load_file

    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def shard(folder: Path, edit: Any) -> None:
    """Cut the weights in two files, and leave one of them out."""
    from safetensors.torch import load_file, save_file

    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    first = {name: tensor for name, tensor in tensors.items() if "embeddings" in name}
    save_file(first, folder / "model-00001-of-00002.safetensors", metadata={"format": "pt"})
    placed = {name: f"model-0000{1 if name in first else 2}-of-00002.safetensors" for name in tensors}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": placed}))


def write(name: str, text: str) -> Change:
    def change(folder: Path, edit: Any) -> None:
        (folder / name).write_text(text)

    return change


def shards_nowhere(folder: Path, edit: Any) -> None:
    (folder / "model.safetensors").rename(folder / "model-00001-of-00001.safetensors")
    (folder / "model.safetensors.index.json").write_text("{}")


BROKEN: dict[str, tuple[str, Change, str | None, str]] = {
    # what is wrong: a checkpoint, what is done to it, what it is wanted for, what must be said
    "no configuration": ("named", remove("config.json"), None, r"/config\.json is missing$"),
    "broken JSON": ("named", write("config.json", '{"a": 1,\n'), None, r"/config\.json is broken: line 2: "),
    "no object": (
        "named",
        write("config.json", "[1]"),
        None,
        "config.json is broken: it holds a list, not an object",
    ),
    "no weights": ("named", remove("model.safetensors"), None, "has no weights: expected model.safetensors"),
    "no tokenizer": (
        "named",
        remove("tokenizer.json", "tokenizer_config.json"),
        None,
        "has no tokenizer: expected tokenizer.json",
    ),
    "weights cut off": ("named", cut, None, r"no sound safetensors file: its header promises [\d,]+ bytes"),
    "no weights at all": (
        "named",
        scramble,
        None,
        "model.safetensors is no sound safetensors file: .*fetch it again",
    ),
    "a pickle": ("named", pickle_only, None, "pytorch_model.bin is a pickle, .*or write allow_pickle = true"),
    "a shard is missing": ("named", shard, None, "misses 1 of 2 shards: model-00002-of-00002.safetensors"),
    "shards nowhere": (
        "named",
        shards_nowhere,
        None,
        "model.safetensors.index.json is broken: it has no weight_map",
    ),
    "no head": ("bert", lambda *_: None, "predict", "cannot predict: its architecture is BertModel, "),
    "many labels at once": (
        "multi_label",
        lambda *_: None,
        "predict",
        "problem_type multi_label_classification",
    ),
    "labels without names": (
        "unnamed",
        lambda *_: None,
        "predict",
        r'they have no names .*: write labels = \["class 0", "class 1"\] in the order of its head',
    ),
    "labels that skip": (
        "named",
        rewrite("config.json", id2label={"0": "a", "2": "b"}),
        "predict",
        "head of 2 classes, but in config.json id2label does not name classes 0 to 1: write labels",
    ),
    "labels that disagree": (
        "named",
        rewrite("config.json", label2id={"negative": 2, "neutral": 1, "positive": 0}),
        "predict",
        "id2label and label2id disagree about 'negative': write labels = ",
    ),
    "labels twice": (
        "named",
        rewrite("config.json", id2label={"0": "a", "1": "a", "2": "b"}, label2id={}),
        "predict",
        "two classes have the same name",
    ),
    "foreign module": (
        "bert",
        write("modules.json", '[{"type": "mine.Own", "path": ""}]'),
        None,
        "modules.json: module 'mine.Own' is code of its own and is not supported",
    ),
    "unknown module": (
        "bert",
        write("modules.json", '[{"type": "sentence_transformers.models.LSTM", "path": ""}]'),
        None,
        "modules.json: module 'LSTM' at this place is not supported: expected one Transformer",
    ),
    "broken modules": (
        "bert",
        write("modules.json", '["a"]'),
        None,
        "modules.json is broken: expected a list",
    ),
}


@pytest.mark.parametrize("what", BROKEN)
@pytest.mark.parametrize("act", ["describe", "load"])
def test_a_broken_checkpoint_is_one_clear_line(
    what: str, act: str, copied: Folders, edit: Callable[..., None], request: pytest.FixtureRequest
) -> None:
    name, change, capability, message = BROKEN[what]
    folder = copied(name)
    change(folder, edit)
    if act == "load" and "tokenizer" in what:
        capability = "embed"
    with pytest.raises(ModelError, match=message) as caught:
        request.getfixturevalue(act)(folder, capability)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"poolin": "mean"}, "has no option 'poolin': did you mean 'pooling'?"),
        ({"pooling": "means"}, "pooling = 'means' is unknown: did you mean 'mean'?"),
        ({"max_length": 0}, "max_length = 0: it is a number of tokens, 1 or more"),
        ({"sha256": "abc"}, "sha256 = 'abc' is no sha256: that is 64 hexadecimal digits"),
        ({"labels": "a,b,c"}, "labels = 'a,b,c': it is a list of names"),
        ({"labels": ["a", "b", "a"]}, "two classes have the same name"),
        ({"labels": ["a", "b"]}, "2 labels are given, but its head has 3 classes"),
    ],
)
def test_bad_options(options: Any, message: str, made: Folders, describe: Callable[..., Any]) -> None:
    with pytest.raises(ModelError) as caught:
        describe(made("named"), **options)
    assert message in str(caught.value)


def test_labels_for_a_number_are_refused(made: Folders, describe: Callable[..., Any]) -> None:
    with pytest.raises(ModelError, match="its head predicts a number: leave labels out"):
        describe(made("regression"), labels=["a"])


def test_the_offer() -> None:
    assert PROVIDER.name == "hf"
    assert {option.name for option in PROVIDER.options} >= {"pooling", "labels", "sha256", "allow_pickle"}
