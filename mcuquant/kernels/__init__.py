"""The kernel variants of every operation, the fastest first. A kernel is C in firmware/kernels/ and an entry here."""

from __future__ import annotations

from ..ir.ops import Op
from . import expanded, strips
from .dsp import (
    add_words,
    broadcast_rows,
    connected_gemm,
    conv_few_channels,
    conv_flat,
    depthwise_column,
    depthwise_compact,
    depthwise_lines,
    depthwise_planes,
    depthwise_taps,
    dot_products,
    front_end_words,
    fully_connected_eight,
    gemm,
    gemm_rows,
    gemm_sums,
    lstm_eight,
    lstm_words,
    matmul_dot,
    matmul_pairs,
    pointwise_eight,
    subpixel,
    subpixel_blocks,
    winograd,
)
from .mve import depthwise_mve, product_mve, transpose_mve
from .packed import fully_connected_fields, packed_gemm, unpacked
from .plain import (
    choices,
    conv,
    elementwise,
    lstm,
    matmul,
    movement,
    pool,
    reduce,
    reduce_running,
    row_sums,
    signal_steps,
    softmax,
    sums,
    unary,
)
from .scalar import depthwise_scalar, product_scalar
from .sparse import bitmap, sparse
from .variant import Blob, Exactly, In, Ins, Number, Out, Parts, Pooling, Record, Scratch, Site, Struct, Variant

__all__ = [
    "VARIANTS",
    "Blob",
    "Exactly",
    "In",
    "Ins",
    "Number",
    "Out",
    "Parts",
    "Pooling",
    "Record",
    "Scratch",
    "Site",
    "Struct",
    "Variant",
    "variants_of",
]

_OF_ONE: tuple[Variant, ...] = (
    *sparse.VARIANTS,
    *fully_connected_fields.VARIANTS,
    *packed_gemm.VARIANTS,
    *unpacked.VARIANTS,
    *product_mve.VARIANTS,
    *depthwise_mve.VARIANTS,
    *transpose_mve.VARIANTS,
    *add_words.VARIANTS,
    *broadcast_rows.VARIANTS,
    *conv_few_channels.VARIANTS,
    *depthwise_planes.VARIANTS,
    *depthwise_lines.VARIANTS,
    *depthwise_column.VARIANTS,
    *depthwise_taps.VARIANTS,
    *depthwise_compact.VARIANTS,
    *fully_connected_eight.VARIANTS,
    *pointwise_eight.VARIANTS,
    *winograd.VARIANTS,
    *gemm.VARIANTS,
    *connected_gemm.VARIANTS,
    *conv_flat.VARIANTS,
    *gemm_rows.VARIANTS,
    *gemm_sums.VARIANTS,
    *matmul_pairs.VARIANTS,
    *matmul_dot.VARIANTS,
    *dot_products.VARIANTS,
    *subpixel_blocks.VARIANTS,
    *subpixel.VARIANTS,
    *packed_gemm.OF_BITMAPS,
    *product_scalar.VARIANTS,
    *depthwise_scalar.VARIANTS,
    *expanded.expanded((*depthwise_mve.VARIANTS, *depthwise_planes.VARIANTS, *depthwise_scalar.VARIANTS)),
    *conv.VARIANTS,
    *bitmap.VARIANTS,
    *matmul.VARIANTS,
    *pool.VARIANTS,
    *row_sums.VARIANTS,
    *elementwise.VARIANTS,
    *choices.VARIANTS,
    *sums.VARIANTS,
    *unary.VARIANTS,
    *softmax.VARIANTS,
    *reduce.VARIANTS,
    *reduce_running.VARIANTS,
    *movement.VARIANTS,
    *lstm_eight.VARIANTS,
    *lstm_words.VARIANTS,
    *lstm.VARIANTS,
    *front_end_words.VARIANTS,
    *signal_steps.VARIANTS,
)
VARIANTS = (*_OF_ONE, *strips.strips(_OF_ONE, pool.VARIANTS))


def variants_of(op: Op) -> tuple[Variant, ...]:
    """Variants for this kind of operation, in order of preference; whether one applies depends on the site."""
    return tuple(v for v in VARIANTS if isinstance(op, v.op))
