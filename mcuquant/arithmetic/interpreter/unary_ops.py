"""Functions of one variable."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ...errors import GraphError
from ...ir import Array, Graph, Logistic, Unary
from ...ir.elementwise_table import ELEMENTWISE
from .. import fixedpoint as fx
from ..parameters import (
    DequantizeParams,
    HardSwish16Params,
    InterpolationParams,
    LeakyReluParams,
    LutParams,
    QuantizeParams,
    RescaleParams,
    SigmoidParams,
    curves,
    params,
)
from ..parameters.conversions import dequantized, quantized
from ..parameters.elementwise_parameters import leaky_relu, rescaled
from .values import clamp, is_float


def unary(graph: Graph, op: Unary, inputs: Sequence[Array]) -> Array:
    real = ELEMENTWISE[type(op)].real
    if is_float(graph[op.inputs[0]]) and is_float(graph.out(op)):
        if real is None:
            raise GraphError(f"{op.kind} converts between types, its input and output are both float32")
        return real(op, inputs[0])
    p = params(graph, op)
    if isinstance(p, SigmoidParams):
        return logistic16(inputs[0], p) if isinstance(op, Logistic) else tanh16(inputs[0], p)
    return _INTEGER[type(p)](p, inputs[0])


def _look_up(p: LutParams, x: Array) -> Array:
    return np.array(p.table, np.int8)[fx.as_int64(x) + 128]


def _interpolated(p: InterpolationParams, x: Array) -> Array:
    """TFLite's LUTLookup: nine bits select a sample, seven the position between it and the next."""
    table, wide = np.array(p.table, np.int64), fx.as_int64(x)
    index = 256 + (wide >> 7)
    slope = table[index + 1] - table[index]
    return clamp(table[index] + ((slope * (wide & 0x7F) + 64) >> 7), -32768, 32767)


def _hard_swish16(p: HardSwish16Params, x: Array) -> Array:
    centred = fx.as_int64(x)
    product = centred * np.clip((centred << 8) + p.three, 0, p.six)
    return clamp(fx.requantize64(product, p.multiplier.m, p.multiplier.shift), -32768, 32767)


_INTEGER: dict[type, Callable[[Any, Array], Array]] = {
    LutParams: _look_up,
    RescaleParams: lambda p, x: rescaled(x, p),
    LeakyReluParams: lambda p, x: leaky_relu(x, p),
    QuantizeParams: lambda p, x: quantized(x, p),
    DequantizeParams: lambda p, x: dequantized(x, p),
    InterpolationParams: _interpolated,
    HardSwish16Params: _hard_swish16,
}


def _scaled16(x: Array, p: SigmoidParams) -> fx.IntArray:
    half = (1 << p.shift) >> 1
    return fx.wrap32(fx.as_int64(x) * p.multiplier + half) >> p.shift


def _curve16(position: fx.IntArray, fraction_bits: int, beyond: int) -> fx.IntArray:
    """The sigmoid of a position >= 0 (table steps above, `fraction_bits` below), Q16 with `fraction_bits` more."""
    step = position >> fraction_bits
    table = np.array(curves.SIGMOID, np.int64)
    here, there = table[np.minimum(step, 254)], table[np.minimum(step, 254) + 1]
    between = (here << fraction_bits) + (position & ((1 << fraction_bits) - 1)) * (there - here)
    return np.where(step >= 255, beyond, between)


def logistic16(x: Array, p: SigmoidParams) -> fx.IntArray:
    t = _scaled16(x, p)
    curve = _curve16(np.abs(t), 9, 0x7FFF << 10)
    return np.where(t >= 0, curve + (1 << 9), (1 << 25) - curve + (1 << 9) - 1) >> 10


def tanh16(x: Array, p: SigmoidParams) -> fx.IntArray:
    t = _scaled16(x, p)
    curve = _curve16(np.abs(t), 8, 0xFFFF << 8) - (1 << 23)
    return (np.where(t >= 0, curve, -curve - 1) + (1 << 7)) >> 8
