"""An output that is a state with another shape becomes a copy, because the state changes before the output is read."""

from __future__ import annotations

from dataclasses import replace

from ..ir import Graph, Op, Role, Tensor, ops
from ..ir.verify.states import shows_state


def copy_outputs(graph: Graph) -> Graph:
    """The last Reshape before such an output reads a copy."""
    tensors, operations = dict(graph.tensors), list[Op]()
    for op in graph.ops:
        if op.output in graph.outputs and shows_state(graph, op.output):
            copy = _copy(graph[op.inputs[0]], max(tensors) + 1)
            tensors[copy.id] = copy
            begin, step = (0,) * len(copy.shape), (1,) * len(copy.shape)
            operations.append(ops.Slice(inputs=op.inputs, outputs=(copy.id,), begin=begin, step=step))
            op = replace(op, inputs=(copy.id,))
        operations.append(op)
    return graph if len(operations) == len(graph.ops) else graph.with_(ops=tuple(operations), tensors=tensors)


def _copy(t: Tensor, new_id: int) -> Tensor:
    return replace(t, id=new_id, role=Role.ACTIVATION, data=None)
