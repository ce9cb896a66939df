"""Functions of one variable that `Function` names: on float32 arrays, each result rounded to single precision once.

A comparison gives 1 if it is true and 0 otherwise. Parameters follow x.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .graph import Array

_erf = np.vectorize(math.erf, otypes=[np.float64])


def _hardshrink(x: Array, limit: float) -> Array:
    return np.where(np.abs(x) > limit, x, 0.0)


def _softshrink(x: Array, limit: float) -> Array:
    return np.sign(x) * np.maximum(np.abs(x) - limit, 0.0)


def _threshold(x: Array, limit: float, value: float) -> Array:
    return np.where(x > limit, x, value)


def _remainder(x: Array, divisor: float) -> Array:
    """Remainder with the divisor's sign, as Python's %."""
    return np.asarray(np.mod(x, divisor))


def _power_of(x: Array, base: float) -> Array:
    return np.asarray(np.power(base, x))


def _logit(x: Array, eps: float) -> Array:
    limited = np.clip(x, eps, 1 - eps)
    return np.asarray(np.log(limited / (1 - limited)))


NAMED: Mapping[str, tuple[int, Callable[..., Array]]] = {
    "erf": (0, _erf),
    "sign": (0, np.sign),
    "trunc": (0, np.trunc),
    "frac": (0, lambda x: x - np.trunc(x)),
    "expm1": (0, np.expm1),
    "log1p": (0, np.log1p),
    "log2": (0, np.log2),
    "log10": (0, np.log10),
    "exp2": (0, np.exp2),
    "tan": (0, np.tan),
    "asin": (0, np.arcsin),
    "acos": (0, np.arccos),
    "atan": (0, np.arctan),
    "sinh": (0, np.sinh),
    "cosh": (0, np.cosh),
    "asinh": (0, np.arcsinh),
    "acosh": (0, np.arccosh),
    "atanh": (0, np.arctanh),
    "tanhshrink": (0, lambda x: x - np.tanh(x)),
    "softsign": (0, lambda x: x / (1 + np.abs(x))),
    "hardshrink": (1, _hardshrink),
    "softshrink": (1, _softshrink),
    "threshold": (2, _threshold),
    "logit": (1, _logit),
    "power": (1, np.power),
    "power_of": (1, _power_of),
    "fmod": (1, np.fmod),
    "remainder": (1, _remainder),
    "eq": (1, lambda x, value: x == value),
    "ne": (1, lambda x, value: x != value),
    "gt": (1, lambda x, value: x > value),
    "ge": (1, lambda x, value: x >= value),
    "lt": (1, lambda x, value: x < value),
    "le": (1, lambda x, value: x <= value),
}
"""Name to (number of parameters, the function on float64 arrays)."""


def named_function(op: Any, x: Array) -> Array:
    """In double precision, rounded once; parameters are single precision numbers, as PyTorch's constants are."""
    parameters = (np.float64(np.float32(value)) for value in op.parameters)
    with np.errstate(all="ignore"):
        result = NAMED[op.function][1](np.asarray(x, np.float64), *parameters)
    return np.asarray(result).astype(np.float32)


def function_problem(name: str, parameters: tuple[float, ...]) -> str | None:
    """The error in a name and its parameters; None if they are valid."""
    if name not in NAMED:
        return f"its function is {name!r}, expected one of {', '.join(sorted(NAMED))}"
    count = NAMED[name][0]
    if len(parameters) != count or not all(math.isfinite(value) for value in parameters):
        return f"its parameters are {list(parameters)}, expected {count} finite numbers"
    return None
