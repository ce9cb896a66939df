"""Sizes of a network that do not depend on its implementation."""

from __future__ import annotations

import hashlib

from . import Graph, Tensor
from .ops import BatchMatMul, Conv2D, ConvPool, DepthwiseConv2D, FullyConnected, Lstm, Op, Pool, TransposeConv

_CALL = 3000
"""Number of elements that numpy processes in the time of one call."""


def macs(graph: Graph, op: Op) -> int:
    """Multiply-accumulates of one inference, padding taps counted, as MLPerf Tiny and its peers count them.

    Only operations with weights and matrix products have any; pooling and element-wise work is not counted.
    """
    match op:
        case Conv2D():
            return graph.out(op).elements * graph.ins(op)[1].elements // graph.ins(op)[1].shape[0]
        case DepthwiseConv2D():
            _, kh, kw, _ = graph.ins(op)[1].shape
            return graph.out(op).elements * kh * kw
        case TransposeConv():
            x, w = graph.ins(op)[:2]
            return x.elements * w.elements // w.shape[3]
        case FullyConnected():
            return graph.out(op).elements * graph.ins(op)[1].shape[1]
        case BatchMatMul():
            a = graph.ins(op)[0]
            return graph.out(op).elements * a.shape[-2 if op.adj_a else -1]
        case Lstm():
            x, w, r = graph.ins(op)[:3]
            return x.elements // w.shape[1] * (w.elements + r.elements)
        case ConvPool():
            return macs(graph, op.conv)
        case _:
            return 0


def effort(graph: Graph, op: Op) -> int:
    """Number of elements that the interpreter processes for one inference: a bound on its time, and roughly on its
    memory.

    A file can request any number with a large window, stride or dilation, so check this bound before interpretation.
    """
    if isinstance(op, ConvPool):
        return effort(graph, op.conv) + effort(graph, op.pool)
    touched = macs(graph, op) + sum(t.elements for t in (*graph.ins(op), graph.out(op)))
    match op:
        case Conv2D() | DepthwiseConv2D():
            return touched + _window_effort(graph, op, graph.ins(op)[1].shape[1:3], op.dilation)
        case Pool():
            return touched + _window_effort(graph, op, op.window, (1, 1))
        case TransposeConv():
            x, w = graph.ins(op)[:2]
            scattered = x.shape[1] * op.stride[0] * x.shape[2] * op.stride[1] * w.shape[0]
            return touched + scattered + w.shape[1] * w.shape[2] * _CALL
        case _:
            return touched


def _window_effort(
    graph: Graph, op: Conv2D | DepthwiseConv2D | Pool, window: tuple[int, ...], dilation: tuple[int, int]
) -> int:
    """The padded image, what all windows see, and a call for each tap."""
    x, y = graph.ins(op)[0].shape, graph.out(op).shape
    rows, columns = ((y[a + 1] - 1) * op.stride[a] + (window[a] - 1) * dilation[a] + 1 for a in (0, 1))
    taps = window[0] * window[1]
    return x[0] * rows * columns * x[3] + y[0] * y[1] * y[2] * x[3] * taps + taps * _CALL


def total_macs(graph: Graph) -> int:
    return sum(macs(graph, op) for op in graph.ops)


def parameters(graph: Graph) -> int:
    """Elements of all constants: weights, biases and constant operands."""
    return sum(t.elements for t in graph.tensors.values() if t.is_constant)


def state_bytes(graph: Graph) -> int:
    """Bytes of all states."""
    return sum(t.nbytes for t in graph.states)


def weight_bytes(graph: Graph) -> int:
    """Bytes of all constants at their own width, packed: four 2-bit values per byte; indices and centroids of a
    palette.
    """
    return sum(_constant_bytes(t) for t in graph.tensors.values() if t.is_constant)


def _constant_bytes(t: Tensor) -> int:
    if t.palette is None:
        return -(-t.elements * t.bits // 8)
    return -(-t.elements * t.palette.bits // 8) + int(t.palette.centroids.size) + len(t.palette.groups)


def structure_digest(graph: Graph) -> str:
    """SHA-256 of the structure of a network without its weights and widths: the types and shapes of inputs and outputs,
    and the kinds of its operations in order.
    """
    ends = [f"{graph[i].dtype} {graph[i].shape}" for i in (*graph.inputs, *graph.outputs)]
    ends += [f"state {t.dtype} {t.shape}" for t in graph.states]
    return hashlib.sha256("\n".join([*ends, *(op.kind for op in graph.ops)]).encode()).hexdigest()
