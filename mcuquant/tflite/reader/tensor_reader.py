"""Converts rows of a .tflite's tensor table to tensors of a graph: types, quantization and constants, all checked."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from ...errors import ModelError
from ...ir import Array, DType, QParams, Role, Tensor
from ..schema import Quantization, TensorRow

MAX_RANK = 6
MAX_ACTIVATION_ELEMENTS = 1 << 21
MAX_CONSTANT_ELEMENTS = 1 << 23
"""Maximum constants of one file in bytes, about as much as the largest flash of a microcontroller."""
MAX_ACTIVATIONS_ELEMENTS = 1 << 24
"""Maximum elements of all activations of one file."""
_NO_SCALE = 2.0**-100
"""Replaces a scale of 0: so small that the sums of its channel have no effect, as with 0."""
CHANNEL_COST = 128
"""Cost of an output channel (multiplier, shift, bias) in weights, for time and memory of processing."""

_DTYPES = {
    "BOOL": DType.BOOL,
    "FLOAT32": DType.FLOAT32,
    "FLOAT16": DType.FLOAT32,
    "INT4": DType.INT8,
    "INT8": DType.INT8,
    "UINT8": DType.INT8,
    "INT16": DType.INT16,
    "INT32": DType.INT32,
    "INT64": DType.INT64,
    "UINT32": DType.UINT32,
    "UINT64": DType.UINT64,
}
_STORED: dict[str, np.dtype[Any]] = {
    "FLOAT16": np.dtype("<f2"),
    **dict.fromkeys(("BOOL", "INT4", "UINT8"), np.dtype(np.uint8)),
}
_OFFSETS = {"UINT8": 128}
"""Offset of stored values and zero points relative to the graph."""
TYPES = frozenset(_DTYPES)
"""Element types that a graph supports."""
CONSTANT_TYPES = frozenset(("FLOAT16", "INT4"))
"""Element types of constants only: FLOAT16 becomes float32, INT4 an int8 of 4 bits."""


def tensor(index: int, row: TensorRow, role: Role, where: str) -> Tensor:
    """Tensor `index` without its data. `where` begins every message. Raises ModelError."""
    dtype = _DTYPES[row.type]
    shape = _shape(row, role, where)
    scaled = dtype.is_integer and not _is_plain(dtype, role)
    q = _qparams(row.quantization, row, shape, where) if scaled and row.quantization else None
    if q is None and dtype in (DType.INT8, DType.INT16):
        raise ModelError(f"{where}: {row.type} without a scale; convert the model with full integer quantization")
    return Tensor(index, shape, dtype, role, 4 if row.type == "INT4" else 0, q, name=row.name)


def _is_plain(dtype: DType, role: Role) -> bool:
    """Whether a scale means nothing: of truth values, and of whole numbers that are computed."""
    return dtype is DType.BOOL or (dtype in (DType.INT32, DType.INT64) and role is not Role.CONSTANT)


def scaled(t: Tensor, row: TensorRow, where: str) -> Tensor:
    """`t` with the scale that the file has."""
    return t if row.quantization is None else replace(t, q=_qparams(row.quantization, row, t.shape, where))


def constant(index: int, row: TensorRow, where: str) -> Tensor:
    """Tensor `index` with its data, a copy."""
    t = tensor(index, row, Role.CONSTANT, where)
    return replace(t, data=values(row, t.shape, where))


def values(row: TensorRow, shape: tuple[int, ...], where: str) -> Array:
    """The constant's elements: float16 as float32, 4-bit integers one per int8, uint8 minus 128."""
    if row.data is None:
        raise ModelError(f"{where}: no value, expected a constant")
    dtype = _DTYPES[row.type]
    stored = _STORED.get(row.type, dtype.numpy.newbyteorder("<"))
    count = math.prod(shape)
    expected = (count + 1) // 2 if row.type == "INT4" else count * stored.itemsize
    if len(row.data) != expected:
        raise ModelError(f"{where}: {len(row.data)} bytes of data, expected {expected} for {row.type} {list(shape)}")
    data = np.frombuffer(row.data, stored)
    with np.errstate(invalid="ignore"):
        array = _unpack_int4(data, count) if row.type == "INT4" else data.astype(dtype.numpy)
    if row.type in _OFFSETS:
        array ^= -128
    return array.reshape(shape)


