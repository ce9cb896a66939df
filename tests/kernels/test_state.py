"""What a network keeps between inferences: the C equals the interpreter over streams, on the host and on each core."""

from __future__ import annotations

from pathlib import Path

import layers
import numpy as np
import pytest
import state_graphs
from harness import ARM, build_device, build_host, check_stream
from nets import Net, random_inputs

from mcuquant.boards.core import CORES
from mcuquant.codegen.lower import lower
from mcuquant.ir import Array, Graph
from mcuquant.planner import plan, prepared, state_layout

GRAPHS = state_graphs.every()


def samples(graph: Graph, count: int = 6) -> list[list[Array]]:
    rng = np.random.default_rng(3)
    return [random_inputs(rng, graph) for _ in range(count)]


def test_streams_equal_the_interpreter(tmp_path: Path) -> None:
    runner = build_host(list(GRAPHS.values()), tmp_path, CORES["cortex-m4"])
    for i, (name, graph) in enumerate(GRAPHS.items()):
        check_stream(name, runner, i, samples(graph))


@pytest.mark.emulator
@pytest.mark.parametrize("cpu", ["cortex-m0plus", "cortex-m4", "cortex-m55"])
def test_streams_on_each_core(cpu: str, tmp_path: Path) -> None:
    assert cpu in ARM
    runner = build_device(list(GRAPHS.values()), tmp_path, cpu)
    for i, (name, graph) in enumerate(GRAPHS.items()):
        check_stream(name, runner, i, samples(graph, 3))


def test_new_rows_are_written_where_they_are_read() -> None:
    """Neither the joining of a line nor its newest rows take a step, and the arena holds neither."""
    graph = prepared(state_graphs.views(np.random.default_rng(7)))
    layout = state_layout(graph)
    planned = plan(graph, CORES["cortex-m4"])
    assert [graph.ops[step.op_index].kind for step in planned.steps] == ["FullyConnected", "FullyConnected", "Maximum"]
    assert layout.nbytes == 24 + 8
    assert [(m.target, m.source, m.nbytes) for m in layout.moves if m.tensor is None] == [(0, 8, 16)]
    assert planned.arena_bytes == 16


def test_a_network_without_memory_has_none_in_c() -> None:
    graph = state_graphs.deep(np.random.default_rng(0))
    assert lower(plan(graph, CORES["cortex-m4"])).state_bytes == 16
    net = Net(np.random.default_rng(0))
    plain = net.graph(layers.fully_connected(net, net.input((1, 3)), 2))
    assert lower(plan(plain, CORES["cortex-m4"])).state is None
