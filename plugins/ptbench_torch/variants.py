"""The variants of a module that a profile compares: another precision, layout, quantisation, compilation."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ptbench import ModelError
from ptbench_torch.device import PRECISIONS, find_dtype
from ptbench_torch.operations import Inputs
from ptbench_torch.parameters import weight_bytes

COMPILER = "inductor"


@dataclass(frozen=True, slots=True)
class Variant:
    """What a name such as ``bf16+compile`` asks for, on a device that can do it."""

    name: str
    device: torch.device
    dtype: torch.dtype
    precision: str
    """``fp32``, ``bf16``, ``fp16`` or ``int8``: what a reader calls it."""

    @classmethod
    def read(cls, name: str, device: torch.device, precision: str) -> Variant:
        """Read a name; ``precision`` is for those that name none. Raises `ModelError` with the reason.

        The steps themselves were checked by the harness.
        """
        steps = name.split("+")
        named = next((step for step in steps if step in PRECISIONS), precision)
        if "int8" in steps:
            if device.type != "cpu":
                raise ModelError(f"dynamic int8 runs on the CPU only, not on {device}")
            return cls(name, device, torch.float32, "int8")
        return cls(name, device, find_dtype(named, device), named)

    @property
    def steps(self) -> list[str]:
        """The steps after loading, in the order in which they are taken."""
        wanted = self.name.split("+")
        return [step for step in _STEPS if step in wanted]

    def prepare(self, module: nn.Module) -> Callable[..., Tensor]:
        """Make the variant of a module that was loaded in its dtype; the module itself is changed.

        Raises `ModelError` where a step would have no effect: its row would be the plain model's again.
        """
        for step in self.steps:
            module = _STEPS[step](module)
        return module

    def inputs(self, inputs: Inputs) -> Inputs:
        """Return inputs on the device, in its dtype where they are real numbers, and in its layout."""
        if isinstance(inputs, Mapping):
            return {name: self._input(tensor) for name, tensor in inputs.items()}
        return tuple(map(self._input, inputs))

    def _input(self, tensor: Tensor) -> Tensor:
        moved = tensor.to(self.device, self.dtype if tensor.is_floating_point() else tensor.dtype)
        if "channels_last" in self.steps and moved.dim() == 4:
            return moved.contiguous(memory_format=torch.channels_last)
        return moved


def bytes_of(module: nn.Module) -> int:
    """Return the bytes of a module's weights, those that quantisation packed away included."""
    packs: list[Any] = [
        part for part in module.modules() if hasattr(part, "_weight_bias") and not list(part.children())
    ]
    tensors: list[Tensor] = [t for pack in packs for t in pack._weight_bias() if t is not None]
    return weight_bytes(module) + sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def _channels_last(module: nn.Module) -> nn.Module:
    if not any(isinstance(part, nn.Conv2d | nn.ConvTranspose2d) for part in module.modules()):
        raise ModelError("channels_last has no effect: the model has no 2-d convolution")
    return module.to(memory_format=torch.channels_last)


def _int8(module: nn.Module) -> nn.Module:
    try:
        from torch.ao.quantization import quantize_dynamic
    except ImportError as error:
        raise ModelError(f"torch {torch.__version__} has no dynamic quantisation of its own") from error
    with warnings.catch_warnings():  # deprecated for torchao, which is one dependency more
        warnings.simplefilter("ignore")
        quantise: Any = quantize_dynamic
        quantised: nn.Module = quantise(module, {nn.Linear}, dtype=torch.qint8, inplace=True)
    if not any(hasattr(part, "_weight_bias") for part in quantised.modules()):
        raise ModelError("int8 has no effect: the model has no Linear layer that can be quantised")
    return quantised


def _compile(module: nn.Module) -> nn.Module:
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)  # nvcc without a GPU is no news
    compiler: Any = torch.compile  # its annotation says that it returns a function
    options = {"force_disable_caches": True} if COMPILER == "inductor" else None
    compiled: nn.Module = compiler(module, backend=COMPILER, options=options)
    return compiled


def forget_compiled(name: str) -> None:
    """Drop what a variant compiled, which holds on to its module."""
    if "compile" in name.split("+"):
        torch.compiler.reset()


_STEPS: Mapping[str, Callable[[nn.Module], nn.Module]] = {
    "channels_last": _channels_last,
    "int8": _int8,
    "compile": _compile,
}
