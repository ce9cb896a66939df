"""Small graphs with one rule broken, and what `verify` says of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mcuquant.errors import GraphError
from mcuquant.ir import DType, Graph, Level, Op, QParams, Role, Shape, Tensor, ops
from mcuquant.ir.verify import verify

INT8, INT16, INT32, INT64, FLOAT32 = DType.INT8, DType.INT16, DType.INT32, DType.INT64, DType.FLOAT32
Q = QParams.of(0.5, 3)


def complaint(graph: Graph, level: Level = Level.QUANTISED) -> str:
    """What verify says of `graph` after naming it."""
    with pytest.raises(GraphError) as caught:
        verify(graph, level)
    start = f"graph {graph.name!r}: "
    assert str(caught.value).startswith(start)
    return str(caught.value)[len(start) :]


def conv(**changes: Any) -> Graph:
    """A convolution of (1,4,4,2) to (1,3,2,4); `changes` replace fields of tensors x, w, b, y and of the op."""
    rng = np.random.default_rng(0)
    w = rng.integers(-127, 128, (4, 2, 3, 2)).astype(np.int8)
    tensors = {
        "x": Tensor(0, (1, 4, 4, 2), INT8, Role.INPUT, q=Q, name="x"),
        "w": Tensor(1, w.shape, INT8, Role.CONSTANT, q=QParams.of([0.25] * 4, axis=0), data=w, name="w"),
        "b": Tensor(
            2, (4,), INT32, Role.CONSTANT, q=QParams.of([0.125] * 4, axis=0), data=np.zeros(4, np.int32), name="b"
        ),
        "y": Tensor(3, (1, 3, 2, 4), INT8, Role.ACTIVATION, q=Q, name="y"),
    }
    op = replace(ops.Conv2D(inputs=(0, 1, 2), outputs=(3,)), **changes.pop("op", {}))
    for name, fields in changes.items():
        tensors[name] = replace(tensors[name], **fields)
    return Graph("g", dict(enumerate(tensors.values())), (op,), (0,), (3,))


def unary(op: Op, x: Shape, y: Shape, dtype: DType = INT8, **y_fields: Any) -> Graph:
    """One operation from tensor 0 to tensor 1."""
    table = {
        0: Tensor(0, x, dtype, Role.INPUT, q=None if dtype is FLOAT32 else QParams.of(0.5), name="x"),
        1: replace(
            Tensor(1, y, dtype, Role.ACTIVATION, q=None if dtype is FLOAT32 else QParams.of(0.5), name="y"), **y_fields
        ),
    }
    return Graph("g", table, (op,), (0,), (1,))


def binary(
    kind: type[Op], a: Shape, b: Shape, y: Shape, b_fields: dict[str, Any] | None = None, **attributes: Any
) -> Graph:
    table = {
        0: Tensor(0, a, INT8, Role.INPUT, q=Q, name="a"),
        1: replace(Tensor(1, b, INT8, Role.INPUT, q=Q, name="b"), **(b_fields or {})),
        2: Tensor(2, y, INT8, Role.ACTIVATION, q=Q, name="y"),
    }
    return Graph("g", table, (kind(inputs=(0, 1), outputs=(2,), **attributes),), (0, 1), (2,))


ONE = {"inputs": (0,), "outputs": (1,)}
