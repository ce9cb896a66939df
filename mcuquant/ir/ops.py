"""The operations of a graph: what each reads, writes and is told. `interp` says what each computes.

Names and meanings are TFLite's. Attributes are plain values, so that two operations are equal when they look equal.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

__all__ = [
    "Activation",
    "Add",
    "ArgMax",
    "AvgPool2D",
    "BatchMatMul",
    "BatchNorm",
    "Binary",
    "Concat",
    "Conv2D",
    "DepthwiseConv2D",
    "Dequantize",
    "FullyConnected",
    "HardSwish",
    "LeakyRelu",
    "Logistic",
    "MaxPool2D",
    "Maximum",
    "Mean",
    "Minimum",
    "Mul",
    "Op",
    "Pad",
    "Padding",
    "Pair",
    "Pool",
    "Quantize",
    "Reduce",
    "ReduceMax",
    "Relu",
    "Reshape",
    "ResizeNearest",
    "Slice",
    "Softmax",
    "Sub",
    "Tanh",
    "Transpose",
    "TransposeConv",
    "Unary",
]

Pair = tuple[int, int]
"""(along the height, along the width)."""


class Activation(enum.StrEnum):
    """Clamp fused into the operation before it; the bounds are real values."""

    NONE = "none"
    RELU = "relu"
    RELU6 = "relu6"
    RELU_N1_TO_1 = "relu_n1_to_1"

    @property
    def bounds(self) -> tuple[float, float]:
        return _BOUNDS[self]


_BOUNDS = {
    Activation.NONE: (-np.inf, np.inf),
    Activation.RELU: (0.0, np.inf),
    Activation.RELU6: (0.0, 6.0),
    Activation.RELU_N1_TO_1: (-1.0, 1.0),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Padding:
    """Rows and columns added around the image; they count as real zero (average pooling leaves them out)."""

    top: int = 0
    bottom: int = 0
    left: int = 0
    right: int = 0

    @property
    def any(self) -> bool:
        return bool(self.top or self.bottom or self.left or self.right)


@dataclass(frozen=True, slots=True, kw_only=True)
class Op:
    """Base of all operations. `inputs` and `outputs` are tensor ids; output shapes are those of the output tensors."""

    inputs: tuple[int, ...]
    outputs: tuple[int, ...]

    @property
    def kind(self) -> str:
        return type(self).__name__

    @property
    def output(self) -> int:
        return self.outputs[0]

    @property
    def inner(self) -> tuple[int, ...]:
        """Tensors of the table that exist inside of it alone."""
        return ()

    def attributes(self) -> dict[str, Any]:
        """What distinguishes two operations of a kind, in declaration order."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("inputs", "outputs")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Conv2D(Op):
    """inputs: x (N,H,W,I), w (O,KH,KW,I/groups) [, b (O)]; output (N,OH,OW,O). groups = I / w.shape[3]."""

    stride: Pair = (1, 1)
    dilation: Pair = (1, 1)
    padding: Padding = Padding()
    activation: Activation = Activation.NONE


@dataclass(frozen=True, slots=True, kw_only=True)
class DepthwiseConv2D(Op):
    """inputs: x (N,H,W,C), w (1,KH,KW,C*m) [, b (C*m)]; output channel c*m+j reads input channel c."""

    stride: Pair = (1, 1)
    dilation: Pair = (1, 1)
    padding: Padding = Padding()
    activation: Activation = Activation.NONE


@dataclass(frozen=True, slots=True, kw_only=True)
class TransposeConv(Op):
    """inputs: x (N,H,W,I), w (O,KH,KW,I) [, b (O)]; output (N,OH,OW,O).

    Input pixel (i, j) adds to outputs (i*stride - top + kh, j*stride - left + kw) where these lie inside the output.
    """

    stride: Pair = (1, 1)
    padding: Padding = Padding()
    activation: Activation = Activation.NONE


@dataclass(frozen=True, slots=True, kw_only=True)
class FullyConnected(Op):
    """inputs: x (any shape, read as rows of I), w (O,I) [, b (O)]; output: rows of O."""

    activation: Activation = Activation.NONE


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchMatMul(Op):
    """inputs: a (...,M,K), b (...,K,N), leading axes broadcast; `adj_*` says the last two axes are stored swapped."""

    adj_a: bool = False
    adj_b: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool(Op):
    """inputs: x (N,H,W,C). Windows reach into the padding, which holds no value: maximum or mean of what is inside."""

    window: Pair
    stride: Pair
    padding: Padding = Padding()
    activation: Activation = Activation.NONE


@dataclass(frozen=True, slots=True, kw_only=True)
class AvgPool2D(Pool):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class MaxPool2D(Pool):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvPool(Op):
    """A convolution and the pooling of its output as one step: of the image between them a few rows exist at a time.

    inputs: those of `conv`; output: that of `pool`. Only plans have it (`passes.fuse_pool`), no network: `__all__` and
    files leave it out.
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
class Binary(Op):
    """inputs: a, b, broadcast against each other as numpy does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Add(Binary):
    activation: Activation = Activation.NONE


@dataclass(frozen=True, slots=True, kw_only=True)
class Sub(Binary):
    activation: Activation = Activation.NONE


@dataclass(frozen=True, slots=True, kw_only=True)
class Mul(Binary):
    activation: Activation = Activation.NONE


@dataclass(frozen=True, slots=True, kw_only=True)
class Maximum(Binary):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Minimum(Binary):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Unary(Op):
    """inputs: x; output of the same shape, element by element."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Relu(Unary):
    """A clamp that stands alone: RELU, RELU6 or RELU_N1_TO_1 by `activation`."""

    activation: Activation


@dataclass(frozen=True, slots=True, kw_only=True)
class LeakyRelu(Unary):
    alpha: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Logistic(Unary):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Tanh(Unary):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class HardSwish(Unary):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantize(Unary):
    """float32 to an integer type, or one integer type, scale or zero point to another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dequantize(Unary):
    """An integer type to float32."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Softmax(Op):
    """inputs: x; over the last axis, exp(beta * x) / sum(exp(beta * x))."""

    beta: float = 1.0


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
    """inputs: x; over `axes` (non-negative, ascending). The output's shape says whether they are kept as 1."""

    axes: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mean(Reduce):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class ReduceMax(Reduce):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class ArgMax(Op):
    """inputs: x; index of the first largest along `axis`, as int32 or int64; the axis is dropped."""

    axis: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Concat(Op):
    """inputs: one or more tensors alike but for `axis`."""

    axis: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice(Op):
    """inputs: x; element i along an axis is x[begin + i*step]; as many as the output's shape says. step may be < 0."""

    begin: tuple[int, ...]
    step: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reshape(Op):
    """inputs: x; the same bytes under another shape. Costs nothing: the plan gives both the same place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transpose(Op):
    """inputs: x; axis i of the output is axis perm[i] of the input."""

    perm: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ResizeNearest(Op):
    """inputs: x (N,H,W,C); nearest neighbour, TFLite's two coordinate options."""

    align_corners: bool = False
    half_pixel_centers: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchNorm(Op):
    """inputs: x (..., C), scale (C), offset (C): x*scale + offset. Float graphs only; passes fold it away."""
