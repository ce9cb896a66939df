"""Lossless shrinking: channels with a constant value are removed from the network and added to the next bias.

Channels whose weights are all zero, and those that the interval analysis proves constant, are removed with their
weights from the layer that computes them and from all readers; so are channels without readers. Every output byte stays
the same.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..ir import Array, DType, Graph, Op, QParams, Role, Tensor, ops
from ..ir.metrics import effort, parameters, total_macs
from .constant_channels import always, foldable, mixes, needed
from .intervals import Interval, intervals

MOST_EFFORT = 1 << 29
"""Limit in elements of one inference. The analysis runs the network several times; this is a few seconds, and twenty
times the largest network of MLPerf Tiny.
"""


def shrink(graph: Graph, bounds: bool = True) -> Graph:
    """Remove constant and unread channels of a quantized graph; `notes` reports the savings.

    With `bounds` off, channels are constant only through zero weights, not through limits on sums.
    """
    if graph.is_float or not graph.ops:
        return graph
    if (work := sum(effort(graph, op) for op in graph.ops)) > MOST_EFFORT:
        return replace(
            graph, notes=(*graph.notes, f"shrink: left out, its analysis would go through {work:,} elements")
        )
    spans = intervals(graph, bounds)
    keep = needed(graph, spans)
    if all(mask.all() for mask in keep.values()):
        return graph
    tensors = dict(graph.tensors)
    next_id = max(tensors) + 1
    rebuilt: list[Op] = []
    for op in graph.ops:
        constants = _constants(graph, op, spans, keep)
        fresh = {i: next_id + k for k, i in enumerate(constants)}
        next_id += len(fresh)
        tensors |= {fresh[i]: replace(t, id=fresh[i]) for i, t in constants.items()}
        inputs = tuple(fresh.get(p, tensor) for p, tensor in enumerate(op.inputs))
        extra = tuple(fresh[i] for i in constants if i >= len(op.inputs))
        rebuilt.append(replace(op, inputs=inputs + extra))
    tensors |= {i: _cut(graph[i], mask) for i, mask in keep.items()}
    small = graph.with_(tensors=tensors, ops=tuple(rebuilt))
    return replace(small, notes=(*graph.notes, _note(graph, small)))


def _cut(t: Tensor, mask: Array) -> Tensor:
    return replace(t, shape=(*t.shape[:-1], int(mask.sum()))) if t.shape else t


def _constants(graph: Graph, op: Op, spans: dict[int, Interval], keep: dict[int, Array]) -> dict[int, Tensor]:
    """New constants by input position, for the operations whose constants have channels."""
    if mixes(graph, op):
        return _mixed(graph, op, spans[op.inputs[0]], keep[op.inputs[0]], keep[op.output])
    if isinstance(op, ops.DepthwiseConv2D):
        return {i: _masked(t, keep[op.output], len(t.shape) - 1) for i, t in enumerate(graph.ins(op)) if i > 0}
    if isinstance(op, ops.Binary):
        mask = keep[op.output]
        operands = enumerate(graph.ins(op))
        return {
            i: _masked(t, mask, len(t.shape) - 1) for i, t in operands if t.is_constant and t.shape[-1:] == mask.shape
        }
    return {}


def _mixed(graph: Graph, op: Op, x: Interval, ins: Array, outs: Array) -> dict[int, Tensor]:
    w = graph[op.inputs[1]]
    small = _masked(_masked(w, outs, 0), ins, len(w.shape) - 1)
    return {1: small, **_folded_bias(graph, op, x, ~ins, outs)}


def _folded_bias(graph: Graph, op: Op, x: Interval, dropped: Array, outs: Array) -> dict[int, Tensor]:
    """bias + the constant contribution of the removed inputs to every output; a bias is created if there was none."""
    w, old = graph[op.inputs[1]], graph.ins(op)[2] if len(op.inputs) > 2 else None
    added = _contribution(graph, op, x, dropped)
    if old is None and not added.any():
        return {}
    template = old if old is not None else _zero_bias(graph, op)
    total = template.value.astype(np.int64) + added
    return {2: _masked(replace(template, data=total.astype(template.dtype.numpy), shape=(w.shape[0],)), outs, 0)}


def _contribution(graph: Graph, op: Op, x: Interval, dropped: Array) -> Array:
    w = graph[op.inputs[1]].integer_values
    fixed, value = always(x)
    folded = dropped & fixed & foldable(graph, op, value)
    sums = w.astype(np.int64).reshape(w.shape[0], -1, w.shape[-1]).sum(axis=1)
    offset = np.where(folded, value.astype(np.int64) - graph[op.inputs[0]].zero_point, 0)
    return np.asarray(sums @ offset)


def _zero_bias(graph: Graph, op: Op) -> Tensor:
    x, w = graph.ins(op)[:2]
    wide = DType.INT64 if x.dtype is DType.INT16 else DType.INT32
    scale = QParams.of([x.scale * s for s in w.qparams.scale], 0, None if len(w.qparams.scale) == 1 else 0)
    return Tensor(-1, (w.shape[0],), wide, Role.CONSTANT, q=scale, data=np.zeros(w.shape[0], wide.numpy))


def _masked(t: Tensor, mask: Array, axis: int) -> Tensor:
    """The constant at the selected indices of one axis, with its scales and palette indices."""
    data = np.compress(mask, t.value, axis=axis)
    q = None if t.q is None else t.q.masked(mask, axis)
    palette = None if t.palette is None else t.palette.masked(mask, axis)
    return replace(t, shape=data.shape, data=data, q=q, palette=palette)


def _note(before: Graph, after: Graph) -> str:
    macs = (total_macs(before), total_macs(after))
    weights = (parameters(before), parameters(after))
    return (
        f"shrink: constant channels folded into biases; {macs[1]:,} of {macs[0]:,} MACs and "
        f"{weights[1]:,} of {weights[0]:,} constants are left"
    )
