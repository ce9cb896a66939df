"""Rules of element types, scales and zero points, by level."""

from __future__ import annotations

import math
from collections.abc import Iterator

from .. import DType, Graph, Level, Op, Role, Tensor, ops
from ..elementwise_table import ELEMENTWISE, Rule
from ..named_functions import function_problem
from ..ops import INT8_ONLY
from ..row_ops import OfSums, RowSum
from .discrete_rules import discrete_problems, is_discrete
from .recurrent_rules import lstm_problems
from .signal_rules import signal_problems

_WEIGHTED = (ops.Conv2D, ops.DepthwiseConv2D, ops.TransposeConv, ops.FullyConnected)
_SYMMETRIC_INT16 = (
    *(*_WEIGHTED, ops.BatchMatMul, ops.Concat),
    *(op for op, row in ELEMENTWISE.items() if row.int16_is_symmetric),
)
"""Operations whose int16 kernels assume that every zero point is 0."""

_BIAS_TOLERANCE = 1e-3
"""Relative tolerance. Kernels never read the scale of a bias, but one far from input times weights
means another bias.
"""


def type_problems(graph: Graph, op: Op, level: Level) -> Iterator[str]:
    if isinstance(op, ops.Lstm):
        yield from lstm_problems(graph, op, level)
        return
    if is_discrete(graph, op):
        yield from discrete_problems(graph, op, level)
        return
    if isinstance(op, ops.SignalOp):
        yield from signal_problems(graph, op)
        return
    if isinstance(op, RowSum | OfSums):
        yield from _sum_problems(graph, op)
        return
    if level is Level.FLOAT:
        yield from _float_problems(graph, op)
        return
    if isinstance(op, ops.BatchNorm):
        yield "is not allowed in a quantised graph"
        return
    yield from _activation_problems(graph, op)
    yield from _conversion_problems(graph, op)
    if isinstance(op, _WEIGHTED):
        yield from _weight_problems(graph, op)
    yield from _compressed_problems(graph, op)
    yield from _fixed_output_problems(graph, op)
    yield from _form_problems(graph, op)


def attribute_problems(graph: Graph, op: Op) -> Iterator[str]:
    """Rules of an operation's attributes, for all types."""
    if isinstance(op, ops.Softmax) and not 0 < op.beta < math.inf:
        yield f"its beta is {op.beta}, expected a positive number"
    if type(op) in ELEMENTWISE:
        for name, value in op.attributes().items():
            if isinstance(value, float) and not math.isfinite(value):
                yield f"its {name} is {value}, expected a finite number"
    if isinstance(op, ops.Lookup) and not (len(op.table) == 256 and all(-128 <= v <= 127 for v in op.table)):
        yield f"its table has {len(op.table)} entries, expected 256 from -128 to 127"
    if isinstance(op, ops.Function) and (problem := function_problem(op.function, op.parameters)):
        yield problem
    if isinstance(op, ops.Softplus) and op.beta == 0:
        yield "its beta is 0, expected another number"
    if isinstance(op, ops.Relu) and op.activation is ops.Activation.NONE:
        yield "its activation is none, expected one that clamps"
    if isinstance(op, ops.Pad) and op.value is not None:
        yield from _fill_problems(graph.out(op), op.value)


def _fill_problems(y: Tensor, value: float) -> Iterator[str]:
    if not y.dtype.is_integer:
        if not math.isfinite(value):
            yield f"its value is {value}, expected a finite number"
        return
    low, high = y.dtype.range()
    if not (low <= value <= high and value == int(value)):
        yield f"its value is {value}, expected an integer in {(low, high)}"


def _named(word: str, t: Tensor) -> str:
    return f"{word} {t.id} ({t.name!r})"


def _float_problems(graph: Graph, op: Op) -> Iterator[str]:
    for t in (*graph.ins(op), graph.out(op)):
        index = isinstance(op, ops.ArgMax) and t is graph.out(op)
        if t.dtype.is_integer and not index and not _is_between(graph, op, t):
            yield f"tensor {t.id} ({t.name!r}) is {t.dtype}, expected float32"
    yield from _index_problems(graph, op)


