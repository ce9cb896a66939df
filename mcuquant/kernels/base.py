"""What a kernel variant is, and the values it hands to the lowering.

A variant says which operations it takes, how much scratch it needs, and the arguments of its call. Its C function
lives in firmware/kernels/ under the same name. C names and arena offsets are not known here: `lower` gives them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ..core import Core
from ..errors import UnsupportedOpError
from ..fixedpoint import Multiplier
from ..ir import Array, DType, Graph, Op, Tensor
from ..ops import Conv2D, DepthwiseConv2D, FullyConnected, Padding, TransposeConv
from .cost import STEP_BYTES, Cycles, Shared, plain

WEIGHTED = (Conv2D, DepthwiseConv2D, TransposeConv, FullyConnected)

Value = int | float | tuple[int, ...] | Mapping[str, "Value"]
"""A field of a parameter struct: an integer, a single-precision number, an array or a nested struct."""


@dataclass(frozen=True, slots=True)
class Site:
    """One operation in its graph, as the kernels see it."""

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
    """Array of parameter structs of C type `ctype`, one per input of an operation that takes any number of them."""

    ctype: str
    rows: tuple[Mapping[str, Value], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Blob:
    """Constant array in flash. `layout` says how `data` is ordered; `role` names it in C (weights, bias, ...)."""

    role: str
    data: Array
    layout: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Record:
    """Address of a struct of C type `ctype` that the call itself makes; its fields are integers and constant arrays."""

    ctype: str
    fields: Mapping[str, int | Blob]


@dataclass(frozen=True, slots=True)
class In:
    """Address of the operation's input `index`: in the arena, or of its constant in flash."""

    index: int = 0


@dataclass(frozen=True, slots=True)
class Ins:
    """Array of the addresses of all inputs."""


@dataclass(frozen=True, slots=True)
class Out:
    """Address of the operation's output `index` in the arena."""

    index: int = 0


@dataclass(frozen=True, slots=True)
class Scratch:
    """Address in the variant's scratch in the arena, as a pointer to `ctype`."""

    ctype: str
    offset_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Number:
    """An integer written into the call."""

    value: int


Arg = Struct | Parts | Blob | Record | In | Ins | Out | Scratch | Number
Args = Callable[[Site], tuple[Arg, ...]]
Takes = Callable[[Site], bool]


def no_scratch(_: Site) -> int:
    return 0


@dataclass(frozen=True, slots=True)
class Exactly:
    """The input may begin this many bytes after the output, but nowhere else where they share bytes."""

    nbytes: int


Leads = Callable[[Site], tuple[int | Exactly | None, ...]]


def apart(_: Site) -> tuple[int | Exactly | None, ...]:
    """The output may not run into any input."""
    return ()


@dataclass(frozen=True, slots=True)
class Pooling:
    """What a call that computes a convolution by strips is followed by: `kernel` pools each strip.

    A strip gives `rows` rows of the pooling's output, the last maybe fewer. `stride_h` is the convolution's.
    """

    kernel: Variant
    args: tuple[Arg, ...]
    rows: int
    stride_h: int


@dataclass(frozen=True, slots=True)
class Variant:
    """One way to compute an operation. `name` is the C function without `mq_`, `header` the file it is in."""

    name: str
    header: str
    op: type[Op] | tuple[type[Op], ...]
    takes: Takes
    args: Args
    scratch_bytes: Callable[[Site], int] = field(default=no_scratch)
    leads: Leads = field(default=apart)
    """How far the output may run into each input, see `overlap`: () or None keeps them apart."""
    cycles: Cycles = field(default=plain)
    """Modelled cycles of one call on the site's core, see `cost`."""
    step_bytes: int = field(default=STEP_BYTES)
    """Code of one step without what it calls."""
    shared_bytes: int = field(default=STEP_BYTES)
    """Code of the kernel where several steps share it."""
    slower_shared: float = field(default=1)
    """Times the cycles where steps share the kernel and its parameters are in variables."""
    shared: tuple[Shared, ...] = field(default=())
    """C functions that it calls and that are in flash once for all layers."""
    note: str = field(default="")
    """What tells it from another variant of the same C function, for a person: "4 bands"."""
    unpacks: bool = False
    """The kernel knows weights with a codebook, zero points and multipliers."""
    by_rows: bool = False
    """Told another `out_h` and `pad_top`, which may be negative, the kernel computes these rows of its output."""
    pooling: Callable[[Site], Pooling] | None = None
    """The call is one of several, of a strip of rows each, and this is what follows each; see `strips`."""

    def applies(self, site: Site) -> bool:
        known = self.unpacks or not (has_steps(site) or has_palette(site))
        return known and isinstance(site.op, self.op) and self.takes(site)


def has_palette(site: Site) -> bool:
    return isinstance(site.op, WEIGHTED) and site.ins[1].palette is not None


def has_steps(site: Site) -> bool:
    """Whether the operation's weights mean something else than their stored values."""
    if not isinstance(site.op, WEIGHTED):
        return False
    q = site.ins[1].q
    return q is not None and bool(q.zero_point or q.zero_points or q.multipliers)


def activations_are(dtype: DType) -> Takes:
    """Condition: the first input and the output are of this type."""
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
    """A factor as structs name it: m and shift after `prefix`."""
    return {f"{prefix}m": m.m, f"{prefix}shift": m.shift}


def named(site: Site) -> str:
    """The operation as messages call it: its kind, and its output's name."""
    return f"{site.op.kind} of {site.out.name!r}" if site.out.name else f"{site.op.kind} of tensor {site.out.id}"


def check_sums(site: Site, lowest: int, highest: int, bits: int) -> None:
    """UnsupportedOpError where a sum in lowest..highest could exceed what the kernel holds in `bits` bits."""
    limit = (1 << (bits - 1)) - 1
    worst = max(-lowest, highest)
    if worst > limit:
        raise UnsupportedOpError(
            f"{named(site)}: its sums can reach {worst:,}, expected at most {limit:,}; "
            "make the layer smaller, or quantize it with larger scales"
        )


def span(tensor: Tensor, zero_point: int) -> tuple[int, int]:
    """Lowest (<= 0) and highest (>= 0) of stored values less a zero point inside their range."""
    low, high = tensor.dtype.range(tensor.bits)
    return low - zero_point, high - zero_point
