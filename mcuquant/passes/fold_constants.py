"""Operations on constants alone become their result."""

from __future__ import annotations

from dataclasses import replace

from ..interp import evaluate
from ..ir import Graph, Op, Role, Tensor


def fold_constants(graph: Graph) -> Graph:
    """The interpreter computes them, so a quantised result has the device's bytes. An output stays an operation's."""
    tensors = dict(graph.tensors)
    kept: list[Op] = []
    for op in graph.ops:
        inputs = [tensors[i] for i in op.inputs]
        if op.output in graph.outputs or not all(t.is_constant for t in inputs):
            kept.append(op)
        else:
            tensors[op.output] = _result(graph, op, inputs)
    return graph if len(kept) == len(graph.ops) else graph.with_(ops=tuple(kept), tensors=tensors)


def _result(graph: Graph, op: Op, inputs: list[Tensor]) -> Tensor:
    data = evaluate(graph, op, [t.data for t in inputs if t.data is not None])
    return replace(graph.out(op), role=Role.CONSTANT, data=data)
