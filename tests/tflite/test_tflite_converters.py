"""What converters write and the operators of mcuquant's graphs do not have: the bytes are those of tflite-micro."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import harness
import numpy as np
import pytest
import tflm
from nets import random_inputs
from tflite_rows import Rows

from mcuquant.arithmetic import fixedpoint as fx
from mcuquant.arithmetic import interpreter
from mcuquant.errors import UnsupportedOpError
from mcuquant.ir import Array, Graph
from mcuquant.passes import run_passes
from mcuquant.tflite.reader.from_tflite import HANDLERS, load
from mcuquant.tflite.reader.unsupported import refuse_unsupported
from mcuquant.tflite.schema import Quantization
from mcuquant.tflite.writer.to_tflite import to_tflite

Case = Callable[[Rows], tuple[int, ...]]


def changed(rows: Rows, index: int, **fields: Any) -> int:
    rows.tensors[index] = replace(rows.tensors[index], **fields)
    return index


def quantized(rows: Rows, index: int, scale: float, zero_point: int = 0) -> int:
    return changed(rows, index, quantization=Quantization((scale,), (zero_point,)))


def weights(rows: Rows, shape: tuple[int, ...], scale: Any = 0.01, axis: int = 0) -> int:
    values = np.random.default_rng(len(rows.tensors)).integers(-127, 128, shape)
    return rows.constant(values, "INT8", scale=scale, axis=axis)


def dense(rows: Rows, x: int, outputs: int = 3, bias: int = -1) -> int:
    (_, inputs) = rows.tensors[x].shape
    return rows.op("FULLY_CONNECTED", [x, weights(rows, (outputs, inputs)), bias], (1, outputs))  # type: ignore[no-any-return]


# --- outputs ---------------------------------------------------------------------------------------------------------


def input_is_output(rows: Rows) -> tuple[int, ...]:
    x = rows.input((1, 4))
    return dense(rows, x), x


def input_that_is_overwritten(rows: Rows) -> tuple[int, ...]:
    """The operator could write over its input, were that no output."""
    x = rows.input((1, 40))
    y = quantized(rows, rows.op("RELU", [x], (1, 40)), 0.25, -7)
    return x, rows.op("RESHAPE", [y, rows.constant([1, 4, 10])], (1, 4, 10)), y


def constant_is_output(rows: Rows) -> tuple[int, ...]:
    table = rows.constant([[1, -2, 3, 4, 5]], "INT8", scale=0.5)
    return table, dense(rows, rows.input((1, 4)))


def view_of_constant(rows: Rows) -> tuple[int, ...]:
    table = rows.constant([[1, -2, 3, 4, 5, 6]], "INT8", scale=0.5)
    view = quantized(rows, rows.op("RESHAPE", [table, rows.constant([2, 3])], (2, 3)), 0.5)
    return rows.op("RESHAPE", [view, rows.constant([6])], (6,)), dense(rows, rows.input((1, 4)))


def output_twice(rows: Rows) -> tuple[int, ...]:
    y = dense(rows, rows.input((1, 4)))
    return y, y


# --- parts in float32 ------------------------------------------------------------------------------------------------


def split_in_float(rows: Rows) -> tuple[int, ...]:
    """As Keras writes the first step of an unrolled LSTM."""
    y = rows.op("DEQUANTIZE", [dense(rows, rows.input((1, 4)), 6)], (1, 6), type="FLOAT32")
    first, _, last = rows.op("SPLIT", [rows.constant(1), y], (1, 2), (1, 2), (1, 2), type="FLOAT32", num_splits=3)
    return rows.op("QUANTIZE", [first], (1, 2)), quantized(rows, rows.op("QUANTIZE", [last], (1, 2)), 0.125, -9)


def slice_and_transpose_in_float(rows: Rows) -> tuple[int, ...]:
    """After a function of float32, into a network's output of float32 and back to int8."""
    x = rows.op("DEQUANTIZE", [rows.input((1, 4, 6))], (1, 4, 6), type="FLOAT32")
    y = rows.op("SQUARE", [x], (1, 4, 6), type="FLOAT32")
    part = rows.op("SLICE", [y, rows.constant([0, 1, 2]), rows.constant([1, 3, -1])], (1, 3, 4), type="FLOAT32")
    turned = rows.op("TRANSPOSE", [part, rows.constant([0, 2, 1])], (1, 4, 3), type="FLOAT32")
    whole = rows.op("TRANSPOSE", [x, rows.constant([0, 2, 1])], (1, 6, 4), type="FLOAT32")
    return quantized(rows, rows.op("QUANTIZE", [turned], (1, 4, 3)), 16, -100), whole


