"""Constants as integers; TFLite's quantization specification, "Per-axis vs per-tensor" and its table of operations.

Weights: by their quantizer; by default symmetric int8 in [-127, 127] with one scale per output channel. Bias: scale x
scale * w scale, zero point 0, int32 for int8 activations, int64 for int16 ones. Other operands: like an activation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from ..errors import ModelError, UnsupportedOpError
from ..ir import Array, DType, Graph, Op, QParams, Tensor, ops
from .quantizers import Grid, Quantizer, two_levels

WEIGHTED = (ops.Conv2D, ops.DepthwiseConv2D, ops.FullyConnected, ops.TransposeConv)
MIN_SCALE = 2.0**-60
"""Smallest scale, so that the product of two scales is a normal float32."""
_SMALLEST_FACTOR = 2.0**-30
"""Smallest x scale * w scale / y scale: below, the whole sum of a channel cannot change its output, and no multiplier
represents it.
"""
_ACC_LIMIT = {DType.INT8: 1 << 30, DType.INT16: 1 << 46}
"""Limit of bias and sum together: half of int32, or half of the range of the 64-bit requantization."""


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """A layer's quantizer, and its grid for the weights alone."""

    quantizer: Quantizer
    grid: Grid

    @property
    def reach(self) -> int:
        """Largest integer that an input is multiplied with, including channel multipliers."""
        return self.grid.reach * (self.grid.levels if self.quantizer.snap is two_levels else 1)

    def floor(self, least: Array) -> Array:
        """The finest channel scales (C,) if no stored unit may be finer than `least`: two levels have only one unit."""
        if self.quantizer.snap is not two_levels:
            return least
        floor = least.copy()
        floor[self.grid.scales.argmax()] = least.max() * self.grid.levels
        return floor


FittedLayers = Mapping[int, Fitted]
"""Output tensor of a weighted operation -> storage of its weights."""


def fit_weights(graph: Graph, quantizer: Quantizer, bits: Mapping[int, int]) -> dict[int, Fitted]:
    """The grids of all weighted operations of `graph`; `bits` is by output tensor. Raises UnsupportedOpError if weights
    are not constant.
    """
    layers = [op for op in graph.ops if isinstance(op, WEIGHTED)]
    return {op.output: Fitted(quantizer, quantizer.fit(weight_rows(graph, op), bits[op.output])) for op in layers}


def weight_rows(graph: Graph, op: Op) -> Array:
    """(C, n) float64: one row per output channel. Raises UnsupportedOpError if the weights are not constant."""
    w = graph[op.inputs[1]]
    if w.data is None:
        raise UnsupportedOpError(
            f"{op.kind} {graph.out(op).name!r}: its weights {w.name!r} are computed by the network; "
            "only constant weights can be quantized. Use a matrix product (torch.matmul) instead"
        )
    return to_rows(data_of(w), channel_axis(op))


def to_rows(w: Array, axis: int) -> Array:
    return np.moveaxis(w, axis, 0).reshape(w.shape[axis], -1)


def from_rows(rows: Array, w: Tensor, axis: int) -> Array:
    """The inverse of `to_rows`, for a tensor shaped as `w`."""
    shape = (w.shape[axis], *(n for i, n in enumerate(w.shape) if i != axis))
    return np.ascontiguousarray(np.moveaxis(rows.reshape(shape), 0, axis))


def quantized_weights(graph: Graph, op: Op, x: QParams, y: QParams, dtype: DType, fitted: Fitted) -> tuple[Tensor, ...]:
    """The constants of a weighted op (weights, then bias if there is one) for input parameters `x` and output
    parameters `y`.
    """
    w, *biases = (graph[i] for i in op.inputs[1:])
    limit, axis = bias_limit(w, channel_axis(op), dtype, fitted.reach), channel_axis(op)
    grid = fitted.quantizer.raised(fitted.grid, fitted.floor(least_scales(graph, op, x, y, limit)))
    rows = fitted.quantizer.stored(grid, weight_rows(graph, op))
    data = from_rows(rows.astype(np.int8), w, axis)
    stored = replace(w, dtype=DType.INT8, bits=grid.bits, q=fitted.quantizer.qparams(grid, axis), data=data)
    return (stored, *(stored_bias(b, data_of(b), x, stored, limit, dtype) for b in biases))


