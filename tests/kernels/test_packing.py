"""Packed weights read back as the kernels read them, which kernel takes which, and what they take."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from compressed import asymmetric, narrow, shared, two_level
from fast_graphs import small_depthwise
from graphs import GENERATORS
from harness import choose
from hypothesis import given, settings
from hypothesis import strategies as st
from nets import Net
from product_graphs import product

from mcuquant.boards.core import CORES
from mcuquant.ir import Array, Graph, ops
from mcuquant.kernels import Site
from mcuquant.kernels.packed import fully_connected_fields, packed_gemm
from mcuquant.kernels.shared.packing import index_bits, planes
from mcuquant.kernels.sparse import bitmap
from mcuquant.kernels.variant import cost
from mcuquant.planner import options

M4, M0 = CORES["cortex-m4"], CORES["cortex-m0plus"]


def from_planes(words: Array, bits: int, depth: int) -> Array:
    """One output, as mq_unpack_raw reads it."""
    quads = -(-depth // 4)
    if bits == 8:
        return words.view(np.uint8)[:depth]
    raw, place, at = np.zeros((quads, 4), int), 0, 0
    for plane in (4, 2, 1):
        if bits & plane:
            for k in range(quads):
                word = int(words[at + k // (8 // plane)]) >> (k % (8 // plane) * plane)
                raw[k] |= [((word >> (8 * j)) & ((1 << plane) - 1)) << place for j in range(4)]
            at, place = at + -(-quads * plane // 8), place + plane
    assert at == words.size
    return raw.ravel()[:depth]


@settings(deadline=None, max_examples=80)
@given(st.integers(0, 2**32), st.integers(1, 8), st.integers(1, 70))
def test_planes_read_back(seed: int, bits: int, depth: int) -> None:
    raw = np.random.default_rng(seed).integers(0, 1 << bits, (3, depth))
    words = planes(raw, bits)
    assert words.dtype == np.uint32
    for row, packed in zip(raw, words, strict=True):
        np.testing.assert_array_equal(from_planes(packed, bits, depth), row)


def dense(outputs: int, depth: int, rows: int = 1) -> Graph:
    net = Net(np.random.default_rng(6))
    x = net.input((rows, depth))
    w = net.weights((outputs, depth), 0, per_channel=False)
    inputs = (x, w, net.bias(x, w, outputs, depth))
    return net.graph(net.apply(ops.FullyConnected, inputs, (rows, outputs)))


def site(graph: Graph, cpu: str = "cortex-m4") -> Site:
    return Site(graph, graph.ops[0], CORES[cpu])


def from_fields(words: Array, bits: int, shape: tuple[int, int], is_indices: bool) -> Array:
    """Stored fields as the kernel pairs them with inputs."""
    raw = np.zeros((words.shape[0] * 4, 4 * -(-shape[1] // 4) + 64), int)
    mask = (1 << bits) - 1
    for group, column, output in np.ndindex(words.shape):
        for i in range(16 // bits):
            pair = column * (16 // bits) + i
            at = pair // 2 * 4 + pair % 2
            word = int(words[group, column, output]) >> (2 * bits * i if is_indices else bits * i)
            raw[group * 4 + output, [at, at + 2]] = word & mask, word >> (bits if is_indices else 16) & mask
    return raw[: shape[0], : shape[1]]


@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize(("outputs", "depth"), [(1, 1), (5, 23), (8, 64)])
def test_fields_of_values_read_back(bits: int, outputs: int, depth: int) -> None:
    graph = narrow(dense(outputs, depth), np.random.default_rng(1), bits)
    data = graph.ins(graph.ops[0])[1].data
    assert data is not None
    found = from_fields(fully_connected_fields.pack(site(graph)), bits, (outputs, depth), is_indices=False)
    np.testing.assert_array_equal(found, data.astype(int) + (1 << (bits - 1)))


@pytest.mark.parametrize("entries", [2, 4, 7, 16])
@pytest.mark.parametrize(("outputs", "depth"), [(1, 1), (5, 23), (8, 64)])
def test_fields_of_indices_read_back(entries: int, outputs: int, depth: int) -> None:
    graph = shared(dense(outputs, depth), np.random.default_rng(1), entries)
    w = graph.ins(graph.ops[0])[1]
    assert w.palette is not None
    found = from_fields(fully_connected_fields.pack(site(graph)), index_bits(w), (outputs, depth), is_indices=True)
    np.testing.assert_array_equal(found, w.palette.indices)


def chosen(graph: Graph, cpu: str = "cortex-m4") -> str:
    return choose(site(graph, cpu)).name


def test_which_kernel_takes_a_fully_connected_layer() -> None:
    rng = np.random.default_rng(2)
    graph = dense(12, 40)
    for made in (narrow(graph, rng, 4), narrow(graph, rng, 2), asymmetric(graph, rng), shared(graph, rng, 16)):
        assert chosen(made) == "fully_connected_fields_s8"
        assert chosen(made, "cortex-m0plus") == "conv2d_unpacked_s8"
    assert chosen(shared(graph, rng, 17)) == "conv2d_unpacked_s8"
    assert chosen(shared(graph, rng, 16, groups=2)) == "conv2d_unpacked_s8"


def convolution(channels: int = 5, activation: ops.Activation = ops.Activation.NONE) -> Graph:
    """9x9 pixels, 3x3 windows, eight outputs."""
    net = Net(np.random.default_rng(7))
    x = net.input((1, 9, 9, channels))
    return net.graph(product(net, x, 8, (3, 3), zero_point=-90, pads=((1, 1), (1, 1)), activation=activation))


def test_which_kernel_takes_a_convolution() -> None:
    rng = np.random.default_rng(2)
    graph = convolution()
    for made in (narrow(graph, rng, 4), two_level(narrow(graph, rng, 2), rng, 60), shared(graph, rng, 20, groups=2)):
        assert chosen(made) == "conv2d_packed_gemm_twice_s8"
        assert chosen(made, "cortex-m0plus") == "conv2d_unpacked_s8"
    grouped = narrow(GENERATORS["conv2d_groups"](rng), rng, 4)
    assert chosen(grouped) == "conv2d_packed_s8"


def test_steps_beyond_a_byte_and_clamps_are_left_to_full_sums() -> None:
    rng = np.random.default_rng(2)
    graph = narrow(convolution(), rng, 4)
    assert chosen(two_level(graph, rng, 15)) == "conv2d_packed_gemm_twice_s8"
    clamped = narrow(convolution(activation=ops.Activation.RELU), rng, 4)
    for made in (two_level(graph, rng, 255), asymmetric(convolution(), rng), clamped):
        assert chosen(made) == "conv2d_blocks_s8"


def test_more_pixels_at_a_time_take_more_scratch_and_fewer_cycles() -> None:
    """Of 81 pixels there are 27 blocks: twice as many as 16 need no variant of their own."""
    where = site(shared(convolution(), np.random.default_rng(2), 16))
    found = [v for v in packed_gemm.VARIANTS if v.applies(where) and "twice" in v.name]
    assert [v.note for v in found] == [f"{n} pixels" for n in (3, 6, 12, 24, 48)]
    scratch, cycles = ([f(where) for v in found for f in (getattr(v, name),)] for name in ("scratch_bytes", "cycles"))
    assert scratch == sorted(set(scratch))
    assert cycles == sorted(set(cycles), reverse=True)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32), st.floats(0, 1), st.integers(1, 70))
def test_a_bitmap_reads_back(seed: int, zeros: float, depth: int) -> None:
    rng = np.random.default_rng(seed)
    w = np.where(rng.random((3, depth)) < zeros, 0, rng.integers(-128, 128, (3, depth)))
    found = bitmap.encode(w)
    ends = np.cumsum(found.counts)
    for row, words, end, count in zip(w, found.bits, ends, found.counts, strict=True):
        mask = np.array([int(word) >> (31 - i) & 1 for word in words for i in range(32)], bool)
        assert not mask[depth:].any()
        read = np.zeros(depth, int)
        read[mask[:depth]] = found.values[end - count : end]
        np.testing.assert_array_equal(read, row)


def two_of_four(graph: Graph) -> Graph:
    """The first two of every four weights are 0, the others anything."""
    w = graph.ins(graph.ops[0])[1]
    data = np.random.default_rng(4).integers(-127, 128, w.shape).astype(np.int8)
    data.reshape(-1, 4)[:, :2] = 0
    return replace(graph, tensors={**graph.tensors, w.id: replace(w, data=data)})


@pytest.mark.parametrize("kind", ["convolution", "fully connected"])
def test_two_of_four_weights_take_five_bits_a_weight(kind: str) -> None:
    graph = two_of_four(convolution(32) if kind == "convolution" else dense(64, 256))
    found = {option.variant.note.partition(",")[0] or option.variant.name: option for option in options(site(graph))}
    name = "bitmap" if kind == "convolution" else "bitmap_s8"
    count = graph.ins(graph.ops[0])[1].elements
    outputs = graph.ins(graph.ops[0])[1].shape[0]
    assert count * 5 // 8 <= found[name].cost.constant_bytes <= count * 5 // 8 + 24 * outputs
    dense_ones = [o for o in found.values() if "bitmap" not in o.variant.name + o.variant.note]
    assert found[name].cost.constant_bytes < 0.75 * min(o.cost.constant_bytes for o in dense_ones)


def test_where_few_weights_are_0_there_is_no_bitmap() -> None:
    """What is saved is not worth the time: a third of them at least."""
    graph = convolution(32)
    w = graph.ins(graph.ops[0])[1]
    for zeros, offered in ((0.3, False), (0.36, True)):
        data = np.random.default_rng(3).integers(1, 128, w.shape).astype(np.int8)
        data.reshape(-1)[: int(zeros * w.elements)] = 0
        where = site(replace(graph, tensors={**graph.tensors, w.id: replace(w, data=data)}))
        assert any(v.applies(where) for v in packed_gemm.OF_BITMAPS) is offered


def test_of_few_pixels_there_are_few_variants() -> None:
    net = Net(np.random.default_rng(7))
    graph = net.graph(product(net, net.input((1, 2, 2, 5)), 8, (1, 1), zero_point=-90, pads=((0, 0), (0, 0))))
    where = site(narrow(graph, net.rng, 4))
    assert [v.note for v in packed_gemm.VARIANTS if v.applies(where)] == ["3 pixels", "6 pixels"]


@pytest.mark.parametrize("bits", [1, 2, 4])
@pytest.mark.parametrize("depth", [1, 7, 32, 45])
def test_bytes_of_indices_for_a_table_have_neighbours(bits: int, depth: int) -> None:
    rows = np.random.default_rng(depth).integers(0, 1 << bits, (3, depth))
    planes_of = planes(packed_gemm.in_table_order(rows, bits), bits)
    assert planes_of.shape == planes(rows, bits).shape
    fields = [planes_of.view(np.uint8) >> place & ((1 << bits) - 1) for place in range(0, 8, bits)]
    found = np.stack(fields, axis=-1).reshape(3, -1)
    np.testing.assert_array_equal(found[:, :depth], rows)
    assert not found[:, depth:].any()


def test_steps_beyond_16_bits_are_left_to_the_plain_kernel() -> None:
    rng = np.random.default_rng(2)
    graph = two_level(asymmetric(GENERATORS["conv2d"](rng), rng), rng)
    w = graph.ins(graph.ops[0])[1]
    assert w.q is not None
    data, channels = np.full(w.shape, 127, np.int8), w.shape[0]
    for multiplier, name in ((129, "conv2d_unpacked_s8"), (130, "conv2d_packed_s8")):
        q = replace(w.q, zero_points=(-127,) * channels, multipliers=(multiplier,) * channels)
        changed = replace(graph, tensors={**graph.tensors, w.id: replace(w, data=data, q=q)})
        assert chosen(changed, "cortex-m0plus") == name


def test_they_take_the_bytes_of_their_bits() -> None:
    rng = np.random.default_rng(3)
    graph = dense(64, 256)
    around = 64 * 4 + 64
    for bits in (2, 4):
        found = cost(choose(site(narrow(graph, rng, bits))), site(narrow(graph, rng, bits)))
        assert found.constant_bytes < 64 * 256 * bits // 8 + around
    made = shared(graph, rng, 4)
    assert cost(choose(site(made)), site(made)).constant_bytes < 64 * 256 * 2 // 8 + around


@pytest.mark.parametrize("cpu", ["cortex-m4", "cortex-m0plus"])
def test_depthwise_weights_are_expanded_where_they_fit(cpu: str) -> None:
    """They are few: the kernels of 8 bits are many times faster."""
    rng = np.random.default_rng(4)
    net = Net(rng)
    graph = net.graph(small_depthwise(net, net.input((1, 9, 9, 8)), (3, 3), (1, 1), ((1, 1), (1, 1))))
    for made in (narrow(graph, rng, 4), shared(graph, rng, 16), asymmetric(narrow(graph, rng, 2), rng)):
        assert chosen(made, cpu).startswith("depthwise_planes" if cpu == "cortex-m4" else "depthwise_scalar")
    assert chosen(two_level(shared(graph, rng, 16), rng), cpu) == "depthwise_packed_s8"
