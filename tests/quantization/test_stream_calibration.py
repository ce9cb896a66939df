"""Calibration of networks with memory: samples are a stream, and a state has the scale of what becomes it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import state_graphs
from nets import Net

import mcuquant as mq
from mcuquant.errors import UnsupportedOpError
from mcuquant.ir import DType, Graph, QParams, Update, ops


@pytest.fixture
def graph() -> Graph:
    """A convolution over a line of five rows, and a mean that goes on: 7/8 of it and 1/8 of what is new."""
    rng = np.random.default_rng(0)
    net, updates = Net(rng, DType.FLOAT32), list[Update]()
    x = net.input((1, 2, 1, 3))
    joined = state_graphs.delayed(net, x, 3, updates)
    w = net.constant(rng.normal(0, 0.4, (4, 5, 1, 3)), DType.FLOAT32)
    y = net.apply(ops.Conv2D, (joined, w), (1, 1, 1, 4))
    mean = state_graphs.state(net, y)
    old, new = (net.constant(np.array([v]), DType.FLOAT32) for v in (7 / 8, 1 / 8))
    part = net.apply(ops.Mul, (y, new), (1, 1, 1, 4))
    left = net.apply(ops.Mul, (mean, old), (1, 1, 1, 4))
    total = net.apply(ops.Add, (left, part), (1, 1, 1, 4))
    return replace(net.graph(y, total), updates=(*updates, Update(mean, total)))


@pytest.mark.parametrize(("activations", "least_db"), [("int8", 30), ("int16", 45)])
def test_states_have_the_scales_of_what_becomes_them(graph: Graph, activations: str, least_db: int) -> None:
    walk = np.cumsum(np.random.default_rng(1).normal(0, 0.1, (200, 2, 1, 3)), axis=0).astype(np.float32)
    integer = mq.quantize(graph, walk, activations=activations)
    assert [(integer[u.state].q, integer[u.state].dtype) for u in integer.updates] == [
        (integer[u.value].q, integer[u.value].dtype) for u in integer.updates
    ]
    assert all((t.value == t.zero_point).all() for t in integer.states)
    report = mq.snr_report(graph, integer, walk)
    assert min(row.cumulative_db for row in report) > least_db


def test_mixed_activations_are_refused(graph: Graph) -> None:
    with pytest.raises(UnsupportedOpError) as caught:
        mq.quantize(graph, np.zeros((8, 2, 1, 3), np.float32), activations="mixed")
    assert str(caught.value) == (
        "net keeps state between inferences, and mixed activations are for networks without; use int8 or int16"
    )


def test_few_bits_are_not_reconstructed(graph: Graph) -> None:
    walk = np.cumsum(np.random.default_rng(1).normal(0, 0.1, (40, 2, 1, 3)), axis=0).astype(np.float32)
    made = mq.quantize(graph, walk, weights=mq.Weights(bits=4))
    assert not any("adaptive" in note for note in made.notes)
    with pytest.raises(UnsupportedOpError) as caught:
        mq.quantize(graph, walk, weights=mq.Weights(bits=4, adaptive_rounding=True))
    assert str(caught.value) == (
        "net keeps state between inferences; adaptive rounding and bias correction are for networks without"
    )


def test_a_state_has_the_scale_that_is_prescribed_for_its_value() -> None:
    net = Net(np.random.default_rng(0), DType.FLOAT32)
    x = net.input((1, 4))
    y = net.apply(ops.Softmax, (x,), (1, 4))
    kept = state_graphs.state(net, y)
    both = net.apply(ops.Add, (kept, y), (1, 4))
    graph = replace(net.graph(both), updates=(Update(kept, y),))
    integer = mq.quantize(graph, np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32))
    assert [t.q for t in integer.states] == [QParams((1 / 256,), -128)]
