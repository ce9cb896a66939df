"""Rules of sums that continue from inference to inference."""

from __future__ import annotations

from collections.abc import Iterator

from .. import DType, Graph
from ..running_sum import RunningSum


def running_problems(graph: Graph, op: RunningSum) -> Iterator[str]:
    """Violations in addition to those of the reduction."""
    tensors, expected = (op.inputs[:1], op.outputs[:1]), (op.reduction.inputs, op.reduction.outputs)
    if tensors != expected or len(op.inputs) != 2 or len(op.outputs) != 2:
        yield f"its tensors are {op.inputs} and {op.outputs}, expected {expected} and sums"
        return
    rows = graph[op.inputs[0]].shape[op.axis]
    if not 0 <= op.start < op.stop <= rows - op.step or op.step < 1:
        yield f"its sums are of the rows {op.start} to {op.stop} of {rows}, which move by {op.step}"
    for sums in (graph[op.inputs[1]], graph[op.outputs[1]]):
        if sums.dtype is not DType.INT32 or sums.shape != graph.out(op).shape:
            yield f"its sums are {sums.dtype} of shape {sums.shape}, expected int32 of {graph.out(op).shape}"
