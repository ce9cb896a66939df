"""The rows of its inputs that an operation needs for a row of its output."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from ..ir import DType, Graph, Op, ops
from ..ir.elementwise_table import ELEMENTWISE

_HEIGHT, _RANK = 1, 4


@dataclass(frozen=True, slots=True)
class RowWindow:
    """Output row j needs input rows j * stride - top to that + length - 1.

    Rows above and below the image hold `fill`, a stored integer; None: there are no such rows.
    """

    length: int = 1
    stride: int = 1
    top: int = 0
    fill: int | None = None


def row_window(graph: Graph, op: Op, lines: Collection[int]) -> RowWindow | str:
    """The window of an operation on `lines`, tensors that come row by row; or the reason why it has none."""
    rule = _RULES.get(type(op))
    if rule is None:
        return f"{op.kind} reads all rows"
    if any(i not in lines and not graph[i].is_constant for i in op.inputs):
        return f"{op.kind} has an operand without rows"
    shapes = [graph[i].shape for i in (*op.inputs, *op.outputs) if i in lines or i in op.outputs]
    if any(len(shape) != _RANK for shape in shapes) or (op.inputs[0] not in lines and not _is_elementwise(op)):
        return f"{op.kind} has an operand without rows"
    return rule(graph, op, lines)


def _is_elementwise(op: Op) -> bool:
    return type(op) in ELEMENTWISE


_Rule = Callable[[Graph, Any, Collection[int]], RowWindow | str]


def _convolution(graph: Graph, op: ops.Conv2D | ops.DepthwiseConv2D, _: Collection[int]) -> RowWindow | str:
    x, w = graph.ins(op)[:2]
    if not all(graph[i].is_constant for i in op.inputs[1:]):
        return f"{op.kind} has weights that are computed"
    return _window(graph, op, (w.shape[1] - 1) * op.dilation[0] + 1, x.zero_point)


def _max_pool(graph: Graph, op: ops.MaxPool2D, _: Collection[int]) -> RowWindow | str:
    x = graph.ins(op)[0]
    return _window(graph, op, op.window[0], x.dtype.range(x.bits)[0])


def _average_pool(graph: Graph, op: ops.AvgPool2D, _: Collection[int]) -> RowWindow | str:
    window = _window(graph, op, op.window[0], 0)
    if isinstance(window, RowWindow) and window.fill is not None:
        return f"{op.kind} counts the rows inside the image"
    return window


def _window(graph: Graph, op: Any, length: int, fill: int) -> RowWindow | str:
    x, y = graph.ins(op)[0], graph.out(op)
    top, stride = op.padding.top, op.stride[0]
    if x.shape[0] != 1 or top >= length:
        return f"{op.kind} has {top} rows of padding for a window of {length}"
    if length >= x.shape[_HEIGHT] + top:
        return f"{op.kind} reads all rows"
    is_padded = top > 0 or (y.shape[_HEIGHT] - 1) * stride - top + length > x.shape[_HEIGHT]
    if is_padded and x.dtype is not DType.INT8 and fill != 0:  # rows are filled byte by byte
        return f"{op.kind} pads {x.dtype}"
    return RowWindow(length, stride, top, fill if is_padded else None)


def _elementwise(graph: Graph, op: Op, lines: Collection[int]) -> RowWindow | str:
    """Operands of equal height, or constants that are equal for all rows."""
    height = graph.out(op).shape[_HEIGHT]
    for t in graph.ins(op):
        if t.id in lines and t.shape[_HEIGHT] != height:
            return f"{op.kind} reads one row for all"
        if t.id not in lines and len(t.shape) >= _RANK - _HEIGHT and t.shape[-(_RANK - _HEIGHT)] != 1:
            return f"{op.kind} has a constant for each row"
    return RowWindow()


def _concat(graph: Graph, op: ops.Concat, lines: Collection[int]) -> RowWindow | str:
    if op.axis in (0, _HEIGHT):
        return "Concat joins along the rows"
    if any(i not in lines for i in op.inputs):
        return "Concat has a constant for each row"
    return RowWindow()


def _pad(_: Graph, op: ops.Pad, __: Collection[int]) -> RowWindow | str:
    return "Pad adds rows" if any(op.pads[0]) or any(op.pads[_HEIGHT]) else RowWindow()


def _slice(graph: Graph, op: ops.Slice, _: Collection[int]) -> RowWindow | str:
    is_whole = graph.ins(op)[0].shape[:2] == graph.out(op).shape[:2] and op.step[_HEIGHT] == 1
    return RowWindow() if is_whole else "Slice takes some of the rows"


def _each_row(_: Graph, __: Op, ___: Collection[int]) -> RowWindow | str:
    """Over the last axis, the channels."""
    return RowWindow()


_MOST_PIXELS = 1 << 22
"""Pixels of int8 whose sums are below 31 bits, also without their zero points."""


def adds_all_pixels(graph: Graph, op: Op) -> bool:
    """Whether an operation averages or adds all pixels of each channel, so that sums of rows are enough."""
    x, y = graph.ins(op)[0], graph.out(op)
    if x.dtype is not DType.INT8 or y.dtype is not DType.INT8 or len(x.shape) != _RANK or x.shape[0] != 1:
        return False
    is_small = x.elements // x.shape[3] <= _MOST_PIXELS
    if isinstance(op, ops.AvgPool2D):
        return is_small and op.window == x.shape[1:3] and y.shape[1:3] == (1, 1) and not op.padding.any
    return is_small and isinstance(op, ops.Mean | ops.Sum) and op.axes == (1, 2)


_RULES: Mapping[type[Op], _Rule] = {
    **dict.fromkeys((ops.Conv2D, ops.DepthwiseConv2D), _convolution),
    ops.MaxPool2D: _max_pool,
    ops.AvgPool2D: _average_pool,
    **dict.fromkeys(ELEMENTWISE, _elementwise),
    ops.AddN: _elementwise,
    ops.Concat: _concat,
    ops.Pad: _pad,
    ops.Slice: _slice,
    **dict.fromkeys((ops.Softmax, ops.LogSoftmax, ops.L2Normalization), _each_row),
}