def moves_before_quantization(rows: Rows) -> tuple[int, ...]:
    """A float32 input, channels first, padded, beside itself."""
    x = rows.input((1, 2, 3, 4), "FLOAT32")
    last = rows.op("TRANSPOSE", [x, rows.constant([0, 2, 3, 1])], (1, 3, 4, 2), type="FLOAT32")
    paddings = rows.constant([[0, 0], [1, 0], [0, 2], [0, 0]])
    padded = rows.op("PAD", [last, paddings], (1, 4, 6, 2), type="FLOAT32")
    both = rows.op("CONCATENATION", [padded, padded], (1, 4, 6, 4), type="FLOAT32", axis=3)
    return (rows.op("RELU", [rows.op("QUANTIZE", [both], (1, 4, 6, 4))], (1, 4, 6, 4)),)


# --- scales ----------------------------------------------------------------------------------------------------------


def channel_of_scale_zero(rows: Rows) -> tuple[int, ...]:
    x = rows.input((1, 3, 3, 2))
    values = np.arange(-6, 6).reshape(3, 1, 2, 2)
    values[1] = 0
    w = rows.constant(values, "INT8", scale=[0.02, 0, 0.03])
    y = rows.op("CONV_2D", [x, w, rows.constant([5, 70, -6], scale=[0.01, 0, 0.015])], (1, 3, 2, 3))
    depthwise = rows.constant(np.array([4, 0, 5]).reshape(1, 1, 1, 3), "INT8", scale=[0.5, 0, 0.25], axis=3)
    return (rows.op("DEPTHWISE_CONV_2D", [y, depthwise, rows.constant([1, 2, 3])], (1, 3, 2, 3)),)


def layer_of_scale_zero(rows: Rows) -> tuple[int, ...]:
    w = rows.constant(np.zeros((2, 4)), "INT8", scale=0)
    return (rows.op("FULLY_CONNECTED", [rows.input((1, 4)), w, rows.constant([90, -90], scale=0)], (1, 2)),)


def bias_along_no_axis(rows: Rows) -> tuple[int, ...]:
    x, w = rows.input((1, 2, 2, 3)), weights(rows, (4, 1, 1, 3), [0.01, 0.02, 0.03, 0.04])
    bias = rows.constant([100, 200, -300, 400], scale=[0.005, 0.01, 0.015, 0.02], axis=3)
    return (rows.op("CONV_2D", [x, w, bias], (1, 2, 2, 4)),)


def bias_of_zeros(rows: Rows) -> tuple[int, ...]:
    x, w = rows.input((1, 4)), weights(rows, (3, 4), [0.01, 0.02, 0.03])
    return (rows.op("FULLY_CONNECTED", [x, w, rows.constant([0, 0, 0], scale=[7, 0, 9])], (1, 3)),)


def shared_bias(rows: Rows) -> tuple[int, ...]:
    """Constants with the same bytes are stored once, whatever their scales."""
    x, bias = rows.input((1, 3)), rows.constant([300, -200, 100], scale=[0.005, 0.01, 0.02])
    first = rows.op("FULLY_CONNECTED", [x, weights(rows, (3, 3), [0.01, 0.02, 0.04]), bias], (1, 3))
    return (rows.op("FULLY_CONNECTED", [first, weights(rows, (3, 3), [0.07, 0.01, 0.02]), bias], (1, 3)),)


# --- shapes ----------------------------------------------------------------------------------------------------------


def batch_of(rows: Rows, x: int) -> int:
    """The first axis of a tensor's shape."""
    (rank,) = (len(rows.tensors[x].shape),)
    shape = rows.op("SHAPE", [x], (rank,), type="INT32")
    ends = [rows.constant([n]) for n in (0, 1, 1)]
    return rows.op("STRIDED_SLICE", [shape, *ends], (), type="INT32", shrink_axis_mask=1)  # type: ignore[no-any-return]


def shape_at_batch_one(rows: Rows) -> tuple[int, ...]:
    x = rows.input((1, 2, 6), signature=(-1, 2, 6))
    target = rows.op("PACK", [batch_of(rows, x), rows.constant(12)], (2,), type="INT32", values_count=2, axis=0)
    return (dense(rows, rows.op("RESHAPE", [x, target], (1, 12))),)


def shape_by_product(rows: Rows) -> tuple[int, ...]:
    """All elements but the batch, as PyTorch's converters write flatten."""
    x = rows.input((1, 2, 6))
    shape = rows.op("SHAPE", [x], (3,), type="INT32")
    ends = [rows.constant([n]) for n in (1, 3, 1)]
    rest = rows.op("STRIDED_SLICE", [shape, *ends], (2,), type="INT32")
    a, b = (rows.op("GATHER", [rest, rows.constant([i])], (1,), type="INT32") for i in (0, 1))
    product = rows.op("MUL", [a, b], (1,), type="INT32")
    target = rows.op("CONCATENATION", [rows.constant([1]), product], (2,), type="INT32")
    return (dense(rows, rows.op("RESHAPE", [x, target], (1, 12))),)


