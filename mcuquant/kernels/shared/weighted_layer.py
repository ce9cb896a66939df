"""Properties of a layer that every kernel with weights needs: stored weights, biases, factors, and the range of its
sums.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from ...arithmetic.parameters import ConvParams, params
from ...ir import Array
from ...ir.ops import DepthwiseConv2D, FullyConnected
from ..variant import Blob, Site, Value, check_sums, has_integer_values, span
from .packing import is_packed

ACCUMULATOR_BITS = {32: 32, 64: 48}
"""Bits of sums, by ConvParams.acc_bits: mq_requantize64 multiplies by 16 more."""


@lru_cache(maxsize=16)
def conv_params(site: Site) -> ConvParams:
    """Size of the cache: all kernels query one layer after the other."""
    p = params(site.graph, site.op)
    assert isinstance(p, ConvParams)
    return p


def output_fields(p: ConvParams) -> dict[str, Value]:
    return {"x_zero": p.x_zero, "y_zero": p.y_zero, "act_min": p.act_min, "act_max": p.act_max}


def weights(site: Site) -> Array:
    data = site.ins[1].data
    assert data is not None
    return data


def bias(site: Site) -> Array:
    """Biases as stored, or zeros; as wide as the accumulators."""
    p = conv_params(site)
    wide = np.dtype(f"int{p.acc_bits}")
    return np.zeros(len(p.multipliers), wide) if len(site.ins) < 3 else np.asarray(site.ins[2].data, wide)


def requantize_blobs(p: ConvParams) -> tuple[Blob, Blob]:
    """Multipliers and shifts, one per output channel."""
    return (
        Blob("multipliers", np.array([m.m for m in p.multipliers], np.int32)),
        Blob("shifts", np.array([m.shift for m in p.multipliers], np.int8)),
    )


@lru_cache(maxsize=16)
def sums(site: Site) -> tuple[Array, Array]:
    """Smallest and largest accumulator of every output channel over all inputs, including partial sums.

    The result is cached and must not be changed.
    """
    p = conv_params(site)
    w = site.ins[1].integer_values.astype(np.int64)
    by_channel = w[0].reshape(-1, w.shape[3]).T if isinstance(site.op, DepthwiseConv2D) else w.reshape(w.shape[0], -1)
    low, high = span(site.ins[0], p.x_zero)
    start = np.clip(bias(site).astype(np.int64), -(1 << 62), 1 << 62)
    downward = np.minimum(by_channel * low, by_channel * high).sum(axis=1)
    upward = np.maximum(by_channel * low, by_channel * high).sum(axis=1)
    return start + downward, start + upward


def check(site: Site) -> None:
    """Raises UnsupportedOpError if an accumulator could exceed the range of the C arithmetic."""
    lowest, highest = sums(site)
    check_sums(site, int(lowest.min()), int(highest.max()), ACCUMULATOR_BITS[conv_params(site).acc_bits])


def in_stream(site: Site) -> bool:
    """Whether the plain kernels read the weights from a packed stream: few bits, codebooks, zero
    points or multipliers.
    """
    return is_packed(site) or (has_integer_values(site) and not _is_fully_connected(site))


def _is_fully_connected(site: Site) -> bool:
    """A layer whose plain kernel uses the single zero point of 8-bit weights, as in TFLite."""
    q = site.ins[1].q
    return isinstance(site.op, FullyConnected) and q is not None and not (q.zero_points or q.multipliers)
