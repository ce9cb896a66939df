"""The graph under construction, and one operator of the file for its handler."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ...errors import ModelError, UnsupportedOpError
from ...ir import Activation, Array, DType, Graph, Op, Padding, Pair, QParams, Role, Shape, Slice, Tensor, Update
from ...ir.ops import Reshape
from ..schema import ModelFile, OperatorRow, TensorRow, window_geometry
from ..schema.rows import ABSENT, PADDING_SAME, PADDING_VALID, Option
from . import tensor_reader, unsigned

ACTIVATIONS = {0: Activation.NONE, 1: Activation.RELU, 2: Activation.RELU_N1_TO_1, 3: Activation.RELU6}
"""Fused activations by their numbers in the schema."""

MAX_WINDOW = (1 << 15) - 1
"""Largest stride, dilation and window length: products of two stay within 32 bits."""
MAX_OPERATIONS = 1024
MAX_ENDS = 256
"""Maximum number of inputs and outputs of a network."""
_MAX_PARAMETERS = 256
"""Maximum number of elements of a constant that configures an operator."""


class Translation:
    """The graph so far. A tensor of the file keeps its index as id; later ids are tensors that the file does not
    contain.
    """

    def __init__(self, file: ModelFile, name: str, notes: Sequence[str] = ()) -> None:
        self.file = file
        self.name = name
        self.tensors: dict[int, Tensor] = {}
        self.ops: list[Op] = []
        self.notes = [*unsigned.notes(file), *notes]
        self.updates: list[Update] = []
        self._constant_elements = 0
        self._activation_elements = 0
        self._next_id = len(file.tensors)

    def open_inputs(self) -> None:
        for place, index in enumerate(self.file.inputs):
            row = self.row(index, f"input {place}")
            if row.data is not None or index in self.tensors:
                fault = "has a constant value" if row.data is not None else "is listed twice"
                raise ModelError(f"{self.name}: input {place} is tensor {index} ({row.name!r}), which {fault}")
            self.tensors[index] = tensor_reader.tensor(index, row, Role.INPUT, self.where(index))

    def open_states(self) -> None:
        for index, value in self.file.updates:
            row = self.row(index, "a variable")
            if index in self.tensors:
                raise ModelError(f"{self.where(index)} is read from a variable and an input")
            self.row(value, "the next value of a variable")
            self.add_state(tensor_reader.constant(index, row, self.where(index)), value)

    def add_state(self, initial: Tensor, value: int) -> Tensor:
        """Define a state with initial value `initial`, whose next value is tensor `value`."""
        self.tensors[initial.id] = replace(initial, role=Role.STATE)
        self.updates.append(Update(initial.id, value))
        return self.tensors[initial.id]

    def _updates(self) -> tuple[Update, ...]:
        """Add all updates, with values that an operation or the caller writes."""
        return tuple(Update(u.state, self._written(self.tensors[u.state], u.value)) for u in self.updates)

    def _written(self, state: Tensor, index: int) -> int:
        """The tensor, or a copy of it if it is a constant or a state itself."""
        if index not in self.tensors and self.file.tensors[index].data is not None:
            self.constant(index, self.file.tensors[index])
        if index not in self.tensors:
            raise ModelError(f"{self.where(index)} is assigned to a variable and never written")
        t = self.tensors[index]
        if (t.dtype, t.shape, t.q) != (state.dtype, state.shape, state.q):
            raise ModelError(
                f"{self.where(index)} is {t.dtype} {list(t.shape)} and assigned to a variable that is read as "
                f"{state.dtype} {list(state.shape)}, expected the same type, shape and scale"
            )
        if t.role in (Role.ACTIVATION, Role.INPUT):
            return t.id
        copy = self.activation(self.add(replace(t, role=Role.ACTIVATION, data=None)))
        zeros, ones = (0,) * len(t.shape), (1,) * len(t.shape)
        self.ops.append(Slice(inputs=(t.id,), outputs=(copy.id,), begin=zeros, step=ones))
        return copy.id

    def finish(self, name: str) -> Graph:
        outputs: list[int] = []
        for place, index in enumerate(self.file.outputs):
            outputs.append(self._output(place, index, is_used=index in outputs))
        updates = self._updates()
        graph = Graph(name, self.tensors, tuple(self.ops), self.file.inputs, tuple(outputs), tuple(self.notes), updates)
        return graph.with_()

    def _output(self, place: int, index: int, is_used: bool) -> int:
        """The output's id: a copy for an input, a constant, and a tensor that is an output already."""
        row = self.row(index, f"output {place}")
        if row.data is not None and index not in self.tensors:
            self.constant(index, row)
        if index not in self.tensors:
            raise ModelError(
                f"{self.name}: output {place} is tensor {index} ({row.name!r}), which no operator computes"
            )
        t = self.tensors[index]
        if t.role is Role.ACTIVATION and not is_used:
            return index
        if t.q is not None and t.q.per_channel:
            raise ModelError(f"{self.where(index)}: output {place} has {len(t.q.scale)} scales, expected 1")
        copy = self.activation(self.add(replace(t, role=Role.ACTIVATION, data=None, bits=0)))
        self.ops.append(Reshape(inputs=(index,), outputs=(copy.id,)))
        return copy.id

    def row(self, index: int, what: str) -> TensorRow:
        if not 0 <= index < len(self.file.tensors):
            raise ModelError(f"{self.name}: {what} is tensor {index}, the file has {len(self.file.tensors)}")
        return self.file.tensors[index]

    def where(self, index: int) -> str:
        return f"{self.name}: tensor {index} ({self.file.tensors[index].name!r})"

    def constant(self, index: int, row: TensorRow) -> Tensor:
        """The constant at `index`, finite if float; read and counted once."""
        if index not in self.tensors:
            self.spend(math.prod(row.shape), index)
            self.tensors[index] = self._finite(tensor_reader.constant(index, row, self.where(index)))
        return self.tensors[index]

    def _finite(self, t: Tensor) -> Tensor:
        if t.dtype is DType.FLOAT32 and not np.isfinite(t.data).all():  # type: ignore[arg-type]
            raise ModelError(f"{self.where(t.id)}: a constant with NaN or infinity in it")
        return t

    def spend(self, elements: int, index: int) -> None:
        """Count constants, the last of which is tensor `index`. Raises ModelError beyond the size of a flash."""
        self._constant_elements += elements
        if self._constant_elements > tensor_reader.MAX_CONSTANT_ELEMENTS:
            limit = f"{tensor_reader.MAX_CONSTANT_ELEMENTS:,}"
            raise ModelError(f"{self.where(index)}: with it weights and channels exceed {limit} elements")

    def activation(self, t: Tensor) -> Tensor:
        """Add `t`, which an operator writes, to the graph."""
        self._activation_elements += t.elements
        if self._activation_elements > tensor_reader.MAX_ACTIVATIONS_ELEMENTS:
            limit = f"{tensor_reader.MAX_ACTIVATIONS_ELEMENTS:,}"
            raise ModelError(f"{self.name}: activations of shape {list(t.shape)} and before exceed {limit} elements")
        self.tensors[t.id] = t
        return t

    def become_constant(self, y: Tensor, source: Tensor) -> None:
        """Add a constant, expanded to float32, in place of an operator that would compute `y` from it."""
        self.spend(y.elements, y.id)
        value = self._finite(tensor_reader.dequantised(source, self.where(source.id)))
        self.tensors[y.id] = replace(value, id=y.id, name=y.name)

    def expanded(self, w: Tensor) -> Tensor:
        """A new constant: `w` in float32."""
        self.spend(w.elements, w.id)
        return self.add(self._finite(tensor_reader.dequantised(w, self.where(w.id))))

    def add(self, tensor: Tensor) -> Tensor:
        """A tensor that the file does not contain: `tensor` with a new id."""
        added = replace(tensor, id=self._next_id)
        self.tensors[added.id] = added
        self._next_id += 1
        return added


