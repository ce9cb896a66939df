"""Sums of several tensors and along an axis, and rows of unit length."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...ir import AddN, Array, CumSum, Graph, L2Normalization
from .. import fixedpoint as fx
from ..parameters import SumParams, params
from ..parameters.reduce_parameters import SUM_LEFT_SHIFT
from .values import clamp, is_float

_LEAST_LENGTH = np.float32(1e-6)
"""TFLite's L2_NORMALIZATION of float32 divides by no less."""
_UNIT_BITS = 7
"""Bits of the fraction of an output of scale 1/128."""


def _wide(p: SumParams, x: fx.Ints) -> fx.IntArray:
    return fx.requantize((fx.as_int64(x) - p.x_zero) << SUM_LEFT_SHIFT, p.x_multiplier.m, p.x_multiplier.shift)


def _narrow(p: SumParams, total: fx.IntArray) -> fx.IntArray:
    scaled = fx.requantize(fx.wrap32(total), p.y_multiplier.m, p.y_multiplier.shift)
    return clamp(scaled + p.y_zero, p.act_min, p.act_max)


def add_n(graph: Graph, op: AddN, inputs: Sequence[Array]) -> Array:
    if is_float(graph.out(op)):
        return np.asarray(np.sum(np.stack(inputs), axis=0, dtype=np.float32))
    p: SumParams = params(graph, op)
    return _narrow(p, _wide(p, 0) + np.sum([_wide(p, x) for x in inputs], axis=0))


def cum_sum(graph: Graph, op: CumSum, inputs: Sequence[Array]) -> Array:
    (x,) = inputs
    if is_float(graph.out(op)):
        return _running(op, x)
    p: SumParams = params(graph, op)
    return _narrow(p, _wide(p, 0) + _running(op, _wide(p, x)))


def _running(op: CumSum, x: Array) -> Array:
    forward = np.flip(x, op.axis) if op.reverse else x
    sums = np.cumsum(forward, axis=op.axis, dtype=x.dtype)
    if op.exclusive:
        before = np.roll(sums, 1, axis=op.axis)
        before[(slice(None),) * op.axis + (0,)] = 0
        sums = before
    return np.flip(sums, op.axis) if op.reverse else sums


def l2_normalization(graph: Graph, op: L2Normalization, inputs: Sequence[Array]) -> Array:
    (x,) = inputs
    if is_float(graph.out(op)):
        length = np.sqrt(np.square(x).sum(axis=-1, keepdims=True, dtype=np.float32))
        return np.asarray(x / np.maximum(length, _LEAST_LENGTH))
    rows = fx.as_int64(x).reshape(-1, x.shape[-1]) - graph[op.inputs[0]].zero_point
    factors = [fx.inverse_sqrt(int(total)) for total in np.square(rows).sum(axis=1)]
    scaled = [fx.requantize(row, m, shift + _UNIT_BITS) for row, (m, shift) in zip(rows, factors, strict=True)]
    return clamp(np.stack(scaled).reshape(x.shape), *graph.out(op).dtype.range())
