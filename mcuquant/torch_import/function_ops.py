"""Functions of one variable that the graph has only by name, and comparisons: 1 for true, 0 for false."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .. import ir
from .axis_order import Value
from .elementwise_ops import EXCLUDED, binary, unary
from .net_builder import Call, RefusalError

Item = Any
"""Value, array (constant) or number."""


def function(call: Call, name: str, *parameters: float, x: Value | None = None) -> Value:
    x = call.value("self" if "self" in call.args else "input") if x is None else x
    return unary(call, ir.Function, x, function=name, parameters=tuple(float(p) for p in parameters))


def number(item: Item) -> float | None:
    """The single number in a constant, if all its elements are equal."""
    return None if isinstance(item, Value) or np.size(item) != 1 else float(np.asarray(item).item())


def power(call: Call) -> Item:
    base, exponent = call.args["self"], call.args["exponent"]
    if (of := number(base)) is not None:
        return function(call, "power_of", of, x=call.value("exponent"))
    e = number(exponent)
    if e is None or not isinstance(base, Value):
        raise RefusalError("its exponent is a tensor; use a number")
    kinds: Mapping[float, type[ir.Unary]] = {2.0: ir.Square, 0.5: ir.Sqrt, -0.5: ir.Rsqrt, -1.0: ir.Reciprocal}
    if e == 1:
        return base
    return unary(call, kinds[e], base) if e in kinds else function(call, "power", e, x=base)


def shrinkage(call: Call, name: str) -> Value:
    return function(call, name, call.get("lambd", 0.5))


def threshold(call: Call) -> Value:
    return function(call, "threshold", call.get("threshold"), call.get("value"))


def remainder(call: Call, name: str) -> Value:
    divisor = number(call.args["other"])
    if divisor is None:
        raise RefusalError("its divisor is a tensor; use a number")
    return function(call, name, divisor)


def randomized_relu(call: Call) -> Value:
    """In evaluation mode: the mean of its slopes."""
    slope = (call.get("lower", 1 / 8) + call.get("upper", 1 / 3)) / 2
    return unary(call, ir.LeakyRelu, call.value(), alpha=slope)


_MIRRORED = {"gt": "lt", "ge": "le", "lt": "gt", "le": "ge", "eq": "eq", "ne": "ne"}


def comparison(call: Call, name: str) -> Item:
    """With one number a function of the other side, otherwise of the difference."""
    a, b = call.args["self"], call.args["other"]
    if not isinstance(a, Value):
        a, b, name = b, a, _MIRRORED[name]
    if call.net.tensors[a.tensor].is_plain:
        return _of_whole_numbers(call, name, a, b)
    if (value := number(b)) is not None:
        return function(call, name, value, x=a)
    return function(call, name, 0.0, x=binary(call, ir.Sub, a, b))


_RELATIONS = {
    "gt": ir.Relation.GREATER,
    "ge": ir.Relation.GREATER_EQUAL,
    "lt": ir.Relation.LESS,
    "le": ir.Relation.LESS_EQUAL,
    "eq": ir.Relation.EQUAL,
    "ne": ir.Relation.NOT_EQUAL,
}


def _of_whole_numbers(call: Call, name: str, x: Value, other: Item) -> Value:
    value = number(other)
    if value is None or value != int(value):
        raise RefusalError("it compares whole numbers with a tensor or a fraction; use a whole number")
    constant = call.net.whole_number(int(value), call.label("other"))
    shape = call.net.shape(x.tensor)
    truth = call.emit(ir.Compare, [x.tensor, constant], shape, relation=_RELATIONS[name])
    return Value(call.emit(ir.Cast, [truth], shape), x.where)


def both(call: Call) -> Item:
    return binary(call, ir.Mul, _truth(call, "self"), _truth(call, "other"))


def either(call: Call) -> Item:
    return binary(call, ir.Maximum, _truth(call, "self"), _truth(call, "other"))


def opposite(call: Call) -> Item:
    return function(call, "eq", 0.0)


def _truth(call: Call, key: str) -> Item:
    item = call.args[key]
    return item if isinstance(item, Value) else np.asarray(item, np.bool_).astype(np.float32)


def where(call: Call) -> Item:
    """condition * a + (1 - condition) * b, each product exact."""
    return selection(call, call.args["condition"], call.args["self"], call.args["other"])


def masked_fill(call: Call) -> Item:
    value = call.args["value"]
    return selection(call, call.args["mask"], value, call.args["self"])


def selection(call: Call, condition: Item, a: Item, b: Item) -> Item:
    if isinstance(condition, Value):
        opposed = function(call, "eq", 0.0, x=condition)
        parts = _product(call, condition, a), _product(call, opposed, b)
    else:
        mask = np.asarray(condition, np.bool_)
        fills = [_excluding(call, side, m, o) for side, m, o in ((a, mask, b), (b, ~mask, a))]
        if (fill := next((fill for fill in fills if fill is not None), None)) is not None:
            return fill
        parts = _product(call, mask.astype(np.float32), a), _product(call, (~mask).astype(np.float32), b)
    first, second = (p for p in parts)
    if first is None or second is None:
        return second if first is None else first
    return binary(call, ir.Add, first, second)


_FAR = -1e3


def _excluding(call: Call, side: Item, mask: np.ndarray[Any, Any], other: Item) -> Item | None:
    """If `side` is a number below all others, adding it excludes an element as well as replacing it does."""
    value = number(side)
    if value is None or value > _FAR or not isinstance(other, Value):
        return None
    return binary(call, ir.Add, other, np.where(mask, max(value, EXCLUDED), 0.0).astype(np.float32), "mask")


def _product(call: Call, condition: Item, side: Item) -> Item | None:
    """None for a product that is 0 everywhere."""
    if not isinstance(side, Value):
        side = np.asarray(side, np.float32)
        if not side.any():
            return None
        if not np.isfinite(side).all() or float(side.max()) < EXCLUDED:  # -1e9 would leave no integers for the others
            side = np.maximum(np.nan_to_num(side), EXCLUDED)
    if not isinstance(condition, Value) and np.all(condition) and isinstance(side, Value):
        return side
    return binary(call, ir.Mul, condition, side)


_NAMED = {
    **{f"aten.{n}": n for n in ("erf", "sign", "trunc", "frac", "expm1", "log1p", "log2", "log10", "exp2", "tan")},
    **{f"aten.{n}": n for n in ("asin", "acos", "atan", "sinh", "cosh", "asinh", "acosh", "atanh")},
    "aten.sgn": "sign",
    "aten.fix": "trunc",
    "aten.softsign": "softsign",
    "aten.arctan": "atan",
    "aten.special_erf": "erf",
    "aten.special_expm1": "expm1",
    "aten.special_exp2": "exp2",
    "aten.special_log1p": "log1p",
}

RULES: Mapping[str, Callable[[Call], Any]] = {
    **{operator: functools.partial(function, name=name) for operator, name in _NAMED.items()},
    "aten.tanhshrink": functools.partial(function, name="tanhshrink"),
    "aten.pow": power,
    "aten.hardshrink": functools.partial(shrinkage, name="hardshrink"),
    "aten.softshrink": functools.partial(shrinkage, name="softshrink"),
    "aten.threshold": threshold,
    "aten.logit": lambda call: function(call, "logit", call.get("eps", 0.0)),
    "aten.fmod": functools.partial(remainder, name="fmod"),
    "aten.remainder": functools.partial(remainder, name="remainder"),
    "aten.rrelu": randomized_relu,
    **{f"aten.{name}": functools.partial(comparison, name=name) for name in _MIRRORED},
    "aten.logical_and": both,
    "aten.logical_or": either,
    "aten.logical_not": opposite,
    "aten.bitwise_and": both,
    "aten.bitwise_or": either,
    "aten.bitwise_not": opposite,
    "aten.__and__": both,
    "aten.__or__": either,
    "aten.where": where,
    "aten.masked_fill": masked_fill,
}
