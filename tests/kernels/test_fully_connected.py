"""The fully connected variants: packing read back, proofs, and which one is chosen."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from fast_graphs import dense
from harness import choose
from hypothesis import given, settings
from hypothesis import strategies as st
from nets import Net

from mcuquant.boards.core import CORES
from mcuquant.ir import Array, Graph, QParams, ops
from mcuquant.kernels import Blob, Site
from mcuquant.kernels.dsp import fully_connected_eight
from mcuquant.planner import plan

M4 = CORES["cortex-m4"]


def layer(
    depth: int = 21, outputs: int = 11, rows: int = 1, zero_point: int = -128, per_channel: bool = False
) -> Graph:
    net = Net(np.random.default_rng(2))
    return net.graph(dense(net, net.input((rows, depth)), outputs, zero_point, per_channel))


def changed(graph: Graph, tensor: int = -1, op: dict[str, Any] | None = None, **fields: Any) -> Graph:
    t = graph.out(graph.ops[0]) if tensor < 0 else graph[tensor]
    return replace(
        graph, tensors={**graph.tensors, t.id: replace(t, **fields)}, ops=(replace(graph.ops[0], **(op or {})),)
    )


def with_weights(graph: Graph, *values: tuple[int, int, int]) -> Graph:
    """(output, input, weight) put in."""
    w = graph.ins(graph.ops[0])[1]
    assert w.data is not None
    data = w.data.copy()
    for output, place, value in values:
        data[output, place] = value
    return changed(graph, w.id, data=data)


def chosen(graph: Graph, cpu: str = "cortex-m4") -> str:
    return choose(Site(graph, graph.ops[0], CORES[cpu])).name


@settings(deadline=None, max_examples=200)
@given(
    st.lists(st.integers(-128, 127), min_size=4, max_size=4), st.lists(st.integers(-128, 127), min_size=4, max_size=4)
)
def test_the_identity_of_the_inner_loop(x: list[int], b: list[int]) -> None:
    """Where the pairs of weights fit 16 bits, both halves of z do so too, and the products are as said."""
    h = [256 * b[1] + b[0], 256 * b[3] + b[2]]
    if min(h) < -32768:
        return
    word = np.array(h, np.int16).view(np.uint8)
    z = np.array([x[0], x[2]]) * 256 - np.array([x[1], x[3]]) + 127
    as_bytes = np.array([x[1], x[0], x[3], x[2]]).astype(np.int8).view(np.uint8) ^ np.array([127, 0, 127, 0], np.uint8)
    np.testing.assert_array_equal(as_bytes.view(np.int16), z)
    low = word[0::2].view(np.int8).astype(int)
    total = h[0] * x[1] + h[1] * x[3] + int(low @ z)
    assert total == 256 * int(np.dot(x, b)) + 127 * (b[0] + b[2])


@pytest.mark.parametrize(("depth", "outputs"), [(21, 11), (8, 8), (1, 1), (64, 17)])
def test_packing_read_back(depth: int, outputs: int) -> None:
    graph = layer(depth, outputs)
    site = Site(graph, graph.ops[0], M4)
    x, w, b = graph.ins(graph.ops[0])
    assert w.data is not None
    assert b.data is not None
    start = np.arange(outputs)
    groups = fully_connected_eight.pack(site, start).transpose(0, 2, 1).reshape(-1, 1 + -(-depth // 4))
    assert len(groups) % 8 == 0
    assert not groups[outputs:].any()
    read = _weights(groups[:outputs, 1:])
    np.testing.assert_array_equal(read[:, :depth], w.data)
    assert not read[:, depth:].any()
    even = read[:, 0::2].sum(axis=1, dtype=np.int64)
    centred = b.data.astype(np.int64) - x.zero_point * w.data.sum(axis=1, dtype=np.int64)
    np.testing.assert_array_equal(groups[:outputs, 0], centred * 256 - 127 * even + start)


def _weights(words: Array) -> Array:
    halves = np.ascontiguousarray(words).view(np.int16).astype(int)
    even = halves.astype(np.int8).astype(int)
    return np.stack([even, (halves - even) // 256], axis=2).reshape(len(words), -1)


def test_the_proof_decides() -> None:
    assert chosen(layer(20, 200)) == "fully_connected_eight_prepared_s8"
    assert chosen(layer(20, 200, zero_point=5)) == "fully_connected_eight_prepared_twice_s8"
    assert chosen(layer(), "cortex-m3") == "fully_connected_scalar_s8"


@pytest.mark.parametrize("outputs", [8, 16, 300])
def test_a_row_is_prepared_where_it_is_read_often_enough(outputs: int) -> None:
    step = plan(layer(20, outputs), M4).steps[0]
    assert step.variant.name == f"fully_connected_eight{'_prepared' * (outputs > 48)}_s8"


@pytest.mark.parametrize(
    "graph",
    [
        layer(depth=21, rows=2),
        with_weights(layer(), (3, 4, -1), (3, 5, -128)),
        changed(layer(), q=QParams.of(0.1, -128), op={"activation": ops.Activation.RELU6}),
        changed(layer(), q=QParams.of(1e-6, -128)),
    ],
    ids=["rows that begin between words", "a pair beyond 16 bits", "clamped", "factors above a half"],
)
def test_refused(graph: Graph) -> None:
    assert not chosen(graph).startswith("fully_connected_eight")


def test_a_wide_pair_may_stand_the_other_way_round() -> None:
    assert chosen(with_weights(layer(), (3, 4, -128), (3, 5, -1))) == "fully_connected_eight_prepared_s8"
    assert chosen(with_weights(layer(), (3, 4, 0), (3, 5, -128))) == "fully_connected_eight_prepared_s8"


def test_sums_that_do_not_fit_256_times_are_refused() -> None:
    graph = layer()
    b = graph.ins(graph.ops[0])[2]
    assert b.data is not None
    data = b.data.copy()
    data[4] = 1 << 23
    assert not chosen(changed(graph, b.id, data=data)).startswith("fully_connected_eight")


def test_equal_constants_are_stored_once() -> None:
    """A single scale has one factor for all outputs; one an output has as many."""
    for per_channel, count in ((False, 8), (True, 16)):
        graph = layer(per_channel=per_channel)
        args = choose(Site(graph, graph.ops[0], M4)).args(Site(graph, graph.ops[0], M4))
        blobs = [a for a in args if isinstance(a, Blob)]
        assert len(blobs[1].data) == count


def test_a_prepared_row_may_be_overwritten() -> None:
    graph = layer(20, 200)
    planned = plan(graph, M4)
    assert planned.arena_bytes == 240
    assert planned.steps[0].scratch_bytes == 40
