"""Element-wise and pooling variants that take words: the constants of sums, and what is left to the plain kernels."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from harness import choose
from hypothesis import given, settings
from hypothesis import strategies as st
from nets import Net

from mcuquant.arithmetic import interpreter
from mcuquant.boards.core import CORES
from mcuquant.ir import Array, Graph, QParams, Shape, ops
from mcuquant.kernels import Site
from mcuquant.kernels.dsp import add_words

M4 = CORES["cortex-m4"]
ALL = np.arange(-128, 128, dtype=np.int8)


def graph_of(
    kind: type[ops.Op],
    shapes: tuple[Shape, ...],
    y: Shape,
    scales: tuple[float, ...] = (0.1, 0.1, 0.1),
    zeros: tuple[int, ...] = (0, 0, 0),
    **attributes: Any,
) -> Graph:
    net = Net(np.random.default_rng(0))
    q = [QParams.of(s, z) for s, z in zip(scales, zeros, strict=True)]
    inputs = [net.input(shape) for shape in shapes]
    for i in inputs:
        net.tensors[i] = replace(net.tensors[i], q=q[i])
    return net.graph(net.apply(kind, tuple(inputs), y, q[-1], **attributes))


def chosen(graph: Graph, cpu: str = "cortex-m4") -> str:
    return choose(Site(graph, graph.ops[0], CORES[cpu])).name


def every_pair(graph: Graph) -> Array:
    """The interpreter's outputs for every a (rows) and b (columns)."""
    a, b = np.meshgrid(ALL, ALL, indexing="ij")
    return interpreter.run(graph, [a, b])[0].astype(np.int64)


def as_executed(found: add_words.Linear) -> Array:
    a, b = np.meshgrid(ALL.astype(np.int64) * 256, ALL.astype(np.int64) * 256, indexing="ij")
    total = found.offset + ((found.a_factor * a) >> 16)
    assert np.abs(total).max() < 1 << 31
    total += (found.b_factor * b) >> 16
    assert np.abs(total).max() < 1 << 31
    return np.clip(total >> 20, -128, 127)


SCALES = st.tuples(*[st.floats(0.001, 0.2)] * 3)
ZEROS = st.tuples(*[st.sampled_from([-128, -17, 0, 4, 127])] * 3)


@settings(deadline=None, max_examples=60)
@given(SCALES, ZEROS, st.sampled_from([ops.Add, ops.Sub]))
def test_sums_that_are_taken_are_exact_for_every_pair(
    scales: tuple[float, ...], zeros: tuple[int, ...], kind: type[ops.Op]
) -> None:
    graph = graph_of(kind, ((256, 256), (256, 256)), (256, 256), scales, zeros)
    found = add_words.linear(Site(graph, graph.ops[0], M4))
    if found is not None:
        np.testing.assert_array_equal(as_executed(found), every_pair(graph))


def test_most_sums_are_taken() -> None:
    rng = np.random.default_rng(1)
    shape = ((1, 4), (1, 4))
    graphs = [graph_of(ops.Add, shape, (1, 4), tuple(rng.uniform(0.01, 0.1, 3)), (4, -20, -128)) for _ in range(50)]
    assert sum(chosen(graph) == "add_words_s8" for graph in graphs) >= 48


@pytest.mark.parametrize(
    ("graph", "cpu"),
    [
        (graph_of(ops.Add, ((1, 4), (1, 4)), (1, 4)), "cortex-m3"),
        (graph_of(ops.Add, ((1, 4), (1, 4)), (1, 4), (0.1, 0.1, 0.005)), "cortex-m4"),
        (graph_of(ops.Add, ((1, 4), (1, 4)), (1, 4), (0.1, 0.1, 0.2)), "cortex-m4"),
        (graph_of(ops.Add, ((1, 4), (1, 4)), (1, 4), activation=ops.Activation.RELU6), "cortex-m4"),
    ],
    ids=["no DSP", "factors of 20", "halves of both signs", "clamped"],
)
def test_sums_left_to_the_plain_kernel(graph: Graph, cpu: str) -> None:
    assert chosen(graph, cpu) == "add_s8"


def test_pools_need_whole_words() -> None:
    for kind, name in ((ops.AvgPool2D, "avg_pool"), (ops.MaxPool2D, "max_pool")):
        for channels, words in ((8, "_words"), (6, "")):
            shape = (1, 4, 4, channels)
            graph = graph_of(kind, (shape,), (1, 2, 2, channels), (0.1, 0.1), (0, 0), window=(2, 2), stride=(2, 2))
            assert chosen(graph) == f"{name}{words}_s8"
            assert chosen(graph, "cortex-m3") == f"{name}_s8"


@pytest.mark.parametrize(
    ("shape", "axes", "name"),
    [
        ((1, 5, 4, 8), (1, 2), "mean_words_s8"),
        ((1, 5, 4, 6), (1, 2), "mean_flat_s8"),
        ((1, 5, 4, 8), (2, 3), "mean_rows_s8"),
        ((1, 16, 2, 1), (1, 2), "mean_rows_s8"),
        ((1, 5, 4, 8), (1,), "mean_words_s8"),
        ((1, 5, 4, 8), (2,), "mean_s8"),
    ],
)
def test_means_over_all_but_the_last_axis(shape: Shape, axes: tuple[int, ...], name: str) -> None:
    y = tuple(1 if i in axes else n for i, n in enumerate(shape))
    graph = graph_of(ops.Mean, (shape,), y, (0.1, 0.1), (0, 0), axes=axes)
    assert chosen(graph) == name
