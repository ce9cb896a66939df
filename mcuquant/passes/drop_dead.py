"""Removes operations whose results are unused."""

from __future__ import annotations

from ..ir import Graph, Op


def drop_dead(graph: Graph) -> Graph:
    tensors = set(graph.ends)
    operations: list[Op] = []
    for op in reversed(graph.ops):
        if tensors.intersection(op.outputs):
            tensors.update(op.inputs)
            operations.append(op)
    return graph if len(operations) == len(graph.ops) else graph.with_(ops=tuple(reversed(operations)))
