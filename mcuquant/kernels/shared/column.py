"""Depthwise windows along one column or row of pixels, all inside the image."""

from __future__ import annotations

from functools import partial

import numpy as np

from ...ir.ops import DepthwiseConv2D
from ..variant import CALL, Arg, Blob, In, Out, Site, Struct, Takes, Value, Variant
from .folded import clamp_fields, folded_bias
from .overlap import windows
from .weighted_layer import conv_params, requantize_blobs, weights


def column_axis(site: Site) -> int | None:
    """The axis of the image along which the windows lie, 1 or 2; None if there are two, or padding is reached."""
    op, (x, w), y = site.op, site.ins[:2], site.out
    if not isinstance(op, DepthwiseConv2D) or op.padding.top or op.padding.left:
        return None
    across = [axis for axis in (1, 2) if x.shape[axis] == w.shape[axis] == y.shape[axis] == 1]
    if not across or x.shape[0] != 1 or w.shape[3] != x.shape[3]:
        return None
    axis = 3 - across[-1]
    stride, dilation = op.stride[axis - 1], op.dilation[axis - 1]
    reach = (y.shape[axis] - 1) * stride + (w.shape[axis] - 1) * dilation
    return axis if reach < x.shape[axis] else None


def column_fields(site: Site) -> dict[str, int]:
    """Fields of `mq_column_t`; for sites with an axis."""
    axis, op, channels = column_axis(site), site.op, site.ins[0].shape[3]
    assert axis is not None
    assert isinstance(op, DepthwiseConv2D)
    return {
        "outputs": site.out.shape[axis],
        "taps": site.ins[1].shape[axis],
        "channels": channels,
        "tap_bytes": op.dilation[axis - 1] * channels,
        "output_bytes": op.stride[axis - 1] * channels,
    }


def column_args(site: Site) -> tuple[Arg, ...]:
    """The arguments of the kernels for cores without SIMD and with MVE: `mq_column_layer_t`, weights of all channels
    for each tap, biases corrected for the input's zero point, multipliers, shifts.
    """
    p, w = conv_params(site), weights(site).reshape(-1, site.ins[0].shape[3])
    fields: dict[str, Value] = {**column_fields(site), **clamp_fields(p)}
    blobs = Blob("weights", w, "all channels of each tap"), Blob("bias", folded_bias(site).astype(np.int32))
    return Struct("mq_column_layer_t", fields), In(), *blobs, *requantize_blobs(p), Out()


def column_variant(name: str, takes: Takes, pixel: float, output: float, mac: float) -> Variant:
    """A kernel with these arguments. Its costs in cycles are those of a pixel, of an output and of a product."""

    def cycles(site: Site) -> int:
        f = column_fields(site)
        return CALL + round(f["outputs"] * (pixel + f["channels"] * (output + mac * f["taps"])))

    return Variant(
        f"depthwise_column_{name}_s8",
        f"mq_depthwise_column_{name}.h",
        DepthwiseConv2D,
        takes,
        column_args,
        overlap_offsets=partial(windows, buffered=False),
        cycles=cycles,
        step_bytes=330,
    )
