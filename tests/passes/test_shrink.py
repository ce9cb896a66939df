"""Lossless shrinking: nothing that a network computes changes, and what is constant is gone."""

from __future__ import annotations

from dataclasses import replace

import graphs
import mlperf
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcuquant.arithmetic import interpreter
from mcuquant.ir import Graph, Level, ops
from mcuquant.ir.metrics import total_macs
from mcuquant.ir.verify import verify
from mcuquant.passes.intervals import intervals
from mcuquant.passes.shrink import shrink
from mcuquant.tflite.reader import from_tflite

SEEDS = st.integers(0, 2**32 - 1)


def with_dead_channels(graph: Graph, rng: np.random.Generator, share: float) -> Graph:
    """Some of the output channels of every weighted operation lose all their weights."""
    tensors = dict(graph.tensors)
    for op in graph.ops:
        if isinstance(op, ops.Conv2D | ops.DepthwiseConv2D | ops.FullyConnected):
            w = tensors[op.inputs[1]]
            assert w.data is not None
            axis = 3 if isinstance(op, ops.DepthwiseConv2D) else 0
            dead = rng.random(w.shape[axis]) < share
            data = np.where(np.expand_dims(dead, tuple(i for i in range(w.data.ndim) if i != axis)), 0, w.data)
            tensors[w.id] = replace(w, data=data.astype(w.dtype.numpy))
    return graph.with_(tensors=tensors)


@settings(max_examples=60, deadline=None)
@given(SEEDS, st.sampled_from([0.0, 0.3, 0.8, 1.0]))
def test_outputs_stay_the_same_on_random_networks(seed: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    graph = with_dead_channels(graphs.random_network(rng), rng, share)
    small = verify(shrink(graph), Level.QUANTISED)
    for _ in range(3):
        inputs = graphs.random_inputs(rng, graph)
        for expected, found in zip(interpreter.run(graph, inputs), interpreter.run(small, inputs), strict=True):
            np.testing.assert_array_equal(found, expected)


@settings(max_examples=60, deadline=None)
@given(SEEDS)
def test_no_value_leaves_its_interval(seed: int) -> None:
    rng = np.random.default_rng(seed)
    graph = with_dead_channels(graphs.random_network(rng), rng, 0.3)
    for bounds in (True, False):
        known = intervals(graph, bounds)
        values = interpreter.trace(graph, graphs.random_inputs(rng, graph))
        for tensor, (low, high) in known.items():
            assert (low <= values[tensor]).all()
            assert (values[tensor] <= high).all()


@pytest.mark.parametrize("name", sorted(graphs.GENERATORS))
def test_no_value_of_any_operation_leaves_its_interval(name: str) -> None:
    for seed in range(5):
        rng = np.random.default_rng(seed)
        graph = graphs.GENERATORS[name](rng)
        known = intervals(graph)
        values = interpreter.trace(graph, graphs.random_inputs(rng, graph))
        for tensor, (low, high) in known.items():
            assert (low <= values[tensor]).all()
            assert (values[tensor] <= high).all()


def test_a_float_graph_is_left_alone() -> None:
    graph = graphs.FLOAT_GENERATORS["conv2d"](np.random.default_rng(0))
    assert shrink(graph) is graph


def test_half_of_the_visual_wake_words_network_goes() -> None:
    """By zero weights alone: the counts published for this model. Bounds on sums prove more channels constant."""
    graph = from_tflite.load(mlperf.path("vww_int8.tflite"))
    small = shrink(graph, bounds=False)
    weights = sum(small[op.inputs[1]].elements for op in small.ops if len(op.inputs) > 1)
    assert (total_macs(graph), total_macs(small), weights) == (7_489_664, 3_733_073, 29_286)
    assert total_macs(shrink(graph)) == 3_727_313


@pytest.mark.parametrize("name", mlperf.INT8)
def test_published_models_give_the_same_bytes(name: str) -> None:
    graph = from_tflite.load(mlperf.path(f"{name}.tflite"))
    small = shrink(graph)
    rng = np.random.default_rng(1)
    for _ in range(5):
        inputs = graphs.random_inputs(rng, graph)
        np.testing.assert_array_equal(interpreter.run(small, inputs)[0], interpreter.run(graph, inputs)[0])
