"""Element-wise operators and softmax."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .. import ir
from ..ir.elementwise_table import ELEMENTWISE, Row
from .axis_order import Value, canonical_order, compact, physical_shape, spread, squeezed
from .net_builder import Array, Call, RefusalError, axis_of

_SELU_ALPHA, _SELU_FACTOR = 1.6732632423543772, 1.0507009873554805
EXCLUDED = -1e4
"""Replaces minus infinity: a score to which a softmax gives no weight."""
Item = Any
"""Value, array (constant) or number."""


def unary(call: Call, kind: type[ir.Op], x: Value, **attributes: Any) -> Value:
    return Value(call.emit(kind, [x.tensor], call.net.shape(x.tensor), **attributes), x.where)


def binary(call: Call, kind: type[ir.Binary], a: Item, b: Item, key: str = "other") -> Item:
    """Both sides broadcast as in torch; the result has the order of the larger one. `key` names a constant side."""
    sides = [side if isinstance(side, Value) else _finite(np.asarray(side, np.float32)) for side in (a, b)]
    if not any(isinstance(side, Value) for side in sides):
        return _of_constants(kind(inputs=(), outputs=()), *sides)
    whole = np.broadcast_shapes(*(side.shape for side in sides))
    sides = [call.net.dense(compact(side)) if isinstance(side, Value) else side for side in sides]
    result = _pairwise(call, kind, sides, key)
    return result if result.shape == whole else Value(result.tensor, np.broadcast_to(result.where, whole))


def _pairwise(call: Call, kind: type[ir.Binary], sides: list[Item], key: str) -> Value:
    values = [side for side in sides if isinstance(side, Value)]
    shape = np.broadcast_shapes(*(side.shape for side in sides))
    leader = next((v for v in values if math.prod(v.shape) == math.prod(shape)), None)
    operands = [] if leader is None else [_follow(call, side, leader, shape, key) for side in sides]
    tensors = [tensor for tensor in operands if tensor is not None]
    if leader is None or len(tensors) < len(sides):
        return _outer(call, kind, sides, shape, key)
    output = call.emit(kind, tensors, call.net.shape(leader.tensor))
    return Value(output, leader.where.reshape(shape))


def _finite(constant: Array) -> Array:
    """A mask of minus infinity becomes a finite number, which has a scale."""
    return np.where(np.isneginf(constant), np.float32(EXCLUDED), constant) if np.isneginf(constant).any() else constant


def _of_constants(op: ir.Op, *constants: Item) -> Array:
    """An element-wise operation on constants alone."""
    real = ELEMENTWISE[type(op)].real
    if real is None:
        raise RefusalError(f"{op.kind} of constants alone is not translated; compute it when the module is built")
    return real(op, *(np.asarray(c, np.float32) for c in constants))


def _follow(call: Call, side: Item, leader: Value, shape: tuple[int, ...], key: str) -> int | None:
    """The tensor of `side` in a shape that broadcasts to the leader's tensor; None if no reordering gives one."""
    if side is leader:
        return int(leader.tensor)
    source: Array = side.where if isinstance(side, Value) else side
    memory = np.empty(leader.where.size, source.dtype)
    memory[leader.where.ravel()] = np.broadcast_to(source, shape).ravel()
    arrangement = squeezed(memory.reshape(call.net.shape(leader.tensor)))
    if not isinstance(side, Value):
        return call.net.constant(arrangement, call.label(key))
    if arrangement.size != source.size:
        return None
    moved = call.net.reorder(side.tensor, arrangement.ravel())
    return None if moved is None else call.net.reshape(moved, arrangement.shape)


def _outer(call: Call, kind: type[ir.Binary], sides: list[Item], shape: tuple[int, ...], key: str) -> Value:
    """Neither side has the shape of the result: both become canonical with its rank."""
    order = canonical_order(len(shape))
    tensors = []
    for side in sides:
        padded = (1,) * (len(shape) - len(side.shape)) + tuple(side.shape)
        if isinstance(side, Value):
            tensors.append(call.net.lay(Value(side.tensor, side.where.reshape(padded)), order).tensor)
        else:
            memory = side.reshape(padded).transpose(order).reshape(physical_shape(padded, order))
            tensors.append(call.net.constant(memory, call.label(key)))
    return Value(call.emit(kind, tensors, physical_shape(shape, order)), spread(shape))


def _operands(call: Call) -> tuple[Item, Item]:
    """Both sides, the second times `alpha`."""
    a, b, alpha = call.args["self"], call.args["other"], call.get("alpha", 1)
    return a, b if alpha == 1 else binary(call, ir.Mul, b, alpha, "alpha")


def arithmetic(call: Call, kind: type[ir.Binary]) -> Item:
    a, b = _operands(call)
    return binary(call, kind, a, b, "other" if isinstance(a, Value) else "self")


def reversed_subtraction(call: Call) -> Item:
    a, b = _operands(call)
    return binary(call, ir.Sub, b, a)


def division(call: Call) -> Item:
    quotient = _quotient(call)
    match call.args.get("rounding_mode"):
        case "floor":
            return unary(call, ir.Floor, quotient)
        case "trunc":
            return unary(call, ir.Function, quotient, function="trunc")
    return quotient


def floor_division(call: Call) -> Item:
    return unary(call, ir.Floor, _quotient(call))


def _quotient(call: Call) -> Item:
    divisor = call.args["other"]
    if isinstance(divisor, Value):
        return binary(call, ir.Div, call.args["self"], divisor)
    return binary(call, ir.Mul, call.args["self"], 1 / np.asarray(divisor, np.float64))


def negation(call: Call) -> Item:
    return binary(call, ir.Mul, call.args["self"], -1.0)


def clamp(call: Call) -> Value:
    return clamped(call, call.args.get("min"), call.args.get("max"))


