"""Operations on two tensors element by element, broadcast as numpy does, and the float graph's batch normalisation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...ir import Add, Array, BatchNorm, Graph, Maximum, Minimum, Mul, Sub
from .. import fixedpoint as fx
from ..parameters import AddParams, MulParams, params
from .values import activate, clamp, is_float


def add(graph: Graph, op: Add, inputs: Sequence[Array]) -> Array:
    if is_float(graph.out(op)):
        return activate(inputs[0] + inputs[1], op.activation)
    return _weighted_sum(params(graph, op), inputs, sign=1)


def sub(graph: Graph, op: Sub, inputs: Sequence[Array]) -> Array:
    if is_float(graph.out(op)):
        return activate(inputs[0] - inputs[1], op.activation)
    return _weighted_sum(params(graph, op), inputs, sign=-1)


def _weighted_sum(p: AddParams, inputs: Sequence[Array], sign: int) -> Array:
    a, b = (fx.as_int64(x) - zero << p.left_shift for x, zero in zip(inputs, (p.a_zero, p.b_zero), strict=True))
    scaled_a = fx.requantize(a, p.a_multiplier.m, p.a_multiplier.shift)
    scaled_b = fx.requantize(b, p.b_multiplier.m, p.b_multiplier.shift)
    total = fx.requantize(scaled_a + sign * scaled_b, p.y_multiplier.m, p.y_multiplier.shift)
    return clamp(total + p.y_zero, p.act_min, p.act_max)


def mul(graph: Graph, op: Mul, inputs: Sequence[Array]) -> Array:
    if is_float(graph.out(op)):
        return activate(inputs[0] * inputs[1], op.activation)
    p: MulParams = params(graph, op)
    product = (fx.as_int64(inputs[0]) - p.a_zero) * (fx.as_int64(inputs[1]) - p.b_zero)
    return clamp(fx.requantize(product, p.multiplier.m, p.multiplier.shift) + p.y_zero, p.act_min, p.act_max)


def maximum(graph: Graph, op: Maximum, inputs: Sequence[Array]) -> Array:
    """Stored values are compared as they are, at every level."""
    return np.maximum(inputs[0], inputs[1])


def minimum(graph: Graph, op: Minimum, inputs: Sequence[Array]) -> Array:
    """Stored values are compared as they are, at every level."""
    return np.minimum(inputs[0], inputs[1])


def batch_norm(graph: Graph, op: BatchNorm, inputs: Sequence[Array]) -> Array:
    return inputs[0] * inputs[1] + inputs[2]
