"""Sparse storage: entries read back, which form is the shorter, when a layer is stored so, what it takes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from compressed import pruned, shared, two_level
from graphs import GENERATORS
from harness import choose
from hypothesis import given, settings
from hypothesis import strategies as st
from nets import Net

from mcuquant.boards.core import CORES
from mcuquant.codegen.lower import lower
from mcuquant.ir import Array, Graph, Palette, ops
from mcuquant.kernels import Site
from mcuquant.kernels.sparse.sparse import Sparse, encode, sparse
from mcuquant.planner import plan

M4 = CORES["cortex-m4"]


def decoded(found: Sparse, shape: tuple[int, ...]) -> Array:
    """As the kernel reads it."""
    w, at = np.zeros(shape, np.int64), 0
    for o, count in enumerate(found.counts.astype(int)):
        place = -1
        for _ in range(count):
            first = int(found.entries[at])
            if found.value_bits:
                gap, value = first >> found.value_bits, found.codebook[first & ((1 << found.value_bits) - 1)]
            else:
                gap, value = first, found.entries[at + 1].astype(np.int8)
            place += gap + 1
            w[o, place] = value
            at += 1 if found.value_bits else 2
    assert at == found.entries.size
    return w


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32), st.integers(1, 90), st.floats(0, 1), st.integers(1, 1200))
def test_entries_read_back(seed: int, values: int, zeros: float, depth: int) -> None:
    rng = np.random.default_rng(seed)
    book = rng.choice(np.array([v for v in range(-128, 128) if v]), values, replace=False)
    w = np.where(rng.random((3, depth)) < zeros, 0, rng.choice(book, (3, depth)))
    found = encode(w)
    np.testing.assert_array_equal(decoded(found, w.shape), w)
    assert found.value_bits == 0 or len(np.unique(w[w != 0])) < 1 << found.value_bits


def test_gaps_at_the_ends_of_what_an_entry_holds() -> None:
    """Of one value an index takes one bit, a gap seven: up to 127 zeros."""
    for gap in (0, 126, 127, 128, 129, 255, 256, 257, 1000):
        w = np.zeros((1, gap + 20), np.int64)
        w[0, gap:] = 5
        found = encode(w)
        np.testing.assert_array_equal(decoded(found, w.shape), w)
        assert (found.value_bits, found.counts.tolist()) == (1, [20 + gap // 128])


def test_the_shorter_form_is_taken() -> None:
    rng = np.random.default_rng(0)
    many = np.where(rng.random((4, 400)) < 0.9, 0, rng.integers(1, 128, (4, 400)))
    assert encode(many).value_bits == 0
    assert encode(np.where(many, many % 3 + 1, 0)).value_bits == 2
    assert encode(np.where(many, many % 4 + 1, 0)).value_bits == 3


def dense_net(rng: np.random.Generator) -> Graph:
    net = Net(rng)
    x = net.input((1, 100))
    w = net.weights((20, 100), 0, per_channel=False)
    return net.graph(net.apply(ops.FullyConnected, (x, w, net.bias(x, w, 20, 100)), (1, 20)))


def chosen(graph: Graph) -> str:
    return choose(Site(graph, graph.ops[0], M4)).name


def test_a_layer_is_stored_so_where_that_is_smaller() -> None:
    rng = np.random.default_rng(3)
    graph = dense_net(rng)
    assert not chosen(graph).startswith("sparse")
    assert not chosen(pruned(graph, rng, 0.3)).startswith("sparse")
    assert chosen(pruned(graph, rng, 0.8)) == "sparse_s8"
    assert not chosen(shared(graph, rng, entries=4, zeros=0.5)).startswith("sparse")
    assert chosen(shared(graph, rng, entries=4, zeros=0.9)) == "sparse_s8"


def test_weights_of_zeros_alone_are_not() -> None:
    assert not chosen(pruned(dense_net(np.random.default_rng(3)), np.random.default_rng(3), 1.0)).startswith("sparse")


def test_convolutions_in_groups_are_not() -> None:
    rng = np.random.default_rng(3)
    graph = pruned(GENERATORS["conv2d_groups"](rng), rng, 0.9)
    assert not chosen(graph).startswith("conv2d_sparse")


def test_values_beyond_8_bits_are_not() -> None:
    """Steps of asymmetric weights may have nine."""
    rng = np.random.default_rng(3)
    graph = dense_net(rng)
    w = graph.ins(graph.ops[0])[1]
    assert w.data is not None
    assert w.q is not None
    data = np.full(w.shape, -100, np.int8)
    data[0, 0] = 29
    for value, name in ((27, "sparse_s8"), (28, "fully_connected_fields_s8")):
        data[0, 0] = value
        moved = replace(w, data=data.copy(), q=replace(w.q, zero_point=-100))
        assert chosen(replace(graph, tensors={**graph.tensors, w.id: moved})) == name


@pytest.mark.parametrize("zeros", [0.9, 0.95])
def test_a_layer_of_few_values_takes_little_more_than_its_entropy(zeros: float) -> None:
    """Within a fifth: 784 to 256, seven values beside 0."""
    rng = np.random.default_rng(4)
    net = Net(rng)
    x = net.input((1, 784))
    w = net.weights((256, 784), 0, per_channel=False)
    graph = net.graph(net.apply(ops.FullyConnected, (x, w), (1, 256)))
    data = np.where(rng.random((256, 784)) < zeros, 0, rng.integers(1, 8, (256, 784))).astype(np.int8)
    graph = replace(graph, tensors={**graph.tensors, w: replace(graph[w], data=data, palette=Palette.of(data))})
    found = sparse(Site(graph, graph.ops[0], M4))
    assert found is not None
    bits_a_weight = -zeros * np.log2(zeros) - (1 - zeros) * np.log2((1 - zeros) / 7)
    assert found.nbytes < 1.2 * bits_a_weight * data.size / 8 + 256
    assert lower(plan(graph, M4)).constant_bytes < found.nbytes + 4 * 256 + 16


def test_multipliers_are_applied_to_the_sum() -> None:
    rng = np.random.default_rng(5)
    graph = two_level(pruned(dense_net(rng), rng, 0.9), rng)
    assert chosen(graph) == "sparse_s8"
