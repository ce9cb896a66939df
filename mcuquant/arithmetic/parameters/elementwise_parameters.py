"""Integers of operations that rescale element by element: addition, product, requantization, pooling, concatenation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...ir import (
    Abs,
    Activation,
    Add,
    Compare,
    Concat,
    Div,
    DType,
    Graph,
    LeakyRelu,
    Mul,
    Pool,
    Prelu,
    Quantize,
    ReduceMax,
    ReduceMin,
    Relu,
    SquaredDifference,
    Sub,
    Tensor,
)
from ...ir.ops import Enter
from .. import fixedpoint as fx
from .factors import LARGEST_COMPARED, LARGEST_QUOTIENT_FACTOR, act_bounds, f32, multiplier, same_values


@dataclass(frozen=True, slots=True)
class RescaleParams:
    """y = clamp(requantize(x - x_zero, multiplier) + y_zero, act_min, act_max)."""

    x_zero: int
    y_zero: int
    multiplier: fx.Multiplier
    """x scale / y scale."""
    act_min: int
    act_max: int


@dataclass(frozen=True, slots=True)
class AddParams:
    """Sum or difference. Both inputs are converted to a common finer scale (half the larger input's, divided by
    2^left_shift).

    a' = requantize((a - a_zero) << left_shift, a_multiplier), b' alike; y = clamp(requantize(a' + b' or a' - b',
    y_multiplier) + y_zero, act_min, act_max). All shifts are <= 0.
    """

    a_zero: int
    b_zero: int
    y_zero: int
    left_shift: int
    """20 for int8, 15 for int16."""
    a_multiplier: fx.Multiplier
    b_multiplier: fx.Multiplier
    y_multiplier: fx.Multiplier
    act_min: int
    act_max: int


@dataclass(frozen=True, slots=True)
class MulParams:
    """y = clamp(requantize((a - a_zero) * (b - b_zero), multiplier) + y_zero, act_min, act_max); 32-bit product."""

    a_zero: int
    b_zero: int
    y_zero: int
    multiplier: fx.Multiplier
    """a scale * b scale / y scale."""
    act_min: int
    act_max: int


@dataclass(frozen=True, slots=True)
class LeakyReluParams:
    """v = x - x_zero; y = clamp(y_zero + (v >= 0 ? requantize(v, identity) : +-requantize(v, slope)))."""

    x_zero: int
    y_zero: int
    identity: fx.Multiplier
    """x scale / y scale."""
    slope: fx.Multiplier
    """|alpha| * x scale / y scale. Its mantissa is negative for an absolute value."""
    negative: bool
    """alpha < 0: the requantized value is negated."""
    act_min: int
    act_max: int


@dataclass(frozen=True, slots=True)
class PoolParams:
    """y = clamp(rescale(pooled), act_min, act_max). An average is first rounded to nearest, ties away from zero."""

    rescale: RescaleParams | None
    """None if input and output have equal scales and zero points (TFLM's only case)."""
    act_min: int
    act_max: int


@dataclass(frozen=True, slots=True)
class ConcatParams:
    """Each input is copied, or rescaled if its scale or zero point differs from the output's."""

    rescales: tuple[RescaleParams | None, ...]


def rescale_params(graph: Graph, op: Quantize | Relu) -> RescaleParams:
    """Integer to integer. A stand-alone RELU6 copies, as TFLM's: it clamps in the input's units."""
    x, y = graph[op.inputs[0]], graph.out(op)
    if isinstance(op, Quantize):
        return rescale(op.kind, x, y)
    if op.activation is Activation.RELU6:
        low, high = act_bounds(x, op.activation)
        return RescaleParams(x.zero_point, x.zero_point, fx.quantize_multiplier(1.0), low, high)
    low, high = act_bounds(y, op.activation)
    return RescaleParams(x.zero_point, y.zero_point, multiplier(op.kind, y, x.scale / y.scale), low, high)


def rescaled(x: fx.Ints, p: RescaleParams) -> fx.IntArray:
    """Stored values of one tensor in another's units, by the parameters `p`."""
    moved = fx.requantize(fx.as_int64(x) - p.x_zero, p.multiplier.m, p.multiplier.shift) + p.y_zero
    return fx.as_int64(np.clip(moved, p.act_min, p.act_max))


def leaky_relu(x: fx.Ints, p: LeakyReluParams) -> fx.IntArray:
    """Leaky ReLU of stored values, by the parameters `p`."""
    centred = fx.as_int64(x) - p.x_zero
    slope = fx.requantize(centred, p.slope.m, p.slope.shift)
    below = -slope if p.negative else slope
    above = fx.requantize(centred, p.identity.m, p.identity.shift)
    return fx.as_int64(np.clip(np.where(centred >= 0, above, below) + p.y_zero, p.act_min, p.act_max))


def rescale(kind: str, x: Tensor, y: Tensor) -> RescaleParams:
    """From x's units to y's, within y's type."""
    return RescaleParams(x.zero_point, y.zero_point, multiplier(kind, y, x.scale / y.scale), *y.dtype.range())


def add_params(graph: Graph, op: Add | Sub) -> AddParams:
    a, b = graph.ins(op)
    y = graph.out(op)
    left_shift = 15 if y.dtype is DType.INT16 else 20
    twice_max = 2 * max(a.scale, b.scale)
    factors = (a.scale / twice_max, b.scale / twice_max, twice_max / ((1 << left_shift) * y.scale))
    to_a, to_b, to_y = (multiplier(op.kind, y, factor, below=1) for factor in factors)
    low, high = act_bounds(y, op.activation)
    return AddParams(a.zero_point, b.zero_point, y.zero_point, left_shift, to_a, to_b, to_y, low, high)


@dataclass(frozen=True, slots=True)
class DivParams:
    """The quotient of a - a_zero and b - b_zero by the reciprocal of the latter; a divisor of 0 counts as 1 unit.

    Both are negated where the divisor is negative. With clz as for 32 bits, h the sign bits of a' less one, r = 32 -
    clz(b'): q = high_mul(a' << h, reciprocal of b'); y = clamp(round(q * m / 2^31 / 2^(h + r - 1 - shift)) + y_zero).
    Small dividends are shifted by more than 31, which the released interpreter does as its processor (x86) does: by the
    low five bits, and up by one from 0 on.
    """

    a_zero: int
    b_zero: int
    y_zero: int
    multiplier: fx.Multiplier
    """a scale / b scale / y scale, below 2^22."""
    act_min: int
    act_max: int


def div_params(graph: Graph, op: Div) -> DivParams:
    a, b = graph.ins(op)
    y = graph.out(op)
    factor = multiplier(op.kind, y, a.scale / (b.scale * y.scale), LARGEST_QUOTIENT_FACTOR)
    return DivParams(a.zero_point, b.zero_point, y.zero_point, factor, *act_bounds(y, op.activation))


@dataclass(frozen=True, slots=True)
class SquaredDifferenceParams:
    """As `AddParams`, with (a' - b')^2 for the sum."""

    a_zero: int
    b_zero: int
    y_zero: int
    left_shift: int
    """7 for int8, 0 for int16."""
    a_multiplier: fx.Multiplier
    b_multiplier: fx.Multiplier
    y_multiplier: fx.Multiplier
    act_min: int
    act_max: int


def squared_difference_params(graph: Graph, op: SquaredDifference) -> SquaredDifferenceParams:
    a, b = graph.ins(op)
    y = graph.out(op)
    left_shift = 0 if y.dtype is DType.INT16 else 7
    twice_max = 2 * max(a.scale, b.scale)
    to_a, to_b = (multiplier(op.kind, y, t.scale / twice_max, below=1) for t in (a, b))
    to_y = multiplier(op.kind, y, twice_max * twice_max / ((1 << 2 * left_shift) * y.scale), below=1)
    zeros = (a.zero_point, b.zero_point, y.zero_point)
    return SquaredDifferenceParams(*zeros, left_shift, to_a, to_b, to_y, *y.dtype.range())


@dataclass(frozen=True, slots=True)
class CompareParams:
    """Both inputs go to one scale: a' = requantize((a - a_zero) << left_shift, a_multiplier), b' alike."""

    a_zero: int
    b_zero: int
    left_shift: int
    a_multiplier: fx.Multiplier
    """a scale."""
    b_multiplier: fx.Multiplier
    """b scale."""


def compare_params(graph: Graph, op: Compare) -> CompareParams:
    a, b = graph.ins(op)
    y = graph.out(op)
    to_a, to_b = (multiplier(op.kind, y, t.scale, LARGEST_COMPARED) for t in (a, b))
    return CompareParams(a.zero_point, b.zero_point, 8, to_a, to_b)


@dataclass(frozen=True, slots=True)
class PreluParams:
    """v = x - x_zero; y = clamp(y_zero + (v >= 0 ? requantize(v, above) : requantize(v * (slope - s_zero), below)))."""

    x_zero: int
    slope_zero: int
    y_zero: int
    above: fx.Multiplier
    """x scale / y scale."""
    below: fx.Multiplier
    """x scale * slope scale / y scale."""
    act_min: int
    act_max: int


def prelu_params(graph: Graph, op: Prelu) -> PreluParams:
    x, slope = graph.ins(op)
    y = graph.out(op)
    above = multiplier(op.kind, y, x.scale / y.scale)
    below = multiplier(op.kind, y, x.scale * slope.scale / y.scale)
    return PreluParams(x.zero_point, slope.zero_point, y.zero_point, above, below, *y.dtype.range())


def mul_params(graph: Graph, op: Mul) -> MulParams:
    a, b = graph.ins(op)
    y = graph.out(op)
    low, high = act_bounds(y, op.activation)
    factor = multiplier(op.kind, y, a.scale * b.scale / y.scale)
    return MulParams(a.zero_point, b.zero_point, y.zero_point, factor, low, high)


def leaky_relu_params(graph: Graph, op: LeakyRelu) -> LeakyReluParams:
    x, y = graph[op.inputs[0]], graph.out(op)
    low, high = y.dtype.range()
    identity = multiplier(op.kind, y, x.scale / y.scale)
    slope = multiplier(op.kind, y, x.scale * abs(f32(op.alpha)) / y.scale)
    return LeakyReluParams(x.zero_point, y.zero_point, identity, slope, op.alpha < 0, low, high)


def abs_params(graph: Graph, op: Abs) -> LeakyReluParams:
    """A slope of -1 below zero, as a negative mantissa: |v| is rescaled, with its ties. TFLM divides in float32."""
    x, y = graph[op.inputs[0]], graph.out(op)
    low, high = y.dtype.range()
    factor = multiplier(op.kind, y, float(np.float32(x.scale) / np.float32(y.scale)))
    slope = fx.Multiplier(-factor.m, factor.shift)
    return LeakyReluParams(x.zero_point, y.zero_point, factor, slope, False, low, high)


def pool_params(graph: Graph, op: Pool | ReduceMax | ReduceMin) -> PoolParams:
    x, y = graph[op.inputs[0]], graph.out(op)
    activation = op.activation if isinstance(op, Pool) else Activation.NONE
    low, high = act_bounds(y, activation)
    return PoolParams(None if same_values(x, y) else rescale(op.kind, x, y), low, high)


def concat_params(graph: Graph, op: Concat | Enter) -> ConcatParams:
    """TFLM refuses int8 inputs of another scale or zero point than the output's, and copies int16 ones as they are."""
    y = graph.out(op)
    copied = y.dtype is not DType.INT8
    return ConcatParams(tuple(None if copied or x.q == y.q else rescale(op.kind, x, y) for x in graph.ins(op)))
