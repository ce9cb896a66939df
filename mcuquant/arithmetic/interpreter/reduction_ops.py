"""Operations over axes: mean, maximum, place of the maximum."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...ir import ArgMax, Array, Graph, Mean, ReduceMax, ReduceMin, Sum
from .. import fixedpoint as fx
from ..parameters import MeanParams, PoolParams, params
from .pooling_ops import finish
from .values import clamp, is_float


def mean(graph: Graph, op: Mean, inputs: Sequence[Array]) -> Array:
    if is_float(graph.out(op)):
        return inputs[0].mean(axis=op.axes, dtype=np.float32)  # type: ignore[no-any-return]
    p: MeanParams = params(graph, op)
    return rescaled_sum(p, inputs[0].sum(axis=op.axes, dtype=np.int64))


def total(graph: Graph, op: Sum, inputs: Sequence[Array]) -> Array:
    if is_float(graph.out(op)):
        return inputs[0].sum(axis=op.axes, dtype=np.float32)  # type: ignore[no-any-return]
    p: MeanParams = params(graph, op)
    return rescaled_sum(p, inputs[0].sum(axis=op.axes, dtype=np.int64))


def rescaled_sum(p: MeanParams, added: Array) -> Array:
    """The stored mean or sum of `p.count` stored values that add up to `added`."""
    centered = added - p.count * p.x_zero
    return clamp(fx.requantize(centered, p.multiplier.m, p.multiplier.shift) + p.y_zero, p.act_min, p.act_max)


def of_total(p: MeanParams | PoolParams, added: Array, count: int) -> Array:
    """The stored mean, sum or average of all `count` stored values of each channel, which add up to `added`."""
    return rescaled_sum(p, added) if isinstance(p, MeanParams) else finish(p, fx.divide_rounding(added, count))


def reduce_min(graph: Graph, op: ReduceMin, inputs: Sequence[Array]) -> Array:
    lowest: Array = inputs[0].min(axis=op.axes)
    return lowest if graph.out(op).q is None else finish(params(graph, op), fx.as_int64(lowest))


def reduce_max(graph: Graph, op: ReduceMax, inputs: Sequence[Array]) -> Array:
    highest: Array = inputs[0].max(axis=op.axes)
    return highest if graph.out(op).q is None else finish(params(graph, op), fx.as_int64(highest))


def arg_max(graph: Graph, op: ArgMax, inputs: Sequence[Array]) -> Array:
    return np.argmax(inputs[0], axis=op.axis)  # type: ignore[no-any-return]
