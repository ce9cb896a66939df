"""Pooling and reductions over axes."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from .. import ir
from .axis_order import Value
from .elementwise_ops import binary
from .net_builder import Call, Laid, RefusalError, axis_of
from .shape_ops import cut_value, join, runs
from .weighted_ops import as_image, from_image, fully_connected, lifted

Item = Any
"""Value, or an array (constant)."""
_NUMPY: Mapping[type[ir.Reduce], Callable[..., Any]] = {
    ir.Mean: np.mean,
    ir.Sum: np.sum,
    ir.ReduceMax: np.max,
    ir.ReduceMin: np.min,
}


_MOST_WINDOWS = 32


def _spatial(call: Call) -> int:
    return 1 if "1d" in call.op else 2


def _window(call: Call) -> tuple[ir.Pair, ir.Pair, ir.Pair]:
    """(window, stride, padding on each side); the default stride is the window."""
    spatial = _spatial(call)
    window = call.numbers("kernel_size", spatial)
    stride = call.numbers("stride", spatial) if call.get("stride", ()) != () else window
    return lifted(window, 1), lifted(stride, 1), lifted(call.numbers("padding", spatial, 0), 0)


def _count(size: int, window: int, stride: int, pad: int, ceil: bool) -> int:
    """Number of windows along an axis; with `ceil` one may extend past the end, but must start in the input or the
    padding before it.
    """
    count = (size + 2 * pad - window + (stride - 1 if ceil else 0)) // stride + 1
    return count - 1 if ceil and (count - 1) * stride >= size + pad else count


def _extent(laid: Laid, call: Call) -> tuple[tuple[int, int], ir.Pair]:
    """(number of windows down, across), (rows, columns) by which the last window extends past the padding."""
    counts, overhang = [], []
    for size, window, stride, pad in zip(laid.shape[1:3], *_window(call), strict=True):
        count = _count(size, window, stride, pad, call.get("ceil_mode", False))
        counts.append(count)
        overhang.append(max(0, (count - 1) * stride + window - size - 2 * pad))
    return (counts[0], counts[1]), (overhang[0], overhang[1])


def _sides(pads: ir.Pair, overhang: ir.Pair) -> ir.Padding:
    return ir.Padding(top=pads[0], bottom=pads[0] + overhang[0], left=pads[1], right=pads[1] + overhang[1])


def _pool(call: Call, kind: type[ir.Pool], laid: Laid, counts: ir.Pair, padding: ir.Padding, source: int) -> Value:
    window, stride, _ = _window(call)
    batch, channels = laid.shape[0], laid.shape[3]
    shape = (batch, *counts, channels)
    output = call.emit(kind, [source], shape, window=window, stride=stride, padding=padding)
    return call.net.result(output, (batch, channels, *counts))


def max_pool(call: Call) -> Value:
    if set(call.numbers("dilation", _spatial(call), 1)) != {1}:
        return _dilated_max_pool(call)
    rank = _spatial(call) + 2
    laid = call.net.canonical(as_image(call.value(), rank))
    counts, overhang = _extent(laid, call)
    padding = _sides(_window(call)[2], overhang)
    return from_image(_pool(call, ir.MaxPool2D, laid, counts, padding, laid.tensor), rank)


def _dilated_max_pool(call: Call) -> Value:
    """One axis after the other: the maximum of one slice per tap."""
    if call.get("ceil_mode", False):
        raise RefusalError("a dilated window with ceil_mode is not translated; pad before it")
    spatial, x = _spatial(call), call.value()
    values = (call.numbers(key, spatial, default) for key, default in (("padding", 0), ("dilation", 1)))
    window = call.numbers("kernel_size", spatial)
    stride = call.numbers("stride", spatial) if call.get("stride", ()) != () else window
    for axis, (taps, step, pad, dilation) in enumerate(zip(window, stride, *values, strict=True), x.rank - spatial):
        size = x.shape[axis]
        count = (size + 2 * pad - dilation * (taps - 1) - 1) // step + 1
        slices = [
            _tap(call, x, axis, [_inside(w * step - pad, k * dilation, dilation, size) for w in range(count)])
            for k in range(taps)
        ]
        x = slices[0]
        for other in slices[1:]:
            x = binary(call, ir.Maximum, x, other)
    return x


def _inside(start: int, offset: int, dilation: int, size: int) -> int:
    """A tap's position, moved into the tensor by whole taps, which does not change the maximum of the window."""
    place = start + offset
    while place < 0:
        place += dilation
    while place >= size:
        place -= dilation
    return place


