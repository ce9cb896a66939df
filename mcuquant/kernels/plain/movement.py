"""Kernels that move elements of any type: copies along axes, padding, joining, nearest-neighbour resizing."""

from __future__ import annotations

import math

import numpy as np

from ...arithmetic.interpreter.movement_ops import nearest_indices
from ...arithmetic.interpreter.resize_ops import places
from ...arithmetic.parameters import ConcatParams, RescaleParams, params
from ...ir import DType, Tensor
from ...ir.ops import Concat, Enter, Pad, ResizeBilinear, ResizeNearest, Slice, Transpose
from ..shared import moving_estimates as estimates
from ..shared.moving import COPY_RANK, copy_axes, element_bytes, matrices, moved, transpose_args
from ..shared.plain_estimates import by_core, concat_rescale, resize_bilinear, resize_nearest
from ..shared.rescale import identity_fields, rescale_fields
from ..variant import Arg, Blob, In, Ins, Number, Out, Parts, Site, Struct, Takes, Value, Variant

LARGEST_IMAGE = 1 << 16
"""Limit of rows and columns of an image for resizing: positions are uint16."""


def _copy(site: Site) -> tuple[Arg, ...]:
    return moved(site).struct, In(), Out()


def _pad(site: Site) -> tuple[Arg, ...]:
    op, y = site.op, site.out
    assert isinstance(op, Pad)
    value = Blob("value", np.array([y.zero_point if op.value is None else op.value], y.dtype.numpy), "what is around")
    return moved(site).struct, Number(y.elements), Number(element_bytes(y)), In(), value, Out()


def _copy_cycles(site: Site) -> int:
    return estimates.STEP + round(estimates.copy(moved(site), site.core))


def _pad_cycles(site: Site) -> int:
    filled = estimates.fill(site.out.elements, element_bytes(site.out), site.core)
    return _copy_cycles(site) + round(filled)


def _copy_fits(site: Site) -> bool:
    return len(copy_axes(site)) <= COPY_RANK


def _transposes(site: Site) -> bool:
    shape = matrices(site)
    return shape is not None and shape.x_words


def _transpose_cycles(site: Site) -> int:
    shape = matrices(site)
    assert shape is not None
    return estimates.STEP + round(estimates.transpose(shape, site.core))


def _concat_params(site: Site) -> ConcatParams:
    p = params(site.graph, site.op)
    assert isinstance(p, ConcatParams)
    return p


def _concat(site: Site) -> tuple[Arg, ...]:
    op, y, first = site.op, site.out, _first_moved(site)
    assert isinstance(op, Concat | Enter)
    rescales = _concat_params(site).rescales
    inputs = list(zip(site.ins, rescales, strict=True))[first:]
    parts = tuple(_concat_part(site, op.axis, x, r) for x, r in inputs)
    fields = {"rows": math.prod(y.shape[: op.axis]), "inputs": len(parts), "bytes": element_bytes(y)}
    at = sum(x.nbytes for x in site.ins[:first])
    return Struct("mq_concat_t", fields), Parts("mq_concat_part_t", parts), Ins(first), Out(0, at)


def _first_moved(site: Site) -> int:
    """The first input that is not already in place."""
    return 1 if isinstance(site.op, Enter) else 0


def _concat_cycles(site: Site) -> int:
    op, y = site.op, site.out
    assert isinstance(op, Concat | Enter)
    widths = [math.prod(x.shape[op.axis :]) * element_bytes(y) for x in site.ins[_first_moved(site) :]]
    return estimates.STEP + round(estimates.joined(math.prod(y.shape[: op.axis]), widths, site.core))


def _concat_part(site: Site, axis: int, x: Tensor, rescale: RescaleParams | None) -> dict[str, Value]:
    """Elements per row of the output, and their rescaling; types that are only copied ignore the limits."""
    fields = identity_fields(*DType.INT8.range())
    return {"width": math.prod(x.shape[axis:]), "rescale": rescale_fields(site, rescale) if rescale else fields}


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
        "pixel_bytes": x.shape[3] * element_bytes(x),
    }
    places = [nearest_indices(op, x.shape[axis], y.shape[axis]).astype(np.uint16) for axis in (1, 2)]
    rows, columns_ = Blob("rows", places[0], "input row of each"), Blob("columns", places[1], "input column of each")
    return Struct("mq_resize_nearest_t", fields), In(), rows, columns_, Out()


def _nearest_cycles(site: Site) -> int:
    op, x, y = site.op, site.ins[0], site.out
    assert isinstance(op, ResizeNearest)
    rows, columns = (nearest_indices(op, x.shape[axis], y.shape[axis]) for axis in (1, 2))
    return resize_nearest(site, y.shape[3] * element_bytes(y), rows, columns)


def _resize_bilinear(site: Site) -> tuple[Arg, ...]:
    op, x, y = site.op, site.ins[0], site.out
    assert isinstance(op, ResizeBilinear)
    (batch, in_h, in_w, channels), (_, out_h, out_w, _) = x.shape, y.shape
    fields = {"batch": batch, "in_h": in_h, "in_w": in_w, "out_h": out_h, "out_w": out_w, "channels": channels}
    what = "lower input, upper input, share of the upper in 1/1024, of each"
    tables = [np.stack(places(op, x.shape[axis], y.shape[axis]), axis=1).astype(np.uint16) for axis in (1, 2)]
    return (
        Struct("mq_resize_bilinear_t", fields),
        In(),
        Blob("rows", tables[0], what),
        Blob("columns", tables[1], what),
        Out(),
    )


def _resizes(dtype: DType) -> Takes:
    return lambda site: site.ins[0].dtype is site.out.dtype is dtype and _resize_fits(site)


def _resize_fits(site: Site) -> bool:
    return max(site.ins[0].shape[1:3]) <= LARGEST_IMAGE


VARIANTS = (
    Variant(
        "resize_bilinear_s8",
        "mq_resize_bilinear.h",
        ResizeBilinear,
        _resizes(DType.INT8),
        _resize_bilinear,
        cycles=by_core(resize_bilinear(28, 26), 1.12, 0.84),
    ),
    Variant(
        "resize_bilinear_s16",
        "mq_resize_bilinear.h",
        ResizeBilinear,
        _resizes(DType.INT16),
        _resize_bilinear,
        cycles=by_core(resize_bilinear(40, 3), 1.16, 0.76),
    ),
    Variant("transpose", "mq_transpose.h", Transpose, _transposes, transpose_args, cycles=_transpose_cycles),
    Variant("copy", "mq_copy.h", (Slice, Transpose), _copy_fits, _copy, cycles=_copy_cycles),
    Variant("pad", "mq_pad.h", Pad, _copy_fits, _pad, cycles=_pad_cycles),
    Variant("concat", "mq_concat.h", (Concat, Enter), _copies_all, _concat, cycles=_concat_cycles),
    Variant("concat_rescale_s8", "mq_concat.h", (Concat, Enter), _rescales_int8, _concat, cycles=concat_rescale),
    Variant("resize_nearest", "mq_resize_nearest.h", ResizeNearest, _resize_fits, _resize, cycles=_nearest_cycles),
)
