"""Average pooling with borders that TFLite cannot express becomes zeros around the image, a plain pool, and factors.

If a window extends past the image, the mean of the pixels inside is the mean of the whole window, zeros included, times
(window size / pixels inside), which is a constant per position. TFLite's own borders (SAME) are unchanged.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..ir import Activation, Array, Graph, Shape, ops
from .rewrite import Draft, is_quantised


def expand_average_pool(graph: Graph) -> Graph:
    """Float graphs only: the factors are real numbers, which quantization rounds later."""
    if is_quantised(graph):
        return graph
    draft = Draft.of(graph)
    for op in graph.ops:
        if isinstance(op, ops.AvgPool2D) and not _has_tflite_borders(graph, op):
            _append_expanded(draft, op)
        else:
            draft.append(op)
    return draft.finish()


def _has_tflite_borders(graph: Graph, pool: ops.AvgPool2D) -> bool:
    """Whether padding is zero or that of SAME: ceil(size / stride) windows, an odd row or column last."""
    x, y, p = graph[pool.inputs[0]], graph.out(pool), pool.padding
    sides = ((p.top, p.bottom), (p.left, p.right))
    axes = zip(x.shape[1:3], y.shape[1:3], pool.window, pool.stride, sides, strict=True)
    return not p.any or all(_is_same(*axis) for axis in axes)


def _is_same(size: int, count: int, window: int, stride: int, sides: tuple[int, int]) -> bool:
    total = max((count - 1) * stride + window - size, 0)
    return count == -(-size // stride) and sides == (total // 2, total - total // 2)


def _append_expanded(draft: Draft, pool: ops.AvgPool2D) -> None:
    x, y, p = draft.tensors[pool.inputs[0]], draft.tensors[pool.output], pool.padding
    pads = ((0, 0), (p.top, p.bottom), (p.left, p.right), (0, 0))
    shape = tuple(size + before + after for size, (before, after) in zip(x.shape, pads, strict=True))
    padded, pooled = draft.activation(x, shape), draft.activation(y, y.shape)
    factors = draft.constant(_factors(pool, x.shape, y.shape), f"{y.name}.window")
    draft.append(ops.Pad(inputs=(x.id,), outputs=(padded,), pads=pads))
    plain = replace(pool, inputs=(padded,), outputs=(pooled,), padding=ops.Padding(), activation=Activation.NONE)
    draft.append(plain)
    draft.append(ops.Mul(inputs=(pooled, factors), outputs=pool.outputs, activation=pool.activation))


def _factors(pool: ops.AvgPool2D, x: Shape, y: Shape) -> Array:
    """window size / pixels inside, of shape (1, OH, OW, 1)."""
    axes = zip(x[1:3], y[1:3], pool.window, pool.stride, (pool.padding.top, pool.padding.left), strict=True)
    down, across = (_inside(*axis) for axis in axes)
    return (pool.window[0] * pool.window[1] / np.outer(down, across))[None, :, :, None]


def _inside(size: int, count: int, window: int, stride: int, before: int) -> Array:
    """Number of pixels of the image in each window along an axis."""
    starts = np.arange(count) * stride - before
    return np.minimum(starts + window, size) - np.maximum(starts, 0)