def _tap(call: Call, x: Value, axis: int, places: list[int]) -> Value:
    parts = [cut_value(call, x, axis, part) for part in runs(places)]
    joined: Value = join(call, parts, axis)
    return joined


def max_pool_with_indices(call: Call) -> tuple[Any, ...]:
    return max_pool(call), None


def avg_pool(call: Call) -> Value:
    """torch counts padded zeros by default, but not positions past the padding; the graph's pool counts neither."""
    rank = _spatial(call) + 2
    laid = call.net.canonical(as_image(call.value(), rank))
    counts, overhang = _extent(laid, call)
    pads, divisor = _window(call)[2], call.args.get("divisor_override")
    if divisor is not None:
        pooled = _pool(call, ir.AvgPool2D, laid, counts, ir.Padding(), _zero_padded(call, laid, _sides(pads, overhang)))
        pooled = _scaled(call, pooled, math.prod(_window(call)[0]) / divisor)
    elif call.get("count_include_pad", True):
        source = _zero_padded(call, laid, _sides(pads, (0, 0)))
        pooled = _pool(call, ir.AvgPool2D, laid, counts, _sides((0, 0), overhang), source)
    else:
        pooled = _pool(call, ir.AvgPool2D, laid, counts, _sides(pads, overhang), laid.tensor)
    return from_image(pooled, rank)


def avg_pool_of_channels(call: Call) -> Value:
    """A window over one of three axes, as in LocalResponseNorm: an average over that axis."""
    window, padding = call.numbers("kernel_size", 3), call.numbers("padding", 3, 0)
    if window[1:] != (1, 1) or any(padding[1:]) or set(call.numbers("stride", 3, 1)) != {1}:
        raise RefusalError("only windows over the first of three axes are translated; use avg_pool2d")
    x = call.value()
    image = Value(x.tensor, x.where.reshape(1, x.shape[2], 1, -1).transpose(0, 3, 2, 1))
    inner = {"self": image, "kernel_size": (1, window[0]), "stride": (1, 1), "padding": (0, padding[0])}
    pooled = avg_pool(replace(call, op="aten.avg_pool2d", args=inner))
    return Value(pooled.tensor, pooled.where.transpose(0, 3, 2, 1).reshape(*x.shape[:2], -1, *x.shape[3:]))


def argmax(call: Call) -> Value:
    """The index of the largest value; the first of several."""
    return _place(call, call.value())


def argmin(call: Call) -> Value:
    x = call.value()
    return _place(call, Value(binary(call, ir.Mul, x, -1.0).tensor, x.where))


def _place(call: Call, x: Value) -> Value:
    dim = call.args.get("dim")
    x = x if dim is not None else Value(x.tensor, x.where.reshape(-1))
    axis = axis_of(dim or 0, x.rank)
    order = (*(a for a in range(x.rank) if a != axis), axis)
    sizes = [x.shape[a] for a in order]
    source = call.net.reshape(call.net.lay(x, order).tensor, sizes)
    output = call.net.index(ir.ArgMax, source, sizes[:-1], call.name, axis=len(sizes) - 1)
    where = np.arange(math.prod(sizes[:-1])).reshape(sizes[:-1])
    return Value(output, np.expand_dims(where, axis) if call.get("keepdim", False) else where)


