"""Rules of shapes: the output shape of each operation."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

from .. import Graph, Op, Padding, Pair, Shape, ops
from ..elementwise_table import ELEMENTWISE
from ..row_ops import CopyRow, LineRows, OfSums, RowSum, StoreRow
from .discrete_rules import broadcast, broadcast_shapes, gather_nd_shapes, gather_shapes, update_shapes
from .recurrent_rules import lstm_shapes
from .signal_rules import SHAPES as SIGNAL_SHAPES

Shapes = tuple[Shape, ...]
Rule = Callable[[Any, Shapes, Shape], Iterator[str]]


def shape_problems(graph: Graph, op: Op) -> Iterator[str]:
    yield from RULES[type(op)](op, tuple(t.shape for t in graph.ins(op)), graph.out(op).shape)


def _expect(y: Shape, expected: Shape) -> Iterator[str]:
    if y != expected:
        yield f"its output has shape {y}, expected {expected}"


def windowed_size(shape: Shape, window: Pair, stride: Pair, dilation: Pair, padding: Padding) -> Pair:
    """Number of rows and columns of windows that fit; not positive if none fits."""
    rows, columns = (
        (size + before + after - (k - 1) * d - 1) // s + 1
        for size, before, after, k, s, d in zip(
            shape[1:3],
            (padding.top, padding.left),
            (padding.bottom, padding.right),
            window,
            stride,
            dilation,
            strict=True,
        )
    )
    return rows, columns


def _image_problems(shape: Shape, what: str) -> Iterator[str]:
    if len(shape) != 4:
        yield f"its {what} has shape {shape}, expected 4 axes"


def _positive(op: Any, *names: str) -> Iterator[str]:
    for name in names:
        value = getattr(op, name)
        if min(value) < 1:
            yield f"its {name} is {value}, expected at least 1"


def _not_negative(padding: Padding) -> Iterator[str]:
    if min(padding.top, padding.bottom, padding.left, padding.right) < 0:
        yield f"its padding is {padding}, expected none below 0"


def _conv(op: ops.Conv2D, ins: Shapes, y: Shape) -> Iterator[str]:
    x, w = ins[:2]
    yield from _conv_basics(op, x, w)
    if len(x) == len(w) == 4:
        if x[3] % w[3] or w[0] % (x[3] // w[3]):
            yield f"weights {w} do not divide {x[3]} input channels into equal groups"
        size = windowed_size(x, (w[1], w[2]), op.stride, op.dilation, op.padding)
        yield from _expect(y, (x[0], *size, w[0]))
    yield from _bias(ins, w[0])


def _depthwise(op: ops.DepthwiseConv2D, ins: Shapes, y: Shape) -> Iterator[str]:
    x, w = ins[:2]
    yield from _conv_basics(op, x, w)
    if len(x) == len(w) == 4:
        if w[0] != 1 or w[3] % x[3]:
            yield f"weights have shape {w}, expected (1, height, width, a multiple of {x[3]})"
        size = windowed_size(x, (w[1], w[2]), op.stride, op.dilation, op.padding)
        yield from _expect(y, (x[0], *size, w[3]))
    yield from _bias(ins, w[-1])


def _conv_basics(op: ops.Conv2D | ops.DepthwiseConv2D, x: Shape, w: Shape) -> Iterator[str]:
    yield from _image_problems(x, "input")
    yield from _image_problems(w, "weight tensor")
    yield from _positive(op, "stride", "dilation")
    yield from _not_negative(op.padding)


def _bias(ins: Shapes, channels: int) -> Iterator[str]:
    if len(ins) > 2 and ins[2] != (channels,):
        yield f"its bias has shape {ins[2]}, expected {(channels,)}"


def _transpose_conv(op: ops.TransposeConv, ins: Shapes, y: Shape) -> Iterator[str]:
    x, w = ins[:2]
    yield from _image_problems(x, "input")
    yield from _image_problems(w, "weight tensor")
    yield from _image_problems(y, "output")
    yield from _positive(op, "stride")
    yield from _not_negative(op.padding)
    if w[-1] != x[-1]:
        yield f"weights have {w[-1]} input channels, expected {x[-1]}"
    if (y[0], y[-1]) != (x[0], w[0]):
        yield f"its output has shape {y}, expected ({x[0]}, height, width, {w[0]})"
    yield from _bias(ins, w[0])


def _fully_connected(op: ops.FullyConnected, ins: Shapes, y: Shape) -> Iterator[str]:
    x, w = ins[:2]
    if len(w) != 2:
        yield f"weights have shape {w}, expected 2 axes"
    elif math.prod(x) % w[1]:
        yield f"its input of shape {x} does not divide into rows of {w[1]}"
    elif not y or y[-1] != w[0] or math.prod(y) != math.prod(x) // w[1] * w[0]:
        yield f"its output has shape {y}, expected {math.prod(x) // w[1]} rows of {w[0]}"
    yield from _bias(ins, w[0])


def _batch_matmul(op: ops.BatchMatMul, ins: Shapes, y: Shape) -> Iterator[str]:
    if min(map(len, ins)) < 2:
        yield f"its inputs have shapes {ins[0]} and {ins[1]}, expected at least 2 axes"
        return
    a, b = ((*s[:-2], s[-1], s[-2]) if swapped else s for s, swapped in zip(ins, (op.adj_a, op.adj_b), strict=True))
    lead = broadcast(a[:-2], b[:-2])
    if a[-1] != b[-2] or lead is None:
        yield f"matrices of shapes {a} and {b} cannot be multiplied"
    else:
        yield from _expect(y, (*lead, a[-2], b[-1]))


def _pool(op: ops.Pool, ins: Shapes, y: Shape) -> Iterator[str]:
    x = ins[0]
    yield from _image_problems(x, "input")
    yield from _positive(op, "window", "stride")
    yield from _not_negative(op.padding)
    if len(x) == 4 and min(op.stride) > 0:
        yield from _expect(y, (x[0], *windowed_size(x, op.window, op.stride, (1, 1), op.padding), x[3]))
        yield from _empty_windows(op, x, y)


def _empty_windows(op: ops.Pool, x: Shape, y: Shape) -> Iterator[str]:
    for axis, before in ((0, op.padding.top), (1, op.padding.left)):
        last = (y[axis + 1] - 1) * op.stride[axis] - before
        if before >= op.window[axis] or last >= x[axis + 1]:
            yield f"a window of {op.window} with padding {op.padding} lies outside the image altogether"


def _binary(op: ops.Binary, ins: Shapes, y: Shape) -> Iterator[str]:
    shape = broadcast(*ins)
    if shape is None:
        yield f"its inputs have shapes {ins[0]} and {ins[1]}, which cannot be broadcast"
    else:
        yield from _expect(y, shape)


def _same(op: Op, ins: Shapes, y: Shape) -> Iterator[str]:
    yield from _expect(y, ins[0])


def _softmax(op: ops.Softmax | ops.LogSoftmax | ops.L2Normalization, ins: Shapes, y: Shape) -> Iterator[str]:
    if not ins[0]:
        yield "its input is a scalar, expected at least 1 axis"
    yield from _expect(y, ins[0])


def _add_n(op: ops.AddN, ins: Shapes, y: Shape) -> Iterator[str]:
    if len(set(ins)) > 1:
        yield f"its inputs have shapes {', '.join(map(str, ins))}, expected one shape"
    yield from _expect(y, ins[0])


def _cum_sum(op: ops.CumSum, ins: Shapes, y: Shape) -> Iterator[str]:
    if not 0 <= op.axis < len(ins[0]):
        yield f"its axis is {op.axis}, expected an axis of shape {ins[0]}"
    yield from _expect(y, ins[0])


def _pad(op: ops.Pad, ins: Shapes, y: Shape) -> Iterator[str]:
    x = ins[0]
    if len(op.pads) != len(x) or any(n < 0 for pair in op.pads for n in pair):
        yield f"its pads are {op.pads}, expected {len(x)} pairs of numbers from 0"
    else:
        yield from _expect(y, tuple(n + sum(pair) for n, pair in zip(x, op.pads, strict=True)))


def _reduce(op: ops.Reduce, ins: Shapes, y: Shape) -> Iterator[str]:
    x = ins[0]
    if list(op.axes) != sorted(set(op.axes) & set(range(len(x)))):
        yield f"its axes are {op.axes}, expected ascending axes of shape {x}"
        return
    with_ones = tuple(1 if i in op.axes else n for i, n in enumerate(x))
    without = tuple(n for i, n in enumerate(x) if i not in op.axes)
    if y not in (with_ones, without):
        yield f"its output has shape {y}, expected {with_ones} or {without}"


def _arg_max(op: ops.ArgMax, ins: Shapes, y: Shape) -> Iterator[str]:
    x = ins[0]
    if not 0 <= op.axis < len(x):
        yield f"its axis is {op.axis}, expected an axis of shape {x}"
    else:
        yield from _expect(y, x[: op.axis] + x[op.axis + 1 :])


def _concat(op: ops.Concat | ops.Enter, ins: Shapes, y: Shape) -> Iterator[str]:
    axis = op.axis
    if not 0 <= axis < len(ins[0]):
        yield f"its axis is {axis}, expected an axis of shape {ins[0]}"
        return
    for s in ins:
        if len(s) != len(ins[0]) or s[:axis] + s[axis + 1 :] != ins[0][:axis] + ins[0][axis + 1 :]:
            yield f"an input has shape {s}, expected {ins[0]} but for axis {axis}"
            return
    yield from _expect(y, (*ins[0][:axis], sum(s[axis] for s in ins), *ins[0][axis + 1 :]))


def _line_rows(op: LineRows, ins: Shapes, y: Shape) -> Iterator[str]:
    rows = range(op.first, op.first + y[1])
    if not (rows.start >= 0 and rows.stop <= op.kept + 1):
        yield f"reads rows {rows.start} to {rows.stop - 1}, expected within 0 to {op.kept}"
    yield from _expect(y, (1, len(rows), *ins[0][2:]))


def _store_row(_: StoreRow, ins: Shapes, y: Shape) -> Iterator[str]:
    yield from _expect(y, (1, y[1], *ins[0][2:]))


def _row_sum(_: RowSum, ins: Shapes, y: Shape) -> Iterator[str]:
    yield from _expect(y, (1, 1, 1, ins[0][-1]))


def _of_sums(_: OfSums, ins: Shapes, y: Shape) -> Iterator[str]:
    if math.prod(y) != ins[0][-1]:
        yield f"its output has shape {y}, expected {ins[0][-1]} elements"


def _slice(op: ops.Slice, ins: Shapes, y: Shape) -> Iterator[str]:
    x = ins[0]
    if not len(op.begin) == len(op.step) == len(x) == len(y):
        yield f"begins at {op.begin} by steps {op.step} from {x} to {y}, expected {len(x)} numbers each"
        return
    for axis, (begin, step, n, size) in enumerate(zip(op.begin, op.step, y, x, strict=True)):
        last = begin + (n - 1) * step
        if step == 0 or not (0 <= begin < size and 0 <= last < size):
            yield f"along axis {axis} reads from {begin} to {last} by {step}, expected within 0 to {size - 1}"


def _reshape(op: ops.Reshape, ins: Shapes, y: Shape) -> Iterator[str]:
    if math.prod(ins[0]) != math.prod(y):
        yield f"its output has shape {y}, expected {math.prod(ins[0])} elements as in {ins[0]}"


def _transpose(op: ops.Transpose, ins: Shapes, y: Shape) -> Iterator[str]:
    if sorted(op.perm) != list(range(len(ins[0]))):
        yield f"its permutation is {op.perm}, expected every axis of shape {ins[0]} once"
    else:
        yield from _expect(y, tuple(ins[0][p] for p in op.perm))


def _resize(op: ops.ResizeNearest | ops.ResizeBilinear, ins: Shapes, y: Shape) -> Iterator[str]:
    x = ins[0]
    yield from _image_problems(x, "input")
    if len(y) != 4 or (y[0], y[-1]) != (x[0], x[-1]):
        yield f"its output has shape {y}, expected ({x[0]}, height, width, {x[-1]})"


def _batch_norm(op: ops.BatchNorm, ins: Shapes, y: Shape) -> Iterator[str]:
    channels = ins[0][-1:]
    for word, shape in zip(("scale", "offset"), ins[1:], strict=True):
        if shape != channels:
            yield f"its {word} has shape {shape}, expected {channels}"
    yield from _expect(y, ins[0])


RULES: dict[type[Op], Rule] = {
    ops.Conv2D: _conv,
    ops.DepthwiseConv2D: _depthwise,
    ops.TransposeConv: _transpose_conv,
    ops.FullyConnected: _fully_connected,
    ops.BatchMatMul: _batch_matmul,
    **dict.fromkeys((ops.AvgPool2D, ops.MaxPool2D), _pool),
    **{row.op: _binary if row.arity == 2 else _same for row in ELEMENTWISE.values()},
    **dict.fromkeys((ops.Softmax, ops.LogSoftmax), _softmax),
    ops.Pad: _pad,
    **dict.fromkeys((ops.Mean, ops.ReduceMax, ops.ReduceMin, ops.Sum), _reduce),
    ops.ArgMax: _arg_max,
    **dict.fromkeys((ops.Concat, ops.Enter), _concat),
    LineRows: _line_rows,
    StoreRow: _store_row,
    CopyRow: _same,
    RowSum: _row_sum,
    OfSums: _of_sums,
    ops.Slice: _slice,
    ops.Reshape: _reshape,
    ops.Transpose: _transpose,
    **dict.fromkeys((ops.ResizeNearest, ops.ResizeBilinear), _resize),
    ops.BatchNorm: _batch_norm,
    ops.Cast: _same,
    **dict.fromkeys((ops.Compare, ops.Select), broadcast_shapes),
    ops.Gather: gather_shapes,
    ops.GatherNd: gather_nd_shapes,
    ops.UpdateSlice: update_shapes,
    ops.AddN: _add_n,
    ops.CumSum: _cum_sum,
    ops.L2Normalization: _softmax,
    ops.Lstm: lstm_shapes,
    **SIGNAL_SHAPES,
}
