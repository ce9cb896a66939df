"""Operators of networks that PyTorch quantized (PT2E): quantize and dequantize, as in the output of `convert_pt2e`.

Activations become Quantize and Dequantize in a float graph. Weights become float constants with their grid: the
dequantized values with their scales and bits, so that storing them as integers is exact.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .. import ir
from .axis_order import Value
from .net_builder import Array, Call, OnGrid, RefusalError

_RANGES = {
    "int8": (ir.DType.INT8, 0, (-128, 127)),
    "uint8": (ir.DType.INT8, -128, (0, 255)),
    "int16": (ir.DType.INT16, 0, (-32768, 32767)),
}
"""PyTorch type -> type on the device, offset of stored values, and the range, which must be complete."""
_WEIGHT_BITS = (2, 4, 8)


def quantize(call: Call) -> Value | Array:
    """A computed value to integers; a constant at once."""
    x = call.args["input"]
    if isinstance(x, np.ndarray):
        scales, zeros = _grid(call, x)
        stored = np.rint(x.astype(np.float64) / scales) + zeros
        return np.asarray(np.clip(stored, *_limits(call)).astype(np.int64))
    value = call.value("input")
    dtype, q = _activation(call)
    return Value(call.net.quantize(value.tensor, dtype, q), value.where)


def dequantize(call: Call) -> Value | Array:
    x = call.args["input"]
    if isinstance(x, np.ndarray):
        return _constant(call, x)
    value = call.value("input")
    stored = call.net.tensors[value.tensor]
    if (stored.dtype, stored.q) != _activation(call):
        raise RefusalError(f"it takes {stored.dtype} {stored.q} for something else; use what it was quantized with")
    return Value(call.net.emit(ir.Dequantize, [value.tensor], stored.shape, stored.name), value.where)


def _number(call: Call, key: str) -> float:
    """A number, possibly in a tensor with one element."""
    value = call.args[key]
    if isinstance(value, np.ndarray) and value.size == 1:
        return float(value.ravel()[0])
    if not isinstance(value, int | float):
        raise RefusalError(f"its {key} is computed by the network; use static quantization")
    return float(value)


def _limits(call: Call) -> tuple[int, int]:
    return int(_number(call, "quant_min")), int(_number(call, "quant_max"))


def _activation(call: Call) -> tuple[ir.DType, ir.QParams]:
    name, limits = call.args["dtype"], _limits(call)
    if "scale" not in call.args:
        raise RefusalError("its activations have a scale for each channel; quantize them with one scale")
    if name not in _RANGES:
        raise RefusalError(f"its activations are {name}; quantize them to int8")
    dtype, shift, full = _RANGES[name]
    symmetric = name == "int16" and limits == (-32767, 32767)
    if limits != full and not symmetric:
        raise RefusalError(f"its activations are within {limits[0]}..{limits[1]}; use all of {full[0]}..{full[1]}")
    return dtype, ir.QParams.of(_number(call, "scale"), int(_number(call, "zero_point")) + shift)


def _grid(call: Call, x: Array) -> tuple[Array, Array]:
    """Scales and zero points of a constant in shapes that broadcast to it."""
    if "scale" in call.args:
        return np.float64(_number(call, "scale")), np.float64(_number(call, "zero_point"))  # type: ignore[return-value]
    if call.get("axis", 0) != 0:
        raise RefusalError(f"its weights have scales along axis {call.get('axis')}; expected 0, the output channels")
    along = (-1, *(1,) * (x.ndim - 1))
    scales, zeros = (np.asarray(call.args[key], np.float64).reshape(along) for key in ("scales", "zero_points"))
    return scales, zeros


def _constant(call: Call, x: Array) -> Array:
    """Weights on their grid. Other constants, which the device stores in its own units, become plain numbers."""
    scales, zeros = _grid(call, x)
    real = ((x.astype(np.float64) - zeros) * scales).astype(np.float32)
    low, high = _limits(call)
    bits = next((n for n in _WEIGHT_BITS if -(1 << (n - 1)) <= low and high < 1 << (n - 1)), None)
    if bits is None or np.any(zeros):
        return real
    return OnGrid.of(real, np.ravel(scales).astype(np.float32), bits)


_NAMES: Mapping[str, Callable[[Call], Any]] = {"quantize": quantize, "dequantize": dequantize}
_OVERLOADS = ("per_tensor.default", "per_tensor.tensor", "per_tensor.tensor2", "per_channel.default")

RULES: Mapping[str, Callable[[Call], Any]] = {
    f"quantized_decomposed.{name}_{overload}": rule for name, rule in _NAMES.items() for overload in _OVERLOADS
}

INSTEAD: Mapping[str, str] = dict.fromkeys(
    (
        "quantized_decomposed.choose_qparams.tensor",
        "quantized_decomposed.choose_qparams_symmetric.tensor",
        "torchao.choose_qparams_affine.default",
    ),
    "use static quantization, whose scales are known before the network runs",
)