@dataclass(frozen=True, slots=True)
class Node:
    """One operator. Every access checks the file; errors name the operator."""

    translation: Translation
    index: int
    row: OperatorRow

    def error(self, problem: str) -> ModelError:
        return ModelError(f"{self.translation.name}: operator {self.index} ({self.row.code}) {problem}")

    def unsupported(self, problem: str) -> UnsupportedOpError:
        return UnsupportedOpError(f"{self.translation.name}: operator {self.index} ({self.row.code}) {problem}")

    # --- operands ----------------------------------------------------------------------------------------------------

    def has(self, k: int) -> bool:
        return k < len(self.row.inputs) and self.row.inputs[k] != ABSENT

    def expect(self, inputs: range, outputs: int = 1) -> None:
        """Raises UnsupportedOpError for another number of operands."""
        for what, count, expected in (
            ("inputs", len(self.row.inputs), inputs),
            ("outputs", len(self.row.outputs), range(outputs, outputs + 1)),
        ):
            if count not in expected:
                limits = f"{expected[0]}" if len(expected) == 1 else f"{expected[0]} to {expected[-1]}"
                raise self.error(f"has {count} {what}, expected {limits}")

    def input(self, k: int) -> Tensor:
        """Operand k: a constant, or an activation that already exists."""
        index, row = self._input_row(k)
        if row.data is not None and index not in self.translation.tensors:
            return self.translation.constant(index, row)
        if index not in self.translation.tensors:
            raise self.error(f"reads tensor {index} ({row.name!r}), which nothing before it writes")
        return self.translation.tensors[index]

    def constant(self, k: int, what: str) -> Tensor:
        t = self.input(k)
        if not t.is_constant:
            raise self.unsupported(f"computes its {what} (tensor {t.id}) while it runs, expected a constant")
        return t

    def is_stored(self, k: int) -> bool:
        """Whether operand k is a nonempty constant."""
        return self._input_row(k)[1].data is not None

    def scalar(self, k: int, what: str) -> Tensor:
        """A constant with one element, unchecked: a float one may be infinite or NaN."""
        index, row = self._input_row(k)
        if row.data is None:
            raise self.unsupported(f"computes its {what} (tensor {index}) while it runs, expected a constant")
        if any(n != 1 for n in row.shape):
            raise self.error(f"has a {what} of shape {list(row.shape)} (tensor {index}), expected one element")
        return tensor_reader.constant(index, row, self.translation.where(index))

    def integers(self, k: int, what: str) -> tuple[int, ...]:
        """A constant that configures the operator, flat."""
        index, row = self._input_row(k)
        if row.data is None:
            raise self.unsupported(f"computes its {what} (tensor {index}) while it runs, expected a constant")
        if row.type not in ("INT32", "INT64"):
            raise self.error(f"has {row.type} {what} (tensor {index}), expected INT32")
        shape = row.shape
        if any(n < 0 for n in shape) or math.prod(shape) > _MAX_PARAMETERS:
            raise self.error(f"has {what} of shape {list(shape)} (tensor {index})")
        values = tensor_reader.values(row, shape, self.translation.where(index))
        return tuple(int(v) for v in values.ravel())

    def output(self, k: int = 0) -> Tensor:
        """Result k, new in the graph."""
        index = self.row.outputs[k]
        row = self.translation.row(index, f"output {k} of operator {self.index} ({self.row.code})")
        if row.data is not None or row.is_variable or index in self.translation.tensors:
            raise self.error(f"writes tensor {index} ({row.name!r}), which has a value already")
        t = tensor_reader.tensor(index, row, Role.ACTIVATION, self.translation.where(index))
        if t.q is not None and t.q.per_channel:
            raise self.error(f"writes tensor {index} ({row.name!r}) with {len(t.q.scale)} scales, expected 1")
        return self.translation.activation(t)

    def _input_row(self, k: int) -> tuple[int, TensorRow]:
        index = self.row.inputs[k] if k < len(self.row.inputs) else ABSENT
        return index, self.translation.row(index, f"input {k} of operator {self.index} ({self.row.code})")

    # --- options -----------------------------------------------------------------------------------------------------

    def option(self, name: str) -> Option:
        if name not in self.row.options:
            raise self.error("has no options")
        return self.row.options[name]

    def integer(self, name: str, low: int = -(1 << 31), high: int = (1 << 31) - 1) -> int:
        value = int(self.option(name))  # type: ignore[arg-type]
        if not low <= value <= high:
            raise self.error(f"has {name} {value}, expected {low} to {high}")
        return value

    def real(self, name: str) -> float:
        value = float(self.option(name))  # type: ignore[arg-type]
        if not math.isfinite(value):
            raise self.error(f"has {name} {value}, expected a finite number")
        return value

    def pair(self, along_height: str, along_width: str) -> Pair:
        return self.integer(along_height, 1, MAX_WINDOW), self.integer(along_width, 1, MAX_WINDOW)

    @property
    def activation(self) -> Activation:
        return ACTIVATIONS[self.integer("fused_activation_function", 0, len(ACTIVATIONS) - 1)]

    def padding(self, lengths: Pair, reach: Pair, stride: Pair) -> Padding:
        """The padding of the word SAME or VALID in rows and columns, for windows of this reach over an image of these
        lengths.
        """
        word = self.integer("padding", PADDING_SAME, PADDING_VALID)
        if word == PADDING_VALID:
            return Padding()
        (top, bottom), (left, right) = map(window_geometry.same_padding, lengths, reach, stride)
        return Padding(top=top, bottom=bottom, left=left, right=right)

    # --- results -----------------------------------------------------------------------------------------------------

    def rank(self, t: Tensor, rank: int, what: str) -> Tensor:
        if len(t.shape) != rank:
            raise self.error(f"has {what} of shape {list(t.shape)}, expected {rank} axes")
        return t

    def shaped(self, y: Tensor, shape: Sequence[int]) -> Tensor:
        """`y`; raises ModelError if its shape in the file differs from the shape that the operator computes."""
        if y.shape != tuple(shape):
            raise self.error(f"writes shape {list(shape)}, the file says {list(y.shape)}")
        return y

    def axis(self, axis: int, rank: int) -> int:
        """A non-negative axis of `rank`; negative ones count from the last axis."""
        if not -rank <= axis < rank:
            raise self.error(f"works along axis {axis} of {rank}")
        return axis % rank

    def emit(self, op: Op) -> None:
        if len(self.translation.ops) == MAX_OPERATIONS:
            raise self.error(f"makes the network longer than the {MAX_OPERATIONS:,} operations that mcuquant takes")
        self.translation.ops.append(op)

    def temporary(self, like: Tensor, shape: Shape) -> Tensor:
        """A new activation with the values of `like` in another shape."""
        return self.translation.activation(
            self.translation.add(replace(like, shape=shape, role=Role.ACTIVATION, data=None))
        )

    def new_constant(self, data: Array, dtype: DType, q: QParams | None = None, name: str = "") -> Tensor:
        shaped = np.ascontiguousarray(data, dtype.numpy)
        return self.translation.add(Tensor(0, shaped.shape, dtype, Role.CONSTANT, q=q, data=shaped, name=name))
