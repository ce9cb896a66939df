"""Who interprets a network on his own account looks first how much that is."""

from __future__ import annotations

import importlib

import numpy as np
import pytest
from graphs import GENERATORS, random_inputs
from nets import Net

from mcuquant.arithmetic import interpreter
from mcuquant.ir import DType, Graph, ops
from mcuquant.ir.metrics import effort
from mcuquant.passes.fold_constants import fold_constants
from mcuquant.passes.shrink import shrink

weighted = importlib.import_module("mcuquant.arithmetic.interpreter.weighted_sums")


def pooled(window: int, size: int, constant: bool = False) -> Graph:
    """Two maximum pools, the first over a constant or an input."""
    net = Net(np.random.default_rng(0))
    q = net.quant(DType.INT8)
    shape = (1, size, size, 1)
    net.input((1, 1))
    x = net.constant(np.zeros(shape), DType.INT8, q) if constant else net.input(shape)
    out = (1, size - window + 1, size - window + 1, 1)
    y = net.apply(ops.MaxPool2D, (x,), out, net.tensors[x].q, window=(window, window), stride=(1, 1))
    return net.graph(net.apply(ops.Relu, (y,), out, net.tensors[x].q, activation=ops.Activation.RELU))


def test_effort_counts_padding_windows_and_calls() -> None:
    net = Net(np.random.default_rng(0))
    x = net.input((1, 5, 7, 2))
    w = net.weights((3, 2, 3, 2), 0)
    y = net.apply(ops.Conv2D, (x, w), (1, 8, 5, 3), dilation=(4, 1), padding=ops.Padding(top=3, bottom=4))
    graph = net.graph(y)
    macs, elements = 8 * 5 * 3 * 12, 70 + 36 + 120
    padded, seen, calls = 12 * 7 * 2, 8 * 5 * 12, 6 * 3000
    assert effort(graph, graph.ops[0]) == macs + elements + padded + seen + calls


def test_constants_are_folded_only_where_that_is_little_work() -> None:
    assert [op.kind for op in fold_constants(pooled(8, 64, constant=True)).ops] == ["Slice"], "a copy of the constant"
    long = pooled(256, 512, constant=True)
    assert fold_constants(long) is long


def test_shrinking_leaves_out_what_would_take_long() -> None:
    small = pooled(8, 64)
    assert shrink(small).notes == ()
    assert shrink(pooled(128, 512)).notes == ("shrink: left out, its analysis would go through 2,478,639,363 elements",)


@pytest.mark.parametrize("name", ["conv2d", "conv2d_groups", "conv2d_dilated_int16"])
def test_convolutions_in_blocks_are_the_same(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(5):
        rng = np.random.default_rng(seed)
        graph = GENERATORS[name](rng)
        inputs = random_inputs(rng, graph)
        whole = interpreter.run(graph, inputs)
        with monkeypatch.context() as patch:
            patch.setattr(weighted, "_BLOCK", 1)
            parts = interpreter.run(graph, inputs)
        np.testing.assert_array_equal(whole[0], parts[0])
