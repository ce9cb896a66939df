"""Integers of the functions of one variable: a table of all results for int8, parameters of an algorithm for int16."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from ...errors import GraphError, UnsupportedOpError
from ...ir import (
    Abs,
    Array,
    DType,
    Graph,
    HardSwish,
    LeakyRelu,
    Logistic,
    Lookup,
    Op,
    Quantize,
    Relu,
    Rsqrt,
    Tanh,
    Tensor,
    Unary,
)
from ...ir.elementwise_table import ELEMENTWISE, Rule
from .. import fixedpoint as fx
from .conversions import DequantizeParams as DequantizeParams
from .conversions import QuantizeParams as QuantizeParams
from .conversions import dequantized, quantized, quantized_by_reciprocal
from .curves import interpolated
from .elementwise_parameters import (
    LeakyReluParams,
    RescaleParams,
    abs_params,
    leaky_relu,
    leaky_relu_params,
    rescale_params,
    rescaled,
)
from .factors import LARGEST_FACTOR64, multiplier

Form = Callable[[Graph, Any], Any]
_INT8 = np.arange(-128, 128, dtype=np.int64)
_CURVE_INTEGER_BITS = 4  # int8 Logistic and Tanh compute in Q4.27
_RSQRT_SHIFT = 20  # int8 Rsqrt: fraction bits of the root
LARGEST_CURVE16_SCALE = 5  # int16 Logistic and Tanh: the scaled input stays within 32 bits


@dataclass(frozen=True, slots=True)
class LutParams:
    """int8 to int8: y = table[x + 128]."""

    table: tuple[int, ...]
    """256 results, for x = -128 .. 127."""


@dataclass(frozen=True, slots=True)
class SigmoidParams:
    """int16 Logistic and Tanh: t = (x * multiplier + half) >> shift is x in 1/12288, the input of
    `curves.sigmoid16`.
    """

    multiplier: int
    """At most 2^16: the product fits 32 bits."""
    shift: int
    """0..31, to the right; half is 2^(shift-1), or 0 for shift 0."""


@dataclass(frozen=True, slots=True)
class HardSwish16Params:
    """int16 HARD_SWISH, which TFLM lacks: x * relu6(x + 3) / 6 with the second factor in 1/256 of x's units.

    y = requantize64(x * clamp(256 * x + three, 0, six), multiplier), limited to the type; the product is below 2^47.
    """

    three: int
    six: int
    """Real 3 and 6 in 1/256 of the input's units."""
    multiplier: fx.Multiplier
    """x scale^2 / (256 * 6 * y scale)."""


@dataclass(frozen=True, slots=True)
class InterpolationParams:
    """int16 to int16: 513 samples of the function over the input's range, with linear interpolation."""

    table: tuple[int, ...]


UnaryParams = (
    LutParams
    | SigmoidParams
    | HardSwish16Params
    | InterpolationParams
    | RescaleParams
    | LeakyReluParams
    | QuantizeParams
    | DequantizeParams
)


def unary_params(graph: Graph, op: Unary) -> UnaryParams:
    """int8 to int8: the table. Other types: the parameters of the kernel."""
    x, y = graph[op.inputs[0]], graph.out(op)
    if x.dtype is DType.FLOAT32:
        return _to_stored(y)
    if y.dtype is DType.FLOAT32:
        return _to_real(x)
    if x.dtype is y.dtype is DType.INT8:
        return LutParams(tuple(int(v) for v in _all_results(graph, op)))
    if ELEMENTWISE[type(op)].int16 is Rule.TABLE:
        return InterpolationParams(interpolated(partial(_real, op), x.scale, x.zero_point, y.scale))
    derived: UnaryParams = _form(INTEGER16, "int16", op)(graph, op)
    return derived


def _to_stored(y: Tensor) -> QuantizeParams:
    return QuantizeParams(y.scale, y.zero_point, *y.dtype.range())


def _to_real(x: Tensor) -> DequantizeParams:
    return DequantizeParams(x.scale, x.zero_point)


def _real(op: Unary, x: Array) -> Array:
    function = ELEMENTWISE[type(op)].real
    if function is None:
        raise GraphError(f"{op.kind} is a conversion and has no function of real numbers")
    return function(op, x)


