"""The graph: a straight line of typed operations over a table of tensors.

Grammar (one page; `str(graph)` prints it, golden tests and bug reports quote it):

    graph   ::= name tensors ops inputs outputs updates
    tensor  ::= id shape dtype bits role [qparams] [palette] [data] name
    op      ::= kind attributes inputs -> outputs
    update  ::= state <- tensor

All activations are NHWC or of lower rank, batch first. A 1-D signal of length L and C channels is (1, 1, L, C): its
convolution windows are then contiguous in memory. Everything is frozen; a pass builds a new graph.

Levels (`verify`):
    FLOAT       every activation is float32; `BatchNorm` is allowed.
    QUANTISED   every activation is an integer with a scale and a zero point; no `BatchNorm`. Those of front ends
                (`signal_ops`) need no scale.
    LOWERABLE   QUANTISED, and every operation has a form the C kernels take.
"""

from __future__ import annotations

import enum
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import compress
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import GraphError
from .ops import Op, Padding
from .palette import Palette

Array = npt.NDArray[Any]
Shape = tuple[int, ...]


class DType(enum.StrEnum):
    """Element type of a tensor as stored."""

    FLOAT32 = "float32"
    BOOL = "bool"
    INT8 = "int8"
    INT16 = "int16"
    INT32 = "int32"
    INT64 = "int64"
    UINT32 = "uint32"
    UINT64 = "uint64"

    @property
    def numpy(self) -> np.dtype[Any]:
        return np.dtype(self.value)

    @property
    def bits(self) -> int:
        return self.numpy.itemsize * 8

    @property
    def is_integer(self) -> bool:
        return self is not DType.FLOAT32

    @property
    def is_unsigned(self) -> bool:
        return self in (DType.UINT32, DType.UINT64)

    def range(self, bits: int | None = None) -> tuple[int, int]:
        """(lowest, highest) value of an integer of `bits` bits (default: the type's width); (0, 1) of bool."""
        if self is DType.BOOL:
            return 0, 1
        if self.is_unsigned:
            return 0, (1 << (bits or self.bits)) - 1
        half = 1 << ((bits or self.bits) - 1)
        return -half, half - 1


class Role(enum.StrEnum):
    INPUT = "input"
    CONSTANT = "constant"
    ACTIVATION = "activation"
    STATE = "state"
    """A value that persists between inferences; `data` is its initial value. `Graph.updates` defines its next value."""


class Level(enum.IntEnum):
    FLOAT = 0
    QUANTISED = 1
    LOWERABLE = 2


@dataclass(frozen=True, slots=True)
class QParams:
    """real = scale * (stored - zero_point); TFLite's quantization specification, section "Quantized tensors".

    `scale` has one entry, or one for each index along `axis` (weights and biases; zero_point is then 0). Each is a
    positive float32 value held as a Python float, so that the graph and a .tflite file of it mean the same integers.

    Weights alone may have more, one for each index along `axis` (their output channels):
    `zero_points`, instead of `zero_point`, with one scale or as many (asymmetric by channel); and
    `multipliers`, 1 to 255, with one scale: real = scale * multiplier * (stored - zero point), two levels ("double
    linear"). The sums of channel c are then bias[c] + multipliers[c] * sum((x - x zero) * (stored - zero point)), in
    units of x scale * scale, which are the bias's too, and all channels are rescaled by one factor.
    """

    scale: tuple[float, ...]
    zero_point: int = 0
    axis: int | None = None
    zero_points: tuple[int, ...] = ()
    multipliers: tuple[int, ...] = ()

    @classmethod
    def of(
        cls,
        scale: float | Iterable[float] | Array,
        zero_point: int = 0,
        axis: int | None = None,
        zero_points: Iterable[int] = (),
        multipliers: Iterable[int] = (),
    ) -> QParams:
        """Round the scale(s) to float32 and construct. `axis` is required if anything has more than one entry."""
        values = np.atleast_1d(np.asarray(scale if np.isscalar(scale) else list(scale), dtype=np.float32))  # type: ignore[arg-type]
        by_channel = (tuple(int(v) for v in integers) for integers in (zero_points, multipliers))
        return cls(tuple(float(v) for v in values), int(zero_point), axis, *by_channel)

    @property
    def per_channel(self) -> bool:
        return self.axis is not None

    def masked(self, mask: Array, axis: int) -> QParams:
        """The parameters of the tensor at the indices along `axis` that `mask` selects."""
        if self.axis != axis:
            return self
        scale = tuple(compress(self.scale, mask)) if len(self.scale) > 1 else self.scale
        zeros, multipliers = (tuple(compress(v, mask)) for v in (self.zero_points, self.multipliers))
        return QParams(scale, self.zero_point, axis, zeros, multipliers)


