"""Softmax over the last axis."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...ir import Array, DType, Graph, LogSoftmax, Softmax
from .. import fixedpoint as fx
from ..parameters import LogSoftmaxParams, SoftmaxParams, curves, params
from ..parameters.reduce_parameters import DIFFERENCE_INTEGER_BITS, SUM_INTEGER_BITS
from .values import clamp, is_float

_LOG_SHIFT = 31 - DIFFERENCE_INTEGER_BITS - 4  # from Q5.26 to Q4.4: log_softmax has values from -16 to 0


def softmax(graph: Graph, op: Softmax, inputs: Sequence[Array]) -> Array:
    x, y = graph[op.inputs[0]], graph.out(op)
    if is_float(x):
        return _float(inputs[0], np.float32(op.beta))
    p: SoftmaxParams = params(graph, op)
    stored = fx.as_int64(inputs[0])
    difference = stored - stored.max(axis=-1, keepdims=True)
    return _int16(difference, p) if x.dtype is DType.INT16 else _int8(difference, p, y.dtype.bits)


def log_softmax(graph: Graph, op: LogSoftmax, inputs: Sequence[Array]) -> Array:
    x = inputs[0]
    if is_float(graph.out(op)):
        below = x - x.max(axis=-1, keepdims=True)
        return np.asarray(below - np.log(np.exp(below).sum(axis=-1, keepdims=True)), np.float32)
    p: LogSoftmaxParams = params(graph, op)
    stored = fx.as_int64(x)
    difference = stored - stored.max(axis=-1, keepdims=True)
    scaled = fx.requantize(np.maximum(difference, p.diff_min), p.multiplier.m, p.multiplier.shift)
    e = np.where(difference >= p.diff_min, fx.exp_on_negative_values(scaled, DIFFERENCE_INTEGER_BITS), 0)
    total = fx.rounding_shift_right(e, SUM_INTEGER_BITS).sum(axis=-1, keepdims=True)
    log = fx.log_from_one(total, SUM_INTEGER_BITS)
    lowest = np.maximum(p.diff_min - 1, fx.requantize(log + fx.INT32_MIN, p.inverse.m, p.inverse.shift))
    exact = fx.requantize(np.maximum(difference, lowest), p.multiplier.m, p.multiplier.shift)
    result = clamp(fx.rounding_shift_right(exact - log, _LOG_SHIFT) + 127, -128, 127)
    return np.where(difference > lowest, result, -128)


def _float(x: Array, beta: np.float32) -> Array:
    e: Array = np.exp((x - x.max(axis=-1, keepdims=True)) * beta)
    total: Array = e.sum(axis=-1, keepdims=True)
    shares: Array = e / total
    return shares


def _int8(difference: fx.IntArray, p: SoftmaxParams, y_bits: int) -> fx.IntArray:
    """gemmlowp's fixed-point exponential and reciprocal; results are in 1 / 2^y_bits."""
    counted = difference >= p.diff_min
    scaled = fx.requantize(np.maximum(difference, p.diff_min), p.multiplier.m, p.multiplier.shift)
    e = np.where(counted, fx.exp_on_negative_values(scaled, DIFFERENCE_INTEGER_BITS), 0)
    total = fx.rounding_shift_right(e, SUM_INTEGER_BITS).sum(axis=-1, keepdims=True)
    inverse, bits_over_unit = fx.reciprocal(total, SUM_INTEGER_BITS)
    share = fx.rounding_shift_right(fx.rounding_doubling_high_mul(inverse, e), bits_over_unit + 31 - y_bits)
    return np.where(counted, clamp(share + p.act_min, p.act_min, p.act_max), p.act_min)


def _int16(difference: fx.IntArray, p: SoftmaxParams) -> fx.IntArray:
    """Exponential and reciprocal from tables with linear interpolation; results are in 1 / 2^15."""
    position = fx.requantize(difference, p.multiplier.m, p.multiplier.shift) + 32767
    e = _lookup(curves.EXP, position)
    total = e.sum(axis=-1, keepdims=True)
    headroom = fx.leading_zeros32(total)
    normal = ((total << (headroom - 1)) + (1 << 13)) >> 14
    inverse = _lookup(curves.RECIPROCAL, normal - ((1 << 15) + (1 << 16)))
    shift = 31 - headroom
    return clamp((e * inverse + (np.int64(1) << (shift - 1))) >> shift, 0, 32767)


def _lookup(table: Sequence[int], position: fx.IntArray) -> fx.IntArray:
    """A 513-entry curve at a position limited to int16: 9 bits select the sample, 7 bits interpolate."""
    limited = clamp(position, -32768, 32767)
    index, samples = 256 + (limited >> 7), fx.as_int64(table)
    slope = samples[index + 1] - samples[index]
    return fx.as_int64(samples[index] + ((slope * (limited & 0x7F) + 64) >> 7))
