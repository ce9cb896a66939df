"""Operators on constants alone, computed during the import: masks, positions, weights derived from parameters.

Types are PyTorch's: division of integers gives float32, and only float64 inputs give float64.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .. import ir
from ..ir.elementwise_table import ELEMENTWISE
from ..ir.named_functions import NAMED
from .axis_order import Value, check_size
from .net_builder import Array, Call, RefusalError

Item = Any


def on_constants(call: Call) -> Item | None:
    """The result of an operator whose tensors are all constants; None for unsupported operators."""
    if call.op in _NEW and "self" in call.args:
        return _NEW[call.op](call)
    rule = CONSTANT_RULES.get(call.op)
    arrays = [part for part in _parts(call.args.values()) if isinstance(part, np.ndarray)]
    if rule is None or not arrays or any(isinstance(part, Value) for part in _parts(call.args.values())):
        return None
    with np.errstate(all="ignore"):
        result = rule(call)
    double = any(array.dtype == np.float64 for array in arrays)
    return result if double else _single(result)


def _parts(items: Any) -> list[Item]:
    return [part for item in items for part in (_parts(item) if isinstance(item, tuple) else [item])]


def _single(result: Item) -> Item:
    if isinstance(result, tuple):
        return tuple(map(_single, result))
    array = np.asarray(result)
    check_size(array.shape)
    return array.astype(np.float32) if array.dtype == np.float64 else array


def _x(call: Call) -> Array:
    return np.asarray(call.args.get("self", call.args.get("input")))


def _other(call: Call) -> Array:
    other = np.asarray(call.args["other"])
    alpha = call.get("alpha", 1)
    return other if alpha == 1 else other * alpha


def _two(function: Callable[..., Any]) -> Callable[[Call], Array]:
    return lambda call: np.asarray(function(_x(call), _other(call)))


def _one(function: Callable[..., Any]) -> Callable[[Call], Array]:
    def rule(call: Call) -> Array:
        x = _x(call)
        return np.asarray(function(x if x.dtype.kind in "fb" else x.astype(np.float32)))

    return rule


def _kept(function: Callable[..., Any]) -> Callable[[Call], Array]:
    """A function whose results have the type of its input."""
    return lambda call: np.asarray(function(_x(call)))


def _divided(call: Call) -> Array:
    a, b = _x(call), np.asarray(call.args["other"])
    match call.args.get("rounding_mode"):
        case "floor":
            return np.asarray(np.floor_divide(a, b))
        case "trunc":
            quotient = np.trunc(np.true_divide(a, b))
            return np.asarray(quotient, np.result_type(a, b))
    return np.asarray(np.true_divide(a, b))


def _axes(call: Call, key: str = "dim") -> tuple[int, ...] | None:
    dims = call.args.get(key)
    if dims is None or dims == ():
        return None
    return dims if isinstance(dims, tuple) else (dims,)


def _reduced(function: Callable[..., Any], *, both: bool = False) -> Callable[[Call], Item]:
    """`both`: over one axis, indices are a second output, which has no reader here."""

    def rule(call: Call) -> Item:
        result = np.asarray(function(_x(call), axis=_axes(call), keepdims=bool(call.get("keepdim", False))))
        return (result, None) if both and call.args.get("dim") is not None else result

    return rule


def _extreme(function: Callable[..., Any], pairwise: Callable[..., Any]) -> Callable[[Call], Item]:
    reduced = _reduced(function, both=True)
    return lambda call: np.asarray(pairwise(_x(call), call.args["other"])) if "other" in call.args else reduced(call)


def _spread(call: Call, function: Callable[..., Any]) -> Array:
    correction = call.args.get("correction")
    correction = (1 if call.get("unbiased", True) else 0) if correction is None else correction
    keep = bool(call.get("keepdim", False))
    return np.asarray(function(_x(call), axis=_axes(call), ddof=correction, keepdims=keep))


def _norm(call: Call) -> Array:
    order = call.get("ord", call.get("p", 2))
    order = 2 if order == "fro" else order
    x, axes, keep = np.abs(_x(call)), _axes(call), bool(call.get("keepdim", False))
    if np.isinf(order):
        return np.asarray(x.max(axis=axes, keepdims=keep))
    return np.asarray((x**order).sum(axis=axes, keepdims=keep) ** (1 / order))


def _renormalized(call: Call) -> Array:
    """Slices along `dim` whose norm exceeds the limit, scaled to the limit (by PyTorch's formula)."""
    x, p, limit = _x(call), call.get("p"), call.get("maxnorm")
    axes = tuple(axis for axis in range(x.ndim) if axis != call.get("dim") % x.ndim)
    norm = (np.abs(x) ** p).sum(axis=axes, keepdims=True) ** (1 / p)
    return np.asarray(np.where(norm > limit, x * (limit / (norm + 1e-7)), x))


def _softmax(call: Call) -> Array:
    x = _x(call)
    powers = np.exp(x - x.max(axis=call.get("dim"), keepdims=True))
    return np.asarray(powers / powers.sum(axis=call.get("dim"), keepdims=True))


def _einsum(call: Call) -> Array:
    return np.asarray(np.einsum(call.get("equation"), *call.get("tensors")))


def _linear(call: Call) -> Array:
    y = np.asarray(call.args["input"]) @ np.asarray(call.args["weight"]).T
    bias = call.args.get("bias")
    return np.asarray(y if bias is None else y + np.asarray(bias))


def _batch_norm(call: Call) -> Array:
    """With the statistics of the constant itself, as in weight standardization."""
    x = _x(call)
    axes, shape = (0, *range(2, x.ndim)), (1, -1, *(1,) * (x.ndim - 2))
    mean, variance = x.mean(axes), x.var(axes)
    if not call.get("training", False):
        mean, variance = call.args["running_mean"], call.args["running_var"]
    y = (x - mean.reshape(shape)) / np.sqrt(variance.reshape(shape) + call.get("eps", 1e-5))
    weight, bias = (call.args.get(key) for key in ("weight", "bias"))
    y = y if weight is None else y * weight.reshape(shape)
    return np.asarray(y if bias is None else y + bias.reshape(shape))


def _product(call: Call) -> Array:
    right = next(call.args[key] for key in ("other", "mat2", "vec", "tensor", "vec2") if key in call.args)
    return np.asarray(np.matmul(_x(call), right))


def _clamped(call: Call) -> Array:
    low, high = call.args.get("min"), call.args.get("max")
    return np.asarray(np.clip(_x(call), low, high)) if (low, high) != (None, None) else _x(call)


def _index_selection(call: Call) -> Array:
    return np.asarray(np.where(call.args["condition"], call.args["self"], call.args["other"]))


def _filled(call: Call) -> Array:
    x = _x(call)
    return np.where(call.args["mask"], np.asarray(call.args["value"]).astype(x.dtype), x)


def _indexed(call: Call) -> Array:
    indices = tuple(slice(None) if i is None else np.asarray(i) for i in call.get("indices"))
    return np.asarray(_x(call)[indices])


def _embedded(call: Call) -> Array:
    return np.asarray(np.take(call.args["weight"], call.args["indices"], 0))


def _cast(call: Call) -> Item:
    dtype = call.get("dtype", call.args["other"].dtype if isinstance(call.args.get("other"), np.ndarray) else None)
    return _x(call) if dtype in (None, "bfloat16") else _x(call).astype(dtype)


def _one_hot(call: Call) -> Array:
    count = call.get("num_classes", -1)
    x = _x(call)
    return np.asarray(np.eye(int(x.max()) + 1 if count < 0 else count, dtype=np.int64)[x])


_FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    **{name: function for name, (count, function) in NAMED.items() if count == 0},
    **{name: getattr(np, name) for name in ("exp", "log", "sqrt", "sin", "cos", "tanh")},
    "rsqrt": lambda x: 1 / np.sqrt(x),
    "reciprocal": lambda x: 1 / x,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "silu": lambda x: x / (1 + np.exp(-x)),
    "softplus": lambda x: np.logaddexp(x, 0),
    "gelu": lambda x: ELEMENTWISE[ir.Gelu].real(ir.Gelu(inputs=(), outputs=()), x),  # type: ignore[misc]
    "elu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
}
_TYPE_KEEPING: Mapping[str, Callable[..., Any]] = {
    "neg": np.negative,
    "abs": np.abs,
    "square": np.square,
    "floor": np.floor,
    "ceil": np.ceil,
    "round": np.rint,
    "relu": lambda x: np.maximum(x, 0),
    "logical_not": np.logical_not,
    "bitwise_not": np.invert,
    "clone": lambda x: x,
    "diag": np.diag,
    "linalg_inv": np.linalg.inv,
}
_PAIRS: Mapping[str, Callable[..., Any]] = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "rsub": lambda a, b: b - a,
    "eq": np.equal,
    "ne": np.not_equal,
    "lt": np.less,
    "le": np.less_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
    "maximum": np.maximum,
    "minimum": np.minimum,
    "floor_divide": np.floor_divide,
    "remainder": np.mod,
    "fmod": np.fmod,
    "logical_and": np.logical_and,
    "logical_or": np.logical_or,
    "logical_xor": np.logical_xor,
    "bitwise_and": np.bitwise_and,
    "bitwise_or": np.bitwise_or,
    "__and__": np.bitwise_and,
    "__or__": np.bitwise_or,
    "atan2": np.arctan2,
}
_PRODUCTS = ("matmul", "mm", "bmm", "mv", "dot", "vdot")

