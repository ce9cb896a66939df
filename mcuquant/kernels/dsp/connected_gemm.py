"""Fully connected layers over many rows as matrix products of three rows at a time, which are pointwise convolutions of
a line of pixels; firmware/kernels/dsp/mq_pointwise_gemm.h.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

from ...ir import DType, Graph, Role
from ...ir.ops import Conv2D, FullyConnected
from ..variant import Site, Variant
from . import gemm

LEAST_ROWS = gemm.PIXELS


def _has_rows(site: Site) -> bool:
    x, w = site.ins[:2]
    typed = x.dtype is site.out.dtype is DType.INT8 and w.is_constant and w.bits == 8
    return typed and x.elements >= LEAST_ROWS * w.shape[1]


@lru_cache(maxsize=16)
def _as_pointwise(site: Site) -> Site:
    """The same layer as a convolution over a line of pixels."""
    op, (x, w), y = site.op, site.ins[:2], site.out
    assert isinstance(op, FullyConnected)
    outputs, depth = w.shape
    rows = x.elements // depth
    kernel = w.value.reshape(outputs, 1, 1, depth)
    tensors = {
        0: replace(x, id=0, shape=(1, 1, rows, depth), role=Role.INPUT, data=None),
        1: replace(w, id=1, shape=kernel.shape, data=kernel),
        3: replace(y, id=3, shape=(1, 1, rows, outputs), role=Role.ACTIVATION),
    }
    if len(site.ins) > 2:
        tensors[2] = replace(site.ins[2], id=2)
    inputs = tuple(range(len(site.ins)))
    conv = Conv2D(inputs=inputs, outputs=(3,), activation=op.activation, single_factor=op.single_factor)
    return Site(Graph("rows", tensors, (conv,), (0,), (3,)), conv, site.core)


def _variant(product: Variant) -> Variant:
    return replace(
        product,
        op=FullyConnected,
        takes=lambda site: _has_rows(site) and product.applies(_as_pointwise(site)),
        args=lambda site: product.args(_as_pointwise(site)),
        scratch_bytes=lambda site: product.scratch_bytes(_as_pointwise(site)),
        overlap_offsets=lambda site: product.overlap_offsets(_as_pointwise(site)),
        cycles=lambda site: product.cycles(_as_pointwise(site)),
    )


VARIANTS = tuple(_variant(v) for v in gemm.VARIANTS if v.name.startswith("pointwise"))
