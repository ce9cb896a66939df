"""Operators of .tflite that no graph exports."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import tflm
from tflite_rows import Rows

from mcuquant.arithmetic import interpreter
from mcuquant.ir import DType, Graph
from mcuquant.tflite.reader.from_tflite import load
from mcuquant.tflite.schema import Quantization


def kinds(graph: Graph) -> list[str]:
    return [op.kind for op in graph.ops]


def check(rows: Rows, *outputs: int) -> Graph:
    """Load, and compare one run with the reference interpreter's."""
    data, rng = rows.bytes(*outputs), np.random.default_rng(0)
    graph = load(data)
    inputs = []
    for i in graph.inputs:
        t = graph[i]
        low, high = t.dtype.range() if t.dtype.is_integer else (-1, 1)
        inputs.append(rng.uniform(low, high, t.shape).astype(t.dtype.numpy))
    ours, theirs = interpreter.run(graph, inputs), tflm.run(data, inputs, len(outputs))
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(a, b)
    return graph


def test_split() -> None:
    rows = Rows()
    x = rows.input((1, 4, 6))
    parts = rows.op("SPLIT", [rows.constant([2]), x], (1, 4, 2), (1, 4, 2), (1, 4, 2), num_splits=3)
    graph = check(rows, *parts)
    assert kinds(graph) == ["Slice"] * 3
    assert [op.attributes()["begin"] for op in graph.ops] == [(0, 0, 0), (0, 0, 2), (0, 0, 4)]


def test_split_v_with_a_rest() -> None:
    rows = Rows()
    x = rows.input((1, 7))
    inputs = [x, rows.constant([2, -1, 1]), rows.constant([-1])]
    parts = rows.op("SPLIT_V", inputs, (1, 2), (1, 4), (1, 1), num_splits=3)
    graph = load(rows.bytes(*parts))
    assert [op.attributes()["begin"] for op in graph.ops] == [(0, 0), (0, 2), (0, 6)]


def test_a_part_that_nobody_reads_is_no_output() -> None:
    rows = Rows()
    x = rows.input((1, 4))
    first, _ = rows.op("SPLIT", [rows.constant([1]), x], (1, 2), (1, 2), num_splits=2)
    assert load(rows.bytes(first)).outputs == (first,)


def test_pack() -> None:
    rows = Rows()
    a, b = rows.input((1, 3)), rows.input((1, 3))
    graph = check(rows, rows.op("PACK", [a, b], (1, 2, 3), values_count=2, axis=1))
    assert kinds(graph) == ["Reshape", "Reshape", "Concat"]


def test_unpack() -> None:
    rows = Rows()
    parts = rows.op("UNPACK", [rows.input((1, 2, 3))], (1, 3), (1, 3), num=2, axis=1)
    graph = check(rows, *parts)
    assert kinds(graph) == ["Slice", "Reshape"] * 2


def test_squeeze_and_expand_dims() -> None:
    rows = Rows()
    flat = rows.op("SQUEEZE", [rows.input((1, 1, 5))], (1, 5), squeeze_dims=(-2,))
    graph = check(rows, rows.op("EXPAND_DIMS", [flat, rows.constant([-1])], (1, 5, 1)))
    assert kinds(graph) == ["Reshape", "Reshape"]


def test_slice_to_the_end() -> None:
    rows = Rows()
    inputs = [rows.input((1, 5, 4)), rows.constant([0, 1, 2]), rows.constant([-1, 3, -1])]
    graph = check(rows, rows.op("SLICE", inputs, (1, 3, 2)))
    assert graph.ops[0].attributes() == {"begin": (0, 1, 2), "step": (1, 1, 1)}


