"""The recipe that a checkpoint declares for embeddings: pooling, stages after it, length, prompt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ptbench import ModelError
from ptbench_hf.files import read_json, read_object
from ptbench_hf.options import Wishes

MODES = {  # old flag of sentence-transformers: mode
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "last",
}
NEW_NAMES = {"lasttoken": "last", "mean_sqrt_len_tokens": "mean_sqrt_len"}
NORMALIZE: Literal["normalize"] = "normalize"


@dataclass(frozen=True, slots=True)
class Dense:
    """A linear layer after the pooling, with its activation; its weights lie in ``folder``."""

    folder: Path
    inputs: int
    outputs: int
    bias: bool
    activation: str
    """The name of a class of ``torch.nn``."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a text becomes an embedding."""

    transformer: Path
    """The folder of the backbone."""
    pooling: tuple[str, ...] = ("mean",)
    """One mode, or several whose results are put side by side."""
    origin: str = "default"
    """Who chose the pooling: ``checkpoint``, ``option`` or ``default``."""
    layer: int | None = None
    """Whose token vectors are pooled, as ``hidden_states`` counts them; None: the last."""
    stages: tuple[Dense | Literal["normalize"], ...] = ()
    max_length: int | None = None
    lower: bool = False
    prompt: str = ""


def read_recipe(root: Path, wishes: Wishes) -> Recipe:
    """Read the recipe of a folder, changed by what a suite wishes.

    Raises `ModelError` for a sentence-transformers module that is not understood.
    """
    declared = _declared(root) if (root / "modules.json").is_file() else Recipe(transformer=root)
    stages = declared.stages
    if wishes.normalize is not None:
        stages = tuple(stage for stage in stages if stage != NORMALIZE)
        stages += (NORMALIZE,) if wishes.normalize else ()
    return Recipe(
        transformer=declared.transformer,
        pooling=(wishes.pooling,) if wishes.pooling else declared.pooling,
        origin="option" if wishes.pooling else declared.origin,
        layer=wishes.layer,
        stages=stages,
        max_length=declared.max_length,
        lower=declared.lower,
        prompt=declared.prompt if wishes.prompt is None else wishes.prompt,
    )


def _declared(root: Path) -> Recipe:
    prompt = _default_prompt(root)
    transformer: Path | None = None
    pooling: tuple[str, ...] = ()
    stages: list[Dense | Literal["normalize"]] = []
    for name, folder in _modules(root):
        if name == "Transformer" and transformer is None:
            transformer = folder
        elif name == "Pooling" and transformer and not pooling:
            pooling = _pooling(folder, prompt)
        elif name == "Dense" and pooling:
            stages.append(_dense(folder))
        elif name == "Normalize" and pooling:
            stages.append(NORMALIZE)
        else:
            raise ModelError(
                f"{root / 'modules.json'}: module '{name}' at this place is not supported: "
                "expected one Transformer, one Pooling, then any of Dense and Normalize"
            )
    if transformer is None:
        raise ModelError(f"{root / 'modules.json'} names no Transformer")
    settings = _transformer_settings(transformer, pooled=bool(pooling))
    return Recipe(
        transformer=transformer,
        pooling=pooling or ("mean",),
        origin="checkpoint" if pooling else "default",
        stages=tuple(stages),
        max_length=settings.get("max_seq_length"),
        lower=bool(settings.get("do_lower_case", False)),
        prompt=prompt,
    )


def _modules(root: Path) -> list[tuple[str, Path]]:
    path = root / "modules.json"
    try:
        modules = [(str(module["type"]), root / module["path"]) for module in read_json(path)]
    except (TypeError, KeyError):
        raise ModelError(f"{path} is broken: expected a list of modules, each with type and path") from None
    for kind, _ in modules:
        if not kind.startswith("sentence_transformers."):
            raise ModelError(f"{path}: module '{kind}' is code of its own and is not supported")
    return [(kind.rpartition(".")[2], folder) for kind, folder in modules]


def _transformer_settings(folder: Path, *, pooled: bool) -> Mapping[str, Any]:
    found = sorted(folder.glob("sentence_*_config.json"))  # sentence_bert_config.json and its siblings
    settings = read_object(found[0]) if found else {}
    task = settings.get("transformer_task", "feature-extraction")
    if pooled and task != "feature-extraction":
        raise ModelError(
            f"{found[0]}: transformer_task '{task}' is not supported: expected feature-extraction"
        )
    return settings


def _pooling(folder: Path, prompt: str) -> tuple[str, ...]:
    path = folder / "config.json"
    config = read_object(path)
    given = config.get("pooling_mode")
    if given is None:
        modes = [mode for flag, mode in MODES.items() if config.get(flag)]
    else:
        modes = [NEW_NAMES.get(mode, mode) for mode in ([given] if isinstance(given, str) else given)]
    unknown = [mode for mode in modes if mode not in MODES.values()]
    if unknown or not modes:
        raise ModelError(
            f"{path}: pooling {unknown or given!r} is unknown: known are {', '.join(MODES.values())}"
        )
    if prompt and not config.get("include_prompt", True):
        raise ModelError(f'{path}: include_prompt = false is not supported: write prompt = "" to go without')
    return tuple(modes)


def _dense(folder: Path) -> Dense:
    path = folder / "config.json"
    config = read_object(path)
    activation = str(config.get("activation_function", "torch.nn.modules.activation.Tanh"))
    if not activation.startswith("torch.nn."):
        raise ModelError(f"{path}: activation '{activation}' is not supported: expected one of torch.nn")
    for key, plain in (("use_residual", False), ("module_input_name", "sentence_embedding"),
                       ("module_output_name", "sentence_embedding")):  # fmt: skip
        if config.get(key) not in (None, plain):
            raise ModelError(f"{path}: {key} = {config[key]!r} is not supported: expected {plain!r}")
    try:
        sizes = int(config["in_features"]), int(config["out_features"])
    except (KeyError, TypeError, ValueError):
        raise ModelError(f"{path} is broken: expected in_features and out_features") from None
    return Dense(folder, *sizes, bool(config.get("bias", True)), activation.rpartition(".")[2])


def _default_prompt(root: Path) -> str:
    path = root / "config_sentence_transformers.json"
    if not path.is_file():
        return ""
    config = read_object(path)
    name = config.get("default_prompt_name")
    if name is None:
        return ""
    prompts = config.get("prompts") or {}
    if name not in prompts:
        raise ModelError(f"{path}: default_prompt_name '{name}' is none of its prompts: {', '.join(prompts)}")
    return str(prompts[name])