def dequantised(t: Tensor, where: str) -> Tensor:
    """A constant as float32: scale * (stored - zero_point) in single precision, as TFLite computes it."""
    if t.dtype is DType.FLOAT32:
        return t
    if t.q is None:
        raise ModelError(f"{where}: {t.dtype} without a scale, expected a quantised constant")
    scale = np.asarray(t.q.scale, np.float32)
    if t.q.axis is not None:
        scale = scale.reshape([-1 if i == t.q.axis else 1 for i in range(len(t.shape))])
    with np.errstate(over="ignore", under="ignore"):
        data = (t.value.astype(np.float32) - np.float32(t.q.zero_point)) * scale
    return Tensor(t.id, t.shape, DType.FLOAT32, Role.CONSTANT, data=data.astype(np.float32), name=t.name)


def _shape(row: TensorRow, role: Role, where: str) -> tuple[int, ...]:
    shape = _fixed_batch(row, where) if role is Role.INPUT else row.shape
    if len(shape) > MAX_RANK:
        raise ModelError(f"{where}: {len(shape)} axes, expected at most {MAX_RANK}")
    if any(n < 1 for n in shape):
        raise ModelError(f"{where}: shape {list(shape)}, every axis should have at least one element")
    limit = MAX_CONSTANT_ELEMENTS if role is Role.CONSTANT else MAX_ACTIVATION_ELEMENTS
    if math.prod(shape) > limit:
        raise ModelError(f"{where}: shape {list(shape)} is {math.prod(shape):,} elements, the most taken are {limit:,}")
    return shape


def _fixed_batch(row: TensorRow, where: str) -> tuple[int, ...]:
    """The input's shape; an open batch becomes 1."""
    open_axes = [axis for axis, n in enumerate(row.signature) if n == -1]
    if any(axis > 0 for axis in open_axes) or (open_axes and len(row.signature) != len(row.shape)):
        raise ModelError(
            f"{where}: shape {list(row.signature)} is open along more than the batch; convert the model with a fixed "
            "input shape"
        )
    return (1, *row.shape[1:]) if open_axes and row.shape else row.shape


def _qparams(q: Quantization, row: TensorRow, shape: tuple[int, ...], where: str) -> QParams:
    bad = next((s for s in q.scale if not (math.isfinite(s) and s > 0)), None)
    if bad is not None and not _is_unused(q, row, shape):
        raise ModelError(f"{where}: scale {bad}, expected a positive finite number")
    if len(q.zero_point) not in (0, len(q.scale)):
        raise ModelError(f"{where}: {len(q.zero_point)} zero points for {len(q.scale)} scales, expected as many")
    scale = tuple(s or _NO_SCALE for s in q.scale)
    offset, (low, high) = _OFFSETS.get(row.type, 0), _DTYPES[row.type].range()
    zero_points = [z - offset for z in q.zero_point or (0,) * len(scale)]
    if len(scale) > 1:
        return _per_channel(scale, zero_points, q.axis, shape, where)
    if not low <= zero_points[0] <= high:
        limits = f"{low + offset} to {high + offset} for {row.type.lower()}"
        raise ModelError(f"{where}: zero point {zero_points[0] + offset}, expected {limits}")
    return QParams(scale, zero_points[0])


def _is_unused(q: Quantization, row: TensorRow, shape: tuple[int, ...]) -> bool:
    """Whether all scales that are not positive are 0 and belong to channels of zeros."""
    values = None if row.data is None or row.type != "INT8" or len(row.data) != math.prod(shape) else row.data
    if values is None or any(s < 0 or not math.isfinite(s) for s in q.scale) or any(q.zero_point):
        return False
    array = np.frombuffer(values, np.int8).reshape(shape)
    if len(q.scale) == 1:
        return not array.any()
    if not (0 <= q.axis < len(shape) and shape[q.axis] == len(q.scale)):
        return False
    used = np.moveaxis(array, q.axis, 0).reshape(len(q.scale), -1).any(axis=1)
    return bool((used <= (np.array(q.scale) > 0)).all())


def _per_channel(
    scale: tuple[float, ...], zero_points: list[int], axis: int, shape: tuple[int, ...], where: str
) -> QParams:
    if not (0 <= axis < len(shape) and shape[axis] == len(scale)):
        raise ModelError(
            f"{where}: {len(scale)} scales along axis {axis} of shape {list(shape)}, expected one for each"
        )
    if any(zero_points):
        raise ModelError(f"{where}: a zero point for each channel, expected 0 where there are many scales")
    return QParams(scale, 0, axis)


def _unpack_int4(packed: Array, count: int) -> Array:
    """Sign-extend nibbles, the low one first (tensorflow/lite/kernels/internal/portable_tensor_utils, `UnpackInt4`)."""
    nibbles = np.stack([packed & 0x0F, packed >> 4], axis=1).ravel()[:count].astype(np.int8)
    return np.where(nibbles > 7, nibbles - 16, nibbles).astype(np.int8)
