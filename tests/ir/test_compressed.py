"""Weights that are shared, of few bits, asymmetric or in two levels: in the graph, through passes, as .tflite."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import layers
import numpy as np
import pytest
import tflm
from breaches import binary, complaint, conv
from compressed import asymmetric, narrow, shared, two_level, with_weights
from graphs import GENERATORS, random_inputs
from hypothesis import given, settings
from hypothesis import strategies as st
from nets import Net

from mcuquant.arithmetic import interpreter
from mcuquant.errors import ModelError
from mcuquant.ir import Graph, Level, Palette, QParams, Role, Tensor, ops
from mcuquant.ir.metrics import weight_bytes
from mcuquant.ir.verify import verify
from mcuquant.kernels.shared.packing import pack_bits, unpack_bits
from mcuquant.passes.shrink import shrink
from mcuquant.tflite.writer.to_tflite import to_tflite

LAYERS = ("conv2d", "depthwise", "transpose_conv", "fully_connected")


def weights(graph: Graph) -> Tensor:
    return graph.ins(graph.ops[0])[1]


def expanded(graph: Graph) -> Graph:
    """The same network with weights of 8 bits and nothing else."""

    def change(w: Tensor, axis: int) -> Tensor:
        assert w.q is not None
        q = QParams.of(w.q.scale, 0, axis if len(w.q.scale) > 1 else None)
        return replace(w, q=q, bits=8, palette=None, data=w.integer_values.astype(np.int8))

    return with_weights(graph, change)


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 8), st.lists(st.integers(-128, 127), max_size=40))
def test_packed_bits_read_back(bits: int, values: list[int]) -> None:
    packed = pack_bits(np.array(values, np.int8), bits)
    assert packed.size == -(-len(values) * bits // 8)
    assert unpack_bits(packed, bits, len(values)).tolist() == [v & ((1 << bits) - 1) for v in values]


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**32), st.integers(1, 4), st.integers(0, 2))
def test_a_palette_of_data_has_its_values(seed: int, groups: int, axis: int) -> None:
    rng = np.random.default_rng(seed)
    data = rng.integers(-9, 9, (5, 4, 3)).astype(np.int8)
    of = rng.integers(0, groups, data.shape[axis]).tolist()
    palette = Palette.of(data, of, axis)
    np.testing.assert_array_equal(palette.values(), data)
    mask = rng.random(data.shape[axis]) < 0.7
    np.testing.assert_array_equal(palette.masked(mask, axis).values(), np.compress(mask, data, axis))
    other = rng.random(data.shape[axis - 1]) < 0.7
    np.testing.assert_array_equal(palette.masked(other, (axis - 1) % 3).values(), np.compress(other, data, axis - 1))


@pytest.mark.parametrize(("entries", "bits"), [(1, 1), (2, 1), (3, 2), (4, 2), (5, 3), (16, 4), (17, 5), (256, 8)])
def test_bits_of_an_index(entries: int, bits: int) -> None:
    palette = Palette.of(np.arange(-128, entries - 128).astype(np.int8))
    assert (palette.entries, palette.bits, str(palette)) == (entries, bits, f"palette {entries}")


def test_a_palette_of_too_many_values_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^257 distinct values, expected at most 256$"):
        Palette.of(np.arange(257).astype(np.int16))


def test_steps() -> None:
    q = QParams.of(0.5, 0, 0, zero_points=(1, -2), multipliers=(3, 255))
    w = replace(weights(conv()), shape=(2, 2), data=np.array([[1, -128], [127, 0]], np.int8), q=q)
    assert w.integer_values.tolist() == [[0, -387], [129 * 255, 510]]
    assert replace(w, q=QParams.of(0.5, 7)).integer_values.tolist() == [[-6, -135], [120, -7]]


def test_they_are_shown() -> None:
    rng = np.random.default_rng(0)
    graph = two_level(asymmetric(shared(conv(), rng, entries=3, groups=2), rng, by_channel=True), rng)
    line = str(graph).splitlines()[2]
    q, p = weights(graph).q, weights(graph).palette
    assert q is not None
    assert p is not None
    assert f" zero {min(q.zero_points)}..{max(q.zero_points)} multipliers {min(q.multipliers)}.." in line
    assert " palette 2x3 along 0 " in line
    assert "int8:2 [4x2x3x2]" in str(narrow(conv(), rng, 2))


def test_their_bytes() -> None:
    """Of conv(): 48 weights, 4 biases."""
    rng = np.random.default_rng(0)
    assert weight_bytes(conv()) == 48 + 16
    assert weight_bytes(narrow(conv(), rng, 2)) == 12 + 16
    assert weight_bytes(shared(conv(), rng, entries=5)) == 18 + 5 + 16
    assert weight_bytes(shared(conv(), rng, entries=5, groups=2)) == 18 + 10 + 4 + 16


def palette(**changes: Any) -> dict[str, Any]:
    data = np.zeros((4, 2, 3, 2), np.int8)
    good = Palette(np.array([[0, 5]], np.int8), data.view(np.uint8))
    return {"w": {"data": data, "palette": replace(good, **changes)}}


ONES = np.ones((4, 2, 3, 2), np.uint8)
BREACHES: list[tuple[dict[str, Any], str]] = [
    (
        palette(centroids=np.array([[0, 5]], np.int16)),
        "has the centroids int16 (1, 2) in its palette, expected int8 of (groups, 1 to 256)",
    ),
    (
        palette(indices=ONES * 2),
        "has the indices uint8 (4, 2, 3, 2) up to 2 in its palette, expected uint8 (4, 2, 3, 2) below 2",
    ),
    (palette(indices=ONES), "has values that are not those of its palette"),
    (palette(groups=(0, 0, 0)), "has the groups (0, 0, 0) in its palette, expected 4 below 1"),
    (palette(groups=(0, 0, 0, 1)), "has the groups (0, 0, 0, 1) in its palette, expected 4 below 1"),
    (
        palette(centroids=np.array([[0, 5], [0, 1]], np.int8)),
        "has 2 groups of centroids in its palette and no groups of channels, expected 1",
    ),
    (
        {"w": {"q": QParams.of(0.25, 0, None, zero_points=(1, 2, 3, 4))}},
        "has 4 zero points, expected none: they are of int8 constants and along an axis",
    ),
    (
        {"w": {"q": QParams.of(0.25, 0, 0, zero_points=(1, 2, 3, 128))}},
        "has the zero points (1, 2, 3, 128), expected 4 in (-128, 127)",
    ),
    (
        {"w": {"q": QParams.of(0.25, 0, 0, multipliers=(1, 0, 3, 4))}},
        "has the multipliers (1, 0, 3, 4), expected 4 from 1 to 255",
    ),
    (
        {"w": {"q": QParams.of([0.25] * 4, 0, 0, multipliers=(1, 2, 3, 4))}},
        "has multipliers and 4 scales, expected 1",
    ),
]


@pytest.mark.parametrize(("changes", "message"), BREACHES)
def test_breaches(changes: dict[str, Any], message: str) -> None:
    assert complaint(conv(**changes)) == f"tensor 1 ('w') {message}"


def test_only_weights_have_them() -> None:
    data = np.zeros((2, 3), np.int8)
    fields = {"role": Role.CONSTANT, "data": data, "palette": Palette.of(data)}
    graph = replace(binary(ops.Add, (2, 3), (2, 3), (2, 3), fields), inputs=(0,))
    assert complaint(graph) == (
        "operation 0 (Add): input 1 ('b') has a palette, zero points or multipliers, expected of weights alone"
    )


def test_groups_are_of_output_channels() -> None:
    data = np.zeros((4, 2, 3, 2), np.int8)
    changes = {"w": {"data": data, "palette": Palette.of(data, (0, 1), 3)}}
    assert complaint(conv(**changes)) == (
        "operation 0 (Conv2D): weights 1 ('w') have a palette along axis 3, expected 0"
    )


@pytest.mark.parametrize("name", LAYERS)
def test_what_fits_int8_means_what_its_products_mean(name: str) -> None:
    rng = np.random.default_rng(8)
    for _ in range(4):
        graph = two_level(asymmetric(narrow(GENERATORS[name](rng), rng, 4), rng, by_channel=True), rng, largest=8)
        inputs = random_inputs(rng, graph)
        np.testing.assert_array_equal(interpreter.run(graph, inputs)[0], interpreter.run(expanded(graph), inputs)[0])


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("kind", ["shared", "int2", "asymmetric", "two levels"])
def test_as_tflite_for_the_reference_interpreter(name: str, kind: str) -> None:
    rng = np.random.default_rng(9)
    made = {
        "shared": lambda g: shared(g, rng, entries=16, groups=2),
        "int2": lambda g: narrow(g, rng, 2),
        "asymmetric": lambda g: asymmetric(narrow(g, rng, 4), rng),
        "two levels": lambda g: two_level(narrow(g, rng, 4), rng, largest=15),
    }
    for _ in range(4):
        graph = made[kind](GENERATORS[name](rng))
        verify(graph, Level.LOWERABLE)
        inputs = random_inputs(rng, graph)
        for ours, theirs in zip(interpreter.run(graph, inputs), tflm.run(to_tflite(graph), inputs), strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_what_tflite_cannot_express_is_refused() -> None:
    with pytest.raises(ModelError) as caught:
        to_tflite(conv(w={"q": QParams.of(0.25, -128), "data": np.full((4, 2, 3, 2), 1, np.int8)}))
    assert str(caught.value) == (
        "tensor 1 ('w') has weights with a zero point that make 129 to 129 of them, which .tflite cannot express: "
        "use symmetric weights, or fewer bits"
    )
    with pytest.raises(ModelError) as caught:
        to_tflite(
            conv(w={"q": QParams.of(0.25, 0, 0, multipliers=(9,) * 4), "data": np.full((4, 2, 3, 2), 20, np.int8)})
        )
    assert str(caught.value) == (
        "tensor 1 ('w') has weights with multipliers that make 180 to 180 of them, which .tflite cannot express: "
        "use symmetric weights, or fewer bits"
    )


def without_some(graph: Graph, rng: np.random.Generator) -> Graph:
    """Some output and input channels have steps of 0 alone, their biases 0."""

    def change(w: Tensor, axis: int) -> Tensor:
        assert w.palette is not None
        last = len(w.shape) - 1
        for along in {axis, last}:
            gone = rng.random(w.shape[along]) < 0.4
            shape = [-1 if i == along else 1 for i in range(len(w.shape))]
            palette = replace(w.palette, indices=np.where(gone.reshape(shape), 0, w.palette.indices).astype(np.uint8))
            w = replace(w, palette=palette, data=palette.values())
        return w

    return with_weights(graph, change)


@pytest.mark.parametrize("seed", [0, 1, 2, 4, 5])
def test_shrinking_keeps_them_and_every_byte(seed: int) -> None:
    net = Net(np.random.default_rng(seed))
    x = layers.conv2d(net, net.input((1, 7, 7, 5)), outputs=8)
    x = layers.depthwise(net, layers.conv2d(net, x, outputs=8))
    graph = net.graph(layers.fully_connected(net, layers.mean(net, x)))
    graph = without_some(two_level(shared(graph, net.rng, entries=6, groups=2), net.rng, largest=5), net.rng)
    small = verify(shrink(graph), Level.LOWERABLE)
    for _ in range(3):
        inputs = random_inputs(net.rng, graph)
        for a, b in zip(interpreter.run(graph, inputs), interpreter.run(small, inputs), strict=True):
            np.testing.assert_array_equal(a, b)
    kept = [small.ins(op)[1] for op in small.ops if not isinstance(op, ops.Mean)]
    assert all(w.palette is not None and w.q is not None and w.q.multipliers for w in kept)
    assert weight_bytes(small) < weight_bytes(graph)
