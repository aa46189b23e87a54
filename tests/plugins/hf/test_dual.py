"""Dual encoders: the numbers of transformers' own processors and models, for images and texts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("PIL")
pytest.importorskip("torchvision")

import transformers  # noqa: E402
from tests.conftest import Ptbench, Written  # noqa: E402
from tests.plugins.hf.conftest import save, word_tokenizer  # noqa: E402

from ptbench import Capability, DataError, Examples, ModelError, Settings, testing  # noqa: E402
from ptbench_hf.dual import image_versions  # noqa: E402
from ptbench_hf.models import PROVIDER  # noqa: E402
from ptbench_hf.quiet import quiet  # noqa: E402

Load = Callable[..., Any]
Folders = Callable[[str], Path]

TEXTS = ["good film", "", "a very bad plot !", "the dull film was not fun", "?"]
LAYERS = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
VISION = {**LAYERS, "image_size": 32, "patch_size": 8}
EFFICIENT = {
    "image_size": 32, "width_coefficient": 0.1, "depth_coefficient": 0.1, "hidden_dim": 16,
    "in_channels": [8, 8], "out_channels": [8, 8], "kernel_sizes": [3, 3], "strides": [1, 2],
    "num_block_repeats": [1, 1], "expand_ratios": [1, 1], "depthwise_padding": [],
}  # fmt: skip
LENGTH = 16
TYPES = ("clip", "siglip", "chinese_clip", "align")


def text_config() -> dict[str, Any]:
    special = {"pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3}
    return {"vocab_size": len(word_tokenizer()), "max_position_embeddings": LENGTH, **LAYERS, **special}


def build(name: str) -> tuple[Any, Any]:
    """Return a tiny model with random weights, and an image processor for it."""
    square = {"height": 32, "width": 32}
    crop = {"size": {"shortest_edge": 32}, "crop_size": square}
    t = transformers
    match name:
        case "clip":
            config = t.CLIPConfig(text_config=text_config(), vision_config=VISION, projection_dim=8)
            return t.CLIPModel(config), t.CLIPImageProcessor(**crop)
        case "siglip":
            config = t.SiglipConfig(text_config=text_config(), vision_config=VISION)
            return t.SiglipModel(config), t.SiglipImageProcessor(size=square)
        case "chinese_clip":
            config = t.ChineseCLIPConfig(text_config=text_config(), vision_config=VISION, projection_dim=8)
            return t.ChineseCLIPModel(config), t.ChineseCLIPImageProcessor(size=square, crop_size=square)
    config = t.AlignConfig(text_config=text_config(), vision_config=EFFICIENT, projection_dim=8)
    return t.AlignModel(config), t.EfficientNetImageProcessor(size=square)


@pytest.fixture(scope="module")
def dual(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    """Give the folder of a tiny dual encoder; tests must not change it."""
    root = tmp_path_factory.mktemp("dual")

    def make(name: str) -> Path:
        if not (root / name).exists():
            torch.manual_seed(0)
            with quiet():
                model, processor = build(name)
                save(root / name, model.eval(), word_tokenizer())
                processor.save_pretrained(root / name)
        return root / name

    return make


def expected(folder: Path) -> tuple[Any, Any]:
    """Return features of `pictures()` and `TEXTS`, one at a time, as transformers' own pages say."""
    with quiet(), torch.inference_mode():
        model = transformers.AutoModel.from_pretrained(folder).eval()
        processor = transformers.AutoImageProcessor.from_pretrained(folder)
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        padding = {"padding": "max_length"} if model.config.model_type == "siglip" else {}
        read = [processor(images=image, return_tensors="pt") for image in pictures()]
        images, texts = [model.get_image_features(**pixels) for pixels in read], []
        for text in TEXTS:
            encoded = tokenizer(text, truncation=True, max_length=LENGTH, return_tensors="pt", **padding)
            if padding:  # SigLIP's own tokenizer gives none: all is read
                encoded.pop("attention_mask")
            encoded.pop("token_type_ids", None)  # nor has CLIP's any, and those of BERT are 0
            texts.append(model.get_text_features(**encoded))
    return tuple(
        torch.cat([one if isinstance(one, torch.Tensor) else one.pooler_output for one in some]).numpy()
        for some in (images, texts)
    )  # type: ignore[return-value]


def pictures() -> list[Any]:
    """Pictures of several sizes, none of them that of the tower."""
    random = np.random.default_rng(0)
    sizes = [(32, 32), (64, 64), (40, 90), (90, 33), (200, 120), (20, 20), (33, 31)]
    return [random.integers(0, 256, (*size, 3), dtype=np.uint8) for size in sizes]


