"""Convolution as matrix product: what is packed, and the proofs without which a form is not chosen."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import product_graphs
import pytest
from harness import choose
from nets import Net

from mcuquant.arithmetic.fixedpoint import requantize
from mcuquant.boards.core import CORES
from mcuquant.ir import Array, Graph, QParams
from mcuquant.ir.ops import Activation
from mcuquant.kernels import Site
from mcuquant.kernels.dsp import gemm, gemm_sums
from mcuquant.kernels.shared.weighted_layer import bias, conv_params, sums, weights

M4 = CORES["cortex-m4"]
FORMS = {form.name: form for form in gemm.FORMS}
SEEDS = range(4)


def site(graph: Graph) -> Site:
    return Site(graph, graph.ops[0], M4)


def layer(seed: int = 0, zero_point: int = -128, channels: int = 8, **form: Any) -> Site:
    net = Net(np.random.default_rng(seed))
    x = net.input((1, 3, 4, channels))
    window = form.pop("window", None) or (net.size(1, 3), net.size(1, 2))
    return site(net.graph(product_graphs.product(net, x, net.size(1, 7), window, zero_point=zero_point, **form)))


def of_form(name: str, seed: int) -> Site:
    if name == "8":
        return layer(seed, largest=5)
    return layer(seed, 9 if name == "twice" else -128)


def chosen(where: Site) -> str:
    return choose(where).name


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", FORMS)
def test_packing_unpacks_to_the_weights(name: str, seed: int) -> None:
    where, form = of_form(name, seed), FORMS[name]
    w = weights(where).reshape(where.out.shape[3], -1)
    words = -(-w.shape[1] // 4)
    stream = gemm.pack(where, form)
    rows = stream.reshape(-1, 2 + 2 * words + 2 * form.words)
    found = form.constants(where)
    assert found is not None
    assert len(rows) == -(-len(w) // 2)
    for o in range(len(w)):
        row = rows[o // 2]
        halves = row[2 + o % 2 : 2 + 2 * words : 2].copy().view(np.int16).astype(int)
        even = ((halves & 255) ^ 128) - 128
        taps = np.stack([even, (halves - even) // 256], axis=1).ravel()
        assert taps[: w.shape[1]].tolist() == w[o].tolist()
        assert not taps[w.shape[1] :].any()
        folded = int(bias(where)[o]) - conv_params(where).x_zero * int(w[o].astype(int).sum())
        start = 256 * folded - 127 * int(even.sum()) + int(found[0][o])
        assert row[o % 2] == np.int64(start).astype(np.int32)
        assert row[2 + 2 * words + form.words * (o % 2) :][: form.words].tolist() == found[1][o].tolist()


@pytest.mark.parametrize("seed", SEEDS)
def test_packing_of_full_sums_unpacks_to_the_weights(seed: int) -> None:
    where = layer(seed)
    w = weights(where).reshape(where.out.shape[3], -1)
    words = -(-w.shape[1] // 4)
    rows = gemm_sums.pack(where).reshape(-1, words, 2)
    for o in range(len(w)):
        taps = np.ascontiguousarray(rows[o // 2, :, o % 2]).view(np.int8)
        assert taps[: w.shape[1]].tolist() == w[o].tolist()
        assert not taps[w.shape[1] :].any()
    x = conv_params(where).x_zero
    unfolded = gemm_sums.folded_bias(where) + x * w.sum(axis=1, dtype=np.int64)
    assert unfolded.tolist() == bias(where).tolist()


def executed(name: str, constants: Array, acc: Array, start: int) -> Array:
    """What the micro-kernel makes of sums, in exact integers."""
    total = acc * 256 + start
    assert (np.abs(total) < 1 << 31).all()
    if name == "twice":
        m, add, shift = (int(c) for c in constants)
        high = ((total >> 7) * m + (1 << 31)) >> 32
        return np.clip((high + (high >> 31) + add) >> shift, -128, 127)
    return np.clip(((total * int(constants[0]) + (1 << 31)) >> 32) >> int(name), -128, 127)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", FORMS)
def test_constants_are_exact_from_the_least_sum_to_the_greatest(name: str, seed: int) -> None:
    where = of_form(name, seed)
    p, found, (low, high) = conv_params(where), FORMS[name].constants(where), sums(where)
    assert found is not None
    for o, m in enumerate(p.multipliers):
        acc = np.unique(np.linspace(low[o], high[o], 20_000).astype(np.int64))
        expected = np.clip(requantize(acc, m.m, m.shift) + p.y_zero, p.act_min, p.act_max)
        np.testing.assert_array_equal(executed(name, found[1][o], acc, int(found[0][o])), expected)


def with_bias(where: Site, channel: int, value: int) -> Site:
    graph, op = where.graph, where.op
    b = graph[op.inputs[2]]
    data = bias(where).copy()
    data[channel] = value
    return site(graph.with_(tensors={**graph.tensors, b.id: replace(b, data=data)}))


def test_a_sum_that_could_reach_its_limit_is_refused() -> None:
    """One channel is enough."""
    where = layer(2, 9)
    assert len(weights(where)) > 1
    low, high = sums(where)
    room_above = gemm.ACC_LIMIT - 1 - int(high[1]) + int(bias(where)[1])
    room_below = -gemm.ACC_LIMIT + 1 - int(low[1]) + int(bias(where)[1])
    for largest, step in ((room_above, 1), (room_below, -1)):
        assert chosen(with_bias(where, 1, largest)) == "conv2d_gemm_twice_s8"
        assert chosen(with_bias(where, 1, largest + step)) == "conv2d_sums_s8"


def test_a_pair_of_weights_beyond_16_bits_is_left_to_another_kernel() -> None:
    where = layer(window=(1, 1), channels=4)
    for pair, name in (((0, -128), "conv2d_gemm_12_s8"), ((-1, -128), "conv2d_flat_12_s8")):
        w = where.ins[1]
        data = weights(where).copy()
        data[0, 0, 0, 2:] = pair
        assert chosen(site(where.graph.with_(tensors={**where.graph.tensors, w.id: replace(w, data=data)}))) == name


def test_a_channel_of_both_signs_is_rounded_twice() -> None:
    assert chosen(layer()) == "conv2d_gemm_12_s8"
    assert chosen(layer(zero_point=0)) == "conv2d_gemm_twice_s8"


def test_clamps_and_left_shifts_are_left_to_full_sums() -> None:
    assert chosen(layer(zero_point=3, activation=Activation.RELU)) == "conv2d_sums_s8"
    assert chosen(layer(left_shift=True, largest=1)) == "conv2d_sums_s8"


def test_pointwise_layers_of_whole_images() -> None:
    net = Net(np.random.default_rng(0))
    x = net.input((2, 3, 4, 5))
    for pads, name in ((((0, 0), (0, 0)), "pointwise"), (((1, 0), (0, 1)), "conv2d")):
        y = product_graphs.product(net, x, 4, (1, 1), pads=pads, zero_point=-128)
        assert chosen(site(net.graph(y))) == f"{name}_gemm_12_s8"
        net.ops.clear()


def test_what_other_kernels_take() -> None:
    where = layer()
    assert chosen(replace(where, core=CORES["cortex-m3"])) == "conv2d_three_s8"
    graph, w = where.graph, where.ins[1]
    four_bits = replace(w, bits=4, data=np.clip(weights(where), -8, 7), q=QParams(w.q.scale, 0, 0) if w.q else None)
    assert chosen(site(graph.with_(tensors={**graph.tensors, w.id: four_bits}))) == "conv2d_packed_gemm_12_s8"
