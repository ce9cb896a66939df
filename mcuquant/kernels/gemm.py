"""Convolutions as matrix products on cores with SMLAD: packing, and the proofs that the fast form is exact."""

from __future__ import annotations

import numpy as np

from ..integer import ConvParams
from ..ir import Array, DType
from ..ops import Conv2D
from . import overlap
from .base import Arg, Blob, In, Out, Scratch, Site, Struct, Variant, image_fields, stride_fields
from .conv import bias, conv_params, weights

ACC_LIMIT = 1 << 23
"""The accumulator holds 256 times the sum."""


def sum_bounds(site: Site) -> tuple[Array, Array]:
    """Least and greatest bias + sum(w * (x - x_zero)) of every output channel over all int8 inputs; padding adds 0."""
    p = conv_params(site)
    w = weights(site).astype(np.int64).reshape(len(p.multipliers), -1)
    ends = np.stack([w * (-128 - p.x_zero), w * (127 - p.x_zero)])
    b = bias(site).astype(np.int64)
    return b + np.minimum(ends.min(axis=0), 0).sum(axis=1), b + np.maximum(ends.max(axis=0), 0).sum(axis=1)


def shifts_right(p: ConvParams) -> bool:
    """Every channel has the six-instruction requantization: a right shift of 1 to 22, and no clamp but int8's."""
    return all(1 <= -m.shift <= 22 for m in p.multipliers) and (p.act_min, p.act_max) == (-128, 127)


def takes(site: Site) -> bool:
    x, w = site.ins[:2]
    if not (site.core.dsp and x.dtype is site.out.dtype is DType.INT8 and w.bits == 8 and w.shape[3] == x.shape[3]):
        return False
    p = conv_params(site)
    low, high = sum_bounds(site)
    return p.w_zero == 0 and shifts_right(p) and bool((low > -ACC_LIMIT).all() and (high < ACC_LIMIT).all())


def pack(site: Site) -> Array:
    """The stream of mq_gemm.h as int32: for each pair of outputs its biases, weight words in turn and constants."""
    p = conv_params(site)
    w = _padded(weights(site).reshape(len(p.multipliers), -1))
    folded = bias(site).astype(np.int64) - p.x_zero * w.sum(axis=1, dtype=np.int64)
    start = (folded + 127 * w[:, 1::2].sum(axis=1, dtype=np.int64)) * 256
    words = _offset_even(w).view(np.int32)
    constants = np.array([(m.m, _rounding(-m.shift, p.y_zero), -m.shift) for m in p.multipliers], np.int64)
    rows = [_pair(start, words, constants, i) for i in range(0, len(w), 2)]
    return np.concatenate(rows).astype(np.uint64).astype(np.uint32).view(np.int32)


def _pair(start: Array, words: Array, constants: Array, i: int) -> Array:
    j = min(i + 1, len(words) - 1)
    return np.concatenate(
        [start[[i, j]], np.stack([words[i], words[j]], axis=1).ravel().astype(np.int64), constants[[i, j]].ravel()]
    )


def _padded(w: Array) -> Array:
    """Rows filled with zeros to whole words."""
    return np.pad(w, ((0, 0), (0, -w.shape[1] % 4)))


def _offset_even(w: Array) -> Array:
    """Even bytes offset by 128, odd ones as they are."""
    packed = w.astype(np.int16)
    packed[:, 0::2] += 128
    return np.ascontiguousarray(packed.astype(np.uint16).astype(np.uint8))


def _rounding(shift: int, y_zero: int) -> int:
    return (1 << (shift - 1)) + (y_zero << shift)


def _words(site: Site) -> int:
    return -(-int(weights(site)[0].size) // 4)


def _scratch_bytes(site: Site) -> int:
    return _words(site) * (16 if site.ins[0].shape[3] % 4 == 0 else 20)


def _args(site: Site) -> tuple[Arg, ...]:
    op, (x, w) = site.op, site.ins[:2]
    assert isinstance(op, Conv2D)
    fields = {
        **image_fields(x, site.out),
        "in_c": x.shape[3],
        "out_c": w.shape[0],
        "k_h": w.shape[1],
        "k_w": w.shape[2],
        **stride_fields(op.stride, op.padding),
        "dilation_h": op.dilation[0],
        "dilation_w": op.dilation[1],
        "x_zero": conv_params(site).x_zero,
    }
    stream = Blob("weights", pack(site), "packed in pairs of outputs, see mq_gemm.h")
    return Struct("mq_conv2d_gemm_t", fields), In(), stream, Scratch("int32_t"), Out()


def _leads(site: Site) -> tuple[int | None, ...]:
    return overlap.windows(site, buffered=True, block=2)


VARIANTS = (Variant("conv2d_gemm_s8", "mq_conv2d_gemm.h", Conv2D, takes, _args, _scratch_bytes, _leads),)
