"""Functions of one variable."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ...ir import Array, Graph, HardSwish, LeakyRelu, Logistic, Relu, Tanh, Unary
from .. import fixedpoint as fx
from ..parameters import (
    DequantizeParams,
    HardSwish16Params,
    LeakyReluParams,
    LutParams,
    QuantizeParams,
    RescaleParams,
    SigmoidParams,
    curves,
    params,
)
from ..parameters.elementwise_parameters import leaky_relu, rescaled
from .values import activate, clamp, is_float, round_half_away


def unary(graph: Graph, op: Unary, inputs: Sequence[Array]) -> Array:
    if is_float(graph[op.inputs[0]]) and is_float(graph.out(op)):
        return _FLOAT[type(op)](op, inputs[0])
    p = params(graph, op)
    if isinstance(p, SigmoidParams):
        return _logistic16(inputs[0], p) if isinstance(op, Logistic) else _tanh16(inputs[0], p)
    return _INTEGER[type(p)](p, inputs[0])


def _float_hard_swish(op: Any, x: Array) -> Array:
    return x * np.clip(x + np.float32(3), 0, 6) / np.float32(6)


_FLOAT: dict[type[Unary], Callable[[Any, Array], Array]] = {
    Relu: lambda op, x: activate(x, op.activation),
    LeakyRelu: lambda op, x: np.where(x > 0, x, x * np.float32(op.alpha)),
    Logistic: lambda op, x: np.float32(1) / (np.float32(1) + np.exp(-np.clip(x, -87, None))),
    Tanh: lambda op, x: np.tanh(x),
    HardSwish: _float_hard_swish,
}


def _look_up(p: LutParams, x: Array) -> Array:
    return np.array(p.table, np.int8)[fx.as_int64(x) + 128]


def _quantize(p: QuantizeParams, x: Array) -> Array:
    with np.errstate(over="ignore"):
        steps = np.clip(x / np.float32(p.scale), -(2.0**31), 2.0**31)
    return clamp(fx.as_int64(round_half_away(steps)) + p.y_zero, p.act_min, p.act_max)


def _dequantize(p: DequantizeParams, x: Array) -> Array:
    with np.errstate(over="ignore"):
        return (p.scale * (fx.as_int64(x) - p.x_zero)).astype(np.float32)


def _hard_swish16(p: HardSwish16Params, x: Array) -> Array:
    centred = fx.as_int64(x)
    product = centred * np.clip((centred << 8) + p.three, 0, p.six)
    return clamp(fx.requantize64(product, p.multiplier.m, p.multiplier.shift), -32768, 32767)


_INTEGER: dict[type, Callable[[Any, Array], Array]] = {
    LutParams: _look_up,
    RescaleParams: lambda p, x: rescaled(x, p),
    LeakyReluParams: lambda p, x: leaky_relu(x, p),
    QuantizeParams: _quantize,
    DequantizeParams: _dequantize,
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


def _logistic16(x: Array, p: SigmoidParams) -> fx.IntArray:
    t = _scaled16(x, p)
    curve = _curve16(np.abs(t), 9, 0x7FFF << 10)
    return np.where(t >= 0, curve + (1 << 9), (1 << 25) - curve + (1 << 9) - 1) >> 10


def _tanh16(x: Array, p: SigmoidParams) -> fx.IntArray:
    t = _scaled16(x, p)
    curve = _curve16(np.abs(t), 8, 0xFFFF << 8) - (1 << 23)
    return (np.where(t >= 0, curve, -curve - 1) + (1 << 7)) >> 8
