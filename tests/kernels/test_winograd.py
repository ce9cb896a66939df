"""Winograd's convolutions: the identity in integers, what is packed, and the proofs a form needs to be chosen."""

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
from mcuquant.ir import Array
from mcuquant.kernels import Site
from mcuquant.kernels.dsp import winograd
from mcuquant.kernels.dsp.gemm import Form
from mcuquant.kernels.shared.weighted_layer import bias, conv_params, sums, weights

M4 = CORES["cortex-m4"]
SEEDS = range(3)
TILES = [(form, winograd.TILE_UNIT) for form in winograd.TILE_FORMS]
ROWS = [(form, winograd.ROW_UNIT) for form in winograd.ROW_FORMS]
FORMS = pytest.mark.parametrize(("form", "unit"), [*TILES, *ROWS], ids=lambda value: getattr(value, "name", str(value)))
# As firmware/kernels/dsp/mq_winograd.h has them.
B = np.array(
    [
        [4, 0, -5, 0, 1, 0],
        [0, -4, -4, 1, 1, 0],
        [0, 4, -4, -1, 1, 0],
        [0, -2, -1, 2, 1, 0],
        [0, 2, -1, -2, 1, 0],
        [0, 4, 0, -5, 0, 1],
    ]
)
A = np.array([[1, 4, 4, 1, 1, 0], [0, 4, -4, 2, -2, 0], [0, 4, 4, 4, 4, 0], [0, 4, -4, 8, -8, 4]])


def layer(seed: int = 0, zero_point: int = -128, **form: Any) -> Site:
    net = Net(np.random.default_rng(seed))
    x = net.input((1, 7, 6, form.pop("channels", 8)))
    window, outputs = form.pop("window", (3, 3)), form.pop("outputs", 8)
    graph = net.graph(product_graphs.product(net, x, outputs, window, zero_point=zero_point, **form))
    return Site(graph, graph.ops[0], M4)


def of_form(form: Form, seed: int) -> Site:
    return layer(seed, 9 if form.name == "twice" else -128, largest={"8": 4, "12": 30, "twice": 60}[form.name])


def chosen(where: Site) -> str:
    return choose(where).name