CONSTANT_RULES: Mapping[str, Callable[[Call], Item]] = {
    **{f"aten.{name}": _one(function) for name, function in _FUNCTIONS.items()},
    **{f"aten.{name}": _kept(function) for name, function in _TYPE_KEEPING.items()},
    **{f"aten.{name}": _two(function) for name, function in _PAIRS.items()},
    **{f"aten.{name}": _product for name in _PRODUCTS},
    "aten.div": _divided,
    "aten.pow": lambda call: np.asarray(np.power(_x(call), call.args["exponent"])),
    "aten.clamp": _clamped,
    "aten.clamp_min": _clamped,
    "aten.clamp_max": _clamped,
    "aten.where": _index_selection,
    "aten.masked_fill": _filled,
    "aten.tril": lambda call: np.tril(_x(call), call.get("diagonal", 0)),
    "aten.triu": lambda call: np.triu(_x(call), call.get("diagonal", 0)),
    "aten.cumsum": lambda call: np.cumsum(_x(call), call.get("dim")),
    "aten.cumprod": lambda call: np.cumprod(_x(call), call.get("dim")),
    "aten.outer": lambda call: np.outer(_x(call), call.args["vec2"]),
    "aten.sum": _reduced(np.sum),
    "aten.mean": _reduced(np.mean),
    "aten.prod": _reduced(np.prod),
    "aten.any": _reduced(np.any),
    "aten.all": _reduced(np.all),
    "aten.amax": _reduced(np.max),
    "aten.amin": _reduced(np.min),
    "aten.max": _extreme(np.max, np.maximum),
    "aten.min": _extreme(np.min, np.minimum),
    "aten.var": functools.partial(_spread, function=np.var),
    "aten.std": functools.partial(_spread, function=np.std),
    "aten.norm": _norm,
    "aten.linalg_vector_norm": _norm,
    "aten.renorm": _renormalized,
    "aten.softmax": _softmax,
    "aten._softmax": _softmax,
    "aten.einsum": _einsum,
    "aten.linear": _linear,
    "aten.batch_norm": _batch_norm,
    "aten.index": _indexed,
    "aten.embedding": _embedded,
    "aten.gather": lambda call: np.take_along_axis(_x(call), np.asarray(call.args["index"]), call.get("dim")),
    "aten.isnan": lambda call: np.isnan(_x(call)),
    "aten.to": _cast,
    "aten._to_copy": _cast,
    "aten.type_as": _cast,
    "aten.repeat_interleave": lambda call: np.repeat(_x(call), call.get("repeats"), call.args.get("dim")),
    "aten.one_hot": _one_hot,
    "aten.fill": lambda call: np.full_like(_x(call), call.args["value"]),
}


