"""The files of a checkpoint: configuration, weights, tokenizer. Looks at them without loading a tensor."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ptbench import ModelError

SAFE, SAFE_INDEX = "model.safetensors", "model.safetensors.index.json"
PICKLE, PICKLE_INDEX = "pytorch_model.bin", "pytorch_model.bin.index.json"
TOKENIZER = (
    *("tokenizer.json", "tokenizer_config.json", "vocab.txt", "vocab.json", "merges.txt", "bpe.codes"),
    *("spiece.model", "sentencepiece.bpe.model", "tokenizer.model", "spm.model"),
)
TOKENIZER_EXTRAS = ("added_tokens.json", "special_tokens_map.json")


@dataclass(frozen=True, slots=True)
class Tensor:
    """What the header of a safetensors file says of a tensor."""

    name: str
    dtype: str
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """How many numbers it holds."""
        return math.prod(self.shape)


@dataclass(frozen=True, slots=True)
class Weights:
    """The weight files of a checkpoint; several where it is sharded."""

    files: tuple[Path, ...]
    format: Literal["safetensors", "pickle"]

    def tensors(self) -> list[Tensor] | None:
        """Return what the headers say; None for pickles, which cannot be looked into safely."""
        if self.format == "pickle":
            return None
        return [tensor for file in self.files for tensor in read_header(file)]


def read_json(path: Path) -> Any:
    """Read a JSON file. Raises `ModelError` with the path, and the line where it is broken."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelError(f"{path} is missing") from None
    except json.JSONDecodeError as error:
        raise ModelError(f"{path} is broken: line {error.lineno}: {error.msg}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"{path} cannot be read: {error}") from None


def read_object(path: Path) -> Mapping[str, Any]:
    """Read a JSON file that holds an object."""
    value = read_json(path)
    if not isinstance(value, dict):
        raise ModelError(f"{path} is broken: it holds a {type(value).__name__}, not an object")
    return value


def has_weights(folder: Path) -> bool:
    """Return whether weights of any format lie in a folder."""
    return any((folder / name).is_file() for name in (SAFE, SAFE_INDEX, PICKLE, PICKLE_INDEX))


def find_weights(folder: Path, *, allow_pickle: bool) -> Weights:
    """Find the weight files in a folder, safetensors before pickles.

    Raises `ModelError` where there are none, a shard is missing, or there are only pickles.
    """
    if (folder / SAFE).is_file():
        return Weights((folder / SAFE,), "safetensors")
    if (folder / SAFE_INDEX).is_file():
        return Weights(_shards(folder / SAFE_INDEX), "safetensors")
    index = folder / PICKLE_INDEX
    pickle = index if index.is_file() else folder / PICKLE
    if not pickle.is_file():
        raise ModelError(f"{folder} has no weights: expected {SAFE} (or {SAFE_INDEX} and its shards)")
    if not allow_pickle:
        raise ModelError(
            f"{pickle} is a pickle, which can run code when it is loaded: "
            "take a revision that has safetensors, or write allow_pickle = true"
        )
    return Weights(_shards(pickle) if pickle == index else (pickle,), "pickle")


def _shards(index: Path) -> tuple[Path, ...]:
    placed = read_object(index).get("weight_map")
    if not isinstance(placed, dict) or not placed:
        raise ModelError(f"{index} is broken: it has no weight_map")
    files = tuple(index.parent / name for name in sorted(set(placed.values())))
    missing = [file.name for file in files if not file.is_file()]
    if missing:
        raise ModelError(
            f"{index.parent} misses {len(missing)} of {len(files)} shards: {', '.join(missing[:4])}"
        )
    return files


def read_header(path: Path) -> list[Tensor]:
    """Read the header of a safetensors file. Raises `ModelError` for one that is cut off or broken."""
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            size = path.stat().st_size
            if length > size - 8:
                raise ValueError("its header is cut off")
            header = json.loads(file.read(length))
        header.pop("__metadata__", None)
        end = 8 + length + max((entry["data_offsets"][1] for entry in header.values()), default=0)
        if end != size:
            raise ValueError(f"its header promises {end:,} bytes, and it has {size:,}")
        return [Tensor(name, entry["dtype"], tuple(entry["shape"])) for name, entry in header.items()]
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error}") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        reason = str(error) if str(error).startswith("its header") else "its header is no JSON object"
        raise ModelError(f"{path} is no sound safetensors file: {reason}; fetch it again") from None


def find_tokenizer(folder: Path) -> tuple[Path, ...]:
    """Return the tokenizer files of a checkpoint. Raises `ModelError` where there are none."""
    files = tuple(folder / name for name in TOKENIZER if (folder / name).is_file())
    if not files:
        raise ModelError(
            f"{folder} has no tokenizer: expected tokenizer.json, or a vocabulary such as vocab.txt"
        )
    return files + tuple(folder / name for name in TOKENIZER_EXTRAS if (folder / name).is_file())
