"""Conversions between real and stored numbers, as QUANTIZE and DEQUANTIZE compute them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ...ir import Array, Graph, Op
from .. import fixedpoint as fx


@dataclass(frozen=True, slots=True)
class QuantizeParams:
    """float32 to integer: y = clamp(round(x / scale) + y_zero), the division in single precision, ties away from 0."""

    scale: float
    y_zero: int
    act_min: int
    act_max: int


@dataclass(frozen=True, slots=True)
class AffineParams:
    """int16 to an integer: y = clamp((x * multiplier + offset) >> shift); the offset has the half that rounds."""

    multiplier: int
    offset: int
    shift: int
    act_min: int
    act_max: int


def affine_params(graph: Graph, op: Op) -> AffineParams:
    """The multiplier has 31 bits: for every int16, the result is the nearest but for ties that are none by 2^-16."""
    x, y = graph.ins(op)[0], graph.out(op)
    ratio = x.scale / y.scale
    shift = 31 - math.frexp(ratio)[1]
    multiplier = min(round(ratio * 2.0**shift), (1 << 31) - 1)
    half = 1 << (shift - 1)
    offset = (y.zero_point << shift) + half - x.zero_point * multiplier
    return AffineParams(multiplier, offset, shift, *y.dtype.range())


def rescaled(graph: Graph, op: Op, x: Array) -> Array:
    """The results of a `Rescale` for stored values x."""
    p = affine_params(graph, op)
    return np.asarray(np.clip((x.astype(np.int64) * p.multiplier + p.offset) >> p.shift, p.act_min, p.act_max))


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
