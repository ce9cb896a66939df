"""Depthwise convolution on cores without SIMD, channel by channel; firmware/kernels/scalar/mq_depthwise_scalar.h."""

from __future__ import annotations

import numpy as np

from ...ir import Array
from ...ir.ops import DepthwiseConv2D
from ..shared.column import column_axis, column_variant
from ..shared.folded import clamp_fields
from ..shared.weighted_layer import conv_params, weights
from ..variant import CALL, Arg, Blob, Exactly, In, Out, Scratch, Site, Struct, Variant, image_fields, stride_fields
from .product_scalar import is_narrow, is_taken, scale_blobs

_WIDTH = 3
"""Maximum width of windows."""
_COPY, _MAC, _OUTPUT = 8, 4, 45
"""Instructions on Armv6-M of an input, a tap and an output."""


def takes(site: Site) -> bool:
    """Windows up to three wide without dilation, channel multiplier 1."""
    op, (x, w) = site.op, site.ins[:2]
    assert isinstance(op, DepthwiseConv2D)
    shaped = w.shape[3] == x.shape[3] and w.shape[2] <= _WIDTH and op.dilation == (1, 1)
    height, width = _plane(site)
    return shaped and op.padding.top < height and op.padding.left < width and is_taken(site)


def _plane(site: Site) -> tuple[int, int]:
    """Rows and columns of all windows, with a width of three."""
    op, (_, out_h, out_w, _) = site.op, site.out.shape
    assert isinstance(op, DepthwiseConv2D)
    return (out_h - 1) * op.stride[0] + site.ins[1].shape[1], (out_w - 1) * op.stride[1] + _WIDTH


def pack(site: Site) -> Array:
    """For each channel the rows of its window, padded to three weights."""
    w = weights(site)[0].transpose(2, 0, 1)
    return np.pad(w, ((0, 0), (0, 0), (0, _WIDTH - w.shape[2])))


def _args(site: Site) -> tuple[Arg, ...]:
    op, x, p = site.op, site.ins[0], conv_params(site)
    assert isinstance(op, DepthwiseConv2D)
    fields = {
        **image_fields(x, site.out),
        "channels": x.shape[3],
        "k_h": site.ins[1].shape[1],
        **stride_fields(op.stride, op.padding),
        "x_zero": p.x_zero,
        **clamp_fields(p),
    }
    w = Blob("weights", pack(site), "rows of three, channel by channel")
    return Struct("mq_depthwise_scalar_t", fields), In(), w, *scale_blobs(site), Scratch("int8_t"), Out()


def _scratch_bytes(site: Site) -> int:
    height, width = _plane(site)
    return height * width


def _overlap_offsets(site: Site) -> tuple[Exactly | None, ...]:
    """In place: a channel is in scratch before its outputs are written, which overwrite no other channel."""
    (batch, in_h, in_w, _), (_, out_h, out_w, _) = site.ins[0].shape, site.out.shape
    return (Exactly(0) if batch == 1 or out_h * out_w <= in_h * in_w else None,)


def _cycles(site: Site) -> int:
    if is_narrow(site):
        taps = int(weights(site)[0, :, :, 0].size)
        return CALL + _COPY * site.ins[0].elements + (_MAC * taps + _OUTPUT) * site.out.elements
    return CALL + site.out.shape[0] * site.out.shape[3] * round(_channel_cycles(site))


def _channel_cycles(site: Site) -> float:
    """Cycles of a channel on Cortex-M3: copying it, outputs by four and single ones."""
    op, (_, in_h, in_w, _), (_, out_h, out_w, _) = site.op, site.ins[0].shape, site.out.shape
    assert isinstance(op, DepthwiseConv2D)
    (height, width), k_h = _plane(site), site.ins[1].shape[1]
    copied = min(in_h, height - op.padding.top) * min(in_w, width - op.padding.left)
    four, one = 136 + 60 * (k_h - 1), 50 + 22 * (k_h - 1) - (10 if k_h == 1 else 0)
    return 90 + 8.6 * copied + out_h * (out_w // 4 * four + out_w % 4 * one)


def _takes_column(site: Site) -> bool:
    return column_axis(site) is not None and is_taken(site)


VARIANTS = (
    column_variant("scalar", _takes_column, pixel=20, output=18, mac=7.2),
    Variant(
        "depthwise_scalar_s8",
        "mq_depthwise_scalar.h",
        DepthwiseConv2D,
        takes,
        _args,
        _scratch_bytes,
        overlap_offsets=_overlap_offsets,
        cycles=_cycles,
        step_bytes=700,
    ),
)
