"""The interface of a kernel variant, and the values that it passes to the lowering.

A variant defines its operations, its scratch, and the arguments of its call. Its C function is in firmware/kernels/
under the same name. It knows no C names and arena offsets, which `lower` assigns.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from ..arithmetic.fixedpoint import Multiplier
from ..boards.core import Core
from ..errors import UnsupportedOpError
from ..ir import Array, DType, Graph, Op, Tensor
from ..ir.metrics import macs
from ..ir.ops import Add, Conv2D, DepthwiseConv2D, FullyConnected, Padding, Pool, Reduce, Softmax, Sub, TransposeConv

WEIGHTED = (Conv2D, DepthwiseConv2D, TransposeConv, FullyConnected)

Value = int | float | tuple["Value", ...] | Mapping[str, "Value"]
"""A field of a parameter struct: an integer, a single-precision number, an array or a nested struct."""


@dataclass(frozen=True, slots=True)
class Site:
    """One operation in its graph, for kernels."""

    graph: Graph
    op: Op
    core: Core

    @property
    def ins(self) -> tuple[Tensor, ...]:
        return self.graph.ins(self.op)

    @property
    def out(self) -> Tensor:
        return self.graph.out(self.op)


@dataclass(frozen=True, slots=True)
class Struct:
    """Parameter struct of C type `ctype`, constant at compile time."""

    ctype: str
    fields: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Parts:
    """Array of parameter structs of C type `ctype`, one per input of an operation with any number of inputs."""

    ctype: str
    rows: tuple[Mapping[str, Value], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Blob:
    """Constant array in flash. `layout` describes the order of `data`; `role` names it in C (weights, bias, ...)."""

    role: str
    data: Array
    layout: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Record:
    """Address of a struct of C type `ctype` that the call itself defines; its fields are integers
    and constant arrays.
    """

    ctype: str
    fields: Mapping[str, int | Blob]


@dataclass(frozen=True, slots=True)
class In:
    """Address of the operation's input `index`: in the arena, or of its constant in flash."""

    index: int = 0


@dataclass(frozen=True, slots=True)
class Ins:
    """Array of the addresses of all inputs from `first` on."""

    first: int = 0


@dataclass(frozen=True, slots=True)
class Out:
    """Address of the operation's output `index` in the arena, or of a byte in it."""

    index: int = 0
    offset_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Scratch:
    """Address in the variant's scratch in the arena, as a pointer to `ctype`."""

    ctype: str
    offset_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Number:
    """An integer in the call."""

    value: int


Arg = Struct | Parts | Blob | Record | In | Ins | Out | Scratch | Number
Args = Callable[[Site], tuple[Arg, ...]]
Takes = Callable[[Site], bool]


def always(_: Site) -> bool:
    return True


def no_scratch(_: Site) -> int:
    return 0


@dataclass(frozen=True, slots=True)
class Exactly:
    """The input may begin this many bytes after the output, but at no other distance if they share bytes."""

    nbytes: int


OverlapOffsets = Callable[[Site], tuple[int | Exactly | None, ...]]


def no_overlap(_: Site) -> tuple[int | Exactly | None, ...]:
    """The output may not overlap any input."""
    return ()


Cycles = Callable[[Site], int]
"""Modelled cycles of one call on the site's core."""

CALL = 60
"""Cycles of a step without work: call, constants, return."""
_PLAIN_MAC, _PLAIN_OUTPUT = 8, 45
"""Cycles of plain C with weights: of a loop iteration with two loads, an offset and a multiplication; of a
requantization in C.
"""
_PLAIN_ELEMENT = 30
"""Cycles of plain C without weights per element read or written: loop, load, rescaling, clamp, store."""
_SOFTMAX_ELEMENT = 170
_POOL_TAP = 8
_SUM_ELEMENT = 40

STEP_BYTES = 400
"""Code bytes of one step of plain C, whose kernel GCC specializes for the layer."""


@dataclass(frozen=True, slots=True)
class Shared:
    """A C function that is in flash once, however many layers call it. `nbytes`: GCC 12, -O2, Cortex-M4."""

    name: str
    nbytes: int
    alone_bytes: int | None = None
    """Bytes with one caller, for which GCC specializes it; None: the same."""

    def size(self, callers: int) -> int:
        if callers == 1 and self.alone_bytes is not None:
            return self.alone_bytes
        return self.nbytes if callers else 0


@dataclass(frozen=True, slots=True)
class Cost:
    """Cost of one operation by one variant. `code_bytes` is the step's own code, without shared code."""

    cycles: int
    constant_bytes: int
    code_bytes: int
    scratch_bytes: int


def plain(site: Site) -> int:
    """Cycles of plain C: the default of a variant."""
    y, work = site.out.elements, macs(site.graph, site.op)
    if work:
        return CALL + _PLAIN_MAC * work + _PLAIN_OUTPUT * y
    x = sum(t.elements for t in site.ins if not t.is_constant)
    match site.op:
        case Add() | Sub():
            return CALL + _SUM_ELEMENT * y
        case Softmax():
            return CALL + _SOFTMAX_ELEMENT * y
        case Pool() as op:
            return CALL + (_POOL_TAP * op.window[0] * op.window[1] + _PLAIN_ELEMENT) * y
        case Reduce():
            return CALL + _POOL_TAP * x + _PLAIN_ELEMENT * y
        case _:
            return CALL + _PLAIN_ELEMENT * max(x, y)


def per_element(read: float, written: float) -> Cycles:
    """Cycles for each element of the largest input, and of the output."""

    def cycles(site: Site) -> int:
        x = max(t.elements for t in site.ins)
        return CALL + round(read * x + written * site.out.elements)

    return cycles


