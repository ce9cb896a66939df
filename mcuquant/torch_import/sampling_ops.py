"""Values at other positions: resizing, padding with values of the input, repeating, reversing,
selection by constants.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from .. import ir
from .axis_order import Value, check_size, spread
from .elementwise_ops import binary, unary
from .net_builder import Array, Call, Laid, RefusalError, axis_of
from .pool_ops import reduce_value
from .shape_ops import arranged, cut_value, elements, expand_constant, join, moved, pad_constant, rank, runs
from .weighted_ops import as_image, from_image, lifted

Item = Any
_MOST_PIECES = 256


def _resized(call: Call, kind: type[ir.Op], spatial: int, **attributes: bool) -> Value:
    x = call.args.get("self", call.args.get("input"))
    if not isinstance(x, Value):
        raise RefusalError("its input is a constant; resize it when the module is built")
    laid = call.net.canonical(as_image(x, spatial + 2))
    batch, channels = laid.shape[0], laid.shape[3]
    sizes = _target(call, x.shape[-spatial:])
    rows, columns = lifted(sizes, 1)
    output = call.emit(kind, [laid.tensor], (batch, rows, columns, channels), **attributes)
    return from_image(call.net.result(output, (batch, channels, rows, columns)), spatial + 2)


def _target(call: Call, sizes: Sequence[int]) -> tuple[int, ...]:
    """The requested size. PyTorch samples by the factor, the graph by the sizes, so these must agree."""
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


def pick(call: Call, item: Item, axis: int, indices: Sequence[int]) -> Item:
    """`item` at constant indices along a torch axis."""
    if not isinstance(item, Value):
        return np.take(item, indices, axis)
    pieces = list(runs(indices))
    if len(pieces) > _MOST_PIECES:
        raise RefusalError(f"it takes {len(pieces)} pieces along an axis; expected at most {_MOST_PIECES}")
    parts = [cut_value(call, item, axis, piece) for piece in pieces]
    return parts[0] if len(parts) == 1 else join(call, parts, axis)


def pad(call: Call) -> Item:
    """PyTorch lists (before, after) from the last axis backward; negative numbers crop."""
    mode, pads = call.get("mode", "constant"), call.get("pad", call.get("padding"))
    if mode == "constant" and min(pads, default=0) >= 0:
        return pad_constant(call)
    if mode == "constant" and any(n > 0 for n in pads):
        positive = replace(call, args={**call.args, "pad": tuple(max(n, 0) for n in pads)})
        return pad(replace(call, args={"self": pad_constant(positive), "pad": tuple(min(n, 0) for n in pads)}))
    x = call.args.get("self", call.args.get("input"))
    for position in range(len(pads) // 2):
        axis = elements(x).ndim - 1 - position
        before, after = pads[2 * position : 2 * position + 2]
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
    counts = (1,) * (rank(call) - len(counts)) + counts

    def copies(a: Array) -> Array:
        sizes = (1,) * (len(counts) - a.ndim) + a.shape
        check_size([n * count for n, count in zip(sizes, counts, strict=True)])
        single = a.reshape([part for n in sizes for part in (1, n)])
        spread = np.broadcast_to(single, [part for n, count in zip(sizes, counts, strict=True) for part in (count, n)])
        return spread.reshape([n * count for n, count in zip(sizes, counts, strict=True)])

    return moved(call, copies)


def repeat_each(call: Call) -> Item:
    count, dim = call.get("repeats"), call.args.get("dim")
    if not isinstance(count, int):
        raise RefusalError("it repeats elements by different counts; use cat")
    return moved(call, lambda a: np.repeat(a, count, dim))


def expand(call: Call) -> Item:
    """One position in memory for all copies."""
    other = call.args.get("other")
    return expand_constant(call, elements(other).shape if other is not None else call.get("size"))


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
    if isinstance(index, Value):
        return _gathered(call, call.value(), axis, index)
    return pick(call, call.args["self"], axis, [int(i) for i in np.asarray(index).ravel()])


def difference(call: Call) -> Item:
    """Each element minus the one before it along an axis."""
    if call.get("n", 1) != 1 or call.args.get("prepend") is not None or call.args.get("append") is not None:
        raise RefusalError("it subtracts more than once, or extends its input; use torch.diff of one tensor, n=1")
    axis, x = axis_of(call.get("dim", -1), rank(call)), call.args["self"]
    count = elements(x).shape[axis]
    after, before = (cut_value(call, x, axis, part) for part in (range(1, count), range(count - 1)))
    return binary(call, ir.Sub, after, before)


def embedding(call: Call) -> Value:
    """The rows of a table at computed indices; an index beyond the table counts as its last row, below 0 as row 0."""
    table = call.constant("weight")
    if table is None:
        raise RefusalError("it has no table")
    rows = call.net.constant(table, call.label("weight"))
    return _rows(call, Laid(rows, table.shape, (0, 1)), 0, call.value("indices"))


_BAG_MODES = (ir.Sum, ir.Mean, ir.ReduceMax)


def embedding_bag(call: Call) -> tuple[Any, ...]:
    """The sum, mean or maximum of the rows of one bag, the batch."""
    table, offsets = call.constant("weight"), call.args.get("offsets")
    if table is None or not isinstance(offsets, np.ndarray) or offsets.size != 1:
        raise RefusalError("it has several bags, or bags of computed sizes; use Embedding and a mean")
    if call.args.get("per_sample_weights") is not None or call.get("padding_idx", -1) != -1:
        raise RefusalError("it weights or leaves out rows; use Embedding, a product and a sum")
    rows = call.net.constant(table, call.label("weight"))
    chosen = _rows(call, Laid(rows, table.shape, (0, 1)), 0, call.value("indices"))
    return (reduce_value(call, chosen, _BAG_MODES[call.get("mode", 0)], (0,), keep=True), None, None, None)


def _gathered(call: Call, x: Value, axis: int, indices: Value) -> Value:
    """`x` at computed indices along an axis, which comes first in memory."""
    if indices.rank > 1:
        raise RefusalError(f"its indices have {indices.rank} axes, expected one")
    rest = tuple(a for a in range(x.rank) if a != axis)
    order = (axis, *rest)
    gathered = _rows(call, call.net.lay(x, order), axis, indices)
    return Value(gathered.tensor, np.moveaxis(gathered.where, 0, axis))


def _rows(call: Call, x: Laid, axis: int, indices: Value) -> Value:
    """`x`, whose first axis in memory is chosen from, at the indices; their axes come first."""
    places = call.net.lay(indices)
    if not call.net.tensors[places.tensor].is_plain:
        raise RefusalError("its indices are real numbers; give the network whole numbers, as int64")
    length = math.prod(x.shape[1:])
    gathered = call.emit(ir.Gather, [x.tensor, places.tensor], (*places.shape, *x.shape[1:]), axis=0)
    starts = spread(indices.shape, places.order) * length
    inner = np.arange(length).reshape(x.shape[1:])
    return Value(gathered, np.add.outer(starts, inner))


def index(call: Call) -> Item:
    """x[:, indices] with one constant list of indices."""
    lists = [(axis, i) for axis, i in enumerate(call.get("indices")) if i is not None]
    size = elements(call.args["self"]).shape
    if len(lists) != 1 or not isinstance(lists[0][1], np.ndarray) or lists[0][1].ndim != 1:
        raise RefusalError("only one list of constant indices is translated; use slices")
    axis, places = lists[0]
    places = np.flatnonzero(places) if places.dtype == np.bool_ else places
    return pick(call, call.args["self"], axis, [int(i) % size[axis] for i in places])


def unfold(call: Call) -> Item:
    """Windows of `size` along an axis, which becomes their number; a new last axis contains their elements."""
    x = call.args["self"]
    axis, size, step = axis_of(call.get("dimension"), rank(call)), call.get("size"), call.get("step")
    return _windows(call, x, axis, size, step, 1, last=True)


def _windows(call: Call, x: Item, axis: int, size: int, step: int, dilation: int, *, last: bool) -> Item:
    """(..., windows, ...) with the elements of a window as the last axis, or as the one before the windows."""
    length = elements(x).shape[axis]
    count = (length - dilation * (size - 1) - 1) // step + 1
    places = [w * step + dilation * k for w in range(count) for k in range(size)]
    source = x if places == list(range(length)) else pick(call, x, axis, places)
    shape = elements(source).shape

    def view(a: Array) -> Array:
        split = a.reshape((*shape[:axis], count, size, *shape[axis + 1 :]))
        return np.moveaxis(split, axis + 1, -1) if last else split.swapaxes(axis, axis + 1)

    return Value(source.tensor, view(source.where)) if isinstance(source, Value) else view(source)


def columns(call: Call) -> Item:
    """The pixels under a window as (channels * window, windows): torch.nn.Unfold."""
    size, dilation, stride = (call.numbers(key, 2, 1) for key in ("kernel_size", "dilation", "stride"))
    across, down = call.numbers("padding", 2, 0)[::-1]
    x = pad(replace(call, args={"self": call.args["self"], "pad": (across, across, down, down)}))
    x = _windows(call, x, 2, size[0], stride[0], dilation[0], last=False)
    x = _windows(call, x, 4, size[1], stride[1], dilation[1], last=False)

    def view(a: Array) -> Array:
        batch, channels, height, rows, width, columns = a.shape
        return a.transpose(0, 1, 2, 4, 3, 5).reshape(batch, channels * height * width, rows * columns)

    return Value(x.tensor, view(x.where)) if isinstance(x, Value) else view(x)


def scattered(call: Call) -> Item:
    """slice_scatter and select_scatter: the value with a part replaced, as a concatenation of pieces."""
    x, part, axis = call.args["self"], call.args["src"], axis_of(call.get("dim", 0), rank(call))
    size = elements(x).shape[axis]
    if "index" in call.args:
        place = call.get("index") % size
        bounds = range(place, place + 1)
        part = arranged(part, lambda a: np.expand_dims(a, axis))
    else:
        bounds = range(*slice(call.args.get("start"), call.args.get("end"), call.get("step", 1)).indices(size))
    if not bounds:
        return x
    if bounds.step == 1:
        sides = (range(bounds.start), range(bounds.stop, size))
        before, after = ([cut_value(call, x, axis, side)] if side else [] for side in sides)
        pieces = [*before, part, *after]
    else:
        if len(bounds) > _MOST_PIECES:
            raise RefusalError(f"it writes {len(bounds)} pieces along an axis; expected at most {_MOST_PIECES}")
        places = {place: i for i, place in enumerate(bounds)}
        parts = [(part, places[i]) if i in places else (x, i) for i in range(size)]
        pieces = [cut_value(call, item, axis, range(i, i + 1)) for item, i in parts]
    return join(call, pieces, axis)


def copied(call: Call) -> Item:
    """The source in the shape of its target."""
    shape = elements(call.args["self"]).shape
    return arranged(call.args["src"], lambda a: np.broadcast_to(a, shape))


def filled_like(call: Call) -> Item:
    value = call.args["value"]
    if isinstance(value, Value):
        return Value(value.tensor, np.broadcast_to(value.where, elements(call.args["self"]).shape))
    return np.full(elements(call.args["self"]).shape, value, np.float32)


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
    "aten.repeat_interleave": repeat_each,
    "aten.broadcast_to": expand,
    "aten.expand": expand,
    "aten.expand_as": expand,
    "aten.flip": flip,
    "aten.roll": roll,
    "aten.index_select": index_select,
    "aten.embedding": embedding,
    "aten.embedding_bag": embedding_bag,
    "aten.diff": difference,
    "aten.index": index,
    "aten.unfold": unfold,
    "aten.im2col": columns,
    "aten.slice_scatter": scattered,
    "aten.select_scatter": scattered,
    "aten.copy": copied,
    "aten.fill": filled_like,
    "aten.glu": gated,
    "aten.pixel_unshuffle": pixel_unshuffle,
}


def _mode(call: Call, mode: str) -> Call:
    return Call(call.net, call.op, call.name, {**call.args, "mode": mode}, call.constant_names)
