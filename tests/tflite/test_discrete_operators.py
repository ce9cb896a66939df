"""Operators over truth values and whole numbers, through files, against the reference interpreter."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import tflm
from discrete_graphs import GENERATORS
from graphs import random_inputs
from tflite_rows import Rows

from mcuquant.arithmetic.interpreter import run
from mcuquant.errors import McuquantError
from mcuquant.ir import Graph, Level
from mcuquant.ir.serialize import from_bytes, to_bytes
from mcuquant.ir.verify import verify
from mcuquant.passes import run_passes
from mcuquant.passes.shrink import shrink
from mcuquant.tflite.reader.detection import detection_notes, without_detection
from mcuquant.tflite.reader.from_tflite import load
from mcuquant.tflite.schema import OperatorRow
from mcuquant.tflite.writer.to_tflite import to_tflite


def assert_equal_results(graph: Graph, other: Graph, seed: int) -> None:
    rng = np.random.default_rng(seed)
    for inputs in (random_inputs(rng, graph) for _ in range(3)):
        for y, expected in zip(run(other, inputs), run(graph, inputs), strict=True):
            assert y.dtype == expected.dtype
            np.testing.assert_array_equal(y, expected)


@pytest.mark.parametrize("name", GENERATORS)
def test_files_passes_and_shrinking_keep_the_results(name: str) -> None:
    for seed in range(3):
        graph = GENERATORS[name](np.random.default_rng(seed))
        verify(graph, Level.LOWERABLE)
        assert_equal_results(graph, load(to_tflite(graph)), seed)
        assert_equal_results(graph, from_bytes(to_bytes(graph), "it"), seed)
        assert_equal_results(graph, run_passes(graph), seed)
        assert_equal_results(graph, shrink(graph), seed)


def feature_scaling(rows: Rows) -> int:
    """The end of TensorFlow Lite Micro's audio front end: int16 features as int8, by whole numbers without a scale."""
    x = rows.input((1, 40), "INT16", quantization=None)
    wide = rows.op("CAST", [x], (1, 40), type="INT32")
    for code, number in (("MUL", 256), ("ADD", 333), ("DIV", 666), ("ADD", -128), ("MINIMUM", 127), ("MAXIMUM", -128)):
        wide = rows.op(code, [wide, rows.constant(number)], (1, 40), type="INT32")
    y = rows.tensor((1, 40), "INT8", quantization=None)
    rows.operators.append(OperatorRow("CAST", (wide,), (y,), {"in_data_type": 2, "out_data_type": 9}))
    return y


def _limited(rows: Rows, shape: tuple[int, ...], most: int) -> int:
    """Computed indices from 0 to `most`."""
    x = rows.input(shape, "INT32")
    not_below = rows.op("MAXIMUM", [x, rows.constant([0])], shape, type="INT32")
    return int(rows.op("MINIMUM", [not_below, rows.constant([most])], shape, type="INT32"))


def embedding_lookup(rows: Rows) -> int:
    table = rows.constant(np.arange(-20, 20).reshape(10, 4), "INT8")
    y = rows.op("EMBEDDING_LOOKUP", [_limited(rows, (5,), 9), table], (5, 4))
    rows.tensors[table] = replace(rows.tensors[table], quantization=rows.tensors[y].quantization)
    return y


def logical(rows: Rows) -> int:
    a, b = rows.input((1, 6), "BOOL"), rows.input((1, 1), "BOOL")
    negated = rows.op("LOGICAL_NOT", [a], (1, 6), type="BOOL")
    either = rows.op("LOGICAL_OR", [negated, b], (1, 6), type="BOOL")
    return rows.op("LOGICAL_AND", [either, a], (1, 6), type="BOOL")


def all_are_true(rows: Rows) -> int:
    x = rows.input((1, 3, 4), "BOOL")
    return rows.op("REDUCE_ALL", [x, rows.constant([1])], (1, 4), type="BOOL", keep_dims=False)


