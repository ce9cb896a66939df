"""Convolutions as matrix products on cores with MVE: what is packed, and when a form is exact; mq_mve_product.h."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from ..integer import ConvParams
from ..ir import Array, DType
from ..ops import Conv2D, DepthwiseConv2D
from . import overlap
from .base import Arg, Blob, In, Out, Scratch, Site, Struct, Value, Variant, image_fields, stride_fields
from .conv import bias, conv_params, weights
from .cost import CALL, Shared

VECTOR = 16
"""Bytes."""
GROUP = 4
"""Outputs at a time."""
_MOST_OUTPUTS = (1 << 15) - 1
"""What is stored is addressed by 16 bits."""
_WINDOW_BYTES = 640
"""Of scratch: more windows than two make the calls fewer."""
_MOST_WINDOWS = 16
_VECTOR_CYCLES, _GROUP_CYCLES, _PAIR_CYCLES = 15, 24, 30
"""Of a vector and a requantization for four outputs of two pixels, and of two pixels beginning."""
_PRODUCT_BYTES = 640
_TAPS_CYCLES = 24
"""Of a row of a window's taps, to scratch."""


@dataclass(frozen=True, slots=True)
class Form:
    """A requantization, and whether it is exact."""

    name: str
    fits: Callable[[ConvParams], bool]


def _is_above(p: ConvParams) -> bool:
    """Whatever a negative product is rounded to, the clamp makes the same of it."""
    return (p.y_zero, p.act_min, p.act_max) == (-128, -128, 127)


def _is_signed(p: ConvParams) -> bool:
    """A product without a shift has no half to move; there is none but 0."""
    return (p.act_min, p.act_max) == (-128, 127) and _has_halves(p)


def _has_halves(p: ConvParams) -> bool:
    return all(m.shift < 0 or m.m == 0 for m in p.multipliers)


FORMS = (Form("above", _is_above), Form("signed", _is_signed), Form("clamped", _has_halves))


def is_taken(site: Site) -> bool:
    """Types of all forms, on a core that has the instructions; shifts to the right, and sums of 32 bits."""
    x, w, p = site.ins[0], site.ins[1], conv_params(site)
    typed = x.dtype is site.out.dtype is DType.INT8 and w.is_constant and w.bits == 8 and p.w_zero == 0
    shifts = all(-31 <= m.shift <= 0 for m in p.multipliers)
    return site.core.mve and typed and shifts and len(p.multipliers) <= _MOST_OUTPUTS and sums_fit(site)


def sums_fit(site: Site) -> bool:
    """Sums fit 32 bits at every moment: they begin with what the input's zero point adds, and grow by 128 * |w|."""
    most = np.abs(folded_bias(site)) + 128 * np.abs(by_output(site)).sum(axis=1)
    return bool((most < 1 << 31).all())


def by_output(site: Site) -> Array:
    """Weights as int64, a row of taps for each output channel."""
    w = weights(site).astype(np.int64)
    return w[0].reshape(-1, w.shape[3]).T if isinstance(site.op, DepthwiseConv2D) else w.reshape(len(w), -1)


def folded_bias(site: Site) -> Array:
    """Biases less what the input's zero point adds, of every output channel."""
    return np.asarray(bias(site).astype(np.int64) - conv_params(site).x_zero * by_output(site).sum(axis=1))


def pack(site: Site, head: int) -> Array:
    """The stream of mq_mve_product.h as int32, of pixels whose first `head` bytes make a vector of their own."""
    p = conv_params(site)
    scale = np.array([(m.m, m.shift) for m in p.multipliers], np.int64)
    columns = (folded_bias(site)[:, None], _vectors(weights(site).reshape(len(scale), -1), head), scale)
    table = np.concatenate(columns, axis=1).astype(np.int32)
    missing = max(GROUP - len(table), 0)
    table = np.pad(table, ((0, missing), (0, 0)))
    starts = np.minimum(np.arange(0, len(table), GROUP), len(table) - GROUP)
    return np.concatenate([_group(table[i : i + GROUP]) for i in starts])


def _vectors(w: Array, head: int) -> Array:
    """Rows of weights as int32: the head filled up to a vector, then whole vectors."""
    first = np.pad(w[:, :head], ((0, 0), (0, -head % VECTOR)))
    rest = np.pad(w[:, head:], ((0, 0), (0, (head - w.shape[1]) % VECTOR)))
    return np.ascontiguousarray(np.concatenate([first, rest], axis=1)).view(np.int32)


