"""Pointwise convolution of eight channels: what is packed, and what is taken."""

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
from mcuquant.kernels import Site
from mcuquant.kernels.dsp import pointwise_eight
from mcuquant.kernels.dsp.gemm import Form
from mcuquant.kernels.shared.weighted_layer import bias, conv_params, sums, weights

M4 = CORES["cortex-m4"]
FORMS = pytest.mark.parametrize(
    ("form", "unit"), pointwise_eight.FORMS, ids=[form.name for form, _ in pointwise_eight.FORMS]
)


def layer(seed: int = 0, zero_point: int = -128, channels: int = 8, outputs: int = 12, **form: Any) -> Site:
    net = Net(np.random.default_rng(seed))
    x = net.input((1, 3, 5, channels))
    form = {"pads": ((0, 0), (0, 0)), "window": (1, 1)} | form
    graph = net.graph(product_graphs.product(net, x, outputs, form.pop("window"), zero_point=zero_point, **form))
    return Site(graph, graph.ops[0], M4)


def of_form(form: Form, seed: int) -> Site:
    return layer(seed, 9 if form.name == "twice" else -128, **({"largest": 5} if form.name == "8" else {}))


@pytest.mark.parametrize("seed", range(3))
@FORMS
def test_packing_unpacks_to_the_weights(form: Form, unit: int, seed: int) -> None:
    where = of_form(form, seed)
    w, found = weights(where).reshape(-1, 8).astype(int), form.constants(where)
    rows = pointwise_eight.pack(where, form, unit)
    assert found is not None
    assert rows.shape == (12, 5 + form.words)
    taps = np.ascontiguousarray(rows[:, 1:5]).view(np.int16).reshape(12, 2, 2, 2).swapaxes(2, 3).reshape(12, 8)
    assert taps.tolist() == (unit * w).tolist()
    start = unit * (bias(where).astype(int) - conv_params(where).x_zero * w.sum(axis=1)) + found[0]
    assert rows[:, 0].tolist() == start.tolist()
    assert rows[:, 5:].tolist() == found[1].tolist()


@pytest.mark.parametrize("seed", range(3))
@FORMS
def test_constants_are_exact_from_the_least_sum_to_the_greatest(form: Form, unit: int, seed: int) -> None:
    where = of_form(form, seed)
    p, found, (low, high) = conv_params(where), form.constants(where), sums(where)
    assert found is not None
    for o, m in enumerate(p.multipliers):
        acc = np.unique(np.linspace(low[o], high[o], 20_000).astype(np.int64))
        total = acc * unit + int(found[0][o])
        assert (np.abs(total) < 1 << 31).all()
        result = (total * int(found[1][o, 0]) + (1 << 31)) >> 32
        if form.name == "twice":
            result = (result + (result >> 31) + int(found[1][o, 1])) >> int(found[1][o, 2])
        else:
            result >>= int(form.name)
        expected = np.clip(requantize(acc, m.m, m.shift) + p.y_zero, -128, 127)
        np.testing.assert_array_equal(np.clip(result, -128, 127), expected)


@pytest.mark.parametrize(
    ("form", "name"),
    [
        ({}, "pointwise_eight_12_s8"),
        ({"zero_point": 0}, "pointwise_eight_twice_s8"),
        ({"channels": 7}, "pointwise_gemm_12_s8"),
        ({"channels": 12}, "pointwise_gemm_12_s8"),
        ({"outputs": 6}, "pointwise_gemm_12_s8"),
        ({"stride": (2, 2)}, "conv2d_gemm_12_s8"),
    ],
)
def test_what_is_taken(form: dict[str, Any], name: str) -> None:
    where = layer(**form)
    assert choose(where).name == name
    assert choose(replace(where, core=CORES["cortex-m3"])).name == "conv2d_three_s8"
