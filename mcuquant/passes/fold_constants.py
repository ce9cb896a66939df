"""Replaces operations on constants by their results, within a limit of work. An output becomes a copy of its result."""

from __future__ import annotations

from dataclasses import replace

from ..arithmetic.interpreter import evaluate
from ..ir import DType, Graph, Op, Role, Tensor, ops
from ..ir.metrics import effort

MOST_EFFORT = 1 << 26
"""Limit of the work for one graph. Real networks fold a few thousand elements; a file that is meant to waste time may
request any number and keeps its operations beyond the limit.
"""


def fold_constants(graph: Graph) -> Graph:
    """The interpreter computes the results, so a quantized result has the device's bytes. An output stays an
    operation's.
    """
    next_id = max(graph.tensors) + 1
    tensors = dict(graph.tensors)
    operations: list[Op] = []
    left = MOST_EFFORT
    for op in graph.ops:
        inputs = [tensors[i] for i in op.inputs]
        is_output = op.output in graph.ends
        folds = all(t.is_constant for t in inputs) and effort(graph, op) <= left
        if not folds or (is_output and not _can_be_copied(op, graph.out(op))):
            operations.append(op)
            continue
        left -= effort(graph, op)
        result = _result(graph, op, inputs)
        tensors[next_id if is_output else op.output] = replace(result, id=next_id, name="") if is_output else result
        if is_output:
            operations.append(_copy(next_id, result))
            next_id += 1
    return graph if operations == list(graph.ops) else graph.with_(ops=tuple(operations), tensors=tensors)


def _can_be_copied(op: Op, y: Tensor) -> bool:
    return not isinstance(op, ops.Slice) and y.dtype in (DType.INT8, DType.INT16, DType.FLOAT32)


def _copy(source: int, y: Tensor) -> Op:
    rank = len(y.shape)
    return ops.Slice(inputs=(source,), outputs=(y.id,), begin=(0,) * rank, step=(1,) * rank)


def _result(graph: Graph, op: Op, inputs: list[Tensor]) -> Tensor:
    data = evaluate(graph, op, [t.data for t in inputs if t.data is not None])
    return replace(graph.out(op), role=Role.CONSTANT, data=data)
