"""Kernels over windows without weights."""

from __future__ import annotations

from ..integer import PoolParams, params
from ..ir import DType
from ..ops import AvgPool2D, MaxPool2D, Pool
from .base import Arg, In, Out, Site, Struct, Variant, activations_are, image_fields, stride_fields


def _pool(site: Site) -> tuple[Arg, ...]:
    op, x = site.op, site.ins[0]
    p = params(site.graph, op)
    assert isinstance(op, Pool)
    assert isinstance(p, PoolParams)
    fields = {
        **image_fields(x, site.out),
        "channels": x.shape[3],
        "k_h": op.window[0],
        "k_w": op.window[1],
        **stride_fields(op.stride, op.padding),
        "act_min": p.act_min,
        "act_max": p.act_max,
    }
    return Struct("mq_pool_t", fields), In(), Out()


VARIANTS = (
    Variant("max_pool_s8", "mq_pool.h", MaxPool2D, activations_are(DType.INT8), _pool),
    Variant("avg_pool_s8", "mq_pool.h", AvgPool2D, activations_are(DType.INT8), _pool),
)
