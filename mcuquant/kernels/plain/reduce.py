"""Kernels over axes: mean, maximum, place of the maximum."""

from __future__ import annotations

import math
from functools import partial

from ...arithmetic.parameters import MeanParams, PoolParams, params
from ...ir import DType, Op
from ...ir.ops import ArgMax, Mean, Reduce, ReduceMax, ReduceMin, Sum
from ..shared.axes import columns, merged, strides
from ..shared.overlap import FREE
from ..shared.plain_estimates import STEP, argmax, by_core, reduced
from ..shared.rescale import pooled_fields
from ..variant import (
    CALL,
    Arg,
    Args,
    Cycles,
    In,
    Out,
    Scratch,
    Site,
    Struct,
    Takes,
    Value,
    Variant,
    check_sums,
    multiplier_fields,
    span,
)

REDUCE_AXES = 3
MOST_PIXELS = 256
"""Pixels whose bytes are summed in 16 bits."""


def _axes(site: Site, reduced: bool) -> list[tuple[int, ...]]:
    """(size, step) of the reduced axes, or of the others."""
    op, shape = site.op, site.ins[0].shape
    assert isinstance(op, Reduce)
    axes = [i for i in range(len(shape)) if (i in op.axes) == reduced]
    steps = strides(shape)
    return merged([shape[i] for i in axes], [steps[i] for i in axes])


def _shape_fields(site: Site) -> dict[str, Value]:
    return {
        **columns(_axes(site, reduced=False), REDUCE_AXES, "kept", "kept_step"),
        **columns(_axes(site, reduced=True), REDUCE_AXES, "reduced", "reduced_step"),
    }


def _mean(site: Site) -> tuple[Arg, ...]:
    p: MeanParams = params(site.graph, site.op)
    low, high = span(site.ins[0], p.x_zero)
    check_sums(site, p.count * low, p.count * high, 32)
    fields = {
        "shape": _shape_fields(site),
        "x_zero": p.x_zero,
        "y_zero": p.y_zero,
        **multiplier_fields(p.multiplier),
        "act_min": p.act_min,
        "act_max": p.act_max,
    }
    return Struct("mq_mean_t", fields), In(), Out()


def _reduce_max(site: Site) -> tuple[Arg, ...]:
    p: PoolParams = params(site.graph, site.op)
    fields = {"shape": _shape_fields(site), "rescale": pooled_fields(site, p)}
    return Struct("mq_reduce_max_t", fields), In(), Out()


def _reduce_plain(site: Site) -> tuple[Arg, ...]:
    return Struct("mq_reduce_t", _shape_fields(site)), In(), Out()


def _argmax(site: Site) -> tuple[Arg, ...]:
    op, shape = site.op, site.ins[0].shape
    assert isinstance(op, ArgMax)
    outer, inner = math.prod(shape[: op.axis]), math.prod(shape[op.axis + 1 :])
    return Struct("mq_argmax_t", {"outer": outer, "size": shape[op.axis], "inner": inner}), In(), Out()


def _axis(site: Site) -> int:
    assert isinstance(site.op, ArgMax)
    return site.op.axis


def _reduces(dtype: DType) -> Takes:
    def takes(site: Site) -> bool:
        most = max(len(_axes(site, reduced)) for reduced in (False, True))
        return site.ins[0].dtype is site.out.dtype is dtype and most <= REDUCE_AXES

    return takes


def _over_pixels(site: Site, is_whole_words: bool) -> bool:
    """Means over all axes except the last, whose entries are whole words or not."""
    kept, reduced = _axes(site, reduced=False), _axes(site, reduced=True)
    typed = site.core.dsp and site.ins[0].dtype is site.out.dtype is DType.INT8
    return typed and len(kept) == len(reduced) == 1 and kept[0][1] == 1 and (kept[0][0] % 4 == 0) is is_whole_words


def _over_rows(site: Site) -> bool:
    """Means over the last axes, or over all, whose elements are whole words."""
    kept, reduced = _axes(site, reduced=False), _axes(site, reduced=True)
    typed = site.core.dsp and site.ins[0].dtype is site.out.dtype is DType.INT8
    return typed and len(kept) <= len(reduced) == 1 and reduced[0][1] == 1 and reduced[0][0] % 4 == 0


