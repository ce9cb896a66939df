"""Depthwise convolution with little code on cores with SMLAD; firmware/kernels/dsp/mq_depthwise_compact.h."""

from __future__ import annotations

from functools import partial

from ...ir import DType
from ...ir.ops import DepthwiseConv2D
from ..shared import estimates
from ..shared.conv_fields import window
from ..shared.overlap import windows
from ..shared.plain_estimates import by_core
from ..shared.weighted_layer import bias, check, conv_params, in_stream, requantize_blobs, weights
from ..variant import CALL, Arg, Blob, In, Out, Scratch, Site, Variant

_TAP_BYTES = 8


def takes(site: Site) -> bool:
    """Channel multiplier 1, and weights of 8 bits as stored."""
    x, w = site.ins[:2]
    typed = x.dtype is site.out.dtype is DType.INT8 and w.bits == 8 and not in_stream(site)
    return site.core.dsp and typed and w.shape[3] == x.shape[3] and conv_params(site).acc_bits == 32


def _args(site: Site) -> tuple[Arg, ...]:
    check(site)
    w = weights(site)
    blobs = (Blob("weights", w, "x".join(map(str, w.shape))), Blob("bias", bias(site)))
    scale = requantize_blobs(conv_params(site))
    return window(site), In(), *blobs, *scale, Scratch("int32_t"), Out()


def _scratch_bytes(site: Site) -> int:
    return _TAP_BYTES * int(weights(site)[..., 0].size)


def _cycles(site: Site) -> int:
    channels = site.out.shape[3]
    taps, pixels = estimates.taps_inside(site), site.out.elements // channels
    per_mac, per_output = (5, 52) if channels % 4 == 0 else (14.5, 44)
    return CALL + 50 * pixels + 12 * taps + round(channels * (per_mac * taps + per_output * pixels))


VARIANTS = (
    Variant(
        "depthwise_compact_s8",
        "mq_depthwise_compact.h",
        DepthwiseConv2D,
        takes,
        _args,
        _scratch_bytes,
        overlap_offsets=partial(windows, buffered=False),
        cycles=by_core(_cycles, mve=0.82),
        step_bytes=700,
        shared_bytes=820,
        slower_shared=1.15,
        by_rows=True,
    ),
)
