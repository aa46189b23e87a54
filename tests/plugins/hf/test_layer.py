"""The option `layer`: the hidden states that transformers gives, from no more blocks than they need."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import transformers  # noqa: E402
from tests.plugins.hf.conftest import SIZES, byte_tokenizer, save, word_tokenizer  # noqa: E402

from ptbench import ModelError, Settings  # noqa: E402
from ptbench_hf.quiet import quiet  # noqa: E402

Load = Callable[..., Any]

LAYERS = 3
TEXTS = ["good film", "a very bad plot !", "the dull film was not fun . a great film , not dull", "?"]
POSITIONS = {"max_position_embeddings": 64, "vocab_size": 257, "bos_token_id": 256, "eos_token_id": 256}


def words(config: type, **sizes: Any) -> Any:
    return config(vocab_size=len(word_tokenizer()), **sizes)


def llama() -> Any:
    sizes = {**SIZES, **POSITIONS, "num_hidden_layers": LAYERS, "num_key_value_heads": 1}
    return transformers.LlamaModel(transformers.LlamaConfig(**sizes))


DEEP = {**SIZES, "num_hidden_layers": LAYERS}
XLNET = {"d_model": 16, "n_layer": LAYERS, "n_head": 2, "d_inner": 32}
T5 = {"d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": LAYERS, "num_heads": 2}
BART = {
    "d_model": 16, "encoder_layers": LAYERS, "decoder_layers": 1, "encoder_attention_heads": 2,
    "decoder_attention_heads": 2, "encoder_ffn_dim": 32, "decoder_ffn_dim": 32,
    "max_position_embeddings": 64, "pad_token_id": 0,
}  # fmt: skip
DISTIL = {"dim": 16, "n_layers": LAYERS, "n_heads": 2, "hidden_dim": 32, "max_position_embeddings": 64}
MODELS: dict[str, Callable[[], tuple[Any, Any]]] = {
    "bert": lambda: (transformers.BertModel(words(transformers.BertConfig, **DEEP)), word_tokenizer()),
    "masked": lambda: (
        transformers.BertForMaskedLM(words(transformers.BertConfig, **DEEP)),
        word_tokenizer(),
    ),
    "roberta": lambda: (
        transformers.RobertaForMaskedLM(words(transformers.RobertaConfig, pad_token_id=0, **DEEP)),
        word_tokenizer(),
    ),
    "distilbert": lambda: (
        transformers.DistilBertForMaskedLM(words(transformers.DistilBertConfig, **DISTIL)),
        word_tokenizer(),
    ),
    "albert": lambda: (
        transformers.AlbertModel(words(transformers.AlbertConfig, embedding_size=8, **DEEP)),
        word_tokenizer(),
    ),
    "xlnet": lambda: (transformers.XLNetModel(words(transformers.XLNetConfig, **XLNET)), word_tokenizer()),
    "gpt2": lambda: (
        transformers.GPT2LMHeadModel(
            transformers.GPT2Config(
                vocab_size=257, n_embd=16, n_layer=LAYERS, n_head=2, n_positions=64,
                bos_token_id=256, eos_token_id=256,
            )
        ),
        byte_tokenizer(),
    ),
    "llama": lambda: (llama(), byte_tokenizer()),
    "t5": lambda: (transformers.T5Model(words(transformers.T5Config, **T5)), word_tokenizer()),
    "bart": lambda: (transformers.BartModel(words(transformers.BartConfig, **BART)), word_tokenizer()),
}  # fmt: skip
WHOLE = {"albert"}
"""Those with fewer blocks than layers: one block runs many times."""


@pytest.fixture(scope="module")
def deep(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Give the folder of a checkpoint of three layers."""
    root = tmp_path_factory.mktemp("deep")

    def make(name: str) -> Path:
        if not (root / name).exists():
            torch.manual_seed(0)
            model, tokenizer = MODELS[name]()
            with torch.no_grad():  # fresh norms do nothing, and would hide which of them ran
                for key, parameter in model.named_parameters():
                    if "norm" in key.lower() or "ln_" in key:
                        parameter.add_(torch.rand_like(parameter))
            save(root / name, model, tokenizer)
        return root / name

    return make


def hidden_states(folder: Path, text: str) -> Any:
    """Every layer of one text, from the model as transformers loads it: [layers, tokens, d]."""
    with quiet():
        model = transformers.AutoModel.from_pretrained(folder).eval()
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        if model.config.is_encoder_decoder:
            model = model.get_encoder()
        taken = inspect.signature(model.forward).parameters
        encoded = {k: v for k, v in tokenizer(text, return_tensors="pt").items() if k in taken}
        with torch.inference_mode():
            return torch.cat(model(**encoded, output_hidden_states=True).hidden_states).numpy()


