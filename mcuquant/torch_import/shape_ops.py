"""Operators that move elements or change only shapes: views, permutations, slices, concatenation, padding."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from .. import ir
from .axis_order import Value, check_size, natural_order, spread
from .net_builder import MOST_AXES, Array, Call, Laid, RefusalError, axis_of

_MOST_SLICED_AXES = 4
"""Maximum number of axes that TensorFlow Lite Micro slices."""
Item = Any
"""Value, or an array (constant)."""


def moved(call: Call, view: Callable[[Array], Array]) -> Item:
    """`view` applied to the positions of a value, or to a constant: no operation is emitted."""
    item = call.args.get("self", call.args.get("input"))
    if isinstance(item, Value):
        return Value(item.tensor, view(item.where))
    if isinstance(item, np.ndarray):
        return view(item)
    raise RefusalError("its input is not a tensor")


def elements(item: Item) -> Array:
    """The positions of a value, or a constant itself."""
    return item.where if isinstance(item, Value) else np.asarray(item)


def arranged(item: Item, view: Callable[[Array], Array]) -> Item:
    return Value(item.tensor, view(item.where)) if isinstance(item, Value) else view(item)


def rank(call: Call) -> int:
    return elements(call.args["self"]).ndim


def identity(call: Call) -> Item:
    if call.get("train", False) or call.get("training", False):
        raise RefusalError("it drops at random; export the module in eval mode")
    return moved(call, lambda a: a)


_FLOATS = ("float16", "bfloat16", "float32", "float64")
"""Casts have no effect, because quantization determines the types of activations."""


def to_dtype(call: Call) -> Item:
    if call.get("dtype", "float32") not in _FLOATS and isinstance(call.args.get("self"), Value):
        raise RefusalError(f"it converts to {call.get('dtype')}; keep activations float32")
    return identity(call)


def reshape(call: Call) -> Item:
    size = call.get("size", call.get("shape", ()))
    return moved(call, lambda a: a.reshape(size))


def reshape_as(call: Call) -> Item:
    shape = elements(call.args["other"]).shape
    return moved(call, lambda a: a.reshape(shape))


def flatten(call: Call) -> Item:
    first = axis_of(call.get("start_dim", 0), rank(call))
    last = axis_of(call.get("end_dim", -1), rank(call))
    return moved(call, lambda a: a.reshape((*a.shape[:first], -1, *a.shape[last + 1 :])))


def unflatten(call: Call) -> Item:
    axis, sizes = axis_of(call.get("dim"), rank(call)), call.get("sizes")
    return moved(call, lambda a: a.reshape((*a.shape[:axis], *sizes, *a.shape[axis + 1 :])))


def squeeze(call: Call) -> Item:
    """Without a dimension every axis of size 1 is removed; a given axis of another size stays, as in torch."""
    dim = call.args.get("dim")
    dims = range(rank(call)) if dim is None else (dim if isinstance(dim, tuple) else (dim,))
    axes = {axis_of(dim, rank(call)) for dim in dims}
    return moved(call, lambda a: a.squeeze(tuple(axis for axis in axes if a.shape[axis] == 1)))


def unsqueeze(call: Call) -> Item:
    axis = axis_of(call.get("dim"), rank(call) + 1)
    return moved(call, lambda a: np.expand_dims(a, axis))


def permute(call: Call) -> Item:
    return moved(call, lambda a: a.transpose(call.get("dims")))


def transpose(call: Call) -> Item:
    names = ("dim0", "dim1") if "dim0" in call.args else ("axis0", "axis1")
    first, second = (axis_of(call.get(key), rank(call)) for key in names)
    return moved(call, lambda a: a.swapaxes(first, second))


def transpose_matrix(call: Call) -> Item:
    return moved(call, lambda a: a.T)


def transpose_last(call: Call) -> Item:
    return moved(call, lambda a: a.swapaxes(-1, -2))


def move_axes(call: Call) -> Item:
    return moved(call, lambda a: np.moveaxis(a, call.get("source"), call.get("destination")))


def pixel_shuffle(call: Call) -> Item:
    """(N, C*r*r, H, W) to (N, C, H*r, W*r)."""
    r = call.get("upscale_factor")

    def view(a: Array) -> Array:
        n, channels, height, width = a.shape
        blocks = a.reshape(n, channels // r**2, r, r, height, width).transpose(0, 1, 4, 2, 5, 3)
        return blocks.reshape(n, channels // r**2, height * r, width * r)

    return moved(call, view)


def channel_shuffle(call: Call) -> Item:
    """Channels of the groups in turn: Zhang et al. (2018), ShuffleNet, figure 1."""

    def view(a: Array) -> Array:
        grouped = a.reshape(a.shape[0], call.get("groups"), -1, *a.shape[2:])
        return grouped.swapaxes(1, 2).reshape(a.shape)

    return moved(call, view)


def expand_constant(call: Call, size: Sequence[int]) -> Item:
    old = (1,) * (len(size) - rank(call)) + elements(call.args["self"]).shape
    new = tuple(o if s == -1 else s for o, s in zip(old, size, strict=True))
    check_size(new)
    return moved(call, lambda a: np.broadcast_to(a, new))


def _cut(call: Call, axis: int, part: range) -> Item:
    """Elements `part` along a torch axis."""
    return cut_value(call, call.args["self"], axis, part)


def cut_value(call: Call, item: Item, axis: int, part: range) -> Item:
    if not isinstance(item, Value):
        return np.take(item, part, axis)
    if not part:  # empty parts, which a cat ignores
        return np.zeros([0 if a == axis else size for a, size in enumerate(item.shape)], np.float32)
    if len(part) == item.shape[axis] and part.step == 1:
        return item
    order = natural_order(item.where)
    if order and item.rank > MOST_AXES:
        return _cut_among_many(call, item, order, axis, part)
    laid = call.net.lay(item)
    shape = [len(part) if a == axis else size for a, size in enumerate(item.shape)]
    place, whole = laid.axis(axis), list(laid.shape)
    if len(whole) > _MOST_SLICED_AXES:  # the axes before and after are merged to one each
        place, whole = 1, [math.prod(whole[:place]), whole[place], math.prod(whole[place + 1 :])]
    begin, step, physical = [0] * len(whole), [1] * len(whole), list(whole)
    begin[place], step[place], physical[place] = part.start, part.step, len(part)
    source = call.net.reshape(laid.tensor, whole)
    output = call.emit(ir.Slice, [source], physical, begin=tuple(begin), step=tuple(step))
    physical = list(laid.shape)
    physical[laid.axis(axis)] = len(part)
    return laid.value(call.net.reshape(output, physical), shape)


def _cut_among_many(call: Call, item: Value, order: Sequence[int], axis: int, part: range) -> Value:
    """For a value with more axes than a tensor supports: those before and after are merged to one each."""
    sizes, place = [item.shape[a] for a in order], order.index(axis)
    before, after = math.prod(sizes[:place]), math.prod(sizes[place + 1 :])
    source = call.net.reshape(item.tensor, (before, item.shape[axis], after))
    begin, step = (0, part.start, 0), (1, part.step, 1)
    output = call.emit(ir.Slice, [source], (before, len(part), after), begin=begin, step=step)
    shape = [len(part) if a == axis else size for a, size in enumerate(item.shape)]
    return Value(output, spread(shape, tuple(order)))


def runs(indices: Sequence[int]) -> Iterator[range]:
    """Pieces with a constant nonzero step, from the left."""
    start = 0
    while start < len(indices):
        end = start + 1
        step = indices[end] - indices[start] if end < len(indices) else 1
        while step and end < len(indices) and indices[end] - indices[end - 1] == step:
            end += 1
        step = step or 1
        yield range(indices[start], indices[start] + (end - start) * step, step)
        start = end


def _size(call: Call, axis: int) -> int:
    return int(elements(call.args["self"]).shape[axis])


def cut(call: Call) -> Item:
    axis = axis_of(call.get("dim", 0), rank(call))
    bounds = slice(call.args.get("start"), call.args.get("end"), call.get("step", 1))
    return _cut(call, axis, range(*bounds.indices(_size(call, axis))))


def narrow(call: Call) -> Item:
    axis, start = axis_of(call.get("dim"), rank(call)), call.get("start")
    return _cut(call, axis, range(start, start + call.get("length")))


def select(call: Call) -> Item:
    axis = axis_of(call.get("dim", 0), rank(call))
    return _selected(call, axis, call.get("index", 0) % _size(call, axis))


def _selected(call: Call, axis: int, index: int) -> Item:
    part = _cut(call, axis, range(index, index + 1))
    return Value(part.tensor, part.where.squeeze(axis)) if isinstance(part, Value) else part.squeeze(axis)


def unbind(call: Call) -> tuple[Item, ...]:
    axis = axis_of(call.get("dim", 0), rank(call))
    return tuple(_selected(call, axis, index) for index in range(_size(call, axis)))


def chunk(call: Call) -> tuple[Item, ...]:
    """At most `chunks` parts, all of equal size except the last."""
    axis = axis_of(call.get("dim", 0), rank(call))
    return _parts(call, axis, math.ceil(_size(call, axis) / call.get("chunks")))


def split(call: Call) -> tuple[Item, ...]:
    """Parts of one size, or of the given sizes."""
    axis = axis_of(call.get("dim", 0), rank(call))
    sizes = call.get("split_size", call.get("split_sizes", call.get("sizes")))
    if isinstance(sizes, int):
        return _parts(call, axis, sizes)
    ends = np.cumsum(sizes)
    return tuple(_cut(call, axis, range(int(end) - size, int(end))) for end, size in zip(ends, sizes, strict=True))


def _parts(call: Call, axis: int, size: int) -> tuple[Item, ...]:
    total = _size(call, axis)
    return tuple(_cut(call, axis, range(start, min(start + size, total))) for start in range(0, total, size))


def concatenate(call: Call) -> Item:
    tensors = call.get("tensors")
    items = [item for item in tensors if elements(item).size] or list(tensors[:1])
    return join(call, items, axis_of(call.get("dim", 0), elements(items[0]).ndim))


def stack(call: Call) -> Item:
    items = call.get("tensors")
    axis = axis_of(call.get("dim", 0), elements(items[0]).ndim + 1)
    return join(call, [_with_axis(item, axis) for item in items], axis)


def stack_along(call: Call) -> Item:
    """hstack, vstack and dstack: along the second axis (the first of vectors), the first, the third."""
    ranks = {"aten.hstack": 1, "aten.vstack": 2, "aten.dstack": 3}
    items = list(call.get("tensors"))
    least = ranks[call.op]
    while elements(items[0]).ndim < least:
        places = 0 if elements(items[0]).ndim == 1 else elements(items[0]).ndim
        items = [_with_axis(item, places) for item in items]
    return join(call, items, {1: min(elements(items[0]).ndim - 1, 1), 2: 0, 3: 2}[least])


def _with_axis(item: Item, axis: int) -> Item:
    if isinstance(item, Value):
        return Value(item.tensor, np.expand_dims(item.where, axis))
    return np.expand_dims(item, axis)


def join(call: Call, items: list[Item], axis: int) -> Item:
    if not any(isinstance(item, Value) for item in items):
        return np.concatenate(items, axis)
    values = [call.net.dense(call.as_value(item, f"tensors.{i}")) for i, item in enumerate(items)]
    if len(values) == 1:
        return values[0]
    orders = [natural_order(value.where) for value in values]
    if None in orders and math.prod(values[0].shape[:axis]) == 1:
        return _join_flat(call, values, axis)
    first = next((order for order, item in zip(orders, items, strict=True) if isinstance(item, Value) and order), None)
    laid = [call.net.lay(value, first) for value in values]
    shape = list(values[0].shape)
    shape[axis] = sum(value.shape[axis] for value in values)
    return laid[0].value(_emit_concat(call, laid, laid[0].axis(axis)), shape)


def _emit_concat(call: Call, laid: list[Laid], axis: int) -> int:
    shape = list(laid[0].shape)
    shape[axis] = sum(part.shape[axis] for part in laid)
    return call.emit(ir.Concat, [part.tensor for part in laid], shape, axis=axis)


def _join_flat(call: Call, values: list[Value], axis: int) -> Value:
    """One after the other in memory, each in its own order (flattened images before a linear layer)."""
    flat = [call.net.reshape(value.tensor, (1, value.where.size)) for value in values]
    sizes = [value.where.size for value in values]
    output = call.emit(ir.Concat, flat, (1, sum(sizes)), axis=1)
    starts = np.cumsum([0, *sizes[:-1]])
    return Value(output, np.concatenate([v.where + start for v, start in zip(values, starts, strict=True)], axis))


def pad_constant(call: Call) -> Item:
    """torch lists (before, after) from the last axis backward."""
    widths, x = call.get("pad"), call.value()
    if not any(widths):
        return x
    laid, shape, pads = call.net.lay(x), list(x.shape), [(0, 0)] * x.rank
    for axis, pair in zip(range(x.rank - 1, -1, -1), zip(widths[::2], widths[1::2], strict=True), strict=False):
        pads[axis] = pair
        shape[axis] += sum(pair)
    physical_pads, physical = [(0, 0)] * len(laid.shape), list(laid.shape)
    for axis, pair in enumerate(pads):
        physical_pads[laid.axis(axis)] = pair
        physical[laid.axis(axis)] += sum(pair)
    value = float(call.get("value", 0.0)) or None
    return laid.value(call.emit(ir.Pad, [laid.tensor], physical, pads=tuple(physical_pads), value=value), shape)


def size(call: Call) -> int:
    return _size(call, axis_of(call.get("dim"), rank(call)))


RULES: Mapping[str, Callable[[Call], Any]] = {
    **dict.fromkeys(
        (
            "aten.alias",
            "aten.clone",
            "aten.contiguous",
            "aten.detach",
            "aten.dropout",
            "aten.feature_dropout",
            "aten.alpha_dropout",
            "aten.feature_alpha_dropout",
            "aten.lift_fresh_copy",
        ),
        identity,
    ),
    "aten.to": to_dtype,
    "aten.type_as": identity,
    "aten._to_copy": to_dtype,
    "aten.view": reshape,
    "aten._unsafe_view": reshape,
    "aten.reshape": reshape,
    "aten.reshape_as": reshape_as,
    "aten.view_as": reshape_as,
    "aten.flatten": flatten,
    "aten.unflatten": unflatten,
    "aten.squeeze": squeeze,
    "aten.unsqueeze": unsqueeze,
    "aten.permute": permute,
    "aten.transpose": transpose,
    "aten.swapaxes": transpose,
    "aten.swapdims": transpose,
    "aten.t": transpose_matrix,
    "aten.numpy_T": transpose_matrix,
    "aten.mT": transpose_last,
    "aten.movedim": move_axes,
    "aten.pixel_shuffle": pixel_shuffle,
    "aten.channel_shuffle": channel_shuffle,
    "aten.slice": cut,
    "aten.narrow": narrow,
    "aten.select": select,
    "aten.unbind": unbind,
    "aten.chunk": chunk,
    "aten.split": split,
    "aten.split_with_sizes": split,
    "aten.cat": concatenate,
    "aten.concat": concatenate,
    "aten.concatenate": concatenate,
    "aten.hstack": stack_along,
    "aten.vstack": stack_along,
    "aten.dstack": stack_along,
    "aten.stack": stack,
    "aten.sym_size": size,
}

VIEWS = {
    *("aten.alias", "aten.contiguous", "aten.detach", "aten.dropout", "aten.to", "aten.view", "aten.reshape"),
    *("aten.reshape_as", "aten.view_as", "aten.flatten"),
    *("aten.unflatten", "aten.squeeze", "aten.unsqueeze", "aten.permute", "aten.transpose", "aten.t", "aten.numpy_T"),
    *("aten.mT", "aten.movedim"),
    *("aten.expand", "aten.slice", "aten.narrow", "aten.select", "aten.unbind", "aten.chunk", "aten.split"),
    "aten.split_with_sizes",
}
"""Operators whose result may share memory with their input, so that an in-place write to one changes the other."""
