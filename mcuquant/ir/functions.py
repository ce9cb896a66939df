"""Operations that compute each element of the output from one element of each input; see `elementwise_table`."""

from __future__ import annotations

from dataclasses import dataclass

from .operation import Activation, Op


@dataclass(frozen=True, slots=True, kw_only=True)
class Binary(Op):
    """inputs: a, b, broadcast as in numpy."""


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
class Div(Binary):
    activation: Activation = Activation.NONE


@dataclass(frozen=True, slots=True, kw_only=True)
class FloorDiv(Binary):
    """floor(a / b)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FloorMod(Binary):
    """a - b * floor(a / b): the remainder with the sign of b."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SquaredDifference(Binary):
    """(a - b)^2."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prelu(Binary):
    """inputs: x, slope: x above 0, slope * x below; the slope is broadcast to x."""


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
    """A stand-alone clamp: RELU, RELU6 or RELU_N1_TO_1 by `activation`."""

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
class Lookup(Unary):
    """Any function from int8 to int8. Float32 operators between DEQUANTIZE and QUANTIZE are read as one Lookup."""

    table: tuple[int, ...]
    """Results for -128 to 127."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Silu(Unary):
    """x * logistic(x), also called swish."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HardSigmoid(Unary):
    """relu6(x + 3) / 6."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Elu(Unary):
    """x for positive x, alpha * (exp(x) - 1) for negative x.

    TFLite's ELU has alpha 1. PyTorch's SELU has a factor for the result, and CELU one for the exponent.
    """

    alpha: float = 1.0
    factor: float = 1.0
    """Factor of the result, on both sides."""
    exponent_factor: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Gelu(Unary):
    """x * (1 + erf(x / sqrt(2))) / 2; `approximate` replaces erf(...) by tanh(sqrt(2 / pi) * (x + 0.044715 x^3))."""

    approximate: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Function(Unary):
    """A function without its own class, by its name in `named_functions.NAMED`."""

    function: str = "erf"
    parameters: tuple[float, ...] = ()
    """Further arguments of the function after x, in order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mish(Unary):
    """x * tanh(softplus(x))."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Softplus(Unary):
    """log(1 + exp(beta * x)) / beta."""

    beta: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Abs(Unary):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Neg(Unary):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Square(Unary):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Sqrt(Unary):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Rsqrt(Unary):
    """1 / sqrt(x)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reciprocal(Unary):
    """1 / x."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exp(Unary):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Log(Unary):
    """The natural logarithm."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sin(Unary):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Cos(Unary):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Floor(Unary):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Ceil(Unary):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Round(Unary):
    """To the nearest integer, ties to the even one."""
