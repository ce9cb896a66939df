"""Sliding windows over images."""

from __future__ import annotations

import numpy as np

from ...ir import Array, Padding, Pair, Shape


def framed(x: Array, y_shape: Shape, reach: Pair, stride: Pair, padding: Padding, fill: float) -> Array:
    """x (N,H,W,C) with a border of `fill`, just large enough for every window of the output.

    `reach` is the extent of a window along both axes, including dilation.
    """
    needed = [(y_shape[axis + 1] - 1) * stride[axis] + reach[axis] for axis in (0, 1)]
    before = (padding.top, padding.left)
    after = [max(0, needed[axis] - before[axis] - x.shape[axis + 1]) for axis in (0, 1)]
    if any(before) or any(after):
        spans = ((0, 0), (before[0], after[0]), (before[1], after[1]), (0, 0))
        x = np.pad(x, spans, constant_values=fill)
    return x[:, : needed[0], : needed[1]]


def taps(x: Array, y_shape: Shape, window: Pair, stride: Pair, dilation: Pair = (1, 1)) -> Array:
    """A view (N,OH,OW,KH,KW,C) of a framed image: the window of every output pixel."""
    n, row, column, channel = x.strides
    shape = (x.shape[0], y_shape[1], y_shape[2], *window, x.shape[3])
    steps = (row * stride[0], column * stride[1], row * dilation[0], column * dilation[1])
    return np.lib.stride_tricks.as_strided(x, shape, (n, *steps, channel), writeable=False)


def reach(window: Pair, dilation: Pair) -> Pair:
    """Number of pixels from a window's first tap to its last, both included."""
    return (window[0] - 1) * dilation[0] + 1, (window[1] - 1) * dilation[1] + 1
