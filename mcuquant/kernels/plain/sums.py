"""Kernels of sums of several tensors and along an axis, and of rows of unit length."""

from __future__ import annotations

import math

from ...arithmetic.parameters import SumParams, params
from ...errors import UnsupportedOpError
from ...ir import DType
from ...ir.ops import AddN, CumSum, L2Normalization
from ..shared.overlap import elementwise
from ..shared.plain_estimates import by_core, rows
from ..variant import CALL, Arg, In, Ins, Out, Site, Struct, Value, Variant, activations_are, multiplier_fields, named

_DEEPEST_ROW = 33_025
"""Longest row whose sum of squares, 255^2 each, fits 32 bits."""


def _sum_fields(site: Site) -> dict[str, Value]:
    p: SumParams = params(site.graph, site.op)
    return {
        "x_zero": p.x_zero,
        **multiplier_fields(p.x_multiplier, "x_"),
        "y_zero": p.y_zero,
        **multiplier_fields(p.y_multiplier, "y_"),
        "act_min": p.act_min,
        "act_max": p.act_max,
    }


def _add_n(site: Site) -> tuple[Arg, ...]:
    fields: dict[str, Value] = {"sum": _sum_fields(site), "inputs": len(site.ins), "count": site.out.elements}
    return Struct("mq_add_n_t", fields), Ins(), Out()


def _add_n_cycles(site: Site) -> int:
    return CALL + round(site.out.elements * (30 + 22 * len(site.ins)))


def _cum_sum(site: Site) -> tuple[Arg, ...]:
    op, shape = site.op, site.out.shape
    assert isinstance(op, CumSum)
    fields: dict[str, Value] = {
        "sum": _sum_fields(site),
        "outer": math.prod(shape[: op.axis]),
        "size": shape[op.axis],
        "inner": math.prod(shape[op.axis + 1 :]),
        "exclusive": int(op.exclusive),
        "reverse": int(op.reverse),
    }
    return Struct("mq_cum_sum_t", fields), In(), Out()


def _cum_sum_cycles(site: Site) -> int:
    return CALL + round(45 * site.out.elements)


def _l2_normalization(site: Site) -> tuple[Arg, ...]:
    x = site.ins[0]
    depth = x.shape[-1]
    if depth > _DEEPEST_ROW:
        raise UnsupportedOpError(f"{named(site)}: its rows have {depth:,} elements, expected at most {_DEEPEST_ROW:,}")
    fields = {"rows": x.elements // depth, "depth": depth, "x_zero": x.zero_point}
    return Struct("mq_l2_normalization_t", fields), In(), Out()


_INT8 = activations_are(DType.INT8)

VARIANTS = (
    Variant("add_n_s8", "mq_sums.h", AddN, _INT8, _add_n, cycles=by_core(_add_n_cycles, 1.2, 0.8)),
    Variant("cum_sum_s8", "mq_sums.h", CumSum, _INT8, _cum_sum, cycles=by_core(_cum_sum_cycles, 1.2, 0.8)),
    Variant(
        "l2_normalization_s8",
        "mq_l2_normalization.h",
        L2Normalization,
        _INT8,
        _l2_normalization,
        overlap_offsets=elementwise,
        cycles=by_core(rows(23, 260), 1.2, 0.8),
    ),
)
