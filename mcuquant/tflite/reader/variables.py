"""Resource variables of a file (VAR_HANDLE, READ_VARIABLE, ASSIGN_VARIABLE) as states that an inference updates.

Operators run in the order of the file: a read before the assignment gives the value before the inference, and the last
assignment is the value after it. CALL_ONCE runs a subgraph before the first inference; its assignments of constants are
the initial values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from ...errors import ModelError, UnsupportedOpError
from ..schema import ModelFile, OperatorRow, TensorRow
from ..schema.rows import ABSENT, Subgraph

CODES = ("CALL_ONCE", "VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE")
_MAX_BYTES = 1 << 21
"""Maximum elements of one variable."""

Key = tuple[str, str]
"""A variable's container and name, which subgraphs share."""


def resolve_variables(file: ModelFile, name: str) -> ModelFile:
    """The file without operators on variables; `updates` contains their effects. `name` is for messages."""
    if not any(row.code in CODES for row in file.operators):
        return file
    walk = _Walk(file, name, _initial_values(file, name))
    for index, row in enumerate(file.operators):
        walk.take(index, row)
    return walk.finish()


def _initial_values(file: ModelFile, name: str) -> dict[Key, TensorRow]:
    values: dict[Key, TensorRow] = {}
    for index, row in enumerate(file.operators):
        if row.code == "CALL_ONCE":
            place = row.options.get("init_subgraph_index", 0)
            if not isinstance(place, int) or not 1 <= place <= len(file.others):
                raise ModelError(
                    f"{name}: operator {index} (CALL_ONCE) calls subgraph {place}, the file has {len(file.others) + 1}"
                )
            values |= _assigned(file.others[place - 1], f"{name}: subgraph {place}")
    return values


def _assigned(subgraph: Subgraph, where: str) -> dict[Key, TensorRow]:
    """The assignments of a subgraph that runs once."""
    handles: dict[int, Key] = {}
    values: dict[Key, TensorRow] = {}
    for index, row in enumerate(subgraph.operators):
        if row.code == "VAR_HANDLE":
            handles |= dict.fromkeys(row.outputs, _key(row))
            continue
        tensors = [subgraph.tensors[i] for i in row.inputs if 0 <= i < len(subgraph.tensors)]
        if row.code != "ASSIGN_VARIABLE" or len(tensors) != 2 or tensors[1].data is None:
            raise UnsupportedOpError(
                f"{where}, which runs once: operator {index} ({row.code}) is no assignment of a constant to a variable"
            )
        if row.inputs[0] not in handles:
            raise ModelError(f"{where}: operator {index} (ASSIGN_VARIABLE) assigns tensor {row.inputs[0]}, no variable")
        values[handles[row.inputs[0]]] = tensors[1]
    return values


def _key(row: OperatorRow) -> Key:
    return str(row.options.get("container", "")), str(row.options.get("shared_name", ""))


@dataclass(slots=True)
class _Walk:
    """The operators so far. `current` is the tensor with a variable's present value, `states` the first one read."""

    file: ModelFile
    name: str
    initial: Mapping[Key, TensorRow]
    operators: list[OperatorRow] = field(default_factory=list)
    handles: dict[int, Key] = field(default_factory=dict)
    current: dict[Key, int] = field(default_factory=dict)
    states: dict[Key, int] = field(default_factory=dict)
    same: dict[int, int] = field(default_factory=dict)
    """Read tensors that are aliases of another tensor."""

    def take(self, index: int, row: OperatorRow) -> None:
        match row.code:
            case "CALL_ONCE":
                pass
            case "VAR_HANDLE":
                self.handles |= dict.fromkeys(row.outputs, _key(row))
            case "READ_VARIABLE":
                self._read(self._variable(index, row), self._tensor(index, row, row.outputs, 0))
            case "ASSIGN_VARIABLE":
                value = self._tensor(index, row, row.inputs, 1)
                self.current[self._variable(index, row)] = self.same.get(value, value)
            case _:
                inputs = tuple(self.same.get(i, i) for i in row.inputs)
                self.operators.append(row if inputs == row.inputs else replace(row, inputs=inputs))

    def finish(self) -> ModelFile:
        tensors = list(self.file.tensors)
        for key, state in self.states.items():
            tensors[state] = self._started(key, tensors[state], state)
        updates = [(state, self.current[key]) for key, state in self.states.items() if self.current[key] != state]
        outputs = tuple(self.same.get(i, i) for i in self.file.outputs)
        return replace(
            self.file, tensors=tuple(tensors), operators=tuple(self.operators), outputs=outputs, updates=tuple(updates)
        )

    def _read(self, key: Key, output: int) -> None:
        if key in self.current:
            self.same[output] = self.current[key]
        else:
            self.states[key] = self.current[key] = output

    def _started(self, key: Key, row: TensorRow, state: int) -> TensorRow:
        """The tensor with the variable's initial value; real zero by default."""
        start = self.initial.get(key)
        if start is None:
            return replace(row, data=self._zeros(row, state))
        if (start.type, start.shape, start.quantization) != (row.type, row.shape, row.quantization):
            raise ModelError(
                f"{self.name}: variable {key[1]!r} starts as {start.type} {list(start.shape)} and is read as "
                f"{row.type} {list(row.shape)} (tensor {state}, {row.name!r}), expected the same type, shape and scale"
            )
        return replace(row, data=start.data)

    def _zeros(self, row: TensorRow, state: int) -> bytes:
        sizes = {"FLOAT32": "<f4", "INT8": "i1", "INT16": "<i2", "INT32": "<i4"}
        count = int(np.prod([max(0, n) for n in row.shape], dtype=np.float64))
        if row.type not in sizes or count > _MAX_BYTES:
            raise UnsupportedOpError(
                f"{self.name}: tensor {state} ({row.name!r}) is a variable of type {row.type} and shape "
                f"{list(row.shape)}; use INT8, INT16 or FLOAT32, at most {_MAX_BYTES:,} elements"
            )
        zero = row.quantization.zero_point[0] if row.quantization and row.quantization.zero_point else 0
        return np.full(count, np.clip(zero, -128, 127), sizes[row.type]).tobytes()

    def _variable(self, index: int, row: OperatorRow) -> Key:
        handle = row.inputs[0] if row.inputs else ABSENT
        if handle not in self.handles:
            raise ModelError(f"{self.name}: operator {index} ({row.code}) names tensor {handle}, which is no variable")
        return self.handles[handle]

    def _tensor(self, index: int, row: OperatorRow, tensors: tuple[int, ...], place: int) -> int:
        tensor = tensors[place] if place < len(tensors) else ABSENT
        if not 0 <= tensor < len(self.file.tensors):
            raise ModelError(
                f"{self.name}: operator {index} ({row.code}) names tensor {tensor}, the file has "
                f"{len(self.file.tensors)}"
            )
        return tensor