def images(cells: list[Any] | None = None) -> Examples:
    cells = pictures() if cells is None else cells
    return Examples([f"image-{i}" for i in range(len(cells))], {"image": cells})


@pytest.mark.parametrize("name", TYPES)
@pytest.mark.parametrize("batch", [1, 3, 100])
def test_features_are_those_of_transformers(
    name: str, batch: int, dual: Folders, load: Load, texts: Any
) -> None:
    settings = Settings(device="cpu", batch_size=batch, batch_tokens=batch * LENGTH)
    model = load(dual(name), "embed", settings=settings)
    of_images, of_texts = expected(dual(name))
    found = model.embed(images()), model.embed(texts(TEXTS))
    assert found[0].dtype == found[1].dtype == np.float32
    assert np.abs(found[0] - of_images).max() < 2e-5
    assert np.abs(found[1] - of_texts).max() < 2e-5
    assert np.ptp(of_texts, axis=0).max() > 1e-3  # they are no constants


def test_similarities_are_those_that_clip_gives(dual: Folders, load: Load, texts: Any) -> None:
    with quiet(), torch.inference_mode():
        tokenizer = transformers.AutoTokenizer.from_pretrained(dual("clip"))
        processor = transformers.AutoImageProcessor.from_pretrained(dual("clip"))
        inputs = {
            **processor(images=pictures(), return_tensors="pt"),
            **tokenizer(TEXTS, return_tensors="pt", padding=True, return_token_type_ids=False),
        }
        logits = transformers.CLIPModel.from_pretrained(dual("clip")).eval()(**inputs).logits_per_image
    model = load(dual("clip"), "embed", normalize=True)
    ours = model.facts.extra["logit_scale"] * model.embed(images()) @ model.embed(texts(TEXTS)).T
    assert np.abs(ours - logits.numpy()).max() < 1e-4
    assert ours.argmax(axis=1).tolist() == logits.argmax(dim=1).tolist()


@pytest.mark.parametrize("name", TYPES)
def test_what_is_known_before_it_is_loaded(name: str, dual: Folders, load: Load, describe: Load) -> None:
    description = describe(dual(name))
    assert description.capabilities == {Capability.EMBED}
    assert description.inputs == {"image", "text"}
    assert description.kinds is None
    facts = load(dual(name), "embed").facts
    assert description.parameters == facts.parameters == sum(p.numel() for p in build(name)[0].parameters())
    assert facts.extra["max_length"] == LENGTH
    assert facts.extra["preprocessing"].endswith("ImageProcessor")
    assert facts.operations.input == "3x32x32"
    for capability in ("predict", "profile", "fit", "inspect"):
        with pytest.raises(ModelError, match="cannot"):
            load(dual(name), capability)


def test_a_vision_transformer_costs_the_closed_form(dual: Folders, load: Load) -> None:
    d, tokens, patches, hidden = 16, 17, 16, 32
    block = tokens * (4 * d * d + 2 * d * hidden) + 2 * tokens**2 * d
    expected = patches * 3 * 8 * 8 * d + 2 * block + d * 8
    assert load(dual("clip"), "embed").facts.operations.macs == expected


def test_cells_of_every_form(dual: Folders, load: Load, tmp_path: Path) -> None:
    model = load(dual("clip"), "embed")
    array = pictures()[4]
    path = tmp_path / "a.png"
    path.write_bytes(testing.png(array))
    rows = model.embed(images([array, path.read_bytes(), path, array[..., 0]]))
    assert np.abs(rows[1:3] - rows[0]).max() < 1e-5
    assert np.abs(rows[3] - rows[0]).max() > 1e-3
    assert model.embed(images([])).shape == (0, 8)
    with pytest.raises(DataError, match=r"gone\.png does not exist"):
        model.embed(images([array, tmp_path / "gone.png"]))


def test_a_dual_encoder_reads_images_or_texts(dual: Folders, load: Load) -> None:
    model = load(dual("clip"), "embed")
    for columns in ({"image": pictures()[:1], "text": ["a"]}, {"features": [[1.0]]}):
        names = ", ".join(columns)
        with pytest.raises(ModelError, match=f"reads the column image or text; the examples have: {names}"):
            model.embed(Examples(["one"], columns))