@pytest.mark.parametrize("seed", SEEDS)
def test_the_identity_holds_in_integers(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, w = rng.choice([-128, 127], (6, 6)), rng.choice([-128, 127], (3, 3))
    direct = [[int((x[i : i + 3, j : j + 3] * w).sum()) for j in range(4)] for i in range(4)]
    v, u = B @ x @ B.T, winograd.tiles_transformed(w.reshape(1, 3, 3, 1).astype(np.int8))[0, :, :, 0, 0]
    assert (A @ (u * v) @ A.T).tolist() == (576 * np.array(direct)).tolist()
    of_rows = winograd.rows_transformed(w.reshape(1, 3, 3, 1).astype(np.int8))[0, :, :, 0].astype(np.int64)
    first = sum(A @ (of_rows[:, k] * (B @ x[k])) for k in range(3))
    assert np.asarray(first).tolist() == (384 * np.array(direct[0])).tolist()


def test_transforms_fit_16_bits() -> None:
    """For all inputs and weights of int8: by the sums of the rows' magnitudes."""
    of_b, of_g = np.abs(B).sum(axis=1).max() * 128, np.abs(winograd.G).sum(axis=1).max()
    assert of_b * np.abs(B).sum(axis=1).max() == 12_800
    assert of_g * of_g * 128 == 6_272
    assert winograd.ROW_SCALE * of_g * 128 == 14_336


@pytest.mark.parametrize(("positions", "channels"), [(36, 4), (6, 12), (18, 8)])
def test_packing_unpacks_to_the_weights(positions: int, channels: int) -> None:
    transformed = np.random.default_rng(positions).integers(-20_000, 20_000, (8, positions, channels)).astype(np.int16)
    words = winograd.packed(transformed).reshape(2, positions, channels // 2, 4)
    halves = np.ascontiguousarray(words).view(np.int16).reshape(2, positions, channels // 4, 2, 4, 2)
    for (group, position, four, odd, output, half), value in np.ndenumerate(halves):
        assert value == transformed[4 * group + output, position, 4 * four + odd + 2 * half]


def executed(form: Form, row: Array, acc: Array, unit: int) -> Array:
    """What the kernel makes of sums, in exact integers; `row` without the start, which is in `acc` times `unit`."""
    if form.name == "twice":
        m, add, shift = (int(c) for c in row)
        high = (acc // unit * 2 * m + (1 << 31)) >> 32
        return np.clip((high + (high >> 31) + add) >> shift, -128, 127)
    return np.clip(((acc * int(row[0]) + (1 << 31)) >> 32) >> int(form.name), -128, 127)


@pytest.mark.parametrize("seed", SEEDS)
@FORMS
def test_constants_are_exact_from_the_least_sum_to_the_greatest(form: Form, unit: int, seed: int) -> None:
    where = of_form(form, seed)
    p, (low, high), rows = conv_params(where), sums(where), winograd.constants(where, form, unit)
    of_x_zero = p.x_zero * weights(where).reshape(len(rows), -1).sum(axis=1, dtype=np.int64)
    for o, m in enumerate(p.multipliers):
        acc = np.unique(np.linspace(low[o], high[o], 20_000).astype(np.int64))
        products = (acc - bias(where)[o] + of_x_zero[o]) * unit
        total = products + int(rows[o, 0])
        assert (np.abs(total) < 1 << 31).all()
        expected = np.clip(requantize(acc, m.m, m.shift) + p.y_zero, -128, 127)
        np.testing.assert_array_equal(executed(form, rows[o, 1:], total, unit), expected)


def with_bias(where: Site, value: int) -> Site:
    graph, op = where.graph, where.op
    b = graph[op.inputs[2]]
    data = bias(where).copy()
    data[1] = value
    changed = graph.with_(tensors={**graph.tensors, b.id: replace(b, data=data)})
    return Site(changed, changed.ops[0], M4)


@pytest.mark.parametrize(("window", "unit"), [((3, 3), winograd.TILE_UNIT), ((2, 3), winograd.ROW_UNIT)])
def test_a_sum_that_could_reach_its_limit_is_refused(window: tuple[int, int], unit: int) -> None:
    """In one channel of eight."""
    where = layer(2, 9, window=window, largest=30)
    low, high = (int(end[1]) - int(bias(where)[1]) for end in sums(where))
    limit = ((1 << 31) - 1) // unit
    for largest, step in ((limit - high, 1), (-limit - low, -1)):
        assert "winograd" in chosen(with_bias(where, largest))
        beyond = chosen(with_bias(where, largest + step))
        assert beyond == ("conv2d_winograd_row_twice_s8" if unit == winograd.TILE_UNIT else "conv2d_gemm_twice_s8")


@pytest.mark.parametrize(
    ("form", "name"),
    [
        ({}, "conv2d_winograd_12_s8"),
        ({"zero_point": 0}, "conv2d_winograd_twice_s8"),
        ({"stride": (2, 1)}, "conv2d_winograd_row_12_s8"),
        ({"dilation": (2, 1)}, "conv2d_winograd_row_12_s8"),
        ({"window": (1, 3)}, "conv2d_winograd_row_12_s8"),
        ({"window": (3, 2)}, "conv2d_gemm_12_s8"),
        ({"stride": (1, 2)}, "conv2d_gemm_12_s8"),
        ({"dilation": (1, 2)}, "conv2d_gemm_12_s8"),
        ({"channels": 10}, "conv2d_gemm_12_s8"),
        ({"outputs": 6}, "conv2d_gemm_12_s8"),
    ],
)
def test_windows_and_channels_that_are_taken(form: dict[str, Any], name: str) -> None:
    where = layer(**{"largest": 30} | form)
    assert chosen(where) == name
    assert chosen(replace(where, core=CORES["cortex-m3"])) == "conv2d_three_s8"
