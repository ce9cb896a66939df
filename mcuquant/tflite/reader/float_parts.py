"""Converts functions of one int8 tensor that a file computes in float32 between DEQUANTIZE and QUANTIZE to one
operation.

Converters leave operators without an int8 form in float32. Such a part has 256 results, whatever its operators.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...arithmetic.parameters.conversions import DequantizeParams, QuantizeParams, dequantized, quantized
from ...ir import Array, DType, Graph, Op, Shape, Tensor, ops
from ...ir.elementwise_table import ELEMENTWISE, Rule
from .float_moves import move_in_integers, used

_INT8 = np.arange(-128, 128)


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """A float tensor that is a function of one int8 tensor alone, or a constant."""

    values: Array
    """Values for the 256 values of the source; one value for a constant."""
    source: int | None = None
    operators: tuple[Op, ...] = ()
    """The last two operators of the part."""


def join_float_parts(graph: Graph) -> Graph:
    """A part with one operator becomes its int8 operation if the results are equal, any other part a Lookup."""
    graph = move_in_integers(graph)
    parts = {t.id: _Part(t.data.ravel()) for t in graph.tensors.values() if t.data is not None and _is_number(t)}
    operations: list[Op] = []
    for op in graph.ops:
        part = _after(graph, op, [parts.get(i) for i in op.inputs])
        if part is not None:
            parts[op.output] = part
        operations.append(_joined(graph, op, parts.get(op.inputs[0])) or op)
    return graph if operations == list(graph.ops) else graph.with_(ops=used(graph.ends, operations))


def _is_number(t: Tensor) -> bool:
    return t.elements == 1 and t.dtype is DType.FLOAT32


def _after(graph: Graph, op: Op, inputs: list[_Part | None]) -> _Part | None:
    x, y = graph[op.inputs[0]], graph.out(op)
    if y.dtype is not DType.FLOAT32:
        return None
    if isinstance(op, ops.Dequantize):
        opened = x.dtype is DType.INT8 and x.q is not None
        return _Part(dequantized(_INT8, DequantizeParams(x.scale, x.zero_point)), x.id) if opened else None
    row = ELEMENTWISE.get(type(op))
    operands = [part for part in inputs if part is not None]
    sources = {part.source for part in operands} - {None}
    if row is None or row.real is None or len(operands) < len(inputs) or len(sources) != 1:
        return None
    (source,) = sources
    if source is None or _shape(graph, source) != y.shape:
        return None
    with np.errstate(all="ignore"):
        values = np.asarray(row.real(op, *(part.values for part in operands)), np.float32)
    return _Part(values, source, (*(o for part in operands for o in part.operators), op)[-2:])


def _shape(graph: Graph, tensor: int) -> Shape:
    return graph[tensor].shape


def _joined(graph: Graph, op: Op, part: _Part | None) -> Op | None:
    y = graph.out(op)
    if not isinstance(op, ops.Quantize) or y.dtype is not DType.INT8 or part is None or part.source is None:
        return None
    inputs = (part.source,)
    if not part.operators and graph[part.source].q == y.q:
        return ops.Quantize(inputs=inputs, outputs=op.outputs)
    only = part.operators[0] if len(part.operators) == 1 else None
    if only is not None and len(only.inputs) == 1 and ELEMENTWISE[type(only)].int8 is Rule.CONVERTED:
        return type(only)(inputs=inputs, outputs=op.outputs, **only.attributes())
    table = quantized(part.values, QuantizeParams(y.scale, y.zero_point, *y.dtype.range()))
    return ops.Lookup(inputs=inputs, outputs=op.outputs, table=tuple(int(v) for v in table))
