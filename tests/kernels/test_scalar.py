"""The variants for cores without SIMD equal the interpreter in every byte: portable C, Cortex-M3, Armv6-M."""

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
from variants_under_test import M0PLUS, M3, PRODUCTS

from mcuquant.boards.core import CORES
from mcuquant.kernels import Exactly, Site
from mcuquant.kernels.scalar import depthwise_scalar, product_scalar
from mcuquant.kernels.shared.folded import folded_bias
from mcuquant.kernels.shared.weighted_layer import bias, weights
from mcuquant.planner import plan

NAMES = PRODUCTS.names
made = PRODUCTS.graph
CPUS = ("cortex-m3", "cortex-m0plus")
PLAIN = {"conv2d_s8", "depthwise_s8", "fully_connected_s8"}


def on_host(names: list[str], seed: int, cpu: str, directory: Path) -> None:
    check_random(names, build_host([made(name, seed) for name in names], directory, CORES[cpu]), 3)


def on_device(names: list[str], seed: int, cpu: str, directory: Path) -> None:
    check_random(names, build_device([made(name, seed) for name in names], directory, cpu), 3)


@pytest.mark.parametrize(("cpu", "part"), list(zip(CPUS, (0, 1), strict=True)))
def test_under_the_sanitizers(cpu: str, part: int, tmp_path: Path) -> None:
    on_host(NAMES[part::4], 1, cpu, tmp_path)


@pytest.mark.emulator
@pytest.mark.parametrize(("cpu", "part"), list(zip(CPUS, (2, 3), strict=True)))
def test_on_an_emulated_core(cpu: str, part: int, tmp_path: Path) -> None:
    on_device(NAMES[part::4], 2, cpu, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("cpu", CPUS)
@pytest.mark.parametrize("seed", range(100, 103))
def test_more_under_the_sanitizers(seed: int, cpu: str, tmp_path: Path) -> None:
    on_host(NAMES, seed, cpu, tmp_path)


@pytest.mark.slow
@pytest.mark.emulator
@pytest.mark.parametrize("cpu", CPUS)
@pytest.mark.parametrize("seed", range(200, 210))
def test_more_on_an_emulated_core(seed: int, cpu: str, tmp_path: Path) -> None:
    on_device(NAMES, seed, cpu, tmp_path)


@pytest.mark.parametrize("cpu", CPUS)
def test_few_graphs_are_left_to_the_plain_kernels(cpu: str) -> None:
    chosen = [step.variant.name for name in NAMES for step in plan(made(name, 3), CORES[cpu], only=preferred()).steps]
    assert len([variant for variant in chosen if variant in PLAIN]) < 0.1 * len(chosen)


def layer(core: Any = M3, **form: Any) -> Site:
    net = Net(np.random.default_rng(0))
    x = net.input((1, 3, 4, 7))
    form = {"pads": ((0, 0), (0, 0)), "zero_point": 5, "window": (1, 1), **form}
    graph = net.graph(product_graphs.product(net, x, 5, **form))
    return Site(graph, graph.ops[0], core)


def chosen(where: Site) -> str:
    return choose(where).name


def test_kernels_by_core() -> None:
    assert chosen(layer()) == chosen(layer(window=(2, 2))) == "conv2d_three_s8"
    assert chosen(layer(M0PLUS)) == "conv2d_four_s8"
    assert chosen(layer(CORES["cortex-m0"])) == "conv2d_four_s8"
    assert chosen(layer(left_shift=True, largest=1)) == "conv2d_s8"
    assert chosen(layer(M0PLUS, left_shift=True, largest=1)) == "conv2d_s8"


@pytest.mark.parametrize("sign", [1, -1])
def test_a_sum_that_could_reach_the_limit_is_refused(sign: int) -> None:
    where = layer()
    w = weights(where).reshape(where.out.shape[3], -1).astype(int)
    at_zero = int(folded_bias(where)[0] - bias(where)[0])
    largest = sign * ((1 << 29) - 1 - 128 * int(np.abs(w[0]).sum())) - at_zero
    assert product_scalar.is_taken(with_bias(where, largest))
    assert not product_scalar.is_taken(with_bias(where, largest + sign))


def with_bias(where: Site, value: int) -> Site:
    b = where.ins[2]
    data = bias(where).copy()
    data[0] = value
    graph = where.graph.with_(tensors={**where.graph.tensors, b.id: replace(b, data=data)})
    return Site(graph, graph.ops[0], M3)


def test_rows_of_words_unpack_to_the_weights() -> None:
    where = layer(M0PLUS, window=(2, 3))
    w = weights(where).reshape(where.out.shape[3], -1)
    rows = product_scalar.pack_words(where).view(np.int8)
    assert rows.shape == (5, 44)
    assert rows[:, : w.shape[1]].tolist() == w.tolist()
    assert not rows[:, w.shape[1] :].any()


def test_pairs_of_outputs_unpack_to_the_weights() -> None:
    where = layer(window=(2, 3))
    w = weights(where).reshape(where.out.shape[3], -1)
    pairs = product_scalar.pack_pairs(where)
    assert pairs.shape == (3, 44, 2)
    first, second = pairs[:, :, 0].view(np.uint8).astype(int) - 128, pairs[:, :, 1]
    assert first[:, : w.shape[1]].tolist() == w[0::2].tolist()
    assert second[:2, : w.shape[1]].tolist() == w[1::2].tolist()
    assert not first[:, w.shape[1] :].any()
    assert not second[:, w.shape[1] :].any()
    assert not second[2].any()
    added = (product_scalar.offset_bias(where) - folded_bias(where)).tolist()
    assert added == (-128 * w.sum(axis=1, dtype=int)).tolist()


def depthwise(**form: Any) -> Site:
    net = Net(np.random.default_rng(0))
    x = net.input((form.get("batch", 1), 6, 7, 5))
    graph = net.graph(mve_graphs.depthwise(net, x, **{"window": (3, 3), "pads": ((1, 1), (1, 1)), **form}))
    return Site(graph, graph.ops[0], M3)


def test_depthwise_weights_are_rows_of_three() -> None:
    where = depthwise(window=(3, 2))
    packed = depthwise_scalar.pack(where)
    assert packed.shape == (5, 3, 3)
    assert packed[:, :, :2].tolist() == weights(where)[0].transpose(2, 0, 1).tolist()
    assert not packed[:, :, 2].any()


def test_depthwise_layers_that_are_taken() -> None:
    assert chosen(depthwise()) == "depthwise_scalar_s8"
    assert chosen(depthwise(window=(5, 1), pads=((2, 2), (0, 0)))) == "depthwise_scalar_s8"
    assert chosen(depthwise(window=(3, 4))) == "depthwise_s8"


def test_depthwise_layers_run_in_place() -> None:
    """Unless a batch's first outputs would lie on the inputs of the next image."""
    growing = {"pads": ((2, 2), (2, 2))}
    for form, lead in (({}, Exactly(0)), (growing, Exactly(0)), ({**growing, "batch": 2}, None)):
        where = depthwise(**form)
        assert choose(where).overlap_offsets(where) == (lead,)