STRIDED = {
    "plain": ((1, 6, 5), ([0, 1, 0], [1, 6, 5], [1, 2, 1]), {}, (1, 3, 5)),
    "masks": ((1, 6, 5), ([0, 3, 3], [0, 2, 2], [1, 1, 1]), {"begin_mask": 5, "end_mask": 7}, (1, 3, 5)),
    "negative": ((1, 6, 5), ([0, -2, -1], [1, -5, 0], [1, -1, -2]), {"end_mask": 4}, (1, 3, 3)),
    "shrink": ((1, 6, 5), ([0, -1, 0], [1, 0, 5], [1, 1, 1]), {"shrink_axis_mask": 2}, (1, 5)),
}


@pytest.mark.parametrize("name", STRIDED)
def test_strided_slice_as_the_reference(name: str) -> None:
    shape, spec, masks, expected = STRIDED[name]
    rows = Rows()
    inputs = [rows.input(shape), *(rows.constant(numbers) for numbers in spec)]
    check(rows, rows.op("STRIDED_SLICE", inputs, expected, **masks))


BEYOND_REFERENCE = {
    "fewer entries than axes": (([0, 1], [1, 3], [1, 1]), {}, np.s_[0:1, 1:3]),
    "ellipsis": (([0, 1], [0, 3], [1, 1]), {"ellipsis_mask": 1}, np.s_[..., 1:3]),
    "new axis": (([0, 0, 1], [1, 0, 2], [1, 1, 1]), {"new_axis_mask": 2}, np.s_[0:1, np.newaxis, 1:2]),
    "ellipsis and shrink": (
        ([0, 0, 2], [1, 0, 3], [1, 1, 1]),
        {"ellipsis_mask": 2, "shrink_axis_mask": 4},
        np.s_[0:1, ..., 2],
    ),
    "offset": (([0, 1, 0], [1, 2, 5], [1, 1, 1]), {"offset": True}, np.s_[0:1, 1:3, 0:5]),
    "all reversed": (([0, 0, 0], [0, 0, 0], [1, -1, -1]), {"begin_mask": 7, "end_mask": 7}, np.s_[:, ::-1, ::-1]),
}


@pytest.mark.parametrize("name", BEYOND_REFERENCE)
def test_strided_slice_as_numpy(name: str) -> None:
    spec, masks, expression = BEYOND_REFERENCE[name]
    x = np.arange(30, dtype=np.int8).reshape(1, 6, 5)
    expected = x[expression]
    rows = Rows()
    inputs = [rows.input(x.shape), *(rows.constant(numbers) for numbers in spec)]
    graph = load(rows.bytes(rows.op("STRIDED_SLICE", inputs, expected.shape, **masks)))
    np.testing.assert_array_equal(interpreter.run(graph, [x])[0], expected)


def test_reshape_by_option_alone_and_with_a_rest() -> None:
    rows = Rows()
    flat = rows.op("RESHAPE", [rows.input((1, 2, 6))], (1, 12), new_shape=(1, -1))
    graph = check(rows, rows.op("RESHAPE", [flat, rows.constant([-1, 3])], (4, 3)))
    assert kinds(graph) == ["Reshape", "Reshape"]


def test_maximum_pooling_padded_with_minus_infinity() -> None:
    rows = Rows("FLOAT32")
    inputs = [rows.input((1, 2)), rows.constant([[0, 0], [1, 0]]), rows.constant([-np.inf], "FLOAT32")]
    graph = load(rows.bytes(rows.op("PADV2", inputs, (1, 3))))
    assert graph.ops[0].attributes()["value"] == float(np.finfo(np.float32).min)


def test_batch_of_unknown_size_is_one() -> None:
    rows = Rows()
    x = rows.input((5, 4), signature=(-1, 4))
    y = rows.op("TANH", [x], (1, 4))
    rows.tensors[y] = replace(rows.tensors[y], quantization=Quantization((1 / 128,), (0,)))
    assert load(rows.bytes(y))[x].shape == (1, 4)


def test_a_larger_batch_stays() -> None:
    rows = Rows()
    assert check(rows, rows.op("RELU", [rows.input((3, 4))], (3, 4)))[0].shape == (3, 4)


