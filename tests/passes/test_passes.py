"""Passes change a graph's form and never its results: to the byte where it is quantised."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import graphs
import layers
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nets import Net
from rewriting import FLOAT32, INT8, SEEDS, TYPES, assert_same_results, image, kinds, modest, same

from mcuquant.errors import GraphError
from mcuquant.ir import DType, Graph, QParams, ops
from mcuquant.passes import PASSES, drop_dead, drop_identities, fold_constants, run_passes

# --- every operation and whole networks -------------------------------------------------------------------------------

ALL = {**graphs.GENERATORS, **{f"{name}_float": g for name, g in graphs.FLOAT_GENERATORS.items()}}


@pytest.mark.parametrize("name", ALL)
def test_one_operation_stays_what_it_is(name: str) -> None:
    for seed in range(3):
        graph = ALL[name](np.random.default_rng(seed))
        assert_same_results(graph, run_passes(graph), np.random.default_rng(seed))


def cluttered(graph: Graph, rng: np.random.Generator) -> Graph:
    """The same network with operations that change nothing in between: what front ends leave behind."""
    net = Net(rng, INT8, dict(graph.tensors), [], list(graph.inputs))
    names: dict[int, int] = {}
    for op in graph.ops:
        net.ops.append(replace(op, inputs=tuple(names.get(i, i) for i in op.inputs)))
        if rng.random() < 0.7:
            names[op.output] = CLUTTER[int(rng.integers(len(CLUTTER)))](net, op.output)
    return net.graph(*(names.get(i, i) for i in graph.outputs), name="cluttered")


def shuffled(net: Net, x: int) -> int:
    """Transposed and back, by two steps each way."""
    rank = len(net.shape(x))
    for perm in (net.rng.permutation(rank) for _ in range(2)):
        x = same(net, x, ops.Transpose, tuple(net.shape(x)[p] for p in perm), perm=tuple(perm.tolist()))
        undone = np.argsort(perm)
        x = same(net, x, ops.Transpose, tuple(net.shape(x)[p] for p in undone), perm=tuple(undone.tolist()))
    return x


def reshaped(net: Net, x: int) -> int:
    shape = net.shape(x)
    flat = same(net, x, ops.Reshape, (1, net.tensors[x].elements))
    return same(net, same(net, flat, ops.Reshape, (1, 1, net.tensors[x].elements)), ops.Reshape, shape)


CLUTTER: list[Callable[[Net, int], int]] = [
    shuffled,
    reshaped,
    lambda net, x: same(net, x, ops.Pad, pads=((0, 0),) * len(net.shape(x))),
    lambda net, x: same(net, x, ops.Slice, begin=(0,) * len(net.shape(x)), step=(1,) * len(net.shape(x))),
    lambda net, x: same(net, x, ops.Concat, axis=len(net.shape(x)) - 1),
    lambda net, x: same(net, x, ops.Quantize),
    lambda net, x: same(net, x, ops.Reshape),
]


@modest
@given(SEEDS)
def test_clutter_leaves_and_every_byte_stays(seed: int) -> None:
    rng = np.random.default_rng(seed)
    plain = graphs.random_network(rng)
    tidy, tidied = run_passes(plain), run_passes(cluttered(plain, rng))
    assert_same_results(plain, tidied, rng)
    assert kinds(tidied) == kinds(tidy)


@modest
@given(SEEDS)
def test_a_second_run_changes_nothing(seed: int) -> None:
    graph = run_passes(graphs.random_network(np.random.default_rng(seed)))
    assert run_passes(graph) is graph


@modest
@given(SEEDS, st.sampled_from(PASSES))
def test_each_pass_alone_keeps_every_byte(seed: int, single: Callable[[Graph], Graph]) -> None:
    rng = np.random.default_rng(seed)
    graph = cluttered(graphs.random_network(rng), rng)
    assert_same_results(graph, run_passes(graph, [single]), rng)


def test_a_pass_that_breaks_the_graph_is_caught() -> None:
    graph = graphs.GENERATORS["relu6"](np.random.default_rng(1))
    with pytest.raises(GraphError):
        run_passes(graph, [lambda g: replace(g, ops=())])


# --- constants, identities, dead ends ---------------------------------------------------------------------------------


@modest
@given(SEEDS, TYPES)
def test_operations_on_constants_are_computed(seed: int, dtype: DType) -> None:
    net = Net(np.random.default_rng(seed), dtype)
    x = image(net)
    values = net.rng.normal(0, 1, (1, 1, 1, net.shape(x)[3])) * (1 if dtype is FLOAT32 else 40)
    constant = net.constant(values, dtype, net.quant(dtype, None if dtype is FLOAT32 else net.scale(x)))
    factor = layers.leaky_relu(net, layers.leaky_relu(net, constant))
    y = net.apply(ops.Add, (x, factor), net.shape(x), net.tensors[x].q)
    graph = net.graph(y)
    folded = run_passes(graph, [fold_constants])
    assert kinds(folded) == ["Add"]
    assert_same_results(graph, folded, net.rng)


def test_a_constant_output_becomes_a_copy() -> None:
    net = Net(np.random.default_rng(3), FLOAT32)
    net.input((1, 2))
    graph = fold_constants(net.graph(same(net, net.constant(np.ones((1, 2)), FLOAT32), ops.Tanh)))
    assert kinds(graph) == ["Slice"]
    assert graph[graph.ops[0].inputs[0]].value == pytest.approx(np.full((1, 2), np.tanh(1)), rel=1e-6)
    assert fold_constants(graph) is graph


def test_a_transposition_of_axes_of_size_1_is_a_reshape() -> None:
    net = Net(np.random.default_rng(3))
    x = same(net, net.input((1, 1, 5, 3)), ops.Transpose, (1, 5, 1, 3), perm=(0, 2, 1, 3))
    assert kinds(drop_identities(net.graph(layers.curve(net, x, ops.Tanh)))) == ["Reshape", "Tanh"]


def test_an_input_that_is_an_output_is_copied() -> None:
    net = Net(np.random.default_rng(3), FLOAT32)
    x = net.input((1, 4))
    graph = net.graph(same(net, same(net, x, ops.Reshape), ops.Reshape))
    tidy = run_passes(graph)
    assert kinds(tidy) == ["Reshape"]
    assert tidy.outputs == graph.outputs


def test_one_result_put_out_twice_keeps_a_copy() -> None:
    net = Net(np.random.default_rng(3), FLOAT32)
    y = same(net, net.input((1, 4)), ops.Tanh)
    graph = net.graph(*(same(net, y, ops.Reshape) for _ in range(2)))
    tidy = run_passes(graph)
    assert kinds(tidy) == ["Tanh", "Reshape"]
    assert_same_results(graph, tidy, net.rng)


def test_a_quantize_to_another_scale_stays() -> None:
    net = Net(np.random.default_rng(3))
    x = net.input((1, 4))
    graph = net.graph(net.apply(ops.Quantize, (x,), (1, 4), QParams.of(net.scale(x) * 2)))
    assert drop_identities(graph) is graph


def test_what_nothing_reads_is_dropped() -> None:
    net = Net(np.random.default_rng(3), FLOAT32)
    x = net.input((1, 4))
    layers.curve(net, layers.curve(net, x, ops.Tanh), ops.Logistic)
    graph = net.graph(layers.curve(net, x, ops.Logistic))
    assert kinds(drop_dead(graph)) == ["Logistic"]
    assert set(drop_dead(graph).tensors) == {x, *graph.outputs}
