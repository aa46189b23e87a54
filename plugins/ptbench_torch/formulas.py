"""What one call of an operator costs in multiply-adds, from the shapes of what goes in and comes out.

A formula takes the arguments of an ATen operator, in the order of its schema, and its (first) output.
Sources: ``torch/utils/flop_counter.py`` (whose numbers are twice these) for matrix products,
convolutions and attention; fvcore's ``nn/flop_count.py`` and ``nn/jit_handles.py`` for the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from typing import Any

from torch import Tensor

Formula = Callable[[tuple[Any, ...], Tensor], int]


def _product(first: int) -> Formula:
    """Every number of the output sums over the last axis of the operand at this position."""
    return lambda args, out: out.numel() * int(args[first].shape[-1])


def _sum_of_products(args: tuple[Any, ...], out: Tensor) -> int:
    """``addbmm`` adds the products of a batch of matrices to one matrix."""
    return int(args[1].numel() * args[2].shape[-1])


def _convolution(args: tuple[Any, ...], out: Tensor) -> int:
    """Each output position, or each input position if transposed, meets one filter per channel."""
    inputs, weight, transposed = args[0], args[1], bool(args[6])
    return int((inputs if transposed else out).numel() * prod(weight.shape[1:]))


def _attention(args: tuple[Any, ...], out: Tensor) -> int:
    """Two products: queries with keys, their weights with values; a mask or causality saves nothing."""
    query, value = args[0], args[2]
    return _attention_weights(args, out) * int(query.shape[-1] + value.shape[-1])


def _attention_weights(args: tuple[Any, ...], out: Tensor) -> int:
    key, value = args[1], args[2]
    return out.numel() // int(value.shape[-1]) * int(key.shape[-2])


def _recurrent(args: tuple[Any, ...], out: Tensor) -> int:
    """Every weight matrix, of all layers and directions, meets every step of every sequence once."""
    inputs = args[0]
    lists = (a for a in reversed(args) if isinstance(a, list | tuple) and a and isinstance(a[0], Tensor))
    weights = next(lists)  # the states of an LSTM are a list too, and come before
    steps = inputs.numel() // int(inputs.shape[-1])
    return int(steps * sum(weight.numel() for weight in weights if weight.ndim == 2))


def _inputs(times: int) -> Formula:
    return lambda args, out: times * int(args[0].numel())


def _outputs(times: int) -> Formula:
    return lambda args, out: times * out.numel()


def _norm(weight: int, with_weight: int, without: int) -> Formula:
    """So much per number that goes in, according to whether there is a weight at this position."""

    def formula(args: tuple[Any, ...], out: Tensor) -> int:
        scaled = len(args) > weight and args[weight] is not None
        return int(args[0].numel()) * (with_weight if scaled else without)

    return formula


def _batch_norm(args: tuple[Any, ...], out: Tensor) -> int:
    """One scale and shift per number; in training mode, in which standardised weights use it, as a norm."""
    return (_norm(1, 5, 4) if args[5] else _norm(1, 2, 1))(args, out)


_SHARED: Mapping[str, Formula] = {
    "convolution": _convolution,
    "_convolution": _convolution,  # in what torch.jit.trace has recorded
    "linear": _product(0),
    "matmul": _product(0),
    "mm": _product(0),
    "bmm": _product(0),
    "addmm": _product(1),
    "scaled_dot_product_attention": _attention,
}

MACS: Mapping[str, Formula] = {
    **_SHARED,
    "mv": _product(0),
    "dot": _product(0),
    "vdot": _product(0),
    "addmv": _product(1),
    "baddbmm": _product(1),
    "addbmm": _sum_of_products,
    "_int_mm": _product(0),
    "_scaled_mm": _product(0),
    "lstm": _recurrent,
    "gru": _recurrent,
    "rnn_tanh": _recurrent,
    "rnn_relu": _recurrent,
}
"""Matrix products and convolutions. An operator that torch makes of these (``einsum``) is taken apart."""

FVCORE_MACS: Mapping[str, Formula] = {
    **_SHARED,
    "batch_norm": _batch_norm,
    "group_norm": _norm(2, 5, 4),
    "layer_norm": _norm(2, 5, 4),
    "instance_norm": _norm(1, 5, 4),
    "upsample_nearest2d": _outputs(1),
    "upsample_bilinear2d": _outputs(4),
    "grid_sampler": _outputs(4),
    "adaptive_avg_pool2d": _inputs(1),
}
"""What fvcore counts. Attention is counted as the two products it stands for: see `count_operations`."""

_PUT_OUT = ("convolution", "_convolution", "linear", "matmul", "bmm", "addmm")

ACTIVATIONS: Mapping[str, Formula] = {
    **{name: _outputs(1) for name in _PUT_OUT},
    "scaled_dot_product_attention": lambda args, out: _attention_weights(args, out) + out.numel(),
}
"""What fvcore counts as activations: the numbers that convolutions and products put out, but for ``mm``."""

# fmt: off
MOVES = frozenset((
    "_local_scalar_dense", "_reshape_alias", "_to_copy", "_unsafe_view", "alias", "arange", "cat",
    "channel_shuffle", "clone", "constant_pad_nd", "copy_", "detach", "dropout", "embedding", "empty",
    "empty_like", "empty_strided", "expand_copy", "feature_dropout", "fill_", "flip", "full",
    "full_like", "gather", "index", "index_put_", "index_select", "is_pinned", "item", "lift_fresh",
    "lift_fresh_copy", "masked_fill", "masked_fill_", "native_channel_shuffle", "native_dropout",
    "new_empty", "new_empty_strided", "new_full", "new_ones", "new_zeros", "nonzero", "ones",
    "ones_like", "pad", "pixel_shuffle", "pixel_unshuffle", "reflection_pad2d", "repeat",
    "repeat_interleave", "replication_pad2d", "resize_", "roll", "scalar_tensor", "scatter", "scatter_",
    "select_scatter", "set_", "slice_scatter", "stack", "tril", "triu", "unfold_copy", "where", "zero_",
    "zeros", "zeros_like"
))
# fmt: on
"""Operators that do no arithmetic besides views: they make, copy, move or pick numbers."""
