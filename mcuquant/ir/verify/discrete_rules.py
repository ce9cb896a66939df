"""Rules of truth values and whole numbers: who computes with them, and what chooses elements by them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from .. import DType, Graph, Level, Op, Shape, Tensor, ops
from ..elementwise_table import ELEMENTWISE

Shapes = tuple[Shape, ...]
CHOOSING = (ops.Cast, ops.Compare, ops.Select, ops.Gather, ops.GatherNd, ops.UpdateSlice)
"""Operations that read or give truth values and whole numbers beside others."""
_MOVES = (ops.Concat, ops.Pad, ops.Reshape, ops.ResizeNearest, ops.Slice, ops.Transpose)
_BOOL, _INT32 = DType.BOOL, DType.INT32
_COMPARED = (DType.FLOAT32, DType.INT8, DType.INT16, DType.INT32, DType.BOOL)
_CAST = (*_COMPARED,)


def broadcast(*shapes: Shape) -> Shape | None:
    """None where they cannot be broadcast."""
    try:
        return tuple(int(n) for n in np.broadcast_shapes(*shapes))
    except ValueError:
        return None


# --- shapes ----------------------------------------------------------------------------------------------------------


def _expect(y: Shape, expected: Shape) -> Iterator[str]:
    if y != expected:
        yield f"its output has shape {y}, expected {expected}"


def broadcast_shapes(op: ops.Compare | ops.Select, ins: Shapes, y: Shape) -> Iterator[str]:
    shape = broadcast(*ins)
    if shape is None:
        yield f"its inputs have shapes {', '.join(map(str, ins))}, which cannot be broadcast"
    else:
        yield from _expect(y, shape)


def gather_shapes(op: ops.Gather, ins: Shapes, y: Shape) -> Iterator[str]:
    x, indices = ins
    batch = op.batch_axes
    if not 0 <= batch <= op.axis < len(x) or batch > len(indices) or x[:batch] != indices[:batch]:
        yield f"gathers {x} at indices {indices} along axis {op.axis} with {batch} batch axes, which does not fit"
    else:
        yield from _expect(y, x[: op.axis] + indices[batch:] + x[op.axis + 1 :])


def gather_nd_shapes(op: ops.GatherNd, ins: Shapes, y: Shape) -> Iterator[str]:
    x, indices = ins
    if not indices or not 1 <= indices[-1] <= len(x):
        yield f"its indices have shape {indices}, expected a last axis of 1 to {len(x)}"
    else:
        yield from _expect(y, indices[:-1] + x[indices[-1] :])


def update_shapes(op: ops.UpdateSlice, ins: Shapes, y: Shape) -> Iterator[str]:
    x, update, start = ins
    if len(update) != len(x) or any(n > m for n, m in zip(update, x, strict=False)) or start != (len(x),):
        yield f"updates shape {x} by {update} from start {start}, expected an update inside and {len(x)} starts"
    yield from _expect(y, x)


# --- types -----------------------------------------------------------------------------------------------------------


def is_discrete(graph: Graph, op: Op) -> bool:
    """Whether the rules of this module are those of `op`."""
    return isinstance(op, CHOOSING) or (graph[op.inputs[0]].is_plain and bool(_plain_types(op)))


def _plain_types(op: Op) -> Sequence[DType]:
    """Types without a scale that an operation of any type computes with."""
    if isinstance(op, _MOVES):
        return (_BOOL, _INT32, DType.INT64, DType.UINT32, DType.UINT64)
    if isinstance(op, ops.ReduceMax | ops.ReduceMin):
        return (_BOOL, _INT32)
    row = ELEMENTWISE.get(type(op))
    return () if row is None else tuple(row.plain)


def discrete_problems(graph: Graph, op: Op, level: Level) -> Iterator[str]:
    ins, y = graph.ins(op), graph.out(op)
    match op:
        case ops.Cast():
            if {ins[0].dtype, y.dtype} != {_INT32, DType.UINT32}:
                for word, t in (("input", ins[0]), ("output", y)):
                    yield from _type_problems(word, t, _CAST)
        case ops.Compare():
            yield from _type_problems("output", y, (_BOOL,))
            yield from _value_problems(level, ins, _COMPARED)
        case ops.Select():
            yield from _type_problems("condition", ins[0], (_BOOL,))
            yield from _value_problems(level, (*ins[1:], y), tuple(DType))
        case ops.UpdateSlice():
            yield from _type_problems("start", ins[2], (_INT32,))
            yield from _value_problems(level, (*ins[:2], y), tuple(DType))
        case ops.Gather() | ops.GatherNd():
            yield from _type_problems("indices", ins[1], (_INT32,))
            yield from _value_problems(level, (ins[0], y), tuple(DType))
        case _:
            yield from _value_problems(level, (*ins, y), _plain_types(op))
            if getattr(op, "activation", ops.Activation.NONE) is not ops.Activation.NONE:
                yield "has a fused activation over whole numbers, expected none"


def _named(word: str, t: Tensor) -> str:
    return f"{word} {t.id} ({t.name!r})"


def _type_problems(word: str, t: Tensor, types: Sequence[DType]) -> Iterator[str]:
    if t.dtype not in types:
        yield f"{_named(word, t)} is {t.dtype}, expected {' or '.join(types)}"


def _value_problems(level: Level, tensors: Sequence[Tensor], types: Sequence[DType]) -> Iterator[str]:
    """All of one type: of those without a scale, or of that which real numbers have at this level."""
    first = tensors[0]
    yield from _type_problems("tensor", first, types)
    for t in tensors:
        if t.dtype is not first.dtype:
            yield f"{_named('tensor', t)} is {t.dtype}, expected {first.dtype} as {_named('tensor', first)}"
        elif not t.is_plain:
            yield from _real_problems(level, t)


def _real_problems(level: Level, t: Tensor) -> Iterator[str]:
    if level is Level.FLOAT:
        if t.dtype is not DType.FLOAT32:
            yield f"{_named('tensor', t)} is {t.dtype}, expected float32"
    elif t.dtype not in (DType.INT8, DType.INT16):
        yield f"{_named('tensor', t)} is {t.dtype}, expected int8 or int16"
    elif t.q is None or len(t.q.scale) != 1:
        yield f"{_named('tensor', t)} has quantisation {t.q}, expected one scale"
