"""Kernels of softmax over rows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ...arithmetic import fixedpoint as fx
from ...arithmetic.parameters import LogSoftmaxParams, SoftmaxParams, curves, params
from ...arithmetic.parameters.reduce_parameters import DIFFERENCE_INTEGER_BITS
from ...errors import UnsupportedOpError
from ...ir import DType
from ...ir.ops import LogSoftmax, Softmax
from ..shared.overlap import elementwise
from ..shared.plain_estimates import by_core, rows
from ..variant import CALL, Arg, Blob, In, Out, Site, Struct, Takes, Variant, multiplier_fields, named

_DEEPEST = {DType.INT8: 8191, DType.INT16: 65536}
"""Longest rows whose sum of exponentials (2^19 and 2^15 each) fits 32 bits."""

_DEEPEST_LOG = 4095
_FEWEST = 512


def _struct(site: Site) -> Struct:
    p: SoftmaxParams = params(site.graph, site.op)
    x = site.ins[0]
    depth = x.shape[-1]
    if depth > _DEEPEST[x.dtype]:
        raise UnsupportedOpError(
            f"{named(site)}: its rows have {depth:,} elements, expected at most {_DEEPEST[x.dtype]:,} of {x.dtype}"
        )
    fields = {
        "rows": x.elements // depth,
        "depth": depth,
        **multiplier_fields(p.multiplier),
        "diff_min": p.diff_min,
        "act_min": p.act_min,
        "act_max": p.act_max,
    }
    return Struct("mq_softmax_t", fields)


def _int8(site: Site) -> tuple[Arg, ...]:
    return _struct(site), In(), Out()


def _table(site: Site) -> tuple[Arg, ...]:
    """Exponentials of all differences; 0 below the smallest that counts."""
    p: SoftmaxParams = params(site.graph, site.op)
    fields = _struct(site).fields
    difference = np.arange(-255, 1, dtype=np.int64)
    scaled = fx.requantize(np.maximum(difference, p.diff_min), p.multiplier.m, p.multiplier.shift)
    exp = np.where(difference >= p.diff_min, fx.exp_on_negative_values(scaled, DIFFERENCE_INTEGER_BITS), 0)
    blob = Blob("exp", exp.astype(np.int32), "exp of the differences -255 to 0, 31 fraction bits")
    struct = Struct("mq_softmax_table_t", {key: fields[key] for key in ("rows", "depth", "act_min", "act_max")})
    return struct, In(), blob, Out()


def _rows(fixed: float, each: float, row: float) -> Callable[[Site], int]:
    def cycles(site: Site) -> int:
        x = site.ins[0]
        return round(CALL + fixed + each * x.elements + row * (x.elements // x.shape[-1]))

    return cycles


def _int16(site: Site) -> tuple[Arg, ...]:
    exp = Blob("exp", np.array(curves.EXP, np.int16), "exp(x), x in 512 steps from -10 to 0, 15 fraction bits")
    reciprocal = Blob(
        "reciprocal", np.array(curves.RECIPROCAL, np.int16), "1 / (1 + x), x in 512 steps from 0 to 1, 15 fraction bits"
    )
    return _struct(site), In(), exp, reciprocal, Out()


def _log_softmax(site: Site) -> tuple[Arg, ...]:
    p: LogSoftmaxParams = params(site.graph, site.op)
    depth = site.ins[0].shape[-1]
    if depth > _DEEPEST_LOG:
        raise UnsupportedOpError(f"{named(site)}: its rows have {depth:,} elements, expected at most {_DEEPEST_LOG:,}")
    fields = {
        "rows": site.ins[0].elements // depth,
        "depth": depth,
        **multiplier_fields(p.multiplier),
        "diff_min": p.diff_min,
        **multiplier_fields(p.inverse, "inverse_"),
    }
    return Struct("mq_log_softmax_t", fields), In(), Out()


def _types(x: DType, y: DType) -> Takes:
    return lambda site: site.ins[0].dtype is x and site.out.dtype is y


def _takes_table(site: Site) -> bool:
    """int8, with at least twice as many exponentials as table entries: the table takes 1 KB of flash."""
    return site.ins[0].elements >= _FEWEST and _types(DType.INT8, DType.INT8)(site)


def _int8_cycles(site: Site) -> int:
    """Elements far below the largest of their row need no exponential: the scale indicates their number."""
    p: SoftmaxParams = params(site.graph, site.op)
    computed = min(1.0, -p.diff_min / 255)
    return rows(20 + 338 * computed, -150)(site)


_INT8_CYCLES = by_core(_int8_cycles, 1.25, 0.93)

VARIANTS = (
    Variant(
        "log_softmax_s8",
        "mq_log_softmax.h",
        LogSoftmax,
        _types(DType.INT8, DType.INT8),
        _log_softmax,
        overlap_offsets=elementwise,
        cycles=by_core(rows(203, 105), 1.35, 0.95),
    ),
    Variant(
        "softmax_table_s8",
        "mq_softmax_table.h",
        Softmax,
        _takes_table,
        _table,
        overlap_offsets=elementwise,
        cycles=_rows(0, 34, 200),
        step_bytes=320,
    ),
    Variant(
        "softmax_s8",
        "mq_softmax.h",
        Softmax,
        _types(DType.INT8, DType.INT8),
        _int8,
        overlap_offsets=elementwise,
        cycles=_INT8_CYCLES,
        step_bytes=930,
    ),
    Variant(
        "softmax_s8_s16",
        "mq_softmax.h",
        Softmax,
        _types(DType.INT8, DType.INT16),
        _int8,
        overlap_offsets=elementwise,
        cycles=_INT8_CYCLES,
    ),
    Variant(
        "softmax_s16",
        "mq_softmax.h",
        Softmax,
        _types(DType.INT16, DType.INT16),
        _int16,
        overlap_offsets=elementwise,
        cycles=by_core(rows(81, 75), 1.2, 0.85),
    ),
)
