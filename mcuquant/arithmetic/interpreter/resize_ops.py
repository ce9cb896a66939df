"""Bilinear interpolation of images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...ir import Array, Graph, ResizeBilinear
from .. import fixedpoint as fx
from .values import Floats, is_float

FRACTION_BITS = 10
_ONE = 1 << FRACTION_BITS


def resize_bilinear(graph: Graph, op: ResizeBilinear, inputs: Sequence[Array]) -> Array:
    x, y = inputs[0], graph.out(op)
    if is_float(y):
        (low, high, part), (left, right, along) = (float_places(op, x.shape[axis], y.shape[axis]) for axis in (1, 2))
        rows = _between(x, low, high, part[:, None, None], 1, np.float32(1))
        return _between(rows, left, right, along[:, None], 2, np.float32(1))
    (low, high, share), (left, right, across) = (places(op, x.shape[axis], y.shape[axis]) for axis in (1, 2))
    rows = _between(fx.as_int64(x), low, high, share[:, None, None], 1, _ONE)
    total = _between(rows, left, right, across[:, None], 2, _ONE)
    return fx.divide_rounding(total, _ONE * _ONE)


def _between(x: Array, low: Array, high: Array, part: Array, axis: int, one: int | np.float32) -> Array:
    result: Array = x.take(low, axis) * (one - part) + x.take(high, axis) * part
    return result


def places(op: ResizeBilinear, source: int, target: int) -> tuple[fx.IntArray, fx.IntArray, fx.IntArray]:
    """(lower input, upper input, weight of the upper in 1/1024) of each of `target` rows or columns.

    The positions are those of TFLite's ComputeInterpolationValuesInteger, limited to the image.
    """
    spread = op.align_corners and target > 1
    inputs, outputs = (source - 1, target - 1) if spread else (source, target)
    scale = (_ONE * inputs + outputs // 2) // outputs
    position = np.arange(target, dtype=np.int64) * scale
    if op.half_pixel_centers:
        position += scale // 2 - _ONE // 2
    low = np.clip(position >> FRACTION_BITS, 0, source - 1)
    high = np.clip(-(-position >> FRACTION_BITS), 0, source - 1)
    return low, high, np.where(high > low, position - low * _ONE, 0)


def float_places(op: ResizeBilinear, source: int, target: int) -> tuple[fx.IntArray, fx.IntArray, Floats]:
    """The same with weights in single precision."""
    spread = op.align_corners and target > 1
    scale = np.float32(source - 1) / np.float32(target - 1) if spread else np.float32(source) / np.float32(target)
    position = np.arange(target, dtype=np.float32) * scale
    if op.half_pixel_centers:
        position = (np.arange(target, dtype=np.float32) + np.float32(0.5)) * scale - np.float32(0.5)
    low = np.clip(np.floor(position), 0, source - 1)
    high = np.clip(np.ceil(position), 0, source - 1)
    part = np.where(high > low, position - low.astype(np.float32), np.float32(0))
    return fx.as_int64(low), fx.as_int64(high), part.astype(np.float32)
