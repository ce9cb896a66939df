"""Joins a convolution and the pooling of its output in one operation, so that the image between them need not exist.

It is not one of PASSES, because it costs a little time and saves memory. The planner applies it where that helps.
"""

from __future__ import annotations

from collections.abc import Callable

from ..ir import Graph, ops
from ..ir.ops import ConvPool
from .rewrite import Draft


def fuse_pool(graph: Graph, where: Callable[[ConvPool], bool]) -> Graph:
    """`where` is called for each pair: a pooling right after the convolution, which is the only
    reader of its output.
    """
    draft = Draft.of(graph)
    for op in graph.ops:
        pair = _pair(draft, op)
        if pair is not None and where(pair):
            draft.replace(pair.conv, pair)
        else:
            draft.append(op)
    return draft.finish()


def _pair(draft: Draft, pool: ops.Op) -> ConvPool | None:
    conv = draft.ops[-1] if draft.ops else None
    if not (isinstance(pool, ops.Pool) and isinstance(conv, ops.Conv2D | ops.DepthwiseConv2D)):
        return None
    if pool.inputs != conv.outputs or not draft.only_reader(conv.output):
        return None
    return ConvPool(inputs=conv.inputs, outputs=pool.outputs, conv=conv, pool=pool)
