"""Convolutions on cores without SIMD; firmware/kernels/scalar/mq_conv2d_scalar.h.

On Cortex-M3 two outputs of three pixels at a time, with one multiplication for both outputs; on Armv6-M one output of
four pixels.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from ...ir import Array
from ...ir.metrics import macs
from ...ir.ops import Conv2D, FullyConnected
from ..shared import overlap
from ..shared.conv_fields import is_ungrouped, window
from ..shared.estimates import taps_inside
from ..shared.folded import by_output, clamp_fields, folded_bias, has_halves, is_int8, largest_sum, shifts_right
from ..shared.plain_estimates import STEP
from ..shared.weighted_layer import conv_params, requantize_blobs, weights
from ..variant import CALL, Arg, Blob, In, Out, Scratch, Shared, Site, Struct, Value, Variant

_SUM_LIMIT = 1 << 29
"""Limit of sums for the requantization in parts; mq_scalar_product.h."""
_MOST_TAPS = 1 << 16
"""Limit of the taps of a layer, so that sums of 16-bit products of a window fit 32 bits."""
_FOUR_MAC, _DENSE_MAC, _OUTPUT, _TAP = 5, 4, 50, 7
"""Instructions on Armv6-M of a product, of one of a fully connected layer, of an output, and of a tap."""


def is_taken(site: Site) -> bool:
    """int8 on a core without SIMD, right shifts, and sums within their limit."""
    p = conv_params(site)
    exact = shifts_right(p) and has_halves(p)
    return not site.core.dsp and is_int8(site) and exact and largest_sum(site) < _SUM_LIMIT


def is_narrow(site: Site) -> bool:
    """Armv6-M, which has no multiply-accumulate, no shifted operands, and few registers."""
    return not site.core.unaligned


def scale_blobs(site: Site) -> tuple[Blob, ...]:
    """Biases corrected for the input's zero point, multipliers, shifts."""
    return _bias(folded_bias(site)), *requantize_blobs(conv_params(site))


def _bias(folded: Array) -> Blob:
    return Blob("bias", folded.astype(np.int32))


def _rows(site: Site) -> Array:
    """Weights of each output, padded with zeros to a multiple of four."""
    w = weights(site).reshape(weights(site).shape[0], -1)
    return np.pad(w, ((0, 0), (0, -w.shape[1] % 4)))


def pack_words(site: Site) -> Array:
    """Rows of weights as int32."""
    return np.ascontiguousarray(_rows(site)).view(np.int32)


def pack_pairs(site: Site) -> Array:
    """For each pair of outputs their weights in turn, the first one's plus 128; an odd output is paired with zeros."""
    w = _rows(site)
    w = np.pad(w, ((0, len(w) % 2), (0, 0)))
    return np.stack([w[0::2] ^ np.int8(-128), w[1::2]], axis=2)


def offset_bias(site: Site) -> Array:
    """Biases for inputs that are 128 larger than stored."""
    return np.asarray(folded_bias(site) - 128 * by_output(site).sum(axis=1))


def _takes(site: Site, narrow: bool) -> bool:
    return is_taken(site) and is_narrow(site) is narrow and is_ungrouped(site) and site.ins[1].elements < _MOST_TAPS


def _three(site: Site) -> tuple[Arg, ...]:
    w = Blob("weights", pack_pairs(site), "pairs of outputs in turn, see mq_scalar_three.h")
    scale = _bias(offset_bias(site)), *requantize_blobs(conv_params(site))
    return window(site), In(), w, *scale, Scratch("uint8_t"), Out()


def _four(site: Site) -> tuple[Arg, ...]:
    w = Blob("weights", pack_words(site), "rows of whole words")
    return window(site), In(), w, *scale_blobs(site), Scratch("int32_t"), Out()


def _scratch_bytes(site: Site, pixel_bytes: int) -> int:
    return pixel_bytes * (-(-int(weights(site)[0].size) // 4) * 4)


def _overlap_offsets(site: Site, pixels: int) -> tuple[int | None, ...]:
    return overlap.windows(site, buffered=True, block=pixels)


def _four_cycles(site: Site) -> int:
    gathered = site.out.elements // site.out.shape[3] * int(weights(site)[0].size)
    return CALL + _FOUR_MAC * macs(site.graph, site.op) + _OUTPUT * site.out.elements + _TAP * gathered


def _three_cycles(site: Site) -> int:
    """Two outputs of three pixels at a time: 17 cycles for an input, and gathering the windows."""
    (outputs, k_h, k_w, depth), pixels = site.ins[1].shape, site.out.elements // site.out.shape[3]
    words, inside = -(-k_h * k_w * depth // 4), taps_inside(site) * depth
    products = -(-pixels // 3) * -(-outputs // 2) * (121 + 68 * words)
    gather = 71.5 * pixels * k_h + 10.5 * inside + 5.6 * (pixels * k_h * k_w * depth - inside)
    return STEP + round(products + 30.4 * site.out.elements + gather)


def _dense(site: Site) -> tuple[Arg, ...]:
    outputs, depth = site.ins[1].shape
    size: dict[str, Value] = {"rows": site.ins[0].elements // depth, "depth": depth, "outputs": outputs}
    struct = Struct("mq_fully_connected_scalar_t", {**size, **clamp_fields(conv_params(site))})
    return struct, In(), Blob("weights", weights(site)), *scale_blobs(site), Out()


def _dense_cycles(site: Site) -> int:
    if is_narrow(site):
        return CALL + _DENSE_MAC * macs(site.graph, site.op) + _OUTPUT * site.out.elements
    outputs, depth = site.ins[1].shape
    return 2 * STEP + round(site.ins[0].elements // depth * -(-outputs // 4) * (237 + 19.7 * depth))


VARIANTS = (
    Variant(
        "conv2d_three_s8",
        "mq_conv2d_scalar.h",
        Conv2D,
        partial(_takes, narrow=False),
        _three,
        partial(_scratch_bytes, pixel_bytes=3),
        overlap_offsets=partial(_overlap_offsets, pixels=3),
        cycles=_three_cycles,
        shared=(Shared("mq_scalar_three", 270), Shared("mq_scalar_three_pixels", 360)),
        by_rows=True,
    ),
    Variant(
        "conv2d_four_s8",
        "mq_conv2d_scalar.h",
        Conv2D,
        partial(_takes, narrow=True),
        _four,
        partial(_scratch_bytes, pixel_bytes=16),
        overlap_offsets=partial(_overlap_offsets, pixels=4),
        cycles=_four_cycles,
        shared=(Shared("mq_scalar_four", 140), Shared("mq_scalar_four_pixels", 250)),
        by_rows=True,
    ),
    Variant(
        "fully_connected_scalar_s8",
        "mq_fully_connected_scalar.h",
        FullyConnected,
        is_taken,
        _dense,
        cycles=_dense_cycles,
        step_bytes=100,
        shared=(Shared("mq_fully_connected_four", 700),),
    ),
)