def _type(call: Call, default: str = "float32") -> Any:
    dtype = call.get("dtype", default)
    return np.float32 if dtype in ("bfloat16", "float16", "an unknown type") else dtype


def _new(value: float | None) -> Callable[[Call], Array]:
    """With the size of the tensor, or the given size; the values have no effect."""

    def rule(call: Call) -> Array:
        item = call.args["self"]
        size = call.args.get("size", item.shape if isinstance(item, Value | np.ndarray) else None)
        check_size(size)
        own = "float32" if isinstance(item, Value) else str(item.dtype)
        fill = call.get("fill_value", 0) if value is None else value
        if np.size(fill) != 1:
            raise RefusalError("its value is a tensor; use a number")
        return np.full(size, np.asarray(fill).item(), _type(call, own))

    return rule


_NEW: Mapping[str, Callable[[Call], Array]] = {
    "aten.zeros_like": _new(0),
    "aten.ones_like": _new(1),
    "aten.full_like": _new(None),
    "aten.empty_like": _new(0),
    "aten.new_zeros": _new(0),
    "aten.new_ones": _new(1),
    "aten.new_full": _new(None),
    "aten.new_empty": _new(0),
}
_FILL_VALUES = {"aten.zeros": 0, "aten.ones": 1, "aten.empty": 0}


