"""The operations of a graph: inputs, outputs and attributes of each. `arithmetic.interpreter` defines their results.

Names and definitions are TFLite's. Attributes are plain values, so that operations with equal attributes are equal.
"""

from __future__ import annotations

from dataclasses import dataclass

from .accumulations import AddN, CumSum, L2Normalization
from .discrete import Cast, Compare, Gather, GatherNd, Relation, Select, UpdateSlice
from .functions import (
    Abs,
    Add,
    Binary,
    Ceil,
    Cos,
    Dequantize,
    Div,
    Elu,
    Exp,
    Floor,
    FloorDiv,
    FloorMod,
    Function,
    Gelu,
    HardSigmoid,
    HardSwish,
    LeakyRelu,
    Log,
    Logistic,
    Lookup,
    Maximum,
    Minimum,
    Mish,
    Mul,
    Neg,
    Prelu,
    Quantize,
    Reciprocal,
    Relu,
    Round,
    Rsqrt,
    Silu,
    Sin,
    Softplus,
    Sqrt,
    Square,
    SquaredDifference,
    Sub,
    Tanh,
    Unary,
)
from .operation import NO_PADDING, Activation, Op, Padding, Pair
from .recurrent import Lstm
from .signal_ops import (
    Energy,
    FftAutoScale,
    FilterBank,
    FilterBankLog,
    FilterBankSquareRoot,
    Irfft,
    OverlapAdd,
    Pcan,
    Rescale,
    Rfft,
    SignalOp,
    SpectralSubtraction,
    Window,
)