def _rows_cycles(site: Site) -> int:
    x, rows = site.ins[0].elements, site.out.elements
    return STEP + round(rows * (30 + 1.8 * x / rows))


def _words_cycles(site: Site) -> int:
    """Four channels at a time, in blocks of pixels whose sums fit 16 bits."""
    words = site.out.elements // 4
    pixels = site.ins[0].elements // site.out.elements
    if site.core.mve:
        return STEP + round(words * (128 + 3.6 * pixels))
    return STEP + round(words * (128 + 4.8 * pixels + 175 * ((pixels - 1) // MOST_PIXELS)))


def _flat_mean(site: Site) -> tuple[Arg, ...]:
    struct, x, y = _mean(site)
    return struct, x, Scratch("int32_t"), y


def _flat_cycles(site: Site) -> int:
    """Four pixels at a time."""
    channels, pixels = site.out.elements, site.ins[0].elements // site.out.elements
    return CALL + round(channels * (95 + 4.8 * (pixels // 4) + 7 * (pixels % 4)))


def _types(x: DType, y: DType) -> Takes:
    return lambda site: site.ins[0].dtype is x and site.out.dtype is y


def _typed(
    name: str, header: str, op: type[Op] | tuple[type[Op], ...], args: Args, cycles: Cycles
) -> tuple[Variant, ...]:
    return tuple(Variant(name.format(s), header, op, _reduces(_TYPES[s]), args, cycles=cycles) for s in ("s8", "s16"))


def _plain(name: str, op: type[Op]) -> tuple[Variant, ...]:
    cycles = by_core(reduced(9, 8), 1.0, 0.6)
    types = {"s32": DType.INT32, "u8": DType.BOOL}
    return tuple(
        Variant(f"{name}_{s}", "mq_reduce_max.h", op, _reduces(dtype), _reduce_plain, cycles=cycles)
        for s, dtype in types.items()
    )


_TYPES = {"s8": DType.INT8, "s16": DType.INT16, "s32": DType.INT32, "s64": DType.INT64}
_ARGMAX_CYCLES = {
    "s8": by_core(argmax(11.5, 13.3, _axis), 1.0, 0.85),
    "s16": by_core(argmax(10.4, 13, _axis), 1.0, 0.76),
}

VARIANTS = (
    Variant(
        "mean_words_s8",
        "mq_pool_words.h",
        (Mean, Sum),
        partial(_over_pixels, is_whole_words=True),
        _mean,
        cycles=_words_cycles,
    ),
    Variant("mean_rows_s8", "mq_pool_words.h", (Mean, Sum), _over_rows, _mean, cycles=by_core(_rows_cycles, mve=0.8)),
    Variant(
        "mean_flat_s8",
        "mq_pool_words.h",
        (Mean, Sum),
        partial(_over_pixels, is_whole_words=False),
        _flat_mean,
        lambda site: 4 * site.out.elements,
        lambda _: (FREE,),
        cycles=by_core(_flat_cycles, mve=0.75),
    ),
    *_typed("mean_{}", "mq_mean.h", (Mean, Sum), _mean, by_core(reduced(7.9, 26), 1.03, 0.57)),
    *_typed("reduce_max_{}", "mq_reduce_max.h", ReduceMax, _reduce_max, by_core(reduced(9, 8), 1.0, 0.55)),
    *_typed("reduce_min_{}", "mq_reduce_max.h", ReduceMin, _reduce_max, by_core(reduced(9, 7.5), 1.0, 0.56)),
    *_plain("reduce_max", ReduceMax),
    *_plain("reduce_min", ReduceMin),
    *(
        Variant(f"argmax_{x}_{y}", "mq_argmax.h", ArgMax, _types(_TYPES[x], _TYPES[y]), _argmax, cycles=cycles)
        for x, cycles in _ARGMAX_CYCLES.items()
        for y in ("s32", "s64")
    ),
)