def filled(call: Call) -> Array:
    """zeros, ones and full with a known size."""
    check_size(call.get("size"))
    value = _FILL_VALUES.get(call.op, call.get("fill_value"))
    integer = isinstance(value, int) and call.op == "aten.full" and not isinstance(value, bool)
    return np.full(call.get("size"), value, _type(call, "int64" if integer else "float32"))


def arange(call: Call) -> Array:
    start, end, step = call.get("start", 0), call.get("end"), call.get("step", 1)
    check_size([max(0, int(np.ceil((end - start) / step)))])
    whole = all(isinstance(number, int) for number in (start, end, step))
    return np.arange(start, end, step).astype(_type(call, "int64" if whole else "float32"))


def linspace(call: Call) -> Array:
    check_size([call.get("steps")])
    return np.linspace(call.get("start"), call.get("end"), call.get("steps")).astype(_type(call))


def identity_matrix(call: Call) -> Array:
    check_size([call.get("n"), call.get("m", call.get("n"))])
    return np.eye(call.get("n"), call.get("m", call.get("n"))).astype(_type(call))


def window(call: Call) -> Array:
    """Periodic by default, as in torch."""
    size = call.get("window_length")
    check_size([size])
    points = size + 1 if call.get("periodic", True) else size
    shapes = {"aten.hann_window": np.hanning, "aten.hamming_window": np.hamming, "aten.blackman_window": np.blackman}
    return shapes[call.op](points)[:size].astype(np.float32)


def scalar(call: Call) -> Array:
    return np.asarray(call.args["s"], _type(call))


def meshgrid(call: Call) -> tuple[Array, ...]:
    tensors = call.get("tensors")
    if not all(isinstance(t, np.ndarray) for t in tensors):
        raise RefusalError("its tensors are computed; make them buffers")
    return tuple(np.meshgrid(*tensors, indexing=call.get("indexing", "ij")))


RULES: Mapping[str, Callable[[Call], Any]] = {
    "aten.zeros": filled,
    "aten.ones": filled,
    "aten.empty": filled,
    "aten.full": filled,
    "aten.arange": arange,
    "aten.linspace": linspace,
    "aten.eye": identity_matrix,
    "aten.hann_window": window,
    "aten.hamming_window": window,
    "aten.blackman_window": window,
    "aten.scalar_tensor": scalar,
    "aten.meshgrid": meshgrid,
}
