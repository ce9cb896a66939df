"""Operators of .tflite that no graph exports, and files that are wrong: each with the sentence that says so."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tflm
from tflite_rows import Rows

from mcuquant import interp
from mcuquant.errors import ModelError, UnsupportedOpError
from mcuquant.frontends.tflite import load
from mcuquant.ir import DType, Graph
from mcuquant.tflite_file import ModelFile, Quantization, read, write


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
    ours, theirs = interp.run(graph, inputs), tflm.run(data, inputs, len(outputs))
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(a, b)
    return graph


# --- operators -------------------------------------------------------------------------------------------------------


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
    np.testing.assert_array_equal(interp.run(graph, [x])[0], expected)


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


# --- files that are wrong --------------------------------------------------------------------------------------------


def small(**changes: Any) -> ModelFile:
    """x0 (1,4,4,2) -> CONV_2D with x1 (2,1,1,2), x2 (2) -> x3; one field of the file changed."""
    rows = Rows()
    x = rows.input((1, 4, 4, 2))
    w = rows.constant([[[[1, 2]]], [[[3, 4]]]], "INT8", scale=[0.5, 0.25])
    b = rows.constant([5, 6], scale=[0.25, 0.125])
    return replace(rows.file(rows.op("CONV_2D", [x, w, b], (1, 4, 4, 2))), **changes)


def with_tensor(index: int, **changes: Any) -> ModelFile:
    file = small()
    row = replace(file.tensors[index], **changes)
    return replace(file, tensors=(*file.tensors[:index], row, *file.tensors[index + 1 :]))


def with_operator(**changes: Any) -> ModelFile:
    file = small()
    return replace(file, operators=(replace(file.operators[0], **changes),))


def with_option(**options: Any) -> ModelFile:
    return with_operator(options={**small().operators[0].options, **options})


def message(file: ModelFile | bytes, kind: type[ModelError] = ModelError) -> str:
    with pytest.raises(ModelError) as caught:
        load(file if isinstance(file, bytes) else write(file))
    assert type(caught.value) is kind
    return str(caught.value)


CONV = "the .tflite: operator 0 (CONV_2D)"
WRONG: dict[str, tuple[Callable[[], ModelFile], str]] = {
    "shape contradicts": (
        lambda: with_tensor(3, shape=(1, 4, 3, 2)),
        f"{CONV} writes shape [1, 4, 4, 2], the file says [1, 4, 3, 2]",
    ),
    "empty axis": (
        lambda: with_tensor(0, shape=(1, 0, 4, 2)),
        "the .tflite: tensor 0 ('x0'): shape [1, 0, 4, 2], every axis should have at least one element",
    ),
    "huge shape": (
        lambda: with_tensor(0, shape=(1, 1 << 30, 1 << 30, 2)),
        "the .tflite: tensor 0 ('x0'): shape [1, 1073741824, 1073741824, 2] is 2,305,843,009,213,693,952 elements, the "
        "most taken are 2,097,152",
    ),
    "many axes": (
        lambda: with_tensor(0, shape=(1,) * 7),
        "the .tflite: tensor 0 ('x0'): 7 axes, expected at most 6",
    ),
    "open shape": (
        lambda: with_tensor(0, signature=(-1, -1, 4, 2)),
        "the .tflite: tensor 0 ('x0'): shape [-1, -1, 4, 2] is open along more than the batch; convert the model with "
        "a fixed input shape",
    ),
    "too little data": (
        lambda: with_tensor(1, data=b"123"),
        "the .tflite: tensor 1 ('x1'): 3 bytes of data, expected 4 for INT8 [2, 1, 1, 2]",
    ),
    "scale NaN": (
        lambda: with_tensor(0, quantization=Quantization((float("nan"),), (0,))),
        "the .tflite: tensor 0 ('x0'): scale nan, expected a positive finite number",
    ),
    "scale zero": (
        lambda: with_tensor(1, quantization=Quantization((0.5, 0.0), (0, 0))),
        "the .tflite: tensor 1 ('x1'): scale 0.0, expected a positive finite number",
    ),
    "no scale": (
        lambda: with_tensor(3, quantization=None),
        "the .tflite: tensor 3 ('x3'): INT8 without a scale; convert the model with full integer quantization",
    ),
    "zero point out of range": (
        lambda: with_tensor(0, quantization=Quantization((0.5,), (128,))),
        "the .tflite: tensor 0 ('x0'): zero point 128, expected -128 to 127 for int8",
    ),
    "zero points too many": (
        lambda: with_tensor(0, quantization=Quantization((0.5,), (1, 2))),
        "the .tflite: tensor 0 ('x0'): 2 zero points for 1 scales, expected as many",
    ),
    "zero point for each channel": (
        lambda: with_tensor(1, quantization=Quantization((0.5, 0.25), (0, 1))),
        "the .tflite: tensor 1 ('x1'): a zero point for each channel, expected 0 where there are many scales",
    ),
    "scales along another axis": (
        lambda: with_tensor(1, quantization=Quantization((0.5, 0.25), (0, 0), 3)),
        f"{CONV} has weights with a scale for each index along axis 3, expected axis 0",
    ),
    "scales that do not fit": (
        lambda: with_tensor(1, quantization=Quantization((0.5, 0.25, 1), (0, 0, 0))),
        "the .tflite: tensor 1 ('x1'): 3 scales along axis 0 of shape [2, 1, 1, 2], expected one for each",
    ),
    "output per channel": (
        lambda: with_tensor(3, quantization=Quantization((0.5, 0.25), (0, 0), 3)),
        f"{CONV} writes tensor 3 ('x3') with 2 scales, expected 1",
    ),
    "weights with a zero point": (
        lambda: with_tensor(1, quantization=Quantization((0.5,), (1,))),
        f"{CONV} has weights with zero point 1, expected 0",
    ),
    "bias in other units": (
        lambda: with_tensor(2, quantization=Quantization((0.25, 0.25), (0, 0))),
        f"{CONV} has a bias of scale 0.25 in channel 1, expected input scale * weight scale, 0.125",
    ),
    "bias with fewer scales": (
        lambda: with_tensor(2, quantization=Quantization((0.25,), (4,))),
        f"{CONV} has a bias with 1 scales and zero point 4, expected 2 and 0 as the weights",
    ),
    "bias too long": (
        lambda: with_tensor(2, shape=(3,), data=bytes(12), quantization=None),
        f"{CONV} has a bias of shape [3] for 2 output channels",
    ),
    "product of scales underflows": (
        lambda: with_tensor(0, quantization=Quantization((1e-45,), (0,))),
        f"{CONV} has scales whose product is no float32: input 1.401298464324817e-45, weights 0.25 or above",
    ),
    "stride zero": (lambda: with_option(stride_w=0), f"{CONV} has stride_w 0, expected 1 to 32767"),
    "dilation negative": (
        lambda: with_option(dilation_h_factor=-1),
        f"{CONV} has dilation_h_factor -1, expected 1 to 32767",
    ),
    "padding unknown": (lambda: with_option(padding=7), f"{CONV} has padding 7, expected 0 to 1"),
    "too few inputs": (lambda: with_operator(inputs=(0,)), f"{CONV} has 1 inputs, expected 2 to 3"),
    "two outputs": (lambda: with_operator(outputs=(3, 3)), f"{CONV} has 2 outputs, expected 1"),
    "input out of the table": (
        lambda: with_operator(inputs=(99, 1, 2)),
        "the .tflite: input 0 of operator 0 (CONV_2D) is tensor 99, the file has 4",
    ),
    "input negative": (
        lambda: with_operator(inputs=(-2, 1, 2)),
        "the .tflite: input 0 of operator 0 (CONV_2D) is tensor -2, the file has 4",
    ),
    "reads its own output": (
        lambda: with_operator(inputs=(3, 1, 2)),
        f"{CONV} reads tensor 3 ('x3'), which nothing before it writes",
    ),
    "writes its own input": (
        lambda: with_operator(outputs=(0,)),
        f"{CONV} writes tensor 0 ('x0'), which has a value already",
    ),
    "writes a constant": (
        lambda: with_operator(outputs=(1,)),
        f"{CONV} writes tensor 1 ('x1'), which has a value already",
    ),
    "no operators": (
        lambda: small(operators=()),
        "the .tflite computes nothing: it needs at least one operator, one input and one output",
    ),
    "input listed twice": (
        lambda: small(inputs=(0, 0)),
        "the .tflite: input 1 is tensor 0 ('x0'), which is listed twice",
    ),
    "input is a constant": (
        lambda: small(inputs=(0, 1)),
        "the .tflite: input 1 is tensor 1 ('x1'), which has a constant value",
    ),
    "output is an input": (
        lambda: small(outputs=(0,)),
        "the .tflite: output 0 is tensor 0 ('x0'), which no operator computes",
    ),
    "output out of the table": (lambda: small(outputs=(4,)), "the .tflite: output 0 is tensor 4, the file has 4"),
    "against a rule of graphs": (
        lambda: small(outputs=(3, 3)),
        "the .tflite is not a valid network: graph 'net': output 3 is listed 2 times",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_file(name: str) -> None:
    make, expected = WRONG[name]
    with pytest.raises(ModelError) as caught:
        load(write(make()))
    assert str(caught.value) == expected


def test_everything_unsupported_is_listed_at_once() -> None:
    rows = Rows()
    x = rows.input((1, 4))
    y = rows.op("DIV", [x, x], (1, 4))
    y = rows.op("ADD", [y, x], (1, 4), fused_activation_function=4)
    y = rows.op("LOGISTIC", [y], (1, 4), type="UINT8")
    y = rows.op("ROUND", [y], (1, 4))
    assert message(rows.file(y), UnsupportedOpError).splitlines() == [
        "the .tflite needs what mcuquant does not translate (4 of 4 operators):",
        "  operator 0 DIV that writes 'x1': multiply by the reciprocal, MUL",
        "  operator 1 ADD that writes 'x2': fused activation number 4; use RELU, RELU6, RELU_N1_TO_1 or an operator of "
        "its own after it",
        "  operator 2 LOGISTIC that writes 'x3': tensor 3 ('x3') is UINT8; convert the model with int8 inputs, outputs "
        "and quantization",
        "  operator 3 ROUND that writes 'x4': replace it, or end the model before it and compute the rest where the "
        "result is read",
    ]


def test_a_long_list_of_objections_is_cut() -> None:
    rows = Rows()
    y = rows.input((1, 4))
    for _ in range(25):
        y = rows.op("ABS", [y], (1, 4))
    lines = message(rows.file(y), UnsupportedOpError).splitlines()
    assert lines[0] == "the .tflite needs what mcuquant does not translate (25 of 25 operators):"
    assert len(lines) == 22
    assert lines[-1] == "  ... and 5 more"


@pytest.mark.parametrize(
    ("changes", "objection"),
    [
        ({"is_variable": True}, "tensor 0 ('x0') keeps state between inferences; unroll the model over time"),
        ({"type": "FLOAT16"}, "tensor 0 ('x0') is FLOAT16; convert the model with float32 or int8 activations"),
        ({"type": "STRING"}, "tensor 0 ('x0') is STRING; use INT8, INT16 or FLOAT32"),
    ],
)
def test_operands_that_are_not_taken(changes: dict[str, Any], objection: str) -> None:
    found = message(with_tensor(0, **changes), UnsupportedOpError)
    assert found.splitlines()[1] == f"  operator 0 CONV_2D that writes 'x3': {objection}"


def test_weights_computed_at_run_time_are_not_taken() -> None:
    rows = Rows()
    x, w = rows.input((1, 2)), rows.input((3, 2))
    y = rows.op("FULLY_CONNECTED", [x, w, -1], (1, 3))
    assert message(rows.file(y), UnsupportedOpError) == (
        "the .tflite: operator 0 (FULLY_CONNECTED) computes its weights (tensor 1) while it runs, expected a constant"
    )


# --- bytes that are wrong --------------------------------------------------------------------------------------------


def test_not_a_tflite() -> None:
    assert (
        message(b"PK\3\4 some zip file")
        == "the .tflite is not a .tflite: bytes 4 to 7 should read b'TFL3', found b' som'"
    )
    assert message(b"") == "the .tflite is not a .tflite: bytes 4 to 7 should read b'TFL3', found 'only 0 bytes'"


def test_cut_short() -> None:
    data = write(small())
    assert message(data[: len(data) // 2]).startswith(
        "the .tflite is not a readable .tflite, it is damaged or cut short: "
    )


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ModelError) as caught:
        load(tmp_path / "none.tflite")
    assert str(caught.value) == f"cannot read {tmp_path / 'none.tflite'}: No such file or directory"


def test_the_graph_is_called_like_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a\x1b[1mb.tflite"
    path.write_bytes(write(small()))
    assert load(path).name == "a?[1mb"
    path.write_bytes(b"nothing")
    with pytest.raises(ModelError) as caught:
        load(path)
    assert str(caught.value) == (
        "a?[1mb.tflite is not a .tflite: bytes 4 to 7 should read b'TFL3', found 'only 7 bytes'"
    )


def test_too_long() -> None:
    assert message(bytes((1 << 26) + 1)) == "the .tflite has more than the 67,108,864 bytes that mcuquant reads"


def _vector_of_tables(data: bytes, count: int) -> bytes:
    """The file with its vector of tensors replaced by one of `count` entries, all of which point to tensor 0."""
    import tflite

    graph = tflite.Model.GetRootAs(data).Subgraphs(0)
    field = graph._tab.Offset(4) + graph._tab.Pos
    tensor = graph.Tensors(0)._tab.Pos
    start = (len(data) + 3) // 4 * 4
    changed = bytearray(data.ljust(start, b"\0"))
    struct.pack_into("<I", changed, field, start - field)
    # Offsets are unsigned: entries can only point forward, so a copy of the tensor's table goes to the end.
    end = start + 4 + 4 * count
    vtable = tensor - struct.unpack_from("<i", data, tensor)[0]
    size = struct.unpack_from("<H", data, vtable)[0]
    entries = [end + size - (start + 4 + 4 * i) for i in range(count)]
    return (
        bytes(changed)
        + struct.pack(f"<I{count}I", count, *entries)
        + data[vtable : vtable + size]
        + struct.pack("<i", size)
    )


def test_a_small_file_that_describes_a_huge_one() -> None:
    assert message(_vector_of_tables(write(small()), 100_000)) == (
        "the .tflite describes more tensors, operators and parameters than mcuquant reads (1,048,576 numbers): not a "
        "model for a microcontroller"
    )


def test_a_long_operand_list() -> None:
    assert message(with_operator(inputs=(0,) * 5000)) == (
        "the .tflite has a list of 5,000 numbers (Inputs), expected at most 1,024"
    )


def test_a_long_network() -> None:
    rows = Rows()
    y = rows.input((1, 2))
    for _ in range(1025):
        y = rows.op("RELU", [y], (1, 2))
    assert message(rows.bytes(y)) == (
        "the .tflite: operator 1024 (RELU) makes the network longer than the 1,024 operations that mcuquant takes"
    )


def test_constants_beyond_any_flash() -> None:
    rows = Rows()
    weights = rows.constant(np.zeros((2048, 2049), np.int8), "INT8", scale=0.5)
    more = rows.constant(np.zeros((2049, 2048), np.int8), "INT8", scale=0.5)
    y = rows.op("FULLY_CONNECTED", [rows.input((1, 2049)), weights, -1], (1, 2048))
    y = rows.op("FULLY_CONNECTED", [y, more, -1], (1, 2049))
    assert message(rows.file(y)) == (
        "the .tflite: tensor 1 ('x1'): with it weights and channels exceed 8,388,608 elements"
    )


def test_channels_beyond_any_network() -> None:
    rows = Rows()
    w = rows.constant(np.zeros((200_000, 1), np.int8), "INT8", scale=0.5)
    y = rows.op("FULLY_CONNECTED", [rows.input((1, 1)), w, -1], (1, 200_000))
    assert message(rows.file(y)) == (
        "the .tflite: tensor 0 ('x0'): with it weights and channels exceed 8,388,608 elements"
    )


def test_activations_beyond_any_network() -> None:
    rows = Rows()
    y = rows.input((1, 1 << 21))
    for _ in range(9):
        y = rows.op("RELU", [y], (1, 1 << 21))
    assert message(rows.file(y)) == (
        "the .tflite: activations of shape [1, 2097152] and before exceed 16,777,216 elements"
    )


def test_outputs_beyond_any_network() -> None:
    rows = Rows()
    x = rows.input((1, 2))
    outputs = [rows.op("RELU", [x], (1, 2)) for _ in range(257)]
    assert message(rows.bytes(*outputs)) == ("the .tflite has 1 inputs and 257 outputs, expected at most 256 of each")


def test_padding_beyond_any_image() -> None:
    rows = Rows()
    x, w = rows.input((1, 9, 9, 1)), rows.constant(np.ones((1, 3, 3, 1)), "INT8", scale=0.01)
    wide = {"dilation_w_factor": 9000, "dilation_h_factor": 9000}
    assert message(rows.bytes(rows.op("CONV_2D", [x, w], (1, 9, 9, 1), padding=0, **wide))) == (
        "the .tflite: operator 0 (CONV_2D) pads its input to shape [1, 18009, 18009, 1], 324,324,081 elements; the "
        "most taken are 8,388,608"
    )


def test_spreading_beyond_any_image() -> None:
    rows = Rows()
    x, w = rows.input((1, 9, 9, 1)), rows.constant(np.ones((1, 3, 3, 1)), "INT8", scale=0.01)
    inputs = [rows.constant([1, 4, 4, 1]), w, x]
    assert message(rows.bytes(rows.op("TRANSPOSE_CONV", inputs, (1, 4, 4, 1), stride_w=900, stride_h=900))) == (
        "the .tflite: operator 0 (TRANSPOSE_CONV) spreads its input over shape [1, 8103, 8103, 1], 65,658,609 "
        "elements; the most taken are 8,388,608"
    )


def test_work_beyond_any_network() -> None:
    rows = Rows()
    wide = {"filter_width": 999, "filter_height": 999}
    y = rows.op("MAX_POOL_2D", [rows.input((1, 999, 999, 1))], (1, 999, 999, 1), padding=0, **wide)
    assert message(rows.bytes(y)) == (
        "the .tflite goes through 999,005,983,012 products and elements for one inference, more than 8,589,934,592"
    )


def test_reading_gives_back_what_was_written() -> None:
    file = small(description="a file")
    assert read(write(file), "x") == file
