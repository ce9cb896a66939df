"""Element-wise operations on two tensors, broadcast as in numpy, and batch normalization of float graphs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ...errors import GraphError
from ...ir import (
    Add,
    Array,
    BatchNorm,
    Binary,
    Div,
    Graph,
    Maximum,
    Minimum,
    Mul,
    Op,
    Prelu,
    SquaredDifference,
    Sub,
)
from ...ir.elementwise_table import ELEMENTWISE
from .. import fixedpoint as fx
from ..parameters import AddParams, DivParams, MulParams, PreluParams, SquaredDifferenceParams, params
from .discrete_ops import WHOLE_NUMBERS
from .values import clamp, is_float


def binary(graph: Graph, op: Binary, inputs: Sequence[Array]) -> Array:
    real = ELEMENTWISE[type(op)].real
    if is_float(graph.out(op)) and real is not None:
        return real(op, *inputs)
    if graph.out(op).is_plain:
        return WHOLE_NUMBERS[type(op)](*inputs)
    if type(op) not in INTEGER:
        raise GraphError(f"{op.kind} has no integer form in the interpreter")
    return INTEGER[type(op)](graph, op, *inputs)


def _weighted_sum(p: AddParams, inputs: Sequence[Array], sign: int) -> Array:
    a, b = (fx.as_int64(x) - zero << p.left_shift for x, zero in zip(inputs, (p.a_zero, p.b_zero), strict=True))
    scaled_a = fx.requantize(a, p.a_multiplier.m, p.a_multiplier.shift)
    scaled_b = fx.requantize(b, p.b_multiplier.m, p.b_multiplier.shift)
    total = fx.requantize(scaled_a + sign * scaled_b, p.y_multiplier.m, p.y_multiplier.shift)
    return clamp(total + p.y_zero, p.act_min, p.act_max)


def _product(graph: Graph, op: Mul, a: Array, b: Array) -> Array:
    p: MulParams = params(graph, op)
    product = (fx.as_int64(a) - p.a_zero) * (fx.as_int64(b) - p.b_zero)
    return clamp(fx.requantize(product, p.multiplier.m, p.multiplier.shift) + p.y_zero, p.act_min, p.act_max)


def _quotient(graph: Graph, op: Div, a: Array, b: Array) -> Array:
    p: DivParams = params(graph, op)
    divisor = fx.as_int64(b) - p.b_zero
    magnitude = np.maximum(np.abs(divisor), 1)
    dividend = np.where(divisor < 0, p.a_zero - fx.as_int64(a), fx.as_int64(a) - p.a_zero)
    inverse, bits_over_unit = fx.reciprocal(magnitude, 31)
    headroom = fx.leading_sign_bits32(dividend)
    quotient = fx.rounding_doubling_high_mul(fx.wrap32(dividend << headroom), inverse)
    scaled = fx.rounding_doubling_high_mul(quotient, p.multiplier.m)
    shift = headroom + bits_over_unit - p.multiplier.shift
    rounded = fx.rounding_shift_right(scaled, np.minimum(shift, 31))
    wrapped = (scaled >> (shift & 31)) + (scaled >= 0)
    return clamp(np.where(shift > 31, wrapped, rounded) + p.y_zero, p.act_min, p.act_max)


def _squared_difference(graph: Graph, op: SquaredDifference, a: Array, b: Array) -> Array:
    p: SquaredDifferenceParams = params(graph, op)
    scaled_a, scaled_b = (
        fx.requantize((fx.as_int64(x) - zero) << p.left_shift, m.m, m.shift)
        for x, zero, m in ((a, p.a_zero, p.a_multiplier), (b, p.b_zero, p.b_multiplier))
    )
    square = fx.wrap32((scaled_a - scaled_b) ** 2)
    return clamp(fx.requantize(square, p.y_multiplier.m, p.y_multiplier.shift) + p.y_zero, p.act_min, p.act_max)


def _prelu(graph: Graph, op: Prelu, x: Array, slope: Array) -> Array:
    p: PreluParams = params(graph, op)
    centred = fx.as_int64(x) - p.x_zero
    above = fx.requantize(centred, p.above.m, p.above.shift)
    below = fx.requantize(centred * (fx.as_int64(slope) - p.slope_zero), p.below.m, p.below.shift)
    return clamp(np.where(centred >= 0, above, below) + p.y_zero, p.act_min, p.act_max)


INTEGER: Mapping[type[Op], Callable[[Graph, Any, Array, Array], Array]] = {
    Add: lambda graph, op, a, b: _weighted_sum(params(graph, op), (a, b), sign=1),
    Sub: lambda graph, op, a, b: _weighted_sum(params(graph, op), (a, b), sign=-1),
    Mul: _product,
    Div: _quotient,
    SquaredDifference: _squared_difference,
    Prelu: _prelu,
    Maximum: lambda graph, op, a, b: np.maximum(a, b),
    Minimum: lambda graph, op, a, b: np.minimum(a, b),
}
"""Integer forms. Maximum and minimum compare stored values."""


def batch_norm(graph: Graph, op: BatchNorm, inputs: Sequence[Array]) -> Array:
    return inputs[0] * inputs[1] + inputs[2]
