"""The rules of a graph: what keeps them, and what each breach says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import graphs
import numpy as np
import pytest
from breaches import FLOAT32, INT8, INT16, INT32, INT64, ONE, binary, complaint, conv, unary
from nets import Net

from mcuquant.ir import Graph, Level, Padding, QParams, Role, Tensor, ops
from mcuquant.ir.verify import verify


@pytest.mark.parametrize("name", graphs.GENERATORS)
def test_every_generated_graph_keeps_the_rules(name: str) -> None:
    graph = graphs.GENERATORS[name](np.random.default_rng(5))
    assert verify(graph, Level.LOWERABLE) is graph


@pytest.mark.parametrize("name", graphs.FLOAT_GENERATORS)
def test_every_generated_float_graph_keeps_the_rules(name: str) -> None:
    graph = graphs.FLOAT_GENERATORS[name](np.random.default_rng(5))
    assert verify(graph, Level.FLOAT) is graph


def test_the_convolution_used_here_keeps_the_rules() -> None:
    verify(conv(), Level.QUANTISED)


def test_scales_are_those_a_file_can_hold() -> None:
    bad = conv(x={"q": QParams((0.1,), 0)})
    assert complaint(bad) == "tensor 0 ('x') has the scale 0.1, expected a positive float32 value"


TENSOR_BREACHES: list[tuple[dict[str, Any], str]] = [
    ({"x": {"id": 9}}, "tensor 9 ('x') is filed under id 0"),
    ({"x": {"shape": (1, 0, 4, 2)}}, "tensor 0 ('x') has shape (1, 0, 4, 2), expected at most 6 axes of at least 1"),
    (
        {"x": {"shape": (1, 65536, 65536, 1)}},
        "tensor 0 ('x') has 4294967296 elements, expected fewer than 2147483648",
    ),
    ({"x": {"bits": 4}}, "tensor 0 ('x') has 4 bits of int8, expected 8, or 2 or 4 of a constant int8"),
    ({"x": {"dtype": FLOAT32, "bits": 32}}, "tensor 0 ('x') is float32 and quantised, expected one or the other"),
    ({"x": {"q": QParams((0.5,), 128)}}, "tensor 0 ('x') has zero point 128, expected one in (-128, 127)"),
    ({"x": {"q": QParams((0.5, 0.5), 0)}}, "tensor 0 ('x') has 2 scales and no axis, expected 1"),
    (
        {"w": {"q": QParams((0.25,) * 4, 0, 7)}},
        "tensor 1 ('w') has scales along axis 7, expected an axis of shape (4, 2, 3, 2)",
    ),
    ({"w": {"q": QParams((0.25,) * 3, 0, 0)}}, "tensor 1 ('w') has 3 scales along axis 0, expected 4"),
    ({"w": {"q": QParams((0.25,) * 4, 1, 0)}}, "tensor 1 ('w') has scales along an axis and zero point 1, expected 0"),
    ({"w": {"data": None}}, "tensor 1 ('w') has role constant and no value"),
    ({"x": {"data": np.zeros((1, 4, 4, 2), np.int8)}}, "tensor 0 ('x') has role input and a value"),
    ({"b": {"data": np.zeros(4, np.int64)}}, "tensor 2 ('b') has a value of int64 (4,), expected int32 (4,)"),
    (
        {"w": {"bits": 4, "data": np.full((4, 2, 3, 2), 8, np.int8)}},
        "tensor 1 ('w') has values 8 to 8, expected 4 bits: -8 to 7",
    ),
]


@pytest.mark.parametrize(("changes", "message"), TENSOR_BREACHES)
def test_a_tensor(changes: dict[str, Any], message: str) -> None:
    assert complaint(conv(**changes)) == message


def test_a_constant_is_finite() -> None:
    net = Net(np.random.default_rng(0), FLOAT32)
    x, b = net.input((1, 2)), net.constant(np.array([1, np.nan]), FLOAT32)
    graph = net.graph(net.apply(ops.Add, (x, b), (1, 2)))
    assert complaint(graph, Level.FLOAT) == "tensor 1 ('constant_1') has a value that is not finite"


STRUCTURE_BREACHES: list[tuple[dict[str, Any], str]] = [
    ({"ops": ()}, "has no operations"),
    ({"inputs": ()}, "has no inputs"),
    ({"outputs": ()}, "has no outputs"),
    ({"outputs": (8,)}, "output 8 is not in the tensor table"),
    ({"outputs": (3, 3)}, "output 3 is listed 2 times"),
    ({"inputs": (0, 3)}, "tensor 3 ('y') has role activation and is listed as an input"),
    (
        {"ops": (ops.Conv2D(inputs=(0, 1, 5), outputs=(3,)),)},
        "operation 0 (Conv2D) names tensor 5, which is not in the table",
    ),
    (
        {"ops": (ops.Conv2D(inputs=(3, 1, 2), outputs=(3,)),)},
        "operation 0 (Conv2D) reads tensor 3 before it is written",
    ),
    (
        {"ops": (ops.Conv2D(inputs=(0, 1, 2), outputs=(0,)),)},
        "operation 0 (Conv2D) writes tensor 0, which has a value already",
    ),
    ({"ops": (ops.Conv2D(inputs=(0,), outputs=(3,)),)}, "operation 0 (Conv2D): has 1 inputs, expected 2 to 3"),
    ({"ops": (ops.Add(inputs=(0,), outputs=(3,)),)}, "operation 0 (Add): has 1 inputs, expected 2"),
]


@pytest.mark.parametrize(("changes", "message"), STRUCTURE_BREACHES)
def test_the_structure(changes: dict[str, Any], message: str) -> None:
    assert complaint(replace(conv(), **changes)) == message


def test_an_input_is_listed() -> None:
    graph = conv()
    unlisted = replace(graph, tensors={**graph.tensors, 4: Tensor(4, (1,), INT8, Role.INPUT, name="z")})
    assert complaint(unlisted) == "tensor 4 ('z') has role input and is not listed as an input"


def test_an_output_is_written() -> None:
    graph = conv()
    table = {**graph.tensors, 4: Tensor(4, (1,), INT8, Role.ACTIVATION, name="z")}
    assert complaint(replace(graph, tensors=table, outputs=(4,))) == "output 4 is never written"


def test_an_operation_has_one_output() -> None:
    graph = conv()
    table = {**graph.tensors, 4: Tensor(4, (1,), INT8, Role.ACTIVATION, name="z")}
    two = (ops.Conv2D(inputs=(0, 1, 2), outputs=(3, 4)),)
    assert complaint(replace(graph, tensors=table, ops=two)) == "operation 0 (Conv2D): has 2 outputs, expected 1"


CONV_BREACHES: list[tuple[dict[str, Any], str]] = [
    ({"x": {"shape": (1, 16, 2)}}, "its input has shape (1, 16, 2), expected 4 axes"),
    ({"y": {"shape": (1, 4, 4, 4)}}, "its output has shape (1, 4, 4, 4), expected (1, 3, 2, 4)"),
    ({"x": {"shape": (1, 4, 4, 3)}}, "weights (4, 2, 3, 2) do not divide 3 input channels into equal groups"),
    ({"op": {"stride": (0, 1)}}, "its stride is (0, 1), expected at least 1"),
    ({"op": {"dilation": (1, 0)}}, "its dilation is (1, 0), expected at least 1"),
    (
        {"op": {"padding": Padding(left=-1)}},
        "its padding is Padding(top=0, bottom=0, left=-1, right=0), expected none below 0",
    ),
    (
        {"b": {"shape": (1, 4), "data": np.zeros((1, 4), np.int32), "q": None}},
        "its bias has shape (1, 4), expected (4,)",
    ),
    ({"x": {"q": None}}, "input 0 ('x') has quantisation None, expected one scale"),
    ({"x": {"dtype": INT32, "bits": 32}}, "input 0 ('x') is int32, expected int8 or int16"),
    ({"y": {"dtype": INT16, "bits": 16, "q": QParams.of(1)}}, "output 3 ('y') is int16, expected int8 as the input"),
    ({"x": {"dtype": INT16, "bits": 16}}, "input 0 ('x') is int16 with zero point 3, expected 0"),
    ({"w": {"q": None}}, "weights 1 ('w') have no scale"),
    ({"w": {"q": QParams.of([0.25] * 2, axis=3)}}, "weights 1 ('w') have scales along axis 3, expected 0"),
    (
        {"b": {"dtype": INT64, "bits": 64, "data": np.zeros(4, np.int64)}},
        "bias 2 ('b') is constant int64, expected constant int32",
    ),
    ({"b": {"q": QParams.of(0.125, 1)}}, "bias 2 ('b') has zero point 1, expected 0"),
    ({"b": {"q": QParams.of(0.125)}}, "bias 2 ('b') has 1 scales, expected 4 as the weights"),
    (
        {"b": {"q": QParams.of([0.125, 0.25, 0.125, 0.125], axis=0)}},
        "bias 2 ('b') has scale 0.25 at 1, expected input scale times weight scale, 0.125",
    ),
]


@pytest.mark.parametrize(("changes", "message"), CONV_BREACHES)
def test_a_convolution(changes: dict[str, Any], message: str) -> None:
    assert complaint(conv(**changes)) == f"operation 0 (Conv2D): {message}"


def test_a_batch_normalisation_has_a_factor_a_channel() -> None:
    net = Net(np.random.default_rng(0), FLOAT32)
    x, scale = net.input((1, 2, 3)), net.constant(np.ones(2), FLOAT32)
    graph = net.graph(net.apply(ops.BatchNorm, (x, scale, scale), (1, 2, 3)))
    assert complaint(graph, Level.FLOAT) == "operation 0 (BatchNorm): its scale has shape (2,), expected (3,)"


def test_a_quantised_graph_has_no_batch_normalisation() -> None:
    net = Net(np.random.default_rng(0), FLOAT32)
    x, scale = net.input((1, 2, 3)), net.constant(np.ones(3), FLOAT32)
    graph = net.graph(net.apply(ops.BatchNorm, (x, scale, scale), (1, 2, 3)))
    verify(graph, Level.FLOAT)
    assert complaint(graph) == "operation 0 (BatchNorm): is not allowed in a quantised graph"


def test_a_float_graph_is_float32() -> None:
    assert complaint(conv(), Level.FLOAT) == "operation 0 (Conv2D): tensor 0 ('x') is int8, expected float32"


TYPE_BREACHES: list[tuple[Callable[[], Graph], str]] = [
    (
        lambda: binary(ops.Add, (1, 3), (3,), (1, 3), {"dtype": INT16, "bits": 16}),
        "operation 0 (Add): input 1 ('b') is int16, expected int8 as the first",
    ),
    (
        lambda: unary(ops.ArgMax(**ONE, axis=1), (1, 4), (1,)),
        "operation 0 (ArgMax): output 1 ('y') is int8, expected int32 or int64",
    ),
    (
        lambda: unary(ops.Dequantize(**ONE), (1, 4), (1, 4)),
        "operation 0 (Dequantize): output 1 ('y') is int8, expected float32",
    ),
    (
        lambda: unary(ops.Tanh(**ONE), (1, 4), (1, 4), FLOAT32),
        "operation 0 (Tanh): input 0 ('x') is float32, expected int8 or int16",
    ),
    (
        lambda: unary(ops.Softmax(**ONE), (1, 4), (1, 4)),
        "operation 0 (Softmax): output 1 ('y') has scale 0.5, zero 0, expected 0.00390625, -128",
    ),
    (
        lambda: unary(ops.Logistic(**ONE), (1, 4), (1, 4)),
        "operation 0 (Logistic): output 1 ('y') has scale 0.5, zero 0, expected 0.00390625, -128",
    ),
    (
        lambda: unary(ops.Tanh(**ONE), (1, 4), (1, 4), INT16),
        "operation 0 (Tanh): output 1 ('y') has scale 0.5, zero 0, expected 3.05175781e-05, 0",
    ),
    (
        lambda: unary(ops.Softmax(**ONE), (1, 4), (1, 4), dtype=INT8, q=QParams.of(1 / 256, -127)),
        "operation 0 (Softmax): output 1 ('y') has scale 0.00390625, zero -127, expected 0.00390625, -128",
    ),
    (
        lambda: binary(ops.FullyConnected, (1, 3), (2, 3), (1, 2)),
        "operation 0 (FullyConnected): weights 1 ('b') are input int8, expected constant int8",
    ),
]


@pytest.mark.parametrize(("build", "message"), TYPE_BREACHES)
def test_types(build: Callable[[], Graph], message: str) -> None:
    assert complaint(build()) == message
