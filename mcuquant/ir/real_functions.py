"""Element-wise operations on real numbers, in single precision: each takes the operation and float32 arrays.

A function that is a chain of simpler ones rounds after each of them, as its chain of float32 operators in a .tflite.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .graph import Array
from .operation import Activation

_MOST_NEGATIVE_EXPONENT = -87
"""The exponential of smaller values is no normal number in single precision."""
_ONE = np.float32(1)


def _single(function: Callable[[Any], Any]) -> Callable[[Array], Array]:
    """`function` computed in double precision and rounded once, as by a good float32 library."""

    def rounded(x: Array) -> Array:
        with np.errstate(all="ignore"):
            return np.asarray(function(np.asarray(x, np.float64))).astype(np.float32)

    return rounded


_exp, _log, _sqrt, _tanh = (_single(function) for function in (np.exp, np.log, np.sqrt, np.tanh))
_erf = _single(np.vectorize(math.erf, otypes=[np.float64]))


def activate(x: Array, activation: Activation) -> Array:
    """The fused activation of a float operation."""
    low, high = (np.float32(bound) for bound in activation.bounds)
    return np.clip(x, low, high)


def add(op: Any, a: Array, b: Array) -> Array:
    return activate(a + b, op.activation)


def sub(op: Any, a: Array, b: Array) -> Array:
    return activate(a - b, op.activation)


def mul(op: Any, a: Array, b: Array) -> Array:
    return activate(a * b, op.activation)


def div(op: Any, a: Array, b: Array) -> Array:
    with np.errstate(divide="ignore", invalid="ignore"):
        return activate(np.asarray(a / b, np.float32), op.activation)


def floor_div(_: Any, a: Array, b: Array) -> Array:
    return np.asarray(np.floor(np.asarray(a / b, np.float32)), np.float32)


def floor_mod(_: Any, a: Array, b: Array) -> Array:
    rest = np.fmod(a, b)
    return np.asarray(np.where((rest != 0) & ((rest < 0) != (b < 0)), rest + b, rest), np.float32)


def squared_difference(_: Any, a: Array, b: Array) -> Array:
    difference: Array = a - b
    return difference * difference


def prelu(_: Any, x: Array, slope: Array) -> Array:
    result: Array = np.where(x >= 0, x, x * slope)
    return result


def maximum(_: Any, a: Array, b: Array) -> Array:
    return np.maximum(a, b)


def minimum(_: Any, a: Array, b: Array) -> Array:
    return np.minimum(a, b)


def relu(op: Any, x: Array) -> Array:
    return activate(x, op.activation)


def leaky_relu(op: Any, x: Array) -> Array:
    result: Array = np.where(x > 0, x, x * np.float32(op.alpha))
    return result


def logistic(_: Any, x: Array) -> Array:
    result: Array = _ONE / (_ONE + np.exp(-np.clip(x, _MOST_NEGATIVE_EXPONENT, None)))
    return result


def tanh(_: Any, x: Array) -> Array:
    return np.tanh(x)


def hard_swish(_: Any, x: Array) -> Array:
    return x * np.clip(x + np.float32(3), 0, 6) / np.float32(6)


def hard_sigmoid(_: Any, x: Array) -> Array:
    return np.clip(x + np.float32(3), 0, 6) * np.float32(1 / 6)


def silu(op: Any, x: Array) -> Array:
    return x * logistic(op, x)


def elu(op: Any, x: Array) -> Array:
    exponent = np.minimum(x, 0) * np.float32(op.exponent_factor)
    below = np.float32(op.alpha) * (_exp(exponent) - _ONE)
    result: Array = np.where(x < 0, below, x) * np.float32(op.factor)
    return result


def gelu(op: Any, x: Array) -> Array:
    half = np.float32(0.5)
    if op.approximate:
        inner = np.float32(math.sqrt(2 / math.pi)) * (x + np.float32(0.044715) * (x * x * x))
        return half * x * (_ONE + _tanh(inner))
    return half * x * (_ONE + _erf(x * np.float32(math.sqrt(0.5))))


def _softplus(x: Array) -> Array:
    return np.maximum(x, 0) + _log(_ONE + _exp(-np.abs(x)))


def softplus(op: Any, x: Array) -> Array:
    return _softplus(x * np.float32(op.beta)) * np.float32(1 / op.beta)


def mish(_: Any, x: Array) -> Array:
    return x * _tanh(_softplus(x))


def absolute(_: Any, x: Array) -> Array:
    return np.abs(x)


def negative(_: Any, x: Array) -> Array:
    return -x


def square(_: Any, x: Array) -> Array:
    return x * x


def sqrt(_: Any, x: Array) -> Array:
    return _sqrt(x)


def rsqrt(_: Any, x: Array) -> Array:
    with np.errstate(divide="ignore", invalid="ignore"):
        return _ONE / np.sqrt(x)


def reciprocal(_: Any, x: Array) -> Array:
    with np.errstate(divide="ignore"):
        return _ONE / x


def exp(_: Any, x: Array) -> Array:
    return _exp(x)


def log(_: Any, x: Array) -> Array:
    return _log(x)


_sin, _cos = _single(np.sin), _single(np.cos)


def sin(_: Any, x: Array) -> Array:
    return _sin(x)


def cos(_: Any, x: Array) -> Array:
    return _cos(x)


def floor(_: Any, x: Array) -> Array:
    return np.floor(x)


def ceil(_: Any, x: Array) -> Array:
    return np.ceil(x)


def round_to_even(_: Any, x: Array) -> Array:
    return np.rint(x)