def test_the_conformance_kit(dual: Folders) -> None:
    reference = f"hf:{dual('clip')}"
    testing.check_provider(PROVIDER, reference, testing.images(9))
    testing.check_provider(PROVIDER, reference, testing.texts(9))


def test_long_texts_are_cut_and_counted(dual: Folders, load: Load, texts: Any) -> None:
    for name in ("clip", "siglip"):
        model = load(dual(name), "embed")
        assert np.isfinite(model.embed(texts(["good " * 100, "bad"]))).all()
        assert model.facts.counts["truncated"] == 1
        short = load(dual(name), "embed", max_length=4, prompt="great ")
        assert short.facts.extra["max_length"] == 4
        assert np.abs(short.embed(texts(["film fun"])) - model.embed(texts(["great film"]))).max() < 1e-6


def test_filling_on_the_left_is_kept(
    dual: Folders, load: Load, texts: Any, edit: Any, tmp_path: Path
) -> None:
    import shutil

    folder = Path(shutil.copytree(dual("siglip"), tmp_path / "left"))
    edit(folder / "tokenizer_config.json", padding_side="left")
    assert np.abs(load(folder, "embed").embed(texts(TEXTS)) - expected(folder)[1]).max() < 2e-5
    assert np.abs(expected(folder)[1] - expected(dual("siglip"))[1]).max() > 1e-3


def test_whatever_changes_a_feature_changes_a_digest(
    dual: Folders, load: Load, edit: Any, tmp_path: Path
) -> None:
    import shutil

    def facts(change: Callable[[Path], None] = lambda folder: None, **options: Any) -> Any:
        folder = tmp_path / "changed"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(dual("clip"), folder)
        change(folder)
        return load(folder, "embed", **options).facts

    def processor(**values: Any) -> Callable[[Path], None]:
        return lambda folder: edit(folder / "preprocessor_config.json", **values)

    plain = facts()
    others = [
        facts(processor(image_mean=[0.5, 0.5, 0.5])),
        facts(processor(resample=2)),
        facts(processor(image_processor_type="SiglipImageProcessor", size={"height": 32, "width": 32})),
        facts(lambda folder: edit(folder / "tokenizer_config.json", model_max_length=9)),
        facts(normalize=True),
        facts(max_length=9),
        facts(prompt="a photo of "),
    ]
    digests = [each.preprocessing for each in others]
    assert len({plain.preprocessing, *digests[:3], *digests[4:]}) == 7
    assert digests[3] != plain.preprocessing
    assert {each.weights for each in others} == {plain.weights}
    assert facts().preprocessing == plain.preprocessing


