"""Rules of one tensor by itself."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from ..ir import Array, DType, QParams, Role, Tensor

LARGEST_RANK = 6  # of any .tflite kernel
MOST_ELEMENTS = 1 << 31


def tensor_problems(key: int, t: Tensor) -> Iterator[str]:
    if t.id != key:
        yield f"is filed under id {key}"
    if any(n < 1 for n in t.shape) or len(t.shape) > LARGEST_RANK:
        yield f"has shape {t.shape}, expected at most {LARGEST_RANK} axes of at least 1"
    if math.prod(t.shape) >= MOST_ELEMENTS:
        yield f"has {math.prod(t.shape)} elements, expected fewer than {MOST_ELEMENTS}"
    if t.bits != t.dtype.bits and (t.bits, t.dtype, t.role) != (4, DType.INT8, Role.CONSTANT):
        yield f"has {t.bits} bits of {t.dtype}, expected {t.dtype.bits}, or 4 of a constant int8"
    if t.q is not None:
        yield from _quantisation_problems(t, t.q)
    yield from _data_problems(t)


def _quantisation_problems(t: Tensor, q: QParams) -> Iterator[str]:
    if not t.dtype.is_integer:
        yield f"is {t.dtype} and quantised, expected one or the other"
    for s in q.scale:
        if not (s > 0 and math.isfinite(s) and float(np.float32(s)) == s):
            yield f"has the scale {s!r}, expected a positive float32 value"
    if not -(1 << 31) <= q.zero_point < 1 << 31 or (t.dtype.is_integer and not _within(q.zero_point, t)):
        yield f"has zero point {q.zero_point}, expected one in {t.dtype.range()}"
    if q.axis is None and len(q.scale) != 1:
        yield f"has {len(q.scale)} scales and no axis, expected 1"
    if q.axis is not None:
        yield from _axis_problems(t, q, q.axis)


def _axis_problems(t: Tensor, q: QParams, axis: int) -> Iterator[str]:
    if not 0 <= axis < len(t.shape):
        yield f"has scales along axis {axis}, expected an axis of shape {t.shape}"
    elif len(q.scale) != t.shape[axis]:
        yield f"has {len(q.scale)} scales along axis {axis}, expected {t.shape[axis]}"
    if q.zero_point != 0:
        yield f"has scales along an axis and zero point {q.zero_point}, expected 0"


def _within(value: int, t: Tensor) -> bool:
    low, high = t.dtype.range()
    return low <= value <= high


def _data_problems(t: Tensor) -> Iterator[str]:
    valued = t.role in (Role.CONSTANT, Role.STATE)
    if valued != (t.data is not None):
        yield f"has role {t.role} and {'no' if t.data is None else 'a'} value"
    if t.data is None:
        return
    if t.data.shape != t.shape or t.data.dtype != t.dtype.numpy:
        yield f"has a value of {t.data.dtype} {t.data.shape}, expected {t.dtype} {t.shape}"
    else:
        yield from _range_problems(t, t.data)


def _range_problems(t: Tensor, data: Array) -> Iterator[str]:
    if t.dtype.is_integer and t.bits < t.dtype.bits:
        low, high = t.dtype.range(t.bits)
        if data.min() < low or data.max() > high:
            yield f"has values {data.min()} to {data.max()}, expected {t.bits} bits: {low} to {high}"
    if not t.dtype.is_integer and not np.isfinite(data).all():
        yield "has a value that is not finite"
