"""Depthwise convolution on cores with MVE, with the taps of a channel side by side;
firmware/kernels/mve/mq_depthwise_mve.h.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from ...ir import Array
from ...ir.ops import DepthwiseConv2D
from ..shared.column import column_axis, column_variant
from ..shared.folded import clamp_fields, folded_bias, has_halves
from ..shared.weighted_layer import conv_params, weights
from ..variant import (
    CALL,
    Arg,
    Blob,
    Exactly,
    In,
    Out,
    Scratch,
    Shared,
    Site,
    Struct,
    Variant,
    image_fields,
    stride_fields,
)
from .product_mve import FORMS, Form, is_taken

_COLUMN = 64
"""Bytes of scratch: four rows of 16 channels."""
_LARGEST = 3
_TAPS_AT, _CHANNEL_WORDS = 5, 9
"""Start of the taps in a channel's constants in bytes, and 32-bit words of a channel."""
_MOST_PLACES = 1 << 16
"""Limit of the offsets of outputs in two rows, in bytes from the first one."""
_KERNEL_BYTES = 440
_LAYER_CYCLES, _FILL_CYCLES, _COLUMN_CYCLES, _PADDING_CYCLES, _KERNEL_CYCLES = 233, 132, 14, 38.5, 33
"""Instructions of mq_depthwise_mve.h: of a layer, of filling the columns of 16 channels, of a column inside the image
and of one in the padding, and of a call of the micro-kernel.
"""


def takes(site: Site, form: Form) -> bool:
    """Windows up to 3x3 without dilation, channel multiplier 1."""
    op, (x, w) = site.op, site.ins[:2]
    assert isinstance(op, DepthwiseConv2D)
    small = max(w.shape[1:3]) <= _LARGEST and op.dilation == (1, 1) and op.padding.left < _LARGEST
    shaped = w.shape[3] == x.shape[3] and small and op.stride[1] <= 2 and _is_near(site)
    return shaped and is_taken(site) and form.fits(conv_params(site))


def _is_near(site: Site) -> bool:
    """Outputs of two rows have 16-bit offsets."""
    _, _, out_w, channels = site.out.shape
    return _rows(site) == 1 or (out_w + 3) * channels < _MOST_PLACES


def _rows(site: Site) -> int:
    """Rows of the output that are computed together."""
    op = site.op
    assert isinstance(op, DepthwiseConv2D)
    return 2 if op.stride == (1, 1) and site.out.shape[1] > 1 else 1


def _columns(site: Site) -> int:
    """Columns of all windows of a row, at least four. A vector covers four columns; for a single row the last is
    unused.
    """
    op, width = site.op, max(site.out.shape[2], 4)
    assert isinstance(op, DepthwiseConv2D)
    return width + 2 if _rows(site) == 2 else (width - 1) * op.stride[1] + 4


def pack(site: Site) -> Array:
    """Nine int32 per channel: zeros, three columns of three weights and a zero, zeros; bias, multiplier, shift."""
    p, w = conv_params(site), weights(site)[0].transpose(2, 1, 0)
    columns = np.zeros((len(w), 3, 4), np.int8)
    columns[:, : w.shape[1], : w.shape[2]] = w
    taps = np.zeros((len(w), 4 * _CHANNEL_WORDS - 12), np.int8)
    taps[:, _TAPS_AT : _TAPS_AT + 12] = columns.reshape(len(w), 12)
    scale = np.array([(m.m, m.shift) for m in p.multipliers], np.int64)
    constants = np.column_stack([folded_bias(site), scale]).astype(np.int32)
    return np.concatenate([taps.view(np.int32), constants], axis=1)


def _args(site: Site) -> tuple[Arg, ...]:
    op, x, p = site.op, site.ins[0], conv_params(site)
    assert isinstance(op, DepthwiseConv2D)
    fields = {
        **image_fields(x, site.out),
        "channels": x.shape[3],
        **stride_fields(op.stride, op.padding),
        "columns": _columns(site),
        "buffers": _buffers(site),
        "x_zero": p.x_zero,
        **clamp_fields(p),
    }
    stream = Blob("weights", pack(site), "nine words a channel, see mq_mve_depthwise.h")
    return Struct("mq_depthwise_mve_t", fields), In(), stream, Scratch("int8_t"), Out()


