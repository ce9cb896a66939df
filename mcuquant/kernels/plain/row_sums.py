"""Averages over an image whose rows come one by one; firmware/kernels/plain/mq_row_sums.h."""

from __future__ import annotations

from dataclasses import replace

from ...arithmetic.parameters import MeanParams, PoolParams, params
from ...ir import DType, Graph
from ...ir.ops import AvgPool2D
from ...ir.row_ops import OfSums, RowSum
from ..shared.rescale import pooled_fields
from ..variant import CALL, Arg, In, Out, Site, Struct, Value, Variant, multiplier_fields


def _sums(site: Site) -> tuple[Arg, ...]:
    *_, width, channels = site.ins[0].shape
    return Struct("mq_row_sums_t", {"pixels": width, "channels": channels}), In(), Out()


def _sum_cycles(site: Site) -> int:
    return CALL + round(4.5 * site.ins[0].elements + 10 * site.out.elements)


def _reduction(site: Site) -> OfSums:
    assert isinstance(site.op, OfSums)
    return site.op


def _is_average(site: Site) -> bool:
    return site.out.dtype is DType.INT8 and isinstance(_reduction(site).reduction, AvgPool2D)


def _is_mean(site: Site) -> bool:
    return site.out.dtype is DType.INT8 and not isinstance(_reduction(site).reduction, AvgPool2D)


def _whole(site: Site) -> Graph:
    """The graph in which the reduction reads its whole image."""
    op = _reduction(site)
    x = replace(site.graph[op.reduction.inputs[0]], shape=op.shape)
    return replace(site.graph, tensors={**site.graph.tensors, x.id: x})


def _average(site: Site) -> tuple[Arg, ...]:
    op = _reduction(site)
    p: PoolParams = params(_whole(site), op.reduction)
    fields: dict[str, Value] = {"channels": site.out.elements, "count": op.count, "rescale": pooled_fields(site, p)}
    return Struct("mq_average_of_sums_t", fields), In(), Out()


def _mean(site: Site) -> tuple[Arg, ...]:
    p: MeanParams = params(_whole(site), _reduction(site).reduction)
    fields = {
        "channels": site.out.elements,
        "offset": -p.count * p.x_zero,
        "y_zero": p.y_zero,
        **multiplier_fields(p.multiplier),
        "act_min": p.act_min,
        "act_max": p.act_max,
    }
    return Struct("mq_mean_of_sums_t", fields), In(), Out()


def _finish_cycles(site: Site) -> int:
    return CALL + 30 * site.out.elements


VARIANTS = (
    Variant(
        "row_sums_s8",
        "mq_row_sums.h",
        RowSum,
        lambda site: site.ins[0].dtype is DType.INT8,
        _sums,
        cycles=_sum_cycles,
        step_bytes=60,
    ),
    Variant(
        "average_of_sums_s8", "mq_row_sums.h", OfSums, _is_average, _average, cycles=_finish_cycles, step_bytes=120
    ),
    Variant("mean_of_sums_s8", "mq_row_sums.h", OfSums, _is_mean, _mean, cycles=_finish_cycles, step_bytes=140),
)
