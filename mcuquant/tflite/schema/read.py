"""Bytes to rows, for untrusted bytes.

The Python flatbuffers runtime has no checks of its own, but every access uses `struct`, `memoryview` or
`numpy.frombuffer` over one immutable buffer, which reject accesses outside; their exceptions become a ModelError. They
do not stop a small file that describes a huge one (every entry of a vector may point to the same table), so the reader
counts the values that it extracts and stops early.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import tflite
from flatbuffers import flexbuffers

from ...errors import ModelError
from .rows import (
    CUSTOM_OPTIONS,
    OPTIONS,
    ModelFile,
    OperatorRow,
    Option,
    Quantization,
    Subgraph,
    TensorRow,
    camel,
    custom,
    printable,
)

MAX_FILE_BYTES = 1 << 26
MAX_VALUES = 1 << 20
"""Limit of numbers outside the weights (shapes, scales, operands, options), where each table counts as `_TABLE_COST`
more. The largest file of MLPerf Tiny has 40,000.
"""
MAX_LIST = 1024
"""Maximum length of a shape, operand list or option of one tensor or operator; it also keeps messages short."""
MAX_NAME_BYTES = 512
MAX_SUBGRAPHS = 64
MAX_CUSTOM_BYTES = 1024
"""Maximum size of the options of one custom operator."""
_TABLE_COST = 128

_IDENTIFIER = b"TFL3"
_OPERATORS = {number: name for name, number in vars(tflite.BuiltinOperator).items() if isinstance(number, int)}
_TYPES = {number: name for name, number in vars(tflite.TensorType).items() if isinstance(number, int)}
_BROKEN = (struct.error, TypeError, ValueError, IndexError, OverflowError)
"""Exceptions of flatbuffers for offsets and lengths outside the file (TypeError: negative ones)."""


def read(data: bytes, name: str) -> ModelFile:
    """Rows of the .tflite in `data`; `name` is for messages.

    Raises ModelError for bytes that are not a .tflite.
    """
    if len(data) > MAX_FILE_BYTES:
        raise ModelError(f"{name} has more than the {MAX_FILE_BYTES:,} bytes that mcuquant reads")
    if data[4:8] != _IDENTIFIER:
        identifier = bytes(data[4:8]) if len(data) >= 8 else f"only {len(data)} bytes"
        raise ModelError(f"{name} is not a .tflite: bytes 4 to 7 should read {_IDENTIFIER!r}, found {identifier!r}")
    with _readable(name):
        return _Reader(data, name).model()


@contextmanager
def _readable(name: str) -> Iterator[None]:
    try:
        yield
    except _BROKEN as error:
        raise ModelError(f"{name} is not a readable .tflite, it is damaged or cut short: {error}") from error


class _Reader:
    """Reads one file once and counts the extracted values."""

    def __init__(self, data: bytes, name: str) -> None:
        self._data = memoryview(data)
        self._name = name
        self._left = MAX_VALUES
        self._model = tflite.Model.GetRootAs(data)

    def model(self) -> ModelFile:
        if (count := self._model.SubgraphsLength()) not in range(1, MAX_SUBGRAPHS + 1):
            raise ModelError(f"{self._name} holds {count} subgraphs, expected 1 to {MAX_SUBGRAPHS}")
        graph = self._model.Subgraphs(0)
        codes = [self._code(self._model.OperatorCodes(i)) for i in self._tables(self._model.OperatorCodesLength())]
        first = self._subgraph(graph, codes)
        ends = self._integers(graph, "Inputs"), self._integers(graph, "Outputs")
        texts = self._text(graph.Name()), self._text(self._model.Description())
        others = tuple(self._subgraph(self._model.Subgraphs(i), codes) for i in range(1, count))
        return ModelFile(texts[0], first.tensors, first.operators, *ends, texts[1], others)

    def _subgraph(self, graph: Any, codes: list[tuple[str, int]]) -> Subgraph:
        tensors = tuple(self._tensor(graph.Tensors(i)) for i in self._tables(graph.TensorsLength()))
        operators = tuple(self._operator(graph.Operators(i), i, codes) for i in self._tables(graph.OperatorsLength()))
        return Subgraph(tensors, operators)

    def _tables(self, length: int) -> range:
        """Indices of a vector of this many tables, after counting them."""
        self._spend(length * _TABLE_COST)
        return range(length)

    def _spend(self, values: int) -> None:
        self._left -= values
        if self._left < 0:
            raise ModelError(
                f"{self._name} describes more tensors, operators and parameters than mcuquant reads ({MAX_VALUES:,} "
                "numbers): not a model for a microcontroller"
            )

    def _integers(self, table: Any, field: str) -> tuple[int, ...]:
        """A vector of limited length: shapes, operands."""
        if (length := getattr(table, f"{field}Length")()) > MAX_LIST:
            raise ModelError(f"{self._name} has a list of {length:,} numbers ({field}), expected at most {MAX_LIST:,}")
        return tuple(self._vector(table, field).tolist())

    def _vector(self, table: Any, field: str) -> Any:
        length = getattr(table, f"{field}Length")()
        self._spend(length)
        return getattr(table, f"{field}AsNumpy")() if length else np.zeros(0, np.int32)

    def _text(self, raw: bytes | None) -> str:
        # Names are for messages: cut to a readable length, and to printable text.
        raw = raw or b""
        self._spend(len(raw) // 64)
        return printable(raw[:MAX_NAME_BYTES].decode("utf-8", "replace"))

    def _code(self, table: Any) -> tuple[str, int]:
        number = max(table.BuiltinCode(), table.DeprecatedBuiltinCode())
        code = _OPERATORS.get(number, f"BUILTIN_{number}")
        if code == "CUSTOM":
            code = custom(self._text(table.CustomCode()))
        return code, table.Version()

    def _tensor(self, table: Any) -> TensorRow:
        number = table.Type()
        return TensorRow(
            self._text(table.Name()),
            self._integers(table, "Shape"),
            _TYPES.get(number, f"type {number}"),
            self._buffer(table.Buffer()),
            self._quantization(table.Quantization()),
            self._integers(table, "ShapeSignature"),
            table.IsVariable(),
            table.Sparsity() is not None,
        )

    def _buffer(self, index: int) -> memoryview | None:
        """The bytes of buffer `index`, not copied. Large files keep them behind the flatbuffer, by offset and size."""
        if index >= self._model.BuffersLength():
            raise ModelError(f"{self._name}: a tensor reads buffer {index} of {self._model.BuffersLength()}")
        buffer = self._model.Buffers(index)
        if length := buffer.DataLength():
            start = buffer._tab.Vector(buffer._tab.Offset(4))
        elif buffer.Size() and buffer.Offset() > 1:
            start, length = buffer.Offset(), buffer.Size()
        else:
            return None
        if start + length > len(self._data):
            raise ModelError(f"{self._name}: buffer {index} reaches to byte {start + length} of {len(self._data)}")
        return self._data[start : start + length]

    def _quantization(self, table: Any) -> Quantization | None:
        if table is None or not table.ScaleLength():
            return None
        scales = tuple(self._vector(table, "Scale").tolist())
        return Quantization(scales, tuple(self._vector(table, "ZeroPoint").tolist()), table.QuantizedDimension())

    def _operator(self, table: Any, index: int, codes: list[tuple[str, int]]) -> OperatorRow:
        opcode = table.OpcodeIndex()
        if opcode >= len(codes):
            raise ModelError(f"{self._name}: operator {index} is of code {opcode}, the file lists {len(codes)}")
        code, version = codes[opcode]
        inputs, outputs = self._integers(table, "Inputs"), self._integers(table, "Outputs")
        return OperatorRow(code, inputs, outputs, self._options(table, index, code), version)

    def _options(self, table: Any, index: int, code: str) -> dict[str, Option]:
        if code in CUSTOM_OPTIONS:
            return self._custom_options(table, index, code)
        name, fields = OPTIONS.get(code, ("", ()))
        kind = table.BuiltinOptionsType()
        if not fields or kind == tflite.BuiltinOptions.NONE:
            return {}
        if kind != getattr(tflite.BuiltinOptions, name):
            raise ModelError(f"{self._name}: operator {index} ({code}) has options of type {kind}, expected {name}")
        union = table.BuiltinOptions()
        options = getattr(tflite, name)()
        options.Init(union.Bytes, union.Pos)
        return {field: self._option(options, camel(field)) for field in fields}

    def _custom_options(self, table: Any, index: int, code: str) -> dict[str, Option]:
        """The integers of a FlexBuffers map; those that it lacks are left out."""
        fields, length = CUSTOM_OPTIONS[code], table.CustomOptionsLength()
        if not fields or not length:
            return {}
        if length > MAX_CUSTOM_BYTES:
            raise ModelError(
                f"{self._name}: operator {index} ({code}) has {length:,} bytes of options, "
                f"expected at most {MAX_CUSTOM_BYTES}"
            )
        try:
            found = flexbuffers.GetRoot(table.CustomOptionsAsNumpy().tobytes()).AsMap
            return {name: value for name in fields if (value := _entry(found, name)) is not None}
        except (*_BROKEN, AttributeError, KeyError, RecursionError) as error:
            raise ModelError(
                f"{self._name}: operator {index} ({code}) has options that are no map of integers, expected "
                f"{', '.join(fields)}"
            ) from error

    def _option(self, options: Any, field: str) -> Option:
        if hasattr(options, f"{field}AsNumpy"):
            return self._integers(options, field)
        value: int | float | bool | bytes | None = getattr(options, field)()
        return self._text(value) if value is None or isinstance(value, bytes) else value


def _entry(found: Any, name: str) -> int | None:
    try:
        return int(found[name].AsInt)
    except KeyError:
        return None
