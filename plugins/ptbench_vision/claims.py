"""What torchvision and timm publish of their models' cost, to be measured again: no weights are needed.

Structures are built with random weights on the meta device, which holds shapes and no numbers.
"""

from __future__ import annotations

import csv
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ptbench import (
    Claim,
    ClaimSet,
    Measured,
    ModelError,
    Operations,
    Option,
    UsageError,
    nearest,
)
from ptbench_vision.cards import CARDS

if TYPE_CHECKING:
    from torch import nn

Cost = tuple[int, Operations]
"""Parameters, and what one image costs."""

TORCHVISION_BUILD: Mapping[str, Mapping[str, Any]] = {
    "googlenet": {"aux_logits": False, "init_weights": False},  # its weights come without those heads
    "inception_v3": {"init_weights": False},
}
REPARAMETERISED = ("rep", "mobileone")
"""Families whose rows in timm's table are of another structure than is built: branches were merged."""
TABLE_COLUMNS = ("model", "infer_img_size", "param_count", "infer_gmacs", "infer_macts")


def torchvision_claims(options: Mapping[str, Any]) -> Iterator[Claim]:
    """Yield parameters and multiply-adds of each of torchvision's weights for classification."""
    from torchvision import __version__, models

    for name in models.list_models(module=models):
        for weights in models.get_model_weights(name):
            subject = f"{name}@{weights.name}"
            size = weights.transforms().crop_size[0]
            build = dict(TORCHVISION_BUILD.get(name, {}))
            if name.startswith("vit_"):
                build["image_size"] = weights.meta["min_size"][0]  # it fixes the number of positions
            cost = partial(_torchvision_cost, name, size, tuple(sorted(build.items())))
            yield Claim(
                subject=subject,
                quantity="parameters",
                published=weights.meta["num_params"],
                source=f"torchvision {__version__}, meta['num_params']",
                measure=partial(_parameters, cost),
            )
            yield Claim(
                subject=subject,
                quantity="multiply-adds",
                published=weights.meta["_ops"],
                digits=3,
                unit="G",
                source=f"torchvision {__version__}, meta['_ops']",
                measure=partial(_gmacs, cost),
            )


def timm_claims(options: Mapping[str, Any]) -> Iterable[Claim]:
    """Return the claims of timm's model cards, or of a table of timm's results (option ``table``)."""
    if options["table"]:
        return _table_claims(Path(options["table"]))
    return [
        claim
        for card in CARDS
        for claim in _timm_claims(
            card.name,
            card.size,
            (card.parameters, card.gmacs, card.activations),
            digits=1,
            source="its card, huggingface.co/timm",
        )
    ]


def _table_claims(path: Path) -> list[Claim]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            rows, there = list(reader), reader.fieldnames or ()
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{path}: cannot be read: {error}") from None
    if lacking := [column for column in TABLE_COLUMNS if column not in there]:
        raise UsageError(f"{path}: has no column '{lacking[0]}'; {nearest(lacking[0], there)}")
    if not rows:
        raise UsageError(f"{path}: has no rows")
    claims: list[Claim] = []
    for line, row in enumerate(rows, start=2):
        if not all(row.get(column) for column in TABLE_COLUMNS):
            empty = next(column for column in TABLE_COLUMNS if not row.get(column))
            raise UsageError(f"{path}: line {line}: '{empty}' is empty")
        name, *numbers = (row[column] for column in TABLE_COLUMNS)
        if name.startswith(REPARAMETERISED):
            continue
        try:
            size, figures = int(numbers[0]), tuple(map(float, numbers[1:]))
        except ValueError:
            told = ", ".join(f"{c} '{n[:20]}'" for c, n in zip(TABLE_COLUMNS[1:], numbers, strict=True))
            expected = "whole pixels and three numbers were expected"
            raise UsageError(f"{path}: line {line}: {told}; {expected}") from None
        claims += _timm_claims(name, size, figures, digits=2, source=f"{path.name}, line {line}", near=0.01)
    return claims


def _timm_claims(
    name: str, size: int, figures: tuple[float, ...], digits: int, source: str, near: float = 0.0
) -> Iterator[Claim]:
    """Yield three claims about a model; ``near`` is the tolerance of all but the parameters."""
    cost = partial(_timm_cost, name, size)
    measures: tuple[tuple[str, str, Callable[[Callable[[], Cost]], Measured]], ...] = (
        ("parameters", "M", _millions),
        ("multiply-adds (fvcore)", "G", _fvcore_gmacs),
        ("activations", "M", _activations),
    )
    for (quantity, unit, measure), figure in zip(measures, figures, strict=True):
        yield Claim(
            subject=f"{name} at {size}",
            quantity=quantity,
            published=figure,
            digits=digits,
            tolerance=0.0 if quantity == "parameters" else near,
            unit=unit,
            source=source,
            measure=partial(measure, cost),
        )


@lru_cache(maxsize=256)
def _torchvision_cost(name: str, size: int, build: tuple[tuple[str, Any], ...]) -> Cost:
    from torchvision import models

    return _cost(lambda: models.get_model(name, weights=None, **dict(build)), size)


@lru_cache(maxsize=256)
def _timm_cost(name: str, size: int) -> Cost:
    import timm

    if not timm.is_model(name.partition(".")[0]):  # a name with a colon would be looked for on a hub
        raise ModelError(f"timm has no model '{name}'; {nearest(name, timm.list_models())}")
    config = timm.get_pretrained_cfg(name)
    fixed = config is not None and config.fixed_input_size and config.input_size[-1] != size
    extra = {"img_size": size} if fixed else {}
    return _cost(lambda: timm.create_model(name, pretrained=False, **extra), size)


def _cost(build: Callable[[], nn.Module], size: int) -> Cost:
    """Build a structure, on the CPU where the meta device will not do, and count."""
    import torch

    from ptbench_torch.operations import count_operations
    from ptbench_torch.parameters import count_parameters

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what a library remarks on its own names is not our finding
        device = "meta"
        try:
            with torch.device(device):
                module = build()
        except (NotImplementedError, RuntimeError):  # its constructor asks for numbers
            device = "cpu"
            module = build()
        image = torch.zeros(1, 3, size, size, device=device)
        return count_parameters(module), count_operations(module.eval(), (image,))


def _parameters(cost: Callable[[], Cost]) -> Measured:
    return Measured(cost()[0])


def _millions(cost: Callable[[], Cost]) -> Measured:
    return Measured(cost()[0] / 1e6)


def _gmacs(cost: Callable[[], Cost]) -> Measured:
    return Measured(cost()[1].macs / 1e9)


def _fvcore_gmacs(cost: Callable[[], Cost]) -> Measured:
    return Measured(cost()[1].fvcore_macs / 1e9)


def _activations(cost: Callable[[], Cost]) -> Measured:
    return Measured(cost()[1].activations / 1e6)


TORCHVISION_CLAIMS = ClaimSet(
    name="torchvision",
    description="Parameters and multiply-adds of torchvision's weights for classification.",
    requires=("torch", "torchvision"),
    claims=torchvision_claims,
)
TIMM_CLAIMS = ClaimSet(
    name="timm",
    description="Parameters, multiply-adds and activations that timm publishes: model cards, or a table.",
    requires=("torch", "timm"),
    options=(
        Option(
            "table",
            (str,),
            "A CSV of timm's results/ (benchmark-infer-*.csv) to take the figures from, with operations "
            "within 1 %. Families that it lists re-parameterised (rep*, mobileone*) are left out.",
            default="",
        ),
    ),
    claims=timm_claims,
)