@dataclass(frozen=True, slots=True, eq=False)
class Tensor:
    """One row of the tensor table.

    `data` is the value of a constant: stored integers where the tensor is quantised (weights of 2 and 4 bits too, one a
    byte, `bits` = 2 or 4), never packed. `palette` says that weights are stored in flash as a codebook and indices:
    `data` is then `palette.values()`. `name` is cosmetic: nothing depends on it and it may be any text.
    """

    id: int
    shape: Shape
    dtype: DType
    role: Role
    bits: int = 0
    q: QParams | None = None
    data: Array | None = None
    name: str = ""
    palette: Palette | None = None

    def __post_init__(self) -> None:
        if not self.bits:
            object.__setattr__(self, "bits", self.dtype.bits)
        if self.data is not None:
            self.data.setflags(write=False)

    @property
    def elements(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def nbytes(self) -> int:
        """Bytes in memory as an activation, unpacked."""
        return self.elements * self.dtype.bits // 8

    @property
    def is_constant(self) -> bool:
        return self.role is Role.CONSTANT

    @property
    def is_plain(self) -> bool:
        """Whether it holds truth values or whole numbers, which no scale makes real numbers of."""
        return self.q is None and (self.dtype in (DType.BOOL, DType.INT32, DType.INT64) or self.dtype.is_unsigned)

    @property
    def scale(self) -> float:
        """The one scale of a per-tensor quantised tensor."""
        if self.q is None or len(self.q.scale) != 1:
            raise GraphError(f"tensor {self.id} ({self.name!r}) has no single scale: {self.q}")
        return self.q.scale[0]

    @property
    def zero_point(self) -> int:
        return 0 if self.q is None else self.q.zero_point

    @property
    def qparams(self) -> QParams:
        """`q`; raises GraphError if the tensor has none."""
        if self.q is None:
            raise GraphError(f"tensor {self.id} ({self.name!r}) is {self.dtype} without a scale, expected a scale")
        return self.q

    @property
    def value(self) -> Array:
        """`data`; raises GraphError if the tensor has none."""
        if self.data is None:
            raise GraphError(f"tensor {self.id} ({self.name!r}) is {self.role}, expected a constant")
        return self.data

    @property
    def integer_values(self) -> Array:
        """multiplier * (data - zero point) of a constant's elements, as int32: real = scale * integer_values."""
        values = self.value.astype(np.int32) - self.zero_point
        if self.q is None or self.q.axis is None:
            return np.asarray(values)
        along = [-1 if i == self.q.axis else 1 for i in range(len(self.shape))]
        if self.q.zero_points:
            values = values - np.array(self.q.zero_points, np.int32).reshape(along)
        return np.asarray(
            values * np.array(self.q.multipliers or (1,), np.int32).reshape(along if self.q.multipliers else [1])
        )


@dataclass(frozen=True, slots=True)
class Update:
    """At the end of an inference, state `state` gets the value of tensor `value`."""

    state: int
    value: int


@dataclass(frozen=True, slots=True, eq=False)
class Graph:
    """A network for one sample (batch 1). `ops` are in execution order.

    Operations read the value of a state before the inference. All updates happen together at its end.
    """

    name: str
    tensors: Mapping[int, Tensor]
    ops: tuple[Op, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    notes: tuple[str, ...] = field(default=())
    """Messages of passes for the user, in the order of events."""
    updates: tuple[Update, ...] = field(default=())
    """One update per state."""
    channels_first: bool | None = None
    """Order of axes of the model's own images; None if unknown."""
    spreads: Mapping[int, Array] = field(default_factory=dict)
    """Standard deviation of each channel in training, by batch normalization: of inputs, and of tensors before their
    clamp. Calibration data are compared with it; no arithmetic depends on it."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "tensors", MappingProxyType(dict(self.tensors)))

    def __str__(self) -> str:
        """Stable text: one line a tensor, one line an operation; constants by shape, range and checksum."""
        head = [f"graph {self.name!r}: inputs {list(self.inputs)}, outputs {list(self.outputs)}"]
        tensors = [_tensor_text(self.tensors[i]) for i in sorted(self.tensors)]
        updates = [f"  %{u.state} = update %{u.value}" for u in self.updates]
        return "\n".join([*head, *tensors, *(_op_text(op) for op in self.ops), *updates]) + "\n"

    def __getitem__(self, tensor_id: int) -> Tensor:
        return self.tensors[tensor_id]

    def ins(self, op: Op) -> tuple[Tensor, ...]:
        return tuple(self.tensors[i] for i in op.inputs)

    def out(self, op: Op) -> Tensor:
        return self.tensors[op.outputs[0]]

    def activations(self, op: Op) -> Iterator[Tensor]:
        """The inputs of `op` that are not constants."""
        return (t for t in self.ins(op) if not t.is_constant)

    def producer(self, tensor_id: int) -> Op | None:
        return next((op for op in self.ops if tensor_id in op.outputs), None)

    def consumers(self, tensor_id: int) -> tuple[Op, ...]:
        return tuple(op for op in self.ops if tensor_id in op.inputs)

    @property
    def ends(self) -> tuple[int, ...]:
        """The tensors that an inference computes: the outputs, and the next values of states."""
        return (*self.outputs, *(u.value for u in self.updates))

    @property
    def states(self) -> tuple[Tensor, ...]:
        return tuple(self.tensors[u.state] for u in self.updates)

    @property
    def is_float(self) -> bool:
        """Whether it computes with real numbers. It may also contain truth values and whole numbers."""
        computed = [self.tensors[i] for op in self.ops for i in op.outputs]
        real = any(t.dtype is DType.FLOAT32 for t in self.tensors.values() if not t.is_constant)
        return real and all(t.dtype is DType.FLOAT32 or t.is_plain for t in computed)

    def with_(self, **changes: Any) -> Graph:
        """A copy with fields replaced, unused tensors dropped (inputs stay)."""
        graph = replace(self, **changes)
        used = {i for op in graph.ops for i in (*op.inputs, *op.inner, *op.outputs)} | {*graph.inputs, *graph.ends}
        used |= {u.state for u in graph.updates}
        return replace(graph, tensors={i: t for i, t in graph.tensors.items() if i in used})


def _tensor_text(t: Tensor) -> str:
    shape = "x".join(map(str, t.shape)) or "scalar"
    bits = "" if t.bits == t.dtype.bits else f":{t.bits}"
    shared = f" {t.palette}" if t.palette is not None else ""
    return f"  %{t.id} {t.role} {t.dtype}{bits} [{shape}]{_qparams_text(t.q)}{shared}{_data_text(t.data)} {t.name!r}"


def _qparams_text(q: QParams | None) -> str:
    if q is None:
        return ""
    scales = f"{q.scale[0]:.9g}" if len(q.scale) == 1 else f"{min(q.scale):.9g}..{max(q.scale):.9g} along {q.axis}"
    zero = f"{min(q.zero_points)}..{max(q.zero_points)}" if q.zero_points else f"{q.zero_point}"
    times = f" multipliers {min(q.multipliers)}..{max(q.multipliers)}" if q.multipliers else ""
    return f" scale {scales} zero {zero}{times}"


def _data_text(data: Array | None) -> str:
    if data is None:
        return ""
    span = f"{data.min():.6g}..{data.max():.6g} " if data.size else ""
    return f" {span}crc {zlib.crc32(np.ascontiguousarray(data).tobytes()):08x}"


def _op_text(op: Op) -> str:
    stated = {k: v for k, v in op.attributes().items() if v is not False}
    attributes = ", ".join(f"{k}={_attribute_text(v)}" for k, v in stated.items())
    ins, outs = (" ".join(f"%{i}" for i in ids) for ids in (op.inputs, op.outputs))
    return f"  {outs} = {op.kind}({attributes}) {ins}"


def _attribute_text(value: Any) -> str:
    if isinstance(value, Padding):
        return f"{value.top},{value.bottom},{value.left},{value.right}"
    if isinstance(value, Op):
        return f"({_op_text(value).strip()})"
    return str(value)