@pytest.mark.parametrize("kind", ["FLOAT16", "INT8"])
def test_dequantised_weights_become_float_constants(kind: str) -> None:
    values = np.array([[1, -2, 3], [0, 64, -127]])
    rows = Rows("FLOAT32")
    small = rows.constant(values, kind, scale=[0.5, 0.25] if kind == "INT8" else ())
    w = rows.op("DEQUANTIZE", [small], (2, 3))
    graph = load(rows.bytes(rows.op("FULLY_CONNECTED", [rows.input((1, 3)), w, -1], (1, 2))))
    expected = values * ([[0.5], [0.25]] if kind == "INT8" else 1)
    assert kinds(graph) == ["FullyConnected"]
    assert graph[w].dtype is DType.FLOAT32
    np.testing.assert_array_equal(graph[w].data, expected.astype(np.float32))


def test_int8_weights_of_a_float_layer_become_float() -> None:
    rows = Rows("FLOAT32")
    w = rows.constant([[1, -2, 3]], "INT8", scale=0.5)
    graph = load(rows.bytes(rows.op("FULLY_CONNECTED", [rows.input((1, 3)), w, -1], (1, 1))))
    np.testing.assert_array_equal(graph[graph.ops[0].inputs[1]].data, np.array([[0.5, -1, 1.5]], np.float32))


def test_one_bias_for_two_layers_has_units_of_its_own_in_each() -> None:
    rows = Rows()
    bias = rows.constant([5, -7], scale=0.25)
    weights = [rows.constant([[1, 2], [3, 4]], "INT8", scale=s) for s in (0.5, 0.5009)]
    y = rows.input((1, 2))
    for w in weights:
        y = rows.op("FULLY_CONNECTED", [y, w, bias], (1, 2))
    graph = check(rows, y)
    scales = [graph[op.inputs[2]].scale for op in graph.ops]
    assert scales == [0.25, float(np.float32(0.5) * np.float32(0.5009))]


@pytest.mark.parametrize("bits", [32, 64])
def test_a_bias_left_out_may_say_how_wide_sums_are(bits: int) -> None:
    """quantized_bias_type: INT32 asks for sums of 32 bits, as a bias of zeros does."""
    rows = Rows("INT16")
    w = rows.constant(np.full((1, 1, 1, 300), 127), "INT8", scale=0.01)
    x = rows.input((1, 1, 1, 300))
    graph = check(rows, rows.op("CONV_2D", [x, w], (1, 1, 1, 1), quantized_bias_type=2 if bits == 32 else 4))
    assert len(graph.ops[0].inputs) == (3 if bits == 32 else 2)


def test_int4_weights_of_an_odd_count() -> None:
    rows = Rows()
    w = rows.tensor((1, 3), "INT4", data=bytes([0x7F, 0x08]), quantization=Quantization((0.5,), (0,)))
    graph = check(rows, rows.op("FULLY_CONNECTED", [rows.input((1, 3)), w, -1], (1, 1)))
    assert graph[w].bits == 4
    assert graph[w].data is not None
    assert graph[w].data.tolist() == [[-1, 7, -8]]


def test_float_ends_of_an_integer_network_stay() -> None:
    rows = Rows()
    x = rows.op("QUANTIZE", [rows.input((1, 3), "FLOAT32")], (1, 3))
    y = rows.op("FULLY_CONNECTED", [x, rows.constant([[1, -2, 3]], "INT8", scale=0.5), -1], (1, 1))
    graph = check(rows, rows.op("DEQUANTIZE", [y], (1, 1), type="FLOAT32"))
    assert kinds(graph) == ["Quantize", "FullyConnected", "Dequantize"]


def test_several_inputs_and_outputs_keep_their_order() -> None:
    rows = Rows()
    a, b = rows.input((1, 2)), rows.input((1, 2))
    total, less = rows.op("ADD", [b, a], (1, 2)), rows.op("SUB", [a, b], (1, 2))
    graph = check(rows, less, total)
    assert (graph.inputs, graph.outputs) == ((a, b), (less, total))
