"""What one example costs a module: its multiply-adds under two definitions, counted from shapes.

Operators are counted as PyTorch calls them, before it chooses a kernel, so that the count is the same on
every device and in every precision. The module is run on fake tensors, which have shapes but no numbers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from ptbench import ModelError, Operations
from ptbench_torch.formulas import ACTIVATIONS, FVCORE_MACS, MACS, MOVES

Inputs = tuple[Tensor, ...] | Mapping[str, Tensor]


def count_operations(module: nn.Module, inputs: Inputs) -> Operations:
    """Return what a forward pass over these inputs costs; the batch axis comes first and holds 1 example.

    Two definitions, both in multiply-adds:

    * ``macs``: matrix products and convolutions, attention included, whatever kernel does them; as
      torchvision's ``_ops``. It counts recurrent layers too (LSTM, GRU, RNN).
    * ``fvcore_macs``: as ``FlopCountAnalysis`` of fvcore, with normalisations, up-sampling and adaptive
      pooling, and like it without recurrent layers. fvcore itself leaves
      ``F.scaled_dot_product_attention`` out. Here it counts as the two matrix products it stands for,
      since timm's tables and model cards were made with attention written as such products; so does
      ``activations``.

    The module runs in eval mode on fake tensors: no weights are moved and nothing large is allocated.
    Where its forward pass asks for values, which fakes lack, and where a part of it is compiled by
    ``torch.jit``, it is run once in earnest. Afterwards it is as it was before: flags, hooks, buffers and
    whatever it keeps in its attributes; so are the generators of random numbers. What a first call puts
    into a cache elsewhere (``lru_cache``, a global) may be fakes: call the module once before.

    Raises `ModelError` where the forward pass fails.

    >>> count_operations(nn.Linear(3, 2), (torch.zeros(1, 3),)).macs
    6
    """
    try:
        count = _run_faked(module, inputs) or _run(module, inputs, None)
    except Exception as error:
        text = " ".join(str(error).split())[:300]
        raise ModelError(
            f"the operations of {type(module).__name__} cannot be counted: {type(error).__name__}: {text}"
        ) from error
    return Operations(
        macs=count.macs,
        fvcore_macs=count.fvcore_macs,
        activations=count.activations,
        uncounted=dict(sorted(count.uncounted.items())),
        input=_shapes(inputs),
    )


def _run_faked(module: nn.Module, inputs: Inputs) -> _Count | None:
    """Run it on fakes; None where that cannot be."""
    if any(isinstance(part, torch.jit.ScriptModule) for part in module.modules()):
        return None  # its parameters lie where no fake can be put, or be taken away again
    try:
        return _run(module, inputs, FakeTensorMode(allow_non_fake_inputs=True))
    except Exception:  # an operator without a fake, or one whose output shape depends on values
        return None


def _run(module: nn.Module, inputs: Inputs, fake: FakeTensorMode | None) -> _Count:
    count = _Count()
    with _same_random(module), torch.inference_mode(), _untouched(module), _without_fast_path():
        positional = [] if isinstance(inputs, Mapping) else list(inputs)
        named = dict(inputs) if isinstance(inputs, Mapping) else {}
        if fake:
            positional = [fake.from_tensor(tensor) for tensor in positional]
            named = {name: fake.from_tensor(tensor) for name, tensor in named.items()}
            _make_fake(module, fake)
        with fake or nullcontext(), count:
            module(*positional, **named)
    return count


def _make_fake(module: nn.Module, fake: FakeTensorMode) -> None:
    """Put fakes for parameters and buffers: what a fake mode meets otherwise, it may compute in earnest."""
    for part in module.modules():
        for store in (part._parameters, part._buffers):
            for name, tensor in store.items():
                if tensor is not None:
                    store[name] = fake.from_tensor(tensor)  # type: ignore[assignment]


class _Count(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds up what every operator costs that is called while it is active.

    In inference mode an operator arrives whole (``linear``, ``batch_norm``, attention), as it does in
    the traces that fvcore reads. One without a formula is taken apart, and its parts are counted.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.macs = 0
        self.fvcore_macs = 0
        self.activations = 0
        self.uncounted: Counter[str] = Counter()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        space, _, name = func._schema.name.partition("::")
        counted = space == "aten" and (name in MACS or name in FVCORE_MACS)
        if not counted:
            with self:
                out = func.decompose(*args, **kwargs or {})
            if out is not NotImplemented:
                return out
        out = func(*args, **kwargs or {})
        if counted:
            first = out if isinstance(out, Tensor) else out[0]
            self.macs += MACS[name](args, first) if name in MACS else 0
            self.fvcore_macs += FVCORE_MACS[name](args, first) if name in FVCORE_MACS else 0
            self.activations += ACTIVATIONS[name](args, first) if name in ACTIVATIONS else 0
        elif space != "prim" and not func.is_view and name not in MOVES:
            self.uncounted[name.strip("_") if space == "aten" else f"{space}::{name}"] += 1
        return out


@contextmanager
def _untouched(module: nn.Module) -> Iterator[None]:
    """Put a module into eval mode; afterwards undo that and whatever its forward pass has assigned.

    A module that keeps a table it computed (positions, masks) would else keep a fake. Containers keep
    their identity, since the handles of hooks refer to them; tensors too, and their numbers are put back.
    """
    modules = list(module.modules())
    before = [dict(vars(m)) for m in modules]
    inside = [
        {key: value.copy() for key, value in state.items() if isinstance(value, dict | list)}
        for state in before
    ]
    training = [m.training for m in modules]
    numbers = [(t, t.clone()) for t in _changeable(modules) if t.layout == torch.strided and not t.is_meta]
    module.eval()
    try:
        yield
    finally:
        for m, state, contents, flag in zip(modules, before, inside, training, strict=True):
            vars(m).clear()
            vars(m).update(state)
            for key, value in contents.items():
                held = state[key]
                held.clear()
                held.extend(value) if isinstance(held, list) else held.update(value)
            if m.training != flag:  # torch.jit keeps it elsewhere
                m.training = flag
        for tensor, kept in numbers:
            if not torch.equal(tensor, kept):
                tensor.copy_(kept)


def _changeable(modules: list[nn.Module]) -> list[Tensor]:
    """Return what a forward pass may change in place: buffers, and tensors in plain attributes."""
    found: dict[int, Tensor] = {}

    def look(value: object, depth: int = 0) -> None:
        if isinstance(value, Tensor) and not isinstance(value, nn.Parameter):
            found[id(value)] = value
        elif isinstance(value, dict | list | tuple) and depth < 3:
            for one in value.values() if isinstance(value, dict) else value:
                look(one, depth + 1)

    for module in modules:
        look([*module.buffers(recurse=False), *(v for k, v in vars(module).items() if k != "_parameters")])
    return list(found.values())


@contextmanager
def _same_random(module: nn.Module) -> Iterator[None]:
    """Leave the generators of the CPU and of the module's CUDA devices as they are."""
    devices = {t.device for t in (*module.parameters(), *module.buffers()) if t.is_cuda}
    with torch.random.fork_rng(sorted(device.index for device in devices), device_type="cuda"):
        yield


@contextmanager
def _without_fast_path() -> Iterator[None]:
    """Let `nn.MultiheadAttention` call products and attention, not one operator for all of it."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


def _shapes(inputs: Inputs) -> str:
    """Return the shapes of one example: ``3x224x224``, or ``input_ids 128, attention_mask 128``."""
    named = inputs.items() if isinstance(inputs, Mapping) else (("", tensor) for tensor in inputs)
    return ", ".join(f"{name} {'x'.join(map(str, tensor.shape[1:]))}".strip() for name, tensor in named)