def _form(forms: Mapping[type[Op], Form], dtype: str, op: Unary) -> Form:
    if type(op) not in forms:
        raise UnsupportedOpError(f"{op.kind} has no {dtype} form; use another operation or another type")
    return forms[type(op)]


def _all_results(graph: Graph, op: Unary) -> fx.IntArray:
    """Results for -128 to 127."""
    rule = ELEMENTWISE[type(op)].int8
    if rule not in (Rule.CONVERTED, Rule.TABLE):
        return fx.as_int64(_form(INTEGER8, "int8", op)(graph, op))
    real = _real(op, dequantized(_INT8, _to_real(graph[op.inputs[0]])))
    store = quantized if rule is Rule.CONVERTED else quantized_by_reciprocal
    return store(real, _to_stored(graph.out(op)))


def input_radius(integer_bits: int, left_shift: int) -> int:
    """Largest input difference that stays within `integer_bits` after a left shift; TFLite's CalculateInputRadius."""
    return math.floor(math.ldexp((1 << integer_bits) - 1, 31 - integer_bits - left_shift))


def _curve8(graph: Graph, op: Logistic | Tanh) -> fx.IntArray:
    """int8 Logistic and Tanh: gemmlowp's curve in Q4.27; inputs beyond its range give the type's limits."""
    x = graph[op.inputs[0]]
    factor = fx.quantize_multiplier(math.ldexp(x.scale, 31 - _CURVE_INTEGER_BITS))
    radius = input_radius(_CURVE_INTEGER_BITS, factor.shift)
    centred = _INT8 - x.zero_point
    inside = np.clip(centred, 1 - radius, radius - 1)
    scaled = fx.requantize(inside, factor.m, factor.shift)
    if isinstance(op, Logistic):
        curve = fx.rounding_shift_right(fx.logistic(scaled), 23) - 128
    else:
        curve = fx.rounding_shift_right(fx.tanh(scaled), 24)
    limited = np.where(centred >= radius, 127, np.clip(curve, -128, 127))
    return np.where(centred <= -radius, -128, limited)


def _hard_swish8(graph: Graph, op: HardSwish) -> fx.IntArray:
    """int8 HARD_SWISH, all in 16-bit arithmetic as TFLite's reference kernel."""
    x, y = graph[op.inputs[0]], graph.out(op)
    fine_scale = x.scale / 128
    to_y, to_y_shift = _q15(multiplier(op.kind, y, fine_scale / y.scale, below=1))
    to_unit, to_unit_shift = _q15(multiplier(op.kind, y, fine_scale / (3 / 32768)))
    fine = (_INT8 - x.zero_point) << 7
    gate = (_reluish(fine, to_unit, to_unit_shift) + (1 << 15)) >> 1
    product = gate * _high_mul16(fine, to_y)
    truncated = np.where(product < 0, -(-product >> 15), product >> 15)
    return np.clip(fx.rounding_shift_right(truncated, -to_y_shift) + y.zero_point, -128, 127)


def _q15(q31: fx.Multiplier) -> tuple[int, int]:
    """(16-bit mantissa, shift) of a factor; TFLite's DownScaleInt32ToInt16Multiplier."""
    return min((q31.m + (1 << 15)) >> 16, 32767), q31.shift


def _high_mul16(a: fx.Ints, b: fx.Ints) -> fx.IntArray:
    """round(a * b / 2^15), ties up; gemmlowp's SaturatingRoundingDoublingHighMul for int16 (b > -2^15)."""
    return fx.as_int64(np.asarray(a) * b + (1 << 14)) >> 15


def _saturate16(x: fx.IntArray) -> fx.IntArray:
    return np.clip(x, -32768, 32767)


def _reluish(fine: fx.IntArray, m: int, shift: int) -> fx.IntArray:
    """x / 3 as Q0.15, saturated to [-1, 1)."""
    if shift > 0:
        return _saturate16(_high_mul16(_saturate16(fine << (shift - 1)), m) << 1)
    return fx.rounding_shift_right(_high_mul16(fine, m), -shift)


