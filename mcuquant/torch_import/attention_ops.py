"""Products of two computed matrices, and attention."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .. import ir
from .axis_order import Value, natural_order, spread
from .elementwise_ops import EXCLUDED, binary, softmax_value
from .net_builder import Call, RefusalError
from .weighted_ops import matrix_product


def product(call: Call) -> Value:
    """x @ W for a constant W, or of two computed matrices."""
    keys = ("self", "other") if "other" in call.args else ("self", "mat2")
    a, b = (call.args.get(key) for key in keys)
    if isinstance(b, np.ndarray) and b.ndim == 2:
        return matrix_product(call)
    return matrices(call, call.as_value(a, keys[0]), call.as_value(b, keys[1]))


def matrices(call: Call, a: Value, b: Value) -> Value:
    (left, swapped_a), (right, swapped_b) = (_laid(call, value) for value in (a, b))
    lead = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    shape = (*lead, a.shape[-2], b.shape[-1])
    output = call.emit(ir.BatchMatMul, [left, right], shape, adj_a=swapped_a, adj_b=swapped_b)
    return Value(output, spread(shape, tuple(range(len(shape)))))


def _laid(call: Call, value: Value) -> tuple[int, bool]:
    """(tensor, whether its last two axes are stored swapped)."""
    value, plain = call.net.dense(value), tuple(range(value.rank))
    swapped = (*plain[:-2], plain[-1], plain[-2])
    if natural_order(value.where) == swapped:
        return _tensor(call, value, swapped), True
    return _tensor(call, value, plain), False


def _tensor(call: Call, value: Value, order: tuple[int, ...]) -> int:
    laid = call.net.lay(value, order)
    return call.net.reshape(laid.tensor, [value.shape[axis] for axis in order])


def attention(call: Call) -> Value:
    """softmax(q k^T * scale + mask) v; without a mask the scale is the softmax's beta."""
    q, k, v = (call.value(key) for key in ("query", "key", "value"))
    if call.get("dropout_p", 0.0):
        raise RefusalError("it drops at random; export the module in eval mode")
    scale = float(call.get("scale", 1 / math.sqrt(q.shape[-1])))
    scores = matrices(call, q, Value(k.tensor, k.where.swapaxes(-1, -2)))
    mask = call.args.get("attn_mask")
    if call.get("is_causal", False):
        mask = np.tril(np.ones(scores.shape[-2:], np.bool_))
    if mask is None:
        return matrices(call, softmax_value(call, scores, -1, beta=scale), v)
    if isinstance(mask, np.ndarray):
        mask = np.where(mask, 0.0, EXCLUDED) if mask.dtype == np.bool_ else np.maximum(mask, EXCLUDED)
    masked = binary(call, ir.Add, binary(call, ir.Mul, scores, scale, "scale"), mask, "attn_mask")
    return matrices(call, softmax_value(call, masked, -1), v)


RULES: Mapping[str, Callable[[Call], Any]] = {
    "aten.matmul": product,
    "aten.mm": product,
    "aten.bmm": product,
    "aten.scaled_dot_product_attention": attention,
}
