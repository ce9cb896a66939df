"""Rules of single tensors."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from .. import Array, DType, Palette, QParams, Role, Tensor
from ..palette import MOST_ENTRIES

LARGEST_RANK = 6  # limit of all .tflite kernels
MOST_ELEMENTS = 1 << 31


def tensor_problems(key: int, t: Tensor) -> Iterator[str]:
    if t.id != key:
        yield f"is filed under id {key}"
    if any(n < 1 for n in t.shape) or len(t.shape) > LARGEST_RANK:
        yield f"has shape {t.shape}, expected at most {LARGEST_RANK} axes of at least 1"
    if math.prod(t.shape) >= MOST_ELEMENTS:
        yield f"has {math.prod(t.shape)} elements, expected fewer than {MOST_ELEMENTS}"
    narrow = t.bits in (2, 4) and t.dtype is DType.INT8 and t.is_constant
    if t.bits != t.dtype.bits and not narrow and not _is_on_grid(t):
        yield f"has {t.bits} bits of {t.dtype}, expected {t.dtype.bits}, or 2 or 4 of a constant int8"
    if t.q is not None:
        yield from _quantisation_problems(t, t.q)
    yield from _data_problems(t)
    if t.palette is not None:
        yield from _palette_problems(t, t.palette)


def _is_on_grid(t: Tensor) -> bool:
    """Whether `t` holds weights in real numbers that training put on a grid of 8, 4 or 2 bits."""
    return t.is_constant and t.dtype is DType.FLOAT32 and t.q is not None and t.bits in (8, 4, 2)


def _quantisation_problems(t: Tensor, q: QParams) -> Iterator[str]:
    if not t.dtype.is_integer and not t.is_constant:
        yield f"is {t.dtype} and quantised, expected one or the other"
    for s in q.scale:
        if not (s > 0 and math.isfinite(s) and float(np.float32(s)) == s):
            yield f"has the scale {s!r}, expected a positive float32 value"
    if not -(1 << 31) <= q.zero_point < 1 << 31 or (t.dtype.is_integer and not _within(q.zero_point, t)):
        yield f"has zero point {q.zero_point}, expected one in {t.dtype.range()}"
    if q.axis is None and len(q.scale) != 1:
        yield f"has {len(q.scale)} scales and no axis, expected 1"
    for word, values in (("zero points", q.zero_points), ("multipliers", q.multipliers)):
        if values and (q.axis is None or not t.is_constant or t.dtype is not DType.INT8):
            yield f"has {len(values)} {word}, expected none: they are of int8 constants and along an axis"
    if q.axis is not None:
        yield from _axis_problems(t, q, q.axis)


def _axis_problems(t: Tensor, q: QParams, axis: int) -> Iterator[str]:
    if not 0 <= axis < len(t.shape):
        yield f"has scales along axis {axis}, expected an axis of shape {t.shape}"
        return
    more = bool(q.zero_points or q.multipliers)
    if len(q.scale) != t.shape[axis] and not (more and len(q.scale) == 1):
        yield f"has {len(q.scale)} scales along axis {axis}, expected {t.shape[axis]}"
    if q.zero_point != 0:
        yield f"has scales along an axis and zero point {q.zero_point}, expected 0"
    yield from _by_channel_problems(t, q, t.shape[axis])


def _by_channel_problems(t: Tensor, q: QParams, channels: int) -> Iterator[str]:
    if q.zero_points and (len(q.zero_points) != channels or not all(_within(z, t) for z in q.zero_points)):
        yield f"has the zero points {q.zero_points}, expected {channels} in {t.dtype.range()}"
    if q.multipliers and (len(q.multipliers) != channels or not all(1 <= m <= 255 for m in q.multipliers)):
        yield f"has the multipliers {q.multipliers}, expected {channels} from 1 to 255"
    if q.multipliers and len(q.scale) != 1:
        yield f"has multipliers and {len(q.scale)} scales, expected 1"


def _palette_problems(t: Tensor, p: Palette) -> Iterator[str]:
    if not t.is_constant or t.dtype is not DType.INT8:
        yield f"is {t.role} {t.dtype} and has a palette, expected one of constant int8 alone"
    elif p.centroids.dtype != t.dtype.numpy or p.centroids.ndim != 2 or not 1 <= p.entries <= MOST_ENTRIES:
        yield (
            f"has the centroids {p.centroids.dtype} {p.centroids.shape} in its palette, "
            f"expected {t.dtype} of (groups, 1 to {MOST_ENTRIES})"
        )
    elif p.indices.dtype != np.uint8 or p.indices.shape != t.shape or int(p.indices.max()) >= p.entries:
        yield (
            f"has the indices {p.indices.dtype} {p.indices.shape} up to {p.indices.max()} in its palette, "
            f"expected uint8 {t.shape} below {p.entries}"
        )
    else:
        yield from _group_problems(t, p)


def _group_problems(t: Tensor, p: Palette) -> Iterator[str]:
    count = len(p.centroids)
    channels = t.shape[p.axis] if 0 <= p.axis < len(t.shape) else 0
    if (p.groups and len(p.groups) != channels) or not all(0 <= g < count for g in p.groups):
        yield f"has the groups {p.groups} in its palette, expected {channels} below {count}"
    elif not p.groups and count != 1:
        yield f"has {count} groups of centroids in its palette and no groups of channels, expected 1"
    elif not np.array_equal(p.values(), t.data):  # type: ignore[arg-type]
        yield "has values that are not those of its palette"


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
