"""Shared float weights are found by their values, and stay shared in integers and in C."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from harness import assert_equal, build_host
from hypothesis import given, settings
from hypothesis import strategies as st
from nets import Net

from mcuquant.arithmetic import interpreter
from mcuquant.ir import Array, DType, Graph, Level, Tensor, ops
from mcuquant.ir.metrics import weight_bytes
from mcuquant.ir.verify import verify
from mcuquant.quantization import Weights, quantize, with_palettes

BOOK = np.array([-0.4, -0.1, 0.0, 0.07, 0.9], np.float32)


def layer(kind: str, w: Array, rng: np.random.Generator) -> Graph:
    """A float network of one layer with the weights `w`."""
    net = Net(rng, DType.FLOAT32)
    outputs = w.shape[3] if kind == "DepthwiseConv2D" else w.shape[0]
    x_shape, y_shape = ((1, w.shape[1]), (1, outputs)) if w.ndim == 2 else ((1, 5, 5, w.shape[3]), (1, 3, 3, outputs))
    x = net.input(x_shape)
    b = net.constant(rng.normal(size=outputs), DType.FLOAT32)
    y = net.apply(getattr(ops, kind), (x, net.constant(w, DType.FLOAT32), b), y_shape)
    return net.graph(y)


SHAPES = {"Conv2D": (8, 3, 3, 4), "DepthwiseConv2D": (1, 3, 3, 8), "FullyConnected": (12, 30)}


def made_of(real: Graph, seed: int = 0) -> tuple[Graph, Array]:
    x = np.random.default_rng(seed).normal(size=(8, *real[real.inputs[0]].shape[1:])).astype(np.float32)
    return with_palettes(real, quantize(real, x, method="minmax")), x


def weights(graph: Graph) -> Tensor:
    return graph.ins(graph.ops[0])[1]


@pytest.mark.parametrize("kind", SHAPES)
def test_a_codebook_stays_one(kind: str) -> None:
    rng = np.random.default_rng(1)
    real = layer(kind, rng.choice(BOOK, SHAPES[kind]), rng)
    made, x = made_of(real)
    verify(made, Level.LOWERABLE)
    w = weights(made)
    assert w.palette is not None
    assert (w.palette.entries, w.palette.bits, w.palette.groups) == (5, 3, ())
    assert w.palette.centroids.tolist() == [np.rint(BOOK / (BOOK.max() / 127)).tolist()]
    assert np.array_equal(w.data, w.palette.values())  # type: ignore[arg-type]
    exact = interpreter.run(real, [x[:1]])[0]
    y = made[made.outputs[0]]
    got = (interpreter.run(made, [_stored(made, x[:1])])[0].astype(np.float64) - y.zero_point) * y.scale
    assert np.abs(got - exact).max() <= 0.02 * np.abs(exact).max()
    assert made.notes[-1] == f"shared weights: {y.name} 5 values"


def _stored(graph: Graph, x: Array) -> Array:
    t = graph[graph.inputs[0]]
    return np.clip(np.rint(x / t.scale) + t.zero_point, -128, 127).astype(np.int8)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**32), st.sampled_from([2, 3, 4, 6]), st.integers(2, 20), st.sampled_from(sorted(SHAPES)))
def test_codebooks_of_groups_are_found(seed: int, groups: int, entries: int, kind: str) -> None:
    """Whatever groups the weights were shared in, equal weights of a group stay equal, half a step from the real."""
    rng = np.random.default_rng(seed)
    shape = SHAPES["FullyConnected"] if kind == "FullyConnected" else SHAPES[kind]
    axis = 3 if kind == "DepthwiseConv2D" else 0
    of = np.arange(shape[axis]) * groups // shape[axis]
    books = rng.normal(size=(groups, entries)).astype(np.float32) * rng.uniform(0.1, 3, (groups, 1)).astype(np.float32)
    along = of.reshape([-1 if i == axis else 1 for i in range(len(shape))])
    real = layer(kind, books[along, rng.integers(0, entries, shape)], rng)
    made, _ = made_of(real)
    w, was = weights(made), real.ins(real.ops[0])[1].data
    assert w.q is not None
    assert w.data is not None
    assert was is not None
    if w.palette is not None:
        assert weight_bytes(made) < weight_bytes(quantize(real, np.ones((1, *real[0].shape[1:])), method="minmax"))
        assert np.array_equal(w.data, w.palette.values())
    scales = np.array(w.q.scale).reshape([-1 if i == axis else 1 for i in range(len(shape))])
    assert (np.abs(w.data * scales - was) <= scales * 0.5001).all()


def test_weights_of_many_values_are_left_alone() -> None:
    rng = np.random.default_rng(2)
    real = layer("FullyConnected", rng.normal(size=(30, 40)).astype(np.float32), rng)
    made, x = made_of(real)
    assert weights(made).palette is None
    assert str(made) == str(quantize(real, x, method="minmax"))


def test_weights_of_few_bits_are_left_alone() -> None:
    rng = np.random.default_rng(3)
    real = layer("FullyConnected", rng.choice(BOOK, (12, 30)), rng)
    x = rng.normal(size=(4, 30)).astype(np.float32)
    four = quantize(real, x, weights=Weights(bits=4))
    assert with_palettes(real, four) is four


def test_the_c_computes_from_the_codebook(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    graphs = [made_of(layer(kind, rng.choice(BOOK, SHAPES[kind]), rng))[0] for kind in SHAPES]
    runner = build_host(graphs, tmp_path)
    for i, graph in enumerate(graphs):
        samples = [[rng.integers(-128, 128, graph[graph.inputs[0]].shape).astype(np.int8)] for _ in range(3)]
        for sample, outcome in zip(samples, runner.run(i, *samples), strict=True):
            assert_equal(graph.ops[0].kind, graph, outcome, sample)
