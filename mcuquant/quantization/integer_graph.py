"""Converts a float graph with known scales to the quantized graph, with equal tensor ids and operations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from ..ir import DType, Graph, Lstm, Op, QParams, Role, Tensor, ops
from .recurrent_weights import lstm_weights
from .scale_groups import Sharing, shares_scale
from .weight_scales import WEIGHTED, FittedLayers, operand, quantized_weights, stored_operand


def rewritten(
    graph: Graph, sharing: Sharing, scales: Mapping[int, QParams], dtype: DType, fitted: FittedLayers
) -> Graph:
    """`graph` with activations as `dtype` in the units of `scales` (tensor id -> QParams), constants as integers."""
    builder = _Builder(graph, sharing, scales, dtype, fitted, next_id=max(graph.tensors) + 1)
    for tensor_id, q in scales.items():
        t = graph[tensor_id]
        kind = DType.INT16 if sharing.group[tensor_id] in sharing.wide else dtype
        data = None if t.data is None else stored_operand(t, q, kind).data
        builder.tensors[tensor_id] = Tensor(t.id, t.shape, kind, t.role, q=q, data=data, name=t.name)
    for index, op in enumerate(graph.ops):
        builder.add(index, op)
    unquantised = {i: t for i, t in graph.tensors.items() if i not in scales and not t.is_constant}
    return graph.with_(tensors={**unquantised, **builder.tensors}, ops=tuple(builder.ops))


@dataclass(slots=True)
class _Builder:
    graph: Graph
    sharing: Sharing
    scales: Mapping[int, QParams]
    dtype: DType
    fitted: FittedLayers
    next_id: int
    tensors: dict[int, Tensor] = field(default_factory=dict)
    ops: list[Op] = field(default_factory=list)

    def add(self, index: int, op: Op) -> None:
        if isinstance(op, WEIGHTED):
            x, y = self.scales[op.inputs[0]], self.scales[op.output]
            constants = quantized_weights(self.graph, op, x, y, self.dtype, self.fitted[op.output])
            inputs = (op.inputs[0], *(self._keep(t) for t in constants))
        elif isinstance(op, Lstm):
            inputs = self._lstm(op)
        else:
            inputs = tuple(self._operand(index, op, p) for p in range(len(op.inputs)))
        self.ops.append(replace(self._in_stored_units(op), inputs=inputs))

    def _lstm(self, op: Lstm) -> tuple[int, ...]:
        x, w, r, b, *starts = self.graph.ins(op)
        constants = lstm_weights(w, r, b, self.scales[x.id], self.dtype)
        forms = zip(starts, op.outputs[1:], (self.dtype, DType.INT16), strict=True)
        kept = [self._keep(stored_operand(t, self.scales[i], d)) if t.is_constant else t.id for t, i, d in forms]
        return (x.id, *(self._keep(t) for t in constants), *kept)

    def _operand(self, index: int, op: Op, position: int) -> int:
        t = self.graph[op.inputs[position]]
        if t.is_constant and t.is_plain:
            self.tensors[t.id] = t
            return t.id
        if t.is_constant and t.dtype is DType.FLOAT32:
            q = self.scales[op.output] if shares_scale(op) else operand(op, t, self.dtype)
            return self._keep(stored_operand(t, q, self.dtype))
        return self._requantized(t, op) if (index, position) in self.sharing.cuts else t.id

    def _requantized(self, t: Tensor, op: Op) -> int:
        q = self.scales[op.output]
        twin = Tensor(self._new_id(), t.shape, self.dtype, Role.ACTIVATION, q=q, name=f"{t.name}/rescaled")
        self.tensors[twin.id] = twin
        self.ops.append(ops.Quantize(inputs=(t.id,), outputs=(twin.id,)))
        return twin.id

    def _keep(self, t: Tensor) -> int:
        """A constant keeps its id at its first use. Other uses get a copy if its integers may differ."""
        if t.id in self.tensors:
            t = replace(t, id=self._new_id())
        self.tensors[t.id] = t
        return t.id

    def _new_id(self) -> int:
        self.next_id += 1
        return self.next_id - 1

    def _in_stored_units(self, op: Op) -> Op:
        if not isinstance(op, ops.Pad) or op.value is None:
            return op
        q, (low, high) = self.scales[op.output], self.dtype.range()
        return replace(op, value=int(np.clip(np.rint(op.value / q.scale[0]) + q.zero_point, low, high)))
