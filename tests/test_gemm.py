"""Convolution as matrix product: what is packed, and the proofs without which it is not chosen."""

from __future__ import annotations

from dataclasses import replace

import graphs
import numpy as np
import pytest

from mcuquant.core import CORES
from mcuquant.ir import Graph, QParams
from mcuquant.kernels import Site, gemm
from mcuquant.kernels.conv import bias, conv_params, weights

M4 = CORES["cortex-m4"]


def site(graph: Graph) -> Site:
    return Site(graph, graph.ops[0], M4)


def taken(seed: int) -> Site:
    """A random convolution that the fast form takes, from `seed` on."""
    found = (site(graphs.GENERATORS["conv2d"](np.random.default_rng(s))) for s in range(seed, seed + 200))
    return next(s for s in found if gemm.takes(s))


@pytest.mark.parametrize("seed", [0, 300, 600, 900, 1200])
def test_packing_unpacks_to_the_weights(seed: int) -> None:
    where = taken(seed)
    w = weights(where)
    outputs, depth = w.shape[0], w[0].size
    words = -(-depth // 4)
    rows = gemm.pack(where).reshape(-1, 2 + 2 * words + 6)
    assert len(rows) == -(-outputs // 2)
    p = conv_params(where)
    for o in range(outputs):
        row = rows[o // 2]
        taps = row[2 + o % 2 : 2 + 2 * words : 2].copy().view(np.uint8).astype(int)
        taps[0::2] -= 128
        taps[1::2] = (taps[1::2] ^ 128) - 128
        assert taps[:depth].tolist() == w[o].ravel().tolist()
        assert not taps[depth:].any()
        start = int(bias(where)[o]) - p.x_zero * int(w[o].astype(int).sum()) + 127 * int(taps[1::2].sum())
        assert row[o % 2] == np.int64(256 * start).astype(np.int32)
        m, add, shift = row[2 + 2 * words + 3 * (o % 2) :][:3]
        assert (m, shift) == (p.multipliers[o].m, -p.multipliers[o].shift)
        assert add == (1 << (shift - 1)) + (p.y_zero << shift)


def with_bias(where: Site, channel: int, value: int) -> Site:
    graph, op = where.graph, where.op
    b = graph[op.inputs[2]]
    data = bias(where).copy()
    data[channel] = value
    return site(graph.with_(tensors={**graph.tensors, b.id: replace(b, data=data)}))


def test_a_sum_that_could_reach_its_limit_is_refused() -> None:
    where = taken(0)
    low, high = gemm.sum_bounds(where)
    room_above = gemm.ACC_LIMIT - 1 - int(high[0]) + int(bias(where)[0])
    room_below = -gemm.ACC_LIMIT + 1 - int(low[0]) + int(bias(where)[0])
    for largest, step in ((room_above, 1), (room_below, -1)):
        assert gemm.takes(with_bias(where, 0, largest))
        assert not gemm.takes(with_bias(where, 0, largest + step))


def test_bounds_are_reached() -> None:
    where = taken(0)
    p, w = conv_params(where), weights(where).astype(int)
    low, high = gemm.sum_bounds(where)
    for o in range(len(w)):
        taps = w[o].ravel()
        most = np.where(taps > 0, 127, -128) - p.x_zero
        least = np.where(taps > 0, -128, 127) - p.x_zero
        assert high[o] == bias(where)[o] + int(np.maximum(taps * most, 0).sum())
        assert low[o] == bias(where)[o] + int(np.minimum(taps * least, 0).sum())


def test_other_cores_clamps_and_left_shifts_are_left_to_other_kernels() -> None:
    where = taken(0)
    assert not gemm.takes(replace(where, core=CORES["cortex-m3"]))
    finer = where.out.scale / 65536
    y = replace(where.out, q=QParams.of(finer, where.out.zero_point))
    assert not gemm.shifts_right(conv_params(site(where.graph.with_(tensors={**where.graph.tensors, y.id: y}))))
