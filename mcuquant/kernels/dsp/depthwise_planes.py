"""Depthwise convolution over planes of int16 on cores with SMLAD; firmware/kernels/dsp/mq_depthwise_planes.h."""

from __future__ import annotations

from functools import lru_cache, partial

import numpy as np

from ...arithmetic.parameters import ConvParams
from ...ir import Array, DType
from ...ir.ops import DepthwiseConv2D
from ..shared import estimates
from ..shared.requantize import TwoInstructions, two_instructions
from ..shared.weighted_layer import bias, conv_params, weights
from ..variant import Arg, Blob, Exactly, In, Out, Scratch, Shared, Site, Struct, Variant, image_fields, stride_fields

_SUM_LIMIT = 1 << 23
"""The accumulator holds 256 times the sum."""
STRIP = 6
"""Outputs per strip."""
ROW_BY_ROW = 1 << 16
BANDS = (1, 2, 4, 8, 16, ROW_BY_ROW)
"""Numbers of bands to try. More bands take less scratch, and a little more time."""

MOST_BYTES = 6144
"""Largest useful scratch in bytes: more makes the kernel no faster."""


def takes(site: Site, rounds_twice: bool = False) -> bool:
    """Windows up to 3x3, channel multiplier 1, and a requantization that is proven exact."""
    x, w = site.ins[:2]
    if not (site.core.dsp and x.dtype is site.out.dtype is DType.INT8 and w.bits == 8 and w.shape[3] == x.shape[3]):
        return False
    return _is_small_window(site) and constants(site, rounds_twice) is not None


def _is_small_window(site: Site) -> bool:
    op, (_, k_h, k_w, _) = site.op, weights(site).shape
    assert isinstance(op, DepthwiseConv2D)
    small = k_h <= 3 and k_w <= 3 and op.dilation == (1, 1)
    return small and op.stride[1] <= 2 and op.padding.left <= 1 and _last_strip_begins_inside(site)


def _last_strip_begins_inside(site: Site) -> bool:
    """The first word of a strip contains two pixels, or padding and one; the previous strip contains them too."""
    op, in_w, out_w = site.op, site.ins[0].shape[2], site.out.shape[2]
    assert isinstance(op, DepthwiseConv2D)
    used = min(in_w + op.padding.left, (out_w - 1) * op.stride[1] + 3)
    return used // 2 > (-(-out_w // STRIP) - 1) * (_row_words(site) - 1)


@lru_cache(maxsize=16)
def _requantization(site: Site) -> TwoInstructions | None:
    p = conv_params(site)
    if (p.act_min, p.act_max) != (-128, 127):
        return None
    return two_instructions(p.multipliers, p.y_zero, *channel_bounds(site, p))


@lru_cache(maxsize=16)
def _roundings(site: Site) -> Array | None:
    """m, rounding with zero point, and shift of each channel: TFLite's two roundings, if 256 times the sums fit."""
    p = conv_params(site)
    low, high = channel_bounds(site, p)
    fits = bool((low > -_SUM_LIMIT).all() and (high < _SUM_LIMIT).all())
    if (p.act_min, p.act_max) != (-128, 127) or not fits or not all(1 <= -m.shift <= 22 for m in p.multipliers):
        return None
    return np.array([(m.m, (1 << (-m.shift - 1)) + (p.y_zero << -m.shift), -m.shift) for m in p.multipliers])


def constants(site: Site, rounds_twice: bool) -> tuple[Array, Array] | None:
    """(offsets of starts from 256 times the bias, a row of constants per channel), or None if not proven."""
    if rounds_twice:
        rows = _roundings(site)
        return None if rows is None else (np.zeros(len(rows), np.int64), rows)
    factors = _requantization(site)
    return None if factors is None else (factors.start, factors.factor[:, None])


def channel_bounds(site: Site, p: ConvParams) -> tuple[Array, Array]:
    """Smallest and largest sum of every channel over all int8 inputs, including padding (which adds 0)."""
    w = weights(site).astype(np.int64).reshape(-1, len(p.multipliers))
    ends = np.stack([w * (-128 - p.x_zero), w * (127 - p.x_zero), np.zeros_like(w)])
    b = bias(site).astype(np.int64)
    return b + ends.min(axis=0).sum(axis=0), b + ends.max(axis=0).sum(axis=0)


