"""Weights in files: read without running code, their names matched, every difference told."""

from __future__ import annotations

import hashlib
import os
import pickle
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ptbench import ModelError
from ptbench_torch.digest import file_sha256

WRAPPERS = (
    "state_dict_ema",
    "model_ema",
    "ema_state_dict",
    "state_dict",
    "model_state_dict",
    "model",
    "net",
    "params",
)
"""Keys under which training scripts put the weights, averaged ones first (as timm prefers them)."""

PREFIXES = ("module.", "_orig_mod.", "model.", "backbone.")
"""What wrappers put before every name: DataParallel, torch.compile, Lightning…"""

SHOWN = 5


def read_weights(path: Path, key: str | None = None) -> tuple[dict[str, torch.Tensor], str]:
    """Return the tensors of a safetensors file, or of a checkpoint read with ``weights_only``; and their key.

    Args:
        path: The file.
        key: Under which key the weights lie; None: under the first of `WRAPPERS` that is there.

    Raises:
        ModelError: There is no such file; it holds more than tensors and plain data; it has no weights.
    """
    _check_file(path)
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return dict(load_file(path)), ""
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        found = re.search(r"GLOBAL ([\w.]+)", str(error))
        what = f" ({found[1]})" if found else ""
        raise ModelError(
            f"{path} holds more than weights{what}, which could run code when it is loaded, and is not read: "
            "save the state_dict of the network alone, or as safetensors"
        ) from None
    except Exception as error:  # safetensors and torch have many; a file that ends early is the usual reason
        text = " ".join(str(error).split())[:160] or type(error).__name__
        raise ModelError(f"{path} is damaged or cut short, and cannot be read: {text}") from None
    return _unwrapped(content, path, key)


def _check_file(path: Path) -> None:
    """Raise `ModelError` for what is no file of weights at all: a folder, nothing, a web page."""
    if path.is_dir():
        raise ModelError(f"{path} is a folder; name the file of weights in it")
    if not path.is_file():
        raise ModelError(f"there is no file {path}")
    with path.open("rb") as file:
        head = file.read(64)
    if not head:
        raise ModelError(f"{path} is empty")
    if path.suffix != ".safetensors" and not head.startswith((b"PK", b"\x80")):
        shown = head[:20].decode("ascii", "backslashreplace")
        page = ", which looks like a web page" if head.lstrip().startswith(b"<") else ""
        raise ModelError(f"{path} is no checkpoint of PyTorch: it begins with {shown!r}{page}")


def load_weights(module: nn.Module, weights: Mapping[str, torch.Tensor], where: str) -> str:
    """Put weights into a module, all of them and no others; return the prefix that was taken off.

    Raises `ModelError` that lists what is missing, unexpected or of another shape.
    """
    wanted = module.state_dict()
    prefix = _prefix(weights, wanted)
    given = {name.removeprefix(prefix): tensor for name, tensor in weights.items()}
    # BatchNorm's counter of batches is newer than many checkpoints, and is not read in evaluation.
    missing = [name for name in wanted if name not in given and not name.endswith("num_batches_tracked")]
    unexpected = [name for name in given if name not in wanted]
    shapes = [
        f"{name} {list(given[name].shape)}, expected {list(wanted[name].shape)}"
        for name in wanted
        if name in given and given[name].shape != wanted[name].shape
    ]
    told = [
        f"{len(names)} {what}: {', '.join(names[:SHOWN])}" + (" …" if len(names) > SHOWN else "")
        for what, names in (("missing", missing), ("unexpected", unexpected), ("of another shape", shapes))
        if names
    ]
    if told:
        raise ModelError(f"{where}: the weights do not fit {type(module).__name__}: {'; '.join(told)}")
    module.load_state_dict(given, strict=False)
    return prefix


@contextmanager
def only_weights() -> Iterator[None]:
    """Let `torch.load` read tensors and plain data alone, also where a library asks for more.

    It is torch's own switch (``TORCH_FORCE_WEIGHTS_ONLY_LOAD``), which stands above what a caller says.
    """
    name = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"
    before = os.environ.get(name)
    os.environ[name] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def checked_sha256(path: Path, wanted: str | None) -> str:
    """Return the sha256 of a file. Raises `ModelError` where another one was asked for."""
    digest = file_sha256(path)
    if wanted and wanted.lower() != digest:
        raise ModelError(
            f"{path} has sha256 {digest}, not {wanted.lower()}: these are other weights than you asked for"
        )
    return digest


def state_digest(module: nn.Module) -> str:
    """Return a digest of a module's parameters and buffers: of weights that come from no file."""
    digest = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(f"{name}:{tensor.dtype}:{tuple(tensor.shape)}:".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _unwrapped(content: Any, path: Path, key: str | None) -> tuple[dict[str, torch.Tensor], str]:
    if key is not None:
        if not isinstance(content, Mapping) or key not in content:
            there = ", ".join(map(str, content)) if isinstance(content, Mapping) else type(content).__name__
            raise ModelError(f"{path} has no key '{key}'; it has: {there[:200]}")
        content = content[key]
    elif isinstance(content, Mapping):
        key = next((k for k in WRAPPERS if isinstance(content.get(k), Mapping)), None)
        content = content if key is None else content[key]
    if not isinstance(content, Mapping) or not content:
        raise ModelError(f"{path} holds no weights but a {type(content).__name__}")
    other = [str(name) for name, value in content.items() if not isinstance(value, torch.Tensor)]
    if other:
        raise ModelError(
            f"{path}: '{other[0][:60]}' is no tensor; name the key of the weights with key = \"…\" "
            f"(there is: {', '.join(map(str, content))[:200]})"
        )
    return {str(name): value for name, value in content.items()}, key or ""


def _prefix(weights: Mapping[str, torch.Tensor], wanted: Sequence[str] | Mapping[str, Any]) -> str:
    """Return the prefix that all names have and that the module does not know."""
    prefix = ""
    while True:
        shorter = [name.removeprefix(prefix) for name in weights]
        more = next((p for p in PREFIXES if all(name.startswith(p) for name in shorter)), "")
        if not more or any(name in wanted for name in shorter):
            return prefix
        prefix += more
