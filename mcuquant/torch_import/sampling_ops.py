"""Values at other places: resizing, padding from the value itself, repeating, reversing, choosing by constants."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from .. import ir
from .axis_order import Value
from .elementwise_ops import binary, unary
from .net_builder import Array, Call, RefusalError, axis_of
from .shape_ops import cut_value, elements, expand_constant, join, moved, pad_constant, rank
from .weighted_ops import as_image, from_image, lifted

Item = Any
_MOST_PIECES = 256


def _resized(call: Call, kind: type[ir.Op], spatial: int, **attributes: bool) -> Value:
    x = call.args.get("self", call.args.get("input"))
    if not isinstance(x, Value):
        raise RefusalError("its input is a constant; resize it when the module is built")
    laid = call.net.canonical(as_image(x, spatial + 2))
    channels = laid.shape[3]
    sizes = _target(call, x.shape[-spatial:])
    rows, columns = lifted(sizes, 1)
    output = call.emit(kind, [laid.tensor], (1, rows, columns, channels), **attributes)
    return from_image(call.net.result(output, (1, channels, rows, columns)), spatial + 2)


def _target(call: Call, sizes: Sequence[int]) -> tuple[int, ...]:
    """The size asked for; PyTorch samples by the factor, the graph by the sizes, so that these must agree."""
    factors = call.args.get("scale_factors")
    factors = (call.args["scales"],) if factors is None and call.args.get("scales") is not None else factors
    if factors is None:
        return call.numbers("output_size", len(sizes))
    products = [size * factor for size, factor in zip(sizes, factors, strict=True)]
    if any(size != int(size) for size in products):
        raise RefusalError(f"it resizes {list(sizes)} by {list(factors)}, which gives no whole sizes; give the size")
    return tuple(int(size) for size in products)


def nearest(spatial: int, *, exact: bool) -> Callable[[Call], Value]:
    return lambda call: _resized(call, ir.ResizeNearest, spatial, half_pixel_centers=exact)


def linear(spatial: int) -> Callable[[Call], Value]:
    def rule(call: Call) -> Value:
        corners = bool(call.get("align_corners", False))
        return _resized(call, ir.ResizeBilinear, spatial, align_corners=corners, half_pixel_centers=not corners)

    return rule


def _runs(indices: Sequence[int]) -> Iterator[range]:
    """Pieces with a constant step that is not 0, from the left."""
    start = 0
    while start < len(indices):
        end = start + 1
        step = indices[end] - indices[start] if end < len(indices) else 1
        while step and end < len(indices) and indices[end] - indices[end - 1] == step:
            end += 1
        step = step or 1
        yield range(indices[start], indices[start] + (end - start) * step, step)
        start = end


def pick(call: Call, item: Item, axis: int, indices: Sequence[int]) -> Item:
    """`item` at constant indices along a torch axis."""
    if not isinstance(item, Value):
        return np.take(item, indices, axis)
    pieces = list(_runs(indices))
    if len(pieces) > _MOST_PIECES:
        raise RefusalError(f"it takes {len(pieces)} pieces along an axis; expected at most {_MOST_PIECES}")
    parts = [cut_value(call, item, axis, piece) for piece in pieces]
    return parts[0] if len(parts) == 1 else join(call, parts, axis)


def pad(call: Call) -> Item:
    """PyTorch lists (before, after) from the last axis backwards; negative ones cut."""
    mode, given = call.get("mode", "constant"), call.get("pad", call.get("padding"))
    if mode == "constant" and min(given, default=0) >= 0:
        return pad_constant(call)
    if mode == "constant" and any(n > 0 for n in given):
        raise RefusalError("padding and cutting in one call is not translated; slice in a call of its own")
    x = call.args.get("self", call.args.get("input"))
    for position in range(len(given) // 2):
        axis = elements(x).ndim - 1 - position
        before, after = given[2 * position : 2 * position + 2]
        if before or after:
            x = pick(call, x, axis, _places(mode, elements(x).shape[axis], before, after))
    return x


_MODES = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}


def _places(mode: str, size: int, before: int, after: int) -> list[int]:
    if mode == "constant":
        return list(range(-before, size + after))
    places = np.arange(size)
    padded: Array = np.pad(places, (before, after), _MODES[mode])  # type: ignore[call-overload]
    return [int(place) for place in padded]


def repeat(call: Call) -> Item:
    counts = call.get("repeats", call.get("dims"))
    item = call.args["self"]
    lead = (1,) * (len(counts) - rank(call))
    x: Item = moved(call, lambda a: a.reshape((*lead, *a.shape)))
    if not isinstance(item, Value):
        return np.tile(x, counts)
    return _copies(call, x, [*counts])


def _copies(call: Call, x: Value, counts: Sequence[int]) -> Value:
    if max(counts) > _MOST_PIECES:
        raise RefusalError(f"it repeats {list(counts)} times; expected at most {_MOST_PIECES} along an axis")
    for axis, count in enumerate(counts):
        if count > 1:
            x = join(call, [x] * count, axis)
    return x


def expand(call: Call) -> Item:
    """Copies of a computed value; arithmetic on constants broadcasts by itself."""
    item = call.args["self"]
    other = call.args.get("other")
    size = elements(other).shape if other is not None else call.get("size")
    if not isinstance(item, Value):
        return expand_constant(call, size)
    old = (1,) * (len(size) - item.rank) + item.shape
    new = tuple(o if s == -1 else s for o, s in zip(old, size, strict=True))
    x = Value(item.tensor, item.where.reshape(old))
    return _copies(call, x, [n // o for n, o in zip(new, old, strict=True)])


def flip(call: Call) -> Item:
    x = call.args["self"]
    for dim in call.get("dims"):
        axis = axis_of(dim, rank(call))
        x = pick(call, x, axis, range(elements(x).shape[axis] - 1, -1, -1))
    return x


def roll(call: Call) -> Item:
    x, shifts, dims = call.args["self"], call.numbers("shifts", 1), call.get("dims", ())
    dims = dims if isinstance(dims, tuple) else (dims,)
    if len(dims) != len(shifts):
        raise RefusalError("it rolls the flattened tensor; name the dimensions")
    for shift, dim in zip(shifts, dims, strict=True):
        axis = axis_of(dim, rank(call))
        x = pick(call, x, axis, np.roll(np.arange(elements(x).shape[axis]), shift).tolist())
    return x


def index_select(call: Call) -> Item:
    axis, index = axis_of(call.get("dim"), rank(call)), call.args.get("index")
    if not isinstance(index, np.ndarray):
        raise RefusalError("its indices are computed; make them a buffer")
    return pick(call, call.args["self"], axis, [int(i) for i in index.ravel()])


def index(call: Call) -> Item:
    """x[:, indices] with one constant list of indices."""
    lists = [(axis, i) for axis, i in enumerate(call.get("indices")) if i is not None]
    size = elements(call.args["self"]).shape
    if len(lists) != 1 or not isinstance(lists[0][1], np.ndarray) or lists[0][1].ndim != 1:
        raise RefusalError("only one list of constant indices is translated; use slices")
    axis, places = lists[0]
    places = np.flatnonzero(places) if places.dtype == np.bool_ else places
    return pick(call, call.args["self"], axis, [int(i) % size[axis] for i in places])


def gated(call: Call) -> Item:
    """a * sigmoid(b) of the two halves: Dauphin et al. (2017)."""
    x = call.value()
    axis = axis_of(call.get("dim", -1), x.rank)
    half = x.shape[axis] // 2
    a, b = (cut_value(call, x, axis, range(start, start + half)) for start in (0, half))
    return binary(call, ir.Mul, a, unary(call, ir.Logistic, b))


def pixel_unshuffle(call: Call) -> Item:
    """(N, C, H*r, W*r) to (N, C*r*r, H, W)."""
    r = call.get("downscale_factor")

    def view(a: Array) -> Array:
        n, channels, height, width = a.shape
        blocks = a.reshape(n, channels, height // r, r, width // r, r).transpose(0, 1, 3, 5, 2, 4)
        return blocks.reshape(n, channels * r**2, height // r, width // r)

    return moved(call, view)


RULES: Mapping[str, Callable[[Call], Any]] = {
    "aten.upsample_nearest1d": nearest(1, exact=False),
    "aten.upsample_nearest2d": nearest(2, exact=False),
    "aten._upsample_nearest_exact1d": nearest(1, exact=True),
    "aten._upsample_nearest_exact2d": nearest(2, exact=True),
    "aten.upsample_linear1d": linear(1),
    "aten.upsample_bilinear2d": linear(2),
    "aten.pad": pad,
    "aten.constant_pad_nd": pad,
    "aten.reflection_pad1d": lambda call: pad(_mode(call, "reflect")),
    "aten.reflection_pad2d": lambda call: pad(_mode(call, "reflect")),
    "aten.replication_pad1d": lambda call: pad(_mode(call, "replicate")),
    "aten.replication_pad2d": lambda call: pad(_mode(call, "replicate")),
    "aten.repeat": repeat,
    "aten.tile": repeat,
    "aten.expand": expand,
    "aten.expand_as": expand,
    "aten.flip": flip,
    "aten.roll": roll,
    "aten.index_select": index_select,
    "aten.index": index,
    "aten.glu": gated,
    "aten.pixel_unshuffle": pixel_unshuffle,
}


def _mode(call: Call, mode: str) -> Call:
    return Call(call.net, call.op, call.name, {**call.args, "mode": mode}, call.constant_names)
