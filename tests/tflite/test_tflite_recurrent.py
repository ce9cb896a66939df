"""Operators with state of their own, SVDF and LSTM: streams equal TensorFlow Lite Micro's reference kernels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import recurrent_graphs
from harness import build_device, build_host, check_stream
from test_tflite_variables import step, tflm

from mcuquant.arithmetic import interpreter
from mcuquant.boards.core import CORES
from mcuquant.errors import ModelError, UnsupportedOpError
from mcuquant.ir import Array, DType, Graph
from mcuquant.tflite.reader.from_tflite import load
from mcuquant.tflite.schema import ModelFile, OperatorRow, Quantization, TensorRow, write
from mcuquant.tflite.writer.to_tflite import to_rows, to_tflite

INT8, INT16 = DType.INT8, DType.INT16


def row(shape: tuple[int, ...], kind: str, scale: float, zero: int = 0, data: Array | None = None) -> TensorRow:
    stored = None if data is None else np.ascontiguousarray(data).tobytes()
    return TensorRow("t", shape, kind, stored, Quantization((float(np.float32(scale)),), (zero,)))


def svdf(seed: int, rank: int, memory: int, zero: int, with_bias: bool = True) -> ModelFile:
    """Features that fill the state's range, or, with a zero point, exceed it and wrap around."""
    rng = np.random.default_rng(seed)
    inputs, units = int(rng.integers(1, 20)), int(rng.integers(1, 9))
    filters = units * rank
    features = rng.integers(-127, 128, (filters, inputs)).astype(np.int8)
    time = rng.integers(-127, 128, (filters, memory)).astype(np.int8)
    scales = rng.uniform(0.003, 0.05, 3)
    kept = scales[0] * scales[1] * 70 * np.sqrt(inputs) * 1.3
    unit = kept * scales[2] * 60 * 70 * np.sqrt(rank * memory) / 100
    bias = rng.integers(-2000, 2000, units).astype(np.int32)
    tensors = (
        row((1, inputs), "INT8", scales[0], int(rng.integers(-128, 128))),
        row((filters, inputs), "INT8", scales[1], 0, features),
        row((filters, memory), "INT8", scales[2], 0, time),
        row((units,), "INT32", kept * scales[2], 0, bias),
        replace(row((1, filters * memory), "INT8", kept, zero), is_variable=True),
        row((1, units), "INT8", unit, int(rng.integers(-20, 20))),
    )
    operands = (0, 1, 2, 3 if with_bias else -1, 4)
    operator = OperatorRow("SVDF", operands, (5,), {"rank": rank, "fused_activation_function": 0})
    return ModelFile("svdf", tensors, (operator,), (0,), (5,))


FORMS = [
    svdf(0, rank=1, memory=8, zero=0),
    svdf(1, rank=2, memory=5, zero=-50),
    svdf(2, rank=3, memory=1, zero=37),
    svdf(3, rank=1, memory=11, zero=-13),
]


def test_no_bias_is_a_bias_of_zeros() -> None:
    """TFLM's kernel reads the bias in any case."""
    without = svdf(3, rank=1, memory=11, zero=-13, with_bias=False)
    zeros = tuple(replace(t, data=bytes(len(t.data or b""))) if t.type == "INT32" else t for t in FORMS[3].tensors)
    graph, theirs = load(write(without)), tflm(write(replace(FORMS[3], tensors=zeros)))
    state = interpreter.reset_state(graph)
    for inputs in stream(graph, 20):
        assert np.array_equal(interpreter.run(graph, inputs, state)[0], step(theirs, inputs, 1)[0])


def stream(graph: Graph, count: int) -> list[list[Array]]:
    rng, t = np.random.default_rng(4), graph[graph.inputs[0]]
    low, high = t.dtype.range()
    return [[rng.integers(low, high + 1, t.shape).astype(t.dtype.numpy)] for _ in range(count)]


@pytest.mark.parametrize("file", FORMS)
def test_svdf_equals_tflm(file: ModelFile) -> None:
    data = write(file)
    graph, theirs = load(data), tflm(data)
    state, seen = interpreter.reset_state(graph), set[int]()
    for inputs in stream(graph, 60):
        (y,) = interpreter.run(graph, inputs, state)
        (expected,) = step(theirs, inputs, 1)
        assert np.array_equal(y, expected)
        seen.update(y.ravel().tolist())
    assert len(seen) > 40


def test_svdf_in_c(tmp_path: Path) -> None:
    graphs = [load(write(file)) for file in FORMS]
    runner = build_host(graphs, tmp_path, CORES["cortex-m4"])
    for i, graph in enumerate(graphs):
        check_stream(f"svdf {i}", runner, i, stream(graph, 6))


