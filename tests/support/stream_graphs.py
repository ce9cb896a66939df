"""Networks of windows over rows."""

from __future__ import annotations

import layers
import numpy as np
from nets import Net

from mcuquant.ir import DType, Graph, Padding, ops
from mcuquant.passes.stream import streamed


def flat(net: Net, x: int) -> int:
    return net.apply(ops.Reshape, (x,), (1, net.tensors[x].elements), net.tensors[x].q)


def valid_network(dtype: DType = DType.INT8) -> Graph:
    net = Net(np.random.default_rng(0), dtype)
    x = net.input((1, 12, 1, 4))
    for outputs in (8, 6):
        w = net.weights((outputs, 3, 1, net.shape(x)[3]), 0)
        n, h, *_ = net.shape(x)
        x = net.apply(ops.Conv2D, (x, w), (n, h - 2, 1, outputs), net.sum_quant(x, w, 12))
    return net.graph(layers.fully_connected(net, flat(net, x), 3), name="valid")


def image(net: Net, length: int) -> int:
    return net.input((1, length, net.size(1, 3), net.size(1, 5)))


def window(net: Net, x: int, kind: type[ops.Op], strides: tuple[int, ...] = (1, 1, 1, 2)) -> int:
    """A convolution or pooling along the rows: any padding, stride and dilation that leave some rows."""
    _, h, w, c = net.shape(x)
    dilation = net.size(1, 2) if kind in (ops.Conv2D, ops.DepthwiseConv2D) else 1
    taps = net.size(1, max(1, min(4, (h - 1) // dilation + 1)))
    reach = (taps - 1) * dilation + 1
    stride = net.pick(*strides)
    top, bottom = net.pick((0, 0), (0, 0), (reach - 1, 0), ((reach - 1) // 2, reach // 2))
    rows = (h + top + bottom - reach) // stride + 1
    pad = Padding(top=top, bottom=bottom)
    if kind is ops.Conv2D:
        outputs = net.size(1, 5)
        weights = net.weights((outputs, taps, 1, c), 0)
        y, shape, inputs = net.sum_quant(x, weights, taps * c), (1, rows, w, outputs), (x, weights)
        return net.apply(kind, inputs, shape, y, stride=(stride, 1), dilation=(dilation, 1), padding=pad)
    if kind is ops.DepthwiseConv2D:
        weights = net.weights((1, taps, 1, c), 3)
        y, shape, inputs = net.sum_quant(x, weights, taps), (1, rows, w, c), (x, weights)
        return net.apply(kind, inputs, shape, y, stride=(stride, 1), dilation=(dilation, 1), padding=pad)
    q = net.tensors[x].q
    return net.apply(kind, (x,), (1, rows, w, c), q, window=(taps, 1), stride=(stride, 1), padding=pad)


KINDS = (ops.Conv2D, ops.DepthwiseConv2D, ops.MaxPool2D, ops.AvgPool2D)


def network(seed: int) -> tuple[Graph, int]:
    """Layers with residuals and two branches over a window of rows; the hop that fits their strides, or less."""
    net = Net(np.random.default_rng(seed))
    x = image(net, net.size(14, 24))
    start, strides = x, 1
    for _ in range(net.size(1, 4)):
        before = net.shape(x)[1]
        x = window(net, x, net.pick(*KINDS))
        strides *= max(1, round(before / net.shape(x)[1]))
        match net.size(0, 4):
            case 0:
                x = layers.relu(net, x, ops.Activation.RELU)
            case 1:
                x = layers.binary(net, x, ops.Add, layers.lookup(net, x))
            case 2:
                n, h, w, c = net.shape(x)
                x = net.apply(ops.Concat, (x, layers.lookup(net, x)), (n, h, w, 2 * c), net.tensors[x].q, axis=3)
            case 3:
                x = _cropped(net, x)
    if net.size(0, 1):
        x = layers.mean(net, x)
    y = layers.fully_connected(net, flat(net, x), 3)
    hop = net.pick(1, 2, 2, 4)
    assert net.shape(start)[1] > hop
    return net.graph(*([y, x] if net.size(0, 1) else [y]), name=f"network_{seed}"), hop


def summed_network(seed: int, dtype: DType = DType.INT8) -> tuple[Graph, int]:
    """A mean, sum or average over all rows of a layer, with edges of padding or without; the hop."""
    net = Net(np.random.default_rng(seed), dtype)
    x = window(net, image(net, net.size(14, 24)), net.pick(*KINDS), (1, 1, 2))
    hop = net.pick(1, 2)
    y = _over_all_rows(net, x, net.pick(ops.AvgPool2D, ops.Mean, ops.Sum))
    return net.graph(layers.fully_connected(net, flat(net, y), 3), y, name=f"summed_{seed}"), hop


def summed_stream(rng: np.random.Generator, kind: type[ops.Op], dtype: DType = DType.INT8, channels: int = 3) -> Graph:
    """A stream of single rows, of which the last 20 are reduced to one."""
    net = Net(rng, dtype)
    y = _over_all_rows(net, net.input((1, 20, net.size(1, 3), channels)), kind)
    return streamed(net.graph(y, name="summed"), 1, 1).graph


def _over_all_rows(net: Net, x: int, kind: type[ops.Op]) -> int:
    n, h, w, c = net.shape(x)
    if kind is ops.AvgPool2D:
        form = {"window": (h, w), "stride": (1, 1), "activation": net.activation()}
        return net.apply(kind, (x,), (n, 1, 1, c), net.tensors[x].q, **form)
    axes, shape = net.pick(((1,), (n, w, c)), ((1, 2), (n, c)), ((1, 2), (n, 1, 1, c)))
    q = net.quant(net.dtype, net.scale(x) * (1 if kind is ops.Mean else h / 4))
    return net.apply(kind, (x,), shape, q, axes=axes)


def phased_network(seed: int) -> tuple[Graph, int]:
    """Strided layers with residuals over a window of rows, and a hop that need not fit the strides."""
    net = Net(np.random.default_rng(seed))
    x = image(net, net.size(30, 44))
    for _ in range(net.size(2, 3)):
        x = window(net, x, net.pick(*KINDS), (1, 2, 2, 3))
        if net.size(0, 1):
            x = layers.binary(net, x, ops.Add, layers.lookup(net, x))
    return net.graph(layers.fully_connected(net, flat(net, x), 3), name=f"phased_{seed}"), net.size(1, 5)


def _cropped(net: Net, x: int) -> int:
    n, h, *rest = net.shape(x)
    begin = net.size(0, min(2, h - 1))
    q = net.tensors[x].q
    return net.apply(ops.Slice, (x,), (n, h - begin, *rest), q, begin=(0, begin, 0, 0), step=(1, 1, 1, 1))
