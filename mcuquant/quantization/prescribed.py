"""Converts a network whose training determined its quantization to an integer graph.

Such a float graph rounds to integers and back (Quantize, Dequantize) at each tensor that the device stores, and its
weights are on a grid. Between a Dequantize and the next Quantize there is one operation, which its integer form
replaces. Operations that only move stored values need no Quantize of their own; outputs of kernels with prescribed
scales are rescaled.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from ..errors import UnsupportedOpError
from ..ir import DType, Graph, Op, QParams, Role, Tensor, ops
from .scale_groups import FIXED, shares_scale
from .weight_scales import (
    WEIGHTED,
    bias_limit,
    channel_axis,
    data_of,
    from_rows,
    operand,
    stored_bias,
    stored_operand,
    to_rows,
)

_INSTEAD = "annotate it in the quantizer, or quantize the float network with calibration data"


def is_prescribed(graph: Graph) -> bool:
    """Whether a graph computes with floats and rounds to integers in between."""
    rounds = any(isinstance(op, ops.Dequantize) for op in graph.ops)
    computed = (graph.out(op) for op in graph.ops if not isinstance(op, ops.Dequantize))
    return rounds and any(t.dtype is DType.FLOAT32 for t in computed)


def prescribed(graph: Graph) -> Graph:
    """The integer graph (level QUANTISED) of a float graph that `is_prescribed`.

    Raises UnsupportedOpError with the first tensor or weights that are not stored as integers.
    """
    if graph.updates:
        raise UnsupportedOpError(
            f"{graph.name} keeps state between inferences and was quantized in PyTorch; give the float network, and "
            "quantize it with calibration data"
        )
    builder = _Builder(graph, next_id=max(graph.tensors) + 1)
    inputs = tuple(builder.input(graph[i]) for i in graph.inputs)
    for op in graph.ops:
        builder.add(op)
    outputs = tuple(builder.stored(graph[i]).id for i in graph.outputs)
    return Graph(graph.name, builder.tensors, tuple(builder.ops), inputs, outputs, graph.notes).with_()


@dataclass(slots=True)
class _Builder:
    graph: Graph
    next_id: int
    tensors: dict[int, Tensor] = field(default_factory=dict)
    ops: list[Op] = field(default_factory=list)
    stand_ins: dict[int, Tensor] = field(default_factory=dict)
    """Tensor of the float graph -> the integer tensor with its values."""

    def input(self, t: Tensor) -> int:
        stored = self._stored_of(t.id)
        if stored is None:
            raise UnsupportedOpError(f"{self.graph.name}: input {t.name!r} is not quantized; {_INSTEAD}")
        return self._keep(replace(stored, role=Role.INPUT, name=t.name), t.id, stored.id).id

    def add(self, op: Op) -> None:
        match op:
            case ops.Quantize():
                if op.output not in self.stand_ins:
                    source, target = self.stored(self.graph[op.inputs[0]]), self.graph.out(op)
                    self.stand_ins[op.output] = self._rescaled(source, target)
            case ops.Dequantize():
                self.stand_ins[op.output] = self.stored(self.graph[op.inputs[0]])
            case _:
                self._compute(op)

    def stored(self, t: Tensor) -> Tensor:
        """The integers of a tensor that is not a constant."""
        if t.id not in self.stand_ins:
            raise UnsupportedOpError(f"{self.graph.name}: {t.name!r} is computed as float; {_INSTEAD}")
        return self.stand_ins[t.id]

    def _stored_of(self, tensor_id: int) -> Tensor | None:
        """The output of the first Quantize of a float tensor."""
        readers = (op for op in self.graph.ops if isinstance(op, ops.Quantize) and op.inputs[0] == tensor_id)
        return next((self.graph.out(op) for op in readers), None)

    def _compute(self, op: Op) -> None:
        y, params = self.graph.out(op), self._stored_of(op.output)
        sources = [self.stored(t) for t in self.graph.activations(op)]
        dtype = sources[0].dtype
        q = self._output_scale(op, sources, params)
        if q is None:
            raise UnsupportedOpError(
                f"{self.graph.name}: the output of {op.kind} {y.name!r} is not quantized; {_INSTEAD}"
            )
        final = params is not None and params.q == q
        target = replace(params if params is not None and final else y, name=y.name)
        target = replace(target, dtype=dtype, bits=dtype.bits, q=q, role=Role.ACTIVATION)
        inputs = self._inputs(op, q, dtype)
        self._keep(target, y.id, target.id)
        self.ops.append(replace(op, inputs=inputs, outputs=(target.id,), **_in_stored_units(op, q, dtype)))

    def _output_scale(self, op: Op, sources: list[Tensor], target: Tensor | None) -> QParams | None:
        """The output of the operation's kernel: with a prescribed scale, that of its inputs, or any requested scale."""
        if (type(op), sources[0].dtype) in FIXED:
            return FIXED[type(op), sources[0].dtype]
        params = None if target is None else target.q
        if shares_scale(op):
            return params if params is not None and len(op.inputs) > 1 else sources[0].q
        return sources[0].q if params is None and isinstance(op, ops.Relu) else params

    def _inputs(self, op: Op, q: QParams, dtype: DType) -> tuple[int, ...]:
        if isinstance(op, WEIGHTED):
            x = self.stored(self.graph[op.inputs[0]])
            return (x.id, *self._weights(op, x))
        return tuple(self._operand(op, self.graph[i], q, dtype) for i in op.inputs)

    def _operand(self, op: Op, t: Tensor, q: QParams, dtype: DType) -> int:
        if t.is_constant:
            unit = q if shares_scale(op) else operand(op, t, dtype)
            return self._new(stored_operand(t, unit, dtype)).id
        x = self.stored(t)
        return self._rescaled(x, replace(x, id=self._new_id(), q=q)).id if shares_scale(op) else x.id

    def _weights(self, op: Op, x: Tensor) -> tuple[int, ...]:
        w, *bias = (self.graph[i] for i in op.inputs[1:])
        if w.q is None or x.q is None:
            where = f"{op.kind} {self.graph.out(op).name!r}"
            raise UnsupportedOpError(
                f"{self.graph.name}: the weights of {where} are not symmetric integers of at most 8 bits; {_INSTEAD}"
            )
        axis = channel_axis(op)
        rows = np.rint(to_rows(data_of(w), axis) / np.array(w.q.scale).reshape(-1, 1))
        stored = replace(w, dtype=DType.INT8, data=from_rows(rows.astype(np.int8), w, axis))
        limit = bias_limit(w, axis, x.dtype, int(np.abs(rows).max(initial=0)))
        biases = [stored_bias(b, data_of(b), x.q, stored, limit, x.dtype) for b in bias]
        return tuple(self._new(t).id for t in (stored, *biases))

    def _rescaled(self, source: Tensor, target: Tensor) -> Tensor:
        """`source` if it has the scale of `wanted`, else the output of a Quantize."""
        if (source.dtype, source.q) == (target.dtype, target.q):
            return source
        twin = replace(target, role=Role.ACTIVATION, name=f"{source.name}/rescaled")
        self.tensors[twin.id] = twin
        self.ops.append(ops.Quantize(inputs=(source.id,), outputs=(twin.id,)))
        return twin

    def _keep(self, stored: Tensor, *stands_for: int) -> Tensor:
        self.tensors[stored.id] = stored
        self.stand_ins.update(dict.fromkeys(stands_for, stored))
        return stored

    def _new(self, constant: Tensor) -> Tensor:
        """A copy with its own id: a constant with two readers may need two forms."""
        copy = replace(constant, id=self._new_id())
        self.tensors[copy.id] = copy
        return copy

    def _new_id(self) -> int:
        self.next_id += 1
        return self.next_id - 1


def _in_stored_units(op: Op, q: QParams, dtype: DType) -> dict[str, int]:
    """Changed attributes of an operation: the fill value of Pad."""
    if not isinstance(op, ops.Pad) or op.value is None:
        return {}
    return {"value": int(np.clip(np.rint(op.value / q.scale[0]) + q.zero_point, *dtype.range()))}