def test_the_code_that_makes_pixels_is_part_of_the_digest(
    dual: Folders, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    import PIL
    import torchvision

    def digest() -> str:
        return str(load(dual("clip"), "embed").facts.preprocessing)

    before = digest()
    with monkeypatch.context() as patched:
        patched.setattr(PIL, "__version__", "0.0")
        assert digest() != before
    by_torchvision = "torchvision" in image_versions(
        transformers.AutoImageProcessor.from_pretrained(dual("clip"))
    )
    with monkeypatch.context() as patched:
        patched.setattr(torchvision, "__version__", "0.0")
        assert (digest() != before) == by_torchvision
    assert digest() == before


def test_only_processors_that_use_torchvision_depend_on_it() -> None:
    """Its classes are of one name in two back ends since transformers 5, and of two names before."""
    import PIL
    import torchvision

    t = transformers
    fifth = int(t.__version__.split(".")[0]) >= 5
    fast, slow = (
        (t.CLIPImageProcessor, t.CLIPImageProcessorPil) if fifth
        else (t.CLIPImageProcessorFast, t.CLIPImageProcessor)
    )  # fmt: skip
    assert image_versions(slow()) == {"PIL": PIL.__version__}
    assert image_versions(fast()) == {"PIL": PIL.__version__, "torchvision": torchvision.__version__}


@pytest.mark.parametrize("option", [{"pooling": "cls"}, {"layer": 1}, {"labels": ["a", "b"]}])
def test_options_of_text_models_are_refused(
    option: dict[str, Any], dual: Folders, load: Load, describe: Load
) -> None:
    (name,) = option
    for call in (describe, load):
        with pytest.raises(ModelError, match=f"option '{name}' is not for a dual encoder"):
            call(dual("clip"), "embed", **option)


def test_files_that_are_missing(dual: Folders, load: Load, describe: Load, tmp_path: Path) -> None:
    import shutil

    folder = Path(shutil.copytree(dual("clip"), tmp_path / "broken"))
    config = (folder / "preprocessor_config.json").read_text()
    (folder / "preprocessor_config.json").unlink()
    for call in (describe, load):
        with pytest.raises(ModelError, match=r"has no image processor: expected preprocessor_config\.json"):
            call(folder, "embed")
    (folder / "processor_config.json").write_text(json.dumps({"processor_class": "CLIPProcessor"}))
    with pytest.raises(ModelError, match="has no image processor"):
        describe(folder)
    nested = {"processor_class": "CLIPProcessor", "image_processor": json.loads(config)}
    (folder / "processor_config.json").write_text(json.dumps(nested))
    if int(transformers.__version__.split(".")[0]) >= 5:  # which is when it began to write such files
        rows = [load(each, "embed").embed(images()) for each in (folder, dual("clip"))]
        assert np.abs(rows[0] - rows[1]).max() < 1e-6
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer_config.json").unlink()
    with pytest.raises(ModelError, match="has no tokenizer"):
        describe(folder)


def test_an_image_of_three_rows_of_pixels(dual: Folders, load: Load) -> None:
    """Its height is no number of colours."""
    thin = np.random.default_rng(1).integers(0, 256, (3, 3, 3), dtype=np.uint8)
    rows = load(dual("siglip"), "embed").embed(images([thin, thin.transpose(2, 0, 1).copy()]))
    with quiet(), torch.inference_mode():
        processor = transformers.AutoImageProcessor.from_pretrained(dual("siglip"))
        model = transformers.AutoModel.from_pretrained(dual("siglip")).eval()
        read = processor(images=[thin], input_data_format="channels_last", return_tensors="pt")
        found = model.get_image_features(**read)
    expected = found if isinstance(found, torch.Tensor) else found.pooler_output
    assert np.abs(rows[0] - expected.numpy()[0]).max() < 2e-5
    assert np.abs(rows[1] - rows[0]).max() > 1e-4


COLOURS = {"red": (200, 40, 40), "green": (40, 180, 60), "blue": (40, 60, 210)}
SUITE = """
[suite]
name = "colours"
[models]
clip = "hf:FOLDER"
[tasks.colours]
adapter = "image-classification"
data = "folder:colours"
splits = { train = "train", test = "test" }
metrics = ["accuracy"]
[[grid]]
protocols = [{ use = "zero_shot", template = "a photo of {label}" }, "linear_probe", "knn"]
seeds = [0]
"""


def coloured(colour: str, seed: int) -> Any:
    random = np.random.default_rng(seed)
    size = (*random.integers(30, 60, 2), 3)
    return np.clip(COLOURS[colour] + random.normal(0, 25, size), 0, 255).astype(np.uint8)


def taught(folder: Path, dual: Folders) -> Path:
    """Save a tiny CLIP that was taught in seconds which words go with which colours."""
    with quiet():
        model = transformers.CLIPModel.from_pretrained(dual("clip")).train()
        processor = transformers.AutoImageProcessor.from_pretrained(dual("clip"))
        tokenizer = transformers.AutoTokenizer.from_pretrained(dual("clip"))
        texts = tokenizer([f"a photo of {name}" for name in COLOURS], return_tensors="pt", padding=True)
        texts.pop("token_type_ids", None)
        optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
        for step in range(60):
            cells = [coloured(name, 10_000 + step) for name in COLOURS]
            pixels = processor(images=cells, return_tensors="pt")
            loss = model(**texts, **pixels, return_loss=True).loss
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        assert loss < 0.3
        save(folder, model.eval(), tokenizer)
        processor.save_pretrained(folder)
    return folder


def test_zero_shot_names_the_colours_of_images(
    dual: Folders, ptbench: Ptbench, written: Written, tmp_path: Path
) -> None:
    pytest.importorskip("sklearn")
    torch.manual_seed(0)
    folder = taught(tmp_path / "clip", dual)
    for split, n in (("train", 6), ("test", 12)):
        for name in COLOURS:
            for i in range(n):
                path = tmp_path / "colours" / split / name / f"{i:02}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(testing.png(coloured(name, i + 100 * len(split))))
    suite = written("colours.toml", SUITE.replace("FOLDER", str(folder)))
    called = ptbench("run", suite, "--output", tmp_path / "out", "--json")
    assert called.code == 0, called.err
    records = json.loads(called.out)["records"]
    accuracy = {record["protocol"]: record["scores"][0]["value"] for record in records}
    assert accuracy == {"zero_shot": 1.0, "linear_probe": 1.0, "knn": 1.0}
