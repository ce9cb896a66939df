"""Kernels that move elements of any type: copies along axes, padding, joining, nearest-neighbour resizing."""

from __future__ import annotations

import math
from itertools import starmap
from operator import mul

import numpy as np

from ...arithmetic.interpreter.movement_ops import nearest_indices
from ...arithmetic.parameters import ConcatParams, RescaleParams, params
from ...ir import DType, Tensor
from ...ir.ops import Concat, Pad, ResizeNearest, Slice, Transpose
from ..shared.axes import Axis, columns, merged, strides
from ..shared.rescale import identity_fields, rescale_fields
from ..variant import Arg, Blob, In, Ins, Number, Out, Parts, Site, Struct, Value, Variant

COPY_RANK = 6
LARGEST_IMAGE = 1 << 16
"""Rows and columns of an image that can be resized: places in it are uint16."""


def _element_bytes(tensor: Tensor) -> int:
    return tensor.dtype.bits // 8


def _copy_axes(site: Site) -> list[Axis]:
    """(size, input step, output step) of everything that is moved."""
    op, x, y = site.op, site.ins[0].shape, site.out.shape
    match op:
        case Slice():
            return merged(y, list(map(mul, strides(x), op.step)), strides(y))
        case Transpose():
            return merged(y, [strides(x)[axis] for axis in op.perm], strides(y))
        case _:
            return merged(x, strides(x), strides(y))


def _copy_struct(site: Site, x_start: int, y_start: int) -> Struct:
    fields: dict[str, Value] = {
        "bytes": _element_bytes(site.out),
        "x_start": x_start,
        "y_start": y_start,
        **columns(_copy_axes(site), COPY_RANK, "size", "x_step", "y_step"),
    }
    return Struct("mq_copy_t", fields)


def _copy(site: Site) -> tuple[Arg, ...]:
    begin = site.op.begin if isinstance(site.op, Slice) else ()
    start = sum(map(mul, begin, strides(site.ins[0].shape)))
    return _copy_struct(site, start, 0), In(), Out()


def _pad(site: Site) -> tuple[Arg, ...]:
    op, y = site.op, site.out
    assert isinstance(op, Pad)
    before = [pair[0] for pair in op.pads]
    start = sum(starmap(mul, zip(before, strides(y.shape), strict=True)))
    value = Blob("value", np.array([y.zero_point if op.value is None else op.value], y.dtype.numpy), "what is around")
    return _copy_struct(site, 0, start), Number(y.elements), In(), value, Out()


def _copy_fits(site: Site) -> bool:
    return len(_copy_axes(site)) <= COPY_RANK


def _concat_params(site: Site) -> ConcatParams:
    p = params(site.graph, site.op)
    assert isinstance(p, ConcatParams)
    return p


def _concat(site: Site) -> tuple[Arg, ...]:
    op, y = site.op, site.out
    assert isinstance(op, Concat)
    rescales = _concat_params(site).rescales
    parts = tuple(_concat_part(site, op.axis, x, r) for x, r in zip(site.ins, rescales, strict=True))
    fields = {"rows": math.prod(y.shape[: op.axis]), "inputs": len(parts), "bytes": _element_bytes(y)}
    return Struct("mq_concat_t", fields), Parts("mq_concat_part_t", parts), Ins(), Out()


def _concat_part(site: Site, axis: int, x: Tensor, rescale: RescaleParams | None) -> dict[str, Value]:
    """Elements per row of the output, and how they change; types that are only copied have no use for the limits."""
    kept = identity_fields(*DType.INT8.range())
    return {"width": math.prod(x.shape[axis:]), "rescale": rescale_fields(site, rescale) if rescale else kept}


def _copies_all(site: Site) -> bool:
    return all(r is None for r in _concat_params(site).rescales)


def _rescales_int8(site: Site) -> bool:
    return site.out.dtype is DType.INT8


def _resize(site: Site) -> tuple[Arg, ...]:
    op, x, y = site.op, site.ins[0], site.out
    assert isinstance(op, ResizeNearest)
    fields = {
        "batch": x.shape[0],
        "in_h": x.shape[1],
        "in_w": x.shape[2],
        "out_h": y.shape[1],
        "out_w": y.shape[2],
        "pixel_bytes": x.shape[3] * _element_bytes(x),
    }
    places = [nearest_indices(op, x.shape[axis], y.shape[axis]).astype(np.uint16) for axis in (1, 2)]
    rows, columns_ = Blob("rows", places[0], "input row of each"), Blob("columns", places[1], "input column of each")
    return Struct("mq_resize_nearest_t", fields), In(), rows, columns_, Out()


def _resize_fits(site: Site) -> bool:
    return max(site.ins[0].shape[1:3]) <= LARGEST_IMAGE


VARIANTS = (
    Variant("copy", "mq_copy.h", (Slice, Transpose), _copy_fits, _copy),
    Variant("pad", "mq_pad.h", Pad, _copy_fits, _pad),
    Variant("concat", "mq_concat.h", Concat, _copies_all, _concat),
    Variant("concat_rescale_s8", "mq_concat.h", Concat, _rescales_int8, _concat),
    Variant("resize_nearest", "mq_resize_nearest.h", ResizeNearest, _resize_fits, _resize),
)
