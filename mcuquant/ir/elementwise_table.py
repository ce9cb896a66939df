"""The definition of each element-wise operation: one row of `ELEMENTWISE`.

The reader and the writer of .tflite, the PyTorch importer, `verify`, the quantizer, the interpreter, the integer
parameters, the kernels, the table of docs/ops.md and the random graphs of the tests derive from these rows. A new
function of one variable is a class in `functions`, a row here, and a line in the tests' modules of PyTorch.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from . import functions as f
from . import real_functions as real
from .graph import Array, DType, QParams
from .named_functions import named_function
from .operation import Op

_F32, _S8, _S16 = DType.FLOAT32, DType.INT8, DType.INT16
_WHOLE, _ORDERED = (DType.INT32,), (DType.INT32, DType.BOOL)
NO_TYPES: frozenset[DType] = frozenset()
ALL_TYPES = frozenset((_F32, _S8, _S16))
INT8_AND_FLOAT = frozenset((_F32, _S8))
FLOAT_ONLY = frozenset((_F32,))


class Rule(enum.Enum):
    """The rule that derives integer results from the real function."""

    INTEGER = "integer"
    """Its own integer arithmetic, see `arithmetic.parameters`."""
    CONVERTED = "converted"
    """int8: DEQUANTIZE, the function in single precision, QUANTIZE, for each of the 256 values."""
    TABLE = "table"
    """int8: as CONVERTED, but multiplied by the reciprocal of the output scale: TFLite's LUTPopulate. int16: 513
    samples of the function with linear interpolation, also LUTPopulate.
    """
    NONE = "none"
    """This type is not supported."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One element-wise operation."""

    op: type[Op]
    real: Callable[..., Array] | None = None
    """(operation, float32 arrays) -> float32 array; None for the conversions between types."""
    tflite: str = ""
    """TFLite's operator; empty if it has none, or if one operation is several operators (Relu)."""
    options: str = ""
    """Table of the operator's options in the schema; empty without options."""
    attributes: Mapping[str, str] = field(default_factory=dict)
    """Attribute of the operation -> field of the operator's options."""
    versions: tuple[int, int, int] = (1, 1, 1)
    """Version of the operator with float32, int8 and int16 inputs."""
    torch: tuple[str, ...] = ()
    """PyTorch's operators with the same definition. Operators with their own translation rule are not listed."""
    torch_attributes: Mapping[str, str] = field(default_factory=dict)
    """Attribute of the operation -> argument of PyTorch's operator."""
    int8: Rule = Rule.INTEGER
    int16: Rule = Rule.INTEGER
    tflm: frozenset[DType] = ALL_TYPES
    """Types that TensorFlow Lite Micro's kernel supports. Int8 forms of rule CONVERTED are exported through float32."""
    plain: tuple[DType, ...] = ()
    """Types without a scale that the operation supports: int32, with results that wrap around, and bool."""
    int16_is_symmetric: bool = False
    """The int16 form requires both zero points to be 0."""
    output: Mapping[DType, QParams] = field(default_factory=dict)
    """Output scales that TFLite's specification prescribes. All other outputs may have any scale."""
    shares_scale: bool = False
    """Whether the output has the input's scale and zero point."""
    least: float | None = None
    """Lower end of the domain of the function."""

    @property
    def arity(self) -> int:
        return 2 if issubclass(self.op, f.Binary) else 1

    def rule(self, dtype: DType) -> Rule:
        return self.int8 if dtype is _S8 else self.int16


def _curve(
    op: type[Op], function: Callable[..., Array], tflite: str = "", torch: tuple[str, ...] = (), **changes: Any
) -> Row:
    """The row of a function that TensorFlow Lite Micro computes only in float32."""
    row: dict[str, Any] = {"tflm": FLOAT_ONLY, "int8": Rule.CONVERTED, "int16": Rule.TABLE}
    return Row(op=op, real=function, tflite=tflite, torch=torch, int16_is_symmetric=True, **row | changes)


_UNIT8, _UNIT16 = QParams((1 / 256,), -128), QParams((1 / 32768,), 0)
_ACTIVATION = {"activation": "fused_activation_function"}