def _zero_padded(call: Call, laid: Laid, padding: ir.Padding) -> int:
    if not padding.any:
        return laid.tensor
    pads = ((0, 0), (padding.top, padding.bottom), (padding.left, padding.right), (0, 0))
    shape = tuple(size + sum(pad) for size, pad in zip(laid.shape, pads, strict=True))
    return call.emit(ir.Pad, [laid.tensor], shape, pads=pads)


def _scaled(call: Call, x: Value, factor: float) -> Value:
    constant = call.net.constant(np.full(1, factor), call.label("divisor_override"))
    return Value(call.emit(ir.Mul, [x.tensor, constant], call.net.shape(x.tensor)), x.where)


def adaptive_avg_pool(call: Call) -> Item:
    targets = call.numbers("output_size", _spatial(call))
    if set(targets) == {1}:
        axes = tuple(range(-len(targets), 0))
        return reduce(call, ir.Mean, axes, keep=True)
    return _divide(call, ir.AvgPool2D, targets)


def adaptive_max_pool(call: Call) -> tuple[Any, ...]:
    return _divide(call, ir.MaxPool2D, call.numbers("output_size", _spatial(call))), None


def _divide(call: Call, kind: type[ir.Pool], targets: tuple[int, ...]) -> Value:
    """Adjacent windows of equal size."""
    x, rank = call.value(), _spatial(call) + 2
    laid = call.net.canonical(as_image(x, rank))
    counts = lifted(targets, 1)
    window = tuple(size // count for size, count in zip(laid.shape[1:3], counts, strict=True))
    if any(size % count for size, count in zip(laid.shape[1:3], counts, strict=True)):
        return _unequal(call, x, ir.Mean if kind is ir.AvgPool2D else ir.ReduceMax, targets)
    batch, channels = laid.shape[0], laid.shape[3]
    output = call.emit(kind, [laid.tensor], (batch, *counts, channels), window=window, stride=window)
    return from_image(call.net.result(output, (batch, channels, *counts)), rank)


def _unequal(call: Call, x: Value, kind: type[ir.Reduce], targets: tuple[int, ...]) -> Value:
    """PyTorch's windows from floor(i * size / target) to ceil((i + 1) * size / target), one axis after the other."""
    for axis, target in zip(range(x.rank - len(targets), x.rank), targets, strict=True):
        if target > _MOST_WINDOWS and kind is ir.Mean:
            x = _averaged(call, x, axis, target)
            continue
        if target > _MOST_WINDOWS:
            raise RefusalError(f"its windows differ, {target} along an axis; expected at most {_MOST_WINDOWS}")
        windows = _windows(x.shape[axis], target)
        parts = [reduce_value(call, cut_value(call, x, axis, window), kind, (axis,), keep=True) for window in windows]
        x = join(call, list[Any](parts), axis)
    return x


def _windows(size: int, target: int) -> list[range]:
    return [range(i * size // target, -(-(i + 1) * size // target)) for i in range(target)]


def _averaged(call: Call, x: Value, axis: int, target: int) -> Value:
    """Windows along an axis as a linear layer that averages."""
    weight = np.zeros((target, x.shape[axis]), np.float32)
    for row, window in zip(weight, _windows(x.shape[axis], target), strict=True):
        row[window.start : window.stop] = 1 / len(window)
    y = fully_connected(call, Value(x.tensor, np.moveaxis(x.where, axis, -1)), weight, "windows")
    return Value(y.tensor, np.moveaxis(y.where, -1, axis))


def mean(call: Call) -> Item:
    _only_float32(call)
    return reduce(call, ir.Mean, _dims(call), keep=call.get("keepdim", False))


def total(call: Call) -> Item:
    _only_float32(call)
    return reduce(call, ir.Sum, _dims(call), keep=call.get("keepdim", False))


def extreme_over(call: Call, kind: type[ir.Reduce]) -> Item:
    return reduce(call, kind, _dims(call), keep=call.get("keepdim", False))


def extreme(call: Call, kind: type[ir.Reduce], pairwise: type[ir.Binary]) -> Item:
    """Maximum or minimum of two tensors, of a whole one, or over an axis; indices as a second
    output are not supported.
    """
    if "other" in call.args:
        return binary(call, pairwise, call.args["self"], call.args["other"])
    result = reduce(call, kind, _dims(call), keep=call.get("keepdim", False))
    return (result, None) if "dim" in call.args else result


def _only_float32(call: Call) -> None:
    if call.get("dtype", "float32") != "float32":
        raise RefusalError(f"its result is {call.get('dtype')}; leave dtype out")


def _dims(call: Call) -> tuple[int, ...]:
    dims = call.get("dim", ())
    dims = dims if isinstance(dims, tuple) else (dims,)
    item = call.args["self"]
    return dims or tuple(range(item.rank if isinstance(item, Value) else np.ndim(item)))


def reduce(call: Call, kind: type[ir.Reduce], dims: tuple[int, ...], *, keep: bool) -> Item:
    """Over torch axes `dims` of the call's operand, which may be a constant."""
    item = call.args.get("self")
    if isinstance(item, np.ndarray):
        axes = tuple(axis_of(dim, item.ndim) for dim in dims)
        return _NUMPY[kind](item.astype(np.float32), axis=axes, keepdims=bool(keep))
    return reduce_value(call, call.value(), kind, dims, keep=keep)


def reduce_value(call: Call, x: Value, kind: type[ir.Reduce], dims: tuple[int, ...], *, keep: bool) -> Value:
    """Over torch axes `dims`, without a batch of one."""
    axes = {axis_of(dim, x.rank) for dim in dims}
    laid = call.net.lay(x)
    physical = _reduced(laid, axes)
    if all(laid.shape[axis] == 1 for axis in physical):
        output = laid.tensor
    else:
        shape = [1 if axis in physical else size for axis, size in enumerate(laid.shape)]
        output_shape = shape if keep else [size for axis, size in enumerate(shape) if axis not in physical]
        output = call.emit(kind, [laid.tensor], output_shape, axes=physical)
    shape_with_ones = [1 if axis in axes else size for axis, size in enumerate(x.shape)]
    where = laid.value(output, shape_with_ones).where
    return Value(output, where if keep else where.squeeze(tuple(axes)))


def _reduced(laid: Laid, axes: set[int]) -> tuple[int, ...]:
    """Axes of the graph tensor; both spatial axes if one has size 1, which has the fastest kernels."""
    physical = {laid.axis(axis) for axis in axes} - ({0} if laid.shape[0] == 1 else set())
    spatial = {1, 2} if len(laid.shape) == 4 else set()
    if physical and physical <= spatial and all(laid.shape[axis] == 1 for axis in spatial - physical):
        physical = spatial
    return tuple(sorted(physical))


RULES: Mapping[str, Callable[[Call], Any]] = {
    "aten.max_pool1d": max_pool,
    "aten.max_pool2d": max_pool,
    "aten.max_pool1d_with_indices": max_pool_with_indices,
    "aten.max_pool2d_with_indices": max_pool_with_indices,
    "aten.avg_pool3d": avg_pool_of_channels,
    "aten.argmax": argmax,
    "aten.argmin": argmin,
    "aten.avg_pool1d": avg_pool,
    "aten.avg_pool2d": avg_pool,
    "aten.adaptive_avg_pool1d": adaptive_avg_pool,
    "aten.adaptive_avg_pool2d": adaptive_avg_pool,
    "aten._adaptive_avg_pool2d": adaptive_avg_pool,
    "aten.adaptive_max_pool1d": adaptive_max_pool,
    "aten.adaptive_max_pool2d": adaptive_max_pool,
    "aten.mean": mean,
    "aten.sum": total,
    "aten.amax": functools.partial(extreme_over, kind=ir.ReduceMax),
    "aten.amin": functools.partial(extreme_over, kind=ir.ReduceMin),
    "aten.max": functools.partial(extreme, kind=ir.ReduceMax, pairwise=ir.Maximum),
    "aten.min": functools.partial(extreme, kind=ir.ReduceMin, pairwise=ir.Minimum),
}
