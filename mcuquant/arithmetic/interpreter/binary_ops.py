"""Operations on two tensors element by element, broadcast as numpy does, and the float graph's batch normalisation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ...errors import GraphError
from ...ir import Add, Array, BatchNorm, Binary, Graph, Maximum, Minimum, Mul, Op, Sub
from ...ir.elementwise_table import ELEMENTWISE
from .. import fixedpoint as fx
from ..parameters import AddParams, MulParams, params
from .values import clamp, is_float


def binary(graph: Graph, op: Binary, inputs: Sequence[Array]) -> Array:
    real = ELEMENTWISE[type(op)].real
    if is_float(graph.out(op)) and real is not None:
        return real(op, *inputs)
    if type(op) not in INTEGER:
        raise GraphError(f"{op.kind} has no integer form in the interpreter")
    return INTEGER[type(op)](graph, op, *inputs)


def _weighted_sum(p: AddParams, inputs: Sequence[Array], sign: int) -> Array:
    a, b = (fx.as_int64(x) - zero << p.left_shift for x, zero in zip(inputs, (p.a_zero, p.b_zero), strict=True))
    scaled_a = fx.requantize(a, p.a_multiplier.m, p.a_multiplier.shift)
    scaled_b = fx.requantize(b, p.b_multiplier.m, p.b_multiplier.shift)
    total = fx.requantize(scaled_a + sign * scaled_b, p.y_multiplier.m, p.y_multiplier.shift)
    return clamp(total + p.y_zero, p.act_min, p.act_max)


def _product(graph: Graph, op: Mul, a: Array, b: Array) -> Array:
    p: MulParams = params(graph, op)
    product = (fx.as_int64(a) - p.a_zero) * (fx.as_int64(b) - p.b_zero)
    return clamp(fx.requantize(product, p.multiplier.m, p.multiplier.shift) + p.y_zero, p.act_min, p.act_max)


INTEGER: Mapping[type[Op], Callable[[Graph, Any, Array, Array], Array]] = {
    Add: lambda graph, op, a, b: _weighted_sum(params(graph, op), (a, b), sign=1),
    Sub: lambda graph, op, a, b: _weighted_sum(params(graph, op), (a, b), sign=-1),
    Mul: _product,
    Maximum: lambda graph, op, a, b: np.maximum(a, b),
    Minimum: lambda graph, op, a, b: np.minimum(a, b),
}
"""Integer forms. Maximum and minimum compare stored values as they are."""


def batch_norm(graph: Graph, op: BatchNorm, inputs: Sequence[Array]) -> Array:
    return inputs[0] * inputs[1] + inputs[2]
