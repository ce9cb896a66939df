"""Pooling over windows: padding holds no value."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...ir import Array, AvgPool2D, Graph, MaxPool2D, Pool, Shape
from .. import fixedpoint as fx
from ..parameters import PoolParams, params
from ..parameters.elementwise_parameters import rescaled
from .values import activate, clamp, is_float
from .windows import framed, taps


def max_pool(graph: Graph, op: MaxPool2D, inputs: Sequence[Array]) -> Array:
    x = graph[op.inputs[0]]
    lowest = -np.inf if is_float(x) else x.dtype.range()[0]
    highest = _windows(op, inputs[0], graph.out(op).shape, lowest).max(axis=(3, 4))
    return activate(highest, op.activation) if is_float(x) else finish(params(graph, op), fx.as_int64(highest))


def average_pool(graph: Graph, op: AvgPool2D, inputs: Sequence[Array]) -> Array:
    x, y_shape = inputs[0], graph.out(op).shape
    present = np.ones((1, *x.shape[1:3], 1), np.int64)
    count = _windows(op, present, (1, *y_shape[1:3], 1), 0).sum(axis=(3, 4))
    if is_float(graph.out(op)):
        total = _windows(op, x, y_shape, 0).sum(axis=(3, 4), dtype=np.float32)
        return activate(total / count.astype(np.float32), op.activation)
    total = _windows(op, x, y_shape, 0).sum(axis=(3, 4), dtype=np.int64)
    return finish(params(graph, op), fx.divide_rounding(total, count))


def finish(p: PoolParams, pooled: fx.IntArray) -> fx.IntArray:
    """Values in the output's units, clamped."""
    return clamp(pooled if p.rescale is None else rescaled(pooled, p.rescale), p.act_min, p.act_max)


def _windows(op: Pool, x: Array, y_shape: Shape, fill: float) -> Array:
    return taps(framed(x, y_shape, op.window, op.stride, op.padding, fill), y_shape, op.window, op.stride)
