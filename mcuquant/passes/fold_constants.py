"""Operations on constants alone become their result, as long as that is little work."""

from __future__ import annotations

from dataclasses import replace

from ..arithmetic.interpreter import evaluate
from ..ir import Graph, Op, Role, Tensor
from ..ir.metrics import effort

MOST_EFFORT = 1 << 26
"""Effort for one graph. Real networks fold a few thousand elements; a file made to keep us busy may ask for any number,
and keeps its operations beyond this one."""


def fold_constants(graph: Graph) -> Graph:
    """The interpreter computes them, so a quantised result has the device's bytes. An output stays an operation's."""
    tensors = dict(graph.tensors)
    operations: list[Op] = []
    left = MOST_EFFORT
    for op in graph.ops:
        inputs = [tensors[i] for i in op.inputs]
        constant = op.output not in graph.outputs and all(t.is_constant for t in inputs)
        if constant and effort(graph, op) <= left:
            left -= effort(graph, op)
            tensors[op.output] = _result(graph, op, inputs)
        else:
            operations.append(op)
    return graph if len(operations) == len(graph.ops) else graph.with_(ops=tuple(operations), tensors=tensors)


def _result(graph: Graph, op: Op, inputs: list[Tensor]) -> Tensor:
    data = evaluate(graph, op, [t.data for t in inputs if t.data is not None])
    return replace(graph.out(op), role=Role.CONSTANT, data=data)