def shape_of_transposed_convolution(rows: Rows) -> tuple[int, ...]:
    x = rows.input((1, 3, 4, 2), signature=(-1, 3, 4, 2))
    sizes = [rows.constant(n) for n in (6, 8, 3)]
    shape = rows.op("PACK", [batch_of(rows, x), *sizes], (4,), type="INT32", values_count=4)
    options = {"stride_h": 2, "stride_w": 2, "padding": 0}
    return (rows.op("TRANSPOSE_CONV", [shape, weights(rows, (3, 3, 3, 2)), x], (1, 6, 8, 3), **options),)


CASES: dict[str, Case] = {
    case.__name__: case
    for case in (
        *(input_is_output, input_that_is_overwritten, constant_is_output, view_of_constant, output_twice),
        *(split_in_float, slice_and_transpose_in_float, moves_before_quantization),
        *(channel_of_scale_zero, layer_of_scale_zero, bias_along_no_axis, bias_of_zeros, shared_bias),
        *(shape_at_batch_one, shape_by_product, shape_of_transposed_convolution),
    )
}
NOT_IN_TFLM = {"shape_by_product"}
"""Its GATHER and MUL of int32: the same network with a constant shape answers for it."""


def model(name: str) -> bytes:
    rows = Rows()
    return rows.bytes(*CASES[name](rows))


@pytest.mark.parametrize("name", CASES)
def test_bytes_of_tflite_micro(name: str) -> None:
    data = model(name)
    graph = load(data)
    reference = to_tflite(graph) if name in NOT_IN_TFLM else data
    tidy = run_passes(graph)
    for seed in range(4):
        inputs = random_inputs(np.random.default_rng(seed), graph)
        expected = tflm.run(reference, inputs, len(graph.outputs))
        for form in (graph, tidy, load(to_tflite(tidy))):
            for found, value in zip(interpreter.run(form, inputs), expected, strict=True):
                assert np.array_equal(found, value)


def unsigned_rows(code: str, w_zero: int = 0, **options: Any) -> tuple[Rows, int]:
    """One operator of uint8 on an input of (1, 5, 5, 2), as TensorFlow 1 quantized it."""
    rows, rng = Rows("UINT8"), np.random.default_rng(w_zero)
    x = rows.input((1, 5, 5, 2), quantization=Quantization((0.5,), (120,)))
    inputs, shape = [x], (1, 5, 5, 2)
    if code in ("CONV_2D", "DEPTHWISE_CONV_2D"):
        w = rows.tensor((4, 3, 3, 2) if code == "CONV_2D" else (1, 3, 3, 4))
        values = rng.integers(0, 256, rows.tensors[w].shape).astype(np.uint8)
        changed(rows, w, data=values.tobytes(), quantization=Quantization((0.02,), (w_zero,)))
        inputs += [w, rows.constant(rng.integers(-5000, 5000, 4), scale=0.01)]
        shape = (1, 3, 3, 4)
    if code == "DEPTHWISE_CONV_2D":
        options["depth_multiplier"] = 2
    y = rows.op(code, inputs, options.pop("shape", shape), **options)
    return rows, quantized(rows, y, 0.5 if code not in ("CONV_2D", "DEPTHWISE_CONV_2D") else 6.5, 120)


