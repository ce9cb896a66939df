"""The file format of a graph (.mq), including what .tflite cannot express: palettes, two-level and asymmetric weights.

A zip of numpy arrays (np.savez, no pickles): `graph` is JSON text, the others are the values of constants, such as `t3`
of tensor 3, and of its palette, `c3` the centroids and `i3` the indices. The same graph gives the same bytes.
"""

from __future__ import annotations

import io
import json
import struct
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np

from ..errors import GraphError, ModelError
from . import Array, DType, Graph, Level, Op, Padding, Palette, QParams, Role, Tensor, Update, ops
from .verify import verify

FORMAT, STATE_FORMAT = 1, 2
"""Version of networks without and with states: a reader that does not support states must reject those with states."""
MOST_BYTES = 1 << 28
"""Size limits of a file and of its contents."""
_DAMAGES = (
    *(ValueError, TypeError, AttributeError, LookupError, OSError, EOFError, RuntimeError, MemoryError, SyntaxError),
    *(zipfile.BadZipFile, zlib.error, struct.error),
)
"""Exceptions of zip, numpy, JSON and the graph's types for invalid bytes."""


def to_bytes(graph: Graph) -> bytes:
    arrays: dict[str, Array] = {}
    table = [_tensor_row(t, arrays) for _, t in sorted(graph.tensors.items())]
    text = {
        "format": STATE_FORMAT if graph.updates else FORMAT,
        "name": graph.name,
        "inputs": graph.inputs,
        "outputs": graph.outputs,
        "notes": graph.notes,
        "tensors": table,
        "ops": [_op_row(op) for op in graph.ops],
    }
    if graph.updates:
        text["updates"] = [(u.state, u.value) for u in graph.updates]
    buffer = io.BytesIO()
    named: dict[str, Any] = {"graph": np.frombuffer(json.dumps(text).encode(), np.uint8), **arrays}
    np.savez_compressed(buffer, **named)
    return buffer.getvalue()


def from_bytes(data: bytes, where: str) -> Graph:
    """`where` begins every message. Raises ModelError for another kind of file and for a graph that violates a rule."""
    try:
        arrays = _arrays(data)
        text = json.loads(arrays["graph"].tobytes())
        if text["format"] not in (FORMAT, STATE_FORMAT):
            raise ModelError(f"{where}: format {text['format']} of a graph file, expected {FORMAT} or {STATE_FORMAT}")
        graph = _graph(text, arrays)
        scaled = any(t.q is not None for t in graph.tensors.values() if not t.is_constant)
        return verify(graph, Level.QUANTISED if scaled and not graph.is_float else Level.FLOAT)
    except GraphError as error:
        raise ModelError(f"{where}: {error}") from error
    except _DAMAGES as error:
        raise ModelError(f"{where}: no graph file of mcuquant, or a damaged one ({error})") from error


def _arrays(data: bytes) -> Mapping[str, Array]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        size = sum(entry.file_size for entry in archive.infolist())
    if size > MOST_BYTES:
        raise ValueError(f"{size:,} bytes unpacked, expected at most {MOST_BYTES:,}")
    with np.load(io.BytesIO(data), allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def _tensor_row(t: Tensor, arrays: dict[str, Array]) -> dict[str, Any]:
    row: dict[str, Any] = {"id": t.id, "shape": t.shape, "dtype": t.dtype, "role": t.role, "bits": t.bits}
    row["name"] = t.name
    if t.q is not None:
        row["q"] = {f.name: getattr(t.q, f.name) for f in fields(t.q)}
    if t.palette is not None:
        row["palette"] = {"groups": t.palette.groups, "axis": t.palette.axis}
        arrays |= {f"c{t.id}": t.palette.centroids, f"i{t.id}": t.palette.indices}
    if t.data is not None:
        arrays[f"t{t.id}"] = t.data
    return row


def _op_row(op: Op) -> dict[str, Any]:
    attributes = {k: _plain(v) for k, v in op.attributes().items()}
    return {"kind": op.kind, "inputs": op.inputs, "outputs": op.outputs, "attributes": attributes}


def _plain(value: Any) -> Any:
    return {f.name: getattr(value, f.name) for f in fields(value)} if isinstance(value, Padding) else value


def _graph(text: Mapping[str, Any], arrays: Mapping[str, Array]) -> Graph:
    tensors = [_tensor(row, arrays) for row in text["tensors"]]
    inputs, outputs = (tuple(map(int, text[name])) for name in ("inputs", "outputs"))
    operations = tuple(map(_op, text["ops"]))
    updates = tuple(Update(int(state), int(value)) for state, value in text.get("updates", ()))
    notes = tuple(map(str, text["notes"]))
    return Graph(str(text["name"]), {t.id: t for t in tensors}, operations, inputs, outputs, notes, updates)


def _tensor(row: Mapping[str, Any], arrays: Mapping[str, Array]) -> Tensor:
    i = int(row["id"])
    q = QParams(**{name: _frozen(v) for name, v in row["q"].items()}) if "q" in row else None
    palette = None
    if "palette" in row:
        palette = Palette(arrays[f"c{i}"], arrays[f"i{i}"], _frozen(row["palette"]["groups"]), row["palette"]["axis"])
    shape, dtype = tuple(map(int, row["shape"])), DType(row["dtype"])
    data = arrays.get(f"t{i}")
    return Tensor(i, shape, dtype, Role(row["role"]), int(row["bits"]), q, data, str(row["name"]), palette)


def _op(row: Mapping[str, Any]) -> Op:
    kind = getattr(ops, row["kind"]) if row["kind"] in ops.__all__ else None
    if not (isinstance(kind, type) and issubclass(kind, Op)):
        raise ValueError(f"operation {row['kind']!r} is not known")
    attributes = {name: _attribute(name, value) for name, value in row["attributes"].items()}
    operation: Op = kind(inputs=_frozen(row["inputs"]), outputs=_frozen(row["outputs"]), **attributes)
    return operation


def _attribute(name: str, value: Any) -> Any:
    match name:
        case "padding":
            return Padding(**value)
        case "activation":
            return ops.Activation(value)
        case "relation":
            return ops.Relation(value)
        case _:
            return _frozen(value)


def _frozen(value: Any) -> Any:
    return tuple(map(_frozen, value)) if isinstance(value, list) else value
