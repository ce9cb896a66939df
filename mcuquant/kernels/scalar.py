"""Convolutions on cores without SIMD; firmware/kernels/mq_conv2d_scalar.h.

On Cortex-M3 two outputs of two pixels at a time, on Armv6-M an output of four pixels.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from ..ir import Array
from ..metrics import macs
from ..ops import Conv2D
from . import overlap
from .base import Arg, Blob, In, Out, Scratch, Site, Struct, Variant
from .conv import conv_params, requantize_blobs, weights
from .cost import CALL, Shared
from .folded import folded_bias, has_halves, is_int8, largest_sum, shifts_right
from .geometry import conv2d_fields, is_pointwise, is_ungrouped, pairs_leads, pointwise_fields

_SUM_LIMIT = 1 << 29
"""Of the requantization in parts; mq_scalar_product.h."""
_PAIR_MAC, _FOUR_MAC, _OUTPUT, _TAP = 4, 5, 40, 6


def is_taken(site: Site) -> bool:
    """int8 on a core without SIMD, shifts to the right, and sums within their limit."""
    p = conv_params(site)
    exact = shifts_right(p) and has_halves(p)
    return not site.core.dsp and is_int8(site) and exact and largest_sum(site) < _SUM_LIMIT


def is_narrow(site: Site) -> bool:
    """Armv6-M, which has no multiply-accumulate and few registers."""
    return not site.core.unaligned


def scale_blobs(site: Site) -> tuple[Blob, ...]:
    """Biases with the input's zero point folded in, multipliers, shifts."""
    return Blob("bias", folded_bias(site).astype(np.int32)), *requantize_blobs(conv_params(site))


def pack_words(site: Site) -> Array:
    """Rows of weights filled up with zeros to whole words, as int32."""
    w = weights(site).reshape(weights(site).shape[0], -1)
    return np.ascontiguousarray(np.pad(w, ((0, 0), (0, -w.shape[1] % 4)))).view(np.int32)


def _takes_pointwise(site: Site) -> bool:
    return is_taken(site) and not is_narrow(site) and is_ungrouped(site) and is_pointwise(site)


def _takes_conv2d(site: Site, narrow: bool) -> bool:
    return is_taken(site) and is_narrow(site) is narrow and is_ungrouped(site)


def _pointwise(site: Site) -> tuple[Arg, ...]:
    struct = Struct("mq_pointwise_scalar_t", pointwise_fields(site))
    return struct, In(), Blob("weights", weights(site)), *scale_blobs(site), Out()


def _conv2d(site: Site, narrow: bool) -> tuple[Arg, ...]:
    struct = Struct("mq_conv2d_scalar_t", conv2d_fields(site))
    w = Blob("weights", pack_words(site), "rows of whole words") if narrow else Blob("weights", weights(site))
    return struct, In(), w, *scale_blobs(site), Scratch("int32_t" if narrow else "int8_t"), Out()


def _scratch_bytes(site: Site, narrow: bool) -> int:
    """Two windows of bytes, or four of words."""
    taps = int(weights(site)[0].size)
    return 16 * (-(-taps // 4) * 4) if narrow else 2 * taps


def _leads(site: Site, narrow: bool) -> tuple[int | None, ...]:
    return overlap.windows(site, buffered=True, block=4 if narrow else 2)


def _cycles(site: Site, mac: int) -> int:
    gathered = site.out.elements // site.out.shape[3] * int(weights(site)[0].size)
    return CALL + mac * macs(site.graph, site.op) + _OUTPUT * site.out.elements + _TAP * gathered


def _variant(name: str, narrow: bool, shared: tuple[Shared, ...]) -> Variant:
    return Variant(
        name,
        "mq_conv2d_scalar.h",
        Conv2D,
        partial(_takes_conv2d, narrow=narrow),
        partial(_conv2d, narrow=narrow),
        partial(_scratch_bytes, narrow=narrow),
        leads=partial(_leads, narrow=narrow),
        cycles=partial(_cycles, mac=_FOUR_MAC if narrow else _PAIR_MAC),
        shared=shared,
    )


_PAIR = (Shared("mq_scalar_pair", 440),)
_FOUR = (Shared("mq_scalar_four", 140), Shared("mq_scalar_four_pixels", 200))

VARIANTS = (
    Variant(
        "pointwise_pair_s8",
        "mq_pointwise_scalar.h",
        Conv2D,
        _takes_pointwise,
        _pointwise,
        leads=pairs_leads,
        cycles=partial(_cycles, mac=_PAIR_MAC),
        step_bytes=100,
        shared=_PAIR,
    ),
    _variant("conv2d_pair_s8", narrow=False, shared=_PAIR),
    _variant("conv2d_four_s8", narrow=True, shared=_FOUR),
)
