"""Constants as integers; TFLite's quantization specification, "Per-axis vs per-tensor" and its table of operations.

Weights: symmetric int8 in [-127, 127], a scale for each output channel. Bias: scale x scale * w scale, zero point 0,
int32 under int8 activations, int64 under int16 ones. Other operands: like an activation.
"""

from __future__ import annotations

import numpy as np

from .. import ops
from ..errors import ModelError, UnsupportedOpError
from ..ir import Array, DType, Graph, Op, QParams, Tensor

WEIGHTED = (ops.Conv2D, ops.DepthwiseConv2D, ops.FullyConnected, ops.TransposeConv)
MIN_SCALE = 2.0**-60
"""Keeps the product of two scales a normal float32."""
_SMALLEST_FACTOR = 2.0**-30
"""x scale * w scale / y scale: below, the whole sum of a channel cannot move its output, and no multiplier holds it."""
_ACC_LIMIT = {DType.INT8: 1 << 30, DType.INT16: 1 << 46}
"""Bias and sum together stay below: half of int32, or half of what the 64-bit requantization takes."""


def largest_weights(graph: Graph, op: Op) -> Array:
    """Largest magnitude of each output channel's weights, float64. UnsupportedOpError when they are not constant."""
    w = graph[op.inputs[1]]
    if w.data is None:
        raise UnsupportedOpError(
            f"{op.kind} {graph.out(op).name!r}: its weights {w.name!r} are computed by the network; "
            "only constant weights can be quantized. Use a matrix product (torch.matmul) instead"
        )
    axis = _channel_axis(op)
    others = tuple(i for i in range(len(w.shape)) if i != axis)
    largest: Array = np.abs(data_of(w)).max(axis=others, initial=0.0)
    return largest


def quantized_weights(graph: Graph, op: Op, x: QParams, y: QParams, dtype: DType) -> tuple[Tensor, ...]:
    """The constants of a weighted op (weights, then bias if there is one) for input and output as `x` and `y` say."""
    constants = [graph[i] for i in op.inputs[1:]]
    limit = _bias_limit(constants[0], _channel_axis(op), dtype)
    w = _stored_weights(constants[0], _scales(graph, op, x, y, limit), _channel_axis(op))
    return (w, *(_stored_bias(b, x, w, limit, dtype) for b in constants[1:]))


def operand(op: Op, t: Tensor, dtype: DType) -> QParams:
    """How a constant that is added, multiplied or matrix-multiplied is stored: its whole range, zero exact."""
    symmetric = isinstance(op, ops.BatchMatMul)  # without a zero point the kernel has nothing to correct for
    return from_range(float(data_of(t).min()), float(data_of(t).max()), dtype, symmetric)


def stored_operand(t: Tensor, q: QParams, dtype: DType) -> Tensor:
    """A constant in the units of `q`; values beyond the range, infinite ones too, become its nearest end."""
    assert t.data is not None
    low, high = dtype.range()
    stored = np.clip(np.rint(t.data.astype(np.float64) / q.scale[0]) + q.zero_point, low, high)
    return Tensor(t.id, t.shape, dtype, t.role, q=q, data=stored.astype(dtype.numpy), name=t.name)


def from_range(low: float, high: float, dtype: DType, symmetric: bool = False) -> QParams:
    """The finest scale that covers [low, high] and zero, which is exact: an end may move by half a step to make it so.

    int16 is always symmetric. TFLite's quantization specification, section "Symmetric vs asymmetric".
    """
    low, high = min(low, 0.0), max(high, 0.0)
    if low == high:  # nothing but zero was seen: any scale is exact for it
        low, high = -1.0, 1.0
    lowest, highest = dtype.range()
    if symmetric or dtype is not DType.INT8:
        return QParams.of(max(max(-low, high) / highest, MIN_SCALE))
    scale = float(np.float32(max((high - low) / (highest - lowest), MIN_SCALE)))
    return QParams.of(scale, min(max(round(lowest - low / scale), lowest), highest))


def data_of(t: Tensor) -> Array:
    """A constant's values as float64. ModelError when one is not a number."""
    assert t.data is not None, f"tensor {t.id} ({t.name!r}) is no constant"
    if not np.isfinite(t.data).all():
        raise ModelError(f"constant {t.name!r} holds NaN or infinity: the network's training diverged; export another")
    return t.data.astype(np.float64)


def _channel_axis(op: Op) -> int:
    return 3 if isinstance(op, ops.DepthwiseConv2D) else 0


def _bias_limit(w: Tensor, axis: int, dtype: DType) -> int:
    """Largest stored bias that leaves room for the sum of all products; never less than a quarter of the room."""
    low, high = dtype.range()
    products = w.elements // w.shape[axis] * 127 * (high - low)
    return max(_ACC_LIMIT[dtype] - products, _ACC_LIMIT[dtype] // 4)


def _scales(graph: Graph, op: Op, x: QParams, y: QParams, bias_limit: int) -> Array:
    """One float32 scale an output channel: the finest that holds its weights, unless that is too fine.

    Too fine is where the bias does not fit beside the sum (a channel with all but no weights) or the rescale factor is
    too small for a multiplier. Up to a factor of one, a coarser scale costs such a channel nothing.
    """
    unit = y.scale[0] / x.scale[0]
    floor = np.full(graph[op.inputs[1]].shape[_channel_axis(op)], unit * _SMALLEST_FACTOR)
    if len(op.inputs) > 2:
        floor = np.maximum(floor, np.abs(data_of(graph[op.inputs[2]])) / (x.scale[0] * bias_limit))
    floor = np.maximum(np.minimum(floor, unit / 2), MIN_SCALE)
    scales: Array = np.maximum(largest_weights(graph, op) / 127, floor).astype(np.float32)
    return scales


def _stored_weights(t: Tensor, scales: Array, axis: int) -> Tensor:
    along = scales.astype(np.float64).reshape([-1 if i == axis else 1 for i in range(len(t.shape))])
    stored = np.clip(np.rint(data_of(t) / along), -127, 127).astype(np.int8)
    return Tensor(t.id, t.shape, DType.INT8, t.role, q=QParams.of(scales, axis=axis), data=stored, name=t.name)


def _stored_bias(t: Tensor, x: QParams, w: Tensor, limit: int, dtype: DType) -> Tensor:
    assert w.q is not None
    scales = np.float32(x.scale[0]) * np.asarray(w.q.scale, np.float32)
    stored_type = DType.INT32 if dtype is DType.INT8 else DType.INT64
    stored = np.clip(np.rint(data_of(t) / scales.astype(np.float64)), -limit, limit).astype(stored_type.numpy)
    return Tensor(t.id, t.shape, stored_type, t.role, q=QParams.of(scales, axis=0), data=stored, name=t.name)
