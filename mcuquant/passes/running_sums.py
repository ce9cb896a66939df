"""Means and sums over the rows of a stream: sums of kept rows continue instead of being computed again.

The sum of the rows that were there one inference before is a state. New rows are added to it, and so are the edges of
padding, which no sum keeps. For the next inference, the rows that enter are added and those that leave are subtracted.
Integer sums are exact, so every byte is that of the reduction over all rows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from ..ir import Array, DType, Graph, Op, Role, Shape, Tensor, Update
from ..ir.ops import AvgPool2D, Concat, Mean, Reshape, Slice, Sum
from ..ir.running_sum import RunningSum
from .timeline import same_place

_LEAST = 4
"""A reduction over all rows takes one pass; a sum that continues has to touch this many times fewer rows."""
_TYPES = (DType.INT8, DType.INT16)


@dataclass(frozen=True, slots=True)
class KeptRows:
    """Rows `rows` of a reduction's input, along `axis`: the value of state `state`. They move by `step`."""

    state: int
    axis: int
    rows: range
    step: int


def with_running_sums(graph: Graph) -> Graph:
    """The graph in which reductions over lines of rows add and subtract only rows that enter and leave."""
    tensors, operations, updates = dict(graph.tensors), list[Op](), list(graph.updates)
    for op in graph.ops:
        kept = kept_rows(graph, op)
        if kept is not None and isinstance(op, Mean | Sum | AvgPool2D):
            sums = _sums(graph, op, kept)
            state = Tensor(max(tensors) + 1, sums.shape, DType.INT32, Role.STATE, data=sums)
            later = Tensor(state.id + 1, sums.shape, DType.INT32, Role.ACTIVATION)
            tensors |= {state.id: state, later.id: later}
            updates.append(Update(state.id, later.id))
            op = RunningSum(
                inputs=(*op.inputs, state.id),
                outputs=(*op.outputs, later.id),
                reduction=op,
                axis=kept.axis,
                start=kept.rows.start,
                stop=kept.rows.stop,
                step=kept.step,
            )
        operations.append(op)
    if len(updates) == len(graph.updates):
        return graph
    return replace(graph, tensors=tensors, ops=tuple(operations), updates=tuple(updates))


def kept_rows(graph: Graph, op: Op) -> KeptRows | None:
    """The rows whose sums a reduction can take over from the last inference; None if that saves nothing."""
    if not isinstance(op, Mean | Sum | AvgPool2D) or graph.out(op).dtype not in _TYPES:
        return None
    kept = _line(graph, op.inputs[0])
    return kept if kept is not None and _saves(graph, op, kept) else None


def _saves(graph: Graph, op: Mean | Sum | AvgPool2D, kept: KeptRows) -> bool:
    """Whether all rows are reduced, and few are added and subtracted."""
    shape, axes = graph[op.inputs[0]].shape, _reduced(graph, op)
    if kept.axis not in axes or math.prod(shape[: kept.axis]) != 1:
        return False
    if _LEAST * (shape[kept.axis] - len(kept.rows) + kept.step) > shape[kept.axis]:
        return False
    behind = [i in axes for i in range(kept.axis, len(shape)) if shape[i] > 1]
    return behind == sorted(behind, reverse=True)


def _reduced(graph: Graph, op: Mean | Sum | AvgPool2D) -> tuple[int, ...]:
    """The axes of which nothing is left."""
    if not isinstance(op, AvgPool2D):
        return op.axes
    shape = graph[op.inputs[0]].shape
    return (1, 2) if op.window == shape[1:3] and not op.padding.any and graph.out(op).shape[1:3] == (1, 1) else ()


def _line(graph: Graph, tensor: int) -> KeptRows | None:
    """The rows of a tensor that are a state: joined with new rows, perhaps beside edges, or under another shape."""
    maker = graph.producer(tensor)
    if isinstance(maker, Reshape):
        return _reshaped(graph, _line(graph, maker.inputs[0]), maker)
    if not isinstance(maker, Concat):
        return None
    return _joined(graph, maker) or _beside(graph, maker)


def _reshaped(graph: Graph, kept: KeptRows | None, op: Reshape) -> KeptRows | None:
    axis = None if kept is None else same_place(graph[op.inputs[0]].shape, kept.axis, graph.out(op).shape)
    return None if kept is None or axis is None else replace(kept, axis=axis)


def _joined(graph: Graph, op: Concat) -> KeptRows | None:
    """A state and new rows, of which the newest are the next state."""
    state, y = graph[op.inputs[0]], graph.out(op)
    value = next((u.value for u in graph.updates if u.state == state.id), None)
    newest = None if value is None else graph.producer(value)
    if not isinstance(newest, Slice) or newest.inputs != (op.output,) or state.q != y.q:
        return None
    step = newest.begin[op.axis]
    moved = newest.begin == _only(step, op.axis, y.shape) and all(n == 1 for n in newest.step)
    return KeptRows(state.id, op.axis, range(state.shape[op.axis]), step) if moved and step > 0 else None


def _only(n: int, axis: int, shape: Shape) -> Shape:
    return tuple(n if i == axis else 0 for i in range(len(shape)))


def _beside(graph: Graph, op: Concat) -> KeptRows | None:
    """A line among the parts of a tensor along the same axis."""
    before = 0
    for part in op.inputs:
        maker = graph.producer(part)
        kept = _joined(graph, maker) if isinstance(maker, Concat) and graph[part].q == graph.out(op).q else None
        if kept is not None and kept.axis == op.axis:
            return replace(kept, rows=range(before + kept.rows.start, before + kept.rows.stop))
        before += graph[part].shape[op.axis]
    return None


def _sums(graph: Graph, op: Mean | Sum | AvgPool2D, kept: KeptRows) -> Array:
    """Sums of the initial rows, in the shape of the reduction's output."""
    shape = graph[op.inputs[0]].shape
    rows = graph[kept.state].value.reshape(tuple(len(kept.rows) if i == kept.axis else n for i, n in enumerate(shape)))
    return np.asarray(rows.sum(axis=_reduced(graph, op), dtype=np.int32)).reshape(graph.out(op).shape)
