"""Weights and biases, which must be constants that fit their input."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ...ir import DType, QParams, Tensor
from ..schema import Quantization
from .operator_node import Node
from .tensor_reader import CHANNEL_COST
from .unsigned import is_unsigned, signed_weights

_MOST_BIAS_ERROR = 0.01
"""Tolerance of a bias's scale. Biases are in units of input scale * weight scale, as interpreters assume; a file that
states another scale beyond rounding is wrong.
"""
_LEAST_SCALE = 1e-20
"""Smallest scale of weights for this check."""
_BIAS_TYPES = {DType.INT8: (DType.INT32,), DType.INT16: (DType.INT64, DType.INT32)}
_TYPE_INT32 = 2


def weights(node: Node, k: int, x: Tensor, channel_axis: int) -> Tensor:
    """Operand k as weights for `x`: float32 for a float input (stored int8 weights are expanded), else int8."""
    w = node.constant(k, "weights")
    if is_unsigned(node.translation.file, w.id) and w.q is not None and w.q.axis is None:
        w = node.translation.add(signed_weights(w, channel_axis, node.row.code == "FULLY_CONNECTED"))
    if x.dtype is DType.FLOAT32:
        return w if w.dtype is DType.FLOAT32 else node.translation.expanded(w)
    if x.dtype not in _BIAS_TYPES or w.dtype is not DType.INT8 or w.q is None:
        raise node.unsupported(
            f"has {w.dtype} weights for {x.dtype} input; expected int8 weights for int8 or int16 input"
        )
    if w.q.axis not in (None, channel_axis):
        raise node.error(f"has weights with a scale for each index along axis {w.q.axis}, expected axis {channel_axis}")
    if w.q.zero_point and node.row.code != "FULLY_CONNECTED":
        raise node.unsupported(f"has weights with zero point {w.q.zero_point}, expected 0")
    return w


def bias(node: Node, k: int, x: Tensor, w: Tensor, channels: int) -> tuple[int, ...]:
    """Operand k as bias of shape (channels,) in units of x scale * w scale: its id, or none."""
    node.translation.spend(channels * CHANNEL_COST, w.id)
    if not node.has(k):
        return _implied_bias(node, x, w, channels)
    stated = _stated_quantization(node, k)
    b = node.constant(k, "bias")
    if b.elements != channels or len(b.shape) > 4:
        raise node.error(f"has a bias of shape {list(b.shape)} for {channels} output channels")
    if x.dtype is DType.FLOAT32 and b.dtype is DType.FLOAT32:
        return (_reshaped(node, b, None).id,)
    if b.dtype not in _BIAS_TYPES.get(x.dtype, ()):
        raise node.unsupported(f"has a {b.dtype} bias for {x.dtype} input")
    q = _bias_qparams(node, x, w)
    if stated is not None and b.value.any():
        _check_scales(node, stated, q)
    return (_reshaped(node, b, q).id,)


def _stated_quantization(node: Node, k: int) -> Quantization | None:
    """The stated quantization of an integer bias, if it can matter: kernels do not read it.

    A bias that several layers share can state it for one of them only.
    """
    index, file = node.row.inputs[k], node.translation.file
    row = node.translation.row(index, f"input {k} of operator {node.index} ({node.row.code})")
    if row.data is None or row.type not in ("INT32", "INT64"):
        return None
    node.translation.constant(index, replace(row, quantization=None))
    readers = sum(index in operator.inputs for operator in file.operators)
    return row.quantization if readers == 1 else None


def _implied_bias(node: Node, x: Tensor, w: Tensor, channels: int) -> tuple[int, ...]:
    """The bias type determines the width of sums, so that for int16 input a missing bias may mean 32-bit zeros."""
    if x.dtype is not DType.INT16 or node.row.options.get("quantized_bias_type") != _TYPE_INT32:
        return ()
    q = _bias_qparams(node, x, w)
    return (node.new_constant(np.zeros(channels, np.int32), DType.INT32, q).id,)


def _bias_qparams(node: Node, x: Tensor, w: Tensor) -> QParams:
    with np.errstate(over="ignore", under="ignore"):
        scales = np.float32(x.scale) * np.asarray(w.qparams.scale, np.float32)
    if not (np.isfinite(scales).all() and (scales > 0).all()):
        raise node.error(
            f"has scales whose product is no float32: input {x.scale}, weights {min(w.qparams.scale)} or above"
        )
    by_channel = w.qparams.axis is not None and not (w.qparams.zero_points and scales.size == 1)
    return QParams.of(scales, axis=0 if by_channel else None)


def _check_scales(node: Node, actual: Quantization, expected: QParams) -> None:
    ours, theirs = np.asarray(expected.scale), np.asarray(actual.scale)
    zero_point = next((z for z in actual.zero_point if z), 0)
    if theirs.size not in (1, ours.size) or zero_point:
        what = f"{theirs.size} scales and zero point {zero_point}"
        raise node.error(f"has a bias with {what}, expected {ours.size} and 0 as the weights")
    errors = np.where((theirs == 0) & (ours < _LEAST_SCALE), 0, np.abs(theirs / ours - 1))
    if errors.max() > _MOST_BIAS_ERROR:
        worst = int(errors.argmax())
        scale = theirs[worst % theirs.size]
        expected_scale = f"input scale * weight scale, {ours[worst]:.6g}"
        raise node.error(f"has a bias of scale {scale:.6g} in channel {worst}, expected {expected_scale}")


def _reshaped(node: Node, b: Tensor, q: QParams | None) -> Tensor:
    """`b` if it is flat and has these parameters, else a copy that is."""
    if len(b.shape) == 1 and b.q == q:
        return b
    return node.translation.add(replace(b, shape=(b.elements,), data=b.value.reshape(-1), q=q))