def pack(site: Site, rounds_twice: bool = False) -> Array:
    """For each channel, w0 w1 w2 0 of each row as bytes, start, constants. Smaller windows get zero weights."""
    p, factors = conv_params(site), constants(site, rounds_twice)
    assert factors is not None
    w = weights(site)[0].transpose(2, 0, 1)
    full = np.zeros((len(w), 3, 4), np.int8)
    full[:, : w.shape[1], : w.shape[2]] = w
    folded = bias(site).astype(np.int64) - p.x_zero * full.sum(axis=(1, 2), dtype=np.int64)
    start = (folded * 256 + factors[0]).astype(np.int32)
    return np.column_stack([full.reshape(len(w), 12).view(np.int32), start, factors[1].astype(np.int32)])


def _row_words(site: Site) -> int:
    """Words of a strip's row: two pixels each, for six outputs and two more taps.

    Rows of five pixels, padded on both sides, share a column of padding and take 3.
    """
    op, in_w, out_w = site.op, site.ins[0].shape[2], site.out.shape[2]
    assert isinstance(op, DepthwiseConv2D)
    if op.stride[1] == 1:
        return 3 if in_w == out_w == 5 and op.padding.left == 1 else 4
    return STRIP + 1


def _bytes(site: Site, band: int) -> int:
    """Words of four planes of all strips."""
    op, row = site.op, _row_words(site)
    assert isinstance(op, DepthwiseConv2D)
    strip = row * ((band - 1) * op.stride[0] + 3) + (2 if row == 3 else 0)
    return 16 * -(-site.out.shape[2] // STRIP) * strip


def band(site: Site, bands: int) -> int:
    """Output rows of each band except the last, for this number of bands."""
    return -(-site.out.shape[1] // bands)


def _offered(site: Site) -> list[int]:
    """The values of BANDS with different plane heights that fit; one for a single row."""
    heights = {band(site, n): n for n in reversed(BANDS)}
    heights[1] = 1 if site.out.shape[1] == 1 else ROW_BY_ROW
    return [n for height, n in heights.items() if height == 1 or _bytes(site, height) <= MOST_BYTES]


def _args(site: Site, bands: int, rounds_twice: bool) -> tuple[Arg, ...]:
    op, x = site.op, site.ins[0]
    assert isinstance(op, DepthwiseConv2D)
    fields = {
        **image_fields(x, site.out),
        "channels": x.shape[3],
        **stride_fields(op.stride, op.padding),
        "x_zero": conv_params(site).x_zero,
        "row": _row_words(site),
        "band": band(site, bands),
    }
    stream = Blob("weights", pack(site, rounds_twice), "channel by channel, see mq_planes_strips.h")
    return Struct("mq_depthwise_planes_t", fields), In(), stream, Scratch("int32_t"), Out()


def _overlap_offsets(site: Site, bands: int) -> tuple[int | Exactly | None, ...]:
    """In place, if no output of a band overwrites an input that a later band reads; other channels are separate."""
    op, (_, in_h, in_w, _), (_, out_h, out_w, _) = site.op, site.ins[0].shape, site.out.shape
    assert isinstance(op, DepthwiseConv2D)
    rows = band(site, bands)
    first = np.arange(rows, out_h, rows)
    unread = (first * op.stride[0] - op.padding.top + max(3 - op.stride[0], 0)) * in_w
    in_place = in_h * in_w >= out_h * out_w and bool((first * out_w <= unread).all())
    return (Exactly(0) if in_place else None,)


def _cycles(site: Site, bands: int, rounds_twice: bool) -> int:
    actual = -(-site.out.shape[1] // band(site, bands))
    return estimates.depthwise_planes(site, 5 if _row_words(site) == 3 else STRIP, actual, rounds_twice)


def _variant(bands: int, rounds_twice: bool) -> Variant:
    return Variant(
        f"depthwise_planes{'_twice' * rounds_twice}_s8",
        "mq_depthwise_planes.h",
        DepthwiseConv2D,
        lambda site: takes(site, rounds_twice) and bands in _offered(site),
        partial(_args, bands=bands, rounds_twice=rounds_twice),
        lambda site: _bytes(site, band(site, bands)),
        overlap_offsets=partial(_overlap_offsets, bands=bands),
        cycles=partial(_cycles, bands=bands, rounds_twice=rounds_twice),
        step_bytes=280,
        shared_bytes=740,
        shared=(Shared("mq_planes", 2630), Shared(f"mq_planes_run{'_twice' * rounds_twice}", 2530)),
        note={1: "whole", ROW_BY_ROW: "row by row"}.get(bands, f"{bands} bands"),
        by_rows=bands == ROW_BY_ROW,
    )


VARIANTS = tuple(_variant(bands, twice) for twice in (False, True) for bands in BANDS)
