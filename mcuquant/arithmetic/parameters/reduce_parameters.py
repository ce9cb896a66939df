"""Integers of the operations over an axis: softmax and mean."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ...errors import GraphError
from ...ir import AddN, CumSum, DType, Graph, LogSoftmax, Mean, Softmax, Sum, Tensor
from .. import fixedpoint as fx
from .factors import f32, multiplier
from .unary_parameters import input_radius

DIFFERENCE_INTEGER_BITS = 5  # int8: exp() of a difference in Q5.26
SUM_INTEGER_BITS = 12  # int8: sum of exponentials in Q12.19


@dataclass(frozen=True, slots=True)
class SoftmaxParams:
    """d = x - max(x); int8: exp(requantize(d, multiplier)) in Q5.26, zero where d < diff_min; int16: `curves.EXP`."""

    multiplier: fx.Multiplier
    """int8: beta * x scale * 2^26, > 1 and at most 2^31 - 1; int16: beta * x scale * 6553.5."""
    diff_min: int
    """int8: differences below this give exactly zero; negative or 0. int16: 0, not used."""
    act_min: int
    act_max: int
    """The output type's range; an int8 input may have an int16 output, whose zero point is then -32768."""


@dataclass(frozen=True, slots=True)
class MeanParams:
    """y = clamp(requantize(sum(x) - count * x_zero, multiplier) + y_zero, act_min, act_max); 32-bit sum."""

    x_zero: int
    y_zero: int
    count: int
    """Number of elements of one mean or sum."""
    multiplier: fx.Multiplier
    """x scale / y scale, of a mean by count; its mantissa is then cut, not rounded, and may be below 2^30."""
    act_min: int
    act_max: int


def softmax_params(graph: Graph, op: Softmax) -> SoftmaxParams:
    x, y = graph[op.inputs[0]], graph.out(op)
    beta = f32(op.beta)
    low, high = y.dtype.range()
    if x.dtype is DType.INT16:
        return SoftmaxParams(multiplier(op.kind, y, x.scale * beta / (10.0 / 65535.0)), 0, low, high)
    factor = _difference_multiplier(x, beta)
    return SoftmaxParams(factor, -input_radius(DIFFERENCE_INTEGER_BITS, factor.shift), low, high)


def _difference_multiplier(x: Tensor, beta: float) -> fx.Multiplier:
    """TFLite's PreprocessSoftmaxScaling. Beyond 2^31 everything but the maximum is zero anyway."""
    factor = min(beta * x.scale * (1 << (31 - DIFFERENCE_INTEGER_BITS)), 2.0**31 - 1)
    if factor <= 1:
        raise GraphError(
            f"Softmax: beta * scale of input {x.id} ({x.name!r}) is {beta * x.scale:.6g}, expected more than 2^-26; "
            "quantize the input with a larger scale"
        )
    return fx.quantize_multiplier(factor)


@dataclass(frozen=True, slots=True)
class LogSoftmaxParams:
    """int8: d = x - max(x); y = clamp(round(requantize(d, multiplier) - log(sum of exponentials)) + 127), in 1/16."""

    multiplier: fx.Multiplier
    """x scale * 2^26: differences as Q5.26."""
    diff_min: int
    """Differences below this add nothing to the sum."""
    inverse: fx.Multiplier
    """From Q5.26 to differences: the threshold of the lowest result."""


def log_softmax_params(graph: Graph, op: LogSoftmax) -> LogSoftmaxParams:
    factor = _difference_multiplier(graph[op.inputs[0]], 1.0)
    inverse = fx.quantize_multiplier((1 << (31 - factor.shift)) / factor.m)
    return LogSoftmaxParams(factor, -input_radius(DIFFERENCE_INTEGER_BITS, factor.shift), inverse)


def mean_params(graph: Graph, op: Mean | Sum) -> MeanParams:
    x, y = graph[op.inputs[0]], graph.out(op)
    count = math.prod(x.shape[axis] for axis in op.axes)
    low, high = y.dtype.range()
    factor = multiplier(op.kind, y, x.scale / y.scale)
    if isinstance(op, Mean):
        factor = _divided(factor, count)
    return MeanParams(x.zero_point, y.zero_point, count, factor, low, high)


def _divided(factor: fx.Multiplier, count: int) -> fx.Multiplier:
    """factor / count; the mantissa is kept as long as the shift permits."""
    shift = min(count.bit_length() - 1, 32, 31 + factor.shift)
    return fx.Multiplier((factor.m << shift) // count, factor.shift - shift)


SUM_LEFT_SHIFT = 20


@dataclass(frozen=True, slots=True)
class SumParams:
    """Sum of elements: each goes to a finer scale first, x' = requantize((x - x_zero) << 20, x_multiplier).

    y = clamp(requantize(sum, y_multiplier) + y_zero, act_min, act_max). The sum wraps around at 32 bits. It starts with
    the x' of a stored 0, not with 0: so do TFLM's CUMSUM and ADD_N.
    """

    x_zero: int
    y_zero: int
    x_multiplier: fx.Multiplier
    y_multiplier: fx.Multiplier
    act_min: int
    act_max: int


def sum_params(graph: Graph, op: AddN | CumSum) -> SumParams:
    x, y = graph[op.inputs[0]], graph.out(op)
    twice = 2 * x.scale
    to_x = multiplier(op.kind, y, x.scale / twice, below=1)
    to_y = multiplier(op.kind, y, twice / ((1 << SUM_LEFT_SHIFT) * y.scale), below=1)
    return SumParams(x.zero_point, y.zero_point, to_x, to_y, *y.dtype.range())
