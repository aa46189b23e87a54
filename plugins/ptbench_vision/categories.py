"""The names of ImageNet's classes: WordNet ids, and words, as torchvision and timm know them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

from ptbench import ModelError


def synonyms_of(labels: Sequence[str]) -> Mapping[str, int]:
    """Return other names of labels, if these are ImageNet's thousand: ids, whole and single words.

    A name that two classes share ("crane", the bird and the machine) has the position -1.
    """
    if len(labels) != 1000:
        return {}
    ids, words = imagenet("imagenet-1k")
    own = {label.casefold() for label in labels}
    agree = sum(any(word.casefold() in own for word in _split(text)) for text in words)
    if tuple(labels) != ids and agree < 990:  # other thousand classes: their order is not known
        return {}
    return _names(ids, words)


def subset_labels(subset: str) -> tuple[tuple[str, ...], Mapping[str, int]]:
    """Return the WordNet ids of a subset of ImageNet in the order of timm's heads, and other names."""
    ids, words = imagenet(subset)
    return ids, _names(ids, words)


@lru_cache(maxsize=8)
def imagenet(subset: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return ids and words of a subset such as ``imagenet-1k``, from the files that timm carries."""
    from timm.data.imagenet_info import ImageNetInfo

    try:
        info = ImageNetInfo(subset)
    except AssertionError:
        raise ModelError(
            f"timm has no set of labels '{subset}'; it has imagenet-1k, imagenet-12k, imagenet-21k, …"
        ) from None
    ids = tuple(info.label_names())
    return ids, tuple(info.label_name_to_description(name) for name in ids)


def _names(ids: Iterable[str], words: Iterable[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for position, (identifier, text) in enumerate(zip(ids, words, strict=True)):
        for name in dict.fromkeys([identifier, text, *_split(text)]):
            found[name] = position if found.get(name, position) == position else -1
    return found


def _split(text: str) -> list[str]:
    return [word.strip() for word in text.split(",")]
