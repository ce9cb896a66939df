"""Convolutions, fully connected layers and matrix products.

Sums are floating-point matrix products: in float32 for float graphs, in float64 for integers, where they are exact
because no partial sum reaches 2^53 (int16 times int8: more than 2^30 terms; int16 squared: more than 2^22).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ...ir import Array, BatchMatMul, Conv2D, DepthwiseConv2D, FullyConnected, Graph, Op, Shape, TransposeConv
from .. import fixedpoint as fx
from ..parameters import ConvParams, MatMulParams, params
from .values import activate, clamp, is_float
from .windows import framed, reach, taps

_BLOCK = 1 << 22
"""Limit of the elements of windows in memory at the same time: 32 MB."""

Weighted = Conv2D | DepthwiseConv2D | TransposeConv | FullyConnected


def weighted(graph: Graph, op: Weighted, inputs: Sequence[Array]) -> Array:
    """Conv2D, DepthwiseConv2D, TransposeConv, FullyConnected."""
    return finish(graph, op, products(graph, op, *operands(graph, op, inputs)), inputs)


def products(graph: Graph, op: Weighted, x: Array, w: Array) -> Array:
    """Sums of products before bias, in the output's shape, for operands minus their zero points."""
    return _PRODUCTS[type(op)](op, x, w, graph.out(op).shape)


def _conv2d(op: Conv2D, x: Array, w: Array, y_shape: Shape) -> Array:
    window = (w.shape[1], w.shape[2])
    framed_x = framed(x, y_shape, reach(window, op.dilation), op.stride, op.padding, 0)
    windows = taps(framed_x, y_shape, window, op.stride, op.dilation)
    rows = max(1, _BLOCK // (math.prod(y_shape[:3:2]) * math.prod(window) * x.shape[3]))
    blocks = (windows[:, first : first + rows] for first in range(0, y_shape[1], rows))
    parts = [_grouped_product(b, w).reshape(y_shape[0], -1, *y_shape[2:]) for b in blocks]
    return np.concatenate(parts, axis=1)


def _grouped_product(windows: Array, w: Array) -> Array:
    """Windows (N,OH,OW,KH,KW,I) times weights (O,KH,KW,I/groups): (pixels, O)."""
    outputs, height, width, depth = w.shape
    groups = windows.shape[5] // depth
    if groups == 1:
        return windows.reshape(-1, height * width * depth) @ w.reshape(outputs, -1).T
    split = np.moveaxis(windows.reshape(-1, height * width, groups, depth), 2, 0)
    weights = w.reshape(groups, outputs // groups, -1).transpose(0, 2, 1)
    product = split.reshape(groups, -1, height * width * depth) @ weights
    return np.moveaxis(product, 0, 1).reshape(-1, outputs)


def _depthwise(op: DepthwiseConv2D, x: Array, w: Array, y_shape: Shape) -> Array:
    window = (w.shape[1], w.shape[2])
    framed_x = framed(x, y_shape, reach(window, op.dilation), op.stride, op.padding, 0)
    repeated = np.repeat(framed_x, w.shape[3] // x.shape[3], axis=3)
    windows = taps(repeated, y_shape, window, op.stride, op.dilation)
    acc = np.zeros(y_shape, x.dtype)
    for ky in range(window[0]):
        for kx in range(window[1]):
            acc += windows[:, :, :, ky, kx] * w[0, ky, kx]
    return acc


def _transpose_conv(op: TransposeConv, x: Array, w: Array, y_shape: Shape) -> Array:
    outputs, k_h, k_w, depth = w.shape
    parts = (x.reshape(-1, depth) @ w.reshape(-1, depth).T).reshape(*x.shape[:3], outputs, k_h, k_w)
    acc = np.zeros(_scatter_shape(op, x.shape, w.shape, y_shape), x.dtype)
    for ky in range(k_h):
        for kx in range(k_w):
            rows = slice(ky, ky + x.shape[1] * op.stride[0], op.stride[0])
            columns = slice(kx, kx + x.shape[2] * op.stride[1], op.stride[1])
            acc[:, rows, columns] += parts[..., ky, kx]
    top, left = op.padding.top, op.padding.left
    return acc[:, top : top + y_shape[1], left : left + y_shape[2]]


def _scatter_shape(op: TransposeConv, x: Shape, w: Shape, y: Shape) -> Shape:
    """The products of the whole input, cut to the output."""
    height = max(x[1] * op.stride[0] + w[1], op.padding.top + y[1])
    width = max(x[2] * op.stride[1] + w[2], op.padding.left + y[2])
    return (x[0], height, width, w[0])


def _fully_connected(op: FullyConnected, x: Array, w: Array, y_shape: Shape) -> Array:
    return (x.reshape(-1, w.shape[1]) @ w.T).reshape(y_shape)


_PRODUCTS: dict[type[Op], Callable[[Any, Array, Array, Shape], Array]] = {
    Conv2D: _conv2d,
    DepthwiseConv2D: _depthwise,
    TransposeConv: _transpose_conv,
    FullyConnected: _fully_connected,
}


def batch_matmul(graph: Graph, op: BatchMatMul, inputs: Sequence[Array]) -> Array:
    if is_float(graph.out(op)):
        return _product(op, *inputs)
    p: MatMulParams = params(graph, op)
    acc = _product(op, inputs[0].astype(np.float64) - p.a_zero, inputs[1].astype(np.float64) - p.b_zero)
    return _scaled(acc, np.array(p.multiplier.m), np.array(p.multiplier.shift), p)


def _product(op: BatchMatMul, a: Array, b: Array) -> Array:
    return (a.swapaxes(-1, -2) if op.adj_a else a) @ (b.swapaxes(-1, -2) if op.adj_b else b)


def operands(graph: Graph, op: Weighted, inputs: Sequence[Array]) -> tuple[Array, Array]:
    """Input and weights minus their zero points, in the type of the sums."""
    if is_float(graph.out(op)):
        return inputs[0], inputs[1]
    p: ConvParams = params(graph, op)
    return inputs[0].astype(np.float64) - p.x_zero, graph[op.inputs[1]].integer_values.astype(np.float64)


def finish(graph: Graph, op: Weighted, acc: Array, inputs: Sequence[Array]) -> Array:
    """Bias, rescaling and activation; channels are the last axis."""
    if is_float(graph.out(op)):
        return activate(acc + inputs[2] if len(inputs) > 2 else acc, op.activation)
    p: ConvParams = params(graph, op)
    total = acc.astype(np.int64) + (inputs[2].astype(np.int64) if len(inputs) > 2 else 0)
    m, shift = (np.array([getattr(c, name) for c in p.multipliers]) for name in ("m", "shift"))
    return _scaled(total, m, shift, p)


def _scaled(acc: Array, m: fx.IntArray, shift: fx.IntArray, p: ConvParams | MatMulParams) -> Array:
    total = acc.astype(np.int64)
    scaled = fx.requantize64(total, m, shift) if p.acc_bits == 64 else fx.requantize(total, m, shift)
    return clamp(scaled + p.y_zero, p.act_min, p.act_max)
