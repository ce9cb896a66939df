"""Reductions over rows of a stream whose sums continue: firmware/kernels/plain/mq_running_sum.h and
dsp/mq_running_words.h.
"""

from __future__ import annotations

from functools import partial

from ...arithmetic.parameters import MeanParams, PoolParams, params
from ...ir import DType
from ...ir.ops import AvgPool2D
from ...ir.running_sum import RunningSum
from ..shared.rescale import pooled_fields
from ..variant import (
    CALL,
    Arg,
    In,
    Out,
    Site,
    Struct,
    Value,
    Variant,
    check_sums,
    multiplier_fields,
    span,
)

_ELEMENT, _CHANNEL = 8, 18
_WORDS_ELEMENT, _WORDS_CHANNEL = 1.5, 44
"""Cycles of plain C, and of four channels at a time: of an element that is added or subtracted, and of a sum that is
rescaled and kept.
"""


def _op(site: Site) -> RunningSum:
    assert isinstance(site.op, RunningSum)
    return site.op


def _shape(site: Site) -> dict[str, Value]:
    op, x, channels = _op(site), site.ins[0], site.out.elements
    rows = x.shape[op.axis]
    pixels = x.elements // rows // channels
    span = {"start": op.start, "stop": op.stop, "step": op.step}
    return {"rows": rows, "pixels": pixels, "channels": channels, **span}


def _fits(site: Site, zero_point: int) -> None:
    """The sum of all elements minus a zero point, and half their number more, fits 32 bits."""
    (low, high), count = span(site.ins[0], zero_point), site.ins[0].elements // site.out.elements
    check_sums(site, count * low - count // 2, count * high + count // 2, 32)


def _mean(site: Site) -> tuple[Arg, ...]:
    p = params(site.graph, _op(site).reduction)
    assert isinstance(p, MeanParams)
    _fits(site, p.x_zero)
    fields = {
        "shape": _shape(site),
        "x_sum": p.count * p.x_zero,
        "y_zero": p.y_zero,
        **multiplier_fields(p.multiplier),
        "act_min": p.act_min,
        "act_max": p.act_max,
    }
    return Struct("mq_running_mean_t", fields), In(0), In(1), Out(0), Out(1)


def _pool(site: Site) -> tuple[Arg, ...]:
    p = params(site.graph, _op(site).reduction)
    assert isinstance(p, PoolParams)
    _fits(site, 0)
    fields = {"shape": _shape(site), "rescale": pooled_fields(site, p)}
    return Struct("mq_running_pool_t", fields), In(0), In(1), Out(0), Out(1)


def _takes(site: Site, is_pool: bool, dtype: DType) -> bool:
    return isinstance(_op(site).reduction, AvgPool2D) is is_pool and site.ins[0].dtype is site.out.dtype is dtype


def _is_words(site: Site, is_pool: bool) -> bool:
    """Channels are whole words, which are read four at a time."""
    return site.core.dsp and site.out.elements % 4 == 0 and _takes(site, is_pool, DType.INT8)


def _cycles(site: Site, element: float, channel: float) -> int:
    op, x, channels = _op(site), site.ins[0], site.out.elements
    rows = x.shape[op.axis] - (op.stop - op.start) + op.step
    return CALL + round(channels * channel + element * rows * x.elements / x.shape[op.axis])


_KINDS = (("mean", _mean), ("pool", _pool))

VARIANTS = (
    *(
        Variant(
            f"running_{name}_words_s8",
            "mq_running_words.h",
            RunningSum,
            partial(_is_words, is_pool=name == "pool"),
            args,
            cycles=partial(_cycles, element=_WORDS_ELEMENT, channel=_WORDS_CHANNEL),
        )
        for name, args in _KINDS
    ),
    *(
        Variant(
            f"running_{name}_{suffix}",
            "mq_running_sum.h",
            RunningSum,
            partial(_takes, is_pool=name == "pool", dtype=dtype),
            args,
            cycles=partial(_cycles, element=_ELEMENT, channel=_CHANNEL),
        )
        for name, args in _KINDS
        for suffix, dtype in (("s8", DType.INT8), ("s16", DType.INT16))
    ),
)