__all__ = [
    "Abs",
    "Activation",
    "Add",
    "AddN",
    "ArgMax",
    "AvgPool2D",
    "BatchMatMul",
    "BatchNorm",
    "Binary",
    "Cast",
    "Ceil",
    "Compare",
    "Concat",
    "Conv2D",
    "Cos",
    "CumSum",
    "DepthwiseConv2D",
    "Dequantize",
    "Div",
    "Elu",
    "Energy",
    "Exp",
    "FftAutoScale",
    "FilterBank",
    "FilterBankLog",
    "FilterBankSquareRoot",
    "Floor",
    "FloorDiv",
    "FloorMod",
    "FullyConnected",
    "Function",
    "Gather",
    "GatherNd",
    "Gelu",
    "HardSigmoid",
    "HardSwish",
    "Irfft",
    "L2Normalization",
    "LeakyRelu",
    "Log",
    "LogSoftmax",
    "Logistic",
    "Lookup",
    "Lstm",
    "MaxPool2D",
    "Maximum",
    "Mean",
    "Minimum",
    "Mish",
    "Mul",
    "Neg",
    "Op",
    "OverlapAdd",
    "Pad",
    "Padding",
    "Pair",
    "Pcan",
    "Pool",
    "Prelu",
    "Quantize",
    "Reciprocal",
    "Reduce",
    "ReduceMax",
    "ReduceMin",
    "Relation",
    "Relu",
    "Rescale",
    "Reshape",
    "ResizeBilinear",
    "ResizeNearest",
    "Rfft",
    "Round",
    "Rsqrt",
    "Select",
    "SignalOp",
    "Silu",
    "Sin",
    "Slice",
    "Softmax",
    "Softplus",
    "SpectralSubtraction",
    "Sqrt",
    "Square",
    "SquaredDifference",
    "Sub",
    "Sum",
    "Tanh",
    "Transpose",
    "TransposeConv",
    "Unary",
    "UpdateSlice",
    "Window",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Conv2D(Op):
    """inputs: x (N,H,W,I), w (O,KH,KW,I/groups) [, b (O)]; output (N,OH,OW,O). groups = I / w.shape[3]."""

    stride: Pair = (1, 1)
    dilation: Pair = (1, 1)
    padding: Padding = NO_PADDING
    activation: Activation = Activation.NONE
    single_factor: bool = False
    """The rescale factor is a product and a quotient in single precision, as for SVDF."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DepthwiseConv2D(Op):
    """inputs: x (N,H,W,C), w (1,KH,KW,C*m) [, b (C*m)]; output channel c*m+j reads input channel c."""

    stride: Pair = (1, 1)
    dilation: Pair = (1, 1)
    padding: Padding = NO_PADDING
    activation: Activation = Activation.NONE
    single_factor: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TransposeConv(Op):
    """inputs: x (N,H,W,I), w (O,KH,KW,I) [, b (O)]; output (N,OH,OW,O).

    Input pixel (i, j) adds to outputs (i*stride - top + kh, j*stride - left + kw) where these lie inside the output.
    """

    stride: Pair = (1, 1)
    padding: Padding = NO_PADDING
    activation: Activation = Activation.NONE


@dataclass(frozen=True, slots=True, kw_only=True)
class FullyConnected(Op):
    """inputs: x (any shape, read as rows of I), w (O,I) [, b (O)]; output: rows of O."""

    activation: Activation = Activation.NONE
    single_factor: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchMatMul(Op):
    """inputs: a (...,M,K), b (...,K,N), leading axes broadcast; `adj_*` says the last two axes are stored swapped."""

    adj_a: bool = False
    adj_b: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool(Op):
    """inputs: x (N,H,W,C). Windows may extend into the padding, which has no values: maximum or mean of the values
    inside.
    """

    window: Pair
    stride: Pair
    padding: Padding = NO_PADDING
    activation: Activation = Activation.NONE


@dataclass(frozen=True, slots=True, kw_only=True)
class AvgPool2D(Pool):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class MaxPool2D(Pool):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvPool(Op):
    """A convolution and the pooling of its output as one step, with a few rows of the image between them in memory at a
    time.

    inputs: those of `conv`; output: that of `pool`. Only plans contain it (`passes.fuse_pool`); `__all__` and files
    exclude it.
    """

    conv: Conv2D | DepthwiseConv2D
    pool: Pool

    @property
    def kind(self) -> str:
        return f"{self.conv.kind}+{self.pool.kind}"

    @property
    def inner(self) -> tuple[int, ...]:
        return self.conv.outputs


@dataclass(frozen=True, slots=True, kw_only=True)
class Softmax(Op):
    """inputs: x; over the last axis, exp(beta * x) / sum(exp(beta * x))."""

    beta: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSoftmax(Op):
    """inputs: x; over the last axis, x - max(x) - log(sum(exp(x - max(x))))."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pad(Op):
    """inputs: x. `pads` is (before, after) for each axis.

    `value` fills, in stored units of x: a real number in a float graph, an integer (real zero is x's zero point) in a
    quantised one; None is real zero at either level.
    """

    pads: tuple[Pair, ...]
    value: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reduce(Op):
    """inputs: x; over `axes` (non-negative, ascending). The output's shape shows whether they are kept as 1."""

    axes: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mean(Reduce):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class ReduceMax(Reduce):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class ReduceMin(Reduce):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Sum(Reduce):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class ArgMax(Op):
    """inputs: x; index of the first largest value along `axis`, as int32 or int64; the axis is removed."""

    axis: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Concat(Op):
    """inputs: one or more tensors with equal shapes except along `axis`."""

    axis: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Enter(Op):
    """A `Concat` whose first input, a state, has the place of its output: only the other inputs are moved.

    Only plans contain it (`planner.state_layout`); `__all__` and files exclude it.
    """

    axis: int

    @property
    def kind(self) -> str:
        return "Concat"


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice(Op):
    """inputs: x; element i along an axis is x[begin + i*step]; the output's shape gives the count. step may be < 0."""

    begin: tuple[int, ...]
    step: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reshape(Op):
    """inputs: x; the same bytes with another shape. It costs nothing: the plan gives both the same place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transpose(Op):
    """inputs: x; axis i of the output is axis perm[i] of the input."""

    perm: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ResizeNearest(Op):
    """inputs: x (N,H,W,C); nearest neighbor, with TFLite's two coordinate options."""

    align_corners: bool = False
    half_pixel_centers: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ResizeBilinear(Op):
    """inputs: x (N,H,W,C); each output pixel is interpolated between four pixels, with TFLite's two
    coordinate options.
    """

    align_corners: bool = False
    half_pixel_centers: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchNorm(Op):
    """inputs: x (..., C), scale (C), offset (C): x*scale + offset. Only in float graphs; passes remove it."""


INT8_ONLY: tuple[type[Op], ...] = (LogSoftmax, AddN, CumSum, L2Normalization)
"""Operations without an int16 form, element-wise ones apart (`elementwise_table`)."""
