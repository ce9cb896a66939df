"""The program: calls in order, with every C name, array and offset decided. Templates print this and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..ir import Array


@dataclass(frozen=True, slots=True)
class CTensor:
    """A row of a descriptor table: a tensor in the arena or among the states.

    `type` is of mq_type_t; scale is a C float literal.
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
    """`offset` is that in the states, not in the arena."""


@dataclass(frozen=True, slots=True)
class CCoded:
    """An array's bytes as mq_huffman reads them, `nbytes` in flash. `rows` are its lines of text."""

    name: str
    nbytes: int
    rows: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class CArray:
    """A constant array in flash. `rows` are its lines of text; `comment` says what it holds and in which order.

    Where it is `coded`, that is in flash, and the array in RAM.
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
    """The array of structs of a call with any number of inputs, one initialiser each."""

    c_type: str
    rows: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CStrips:
    """Makes a call one of several, of a strip of rows each, and says what follows each of them.

    `function` pools strips; it gives `pooled_h` rows, `rows` at a time. `stride_h` is that of the call before it.
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
    """The C function that the step calls: a kernel, or one of `Program.shared`."""
    kernel: str
    header: str
    struct: CStruct | None
    parts: CParts | None
    arguments: tuple[str, ...]
    parameters: tuple[str, ...]
    """C types of the arguments."""
    outputs: tuple[CTensor, ...]
    tensor_ids: tuple[int, ...]
    """Graph tensors that `outputs` describes, for layer-by-layer comparison."""
    strips: CStrips | None = None


@dataclass(frozen=True, slots=True)
class SharedKernel:
    """A kernel that is in flash once for all steps which call it, its parameters in variables.

    `parameters` are the C types of its arguments in their order; `struct` is the place among them of its parameter
    struct, `constants` the fields of that which have one value in all steps: the compiler may rely on them.
    """

    name: str
    function: str
    parameters: tuple[str, ...]
    struct: int | None
    constants: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, eq=False)
class CState:
    """What is kept between inferences: `nbytes` of RAM beside the arena, and how they begin and change."""

    nbytes: int
    fills: tuple[tuple[int, int, int], ...] = ()
    """(offset, value of all bytes, how many) before the first inference."""
    copies: tuple[tuple[int, str, int], ...] = ()
    """(offset, array, bytes) likewise."""
    moves: tuple[tuple[int, str, int], ...] = ()
    """(offset, C expression of the source, bytes) at the end of an inference."""


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
    """Made to take little flash: kernels are shared, not specialised for every step, and steps have no names in C."""
    shared: tuple[SharedKernel, ...] = ()
    state: CState | None = None

    @property
    def headers(self) -> tuple[str, ...]:
        """Kernel headers in use, sorted."""
        unpacks = ("mq_huffman.h",) if self.coded else ()
        strips = (header for call in self.calls if call.strips for header in (call.strips.header, "mq_strips.h"))
        state = ("mq_state.h",) if self.state else ()
        return tuple(sorted({*(call.header for call in self.calls), *strips, *unpacks, *state}))

    @property
    def coded(self) -> tuple[CArray, ...]:
        """Arrays that are unpacked before the first inference."""
        return tuple(a for a in self.arrays if a.coded is not None)

    @property
    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """Of all tensors in descriptors, by the names of their arrays."""
        steps = (tensor for call in self.calls for tensor in call.outputs)
        return {t.shape_name: t.shape or (1,) for t in (*self.inputs, *self.outputs, *steps)}

    @property
    def constant_bytes(self) -> int:
        """Weights, biases, multipliers and tables in flash."""
        return sum(a.stored_bytes for a in self.arrays)

    @property
    def state_bytes(self) -> int:
        """RAM of what is kept between inferences."""
        return self.state.nbytes if self.state else 0

    @property
    def unpacked_bytes(self) -> int:
        """RAM of the arrays that are unpacked, each from a word's beginning on."""
        return sum(-(-a.nbytes // 4) * 4 for a in self.coded)
