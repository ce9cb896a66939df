"""Random networks over images that can be computed row by row."""

from __future__ import annotations

import layers
import numpy as np
from nets import Net
from stream_graphs import flat

from mcuquant.ir import DType, Graph, Padding, ops


def window(net: Net, x: int, kind: type[ops.Op], stride: int, dilation: int = 1) -> int:
    """A convolution or pooling with any padding that leaves some rows and columns."""
    _, h, w, c = net.shape(x)
    taps, columns = net.size(1, max(1, min(4, (h - 2) // dilation))), net.size(1, min(3, w))
    reach = (taps - 1) * (dilation if kind in (ops.Conv2D, ops.DepthwiseConv2D) else 1) + 1
    top, bottom = net.pick((0, 0), (reach - 1, 0), ((reach - 1) // 2, reach // 2), (reach // 2, (reach - 1) // 2))
    if kind is ops.AvgPool2D or (kind is ops.MaxPool2D and net.dtype is not DType.INT8):
        top, bottom = 0, 0
    left = (columns - 1) // 2
    pad = Padding(top=top, bottom=bottom, left=left, right=columns - 1 - left)
    size = (h + top + bottom - reach) // stride + 1, w
    if kind is ops.Conv2D:
        outputs = net.size(1, 9)
        weights = net.weights((outputs, taps, columns, c), 0)
        y = net.sum_quant(x, weights, taps * columns * c)
    elif kind is ops.DepthwiseConv2D:
        outputs = c
        weights = net.weights((1, taps, columns, c), 3)
        y = net.sum_quant(x, weights, taps * columns)
    else:
        form = {"window": (taps, columns), "stride": (stride, 1), "padding": pad}
        return net.apply(kind, (x,), (1, *size, c), net.tensors[x].q, **form)
    form = {"stride": (stride, 1), "dilation": (dilation, 1), "padding": pad, "activation": net.activation()}
    return net.apply(kind, (x, weights), (1, *size, outputs), y, **form)


KINDS = (ops.Conv2D, ops.Conv2D, ops.DepthwiseConv2D, ops.MaxPool2D, ops.AvgPool2D)


def _block(net: Net, x: int) -> int:
    """A window, and often a residual, two branches or a function behind it."""
    y = window(net, x, net.pick(*KINDS), net.pick(1, 1, 1, 2, 3), net.pick(1, 1, 2))
    match net.size(0, 5):
        case 0:
            return layers.binary(net, y, ops.Add, layers.same_size_conv(net, y))
        case 1:
            deep = layers.same_size_conv(net, layers.same_size_conv(net, y))
            return layers.binary(net, deep, ops.Add, y)
        case 2:
            n, h, w, c = net.shape(y)
            other = layers.same_size_conv(net, y)
            return net.apply(ops.Concat, (y, other), (n, h, w, 2 * c), net.tensors[y].q, axis=3)
        case 3:
            return layers.relu(net, y, ops.Activation.RELU)
        case 4:
            return layers.binary(net, y, ops.Mul, layers.relu(net, y, ops.Activation.RELU))
        case _:
            return y


def _average(net: Net, x: int) -> int:
    """The average or sum of all pixels of each channel."""
    _, h, w, c = net.shape(x)
    kind = net.pick(ops.AvgPool2D, ops.Mean, ops.Sum)
    if kind is ops.AvgPool2D:
        q = net.pick(net.tensors[x].q, None)
        return net.apply(kind, (x,), (1, 1, 1, c), q, window=(h, w), stride=(h, w), activation=net.activation())
    y = net.quant(net.dtype, net.scale(x) * (h * w if kind is ops.Sum else 1))
    return net.apply(kind, (x,), (1, c), y, axes=(1, 2))


def network(seed: int, dtype: DType = DType.INT8) -> Graph:
    """Strides, dilations, paddings, residuals, branches and pools; then a mean, a product or a flattening."""
    net = Net(np.random.default_rng(seed), dtype)
    x = net.input((1, net.size(8, 26), net.size(1, 7), net.size(1, 5)))
    for _ in range(net.size(1, 4)):
        if net.shape(x)[1] < 4:
            break
        x = _block(net, x)
    tail = net.size(0, 3)
    if tail == 0:
        return net.graph(x, name=f"rows_{seed}")
    if tail == 3:
        return net.graph(layers.fully_connected(net, flat(net, _average(net, x)), 3), name=f"rows_{seed}")
    y = layers.fully_connected(net, flat(net, layers.mean(net, x) if tail == 1 else x), 3)
    return net.graph(y, name=f"rows_{seed}")
