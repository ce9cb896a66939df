"""Transposed convolutions as convolutions between the pixels, with SMLAD; firmware/kernels/dsp/mq_subpixel_dot.h.

Outputs a stride apart along both axes (a phase) read the same taps of the weights; each phase is a convolution of
stride 1. W. Shi et al., "Real-Time Single Image and Video Super-Resolution" (CVPR 2016), section 3.2.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ...ir import Array
from ...ir.ops import TransposeConv
from ..shared.weighted_layer import bias, conv_params, weights
from ..variant import CALL, Arg, Blob, In, Out, Scratch, Site, Struct, Variant, image_fields, stride_fields
from . import dot_products
from .dot_products import DOT, dot_cycles


def _takes(site: Site) -> bool:
    op, w = site.op, site.ins[1]
    assert isinstance(op, TransposeConv)
    fits = all(k >= s for k, s in zip(w.shape[1:3], op.stride, strict=True))
    return fits and dot_products.takes(site)


def _phases(site: Site) -> Iterator[Array]:
    """The weights of each phase as (outputs, rows, bytes of a row of whole words), taps from the earliest pixel on."""
    op, w = site.op, weights(site)
    assert isinstance(op, TransposeConv)
    for phase_h in range(op.stride[0]):
        for phase_w in range(op.stride[1]):
            taps = w[:, phase_h :: op.stride[0], phase_w :: op.stride[1]][:, ::-1, ::-1]
            rows = taps.reshape(*taps.shape[:2], -1)
            yield np.pad(rows, ((0, 0), (0, 0), (0, -rows.shape[2] % 4)))


def _args(site: Site) -> tuple[Arg, ...]:
    op, x, y = site.op, site.ins[0], site.out
    assert isinstance(op, TransposeConv)
    w = weights(site)
    fields = {
        **image_fields(x, y),
        "in_c": x.shape[3],
        "out_c": w.shape[0],
        "k_h": w.shape[1],
        "k_w": w.shape[2],
        **stride_fields(op.stride, op.padding),
        "x_zero": conv_params(site).x_zero,
    }
    flat = [rows.reshape(len(rows), -1) for rows in _phases(site)]
    packed = np.concatenate([dot_products.pack(rows) for rows in flat])
    return (
        Struct("mq_subpixel_t", fields),
        In(),
        Blob("weights", packed, "phase after phase, four, two and one outputs in turn, see mq_dot.h"),
        Blob("scale", np.concatenate([_scale(site, rows) for rows in flat]), "starts, then m, rounding, shift"),
        Scratch("int32_t"),
        Out(),
    )


def _scale(site: Site, rows: Array) -> Array:
    starts = bias(site).astype(np.int64) - conv_params(site).x_zero * rows.sum(axis=1, dtype=np.int64)
    return np.asarray(dot_products.scale_blob(site, starts=starts).data)


def _scratch_bytes(site: Site) -> int:
    return max(int(rows[0].size) for rows in _phases(site))


def _cycles(site: Site) -> int:
    """A window is gathered for each pixel."""
    outputs = site.out.shape[3]
    phases = [rows.shape[1:] for rows in _phases(site)]
    pixels = site.out.elements // outputs / len(phases)
    is_words = site.ins[0].shape[3] % 4 == 0
    each: float = sum(
        90 + rows * (14 + (3.2 if is_words else 6.5) * nbytes / 4) + dot_cycles(rows * nbytes // 4, outputs)
        for rows, nbytes in phases
    )
    return CALL + round(pixels * each)


VARIANTS = (
    Variant(
        "subpixel_dot_s8",
        "mq_subpixel_dot.h",
        TransposeConv,
        _takes,
        _args,
        _scratch_bytes,
        cycles=_cycles,
        step_bytes=700,
        shared_bytes=900,
        shared=DOT,
    ),
)
