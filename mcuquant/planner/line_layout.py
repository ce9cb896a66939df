"""The lines of a network by rows in the arena (`passes.row_schedule`): rows that last, and the newest one.

The older rows of a line are in use until the last sweep, but the newest one only from the layer that computes it to the
last layer that reads it. Other layers then use its bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from ..ir import Graph, Op
from ..ir.row_ops import CopyRow, LineRows, RowSum, StoreRow


@dataclass(frozen=True, slots=True)
class LineLayout:
    """The lines of a graph; of a graph without lines, everything is empty."""

    kept_bytes: Mapping[int, int]
    """Bytes of the older rows of each line, by the tensor of its newest row."""
    offsets: Mapping[int, int]
    """Offset in its line of each newest row, and of each view of a line."""
    calls: Mapping[int, int]
    """Number of calls per inference of the operations of the row part, by output."""
    moves: Mapping[int, int]
    """Index of the operation after which the rows of a line move. Until then, its newest row is in use."""
    last: int
    """Index of the last operation of the row part; -1 without one."""


@lru_cache(maxsize=4)
def line_layout(graph: Graph) -> LineLayout:
    kept, offsets, calls = dict[int, int](), dict[int, int](), dict[int, int]()
    for op in graph.ops:
        x = graph[op.inputs[0]] if isinstance(op, LineRows | StoreRow) else None
        if isinstance(op, LineRows) and x is not None:
            kept[x.id] = offsets[x.id] = op.kept * x.nbytes
            offsets[op.output] = op.first * x.nbytes
            calls[x.id] = op.rows
        elif isinstance(op, StoreRow) and x is not None:
            calls[x.id] = graph.out(op).shape[1]
        elif isinstance(op, RowSum):
            calls[op.inputs[0]] = calls[op.output] = op.rows
    calls |= {op.inputs[0]: calls[op.output] for op in graph.ops if isinstance(op, CopyRow) and op.output in calls}
    last = max((i for i, op in enumerate(graph.ops) if isinstance(op, StoreRow | RowSum)), default=-1)
    return LineLayout(kept, offsets, calls, _moves(graph), last)


def _moves(graph: Graph) -> dict[int, int]:
    """The last operation on rows of each line, or on a copy of them, and the copy of its result."""
    shown, moves = dict[int, int](), dict[int, int]()
    for index, op in enumerate(graph.ops):
        lines = {shown[i] for i in op.inputs if i in shown}
        if isinstance(op, LineRows):
            shown[op.output] = op.inputs[0]
        elif isinstance(op, CopyRow) and lines:
            shown[op.output] = shown[op.inputs[0]]
        is_copied = index + 1 < len(graph.ops) and isinstance(graph.ops[index + 1], CopyRow)
        moves |= dict.fromkeys(lines, index + 1 if is_copied else index)
    return moves


def calls_of(graph: Graph, op: Op) -> int:
    """Number of calls of an operation per inference."""
    return line_layout(graph).calls.get(op.output, 1)
