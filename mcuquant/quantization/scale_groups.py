"""Groups tensors that must have equal scale and zero point, and determines where a rescale is needed.

Operations that only move, select or average stored values (TFLite's "restriction: scale must be the same") tie their
inputs to their output. Softmax, Logistic and Tanh prescribe the scale of their output. Where both meet, or where a tie
would cost resolution of a tensor with other readers, the tie is replaced by a Quantize.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from ..errors import UnsupportedOpError
from ..ir import DType, Graph, Op, QParams, Tensor, Update, ops
from ..ir.elementwise_table import ELEMENTWISE
from .methods import Range

Edge = tuple[int, int]
"""(index of an operation, position of one of its inputs)."""

SHARES_SCALE = (
    ops.AvgPool2D,
    ops.Concat,
    ops.MaxPool2D,
    ops.Pad,
    ops.ReduceMax,
    ops.ReduceMin,
    ops.ResizeBilinear,
    ops.Reshape,
    ops.ResizeNearest,
    ops.Slice,
    ops.Transpose,
    *(ops.Select, ops.Gather, ops.GatherNd, ops.UpdateSlice),
    *(op for op, row in ELEMENTWISE.items() if row.shares_scale),
)
FIXED: Mapping[tuple[type[Op], DType], QParams] = {
    (ops.Softmax, DType.INT8): QParams((1 / 256,), -128),
    (ops.LogSoftmax, DType.INT8): QParams((1 / 16,), 127),
    **dict.fromkeys(((ops.Cast, DType.INT8), (ops.Cast, DType.INT16)), QParams((1.0,), 0)),
    (ops.L2Normalization, DType.INT8): QParams((1 / 128,), 0),
    (ops.Softmax, DType.INT16): QParams((1 / 32768,), 0),
    (ops.Lstm, DType.INT8): QParams((1 / 128,), 0),
    (ops.Lstm, DType.INT16): QParams((1 / 32768,), 0),
    **{(op, dtype): q for op, row in ELEMENTWISE.items() for dtype, q in row.output.items()},
}
"""Output scales that the specification prescribes."""

_WORTH_A_RESCALE = 0.5
"""An input with other readers keeps its own scale if its range is smaller than this fraction of the output's."""


@dataclass(frozen=True, slots=True)
class Sharing:
    """Tensors by group. All tensors of a group have the same scale and zero point."""

    group: Mapping[int, int]
    """Tensor id -> the group's representative."""
    fixed: Mapping[int, QParams]
    """Representative -> scale and zero point that the specification prescribes for the group."""
    cuts: frozenset[Edge]
    """Inputs that are rescaled to the output's scale before the operation."""
    wide: frozenset[int] = frozenset()
    """Representatives of groups that are always int16: the cells of LSTMs."""


@dataclass(slots=True)
class _Groups:
    parent: dict[int, int]
    fixed: dict[int, QParams] = field(default_factory=dict)
    cuts: set[Edge] = field(default_factory=set)
    wide: set[int] = field(default_factory=set)

    def find(self, tensor_id: int) -> int:
        while self.parent[tensor_id] != tensor_id:
            tensor_id = self.parent[tensor_id]
        return tensor_id

    def join(self, into: int, tensor_id: int) -> None:
        self.parent[self.find(tensor_id)] = self.find(into)

    def fixed_of(self, tensor_id: int) -> QParams | None:
        return self.fixed.get(self.find(tensor_id))


def share(graph: Graph, ranges: Mapping[int, Range], dtype: DType) -> Sharing:
    """Groups of the float `graph` for activations of type `dtype`; `ranges` are the observed ranges of tensors."""
    groups = _Groups({i: i for i in ranges})
    for index, op in enumerate(graph.ops):
        if (type(op), dtype) in FIXED and op.output in ranges:
            groups.fixed[op.output] = FIXED[type(op), dtype]
            if isinstance(op, ops.Lstm):
                _tie_states(groups, op, ranges)
        elif shares_scale(op) and op.output in ranges:
            _tie(groups, graph, index, ranges, dtype)
    for update in graph.updates:
        _tie_update(groups, graph, update)
    return Sharing({i: groups.find(i) for i in ranges}, groups.fixed, frozenset(groups.cuts), frozenset(groups.wide))


