"""Random layers of few outputs, groups and long sums, for `fast_graphs`."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import layers
import numpy as np
from graphs import Generator
from nets import Net
from product_graphs import NONE, extreme_weights

from mcuquant.ir import Graph, QParams, ops


def _grouped(rng: np.random.Generator, **form: Any) -> Graph:
    """A convolution of `groups` groups of `depth` channels each to `outputs` each, all random unless `form` says."""
    net = Net(rng)
    groups, depth = form.get("groups") or net.size(1, 4), form.get("depth") or net.size(1, 9)
    outputs = groups * (form.get("outputs") or net.size(1, 8))
    width = 1 if form.get("line") else net.size(1, 8)
    x = net.input((form.get("batch", 1), net.size(1, 12), width, groups * depth))
    shape = net.shape(x)
    geometry = layers.window_geometry(net, shape, form.get("tallest", 5), form.get("dilate", False))
    window, stride, dilation, pad, out = geometry
    w = extreme_weights(net, (outputs, *window, depth), 0)
    if form.get("pairs"):
        without_odd_extremes(net, w)
    terms = window[0] * window[1] * depth
    q = net.sum_quant(x, w, terms)
    assert q is not None
    attributes = {"stride": stride, "dilation": dilation, "padding": pad, "activation": NONE}
    y = QParams(q.scale, form.get("zero_point", q.zero_point))
    inputs = (x, w, net.bias(x, w, outputs, terms))
    return net.graph(net.apply(ops.Conv2D, inputs, (shape[0], *out, outputs), y, **attributes))


def without_odd_extremes(net: Net, w: int) -> None:
    """No weight of -128: every pair of weights fits 16 bits, wherever a run begins."""
    t = net.tensors[w]
    assert t.data is not None
    net.tensors[w] = replace(t, data=np.maximum(t.data, -127))


def _product_rows(rng: np.random.Generator, **form: Any) -> Graph:
    """What matrix products take: two outputs a group at least, and pixels that are no whole words, or groups."""
    outputs = form.get("outputs") or int(rng.integers(2, 9))
    depth, groups = form.get("depth") or int(rng.integers(1, 4)), form.get("groups") or int(rng.integers(1, 4))
    groups = groups if groups * depth % 4 else 3
    return _grouped(rng, **{**form, "outputs": outputs, "depth": depth, "groups": groups, "pairs": True})


def _transposed(rng: np.random.Generator, **form: Any) -> Graph:
    """A transposed convolution whose window is as large as the stride at least, with any crop."""
    net = Net(rng)
    depth, outputs = form.get("depth") or net.size(1, 9), form.get("outputs") or net.size(1, 9)
    x = net.input((form.get("batch", 1), net.size(1, 6), net.size(1, 6), depth))
    stride = (net.size(1, 3), net.size(1, 3))
    window = tuple(s + net.size(0, 3) for s in stride)
    crops = tuple(net.size(0, k - 1) for k in window)
    full = [(n - 1) * s + k for n, s, k in zip(net.shape(x)[1:3], stride, window, strict=True)]
    out = [max(1, n - crop - net.size(0, 2)) for n, crop in zip(full, crops, strict=True)]
    w = extreme_weights(net, (outputs, *window, depth), 0)
    terms = max(1, depth * window[0] * window[1] // (stride[0] * stride[1]))
    attributes = {"stride": stride, "padding": ops.Padding(top=crops[0], left=crops[1]), "activation": NONE}
    inputs = (x, w, net.bias(x, w, outputs, terms))
    shape = (net.shape(x)[0], *out, outputs)
    return net.graph(net.apply(ops.TransposeConv, inputs, shape, net.sum_quant(x, w, terms), **attributes))


def _rows(rng: np.random.Generator, **form: Any) -> Graph:
    """A fully connected layer over three rows or more."""
    net = Net(rng)
    depth, outputs = form.get("depth") or net.size(1, 40), net.size(1, 13)
    x = net.input((1, net.size(3, 11), depth))
    largest = form.get("largest")
    w = (
        net.weights((outputs, depth), 0, False, largest=largest)
        if largest
        else extreme_weights(net, (outputs, depth), 0)
    )
    without_odd_extremes(net, w)
    q = net.sum_quant(x, w, depth)
    assert q is not None
    y = QParams(q.scale, form["zero_point"])
    inputs = (x, w, net.bias(x, w, outputs, depth))
    return net.graph(net.apply(ops.FullyConnected, inputs, (1, net.shape(x)[1], outputs), y, activation=NONE))


def _blocks(rng: np.random.Generator, **form: Any) -> Graph:
    """A transposed convolution whose window is the stride."""
    net = Net(rng)
    depth, outputs = form.get("depth") or net.size(1, 9), net.size(2, 9)
    x = net.input((form.get("batch", 1), net.size(1, 5), net.size(1, 6), depth))
    stride = (net.size(1, 3), net.size(1, 3))
    largest, kernel = form.get("largest"), (outputs, *stride, depth)
    w = net.weights(kernel, 0, False, largest=largest) if largest else extreme_weights(net, kernel, 0)
    without_odd_extremes(net, w)
    n, height, width, _ = net.shape(x)
    shape = (n, height * stride[0], width * stride[1], outputs)
    inputs = (x, w, net.bias(x, w, outputs, depth))
    q = net.sum_quant(x, w, depth)
    assert q is not None
    y = QParams(q.scale, form["zero_point"])
    return net.graph(net.apply(ops.TransposeConv, inputs, shape, y, stride=stride, activation=NONE))


def _flat(rng: np.random.Generator, **form: Any) -> Graph:
    """Convolutions, without groups unless `form` says, whose pairs of weights fit."""
    return _grouped(rng, **{"groups": 1, "zero_point": -128, "pairs": True, **form})


def _matrices(rng: np.random.Generator, **form: Any) -> Graph:
    """Products of computed matrices, whole words deep or not, of more columns than go to scratch at once or few."""
    net = Net(rng)
    rows, depth, columns = (form.get(name) or net.size(1, 11) for name in ("rows", "depth", "columns"))
    adj_a, adj_b = form.get("adj_a", False), form.get("adj_b", False)
    lead = form.get("lead", (2,))
    a = net.input((*lead, depth, rows) if adj_a else (*lead, rows, depth))
    b = net.input((*form.get("b_lead", lead), columns, depth) if adj_b else (*form.get("b_lead", lead), depth, columns))
    zero = form.get("b_zero", -7)
    net.tensors[b] = replace(net.tensors[b], q=QParams.of(net.scale(b), zero))
    y = net.quant(net.dtype, net.scale(a) * net.scale(b) * 127 * float(np.sqrt(depth)), 9)
    return net.graph(net.apply(ops.BatchMatMul, (a, b), (*lead, rows, columns), y, adj_a=adj_a, adj_b=adj_b))


def _long(rng: np.random.Generator, **form: Any) -> Graph:
    """A fully connected layer; `depth` inputs, else more than sums of 23 bits hold."""
    net = Net(rng)
    depth, outputs = form.get("depth") or net.size(1000, 1400), form.get("outputs") or net.size(1, 11)
    x = net.input((form.get("rows", 1), depth))
    w = extreme_weights(net, (outputs, depth), 0)
    q = net.sum_quant(x, w, depth)
    assert q is not None
    inputs = (x, w, net.bias(x, w, outputs, depth))
    return net.graph(net.apply(ops.FullyConnected, inputs, (form.get("rows", 1), outputs), q, activation=NONE))


def _taps(rng: np.random.Generator, **form: Any) -> Graph:
    """A depthwise convolution with a window of any shape; `zero_point` of the output."""
    net = Net(rng)
    channels, width = form.get("channels") or net.size(1, 13), 1 if form.get("line") else net.size(1, 9)
    x = net.input((form.get("batch", 1), net.size(1, 14), width, channels))
    shape = net.shape(x)
    geometry = layers.window_geometry(net, shape, form.get("tallest", 6), form.get("dilate", False))
    window, stride, dilation, pad, out = geometry
    w = extreme_weights(net, (1, *window, channels), 3)
    q = net.sum_quant(x, w, window[0] * window[1])
    assert q is not None
    attributes = {"stride": stride, "dilation": dilation, "padding": pad, "activation": NONE}
    y = QParams(q.scale, form.get("zero_point", -128))
    inputs = (x, w, net.bias(x, w, channels, window[0] * window[1]))
    return net.graph(net.apply(ops.DepthwiseConv2D, inputs, (shape[0], *out, channels), y, **attributes))


GENERATORS: dict[str, Generator] = {
    "fully_connected_dot": _long,
    "fully_connected_dot_one_output": partial(_long, outputs=1),
    "fully_connected_dot_short": lambda rng: _long(rng, depth=int(rng.integers(1, 40))),
    "fully_connected_dot_rows": partial(_long, rows=3, depth=36),
    "conv2d_dot": partial(_grouped, groups=1),
    "subpixel_gemm_12": partial(_blocks, zero_point=-128),
    "subpixel_gemm_12_words": partial(_blocks, zero_point=-128, depth=12, batch=2),
    "subpixel_gemm_8": partial(_blocks, zero_point=-128, largest=5, depth=23),
    "subpixel_gemm_twice": partial(_blocks, zero_point=11),
    "subpixel_dot": _transposed,
    "subpixel_dot_words": partial(_transposed, depth=8, outputs=16),
    "subpixel_dot_batch": partial(_transposed, batch=2, outputs=3),
    "matmul_dot": _matrices,
    "matmul_dot_words": partial(_matrices, depth=8, adj_b=True),
    "matmul_dot_columns": partial(_matrices, columns=71, depth=12, b_zero=0),
    "matmul_dot_turned": partial(_matrices, adj_a=True, adj_b=True, b_zero=-128),
    "matmul_dot_broadcast": partial(_matrices, lead=(2, 3), b_lead=(1, 3), depth=5),
    "conv2d_dot_groups": _grouped,
    "conv2d_dot_groups_of_words": partial(_grouped, groups=3, depth=8),
    "conv2d_dot_groups_dilated": partial(_grouped, groups=2, dilate=True),
    "conv2d_dot_words": partial(_grouped, groups=1, depth=12, tallest=3),
    "conv2d_dot_dilated": partial(_grouped, groups=1, dilate=True),
    "conv2d_dot_line": partial(_grouped, groups=1, line=True, tallest=9),
    "conv2d_dot_line_dilated": partial(_grouped, groups=1, line=True, dilate=True),
    "conv2d_dot_batch": partial(_grouped, batch=3),
    "conv2d_rows_12": partial(_product_rows, zero_point=-128),
    "conv2d_rows_8": partial(_product_rows, zero_point=-128, tallest=2),
    "conv2d_rows_twice": _product_rows,
    "conv2d_rows_twice_odd": partial(_product_rows, groups=1, depth=7, outputs=5),
    "conv2d_rows_twice_line": partial(_product_rows, groups=1, depth=5, line=True, tallest=9),
    "conv2d_rows_twice_dilated": partial(_product_rows, groups=2, depth=4, dilate=True),
    "conv2d_rows_twice_batch": partial(_product_rows, groups=3, depth=2, batch=2),
    "conv2d_flat_8": partial(_flat, tallest=2),
    "conv2d_flat_8_groups": partial(_flat, groups=3, tallest=2),
    "conv2d_flat_12": _flat,
    "conv2d_flat_12_long": partial(_flat, depth=45, tallest=3),
    "conv2d_flat_12_words": partial(_flat, depth=8),
    "conv2d_flat_12_groups_of_words": partial(_flat, groups=3, depth=4),
    "conv2d_flat_twice": partial(_flat, zero_point=4),
    "conv2d_flat_twice_line": partial(_flat, zero_point=4, line=True, tallest=9),
    "conv2d_flat_twice_dilated": partial(_flat, zero_point=4, dilate=True),
    "conv2d_flat_twice_groups_dilated": partial(_flat, zero_point=4, groups=2, dilate=True),
    "conv2d_flat_twice_even": partial(_flat, zero_point=-40, depth=6),
    "conv2d_flat_twice_batch": partial(_flat, zero_point=4, batch=3),
    "conv2d_ring": partial(_grouped, groups=1),
    "conv2d_ring_words": partial(_grouped, groups=1, depth=8),
    "conv2d_ring_line": partial(_grouped, groups=1, line=True, tallest=9),
    "conv2d_ring_dilated": partial(_grouped, groups=1, dilate=True),
    "conv2d_ring_line_dilated": partial(_grouped, groups=1, line=True, dilate=True),
    "conv2d_ring_batch": partial(_grouped, groups=1, batch=3),
    "depthwise_taps_8": _taps,
    "depthwise_taps_12": partial(_taps, dilate=True),
    "depthwise_taps_12_line": partial(_taps, line=True, tallest=9),
    "depthwise_taps_twice": partial(_taps, zero_point=5),
    "depthwise_taps_twice_words": partial(_taps, zero_point=5, channels=8),
    "depthwise_taps_twice_dilated": partial(_taps, zero_point=-20, dilate=True),
    "depthwise_taps_twice_line": partial(_taps, zero_point=0, line=True, dilate=True),
    "depthwise_taps_twice_batch": partial(_taps, zero_point=0, batch=3),
}

MORE_GENERATORS: dict[str, Generator] = {
    "pointwise_gemm_12_connected": partial(_rows, zero_point=-128),
    "pointwise_gemm_8_connected": partial(_rows, zero_point=-128, largest=5, depth=23),
    "pointwise_gemm_twice_connected": partial(_rows, zero_point=11),
    "matmul_pairs": _matrices,
    "matmul_pairs_words": partial(_matrices, depth=8, adj_b=True),
    "matmul_pairs_columns": partial(_matrices, columns=71, depth=12, b_zero=0),
    "matmul_pairs_turned": partial(_matrices, adj_a=True, adj_b=True, b_zero=-128),
    "matmul_pairs_broadcast": partial(_matrices, lead=(2, 3), b_lead=(1, 3), depth=5),
}
"""Of variants that came later: the seed of a graph is its place in the list of all."""
