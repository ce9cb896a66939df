"""Sums over the inputs as they are stored: their zero point is folded into the biases."""

from __future__ import annotations

import numpy as np

from ...arithmetic.parameters import ConvParams
from ...ir import Array, DType
from ...ir.ops import DepthwiseConv2D
from ..variant import Site, Value
from .weighted_layer import bias, conv_params, in_stream, weights


def is_int8(site: Site) -> bool:
    """Activations and weights of 8 bits; weights are stored one per byte and without a zero point."""
    x, w = site.ins[:2]
    typed = x.dtype is site.out.dtype is DType.INT8 and w.is_constant and w.bits == 8 and not in_stream(site)
    return typed and conv_params(site).w_zero == 0


def by_output(site: Site) -> Array:
    """Weights as int64, one row of taps per output channel."""
    w = weights(site).astype(np.int64)
    return w[0].reshape(-1, w.shape[3]).T if isinstance(site.op, DepthwiseConv2D) else w.reshape(len(w), -1)


def folded_bias(site: Site) -> Array:
    """Biases corrected for the input's zero point, for every output channel, as int64."""
    return np.asarray(bias(site).astype(np.int64) - conv_params(site).x_zero * by_output(site).sum(axis=1))


def largest_sum(site: Site) -> int:
    """Limit of all partial sums: the folded bias plus the sum of 128 * |w|."""
    return int((np.abs(folded_bias(site)) + 128 * np.abs(by_output(site)).sum(axis=1)).max())


def shifts_right(p: ConvParams) -> bool:
    return all(-31 <= m.shift <= 0 for m in p.multipliers)


def has_halves(p: ConvParams) -> bool:
    """A product without a shift has no half to round away from zero; the only such product is 0."""
    return all(m.shift < 0 or m.m == 0 for m in p.multipliers)


def clamp_fields(p: ConvParams) -> dict[str, Value]:
    return {"y_zero": p.y_zero, "act_min": p.act_min, "act_max": p.act_max}
