"""Conversions between real and stored numbers, as QUANTIZE and DEQUANTIZE compute them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ...ir import Array
from .. import fixedpoint as fx


@dataclass(frozen=True, slots=True)
class QuantizeParams:
    """float32 to integer: y = clamp(round(x / scale) + y_zero), the division in single precision, ties away from 0."""

    scale: float
    y_zero: int
    act_min: int
    act_max: int


@dataclass(frozen=True, slots=True)
class DequantizeParams:
    """Integer to float32: y = float32(scale * (x - x_zero)), the product in double precision."""

    scale: float
    x_zero: int


def quantized(x: Array, p: QuantizeParams) -> fx.IntArray:
    """Stored value of a real number by the parameters `p`. NaN gives the lowest value."""
    with np.errstate(over="ignore", invalid="ignore"):
        return _stored(x / np.float32(p.scale), p)


def quantized_by_reciprocal(x: Array, p: QuantizeParams) -> fx.IntArray:
    """The same with x * (1 / scale) in place of x / scale, as in TFLite's tables of results."""
    with np.errstate(over="ignore", invalid="ignore"):
        return _stored(x * (np.float32(1) / np.float32(p.scale)), p)


def _stored(units: Array, p: QuantizeParams) -> fx.IntArray:
    finite = np.where(np.isnan(units), np.float32(-(2.0**31)), np.clip(units, -(2.0**31), 2.0**31))
    return fx.as_int64(np.clip(fx.as_int64(round_half_away(finite)) + p.y_zero, p.act_min, p.act_max))


def dequantized(x: Array, p: DequantizeParams) -> Array:
    """Real value of a stored number by the parameters `p`."""
    with np.errstate(over="ignore"):
        return (p.scale * (fx.as_int64(x) - p.x_zero)).astype(np.float32)


def round_half_away(x: Array) -> npt.NDArray[np.float64]:
    """Nearest integers, ties away from zero: C's round()."""
    wide = np.asarray(x, np.float64)
    whole = np.trunc(wide)
    return whole + np.where(np.abs(wide - whole) >= 0.5, np.sign(wide), 0.0)
