"""The published networks: the layers that their names state, and outputs equal to the interpreter's."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import published
from mcuquant.ir import ops


@pytest.mark.parametrize("name", published.NETWORKS)
def test_networks_have_the_layers_they_state(name: str) -> None:
    graph, layers = published.network(name), published.NETWORKS[name].split(", ")
    assert graph[graph.inputs[0]].shape == (1, 256, 1, 1)
    assert graph[graph.outputs[0]].shape == (1, 2)
    kinds = [op for op in graph.ops if isinstance(op, ops.Conv2D)]
    assert len(kinds) == sum(layer[0] == "c" for layer in layers)
    assert sum(isinstance(op, ops.MaxPool2D) for op in graph.ops) == layers.count("p")


@pytest.mark.emulator
def test_the_smallest_is_measured(tmp_path: Path) -> None:
    cycles, arena_bytes = published.measure("4k", published.BOARD, tmp_path)
    assert cycles > 0
    assert arena_bytes > 256
