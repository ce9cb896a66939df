"""Kernels of windows without weights."""

from __future__ import annotations

from functools import partial

import numpy as np

from ...arithmetic.parameters import PoolParams, params
from ...ir import DType
from ...ir.ops import AvgPool2D, MaxPool2D, Pool
from ..shared.overlap import windows
from ..shared.plain_estimates import by_core
from ..shared.rescale import pooled_fields
from ..variant import (
    CALL,
    Arg,
    In,
    Out,
    Site,
    Struct,
    Variant,
    activations_are,
    check_sums,
    image_fields,
    span,
    stride_fields,
)


def _pool(site: Site) -> tuple[Arg, ...]:
    op, x = site.op, site.ins[0]
    p = params(site.graph, op)
    assert isinstance(op, Pool)
    assert isinstance(p, PoolParams)
    fields = {
        **image_fields(x, site.out),
        "channels": x.shape[3],
        "k_h": op.window[0],
        "k_w": op.window[1],
        **stride_fields(op.stride, op.padding),
        "rescale": pooled_fields(site, p),
    }
    return Struct("mq_pool_t", fields), In(), Out()


def _average(site: Site) -> tuple[Arg, ...]:
    """The sum of a window plus half its size, for rounding, must fit 32 bits."""
    op, (low, high) = site.op, span(site.ins[0], 0)
    assert isinstance(op, Pool)
    count = op.window[0] * op.window[1]
    check_sums(site, count * low - count // 2, count * high + count // 2, 32)
    return _pool(site)


def _whole_words(site: Site) -> bool:
    return site.core.dsp and activations_are(DType.INT8)(site) and site.ins[0].shape[3] % 4 == 0


_WORDS_BYTES = 200


def _max_words(site: Site) -> int:
    """Four channels at a time: every tap of every window is read, without loops if there are two."""
    op = site.op
    assert isinstance(op, Pool)
    k_h, k_w = op.window
    each = 13.5 if k_h * k_w <= 2 else 12 + k_h * (7 + 3 * k_w)
    return CALL + round(site.out.elements // 4 * (each + 92 * _rescales(site)))


def _average_words(site: Site) -> int:
    """As many pixels at a time as are contiguous: a row of the window, or all if that is as wide as x."""
    op = site.op
    assert isinstance(op, Pool)
    k_h, k_w = op.window
    runs = 1 if k_w == site.ins[0].shape[2] else k_h
    return CALL + round(site.out.elements * (1.05 * k_h * k_w + 7 * runs + 25 + 6 * _rescales(site)))


_SHORT = 4
"""Taps of an unrolled loop."""


def _windows_inside(site: Site) -> float:
    """The fraction of windows without padding."""
    op, share = site.op, 1.0
    assert isinstance(op, Pool)
    for axis, before in ((0, op.padding.top), (1, op.padding.left)):
        starts = np.arange(site.out.shape[axis + 1]) * op.stride[axis] - before
        share *= float(((starts >= 0) & (starts + op.window[axis] <= site.ins[0].shape[axis + 1])).mean())
    return share


def _plain_cycles(site: Site, tap: float, long_tap: float, output: float) -> int:
    """Plain C: loops of constant length for windows inside the image, other loops for those at its edges."""
    op, inside = site.op, _windows_inside(site)
    assert isinstance(op, Pool)
    taps = op.window[0] * op.window[1]
    whole = (tap if max(op.window) <= _SHORT else long_tap) * taps + output
    each = inside * whole + (1 - inside) * (7 * taps + 15 + output) + 10 * _rescales(site)
    return CALL + round(each * site.out.elements)


_max_plain = partial(_plain_cycles, tap=4.3, long_tap=7, output=3)
_average_plain = partial(_plain_cycles, tap=3, long_tap=5.5, output=9.5)


def _rescales(site: Site) -> bool:
    p = params(site.graph, site.op)
    assert isinstance(p, PoolParams)
    return p.rescale is not None


_overlap_offsets = partial(windows, buffered=False)

VARIANTS = (
    Variant(
        "max_pool_words_s8",
        "mq_pool_words.h",
        MaxPool2D,
        _whole_words,
        _pool,
        overlap_offsets=_overlap_offsets,
        cycles=by_core(_max_words, mve=0.72),
        step_bytes=_WORDS_BYTES,
    ),
    Variant(
        "avg_pool_words_s8",
        "mq_pool_words.h",
        AvgPool2D,
        _whole_words,
        _average,
        overlap_offsets=_overlap_offsets,
        cycles=by_core(_average_words, mve=0.82),
        step_bytes=_WORDS_BYTES,
    ),
    Variant(
        "max_pool_s8",
        "mq_pool.h",
        MaxPool2D,
        activations_are(DType.INT8),
        _pool,
        overlap_offsets=_overlap_offsets,
        cycles=by_core(_max_plain, mve=0.65),
    ),
    Variant(
        "max_pool_s16",
        "mq_pool.h",
        MaxPool2D,
        activations_are(DType.INT16),
        _pool,
        overlap_offsets=_overlap_offsets,
        cycles=by_core(_max_plain, mve=0.65),
    ),
    Variant(
        "avg_pool_s8",
        "mq_pool.h",
        AvgPool2D,
        activations_are(DType.INT8),
        _average,
        overlap_offsets=_overlap_offsets,
        cycles=by_core(_average_plain, mve=0.78),
    ),
    Variant(
        "avg_pool_s16",
        "mq_pool.h",
        AvgPool2D,
        activations_are(DType.INT16),
        _average,
        overlap_offsets=_overlap_offsets,
        cycles=by_core(_average_plain, mve=0.78),
    ),
)