def hardtanh(call: Call) -> Value:
    return clamped(call, call.get("min_val", -1.0), call.get("max_val", 1.0))


def clamped(call: Call, low: Any, high: Any) -> Value:
    """Clamps that the graph has, or a maximum and a minimum with constants."""
    if any(isinstance(bound, Value | np.ndarray) for bound in (low, high)):
        x = call.value() if low is None else binary(call, ir.Maximum, call.value(), low, "min")
        return x if high is None else binary(call, ir.Minimum, x, high, "max")
    bounds = (-math.inf if low is None else float(low), math.inf if high is None else float(high))
    x = call.value()
    for activation in (ir.Activation.RELU, ir.Activation.RELU6, ir.Activation.RELU_N1_TO_1):
        if activation.bounds == bounds:
            return unary(call, ir.Relu, x, activation=activation)
    if bounds[0] == 0.0:
        x = unary(call, ir.Relu, x, activation=ir.Activation.RELU)
    elif bounds[0] > -math.inf:
        x = binary(call, ir.Maximum, x, bounds[0], "min")
    return x if bounds[1] == math.inf else binary(call, ir.Minimum, x, bounds[1], "max")


def fixed_clamp(call: Call, low: float, high: float) -> Value:
    return clamped(call, low, high)


def by_row(call: Call, row: Row) -> Item:
    """A function of one variable whose attributes are PyTorch's arguments."""
    arguments = {name: call.args.get(key) for name, key in row.torch_attributes.items()}
    attributes = {name: float(value) for name, value in arguments.items() if value is not None}
    item = call.args.get("self", call.args.get("input"))
    if isinstance(item, np.ndarray):
        return _of_constants(row.op(inputs=(), outputs=(), **attributes), item)
    return unary(call, row.op, call.value("self" if "self" in call.args else "input"), **attributes)


def selu(call: Call) -> Value:
    """Klambauer et al. (2017): ELU with two constants."""
    return unary(call, ir.Elu, call.value(), alpha=_SELU_ALPHA, factor=_SELU_FACTOR)


def celu(call: Call) -> Value:
    """max(0, x) + min(0, alpha * (exp(x / alpha) - 1))."""
    alpha = float(call.get("alpha", 1.0))
    return unary(call, ir.Elu, call.value(), alpha=alpha, exponent_factor=1 / alpha)


def gelu(call: Call) -> Value:
    return unary(call, ir.Gelu, call.value(), approximate=call.get("approximate", "none") == "tanh")


def leaky_relu(call: Call) -> Value:
    return unary(call, ir.LeakyRelu, call.value(), alpha=float(call.get("negative_slope", 0.01)))


def prelu(call: Call) -> Item:
    """One slope, or one per channel: the second axis, if there is one."""
    slope = call.constant("weight")
    if slope is None:
        raise RefusalError("its slope is computed; make it a parameter")
    if slope.size > 1:
        rank = call.value().rank
        return binary(call, ir.Prelu, call.value(), slope.reshape((-1, *(1,) * max(rank - 2, 0))), "weight")
    return unary(call, ir.LeakyRelu, call.value(), alpha=float(slope.ravel()[0]))


def log_sigmoid(call: Call) -> Value:
    return unary(call, ir.Softplus, call.value(), beta=-1.0)


def softmax(call: Call) -> Value:
    if call.get("dtype", "float32") != "float32":
        raise RefusalError(f"its result is {call.get('dtype')}; leave dtype out")
    return softmax_value(call, call.value(), call.get("dim"))


def softmax_value(call: Call, x: Value, dim: int, beta: float = 1.0) -> Value:
    """The graph's softmax runs over the last axis of its tensor."""
    axis = axis_of(dim, x.rank)
    laid = call.net.lay(x)
    if laid.axis(axis) != len(laid.shape) - 1:
        laid = call.net.lay(x, (*(a for a in range(x.rank) if a != axis), axis))
    return laid.value(call.emit(ir.Softmax, [laid.tensor], laid.shape, beta=beta), x.shape)


RULES: Mapping[str, Callable[[Call], Any]] = {
    "aten.add": functools.partial(arithmetic, kind=ir.Add),
    "aten.sub": functools.partial(arithmetic, kind=ir.Sub),
    "aten.mul": functools.partial(arithmetic, kind=ir.Mul),
    "aten.maximum": functools.partial(arithmetic, kind=ir.Maximum),
    "aten.minimum": functools.partial(arithmetic, kind=ir.Minimum),
    "aten.rsub": reversed_subtraction,
    "aten.div": division,
    "aten.true_divide": division,
    "aten.floor_divide": floor_division,
    "aten.subtract": functools.partial(arithmetic, kind=ir.Sub),
    "aten.multiply": functools.partial(arithmetic, kind=ir.Mul),
    "aten.fmax": functools.partial(arithmetic, kind=ir.Maximum),
    "aten.fmin": functools.partial(arithmetic, kind=ir.Minimum),
    "aten.neg": negation,
    "aten.clamp": clamp,
    "aten.clamp_min": clamp,
    "aten.clamp_max": clamp,
    "aten.hardtanh": hardtanh,
    "aten.relu": functools.partial(fixed_clamp, low=0.0, high=math.inf),
    "aten.relu6": functools.partial(fixed_clamp, low=0.0, high=6.0),
    "aten.leaky_relu": leaky_relu,
    "aten.prelu": prelu,
    **{name: functools.partial(by_row, row=row) for row in ELEMENTWISE.values() for name in row.torch},
    "aten.gelu": gelu,
    "aten.selu": selu,
    "aten.celu": celu,
    "aten.log_sigmoid": log_sigmoid,
    "aten.softmax": softmax,
    "aten._softmax": softmax,
}