def _is_between(graph: Graph, op: Op, t: Tensor) -> bool:
    """Whether `t` is the output of a Quantize or the input of a Dequantize: a float graph may round to the device's
    integers.
    """
    quantized = isinstance(op, ops.Quantize) and t is graph.out(op)
    return t.q is not None and (quantized or (isinstance(op, ops.Dequantize) and t is not graph.out(op)))


def _index_problems(graph: Graph, op: Op) -> Iterator[str]:
    y = graph.out(op)
    if isinstance(op, ops.ArgMax) and y.dtype not in (DType.INT32, DType.INT64):
        yield f"{_named('output', y)} is {y.dtype}, expected int32 or int64"


def _activation_problems(graph: Graph, op: Op) -> Iterator[str]:
    """All tensors are integers with a scale, except inputs of Quantize and outputs of Dequantize."""
    if isinstance(op, ops.Reshape):
        return
    x, y = graph[op.inputs[0]], graph.out(op)
    data = graph.ins(op)[:1] if isinstance(op, _WEIGHTED) else graph.ins(op)
    for t in data:
        if not (isinstance(op, ops.Quantize) and t.dtype is DType.FLOAT32):
            yield from _quantised_problems(op, "input", t)
    if isinstance(op, ops.ArgMax):
        yield from _index_problems(graph, op)
    elif not isinstance(op, ops.Dequantize):
        yield from _quantised_problems(op, "output", y)
    elif y.dtype is not DType.FLOAT32:
        yield f"{_named('output', y)} is {y.dtype}, expected float32"
    yield from (
        f"{_named('input', t)} is {t.dtype}, expected {x.dtype} as the first" for t in data[1:] if t.dtype != x.dtype
    )


def _conversion_problems(graph: Graph, op: Op) -> Iterator[str]:
    """All operations except conversions have outputs of the input's type."""
    x, y = graph[op.inputs[0]], graph.out(op)
    widened = isinstance(op, ops.Softmax) and (x.dtype, y.dtype) == (DType.INT8, DType.INT16)
    if not (isinstance(op, ops.Quantize | ops.Dequantize | ops.ArgMax) or widened or x.dtype is y.dtype):
        yield f"{_named('output', y)} is {y.dtype}, expected {x.dtype} as the input"


def _quantised_problems(op: Op, word: str, t: Tensor) -> Iterator[str]:
    if t.dtype is DType.INT32 and isinstance(op, ops.Quantize) and t.q is not None:
        if t.q.per_channel or t.zero_point:
            yield f"{_named(word, t)} has quantisation {t.q}, expected one scale and zero point 0"
    elif t.dtype not in (DType.INT8, DType.INT16):
        yield f"{_named(word, t)} is {t.dtype}, expected int8 or int16"
    elif t.q is None or len(t.q.scale) != 1 or t.q.per_channel:
        yield f"{_named(word, t)} has quantisation {t.q}, expected one scale"
    elif t.dtype is DType.INT16 and t.zero_point and isinstance(op, _SYMMETRIC_INT16):
        yield f"{_named(word, t)} is int16 with zero point {t.zero_point}, expected 0"


def _sum_problems(graph: Graph, op: RowSum | OfSums) -> Iterator[str]:
    expected = (DType.INT8, DType.INT32) if isinstance(op, RowSum) else (DType.INT32, DType.INT8)
    for word, t, dtype in zip(("input", "output"), (graph[op.inputs[0]], graph.out(op)), expected, strict=True):
        if t.dtype is not dtype:
            yield f"{_named(word, t)} is {t.dtype}, expected {dtype}"


def _weight_problems(graph: Graph, op: Op) -> Iterator[str]:
    w = graph[op.inputs[1]]
    axis = 3 if isinstance(op, ops.DepthwiseConv2D) else 0
    if w.role is not Role.CONSTANT or w.dtype is not DType.INT8:
        yield f"{_named('weights', w)} are {w.role} {w.dtype}, expected constant int8"
    if w.q is None:
        yield f"{_named('weights', w)} have no scale"
    elif w.q.axis not in (None, axis):
        yield f"{_named('weights', w)} have scales along axis {w.q.axis}, expected {axis}"
    elif w.palette is not None and w.palette.groups and w.palette.axis != axis:
        yield f"{_named('weights', w)} have a palette along axis {w.palette.axis}, expected {axis}"
    elif len(op.inputs) > 2:
        yield from _bias_problems(op, graph[op.inputs[0]], w, graph[op.inputs[2]])