def _tie_states(groups: _Groups, op: ops.Lstm, ranges: Mapping[int, Range]) -> None:
    """Hidden values have the output's scale; the cell is int16 with a power of two."""
    (h, c), (y, last_h, last_c) = op.inputs[4:], op.outputs
    for i in (last_h, *([h] if h in ranges else [])):
        groups.join(y, i)
    largest = max(abs(bound) for i in (c, last_c) if i in ranges for bound in ranges[i])
    groups.fixed[last_c] = QParams((cell_scale(largest),))
    groups.wide.add(last_c)
    if c in ranges:
        groups.join(last_c, c)


def cell_scale(largest: float) -> float:
    """The scale of a cell with this maximum at the end of sequences; in between it may be twice as large."""
    needed = 2 * largest / 32767
    return float(2.0 ** max(-12, math.ceil(math.log2(needed)) if needed else -12))


def _tie_update(groups: _Groups, graph: Graph, update: Update) -> None:
    """A state has the scale of its next value."""
    before, after = groups.fixed_of(update.state), groups.fixed_of(update.value)
    if before and after and before != after:
        raise UnsupportedOpError(
            f"{graph.name}: state {graph[update.state].name!r} and its next value {graph[update.value].name!r} "
            f"must have the scales {before.scale[0]:.9g} and {after.scale[0]:.9g}, expected the same; put "
            "an operation between them that may change the scale"
        )
    groups.join(*((update.state, update.value) if before else (update.value, update.state)))


def shares_scale(op: Op) -> bool:
    """A stand-alone RELU6 copies inside its bounds, unlike RELU, which rescales."""
    return isinstance(op, SHARES_SCALE) or (isinstance(op, ops.Relu) and op.activation is ops.Activation.RELU6)


def _tie(groups: _Groups, graph: Graph, index: int, ranges: Mapping[int, Range], dtype: DType) -> None:
    op = graph.ops[index]
    positions = [p for p, t in enumerate(graph.ins(op)) if t.id in ranges]
    prescribed = {groups.fixed_of(op.inputs[p]) for p in positions}
    only = prescribed.pop() if len(prescribed) == 1 else None
    passes_through = only is not None and _holds(only, dtype, _constants(graph, op))
    for p in positions:
        fixed = groups.fixed_of(op.inputs[p])
        if not passes_through and (fixed or _loses_resolution(graph, op, graph[op.inputs[p]], ranges)):
            groups.cuts.add((index, p))
        else:
            groups.join(op.inputs[p], op.output)


def _is_real(t: Tensor) -> bool:
    return t.data is not None and t.dtype is DType.FLOAT32


def _constants(graph: Graph, op: Op) -> list[float]:
    """Real values, in addition to those of the inputs, that the output may contain."""
    values = [float(bound) for t in graph.ins(op) if _is_real(t) for bound in (t.value.min(), t.value.max())]
    fill = op.value if isinstance(op, ops.Pad) else None
    return [v for v in (*values, fill or 0.0) if np.isfinite(v)]


def _holds(q: QParams, dtype: DType, values: list[float]) -> bool:
    low, high = ((bound - q.zero_point) * q.scale[0] for bound in dtype.range())
    return all(low <= v <= high for v in values)


def _loses_resolution(graph: Graph, op: Op, x: Tensor, ranges: Mapping[int, Range]) -> bool:
    read_elsewhere = len(graph.consumers(x.id)) > 1 or x.id in graph.outputs
    several = sum(t.id in ranges for t in graph.ins(op)) > 1
    own, joint = (high - low for low, high in (ranges[x.id], ranges[op.output]))
    return several and read_elsewhere and own < _WORTH_A_RESCALE * joint
