"""Kernels of truth values and whole numbers, and of what chooses elements by them."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ...arithmetic.parameters import CompareParams, params
from ...ir import DType, Shape, Tensor
from ...ir.ops import Cast, Compare, Gather, GatherNd, Relation, Select, UpdateSlice
from ..shared.axes import BROADCAST_RANK, Axis, broadcast_axes, broadcast_fields, columns, merged, steps_along, strides
from ..shared.moving import element_bytes
from ..shared.overlap import elementwise
from ..shared.plain_estimates import broadcast, by_core, each
from ..variant import CALL, Arg, In, Number, Out, Site, Struct, Takes, Value, Variant, multiplier_fields, no_overlap

GATHER_RANK = UPDATE_RANK = 6
_NAMES = {
    DType.INT8: "s8",
    DType.INT16: "s16",
    DType.INT32: "s32",
    DType.BOOL: "u8",
    DType.FLOAT32: "f32",
    DType.UINT32: "u32",
}
_CASTS = tuple((x, y) for x in _NAMES for y in _NAMES if x is not y and DType.UINT32 not in (x, y))
_UNSIGNED_CASTS = ((DType.INT32, DType.UINT32), (DType.UINT32, DType.INT32))
_LESS, _EQUAL, _GREATER = 1, 2, 4
_RELATIONS = {
    Relation.EQUAL: _EQUAL,
    Relation.NOT_EQUAL: _LESS + _GREATER,
    Relation.GREATER: _GREATER,
    Relation.GREATER_EQUAL: _GREATER + _EQUAL,
    Relation.LESS: _LESS,
    Relation.LESS_EQUAL: _LESS + _EQUAL,
}


# --- casts -----------------------------------------------------------------------------------------------------------


def _casts(x: DType, y: DType) -> Takes:
    return lambda site: site.ins[0].dtype is x and site.out.dtype is y


def _cast_variant(x: DType, y: DType) -> Variant:
    real = DType.FLOAT32 in (x, y)
    is_of_bytes = 8 in (x.bits, y.bits)  # C lets bytes alone lie where values of other types do
    return Variant(
        f"cast_{_NAMES[x]}_{_NAMES[y]}",
        "mq_cast.h",
        Cast,
        _casts(x, y),
        lambda site: (Number(site.out.elements), In(), Out()),
        overlap_offsets=elementwise if is_of_bytes else no_overlap,
        cycles=by_core(each(14 if real else 7), 6 if real else 1, 0.7 if real else 0.43),
    )


# --- comparisons and choices -----------------------------------------------------------------------------------------


def _compared_axes(site: Site) -> list[Axis]:
    a, b = site.ins
    return broadcast_axes(a.shape, b.shape, site.out.shape)


def _compares(dtype: DType) -> Takes:
    return lambda site: all(t.dtype is dtype for t in site.ins) and len(_compared_axes(site)) <= BROADCAST_RANK


def _compare(site: Site) -> tuple[Arg, ...]:
    op, (a, _) = site.op, site.ins
    assert isinstance(op, Compare)
    fields: dict[str, Value] = {
        "shape": broadcast_fields(_compared_axes(site)),
        "relations": _RELATIONS[op.relation],
    }
    if a.q is not None:
        p: CompareParams = params(site.graph, op)
        fields |= {"a_zero": p.a_zero, **multiplier_fields(p.a_multiplier, "a_")}
        fields |= {"b_zero": p.b_zero, **multiplier_fields(p.b_multiplier, "b_")}
    return Struct("mq_compare_t", fields), In(0), In(1), Out()


def _select_axes(site: Site) -> list[Axis]:
    y = site.out.shape
    return merged(y, *(steps_along(t.shape, y) for t in site.ins))


def _selects(dtype: DType) -> Takes:
    return lambda site: site.out.dtype is dtype and len(_select_axes(site)) <= BROADCAST_RANK


def _select(site: Site) -> tuple[Arg, ...]:
    fields = columns(_select_axes(site), BROADCAST_RANK, "size", "condition", "a", "b")
    return Struct("mq_select_t", fields), In(0), In(1), In(2), Out()


# --- indices ---------------------------------------------------------------------------------------------------------


def _gather(site: Site) -> tuple[Arg, ...]:
    op, (x, indices), y = site.op, site.ins, site.out
    assert isinstance(op, Gather)
    batch = op.batch_axes
    fields = {
        "batch": math.prod(x.shape[:batch]),
        "outer": math.prod(x.shape[batch : op.axis]),
        "size": x.shape[op.axis],
        "count": math.prod(indices.shape[batch:]),
        "row_bytes": math.prod(x.shape[op.axis + 1 :]) * element_bytes(y),
    }
    return Struct("mq_gather_t", fields), In(0), In(1), Out()


def _gather_nd(site: Site) -> tuple[Arg, ...]:
    (x, indices), y = site.ins, site.out
    axes = indices.shape[-1]
    rows = list(zip(x.shape[:axes], strides(x.shape[:axes]), strict=True))
    full = [*rows, *[(1, 0)] * (GATHER_RANK - axes)]
    fields: dict[str, Value] = {
        "count": math.prod(indices.shape[:-1]),
        "axes": axes,
        "row_bytes": math.prod(x.shape[axes:]) * element_bytes(y),
        "size": tuple(size for size, _ in full),
        "step": tuple(step for _, step in full),
    }
    return Struct("mq_gather_nd_t", fields), In(0), In(1), Out()


def _update_slice(site: Site) -> tuple[Arg, ...]:
    x, update, _ = site.ins
    unit, axes = element_bytes(x), len(x.shape)
    fields: dict[str, Value] = {
        "axes": axes,
        "unit": unit,
        "size": _last_in_bytes(x.shape, unit),
        "update": _last_in_bytes(update.shape, unit),
    }
    return Struct("mq_update_slice_t", fields), In(0), In(1), In(2), Out()


def _last_in_bytes(shape: Shape, unit: int) -> Shape:
    return (*(1,) * (UPDATE_RANK - len(shape)), *shape[:-1], shape[-1] * unit)


def _update_cycles(site: Site) -> int:
    x, update, _ = site.ins
    return CALL + round(0.6 * x.nbytes + update.elements // update.shape[-1] * 30 + 0.6 * update.nbytes)


def _rows_cycles(site: Site) -> int:
    """A memcpy for each row."""
    rows = _row_count(site.ins, site.out)
    return CALL + round(rows * (30 + 0.6 * site.out.nbytes / rows))


def _row_count(ins: Sequence[Tensor], y: Tensor) -> int:
    return max(1, min(ins[1].elements, y.elements))


VARIANTS = (
    *(_cast_variant(x, y) for x, y in (*_CASTS, *_UNSIGNED_CASTS)),
    *(
        Variant(
            f"compare_{_NAMES[dtype]}",
            "mq_compare.h",
            Compare,
            _compares(dtype),
            _compare,
            overlap_offsets=elementwise,
            cycles=by_core(broadcast(element, 8, _compared_axes), 1.2, 0.8),
        )
        for dtype, element in ((DType.INT8, 38), (DType.INT16, 38), (DType.INT32, 14), (DType.BOOL, 14))
    ),
    *(
        Variant(
            f"select_{_NAMES[dtype]}",
            "mq_select.h",
            Select,
            _selects(dtype),
            _select,
            overlap_offsets=elementwise,
            cycles=by_core(broadcast(10, 20, _select_axes), 1.0, 0.7),
        )
        for dtype in (DType.INT8, DType.INT16, DType.INT32, DType.BOOL)
    ),
    Variant("gather", "mq_gather.h", Gather, lambda _: True, _gather, cycles=_rows_cycles),
    Variant("update_slice", "mq_update_slice.h", UpdateSlice, lambda _: True, _update_slice, cycles=_update_cycles),
    Variant("gather_nd", "mq_gather.h", GatherNd, lambda _: True, _gather_nd, cycles=_rows_cycles),
)
