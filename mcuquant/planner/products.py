"""Rewrites convolutions with one output position as fully connected layers, whose kernels are faster."""

from __future__ import annotations

from dataclasses import replace

from ..ir import DType, Graph, Op, Tensor
from ..ir.ops import Conv2D, FullyConnected


def with_products(graph: Graph) -> Graph:
    """The graph with a fully connected layer for every convolution whose window covers its whole input."""
    tensors, operations = dict(graph.tensors), list[Op]()
    for op in graph.ops:
        if isinstance(op, Conv2D) and _has_one_position(graph, op):
            w = graph[op.inputs[1]]
            rows = _as_rows(w, max(tensors) + 1)
            tensors[rows.id] = rows
            inputs = (op.inputs[0], rows.id, *op.inputs[2:])
            op = FullyConnected(
                inputs=inputs, outputs=op.outputs, activation=op.activation, single_factor=op.single_factor
            )
        operations.append(op)
    return graph if operations == list(graph.ops) else replace(graph, tensors=tensors, ops=tuple(operations))


def _has_one_position(graph: Graph, op: Conv2D) -> bool:
    x, w = graph.ins(op)[:2]
    plain = w.is_constant and w.dtype is DType.INT8 and w.bits == 8 and w.palette is None and x.dtype.is_integer
    whole = x.shape == (1, *w.shape[1:]) and not op.padding.any
    return plain and whole and (op.dilation == (1, 1) or w.shape[1:3] == (1, 1))


def _as_rows(w: Tensor, new_id: int) -> Tensor:
    shape = (w.shape[0], w.elements // w.shape[0])
    return replace(w, id=new_id, shape=shape, data=w.value.reshape(shape))
