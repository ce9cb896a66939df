"""Graphs to .tflite and back, and what the reference interpreter makes of the file."""

from __future__ import annotations

from dataclasses import replace

import mlperf
import numpy as np
import pytest
import tflm
from graphs import FLOAT_GENERATORS, GENERATORS, OUTSIDE_TFLM, random_inputs, random_network
from nets import Net

from mcuquant.arithmetic import interpreter
from mcuquant.errors import ModelError
from mcuquant.ir import DType, Graph, Level, Op, Padding, QParams, Role, Tensor, ops
from mcuquant.ir.verify import verify
from mcuquant.tflite.reader.from_tflite import load
from mcuquant.tflite.schema import window_geometry
from mcuquant.tflite.writer.to_tflite import to_rows, to_tflite

SEEDS = range(4)
WINDOWED = (ops.Conv2D, ops.DepthwiseConv2D, ops.Pool)
SPELT_OUT = ("conv2d", "depthwise", "max_pool_padded", "transpose_conv")
"""Forms whose padding .tflite may have no word for: they come back as more operations."""
CHAINS = ("silu", "hard_sigmoid", "mish", "softplus", "reciprocal")
"""Functions that .tflite has operators of float32 for, but none of its own."""
REFUSED = ("avg_pool_padded", "avg_pool_padded_int16", *(f"{name}_int16" for name in (*CHAINS, "function")))


def canonical(graph: Graph) -> str:
    """Text of `graph` with ids in order of use, without names, and without padding that no window reaches."""
    ids: dict[int, int] = {}
    for i in (*graph.inputs, *(i for op in graph.ops for i in (*op.inputs, *op.outputs))):
        ids.setdefault(i, len(ids))

    def renamed(of: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(ids[i] for i in of)

    tensors = {n: replace(graph[i], id=n, name="") for i, n in ids.items()}
    trimmed = [_trimmed(graph, op) for op in graph.ops]
    renumbered = tuple(replace(op, inputs=renamed(op.inputs), outputs=renamed(op.outputs)) for op in trimmed)
    return str(Graph("", tensors, renumbered, renamed(graph.inputs), renamed(graph.outputs)))


def _trimmed(graph: Graph, op: Op) -> Op:
    if not isinstance(op, WINDOWED):
        return op
    x, y, p = graph[op.inputs[0]].shape, graph.out(op).shape, op.padding
    window = op.window if isinstance(op, ops.Pool) else graph[op.inputs[1]].shape[1:3]
    dilation = (1, 1) if isinstance(op, ops.Pool) else op.dilation
    after = [
        window_geometry.padding_needed(x[a + 1] + before, (window[a] - 1) * dilation[a] + 1, op.stride[a], y[a + 1])
        for a, before in enumerate((p.top, p.left))
    ]
    return replace(op, padding=replace(p, bottom=min(p.bottom, after[0]), right=min(p.right, after[1])))


def assert_equal_outputs(ours: list[np.ndarray], theirs: list[np.ndarray]) -> None:
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs, strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)


FORMS = GENERATORS | {f"{name}_float": generator for name, generator in FLOAT_GENERATORS.items()}


@pytest.mark.parametrize("name", [n for n in FORMS if n not in (*REFUSED, "avg_pool_padded_float", "function_float")])
def test_every_form_comes_back_as_it_went(name: str) -> None:
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        graph = FORMS[name](rng)
        model = to_tflite(graph)
        assert model == to_tflite(graph)
        back = load(model)
        if name in (*CHAINS, "gelu", "function"):
            assert [op.kind for op in back.ops] == ["Lookup"]
        elif name.removesuffix("_float") not in CHAINS and (
            len(back.ops) == len(graph.ops) or not name.startswith(SPELT_OUT)
        ):
            assert canonical(back) == canonical(graph)
        inputs = random_inputs(rng, graph)
        ours, theirs = interpreter.run(back, inputs), interpreter.run(graph, inputs)
        if name.endswith("_float"):  # operators of a chain round after each other
            np.testing.assert_allclose(ours[0], theirs[0], rtol=1e-6)
        else:
            assert_equal_outputs(ours, theirs)


@pytest.mark.parametrize("name", [n for n in GENERATORS if n not in OUTSIDE_TFLM])
def test_the_reference_interpreter_gives_the_same_bytes(name: str) -> None:
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        graph = GENERATORS[name](rng)
        inputs = random_inputs(rng, graph)
        assert_equal_outputs(interpreter.run(graph, inputs), tflm.run(to_tflite(graph), inputs))


@pytest.mark.parametrize(
    "name", sorted(set(FLOAT_GENERATORS) - {"avg_pool_padded", "relu_n1_to_1", "gelu", "function"})
)
def test_the_reference_interpreter_takes_float_files(name: str) -> None:
    """It sums in another order, so that the last digits of float outputs may differ: float is no reference here."""
    rng = np.random.default_rng(11)
    graph = FLOAT_GENERATORS[name](rng)
    inputs = random_inputs(rng, graph)
    ours, theirs = interpreter.run(graph, inputs)[0], tflm.run(to_tflite(graph), inputs)[0]
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("seed", range(10))
def test_whole_networks(seed: int) -> None:
    rng = np.random.default_rng(seed)
    graph = random_network(rng)
    inputs = random_inputs(rng, graph)
    model = to_tflite(graph)
    expected = interpreter.run(graph, inputs)
    assert_equal_outputs(interpreter.run(load(model), inputs), expected)
    assert_equal_outputs(tflm.run(model, inputs, len(graph.outputs)), expected)


# --- what .tflite has no word for ------------------------------------------------------------------------------------


