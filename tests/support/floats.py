"""Float graphs with samples for them, for the tests of quantization."""

from __future__ import annotations

from functools import partial

import layers
import numpy as np
from graphs import FLOAT_GENERATORS
from nets import Net

from mcuquant.ir import Array, DType, Graph, Op, ops
from mcuquant.quantization import quantize, snr_report


def samples_for(graph: Graph, rng: np.random.Generator, count: int = 12) -> list[Array]:
    return [rng.normal(0, 1, (count, *graph[i].shape[1:])).astype(np.float32) for i in graph.inputs]


def form(name: str, seed: int = 5) -> tuple[Graph, list[Array]]:
    """A graph of that form whose inputs are all of one sample."""
    rng = np.random.default_rng(seed)
    graph = FLOAT_GENERATORS[name](rng)
    while any(graph[i].shape[0] != 1 for i in graph.inputs):
        graph = FLOAT_GENERATORS[name](rng)
    return graph, samples_for(graph, rng)


quantized = partial(quantize, channels_first=False)
snrs = partial(snr_report, channels_first=False)


def _residual(net: Net, x: int) -> int:
    return layers.binary(net, layers.same_size_conv(net, x), ops.Add, b=x)


def _joined(net: Net, x: int) -> int:
    n, h, w, c = net.shape(x)
    parts = (layers.curve(net, layers.same_size_conv(net, x), ops.Logistic), layers.same_size_conv(net, x), x)
    return net.apply(ops.Concat, parts, (n, h, w, 3 * c), axis=3)


STEPS = (
    *(layers.conv2d, layers.depthwise, layers.leaky_relu, layers.pad, _residual, _joined),
    *(partial(layers.pool, kind=kind) for kind in (ops.MaxPool2D, ops.AvgPool2D)),
    partial(layers.curve, kind=ops.Tanh),
    partial(layers.relu, activation=ops.Activation.RELU),
)


def random_float_network(seed: int) -> tuple[Graph, list[Array]]:
    rng = np.random.default_rng(seed)
    net = Net(rng, DType.FLOAT32)
    x = net.input((1, net.size(5, 10), net.size(5, 10), net.size(1, 4)))
    for _ in range(net.size(3, 6)):
        x = net.pick(*STEPS)(net, x)
    graph = net.graph(layers.softmax(net, layers.fully_connected(net, x, outputs=5)), name="network")
    return graph, samples_for(graph, rng)


def dense(w: Array, b: Array, activation: ops.Activation = ops.Activation.NONE, tail: type[Op] | None = None) -> Graph:
    net = Net(np.random.default_rng(0), DType.FLOAT32)
    x = net.input((1, w.shape[1]))
    inputs = (x, net.constant(w, DType.FLOAT32), net.constant(b, DType.FLOAT32))
    y = net.apply(ops.FullyConnected, inputs, (1, w.shape[0]), activation=activation)
    return net.graph(net.apply(tail, (y,), (1, w.shape[0])) if tail else y, name="dense")