def _scratch_bytes(site: Site) -> int:
    return _buffers(site) * _COLUMN * _columns(site)


def _overlap_offsets(site: Site) -> tuple[Exactly | None, ...]:
    """In place, if rows are in scratch before outputs overwrite them; other channels' bytes are separate."""
    return (Exactly(0) if any(_is_in_place(site, buffers) for buffers in (1, 2)) else None,)


def _buffers(site: Site) -> int:
    """Number of scratch buffers: two if in-place execution needs that."""
    return 2 if _is_in_place(site, 2) and not _is_in_place(site, 1) else 1


def _is_in_place(site: Site, buffers: int) -> bool:
    """Whether no output overwrites a pixel that is read later, when `buffers` - 1 further groups of rows are in
    scratch.
    """
    op, (_, in_h, in_w, _), (_, out_h, out_w, _) = site.op, site.ins[0].shape, site.out.shape
    assert isinstance(op, DepthwiseConv2D)
    first = np.minimum(np.arange(0, out_h, _rows(site)), out_h - _rows(site))
    unread = (first[buffers:] * op.stride[0] - op.padding.top) * in_w
    written = (first + _rows(site))[: len(unread)] * out_w
    return in_h * in_w >= out_h * out_w and bool((written <= unread).all())


def _cycles(site: Site, form: Form) -> int:
    op, (batch, out_h, out_w, channels), in_w = site.op, site.out.shape, site.ins[0].shape[2]
    assert isinstance(op, DepthwiseConv2D)
    calls = batch * -(-out_h // _rows(site))
    groups, fills = -(-channels // 16), calls + (batch if _buffers(site) == 2 else 0)
    pixels = min(in_w, _columns(site) - op.padding.left)
    padding = _columns(site) - pixels
    fill = _FILL_CYCLES + _COLUMN_CYCLES * pixels + _PADDING_CYCLES * padding
    kernel = _KERNEL_CYCLES * groups + channels * _channel_cycles(form, _rows(site), out_w)
    return CALL + round(_LAYER_CYCLES + groups * fills * fill + calls * kernel)


def _channel_cycles(form: Form, rows: int, out_w: int) -> int:
    """Instructions of one channel in a call of the micro-kernel: four outputs of a row or eight of two at a time; up to
    two or four columns at the end.
    """
    away = form.group  # for two vectors of four
    all_outputs, end = (28 + away, 2) if rows == 2 else (20 + (away + 1) // 2, 0)
    last = 0
    if out_w % 4:
        last = 5 + end + (18 + (away + 1) // 2 if rows == 2 and out_w % 4 <= 2 else all_outputs)
    return 17 + out_w // 4 * all_outputs + last


def _variant(form: Form) -> Variant:
    return Variant(
        f"depthwise_mve_{form.name}_s8",
        "mq_depthwise_mve.h",
        DepthwiseConv2D,
        partial(takes, form=form),
        _args,
        _scratch_bytes,
        overlap_offsets=_overlap_offsets,
        cycles=partial(_cycles, form=form),
        step_bytes=150,
        shared=(
            Shared(f"mq_mve_depthwise_pair_{form.name}", _KERNEL_BYTES),
            Shared("mq_depthwise_mve_layer", 430),
            Shared("mq_depthwise_mve_fill", 290),
            Shared("mq_mve_columns", 70),
        ),
    )


def _takes_column(site: Site) -> bool:
    return column_axis(site) is not None and is_taken(site) and has_halves(conv_params(site))


VARIANTS: tuple[Variant, ...] = (
    column_variant("mve", _takes_column, pixel=20, output=8, mac=1.65),
    *map(_variant, FORMS),
)
