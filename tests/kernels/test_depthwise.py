"""The depthwise variant: its packing read back, what it refuses, its scratch, and when it runs in place."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fast_graphs import small_depthwise
from graphs import random_inputs
from harness import assert_equal, build_host, choose
from nets import Net, padding

from mcuquant.arithmetic.fixedpoint import requantize
from mcuquant.boards.core import CORES
from mcuquant.ir import Array, Graph, Pair, QParams, Shape, ops
from mcuquant.kernels import Exactly, Site, Variant
from mcuquant.kernels.dsp import depthwise_planes
from mcuquant.kernels.shared.weighted_layer import conv_params
from mcuquant.kernels.variant import cost
from mcuquant.planner import plan

M4 = CORES["cortex-m4"]
SAME = ((1, 1), (1, 1))


def layer(
    shape: Shape = (1, 9, 10, 5), stride: Pair = (1, 1), pads: tuple[Pair, Pair] = SAME, window: Pair = (3, 3)
) -> Graph:
    net = Net(np.random.default_rng(1))
    return net.graph(small_depthwise(net, net.input(shape), window, stride, pads))


def site(graph: Graph, op: int = 0) -> Site:
    return Site(graph, graph.ops[op], M4)


def chosen(graph: Graph, cpu: str = "cortex-m4") -> str:
    return choose(Site(graph, graph.ops[0], CORES[cpu])).name


def changed(graph: Graph, tensor: int = -1, op: dict[str, Any] | None = None, **fields: Any) -> Graph:
    """The graph with fields of one tensor (the output) and of its operation replaced."""
    t = graph.out(graph.ops[0]) if tensor < 0 else graph[tensor]
    ops_ = (replace(graph.ops[0], **(op or {})),)
    return replace(graph, tensors={**graph.tensors, t.id: replace(t, **fields)}, ops=ops_)


@pytest.mark.parametrize("window", [(3, 3), (2, 3), (1, 2), (3, 1)])
def test_packing_read_back(window: Pair) -> None:
    graph = layer(window=window)
    x, w, b = graph.ins(graph.ops[0])
    words = depthwise_planes.pack(site(graph))
    rows = words[:, :3].copy().view(np.int8).reshape(5, 3, 4)
    assert w.data is not None
    assert b.data is not None
    np.testing.assert_array_equal(rows[:, : window[0], : window[1]], w.data[0].transpose(2, 0, 1))
    assert np.abs(rows.astype(int)).sum() == np.abs(w.data.astype(int)).sum()
    np.testing.assert_array_equal(_outputs(words, rows, x.zero_point), _expected(graph, b.data))


def test_both_signs_are_rounded_twice() -> None:
    graph = changed(layer(), q=QParams.of(layer()[3].scale, 7), op={"activation": ops.Activation.NONE})
    assert chosen(graph) == "depthwise_planes_twice_s8"
    words, p = depthwise_planes.pack(site(graph), rounds_twice=True), conv_params(site(graph))
    assert words[:, 4].tolist() == [m.m for m in p.multipliers]
    assert words[:, 6].tolist() == [-m.shift for m in p.multipliers]
    sums = np.arange(-30_000, 30_000)
    for m, (_, rounding, shift) in zip(p.multipliers, words[:, 4:].tolist(), strict=True):
        high = (2 * sums * m.m + (1 << 31)) >> 32
        result = np.clip((high + (high >> 31) + rounding) >> shift, -128, 127)
        np.testing.assert_array_equal(result, np.clip(requantize(sums, m.m, m.shift) + 7, -128, 127))


def _outputs(words: Array, rows: Array, x: int) -> Array:
    """What the kernel makes of an image that holds `x` everywhere."""
    sums = rows.astype(np.int64).sum(axis=(1, 2)) * 256 * x + words[:, 3]
    return np.clip(((sums * words[:, 4] + (1 << 31)) >> 32) >> 8, -128, 127)


def _expected(graph: Graph, b: Array) -> Array:
    """At its zero point, an image adds nothing to the biases."""
    p = conv_params(site(graph))
    scaled = [requantize(int(acc), m.m, m.shift) for acc, m in zip(b, p.multipliers, strict=True)]
    return np.clip(np.array(scaled) + p.y_zero, -128, 127)


def test_cores_without_dsp_take_the_plain_kernel() -> None:
    assert chosen(layer()) == "depthwise_planes_s8"
    assert chosen(layer(), "cortex-m3") == "depthwise_scalar_s8"


@pytest.mark.parametrize(
    "graph",
    [
        layer(window=(4, 3)),
        layer(window=(3, 4)),
        layer(stride=(1, 3)),
        layer(pads=((0, 0), (2, 0))),
        changed(layer(pads=((2, 2), (2, 2))), op={"dilation": (2, 2), "padding": padding((2, 2), (1, 3))}),
        changed(layer(), q=QParams.of(0.1, -128), op={"activation": ops.Activation.RELU6}),
        layer(shape=(1, 4, 18, 2), pads=((1, 1), (0, 3))),
    ],
    ids=["tall", "wide", "stride 3", "left 2", "dilated", "clamped", "ends in padding"],
)
def test_refused(graph: Graph) -> None:
    assert not chosen(graph).startswith("depthwise_planes")


def test_several_outputs_a_channel_are_refused() -> None:
    net = Net(np.random.default_rng(0))
    x = net.input((1, 5, 5, 2))
    w = net.weights((1, 3, 3, 4), 3)
    y = net.apply(ops.DepthwiseConv2D, (x, w), (1, 5, 5, 4), net.sum_quant(x, w, 9), padding=padding((1, 1), (1, 1)))
    assert not chosen(net.graph(y)).startswith("depthwise_planes")


def test_one_channel_without_proof_is_enough_to_refuse() -> None:
    """Its sums reach beyond what 32 bits hold of 256 times them."""
    graph = layer()
    bias = graph.ins(graph.ops[0])[2]
    assert bias.data is not None
    data = bias.data.copy()
    data[2] = 1 << 23
    assert not chosen(changed(graph, bias.id, data=data)).startswith("depthwise_planes")


def test_runs_in_place() -> None:
    net = Net(np.random.default_rng(3))
    x = net.input((1, 12, 12, 8))
    for _ in range(3):
        x = small_depthwise(net, x, (3, 3), (1, 1), SAME)
    graph = net.graph(x)
    planned = plan(graph, M4)
    assert len(set(planned.offsets.values())) == 1
    assert planned.arena_bytes == 12 * 12 * 8 + planned.steps[0].scratch_bytes
    assert {step.variant.overlap_offsets(site(graph, i)) for i, step in enumerate(planned.steps)} == {(Exactly(0),)}


@pytest.mark.parametrize("pads", [((2, 2), (1, 2)), ((2, 2), (1, 1))])
def test_apart_where_the_output_is_the_larger(pads: tuple[Pair, Pair]) -> None:
    assert depthwise_planes.VARIANTS[0].overlap_offsets(site(layer(pads=pads))) == (None,)


def offered(where: Site) -> list[Variant]:
    return [v for v in depthwise_planes.VARIANTS if v.name == "depthwise_planes_s8" and v.applies(where)]


def test_more_bands_take_less_scratch_and_more_time() -> None:
    where = site(layer(shape=(1, 40, 24, 8)))
    taking = offered(where)
    assert [variant.note for variant in taking] == ["2 bands", "4 bands", "8 bands", "16 bands", "row by row"]
    costs = [cost(variant, where) for variant in taking]
    assert [c.scratch_bytes for c in costs] == [16 * 4 * 4 * (rows + 2) for rows in (20, 10, 5, 3, 1)]
    assert [c.cycles for c in costs] == sorted(c.cycles for c in costs)


def test_whole_planes_where_they_are_small() -> None:
    where = site(layer(shape=(1, 3, 24, 8)))
    assert [variant.note for variant in offered(where)] == ["whole", "2 bands", "row by row"]


@pytest.mark.parametrize("stride", [(1, 1), (2, 2), (2, 1)])
def test_images_in_bands_equal_the_interpreter(stride: Pair, tmp_path: Path) -> None:
    notes = [variant.note for variant in depthwise_planes.VARIANTS]
    graphs = [layer((1, 19, 14, c), stride) for c in (8, 6) for _ in notes]
    names = [f"depthwise_planes, {note}" for note in notes] * 2
    runner = build_host(graphs, tmp_path, M4, names)
    for i, graph in enumerate(graphs):
        sample = random_inputs(np.random.default_rng(i), graph)
        assert_equal(names[i], graph, runner.run(i, sample)[0], sample)