def image_net(op: type[ops.Pool], padding: Padding) -> Graph:
    q = QParams.of(0.5, 3)
    x = Tensor(0, (1, 4, 4, 2), DType.INT8, Role.INPUT, q=q)
    side = (4 + padding.top + padding.bottom - 3) + 1
    y = Tensor(1, (1, side, 4 + padding.left + padding.right - 2, 2), DType.INT8, Role.ACTIVATION, q=q)
    pool = op(inputs=(0,), outputs=(1,), window=(3, 3), stride=(1, 1), padding=padding)
    return Graph("pool", {0: x, 1: y}, (pool,), (0,), (1,))


def test_average_over_padding_of_its_own_is_refused() -> None:
    with pytest.raises(ModelError) as caught:
        to_tflite(image_net(ops.AvgPool2D, Padding(top=2, bottom=0)))
    assert str(caught.value) == (
        "operation 0 (AvgPool2D) averages over padding of its own (top 2, bottom 0, left 0, right 0), which .tflite "
        "cannot express: pad by SAME or not at all"
    )


def test_maximum_over_padding_of_its_own_pads_with_the_lowest_value() -> None:
    graph = image_net(ops.MaxPool2D, Padding(top=2, left=1))
    back = load(to_tflite(graph))
    assert [op.kind for op in back.ops] == ["Pad", "MaxPool2D"]
    assert back.ops[0].attributes()["value"] == -128
    x = np.full((1, 4, 4, 2), -120, np.int8)
    assert_equal_outputs(interpreter.run(back, [x]), interpreter.run(graph, [x]))


def test_batch_norm_becomes_a_product_and_a_sum() -> None:
    rng = np.random.default_rng(0)
    tensors = {
        0: Tensor(0, (1, 3, 3, 4), DType.FLOAT32, Role.INPUT),
        1: Tensor(1, (4,), DType.FLOAT32, Role.CONSTANT, data=rng.normal(size=4).astype(np.float32)),
        2: Tensor(2, (4,), DType.FLOAT32, Role.CONSTANT, data=rng.normal(size=4).astype(np.float32)),
        3: Tensor(3, (1, 3, 3, 4), DType.FLOAT32, Role.ACTIVATION),
    }
    graph = Graph("norm", tensors, (ops.BatchNorm(inputs=(0, 1, 2), outputs=(3,)),), (0,), (3,))
    back = load(to_tflite(graph))
    assert [op.kind for op in back.ops] == ["Mul", "Add"]
    x = [rng.normal(size=(1, 3, 3, 4)).astype(np.float32)]
    assert_equal_outputs(interpreter.run(back, x), interpreter.run(graph, x))


def test_names_come_out_as_printable_text() -> None:
    graph = image_net(ops.MaxPool2D, Padding())
    named = {i: replace(t, name="a\ud800\x00\n\u202eb" * 99) for i, t in graph.tensors.items()}
    back = load(to_tflite(replace(graph, name="\x1b[31m", tensors=named)))
    assert back.name == "?[31m"
    assert back[0].name.isprintable()
    assert back[0].name.startswith("a????b")


# --- MLPerf Tiny -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", mlperf.INT8 + mlperf.FLOAT)
def test_mlperf_models_load(name: str) -> None:
    graph = load(mlperf.path(f"{name}.tflite"))
    assert graph.name == name
    assert graph.is_float == (name in mlperf.FLOAT)
    assert graph[graph.inputs[0]].shape[0] == 1
    verify(graph, Level.FLOAT if graph.is_float else Level.QUANTISED)


@pytest.mark.parametrize("name", mlperf.INT8)
def test_mlperf_models_give_the_reference_bytes(name: str) -> None:
    model = mlperf.path(f"{name}.tflite")
    graph, rng = load(model), np.random.default_rng(3)
    for _ in range(5):
        inputs = random_inputs(rng, graph)
        assert_equal_outputs(interpreter.run(graph, inputs), tflm.run(model.read_bytes(), inputs))


@pytest.mark.slow
@pytest.mark.parametrize("name", mlperf.INT8)
def test_mlperf_models_give_the_reference_bytes_on_many_inputs(name: str) -> None:
    model = mlperf.path(f"{name}.tflite")
    graph, rng = load(model), np.random.default_rng(4)
    for _ in range(100):
        inputs = random_inputs(rng, graph)
        assert_equal_outputs(interpreter.run(graph, inputs), tflm.run(model.read_bytes(), inputs))


def _keyword_hits(count: int) -> int:
    data = np.load(mlperf.path("kws01.npz"))
    graph = load(mlperf.path("kws_int8.tflite"))
    shape = graph[graph.inputs[0]].shape
    scores = [interpreter.run(graph, [x.reshape(shape)])[0].ravel() for x in data["x"][:count]]
    return sum(int(s.argmax()) == int(y) for s, y in zip(scores, data["y"][:count], strict=True))


def test_keywords_in_part() -> None:
    assert _keyword_hits(100) == 94


@pytest.mark.slow
def test_keywords() -> None:
    assert _keyword_hits(1000) == 901


def test_more_than_ten_inputs_are_joined_in_groups() -> None:
    net = Net(np.random.default_rng(3), DType.INT8)
    q = net.quant(DType.INT8)
    parts = tuple(net.input((1, 2, 3)) for _ in range(21))
    net.tensors.update({i: replace(net.tensors[i], q=q) for i in parts})
    graph = net.graph(net.apply(ops.Concat, parts, (1, 42, 3), q, axis=1))
    inputs = [net.rng.integers(-128, 128, (1, 2, 3)).astype(np.int8) for _ in parts]
    assert [len(row.inputs) for row in to_rows(graph).operators] == [10, 10, 3]
    np.testing.assert_array_equal(tflm.run(to_tflite(graph), inputs)[0], np.concatenate(inputs, 1))
