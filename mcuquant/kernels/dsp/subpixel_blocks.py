"""Transposed convolutions whose window is the stride, as matrix products; firmware/kernels/dsp/mq_subpixel_gemm.h.

Each input pixel gives a block of output pixels: a pointwise convolution with an output for each channel of each pixel
of the block.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np

from ...ir import Graph, QParams, Role, Tensor
from ...ir.ops import Conv2D, TransposeConv
from ..shared.moving_estimates import STEP
from ..shared.plain_estimates import by_core
from ..variant import Arg, In, Out, Scratch, Site, Struct, Value, Variant
from . import gemm


def _gives_blocks(site: Site) -> bool:
    """Whether blocks neither overlap nor are cut."""
    op, (x, w), y = site.op, site.ins[:2], site.out
    assert isinstance(op, TransposeConv)
    whole = tuple(n * s for n, s in zip(x.shape[1:3], op.stride, strict=True)) == y.shape[1:3]
    return w.is_constant and w.shape[1:3] == op.stride and whole and not op.padding.any


@lru_cache(maxsize=16)
def _as_pointwise(site: Site) -> Site:
    """The convolution of a row of pixels that gives the blocks of the row."""
    op, x, w, y = site.op, site.ins[0], site.ins[1], site.out
    assert isinstance(op, TransposeConv)
    count = op.stride[0] * op.stride[1]
    row = replace(x, id=0, shape=(1, 1, x.shape[2], x.shape[3]), role=Role.INPUT, data=None)
    blocks = replace(y, id=3, shape=(1, 1, x.shape[2], count * y.shape[3]), role=Role.ACTIVATION)
    inputs = [0, 1]
    tensors = {0: row, 1: _repeated_weights(w, count), 3: blocks}
    if len(site.ins) > 2:
        b = site.ins[2]
        tensors[2] = replace(b, id=2, shape=(count * b.elements,), data=np.tile(b.value, count), q=_tiled(b.q, count))
        inputs.append(2)
    conv = Conv2D(inputs=tuple(inputs), outputs=(3,), activation=op.activation)
    return Site(Graph("blocks", tensors, (conv,), (0,), (3,)), conv, site.core)


def _repeated_weights(w: Tensor, count: int) -> Tensor:
    """The outputs of the first pixel of the block, of the second, and so on."""
    data = np.ascontiguousarray(w.value.transpose(1, 2, 0, 3).reshape(-1, 1, 1, w.shape[3]))
    return replace(w, id=1, shape=data.shape, data=data, q=_tiled(w.q, count))


def _tiled(q: QParams | None, count: int) -> QParams | None:
    return q if q is None or q.axis is None else replace(q, scale=q.scale * count)


def _takes(site: Site, product: Variant) -> bool:
    return gemm.is_taken(site) and _gives_blocks(site) and product.applies(_as_pointwise(site))


def _args(site: Site, product: Variant) -> tuple[Arg, ...]:
    op = site.op
    assert isinstance(op, TransposeConv)
    row = _as_pointwise(site)
    struct, _, stream, *_ = product.args(row)
    assert isinstance(struct, Struct)
    x, y = site.ins[0], site.out
    fields: dict[str, Value] = {
        "row": struct.fields,
        "rows": x.shape[0] * x.shape[1],
        "block_h": op.stride[0],
        "block_bytes": op.stride[1] * y.shape[3],
    }
    own = product.scratch_bytes(row)
    return Struct("mq_subpixel_gemm_t", fields), In(), stream, Scratch("int32_t"), Scratch("int8_t", own), Out()


def _scratch_bytes(site: Site, product: Variant) -> int:
    row = _as_pointwise(site)
    return product.scratch_bytes(row) + row.out.elements


def _cycles(site: Site, product: Variant) -> int:
    op, x = site.op, site.ins[0]
    assert isinstance(op, TransposeConv)
    copies = x.elements // x.shape[3] * op.stride[0]
    copied = copies * 30 + 0.6 * site.out.elements
    return STEP + round(x.shape[0] * x.shape[1] * product.cycles(_as_pointwise(site)) + copied)


def _variant(product: Variant) -> Variant:
    return Variant(
        product.name.replace("pointwise", "subpixel"),
        "mq_subpixel_gemm.h",
        TransposeConv,
        lambda site: _takes(site, product),
        lambda site: _args(site, product),
        lambda site: _scratch_bytes(site, product),
        cycles=by_core(lambda site: _cycles(site, product), mve=0.71),
        step_bytes=product.step_bytes + 120,
        shared_bytes=product.shared_bytes + 120,
        shared=product.shared,
    )


VARIANTS = tuple(_variant(v) for v in gemm.VARIANTS if v.name.startswith("pointwise"))
