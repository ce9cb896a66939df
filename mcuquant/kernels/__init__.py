"""The kernel variants of every operation, the fastest first. A kernel is C in firmware/kernels/ and an entry here."""

from __future__ import annotations

from ..ops import Op
from . import (
    add_words,
    bitmap,
    conv,
    conv_few,
    depthwise,
    depthwise_compact,
    depthwise_mve,
    depthwise_scalar,
    elementwise,
    expanded,
    fields,
    fully_connected,
    gemm,
    gemm_sums,
    matmul,
    movement,
    mve,
    packed_gemm,
    pointwise_eight,
    pool,
    reduce,
    scalar,
    softmax,
    sparse,
    strips,
    unary,
    unpacked,
    winograd,
)
from .base import Blob, Exactly, In, Ins, Number, Out, Parts, Pooling, Record, Scratch, Site, Struct, Variant

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
    *fields.VARIANTS,
    *packed_gemm.VARIANTS,
    *unpacked.VARIANTS,
    *mve.VARIANTS,
    *depthwise_mve.VARIANTS,
    *add_words.VARIANTS,
    *conv_few.VARIANTS,
    *depthwise.VARIANTS,
    *depthwise_compact.VARIANTS,
    *fully_connected.VARIANTS,
    *pointwise_eight.VARIANTS,
    *winograd.VARIANTS,
    *gemm.VARIANTS,
    *gemm_sums.VARIANTS,
    *packed_gemm.OF_BITMAPS,
    *scalar.VARIANTS,
    *depthwise_scalar.VARIANTS,
    *expanded.expanded((*depthwise_mve.VARIANTS, *depthwise.VARIANTS, *depthwise_scalar.VARIANTS)),
    *conv.VARIANTS,
    *bitmap.VARIANTS,
    *matmul.VARIANTS,
    *pool.VARIANTS,
    *elementwise.VARIANTS,
    *unary.VARIANTS,
    *softmax.VARIANTS,
    *reduce.VARIANTS,
    *movement.VARIANTS,
)
VARIANTS = (*_OF_ONE, *strips.strips(_OF_ONE, pool.VARIANTS))


def variants_of(op: Op) -> tuple[Variant, ...]:
    """Variants for this kind of operation, in order of preference; whether one applies depends on the site."""
    return tuple(v for v in VARIANTS if isinstance(op, v.op))
