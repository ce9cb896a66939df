"""Clamps, normalisation and borders that go into the operation beside them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import layers
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nets import Net
from rewriting import FLOAT32, INT8, SEEDS, TYPES, assert_same_results, image, kinds, modest, same

from mcuquant.ir import Activation, DType, Graph, QParams, ops
from mcuquant.passes import (
    drop_dead,
    expand_average_pool,
    expand_batch_norm,
    fold_batch_norm,
    fuse_activation,
    fuse_pad,
    run_passes,
)

RELU, RELU6, RELU_N1 = Activation.RELU, Activation.RELU6, Activation.RELU_N1_TO_1

# --- clamps -----------------------------------------------------------------------------------------------------------

PRODUCERS = {
    "conv": layers.conv2d,
    "depthwise": layers.depthwise,
    "fully_connected": layers.fully_connected,
    "add": lambda net, x: layers.binary(net, x, ops.Add),
    "mul": lambda net, x: layers.binary(net, x, ops.Mul),
    "average": lambda net, x: layers.pool(net, x, ops.AvgPool2D),
    "maximum": lambda net, x: layers.pool(net, x, ops.MaxPool2D),
    "clamp": lambda net, x: layers.relu(net, x, net.pick(RELU, RELU6)),
}


@pytest.mark.parametrize("producer", PRODUCERS)
@modest
@given(SEEDS, TYPES, st.sampled_from([RELU, RELU6, RELU_N1]))
def test_a_clamp_is_fused_where_that_is_exact(producer: str, seed: int, dtype: DType, activation: Activation) -> None:
    net = Net(np.random.default_rng(seed), dtype)
    x = PRODUCERS[producer](net, net.input((1, net.size(2, 6), net.size(2, 6), net.size(1, 6))))
    first = net.ops[-1].activation  # type: ignore[attr-defined]
    graph = net.graph(same(net, x, ops.Relu, activation=activation))
    fused = run_passes(graph, [fuse_activation])
    one_clamp = first in (Activation.NONE, activation) or {first, activation} == {RELU, RELU6}
    rescales = producer == "clamp" and net.tensors[net.ops[0].inputs[0]].q != net.tensors[x].q
    assert kinds(fused) == (kinds(graph)[:-1] if one_clamp and not rescales else kinds(graph))
    assert_same_results(graph, fused, net.rng)


def test_a_clamp_to_another_scale_stays() -> None:
    net = Net(np.random.default_rng(3))
    x = layers.conv2d(net, net.input((1, 4, 4, 2)))
    graph = net.graph(net.apply(ops.Relu, (x,), net.shape(x), QParams.of(net.scale(x) * 0.9), activation=RELU))
    assert fuse_activation(graph) is graph


def test_a_clamp_whose_input_others_read_stays() -> None:
    net = Net(np.random.default_rng(3), FLOAT32)
    x = layers.conv2d(net, net.input((1, 4, 4, 2)))
    y = same(net, x, ops.Relu, activation=RELU)
    read_twice = net.graph(net.apply(ops.Add, (x, y), net.shape(x)))
    assert fuse_activation(read_twice) is read_twice
    put_out = net.graph(x, y)
    assert fuse_activation(put_out) is put_out


# --- batch normalisation ----------------------------------------------------------------------------------------------


def batch_norm(net: Net, x: int) -> int:
    channels = net.shape(x)[-1]
    scale = net.constant(net.rng.uniform(-2, 2, channels), FLOAT32)
    offset = net.constant(net.rng.normal(0, 1, channels), FLOAT32)
    return net.apply(ops.BatchNorm, (x, scale, offset), net.shape(x))


def without_activation(net: Net) -> None:
    net.ops[-1] = replace(net.ops[-1], activation=Activation.NONE)  # type: ignore[call-arg]


WEIGHTED: dict[str, Callable[[Net, int], int]] = {
    "conv": layers.conv2d,
    "grouped": lambda net, x: layers.conv2d(net, x, groups=net.shape(x)[3] // 2),
    "no bias": lambda net, x: layers.conv2d(net, x, bias=False),
    "depthwise": lambda net, x: layers.depthwise(net, x, multiplier=net.size(1, 3)),
    "fully connected": layers.fully_connected,
    "rows": lambda net, x: layers.fully_connected(net, x, rows=True),
    "transposed": layers.transpose_conv,
}


@pytest.mark.parametrize("name", WEIGHTED)
@modest
@given(SEEDS)
def test_batch_norm_goes_into_the_layer_before(name: str, seed: int) -> None:
    net = Net(np.random.default_rng(seed), FLOAT32)
    x = WEIGHTED[name](net, image(net))
    without_activation(net)
    graph = net.graph(batch_norm(net, batch_norm(net, x)))
    folded = run_passes(graph, [fold_batch_norm])
    assert kinds(folded) == kinds(graph)[:1]
    assert_same_results(graph, folded, net.rng)


@pytest.mark.parametrize("name", [name for name in WEIGHTED if name != "transposed"])
@modest
@given(SEEDS, st.booleans())
def test_batch_norm_goes_into_the_layer_after(name: str, seed: int, flatten: bool) -> None:
    net = Net(np.random.default_rng(seed), FLOAT32)
    x = batch_norm(net, image(net))
    if flatten and name == "fully connected":
        x = same(net, x, ops.Reshape, (1, net.tensors[x].elements))
    graph = net.graph(WEIGHTED[name](net, x))
    padding = getattr(graph.ops[-1], "padding", None)
    folded = run_passes(graph, [fold_batch_norm])
    if padding is not None and padding.any:
        assert folded is graph
    else:
        assert kinds(folded) == kinds(graph)[1:]
    assert_same_results(graph, folded, net.rng)


@modest
@given(SEEDS)
def test_batch_norm_on_its_own_becomes_a_depthwise_convolution(seed: int) -> None:
    net = Net(np.random.default_rng(seed), FLOAT32)
    shape = (1, *(net.size(1, 5) for _ in range(net.size(1, 4))))
    graph = net.graph(batch_norm(net, net.input(shape)))
    expanded = run_passes(graph, [expand_batch_norm])
    view = [] if len(shape) == 4 else ["Reshape"]
    assert kinds(expanded) == [*view, "DepthwiseConv2D", *view]
    assert_same_results(graph, expanded, net.rng)


def test_batch_norm_that_others_read_is_not_folded_forward() -> None:
    net = Net(np.random.default_rng(3), FLOAT32)
    x = batch_norm(net, net.input((1, 4, 4, 2)))
    graph = net.graph(layers.conv2d(net, x, pointwise=True), x)
    assert fold_batch_norm(graph) is graph


def test_batch_norm_behind_a_clamp_is_not_folded_back() -> None:
    net = Net(np.random.default_rng(3), FLOAT32)
    x = layers.conv2d(net, net.input((1, 4, 4, 2)))
    net.ops[-1] = replace(net.ops[-1], activation=RELU)  # type: ignore[call-arg]
    graph = net.graph(batch_norm(net, x))
    assert fold_batch_norm(graph) is graph


def test_folding_keeps_the_names_of_weights() -> None:
    net = Net(np.random.default_rng(3), FLOAT32)
    x = layers.conv2d(net, net.input((1, 4, 4, 2)))
    without_activation(net)
    w, b = net.ops[-1].inputs[1:]
    folded = fold_batch_norm(net.graph(batch_norm(net, x)))
    assert [folded[i].name for i in folded.ops[0].inputs[1:]] == [net.tensors[w].name, net.tensors[b].name]


# --- padding ----------------------------------------------------------------------------------------------------------


def bordered(net: Net, x: int, value: float | None = None) -> int:
    pads = ((0, 0), *((net.size(0, 2), net.size(0, 2)) for _ in range(2)), (0, 0))
    shape = tuple(n + sum(p) for n, p in zip(net.shape(x), pads, strict=True))
    return same(net, x, ops.Pad, shape, pads=pads, value=value)


@modest
@given(SEEDS, TYPES, st.sampled_from(["conv", "depthwise"]), st.booleans())
def test_a_border_of_zeros_becomes_padding(seed: int, dtype: DType, kind: str, explicit: bool) -> None:
    net = Net(np.random.default_rng(seed), dtype)
    x = image(net)
    border = bordered(net, x, net.tensors[x].zero_point if explicit else None)
    graph = net.graph(WEIGHTED[kind](net, border))
    fused = run_passes(graph, [fuse_pad, drop_dead])
    assert_same_results(graph, fused, net.rng)
    pad, conv = graph.ops[0], graph.ops[1]
    narrow = all(before + after_padding < reach for before, after_padding, reach in _sides(pad, conv, graph))
    assert kinds(fused) == (kinds(graph)[1:] if narrow else kinds(graph))


def _sides(pad: Any, conv: Any, graph: Graph) -> list[tuple[int, int, int]]:
    """(border, padding, reach of the window) of the four sides."""
    window = graph[conv.inputs[1]].shape[1:3]
    reach = [d * (k - 1) + 1 for d, k in zip(conv.dilation, window, strict=True)]
    p = conv.padding
    vertical = zip(pad.pads[1], (p.top, p.bottom), [reach[0]] * 2, strict=True)
    return [*vertical, *zip(pad.pads[2], (p.left, p.right), [reach[1]] * 2, strict=True)]


@pytest.mark.parametrize("dtype", [FLOAT32, INT8])
def test_a_border_of_something_else_stays(dtype: DType) -> None:
    net = Net(np.random.default_rng(3), dtype)
    x = net.input((1, 4, 4, 2))
    value = net.tensors[x].zero_point + (1 if net.tensors[x].zero_point < 127 else -1)
    graph = net.graph(
        layers.conv2d(net, same(net, x, ops.Pad, (1, 5, 4, 2), pads=((0, 0), (1, 0), (0, 0), (0, 0)), value=value))
    )
    assert fuse_pad(graph) is graph


def test_padded_channels_stay() -> None:
    net = Net(np.random.default_rng(3), FLOAT32)
    pads = ((0, 0), (0, 0), (0, 0), (1, 1))
    graph = net.graph(layers.conv2d(net, same(net, net.input((1, 4, 4, 2)), ops.Pad, (1, 4, 4, 4), pads=pads)))
    assert fuse_pad(graph) is graph


def test_a_border_that_others_read_too_stays_for_them() -> None:
    net = Net(np.random.default_rng(3), FLOAT32)
    pads = ((0, 0), (1, 1), (1, 1), (0, 0))
    x = same(net, net.input((1, 4, 4, 2)), ops.Pad, (1, 6, 6, 2), pads=pads)
    w = net.weights((3, 3, 3, 2), 0)
    y = net.apply(ops.Conv2D, (x, w), (1, 4, 4, 3))
    graph = net.graph(y, x)
    fused = run_passes(graph, [fuse_pad, drop_dead])
    assert kinds(fused) == ["Pad", "Conv2D"]
    assert fused.ops[1].inputs == (graph.inputs[0], w)
    assert_same_results(graph, fused, net.rng)


# --- average pooling --------------------------------------------------------------------------------------------------


@modest
@given(SEEDS)
def test_average_pooling_over_other_borders_is_expanded(seed: int) -> None:
    net = Net(np.random.default_rng(seed), FLOAT32)
    graph = net.graph(layers.pool(net, image(net), ops.AvgPool2D, words_only=False))
    expanded = run_passes(graph, [expand_average_pool])
    assert kinds(expanded) in (["AvgPool2D"], ["Pad", "AvgPool2D", "Mul"])
    assert_same_results(graph, expanded, net.rng)


@modest
@given(SEEDS)
def test_average_pooling_over_tflites_borders_stays(seed: int) -> None:
    net = Net(np.random.default_rng(seed), FLOAT32)
    graph = net.graph(layers.pool(net, image(net), ops.AvgPool2D))
    assert expand_average_pool(graph) is graph
