"""Normalization and statistics of computed values, from means, differences, squares and reciprocal roots."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .. import ir
from .axis_order import Value
from .elementwise_ops import binary, unary
from .net_builder import Array, Call, RefusalError, axis_of
from .pool_ops import reduce_value
from .shape_ops import arranged
from .weighted_ops import batch_norm

Item = Any


def _standardised(call: Call, x: Value, axes: tuple[int, ...], eps: float) -> Value:
    """(x - mean) / sqrt(variance + eps) over torch axes; Ba et al. (2016), equation 3."""
    centred = binary(call, ir.Sub, x, reduce_value(call, x, ir.Mean, axes, keep=True))
    variance = reduce_value(call, unary(call, ir.Square, centred), ir.Mean, axes, keep=True)
    root = unary(call, ir.Rsqrt, binary(call, ir.Add, variance, eps, "eps"))
    result: Value = binary(call, ir.Mul, centred, root)
    return result


def _scaled(call: Call, x: Value, weight: Array | None, bias: Array | None) -> Value:
    """x * weight + bias; with one of each for every channel in memory, as batch normalization, which layers absorb."""
    if weight is not None and bias is not None and weight.size == weight.shape[0] > 1:
        laid = call.net.lay(x)
        if laid.order[-1] == x.rank - weight.ndim:
            constants = [call.net.constant(p.ravel(), call.label(n)) for p, n in ((weight, "weight"), (bias, "bias"))]
            output = call.emit(ir.BatchNorm, [laid.tensor, *constants], laid.shape)
            return laid.value(output, x.shape)
    if weight is not None:
        x = binary(call, ir.Mul, x, weight, "weight")
    return x if bias is None else binary(call, ir.Add, x, bias, "bias")


def layer_norm(call: Call) -> Value:
    x = call.value("input")
    axes = tuple(range(x.rank - len(call.get("normalized_shape")), x.rank))
    y = _standardised(call, x, axes, call.get("eps", 1e-5))
    return _scaled(call, y, call.constant("weight"), call.constant("bias"))


def layer_norm_and_statistics(call: Call) -> tuple[Any, ...]:
    return layer_norm(call), None, None


def rms_norm(call: Call) -> Value:
    """Zhang and Sennrich (2019), equation 4."""
    x = call.value("input")
    axes = tuple(range(x.rank - len(call.get("normalized_shape")), x.rank))
    power = reduce_value(call, unary(call, ir.Square, x), ir.Mean, axes, keep=True)
    eps = call.get("eps", float(np.finfo(np.float32).eps))
    y = binary(call, ir.Mul, x, unary(call, ir.Rsqrt, binary(call, ir.Add, power, eps, "eps")))
    return _scaled(call, y, call.constant("weight"), None)


def _by_channel(parameter: Array | None, rank: int) -> Array | None:
    return None if parameter is None else parameter.reshape((-1, *(1,) * (rank - 2)))


def group_norm(call: Call) -> Value:
    """Wu and He (2018): over the channels of each group and all pixels."""
    x, groups = call.value("input"), call.get("num_groups")
    split = Value(x.tensor, x.where.reshape(x.shape[0], groups, -1, *x.shape[2:]))
    y = _standardised(call, split, tuple(range(2, split.rank)), call.get("eps", 1e-5))
    joined = Value(y.tensor, y.where.reshape(x.shape))
    weight, bias = (_by_channel(call.constant(key), x.rank) for key in ("weight", "bias"))
    return _scaled(call, joined, weight, bias)


def instance_norm(call: Call) -> Value:
    """With running statistics it is batch normalization."""
    if not call.get("use_input_stats", True):
        return batch_norm(call)
    x = call.value("input")
    y = _standardised(call, x, tuple(range(2, x.rank)), call.get("eps", 1e-5))
    weight, bias = (_by_channel(call.constant(key), x.rank) for key in ("weight", "bias"))
    return _scaled(call, y, weight, bias)


def _axes(call: Call, x: Value) -> tuple[int, ...]:
    dims = call.get("dim", ())
    dims = dims if isinstance(dims, tuple) else (dims,)
    return tuple(axis_of(axis, x.rank) for axis in dims) or tuple(range(x.rank))


def variance(call: Call) -> Value:
    x = call.value()
    axes, keep = _axes(call, x), bool(call.get("keepdim", False))
    correction = call.args.get("correction")
    correction = (1 if call.get("unbiased", True) else 0) if correction is None else correction
    count = math.prod(x.shape[axis] for axis in axes)
    centred = binary(call, ir.Sub, x, reduce_value(call, x, ir.Mean, axes, keep=True))
    mean = reduce_value(call, unary(call, ir.Square, centred), ir.Mean, axes, keep=keep)
    factor = count / (count - correction)
    return mean if factor == 1 else binary(call, ir.Mul, mean, factor, "correction")


def deviation(call: Call) -> Value:
    return unary(call, ir.Sqrt, variance(call))


def log_softmax(call: Call) -> Value:
    """x - max(x) - log(sum(exp(x - max(x))))."""
    x = call.value()
    axes = (axis_of(call.get("dim"), x.rank),)
    below = binary(call, ir.Sub, x, reduce_value(call, x, ir.ReduceMax, axes, keep=True))
    total = reduce_value(call, unary(call, ir.Exp, below), ir.Sum, axes, keep=True)
    result: Value = binary(call, ir.Sub, below, unary(call, ir.Log, total))
    return result


def vector_norm(call: Call) -> Item:
    item = call.args["self"]
    order = call.get("ord", call.get("p", 2))
    if isinstance(item, np.ndarray):
        dim = call.args.get("dim")
        axis = dim if dim is None or isinstance(dim, int) else tuple(dim)
        return np.linalg.norm(item, order, axis, keepdims=bool(call.get("keepdim", False)))
    x = call.value()
    return vector_norm_value(call, x, _axes(call, x), order, keep=bool(call.get("keepdim", False)))


def vector_norm_value(call: Call, x: Value, axes: tuple[int, ...], order: float, *, keep: bool) -> Value:
    if order == 1:
        return reduce_value(call, unary(call, ir.Abs, x), ir.Sum, axes, keep=keep)
    if order == math.inf:
        return reduce_value(call, unary(call, ir.Abs, x), ir.ReduceMax, axes, keep=keep)
    if order not in (2, "fro"):
        raise RefusalError(f"a norm of order {order} is not translated; use 1, 2 or infinity")
    return unary(call, ir.Sqrt, reduce_value(call, unary(call, ir.Square, x), ir.Sum, axes, keep=keep))


def distances(call: Call) -> Item:
    """The Euclidean distances between the rows of two matrices."""
    if call.get("p", 2.0) != 2:
        raise RefusalError(f"its norm is of order {call.get('p')}; expected 2")
    rows = arranged(call.args["x1"], lambda a: a[..., :, None, :])
    others = arranged(call.args["x2"], lambda a: a[..., None, :, :])
    squares = unary(call, ir.Square, binary(call, ir.Sub, rows, others, "x2"))
    return unary(call, ir.Sqrt, reduce_value(call, squares, ir.Sum, (squares.rank - 1,), keep=False))


def weight_norm(call: Call) -> Array:
    """v * g / |v|, with the norm over all axes except `dim`: Salimans and Kingma (2016), equation
    2. All are constants.
    """
    v, g = call.constant("v"), call.constant("g")
    if v is None or g is None:
        raise RefusalError("its weights are computed; remove the normalisation before the export")
    dim = call.get("dim", 0) % v.ndim
    norm = np.sqrt(np.square(v).sum(tuple(axis for axis in range(v.ndim) if axis != dim), keepdims=True))
    return np.asarray(v * (g.reshape(norm.shape) / norm), np.float32)


RULES: Mapping[str, Callable[[Call], Any]] = {
    "aten.layer_norm": layer_norm,
    "aten.native_layer_norm": layer_norm_and_statistics,
    "aten.rms_norm": rms_norm,
    "aten.group_norm": group_norm,
    "aten.instance_norm": instance_norm,
    "aten.log_softmax": log_softmax,
    "aten._log_softmax": log_softmax,
    "aten.var": variance,
    "aten.std": deviation,
    "aten.linalg_vector_norm": vector_norm,
    "aten.norm": vector_norm,
    "aten._weight_norm": weight_norm,
    **dict.fromkeys(("aten.cdist", "aten._cdist_forward"), distances),
}
