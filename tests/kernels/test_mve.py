"""The variants for cores with MVE equal the interpreter in every byte, as portable C and as code of a Cortex-M55."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import mve_graphs
import numpy as np
import product_graphs
import pytest
from harness import build_device, build_host, check_random, choose, preferred
from nets import Net
from variants_under_test import M55, PRODUCTS

from mcuquant.arithmetic.fixedpoint import Multiplier
from mcuquant.ir.ops import Activation
from mcuquant.kernels import Exactly, Site
from mcuquant.kernels.mve import depthwise_mve, product_mve
from mcuquant.kernels.shared.folded import folded_bias
from mcuquant.kernels.shared.weighted_layer import bias, conv_params, weights
from mcuquant.planner import plan

NAMES = PRODUCTS.names
made = PRODUCTS.graph


def on_host(names: list[str], seed: int, directory: Path) -> None:
    check_random(names, build_host([made(name, seed) for name in names], directory, M55, names), 3)


def on_device(names: list[str], seed: int, directory: Path) -> None:
    check_random(names, build_device([made(name, seed) for name in names], directory, "cortex-m55", names), 3)


def test_under_the_sanitizers(tmp_path: Path) -> None:
    on_host(NAMES[0::2], 1, tmp_path)


@pytest.mark.emulator
def test_on_an_emulated_core(tmp_path: Path) -> None:
    on_device(NAMES[1::2], 2, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 104))
def test_more_under_the_sanitizers(seed: int, tmp_path: Path) -> None:
    on_host(NAMES, seed, tmp_path)


@pytest.mark.slow
@pytest.mark.emulator
@pytest.mark.parametrize("seed", range(200, 220))
def test_more_on_an_emulated_core(seed: int, tmp_path: Path) -> None:
    on_device(NAMES, seed, tmp_path)


@pytest.mark.parametrize("name", NAMES)
def test_few_graphs_are_left_to_other_kernels(name: str) -> None:
    """At most one in four; and the variant it is named after is among the rest."""
    chosen = [
        step.variant.name for seed in range(12) for step in plan(made(name, seed), M55, only=preferred(name)).steps
    ]
    fast = [variant for variant in chosen if "_mve" in variant]
    assert len(fast) >= 0.75 * len(chosen)
    assert any(name.startswith(variant.removesuffix("_s8")) for variant in fast)


def layer(seed: int = 0, zero_point: int = -128, channels: int = 21, **form: Any) -> Site:
    net = Net(np.random.default_rng(seed))
    x = net.input((1, 3, 4, channels))
    form = {"pads": ((0, 0), (0, 0)), "zero_point": zero_point, **form}
    graph = net.graph(product_graphs.product(net, x, net.size(1, 9), (1, 1), **form))
    return Site(graph, graph.ops[0], M55)


@pytest.mark.parametrize("head", [0, 5])
@pytest.mark.parametrize("seed", range(6))
def test_packing_unpacks_to_the_weights(seed: int, head: int) -> None:
    where = layer(seed)
    w, p = weights(where).reshape(where.out.shape[3], -1), conv_params(where)
    table = product_mve.pack(where, head).reshape(-1, 4 + 16 * 2 + 8)
    assert len(table) == -(-len(w) // 4)
    for o in range(len(w)):
        group = table[o // 4]
        i = o % 4 if o // 4 * 4 + 4 <= max(len(w), 4) else o - len(w) + 4
        taps = group[4:-8].view(np.int8).reshape(-1, 4, 16)[:, i].ravel()
        kept = np.concatenate([taps[:head], taps[16 * (head > 0) :]])
        assert kept[: w.shape[1]].tolist() == w[o].tolist()
        assert not kept[w.shape[1] :].any()
        assert not taps[head : 16 * (head > 0)].any()
        assert group[i] == int(bias(where)[o]) - p.x_zero * int(w[o].sum(dtype=int))
        assert (group[-8 + i], group[-4 + i]) == (p.multipliers[o].m, p.multipliers[o].shift)


def chosen(where: Site) -> str:
    return choose(where).name


def test_forms_by_clamp_and_zero_point() -> None:
    assert chosen(layer()) == "pointwise_mve_above_s8"
    assert chosen(layer(zero_point=-127)) == "pointwise_mve_signed_s8"
    assert chosen(layer(zero_point=-127, activation=Activation.RELU)) == "pointwise_mve_clamped_s8"
    assert chosen(layer(pads=((1, 0), (0, 0)))) == "conv2d_mve_above_s8"
    assert chosen(layer(zero_point=3, left_shift=True, largest=1)) == "conv2d_sums_s8"


def test_a_product_without_a_shift_has_no_half_to_round() -> None:
    p = conv_params(layer(zero_point=5))
    unshifted = replace(p, multipliers=(Multiplier(1 << 30, 0), *p.multipliers[1:]))
    assert [form.fits(p) for form in product_mve.FORMS] == [False, True, True]
    assert [form.fits(unshifted) for form in product_mve.FORMS] == [False, False, False]
    nothing = replace(p, multipliers=(Multiplier(0, 0), *p.multipliers[1:]))
    assert [form.fits(nothing) for form in product_mve.FORMS] == [False, True, True]


@pytest.mark.parametrize("sign", [1, -1])
def test_a_sum_that_could_leave_32_bits_is_refused(sign: int) -> None:
    where = layer(zero_point=5)
    w = weights(where).reshape(where.out.shape[3], -1).astype(int)
    at_zero = int(folded_bias(where)[0] - bias(where)[0])
    largest = sign * ((1 << 31) - 1 - 128 * int(np.abs(w[0]).sum())) - at_zero
    assert product_mve.is_taken(with_bias(where, largest))
    assert not product_mve.is_taken(with_bias(where, largest + sign))


def with_bias(where: Site, value: int) -> Site:
    b = where.ins[2]
    data = bias(where).copy()
    data[0] = value
    graph = where.graph.with_(tensors={**where.graph.tensors, b.id: replace(b, data=data)})
    return Site(graph, graph.ops[0], M55)


def depthwise(seed: int = 0, channels: int = 5, **form: Any) -> Site:
    net = Net(np.random.default_rng(seed))
    x = net.input((1, 6, 7, channels))
    form = {"window": (3, 3), "pads": ((1, 1), (1, 1)), **form}
    graph = net.graph(mve_graphs.depthwise(net, x, **form))
    return Site(graph, graph.ops[0], M55)


@pytest.mark.parametrize("window", [(3, 3), (2, 3), (3, 1)])
def test_packing_of_a_depthwise_layer_unpacks_to_the_weights(window: tuple[int, int]) -> None:
    where = depthwise(window=window)
    w, p = weights(where)[0], conv_params(where)
    for c, row in enumerate(depthwise_mve.pack(where)):
        taps = row[:6].view(np.int8)
        columns = taps[5:17].reshape(3, 4)
        assert columns[: window[1], : window[0]].tolist() == w[:, :, c].T.tolist()
        assert not taps[:5].any()
        assert not taps[17:].any()
        assert np.count_nonzero(columns) == np.count_nonzero(w[:, :, c])
        folded = int(bias(where)[c]) - p.x_zero * int(w[:, :, c].sum(dtype=int))
        assert row[6:].tolist() == [folded, p.multipliers[c].m, p.multipliers[c].shift]


def test_depthwise_layers_that_are_taken() -> None:
    assert chosen(depthwise()) == "depthwise_mve_above_s8"
    assert chosen(depthwise(zero_point=3)) == "depthwise_mve_signed_s8"
    assert chosen(depthwise(stride=(3, 2))) == "depthwise_mve_above_s8"
    assert not chosen(depthwise(stride=(1, 3))).startswith("depthwise_mve")
    assert not chosen(depthwise(window=(3, 4), pads=((1, 1), (1, 1)))).startswith("depthwise_mve")
    assert chosen(depthwise(channels=6000)) == "depthwise_mve_above_s8"
    assert chosen(depthwise(channels=6600)) != "depthwise_mve_above_s8"


NO_PADS = ((0, 0), (0, 0))


@pytest.mark.parametrize(
    ("form", "scratch_bytes"),
    [({}, 2 * 9 * 64), ({"stride": (2, 2)}, 10 * 64), ({"window": (1, 1), "pads": NO_PADS}, 9 * 64)],
)
def test_depthwise_layers_run_in_place(form: dict[str, Any], scratch_bytes: int) -> None:
    """Two rows are read ahead where windows overlap, none where they do not or strides leave room."""
    where = depthwise(**form)
    variant = choose(where)
    assert variant.overlap_offsets(where) == (Exactly(0),)
    assert variant.scratch_bytes(where) == scratch_bytes


def test_depthwise_layers_that_grow_are_apart() -> None:
    where = depthwise(pads=((2, 2), (1, 1)))
    assert choose(where).overlap_offsets(where) == (None,)
