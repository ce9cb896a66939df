"""Truth values and whole numbers, and what chooses elements by them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from ...ir import (
    Add,
    Array,
    Cast,
    Compare,
    Div,
    DType,
    FloorDiv,
    FloorMod,
    Gather,
    GatherNd,
    Graph,
    Maximum,
    Minimum,
    Mul,
    Op,
    Relation,
    Select,
    SquaredDifference,
    Sub,
    UpdateSlice,
)
from .. import fixedpoint as fx
from ..parameters import CompareParams, params

_RELATIONS: Mapping[Relation, Callable[[Array, Array], Array]] = {
    Relation.EQUAL: np.equal,
    Relation.NOT_EQUAL: np.not_equal,
    Relation.GREATER: np.greater,
    Relation.GREATER_EQUAL: np.greater_equal,
    Relation.LESS: np.less,
    Relation.LESS_EQUAL: np.less_equal,
}


def cast(graph: Graph, op: Cast, inputs: Sequence[Array]) -> Array:
    """float32 beyond int32 is limited to it first, NaN is 0; what has too many bits loses the high ones."""
    y = graph.out(op).dtype
    x = inputs[0]
    if x.dtype.kind != "f" or y in (DType.FLOAT32, DType.BOOL):
        return x.astype(y.numpy)
    whole = np.clip(np.nan_to_num(x.astype(np.float64), nan=0.0), fx.INT32_MIN, fx.INT32_MAX)
    return np.trunc(whole).astype(np.int64).astype(y.numpy)


def compare(graph: Graph, op: Compare, inputs: Sequence[Array]) -> Array:
    relation = _RELATIONS[op.relation]
    if graph[op.inputs[0]].q is None:
        return relation(*inputs)
    p: CompareParams = params(graph, op)
    a, b = (
        fx.requantize((fx.as_int64(x) - zero) << p.left_shift, m.m, m.shift)
        for x, zero, m in zip(inputs, (p.a_zero, p.b_zero), (p.a_multiplier, p.b_multiplier), strict=True)
    )
    return relation(a, b)


def select(graph: Graph, op: Select, inputs: Sequence[Array]) -> Array:
    return np.where(*inputs)


def gather(graph: Graph, op: Gather, inputs: Sequence[Array]) -> Array:
    x, indices = inputs
    places = np.clip(indices, 0, x.shape[op.axis] - 1)
    lead = x.shape[: op.batch_axes]
    rows = x.reshape(-1, *x.shape[op.batch_axes :])
    chosen = places.reshape(-1, *places.shape[op.batch_axes :])
    parts = [np.take(r, i, axis=op.axis - op.batch_axes) for r, i in zip(rows, chosen, strict=True)]
    return np.stack(parts).reshape(*lead, *parts[0].shape)


def gather_nd(graph: Graph, op: GatherNd, inputs: Sequence[Array]) -> Array:
    x, indices = inputs
    places = [np.clip(i, 0, n - 1) for i, n in zip(np.moveaxis(indices, -1, 0), x.shape, strict=False)]
    return np.asarray(x[tuple(places)])


def update_slice(graph: Graph, op: UpdateSlice, inputs: Sequence[Array]) -> Array:
    x, update, start = inputs
    begins = np.clip(start, 0, np.subtract(x.shape, update.shape))
    y = x.copy()
    y[tuple(slice(b, b + n) for b, n in zip(begins, update.shape, strict=True))] = update
    return y


def _quotient(a: Array, b: Array) -> Array:
    """Towards zero; a divisor of 0 counts as 1."""
    dividend, divisor = fx.as_int64(a), np.where(b == 0, 1, fx.as_int64(b))
    return np.asarray(np.sign(dividend) * np.sign(divisor) * (np.abs(dividend) // np.abs(divisor)))


WHOLE_NUMBERS: Mapping[type[Op], Callable[[Array, Array], Array]] = {
    Add: lambda a, b: fx.as_int64(a) + b,
    Sub: lambda a, b: fx.as_int64(a) - b,
    Mul: lambda a, b: fx.as_int64(a) * b,
    Div: _quotient,
    FloorDiv: lambda a, b: np.floor_divide(fx.as_int64(a), np.where(b == 0, 1, fx.as_int64(b))),
    FloorMod: lambda a, b: np.mod(fx.as_int64(a), np.where(b == 0, 1, fx.as_int64(b))),
    SquaredDifference: lambda a, b: fx.wrap32(fx.wrap32(fx.as_int64(a) - b) ** 2),
    Maximum: np.maximum,
    Minimum: np.minimum,
}
"""Operations on int32 and truth values; results wrap around."""
