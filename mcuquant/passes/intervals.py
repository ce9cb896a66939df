"""The smallest and largest value of every element of a quantized graph, over all inputs.

Interval arithmetic on stored integers, with the rounding of the device: a product takes each weight with the end of the
interval that its sign selects; every later step (requantization, clamp, except tables) is monotone, so the interpreter
computes the ends. The intervals are sound but not tight, because elements are assumed to be independent.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

import numpy as np

from ..arithmetic.interpreter import evaluate
from ..arithmetic.interpreter.weighted_sums import Weighted, finish, operands, products
from ..arithmetic.parameters import LutParams, params
from ..errors import GraphError
from ..ir import Array, Graph, Op, Role, Tensor, ops


class Interval(NamedTuple):
    """Lower and upper limits, both with the tensor's shape and type."""

    low: Array
    high: Array


_MONOTONE = (
    ops.Pool,
    ops.Mean,
    ops.Sum,
    ops.ReduceMax,
    ops.ReduceMin,
    ops.ResizeBilinear,
    ops.Add,
    ops.Maximum,
    ops.Minimum,
    ops.Concat,
    ops.Pad,
    ops.Slice,
    ops.Reshape,
    ops.Transpose,
    ops.ResizeNearest,
)
_WRAPS_AROUND = (ops.Add, ops.Sub, ops.Mul)
"""Operations whose int32 forms wrap around."""
_BILINEAR = (ops.Sub, ops.Mul)


def intervals(graph: Graph, bounds: bool = True) -> dict[int, Interval]:
    """Intervals by tensor id, for every tensor of a quantized graph.

    With `bounds` off, only constants are followed: a weighted sum over any varying input is assumed to vary.
    """
    spans = {t.id: _initial(t) for t in graph.tensors.values() if t.role is not Role.ACTIVATION}
    for op in graph.ops:
        ins = [spans[i] for i in op.inputs]
        spans |= {i: _full_range(graph[i]) for i in op.outputs[1:]}
        spans[op.output] = _after(graph, op, ins)
        if not bounds and isinstance(op, Weighted):
            spans[op.output] = _widened(graph, op, ins[0], spans[op.output])
    return spans


def _widened(graph: Graph, op: Weighted, x: Interval, y: Interval) -> Interval:
    """`y`, with the full range where a nonzero weight meets a varying input."""
    w = graph[op.inputs[1]]
    moves = (x.low != x.high).astype(np.float64)
    varies = products(graph, op, moves, (w.integer_values != 0).astype(np.float64)).reshape(y.low.shape) > 0
    whole = _full_range(graph.out(op))
    return Interval(np.where(varies, whole.low, y.low), np.where(varies, whole.high, y.high))


def _initial(t: Tensor) -> Interval:
    return Interval(t.value, t.value) if t.is_constant else _full_range(t)


def _full_range(t: Tensor) -> Interval:
    low, high = t.dtype.range() if t.dtype.is_integer else (-np.inf, np.inf)
    return Interval(np.full(t.shape, low, t.dtype.numpy), np.full(t.shape, high, t.dtype.numpy))


def _after(graph: Graph, op: Op, ins: Sequence[Interval]) -> Interval:
    y = graph.out(op)
    if not all(t.dtype.is_integer for t in (*graph.ins(op), y)):
        return _full_range(y)
    if isinstance(op, Weighted):
        return _weighted(graph, op, ins)
    if y.is_plain and isinstance(op, _WRAPS_AROUND):
        return _full_range(y)
    if isinstance(op, _MONOTONE):
        return Interval(evaluate(graph, op, [i.low for i in ins]), evaluate(graph, op, [i.high for i in ins]))
    if isinstance(op, _BILINEAR):
        corners = [evaluate(graph, op, list(corner)) for corner in product(*ins)]
        return Interval(np.minimum.reduce(corners), np.maximum.reduce(corners))
    if isinstance(op, ops.Unary) and y.dtype.numpy == np.int8 and graph.ins(op)[0].dtype.numpy == np.int8:
        return _table(graph, op, ins[0])
    return _full_range(y)


def _weighted(graph: Graph, op: Weighted, ins: Sequence[Interval]) -> Interval:
    low_x, w = operands(graph, op, [ins[0].low, ins[1].low])
    high_x, _ = operands(graph, op, [ins[0].high, ins[1].low])
    rising, falling = np.maximum(w, 0), np.minimum(w, 0)
    low = products(graph, op, low_x, rising) + products(graph, op, high_x, falling)
    high = products(graph, op, high_x, rising) + products(graph, op, low_x, falling)
    constants = [i.low for i in ins]
    ends = (finish(graph, op, acc, constants) for acc in (low, high))
    return Interval(*(end.astype(graph.out(op).dtype.numpy).reshape(graph.out(op).shape) for end in ends))


def _table(graph: Graph, op: ops.Unary, x: Interval) -> Interval:
    """The smallest and largest entry of the table between the two ends, for each pair of ends that occurs."""
    every = _results(graph, op)
    pairs, index = np.unique(np.stack([x.low.ravel(), x.high.ravel()]), axis=1, return_inverse=True)
    spans = [every[low + 128 : high + 129] for low, high in pairs.T.astype(int)]
    ends = (np.array([pick(s) for s in spans], np.int8)[index.ravel()].reshape(x.low.shape) for pick in (min, max))
    return Interval(*ends)


def _results(graph: Graph, op: ops.Unary) -> Array:
    p = params(graph, op)
    if not isinstance(p, LutParams):
        raise GraphError(f"{op.kind} of {graph.out(op).name!r} has no table of results")
    return np.array(p.table, np.int8)
