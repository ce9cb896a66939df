"""The rules of shapes and attributes, and what each breach says."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from breaches import FLOAT32, INT8, ONE, binary, complaint, unary

from mcuquant.ir import Activation, Graph, Level, Op, Padding, ops

SHAPE_BREACHES: list[tuple[Callable[[], Graph], str]] = [
    (
        lambda: binary(ops.FullyConnected, (1, 6), (2, 3, 1), (1, 2)),
        "operation 0 (FullyConnected): weights have shape (2, 3, 1), expected 2 axes",
    ),
    (
        lambda: binary(ops.FullyConnected, (1, 7), (2, 3), (1, 2)),
        "operation 0 (FullyConnected): its input of shape (1, 7) does not divide into rows of 3",
    ),
    (
        lambda: binary(ops.FullyConnected, (1, 6), (2, 3), (1, 2)),
        "operation 0 (FullyConnected): its output has shape (1, 2), expected 2 rows of 2",
    ),
    (
        lambda: binary(ops.DepthwiseConv2D, (1, 4, 4, 2), (1, 3, 3, 3), (1, 2, 2, 3)),
        "operation 0 (DepthwiseConv2D): weights have shape (1, 3, 3, 3), expected (1, height, width, a multiple of 2)",
    ),
    (
        lambda: binary(ops.TransposeConv, (1, 4, 4, 2), (5, 3, 3, 3), (1, 6, 6, 5)),
        "operation 0 (TransposeConv): weights have 3 input channels, expected 2",
    ),
    (
        lambda: binary(ops.TransposeConv, (1, 4, 4, 2), (5, 3, 3, 2), (1, 6, 6, 4)),
        "operation 0 (TransposeConv): its output has shape (1, 6, 6, 4), expected (1, height, width, 5)",
    ),
    (
        lambda: binary(ops.BatchMatMul, (3,), (3, 2), (2,)),
        "operation 0 (BatchMatMul): its inputs have shapes (3,) and (3, 2), expected at least 2 axes",
    ),
    (
        lambda: binary(ops.BatchMatMul, (4, 3), (3, 2), (4, 2), adj_b=True),
        "operation 0 (BatchMatMul): matrices of shapes (4, 3) and (2, 3) cannot be multiplied",
    ),
    (
        lambda: binary(ops.Add, (1, 3), (1, 2), (1, 3)),
        "operation 0 (Add): its inputs have shapes (1, 3) and (1, 2), which cannot be broadcast",
    ),
    (
        lambda: binary(ops.Add, (1, 3), (3,), (3,)),
        "operation 0 (Add): its output has shape (3,), expected (1, 3)",
    ),
    (
        lambda: binary(ops.Concat, (1, 3, 2), (1, 3, 3), (1, 6, 2), axis=1),
        "operation 0 (Concat): an input has shape (1, 3, 3), expected (1, 3, 2) but for axis 1",
    ),
    (
        lambda: binary(ops.Concat, (1, 3), (1, 3), (1, 6), axis=2),
        "operation 0 (Concat): its axis is 2, expected an axis of shape (1, 3)",
    ),
    (
        lambda: unary(
            ops.MaxPool2D(**ONE, window=(2, 2), stride=(3, 1), padding=Padding(top=2)), (1, 4, 4, 1), (1, 2, 3, 1)
        ),
        "operation 0 (MaxPool2D): a window of (2, 2) with padding Padding(top=2, bottom=0, left=0, right=0) "
        "lies outside the image altogether",
    ),
    (
        lambda: unary(ops.Softmax(**ONE), (), ()),
        "operation 0 (Softmax): its input is a scalar, expected at least 1 axis",
    ),
    (
        lambda: unary(ops.Relu(**ONE, activation=Activation.RELU), (1, 2), (2,)),
        "operation 0 (Relu): its output has shape (2,), expected (1, 2)",
    ),
    (
        lambda: unary(ops.Pad(**ONE, pads=((0, -1),)), (3,), (2,)),
        "operation 0 (Pad): its pads are ((0, -1),), expected 1 pairs of numbers from 0",
    ),
    (
        lambda: unary(ops.Mean(**ONE, axes=(2, 1)), (1, 2, 3), (1,)),
        "operation 0 (Mean): its axes are (2, 1), expected ascending axes of shape (1, 2, 3)",
    ),
    (
        lambda: unary(ops.Mean(**ONE, axes=(1,)), (1, 2, 3), (1,)),
        "operation 0 (Mean): its output has shape (1,), expected (1, 1, 3) or (1, 3)",
    ),
    (
        lambda: unary(ops.ArgMax(**ONE, axis=3), (1, 2, 3), (1, 2), dtype=INT8),
        "operation 0 (ArgMax): its axis is 3, expected an axis of shape (1, 2, 3)",
    ),
    (
        lambda: unary(ops.Slice(**ONE, begin=(0,), step=(1,)), (1, 2), (1, 2)),
        "operation 0 (Slice): begins at (0,) by steps (1,) from (1, 2) to (1, 2), expected 2 numbers each",
    ),
    (
        lambda: unary(ops.Slice(**ONE, begin=(0, 3), step=(1, -2)), (1, 4), (1, 3)),
        "operation 0 (Slice): along axis 1 reads from 3 to -1 by -2, expected within 0 to 3",
    ),
    (
        lambda: unary(ops.Reshape(**ONE), (1, 4), (1, 5)),
        "operation 0 (Reshape): its output has shape (1, 5), expected 4 elements as in (1, 4)",
    ),
    (
        lambda: unary(ops.Transpose(**ONE, perm=(0, 0)), (1, 4), (1, 4)),
        "operation 0 (Transpose): its permutation is (0, 0), expected every axis of shape (1, 4) once",
    ),
    (
        lambda: unary(ops.ResizeNearest(**ONE), (1, 2, 2, 3), (1, 4, 4, 2)),
        "operation 0 (ResizeNearest): its output has shape (1, 4, 4, 2), expected (1, height, width, 3)",
    ),
]


@pytest.mark.parametrize(("build", "message"), SHAPE_BREACHES)
def test_shapes(build: Callable[[], Graph], message: str) -> None:
    assert complaint(build()) == message


ATTRIBUTE_BREACHES: list[tuple[Op, str]] = [
    (ops.Softmax(**ONE, beta=0.0), "operation 0 (Softmax): its beta is 0.0, expected a positive number"),
    (ops.LeakyRelu(**ONE, alpha=np.nan), "operation 0 (LeakyRelu): its alpha is nan, expected a finite number"),
    (
        ops.Relu(**ONE, activation=Activation.NONE),
        "operation 0 (Relu): its activation is none, expected one that clamps",
    ),
    (
        ops.Pad(**ONE, pads=((0, 0), (0, 0)), value=128),
        "operation 0 (Pad): its value is 128, expected an integer in (-128, 127)",
    ),
    (
        ops.Pad(**ONE, pads=((0, 0), (0, 0)), value=0.5),
        "operation 0 (Pad): its value is 0.5, expected an integer in (-128, 127)",
    ),
]


@pytest.mark.parametrize(("op", "message"), ATTRIBUTE_BREACHES)
def test_attributes(op: Op, message: str) -> None:
    assert complaint(unary(op, (1, 4), (1, 4))) == message


def test_a_float_pad_is_finite() -> None:
    graph = unary(ops.Pad(**ONE, pads=((0, 0), (0, 0)), value=np.inf), (1, 4), (1, 4), FLOAT32)
    assert complaint(graph, Level.FLOAT) == "operation 0 (Pad): its value is inf, expected a finite number"