@pytest.mark.slow
@pytest.mark.emulator
@pytest.mark.parametrize("cpu", ["cortex-m0plus", "cortex-m4", "cortex-m55"])
def test_svdf_on_each_core(cpu: str, tmp_path: Path) -> None:
    graphs = [load(write(file)) for file in FORMS]
    runner = build_device(graphs, tmp_path, cpu)
    for i, graph in enumerate(graphs):
        check_stream(f"svdf {i}", runner, i, stream(graph, 4))


LSTMS = [
    recurrent_graphs.lstm(np.random.default_rng(seed), dtype, True, clip)
    for seed, (dtype, clip) in enumerate(
        [(INT8, 0.0), (INT8, 10.0), (INT16, 0.0), (INT16, 0.25), (INT8, 0.4), (INT16, 10.0)]
    )
]


@pytest.mark.parametrize("graph", LSTMS)
def test_lstm_equals_tflm(graph: Graph) -> None:
    """Over a stream: the state lives on from invocation to invocation."""
    data = to_tflite(graph)
    back, theirs = load(data), tflm(data)
    states, seen = [interpreter.reset_state(g) for g in (graph, back)], set[int]()
    for inputs in stream(graph, 30):
        (expected,) = step(theirs, inputs, 1)
        for made, state in zip((graph, back), states, strict=True):
            assert np.array_equal(interpreter.run(made, inputs, state)[0], expected)
        seen.update(expected.ravel().tolist())
    assert len(seen) > 30


def test_lstm_in_c(tmp_path: Path) -> None:
    runner = build_host(LSTMS, tmp_path, CORES["cortex-m4"])
    for i, graph in enumerate(LSTMS):
        check_stream(f"lstm {i}", runner, i, stream(graph, 6))


@pytest.mark.emulator
@pytest.mark.parametrize("cpu", ["cortex-m0plus", "cortex-m4", "cortex-m55"])
def test_lstm_on_each_core(cpu: str, tmp_path: Path) -> None:
    runner = build_device(LSTMS, tmp_path, cpu)
    for i, graph in enumerate(LSTMS):
        check_stream(f"lstm {i}", runner, i, stream(graph, 3))


def test_an_lstm_without_memory_has_no_operator() -> None:
    """TFLM's keeps its state from one invocation to the next in any case."""
    with pytest.raises(ModelError) as caught:
        to_tflite(recurrent_graphs.lstm(np.random.default_rng(0)))
    assert str(caught.value) == (
        "operation 0 (Lstm) reads states that others read or write, or that do not start as real zero, which .tflite "
        "cannot express: keep the states of each LSTM to itself"
    )


def changed(graph: Graph, **options: float) -> bytes:
    file = to_rows(graph)
    (operator,) = file.operators
    return write(replace(file, operators=(replace(operator, options={**operator.options, **options}),)))


def without(graph: Graph, k: int) -> bytes:
    file = to_rows(graph)
    (operator,) = file.operators
    inputs = tuple(-1 if i == k else index for i, index in enumerate(operator.inputs))
    return write(replace(file, operators=(replace(operator, inputs=inputs),)))


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (changed(LSTMS[0], fused_activation_function=1), "has another activation than tanh; use tanh"),
        (
            without(LSTMS[0], 1),
            "has no input gate (it is coupled with the forget gate); use an LSTM with four gates",
        ),
    ],
)
def test_other_lstms_are_refused(data: bytes, found: str) -> None:
    with pytest.raises(UnsupportedOpError) as caught:
        load(data)
    assert str(caught.value) == f"the .tflite: operator 0 (UNIDIRECTIONAL_SEQUENCE_LSTM) {found}"


def test_a_missing_bias_is_one_of_zeros() -> None:
    graph = load(without(LSTMS[0], 13))
    units = graph.out(graph.ops[0]).shape[-1]
    bias = graph.ins(graph.ops[0])[3].value
    assert not bias[units : 2 * units].any()
    assert bias[:units].any()


def test_wrong_svdf_is_refused() -> None:
    file = FORMS[0]
    operator = file.operators[0]
    with pytest.raises(ModelError) as caught:
        load(write(replace(file, operators=(replace(operator, options={**operator.options, "rank": 4}),))))
    assert "operator 0 (SVDF) of rank 4 has input [1, " in str(caught.value)
    plain = tuple(replace(t, is_variable=False) for t in file.tensors)
    with pytest.raises(ModelError) as caught:
        load(write(replace(file, tensors=plain)))
    assert str(caught.value) == (
        "the .tflite: operator 0 (SVDF) has tensor 4 ('t') as state, expected a variable tensor of its own"
    )
    wide = tuple(replace(t, type="INT16", data=None) if i == 4 else t for i, t in enumerate(file.tensors))
    with pytest.raises(UnsupportedOpError) as caught:
        load(write(replace(file, tensors=wide)))
    assert "operator 0 (SVDF) has int8 input, int8 and int8 weights, int16 state and int8 output" in str(caught.value)
