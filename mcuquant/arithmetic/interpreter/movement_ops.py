"""Operations that move stored values without changing them (except a concatenation that rescales)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...ir import Array, Concat, Graph, Pad, Reshape, ResizeNearest, Slice, Transpose
from ...ir.ops import Enter
from .. import fixedpoint as fx
from ..parameters import ConcatParams, params
from ..parameters.elementwise_parameters import rescaled
from .values import is_float, round_half_away


def pad(graph: Graph, op: Pad, inputs: Sequence[Array]) -> Array:
    value = graph.out(op).zero_point if op.value is None else op.value
    return np.pad(inputs[0], op.pads, constant_values=value)


def concat(graph: Graph, op: Concat | Enter, inputs: Sequence[Array]) -> Array:
    if is_float(graph.out(op)):
        return np.concatenate(inputs, axis=op.axis)
    p: ConcatParams = params(graph, op)
    parts = [x if r is None else rescaled(x, r) for x, r in zip(inputs, p.rescales, strict=True)]
    return np.concatenate(parts, axis=op.axis)


def slice_(graph: Graph, op: Slice, inputs: Sequence[Array]) -> Array:
    sizes = graph.out(op).shape
    indices = [b + np.arange(n) * s for b, n, s in zip(op.begin, sizes, op.step, strict=True)]
    return inputs[0][np.ix_(*indices)]


def reshape(graph: Graph, op: Reshape, inputs: Sequence[Array]) -> Array:
    return inputs[0].reshape(graph.out(op).shape)


def transpose(graph: Graph, op: Transpose, inputs: Sequence[Array]) -> Array:
    return inputs[0].transpose(op.perm)


def resize_nearest(graph: Graph, op: ResizeNearest, inputs: Sequence[Array]) -> Array:
    y_shape = graph.out(op).shape
    rows, columns = (nearest_indices(op, inputs[0].shape[axis], y_shape[axis]) for axis in (1, 2))
    return inputs[0][:, rows][:, :, columns]


def nearest_indices(op: ResizeNearest, source: int, target: int) -> fx.IntArray:
    """The input row (or column) of each of `target` output rows; TFLite's GetNearestNeighbor."""
    spread = op.align_corners and target > 1
    scale = np.float32(source - 1) / np.float32(target - 1) if spread else np.float32(source) / np.float32(target)
    place = (np.arange(target, dtype=np.float32) + np.float32(0.5 if op.half_pixel_centers else 0)) * scale
    whole = round_half_away(place) if op.align_corners else np.floor(place)
    return fx.as_int64(np.minimum(whole, source - 1))
