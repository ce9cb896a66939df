"""The program: calls in order, with every C name, array and offset. Templates print it and decide nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..ir import Array


@dataclass(frozen=True, slots=True)
class CTensor:
    """A row of a descriptor table: a tensor in the arena or in the states.

    `type` is a value of mq_type_t; scale is a C float literal.
    """

    name: str
    c_type: str
    type: str
    offset: int
    nbytes: int
    shape: tuple[int, ...]
    shape_name: str
    scale: str
    zero_point: int
    is_state: bool = False
    """`offset` is relative to the states, not to the arena."""


@dataclass(frozen=True, slots=True)
class CCoded:
    """An array in the format of mq_huffman, with `nbytes` in flash. `rows` are its lines of text."""

    name: str
    nbytes: int
    rows: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class CArray:
    """A constant array in flash. `rows` are its lines of text; `comment` describes its contents and their order.

    With `coded`, the code is in flash and the array in RAM.
    """

    name: str
    c_type: str
    count: int
    data: Array
    comment: str
    rows: tuple[str, ...]
    coded: CCoded | None = None

    @property
    def nbytes(self) -> int:
        return int(self.data.nbytes)

    @property
    def stored_bytes(self) -> int:
        return self.nbytes if self.coded is None else self.coded.nbytes


@dataclass(frozen=True, slots=True)
class CStruct:
    """The parameter struct of one call, as lines `.field = value`."""

    c_type: str
    fields: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class CParts:
    """The array of structs of a call with any number of inputs, one initializer per input."""

    c_type: str
    rows: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CStrips:
    """The division of a call into strips of rows, with the function that follows each strip.

    `function` pools strips and gives `pooled_h` rows, `rows` per call. `stride_h` is the stride of the call before it.
    """

    pooled_h: int
    rows: int
    stride_h: int
    function: str
    header: str
    struct: CStruct
    arguments: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Call:
    """One step. `function` is the kernel, `arguments` C expressions in its order; `title` is the comment above it."""

    index: int
    title: str
    name: str
    op: str
    macs: int
    function: str
    """The C function that the step calls: a kernel, or an entry of `Program.shared`."""
    kernel: str
    header: str
    struct: CStruct | None
    parts: CParts | None
    arguments: tuple[str, ...]
    parameters: tuple[str, ...]
    """C types of the arguments."""
    outputs: tuple[CTensor, ...]
    tensor_ids: tuple[int, ...]
    """Graph tensors that `outputs` describes, for comparison by layer."""
    strips: CStrips | None = None


@dataclass(frozen=True, slots=True)
class SharedKernel:
    """A kernel that is in flash once for all steps that call it, with its parameters in variables.

    `parameters` are the C types of its arguments in order. `struct` is the index of the parameter struct among them,
    and `constants` are the fields of it with one value in all steps, which the compiler may rely on.
    """

    name: str
    function: str
    parameters: tuple[str, ...]
    struct: int | None
    constants: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, eq=False)
class CState:
    """The states between inferences: `nbytes` of RAM outside the arena, with their initial values and updates."""

    nbytes: int
    fills: tuple[tuple[int, int, int], ...] = ()
    """(offset, value of all bytes, number of bytes) before the first inference."""
    copies: tuple[tuple[int, str, int], ...] = ()
    """(offset, array, bytes) before the first inference."""
    moves: tuple[tuple[int, str, int], ...] = ()
    """(offset, C expression of the source, bytes) at the end of an inference."""


@dataclass(frozen=True, slots=True)
class CSweepPart:
    """A part of a sweep. It takes place if row (sweep - `first`) / `every` of a tensor with `rows` rows is whole.

    The statements `inside` are for rows of the image, `below` for rows below it, `always` for both.
    """

    title: str
    first: int
    every: int
    rows: int
    inside: tuple[str, ...] = ()
    below: tuple[str, ...] = ()
    always: tuple[str, ...] = ()

    @property
    def branches(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """Conditions in C on the number of the row, and their statements."""
        both = ((f"row < {self.rows}", self.inside), (f"row >= {self.rows}", self.below))
        return tuple((condition, statements) for condition, statements in both if statements)

    @property
    def due(self) -> str:
        """The condition in C; empty: in every sweep."""
        age = f"sweep - {self.first}" if self.first else "sweep"
        begun = f"sweep >= {self.first}" if self.first > 0 else ""
        phase = f"({age}) % {self.every} == 0" if self.every > 1 else ""
        return " && ".join(filter(None, (begun, phase)))

    @property
    def row(self) -> str:
        """The number of the row in C."""
        age = f"sweep - {self.first}" if self.first else "sweep"
        return f"({age}) / {self.every}" if self.every > 1 else age


@dataclass(frozen=True, slots=True)
class CFeed:
    """The sweeps of a network that is fed row by row, which follow each other `sweeps` times for an image."""

    rows: int
    """Rows of an image."""
    row_bytes: int
    row_elements: int
    row: str
    """C expression of the place of a row of the image."""
    sweeps: int
    fills: tuple[tuple[int, int, int], ...]
    """(offset, value of all bytes, number of bytes) before an image."""
    parts: tuple[CSweepPart, ...]
    first_rest: int
    """The first step after the last sweep."""


@dataclass(frozen=True, slots=True)
class Program:
    """`prefix` begins every external name: mq_model, mq_kws."""

    title: str
    prefix: str
    arrays: tuple[CArray, ...]
    calls: tuple[Call, ...]
    inputs: tuple[CTensor, ...]
    outputs: tuple[CTensor, ...]
    arena_bytes: int
    arena_alignment: int
    macs: int
    is_small: bool = False
    """Compiled for little flash: kernels are shared, not specialized for every step, and steps have no names in C."""
    shared: tuple[SharedKernel, ...] = ()
    state: CState | None = None
    feed: CFeed | None = None

    @property
    def headers(self) -> tuple[str, ...]:
        """Headers of the used kernels, sorted."""
        unpacks = ("mq_huffman.h",) if self.coded else ()
        strips = (header for call in self.calls if call.strips for header in (call.strips.header, "mq_strips.h"))
        state = ("mq_state.h",) if self.state or self.feed else ()
        return tuple(sorted({*(call.header for call in self.calls), *strips, *unpacks, *state}))

    @property
    def coded(self) -> tuple[CArray, ...]:
        """Arrays that are unpacked before the first inference."""
        return tuple(a for a in self.arrays if a.coded is not None)

    @property
    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """Bytes of all tensors in descriptors, by the names of their arrays."""
        calls = () if self.feed else self.calls
        steps = (tensor for call in calls for tensor in call.outputs)
        return {t.shape_name: t.shape or (1,) for t in (*self.inputs, *self.outputs, *steps)}

    @property
    def constant_bytes(self) -> int:
        """Bytes of weights, biases, multipliers and tables in flash."""
        return sum(a.stored_bytes for a in self.arrays)

    @property
    def state_bytes(self) -> int:
        """Bytes of RAM of the states between inferences."""
        return self.state.nbytes if self.state else 0

    @property
    def unpacked_bytes(self) -> int:
        """Bytes of RAM of the unpacked arrays, each aligned to a word."""
        return sum(-(-a.nbytes // 4) * 4 for a in self.coded)