def _compressed_problems(graph: Graph, op: Op) -> Iterator[str]:
    """Properties that only weights may have."""
    for position, t in enumerate(graph.ins(op)):
        more = t.palette is not None or (t.q is not None and (t.q.zero_points or t.q.multipliers))
        if more and not (position == 1 and isinstance(op, _WEIGHTED)):
            yield f"{_named('input', t)} has a palette, zero points or multipliers, expected of weights alone"


def _bias_problems(op: Op, x: Tensor, w: Tensor, bias: Tensor) -> Iterator[str]:
    types = _bias_types(op, x)
    if bias.role is not Role.CONSTANT or bias.dtype not in types:
        yield f"{_named('bias', bias)} is {bias.role} {bias.dtype}, expected constant {' or '.join(types)}"
    elif bias.q is not None and w.q is not None and x.q is not None:
        if bias.zero_point:
            yield f"{_named('bias', bias)} has zero point {bias.zero_point}, expected 0"
        yield from _bias_scale_problems(bias, bias.q.scale, tuple(x.scale * s for s in w.q.scale))


def _bias_types(op: Op, x: Tensor) -> tuple[DType, ...]:
    if x.dtype is not DType.INT16:
        return (DType.INT32,)
    either = isinstance(op, ops.Conv2D | ops.FullyConnected)
    return (DType.INT64, DType.INT32) if either else (DType.INT64,)


def _bias_scale_problems(bias: Tensor, scales: tuple[float, ...], products: tuple[float, ...]) -> Iterator[str]:
    if len(scales) != len(products):
        yield f"{_named('bias', bias)} has {len(scales)} scales, expected {len(products)} as the weights"
        return
    for i, (scale, product) in enumerate(zip(scales, products, strict=True)):
        if not math.isclose(scale, product, rel_tol=_BIAS_TOLERANCE):
            yield (
                f"{_named('bias', bias)} has scale {scale:.9g} at {i}, "
                f"expected input scale times weight scale, {product:.9g}"
            )


def _fixed_output_problems(graph: Graph, op: Op) -> Iterator[str]:
    """Kernels whose results have prescribed units; as strict as TFLM, which accepts int8 Tanh."""
    x, y = graph[op.inputs[0]], graph.out(op)
    unit = _fixed_unit(op, x, y)
    if unit is None:
        return
    scale, zero_point = unit
    free = isinstance(op, ops.Logistic) and x.dtype is DType.INT8
    if y.zero_point != zero_point or not (free or math.isclose(y.scale, scale, rel_tol=5e-4)):
        yield f"{_named('output', y)} has scale {y.scale:.9g}, zero {y.zero_point}, expected {scale:.9g}, {zero_point}"


def _fixed_unit(op: Op, x: Tensor, y: Tensor) -> tuple[float, int] | None:
    int8 = x.dtype is DType.INT8
    if isinstance(op, ops.Softmax):
        if int8 and y.dtype is DType.INT16:
            return 1 / 65536, -32768
        return (1 / 256, -128) if int8 else (1 / 32768, 0)
    if isinstance(op, ops.LogSoftmax):
        return 1 / 16, 127
    if isinstance(op, ops.L2Normalization):
        return 1 / 128, 0
    row = ELEMENTWISE.get(type(op))
    q = None if row is None or (isinstance(op, ops.Tanh) and int8) else row.output.get(x.dtype)
    return None if q is None else (q.scale[0], q.zero_point)


def _form_problems(graph: Graph, op: Op) -> Iterator[str]:
    row, x = ELEMENTWISE.get(type(op)), graph[op.inputs[0]]
    lacks = row is not None and x.dtype in (DType.INT8, DType.INT16) and row.rule(x.dtype) is Rule.NONE
    if lacks or (isinstance(op, INT8_ONLY) and x.dtype is DType.INT16):
        yield f"has no {x.dtype} form; expected another type or operation"
