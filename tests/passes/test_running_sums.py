"""Means and sums over the rows of a stream: every byte is that of the reduction over all rows of the window."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from harness import build_device, build_host, check_stream
from nets import Net, random_inputs
from stream_graphs import summed_network
from variants_under_test import RUNNING

import mcuquant as mq
from mcuquant.arithmetic import interpreter
from mcuquant.boards.core import CORES
from mcuquant.errors import UnsupportedOpError
from mcuquant.ir import Array, DType, Graph, Level, ops
from mcuquant.ir.metrics import state_bytes
from mcuquant.ir.running_sum import RunningSum
from mcuquant.ir.verify import verify
from mcuquant.passes.running_sums import with_running_sums
from mcuquant.planner import plan

TYPES = (DType.INT8, DType.INT16)


def streams(seeds: range) -> list[Graph]:
    graphs = []
    for seed in seeds:
        for dtype in TYPES:
            graph, hop = summed_network(seed, dtype)
            try:
                graphs.append(mq.stream(graph, 1, hop).graph)
            except UnsupportedOpError:
                continue
    return graphs


def running(graph: Graph) -> list[RunningSum]:
    return [op for op in graph.ops if isinstance(op, RunningSum)]


def samples(graph: Graph, count: int) -> list[list[Array]]:
    rng = np.random.default_rng(2)
    return [random_inputs(rng, graph) for _ in range(count)]


def test_running_sums_equal_sums_of_all_rows() -> None:
    """By the interpreter, which the C is compared with below; edges of padding at both ends too."""
    graphs = [(before, with_running_sums(before)) for before in streams(range(30))]
    for before, after in graphs:
        verify(after, Level.LOWERABLE)
        states = [interpreter.reset_state(graph) for graph in (before, after)]
        for inputs in samples(before, 30):
            all_rows, continued = (
                interpreter.run(graph, inputs, state) for graph, state in zip((before, after), states, strict=True)
            )
            assert all(np.array_equal(a, b) for a, b in zip(all_rows, continued, strict=True))
    found = [op for _, after in graphs for op in running(after)]
    assert {op.kind for op in found} == {"AvgPool2D", "Mean", "Sum"}
    assert any(op.start for op in found)
    assert len(found) > len(graphs) // 2


def compiled() -> dict[str, Graph]:
    """One for each kernel, by its name, and others with edges, strides and activations."""
    others = [graph for graph in streams(range(12)) if running(with_running_sums(graph))]
    return {name: RUNNING.graph(name, 1) for name in RUNNING.names} | {graph.name: graph for graph in others}


def test_running_sums_in_c(tmp_path: Path) -> None:
    graphs = compiled()
    runner = build_host(list(graphs.values()), tmp_path, CORES["cortex-m4"], list(graphs))
    for i, (name, graph) in enumerate(graphs.items()):
        check_stream(name, runner, i, samples(graph, 30))


@pytest.mark.emulator
@pytest.mark.parametrize("cpu", ["cortex-m0plus", "cortex-m4"])
def test_running_sums_on_each_core(cpu: str, tmp_path: Path) -> None:
    graphs = dict(list(compiled().items())[:10])
    runner = build_device(list(graphs.values()), tmp_path, cpu, list(graphs))
    for i, (name, graph) in enumerate(graphs.items()):
        check_stream(name, runner, i, samples(graph, 12))


def test_the_report_counts_the_rows_of_a_running_sum() -> None:
    rng = np.random.default_rng(0)
    net = Net(rng)
    x = net.input((1, 20, 1, 4))
    w = net.weights((6, 3, 1, 4), 0)
    x = net.apply(ops.Conv2D, (x, w), (1, 18, 1, 6), net.sum_quant(x, w, 12))
    graph = net.graph(net.apply(ops.Mean, (x,), (1, 6), net.tensors[x].q, axes=(1, 2)), name="mean")
    streaming = mq.stream(graph, 1, 2)
    layer = streaming.layers[-1]
    assert (layer.op, layer.rows, layer.reused, layer.computed, layer.phases) == ("Mean", 18, 16, 4, 1)
    assert layer.reason == "Mean goes over all rows; only the sum of 16 of them is kept"
    planned = plan(streaming.graph, CORES["cortex-m4"])
    assert planned.states.nbytes >= state_bytes(streaming.graph) + 6 * 4