def relu_by_selection(rows: Rows) -> int:
    x, zero = rows.input((1, 9)), rows.constant([[3]], "INT8", 0.5)
    rows.tensors[zero] = replace(rows.tensors[zero], quantization=rows.tensors[x].quantization)
    above = rows.op("GREATER_EQUAL", [x, zero], (1, 9), type="BOOL")
    return rows.op("SELECT_V2", [above, x, zero], (1, 9))


def gather_by_batches(rows: Rows) -> int:
    x, indices = rows.input((2, 5, 3)), _limited(rows, (2, 4), 4)
    return rows.op("GATHER", [x, indices], (2, 4, 3), axis=1, batch_dims=1)


def gather_constant_rows(rows: Rows) -> int:
    """Indices of two axes."""
    return rows.op("GATHER", [rows.input((1, 9)), rows.constant([[8, 0], [3, 3]])], (1, 2, 2), axis=1, batch_dims=0)


def filled(rows: Rows) -> int:
    """A shape of computed shapes, and a value that is an input."""
    own = rows.op("SHAPE", [rows.input((2, 1))], (2,), type="INT32")
    shape = rows.op("BROADCAST_ARGS", [own, rows.constant([1, 3])], (2,), type="INT32")
    return rows.op("FILL", [shape, rows.input(())], (2, 3))


def squared_whole_numbers(rows: Rows) -> int:
    a, b = rows.input((1, 4), "INT32"), rows.input((1, 1), "INT32")
    return rows.op("SQUARED_DIFFERENCE", [a, b], (1, 4), type="INT32")


CASES: dict[str, Callable[[Rows], int]] = {
    case.__name__: case
    for case in (
        *(feature_scaling, embedding_lookup, logical, all_are_true, relu_by_selection, gather_by_batches),
        *(gather_constant_rows, squared_whole_numbers),
    )
}


@pytest.mark.parametrize("case", CASES)
def test_files_have_the_bytes_of_the_reference(case: str) -> None:
    rows = Rows()
    data = rows.bytes(CASES[case](rows))
    graph = load(data)
    for seed in range(5):
        inputs = random_inputs(np.random.default_rng(seed), graph)
        expected = tflm.run(data, inputs)[0]
        for form in (graph, run_passes(graph), load(to_tflite(graph))):
            np.testing.assert_array_equal(run(form, inputs)[0], expected)


def test_a_computed_value_fills_a_shape() -> None:
    """TensorFlow Lite Micro computes no shapes."""
    rows = Rows()
    graph = load(rows.bytes(filled(rows)))
    inputs = [np.zeros((2, 1), np.int8), np.array(7, np.int8)]
    np.testing.assert_array_equal(run(graph, inputs)[0], np.full((2, 3), 7))


@pytest.mark.parametrize("activation", [0, 1])
def test_l2_pooling_of_real_numbers_is_that_of_the_reference(activation: int) -> None:
    rows = Rows("FLOAT32")
    window = {"filter_height": 2, "filter_width": 3, "stride_h": 1, "stride_w": 2, "padding": 0}
    x = rows.input((1, 5, 6, 2))
    data = rows.bytes(rows.op("L2_POOL_2D", [x], (1, 5, 3, 2), fused_activation_function=activation, **window))
    value = np.random.default_rng(0).normal(0, 2, (1, 5, 6, 2)).astype(np.float32)
    np.testing.assert_allclose(run(load(data), [value])[0], tflm.run(data, [value])[0], rtol=1e-6)


