"""Operations whose result nothing reads leave the graph."""

from __future__ import annotations

from ..ir import Graph, Op


def drop_dead(graph: Graph) -> Graph:
    needed = set(graph.outputs)
    kept: list[Op] = []
    for op in reversed(graph.ops):
        if needed.intersection(op.outputs):
            needed.update(op.inputs)
            kept.append(op)
    return graph if len(kept) == len(graph.ops) else graph.with_(ops=tuple(reversed(kept)))
