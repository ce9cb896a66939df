"""Readable .tflite files that are wrong, or hold what is not taken: each with the sentence that says so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tflite_rows import Rows
from tflite_wrong import message, small, with_operator, with_option, with_tensor

from mcuquant.errors import ModelError, UnsupportedOpError
from mcuquant.tflite.reader.from_tflite import load
from mcuquant.tflite.schema import ModelFile, Quantization, write

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
    "output that nothing computes": (
        lambda: small(
            outputs=(3, 2), tensors=with_tensor(2, data=None).tensors, operators=with_operator(inputs=(0, 1)).operators
        ),
        "the .tflite: output 1 is tensor 2 ('x2'), which no operator computes",
    ),
    "output of many scales": (
        lambda: small(outputs=(3, 1)),
        "the .tflite: tensor 1 ('x1'): output 1 has 2 scales, expected 1",
    ),
    "output out of the table": (lambda: small(outputs=(4,)), "the .tflite: output 0 is tensor 4, the file has 4"),
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
    y = rows.op("SEGMENT_SUM", [x, x], (1, 4))
    y = rows.op("ADD", [y, x], (1, 4), fused_activation_function=4)
    y = rows.op("LOGISTIC", [y], (1, 4), type="UINT8")
    y = rows.op("SEGMENT_SUM", [y], (1, 4))
    rows.op("TANH", [y], (1, 4), type="STRING")
    assert message(rows.file(y), UnsupportedOpError).splitlines() == [
        "the .tflite needs what mcuquant does not translate (4 of 5 operators):",
        "  operator 0 SEGMENT_SUM that writes 'x1': replace it, or compute it before the network and make its result "
        "an input",
        "  operator 1 ADD that writes 'x2': fused activation number 4; use RELU, RELU6, RELU_N1_TO_1 or an operator of "
        "its own after it",
        "  operator 3 SEGMENT_SUM that writes 'x4': replace it, or end the model before it and compute the rest where "
        "the result is read",
        "  operator 4 TANH that writes 'x5': tensor 5 ('x5') is STRING; use INT8, INT16 or FLOAT32",
        "  operator 2 (LOGISTIC) and operator 3 (SEGMENT_SUM) of uint8 round otherwise than of int8; convert the model "
        "with int8 quantization",
    ]


def test_a_long_list_of_objections_is_cut() -> None:
    rows = Rows()
    y = rows.input((1, 4))
    for _ in range(25):
        y = rows.op("SEGMENT_SUM", [y], (1, 4))
    lines = message(rows.file(y), UnsupportedOpError).splitlines()
    assert lines[0] == "the .tflite needs what mcuquant does not translate (25 of 25 operators):"
    assert len(lines) == 22
    assert lines[-1] == "  ... and 5 more"


@pytest.mark.parametrize(
    ("changes", "objection"),
    [
        (
            {"is_variable": True},
            "tensor 0 ('x0') is a variable tensor; CONV_2D has none",
        ),
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
