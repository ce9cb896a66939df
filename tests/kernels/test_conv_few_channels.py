"""Convolution of few channels: packing read back, which requantization, and what it refuses."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fast_graphs import after_relu, extreme_weights
from harness import choose
from nets import Net, padding

from mcuquant.boards.core import CORES
from mcuquant.ir import Graph, QParams, ops
from mcuquant.kernels import Site
from mcuquant.kernels.dsp import conv_few_channels
from mcuquant.kernels.shared.weighted_layer import sums

M4 = CORES["cortex-m4"]


def layer(channels: int = 3, outputs: int = 6, window: int = 3, zero_point: int = -128, scale: float = 1) -> Graph:
    net = Net(np.random.default_rng(4))
    x = net.input((1, 9, 8, channels), scale=0.05)
    terms = window * window * channels
    w = extreme_weights(net, (outputs, window, window, channels), 0)
    b = net.bias(x, w, outputs, terms)
    q = QParams.of(after_relu(net, x, w, terms).scale[0] * scale, zero_point)
    pads = padding((1, window - 2), (1, window - 2)) if window > 1 else padding((0, 0), (0, 0))
    return net.graph(net.apply(ops.Conv2D, (x, w, b), (1, 9, 8, outputs), q, padding=pads))


def chosen(graph: Graph, cpu: str = "cortex-m4") -> str:
    return choose(Site(graph, graph.ops[0], CORES[cpu])).name


@pytest.mark.parametrize("form", conv_few_channels.FORMS)
@pytest.mark.parametrize(("channels", "outputs", "window"), [(3, 6, 3), (1, 8, 2), (5, 3, 1), (2, 1, 4)])
def test_packing_read_back(form: str, channels: int, outputs: int, window: int) -> None:
    graph = layer(channels, outputs, window, scale=8 if form == "12" else 1)
    site = Site(graph, graph.ops[0], M4)
    x, w, b = graph.ins(graph.ops[0])
    assert w.data is not None
    assert b.data is not None
    taps, constants = window * window * channels, 3 if form == "twice" else 1
    words = -(-taps // 2)
    groups = conv_few_channels.pack(site, form).reshape(-(-outputs // 4), -1)
    assert groups.shape[1] == 4 * (1 + words + constants)
    columns = groups[:, : 4 * (1 + words)].reshape(len(groups), 1 + words, 4).transpose(0, 2, 1).reshape(-1, 1 + words)
    assert not columns[outputs:].any()
    weights = np.ascontiguousarray(columns[:outputs, 1:]).view(np.int16)
    flat = w.data.reshape(outputs, -1).astype(int)
    np.testing.assert_array_equal(weights[:, :taps], flat * 256)
    assert not weights[:, taps:].any()
    start, rows = conv_few_channels.constants(site, form)
    expected = (b.data.astype(np.int64) - x.zero_point * flat.sum(axis=1)) * 256 + start
    np.testing.assert_array_equal(columns[:outputs, 0], expected)
    tail = groups[:, 4 * (1 + words) :].reshape(-1, constants)
    np.testing.assert_array_equal(tail[:outputs], rows)
    assert not tail[outputs:].any()


def test_the_shortest_requantization_that_is_proven() -> None:
    assert chosen(layer(scale=0.25)) == "conv2d_few_channels_8_s8"
    assert chosen(layer(scale=16)) == "conv2d_few_channels_12_s8"
    assert chosen(layer(zero_point=10)) == "conv2d_few_channels_twice_s8"


def test_whole_words_and_many_taps_are_left_to_others() -> None:
    assert not chosen(layer(channels=4)).startswith("conv2d_few_channels")
    assert not chosen(layer(channels=3, window=5)).startswith("conv2d_few_channels")
    assert chosen(layer(), "cortex-m3") == "conv2d_three_s8"


def test_sums_that_do_not_fit_256_times_are_refused() -> None:
    graph = layer()
    b = graph.ins(graph.ops[0])[2]
    assert b.data is not None
    data = b.data.copy()
    _, high = sums(Site(graph, graph.ops[0], M4))
    data[1] += (1 << 23) - 1 - high[1]
    below = replace(graph, tensors={**graph.tensors, b.id: replace(b, data=data)})
    assert conv_few_channels.takes(Site(below, below.ops[0], M4), "twice")
    above = replace(
        graph, tensors={**graph.tensors, b.id: replace(b, data=data + (np.arange(6) == 1).astype(np.int32))}
    )
    assert not any(conv_few_channels.takes(Site(above, above.ops[0], M4), form) for form in conv_few_channels.FORMS)
