"""The movement of the rows of every tensor when a network's window moves along a stream.

A network reads the last rows of a stream. After `hop` new rows, row j of a tensor is often the earlier row j + step,
because integer arithmetic does not depend on the position. Behind a stride that does not divide the hop, this is so
after `period` hops: with a hop of 1 and a stride of 2, the windows of even and odd rows have no row in common. Padding
breaks it: affected rows, at either end, are edges and computed again for every window. If an operation mixes rows (a
flattening, a mean over time), no row moves, and everything after it is computed again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..ir import Graph, Op, Shape, ops
from ..ir.elementwise_table import ELEMENTWISE

Rows = range
"""Consecutive rows of a tensor of the window."""


@dataclass(frozen=True, slots=True)
class Timeline:
    """Along `axis`, rows `clean` of a tensor move by `step` rows in `period` hops; those around them do not."""

    axis: int
    length: int
    step: int
    clean: Rows
    period: int = 1

    @property
    def fresh(self) -> Rows:
        """The clean rows that no earlier window of the same phase contained."""
        return range(max(self.clean.start, self.clean.stop - self.step), self.clean.stop)


@dataclass(frozen=True, slots=True)
class Whole:
    """A tensor that is computed again for every window, with the reason."""

    reason: str


Motion = Timeline | Whole


@dataclass(frozen=True, slots=True)
class Reach:
    """The rows of its inputs that an operation reads for some rows of its output, window by window or row by row.

    Output row j reads input rows j * stride - before to that + length - 1, where they exist.
    """

    stride: int = 1
    length: int = 1
    before: int = 0

    def of(self, rows: Rows, length: int) -> Rows:
        """The rows of an input with `length` rows that `rows` of the output read."""
        start, stop = self.unlimited(rows)
        return range(max(0, start), min(length, stop))

    def unlimited(self, rows: Rows) -> tuple[int, int]:
        return rows.start * self.stride - self.before, (rows.stop - 1) * self.stride - self.before + self.length


def motions(graph: Graph, axis: int, hop: int) -> dict[int, Motion]:
    """Timelines of every tensor that depends on the input, whose rows are along `axis`."""
    (x,) = graph.inputs
    length = graph[x].shape[axis]
    moving: dict[int, Motion] = {x: Timeline(axis, length, hop, range(length))}
    for op in graph.ops:
        sources = [moving[i] for i in op.inputs if i in moving]
        if sources:
            motion = _motion(graph, op, moving)
            moving |= dict.fromkeys(op.outputs, motion)
    return moving


def _motion(graph: Graph, op: Op, moving: Mapping[int, Motion]) -> Motion:
    whole = next((m for i in op.inputs if isinstance(m := moving.get(i), Whole)), None)
    if whole is not None:
        return Whole("")
    times = {i: m for i in op.inputs if isinstance(m := moving.get(i), Timeline)}
    rule = next((RULES[kind] for kind in type(op).__mro__ if kind in RULES), None)
    if rule is None:
        return Whole(f"{op.kind} reads all rows")
    first = next(iter(times.values()))
    if any((t.length, t.step, t.period) != (first.length, first.step, first.period) for t in times.values()):
        return Whole(f"{op.kind} joins tensors of different rates")
    return rule(graph, op, times)


def reach(graph: Graph, op: Op, x_axis: int) -> Reach:
    """Timeline of the output of an operation whose input has one."""
    match op:
        case ops.Conv2D() | ops.DepthwiseConv2D():
            k = x_axis - 1
            taps = graph[op.inputs[1]].shape[1 + k]
            return Reach(op.stride[k], (taps - 1) * op.dilation[k] + 1, _before(op.padding, k))
        case ops.Pool():
            k = x_axis - 1
            return Reach(op.stride[k], op.window[k], _before(op.padding, k))
        case ops.Pad():
            return Reach(before=op.pads[x_axis][0])
        case ops.Slice():
            step = op.step[x_axis] if graph.out(op).shape[x_axis] > 1 else 1
            return Reach(stride=step, before=-op.begin[x_axis])
        case _:
            return Reach()


def _before(padding: ops.Padding, k: int) -> int:
    return (padding.top, padding.left)[k]


Times = Mapping[int, Timeline]
_Rule = Callable[[Graph, Any, Times], Motion]


def _windowed(graph: Graph, op: Any, times: Times) -> Motion:
    ((x, time),) = times.items()
    y = graph.out(op).shape
    if isinstance(op, ops.Conv2D | ops.DepthwiseConv2D) and op.inputs[0] != x:
        return Whole(f"{op.kind} has weights that are computed")
    if isinstance(op, ops.Conv2D | ops.DepthwiseConv2D | ops.Pool) and time.axis not in (1, 2):
        return Whole(f"{op.kind} sums over all rows, which are its channels")
    return _moved(op, time, reach(graph, op, time.axis), y[time.axis])


def _moved(op: Op, time: Timeline, r: Reach, length: int) -> Motion:
    """The clean rows of the output are those that read only clean rows."""
    if r.stride < 1:
        return Whole(f"{op.kind} takes rows backwards")
    if length == 1:
        return Whole("")
    if r.before >= r.length > 1:
        return Whole(f"{op.kind} has {r.before} rows of padding for a window of {r.length}")
    phases = r.stride // math.gcd(time.step, r.stride)
    step = time.step * phases // r.stride
    rows = range(max(0, _first(op, time, r)), min(length, _last(time, r) + 1))
    if step >= len(rows):
        reached = f"{op.kind} has {len(rows)} of {length} rows that padding does not reach, and moves by {step}"
        return Whole("" if len(rows) == length else f"{reached}; use less padding along the rows")
    return Timeline(time.axis, length, step, rows, time.period * phases)


def _first(op: Op, time: Timeline, r: Reach) -> int:
    """A Pad counts one row more than it fills as edge, because the edge must read a row."""
    start = max(time.clean.start, 1) if isinstance(op, ops.Pad) and r.before else time.clean.start
    return -(-(start + r.before) // r.stride)


def _last(time: Timeline, r: Reach) -> int:
    return (time.clean.stop + r.before - r.length) // r.stride


def _elementwise(graph: Graph, op: Op, times: Times) -> Motion:
    """Operands of equal length along time, or constants that are equal for all rows."""
    y, first = graph.out(op).shape, next(iter(times.values()))
    from_last = len(y) - first.axis
    if any(len(graph[i].shape) - t.axis != from_last for i, t in times.items()):
        return Whole(f"{op.kind} joins tensors whose rows are along different axes")
    for i in op.inputs:
        shape = graph[i].shape
        if i not in times and len(shape) >= from_last and shape[-from_last] != 1:
            return Whole(f"{op.kind} has a constant for each row")
    return _common(len(y) - from_last, times)


def _common(axis: int, times: Times) -> Motion:
    first = next(iter(times.values()))
    start, stop = max(t.clean.start for t in times.values()), min(t.clean.stop for t in times.values())
    if stop - start <= first.step:
        return Whole("no row is free of padding in all operands")
    return replace(first, axis=axis, clean=range(start, stop))


def _concat(graph: Graph, op: ops.Concat, times: Times) -> Motion:
    axis = next(iter(times.values())).axis
    if op.axis == axis or any(t.axis != axis for t in times.values()):
        return Whole("Concat joins along the rows")
    if any(i not in times for i in op.inputs):
        return Whole("Concat has a constant for each row")
    return _common(axis, times)


def _same_axis(graph: Graph, op: Op, times: Times) -> Motion:
    """Over the last axis, which is not the axis of rows."""
    ((x, time),) = times.items()
    if time.axis == len(graph[x].shape) - 1:
        return Whole(f"{op.kind} goes over all rows")
    return time


def _transpose(graph: Graph, op: ops.Transpose, times: Times) -> Motion:
    ((_, time),) = times.items()
    return replace(time, axis=op.perm.index(time.axis))


def _reshape(graph: Graph, op: Op, times: Times) -> Motion:
    ((x, time),) = times.items()
    axis = same_place(graph[x].shape, time.axis, graph.out(op).shape)
    if axis is None:
        return Whole("Reshape mixes rows with what is around them")
    return replace(time, axis=axis)


def same_place(before: Shape, axis: int, after: Shape) -> int | None:
    """The axis with the same number of elements before and after it."""
    outer = math.prod(before[:axis])
    places = (i for i, n in enumerate(after) if n == before[axis] and math.prod(after[:i]) == outer)
    return next(places, None)


def _fully_connected(graph: Graph, op: ops.FullyConnected, times: Times) -> Motion:
    x, w = graph.ins(op)[:2]
    time = times.get(x.id)
    if time is None or len(times) > 1:
        return Whole("FullyConnected has weights that are computed")
    if time.axis >= len(x.shape) - 1 or x.shape[-1] != w.shape[1]:
        return Whole("FullyConnected sums over all rows")
    return _reshape(graph, op, times)


def _reduce(graph: Graph, op: ops.Reduce, times: Times) -> Motion:
    ((x, time),) = times.items()
    if time.axis in op.axes:
        return Whole(f"{op.kind} goes over all rows")
    keeps = len(graph.out(op).shape) == len(graph[x].shape)
    axis = time.axis - (0 if keeps else sum(a < time.axis for a in op.axes))
    return replace(time, axis=axis)


RULES: Mapping[type[Op], _Rule] = {
    **dict.fromkeys((ops.Conv2D, ops.DepthwiseConv2D, ops.Pool, ops.Pad, ops.Slice), _windowed),
    **dict.fromkeys(ELEMENTWISE, _elementwise),
    ops.Concat: _concat,
    **dict.fromkeys((ops.Softmax, ops.LogSoftmax, ops.L2Normalization, ops.BatchNorm), _same_axis),
    ops.Transpose: _transpose,
    ops.Reshape: _reshape,
    ops.FullyConnected: _fully_connected,
    ops.Reduce: _reduce,
}
