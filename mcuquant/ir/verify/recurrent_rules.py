"""Rules of operations over the steps of a sequence."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from .. import DType, Graph, Level, Op, Shape, Tensor
from ..ops import Lstm
from ..recurrent import GATES

Shapes = tuple[Shape, ...]


def lstm_shapes(op: Lstm, ins: Shapes, y: Shape) -> Iterator[str]:
    x, w, r, b, h, c = ins
    rows, units = r[0], r[0] // GATES
    if len(w) != 2 or len(r) != 2 or rows % GATES or r[1] != units or w[0] != rows or b != (rows,):
        yield f"its weights and biases have shapes {w}, {r} and {b}, expected (4*S, I), (4*S, S) and (4*S,)"
    elif h != (1, units) or c != (1, units):
        yield f"its states have shapes {h} and {c}, expected {(1, units)}"
    elif math.prod(x) % w[1]:
        yield f"its input of shape {x} does not divide into rows of {w[1]}"
    elif not y or y[-1] != units or math.prod(y) != math.prod(x) // w[1] * units:
        yield f"its output has shape {y}, expected {math.prod(x) // w[1]} rows of {units}"


def lstm_problems(graph: Graph, op: Lstm, level: Level) -> Iterator[str]:
    """Violations in types and scales; shapes are already valid."""
    (x, w, r, b, h, c), (y, last_h, last_c) = graph.ins(op), (graph[i] for i in op.outputs)
    if not (op.cell_clip >= 0 and math.isfinite(op.cell_clip)):
        yield f"its cell_clip is {op.cell_clip}, expected 0 or a positive number"
    for kept, new in ((h, last_h), (c, last_c)):
        if (kept.shape, kept.dtype, kept.q) != (new.shape, new.dtype, new.q):
            yield f"{_named(new)} is no next value of {_named(kept)}: expected the same type, shape and scale"
    tensors = [x, w, r, b, h, c, y]
    if level is Level.FLOAT:
        wrong = [t for t in tensors if t.dtype is not DType.FLOAT32]
        yield from (f"{_named(t)} is {t.dtype}, expected float32" for t in wrong)
    else:
        yield from _integer_problems(x, w, r, b, [h, c, y])


def _named(t: Tensor) -> str:
    return f"tensor {t.id} ({t.name!r})"


def _integer_problems(x: Tensor, w: Tensor, r: Tensor, b: Tensor, others: Sequence[Tensor]) -> Iterator[str]:
    h, c, y = others
    biases = DType.INT64 if x.dtype is DType.INT16 else DType.INT32
    if x.dtype not in (DType.INT8, DType.INT16):
        yield f"{_named(x)} is {x.dtype}, expected int8 or int16"
        return
    expected = ((w, DType.INT8), (r, DType.INT8), (b, biases), (h, x.dtype), (y, x.dtype), (c, DType.INT16))
    yield from (f"{_named(t)} is {t.dtype}, expected {dtype}" for t, dtype in expected if t.dtype is not dtype)
    yield from (f"{_named(t)} is {t.role}, expected a constant" for t in (w, r, b) if not t.is_constant)
    for t in (x, h, y, c):
        if t.q is None or len(t.q.scale) != 1:
            yield f"{_named(t)} has quantisation {t.q}, expected one scale"
            return
        if t.dtype is DType.INT16 and t.zero_point:
            yield f"{_named(t)} is int16 with zero point {t.zero_point}, expected 0"
    for t in (w, r):
        if t.q is None or t.q.zero_point or not _has_scale_by_gate(t):
            yield f"{_named(t)} has quantisation {t.q}, expected one scale for each gate and zero point 0"
    if not is_power_of_two(c.scale) or not -15 <= math.log2(c.scale) <= -1:
        yield f"{_named(c)} has scale {c.scale:.9g}, expected a power of two from 2^-15 to 1/2"


def _has_scale_by_gate(t: Tensor) -> bool:
    scales, units = t.qparams.scale, t.shape[0] // GATES
    return t.qparams.axis == 0 and all(len(set(scales[g * units : (g + 1) * units])) == 1 for g in range(GATES))


def is_power_of_two(scale: float) -> bool:
    return math.frexp(scale)[0] == 0.5


def outputs_of(op: Op) -> int:
    return 3 if isinstance(op, Lstm) else 1