_ROWS = (
    Row(op=f.Lookup, int16=Rule.NONE, tflm=NO_TYPES),
    Row(
        op=f.Add,
        real=real.add,
        tflite="ADD",
        options="AddOptions",
        attributes=_ACTIVATION,
        versions=(1, 2, 3),
        plain=_WHOLE,
    ),
    Row(
        op=f.Sub,
        real=real.sub,
        tflite="SUB",
        options="SubOptions",
        attributes=_ACTIVATION,
        versions=(1, 2, 5),
        plain=_WHOLE,
    ),
    Row(
        op=f.Mul,
        real=real.mul,
        tflite="MUL",
        options="MulOptions",
        attributes=_ACTIVATION,
        versions=(1, 2, 4),
        int16_is_symmetric=True,
        plain=_WHOLE,
    ),
    Row(
        op=f.Maximum,
        real=real.maximum,
        tflite="MAXIMUM",
        options="MaximumMinimumOptions",
        versions=(1, 2, 4),
        shares_scale=True,
        plain=_ORDERED,
    ),
    Row(
        op=f.Minimum,
        real=real.minimum,
        tflite="MINIMUM",
        options="MaximumMinimumOptions",
        versions=(1, 2, 4),
        shares_scale=True,
        plain=_ORDERED,
    ),
    Row(
        op=f.Div,
        real=real.div,
        tflite="DIV",
        options="DivOptions",
        attributes=_ACTIVATION,
        versions=(1, 2, 2),
        int16=Rule.NONE,
        tflm=INT8_AND_FLOAT,
        plain=_WHOLE,
    ),
    Row(
        op=f.FloorDiv,
        real=real.floor_div,
        tflite="FLOOR_DIV",
        options="FloorDivOptions",
        int8=Rule.NONE,
        int16=Rule.NONE,
        tflm=FLOAT_ONLY,
        plain=_WHOLE,
    ),
    Row(
        op=f.FloorMod,
        real=real.floor_mod,
        tflite="FLOOR_MOD",
        options="FloorModOptions",
        int8=Rule.NONE,
        int16=Rule.NONE,
        tflm=FLOAT_ONLY,
        plain=_WHOLE,
    ),
    Row(
        op=f.SquaredDifference,
        real=real.squared_difference,
        tflite="SQUARED_DIFFERENCE",
        options="SquaredDifferenceOptions",
        versions=(1, 2, 3),
        int16_is_symmetric=True,
        plain=_WHOLE,
    ),
    Row(op=f.Prelu, real=real.prelu, tflite="PRELU"),
    Row(op=f.Relu, real=real.relu, int16_is_symmetric=True),
    Row(
        op=f.LeakyRelu,
        real=real.leaky_relu,
        tflite="LEAKY_RELU",
        options="LeakyReluOptions",
        attributes={"alpha": "alpha"},
        versions=(1, 2, 2),
    ),
    Row(
        op=f.Logistic,
        real=real.logistic,
        tflite="LOGISTIC",
        versions=(1, 2, 3),
        torch=("aten.sigmoid",),
        int16_is_symmetric=True,
        output={_S8: _UNIT8, _S16: _UNIT16},
    ),
    Row(
        op=f.Tanh,
        real=real.tanh,
        tflite="TANH",
        versions=(1, 2, 3),
        torch=("aten.tanh",),
        int16_is_symmetric=True,
        output={_S8: QParams((1 / 128,), 0), _S16: _UNIT16},
    ),
    Row(
        op=f.HardSwish,
        real=real.hard_swish,
        tflite="HARD_SWISH",
        options="HardSwishOptions",
        torch=("aten.hardswish",),
        tflm=INT8_AND_FLOAT,
        int16_is_symmetric=True,
    ),
    Row(op=f.Quantize, tflite="QUANTIZE", options="QuantizeOptions", versions=(1, 1, 2)),
    Row(op=f.Dequantize, tflite="DEQUANTIZE", options="DequantizeOptions", versions=(1, 2, 3)),
    Row(
        op=f.Abs,
        real=real.absolute,
        tflite="ABS",
        options="AbsOptions",
        versions=(1, 2, 4),
        torch=("aten.abs",),
        int16_is_symmetric=True,
    ),
    Row(
        op=f.Rsqrt,
        real=real.rsqrt,
        tflite="RSQRT",
        versions=(1, 2, 3),
        torch=("aten.rsqrt",),
        int16=Rule.TABLE,
        tflm=INT8_AND_FLOAT,
        int16_is_symmetric=True,
        least=0.0,
    ),
    _curve(
        f.Elu,
        real.elu,
        "ELU",
        ("aten.elu",),
        torch_attributes={"alpha": "alpha", "factor": "scale", "exponent_factor": "input_scale"},
        int8=Rule.TABLE,
        tflm=INT8_AND_FLOAT,
    ),
    _curve(
        f.Gelu,
        real.gelu,
        "GELU",
        options="GeluOptions",
        attributes={"approximate": "approximate"},
        versions=(1, 2, 2),
        int8=Rule.TABLE,
        tflm=NO_TYPES,
    ),
    _curve(f.Function, named_function, int8=Rule.TABLE, tflm=NO_TYPES),
    _curve(f.Silu, real.silu, torch=("aten.silu",)),
    _curve(f.HardSigmoid, real.hard_sigmoid, torch=("aten.hardsigmoid",)),
    _curve(f.Mish, real.mish, torch=("aten.mish",)),
    _curve(f.Softplus, real.softplus, torch=("aten.softplus",), torch_attributes={"beta": "beta"}),
    _curve(f.Reciprocal, real.reciprocal, torch=("aten.reciprocal",)),
    _curve(f.Neg, real.negative, "NEG", options="NegOptions"),
    _curve(f.Square, real.square, "SQUARE", ("aten.square",), options="SquareOptions"),
    _curve(f.Sqrt, real.sqrt, "SQRT", ("aten.sqrt",), least=0.0),
    _curve(f.Exp, real.exp, "EXP", ("aten.exp",), options="ExpOptions", versions=(1, 2, 2)),
    _curve(f.Log, real.log, "LOG", ("aten.log",), versions=(1, 2, 2), least=0.0),
    _curve(f.Sin, real.sin, "SIN", ("aten.sin",)),
    _curve(f.Cos, real.cos, "COS", ("aten.cos",), options="CosOptions"),
    _curve(f.Floor, real.floor, "FLOOR", ("aten.floor",)),
    _curve(f.Ceil, real.ceil, "CEIL", ("aten.ceil",)),
    _curve(f.Round, real.round_to_even, "ROUND", ("aten.round",)),
)

ELEMENTWISE: Mapping[type[Op], Row] = {row.op: row for row in _ROWS}
"""The row of every element-wise operation."""
