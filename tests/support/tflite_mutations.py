"""Damaged .tflite files: `mutant(model, seed)` is one, the same for the same seed.

Half of the damage is done to bytes, as a bad cable or a careless editor does it (aimed at the structure of the file,
not at its weights); half to fields, as somebody does who means harm: each field in itself well formed, and wrong.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from mcuquant.errors import ModelError
from mcuquant.tflite.schema import ModelFile, OperatorRow, Quantization, TensorRow, read, write
from mcuquant.tflite.schema.rows import OPTIONS

Rng = np.random.Generator

INTEGERS = (-(1 << 31), -65536, -2, -1, 0, 1, 2, 3, 4, 7, 127, 128, 255, 32767, 32768, 65536, (1 << 30), (1 << 31) - 1)
SCALES = (0.0, -1.0, float("nan"), float("inf"), 1e-45, 1e-38, 1e-10, 0.5, 1.0, 1e10, 3.4e38)
TYPES = ("FLOAT32", "FLOAT16", "INT4", "INT8", "UINT8", "INT16", "INT32", "INT64", "STRING", "BOOL")


def mutant(model: bytes, seed: int) -> bytes:
    rng = np.random.default_rng(seed)
    for _ in range(int(rng.choice([1, 1, 1, 2, 4]))):
        model = _damaged_fields(model, rng) if rng.random() < 0.5 else _damaged_bytes(model, rng)
    return model


# --- bytes -----------------------------------------------------------------------------------------------------------


def _damaged_bytes(model: bytes, rng: Rng) -> bytes:
    if len(model) < 16:
        return model
    damaged = bytearray(model)
    _BYTE_DAMAGE[int(rng.integers(len(_BYTE_DAMAGE)))](damaged, rng)
    return bytes(damaged)


def _place(data: bytearray, rng: Rng, alignment: int = 1) -> int:
    """Somewhere in the file, seldom inside a long run of weights: those are far from the file's ends."""
    near = int(min(len(data), 16384) * rng.random() ** 2)
    place = [near, len(data) - 1 - near, int(rng.integers(len(data)))][int(rng.integers(3))]
    return min(max(place, 0) // alignment * alignment, len(data) - 4)


def _flip_bits(data: bytearray, rng: Rng) -> None:
    for _ in range(int(rng.integers(1, 9))):
        data[_place(data, rng)] ^= 1 << int(rng.integers(8))


def _overwrite_word(data: bytearray, rng: Rng) -> None:
    """What is most likely an offset, a length or a number of a table."""
    place = _place(data, rng, alignment=4)
    old = struct.unpack_from("<i", data, place)[0]
    near = (old + int(rng.integers(-16, 17))) & 0x7FFFFFFF
    value = [int(rng.choice(INTEGERS)), near, len(data) - place, int(rng.integers(len(data)))][int(rng.integers(4))]
    struct.pack_into("<i", data, place, value)


def _cut(data: bytearray, rng: Rng) -> None:
    del data[int(rng.integers(len(data))) :]


def _remove(data: bytearray, rng: Rng) -> None:
    place = _place(data, rng)
    del data[place : place + int(rng.integers(1, 64))]


def _zero(data: bytearray, rng: Rng) -> None:
    place, count = _place(data, rng), int(rng.integers(1, 64))
    data[place : place + count] = bytes(len(data[place : place + count]))


def _copy(data: bytearray, rng: Rng) -> None:
    source, target, count = _place(data, rng, 4), _place(data, rng, 4), int(rng.integers(1, 16)) * 4
    chunk = data[source : source + count]
    data[target : target + len(chunk)] = chunk


_BYTE_DAMAGE: tuple[Callable[[bytearray, Rng], None], ...] = (
    *(_flip_bits, _flip_bits, _overwrite_word, _overwrite_word, _overwrite_word),
    *(_cut, _remove, _zero, _copy),
)


# --- fields ----------------------------------------------------------------------------------------------------------


def _damaged_fields(model: bytes, rng: Rng) -> bytes:
    try:
        file = read(model, "m")
        damaged = _FIELD_DAMAGE[int(rng.integers(len(_FIELD_DAMAGE)))](file, rng)
        return write(damaged)
    except (ModelError, AttributeError, TypeError, ValueError, struct.error):
        # Not readable any more, or nothing that a file can hold: other damage will do.
        return _damaged_bytes(model, rng)


def _integer(rng: Rng, old: int = 0) -> int:
    value = [int(rng.choice(INTEGERS)), old + int(rng.integers(-3, 4)), old * 2, -old][int(rng.integers(4))]
    return max(-(1 << 31), min((1 << 31) - 1, value))


def _one_changed(values: tuple[int, ...], rng: Rng, change: Callable[[int], int]) -> tuple[int, ...]:
    """`values` with one changed, added or dropped."""
    kind, place = int(rng.integers(6)), int(rng.integers(len(values) + 1))
    if kind == 0 or not values:
        return (*values[:place], change(1), *values[place:])
    place = min(place, len(values) - 1)
    if kind == 1:
        return (*values[:place], *values[place + 1 :])
    return (*values[:place], change(values[place]), *values[place + 1 :])


def _change_tensor(file: ModelFile, rng: Rng) -> ModelFile:
    if not file.tensors:
        return file
    index = int(rng.integers(len(file.tensors)))
    row = _TENSOR_DAMAGE[int(rng.integers(len(_TENSOR_DAMAGE)))](file.tensors[index], rng)
    return replace(file, tensors=(*file.tensors[:index], row, *file.tensors[index + 1 :]))


def _shape(row: TensorRow, rng: Rng) -> TensorRow:
    return replace(row, shape=_one_changed(row.shape, rng, lambda n: _integer(rng, n)))


def _signature(row: TensorRow, rng: Rng) -> TensorRow:
    return replace(row, signature=_one_changed(row.signature or row.shape, rng, lambda n: _integer(rng, n)))


def _type(row: TensorRow, rng: Rng) -> TensorRow:
    return replace(row, type=str(rng.choice(TYPES)))


def _data(row: TensorRow, rng: Rng) -> TensorRow:
    data = bytes(row.data or b"")
    if rng.random() < 0.3:
        return replace(row, data=[None, b"", bytes(7), data[:-1], data + b"\0", data * 2][int(rng.integers(6))])
    words = bytearray(data or bytes(4))
    if len(words) >= 4:
        struct.pack_into("<i", words, int(rng.integers(len(words) // 4)) * 4, _integer(rng))
    return replace(row, data=bytes(words))


def _quantization(row: TensorRow, rng: Rng) -> TensorRow:
    q = row.quantization or Quantization((1.0,), (0,))
    kind = int(rng.integers(6))
    scale, zero_point = list(q.scale), list(q.zero_point or (0,))
    if kind == 0:
        return replace(row, quantization=None)
    if kind == 1:
        scale[int(rng.integers(len(scale)))] = float(rng.choice(SCALES))
    elif kind == 2:
        zero_point[int(rng.integers(len(zero_point)))] = int(rng.choice([*INTEGERS, 1 << 40]))
    elif kind == 3:
        scale = scale * 2 if rng.random() < 0.5 else scale[:-1]
    elif kind == 4:
        zero_point = zero_point[:-1]
    axis = _integer(rng, q.axis) if kind == 5 else q.axis
    return replace(row, quantization=Quantization(tuple(scale), tuple(zero_point), axis))


def _name(row: TensorRow, rng: Rng) -> TensorRow:
    return replace(row, name='\u202e\0\x1b[2J"\\*/%{{' * int(rng.integers(1, 200)))


def _variable(row: TensorRow, rng: Rng) -> TensorRow:
    return replace(row, is_variable=not row.is_variable)


_TENSOR_DAMAGE = (
    *(_shape, _shape, _shape, _signature, _type, _data, _data, _data),
    *(_quantization, _quantization, _quantization, _name, _variable),
)


def _change_operator(file: ModelFile, rng: Rng) -> ModelFile:
    if not file.operators:
        return file
    index = int(rng.integers(len(file.operators)))
    change = _OPERATOR_DAMAGE[int(rng.integers(len(_OPERATOR_DAMAGE)))]
    row = change(file.operators[index], len(file.tensors), rng)
    return replace(file, operators=(*file.operators[:index], row, *file.operators[index + 1 :]))


def _code(row: OperatorRow, tensors: int, rng: Rng) -> OperatorRow:
    """Another operator, with options of its own kind, each of them anything."""
    code = str(rng.choice([*OPTIONS, "LOGISTIC", "TANH", "RELU", "RELU6", "DIV"]))
    options = {name: row.options.get(name, 1) for name in OPTIONS.get(code, ("", ()))[1]}
    vectors = {name: (1, -1) if name in ("new_shape", "squeeze_dims") else value for name, value in options.items()}
    return replace(row, code=code, options=vectors)


def _operands(row: OperatorRow, tensors: int, rng: Rng) -> OperatorRow:
    def other(_: int) -> int:
        return int(rng.integers(tensors)) if rng.random() < 0.8 else _integer(rng, tensors)

    if rng.random() < 0.6:
        return replace(row, inputs=_one_changed(row.inputs, rng, other))
    return replace(row, outputs=_one_changed(row.outputs, rng, other))


def _option(row: OperatorRow, tensors: int, rng: Rng) -> OperatorRow:
    if not row.options:
        return _operands(row, tensors, rng)
    name = str(rng.choice(list(row.options)))
    return replace(row, options={**row.options, name: _other_option(row.options[name], rng)})


def _other_option(old: Any, rng: Rng) -> Any:
    if isinstance(old, tuple):
        return _one_changed(old, rng, lambda n: _integer(rng, n))
    if isinstance(old, bool):
        return not old
    if isinstance(old, float):
        return float(rng.choice(SCALES))
    return int(rng.integers(-1, 6)) if rng.random() < 0.5 else _integer(rng, old)


_OPERATOR_DAMAGE = (_code, _operands, _operands, _option, _option, _option)


def _change_order(file: ModelFile, rng: Rng) -> ModelFile:
    rows = list(file.operators)
    if not rows:
        return file
    a, b, kind = int(rng.integers(len(rows))), int(rng.integers(len(rows))), int(rng.integers(3))
    if kind == 0:
        rows[a], rows[b] = rows[b], rows[a]
    elif kind == 1:
        rows.insert(a, rows[b])
    else:
        del rows[a]
    return replace(file, operators=tuple(rows))


def _change_ends(file: ModelFile, rng: Rng) -> ModelFile:
    name = str(rng.choice(["inputs", "outputs"]))
    old = getattr(file, name)
    return replace(file, **{name: _one_changed(old, rng, lambda _: int(rng.integers(len(file.tensors) + 1)))})


_FIELD_DAMAGE: tuple[Callable[[ModelFile, Rng], ModelFile], ...] = (
    *(_change_tensor, _change_tensor, _change_tensor, _change_operator, _change_operator, _change_operator),
    *(_change_order, _change_ends),
)
