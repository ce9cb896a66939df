"""A .tflite under construction: the tensors of a graph in order of their ids, then additional ones of the operators."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ...errors import ModelError
from ...ir import Array, DType, Graph, Lstm, Op, QParams, Role, Tensor
from ...ir.ops import OverlapAdd, SpectralSubtraction
from ..schema import ModelFile, OperatorRow, Quantization, TensorRow, printable
from ..schema.rows import Option, Subgraph
from .operator_versions import version


def refuse(problem: str, remedy: str) -> ModelError:
    """The error for a graph that .tflite cannot express."""
    return ModelError(f"{problem}, which .tflite cannot express: {remedy}")


@dataclass(slots=True)
class Draft:
    """Rows so far. Methods return or take indices into `tensors`; `index` maps a graph's tensor id to one."""

    graph: Graph
    index: dict[int, int]
    tensors: list[TensorRow]
    operators: list[OperatorRow] = field(default_factory=list)
    handles: dict[int, int] = field(default_factory=dict)
    """The tensor that names the variable of each state."""
    variables: frozenset[int] = frozenset()
    """States that one operator stores in its own variable tensors."""
    inner: frozenset[int] = frozenset()
    """States that one operator stores without a tensor in the file."""

    @classmethod
    def of(cls, graph: Graph) -> Draft:
        own, inner = variables(graph), inner_states(graph)
        ids = sorted({*graph.tensors} - inner)
        rows = [replace(tensor_row(_unset(graph[t])), is_variable=t in own) for t in ids]
        return cls(graph, {t: i for i, t in enumerate(ids)}, rows, variables=own, inner=inner)

    def open_states(self) -> None:
        """Operators that initialize the variables once, and read them."""
        states = [t for t in self.graph.states if t.id not in self.variables | self.inner]
        if not states:
            return
        self._row("CALL_ONCE", (), (), init_subgraph_index=1)
        for t in states:
            handle = self.handles[t.id] = self._add(_handle(t))
            self._row("VAR_HANDLE", (), (handle,), **_variable(t))
        for t in states:
            self._row("READ_VARIABLE", (self.handles[t.id],), (self.index[t.id],))

    def _close_states(self) -> tuple[Subgraph, ...]:
        """Operators that assign the next values, and the subgraph that assigns the initial ones."""
        for u in self.graph.updates:
            if u.state in self.handles:
                self._row("ASSIGN_VARIABLE", (self.handles[u.state], self.index[u.value]), ())
        tensors: list[TensorRow] = []
        rows: list[OperatorRow] = []
        for i, t in enumerate(self.graph[s] for s in self.handles):
            tensors += [_handle(t), tensor_row(t)]
            rows.append(OperatorRow("VAR_HANDLE", (), (2 * i,), _variable(t)))
            rows.append(OperatorRow("ASSIGN_VARIABLE", (2 * i, 2 * i + 1), ()))
        return (Subgraph(tuple(tensors), tuple(rows)),) if tensors else ()

    def _row(self, code: str, inputs: tuple[int, ...], outputs: tuple[int, ...], **options: Option) -> None:
        self.operators.append(OperatorRow(code, inputs, outputs, options))

    def emit(self, code: str, inputs: Sequence[int], *outputs: int, **options: Option) -> None:
        types = [self.tensors[i].type for i in inputs if i >= 0]
        row = OperatorRow(code, tuple(inputs), outputs, options, version(code, types))
        self.operators.append(row)

    def integers(self, values: Sequence[int] | Sequence[Sequence[int]]) -> int:
        """An int32 constant that configures an operator: a shape, axes, paddings."""
        data = np.asarray(values, dtype="<i4")
        return self._add(TensorRow("", data.shape, "INT32", data.tobytes()))

    def scalar_like(self, tensor: Tensor, value: float) -> int:
        """A constant with one element with the type and quantization of `tensor`; `value` is a stored value."""
        row = tensor_row(tensor)
        return self._add(replace(row, name="", shape=(1,), data=stored_bytes(np.array([value]), tensor)))

    def constant(self, tensor: Tensor) -> int:
        """A constant that the graph does not contain."""
        return self._add(tensor_row(replace(tensor, name="")))

    def temporary(self, tensor: Tensor, shape: Sequence[int]) -> int:
        """An activation like `tensor` with another shape."""
        return self._add(replace(tensor_row(tensor), name="", shape=tuple(shape), data=None))

    def finish(self) -> ModelFile:
        others = self._close_states()
        return ModelFile(
            printable(self.graph.name),
            tuple(self.tensors),
            tuple(self.operators),
            tuple(self.index[i] for i in self.graph.inputs),
            tuple(self.index[i] for i in self.graph.outputs),
            description="mcuquant",
            others=others,
        )

    def _add(self, row: TensorRow) -> int:
        self.tensors.append(row)
        return len(self.tensors) - 1


def variables(graph: Graph) -> frozenset[int]:
    """States with initial value real zero that only an Lstm reads and updates."""
    return _own_states(graph, lambda op: zip(op.inputs[4:], op.outputs[1:], strict=True) if type(op) is Lstm else ())


def inner_states(graph: Graph) -> frozenset[int]:
    """The same of operations of front ends, whose operators have no tensor for their state."""
    kept = (SpectralSubtraction, OverlapAdd)
    return _own_states(graph, lambda op: ((op.inputs[1], op.outputs[1]),) if isinstance(op, kept) else ())


def _own_states(graph: Graph, pairs_of: Callable[[Op], Iterable[tuple[int, int]]]) -> frozenset[int]:
    """`pairs_of` gives the states of an operation and their next values."""
    updates, zero = {u.state: u.value for u in graph.updates}, set[int]()
    for op in graph.ops:
        pairs = tuple(pairs_of(op))
        own = all(updates.get(s) == v and graph.consumers(s) == (op,) and _is_zero(graph[s]) for s, v in pairs)
        zero.update(s for s, _ in pairs if own)
    return frozenset(zero)


def _is_zero(t: Tensor) -> bool:
    return bool((t.value == t.zero_point).all())


def _unset(t: Tensor) -> Tensor:
    """A state without its initial value, which READ_VARIABLE writes like any activation."""
    return replace(t, data=None) if t.role is Role.STATE else t


def _handle(t: Tensor) -> TensorRow:
    return TensorRow(printable(f"{t.name}/variable"), (), "RESOURCE")


def _variable(t: Tensor) -> dict[str, Option]:
    return {"container": "", "shared_name": f"state_{t.id}"}


def tensor_row(t: Tensor) -> TensorRow:
    data = None if t.data is None else stored_bytes(t.data, t)
    return TensorRow(printable(t.name), t.shape, _type_name(t), data, _quantization(t.q))


def stored_bytes(values: Array, t: Tensor) -> bytes:
    """`values` as a buffer of the type of `t`: little endian, the first of two 4-bit ones in the low half of a byte."""
    if not _is_int4(t):
        return values.astype(t.dtype.numpy.newbyteorder("<")).tobytes()
    nibbles = np.zeros(values.size + values.size % 2, np.uint8)
    nibbles[: values.size] = values.astype(np.int8).ravel().view(np.uint8) & 0x0F
    return (nibbles[0::2] | nibbles[1::2] << 4).tobytes()


def _is_int4(t: Tensor) -> bool:
    return t.dtype is DType.INT8 and t.bits == 4


def _type_name(t: Tensor) -> str:
    return "INT4" if _is_int4(t) else t.dtype.value.upper()


def _quantization(q: QParams | None) -> Quantization | None:
    return None if q is None else Quantization(q.scale, (q.zero_point,) * len(q.scale), q.axis or 0)
