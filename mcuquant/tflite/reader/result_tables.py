"""Recognizes a function of int8 by its 256 results: CAST to int32, ADD 128 and GATHER from a constant, as one operator.

The writer uses this form for functions without an int8 operator in TFLite.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from ...ir import ops
from ..schema import ModelFile, OperatorRow, TensorRow
from .operator_node import Node

CODE = "LOOKUP"
"""Code of the joined operator, which is not in the schema."""


def join_tables(file: ModelFile) -> ModelFile:
    """The file with each of these three operators as one row of `CODE`: the input and the table."""
    makers = {output: row for row in file.operators for output in row.outputs}
    matches = {id(row): _match(file, makers, row) for row in file.operators}
    joined = {key: match for key, match in matches.items() if match is not None}
    if not joined:
        return file
    readers = Counter(i for row in file.operators for i in row.inputs) + Counter(file.outputs)
    inner = {
        id(row)
        for match in joined.values()
        for row in (match.cast, match.add)
        if all(readers[output] == 1 for output in row.outputs)
    }
    rows = tuple(joined[id(row)].row if id(row) in joined else row for row in file.operators if id(row) not in inner)
    return replace(file, operators=rows)


@dataclass(frozen=True, slots=True)
class _Match:
    row: OperatorRow
    cast: OperatorRow
    add: OperatorRow


def _match(file: ModelFile, makers: Mapping[int, OperatorRow], row: OperatorRow) -> _Match | None:
    if row.code != "GATHER" or len(row.inputs) != 2 or row.options.get("axis") or row.options.get("batch_dims"):
        return None
    table, add = _tensor(file, row.inputs[0]), makers.get(row.inputs[1])
    if table is None or table.data is None or (table.type, table.shape) != ("INT8", (256,)):
        return None
    if add is None or add.code != "ADD" or len(add.inputs) != 2 or add.options.get("fused_activation_function"):
        return None
    cast, offset = makers.get(add.inputs[0]), _tensor(file, add.inputs[1])
    if cast is None or cast.code != "CAST" or len(cast.inputs) != 1 or not _is_128(offset):
        return None
    x = _tensor(file, cast.inputs[0])
    if x is None or x.type != "INT8":
        return None
    return _Match(OperatorRow(CODE, (cast.inputs[0], row.inputs[0]), row.outputs), cast, add)


def _tensor(file: ModelFile, index: int) -> TensorRow | None:
    return file.tensors[index] if 0 <= index < len(file.tensors) else None


def _is_128(t: TensorRow | None) -> bool:
    if t is None or t.data is None or t.type != "INT32" or len(t.data) != 4:
        return False
    return int(np.frombuffer(t.data, "<i4")[0]) == 128


def lookup(node: Node) -> None:
    node.expect(range(2, 3))
    x, table = node.input(0), node.constant(1, "table")
    y = node.shaped(node.output(), x.shape)
    node.emit(ops.Lookup(inputs=(x.id,), outputs=(y.id,), table=tuple(int(v) for v in table.value)))
