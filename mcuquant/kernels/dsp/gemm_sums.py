"""Convolutions as matrix products where `gemm` has no proof: full sums, requantized in C; mq_gemm_sums.h."""

from __future__ import annotations

import numpy as np

from ...ir import Array
from ...ir.ops import Conv2D
from ..shared import estimates, overlap
from ..shared.conv_fields import window
from ..shared.weighted_layer import bias, check, conv_params, requantize_blobs, weights
from ..variant import Arg, Blob, In, Out, Scratch, Shared, Site, Variant
from .gemm import PIXELS, in_turn, is_taken, padded


def pack(site: Site) -> Array:
    """Weight words of each pair of outputs in turn, as int32; an odd output is paired with itself."""
    w = padded(weights(site).reshape(weights(site).shape[0], -1))
    words = np.ascontiguousarray(w).view(np.int32)
    return np.concatenate([in_turn(words, i) for i in range(0, len(w), 2)])


def folded_bias(site: Site) -> Array:
    """Initial value of sum(w * x), modulo 2^32: the biases, corrected for the input's zero point."""
    sums = site.ins[1].integer_values.astype(np.int64).reshape(len(weights(site)), -1).sum(axis=1)
    folded = bias(site).astype(np.int64) - conv_params(site).x_zero * sums
    return np.asarray(folded.astype(np.uint64).astype(np.uint32).view(np.int32))


def _scratch_bytes(site: Site) -> int:
    """Scratch: a block, a window as bytes, and the sums of a block."""
    words = -(-int(weights(site)[0].size) // 4)
    outputs = site.out.shape[3]
    return 4 * ((2 * PIXELS + 1) * words + PIXELS * (outputs + outputs % 2))


def _args(site: Site) -> tuple[Arg, ...]:
    check(site)
    p = conv_params(site)
    blobs = (
        Blob("weights", pack(site), "packed in pairs of outputs, see mq_gemm_sums.h"),
        Blob("bias", folded_bias(site)),
        *requantize_blobs(p),
    )
    return window(site), In(), *blobs, Scratch("int32_t"), Out()


def _overlap_offsets(site: Site) -> tuple[int | None, ...]:
    return overlap.windows(site, buffered=True, block=PIXELS)


VARIANTS = (
    Variant(
        "conv2d_sums_s8",
        "mq_conv2d_sums.h",
        Conv2D,
        is_taken,
        _args,
        _scratch_bytes,
        overlap_offsets=_overlap_offsets,
        cycles=estimates.gemm_sums,
        step_bytes=700,
        shared_bytes=1000,
        shared=(Shared("mq_gemm_sums", 162),),
        by_rows=True,
    ),
)
