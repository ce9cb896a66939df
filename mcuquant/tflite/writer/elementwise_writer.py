"""Element-wise operations as operators of a .tflite, by their rows in `ir.elementwise_table`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from typing import Any

import numpy as np

from ...arithmetic.parameters import params
from ...ir import Activation, DType, Op, Role, Tensor, ops
from ...ir.elementwise_table import ELEMENTWISE, NO_TYPES, Row, Rule
from ..schema.rows import TYPE_NUMBERS, Option
from .draft import Draft, refuse

ACTIVATION_NUMBER = {Activation.NONE: 0, Activation.RELU: 1, Activation.RELU_N1_TO_1: 2, Activation.RELU6: 3}
"""The schema's numbers of fused activations."""
_RELU = {Activation.RELU: "RELU", Activation.RELU6: "RELU6", Activation.RELU_N1_TO_1: "RELU_N1_TO_1"}
_LOGICAL: Mapping[type[Op], str] = {ops.Maximum: "LOGICAL_OR", ops.Minimum: "LOGICAL_AND"}
_ADDED_OPTIONS: Mapping[str, Mapping[str, Option]] = {
    "ADD": {"pot_scale_int16": False},
    "SUB": {"pot_scale_int16": False},
}
"""Scales are free; the power-of-two scales of old int16 models select another arithmetic."""


def export_elementwise(op: Op, draft: Draft) -> None:
    """Append `op`, between DEQUANTIZE and QUANTIZE if its definition is the float32 operator."""
    row = ELEMENTWISE[type(op)]
    if draft.graph.out(op).dtype is DType.BOOL:
        draft.emit(_LOGICAL[type(op)], [draft.index[i] for i in op.inputs], draft.index[op.output])
        return
    inputs, y = [draft.index[i] for i in op.inputs], draft.graph.out(op)
    if y.dtype is DType.INT8 and (row.tflm == NO_TYPES or isinstance(op, ops.Lookup)):
        _emit_table(op, draft, inputs[0])
        return
    if y.dtype is DType.INT8 and (row.int8 is Rule.CONVERTED or _has_other_attributes(row, op)):
        (x,) = inputs
        real = _real_like(draft, y)
        draft.emit("DEQUANTIZE", [x], source := _real_like(draft, y))
        _emit_real(row, op, draft, [source], real)
        draft.emit("QUANTIZE", [real], draft.index[y.id])
    else:
        _emit_real(row, op, draft, inputs, draft.index[y.id])


def _emit_table(op: Op, draft: Draft, x: int) -> None:
    """All 256 results as a constant for GATHER, whose index is the stored input plus 128."""
    y = draft.graph.out(op)
    table = params(draft.graph, op).table
    index = replace(y, dtype=DType.INT32, bits=DType.INT32.bits, q=None)
    offset = replace(index, shape=(1,), role=Role.CONSTANT, data=np.array([128], np.int32))
    results = replace(y, shape=(256,), role=Role.CONSTANT, data=np.array(table, np.int8))
    types = {"in_data_type": TYPE_NUMBERS["INT8"], "out_data_type": TYPE_NUMBERS["INT32"]}
    draft.emit("CAST", [x], wide := draft.temporary(index, y.shape), **types)
    place = draft.temporary(index, y.shape)
    draft.emit("ADD", [wide, draft.constant(offset)], place, fused_activation_function=0, pot_scale_int16=False)
    draft.emit("GATHER", [draft.constant(results), place], draft.index[y.id], axis=0, batch_dims=0)


def _real_like(draft: Draft, t: Tensor) -> int:
    return draft.temporary(replace(t, dtype=DType.FLOAT32, bits=DType.FLOAT32.bits, q=None), t.shape)


