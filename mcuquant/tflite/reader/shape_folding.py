"""Replaces shapes that a file computes at run time (SHAPE, STRIDED_SLICE, PACK) by their constants at batch 1.

Converters write them for everything that depends on an unknown batch size: the target of RESHAPE, the output of
TRANSPOSE_CONV.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from ...ir import Array
from ..schema import ModelFile, OperatorRow, TensorRow

_MOST_ELEMENTS = 64
"""Maximum number of elements of such constants; shapes have at most 6."""
_STORED = {"INT32": "<i4", "INT64": "<i8"}


def fold_shapes(file: ModelFile) -> ModelFile:
    """The file without the operators that compute only from shapes and integer constants."""
    tensors, operators, known = list(file.tensors), list[OperatorRow](), dict[int, Array]()
    for row in file.operators:
        value = _value(file, row, known)
        if value is None:
            operators.append(row)
            continue
        known[row.outputs[0]] = value
        t = tensors[row.outputs[0]]
        tensors[row.outputs[0]] = replace(t, data=value.astype(_STORED[t.type]).tobytes())
    return replace(file, tensors=tuple(tensors), operators=tuple(operators)) if known else file


def _value(file: ModelFile, row: OperatorRow, known: Mapping[int, Array]) -> Array | None:
    """The result of an operator on shapes; None for another operator or an invalid one."""
    indices = (*row.inputs, *row.outputs)
    if len(row.outputs) != 1 or not all(0 <= i < len(file.tensors) for i in indices):
        return None
    y = file.tensors[row.outputs[0]]
    if y.type not in _STORED or y.data is not None:
        return None
    if row.code == "SHAPE" and len(row.inputs) == 1:
        return _shaped(np.array(_shape(file, row.inputs[0]), np.int64), y)
    if row.code not in _FUNCTIONS or not known.keys() & set(row.inputs):
        return None
    operands = [known[i] if i in known else _integers(file.tensors[i]) for i in row.inputs]
    constants = [operand for operand in operands if operand is not None]
    if len(constants) < len(operands):
        return None
    try:
        return _shaped(np.asarray(_FUNCTIONS[row.code](row, *constants), np.int64), y)
    except (ValueError, IndexError, TypeError, KeyError, OverflowError):
        return None


def _shape(file: ModelFile, index: int) -> tuple[int, ...]:
    """The shape, with 1 for an axis of unknown length."""
    t = file.tensors[index]
    if len(t.signature) != len(t.shape):
        return t.shape
    return tuple(1 if stated == -1 else n for n, stated in zip(t.shape, t.signature, strict=True))


def _shaped(value: Array, y: TensorRow) -> Array | None:
    fits = value.size == math.prod(y.shape) <= _MOST_ELEMENTS and all(n >= 0 for n in y.shape)
    return value.reshape(y.shape) if fits and np.abs(value).max(initial=0) < 1 << 31 else None


def _integers(t: TensorRow) -> Array | None:
    """A small constant of integers."""
    count = math.prod(t.shape)
    if t.data is None or t.type not in _STORED or not 0 <= count <= _MOST_ELEMENTS or min(t.shape, default=1) < 0:
        return None
    stored = np.dtype(_STORED[t.type])
    if len(t.data) != count * stored.itemsize:
        return None
    return np.frombuffer(t.data, stored).astype(np.int64).reshape(t.shape)


def _strided_slice(row: OperatorRow, x: Array, begin: Array, end: Array, step: Array) -> Array:
    """A slice along one axis, without new axes."""
    if x.ndim != 1 or begin.size != 1 or row.options["ellipsis_mask"] or row.options["new_axis_mask"]:
        raise ValueError
    first, last, stride = int(begin[0]), int(end[0]), int(step[0])
    if row.options["offset"]:
        last += first
    if row.options["shrink_axis_mask"]:
        return np.asarray(x[first])
    start = None if row.options["begin_mask"] else first
    return np.asarray(x[start : None if row.options["end_mask"] else last : stride])


def _slice(_: OperatorRow, x: Array, begin: Array, size: Array) -> Array:
    if x.ndim != 1 or begin.size != 1 or size.size != 1:
        raise ValueError
    first, count = int(begin.ravel()[0]), int(size.ravel()[0])
    return np.asarray(x[first:] if count == -1 else x[first : first + count])


def _join(_: OperatorRow, *parts: Array) -> Array:
    """PACK of scalars, CONCATENATION of vectors."""
    if any(part.ndim > 1 for part in parts):
        raise ValueError
    return np.concatenate([part.ravel() for part in parts])


def _gather(_: OperatorRow, x: Array, indices: Array) -> Array:
    if x.ndim != 1 or indices.min(initial=0) < 0:
        raise ValueError
    return np.asarray(x[indices])


def _product(_: OperatorRow, x: Array, __: Array) -> Array:
    if x.ndim > 1:
        raise ValueError
    return np.asarray(math.prod(int(v) for v in x.ravel()))


_FUNCTIONS: Mapping[str, Callable[..., Array]] = {
    "STRIDED_SLICE": _strided_slice,
    "SLICE": _slice,
    "PACK": _join,
    "CONCATENATION": _join,
    "GATHER": _gather,
    "REDUCE_PROD": _product,
    "BROADCAST_ARGS": lambda _, a, b: np.array(np.broadcast_shapes(tuple(a), tuple(b))),
    "ADD": lambda _, a, b: a + b,
    "SUB": lambda _, a, b: a - b,
    "MUL": lambda _, a, b: a * b,
    "MAXIMUM": lambda _, a, b: np.maximum(a, b),
    "MINIMUM": lambda _, a, b: np.minimum(a, b),
    **dict.fromkeys(("CAST", "SQUEEZE"), lambda _, x: x),
    **dict.fromkeys(("RESHAPE", "EXPAND_DIMS"), lambda _, x, __: x),
}
