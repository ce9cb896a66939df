"""Rows to bytes. The same rows give the same bytes."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from typing import Any

import flatbuffers
import numpy as np
import tflite
from flatbuffers import flexbuffers

from .rows import (
    CUSTOM,
    CUSTOM_OPTIONS,
    OPTIONS,
    ModelFile,
    OperatorRow,
    Option,
    Quantization,
    Subgraph,
    TensorRow,
    camel,
)

SCHEMA_VERSION = 3
FILE_IDENTIFIER = b"TFL3"
_BUFFER_ALIGNMENT = 16
"""Alignment that the schema requires (`force_align`): interpreters read weights in place."""


def write(model: ModelFile) -> bytes:
    """Flatbuffer of `model`. Values are written without checks; callers are responsible for them."""
    builder: Any = flatbuffers.Builder(1024)
    first = Subgraph(model.tensors, model.operators)
    every = (first, *model.others)
    data = [b"", *(t.data for subgraph in every for t in subgraph.tensors if t.data is not None)]
    buffers = _vector(builder, [_buffer(builder, d) for d in data])
    codes = sorted({_code(op) for subgraph in every for op in subgraph.operators})
    opcodes = _vector(builder, [_operator_code(builder, *code) for code in codes])
    # By convention buffer 0 is empty.
    places = iter(range(1, len(data)))
    tables = [_subgraph(builder, first, codes, places, model.name, model.inputs, model.outputs)]
    tables += [_subgraph(builder, subgraph, codes, places, f"{model.name}_{i}") for i, subgraph in enumerate(every[1:])]
    subgraphs = _vector(builder, tables)
    description = builder.CreateString(model.description)
    fields = {
        "version": SCHEMA_VERSION,
        "operator_codes": opcodes,
        "subgraphs": subgraphs,
        "description": description,
        "buffers": buffers,
    }
    builder.Finish(_table(builder, "Model", fields), file_identifier=FILE_IDENTIFIER)
    return bytes(builder.Output())


def _table(builder: Any, name: str, fields: dict[str, Any]) -> int:
    """One table, field by field, by the bindings' Start, Add... and End. Offsets among `fields` exist already."""
    bindings = importlib.import_module(f"tflite.{name}")
    getattr(bindings, f"{name}Start")(builder)
    for key, value in fields.items():
        getattr(bindings, f"{name}Add{camel(key)}")(builder, value)
    return int(getattr(bindings, f"{name}End")(builder))


def _vector(builder: Any, offsets: Sequence[int]) -> int:
    builder.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    return int(builder.EndVector())


def _numbers(builder: Any, values: Sequence[float], dtype: str) -> int:
    return int(builder.CreateNumpyVector(np.asarray(values, dtype=dtype)))


def _buffer(builder: Any, data: bytes | memoryview) -> int:
    if not data:
        return _table(builder, "Buffer", {})
    # `CreateByteVector` cannot align, so its three lines are here.
    builder.StartVector(1, len(data), _BUFFER_ALIGNMENT)
    builder.head -= len(data)
    builder.Bytes[builder.head : builder.head + len(data)] = data
    return _table(builder, "Buffer", {"data": builder.EndVector()})


def _code(op: OperatorRow) -> tuple[int, int, str]:
    """(number, version, name of a custom one)."""
    if op.code.startswith(CUSTOM):
        return int(tflite.BuiltinOperator.CUSTOM), op.version, op.code.removeprefix(CUSTOM).strip("'")
    return int(getattr(tflite.BuiltinOperator, op.code)), op.version, ""


def _operator_code(builder: Any, code: int, version: int, name: str) -> int:
    # Readers older than the 32-bit field see 127, "see the other one".
    fields = {"deprecated_builtin_code": min(code, 127), "version": version, "builtin_code": code}
    if name:
        fields["custom_code"] = builder.CreateString(name)
    return _table(builder, "OperatorCode", fields)


def _subgraph(
    builder: Any,
    subgraph: Subgraph,
    codes: list[tuple[int, int, str]],
    places: Iterator[int],
    name: str,
    inputs: tuple[int, ...] = (),
    outputs: tuple[int, ...] = (),
) -> int:
    tensors = [_tensor(builder, t, 0 if t.data is None else next(places)) for t in subgraph.tensors]
    operators = [_operator(builder, op, codes.index(_code(op))) for op in subgraph.operators]
    fields = {
        "tensors": _vector(builder, tensors),
        "inputs": _numbers(builder, inputs, "<i4"),
        "outputs": _numbers(builder, outputs, "<i4"),
        "operators": _vector(builder, operators),
        "name": builder.CreateString(name),
    }
    return _table(builder, "SubGraph", fields)


def _tensor(builder: Any, row: TensorRow, buffer: int) -> int:
    fields: dict[str, Any] = {
        "shape": _numbers(builder, row.shape, "<i4"),
        "type": int(getattr(tflite.TensorType, row.type)),
        "buffer": buffer,
        "name": builder.CreateString(row.name),
        "is_variable": row.is_variable,
        "has_rank": True,
    }
    if row.signature:
        fields["shape_signature"] = _numbers(builder, row.signature, "<i4")
    if row.quantization is not None:
        fields["quantization"] = _quantization(builder, row.quantization)
    return _table(builder, "Tensor", fields)


def _quantization(builder: Any, q: Quantization) -> int:
    fields = {
        "scale": _numbers(builder, q.scale, "<f4"),
        "zero_point": _numbers(builder, q.zero_point, "<i8"),
        "quantized_dimension": q.axis,
    }
    return _table(builder, "QuantizationParameters", fields)


def _operator(builder: Any, op: OperatorRow, opcode: int) -> int:
    fields: dict[str, Any] = {
        "opcode_index": opcode,
        "inputs": _numbers(builder, op.inputs, "<i4"),
        "outputs": _numbers(builder, op.outputs, "<i4"),
    }
    if op.code in OPTIONS:
        name, _ = OPTIONS[op.code]
        fields["builtin_options_type"] = int(getattr(tflite.BuiltinOptions, name))
        fields["builtin_options"] = _options(builder, name, op)
    if op.code in CUSTOM_OPTIONS:
        fields["custom_options"] = builder.CreateByteVector(flexbuffers.Dumps(dict(op.options)))
    return _table(builder, "Operator", fields)


def _options(builder: Any, name: str, op: OperatorRow) -> int:
    return _table(builder, name, {key: _option(builder, value) for key, value in op.options.items()})


def _option(builder: Any, value: Option) -> Any:
    """The value, or the offset of a separately stored one."""
    if isinstance(value, tuple):
        return _numbers(builder, value, "<i4")
    return builder.CreateString(value) if isinstance(value, str) else value