def _emit_real(row: Row, op: Op, draft: Draft, inputs: list[int], output: int) -> None:
    if isinstance(op, ops.Relu):
        draft.emit(_RELU[op.activation], inputs, output)
    elif row.tflite and not _has_other_attributes(row, op):
        draft.emit(row.tflite, inputs, output, **_options(row, op))
    elif type(op) in _CHAINS and draft.tensors[output].type == "FLOAT32":
        _CHAINS[type(op)](_Chain(draft, draft.graph.out(op), output), op, inputs[0])
    else:
        where = f"operation {draft.graph.ops.index(op)} ({op.kind})"
        y = draft.graph.out(op)
        raise refuse(f"{where} of {y.dtype} has no operator", "use int8 activations, or another operation")


def _has_other_attributes(row: Row, op: Op) -> bool:
    """Whether an attribute that the operator lacks differs from its default."""
    if not row.tflite:
        return False
    own = {field.name: field.default for field in fields(op) if field.name in op.attributes()}
    return any(getattr(op, name) != default for name, default in own.items() if name not in row.attributes)


def _options(row: Row, op: Op) -> dict[str, Option]:
    values = {name: getattr(op, attribute) for attribute, name in row.attributes.items()}
    numbers = {name: ACTIVATION_NUMBER[v] if isinstance(v, Activation) else v for name, v in values.items()}
    return {**numbers, **_ADDED_OPTIONS.get(row.tflite, {})}


class _Chain:
    """Float operators one after the other; the last writes `output`."""

    def __init__(self, draft: Draft, like: Tensor, output: int) -> None:
        self.draft, self.like, self.output = draft, like, output

    def value(self, code: str, *inputs: int | float, last: bool = False, **options: Option) -> int:
        """The tensor that `code` writes. A number among `inputs` is a constant."""
        tensors = [self._constant(x) if isinstance(x, float) else x for x in inputs]
        y = self.output if last else _real_like(self.draft, self.like)
        if code in ("ADD", "SUB", "MUL", "DIV"):
            options = {"fused_activation_function": 0, **_ADDED_OPTIONS.get(code, {}), **options}
        self.draft.emit(code, tensors, y, **options)
        return y

    def _constant(self, value: float) -> int:
        real = Tensor(0, (1,), DType.FLOAT32, Role.CONSTANT, data=np.array([value], np.float32))
        return self.draft.scalar_like(real, value)


def _softplus_of(chain: _Chain, x: int) -> int:
    below = chain.value("EXP", chain.value("NEG", chain.value("ABS", x)))
    return chain.value("ADD", chain.value("RELU", x), chain.value("LOG", chain.value("ADD", below, 1.0)))


def _silu(chain: _Chain, _: Any, x: int) -> None:
    chain.value("MUL", x, chain.value("LOGISTIC", x), last=True)


def _hard_sigmoid(chain: _Chain, _: Any, x: int) -> None:
    chain.value("MUL", chain.value("RELU6", chain.value("ADD", x, 3.0)), 1 / 6, last=True)


def _mish(chain: _Chain, _: Any, x: int) -> None:
    chain.value("MUL", x, chain.value("TANH", _softplus_of(chain, x)), last=True)


def _softplus(chain: _Chain, op: ops.Softplus, x: int) -> None:
    inner = _softplus_of(chain, chain.value("MUL", x, float(op.beta)))
    chain.value("MUL", inner, 1 / op.beta, last=True)


def _reciprocal(chain: _Chain, _: Any, x: int) -> None:
    chain.value("DIV", 1.0, x, last=True)


def _elu(chain: _Chain, op: ops.Elu, x: int) -> None:
    below = chain.value("MUL", chain.value("MINIMUM", x, 0.0), float(op.exponent_factor))
    curve = chain.value("MUL", chain.value("SUB", chain.value("EXP", below), 1.0), float(op.alpha))
    chain.value("MUL", chain.value("ADD", chain.value("RELU", x), curve), float(op.factor), last=True)


_CHAINS: Mapping[type[Op], Callable[[_Chain, Any, int], None]] = {
    ops.Silu: _silu,
    ops.HardSigmoid: _hard_sigmoid,
    ops.Mish: _mish,
    ops.Softplus: _softplus,
    ops.Reciprocal: _reciprocal,
    ops.Elu: _elu,
}
"""Functions without a TFLite operator, as operators of float32."""
