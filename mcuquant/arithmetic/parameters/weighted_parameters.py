"""Integers of the operations that multiply and accumulate: convolutions, fully connected, matrix product."""

from __future__ import annotations

from dataclasses import dataclass

from ...ir import BatchMatMul, Conv2D, DepthwiseConv2D, DType, FullyConnected, Graph, Tensor, TransposeConv
from .. import fixedpoint as fx
from .factors import LARGEST_FACTOR, LARGEST_FACTOR64, act_bounds, f32, multiplier

Weighted = Conv2D | DepthwiseConv2D | TransposeConv | FullyConnected


@dataclass(frozen=True, slots=True)
class ConvParams:
    """acc = bias[o] + sum((x - x_zero) * w.integer_values); y = clamp(requantize(acc, multipliers[o]) + y_zero).

    `w.integer_values` are the stored weights minus their zero point, times their channel's multiplier if any.
    Padding adds nothing to acc.
    """

    x_zero: int
    """Zero point of the input; 0 for int16."""
    w_zero: int
    """Zero point of the weights; 0 if each channel has its own."""
    y_zero: int
    """Zero point of the output; 0 for int16."""
    multipliers: tuple[fx.Multiplier, ...]
    """x scale * w scale / y scale, one per output channel, also if the weights have a single scale."""
    act_min: int
    act_max: int
    """Clamp of the stored output, activation included."""
    acc_bits: int
    """32: `requantize`, sums wrap at 32 bits. 64: `requantize64` (int16 input unless its bias is int32)."""


@dataclass(frozen=True, slots=True)
class MatMulParams:
    """acc = sum((a - a_zero) * (b - b_zero)); y = clamp(requantize(acc, multiplier) + y_zero, act_min, act_max)."""

    a_zero: int
    b_zero: int
    y_zero: int
    multiplier: fx.Multiplier
    act_min: int
    act_max: int
    acc_bits: int
    """32 (int8) or 64 (int16), as in ConvParams."""


def conv_params(graph: Graph, op: Weighted) -> ConvParams:
    x, w, y = graph[op.inputs[0]], graph[op.inputs[1]], graph.out(op)
    acc_bits = _acc_bits(x, graph[op.inputs[2]] if len(op.inputs) > 2 else None)
    factors = tuple(multiplier(op.kind, y, f, _below(acc_bits)) for f in rescale_factors(op, x, w, y))
    channels = w.shape[3] if isinstance(op, DepthwiseConv2D) else w.shape[0]
    multipliers = factors if len(factors) == channels else factors * channels
    return ConvParams(x.zero_point, w.zero_point, y.zero_point, multipliers, *act_bounds(y, op.activation), acc_bits)


def rescale_factors(op: Weighted, x: Tensor, w: Tensor, y: Tensor) -> tuple[float, ...]:
    """x scale * w scale / y scale, for each scale of the weights."""
    if not isinstance(op, TransposeConv) and op.single_factor:
        return tuple(f32(f32(x.scale * scale) / y.scale) for scale in w.qparams.scale)
    return tuple(x.scale * scale / y.scale for scale in w.qparams.scale)


def _below(acc_bits: int) -> float:
    return LARGEST_FACTOR64 if acc_bits == 64 else LARGEST_FACTOR


def _acc_bits(x: Tensor, bias: Tensor | None) -> int:
    narrow = x.dtype is DType.INT8 or (bias is not None and bias.dtype is DType.INT32)
    return 32 if narrow else 64


def matmul_params(graph: Graph, op: BatchMatMul) -> MatMulParams:
    a, b = graph.ins(op)
    y, acc_bits = graph.out(op), _acc_bits(a, None)
    factor = multiplier(op.kind, y, a.scale * b.scale / y.scale, _below(acc_bits))
    return MatMulParams(a.zero_point, b.zero_point, y.zero_point, factor, *y.dtype.range(), acc_bits)