def _group(rows: Array) -> Array:
    """Biases, weights a vector of each in turn, multipliers, shifts."""
    taps = rows[:, 1:-2].reshape(GROUP, -1, VECTOR // 4).transpose(1, 0, 2)
    return np.concatenate([rows[:, 0], taps.ravel(), rows[:, -2], rows[:, -1]])


def clamp_fields(p: ConvParams) -> dict[str, Value]:
    return {"y_zero": p.y_zero, "act_min": p.act_min, "act_max": p.act_max}


def product_cycles(pixels: int, depth: int, outputs: int) -> int:
    """Instructions of the micro-kernel, which are nearly its cycles."""
    group = _VECTOR_CYCLES * -(-depth // VECTOR) + _GROUP_CYCLES
    return -(-pixels // 2) * (-(-outputs // GROUP) * group + _PAIR_CYCLES)


def _pointwise_cycles(site: Site) -> int:
    outputs = site.out.shape[3]
    return CALL + product_cycles(site.out.elements // outputs, site.ins[0].shape[3], outputs)


def _conv2d_cycles(site: Site) -> int:
    (outputs, k_h, k_w, depth), pixels = site.ins[1].shape, site.out.elements // site.out.shape[3]
    gather = pixels * k_h * (_TAPS_CYCLES + k_w * depth // 8)
    return CALL + gather + product_cycles(pixels, k_h * k_w * depth, outputs)


def shared(form: Form) -> tuple[Shared, ...]:
    return (Shared(f"mq_mve_product_{form.name}", _PRODUCT_BYTES),)


def _stream(site: Site, head: int) -> Blob:
    return Blob("weights", pack(site, head), "four outputs at a time, see mq_mve_product.h")


def _is_pointwise(site: Site) -> bool:
    """Output pixels are input pixels, all or some of them, in rows that are equally far apart."""
    op, w = site.op, site.ins[1]
    assert isinstance(op, Conv2D)
    inside = (op.padding.top, op.padding.left) == (0, 0) and _ends_inside(site)
    return w.shape[1:3] == (1, 1) and inside and (op.stride == (1, 1) or site.out.shape[0] == 1)


def _ends_inside(site: Site) -> bool:
    op, (_, in_h, in_w, _), (_, out_h, out_w, _) = site.op, site.ins[0].shape, site.out.shape
    assert isinstance(op, Conv2D)
    return (out_h - 1) * op.stride[0] < in_h and (out_w - 1) * op.stride[1] < in_w


def _is_dense(site: Site) -> bool:
    return site.ins[0].shape[:3] == site.out.shape[:3]


def _pointwise_args(site: Site) -> tuple[Arg, ...]:
    op, (_, _, in_w, in_c), (batch, out_h, out_w, out_c) = site.op, site.ins[0].shape, site.out.shape
    assert isinstance(op, Conv2D)
    rows, step = (1, 1) if _is_dense(site) else (out_h, op.stride[1])
    fields = {
        "rows": rows,
        "row_step": op.stride[0] * in_w * in_c,
        "pixels": batch * out_h * out_w // rows,
        "pixel_step": step * in_c,
        "in_c": in_c,
        "out_c": out_c,
        **clamp_fields(conv_params(site)),
    }
    return Struct("mq_pointwise_mve_t", fields), In(), _stream(site, in_c % VECTOR), Out()


def _pointwise_leads(site: Site) -> tuple[int | None, ...]:
    """Two pixels are read until their last outputs are written; pairs begin anew in every row of some pixels."""
    return overlap.windows(site, buffered=False, block=2 if _is_dense(site) else site.out.shape[2])


def _window_bytes(site: Site) -> int:
    return -(-int(weights(site)[0].size) // VECTOR) * VECTOR


def _windows(site: Site) -> int:
    """In scratch: an even number."""
    pairs = _WINDOW_BYTES // _window_bytes(site) // 2
    return 2 * min(max(pairs, 1), _MOST_WINDOWS // 2)


def _conv2d_args(site: Site) -> tuple[Arg, ...]:
    op, (x, w) = site.op, site.ins[:2]
    assert isinstance(op, Conv2D)
    p = conv_params(site)
    fields = {
        **image_fields(x, site.out),
        "in_c": x.shape[3],
        "out_c": w.shape[0],
        "k_h": w.shape[1],
        "k_w": w.shape[2],
        **stride_fields(op.stride, op.padding),
        "dilation_h": op.dilation[0],
        "dilation_w": op.dilation[1],
        "windows": _windows(site),
        "x_zero": p.x_zero,
        **clamp_fields(p),
    }
    return Struct("mq_conv2d_mve_t", fields), In(), _stream(site, 0), Scratch("int8_t"), Out()


def _conv2d_scratch(site: Site) -> int:
    return _windows(site) * _window_bytes(site)


def _conv2d_leads(site: Site) -> tuple[int | None, ...]:
    return overlap.windows(site, buffered=True, block=_windows(site))


def _takes(site: Site, form: Form, where: Callable[[Site], bool]) -> bool:
    ungrouped = site.ins[1].shape[3] == site.ins[0].shape[3]
    return ungrouped and where(site) and is_taken(site) and form.fits(conv_params(site))


def _pointwise(form: Form) -> Variant:
    takes = partial(_takes, form=form, where=_is_pointwise)
    name, header = f"pointwise_mve_{form.name}_s8", "mq_pointwise_mve.h"
    return Variant(
        name,
        header,
        Conv2D,
        takes,
        _pointwise_args,
        leads=_pointwise_leads,
        cycles=_pointwise_cycles,
        step_bytes=80,
        shared=shared(form),
    )


def _conv2d(form: Form) -> Variant:
    takes = partial(_takes, form=form, where=lambda _: True)
    name, header = f"conv2d_mve_{form.name}_s8", "mq_conv2d_mve.h"
    return Variant(
        name,
        header,
        Conv2D,
        takes,
        _conv2d_args,
        _conv2d_scratch,
        leads=_conv2d_leads,
        cycles=_conv2d_cycles,
        shared=shared(form),
    )


VARIANTS = (*map(_pointwise, FORMS), *map(_conv2d, FORMS))