@dataclass(frozen=True, slots=True)
class Pooling:
    """The function after each strip of a convolution: `kernel` pools the strip.

    A strip gives `rows` rows of the pooling's output; the last one may give fewer. `stride_h` is the convolution's.
    """

    kernel: Variant
    args: tuple[Arg, ...]
    rows: int
    stride_h: int


@dataclass(frozen=True, slots=True)
class Variant:
    """One way to compute an operation. `name` is the C function without `mq_`, `header` its file."""

    name: str
    header: str
    op: type[Op] | tuple[type[Op], ...]
    takes: Takes
    args: Args
    scratch_bytes: Callable[[Site], int] = field(default=no_scratch)
    overlap_offsets: OverlapOffsets = field(default=no_overlap)
    """The permitted overlap of output and each input, see `overlap`: () or None excludes overlap."""
    cycles: Cycles = field(default=plain)
    """Modelled cycles of one call on the site's core, see `cost`."""
    step_bytes: int = field(default=STEP_BYTES)
    """Code bytes of one step without called functions."""
    shared_bytes: int = field(default=STEP_BYTES)
    """Code bytes of the kernel if several steps share it."""
    slower_shared: float = field(default=1)
    """Factor of the cycles if steps share the kernel and its parameters are in variables."""
    shared: tuple[Shared, ...] = field(default=())
    """C functions that it calls and that are in flash once for all layers."""
    note: str = field(default="")
    """A note that distinguishes it from another variant of the same C function: "4 bands"."""
    unpacks: bool = False
    """Whether the kernel supports weights with a codebook, zero points and multipliers."""
    by_rows: bool = False
    """Whether the kernel computes a range of rows of its output if `out_h` and `pad_top` (possibly negative) are
    changed.
    """
    pooling: Callable[[Site], Pooling] | None = None
    """The function after each of several calls, one per strip of rows; see `strips`."""

    def applies(self, site: Site) -> bool:
        known = self.unpacks or not (has_integer_values(site) or has_palette(site))
        return known and isinstance(site.op, self.op) and self.takes(site)


def cost(variant: Variant, site: Site) -> Cost:
    """The arguments of the call. Packs the weights, which is the main cost of lowering."""
    constant_bytes = sum(map(_arg_bytes, variant.args(site)))
    return Cost(variant.cycles(site), constant_bytes, variant.step_bytes, variant.scratch_bytes(site))


def _arg_bytes(arg: object) -> int:
    """Bytes of constants in flash."""
    match arg:
        case Blob():
            return int(arg.data.nbytes)
        case Record():
            return sum(map(_arg_bytes, arg.fields.values()))
        case _:
            return 0


def has_palette(site: Site) -> bool:
    return isinstance(site.op, WEIGHTED) and site.ins[1].palette is not None


def has_integer_values(site: Site) -> bool:
    """Whether the weights have another meaning than their stored values."""
    if not isinstance(site.op, WEIGHTED):
        return False
    q = site.ins[1].q
    return q is not None and bool(q.zero_point or q.zero_points or q.multipliers)


def activations_are(dtype: DType) -> Takes:
    """Condition: the first input and the output have this type."""
    return lambda site: site.ins[0].dtype is dtype and site.out.dtype is dtype


def image(tensor: Tensor) -> tuple[int, int, int, int]:
    """(batch, height, width, channels) of a rank-4 tensor."""
    batch, height, width, channels = tensor.shape
    return batch, height, width, channels


def image_fields(x: Tensor, y: Tensor) -> dict[str, Value]:
    """Batch and image sizes as every windowed kernel's struct names them."""
    (batch, in_h, in_w, _), (_, out_h, out_w, _) = image(x), image(y)
    return {"batch": batch, "in_h": in_h, "in_w": in_w, "out_h": out_h, "out_w": out_w}


def stride_fields(stride: tuple[int, int], padding: Padding) -> dict[str, Value]:
    return {"stride_h": stride[0], "stride_w": stride[1], "pad_top": padding.top, "pad_left": padding.left}


def multiplier_fields(m: Multiplier, prefix: str = "") -> dict[str, Value]:
    """A factor as struct fields: m and shift after `prefix`."""
    return {f"{prefix}m": m.m, f"{prefix}shift": m.shift}


def parameter_fields(parameters: Any) -> dict[str, Value]:
    """Integers and factors of a parameter dataclass as struct fields of the same names."""
    result: dict[str, Value] = {}
    for name in (f.name for f in fields(parameters)):
        value = getattr(parameters, name)
        prefix = name.removesuffix("multiplier").removesuffix("_")
        factor = isinstance(value, Multiplier)
        result |= multiplier_fields(value, prefix and f"{prefix}_") if factor else {name: value}
    return result


def named(site: Site) -> str:
    """The operation in messages: its kind, and its output's name."""
    return f"{site.op.kind} of {site.out.name!r}" if site.out.name else f"{site.op.kind} of tensor {site.out.id}"


def check_sums(site: Site, lowest: int, highest: int, bits: int) -> None:
    """Raises UnsupportedOpError if a sum in lowest..highest could exceed `bits` bits in the kernel."""
    limit = (1 << (bits - 1)) - 1
    worst = max(-lowest, highest)
    if worst > limit:
        raise UnsupportedOpError(
            f"{named(site)}: its sums can reach {worst:,}, expected at most {limit:,}; "
            "make the layer smaller, or quantize it with larger scales"
        )


def span(tensor: Tensor, zero_point: int) -> tuple[int, int]:
    """Smallest (<= 0) and largest (>= 0) of stored values minus a zero point inside their range."""
    low, high = tensor.dtype.range(tensor.bits)
    return low - zero_point, high - zero_point