def _hard_swish16_params(graph: Graph, op: HardSwish) -> HardSwish16Params:
    x, y = graph[op.inputs[0]], graph.out(op)
    three, six = (fx.round_half_away(256 * real / x.scale) for real in (3.0, 6.0))
    if three >= 1 << 31:
        raise GraphError(
            f"HardSwish: input {x.id} ({x.name!r}) has the int16 scale {x.scale:.9g}, expected more than 3.6e-7; "
            "quantize it with a larger scale"
        )
    factor = multiplier("HardSwish", y, x.scale * x.scale / (256 * 6 * y.scale), LARGEST_FACTOR64)
    return HardSwish16Params(three, six, factor)


def _sigmoid_params(graph: Graph, op: Logistic | Tanh) -> SigmoidParams:
    scale = graph[op.inputs[0]].scale
    shifts = 1 if isinstance(op, Logistic) else 2  # this many powers of two from 2^-12 need no product except by 3
    if scale >= LARGEST_CURVE16_SCALE:
        raise GraphError(
            f"an int16 Logistic or Tanh has input scale {scale:.6g}, expected below {LARGEST_CURVE16_SCALE}; "
            "quantize its input with a smaller scale"
        )
    log2 = _checked_log2(scale)
    if log2 is not None and 0 <= log2 + 12 < shifts:
        return SigmoidParams(3 << (log2 + 12), 0)
    factor, shift = scale * 4096.0 * 3.0, 0
    while factor <= 32767.0 / 2.0 and shift <= 30:
        factor, shift = factor * 2.0, shift + 1
    return SigmoidParams(int(factor), shift)


def _checked_log2(scale: float) -> int | None:
    """log2 of a scale that is within a thousandth of a power of two (in the exponent), else None."""
    exponent = math.log2(scale)
    nearest = fx.round_half_away(exponent)
    return nearest if abs(exponent - nearest) < 1e-3 else None


def _abs8(graph: Graph, op: Abs) -> fx.IntArray:
    return leaky_relu(_INT8, abs_params(graph, op))


def _rsqrt8(graph: Graph, op: Rsqrt) -> fx.IntArray:
    """int8 RSQRT by Newton's method in fixed point. Zero and negative inputs give the highest value."""
    x, y = graph[op.inputs[0]], graph.out(op)
    product = float(np.sqrt(np.float32(x.scale)) * np.float32(y.scale))
    factor = fx.quantize_multiplier(1 / product)
    values = np.maximum(_INT8 - x.zero_point, 0)
    roots = [fx.inverse_sqrt(max(int(v), 1)) for v in values]
    data = fx.as_int64([int(fx.requantize(1, m, shift + _RSQRT_SHIFT)) for m, shift in roots])
    limited = np.clip(fx.requantize(data, factor.m, factor.shift - _RSQRT_SHIFT) + y.zero_point, -128, 127)
    return np.where(values == 0, 127, limited)


def _rescaled8(graph: Graph, op: Quantize | Relu) -> fx.IntArray:
    return rescaled(_INT8, rescale_params(graph, op))


def _leaky_relu8(graph: Graph, op: LeakyRelu) -> fx.IntArray:
    return leaky_relu(_INT8, leaky_relu_params(graph, op))


INTEGER8: Mapping[type[Op], Form] = {
    Abs: _abs8,
    HardSwish: _hard_swish8,
    LeakyRelu: _leaky_relu8,
    Logistic: _curve8,
    Lookup: lambda graph, op: np.array(op.table),
    Quantize: _rescaled8,
    Relu: _rescaled8,
    Rsqrt: _rsqrt8,
    Tanh: _curve8,
}
"""All results of the functions whose int8 form has its own integer arithmetic."""

INTEGER16: Mapping[type[Op], Form] = {
    Abs: abs_params,
    HardSwish: _hard_swish16_params,
    LeakyRelu: leaky_relu_params,
    Logistic: _sigmoid_params,
    Quantize: rescale_params,
    Relu: rescale_params,
    Tanh: _sigmoid_params,
}
"""Parameters of the functions whose int16 form has its own integer arithmetic, and of type conversions."""
