"""The input values that each output of a layer multiplies with weights: windows side by side."""

from __future__ import annotations

import math

import numpy as np

from ...ir import Array, Conv2D, DepthwiseConv2D, FullyConnected, Shape
from .windows import framed, reach, taps


def patches(op: Conv2D | DepthwiseConv2D | FullyConnected, x: Array, w_shape: Shape, y_shape: Shape) -> Array:
    """(G, P, K) of an input `x` whose padding is 0: for each group of the layer and each output position, its K inputs.

    The sums of the layer are patches @ W, where W (G, K, M) are the weights of each group's M output channels, in the
    order of the weights' own axes.
    """
    if isinstance(op, FullyConnected):
        return x.reshape(1, -1, w_shape[1])
    window = (w_shape[1], w_shape[2])
    framed_x = framed(x, y_shape, reach(window, op.dilation), op.stride, op.padding, 0)
    windows = taps(framed_x, y_shape, window, op.stride, op.dilation)
    places, size = math.prod(windows.shape[:3]), math.prod(window)
    depth = 1 if isinstance(op, DepthwiseConv2D) else w_shape[3]
    groups = x.shape[3] // depth
    split = windows.reshape(places, size, groups, depth)
    return np.moveaxis(split, 2, 0).reshape(groups, places, size * depth)