def operand(op: Op, t: Tensor, dtype: DType) -> QParams:
    """Parameters of a constant that is added, multiplied or matrix-multiplied: its whole range, with exact zero."""
    symmetric = isinstance(op, ops.BatchMatMul)  # without a zero point the kernel has nothing to correct
    return from_range(float(data_of(t).min()), float(data_of(t).max()), dtype, symmetric)


def stored_operand(t: Tensor, q: QParams, dtype: DType) -> Tensor:
    """A constant in the units of `q`. Values beyond the range, also infinite ones, become its nearest end."""
    low, high = dtype.range()
    stored = np.clip(np.rint(t.value.astype(np.float64) / q.scale[0]) + q.zero_point, low, high)
    return Tensor(t.id, t.shape, dtype, t.role, q=q, data=stored.astype(dtype.numpy), name=t.name)


def from_range(low: float, high: float, dtype: DType, symmetric: bool = False) -> QParams:
    """The finest scale that covers [low, high] and zero, which is exact: an end may move by half a step for that.

    int16 is always symmetric. TFLite's quantization specification, section "Symmetric vs asymmetric".
    """
    low, high = min(low, 0.0), max(high, 0.0)
    if low == high:  # all values are zero: any scale is exact
        low, high = -1.0, 1.0
    lowest, highest = dtype.range()
    if symmetric or dtype is not DType.INT8:
        return QParams.of(max(max(-low, high) / highest, MIN_SCALE))
    scale = float(np.float32(max((high - low) / (highest - lowest), MIN_SCALE)))
    return QParams.of(scale, min(max(round(lowest - low / scale), lowest), highest))


def data_of(t: Tensor) -> Array:
    """A constant's values as float64. Raises ModelError if one is not a number."""
    if not np.isfinite(t.value).all():
        raise ModelError(f"constant {t.name!r} holds NaN or infinity: the network's training diverged; export another")
    return t.value.astype(np.float64)


def channel_axis(op: Op) -> int:
    return 3 if isinstance(op, ops.DepthwiseConv2D) else 0


def bias_limit(w: Tensor, axis: int, dtype: DType, reach: int) -> int:
    """Largest stored bias that leaves room for the sum of all products; at least a quarter of the room.

    `reach` is the largest integer of a weight.
    """
    low, high = dtype.range()
    products = w.elements // w.shape[axis] * reach * (high - low)
    return max(_ACC_LIMIT[dtype] - products, _ACC_LIMIT[dtype] // 4)


def least_scales(graph: Graph, op: Op, x: QParams, y: QParams, bias_limit: int) -> Array:
    """The finest weight scale of each output channel that the kernels support.

    Finer ones are too fine if the bias does not fit beside the sum (a channel with nearly no weights), or the rescale
    factor is too small for a multiplier. Up to a factor of one, a coarser scale costs such a channel nothing.
    """
    unit = y.scale[0] / x.scale[0]
    floor = np.full(graph[op.inputs[1]].shape[channel_axis(op)], unit * _SMALLEST_FACTOR)
    if len(op.inputs) > 2:
        floor = np.maximum(floor, np.abs(data_of(graph[op.inputs[2]])) / (x.scale[0] * bias_limit))
    return np.asarray(np.maximum(np.minimum(floor, unit / 2), MIN_SCALE))


def stored_bias(t: Tensor, values: Array, x: QParams, w: Tensor, limit: int, dtype: DType) -> Tensor:
    """Real `values` in units of x scale * w scale, as the tensor `t`."""
    scales = np.float32(x.scale[0]) * np.asarray(w.qparams.scale, np.float32)
    stored_type = DType.INT32 if dtype is DType.INT8 else DType.INT64
    stored = np.clip(np.rint(values / scales.astype(np.float64)), -limit, limit).astype(stored_type.numpy)
    q = QParams.of(scales, axis=0 if scales.size == t.elements else None)
    return Tensor(t.id, t.shape, stored_type, t.role, q=q, data=stored, name=t.name)
