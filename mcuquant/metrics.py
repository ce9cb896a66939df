"""Sizes of a network that do not depend on how it is run."""

from __future__ import annotations

from .ir import Graph
from .ops import BatchMatMul, Conv2D, DepthwiseConv2D, FullyConnected, Op, TransposeConv


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
        case _:
            return 0


def total_macs(graph: Graph) -> int:
    return sum(macs(graph, op) for op in graph.ops)


def parameters(graph: Graph) -> int:
    """Elements of all constants: weights, biases and constant operands."""
    return sum(t.elements for t in graph.tensors.values() if t.is_constant)


def weight_bytes(graph: Graph) -> int:
    """Bytes of all constants at their own width, 4-bit ones packed two a byte."""
    return sum(-(-t.elements * t.bits // 8) for t in graph.tensors.values() if t.is_constant)