def unsigned_convolution(x: Array, rows: Rows, depthwise: bool) -> Array:
    """Products of uint8 less their zero points, summed and scaled."""
    w_row, bias_row = rows.tensors[1], rows.tensors[2]
    assert w_row.data is not None
    assert bias_row.data is not None
    assert w_row.quantization is not None
    w = np.frombuffer(w_row.data, np.uint8).reshape(w_row.shape).astype(np.int64) - w_row.quantization.zero_point[0]
    windows = np.lib.stride_tricks.sliding_window_view(x.astype(np.int64) - 120, (3, 3), axis=(1, 2))
    if depthwise:
        sums = np.einsum("nhwcij,ijcm->nhwcm", windows, w[0].reshape(3, 3, 2, 2)).reshape(1, 3, 3, 4)
    else:
        sums = np.einsum("nhwcij,oijc->nhwo", windows, w)
    factor = fx.quantize_multiplier(0.5 * float(np.float32(0.02)) / 6.5)
    scaled = fx.requantize(sums + np.frombuffer(bias_row.data, "<i4"), factor.m, factor.shift)
    return np.clip(scaled + 120, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("code", ["CONV_2D", "DEPTHWISE_CONV_2D"])
@pytest.mark.parametrize("w_zero", [128, 151, 3])
def test_convolutions_of_uint8(code: str, w_zero: int) -> None:
    rows, y = unsigned_rows(code, w_zero)
    graph = load(rows.bytes(y))
    assert graph[graph.inputs[0]].zero_point == 120 - 128
    x = np.random.default_rng(1).integers(0, 256, (1, 5, 5, 2)).astype(np.uint8)
    (found,) = interpreter.run(graph, [(x ^ 128).view(np.int8)])
    expected = unsigned_convolution(x, rows, code == "DEPTHWISE_CONV_2D")
    assert len(np.unique(expected)) > 20
    assert np.array_equal(found.view(np.uint8) ^ 128, expected)


def uint8_ends(rows: Rows) -> tuple[int, ...]:
    x = rows.input((1, 4), "UINT8", quantization=Quantization((0.5,), (131,)))
    y = dense(rows, rows.op("QUANTIZE", [x], (1, 4)))
    return quantized(rows, rows.op("QUANTIZE", [y], (1, 3), type="UINT8"), 0.25, 130), y


def test_uint8_ends() -> None:
    rows = Rows()
    data = rows.bytes(*uint8_ends(rows))
    graph = load(data)
    assert graph.notes == (
        "input 'x0' is uint8 in the file and int8 here: each value less 128",
        "output 'x4' is uint8 in the file and int8 here: each value less 128",
    )
    for seed in range(4):
        x = np.random.default_rng(seed).integers(0, 256, (1, 4)).astype(np.uint8)
        expected = tflm.run(data, [x], 2)
        found = interpreter.run(graph, [(x ^ 128).view(np.int8)])
        assert np.array_equal(found[0].view(np.uint8) ^ 128, expected[0])
        assert np.array_equal(found[1], expected[1])


INEXACT = {
    "AVERAGE_POOL_2D": {"filter_height": 2, "filter_width": 2, "shape": (1, 4, 4, 2)},
    "LOGISTIC": {},
}


@pytest.mark.parametrize("code", INEXACT)
def test_operators_of_uint8_that_round_otherwise(code: str) -> None:
    rows, y = unsigned_rows(code, **INEXACT[code])
    message = f"the .tflite: operator 0 ({code}) of uint8 rounds otherwise than of int8; convert the model with int8"
    with pytest.raises(UnsupportedOpError) as caught:
        load(rows.bytes(y))
    assert str(caught.value) == f"{message} quantization"


def advice_on(code: str) -> str:
    """What is said of an operator that takes the network's input."""
    rows = Rows()
    y = rows.op(code, [rows.input((1, 4))], (1, 4))
    with pytest.raises(UnsupportedOpError) as caught:
        refuse_unsupported(rows.file(rows.op("RELU", [y], (1, 4))), "net.tflite", HANDLERS)
    return str(caught.value).splitlines()[1]


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        ("CUSTOM 'ethos-u'", "compiled by Vela for an Ethos-U; give the .tflite from before Vela"),
        ("SEGMENT_SUM", "replace it, or compute it before the network and make its result an input"),
    ],
)
def test_advice(code: str, advice: str) -> None:
    assert advice_on(code) == f"  operator 0 {code} that writes 'x1': {advice}"


def test_a_part_that_is_computed_in_float() -> None:
    rows = Rows()
    x = rows.op("DEQUANTIZE", [rows.input((1, 4))], (1, 4), type="FLOAT32")
    y = rows.op("SOFTMAX", [x], (1, 4), type="FLOAT32")
    with pytest.raises(UnsupportedOpError) as caught:
        load(rows.bytes(rows.op("QUANTIZE", [y], (1, 4))))
    assert str(caught.value) == (
        "the .tflite: Softmax that gives 'x2' computes in float32 in a network of integers; convert the model with "
        "full integer quantization, or to float32 as a whole"
    )


def compiled_graphs() -> dict[str, Graph]:
    rows = Rows()
    ends = rows.bytes(*uint8_ends(rows))
    built = {code: unsigned_rows(code, 151) for code in ("CONV_2D", "DEPTHWISE_CONV_2D")}
    convolutions = {code: rows.bytes(y) for code, (rows, y) in built.items()}
    files = {name: model(name) for name in CASES} | {"ends": ends} | convolutions
    return {name: run_passes(load(data)) for name, data in files.items()}


def test_compiled(tmp_path: Path) -> None:
    graphs = compiled_graphs()
    harness.check_random(list(graphs), harness.build_host(list(graphs.values()), tmp_path), samples=2)


@pytest.mark.parametrize(
    "cpu", ["cortex-m4", *(pytest.param(cpu, marks=pytest.mark.slow) for cpu in ("cortex-m3", "cortex-m55"))]
)
def test_compiled_for_a_core(cpu: str, tmp_path: Path) -> None:
    graphs = compiled_graphs()
    harness.check_random(list(graphs), harness.build_device(list(graphs.values()), tmp_path, cpu), samples=2)