def test_a_network_ends_before_the_detection_that_is_its_last_step() -> None:
    rows = Rows()
    x, anchors = rows.input((1, 4)), rows.constant(np.zeros((1, 4)), "INT8")
    rows.tensors[anchors] = replace(rows.tensors[anchors], quantization=rows.tensors[x].quantization)
    boxes, scores = rows.op("ABS", [x], (1, 4)), rows.op("RELU", [x], (1, 4))
    found = rows.tensor((1, 10, 4), "FLOAT32")
    code = "CUSTOM 'TFLite_Detection_PostProcess'"
    rows.operators.append(OperatorRow(code, (boxes, scores, anchors), (found,)))
    file = rows.file(found)
    network = without_detection(file)
    assert network.outputs == (boxes, scores)
    assert [row.code for row in network.operators] == ["ABS", "RELU"]
    assert detection_notes(file) == (
        "TFLite_Detection_PostProcess is left to the application: the network's outputs are 'x2', 'x3'; from them and "
        "the anchors 'x1' the application decodes boxes and drops overlaps",
    )
    assert without_detection(network) is network
    assert detection_notes(network) == ()


def test_whole_numbers_without_a_scale_stay_what_they_are() -> None:
    rows = Rows()
    graph = load(rows.bytes(feature_scaling(rows)))
    assert [op.kind for op in graph.ops] == ["Cast", "Mul", "Add", "Div", "Add", "Minimum", "Maximum", "Cast"]
    assert graph[graph.inputs[0]].scale == graph[graph.outputs[0]].scale == 1.0


def test_an_index_outside_counts_as_the_nearest_inside() -> None:
    rows = Rows()
    x, indices = rows.input((1, 4)), rows.input((3,), "INT32")
    graph = load(rows.bytes(rows.op("GATHER", [x, indices], (1, 3), axis=1, batch_dims=0)))
    values = np.array([[5, 6, 7, 8]], np.int8)
    np.testing.assert_array_equal(run(graph, [values, np.array([-9, 1, 1 << 30], np.int32)])[0], [[5, 6, 8]])


def _typed(code: str, *types: str, out: str, shape: tuple[int, ...] = (1, 4), **options: Any) -> Rows:
    rows = Rows()
    y = rows.op(code, [rows.input((1, 4), kind) for kind in types], shape, type=out, **options)
    rows.operators[0] = replace(rows.operators[0], outputs=(y,))
    return rows


WRONG: list[tuple[Rows, str]] = [
    (
        _typed("CAST", "INT64", out="INT32"),
        "the .tflite: operator 0 (CAST) casts INT64 (tensor 0); expected FLOAT32, INT8, INT16, INT32 or BOOL",
    ),
    (
        _typed("EQUAL", "INT32", "INT32", out="INT8"),
        "the .tflite: operator 0 (EQUAL) has an output of type int8 (tensor 2); expected bool",
    ),
    (
        _typed("EQUAL", "INT32", "BOOL", out="BOOL"),
        "the .tflite: operator 0 (EQUAL) has operands of types int32, bool, expected one type",
    ),
    (
        _typed("LOGICAL_AND", "INT8", "INT8", out="BOOL"),
        "the .tflite: operator 0 (LOGICAL_AND) has an operand of type int8 (tensor 0); expected bool",
    ),
    (
        _typed("SELECT_V2", "INT8", "INT8", "INT8", out="INT8"),
        "the .tflite: operator 0 (SELECT_V2) has a condition of type int8 (tensor 0); expected bool",
    ),
    (
        _typed("GATHER_ND", "INT8", "INT16", out="INT8"),
        "the .tflite: operator 0 (GATHER_ND) has indices of type int16 (tensor 1); expected int32",
    ),
    (
        _typed("ADD", "INT32", "INT32", out="INT32", fused_activation_function=1),
        "the .tflite is not a valid network: graph 'net': operation 0 (Add): has a fused activation over whole "
        "numbers, expected none",
    ),
    (
        _typed("NEG", "INT32", out="INT32"),
        "the .tflite: operator 0 (NEG) has operands of types int32, int32; expected all float32, all int8 or all int16",
    ),
]


@pytest.mark.parametrize(("rows", "message"), WRONG, ids=lambda value: value[13:60] if isinstance(value, str) else "")
def test_what_is_wrong_is_said(rows: Rows, message: str) -> None:
    with pytest.raises(McuquantError) as caught:
        load(rows.bytes(rows.operators[0].outputs[0]))
    assert str(caught.value) == message