@pytest.mark.parametrize("name", MODELS)
def test_each_layer_is_that_of_transformers(
    name: str, deep: Callable[[str], Path], load: Load, describe: Load, texts: Any
) -> None:
    folder = deep(name)
    states = [hidden_states(folder, text) for text in TEXTS]
    whole = load(folder, "embed").facts
    sizes = []
    for layer in range(LAYERS + 1):
        model = load(folder, "embed", layer=layer)
        expected = np.array([state[layer].mean(axis=0) for state in states])
        assert np.abs(model.embed(texts(TEXTS)) - expected).max() < 2e-5
        assert model.facts.extra["layer"] == layer
        if name not in ("t5", "bart"):  # of those with a decoder nobody knows it beforehand
            assert describe(folder, layer=layer).parameters == model.facts.parameters
        sizes.append(model.facts.parameters)
    assert sizes[-1] == whole.parameters
    assert sizes == sorted(sizes)
    if name in WHOLE:
        assert len(set(sizes)) == 1
    else:
        assert 0 < sizes[2] - sizes[1] <= sizes[1] - sizes[0]  # a block; T5 has its positions in the first


def test_the_norm_after_the_last_block_is_no_part_of_the_layers_below(
    deep: Callable[[str], Path], load: Load
) -> None:
    facts = [load(deep("gpt2"), "embed", layer=layer).facts for layer in (2, 3)]
    block = 12 * 16**2 + 13 * 16
    assert facts[1].parameters - facts[0].parameters == block + 2 * 16
    assert facts[0].weight_bytes < facts[1].weight_bytes
    assert facts[1].operations.macs > facts[0].operations.macs > 0


def test_layers_from_the_top_and_their_poolings(deep: Callable[[str], Path], load: Load, texts: Any) -> None:
    folder = deep("masked")
    states = [hidden_states(folder, text) for text in TEXTS]
    for layer, found in {-1: 3, -2: 2, -4: 0}.items():
        model = load(folder, "embed", layer=layer, pooling="cls", normalize=True)
        expected = np.array([state[found][0] / np.linalg.norm(state[found][0]) for state in states])
        assert np.abs(model.embed(texts(TEXTS)) - expected).max() < 1e-5
        assert model.facts.extra["layer"] == found


def test_the_layer_is_in_the_digest_of_the_preprocessing(deep: Callable[[str], Path], load: Load) -> None:
    digests = [load(deep("bert"), "embed", **({} if n is None else {"layer": n})).facts.preprocessing
               for n in (None, 0, 1, 2, 3)]  # fmt: skip
    assert len(set(digests)) == 5
    assert load(deep("bert"), "embed", layer=-2).facts.preprocessing == digests[3]


def test_neither_batches_nor_precision_undo_it(deep: Callable[[str], Path], load: Load, texts: Any) -> None:
    examples = texts(TEXTS * 5)
    expected = load(deep("gpt2"), "embed", layer=1).embed(examples)
    few = load(deep("gpt2"), "embed", layer=1, settings=Settings(device="cpu", batch_tokens=20))
    half = load(deep("gpt2"), "embed", layer=1, settings=Settings(device="cpu", precision="bf16"))
    assert np.abs(few.embed(examples) - expected).max() < 1e-5
    assert np.abs(half.embed(examples) - expected).max() < 0.05 * np.abs(expected).max()


@pytest.mark.parametrize("layer", [4, -5])
def test_a_layer_that_is_not_there(
    layer: int, deep: Callable[[str], Path], load: Load, describe: Load, edit: Any, tmp_path: Path
) -> None:
    message = rf"layer = {layer}: it has 3 blocks: 0 \(token embeddings\) to 3 \(after the last\), or -1"
    for call in (describe, load):
        with pytest.raises(ModelError, match=message):
            call(deep("bert"), "embed", layer=layer)
    # where the configuration leaves the number to transformers, it is known when the model is loaded
    torch.manual_seed(0)
    config = words(transformers.BertConfig, hidden_size=16, num_attention_heads=2, intermediate_size=32)
    save(tmp_path / "twelve", transformers.BertModel(config), word_tokenizer())
    edit(tmp_path / "twelve" / "config.json", num_hidden_layers=...)
    assert load(tmp_path / "twelve", "embed", layer=12).facts.extra["layer"] == 12
    with pytest.raises(ModelError, match=r"layer = 13: it has 12 blocks"):
        load(tmp_path / "twelve", "embed", layer=13)
